//! B: different bytes at the same position. One value per position on the wire (asserted by the
//! rig on every packet), and the server reads what was judged.

use mailguard::engine::{Verdict, What};

use super::{Case, EVIL, Suite, case};
use crate::support::talk::{End, Talk};

pub const CASES: &[Case] = &[
    case("B01", "in order, then other data", |suite| {
        let mut talk = suite.talk(b"NOOP\r\n");
        assert_eq!(talk.send(0, b"NOOP\r\n"), Verdict::Accept);
        assert_eq!(talk.send(0, b"EXPN\r\n"), Verdict::Rewrite);
        assert!(talk.rig.last_left.ends_with(b"NOOP\r\n"), "copy 2 carries copy 1");
        assert_eq!(talk.server_read(), "NOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("B02", "the same, copy 1 lost behind the filter", |suite| {
        let mut talk = suite.talk(b"NOOP\r\n");
        talk.rig.is_lost_behind = true;
        let _ = talk.send(0, b"NOOP\r\n");
        talk.rig.is_lost_behind = false;
        let _ = talk.send(0, b"EXPN\r\n");
        assert_eq!(talk.server_read(), "NOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("B03", "out of order, exact", |suite| {
        overlap(suite, &[(6, b"NOOP\r\n"), (6, b"EXPN\r\n"), (0, b"NOOP\r\n")]);
    }),
    case("B04", "out of order, left overlap", |suite| {
        overlap(suite, &[(5, b"AAAAA"), (3, b"BBBBB"), (0, b"fff")]);
    }),
    case("B05", "out of order, superset", |suite| {
        overlap(suite, &[(5, b"AAAAA"), (3, b"BBBBBBBBB"), (0, b"fff")]);
    }),
    case("B06", "same start, longer", |suite| {
        overlap(suite, &[(5, b"AAAAA"), (5, b"BBBBBBB"), (0, b"fffff")]);
    }),
    case("B07", "right overlap", |suite| {
        overlap(suite, &[(5, b"AAAAA"), (7, b"BBBBB"), (0, b"fffff")]);
    }),
    case("B08", "in order over queued", |suite| {
        overlap(suite, &[(5, b"AAAAA"), (0, b"BBBBBBBB")]);
        overlap(suite, &[(5, b"AAAAA"), (0, b"BBBBBBBBBBBB")]);
    }),
    case("B09", "all Allen relations, both orders", |suite| {
        let chunks = intervals(5);
        for a in &chunks {
            for b in &chunks {
                chunks_in_data(suite, &[*a, *b], 6);
            }
        }
    }),
    case("B10", "three chunks, exhaustive", |suite| {
        let chunks = intervals(4);
        for a in &chunks {
            for b in &chunks {
                for c in &chunks {
                    chunks_in_data(suite, &[*a, *b, *c], 5);
                }
            }
        }
    }),
    case("B11", "mask, then unmask", |suite| {
        let mut talk = suite.talk(b"VRFY root\r\n");
        let _ = talk.send(0, b"VRFY root\r\n");
        let _ = talk.send(0, b"NOOP xxxx\r\n");
        assert_eq!(talk.server_read(), "XXXXXXXXX\\r\\n");
        talk.end(End::Whole);
    }),
    case("B12", "split verb swap", |suite| {
        overlap(suite, &[(0, b"NO"), (2, b"OP\r\n"), (2, b"OB\r\n")]);
        overlap(suite, &[(2, b"OP\r\n"), (2, b"OB\r\n"), (0, b"NO")]);
        overlap(suite, &[(0, b"N"), (2, b"OP\r\n"), (2, b"OB\r\n"), (1, b"O")]);
    }),
    case("B13", "retransmission below the server's ACK", |suite| {
        let mut talk = suite.talk(b"VRFY root\r\n");
        let _ = talk.send(0, b"VRFY root\r\n");
        talk.answer();
        assert_eq!(talk.send(0, b"EXPN root\r\n"), Verdict::Rewrite);
        assert_eq!(talk.rig.last_left.len(), 40, "a bare segment, which draws an ACK");
        talk.end(End::Whole);
    }),
    case("B14", "straddling old and new", |suite| {
        let mut talk = suite.talk(b"NOOP\r\nVRFY r\r\n");
        let _ = talk.send(0, b"NOOP\r\n");
        talk.answer();
        let _ = talk.send(3, b"zzzVRFY r\r\n");
        assert_eq!(talk.server_read(), "NOOP\\r\\nXXXXXX\\r\\n");
        talk.end(End::Whole);
    }),
    case("B15", "zero-window probe differs", |suite| {
        let mut talk = suite.talk(b"NOOP\r\nNOOP\r\n");
        let _ = talk.send(0, b"NOOP\r\n");
        talk.answer();
        talk.rig.is_lost_behind = true;
        let _ = talk.send(6, b"Z");
        talk.rig.is_lost_behind = false;
        let _ = talk.send(6, b"NOOP\r\n");
        assert_eq!(talk.rig.original.left(6), Some(b'X'), "the probe's byte, judged");
        talk.end(End::Conflict);
    }),
];

/// Plays segments in command lines and in message data, each with every one of them lost behind
/// the filter in turn.
fn overlap(suite: &Suite, segments: &[(u64, &[u8])]) {
    for lost in 0..=segments.len() {
        let mut talk = suite.talk(EVIL);
        play(&mut talk, 0, segments, lost);
        talk.end(End::Conflict);
        let (mut talk, base) = suite.in_data(b"0123456789abcdefgh\r\n.\r\nQUIT\r\n");
        play(&mut talk, base as u64, segments, lost);
        end_of_data(talk);
    }
}

/// A message of which two versions exist is not delivered; where none of the bytes were there
/// twice, it is.
fn end_of_data(mut talk: Talk) {
    talk.finish();
    let is_contradicted = talk.rig.has_told(|what| matches!(what, What::Contradiction { .. }));
    assert_eq!(talk.rig.resets > 0, is_contradicted);
    talk.end(if is_contradicted { End::Reset } else { End::Conflict });
}

fn play(talk: &mut Talk, base: u64, segments: &[(u64, &[u8])], lost: usize) {
    for (index, (start, bytes)) in segments.iter().enumerate() {
        talk.rig.is_lost_behind = index == lost;
        let _ = talk.send(base + start, bytes);
    }
    talk.rig.is_lost_behind = false;
}

/// Every interval of positive length with ends up to `last`.
fn intervals(last: usize) -> Vec<(usize, usize)> {
    (0..last).flat_map(|start| (start + 1..=last).map(move |end| (start, end))).collect()
}

/// Chunks behind a gap of one byte, each with its own letter, then the rest.
fn chunks_in_data(suite: &Suite, chunks: &[(usize, usize)], length: usize) {
    for (in_data, gap) in [(true, 1), (true, 0), (false, 1)] {
        let filler = vec![b'f'; length + gap];
        let rest = [&filler[..], b"\r\n.\r\nQUIT\r\n"].concat();
        let (mut talk, base) = if in_data { suite.in_data(&rest) } else { (suite.talk(&rest), 0) };
        for ((start, end), letter) in chunks.iter().zip(b'A'..) {
            let _ = talk.send((base + gap + start) as u64, &vec![letter; end - start]);
        }
        if in_data { end_of_data(talk) } else { talk.end(End::Conflict) }
    }
}
