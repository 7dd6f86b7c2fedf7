//! Which lines are refused because they come where they may not, and that the right ones are not.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling};
use crate::smtp::Speaker::{self, Client, Server};

/// What is said, by whom, and what of it leaves.
type Turn = (Speaker, &'static str, &'static str);

/// One that passes as it came.
const fn same(from: Speaker, text: &'static str) -> Turn {
    (from, text, text)
}

const BEGIN: [Turn; 3] = [
    same(Server, "220 a\r\n"),
    same(Client, "EHLO a\r\n"),
    same(Server, "250-a\r\n250-CHUNKING\r\n250 AUTH\r\n"),
];
const MAIL: [Turn; 2] = [same(Client, "MAIL FROM:<a@b>\r\n"), same(Server, "250 ok\r\n")];
const RCPT: [Turn; 2] = [same(Client, "RCPT TO:<a@b>\r\n"), same(Server, "250 ok\r\n")];
const REFUSED_RCPT: [Turn; 2] = [same(Client, "RCPT TO:<a@b>\r\n"), same(Server, "550 no\r\n")];
const MESSAGE: [Turn; 4] = [
    same(Client, "DATA\r\n"),
    same(Server, "354 go\r\n"),
    same(Client, "text\r\n.\r\n"),
    same(Server, "250 ok\r\n"),
];

/// Plays it in packets of every small size, and says what was refused or noted.
fn play(order: &str, turns: &[&[Turn]]) -> Vec<Rule> {
    let mut found = None;
    for size in [1, 2, 3, 5, 999] {
        let mut talk = Talk::new(&changed("esmtp", &[("order", order), ("banner", "pass")]));
        for (from, text, expected) in turns.iter().copied().flatten() {
            let expected = if order == "enforce" { expected } else { text };
            assert_eq!(talk.say(*from, text.as_bytes(), size), *expected, "packets of {size}");
        }
        let of = |ruling: &Ruling| match ruling {
            Ruling::Refuse(rule) | Ruling::Note(rule) => Some(*rule),
            Ruling::Pass | Ruling::Edit(_) | Ruling::Exceed(_) | Ruling::Reset(_) => None,
        };
        let rules: Vec<Rule> = talk.rulings.iter().filter_map(of).collect();
        assert_eq!(*found.get_or_insert_with(|| rules.clone()), rules, "packets of {size}");
    }
    found.unwrap_or_default()
}

/// Refused where it is enforced, told of where it is logged, not even that where it is off.
fn check(rule: Option<Rule>, turns: &[&[Turn]]) {
    let expected: Vec<Rule> = rule.into_iter().collect();
    assert_eq!(play("enforce", turns), expected);
    if !turns.iter().copied().flatten().any(|(_, text, left)| text != left && text.contains("BDAT"))
    {
        assert_eq!(play("log", turns), expected);
        assert_eq!(play("off", turns), []);
    }
}

#[test]
fn what_comes_in_its_order_passes() {
    check(None, &[&BEGIN, &MAIL, &RCPT, &MESSAGE, &MAIL, &REFUSED_RCPT, &RCPT, &MESSAGE]);
    // A MAIL that was refused may be tried again, and so may one whose transaction has ended.
    let again = [same(Client, "MAIL FROM:<c@d>\r\n"), same(Server, "550 no\r\n")];
    check(None, &[&BEGIN, &again, &MAIL, &RCPT, &MESSAGE]);
    let reset = [same(Client, "RSET\r\n"), same(Server, "250 ok\r\n")];
    check(None, &[&BEGIN, &MAIL, &reset, &MAIL, &RCPT, &reset, &MAIL, &RCPT, &MESSAGE]);
}

#[test]
fn a_pipeline_has_the_benefit_of_every_answer_that_is_due() {
    let group = [
        same(Client, "MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
        same(Server, "550 no\r\n503 no\r\n503 no\r\n"),
    ];
    check(None, &[&BEGIN, &group]);
    let resets = [
        same(Client, "MAIL FROM:<a@b>\r\nRSET\r\nMAIL FROM:<a@b>\r\n"),
        same(Server, "250 ok\r\n"),
        same(Client, "RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
    ];
    check(None, &[&BEGIN, &resets]);
    let due = [same(Client, "RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n"), same(Server, "550 no\r\n")];
    check(None, &[&BEGIN, &MAIL, &due, &[same(Client, "DATA\r\n")]]);
}

/// A line, and how it is answered.
fn answered(line: &'static str, answer: &'static str) -> [Turn; 2] {
    [same(Client, line), same(Server, answer)]
}

#[test]
fn what_the_server_refuses_ends_and_begins_nothing() {
    let mail = [(Client, "MAIL FROM:<a@b>\r\n", "XXXXXXXXXXXXXXX\r\n")];
    for line in ["RSET x\r\n", "HELO\r\n", "EHLO\r\n"] {
        let no = answered(line, "501 no\r\n");
        check(Some(Rule::MailTwice), &[&BEGIN, &MAIL, &no, &mail]);
        let yes = answered(line, "250 ok\r\n");
        check(None, &[&BEGIN, &MAIL, &yes, &MAIL, &RCPT, &MESSAGE]);
    }
    // The answer is that transaction's whose recipient it was.
    let group = [
        same(Client, "MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nRSET\r\nMAIL FROM:<a@b>\r\n"),
        same(Server, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"),
    ];
    let data = [(Client, "DATA\r\n", "XXXX\r\n")];
    check(Some(Rule::DataWithoutRcpt), &[&BEGIN, &group, &REFUSED_RCPT, &data]);
}

/// Messages that the server refuses, and may go on with: Postfix does.
const REFUSED: [[Turn; 4]; 2] = [
    [MESSAGE[0], MESSAGE[1], MESSAGE[2], same(Server, "554 no\r\n")],
    [
        same(Client, "BDAT 1\r\na"),
        same(Server, "250 ok\r\n"),
        same(Client, "BDAT 0 LAST\r\n"),
        same(Server, "551 no\r\n"),
    ],
];

#[test]
fn nobody_goes_on_with_a_message_that_was_refused() {
    let rcpt = [(Client, "RCPT TO:<a@b>\r\n", "RXXXXXXXXXXXX\r\n")];
    let nested = answered("MAIL FROM:<a@b>\r\n", "503 nested\r\n");
    for refused in &REFUSED {
        check(Some(Rule::RcptWithoutMail), &[&BEGIN, &MAIL, &RCPT, refused, &rcpt]);
        check(Some(Rule::RcptWithoutMail), &[&BEGIN, &MAIL, &RCPT, refused, &nested, &rcpt]);
        let data = [(Client, "DATA\r\n", "XXXX\r\n")];
        let rules = play("enforce", &[&BEGIN, &MAIL, &RCPT, refused, &nested, &data]);
        assert!(matches!(rules[..], [Rule::DataWithoutMail | Rule::DataAfterBdat]), "{rules:?}");
        check(None, &[&BEGIN, &MAIL, &RCPT, refused, &MAIL, &RCPT, &MESSAGE]);
        let reset = answered("RSET\r\n", "250 ok\r\n");
        check(None, &[&BEGIN, &MAIL, &RCPT, refused, &reset, &MAIL, &RCPT, &MESSAGE]);
    }
}

#[test]
fn what_would_go_on_with_a_refused_message_waits_for_an_answer() {
    let group = "RCPT TO:<a@b>\r\nDATA\r\n";
    for refused in &REFUSED {
        for (before, waits) in
            [("MAIL FROM:<a@b>\r\n", true), ("RSET\r\nMAIL FROM:<a@b>\r\n", false)]
        {
            let mut talk = Talk::new(&changed("esmtp", &[("order", "enforce")]));
            let turns: [&[Turn]; 5] = [&BEGIN, &MAIL, &RCPT, refused, &[same(Client, before)]];
            for (from, text, _) in turns.into_iter().flatten() {
                talk.say(*from, text.as_bytes(), 99);
            }
            assert_eq!(talk.waits(group.as_bytes()), waits, "{before:?}");
            assert!(!talk.waits(b"QUIT\r\n"));
            for _ in before.lines() {
                talk.say(Server, b"250 ok\r\n", 99);
            }
            assert!(!talk.waits(group.as_bytes()), "{before:?}");
            assert_eq!(talk.say(Client, group.as_bytes(), 99), group);
        }
    }
    // Behind a message without an answer the same: who knows what that will be?
    let mut talk = Talk::new(&changed("esmtp", &[("order", "enforce")]));
    let turns: [&[Turn]; 4] = [&BEGIN, &MAIL, &RCPT, &MESSAGE[..3]];
    for (from, text, _) in turns.into_iter().flatten() {
        talk.say(*from, text.as_bytes(), 99);
    }
    talk.say(Client, b"MAIL FROM:<a@b>\r\n", 99);
    assert!(talk.waits(group.as_bytes()));
    talk.say(Server, b"250 ok\r\n", 99);
    assert!(talk.waits(group.as_bytes()));
    talk.say(Server, b"250 ok\r\n", 99);
    assert!(!talk.waits(group.as_bytes()));
}

#[test]
fn a_message_that_was_answered_before_its_end_is_over() {
    let refused = [
        MESSAGE[0],
        MESSAGE[1],
        same(Client, "text\r\n"),
        same(Server, "552 too much\r\n"),
        (Client, "text\r\n.\r\n", "XXXX\r\n.\r\n"),
    ];
    // The server says nothing at its end, or says it again.
    for again in [&[][..], &[same(Server, "552 too much\r\n")]] {
        let whole =
            play("enforce", &[&BEGIN, &MAIL, &RCPT, &refused, again, &MAIL, &RCPT, &MESSAGE]);
        assert_eq!(whole, []);
        let twice = [&MAIL[..], &RCPT, &MESSAGE].concat();
        let whole = play("enforce", &[&BEGIN, &MAIL, &RCPT, &refused, again, &twice, &twice]);
        assert_eq!(whole, []);
    }
}

#[test]
fn a_recipient_needs_a_sender() {
    let line = (Client, "RCPT TO:<a@d.example>\r\n", "RXXXXXXXXXXXXXXXXXXXX\r\n");
    check(Some(Rule::RcptWithoutMail), &[&BEGIN, &[line]]);
    check(Some(Rule::RcptWithoutMail), &[&BEGIN, &MAIL, &RCPT, &MESSAGE, &[line]]);
    let reset = [same(Client, "RSET\r\n"), same(Server, "250 ok\r\n")];
    check(Some(Rule::RcptWithoutMail), &[&BEGIN, &MAIL, &reset, &[line]]);
}

#[test]
fn data_needs_a_sender_and_a_recipient() {
    let line = (Client, "DATA\r\n", "XXXX\r\n");
    check(Some(Rule::DataWithoutMail), &[&BEGIN, &[line]]);
    check(Some(Rule::DataWithoutRcpt), &[&BEGIN, &MAIL, &[line]]);
    check(Some(Rule::DataWithoutRcpt), &[&BEGIN, &MAIL, &REFUSED_RCPT, &REFUSED_RCPT, &[line]]);
    let chunk = (Client, "BDAT 0\r\n", "XXXXXX\r\n");
    assert_eq!(
        play("enforce", &[&BEGIN, &[chunk]]),
        [Rule::DataWithoutMail, Rule::StrayBytes][..1]
    );
}

#[test]
fn chunks_and_data_are_never_mixed() {
    let chunk = [same(Client, "BDAT 5\r\n12345"), same(Server, "552 no\r\n")];
    let line = [(Client, "DATA\r\n", "XXXX\r\n"), same(Server, "500 no\r\n")];
    let reset = [same(Client, "RSET\r\n"), same(Server, "250 ok\r\n")];
    assert_eq!(
        play("enforce", &[&BEGIN, &MAIL, &RCPT, &chunk, &line, &reset, &MAIL, &RCPT, &MESSAGE]),
        [Rule::DataAfterBdat]
    );
    let last = [same(Client, "BDAT 5 LAST\r\n12345"), same(Server, "250 ok\r\n")];
    check(None, &[&BEGIN, &MAIL, &RCPT, &last, &MAIL, &RCPT, &chunk[..1]]);
}

#[test]
fn one_transaction_at_a_time() {
    let line = (Client, "MAIL FROM:<a@b>\r\n", "XXXXXXXXXXXXXXX\r\n");
    check(Some(Rule::MailTwice), &[&BEGIN, &MAIL, &[line]]);
    check(Some(Rule::MailTwice), &[&BEGIN, &MAIL, &RCPT, &[line]]);
}

#[test]
fn nobody_is_authenticated_twice_or_inside_a_transaction() {
    let auth = [same(Client, "AUTH PLAIN x\r\n"), same(Server, "235 ok\r\n")];
    let failed = [same(Client, "AUTH PLAIN x\r\n"), same(Server, "535 no\r\n")];
    let line = (Client, "AUTH PLAIN x\r\n", "XXXXXXXXXXXX\r\n");
    check(None, &[&BEGIN, &failed, &auth, &MAIL]);
    check(Some(Rule::AuthAgain), &[&BEGIN, &auth, &[line]]);
    check(Some(Rule::AuthAgain), &[&BEGIN, &MAIL, &[line]]);
}
