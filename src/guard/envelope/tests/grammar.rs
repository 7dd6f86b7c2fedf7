//! Every turn of the machine, argument by argument: how much of it is taken, what it becomes where
//! it is only logged, and that a path read at a glance is the same as byte by byte.

use super::super::{Envelope, Finding, Place, Rules};
use crate::guard::Bytes;
use crate::guard::extension::Parameters;
use crate::guard::tests::random;
use crate::guard::value::Mechanisms;
use crate::smtp::Verb::{self, Auth, Ehlo, Etrn, Helo, Help, Mail, Noop, Rcpt, Vrfy};

/// The rules in which nothing is left to the server or the site.
fn with_rules<T>(is_strict: bool, has_utf8: bool, act: impl FnOnce(&Rules<'_>) -> T) -> T {
    let (refused, mechanisms) = (Bytes::default(), Mechanisms::default());
    let permitted = Parameters::ALL;
    act(&Rules { is_strict, has_utf8, permitted, refused: &refused, mechanisms: &mechanisms })
}

/// What is taken of an argument and how it leaves; `!` stands for the byte that is refused.
fn taken(verb: Verb, argument: &[u8], rules: &Rules<'_>) -> String {
    let mut envelope = Envelope::of(Some(verb));
    let mut left = Vec::new();
    for byte in argument {
        match envelope.push(*byte, Some(verb), rules) {
            Finding::Take => left.push(*byte),
            Finding::Replace(value) => left.push(value),
            Finding::Refuse(_) | Finding::Unoffered => {
                left.push(b'!');
                break;
            }
        }
    }
    String::from_utf8_lossy(&left).into_owned()
}

/// An argument, and what is taken of it leniently and strictly; `=` stands for all of it.
type Case = (Verb, &'static str, &'static str, &'static str);

fn check(has_utf8: bool, cases: &[Case]) {
    for (verb, argument, lenient, strict) in cases {
        for (is_strict, expected) in [(false, *lenient), (true, *strict)] {
            let expected = if expected == "=" { *argument } else { expected };
            let found =
                with_rules(is_strict, has_utf8, |rules| taken(*verb, argument.as_bytes(), rules));
            assert_eq!(found, expected, "{verb:?} {argument:?}, strictly: {is_strict}");
        }
    }
}

#[test]
fn paths_begin_as_they_may() {
    check(
        false,
        &[
            (Rcpt, "TO:<a@d>", "=", "="),
            (Rcpt, " TO:<a@d>", "=", "!"),
            (Rcpt, "T O:<a@d>", "T!", "T!"),
            (Rcpt, "FROM:<a@d>", "!", "!"),
            (Mail, "TO:<a@d>", "!", "!"),
            (Rcpt, "TO: <a@d>", "=", "TO:!"),
            (Rcpt, "TO:\t<a@d>", "TO: <a@d>", "TO:!"),
            (Rcpt, "TO:a@d", "=", "TO:!"),
            (Rcpt, "TO:.a@d", "=", "TO:!"),
            (Rcpt, "TO:\"a b\"@d", "=", "TO:!"),
            (Rcpt, "TO:;", "TO:!", "TO:!"),
            (Rcpt, "TO:>", "TO:!", "TO:!"),
            (Mail, "FROM:<>", "=", "="),
            (Rcpt, "TO:<>", "TO:<!", "TO:<!"),
            (Rcpt, "TO:<.a@d>", "=", "TO:<!"),
            (Rcpt, "TO:< a@d>", "TO:<!", "TO:<!"),
            (Rcpt, "TO:<@x:a@d>", "=", "TO:<!"),
            (Rcpt, "TO:<@x_y.z,@[1.2]-3:a@d>", "=", "TO:<!"),
            (Rcpt, "TO:<@x;", "TO:<@x!", "TO:<!"),
            (Rcpt, "TO:<@x>", "TO:<@x!", "TO:<!"),
            (Rcpt, "TO:<@x:@y:a@d>", "TO:<@x:!", "TO:<!"),
            (Mail, "FROM:<@x:>", "FROM:<@x:!", "FROM:<!"),
        ],
    );
}

#[test]
fn local_parts_are_as_they_may_be() {
    check(
        false,
        &[
            (Rcpt, "TO:<a.b@d>", "=", "="),
            (Rcpt, "TO:<a..b@d>", "=", "TO:<a.!"),
            (Rcpt, "TO:<a.@d>", "=", "TO:<a.!"),
            (Rcpt, "TO:<a;@d>", "TO:<a!", "TO:<a!"),
            (Rcpt, "TO:<a b@d>", "TO:<a!", "TO:<a!"),
            (Rcpt, "TO:a>", "TO:a!", "TO:!"),
            (Rcpt, "TO:<\"a\"@d>", "=", "="),
            (Rcpt, "TO:<\"a\".b@d>", "=", "TO:<\"a\"!"),
            (Rcpt, "TO:<\"a\"b@d>", "TO:<\"a\"!", "TO:<\"a\"!"),
            (Rcpt, "TO:<\"\"@d>", "TO:<\"!", "TO:<\"!"),
            (Rcpt, "TO:<\"a\\\"b\\\\\"@d>", "=", "="),
            (Rcpt, "TO:<\"a\\\x01", "TO:<\"a\\!", "TO:<\"a\\!"),
            (Rcpt, "TO:<\"a\x1f", "TO:<\"a!", "TO:<\"a!"),
            (Rcpt, "TO:<\"a\x7f", "TO:<\"a!", "TO:<\"a!"),
            (Rcpt, "TO:<\" ~\"@d>", "=", "="),
        ],
    );
}

/// RFC 5321 4.5.1: no other recipient needs no domain.
#[test]
fn strictly_only_a_postmaster_has_no_domain() {
    check(
        false,
        &[
            (Rcpt, "TO:<root>", "=", "TO:<root!"),
            (Mail, "FROM:<root>", "=", "FROM:<root!"),
            (Rcpt, "TO:<PostMaster>", "=", "="),
            (Rcpt, "TO:<postmaster> SIZE=1", "=", "="),
            (Mail, "FROM:<postmaster>", "=", "FROM:<postmaster!"),
            (Rcpt, "TO:<post>", "=", "TO:<post!"),
            (Rcpt, "TO:<postmasters>", "=", "TO:<postmasters!"),
            (Rcpt, "TO:<hostmaster>", "=", "TO:<hostmaster!"),
            (Rcpt, "TO:<postmisses>", "=", "TO:<postmisses!"),
            (Rcpt, "TO:<postmaste.>", "=", "TO:<postmaste.!"),
            (Rcpt, "TO:<postmas.er>", "=", "TO:<postmas.er!"),
        ],
    );
}

#[test]
fn domains_are_as_they_may_be() {
    check(
        false,
        &[
            (Rcpt, "TO:<a@b-c.d>", "=", "="),
            (Rcpt, "TO:<a@b_c>", "=", "TO:<a@b!"),
            (Rcpt, "TO:<a@b..c>", "=", "TO:<a@b.!"),
            (Rcpt, "TO:<a@.b>", "=", "TO:<a@!"),
            (Rcpt, "TO:<a@b.>", "=", "TO:<a@b.!"),
            (Rcpt, "TO:<a@>", "TO:<a@!", "TO:<a@!"),
            (Rcpt, "TO:<a@b c>", "TO:<a@b!", "TO:<a@b!"),
            (Rcpt, "TO:a@b>", "TO:a@b!", "TO:!"),
            (Rcpt, "TO:a@ b", "TO:a@!", "TO:!"),
            (Rcpt, "TO:<a@b[1]>", "TO:<a@b!", "TO:<a@b!"),
            (Rcpt, "TO:<a@[192.0.2.1]>", "=", "="),
            (Rcpt, "TO:<a@[IPv6:::1]>", "=", "="),
            (Rcpt, "TO:<a@[a_b>c]>", "=", "TO:<a@[a!"),
            (Rcpt, "TO:<a@[1 2]>", "TO:<a@[1!", "TO:<a@[1!"),
            (Rcpt, "TO:<a@[@[", "TO:<a@[@!", "TO:<a@[!"),
            (Rcpt, "TO:<a@[1]x>", "TO:<a@[1]!", "TO:<a@[1]!"),
            (Rcpt, "TO:<a@[1].x>", "TO:<a@[1]!", "TO:<a@[1]!"),
            (Rcpt, "TO:<a@d>>", "TO:<a@d>!", "TO:<a@d>!"),
        ],
    );
}

#[test]
fn paths_without_brackets_end_at_a_blank() {
    check(
        false,
        &[
            (Rcpt, "TO:a@d SIZE=1", "=", "TO:!"),
            (Rcpt, "TO:a@d\tSIZE=1", "TO:a@d SIZE=1", "TO:!"),
            (Rcpt, "TO:a SIZE=1", "=", "TO:!"),
            (Rcpt, "TO:\"a\" SIZE=1", "=", "TO:!"),
            (Rcpt, "TO:a@[1] SIZE=1", "=", "TO:!"),
            (Rcpt, "TO:<a@d>\tSIZE=1", "TO:<a@d> SIZE=1", "TO:<a@d>!"),
        ],
    );
}

#[test]
fn characters_beyond_ascii_stand_where_they_are_offered() {
    let cases = [
        (Rcpt, "TO:<\u{e9}@d>", "=", "="),
        (Rcpt, "TO:<a\u{20ac}@d>", "=", "="),
        (Rcpt, "TO:\u{e9}@d x", "=", "TO:!"),
        (Rcpt, "TO:<\"\u{1f600}\"@d>", "=", "="),
        (Rcpt, "TO:<a@\u{e9}.d>", "=", "="),
        (Rcpt, "TO:<@\u{e9}:a@d>", "TO:<@!", "TO:<!"),
        (Rcpt, "TO:<a@[\u{e9}]>", "TO:<a@[!", "TO:<a@[!"),
        (Rcpt, "TO:<postmaste\u{e9}>", "=", "TO:<postmaste\u{e9}!"),
        (Mail, "FROM:<a@b> ORCPT=\u{e9}", "=", "="),
        (Mail, "FROM:<a@b> XFOO=\u{e9} X", "=", "="),
    ];
    check(true, &cases);
    for (verb, argument, ..) in cases {
        let head = argument.split(|letter: char| !letter.is_ascii()).next().unwrap();
        let found = with_rules(false, false, |rules| taken(verb, argument.as_bytes(), rules));
        assert_eq!(found, format!("{head}!"), "{argument:?} is not offered");
    }
    // What is none, and what is cut short.
    for (argument, expected) in [
        (&b"TO:<\xc3;"[..], "TO:<\u{fffd}!"),
        (b"TO:<\xff", "TO:<!"),
        (b"TO:a\xc3 ", "TO:a\u{fffd}!"),
        (b"TO:<a@d> ORCPT=\xc3 ", "TO:<a@d> ORCPT=\u{fffd}!"),
        (b"TO:<a@d> ORCPT=\xc3x", "TO:<a@d> ORCPT=\u{fffd}!"),
        (b"TO:<a@d> XFOO=\xff", "TO:<a@d> XFOO=!"),
    ] {
        assert_eq!(with_rules(false, true, |rules| taken(Rcpt, argument, rules)), expected);
    }
}

#[test]
fn parameters_are_as_they_may_be() {
    let start = "FROM:<a@b> ";
    for (parameter, lenient, strict) in [
        ("SIZE=1 BODY=7bit", "=", "="),
        ("SIZE=1  BODY=7BIT", "=", "SIZE=1 !"),
        (" SIZE=1", "=", "!"),
        ("SIZE ", "=", "="),
        ("=x", "!", "!"),
        ("-x", "!", "!"),
        ("MT-PRIORITY=1", "=", "="),
        ("X_Y", "X!", "X!"),
        ("SIZE=12345678901234567890 ", "=", "="),
        ("SIZE=123456789012345678901", "SIZE=12345678901234567890!", "SIZE=12345678901234567890!"),
        ("SIZE=a", "SIZE=!", "SIZE=!"),
        ("BODY=8bitmime", "=", "="),
        ("BODY=BINARYMIME", "=", "="),
        ("BODY=7BITMIME", "BODY=7BIT!", "BODY=7BIT!"),
        ("BODY=8BINARY", "BODY=8BI!", "BODY=8BI!"),
        ("XFOO=a=b", "=", "XFOO=a!"),
        ("XFOO=a\x01", "XFOO=a!", "XFOO=a!"),
        ("ENVID=ab+2Bc", "=", "="),
        ("ORCPT=rfc822;u+tag@d", "=", "ORCPT=rfc822;u+!"),
        ("ORCPT=rfc822;u+Ag", "=", "ORCPT=rfc822;u+A!"),
        ("ORCPT=rfc822;u++0A", "ORCPT=rfc822;u++0!", "ORCPT=rfc822;u+!"),
        ("ENVID=ab+/", "ENVID=ab+!", "ENVID=ab+!"),
        ("AUTH=u+tag", "AUTH=u+!", "AUTH=u+!"),
        ("ENVID=+2b", "=", "ENVID=+2!"),
        ("ENVID=+b2", "=", "ENVID=+!"),
        ("ENVID=+2F+70", "=", "="),
        ("ENVID=+7f", "ENVID=+7!", "ENVID=+7!"),
        ("ENVID=+7F", "ENVID=+7!", "ENVID=+7!"),
        ("ENVID=+0A", "ENVID=+0!", "ENVID=+0!"),
        ("ENVID=+1F", "ENVID=+1!", "ENVID=+1!"),
        ("ENVID=+G0", "ENVID=+!", "ENVID=+!"),
        ("ENVID=+2 ", "ENVID=+2!", "ENVID=+2!"),
        ("ENVID=+ ", "ENVID=+!", "ENVID=+!"),
        ("ENVID=a\x01", "ENVID=a!", "ENVID=a!"),
        ("ORCPT=rfc822;b=c", "=", "ORCPT=rfc822;b!"),
        ("AUTH=<>", "=", "="),
    ] {
        let argument = format!("{start}{parameter}");
        for (is_strict, expected) in [(false, lenient), (true, strict)] {
            let expected = if expected == "=" { parameter } else { expected };
            let found =
                with_rules(is_strict, false, |rules| taken(Mail, argument.as_bytes(), rules));
            assert_eq!(found, format!("{start}{expected}"), "{parameter:?} strictly: {is_strict}");
        }
    }
}

#[test]
fn other_arguments_are_as_they_may_be() {
    check(
        false,
        &[
            (Auth, "PLAIN x", "=", "="),
            (Auth, " PLAIN x", "=", "!"),
            (Auth, "SCRAM-SHA_1 ;", "=", "="),
            (Auth, "PL;", "PL!", "PL!"),
            (Etrn, "@a.d-1_2", "=", "="),
            (Etrn, "#q", "=", "="),
            (Etrn, " a", "=", "="),
            (Etrn, "a b", "a!", "a!"),
            (Etrn, "a@b", "a!", "a!"),
            (Etrn, "a;b", "a!", "a!"),
            (Help, "MAIL", "=", "="),
            (Help, " x", "=", "!"),
            (Help, "x y", "x!", "x!"),
            (Help, ";", "!", "!"),
            (Vrfy, "a@d SMTPUTF8", "=", "!"),
            (Vrfy, "<a@d> SIZE", "<a@d> S!", "<a@d> S!"),
            (Ehlo, "a-1.d", "=", "="),
            (Ehlo, "[IPv6:1]", "=", "="),
            (Helo, "my_pc x", "=", "myXpcXx"),
            (Helo, "a;b", "aXb", "aXb"),
            (Noop, "a_b c", "=", "="),
            (Noop, "[a:b]", "XaXbX", "XaXbX"),
        ],
    );
}

#[test]
fn a_line_may_end_in_smtputf8_and_in_nothing_like_it() {
    for (parameters, expected) in [
        ("", false),
        (" SMTPUTF8", true),
        (" SMTPUTF8 SIZE=1", true),
        (" SIZE=1 SMTPUTF8", true),
        (" SMTPUTF", false),
        (" SIZE", false),
        // As long as the keyword, where the number of the parameter has its bit.
        (" ENVID=12345678", false),
        (" XFOO=SMTPUTF8", false),
    ] {
        let mut envelope = Envelope::of(Some(Mail));
        let argument = format!("FROM:<a@b>{parameters}");
        with_rules(false, false, |rules| {
            for byte in argument.bytes() {
                assert_eq!(envelope.push(byte, Some(Mail), rules), Finding::Take, "{parameters}");
            }
        });
        assert_eq!(envelope.ends_with_utf8(), expected, "{parameters}");
    }
}

/// Where it is only logged, a byte that is refused stands in the address all the same.
#[test]
fn what_is_refused_opens_and_closes_what_it_would() {
    for (verb, argument, place, path, local) in [
        (Rcpt, "TO:<a@d>", Place::End, 3, 1),
        (Rcpt, "TO: <a@d>", Place::End, 3, 1),
        (Rcpt, "TO:a@d", Place::Domain, 3, 1),
        (Rcpt, "TO:a@d x", Place::Keyword, 3, 1),
        (Rcpt, "TO:<\"a<b>\"@d>", Place::End, 8, 6),
        (Mail, "FROM:<@x:a@d>", Place::End, 6, 1),
        (Mail, "FROM:<>", Place::End, 0, 0),
        (Rcpt, "TO:<>", Place::End, 0, 0),
        (Rcpt, "TO:<> x", Place::Keyword, 0, 0),
        (Rcpt, "TO:<@x> y", Place::Keyword, 2, 0),
        (Rcpt, "TO:<a b@c>", Place::End, 5, 3),
        (Rcpt, "TO:<a\tb@c", Place::Domain, 5, 3),
        (Rcpt, "TO:<a@>", Place::End, 2, 1),
        (Rcpt, "TO:<a;b@c>", Place::End, 5, 3),
        (Rcpt, "TO:a>b", Place::Local, 3, 3),
        (Rcpt, "TO:;b", Place::Local, 2, 2),
        (Rcpt, "TO:a@ x", Place::Keyword, 2, 1),
        (Rcpt, "TO:a@[1 x", Place::Keyword, 4, 1),
        (Rcpt, "TO:a@[1\tx", Place::Keyword, 4, 1),
        (Rcpt, "TO:<a@d>x", Place::End, 3, 1),
        (Rcpt, "TO:<a@d>x y", Place::Keyword, 3, 1),
        (Rcpt, "TO:<a@d> SIZE=-1 B", Place::Keyword, 3, 1),
        (Rcpt, "TO:<a@d> ;; B", Place::Keyword, 3, 1),
        (Rcpt, "TO;", Place::Key, 0, 0),
    ] {
        let mut envelope = Envelope::of(Some(verb));
        with_rules(false, false, |rules| {
            for byte in argument.bytes() {
                let finding = envelope.push(byte, Some(verb), rules);
                if matches!(finding, Finding::Refuse(_) | Finding::Unoffered) {
                    envelope.force(byte);
                }
            }
        });
        let found = (envelope.place, envelope.path, envelope.local);
        assert_eq!(found, (place, path, local), "{verb:?} {argument:?}");
    }
}

/// What is known behind a path: what matters there, and nothing of the way to it.
fn behind(envelope: &Envelope) -> impl PartialEq + std::fmt::Debug {
    let Envelope { place, is_open, last, at, local, path, says_utf8, utf8, .. } = *envelope;
    (place, is_open, last, at, local, path, says_utf8, utf8)
}

/// How much of an argument is read at a glance; that much is the same byte by byte.
fn skipped(verb: Verb, argument: &[u8], refused: &Bytes) -> Option<usize> {
    let new = Envelope::of(Some(verb));
    let (mut quick, mut bytewise) = (new, new);
    let skipped = quick.skip_plain_path(argument, Some(verb), refused);
    let mechanisms = Mechanisms::default();
    let (permitted, mechanisms) = (Parameters::ALL, &mechanisms);
    let rules = Rules { is_strict: false, has_utf8: false, permitted, refused, mechanisms };
    for byte in &argument[..skipped.unwrap_or_default()] {
        let shown = String::from_utf8_lossy(argument);
        assert_eq!(bytewise.push(*byte, Some(verb), &rules), Finding::Take, "{shown}");
    }
    assert_eq!(behind(&quick), behind(&bytewise), "{}", String::from_utf8_lossy(argument));
    skipped
}

#[test]
fn a_plain_path_is_read_at_a_glance_as_byte_by_byte() {
    let none = Bytes::default();
    for (verb, argument, expected) in [
        (Mail, "FROM:<a@b>", Some(10)),
        (Mail, "from:<a@b> SIZE=1", Some(10)),
        (Rcpt, "TO:<bob.b-1_2+3=4@mx-1.e_x.example>", Some(35)),
        (Rcpt, "To:<a@b>x", Some(8)),
        (Rcpt, "FROM:<a@b>", None),
        (Mail, "TO:<a@b>", None),
        (Rcpt, "TO:a@b>", None),
        (Rcpt, "TO:<@b>", None),
        (Rcpt, "TO:<a@>", None),
        (Rcpt, "TO:<a>", None),
        (Rcpt, "TO:<a@b", None),
        (Rcpt, "TO:<a@b c>", None),
        (Rcpt, "TO:<a@b+c>", None),
        (Rcpt, "TO:<a;b@c>", None),
        (Rcpt, "TO", None),
    ] {
        assert_eq!(skipped(verb, argument.as_bytes(), &none), expected, "{verb:?} {argument}");
    }
    // Where the site refuses a byte that is plain, none is; another changes nothing.
    for byte in [".", "-", "_", "+", "="] {
        assert_eq!(skipped(Rcpt, b"TO:<a@b>", &Bytes::from(byte)), None, "{byte}");
    }
    assert_eq!(skipped(Rcpt, b"TO:<a@b>", &Bytes::from("%|")), Some(8));
    for byte in 0..=u8::MAX {
        let is_name = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_local = is_name || b"+=".contains(&byte);
        let local = [b"TO:<a", &[byte][..], b"b@c>"].concat();
        assert_eq!(skipped(Rcpt, &local, &none).is_some(), is_local, "{byte}");
        let domain = [b"TO:<a@b", &[byte][..], b"c>"].concat();
        assert_eq!(skipped(Rcpt, &domain, &none).is_some(), is_name || byte == b'>', "{byte}");
    }
    let mut random = random(5);
    for _ in 0..5_000 {
        let verb = [Mail, Rcpt][random(2)];
        let mut argument = [&b"FROM:<"[..], b"TO:<", b"to:<", b"TO: <"][random(4)].to_vec();
        (0..random(8)).for_each(|_| argument.push(b"aB1.@@>>_+ \x00"[random(12)]));
        let _ = skipped(verb, &argument, &none);
    }
}

#[test]
fn names_are_read_at_a_glance() {
    let skipped = |verb, run: &[u8]| Envelope::of(Some(verb)).skip_plain(run);
    for verb in [Helo, Ehlo, Noop] {
        assert_eq!(skipped(verb, b"mx-1.example"), 12, "{verb:?}");
        assert_eq!(skipped(verb, b"mx_1"), 2, "{verb:?}");
    }
    assert_eq!(skipped(Mail, b"FROM"), 0);
}
