//! The catalogue of patches: every test of every patch, through every cut; and for the worst of
//! them a capture, cut anew in every place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mailguard::engine::Settings;
use mailguard::front::replay::{Checksums, Session, Step};
use mailguard::guard::{self, Draft, Guard, Ruling, Run, TlsRuling, Watch};
use mailguard::offset::Offset;
use mailguard::patch::{Arrives, Patch, PatchTest, Sign, State};
use mailguard::smtp::{Dialogue, Event, Expect, Speaker, Standing};
use mailguard::tls;
use mailguard::wire::{Packet, Parsed};

use crate::support::capture::{CLIENT, Connection, PLAIN, SERVER};
use crate::support::packet::{ACK, PSH};
use crate::support::rig::{patches, settings};

/// The worst of them, by what they let an attacker do and how many servers had them.
const WORST: [&str; 20] = [
    "CVE-1999-0145",
    "CVE-1999-0203",
    "CVE-2003-0161",
    "CVE-2003-0540",
    "CVE-2003-0714",
    "CVE-2005-0560",
    "CVE-2009-1636",
    "CVE-2011-0411",
    "CVE-2014-6271",
    "CVE-2018-6789",
    "CVE-2019-10149",
    "CVE-2019-16928",
    "CVE-2020-10967",
    "CVE-2020-28021",
    "CVE-2020-28026",
    "CVE-2020-7247",
    "CVE-2021-44228",
    "CVE-2024-45519",
    "CVE-2025-67896",
    "CVE-2026-73570",
];

const GREETING: &str = "220 mx.example ESMTP\r\n";
const HELLO: &str = "EHLO client.example\r\n";
const OFFERS: &str = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n\
    250-ETRN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN CRAM-MD5 NTLM EXTERNAL\r\n250-8BITMIME\r\n\
    250-DSN\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n";

/// `esmtp` with the settings of a test, and this general state of patches, this one on.
fn guard_for(patch: &Patch, test: &PatchTest, general: &str) -> guard::Settings {
    let mut guard = guard::Settings::profile("esmtp").unwrap();
    // Where no other patch is there, nothing else of the guard's judges addresses either.
    let own = [("envelope", "off"), ("path_max", "0"), ("local_part_max", "0")];
    for (key, value) in own.iter().filter(|_| general == "off") {
        guard.set(key, value).unwrap();
    }
    for pair in &test.settings {
        let (key, value) = pair.split_once('=').unwrap();
        guard.set(key, value).unwrap();
    }
    guard.set("patches", &format!("{general},{}=on", patch.id)).unwrap();
    guard.patches.catalogue = patches();
    guard
}

/// What is said before a test's lines: whether by the client, and the bytes.
fn before(test: &PatchTest) -> Vec<(bool, Vec<u8>)> {
    let begin = [(false, GREETING), (true, HELLO), (false, OFFERS)];
    let mut talk: Vec<_> = begin.map(|(who, said)| (who, said.as_bytes().to_vec())).into();
    // A recipient belongs to a sender.
    if test.before.is_empty() && test.said[0].starts_with(b"RCPT") {
        talk.push((true, b"MAIL FROM:<a@b.example>\r\n".to_vec()));
        talk.push((false, b"250 ok\r\n".to_vec()));
    }
    talk.extend(test.talk().map(|(who, line)| (who, [&line[..], b"\r\n"].concat())));
    talk
}

fn lines(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect()
}

/// Dialogue and guard, without packets.
struct Talk {
    guard: Guard,
    dialogue: Dialogue,
    watch: Watch,
    /// Behind the 220 to STARTTLS.
    records: tls::Watch,
    /// Bytes of a record that are yet to come, by client and server: nobody reads them.
    owed: [usize; 2],
    is_over: bool,
    struck: BTreeSet<String>,
}

impl Talk {
    fn new(settings: guard::Settings) -> Self {
        let guard = Guard::new(settings);
        let dialogue = guard.dialogue();
        let (watch, records) = (Watch::default(), tls::Watch::default());
        let struck = BTreeSet::new();
        Self { guard, dialogue, watch, records, owed: [0; 2], is_over: false, struck }
    }

    /// What leaves of bytes that come in these pieces.
    fn say<'b>(&mut self, is_client: bool, pieces: impl Iterator<Item = &'b [u8]>) -> Vec<u8> {
        let from = if is_client { Speaker::Client } else { Speaker::Server };
        let standing = Standing { at: Offset::ZERO, covers: Offset::new(u64::MAX) };
        let (mut out, mut draft) = (Vec::new(), Draft::default());
        for piece in pieces {
            let mut rest = piece;
            while !rest.is_empty() && !self.is_over {
                if matches!(self.dialogue.expect(), Expect::Tls(_)) {
                    let used = self.read_records(from, rest, &mut draft);
                    out.extend(&rest[..used]);
                    rest = &rest[used..];
                    continue;
                }
                let step = self.dialogue.read(from, rest, standing);
                if step.event == Event::Wait {
                    return out;
                }
                let (bytes, behind) = rest.split_at(step.used);
                let is_first = rest.len() == piece.len();
                let run = Run { event: step.event, bytes, rest, is_first, plain: step.plain };
                let ruling = self.guard.judge(&mut self.watch, run, &mut draft);
                if let Some(fault) = step.fault {
                    self.guard.blame(fault.name(), from, &mut draft);
                    self.is_over |= fault.is_fatal();
                }
                let struck = draft.strikes().iter().filter_map(|one| self.guard.patch(*one));
                self.struck.extend(struck.map(|id| id.to_string()));
                self.is_over |= ruling.ends_flow();
                if matches!(ruling, Ruling::Refuse(_)) {
                    self.dialogue.refuse(self.watch.is_path_masked());
                }
                if self.is_over {
                    break;
                }
                match ruling {
                    Ruling::Edit(_) | Ruling::Refuse(_) => out.extend(draft.as_bytes()),
                    Ruling::Pass | Ruling::Note(_) | Ruling::Exceed(_) | Ruling::Reset(_) => {
                        out.extend(bytes)
                    }
                }
                rest = behind;
            }
        }
        out
    }

    /// What leaves of the client's text, cut so.
    fn cut(&mut self, text: &str, cut: Cut) -> Vec<u8> {
        match cut {
            Cut::Every(size) => self.say(true, text.as_bytes().chunks(size)),
            Cut::At(place) => {
                let (head, tail) = text.as_bytes().split_at(place);
                self.say(true, [head, tail].into_iter())
            }
        }
    }

    /// Reads records as the engine does: how many bytes pass.
    fn read_records(&mut self, from: Speaker, rest: &[u8], draft: &mut Draft) -> usize {
        let owed = &mut self.owed[usize::from(from == Speaker::Server)];
        if *owed > 0 {
            let used = rest.len().min(*owed);
            *owed -= used;
            return used;
        }
        let step = self.records.read(from, rest);
        *owed = step.skipped as usize;
        let ruling = match &step.seen {
            Some(tls::Seen::ClientHello(hello)) => self.guard.judge_client_hello(hello),
            _ => TlsRuling::Pass,
        };
        let mut draft_of = |blame: &dyn Fn(&Guard, &mut Draft)| {
            *draft = Draft::default();
            blame(&self.guard, draft);
            let struck = draft.strikes().iter().filter_map(|one| self.guard.patch(*one));
            self.struck.extend(struck.map(|id| id.to_string()));
        };
        if let TlsRuling::Reset(rule) = ruling {
            draft_of(&|guard, draft| guard.blame_rule(rule, draft));
        }
        if let Some(fault) = step.fault {
            draft_of(&|guard, draft| guard.blame(fault.name(), from, draft));
            if !self.records.has_hello(from) {
                let name = mailguard::smtp::Fault::PlaintextForTls.name();
                draft_of(&|guard, draft| guard.blame(name, from, draft));
            }
        }
        self.is_over |= step.fault.is_some() || ruling != TlsRuling::Pass;
        if self.is_over { 0 } else { step.used }
    }
}

/// What comes of a test whose lines are cut so.
fn play(patch: &Patch, test: &PatchTest, general: &str, cut: Cut) -> (Vec<u8>, Talk) {
    let mut talk = Talk::new(guard_for(patch, test, general));
    for (is_client, said) in before(test) {
        talk.say(is_client, [&said[..]].into_iter());
        assert!(!talk.is_over, "{}: what stands before passes", patch.id);
    }
    talk.struck.clear();
    let said = lines(&test.said);
    let arrived = match cut {
        Cut::Every(size) => talk.say(!test.is_reply, said.chunks(size)),
        Cut::At(place) => {
            let (head, tail) = said.split_at(place);
            talk.say(!test.is_reply, [head, tail].into_iter())
        }
    };
    (arrived, talk)
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Into pieces of this size.
    Every(usize),
    /// Into two, here.
    At(usize),
}

/// A long line in every place takes long, and shows no more than at its ends and where a rule is.
fn cuts(length: usize) -> impl Iterator<Item = Cut> {
    let step = if length > 200 { 37 } else { 1 };
    let sizes = [1, 2, 3, 7, length.max(1)].map(Cut::Every);
    sizes.into_iter().chain((1..length).step_by(step).map(Cut::At))
}

#[test]
fn every_patch_does_what_its_file_says_through_every_cut() {
    let (mut tests, mut played, mut faults) = (0, 0, Vec::new());
    for patch in patches().patches() {
        for test in &patch.tests {
            tests += 1;
            for cut in cuts(lines(&test.said).len()) {
                played += 1;
                faults.extend(alone(patch, test, cut));
            }
            faults.extend(with_all(patch, test));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    let count = |state| patches().patches().iter().filter(|patch| patch.default == state).count();
    let [off, log, on] = State::ALL.map(count);
    println!("{on} on, {log} log, {off} off; {tests} tests, {played} cuts");
    assert!(on + log + off >= ALL_MIN && on >= ON_MIN, "{on} on, {log} log, {off} off");
}

/// What is wrong about a test while no other patch is there.
fn alone(patch: &Patch, test: &PatchTest, cut: Cut) -> Option<String> {
    let said = lines(&test.said);
    let (arrived, talk) = play(patch, test, "off", cut);
    let is_struck = talk.struck.iter().eq([&*patch.id]);
    let is_right = match &test.arrives {
        Arrives::Unchanged => arrived == said && !talk.is_over && talk.struck.is_empty(),
        Arrives::Logged => arrived == said && !talk.is_over && is_struck,
        Arrives::Changed(left) => arrived == lines(left) && !talk.is_over && is_struck,
        // What left may be masked: that it is the beginning of a line is enough.
        Arrives::Reset => talk.is_over && arrived.len() < said.len() && is_struck,
    };
    (!is_right).then(|| told(patch, &said, &arrived, &talk))
}

/// The same beside all other patches.
fn with_all(patch: &Patch, test: &PatchTest) -> Option<String> {
    let said = lines(&test.said);
    let (arrived, talk) = play(patch, test, "preset", Cut::Every(said.len()));
    let is_right = match test.arrives {
        Arrives::Unchanged | Arrives::Logged => arrived == said && !talk.is_over,
        // Another patch may see it sooner.
        Arrives::Changed(_) | Arrives::Reset => talk.is_over || arrived != said,
    };
    (!is_right).then(|| told(patch, &said, &arrived, &talk))
}

fn told(patch: &Patch, said: &[u8], arrived: &[u8], talk: &Talk) -> String {
    let [said, arrived] = [said, arrived].map(|text| String::from_utf8_lossy(text));
    format!("{}: {said:?} -> {arrived:?}, over: {}, {:?}", patch.id, talk.is_over, talk.struck)
}

/// Patches there are at least, and those on by default.
const ALL_MIN: usize = 80;
const ON_MIN: usize = 60;

/// Lines that Exim and sendmail take for what a patch is for, and that say it otherwise.
const DRESSED: [&str; 29] = [
    "MAIL FROM:<a@b.example>\x0bAUTH=x+0Ay",
    "MAIL FROM:<a@b.example> SIZE=1\x0cAUTH=x+0Ay",
    "RCPT TO:<$\\{x}@d.example>",
    "RCPT TO:Joe <\"$\\{x}\"@d.example>",
    "RCPT TO:\"Joe\" <\"$\\{x}\"@d.example>",
    "RCPT TO:(c)<\"$\\{x}\"@d.example>",
    "RCPT TO:<(c)$\\{x}@d.example>",
    "RCPT TO:<@r.example:$\\{x}@d.example>",
    "RCPT TO:a ${x}@d.example",
    "RCPT TO:a\\ ${x}@d.example",
    "RCPT TO:<a\\>${x}@d.example>",
    "RCPT TO:< |x@d.example>",
    "RCPT TO:<(c)|x@d.example>",
    "RCPT TO:<\\|x@d.example>",
    "RCPT TO:Joe <|x@d.example>",
    "RCPT TO:Joe (c) <@r.example: \"|x\"@d.example>",
    // What Postfix and sendmail drop on the way.
    "RCPT TO:<\"@r.example:|x\"@d.example>",
    "RCPT TO:<\"@r.example:\"@d.example>",
    "RCPT TO:<\"(c)|x\"@d.example>",
    "RCPT TO:<\"\x0b|x\"@d.example>",
    "RCPT TO:<>|x@d.example>",
    "RCPT TO:,|x@d.example",
    "RCPT TO:a:|x@d.example",
    "RCPT TO:\x0c |x@d.example",
    "RCPT TO:<<$\t{x}@d.example>>",
    "RCPT TO:<\"$\"\"{x}\"@d.example>",
    "RCPT TO:<\"()\x0b{ x\"@d.example>",
    "RCPT TO:Joe <'=/*@d.example>",
    "MAIL FROM:<a@;x;@>",
];

/// The first packet holds more than the grammar takes: what leaves is the same.
#[test]
fn a_patch_says_nothing_behind_what_the_grammar_refuses() {
    for (line, left) in [
        ("RCPT TO:a|b(c <a@d.example>", "RCPT TO:a|b<<<<<<<<<<<<<<<<"),
        ("RCPT TO:<a;b${x}@d.example>", "RCPT TO:<aXXXXXXXXXXXXXXXXX"),
        ("RCPT TO:<a${x};@d.example>", "RCPT TO:<a$XXXXXXXXXXXXXXX"),
    ] {
        let said = format!("{line}\r\n");
        let mut struck: Option<BTreeSet<String>> = None;
        for cut in cuts(said.len()) {
            let mut talk = Talk::new(preset("lenient"));
            for (is_client, said) in mail_accepted() {
                talk.say(is_client, [said.as_bytes()].into_iter());
            }
            let arrived = talk.cut(&said, cut);
            assert_eq!(String::from_utf8_lossy(&arrived), format!("{left}\r\n"), "{cut:?}");
            assert_eq!(*struck.get_or_insert_with(|| talk.struck.clone()), talk.struck, "{cut:?}");
        }
    }
}

/// `esmtp`, every patch as its file says.
fn preset(envelope: &str) -> guard::Settings {
    let mut guard = guard::Settings::profile("esmtp").unwrap();
    guard.set("envelope", envelope).unwrap();
    guard.set("parameters", "any").unwrap();
    guard.set("patches", "preset").unwrap();
    guard.patches.catalogue = patches();
    guard
}

/// What stands before a recipient.
fn mail_accepted() -> [(bool, &'static str); 5] {
    let mail = [(true, "MAIL FROM:<a@b.example>\r\n"), (false, "250 ok\r\n")];
    [(false, GREETING), (true, HELLO), (false, OFFERS), mail[0], mail[1]]
}

#[test]
fn a_patch_needs_no_grammar_of_the_envelope_to_see_what_it_is_for() {
    let plain = [
        "RCPT TO:<a&b@d.example>",
        "RCPT TO:Joe Doe <a@d.example>",
        "RCPT TO:<(c) a@d.example>",
        "RCPT TO:o'neil@d.example ORCPT=rfc822;o'neil@d.example",
        "RCPT TO:<a\\b@d.example>\x0bNOTIFY=NEVER",
        "MAIL FROM:a@b.example AUTH=<>",
    ];
    for envelope in ["log", "off"] {
        let guard = preset(envelope);
        let lines = DRESSED.map(|line| (line, true)).into_iter();
        for (line, is_bad) in lines.chain(plain.map(|line| (line, false))) {
            let said = format!("{line}\r\n");
            for cut in cuts(said.len()) {
                let mut talk = Talk::new(guard.clone());
                let before = if line.starts_with("RCPT") { 5 } else { 3 };
                for (is_client, said) in mail_accepted().into_iter().take(before) {
                    talk.say(is_client, [said.as_bytes()].into_iter());
                }
                let arrived = talk.cut(&said, cut);
                let shown = String::from_utf8_lossy(&arrived).into_owned();
                assert_eq!(talk.struck.is_empty(), !is_bad, "{envelope} {cut:?} {line:?} {shown}");
                let is_whole = arrived == said.as_bytes() && !talk.is_over;
                assert_eq!(is_whole, !is_bad, "{envelope} {cut:?} {line:?} {shown}");
            }
        }
    }
}

#[test]
fn every_file_of_the_catalogue_is_built_in_and_every_reference_stands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/patch/catalogue");
    let names = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    let files: BTreeSet<String> = names.collect();
    let built_in = patches();
    let ids: BTreeSet<String> =
        built_in.patches().iter().map(|patch| patch.id.to_string()).collect();
    assert_eq!(files, ids);
    for patch in built_in.patches() {
        let record = format!("https://www.cve.org/CVERecord?id={}", patch.id);
        let is_cve = patch.id.starts_with("CVE-");
        assert_eq!(patch.references.contains(&record), is_cve, "{}", patch.id);
        assert!(!patch.title.is_empty() && !patch.products.is_empty(), "{}", patch.id);
    }
}

#[test]
fn states_are_chosen_for_all_and_for_one() {
    let all = patches();
    let find = |id: &str| all.find(id).unwrap().clone();
    let (on, log, off) = (find("CVE-2019-10149"), find("CVE-2023-42115"), find("CVE-1999-0531"));
    for (value, expected) in [
        ("preset", [State::On, State::Log, State::Off]),
        ("off", [State::Off, State::Off, State::Off]),
        ("log", [State::Log, State::Log, State::Off]),
        ("on", [State::On, State::On, State::Off]),
        ("log,CVE-2019-10149=off,CVE-1999-0531=on", [State::Off, State::Log, State::On]),
    ] {
        let mut guard = settings("esmtp").guard;
        guard.set("patches", value).unwrap();
        assert_eq!([&on, &log, &off].map(|patch| guard.patches.state(patch)), expected, "{value}");
        let printed = guard.words().into_iter().find(|(name, _)| *name == "patches").unwrap().1;
        assert_eq!(printed, value);
    }
    let mut guard = settings("esmtp").guard;
    assert_eq!(guard.set("patches", "maybe"), Err("maybe"));
    assert_eq!(guard.set("patches", "on,X=maybe"), Err("X=maybe"));
}

#[test]
fn a_patch_that_only_logs_changes_nothing_and_says_so() {
    for patch in patches().patches().iter().filter(|patch| patch.rules.len() == 1) {
        let changed =
            |test: &&PatchTest| !test.is_reply && matches!(test.arrives, Arrives::Changed(_));
        for test in patch.tests.iter().filter(changed) {
            let mut guard = guard_for(patch, test, "off");
            guard.set("patches", &format!("off,{}=log", patch.id)).unwrap();
            guard.patches.catalogue = patches();
            let mut talk = Talk::new(guard);
            before(test)
                .iter()
                .for_each(|(who, said)| drop(talk.say(*who, [&said[..]].into_iter())));
            let said = lines(&test.said);
            let arrived = talk.say(true, [&said[..]].into_iter());
            assert!(talk.struck.contains(&*patch.id), "{}", patch.id);
            // What the filter refuses by itself it refuses all the same.
            let is_own = test.said[0].to_ascii_uppercase().starts_with(b"RCPT")
                && !matches!(patch.rules[0].sign, Sign::Cause(_));
            assert!(!is_own || arrived == said || patch.default == State::Off, "{}", patch.id);
        }
    }
}

/// One connection for each test of the client's; the bare server takes everything.
fn recorded(patch: &Patch, size: usize) -> Vec<u8> {
    let mut packets = Vec::new();
    for (port, test) in (40_000..).zip(patch.tests.iter().filter(|test| !test.is_reply)) {
        let mut connection = Connection::open(&format!("192.0.2.1:{port}"), "198.51.100.25:25");
        let mut say = |is_client: bool, bytes: &[u8]| {
            let from = if is_client { CLIENT } else { SERVER };
            for piece in bytes.chunks(size) {
                connection.send(from, PSH | ACK, piece);
                connection.send(1 - from, ACK, b"");
            }
        };
        before(test).iter().for_each(|(is_client, said)| say(*is_client, said));
        say(true, &lines(&test.said));
        say(false, b"250 ok\r\n");
        connection.close();
        packets.extend(connection.packets);
    }
    PLAIN.capture(&packets)
}

fn capture_of(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pcaps/patch-{id}.pcap"))
}

/// What has arrived of each connection's client, by port.
fn arrived(capture: &[u8], settings: &Settings) -> Vec<(u16, Vec<u8>)> {
    let mut session = Session::new(capture, settings.clone(), Checksums::Verify);
    let (mut step, mut written) = (Step::default(), Vec::new());
    while session.step(&mut step).unwrap() {
        written.extend_from_slice(&step.written);
    }
    let mut streams: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut rest = &written[24..];
    while let Some((head, behind)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (frame, behind) = behind.split_at(length);
        rest = behind;
        let Ok(Parsed::Tcp(packet)) = Packet::parse(&frame[14..]) else { continue };
        let is_data = packet.flags.syn || !packet.payload().is_empty();
        if packet.destination_port != 25 || packet.flags.rst || !is_data {
            continue;
        }
        if packet.flags.syn {
            streams.push((packet.source_port, Vec::new()));
            continue;
        }
        let stream = streams.iter_mut().find(|(port, _)| *port == packet.source_port).unwrap();
        let at = packet.seq.0.wrapping_sub(1_001) as usize;
        let end = (at + packet.payload().len()).max(stream.1.len());
        stream.1.resize(end, 0);
        stream.1[at..at + packet.payload().len()].copy_from_slice(packet.payload());
    }
    streams
}

#[test]
fn the_worst_fail_in_their_captures_and_neighbours_pass_through_every_cut() {
    let esmtp = settings("esmtp");
    for id in WORST {
        let built_in = patches();
        let patch = built_in.find(id).unwrap();
        let whole = recorded(patch, 9_999);
        if std::env::var_os("BLESS").is_some() {
            fs::write(capture_of(id), &whole).unwrap();
            fs::write(capture_of(id).with_extension("settings"), "profile esmtp\n").unwrap();
        }
        assert!(fs::read(capture_of(id)).unwrap() == whole, "{id}: BLESS=1 records it");
        let longest = patch.tests.iter().map(|test| lines(&test.said).len()).max().unwrap();
        let sizes = (1..longest.min(60)).chain([longest - 1, 9_999]);
        for size in sizes {
            let streams = arrived(&recorded(patch, size), &esmtp);
            let tests = patch.tests.iter().filter(|test| !test.is_reply);
            for (test, (port, got)) in tests.zip(&streams) {
                let said: Vec<u8> = before(test)
                    .into_iter()
                    .filter_map(|(is_client, said)| is_client.then_some(said))
                    .flatten()
                    .chain(lines(&test.said))
                    .collect();
                let is_whole = *got == said;
                let passes = matches!(test.arrives, Arrives::Unchanged | Arrives::Logged);
                let text = String::from_utf8_lossy(got);
                assert_eq!(is_whole, passes, "{id} in pieces of {size}, {port}: {text:?}");
                if matches!(test.arrives, Arrives::Changed(_)) {
                    assert_eq!(got.len(), said.len(), "{id}: nothing changes length");
                }
            }
        }
    }
}
