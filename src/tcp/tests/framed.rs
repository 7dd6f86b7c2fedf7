//! Framed streams: what is kept of them, what that costs, and where they may end.

use super::*;

/// Four headers of seven bytes, two of them in a row, and a hundred bytes of payload behind each.
fn framed(memory: &Arc<Memory>) -> Stream {
    let mut stream = Stream::new(ISN, Window::unknown(), memory);
    stream.frame();
    for parts in [["HEADER1", ""], ["HEAD", "ER2"], ["HEADER3H", "EADER4"]] {
        parts.iter().for_each(|part| stream.keep(part.as_bytes()));
        stream.skip(100);
    }
    stream
}

#[test]
fn the_headers_of_a_framed_stream_have_one_value() {
    let memory = Arc::default();
    let stream = framed(&memory);
    let bytes = postcard::to_allocvec(&stream).unwrap();
    let state: StreamState = postcard::from_bytes(&bytes).unwrap();
    for stream in [&stream, &state.restore(&Arc::default())] {
        for (place, header) in [(0, "HEADER1"), (107, "HEADER2"), (214, "HEADER3HEADER4")] {
            assert!(!stream.differs_from_kept(at(place), header.as_bytes()));
            for index in 0..header.len() {
                let mut copy = header.as_bytes().to_vec();
                copy[index] = b'x';
                assert!(stream.differs_from_kept(at(place), &copy), "{header} {index}");
            }
        }
        assert!(!stream.differs_from_kept(at(7), &[b'x'; 100]));
    }
    drop(stream);
    assert_eq!(memory.held(), 0);
}

/// However a header comes, all of it is kept, and at the same cost.
#[test]
fn a_header_is_kept_whole_whatever_pieces_it_comes_in() {
    let header = b"HEADER1HEADER2HEADER3HEADER4";
    let cuts = (0..=header.len()).flat_map(|one| (one..=header.len()).map(move |two| (one, two)));
    for (one, two) in cuts {
        let mut stream = Stream::new(ISN, Window::unknown(), &Arc::default());
        stream.frame();
        for piece in [&header[..one], &header[one..two], &header[two..]] {
            stream.keep(piece);
        }
        for index in 0..header.len() {
            let mut copy = *header;
            copy[index] = b'x';
            assert!(stream.differs_from_kept(at(0), &copy), "{one} {two}: {index}");
        }
        assert!(!stream.differs_from_kept(at(0), header), "{one} {two}");
        assert_eq!(stream.held(), 4 * 16, "{one} {two}");
    }
}

#[test]
fn headers_of_one_size_are_kept_at_once_as_one_by_one() {
    let gaps = [9, 2, 16_401, u16::MAX, 1];
    let pieces = gaps.iter().zip(1..).map(|(gap, number)| ([number; 5], *gap));
    let (memory, other) = (Arc::default(), Arc::default());
    let (mut at_once, mut single) = (framed(&memory), framed(&other));
    at_once.keep_each(pieces.clone());
    for (piece, gap) in pieces {
        single.keep(&piece);
        single.skip(gap.into());
    }
    assert_eq!(at_once.judged(), single.judged());
    for place in 0..at_once.judged().value() {
        for byte in 0..=5 {
            let [one, two] = [&at_once, &single]
                .map(|stream| stream.differs_from_kept(at(u32::try_from(place).unwrap()), &[byte]));
            assert_eq!(one, two, "{place} {byte}");
        }
    }
    assert_eq!((memory.held(), other.held()), (at_once.held(), single.held()));
}

#[test]
fn headers_cost_little_and_are_counted() {
    let memory = Arc::default();
    let mut stream = framed(&memory);
    (0..7 * 60).for_each(|_| stream.keep(b"x"));
    assert_eq!(stream.held(), 64 * 16);
    assert_eq!(memory.held(), stream.held());
    assert_eq!(stream.admit_early(50, b"early"), Ok(()));
    assert_eq!(memory.held(), stream.held());
}

#[test]
fn a_framed_stream_ends_within_what_was_announced() {
    let mut stream = framed(&Arc::default());
    stream.leave(at(0), 107);
    assert!(!stream.admit_fin(at(106)));
    assert!(!stream.admit_fin(at(329)));
    assert!(stream.admit_fin(at(200)));
}

#[test]
fn what_passes_behind_framing_is_what_a_reset_names() {
    let mut stream = framed(&Arc::default());
    stream.leave(at(0), 107);
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(0), at(107)]);
    stream.make_opaque();
    stream.pass_opaque(at(107), 50);
    assert_eq!(stream.reset_seqs().collect::<Vec<_>>(), [at(0), at(157)]);
}
