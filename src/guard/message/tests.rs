//! Limits on messages: the last byte, line and field that pass and the first beyond, in every cut
//! into two and byte by byte.

use std::fmt::Debug;

use super::{Header, LineEnds, Look, Message, MessageBefore, Place};
use crate::guard::tests::{Talk, changed, random};
use crate::guard::{Excess, Guard, Rule, Ruling, Settings, Watch};
use crate::patch::{Catalogue, Plan, State};
use crate::smtp::Speaker::{Client, Server};

/// What ends the flow, and the limits that were only logged.
type Said = (Option<Rule>, Vec<(Rule, u32)>);

/// What is said of a message under these limits, whatever the cut; `chunks`: sent as one, without
/// dots added and without an end.
fn said(limits: &[(&str, &str)], message: &[u8], in_chunk: bool) -> Said {
    let mut all: Option<Said> = None;
    let off = ["header_bytes_max", "header_fields_max"].map(|name| (name, "0"));
    let settings = changed("esmtp", &[&off[..], limits].concat());
    for (cut, size) in (0..message.len()).map(|cut| (cut, 999_999)).chain([(0, 1), (0, 3)]) {
        let mut talk = Talk::new(&settings);
        begin(&mut talk, message.len(), in_chunk);
        talk.say(Client, &message[..cut], size);
        talk.say(Client, &message[cut..], size);
        let said = (talk.ended(), noted(&talk.rulings));
        let shown = String::from_utf8_lossy(message);
        assert_eq!(*all.get_or_insert_with(|| said.clone()), said, "cut {cut} {size}: {shown}");
    }
    all.unwrap_or_default()
}

fn begin(talk: &mut Talk, length: usize, in_chunk: bool) {
    talk.begin(b"250-a\r\n250 CHUNKING\r\n");
    if in_chunk {
        talk.say(Client, format!("BDAT {length} LAST\r\n").as_bytes(), 99);
    } else {
        talk.say(Client, b"DATA\r\n", 99);
        talk.say(Server, b"354 go\r\n", 99);
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what is told of a limit is asked for")]
fn noted(rulings: &[Ruling]) -> Vec<(Rule, u32)> {
    let excesses = rulings.iter().filter_map(|ruling| match ruling {
        Ruling::Exceed(Excess { rule, count, is_end: false, .. }) => Some((*rule, *count)),
        _ => None,
    });
    excesses.collect()
}

/// Whether this limit ends a message with this text, and the same in a chunk.
fn ends(name: &str, limit: &str, rule: Rule, text: &str) -> bool {
    let by_data = said(&[(name, limit)], format!("{text}\r\n.\r\n").as_bytes(), false);
    assert!(by_data.0.is_none_or(|found| found == rule) && by_data.1.is_empty());
    by_data.0.is_some()
}

#[test]
fn bytes_of_a_header_count_up_to_its_empty_line() {
    let ends = |text: &str| ends("header_bytes_max", "12", Rule::HeaderBytes, text);
    assert!(!ends("a: b\r\nc: d\r\n\r\nbody and more of it"));
    assert!(!ends("a: b\nc: d\r\n\nbody and more of it"));
    assert!(ends("a: b\r\nc: dd\r\n\r\nbody"));
    assert!(ends("a: b\r\nno end of it"));
    assert!(!ends("\r\nno header at all, and more"));
    assert!(!ends("a: b\r\nc: "), "the end of the message counts as a line of one byte");
    assert!(ends("a: b\r\nc: d"));
    assert!(!ends("a: b\r\n..:"), "a dot that was added counts as well");
    assert!(ends("a: b\r\n..: d"));
    assert!(ends("a: b\r\nc:\rd\re"), "a lone CR is text");
    assert!(!ends("a: b\r\nc\rd\r\n\r\n"), "and counts twice");
    assert!(ends("a: b\r\nc\rde\r\n\r\n"));
    assert!(ends("a: b\ncd: d\n\n"), "as a lone LF does");
    assert!(!ends(""));
}

#[test]
fn a_lone_lf_ends_no_header_whose_first_line_ended_in_crlf() {
    let goes_on = |end: &str| {
        let text = format!("{end}body and more of it");
        ends("header_bytes_max", "20", Rule::HeaderBytes, &text)
    };
    for end in ["\n\n", "\n\r\n", "\n\nc: d\n\n"] {
        assert!(goes_on(&format!("a: b\r\nc: d{end}")), "{end:?}");
        assert!(goes_on(&format!("a: b\r\r\nc: d{end}")), "{end:?}");
    }
    // There a dot is text, too, and counts wherever it stands.
    let ends = |text: &str| ends("header_bytes_max", "12", Rule::HeaderBytes, text);
    assert!(ends("a: b\r\nc\n.d"));
    assert!(ends("a: b\r\nc\r\n.d"));
    for end in ["\n\n", "\n\r\n", "\r\n\n", "\r\n\r\n"] {
        assert!(!goes_on(&format!("a: b\nc: d{end}")), "{end:?}");
    }
    for end in ["\r\n\r\n", "\r\n\n", "\nc\r\n\r\n", "\n\r\n\r\n", "\n\r\n\n"] {
        assert!(!goes_on(&format!("a: b\r\nc: d{end}")), "{end:?}");
    }
    for end in ["\n", "\r\n"] {
        assert!(!goes_on(end), "{end:?}");
    }
}

#[test]
fn a_header_ends_at_its_empty_line_alone() {
    let ends = |text: &str| ends("header_bytes_max", "20", Rule::HeaderBytes, text);
    for line in [" ", "\t", "no colon", ": none", "..", "\r"] {
        assert!(ends(&format!("a: b\r\n{line}\r\nc: d and more\r\n")), "{line:?}");
    }
    assert!(!ends("a: b\r\n\r\nc: d and more of this\r\n"));
    assert!(!ends("a: b\n\nc: d and more of this\r\n"));
    assert!(!ends("a: b\n\r\nc: d and more of this\r\n"));
}

#[test]
fn lines_count_without_their_ends_and_without_added_dots() {
    for (name, rule, start) in [
        ("header_line_max", Rule::HeaderLine, ""),
        ("body_line_max", Rule::BodyLine, "Subject: a longer one\r\n\r\n"),
    ] {
        let ends = |text: &str| ends(name, "10", rule, &format!("{start}{text}"));
        assert!(!ends("0123456789\r\n0123456789\n..23456789\r\n"));
        assert!(ends("01234567890\r\n"));
        assert!(ends("0123456789\ra\r\n"));
        assert!(ends("0123456789\r\r\n"));
        // Of a lone CR the LF at the line's end makes no CRLF.
        assert!(!ends("01234567\ra\n"));
        assert!(ends("012345678\ra\n"));
        assert!(ends("a\r\n..1234567890\r\n"));
        assert!(!ends(&"0123456789\r\n".repeat(9)));
    }
    let header = "Subject: a longer one\r\n\r\n";
    assert!(!ends("header_line_max", "21", Rule::HeaderLine, &format!("{header}{header}")));
    let body = format!("a: b\r\n\r\n{header}");
    assert!(!ends("header_line_max", "10", Rule::HeaderLine, &body));
}

#[test]
fn bytes_of_a_body_count_line_ends_too() {
    let ends = |text: &str| ends("body_bytes_max", "10", Rule::BodyBytes, text);
    assert!(!ends("a header of some length: b\r\n\r\nabc\r\nabc"));
    assert!(ends("a: b\r\n\r\nabc\r\nabcd"));
    assert!(ends("a: b\r\n\r\nabc\n\r\n\nabcd"));
    assert!(!ends("a: b\r\n\r\n..bc\r\n..bc"));
}

#[test]
fn fields_count_and_not_their_continuations() {
    let ends = |text: &str| ends("header_fields_max", "2", Rule::HeaderFields, text);
    assert!(!ends("a: b\r\n c\r\n\td\r\ne: f\r\n\r\ng: h\r\ni: j"));
    assert!(ends("a: b\r\nc: d\r\ne: f"));
    assert!(ends("a: b\nc\n: d"));
    // What stands in a line or in the body is none.
    assert!(!ends("a\rb\rc: d\r\ne: f\r\n"));
    let body = b"a: b\r\nc: d\r\n\r\ne: f\r\ng: h\r\n.\r\n";
    let limits = [("header_fields_max", "2"), ("body_line_max", "99")];
    assert_eq!(said(&limits, body, false), (None, Vec::new()));
}

#[test]
fn a_limit_that_is_only_logged_keeps_no_other_from_ending_the_flow() {
    for (logged, name, rule) in [
        ("header_line_max", "header_bytes_max", Rule::HeaderBytes),
        ("header_line_max", "header_fields_max", Rule::HeaderFields),
        ("body_line_max", "body_bytes_max", Rule::BodyBytes),
    ] {
        let start = if name == "body_bytes_max" { "x: y\r\n\r\n" } else { "" };
        let message = format!("{start}a: bcdefgh\r\nc: d\r\ne: f\r\n\r\n.\r\n");
        for size in [1, 5, 999] {
            let limits = [("header_bytes_max", "0"), (logged, "5 log"), (name, "2")];
            let mut talk = Talk::new(&changed("esmtp", &limits));
            begin(&mut talk, 0, false);
            talk.say(Client, message.as_bytes(), size);
            assert_eq!(talk.ended(), Some(rule), "{name} by {size}");
        }
    }
    // The same number is told however much came at once.
    for size in [1, 999] {
        let mut talk = Talk::new(&changed("esmtp", &[("header_line_max", "5 log")]));
        begin(&mut talk, 0, false);
        talk.say(Client, b"a: bcdefgh\r\n\r\n.\r\n", size);
        assert_eq!(noted(&talk.rulings), [(Rule::HeaderLine, 6)]);
    }
}

#[test]
fn a_limit_that_is_only_logged_is_told_of_once_a_message() {
    let limits =
        [("header_line_max", "5 log"), ("body_line_max", "3 log"), ("body_bytes_max", "13 log")];
    let message = b"a: bcd\r\nc: def\r\n\r\nabcd\r\nabcd\r\nef\r\n.\r\n";
    let expected = vec![(Rule::HeaderLine, 6), (Rule::BodyLine, 4), (Rule::BodyBytes, 14)];
    // Of several in one packet the first is told of.
    let mut talk = Talk::new(&changed("esmtp", &limits));
    begin(&mut talk, 0, false);
    talk.say(Client, message, 1);
    assert_eq!((talk.ended(), noted(&talk.rulings)), (None, expected.clone()));
    talk.say(Server, b"250 ok\r\n", 99);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", 99);
    talk.say(Server, b"250 ok\r\n250 ok\r\n354 go\r\n", 99);
    talk.rulings.clear();
    talk.say(Client, message, 1);
    assert_eq!(noted(&talk.rulings), expected, "each message counts anew");
}

/// Random headers under a limit of this name.
fn count_random_headers(name: &str) {
    let mut random = random(11);
    for _ in 0..300 {
        let message: Vec<u8> = (0..random(60)).map(|_| b"\r\r\n.:a \r\n"[random(9)]).collect();
        let limit = (1 + random(40)).to_string();
        for in_chunk in [false, true] {
            let end: &[u8] = if in_chunk { b"x" } else { b"\r\n.\r\n" };
            said(&[(name, &limit)], &[&message[..], end].concat(), in_chunk);
        }
    }
}

#[test]
fn bytes_of_random_headers_count_alike_whatever_the_cut() {
    count_random_headers("header_bytes_max");
}

#[test]
fn lines_of_random_headers_do_so_too() {
    count_random_headers("header_line_max");
}

#[test]
fn fields_of_random_headers_do_so_too() {
    count_random_headers("header_fields_max");
}

#[test]
fn chunks_have_no_dots_added_and_no_end() {
    let limit = [("header_line_max", "10")];
    assert_eq!(said(&limit, b"..23456789\r\n", true).0, None);
    assert_eq!(said(&limit, b"..234567890\r\n", true).0, Some(Rule::HeaderLine));
    let limit = [("header_bytes_max", "12")];
    assert_eq!(said(&limit, b"a: b\r\nc: d\r\n\r\nbody and more", true).0, None);
    assert_eq!(said(&limit, b"a: b\r\nc: d\r\n.\r\n", true).0, Some(Rule::HeaderBytes));
    let mut talk = Talk::new(&changed("esmtp", &limit));
    begin(&mut talk, 10, true);
    talk.say(Client, b"a: b\r\nc: d", 3);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 99);
    talk.say(Server, b"250 ok\r\n250 ok\r\n250 ok\r\n", 99);
    talk.say(Client, b"BDAT 5\r\na: b\rBDAT 7 LAST\r\n\nc: d\r\n", 99);
    assert_eq!(talk.ended(), None, "both chunks are one message, and another one");
}

#[test]
fn what_follows_the_header_is_not_read_where_nothing_is_asked_of_it() {
    let mut talk = Talk::new(&changed("esmtp", &[]));
    begin(&mut talk, 0, false);
    let settings = Guard::new(changed("esmtp", &[("body_line_max", "9")]));
    assert!(talk.reads_message());
    talk.say(Client, b"a: b\r\n\r", 99);
    assert!(talk.reads_message());
    talk.say(Client, b"\n", 99);
    assert!(!talk.reads_message());
    talk.say(Client, b"text\r\n.\r\n", 99);
    assert!(talk.reads_message(), "the next one has a header again");
    assert!(settings.reads_message(&Watch::default()));
}

/// `esmtp` with the patches that are built in.
fn patched(patches: &str, changes: &[(&str, &str)]) -> Settings {
    let mut settings = changed("esmtp", &[&[("patches", patches)], changes].concat());
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    settings
}

#[test]
fn patches_look_into_headers_and_not_into_bodies() {
    let field = "Message-ID: <service status change: x@d>";
    let reset = (Some(Rule::Patch), true);
    for (patches, message, expected) in [
        ("off,zimbra-message-id=on", format!("a: b\r\n{field}\r\n\r\n"), reset),
        ("off,zimbra-message-id=on", format!("a: b\r\n\r\n{field}\r\n"), (None, false)),
        ("off,zimbra-message-id=log", format!("a: b\r\n{field}\r\n\r\n"), (None, true)),
        // What only logs hides nothing that ends the flow.
        (
            "off,zimbra-message-id=on,CVE-2011-1764=log",
            format!("{field}\r\nDKIM-Signature: s=%s%n; i=%n%n\r\n\r\n"),
            reset,
        ),
    ] {
        for size in [1, 9, 999] {
            let limits = [("body_line_max", "99"), ("header_bytes_max", "0")];
            let mut talk = Talk::new(&patched(patches, &limits));
            begin(&mut talk, 0, false);
            talk.rulings.clear();
            talk.say(Client, format!("{message}.\r\n").as_bytes(), size);
            let is_told = |ruling: &Ruling| {
                matches!(ruling, Ruling::Note(Rule::Patch) | Ruling::Reset(Rule::Patch))
            };
            let told = talk.rulings.iter().any(is_told);
            assert_eq!((talk.ended(), told), expected, "{patches} {message:?} by {size}");
        }
    }
}

#[test]
fn the_colon_of_a_field_may_follow_behind_a_fold() {
    let value = "<service status change: x@d>";
    for (message, is_met) in [
        (format!("Message-ID\r\n : {value}\r\n\r\n"), true),
        (format!("message-id \r\n\t\r\n : {value}\r\n\r\n"), true),
        (format!("Message-I\r\n : {value}\r\n\r\n"), false),
        (format!("Message-ID\r\nb: {value}\r\n\r\n"), false),
    ] {
        for size in [1, 9, 999] {
            let mut talk =
                Talk::new(&patched("off,zimbra-message-id=on", &[("header_bytes_max", "0")]));
            begin(&mut talk, 0, false);
            talk.say(Client, message.as_bytes(), size);
            assert_eq!(talk.ended().is_some(), is_met, "{message:?} by {size}");
        }
    }
}

/// sendmail drops NULs wherever they stand.
#[test]
fn nuls_hide_no_field_and_no_text() {
    let field = "Message-ID: <service status change: x@d>";
    for at in 0..field.len() {
        let (before, behind) = field.split_at(at);
        for nuls in ["\0", "\0\0\0"] {
            let message = format!("a: b\r\n{before}{nuls}{behind}\r\n\r\n");
            for size in [1, 9, 999] {
                let limits = [("header_bytes_max", "0")];
                let mut talk = Talk::new(&patched("off,zimbra-message-id=on", &limits));
                begin(&mut talk, 0, false);
                talk.say(Client, message.as_bytes(), size);
                assert_eq!(talk.ended(), Some(Rule::Patch), "{message:?} by {size}");
            }
        }
    }
}

#[test]
fn what_stood_before_a_strike_in_a_header_is_shown() {
    for id in ["Message-ID", "Mes\0sage\0-ID"] {
        let before = format!("a: b\r\n{id}: <service status change:");
        let message = format!("{before} x@d>\r\n\r\ntext\r\n");
        let limits = [("header_bytes_max", "0")];
        let mut talk = Talk::new(&patched("off,zimbra-message-id=log", &limits));
        begin(&mut talk, 0, false);
        talk.say(Client, message.as_bytes(), 999);
        let (start, shown) = talk.draft.shown(message.as_bytes());
        assert_eq!((start, shown), (0, before.as_bytes()));
    }
}

#[test]
fn a_header_is_read_where_anything_asks_for_it() {
    let names = ["header_bytes_max", "header_line_max", "header_fields_max", "size_assumed"];
    let none: Vec<_> = names.iter().map(|name| (*name, "0")).collect();
    let reads = |changes: &[(&str, &str)]| {
        let settings = changed("esmtp", &[&none[..], changes].concat());
        Guard::new(settings).reads_message(&Watch::default())
    };
    assert!(!reads(&[]));
    for name in names {
        assert!(reads(&[(name, "9")]), "{name}");
    }
    assert!(Guard::new(patched("on", &none)).reads_message(&Watch::default()));
}

#[test]
fn an_image_of_the_format_before_knows_how_far_a_message_is() {
    for (received, ends) in [(0, LineEnds::None), (1, LineEnds::Crlf), (9, LineEnds::Crlf)] {
        let (place, told, fields, line, bytes) = (Place::Text, 3, 4, 5, 6);
        let header = Header::default();
        let before = MessageBefore { place, told, fields, line, bytes, received, header };
        let now = Message { place, told, fields, line, bytes, received, header, ends };
        assert_eq!(Message::from(before), now);
    }
}

/// What is said and found of a message that comes in pieces of this size.
fn read(plan: &Plan, settings: &Settings, message: &[u8], size: usize) -> impl PartialEq + Debug {
    let (mut read, mut strikes, mut found) = (Message::default(), Vec::new(), (None, None, 0));
    for (at, piece) in message.chunks(size).enumerate() {
        let plan = Some(plan);
        let mut look = Look { plan, strikes: &mut strikes, before: 0, header: 0, met: None };
        let excess = read.read(settings, piece, true, &mut look);
        let (met, header) = (look.met, look.header);
        found.0 = met.map(|met| (at * size + met.at, met.is_end)).or(found.0);
        found.2 += header;
        if excess.is_some_and(|excess| excess.is_end) || met.is_some_and(|met| met.is_end) {
            // Nothing behind it counts. Of a line that is too long patches may have seen more.
            (found.2, read) = (0, Message::default());
            if let Some(excess) = excess.filter(|excess| excess.is_end) {
                (found.0, found.1) = (None, Some(excess));
                strikes.clear();
            }
            break;
        }
    }
    // Where patches look is remembered more closely where a cut may hide something.
    read.header = Header::default();
    (read, strikes, found)
}

#[test]
fn random_headers_are_read_alike_whatever_the_cut() {
    let pieces: [&[u8]; 25] = [
        b"\0",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b".",
        b"..",
        b" ",
        b"\t",
        b"a",
        b"a:",
        b"To:",
        b"t",
        b":",
        b"<",
        b"<>",
        b"<><><><><>",
        b"() {",
        b"(",
        b"${",
        b"${run{",
        b"DKIM-Signature:",
        b"%",
        b"Subject: and so on",
        b"something longer than what is looked at byte by byte",
    ];
    let catalogue = Catalogue::with(&[]).unwrap();
    let mut random = random(17);
    for (state, limits) in [
        (State::Log, ["0", "0", "0"]),
        (State::On, ["0", "0", "0"]),
        (State::Log, ["40", "0", "0"]),
        (State::Log, ["0", "10 log", "4"]),
        (State::Log, ["90 log", "30", "4 log"]),
    ] {
        let plan = Plan::new(&catalogue, |_| state).unwrap();
        let names = ["header_bytes_max", "header_line_max", "header_fields_max"];
        let limits: Vec<_> = names.into_iter().zip(limits).collect();
        let settings = changed("esmtp", &limits);
        for _ in 0..4_000 {
            let list: Vec<&[u8]> = (0..random(20)).map(|_| pieces[random(25)]).collect();
            let message = list.concat();
            let bytewise = read(&plan, &settings, &message, 1);
            for size in [2, 3, 7, 999] {
                let other = read(&plan, &settings, &message, size);
                assert!(other == bytewise, "{message:?} {size}: {other:?} for {bytewise:?}");
            }
        }
    }
}

/// Where one byte alone becomes a blank, a line that is refused here is one that a server may take.
#[test]
fn a_message_begins_where_its_sender_was_taken_whatever_was_refused() {
    let settings = changed("esmtp", &[("header_bytes_max", "30")]);
    for behind in ["", ";", "\0", " SIZE=1x"] {
        let is_ended = |text: &str| {
            let mut talk = Talk::new(&settings);
            talk.begin(b"250-a\r\n250-SIZE\r\n250 CHUNKING\r\n");
            talk.say(Client, b"BDAT 3\r\n\r\nxRSET\r\n", 99);
            talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
            talk.say(Client, format!("MAIL FROM:<a@b>{behind}\r\n").as_bytes(), 99);
            talk.say(Server, b"250 ok\r\n", 99);
            talk.say(Client, b"RCPT TO:<c@d>\r\nDATA\r\n", 99);
            talk.say(Server, b"250 ok\r\n354 go\r\n", 99);
            talk.say(Client, text.as_bytes(), 99);
            talk.ended()
        };
        assert_eq!(is_ended("H: 45678901234567890123456\r\n\r\n"), None, "{behind:?}");
        let long = "H: 456789012345678901234567890\r\n\r\n";
        assert_eq!(is_ended(long), Some(Rule::HeaderBytes), "{behind:?}");
    }
}
