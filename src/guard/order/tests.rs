//! Which lines are refused because they come where they may not, and that the right ones are not.

use super::{Order, OrderBefore, Sent};
use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling};
use crate::patch::Catalogue;
use crate::smtp::Speaker::{self, Client, Server};
use crate::smtp::{Answers, Event, Verb};

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

/// A line that the filter has refused is answered, too: what is due behind it stays due.
#[test]
fn what_answers_a_refused_line_settles_nothing_else() {
    for (line, left, answer) in [
        ("RCPT TO:<a;b@c>\r\n", "RCPT TO:<aXXXXX\r\n", "501 no\r\n"),
        ("RCPTX\r\n", "RCPTX\r\n", "500 no\r\n"),
        ("MAILX\r\n", "MAILX\r\n", "500 no\r\n"),
    ] {
        for size in [1, 2, 5, 999] {
            let mut talk =
                Talk::new(&changed("esmtp", &[("banner", "pass"), ("envelope", "lenient")]));
            for (from, text, _) in BEGIN.iter().chain(&MAIL) {
                talk.say(*from, text.as_bytes(), size);
            }
            assert_eq!(talk.say(Client, line.as_bytes(), size), left);
            talk.say(Client, b"RCPT TO:<a@b>\r\n", size);
            talk.say(Server, answer.as_bytes(), size);
            assert_eq!(talk.say(Client, b"DATA\r\n", size), "DATA\r\n", "{line:?} by {size}");
        }
    }
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
    // Whatever is no success is a refusal, also where no command has such an answer.
    let data = [(Client, "DATA\r\n", "XXXX\r\n")];
    for answer in ["450 no\r\n", "550 no\r\n", "350 more\r\n", "999 no\r\n"] {
        let rcpt = answered("RCPT TO:<a@b>\r\n", answer);
        check(Some(Rule::DataWithoutRcpt), &[&BEGIN, &MAIL, &rcpt, &data]);
    }
    // The answer is that transaction's whose recipient it was.
    let group = [
        same(Client, "MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nRSET\r\nMAIL FROM:<a@b>\r\n"),
        same(Server, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"),
    ];
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
            assert!(!waits || talk.reads(group.as_bytes()) == Event::Wait, "{before:?}");
            assert!(!talk.waits(b"QUIT\r\n"));
            for _ in before.lines() {
                talk.say(Server, b"250 ok\r\n", 99);
            }
            assert!(!talk.waits(group.as_bytes()), "{before:?}");
            assert_eq!(talk.say(Client, group.as_bytes(), 99), group);
        }
    }
}

/// Courier's data() drops what it has received behind the message, up to anywhere in a line.
#[test]
fn behind_a_message_only_a_verb_alone_passes_before_the_answer() {
    let until_the_end: [&[Turn]; 4] = [&BEGIN, &MAIL, &RCPT, &MESSAGE[..3]];
    let brought_there = |changes: &[(&str, &str)]| {
        let mut talk = Talk::new(&changed("esmtp", changes));
        for (from, text, _) in until_the_end.into_iter().flatten() {
            talk.say(*from, text.as_bytes(), 99);
        }
        talk
    };
    for order in ["enforce", "off"] {
        for line in ["NOOP a\r\n", "MAIL FROM:<a@b>\r\n", "QUIT \r\n", "MAIL", "R", "\r\n", "X\r\n"]
        {
            let mut talk = brought_there(&[("order", order)]);
            assert!(talk.waits(line.as_bytes()), "{line:?}");
            assert_eq!(talk.reads(line.as_bytes()), Event::Wait, "{line:?}");
            talk.say(Server, b"250 ok\r\n", 99);
            assert!(!talk.waits(line.as_bytes()), "{line:?}");
        }
        for line in ["NOOP\r\n", "quit\r\n"] {
            for size in [1, 2, 99] {
                let mut talk = brought_there(&[("order", order)]);
                assert_eq!(talk.say(Client, line.as_bytes(), size), line);
            }
            for answer in ["", "250 ok\r\n"] {
                let mut talk = brought_there(&[("order", order)]);
                assert_eq!(talk.say(Client, &line.as_bytes()[..4], 99), line[..4]);
                talk.say(Server, answer.as_bytes(), 99);
                assert_eq!(talk.say(Client, b" VRFY root\r\n", 99), "XXXXXXXXXX\r\n");
            }
        }
    }
    let mut talk = brought_there(&[]);
    talk.say(Server, b"220 ok\r\n", 99);
    assert!(!talk.waits(b"NOOP a\r\n"), "that may be all it says");
    let mut talk = brought_there(&[("unit", "packet")]);
    assert!(!talk.waits(b"NOOP a\r\n"), "the originals held nothing");
}

/// Courier keeps the sender of before, refuses the next, and takes the recipient for it.
#[test]
fn a_greeting_within_a_transaction_may_end_nothing() {
    let rcpt = [(Client, "RCPT TO:<a@b>\r\n", "RXXXXXXXXXXXX\r\n")];
    let refused = answered("MAIL FROM:<a@b>\r\n", "502 no\r\n");
    for greeting in ["HELO a\r\n", "EHLO a\r\n"] {
        let hello = answered(greeting, "250 ok\r\n");
        check(None, &[&BEGIN, &MAIL, &hello, &MAIL, &RCPT, &MESSAGE]);
        check(None, &[&BEGIN, &hello, &refused, &RCPT]);
        let lingering: [&[Turn]; 4] = [&BEGIN, &MAIL, &hello, &refused];
        check(Some(Rule::RcptWithoutMail), &[&lingering[..], &[&rcpt]].concat());
        // Nor where the answer is not awaited, or may seem to be that to another line: Courier has
        // lost what came behind the message before.
        let mut talk = Talk::new(&changed("esmtp", &[("order", "enforce")]));
        let turns: [&[Turn]; 5] = [&BEGIN, &MAIL, &RCPT, &[same(Client, greeting)], &[rcpt[0]]];
        for (from, text, left) in turns.into_iter().flatten() {
            let said = talk.say(*from, text.as_bytes(), 99);
            assert!(*from == Server || said == *left, "{said}");
        }
        let mut talk = Talk::new(&changed("esmtp", &[("order", "enforce")]));
        let lost = [same(Client, "NOOP\r\n")];
        let message = [&MESSAGE[..3], &lost, &MESSAGE[3..]].concat();
        let turns: [&[Turn]; 4] = [&BEGIN, &MAIL, &RCPT, &message];
        for (from, text, _) in turns.into_iter().flatten() {
            talk.say(*from, text.as_bytes(), 99);
        }
        assert!(talk.waits(b"MAIL FROM:<a@b>\r\n"), "the next answer may not be its own");
        assert_eq!(talk.say(Client, b"QUIT\r\n", 1), "QUIT\r\n");
        talk.say(Server, b"250 ok\r\n221 bye\r\n", 99);
        assert!(!talk.waits(b"MAIL FROM:<a@b>\r\n"));
        check(Some(Rule::RcptWithoutMail), &[&BEGIN, &MAIL, &hello, &hello, &refused, &rcpt]);
        let reset = answered("RSET\r\n", "250 ok\r\n");
        check(None, &[&BEGIN, &MAIL, &hello, &reset, &refused, &RCPT]);
        // Nor where its name leaves masked, which servers take.
        let mut talk = Talk::new(&changed("esmtp", &[("order", "enforce")]));
        let turns: [&[Turn]; 3] = [&BEGIN, &MAIL, &RCPT];
        for (from, text, _) in turns.into_iter().flatten() {
            talk.say(*from, text.as_bytes(), 99);
        }
        let odd = greeting.replace('a', "a\0b");
        assert_eq!(talk.say(Client, odd.as_bytes(), 99), greeting.replace('a', "aXX"));
        assert!(talk.waits(b"RCPT TO:<a@b>\r\n"));
    }
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
    // What goes on with it is barred, and a MAIL that is refused leaves none open.
    let noop = answered("NOOP\r\n", "250 ok\r\n");
    let refused_mail = answered("MAIL FROM:<a@b>\r\n", "550 no\r\n");
    let rcpt = [(Client, "RCPT TO:<a@b>\r\n", "RXXXXXXXXXXXX\r\n")];
    for line in [&noop, &refused_mail] {
        let before: [&[Turn]; 5] = [&BEGIN, &MAIL, &RCPT, &refused, line];
        assert_eq!(play("enforce", &[&before[..], &[&MAIL, &RCPT, &MESSAGE]].concat()), []);
        let barred = play("enforce", &[&before[..], &[&rcpt]].concat());
        assert_eq!(barred, [Rule::RcptWithoutMail]);
    }
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
    // Behind the last one no transaction is left that had chunks.
    check(Some(Rule::DataWithoutMail), &[&BEGIN, &MAIL, &RCPT, &last, &line[..1]]);
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

/// A line that was sent, of nothing but its verb.
fn send(order: &mut Order, verb: Verb) {
    order.send(Sent { verb, is_bare: true, is_last: false });
}

const ASKED: [Verb; 5] = [Verb::Rcpt, Verb::Data, Verb::Bdat, Verb::Mail, Verb::Auth];

/// Which lines may not come, and why.
type Barred = [(Verb, Rule)];

/// Why lines of MAIL, RCPT, DATA, BDAT and AUTH may not come.
fn barred(order: &Order) -> Vec<(Verb, Rule)> {
    ASKED.into_iter().filter_map(|verb| Some((verb, order.bars(verb)?))).collect()
}

const NO_MAIL: [(Verb, Rule); 3] = [
    (Verb::Rcpt, Rule::RcptWithoutMail),
    (Verb::Data, Rule::DataWithoutMail),
    (Verb::Bdat, Rule::DataWithoutMail),
];
const NO_RCPT: (Verb, Rule) = (Verb::Data, Rule::DataWithoutRcpt);
const CHUNKS: (Verb, Rule) = (Verb::Data, Rule::DataAfterBdat);
const TWICE: (Verb, Rule) = (Verb::Mail, Rule::MailTwice);
const AGAIN: (Verb, Rule) = (Verb::Auth, Rule::AuthAgain);

/// A server that takes AUTH or ends a message without an answer of its own, or any other line.
#[test]
fn what_was_never_answered_counts_as_tried() {
    let mut tried = Order::default();
    send(&mut tried, Verb::Mail);
    tried.settle();
    assert_eq!(barred(&tried), [NO_RCPT], "its sender may be known, and another may come");
    send(&mut tried, Verb::Rcpt);
    tried.settle();
    assert_eq!(barred(&tried), []);
    // What was known before stays what it was.
    let mut open = Order::default();
    send(&mut open, Verb::Mail);
    open.hear(Answers::Verb(Verb::Mail), 250);
    let known = open.known;
    open.send(Sent { verb: Verb::Rset, is_bare: false, is_last: false });
    open.settle();
    assert_eq!(open.known, known);
    assert_eq!(barred(&open), [NO_RCPT, TWICE, AGAIN]);
    send(&mut open, Verb::Bdat);
    open.settle();
    assert_eq!(barred(&open), [CHUNKS, TWICE, AGAIN]);
    // Nothing begins by itself, nor with what goes on with a transaction that lingers.
    let mut none = Order::default();
    none.send(Sent { verb: Verb::Helo, is_bare: false, is_last: false });
    none.settle();
    assert_eq!(barred(&none), NO_MAIL);
    let mut lingering = Order::default();
    lingering.send_end();
    lingering.hear(Answers::Message, 554);
    send(&mut lingering, Verb::Mail);
    send(&mut lingering, Verb::Rcpt);
    lingering.settle();
    assert_eq!(barred(&lingering), NO_MAIL);
    // Nor does anything change where every answer has come.
    let before = lingering;
    lingering.settle();
    assert_eq!(lingering, before);
}

/// What an image of the format before says is known, and what may not come by it.
#[test]
fn an_image_of_the_format_before_knows_what_is_open() {
    let nothing = || OrderBefore {
        has_mail: false,
        is_open: false,
        has_recipient: false,
        has_accepted: false,
        has_chunk: false,
        is_authenticated: false,
        mails_due: 0,
        recipients_due: 0,
    };
    let tried = || OrderBefore { has_mail: true, ..nothing() };
    let open = || OrderBefore { is_open: true, ..tried() };
    assert_eq!(Order::remembered(nothing(), 0), Order::default());
    // Where no answer is due: the same when it has settled.
    let known: [(OrderBefore, &Barred); 8] = [
        (nothing(), &NO_MAIL),
        (OrderBefore { is_open: true, ..nothing() }, &NO_MAIL),
        (tried(), &[NO_RCPT]),
        (open(), &[NO_RCPT, TWICE, AGAIN]),
        (OrderBefore { has_recipient: true, ..open() }, &[NO_RCPT, TWICE, AGAIN]),
        (OrderBefore { has_accepted: true, ..open() }, &[TWICE, AGAIN]),
        (OrderBefore { has_chunk: true, ..open() }, &[CHUNKS, TWICE, AGAIN]),
        (OrderBefore { is_authenticated: true, ..tried() }, &[NO_RCPT, AGAIN]),
    ];
    for (before, expected) in known {
        let shown = format!("{before:?}");
        let mut order = Order::remembered(before, 7);
        assert_eq!(barred(&order), expected, "{shown}");
        assert_eq!(order.due, 0, "{shown}");
        order.settle();
        assert_eq!(barred(&order), expected, "{shown}");
        assert_eq!(order.count_recipient(), (7, 8));
    }
    // Where one is due, the client has its benefit.
    let hoped: [(OrderBefore, u16, &Barred); 4] = [
        (OrderBefore { mails_due: 1, ..nothing() }, 1, &NO_MAIL),
        (OrderBefore { has_chunk: true, mails_due: 1, ..tried() }, 1, &[NO_RCPT]),
        (OrderBefore { has_recipient: true, recipients_due: 2, ..tried() }, 2, &[]),
        (
            OrderBefore { has_recipient: true, recipients_due: 2, mails_due: 1, ..open() },
            3,
            &[TWICE, AGAIN],
        ),
    ];
    for (before, due, expected) in hoped {
        let shown = format!("{before:?}");
        let order = Order::remembered(before, 0);
        assert_eq!((order.due, &*barred(&order)), (due, expected), "{shown}");
    }
    // Chunks without a sender: the last one was sent, and its answer ends the message.
    let last = OrderBefore { has_chunk: true, ..nothing() };
    let mut order = Order::remembered(last, 0);
    assert_eq!((order.due, order.bars(Verb::Data)), (1, Some(Rule::DataAfterBdat)));
    order.hear(Answers::Verb(Verb::Bdat), 250);
    assert_eq!(barred(&order), NO_MAIL);
    let all = OrderBefore { has_chunk: true, mails_due: 1, recipients_due: 2, ..nothing() };
    assert_eq!(Order::remembered(all, 0).due, 4);
    let mut order = Order::remembered(OrderBefore { has_chunk: true, ..open() }, 0);
    order.hear(Answers::Verb(Verb::Bdat), 250);
    assert_eq!(barred(&order), [CHUNKS, TWICE, AGAIN]);
}

/// What asks for more is no answer yet.
#[test]
fn a_recipient_is_not_refused_by_354() {
    let asked = [same(Client, "RCPT TO:<a@b>\r\n"), same(Server, "354 go\r\n")];
    check(None, &[&BEGIN, &MAIL, &asked, &[same(Client, "DATA\r\n")]]);
}

/// Plays it where the grammar masks, with a server that takes whatever comes; what was refused.
fn play_to_qmail(turns: &[&[Turn]]) -> Vec<Rule> {
    let settings =
        changed("esmtp", &[("order", "enforce"), ("envelope", "lenient"), ("banner", "pass")]);
    let mut talk = Talk::new(&settings);
    for (from, text, expected) in turns.iter().copied().flatten() {
        assert_eq!(talk.say(*from, text.as_bytes(), 999), *expected);
    }
    let refused = talk.rulings.iter().filter_map(|ruling| match ruling {
        Ruling::Refuse(rule) => Some(*rule),
        Ruling::Pass | Ruling::Note(_) | Ruling::Edit(_) | Ruling::Exceed(_) | Ruling::Reset(_) => {
            None
        }
    });
    refused.collect()
}

/// qmail wants no `>` and takes any name without an `@`: the mail would go to one of its own users.
#[test]
fn a_server_that_takes_a_masked_path_gets_no_message_for_it() {
    let masked =
        [(Client, "RCPT TO:<joe;x@d>\r\n", "RCPT TO:<joeXXXXX\r\n"), same(Server, "250 ok\r\n")];
    let sender =
        [(Client, "MAIL FROM:<j(x@d>\r\n", "MAIL FROM:<jXXXXX\r\n"), same(Server, "250 ok\r\n")];
    let parameter =
        [(Client, "RCPT TO:<a@b>=x\r\n", "RCPT TO:<a@b> X\r\n"), same(Server, "250 ok\r\n")];
    let refused = [(Client, "DATA\r\n", "XXXX\r\n"), same(Server, "502 what\r\n")];
    let anew = [same(Client, "RSET\r\n"), same(Server, "250 ok\r\n")];
    let (path, rule) = (Rule::Envelope, Rule::MaskedPath);
    let played = |turns: &[&[Turn]]| play_to_qmail(&[&[&BEGIN[..]], turns].concat());
    assert_eq!(played(&[&MAIL, &RCPT, &masked, &refused]), [path, rule]);
    assert_eq!(played(&[&MAIL, &masked, &RCPT, &refused]), [path, rule]);
    assert_eq!(played(&[&sender, &RCPT, &refused]), [path, rule]);
    assert_eq!(played(&[&MAIL, &masked, &refused, &anew, &MAIL, &RCPT, &MESSAGE]), [path, rule]);
    // Where the address itself is whole, it is whom the client meant.
    assert_eq!(played(&[&MAIL, &parameter, &MESSAGE]), [path]);
    // Most servers refuse it, and the message goes to the others.
    let answered = [masked[0], same(Server, "501 what\r\n")];
    assert_eq!(played(&[&MAIL, &RCPT, &answered, &MESSAGE]), [path]);
}

#[test]
fn a_message_waits_for_what_is_said_to_a_masked_path() {
    let mut order = Order::default();
    send(&mut order, Verb::Mail);
    order.send_refused(Verb::Rcpt, true);
    send(&mut order, Verb::Rcpt);
    assert!(order.waits(Verb::Data) && order.waits(Verb::Bdat) && !order.waits(Verb::Rcpt));
    assert!(order.waits_before(b'd') && !order.waits_before(b'R'));
    order.hear(Answers::Verb(Verb::Mail), 250);
    let mut taken = order;
    order.hear(Answers::MaskedPath(Verb::Rcpt), 501);
    assert!(!order.waits(Verb::Data));
    taken.hear(Answers::MaskedPath(Verb::Rcpt), 250);
    assert_eq!((taken.bars(Verb::Data), taken.waits(Verb::Data)), (Some(Rule::MaskedPath), false));
    // One that begins anew behind it may be refused, and then it stays.
    let mut nested = Order::default();
    nested.send_refused(Verb::Mail, true);
    send(&mut nested, Verb::Mail);
    nested.hear(Answers::MaskedPath(Verb::Mail), 250);
    assert!(nested.waits(Verb::Data));
    let mut refused = nested;
    refused.hear(Answers::Verb(Verb::Mail), 503);
    assert_eq!(refused.bars(Verb::Data), Some(Rule::MaskedPath));
    nested.hear(Answers::Verb(Verb::Mail), 250);
    assert_eq!(nested.bars(Verb::Data), Some(Rule::DataWithoutRcpt));
    // What is never answered keeps nobody waiting.
    let mut lost = Order::default();
    lost.send_refused(Verb::Rcpt, true);
    lost.settle();
    assert!(!lost.waits(Verb::Data));
}

/// A patch masks a parameter: whether the path is whole does not depend on where the line was cut.
#[test]
fn whether_a_path_is_masked_does_not_depend_on_the_cut() {
    let mut settings = changed("esmtp", &[("order", "enforce"), ("envelope", "lenient")]);
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    for (line, is_masked) in [
        (&b"MAIL FROM:<a@d.example> AUTH=x+0Ay\r\n"[..], false),
        (b"RCPT TO:<a@b> ORCPT=rfc822;${jndi:ldap://x}\r\n", false),
        (b"RCPT TO:<a${jndi:ldap://x}@b>\r\n", true),
        (b"RCPT TO:<a;b@c>\r\n", true),
    ] {
        for size in 1..=line.len() {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 999);
            talk.say(Client, b"EHLO a\r\n", 999);
            talk.say(Server, b"250-a\r\n250-DSN\r\n250 AUTH PLAIN\r\n", 999);
            if line.starts_with(b"RCPT") {
                talk.say(Client, b"MAIL FROM:<a@b>\r\n", 999);
                talk.say(Server, b"250 ok\r\n", 999);
            }
            let left = talk.say(Client, line, size);
            assert_ne!(left.as_bytes(), line, "{size}");
            let waits = talk.watch.order.waits(Verb::Data);
            assert_eq!(waits, is_masked, "{left:?} by {size}");
        }
    }
}

/// A server that looks for commands first (Haraka) may have run one of its own.
#[test]
fn a_success_that_is_not_auths_leaves_no_transaction_open() {
    let settings = changed("esmtp", &[("order", "enforce"), ("envelope", "lenient")]);
    for (response, left, grant, is_open) in [
        (&b"RCPT TO:<a;b@c>\r\n"[..], "RCPT XXXXXXXXXX\r\n", &b"250 ok\r\n"[..], false),
        (b"RSET\r\n", "RSET\r\n", b"250 ok\r\n", false),
        (b"AGE=\r\n", "AGE=\r\n", b"535 no\r\n", true),
        (b"AGE=\r\n", "AGE=\r\n", b"235 yes\r\n", true),
    ] {
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"EHLO a\r\n", 99);
        talk.say(Server, b"250-a\r\n250 AUTH LOGIN\r\n", 99);
        talk.say(Client, b"MAIL FROM:<a@b>\r\nAUTH LOGIN\r\n", 99);
        talk.say(Server, b"250 ok\r\n334 \r\n", 99);
        assert_eq!(talk.say(Client, response, 99), left);
        talk.say(Server, grant, 99);
        let rcpt = talk.say(Client, b"RCPT TO:<d@e>\r\n", 99);
        assert_eq!(rcpt.starts_with("RCPT TO"), is_open, "{left:?}");
    }
}
