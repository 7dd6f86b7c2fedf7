//! What patches say of lines beside what limits say of them.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling, Settings};
use crate::patch::{Catalogue, Deed};
use crate::smtp::Speaker::{Client, Server};

/// All patches that are built in.
fn patched(changes: &[(&str, &str)]) -> Settings {
    let mut settings = changed("esmtp", changes);
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    settings
}

/// The same, logged.
fn logged(changes: &[(&str, &str)]) -> Settings {
    patched(&[&[("patches", "log")], changes].concat())
}

#[test]
fn what_a_patch_logs_hides_no_limit() {
    for size in [1, 5, 999] {
        let settings = logged(&[("failed_auth_max", "1"), ("auth_response_max", "5")]);
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        for _ in 0..2 {
            // A length that base64 never has.
            talk.say(Client, b"AUTH PLAIN dGVzdA=\r\n", size);
            talk.say(Server, b"535 no\r\n", 99);
        }
        assert_eq!(talk.ended(), Some(Rule::FailedAuth), "by {size}");
        assert!(talk.rulings.contains(&Ruling::Note(Rule::Patch)), "by {size}");
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"AUTH PLAIN\r\n", size);
        talk.say(Server, b"334 \r\n", 99);
        talk.say(Client, b"dGVzdA=\r\n", size);
        assert_eq!(talk.ended(), Some(Rule::LongLine), "by {size}");
    }
}

#[test]
fn what_a_limit_logs_hides_no_patch() {
    let is_noted = |ruling: &&Ruling| **ruling == Ruling::Note(Rule::Patch);
    for size in [1, 5, 999] {
        let mut talk = Talk::new(&logged(&[("failed_auth_max", "1 log")]));
        talk.say(Server, b"220 a\r\n", 99);
        for end in ["\r\n", "\r\n", "\n"] {
            talk.say(Client, format!("AUTH PLAIN dGVzdA={end}").as_bytes(), size);
            talk.say(Server, b"535 no\r\n", 99);
        }
        assert_eq!(talk.ended(), None, "by {size}");
        assert_eq!(talk.rulings.iter().filter(is_noted).count(), 3, "by {size}");
        // In the exchange as well.
        let mut talk = Talk::new(&logged(&[]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"AUTH PLAIN\r\n", size);
        talk.say(Server, b"334 \r\n", 99);
        talk.say(Client, b"dGVzdA=\r\n", size);
        assert_eq!(talk.rulings.iter().filter(is_noted).count(), 1, "by {size}");
    }
}

/// A patch of one's own that has these rules, and no other.
fn own(rules: &str, changes: &[(&str, &str)]) -> Settings {
    let text = format!(
        "id = 'X'\ntitle = 'x'\nproducts = [{{ name = 'x', versions = '<2' }}]\n\
         references = ['x']\ngrade = 'M'\nscope = 'cleartext'\ncloses = 'the fault'\n\
         default = 'on'\n{rules}\
         [[test]]\nclient = 'a'\nserver = 'X'\n[[test]]\nclient = 'b'\n"
    );
    let mut settings = changed("esmtp", &[&[("patches", "off,X=on")], changes].concat());
    settings.patches.catalogue = Catalogue::with(&[("X".to_owned(), text)]).unwrap();
    settings
}

/// Refuses recipients with `|`, or with what a mask is made of; ends the flow beyond 150.
const RECIPIENTS: &str = "[[rule]]\nzone = ['rcpt.local']\nbytes = '|x'\ndo = 'refuse'\n\
    [[rule]]\nzone = ['rcpt.path']\nover = 150\ndo = 'reset'\n";

#[test]
fn what_leaves_masked_has_its_length_for_patches_too() {
    let settings = own(RECIPIENTS, &[]);
    for (length, ends) in [(150, false), (151, true), (300, true)] {
        for before in [0, 1, 60, 149] {
            let path = format!("{}|{}", "a".repeat(before), "b".repeat(length - before - 1));
            for size in [1, 7, 64, 100, 999] {
                let mut talk = Talk::new(&settings);
                talk.say(Server, b"220 a\r\n", 99);
                talk.say(Client, format!("RCPT TO:<{path}\r\n").as_bytes(), size);
                let expected = ends.then_some(Rule::Patch);
                assert_eq!(talk.ended(), expected, "{before} of {length} by {size}");
            }
        }
    }
}

/// What only logs would be said of an attack that never came.
#[test]
fn of_what_leaves_masked_only_what_ends_the_flow_is_told() {
    let rules = format!(
        "{RECIPIENTS}[[rule]]\nzone = ['rcpt.path']\nover = 140\ndo = 'log'\n\
         [[rule]]\nzone = ['rcpt.path']\nover = 150\ndo = 'log'\n"
    );
    for size in [1, 7, 999] {
        let mut talk = Talk::new(&own(&rules, &[]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"RCPT TO:<", 99);
        talk.say(Client, b"|", 99);
        talk.say(Client, format!("{}\r\n", "b".repeat(200)).as_bytes(), size);
        assert_eq!(talk.ended(), Some(Rule::Patch), "by {size}");
        let deeds: Vec<_> = talk.draft.strikes.iter().map(|strike| strike.deed).collect();
        assert_eq!(deeds, [Deed::Reset], "by {size}");
    }
}

#[test]
fn a_limit_that_a_masked_path_passes_first_is_named() {
    let settings = own(RECIPIENTS, &[("envelope", "lenient"), ("path_max", "40")]);
    for size in [1, 9, 999] {
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"EHLO a\r\nMAIL FROM:<a@b>\r\n", 99);
        assert_eq!(talk.say(Client, b"RCPT TO:<a", 99), "RCPT TO:<a");
        // The grammar stops behind the path, for which spaces do not count unless masked.
        let rest = format!("x@b>{}\x01{}\r\n", " ".repeat(50), "c".repeat(99));
        talk.say(Client, rest.as_bytes(), size);
        assert_eq!(talk.ended(), Some(Rule::PathLength), "by {size}");
    }
}

/// Had they come alone, bytes behind one that the grammar refuses would not be looked at.
#[test]
fn what_the_grammar_masks_is_no_attack() {
    let rules = "[[rule]]\nzone = ['rcpt.local']\ntext = 'ab'\ndo = 'reset'\n";
    let settings = own(rules, &[("envelope", "lenient")]);
    for (path, ends, left) in
        [("<a;ab@c>", false, "<aXXXXXX"), ("<a;b@c>", false, "<aXXXXX"), ("<cab;@c>", true, "")]
    {
        for size in [1, 7, 999] {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 99);
            let out = talk.say(Client, format!("RCPT TO:{path}\r\n").as_bytes(), size);
            assert_eq!(talk.ended(), ends.then_some(Rule::Patch), "{path} by {size}");
            assert!(ends || out == format!("RCPT TO:{left}\r\n"), "{path} by {size}: {out}");
        }
    }
}

#[test]
fn what_is_logged_in_the_middle_of_a_response_is_told_of() {
    let rules = "[[rule]]\nzone = ['auth.response']\nbytes = 'z'\ndo = 'log'\n";
    for size in [1, 4, 999] {
        let mut talk = Talk::new(&own(rules, &[]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"AUTH PLAIN\r\n", size);
        talk.say(Server, b"334 \r\n", 99);
        talk.rulings.clear();
        talk.say(Client, b"dGVzdA==\r\n", size);
        let notes = talk.rulings.iter().filter(|ruling| **ruling == Ruling::Note(Rule::Patch));
        assert_eq!(notes.count(), 1, "by {size}");
    }
}

/// What is no base64 leaves masked where the stream is read. By the packet it leaves, and is read.
#[test]
fn what_is_odd_in_a_response_is_read_where_it_leaves() {
    let rules = "[[rule]]\nzone = ['auth.response']\nbytes = '%'\ndo = 'reset'\n";
    for (unit, ends) in [("stream", false), ("packet", true)] {
        for size in [1, 4, 999] {
            let mut talk = Talk::new(&own(rules, &[("unit", unit), ("tls_watch", "off")]));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, b"AUTH PLAIN\r\n", 99);
            talk.say(Server, b"334 \r\n", 99);
            let left = talk.say(Client, b"AA!a%b\r\n", size);
            assert_eq!(talk.ended().is_some(), ends, "{unit} by {size}");
            assert!(ends || left == "AAXXXX\r\n", "{left:?}");
        }
    }
}

/// However the line ends, which is where a limit has something to say as well.
#[test]
fn a_patch_that_ends_the_flow_is_named_before_a_limit_that_does() {
    for end in ["\r\n", "\n"] {
        for size in [1, 999] {
            let mut talk = Talk::new(&patched(&[("failed_auth_max", "1")]));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, b"AUTH PLAIN dGVzdA==\r\n", 99);
            talk.say(Server, b"535 no\r\n", 99);
            // A length that base64 never has.
            talk.say(Client, format!("AUTH PLAIN dGVzdA={end}").as_bytes(), size);
            assert_eq!(talk.ended(), Some(Rule::Patch), "{end:?} by {size}");
        }
    }
}

/// What leaves masked counts as long as it is, and no longer.
#[test]
fn a_masked_path_has_its_length() {
    let line = "MAIL FROM:<${run{x}}@example.org>\r\n";
    let path = line.len() - "MAIL FROM:<>\r\n".len();
    for (limit, ends, sizes) in [(path + 1, false, &[1, 7, 99][..]), (path - 5, true, &[1])] {
        for &size in sizes {
            let mut talk = Talk::new(&patched(&[("path_max", &limit.to_string())]));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, line.as_bytes(), size);
            let is_masked = |ruling: &Ruling| *ruling == Ruling::Refuse(Rule::Patch);
            assert!(talk.rulings.iter().any(is_masked), "{limit} by {size}");
            assert_eq!(talk.ended().is_some(), ends, "{limit} by {size}");
        }
    }
}

/// What leaves of a line, in packets of this size.
fn left(settings: &Settings, line: &str, size: usize) -> String {
    let mut talk = Talk::new(settings);
    talk.say(Server, b"220 a\r\n", 99);
    talk.say(Client, line.as_bytes(), size)
}

/// A limit that is only logged masks nothing: what stands behind it arrives, and is looked at.
/// Each strike is told of and counted, so a line is not struck as often as somebody likes.
#[test]
fn an_argument_of_nothing_but_strikes_is_masked_from_one_on() {
    for deed in ["refuse", "blank"] {
        let rule = format!("[[rule]]\nzone = ['noop', 'helo']\nbytes = '{{'\ndo = '{deed}'\n");
        let settings = own(&rule, &[]);
        for (line, expected) in [
            (format!("NOOP {}b", "a{".repeat(16)), format!("NOOP {}b", "aX".repeat(16))),
            (
                format!("NOOP {}b", "a{".repeat(20)),
                format!("NOOP {}X", "aX".repeat(16) + "aXXXXXXX"),
            ),
            (format!("EHLO {}b", "{".repeat(40)), format!("EHLO {}", "X".repeat(41))),
        ] {
            for size in [1, 7, 999] {
                assert_eq!(
                    left(&settings, &format!("{line}\r\n"), size),
                    format!("{expected}\r\n")
                );
            }
        }
    }
}

/// What the grammar makes of the bytes before them changes none of them back.
#[test]
fn what_patches_have_blanked_stays_so_before_a_mask() {
    let rule = "[[rule]]\nzone = ['noop', 'helo']\ntext = 'evil'\ndo = 'blank'\n";
    let settings = own(rule, &[("envelope", "lenient")]);
    for verb in ["NOOP", "HELO"] {
        let line = format!("{verb} ${}\r\n", "evil".repeat(18));
        let expected = format!("{verb} X{}eviXXXXX\r\n", "eviX".repeat(16));
        for size in [1, 7, 999] {
            assert_eq!(left(&settings, &line, size), expected, "{line:?} by {size}");
        }
    }
    let rules = "[[rule]]\nzone = ['mail.path']\ntext = 'evil'\ndo = 'blank'\n\
                 [[rule]]\nzone = ['mail.path']\ntext = 'boom'\ndo = 'refuse'\n";
    let settings = own(rules, &[("envelope", "lenient")]);
    for size in [1, 7, 999] {
        let left = left(&settings, "MAIL FROM:\t<evil@boom.b>\r\n", size);
        assert_eq!(left, "MAIL FROM: <eviX@booXXXX\r\n", "by {size}");
    }
}

/// Whether its length is that of no attack is known at the line's end, whatever CRs stand in it.
#[test]
fn a_masked_auth_line_is_measured_at_its_end_alone() {
    let settings = patched(&[("patches", "preset")]);
    for size in [1, 2, 5, 999] {
        let left = left(&settings, "AUTH PLAIN \r=\u{c3}\\\r||\r\n", size);
        assert_eq!(left, "AUTH PLAIN \rXXXX\rXX\r\n", "by {size}");
    }
}

#[test]
fn behind_a_limit_that_only_logs_patches_go_on() {
    let line = "MAIL FROM:<aaaaaaaaaaaaaaaaaaaa${run{x}}@x>\r\n";
    for limit in ["local_part_max", "path_max", "sender_max"] {
        let changes = [("patches", "on"), ("envelope", "lenient"), (limit, "10 log")];
        let settings = patched(&changes);
        let expected = left(&settings, line, 1);
        assert!(!expected.contains("${"), "{limit}: {expected}");
        for size in [2, 3, 5, 999] {
            assert_eq!(left(&settings, line, size), expected, "{limit} by {size}");
        }
    }
}

/// What is only noted of a run takes back nothing that a patch has changed in it.
#[test]
fn what_the_grammar_notes_undoes_no_patch() {
    let settings = patched(&[("patches", "on"), ("envelope", "log")]);
    for line in
        ["NOOP \"a\"{(\r\n", "HELO ${jndi:ldap://x/a}\r\n", "HELO \\]service status change:\r\n"]
    {
        for size in [1, 2, 5, 999] {
            let left = left(&settings, line, size);
            assert!(left != line && left.contains('X'), "{left:?} by {size}");
        }
    }
    let rules = "[[rule]]\nzone = ['rcpt.local']\nbytes = 'q'\ndo = 'blank'\n";
    let settings = own(rules, &[("envelope", "lenient"), ("parameters", "log"), ("order", "off")]);
    for size in [1, 2, 5, 999] {
        let left = left(&settings, "RCPT TO:<aq@x> FOO=1\r\n", size);
        assert_eq!(left, "RCPT TO:<aX@x> FOO=1\r\n", "by {size}");
    }
    // A limit that only logs undoes none either, and one that ends the flow does so beside it.
    for (limit, ends) in [("3 log", None), ("3", Some(Rule::LocalPart))] {
        let settings = own(rules, &[("envelope", "lenient"), ("local_part_max", limit)]);
        for size in [1, 2, 5, 999] {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 99);
            let left = talk.say(Client, b"RCPT TO:<aqaaaa@x>\r\n", size);
            assert_eq!(talk.ended(), ends, "{limit} by {size}");
            let is_cured = left == "RCPT TO:<aXaaaa@x>\r\n";
            assert!(is_cured || ends.is_some(), "{limit} by {size}: {left:?}");
        }
    }
}

/// By the packet a bare CR masks nothing, and a part that was masked nothing of the next packet.
#[test]
fn what_leaves_by_the_packet_is_looked_at() {
    let mut settings = changed("pix-6.3", &[("patches", "on")]);
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    for cr in ["\r", "\0"] {
        for line in ["MAIL FROM:<^${run{x}}@y>\r\n", "MAIL^FROM:<${run{x}}@y>\r\n"] {
            let left = left(&settings, &line.replace('^', cr), 999);
            assert!(!left.contains("${"), "{left:?}");
        }
    }
    let mut talk = Talk::new(&settings);
    talk.say(Server, b"220 a\r\n", 99);
    let left: String = [&b"MAIL FROM:"[..], b"x", b"MAIL <${run{x}}@y>\r\n"]
        .map(|packet| talk.say(Client, packet, 999))
        .concat();
    assert!(!left.contains("${"), "{left:?}");
    // What is masked behind a CR is no attack.
    let rules = "[[rule]]\nzone = ['command']\ntext = 'ab'\ndo = 'log'\n";
    let settings = own(rules, &[("unit", "packet"), ("verbs", "NOOP")]);
    for (line, count) in [(&b"NOOP\rab"[..], 1), (b"XFOO\rab", 0)] {
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, line, 99);
        assert_eq!(talk.draft.strikes.len(), count, "{}", line.escape_ascii());
    }
}

/// A byte that something is looked for behind may stand in the key itself.
#[test]
fn what_stands_behind_a_byte_of_the_key_is_no_line_to_pass_whole() {
    let rules = "[[rule]]\nzone = ['rcpt.local']\nbytes = 'q'\nbehind = '<'\ndo = 'refuse'\n";
    let settings = own(rules, &[("envelope", "lenient"), ("order", "off")]);
    let plan = settings.patches.plan().unwrap();
    assert!(plan.may_mind(crate::smtp::Verb::Rcpt, Some(b"TO:<aq@x>")));
}

/// What the grammar makes of bytes before those that a patch masks is made of them however the line
/// was cut: a TAB leaves as a space.
#[test]
fn before_what_a_patch_masks_the_grammar_stands() {
    let mut masked = 0;
    for (line, expected) in [
        ("MAIL FROM:\t)+=]\\>", "MAIL FROM: "),
        ("MAIL FROM:\t|x", "MAIL FROM: "),
        ("RCPT TO:\t|x", "RCPT TO: "),
        ("MAIL FROM:<a@b>\tAUTH=a+0Ab", "MAIL FROM:<a@b> AUTH=a+0"),
    ] {
        let settings = patched(&[("envelope", "lenient")]);
        let whole = left(&settings, &format!("{line}\r\n"), 999);
        assert!(whole.starts_with(expected), "{line:?}: {whole:?}");
    }
    let catalogue = Catalogue::with(&[]).unwrap();
    let tests = catalogue.patches().iter().flat_map(|patch| &patch.tests);
    for test in tests.filter(|test| !test.is_reply) {
        let mut settings = patched(&[("patches", "on"), ("envelope", "lenient")]);
        for pair in &test.settings {
            let (key, value) = pair.split_once('=').unwrap();
            settings.set(key, value).unwrap();
        }
        for line in test.said.iter().filter(|line| line.contains(&b':')) {
            let line = String::from_utf8_lossy(line).replacen(':', ":\t", 1) + "\r\n";
            let at = line.find([' ', '\t']).unwrap_or(0);
            let tabs = line[..at].to_owned() + &line[at..].replace(' ', "\t");
            for line in [line, tabs] {
                let of = |size| {
                    let mut talk = Talk::new(&settings);
                    talk.say(Server, b"220 a\r\n", 99);
                    (talk.say(Client, line.as_bytes(), size), talk.ended(), talk.rulings)
                };
                let (expected, ended, _) = of(1);
                for size in [2, 3, 7, 999] {
                    let (left, rule, rulings) = of(size);
                    assert_eq!(rule, ended, "{line:?} by {size}");
                    assert!(ended.is_some() || left == expected, "{line:?} by {size}: {left:?}");
                    masked += usize::from(rulings.contains(&Ruling::Refuse(Rule::Patch)));
                }
            }
        }
    }
    assert!(masked > 100, "{masked}");
}

/// And what is told of them is.
#[test]
fn before_what_a_patch_masks_notes_are_told() {
    let settings = patched(&[("envelope", "lenient"), ("parameters", "log")]);
    for line in [
        "MAIL FROM:<a@b> XFOO=1 AUTH=a+0Ab\r\n",
        "MAIL FROM:<a@b>\tXFOO=1\tAUTH=a+0Ab\r\n",
        "MAIL FROM:<a@b>\tXFOO=1\r\n",
    ] {
        for size in [1, 2, 7, 999] {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, line.as_bytes(), size);
            let is_note = |ruling: &&Ruling| **ruling == Ruling::Note(Rule::Parameter);
            let notes = talk.rulings.iter().filter(is_note);
            assert_eq!(notes.count(), 1, "{line:?} by {size}");
        }
    }
}

/// A name in HELO is known at the line's end, which a patch does not put off.
#[test]
fn before_what_a_patch_masks_a_name_is_read() {
    let rules = "[[rule]]\nzone = ['helo']\nbytes = '|'\ndo = 'refuse'\n";
    let settings = own(rules, &[("hello_refuse", "localhost")]);
    for size in [1, 4, 999] {
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"HELO localhost |\r\n", size);
        assert_eq!(talk.ended(), Some(Rule::HelloName), "by {size}");
    }
}

/// A length of what leaves is one, whoever masked it and however it was cut.
#[test]
fn what_is_masked_is_as_long_however_it_was_cut() {
    let fill = "y".repeat(300);
    for (changes, line, rule) in [
        (&[][..], format!("MAIL FROM:<a@#>{fill}"), Rule::Patch),
        (&[], format!("MAIL FROM:<a@#:{fill}"), Rule::Patch),
        (&[("local_part_max", "256")], format!("MAIL FROM:<a;{fill}"), Rule::LocalPart),
        (&[("local_part_max", "256")], format!("MAIL FROM:<${{run{{{fill}"), Rule::LocalPart),
        (
            &[("path_max", "100"), ("local_part_max", "0")],
            format!("MAIL FROM:<a;{fill}"),
            Rule::PathLength,
        ),
    ] {
        let settings =
            patched(&[&[("patches", "preset"), ("envelope", "lenient")], changes].concat());
        for size in (1..30).chain([64, 100, 999]) {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, format!("{line}\r\n").as_bytes(), size);
            assert_eq!(talk.ended(), Some(rule), "{line} by {size}");
        }
    }
}
