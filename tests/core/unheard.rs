//! An engine whose records nobody reads makes none, and does all else as one that is heard.

use std::ops::ControlFlow;

use mailguard::engine::{Arrival, Effects, Engine, Settings, Stats, Verdict};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::wire::Checksum;

use crate::support::packet::arrival;
use crate::support::rig::{Rig, Seen, settings, settings_with};
use crate::support::schedule::{Kind, Plan};

/// Seeds of each kind.
const SEEDS: u64 = 12;

/// Of more workers than there are sets of counters.
const WORKER: usize = 300;

/// What was answered to each packet, what was counted, and what is seen in the end.
struct Judged {
    answers: Vec<String>,
    stats: Stats,
    flows: Vec<String>,
}

fn judge(seen: &[Seen], settings: Settings, is_heard: bool) -> Judged {
    let engine = Engine::new(settings, 1);
    let mut effects = Effects::of_worker(WORKER, is_heard);
    let (mut answers, mut records) = (Vec::new(), 0);
    for packet in seen {
        let arrival =
            Arrival { checksum: Checksum::Complete, path: packet.path, ..arrival(&packet.bytes) };
        let verdict = engine.handle(packet.at, &arrival, &mut effects);
        records += effects.records.len();
        let left: &[u8] = if verdict == Verdict::Rewrite { &effects.rewritten } else { &[] };
        let Effects { resets, handling, withheld, ended, .. } = &effects;
        answers
            .push(format!("{verdict:?} {left:x?} {resets:x?} {handling:?} {withheld:?} {ended:?}"));
    }
    assert_eq!(records > 0, is_heard, "{records} records");
    let mut flows = Vec::new();
    if let Some(last) = seen.last() {
        engine.flows(last.at, |seen| {
            // Of one run in a message several are made where each is told.
            let is_edited = seen.deeds.edited > 0;
            let (stage, last, refused) = (seen.stage, seen.last, seen.deeds.refused);
            flows.push(format!("{stage:?} {last:?} {refused} {is_edited}"));
            ControlFlow::Continue(())
        });
    }
    // Of what nobody hears nothing is left out.
    let mut stats = Stats { entries_left_out: 0, ..engine.stats() };
    // As above: a patch strikes once in a run.
    stats.patches.values_mut().for_each(|count| *count = 1);
    assert_eq!(stats.packets, seen.len() as u64);
    Judged { answers, stats, flows }
}

fn is_the_same(seen: &[Seen], settings: &Settings) {
    let [unheard, heard] = [false, true].map(|is_heard| judge(seen, settings.clone(), is_heard));
    for (one, other) in unheard.answers.iter().zip(&heard.answers) {
        assert_eq!(one, other);
    }
    assert_eq!(unheard.stats, heard.stats);
    assert_eq!(unheard.flows, heard.flows);
}

#[test]
fn schedules_are_judged_the_same() {
    for kind in [Kind::Honest, Kind::NoRules, Kind::Conflict, Kind::War] {
        for seed in 0..SEEDS {
            println!("SEED={seed} KIND={kind:?}");
            let plan = Plan::new(kind, seed);
            let seen = plan.watched().seen;
            for settings in [plan.settings(), settings("esmtp"), settings("pix-5.1")] {
                is_the_same(&seen, &settings);
            }
        }
    }
}

#[test]
fn messages_are_judged_the_same() {
    let part = b"Some text that is long enough to part them\n.\n";
    for (changes, count) in [
        (&[][..], 40),
        (&[], 1),
        // What is asked of bodies is asked of every byte of them.
        (&[("body_bytes_max", "300")], 40),
        (&[("body_line_max", "20")], 1),
        (&[("lookalikes", "pass")], 40),
    ] {
        for size in [1, 7, 1_000] {
            let settings = settings_with("esmtp", changes);
            let mut rig = Rig::established(settings.clone(), [1, 2]);
            let message = [b"Subject: x\r\n\r\n", &part.repeat(count)[..], b"\r\n.\r\n"].concat();
            for (from, said) in [
                (S, &b"220 mx\r\n"[..]),
                (C, b"EHLO a\r\n"),
                (S, b"250 mx\r\n"),
                (C, b"MAIL FROM:<a@b>\r\n"),
                (S, b"250 ok\r\n"),
                (C, b"RCPT TO:<c@d>\r\n"),
                (S, b"250 ok\r\n"),
                (C, b"DATA\r\n"),
                (S, b"354 go\r\n"),
                (C, &message),
                (S, b"250 ok\r\n"),
                (C, b"VRFY a\r\nNOOP\r\nQUIT\r\n"),
            ] {
                for piece in said.chunks(size) {
                    let _ = rig.send_next(from, piece);
                }
            }
            println!("{changes:?} {count} {size}");
            is_the_same(&rig.seen, &settings);
        }
    }
}
