//! Offsets, places and values: what a stream lets through, keeps and forgets.

use std::sync::Arc;

use super::memory::BLOCK;
use super::*;
use crate::offset::Offset;
use crate::wire::{Editor, Packet, Parsed, Reset, Seq, build_reset};

mod framed;

const ISN: Seq = Seq(0xffff_fff0);

fn stream_with(bytes: &[u8]) -> Stream {
    stream_within(Window::unknown(), bytes)
}

fn stream_within(window: Window, bytes: &[u8]) -> Stream {
    let mut stream = Stream::new(ISN, window, &Arc::default());
    pass(&mut stream, bytes);
    stream
}

/// Appends bytes and rules that they pass.
fn pass(stream: &mut Stream, bytes: &[u8]) {
    stream.append(bytes, &mut Spares::default());
    stream.commit(stream.appended(), &mut Spares::default());
}

/// Bytes that stand in the way of nothing any more, joined as far as they go.
fn join(stream: &mut Stream) -> usize {
    let mut joined = 0;
    loop {
        match stream.append_early(&mut Spares::default()) {
            0 => return joined,
            more => joined += more,
        }
        stream.commit(stream.appended(), &mut Spares::default());
    }
}

/// What is kept, from an offset on.
fn kept(stream: &Stream, from: u64) -> Vec<u8> {
    stream.kept_from(Offset::new(from)).flatten().copied().collect()
}

fn at(offset: u32) -> Seq {
    ISN.after(1 + offset)
}

#[test]
fn offsets_cross_the_wrap() {
    let stream = stream_with(&[b'x'; 100]);
    for offset in [0, 14, 15, 16, 99, 100, 5_000] {
        let known = Offset::new(u64::from(offset));
        assert_eq!(stream.offset(at(offset)), Some(known));
        assert_eq!(stream.seq(known), at(offset));
    }
    assert_eq!(stream.offset(ISN), None);
}

#[test]
fn payloads_are_placed_against_ack_and_judged() {
    let mut stream = stream_with(&[b'x'; 20]);
    assert_eq!(stream.acknowledge(at(8), 500, &mut Spares::default()), Ok(()));
    let cases = [
        (0, 8, Place::Below),
        (0, 9, Place::At { stale: 8, known: 9 }),
        (4, 30, Place::At { stale: 4, known: 16 }),
        (8, 12, Place::At { stale: 0, known: 12 }),
        (20, 5, Place::At { stale: 0, known: 0 }),
        (21, 5, Place::Beyond { distance: 1 }),
    ];
    for (start, length, place) in cases {
        assert_eq!(stream.place(at(start), length), place, "[{start}, +{length})");
    }
}

#[test]
fn only_what_left_can_be_acknowledged() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert_eq!(stream.acknowledge(at(7), 500, &mut Spares::default()), Err(Violation::AckOfUnsent));
    assert_eq!(stream.acknowledge(at(4), 500, &mut Spares::default()), Ok(()));
    assert_eq!(stream.acknowledge(at(2), 500, &mut Spares::default()), Ok(()));
    assert_eq!((stream.acknowledged(), stream.judged()), (Offset::new(4), Offset::new(6)));
    assert_eq!(kept(&stream, 0), b"\r\n");
    assert!(stream.admit_fin(at(6)));
    assert_eq!(stream.acknowledge(at(7), 500, &mut Spares::default()), Ok(()));
    assert!(stream.is_finished());
    assert_eq!(stream.held(), 0);
}

#[test]
fn a_fin_has_one_place() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert!(!stream.admit_fin(at(7)));
    assert!(!stream.admit_fin(at(5)));
    assert_eq!(stream.before_fin(at(0), 100), 100);
    assert!(stream.admit_fin(at(6)));
    assert!(!stream.admit_fin(at(7)));
    assert!(stream.admit_fin(at(6)));
    assert_eq!(stream.before_fin(at(0), 100), 6);
    assert_eq!(stream.before_fin(at(6), 100), 0);
    assert_eq!(stream.before_fin(at(9), 100), 0);
}

#[test]
fn early_runs_win_over_the_filler_and_join_it() {
    let mut stream = stream_with(b"");
    assert_eq!(stream.admit_early(4, b"EARLY"), Ok(()));
    assert_eq!(stream.admit_early(12, b"LATE"), Ok(()));
    let overlaid = stream.overlay(2, b"...........");
    assert_eq!(overlaid.as_deref(), Some(&b"..EARLY...L"[..]));
    assert_eq!(stream.overlay(2, b"..EARLY...L"), None);
    assert!(stream.append(b"abcdefg", &mut Spares::default()));
    assert_eq!(stream.tail(Offset::ZERO), b"abcdEAR");
    stream.commit(stream.appended(), &mut Spares::default());
    assert_eq!(join(&mut stream), 2);
    assert_eq!(kept(&stream, 0), b"abcdEARLY");
    assert!(!stream.append(b"ijk", &mut Spares::default()));
    stream.commit(stream.appended(), &mut Spares::default());
    assert_eq!(join(&mut stream), 4);
    assert_eq!(kept(&stream, 0), b"abcdEARLYijkLATE");
    assert!(!stream.has_early());
}

#[test]
fn an_edit_of_what_left_early_is_noticed() {
    let mut stream = stream_with(b"");
    assert_eq!(stream.admit_early(4, b"VRFY"), Ok(()));
    stream.append(b"a\r\n.VRFY\r\n", &mut Spares::default());
    assert!(stream.agrees_with_early(Offset::new(10)));
    stream.tail(Offset::new(4)).copy_from_slice(b"XXXX\r\n");
    assert!(!stream.agrees_with_early(Offset::new(10)));
    assert!(stream.agrees_with_early(Offset::new(4)));
}

#[test]
fn what_was_not_committed_never_counts_as_judged() {
    let mut stream = stream_with(b"NOOP\r\n");
    stream.append(b"VRFY root\r\n", &mut Spares::default());
    assert_eq!(stream.judged(), Offset::new(6));
    assert_eq!(stream.acknowledge(at(7), 500, &mut Spares::default()), Err(Violation::AckOfUnsent));
    // The judgement never ended; the same bytes come again and are fresh.
    assert_eq!(stream.place(at(6), 11), Place::At { stale: 0, known: 0 });
    stream.append(b"RSET\r\n", &mut Spares::default());
    assert_eq!(stream.tail(Offset::ZERO), b"RSET\r\n");
    stream.commit(Offset::new(10), &mut Spares::default());
    assert_eq!(kept(&stream, 0), b"NOOP\r\nRSET");
    assert_eq!(stream.appended(), stream.judged());
}

#[test]
fn nothing_is_taken_beyond_the_window() {
    let mut stream = stream_within(Window::new(10, 2), b"");
    // A probe of a closed window carries one byte.
    assert_eq!(stream.within_window(at(0), 100), 11);
    assert_eq!(stream.within_window(at(11), 5), 0);
    pass(&mut stream, b"NOOP\r\n");
    assert_eq!(stream.acknowledge(at(6), 5, &mut Spares::default()), Ok(()));
    assert_eq!(stream.within_window(at(6), 100), 21);
    // An edge never moves back.
    assert_eq!(stream.acknowledge(at(6), 0, &mut Spares::default()), Ok(()));
    assert_eq!(stream.within_window(at(20), 100), 7);
}

#[test]
fn an_ack_no_receiver_could_still_send_is_refused() {
    let mut stream = stream_within(Window::new(100, 0), &[b'x'; 100]);
    assert_eq!(stream.acknowledge(at(100), 50, &mut Spares::default()), Ok(()));
    assert_eq!(stream.acknowledge(at(0), 50, &mut Spares::default()), Ok(()));
    assert_eq!(stream.acknowledge(ISN, 50, &mut Spares::default()), Err(Violation::OldAck));
    assert_eq!(
        stream.acknowledge(at(0x9000_0000), 50, &mut Spares::default()),
        Err(Violation::OldAck)
    );
}

#[test]
fn a_copy_that_says_something_else_is_a_contradiction() {
    let mut stream = stream_with(b"NOOP\r\n");
    pass(&mut stream, b"XXXXXXXXX\r\n");
    stream.note_edit(Offset::new(6), Offset::new(15));
    assert!(!stream.is_contradicted_by(at(0), b"NOOP\r\nVRFY root\r\n"));
    assert!(stream.is_contradicted_by(at(0), b"RSET\r\n"));
    assert!(stream.is_contradicted_by(at(6), b"VRFY root\r\r"));
    assert!(stream.is_contradicted_by(at(6), b"VRFY root\n\n"));
    assert_eq!(stream.acknowledge(at(6), 500, &mut Spares::default()), Ok(()));
    assert!(!stream.is_contradicted_by(at(0), b"RSET\r\nVRFY root\r\n"));
}

/// A monitored flow goes on although what it kept was discarded.
#[test]
fn what_was_discarded_contradicts_nothing_and_moves_nothing() {
    let mut stream = stream_with(b"NOOP\r\nRSET\r\n");
    assert_eq!(stream.acknowledge(at(3), 500, &mut Spares::default()), Ok(()));
    stream.discard();
    assert!(!stream.is_contradicted_by(at(0), b"NOOP\r\nRSET\r\n"));
    assert!(left(&stream, at(0), b"NOOP\r\n").ends_with(b"XXXP\r\n"));
    pass(&mut stream, b"QUIT\r\n");
    assert!(!stream.is_contradicted_by(at(0), b"NOOP\r\nRSET\r\n"));
    assert!(!stream.is_contradicted_by(at(6), b"RSET\r\nQUIT\r\n"));
    assert!(stream.is_contradicted_by(at(6), b"RSET\r\nQUIET\r"));
    assert!(stream.is_contradicted_by(at(14), b"QT\r\n"));
    assert!(left(&stream, at(0), b"NOOP\r\nRSET\r\nquit\r\n").ends_with(b"\r\nRSET\r\nQUIT\r\n"));
}

/// What a payload leaves as.
fn left(stream: &Stream, seq: Seq, payload: &[u8]) -> Vec<u8> {
    let addresses = ["192.0.2.1:9".parse().unwrap(), "192.0.2.2:25".parse().unwrap()];
    let reset = Reset { source: addresses[0], destination: addresses[1], seq, ack: at(0) };
    let mut bytes = [build_reset(&reset).unwrap(), payload.to_vec()].concat();
    bytes[3] += u8::try_from(payload.len()).unwrap();
    let Ok(Parsed::Tcp(packet)) = Packet::parse(&bytes) else { panic!("a packet") };
    let mut out = Vec::new();
    let mut editor = Editor::new(&packet, &mut out);
    stream.restore(seq, payload.len(), &mut editor);
    if editor.finish() { out } else { bytes }
}

#[test]
fn memory_counts_what_is_held_and_gives_it_back() {
    let memory = Arc::new(Memory::new(200_000));
    let mut stream = Stream::new(ISN, Window::unknown(), &memory);
    pass(&mut stream, &[b'x'; 40_000]);
    assert_eq!((stream.held(), memory.held()), (65_536, 65_536));
    assert_eq!(stream.admit_early(100_000, b"far"), Ok(()));
    assert!(stream.held() < 66_000, "far ahead costs no more than near by");
    assert!(memory.has_room(100_000) && !memory.has_room(150_000));
    assert_eq!(stream.acknowledge(at(39_999), 500, &mut Spares::default()), Ok(()));
    assert_eq!(memory.held(), 65_536 + 3 + 96, "one byte keeps its block, a chunk its place");
    drop(stream);
    assert_eq!(memory.held(), 0);
}

#[test]
fn a_payload_below_the_ack_leaves_blank() {
    let mut stream = stream_with(b"NOOP");
    assert_eq!(stream.acknowledge(at(4), 500, &mut Spares::default()), Ok(()));
    assert!(left(&stream, at(0), b"VRFY").ends_with(b"XXXX"));
}

#[test]
fn sixteen_runs_are_kept_and_no_more() {
    let mut stream = stream_with(b"");
    for run in 0..16 {
        assert_eq!(stream.admit_early(10 + run * 10, b"run"), Ok(()));
    }
    assert_eq!(stream.admit_early(500, b"run"), Err(Violation::TooManyGaps));
    // What lengthens a run, or makes one of two, begins none.
    assert_eq!(stream.admit_early(13, b"longer"), Ok(()));
    assert_eq!(stream.admit_early(18, b"ab"), Ok(()));
    assert_eq!(stream.admit_early(500, b"run"), Ok(()));
    assert_eq!(stream.admit_early(600, b"run"), Err(Violation::TooManyGaps));
}

#[test]
fn resets_name_both_ends_of_what_may_be_in_flight() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(0), at(6)]);
    assert_eq!(stream.acknowledge(at(6), 500, &mut Spares::default()), Ok(()));
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(6)]);
    assert!(stream.admit_fin(at(6)));
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(6), at(7)]);
}

#[test]
fn a_store_is_a_queue_whose_last_part_is_one_slice() {
    let memory = Arc::default();
    let mut store = Store::new(&memory);
    let mut spares = Spares::default();
    let (mut model, mut start) = (Vec::new(), 0_u64);
    let mut state = 7_u32;
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [kind, value, size, _] = state.to_be_bytes();
        let size = usize::from(size) * if kind & 8 == 0 { 1 } else { 900 };
        let end = Offset::new(start + model.len() as u64);
        if kind & 1 == 0 {
            let bytes = vec![value; size];
            store.append(end, &bytes, &mut spares);
            model.extend_from_slice(&bytes);
            assert_eq!(store.last(end), bytes);
            let kept = size - usize::from(value) % (size + 1);
            store.take_back(end.after(kept as u64), &mut spares);
            model.truncate(model.len() - size + kept);
        } else {
            let forgotten = (size * 2).min(model.len());
            model.drain(..forgotten);
            start += forgotten as u64;
            store.forget(Offset::new(start), &mut spares);
        }
        let end = Offset::new(start + model.len() as u64);
        assert_eq!(store.end(end), end);
        assert!(store.held() >= model.len());
        assert_eq!(memory.held(), store.held());
        let skip = usize::from(value).min(model.len());
        let from = Offset::new(start + skip as u64);
        let mut rest = &model[skip..];
        for part in store.from(from) {
            rest = rest.strip_prefix(part).unwrap();
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn a_store_gives_what_it_keeps_before_an_offset() {
    let mut store = Store::new(&Arc::default());
    let mut end = Offset::ZERO;
    for value in *b"abc" {
        store.append(end, &[value; 40_000], &mut Spares::default());
        end = end.after(40_000);
    }
    let before = |offset| store.before(Offset::new(offset)).map(<[u8]>::len).sum::<usize>();
    assert_eq!([0, 40_000, 50_000, 120_000].map(before), [0, 40_000, 50_000, 120_000]);
}

#[test]
fn small_payloads_share_a_block() {
    let mut stream = stream_with(b"NOOP\r\n");
    pass(&mut stream, b"NOOP\r\n");
    assert_eq!(stream.held(), 64);
}

#[test]
fn what_others_have_is_counted_until_it_is_dropped() {
    let memory = Arc::new(Memory::new(1_000));
    let mut reserved = Reserved::new(&memory);
    for bytes in [300, 100, 200] {
        reserved.set(bytes);
        assert_eq!((reserved.held(), memory.held()), (bytes, bytes));
    }
    drop(reserved);
    assert_eq!(memory.held(), 0);
}

#[test]
fn an_ack_lacks_what_did_not_come() {
    let mut stream = stream_within(Window::new(100, 0), b"NOOP\r\n");
    assert!(!stream.has_early());
    assert_eq!(stream.admit_early(4, b"EARLY"), Ok(()));
    assert!(stream.has_early());
    assert_eq!([0, 6, 7, 15].map(|offset| stream.lacks(at(offset))), [false, false, true, true]);
    pass(&mut stream, b"fill");
    assert_eq!([10, 15, 16].map(|offset| stream.lacks(at(offset))), [false, false, true]);
    let known = [(0, 5), (1, 4), (0, 6), (5, 1)];
    let known = known.map(|(distance, length)| stream.has_early_at(distance, length));
    assert_eq!(known, [true, true, false, false]);
    assert!(stream.is_offered(at(101)) && !stream.is_offered(at(102)));
    stream.acknowledge_early(at(15), 100, &mut Spares::default());
    assert_eq!(stream.acknowledged(), Offset::new(10));
    assert!(stream.is_offered(at(116)));
}

#[test]
fn a_gap_ends_where_bytes_were_let_through() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert_eq!(stream.admit_early(4, b"EARLY"), Ok(()));
    assert_eq!(stream.skip_gap(at(6), &mut Spares::default()), None);
    assert_eq!(stream.skip_gap(at(8), &mut Spares::default()), Some(2));
    assert_eq!(stream.skip_gap(at(15), &mut Spares::default()), Some(2));
    assert_eq!(stream.judged(), Offset::new(10));
}

#[test]
fn chunks_that_touch_are_one_and_large_ones_may_grow() {
    let mut stream = stream_with(b"");
    assert_eq!(stream.admit_early(4, &[b'a'; 40_000]), Ok(()));
    assert_eq!(stream.held_early(), BLOCK + 96);
    assert_eq!(stream.admit_early(40_004, &[b'b'; 20_000]), Ok(()));
    assert_eq!(stream.held_early(), BLOCK + 96);
    // Half a block is not likely to grow.
    let mut stream = stream_with(b"");
    assert_eq!(stream.admit_early(4, &[b'a'; BLOCK / 2]), Ok(()));
    assert_eq!(stream.held_early(), BLOCK / 2 + 96);
}

#[test]
fn a_fin_ahead_of_a_gap_stands_where_it_was_offered() {
    let mut stream = stream_within(Window::new(100, 0), b"NOOP\r\n");
    for refused in [200, 5] {
        stream.note_fin(at(refused));
        assert_eq!(stream.fin(), None);
    }
    for later in [9, 12] {
        stream.note_fin(at(later));
        assert_eq!(stream.fin(), Some(Offset::new(9)));
    }
    for (ack, is_finished) in [(9, false), (10, true), (6, true)] {
        stream.acknowledge_early(at(ack), 50, &mut Spares::default());
        assert_eq!(stream.is_finished(), is_finished, "{ack}");
    }
}

#[test]
fn an_ack_of_the_last_byte_is_not_yet_one_of_the_fin() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert!(stream.admit_fin(at(6)));
    for (ack, is_finished) in [(6, false), (7, true)] {
        assert_eq!(stream.acknowledge(at(ack), 50, &mut Spares::default()), Ok(()));
        assert_eq!(stream.is_finished(), is_finished, "{ack}");
    }
}

#[test]
fn where_the_window_is_unknown_an_old_ack_is_believed() {
    let mut stream = stream_with(&[b'x'; 60_000]);
    assert_eq!(stream.acknowledge(at(60_000), 10, &mut Spares::default()), Ok(()));
    assert_eq!(stream.acknowledge(at(100), 10, &mut Spares::default()), Ok(()));
}

#[test]
fn an_opaque_stream_counts_what_passed() {
    let mut stream = stream_with(b"NOOP\r\n");
    stream.make_opaque();
    stream.pass_opaque(at(6), 10);
    stream.pass_opaque(at(0), 6);
    assert_eq!(stream.judged(), Offset::new(16));
}

#[test]
fn what_is_ahead_of_a_gap_is_restored_with_its_bounds() {
    let mut stream = stream_with(b"");
    (0..16).for_each(|run| assert_eq!(stream.admit_early(10 + run * 10, b"run"), Ok(())));
    assert_eq!(stream.admit_early(13, b"longer"), Ok(()));
    let bytes = postcard::to_allocvec(&stream).unwrap();
    let state: StreamState = postcard::from_bytes(&bytes).unwrap();
    let mut restored = state.restore(&Arc::default());
    assert!(restored.has_early_at(10, 9) && restored.has_early_at(160, 3));
    assert_eq!(restored.admit_early(500, b"run"), Err(Violation::TooManyGaps));
    assert_eq!(restored.admit_early(19, b"a"), Ok(()));
    assert_eq!(restored.admit_early(500, b"run"), Ok(()));
}

#[test]
fn a_violation_says_its_name() {
    assert_eq!(Violation::OldAck.to_string(), "old-ack");
}
