//! A: one stream, cut and sent in every way. The server reads the same each time.

use super::{BANNER, Case, EVIL, STD, Suite, case, parts, pieces};
use crate::support::mailserver::MailServer;
use crate::support::rig::settings_without_rules;
use crate::support::schedule::{self, Kind};
use crate::support::talk::{End, Talk};

/// Seeds that the rows try; `random` tries more.
const SEEDS: u64 = 150;

pub const CASES: &[Case] = &[
    case("A01", "all two-way cuts", |suite| {
        for cut in 1..EVIL.len() {
            play(suite, &[cut]);
        }
    }),
    case("A02", "all three-way cuts of one line", |suite| {
        let line = b"VRFY root\r\n";
        for a in 1..line.len() {
            for b in a + 1..line.len() {
                let mut talk = suite.talk(line);
                talk.play(&parts(line.len(), &[a, b]));
                assert_eq!(talk.server_read(), "XXXXXXXXX\\r\\n");
                talk.end(End::Whole);
            }
        }
    }),
    case("A03", "one byte per segment", |suite| {
        let mut talk = suite.talk(EVIL);
        for at in 0..EVIL.len() {
            talk.answer();
            let _ = talk.send_text(at..at + 1);
            talk.answer();
            assert_eq!(talk.rig.original.received, at as u64 + 1, "one round trip a byte");
        }
        talk.end(End::Whole);
    }),
    case("A04", "one segment, a super-packet with the body", |suite| {
        let body = [EVIL, STD, &b"NOOP\r\n".repeat(2_000)].concat();
        let mut talk = suite.talk(&body);
        talk.rig.is_super_packet = true;
        for _ in 0..3 {
            let start = talk.rig.original.received as usize;
            let _ = talk.send_text(start..body.len());
            talk.answer();
        }
        talk.rig.is_super_packet = false;
        talk.end(End::Whole);
    }),
    case("A05", "every permutation of six segments", |suite| {
        let segments = pieces(EVIL.len(), EVIL.len().div_ceil(6));
        assert_eq!(segments.len(), 6);
        for order in permutations(6) {
            let mut talk = suite.talk(EVIL);
            let ordered: Vec<_> = order.iter().map(|&index| segments[index].clone()).collect();
            talk.play(&ordered);
            talk.end(End::Whole);
        }
    }),
    case("A06", "random schedule", |_| seeds(Kind::Honest, 0)),
    case("A07", "every segment three times", |suite| {
        let mut talk = suite.talk(EVIL);
        let parts = pieces(EVIL.len(), 9);
        let thrice: Vec<_> =
            parts.into_iter().flat_map(|part| [part.clone(), part.clone(), part]).collect();
        talk.play(&thrice);
        talk.end(End::Whole);
    }),
    case("A08", "reversed stream", |suite| {
        for size in [1, 2, 7, 30] {
            let mut talk = suite.talk(EVIL);
            let mut reversed = pieces(EVIL.len(), size);
            reversed.reverse();
            talk.play(&reversed);
            talk.end(End::Whole);
        }
    }),
    case("A09", "re-cut retransmission", |suite| {
        for (first, second) in [(5, 7), (7, 5), (13, 40), (40, 3)] {
            let mut talk = suite.talk(EVIL);
            for (index, part) in pieces(EVIL.len(), first).into_iter().enumerate() {
                talk.rig.is_lost_behind = index % 2 == 1;
                let _ = talk.send_text(part);
            }
            talk.rig.is_lost_behind = false;
            talk.play(&pieces(EVIL.len(), second));
            talk.end(End::Whole);
        }
    }),
    case("A10", "growing retransmission", |suite| {
        let mut talk = suite.talk(EVIL);
        for end in 1..=EVIL.len() {
            let _ = talk.send_text(0..end);
            talk.rig.is_lost_behind = end % 3 == 0;
            if end % 5 == 0 {
                talk.answer();
            }
        }
        talk.end(End::Whole);
    }),
    case("A11", "shrinking retransmission", |suite| {
        let mut talk = suite.talk(EVIL);
        for end in (1..=EVIL.len()).rev() {
            talk.rig.is_lost_behind = end % 3 != 0;
            let _ = talk.send_text(0..end);
            talk.rig.is_lost_behind = false;
            if end % 5 == 0 {
                talk.answer();
            }
        }
        talk.end(End::Whole);
    }),
    case("A12", "server side cuts", |suite| {
        let said = suite.uncut_reply().len();
        for cut in 1..said {
            let mut talk = suite.talk(EVIL);
            talk.reply_cuts = vec![cut, cut + 1];
            talk.end(End::Whole);
        }
    }),
    case("A13", "both directions shuffled", |_| {
        seeds(Kind::Honest, 10_000);
    }),
    case("A14", "without rules the wire is untouched", |_| {
        seeds(Kind::NoRules, 0);
        let server = MailServer::new(BANNER);
        let mut talk = Talk::with(STD, settings_without_rules(), server, [7, 9]);
        talk.rig.has_no_rules = true;
        talk.play(&pieces(STD.len(), 10));
        assert_eq!(talk.rig.original.bytes(), STD);
        talk.end(End::Whole);
    }),
];

fn seeds(kind: Kind, first: u64) {
    schedule::run_seeds(kind, first..first + SEEDS).unwrap();
}

fn play(suite: &Suite, cuts: &[usize]) {
    let mut talk = suite.talk(EVIL);
    talk.play(&parts(EVIL.len(), cuts));
    talk.end(End::Whole);
}

impl Suite {
    fn uncut_reply(&self) -> Vec<u8> {
        let mut talk = self.talk(EVIL);
        talk.finish();
        talk.rig.reply.bytes()
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        all = all
            .into_iter()
            .flat_map(|taken: Vec<usize>| {
                let rest: Vec<_> = (0..count).filter(|index| !taken.contains(index)).collect();
                rest.into_iter().map(move |next| [taken.as_slice(), &[next]].concat())
            })
            .collect();
    }
    all
}
