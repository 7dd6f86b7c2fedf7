//! TCP options: what is left of a list after blanking, against a reader of its own.
//!
//! Input: one byte (odd: the list of a SYN), then the list, up to 40 bytes.

use mailguard::wire::{maximum_segment_size, restrict_options};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let is_syn = input.byte() & 1 == 1;
    let before = input.bytes(40);
    let mut after = before.to_vec();
    let has_changed = restrict_options(&mut after, is_syn);
    assert_eq!(after.len(), before.len());
    assert_eq!(has_changed, after != before, "{before:x?} became {after:x?}");
    assert_eq!(after, expected(before, is_syn), "{before:x?}");

    let mut again = after.clone();
    assert!(!restrict_options(&mut again, is_syn), "{after:x?} became {again:x?}");

    let mss = list(&after)
        .iter()
        .find(|option| option[0] == 2)
        .map(|option| u16::from_be_bytes([option[2], option[3]]));
    assert_eq!(maximum_segment_size(&after), mss, "{after:x?}");
    // A list that nobody has cleaned is read without a panic.
    let _ = maximum_segment_size(before);
}

/// The options of a list, up to its end or its first fault.
fn list(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut options, mut at) = (Vec::new(), 0);
    while at < bytes.len() && bytes[at] != 0 {
        let length = match (bytes[at], bytes.get(at + 1)) {
            (1, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            _ => break,
        };
        let Some(option) = bytes.get(at..at + length) else { break };
        options.push(option);
        at += length;
    }
    options
}

/// The list with NOPs for all that may not pass: every kind once, of its one length.
fn expected(bytes: &[u8], is_syn: bool) -> Vec<u8> {
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    for option in list(bytes) {
        let passes = match (option[0], option.len()) {
            (1, _) | (8, 10) => true,
            (2, 4) | (3, 3) | (4, 2) => is_syn,
            (5, 10 | 18 | 26 | 34) => !is_syn,
            _ => false,
        };
        let is_first = option[0] == 1 || !seen.contains(&option[0]);
        seen.push(option[0]);
        if passes && is_first {
            match option {
                // No longer segment fits into what the queue shows.
                [2, _, size @ ..] if *size > [0xFD, 0xE8][..] => out.extend([2, 4, 0xFD, 0xE8]),
                _ => out.extend_from_slice(option),
            }
        } else {
            out.resize(out.len() + option.len(), 1);
        }
    }
    // Behind an end there is nothing; a fault is blanked with all that follows it.
    let filler = if bytes.get(out.len()) == Some(&0) { 0 } else { 1 };
    out.resize(bytes.len(), filler);
    out
}
