//! Offsets, places and values: what a stream lets through, keeps and forgets.

use super::*;
use crate::wire::{Editor, Packet, Parsed, Reset, Seq, build_reset};

const ISN: Seq = Seq(0xffff_fff0);

fn stream_with(bytes: &[u8]) -> Stream {
    let mut stream = Stream::new(ISN);
    stream.append(bytes);
    stream
}

fn at(offset: u32) -> Seq {
    ISN.after(1 + offset)
}

#[test]
fn offsets_cross_the_wrap() {
    let stream = stream_with(&[b'x'; 100]);
    for offset in [0, 14, 15, 16, 99, 100, 5_000] {
        assert_eq!(stream.offset(at(offset)), i64::from(offset));
        assert_eq!(stream.seq(u64::from(offset)), at(offset));
    }
    assert_eq!(stream.offset(ISN), -1);
}

#[test]
fn payloads_are_placed_against_ack_and_judged() {
    let mut stream = stream_with(&[b'x'; 20]);
    assert_eq!(stream.acknowledge(at(8)), Ok(()));
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
    assert_eq!(stream.acknowledge(at(7)), Err(Violation::AckOfUnsent));
    assert_eq!(stream.acknowledge(at(4)), Ok(()));
    assert_eq!(stream.acknowledge(at(2)), Ok(()));
    assert_eq!((stream.acknowledged(), stream.judged(), stream.kept()), (4, 6, 2));
    assert!(stream.admit_fin(at(6)));
    assert_eq!(stream.acknowledge(at(7)), Ok(()));
    assert!(stream.is_finished());
    assert_eq!(stream.kept(), 0);
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
    assert_eq!(stream.preview(2, b"..........."), b"..EARLY...L");
    stream.append(b"abcdefg");
    assert_eq!(stream.tail(0), b"abcdEAR");
    assert_eq!(stream.join_early(7), 2);
    assert_eq!(stream.tail(0), b"abcdEARLY");
    stream.append(b"ijk");
    assert_eq!(stream.join_early(3), 4);
    assert_eq!(stream.tail(0), b"abcdEARLYijkLATE");
    assert_eq!(stream.kept(), 16);
}

#[test]
fn an_edit_of_what_left_early_is_noticed() {
    let mut stream = stream_with(b"");
    assert_eq!(stream.admit_early(4, b"VRFY"), Ok(()));
    stream.append(b"a\r\n.....\r\n");
    assert!(stream.agrees_with_early(10));
    stream.tail(4).copy_from_slice(b"XXXX\r\n");
    assert!(!stream.agrees_with_early(10));
}

#[test]
fn a_payload_below_the_ack_leaves_blank() {
    let addresses = ["192.0.2.1:9".parse().unwrap(), "192.0.2.2:25".parse().unwrap()];
    let reset = Reset { source: addresses[0], destination: addresses[1], seq: at(0), ack: at(0) };
    let mut bytes = [build_reset(&reset).unwrap(), b"VRFY".to_vec()].concat();
    bytes[3] += 4;
    let Ok(Parsed::Tcp(packet)) = Packet::parse(&bytes) else { panic!("a packet") };
    let mut stream = stream_with(b"NOOP");
    assert_eq!(stream.acknowledge(at(4)), Ok(()));
    let mut out = Vec::new();
    let mut editor = Editor::new(&packet, &mut out);
    stream.restore(at(0), 4, &mut editor);
    assert!(editor.finish());
    assert!(out.ends_with(b"    "));
}

#[test]
fn sixteen_runs_are_kept_and_no_more() {
    let mut stream = stream_with(b"");
    for run in 0..16 {
        assert_eq!(stream.admit_early(10 + run * 10, b"run"), Ok(()));
    }
    assert_eq!(stream.admit_early(500, b"run"), Err(Violation::TooManyGaps));
}

#[test]
fn resets_name_both_ends_of_what_may_be_in_flight() {
    let mut stream = stream_with(b"NOOP\r\n");
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(0), at(6)]);
    assert_eq!(stream.acknowledge(at(6)), Ok(()));
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(6)]);
    assert!(stream.admit_fin(at(6)));
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(6), at(7)]);
}

#[test]
fn a_store_is_a_queue_whose_last_part_is_one_slice() {
    let mut store = Store::default();
    let mut model = Vec::new();
    let mut state = 7_u32;
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [kind, value, size, _] = state.to_be_bytes();
        let size = usize::from(size) * if kind & 8 == 0 { 1 } else { 900 };
        if kind & 1 == 0 {
            let bytes = vec![value; size];
            store.append(&bytes);
            model.extend_from_slice(&bytes);
            assert_eq!(store.last(size), bytes);
            let back = usize::from(value) % (size + 1);
            assert_eq!(store.take_back(back), vec![value; back]);
            model.truncate(model.len() - back);
        } else {
            store.forget(size * 2);
            model.drain(..(size * 2).min(model.len()));
        }
        assert_eq!((store.len(), store.is_empty()), (model.len(), model.is_empty()));
        let skip = usize::from(value).min(model.len());
        assert!(store.pieces(skip).flatten().eq(&model[skip..]));
    }
}
