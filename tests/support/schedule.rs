//! Random schedules: a plan of packets drawn from a seed, played, and judged by the rig and the
//! talk. A plan that fails is shortened packet by packet before it is printed.

use std::ops::Range;

use mailguard::engine::{Reason, Settings, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;

use super::mailserver::MailServer;
use super::packet::{ACK, FIN, PSH, RST};
use super::quiet::failure;
use super::random::Random;
use super::rig::{Rig, settings, settings_with, settings_without_rules};
use super::talk::{End, Talk};

/// What the ends do to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cut, reordered, duplicated, lost, cut again: always the same bytes.
    Honest,
    /// The same, under an engine without rules.
    NoRules,
    /// The client sends other bytes at the same positions.
    Conflict,
    /// Both do, with stray FINs, RSTs and ACKs.
    War,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Honest, Self::NoRules, Self::Conflict, Self::War];
}

/// One packet, or a word between the ends.
#[derive(Clone, Debug)]
pub enum Step {
    /// The client sends this part of one of its texts.
    Client { part: Range<usize>, text: usize, flags: u8, is_lost_behind: bool },
    /// The server sends this part of what it has said (or of something else).
    Server { part: Range<usize>, is_lie: bool, is_lost_behind: bool },
    /// The server's application reads.
    Hear,
    /// Both acknowledge.
    Acknowledge,
    /// The client acknowledges this much more than it has.
    StrayAck(i32),
}

/// A schedule.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kind: Kind,
    pub seed: u64,
    pub steps: Vec<Step>,
    texts: Vec<Vec<u8>>,
    isn: [u32; 2],
    data_replies: Vec<&'static str>,
    /// Nothing behind an end of data is refused, so no early bytes can turn out wrong.
    is_simple: bool,
}

const SAYINGS: &[&[u8]] = &[
    b"EHLO c\r\nVRFY root\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n\
      S: x\r\n\r\nx\r\n.\r\nQUIT\r\n",
    b"MAIL FROM:<a@b>\r\nRCPT TO:<|r@d>\r\nDATA\r\n\
      ..a\r\n.b\r\n\r\nVRFY body\r\nsome more text here\r\n\
      and a line\n.\nwith bare ends\r\n.\r\nRSET\r\n\
      MAIL FROM:<c@d>\r\nDATA\r\n.\r\nNOOP\r\nQUIT\r\n",
    b"NOOP\nHELP\r\nDATA\r\nVRFY a\r\n.\r\nDATA\r\nEXPN b\r\n\
      long line of text, long line of text\r\n\
      another one\r\n.\r\nVRFY c\r\nEXPN d\r\n\
      MAIL FROM:<x>\r\nDATA\r\nbye\r\n.\r\nQUIT\r\n",
];

impl Plan {
    /// The plan of a seed.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let saying = random.below(SAYINGS.len());
        let mut text = SAYINGS[saying].to_vec();
        if random.below(4) == 0 {
            let line = b"MAIL FROM:<p@q>\r\nDATA\r\n".to_vec();
            let body = b"0123456789 some body text of an ordinary message\r\n".repeat(12);
            text = [line, body, b".\r\n".to_vec(), text].concat();
        }
        let mut texts = vec![text];
        if matches!(kind, Kind::Conflict | Kind::War) {
            for _ in 0..3 {
                let other = liar(&mut random, &texts[0]);
                texts.push(other);
            }
        }
        let isn = |random: &mut Random| match random.below(3) {
            0 => random.below(1 << 30) as u32,
            1 => u32::MAX - random.below(200) as u32,
            _ => 0x7fff_ff80 + random.below(200) as u32,
        };
        // Without rules unknown words are masked still, so no body may become commands.
        let refusals = if kind == Kind::NoRules { 0 } else { random.below(3) };
        let mut plan = Self {
            kind,
            seed,
            steps: Vec::new(),
            isn: [isn(&mut random), isn(&mut random)],
            data_replies: ["503 no\r\n", "554-no\r\n554 no\r\n"][..refusals].to_vec(),
            is_simple: saying == 0 && texts[0] == SAYINGS[0],
            texts,
        };
        for _ in 0..=random.below(3) {
            plan.pass(&mut random);
        }
        plan
    }

    /// One sending of the whole text, cut and perturbed.
    fn pass(&mut self, random: &mut Random) {
        let length = self.texts[0].len();
        let size = [2, 8, 24, 80, 300][random.below(5)];
        let mut steps = Vec::new();
        let mut at = 0;
        while at < length {
            let end = length.min(at + 1 + random.below(size));
            let overlap = if random.below(4) == 0 { random.below(12).min(at) } else { 0 };
            for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
                let is_other = self.texts.len() > 1 && random.below(3) == 0;
                let text = if is_other { 1 + random.below(self.texts.len() - 1) } else { 0 };
                let is_lost_behind = random.below(5) == 0;
                let part = at - overlap..end;
                steps.push(Step::Client { part, text, flags: ACK | PSH, is_lost_behind });
            }
            if random.below(6) == 0 {
                steps.push(self.reply(random));
                steps.push([Step::Hear, Step::Acknowledge][random.below(2)].clone());
            }
            if self.kind == Kind::War && random.below(8) == 0 {
                steps.push(stray(random, length));
            }
            at = end;
        }
        for place in 0..steps.len() {
            let other = (place + random.below(9)).min(steps.len() - 1);
            if random.below(3) == 0 {
                steps.swap(place, other);
            }
        }
        steps.retain(|_| random.below(5) != 0);
        self.steps.append(&mut steps);
    }

    fn reply(&self, random: &mut Random) -> Step {
        let start = random.below(120);
        Step::Server {
            part: start..start + 1 + random.below(60),
            is_lie: self.kind == Kind::War && random.below(4) == 0,
            is_lost_behind: random.below(5) == 0,
        }
    }

    pub fn settings(&self) -> Settings {
        match self.kind {
            Kind::NoRules => settings_without_rules(),
            Kind::Honest => settings("mailguard"),
            // A lie can begin with what looks like a header line, and end the flow before there is
            // anything to compare.
            Kind::Conflict | Kind::War => settings_with("mailguard", &[("http_words", "pass")]),
        }
    }

    /// Plays it; panics where something is wrong.
    pub fn play(&self) {
        self.judge(self.played());
    }

    /// Plays it, and returns what came by and what was said of it.
    pub fn watched(&self) -> Rig {
        self.played().rig
    }

    fn played(&self) -> Talk {
        let mut talk = self.talk();
        for step in &self.steps {
            self.take(&mut talk, step);
        }
        talk.rig.is_lost_behind = false;
        talk.finish();
        talk
    }

    fn talk(&self) -> Talk {
        let mut server = MailServer::new("220-mx2\r\n220 ESMTP 20 0 2\r\n");
        server.data_replies = self.data_replies.iter().copied().collect();
        let mut talk = Talk::with(&self.texts[0], self.settings(), server, self.isn);
        talk.rig.has_no_rules = self.kind == Kind::NoRules;
        talk
    }

    fn judge(&self, talk: Talk) {
        let contradiction = Reason::Violation(Violation::Contradiction);
        let reasons = [Reason::EarlyBytes, contradiction];
        let expected = &reasons[..if self.kind == Kind::Conflict { 2 } else { 1 }];
        let was_reset = talk
            .rig
            .has_told(|what| matches!(what, What::Reset { reason } if expected.contains(reason)));
        match self.kind {
            Kind::War => talk.check_memory(),
            Kind::Honest | Kind::NoRules | Kind::Conflict if was_reset && !self.is_simple => {
                talk.end(End::Reset);
            }
            Kind::Honest | Kind::NoRules => talk.end(End::Whole),
            Kind::Conflict => talk.end(if was_reset { End::Reset } else { End::Conflict }),
        }
    }

    fn take(&self, talk: &mut Talk, step: &Step) {
        match step {
            Step::Client { part, text, flags, is_lost_behind } => {
                talk.rig.is_lost_behind = *is_lost_behind;
                let bytes = self.texts[*text].get(part.clone()).unwrap_or_default().to_vec();
                let _ = talk.rig.send_with(C, part.start as u64, &bytes, *flags);
            }
            Step::Server { part, is_lie, is_lost_behind } => {
                talk.rig.is_lost_behind = *is_lost_behind;
                let said = talk.server.said.len();
                let part = part.start.min(said)..part.end.min(said);
                let mut bytes = talk.server.said[part.clone()].to_vec();
                if *is_lie {
                    let lie = b"354 x\r\n250 y\r\n".iter().cycle().skip(part.start);
                    bytes = lie.take(bytes.len()).copied().collect();
                }
                let _ = talk.rig.send(S, part.start as u64, &bytes);
            }
            Step::Hear => talk.hear(),
            Step::Acknowledge => talk.acknowledge(),
            Step::StrayAck(more) => {
                let (seq, ack) = talk.rig.numbers(C, talk.rig.original.received);
                let _ = talk.rig.packet(C, seq, ack.wrapping_add_signed(*more), ACK, &[], b"NOOP");
            }
        }
    }

    fn fails(&self) -> bool {
        failure(|| self.play()).is_some()
    }

    /// Leaves out steps as long as it still fails.
    pub fn minimise(mut self) -> Self {
        let mut size = self.steps.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.steps.len() {
                let mut shorter = self.clone();
                shorter.steps.drain(at..(at + size).min(self.steps.len()));
                if shorter.fails() {
                    self = shorter;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        self
    }

    /// The packets, one a line, and how to play them again.
    pub fn report(&self) -> String {
        let lines: Vec<_> = self.steps.iter().map(|step| self.describe(step)).collect();
        format!(
            "SEED={} KIND={:?} isn {:?} data replies {:?}\n{}",
            self.seed,
            self.kind,
            self.isn,
            self.data_replies,
            lines.join("\n")
        )
    }

    fn describe(&self, step: &Step) -> String {
        match step {
            Step::Client { part, text, .. } => {
                let bytes = self.texts[*text].get(part.clone()).unwrap_or_default();
                format!("{step:?} \"{}\"", bytes.escape_ascii())
            }
            Step::Server { .. } | Step::Hear | Step::Acknowledge | Step::StrayAck(_) => {
                format!("{step:?}")
            }
        }
    }
}

/// Another text for the same positions.
fn liar(random: &mut Random, text: &[u8]) -> Vec<u8> {
    let words: [&[u8]; 6] =
        [b"VRFY root\r\n", b"\r\n.\r\n", b"DATA\r\n", b"NOOP\r\n", b"x\n.\n", b"EXPN \0\r"];
    let mut other: Vec<u8> = Vec::new();
    while other.len() < text.len() {
        if random.below(2) == 0 {
            let end = text.len().min(other.len() + 1 + random.below(30));
            other.extend_from_slice(&text[other.len()..end]);
        } else {
            other.extend_from_slice(words[random.below(words.len())]);
        }
    }
    other.truncate(text.len());
    other
}

fn stray(random: &mut Random, length: usize) -> Step {
    let start = random.below(length);
    let flags = [FIN | ACK, RST, RST | ACK, ACK][random.below(4)];
    match random.below(3) {
        0 => Step::StrayAck([100_000, 1_000_000, -1_000, i32::MIN][random.below(4)]),
        _ => {
            let end = start + random.below(4);
            Step::Client { part: start..end, text: 0, flags, is_lost_behind: false }
        }
    }
}

/// Plays a range of seeds.
///
/// # Errors
/// The first that fails, as short as it can be made, to be read.
pub fn run_seeds(kind: Kind, seeds: Range<u64>) -> Result<(), String> {
    for seed in seeds {
        let plan = Plan::new(kind, seed);
        if plan.fails() {
            let short = plan.minimise();
            let said = failure(|| short.play()).unwrap_or_default();
            return Err(format!("{said}\n{}", short.report()));
        }
    }
    Ok(())
}
