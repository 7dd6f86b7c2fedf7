//! What a server takes: counted as Exim does it, and what leaves beyond it, in every cut.

use super::Size;
use crate::guard::tests::{Talk, changed, random};
use crate::guard::{Excess, Guard, Rule, Ruling, Watch};
use crate::smtp::Fault;
use crate::smtp::Speaker::{Client, Server};

/// Exim's count of a message, byte by byte: what it adds when it stores them. In a header it folds
/// where a CR or LF stands alone, and where a line's first byte stands depends on that.
fn exim(bytes: &[u8], is_header: bool, has_lone_lines: bool) -> u32 {
    let (mut count, mut last, mut is_line_start) = (0, 0, true);
    for &byte in bytes {
        let is_pair = last == b'\r' && byte == b'\n';
        let is_added_dot = byte == b'.' && is_line_start;
        count += u32::from(!is_pair && !is_added_dot);
        if is_header {
            count += u32::from(byte == b'\n' && !is_pair);
            count += u32::from(last == b'\r' && !is_pair);
        }
        is_line_start = is_pair || (has_lone_lines && matches!(byte, b'\r' | b'\n'));
        last = byte;
    }
    count
}

fn counted(pieces: [&[u8]; 2]) -> Size {
    let mut size = Size::default();
    for piece in pieces {
        size.add(piece, false, true);
    }
    size
}

#[test]
fn what_exim_counts_lies_between_the_least_and_the_most_whatever_the_cut() {
    let mut random = random(7);
    for _ in 0..3_000 {
        let length = random(12);
        let mut bytes: Vec<u8> = (0..length).map(|_| b"\r\n\r\n.a"[random(6)]).collect();
        // What a CR at the end is, nobody knows yet.
        bytes.push(b'a');
        let whole = counted([&bytes, b""]);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let size = counted([head, tail]);
            assert_eq!(size, whole, "{bytes:?} at {cut}");
        }
        let most = whole.octets;
        let least = most.saturating_sub(whole.doubtful);
        for has_lone_lines in [false, true] {
            let count = exim(&bytes, false, has_lone_lines);
            assert!((least..=most).contains(&count), "{bytes:?}: {least} to {most}, {count}");
            // Of a header nothing is sure but that it is no more.
            assert!(exim(&bytes, true, has_lone_lines) <= most, "{bytes:?}: {most}");
        }
        let mut header = Size::default();
        header.add(&bytes, true, true);
        assert_eq!((header.octets, header.doubtful), (most, most), "{bytes:?}");
        let has_lone = bytes.windows(2).any(|two| (two[0] == b'\r') != (two[1] == b'\n'))
            || bytes.first() == Some(&b'\n');
        assert_eq!(whole.doubtful > 0, has_lone, "{bytes:?}");
    }
}

/// A dot inside a line, with a line end behind it.
#[test]
fn a_line_that_ends_in_a_dot_is_seen_whatever_the_cut() {
    let found = |pieces: &[&[u8]]| {
        let mut size = Size::default();
        pieces.iter().any(|piece| {
            let is_found = size.before.ends_line_in_dot(piece);
            size.add(piece, false, true);
            is_found
        })
    };
    let mut random = random(9);
    for _ in 0..1_000 {
        let bytes: Vec<u8> = (0..random(9)).map(|_| b"\r\n\r\n..a"[random(7)]).collect();
        let expected = (1..bytes.len().saturating_sub(1)).any(|dot| {
            let is_line_start = dot >= 2 && &bytes[dot - 2..dot] == b"\r\n";
            bytes[dot] == b'.' && b"\r\n".contains(&bytes[dot + 1]) && !is_line_start
        });
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(found(&bytewise), expected, "{bytes:?} byte by byte");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(found(&pieces), expected, "{pieces:?}");
            }
        }
    }
}

#[test]
fn long_runs_are_counted_as_short_ones_are() {
    let text = b"\r\n.\r\n\r\r\n..a\n.\r\n".repeat(3_000);
    for length in [0, 1, 63, 64, 65, 66, 67, 130, 16_320, 16_385, 40_000] {
        let bytes = &text[..length];
        let mut size = Size::default();
        bytes.chunks(1).for_each(|byte| size.add(byte, false, true));
        assert_eq!(counted([bytes, b""]), size, "{length}");
    }
}

/// A message that DATA has begun, behind this answer to EHLO (or to HELO, if it is one line).
fn begin(talk: &mut Talk, offer: &str, piece: usize) {
    talk.say(Server, b"220 a\r\n", 99);
    let hello = if offer.starts_with("250-") { b"EHLO a\r\n" } else { b"HELO a\r\n" };
    talk.say(Client, hello, 99);
    talk.say(Server, offer.as_bytes(), piece);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 99);
    talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
    talk.say(Client, b"DATA\r\n", 99);
    talk.say(Server, b"354 go\r\n", 99);
}

#[test]
fn text_beyond_what_the_server_takes_leaves_masked() {
    // All that counts for certain is so much text, and 6, 3 and 8 behind it.
    let start = format!("Subject: x\r\n\r\n{}", "a".repeat(70_000));
    let message = "aaaaa\r\nbb\r\n..cccccd\r\nEXPN b\r\nd.\r\n.\r\n";
    let behind = "MAIL FROM:<e@f>\r\n";
    for (offer, expected) in [
        ("250-a\r\n250 SIZE 70012\r\n", "aaaaa\r\nbb\r\n..ccXXXX\r\nXXXXXX\r\nXX\r\n.\r\n"),
        (
            "250-a\r\n250-SIZE 70015\r\n250 DSN\r\n",
            "aaaaa\r\nbb\r\n..cccccX\r\nXXXXXX\r\nXX\r\n.\r\n",
        ),
        ("250-a\r\n250-SIZE 1\r\n250 SIZE 70099\r\n", message),
        ("250-a\r\n250 SIZE 9\r\n", message),
        ("250-a\r\n250 SIZE 0\r\n", message),
        ("250-a\r\n250 SIZE\r\n", message),
        ("250-a\r\n250 SIZE 99999999999\r\n", message),
        ("250-a\r\n250 DSN 70005\r\n", message),
        ("250 SIZE 70005\r\n", message),
    ] {
        for piece in 1..=message.len() {
            let mut talk = Talk::new(&changed("esmtp", &[]));
            begin(&mut talk, offer, piece);
            assert_eq!(talk.say(Client, start.as_bytes(), 65_000), start);
            assert_eq!(talk.say(Client, message.as_bytes(), piece), expected, "{offer} {piece}");
            talk.say(Server, b"552 too large\r\n", 99);
            assert_eq!(talk.say(Client, behind.as_bytes(), piece), behind, "{offer} {piece}");
        }
    }
}

#[test]
fn chunks_that_the_server_does_not_take_end_the_flow() {
    let head = "Subject: x\r\n\r\n";
    for (offer, text, ends) in [
        ("250-SIZE 70\r\n", "a".repeat(70 - 12), false),
        ("250-SIZE 70\r\n", "a".repeat(70 - 11), true),
        ("250-SIZE 70\r\n", ".\r\n".repeat(29), false),
        ("250-SIZE 70\r\n", ".\r\n".repeat(30), true),
        ("250-SIZE\r\n", "a".repeat(999), false),
        ("", "a".repeat(999), false),
    ] {
        for size in [1, 3, 9, 9_999] {
            let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "80")]));
            begin(&mut talk, &format!("250-a\r\n250-CHUNKING\r\n{offer}250 DSN\r\n"), 99);
            talk.say(Client, b".\r\n", 99);
            talk.say(Server, b"250 ok\r\n", 99);
            talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 99);
            talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
            for (chunk, last) in [(head, ""), (&*text, " LAST")] {
                talk.say(Client, format!("BDAT {}{last}\r\n", chunk.len()).as_bytes(), size);
                talk.say(Client, chunk.as_bytes(), size);
                talk.say(Server, b"250 ok\r\n", 99);
            }
            let end = ends.then_some(Rule::MessageBytes);
            assert_eq!(talk.ended(), end, "{offer:?} {} by {size}", text.len());
        }
    }
}

#[test]
fn in_a_header_no_line_may_end_in_a_dot_once_it_may_be_too_large() {
    // Exim looks at what it takes where a field ends, and may offer less than it should.
    let fold = format!("{}\r\n ", "a".repeat(60));
    for (field, ends) in [
        (format!("A: {}\r\n", fold.repeat(3)), true),
        (format!("A: {}\r\n\r\n", fold.repeat(3)), true),
        ("A: b\r\n\r\n".to_owned(), false),
    ] {
        let message = format!("{field}x.\r\nmore\r\n.\r\n");
        for piece in [1, 2, 5, 999] {
            let mut talk = Talk::new(&changed("esmtp", &[]));
            begin(&mut talk, "250-a\r\n250 SIZE 100\r\n", piece);
            talk.say(Client, message.as_bytes(), piece);
            assert_eq!(talk.ended(), ends.then_some(Rule::MessageBytes), "{field:?} by {piece}");
        }
    }
}

/// A message whose text grows to these bytes before a dot that ends its line.
fn dotted(octets: usize) -> String {
    let head = "Subject: x\r\n\r\n";
    format!("{head}{}.\r\nmore\r\n.\r\n", "a".repeat(octets - (head.len() - 2)))
}

#[test]
fn a_line_that_ends_in_a_dot_at_the_size_that_is_assumed_ends_the_flow() {
    for (offer, assumed, octets, ends) in [
        ("250 a\r\n", "60", 61, true),
        ("250 a\r\n", "60", 57, false),
        ("250-a\r\n250 DSN\r\n", "60", 61, true),
        ("250 a\r\n", "60", 40, false),
        ("250 a\r\n", "60", 80, false),
        ("250 a\r\n", "0", 61, false),
        ("250-a\r\n250 SIZE 999\r\n", "60", 61, false),
        ("250-a\r\n250 SIZE 60\r\n", "0", 61, false),
        ("250-a\r\n250 SIZE 60\r\n", "999", 61, true),
    ] {
        let message = dotted(octets);
        for piece in 1..=message.len() {
            let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", assumed)]));
            begin(&mut talk, offer, piece);
            let left = talk.say(Client, message.as_bytes(), piece);
            let end = ends.then_some(Rule::MessageBytes);
            assert_eq!(talk.ended(), end, "{offer} {assumed} {octets} in pieces of {piece}");
            assert!(ends || left == message, "{left}");
        }
    }
    // How much of a header counts nobody knows.
    for (head, lone) in [
        ("A: x\n\rb: y\r\n\r\n", 2),
        ("A: x\r\n   \r\nb: y\r\n\r\n", 0),
        ("A: x   \r\r\nb: y\r\n\r\n", 1),
    ] {
        let most = head.len() - head.matches("\r\n").count() + lone;
        for octets in 50..90 {
            let message = format!("{head}{}.\r\n.\r\n", "a".repeat(octets - most));
            let ends = (59..63 + most).contains(&octets);
            for piece in [1, 2, 3, 7, 99] {
                let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "60")]));
                begin(&mut talk, "250 a\r\n", 99);
                talk.say(Client, message.as_bytes(), piece);
                assert_eq!(talk.ended().is_some(), ends, "{head:?} {octets} by {piece}");
            }
        }
    }
    // Without such a dot it passes, whatever its size.
    let message = format!("Subject: x\r\n\r\n{}.\r\n", "abcdefgh\r\n.. ijkl\r\n".repeat(9));
    for piece in 1..=message.len() {
        let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "60")]));
        begin(&mut talk, "250 a\r\n", piece);
        assert_eq!(talk.say(Client, message.as_bytes(), piece), message);
    }
}

/// Not even what is assumed of servers that say nothing of it.
#[test]
fn who_takes_anything_is_held_to_no_size() {
    let message = dotted(61);
    for (offer, ends) in [
        ("250-a\r\n250 DSN\r\n", true),
        ("250-a\r\n250 SIZE\r\n", false),
        ("250-a\r\n250 SIZE 0\r\n", false),
        ("250-a\r\n250 SIZE 5000000000\r\n", false),
    ] {
        let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "60")]));
        talk.say(Server, b"220 a\r\n", 99);
        begin_again(&mut talk, offer);
        talk.say(Client, message.as_bytes(), 99);
        assert_eq!(talk.ended(), ends.then_some(Rule::MessageBytes), "{offer:?}");
    }
    let mut watch = Watch::default();
    (watch.size.offered, watch.size.octets) = (super::UNLIMITED, u32::MAX);
    let guard = Guard::new(changed("esmtp", &[]));
    assert!(guard.has_room(&watch, usize::MAX - 1), "nor where no more is counted");
}

#[test]
fn what_is_taken_is_the_first_number_of_the_last_offer() {
    let message = dotted(61);
    for (offer, ends) in [
        ("250-a\r\n250 SIZE 60\r\n", true),
        ("250-a\r\n250 SIZE 60 5\r\n", true),
        ("250-a\r\n250-SIZE 60\r\n250 DSN 7\r\n", true),
        ("250-a\r\n250-DSN 7\r\n250 SIZE 60\r\n", true),
        ("250-a\r\n250 DSN\r\n", false),
        // No number: servers without a limit say so.
        ("250-a\r\n250 SIZE\r\n", false),
        ("250-a\r\n250 SIZE 0\r\n", false),
        ("250-a\r\n250 SIZE 4294967295\r\n", false),
        ("250-a\r\n250 SIZE 5000000000\r\n", false),
    ] {
        // Whatever an answer before it has said.
        for before in ["250-b\r\n250 SIZE 60\r\n", "250-b\r\n250 SIZE 9\r\n"] {
            let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "999")]));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, b"EHLO a\r\n", 99);
            talk.say(Server, before.as_bytes(), 99);
            begin_again(&mut talk, offer);
            talk.say(Client, message.as_bytes(), 99);
            assert_eq!(talk.ended(), ends.then_some(Rule::MessageBytes), "{before:?} {offer:?}");
        }
    }
}

fn begin_again(talk: &mut Talk, offer: &str) {
    talk.say(Client, b"EHLO a\r\n", 99);
    talk.say(Server, offer.as_bytes(), 99);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", 99);
    talk.say(Server, b"250 ok\r\n250 ok\r\n354 go\r\n", 99);
}

#[test]
fn each_message_has_a_size_of_its_own() {
    for octets in 20..59 {
        let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "60")]));
        begin(&mut talk, "250 a\r\n", 99);
        // The second has no MAIL before it.
        for _ in 0..2 {
            talk.say(Client, dotted(octets).replace("more\r\n", "").as_bytes(), 99);
            talk.say(Server, b"250 ok\r\n", 99);
            talk.say(Client, b"DATA\r\n", 99);
            talk.say(Server, b"354 go\r\n", 99);
        }
        assert_eq!(talk.ended(), None, "{octets}");
    }
}

#[test]
fn a_message_that_grows_too_large_is_told_of_once() {
    let start = format!("Subject: x\r\n\r\n{}", "a".repeat(65_536));
    for (offer, changes, told) in [
        ("65536", &[][..], 1),
        ("65535", &[], 0),
        ("65540", &[], 1),
        ("65600", &[], 0),
        ("65540", &[("size_assumed", "9 log")], 1),
    ] {
        for size in [40_000, 65_551, 99_999] {
            let mut talk = Talk::new(&changed("esmtp", changes));
            begin(&mut talk, &format!("250-a\r\n250 SIZE {offer}\r\n"), 99);
            talk.rulings.clear();
            let message = format!("{start}abc\r\ndef\r\n.\r\n");
            talk.say(Client, message.as_bytes(), size);
            let is_it = |ruling: &&Ruling| {
                matches!(ruling, Ruling::Exceed(Excess { rule: Rule::MessageBytes, .. }))
            };
            assert_eq!(talk.rulings.iter().filter(is_it).count(), told, "{offer} by {size}");
            assert_eq!(talk.ended(), None, "{offer} by {size}");
        }
    }
    // Where that is only logged, a line that ends in a dot ends nothing.
    let mut talk = Talk::new(&changed("esmtp", &[("size_assumed", "60 log")]));
    begin(&mut talk, "250 a\r\n", 99);
    assert_eq!(talk.say(Client, dotted(61).as_bytes(), 99), dotted(61));
    assert!(matches!(talk.rulings.last(), Some(Ruling::Pass)));
    assert_eq!(talk.ended(), None);
}

/// Two rules at the same byte: the one that ends the flow is said.
#[test]
fn a_size_that_is_told_of_hides_no_limit_of_the_header() {
    for (assumed, limit) in [("60", "50"), ("60", "61"), ("60 log", "61")] {
        for size in [1, 99] {
            let changes = [("size_assumed", assumed), ("header_line_max", limit)];
            let mut talk = Talk::new(&changed("esmtp", &changes));
            begin(&mut talk, "250 a\r\n", 99);
            talk.say(Client, format!("{}.\r\n", "a".repeat(61)).as_bytes(), size);
            assert_eq!(talk.ended(), Some(Rule::HeaderLine), "{assumed} {limit} by {size}");
        }
    }
}

/// The server has heard enough, and says so before the client says more.
#[test]
fn a_refusal_of_a_message_as_large_as_may_be_is_told_of() {
    for (text, piece) in [(65_536, 1), (65_536, 99), (65_000, 99)] {
        let mut talk = Talk::new(&changed("esmtp", &[]));
        begin(&mut talk, "250-a\r\n250 SIZE 65536\r\n", 99);
        talk.say(Client, format!("\r\n{}", "a".repeat(text)).as_bytes(), 9_999);
        assert_eq!(talk.faults, []);
        let refusal = "552 too large\r\n";
        assert_eq!(talk.say(Server, refusal.as_bytes(), piece), refusal, "{text} by {piece}");
        assert_eq!(talk.faults, [Fault::ReplyInsideData], "{text} by {piece}");
    }
}
