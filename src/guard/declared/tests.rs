//! What is declared, and what the message has: at the last byte that passes and the first beyond,
//! in every cut.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Excess, Rule, Ruling};
use crate::smtp::Speaker::{Client, Server};

/// What was declared and what came, if that is told, whatever the cut.
fn told(changes: &[(&str, &str)], mail: &str, message: &str) -> Option<(u32, u32)> {
    let mut all = None;
    for size in [1, 2, 3, 5, 7, 1_460] {
        let stream = [&[("unit", "stream")], changes].concat();
        let mut talk = Talk::new(&changed("asa", &stream));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, format!("{mail}\r\n").as_bytes(), size);
        talk.say(Client, b"RCPT TO:<c@d>\r\nDATA\r\n", 99);
        talk.say(Server, b"250 ok\r\n250 ok\r\n354 go\r\n", 99);
        talk.say(Client, message.as_bytes(), size);
        assert_eq!(talk.ended(), None);
        let is_it = |ruling: &&Ruling| {
            matches!(ruling, Ruling::Exceed(Excess { rule: Rule::DeclaredSize, .. }))
        };
        let found: Vec<_> = talk.rulings.iter().filter(is_it).collect();
        let said = match found.as_slice() {
            [Ruling::Exceed(excess)] => Some((excess.limit, excess.count)),
            [] => None,
            more => panic!("{more:?}"),
        };
        assert_eq!(*all.get_or_insert(said), said, "{size}: {mail} {message:?}");
    }
    all.unwrap()
}

#[test]
fn a_message_may_be_as_large_as_its_mail_says() {
    let off: &[(&str, &str)] = &[];
    for (mail, message, expected) in [
        ("MAIL FROM:<a@b> SIZE=8", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<a@b> SIZE=7", "a: b\r\n\r\n.\r\n", Some((7, 8))),
        ("MAIL FROM:<a@b> size=7 AUTH=<>", "a: b\r\n\r\n.\r\n", Some((7, 8))),
        ("MAIL FROM:<a@b> BODY=8BITMIME SIZE=7", "a: b\r\n\r\n.\r\n", Some((7, 8))),
        ("MAIL FROM:a@b SIZE=7", "a: b\r\n\r\n.\r\n", Some((7, 8))),
        // A dot that was added counts for nothing, nor does the terminator.
        ("MAIL FROM:<a@b> SIZE=12", "a: b\r\n\r\n..x\r\n.\r\n", None),
        ("MAIL FROM:<a@b> SIZE=11", "a: b\r\n\r\n..x\r\n.\r\n", Some((11, 12))),
        ("MAIL FROM:<a@b> SIZE=10", "..\r\n\r\n....\r\nx\r\n.\r\n", Some((10, 13))),
        ("MAIL FROM:<a@b> SIZE=1", ".\r\n", None),
        // In a header too what stands alone is one byte.
        ("MAIL FROM:<a@b> SIZE=10", "a\nb\rc\r\n\r\nx\r\n.\r\n", Some((10, 12))),
        // What says no size, or says it elsewhere.
        ("MAIL FROM:<a@b>", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<a@b> SIZE=0", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<a@b> XSIZE=1", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<a@b> SIZE1", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<\"x SIZE=1\"@b>", "a: b\r\n\r\n.\r\n", None),
        ("MAIL FROM:<a@b> SIZE=99999999999", "a: b\r\n\r\n.\r\n", None),
    ] {
        assert_eq!(told(off, mail, message), expected, "{mail} {message:?}");
        assert_eq!(told(&[("sender_max", "0")], mail, message), expected, "{mail} {message:?}");
        assert_eq!(told(&[("body_line_max", "0")], mail, message), expected, "{mail}");
        assert_eq!(told(&[("syslog_names", "own")], mail, message), None, "{mail}");
    }
}

#[test]
fn a_size_is_its_mails_alone() {
    for (mail, rcpt, is_told) in [
        ("MAIL FROM:<a@b> SIZE=1\r\n", "RCPT TO:<c@d>\r\n", true),
        ("MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d> SIZE=1\r\n", false),
        // Of a MAIL that was refused nothing is left.
        ("MAIL FROM:<a@b> SIZE=1\r\nMAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", false),
    ] {
        let mut talk = Talk::new(&changed("asa", &[("unit", "stream")]));
        talk.say(Server, b"220 a\r\n", 99);
        for line in mail.split_inclusive('\n') {
            talk.say(Client, line.as_bytes(), 99);
            let answer = if mail.ends_with(line) { "250 ok\r\n" } else { "550 no\r\n" };
            talk.say(Server, answer.as_bytes(), 99);
        }
        talk.say(Client, [rcpt, "DATA\r\n"].concat().as_bytes(), 99);
        talk.say(Server, b"250 ok\r\n354 go\r\n", 99);
        talk.say(Client, b"abc\r\n.\r\n", 99);
        let is_it = |ruling: &Ruling| {
            matches!(ruling, Ruling::Exceed(Excess { rule: Rule::DeclaredSize, .. }))
        };
        assert_eq!(talk.rulings.iter().any(is_it), is_told, "{mail:?} {rcpt:?}");
    }
}

#[test]
fn a_size_is_that_of_one_message() {
    let mut talk = Talk::new(&changed("asa", &[("unit", "stream")]));
    talk.say(Server, b"220 a\r\n", 99);
    for mail in ["MAIL FROM:<a@b> SIZE=2\r\n", "MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b> SIZE=1\r\n"]
    {
        talk.say(Client, mail.as_bytes(), 99);
        talk.say(Client, b"RCPT TO:<c@d>\r\nDATA\r\n", 99);
        talk.say(Server, b"250 ok\r\n250 ok\r\n354 go\r\n", 99);
        talk.say(Client, b"x\r\n.\r\n", 99);
        talk.say(Server, b"250 ok\r\n", 99);
    }
    let limits = talk.rulings.iter().filter_map(|ruling| {
        let Ruling::Exceed(excess) = ruling else { return None };
        Some((excess.rule, excess.limit, excess.count))
    });
    let told: Vec<_> = limits.collect();
    assert_eq!(told, [(Rule::DeclaredSize, 2, 3), (Rule::DeclaredSize, 1, 3)]);
}
