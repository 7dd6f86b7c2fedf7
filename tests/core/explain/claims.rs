//! What `explain` prints, taken apart, and each claim held against the bytes.

use std::net::SocketAddr;

use super::witness::{RST, Stream, Witness};
use mailguard::engine::Settings;
use mailguard::front::explain::cause;

const C: usize = 0;
const S: usize = 1;

const UNSHOWN: &str = "From byte # of the *'s stream on, edits of # byte are not shown.";

/// Columns of a row: whose, where, what came, what left, the sentences about it.
const COLUMNS: [(usize, usize); 5] = [(0, 1), (1, 10), (12, 52), (54, 94), (96, 200)];

/// One row of the drawing.
#[derive(Debug, Default)]
pub(super) struct Row {
    side: Option<usize>,
    offset: u32,
    came: String,
    left: String,
    notes: String,
}

/// What is told of a flow.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
    ends: [SocketAddr; 2],
    is_watched: bool,
}

/// The streams of one connection, as they came and as they left.
struct Streams<'w> {
    came: [Stream; 2],
    left: [Stream; 2],
    bases: [u32; 2],
    ends: [SocketAddr; 2],
    witnesses: [&'w Witness; 2],
}

type Held = Result<(), String>;

/// That something is so.
fn so(is_so: bool, what: impl std::fmt::Display) -> Held {
    if is_so { Ok(()) } else { Err(what.to_string()) }
}

/// The bytes that escapes stand for, and the length that is stated behind a cut.
fn unescaped(text: &str) -> (Vec<u8>, Option<u32>) {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        if let Some(length) = rest.strip_prefix("\\...[") {
            return (bytes, Some(length.split(' ').next().unwrap().parse().unwrap()));
        }
        let (byte, used) = match rest.as_bytes() {
            [b'\\', b'r', ..] => (vec![b'\r'], 2),
            [b'\\', b'n', ..] => (vec![b'\n'], 2),
            [b'\\', b'x', ..] => (vec![u8::from_str_radix(&rest[2..4], 16).unwrap()], 4),
            [b'\\', one, ..] => (vec![*one], 2),
            _ => (first.to_string().into_bytes(), first.len_utf8()),
        };
        bytes.extend(byte);
        rest = &rest[used..];
    }
    (bytes, None)
}

impl Told {
    pub(super) fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let head = lines.next().unwrap();
        let end = |word: &str| {
            let behind = head.split_once(word).unwrap().1;
            behind.split(',').next().unwrap().parse().unwrap()
        };
        let ends = [end("client "), end("server ")];
        let is_watched = lines.next().unwrap().ends_with(", only watched.");
        let drawn: Vec<&str> = lines.by_ref().skip(2).take_while(|line| !line.is_empty()).collect();
        let notes = lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect();
        Self { text: text.to_owned(), rows: rows(&drawn), notes, ends, is_watched }
    }

    /// What the list says of the flow is what its rows say.
    pub(super) fn expect_short(&self, short: &str) {
        let counted = |one: &str| {
            let parts = short.split_once(": ").unwrap().1.split(", ");
            let found = parts
                .filter_map(|part| part.split_once(' ').filter(|(_, what)| what.starts_with(one)));
            found.map(|(count, _)| count.parse::<usize>().unwrap()).next().unwrap_or(0)
        };
        let messages = self.rows.iter().filter(|row| row.came.starts_with("(message data"));
        assert_eq!(counted("message"), messages.count(), "{short}\n{}", self.text);
        let held = self.rows.iter().filter(|row| row.came.starts_with("(a packet was"));
        assert_eq!(counted("entr"), held.count(), "{short}\n{}", self.text);
        let is_reset = self.rows.iter().any(|row| row.came == "(both ends reset)");
        assert_eq!(short.contains("reset: "), is_reset, "{short}\n{}", self.text);
    }

    /// Whether all of it is true of some connection between these ends.
    pub(super) fn hold_against(&self, came: &Witness, left: &Witness, settings: &Settings) -> Held {
        let [client, server] = self.ends;
        let mut held = Err("no such connection came".to_owned());
        for bases in came.begins(client, server) {
            let stream = |witness: &Witness, from: usize| {
                witness.stream(self.ends[from], self.ends[1 - from], bases[from])
            };
            let streams = Streams {
                came: [stream(came, C), stream(came, S)],
                left: [stream(left, C), stream(left, S)],
                bases,
                ends: self.ends,
                witnesses: [came, left],
            };
            held = self.hold(&streams, settings);
            if held.is_ok() {
                break;
            }
        }
        held
    }

    fn hold(&self, streams: &Streams<'_>, settings: &Settings) -> Held {
        so(self.is_watched == settings.monitor, "watched")?;
        for row in &self.rows {
            streams.row(row, self.is_watched).map_err(|why| format!("{row:?}: {why}"))?;
        }
        let mut numbers: Vec<String> = Vec::new();
        for (index, note) in self.notes.iter().enumerate() {
            let number = format!("[{}]", index + 1);
            let claim = note.strip_prefix(&format!("{number} ")).ok_or("numbering")?;
            streams.note(claim, self, settings).map_err(|why| format!("{note}: {why}"))?;
            numbers.push(number);
        }
        let mut beside: Vec<_> =
            self.rows.iter().flat_map(|row| row.notes.split_whitespace()).collect();
        beside.sort_by_key(|number| number.len());
        beside.dedup();
        numbers.sort_by_key(String::len);
        beside.sort_unstable();
        numbers.sort_unstable();
        so(beside == numbers, format!("{beside:?} beside {numbers:?}"))
    }
}

fn rows(drawn: &[&str]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in drawn {
        let cell = |index: usize| -> String {
            let (from, to) = COLUMNS[index];
            let cell: String = line.chars().skip(from).take(to - from).collect();
            cell
        };
        let trimmed = |index: usize| cell(index).trim().to_owned();
        let (side, offset) = (trimmed(0), trimmed(1));
        let is_new = !side.is_empty() || trimmed(2).starts_with('(') && offset.is_empty();
        if is_new {
            rows.push(Row {
                side: (!side.is_empty()).then(|| usize::from(side == "S")),
                offset: offset.parse().unwrap_or(0),
                ..Row::default()
            });
        }
        let row = rows.last_mut().unwrap();
        let text = |index: usize| cell(index).trim_end().to_owned();
        row.came.push_str(&text(2));
        row.left.push_str(&text(3));
        row.notes.push_str(&trimmed(4));
    }
    rows
}

impl Streams<'_> {
    /// All places of a range in a stream.
    fn all(
        stream: &Stream,
        from: u32,
        length: u32,
        is_so: impl Fn(usize, &Stream) -> bool,
    ) -> bool {
        (0..length).all(|index| is_so((from + index) as usize, stream))
    }

    /// Whether these bytes came at this place. A `*` may stand for a secret.
    fn came(&self, side: usize, from: u32, bytes: &[u8]) -> Held {
        for (place, byte) in (from..).zip(bytes) {
            let copies = self.came[side].get(&place);
            let is_so = copies.is_some_and(|copies| copies.contains(byte) || *byte == b'*');
            so(is_so, format!("byte {place} came as {copies:?}, not as {byte}"))?;
        }
        Ok(())
    }

    /// Whether these bytes left, and what came in their place did not.
    fn left(&self, side: usize, from: u32, (came, left): (&[u8], &[u8])) -> Held {
        for (index, byte) in left.iter().enumerate() {
            let place = from + index as u32;
            let copies = self.left[side].get(&place);
            let is_so = copies.is_some_and(|copies| copies.contains(byte) || *byte == b'*');
            so(is_so, format!("byte {place} left as {copies:?}, not as {byte}"))?;
            let old = came[index];
            let is_old = old != *byte && copies.is_some_and(|copies| copies.contains(&old));
            so(!is_old || old == b'*', format!("byte {place} left as it came, too"))?;
        }
        Ok(())
    }

    /// How many bytes of a range left.
    fn share(&self, side: usize, from: u32, length: u32) -> u32 {
        (from..from + length).filter(|place| self.left[side].contains_key(place)).count() as u32
    }

    fn is_whole(&self, side: usize, from: u32, length: u32) -> bool {
        self.share(side, from, length) == length
    }

    /// Whether a range left as it came.
    fn is_unchanged(&self, side: usize, from: u32, length: u32) -> bool {
        Self::all(&self.left[side], from, length, |place, left| {
            let came = self.came[side].get(&(place as u32));
            match (left.get(&(place as u32)), came) {
                (Some(left), Some(came)) => left.iter().any(|byte| came.contains(byte)),
                _ => false,
            }
        })
    }

    fn row(&self, row: &Row, is_watched: bool) -> Held {
        let Some(side) = row.side else {
            let is_known = [
                "(a packet was dropped)",
                "(a packet was cut short)",
                "(bytes are missing)",
                "(an alarm)",
                "(a limit was passed)",
                "(entries are missing)",
                "(TLS begins)",
                "(TLS is agreed on)",
                "(TLS failed)",
                "(TLS ends)",
                "(a rule was broken)",
                "(a notice)",
            ];
            if row.came == "(both ends reset)" {
                return so(is_watched || self.has_new_resets(), "no RST left");
            }
            return so(is_known.contains(&row.came.as_str()), "a row that nobody knows");
        };
        if row.came.starts_with("(a message begins)") {
            return so(self.came[side].keys().last() >= Some(&(row.offset - 1)), "no such place");
        }
        let message = row.came.strip_prefix("(message data, ");
        let (bytes, length) = match message {
            Some(rest) => (Vec::new(), rest.split(' ').next().unwrap().parse().unwrap()),
            None => {
                let (bytes, cut) = unescaped(&row.came);
                let length = cut.unwrap_or(bytes.len() as u32);
                (bytes, length)
            }
        };
        self.came(side, row.offset, &bytes)?;
        let end = length + u32::from(message.is_none());
        let share = self.share(side, row.offset, end);
        match row.left.as_str() {
            "" => Ok(()),
            "(did not leave)" => so(share == 0, "it left"),
            "(left in part)" => so(share > 0 && share < end, "it left whole, or not at all"),
            "(as it came)" => so(self.is_unchanged(side, row.offset, length), "it left changed"),
            "(left changed)" => so(
                share == end && !self.is_unchanged(side, row.offset, length),
                "it left as it came, or not at all",
            ),
            "(see what is said of it)" => so(share == end, "it did not leave whole"),
            left => self.left(side, row.offset, (&bytes, &unescaped(left).0)),
        }
    }

    /// Whether RSTs left that did not come, to both ends.
    fn has_new_resets(&self) -> bool {
        let count = |witness: &Witness, from: usize| {
            let between = witness.between(self.ends[from], self.ends[1 - from]);
            between.filter(|segment| segment.flags & RST != 0).count()
        };
        let [came, left] = self.witnesses;
        [C, S].into_iter().all(|from| count(left, from) > count(came, from))
    }

    /// Whether a segment of a side came that holds this range up to its end, or exactly.
    fn has_segment(&self, side: usize, (from, length): (u32, u32), is_exact: bool) -> bool {
        let mut between = self.witnesses[0].between(self.ends[side], self.ends[1 - side]);
        between.any(|segment| {
            let start = segment.seq.wrapping_sub(self.bases[side]);
            let end = start.wrapping_add(segment.payload.len() as u32);
            end == from + length && if is_exact { start == from } else { start <= from }
        })
    }

    fn note(&self, claim: &str, told: &Told, settings: &Settings) -> Held {
        let (claim, why) = match claim.rsplit_once(" Why: ") {
            Some((claim, why)) => (claim, Some(why)),
            None => (claim, None),
        };
        let name = why.map(|why| self.why(why, told, settings)).transpose()?;
        if let Some(rest) = claim.strip_prefix("The client's byte") {
            return self.edit(C, rest, (name, settings));
        }
        if let Some(rest) = claim.strip_prefix("The server's byte") {
            return self.edit(S, rest, (name, settings));
        }
        let numbers: Vec<u32> = claim
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let side = usize::from(claim.contains("server"));
        let sentence = template(claim);
        let held = self.packet(side, (&sentence, &numbers), claim);
        let held = held.or_else(|| self.alarm(side, (&sentence, &numbers)));
        held.or_else(|| self.remark(side, (&sentence, &numbers), told.is_watched))
            .unwrap_or_else(|| Err(format!("a sentence that nobody knows: {sentence}")))
    }

    /// What is said of a packet.
    fn packet(
        &self,
        side: usize,
        (sentence, numbers): (&str, &[u32]),
        claim: &str,
    ) -> Option<Held> {
        let sentence = sentence.replace("would have been", "was").replace("bytes", "byte");
        let payloads = || {
            let between = self.witnesses[0].between(self.ends[side], self.ends[1 - side]);
            between.map(|one| one.payload.len() as u32)
        };
        let range = |from: &u32, to: &u32| (*from, to + 1 - from);
        let (range, is_exact) = match (sentence.as_str(), numbers) {
            (
                "A packet of the * with byte # to #, # byte in all, was dropped.",
                [from, to, all],
            ) => {
                if to + 1 - from != *all {
                    return Some(Err("another length".to_owned()));
                }
                (range(from, to), true)
            }
            ("A packet of the * with byte #, # byte in all, was dropped.", [at, 1]) => {
                ((*at, 1), true)
            }
            ("The end of a packet of the *, byte # to #, was held back.", [from, to]) => {
                (range(from, to), false)
            }
            ("The end of a packet of the *, byte #, was held back.", [at]) => ((*at, 1), false),
            ("A packet of the * with # byte was dropped.", [length]) => {
                return Some(so(payloads().any(|one| one == *length), "no such packet"));
            }
            ("A packet of the * without payload was dropped.", []) => {
                return Some(so(payloads().any(|one| one == 0), "no such packet"));
            }
            _ => return None,
        };
        let is_there = self.has_segment(side, range, is_exact);
        Some(so(is_there, "no such segment came").and_then(|()| self.fate(side, range, claim)))
    }

    /// What is said of a place where something was wrong.
    fn alarm(&self, side: usize, (sentence, numbers): (&str, &[u32])) -> Option<Held> {
        let stream_end = self.came[side].keys().last().map_or(0, |last| last + 1);
        let sentence = sentence.replace("bytes", "byte");
        Some(match (sentence.as_str(), numbers) {
            ("At byte # of the *'s stream: an alarm.", [at]) | (UNSHOWN, [at, _]) => {
                so(*at <= stream_end, "beyond the stream")
            }
            (
                "At byte # of the *'s stream # was counted where # is the limit.",
                [at, count, limit],
            ) => so(*at <= stream_end && count > limit, "beyond the stream, or within the limit"),
            ("Two copies of the *'s byte differ, at byte # or behind it.", [at]) => {
                let mut differ = self.came[side].range(at..).map(|(_, copies)| copies.len());
                so(differ.any(|count| count > 1), "no copies differ")
            }
            ("# byte of the * could not be judged, and what follows is uncertain.", [length]) => {
                let acks = self.witnesses[0].between(self.ends[1 - side], self.ends[side]);
                let acked = acks.map(|one| one.ack.wrapping_sub(self.bases[side]));
                let acked = acked.filter(|offset| *offset < 1 << 30).max().unwrap_or(0);
                let missing = (0..acked).filter(|place| !self.came[side].contains_key(place));
                so(missing.count() as u32 + 1 >= *length, "nothing is missing")
            }
            _ => return None,
        })
    }

    /// Everything else.
    fn remark(
        &self,
        side: usize,
        (sentence, numbers): (&str, &[u32]),
        is_watched: bool,
    ) -> Option<Held> {
        Some(match (sentence, numbers) {
            ("Both ends were reset.", []) => so(self.has_new_resets(), "no RST left"),
            ("Both ends would have been reset.", []) => so(is_watched, "not watched"),
            ("The end of the *'s line, byte #, was noted, and left as it came.", [at]) => {
                so(self.is_unchanged(side, *at, 1), "it did not leave so")
            }
            ("The end of the *'s line, byte #, was noted, and did not leave.", [at]) => {
                let came = self.came(side, *at, b"\r").or_else(|_| self.came(side, *at, b"\n"));
                came.and_then(|()| so(self.share(side, *at, 1) == 0, "it left"))
            }
            (
                "Something worth knowing in what the * said."
                | "TLS came to nothing."
                | "A hello of TLS breaks a rule.",
                [],
            ) => Ok(()),
            (
                "TLS ended, behind # bytes of the * and # bytes of the * in its records.",
                [client, server],
            ) => so(
                [client, server].iter().zip(&self.came).all(|(count, came)| {
                    let records = came.values().filter(|copies| copies.contains(&23)).count();
                    **count as usize <= came.len() && records > 0
                }),
                "no such records",
            ),
            ("The * began to speak TLS." | "The * answered in TLS.", []) => {
                let mut places = self.came[side].iter();
                let is_tls = places.any(|(place, bytes)| {
                    let next = self.came[side].get(&(place + 1));
                    bytes.contains(&22) && next.is_some_and(|next| next.contains(&3))
                });
                so(is_tls, "no handshake of TLS")
            }
            ("# entries about this connection are missing here.", [_])
            | ("# entry about this connection is missing here.", [_]) => Ok(()),
            _ => return None,
        })
    }

    /// What became of what was held back.
    fn fate(&self, side: usize, (from, length): (u32, u32), claim: &str) -> Held {
        let share = self.share(side, from, length);
        let fates = [
            (" These bytes left in another packet.", share == length),
            (" A part of these bytes left in another packet.", share > 0 && share < length),
            (" These bytes never left.", share == 0),
        ];
        let told = fates.iter().find(|(sentence, _)| claim.ends_with(sentence));
        match told {
            Some((sentence, is_so)) => so(*is_so, format!("{sentence}: {share} of {length} left")),
            None => so(claim.contains("would have been"), "its fate is not told"),
        }
    }

    /// Bytes that were changed, or noted.
    fn edit(&self, side: usize, rest: &str, (name, settings): (Option<&str>, &Settings)) -> Held {
        let (place, rest) = rest.split_once(", \"").ok_or("no bytes")?;
        let numbers: Vec<u32> =
            place.split(|c: char| !c.is_ascii_digit()).filter_map(|one| one.parse().ok()).collect();
        let (from, to) = (numbers[0], *numbers.last().unwrap());
        let length = to + 1 - from;
        let close = closing(rest).ok_or("no end of the bytes")?;
        let (came, cut) = unescaped(&rest[..close]);
        so(cut.unwrap_or(came.len() as u32) == length, "as many bytes as are named")?;
        self.came(side, from, &came)?;
        if name == Some("verb") {
            self.verb(side, from, settings)?;
        }
        let rest = rest[close + 1..].trim_start_matches(',').trim_start();
        let after = |start: &str| -> Option<(Vec<u8>, &str)> {
            let quoted = rest.strip_prefix(start)?.strip_prefix('"')?;
            let close = closing(quoted)?;
            Some((unescaped(&quoted[..close]).0, &quoted[close + 1..]))
        };
        if let Some((left, ".")) = after("left as ") {
            so(self.is_whole(side, from, length), "it did not leave")?;
            return self.left(side, from, (&came, &left));
        }
        if let Some((_, ".")) = after("would have left as ") {
            return so(settings.monitor && self.is_unchanged(side, from, length), "it was changed");
        }
        let share = self.share(side, from, length);
        match (after("became "), rest) {
            (Some((_, ", of which a part left.")), _) => so(share > 0 && share < length, "share"),
            (Some((_, ", of which nothing left.")), _) => so(share == 0, "some of it left"),
            (_, "were noted, and left as they came.") => {
                so(self.is_unchanged(side, from, length), "it was changed")
            }
            (_, "were noted, and did not all leave.") => so(share < length, "all of it left"),
            (_, rest) => Err(format!("nobody knows `{rest}`")),
        }
    }

    /// Where bytes are decided one by one, a line refused for its verb has none that may pass.
    fn verb(&self, side: usize, at: u32, settings: &Settings) -> Held {
        let value = |name: &str| -> String {
            let table = mailguard::guard::Settings::TABLE;
            table.iter().find(|row| row.name == name).unwrap().print(&settings.guard)
        };
        if value("unit") != "stream" {
            return Ok(());
        }
        let byte =
            |place: u32| self.came[side].get(&place).and_then(|copies| copies.first().copied());
        let start = (0..at).rev().find(|place| byte(*place) == Some(b'\n')).map_or(0, |at| at + 1);
        let word: Vec<u8> = (start..).map_while(byte).take_while(u8::is_ascii_alphabetic).collect();
        let word = String::from_utf8(word).unwrap().to_ascii_uppercase();
        let is_bare =
            byte(start + word.len() as u32).is_some_and(|next| b" \t\r\n".contains(&next));
        let is_stripped = word == "STARTTLS" && value("starttls") == "strip";
        let is_permitted = value("verbs").split(',').any(|verb| verb == word) && is_bare;
        so(!is_permitted || is_stripped, format!("{word} is permitted"))
    }

    /// A word of the log, the setting behind it, and what stands below about both.
    fn why<'w>(&self, why: &'w str, told: &Told, settings: &Settings) -> Result<&'w str, String> {
        let (named, setting) =
            match why.strip_suffix('.').ok_or("no end")?.split_once("; the setting `") {
                Some((named, rest)) => (named, rest.strip_suffix("` decides")),
                None => (why.trim_end_matches('.'), None),
            };
        let mut names = named.split(", ");
        let name = names.next().unwrap();
        let cause = cause(name).ok_or_else(|| format!("`{name}` is no word"))?;
        so(cause.settings.first().copied() == setting, "the setting")?;
        for id in names {
            so(settings.guard.patches.catalogue.find(id).is_some(), format!("{id} is no patch"))?;
        }
        let below = format!("\n{name}: {}\n", cause.about);
        so(told.text.contains(&below), "it is not explained below")?;
        for setting in cause.settings {
            let table = mailguard::guard::Settings::TABLE;
            let row = table.iter().find(|row| row.name == *setting);
            let value = row.map(|row| format!("\n  {setting} = {}\n", row.print(&settings.guard)));
            let is_there = value.is_none_or(|value| told.text.contains(&value));
            so(is_there, format!("{setting} has another value"))?;
        }
        Ok(name)
    }
}

/// Where the quotation marks close.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end.then_some(at)
    })
}

/// A sentence without its numbers, its sides, and what became of the bytes.
fn template(claim: &str) -> String {
    let claim = claim.split(" These bytes").next().unwrap().split(" A part of").next().unwrap();
    let mut out = String::new();
    for word in claim.replace("client", "*").replace("server", "*").split_inclusive(' ') {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        out.push_str(&if digits.is_empty() {
            word.to_owned()
        } else {
            word.replacen(&digits, "#", 1)
        });
    }
    out
}
