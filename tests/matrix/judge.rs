//! What became of the messages, and whether that is right.
//!
//! Three witnesses: the stored files; the servers' own Received headers, which say whether TLS and
//! AUTH were used; and the filter's events, which say how the client spoke.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cell::Kind;
use crate::lab::{Guard, Letter, Likeness, Mta, Outcome, ensure};
use crate::play::{Profile, Sent};

/// Everything that can be seen afterwards.
#[derive(Default)]
pub(crate) struct Sight {
    /// Stored copies by recipient.
    letters: BTreeMap<String, Vec<Letter>>,
    /// How the client of each recipient's connection spoke, where that could be read.
    speech: BTreeMap<String, Speech>,
    /// How often TLS began.
    tls_begins: usize,
    /// The mail programs' logs.
    pub(crate) logs: Vec<String>,
}

/// How a client spoke on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Speech {
    /// Commands followed commands before a reply came.
    is_pipelined: bool,
    /// The message went as BDAT chunks.
    has_chunks: bool,
    /// It logged in.
    has_auth: bool,
}

/// What a cell of the matrix holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Delivered once, byte for byte; with what was to be seen: `T`LS, `A`UTH, `P`ipelining,
    /// `B`DAT.
    Same(&'static str),
    /// Delivered once; the client's own program had to write 8 bits in 7.
    Recoded,
    /// The client was refused what it insisted on, and sent nothing.
    Refused,
    /// Anything else.
    Wrong(String),
}

impl Sight {
    /// Looks.
    pub(crate) fn take(servers: &[Mta], guard: &Guard) -> Outcome<Self> {
        let mut sight = Self::default();
        for server in servers {
            for letter in server.stored()? {
                for recipient in &letter.recipients {
                    sight.letters.entry(recipient.clone()).or_default().push(letter.clone());
                }
            }
        }
        sight.read_events(&guard.events());
        Ok(sight)
    }

    /// How many copies have been stored.
    pub(crate) fn copies(&self) -> usize {
        self.letters.values().map(Vec::len).sum()
    }

    /// What to say of the whole.
    pub(crate) fn figures(&self, profile: Profile) -> Outcome<String> {
        let over_tls = self.letters.values().flatten().filter(|letter| is_tls(letter)).count();
        let begun = self.tls_begins;
        match profile {
            Profile::None => Ok(format!("{over_tls} copies over TLS")),
            Profile::Mailguard => {
                ensure(over_tls + begun == 0, || format!("TLS: {over_tls} copies, {begun} flows"))?;
                Ok("none over TLS".to_owned())
            }
            Profile::Esmtp => Ok(format!("{over_tls} copies over TLS on {begun} connections")),
        }
    }

    /// What to write into the cell.
    pub(crate) fn judge(&self, profile: Profile, sent: &Sent) -> Mark {
        let kind = sent.cell.kind;
        let names: Vec<String> = match kind.recipients() {
            1 => vec![sent.name.clone()],
            count => (0..count).map(|index| format!("{}r{index}", sent.name)).collect(),
        };
        let copies: Vec<&Letter> =
            names.iter().filter_map(|name| self.letters.get(name)).flatten().collect();
        if let Some(refusal) = &sent.refusal {
            let insists = matches!(kind, Kind::StartTls | Kind::Auth);
            return match copies.len() {
                0 if insists && profile == Profile::Mailguard => Mark::Refused,
                0 => Mark::Wrong(refusal.clone()),
                count => Mark::Wrong(format!("{count} stored, and yet: {refusal}")),
            };
        }
        let is_once = |name: &String| self.letters.get(name).is_some_and(|all| all.len() == 1);
        if !names.iter().all(is_once) {
            let quoted = self.quote(&sent.name);
            return Mark::Wrong(format!("{} copies for {}\n{quoted}", copies.len(), names.len()));
        }
        let mut is_recoded = false;
        for copy in &copies {
            match copy.compare(&sent.content) {
                Likeness::Same => {}
                Likeness::Recoded => is_recoded = true,
                Likeness::Other(how) => return Mark::Wrong(how),
            }
        }
        // Only where 8BITMIME is kept from it has a sender a reason.
        if is_recoded {
            let is_right = kind == Kind::EightBit && profile == Profile::Mailguard;
            return if is_right { Mark::Recoded } else { Mark::Wrong("recoded".to_owned()) };
        }
        let speech = names.first().and_then(|name| self.speech.get(name)).copied();
        shown(profile, kind, &copies, speech.unwrap_or_default())
    }

    /// Lines of the programs' logs about a message.
    fn quote(&self, name: &str) -> String {
        let lines = self.logs.iter().flat_map(|log| log.lines());
        let lines: Vec<&str> = lines.filter(|line| line.contains(&format!("{name}@"))).collect();
        lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("\n")
    }

    fn read_events(&mut self, events: &str) {
        let mut flows: BTreeMap<u64, (Speech, BTreeSet<String>, bool)> = BTreeMap::new();
        for line in events.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
            let number = event.get("flow").and_then(Value::as_u64).unwrap_or_default();
            let (speech, recipients, is_waiting) = flows.entry(number).or_default();
            match text("event") {
                "tls-begin" => self.tls_begins += 1,
                "reply" => *is_waiting = false,
                "command" => {
                    let line = text("line").to_ascii_uppercase();
                    // QUIT behind the end of data is everybody's habit.
                    speech.is_pipelined |= *is_waiting && line.starts_with("RCPT");
                    speech.has_chunks |= line.starts_with("BDAT");
                    speech.has_auth |= line.starts_with("AUTH");
                    *is_waiting = true;
                    if let Some(address) = line.strip_prefix("RCPT TO:<") {
                        let local = address.split('@').next().unwrap_or_default();
                        recipients.insert(local.to_ascii_lowercase());
                    }
                }
                _ => {}
            }
        }
        for (speech, recipients, _) in flows.into_values() {
            self.speech.extend(recipients.into_iter().map(|recipient| (recipient, speech)));
        }
    }
}

/// For what a kind is about, whether it happened where it should, and only there.
fn shown(profile: Profile, kind: Kind, copies: &[&Letter], speech: Speech) -> Mark {
    let over_tls = copies.iter().filter(|letter| is_tls(letter)).count();
    let is_tls = over_tls == copies.len();
    let (has_it, letter) = match kind {
        Kind::StartTls => (is_tls, "T"),
        Kind::Auth => (copies.iter().all(|letter| is_auth(letter)) || speech.has_auth, "A"),
        Kind::Pipelined => (speech.is_pipelined, "P"),
        Kind::Chunks => (speech.has_chunks, "B"),
        _ => (false, ""),
    };
    if over_tls > 0 && (profile == Profile::Mailguard || kind != Kind::StartTls) {
        return Mark::Wrong("over TLS".to_owned());
    }
    match (profile, has_it, letter) {
        (_, _, "") => Mark::Same(""),
        // Without a filter there are no events to tell.
        (Profile::None, _, "P" | "B") => Mark::Same(""),
        (Profile::None | Profile::Esmtp, true, letter) => Mark::Same(letter),
        (Profile::None | Profile::Esmtp, false, letter) => {
            Mark::Wrong(format!("delivered, but without what {letter} stands for"))
        }
        (Profile::Mailguard, true, letter) => Mark::Wrong(format!("{letter}, by HELO")),
        (Profile::Mailguard, false, _) => Mark::Same(""),
    }
}

/// RFC 3848: ESMTPS and ESMTPSA; sendmail says so, too.
fn is_tls(letter: &Letter) -> bool {
    let received = letter.received().to_ascii_uppercase();
    received.contains("WITH ESMTPS") || received.contains("WITH SMTPS")
}

fn is_auth(letter: &Letter) -> bool {
    let received = letter.received().to_ascii_uppercase();
    received.contains("WITH ESMTPA") || received.contains("WITH ESMTPSA")
}
