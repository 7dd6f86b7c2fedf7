//! Lines read whole and the same lines read run by run come to the same: what leaves, what begins
//! and ends, what is wrong, and where dialogue and watch stand afterwards.

use crate::guard::tests::random;
use crate::guard::{Draft, Guard, Profile, Ruling, Run, Settings, Watch};
use crate::offset::Offset;
use crate::patch::Catalogue;
use crate::smtp::{Dialogue, Event, Speaker, Standing};

struct Talk<'a> {
    is_quick: bool,
    guard: &'a Guard,
    dialogue: Dialogue,
    watch: Watch,
    draft: Draft,
    /// Bytes that each side has said.
    said: [u64; 2],
    out: Vec<u8>,
    /// Whatever began, ended or went wrong.
    news: String,
    /// Lines read whole.
    whole: usize,
}

impl<'a> Talk<'a> {
    fn new(guard: &'a Guard, is_quick: bool) -> Self {
        Self {
            is_quick,
            dialogue: guard.dialogue(),
            guard,
            watch: Watch::default(),
            draft: Draft::default(),
            said: [0; 2],
            out: Vec::new(),
            news: String::new(),
            whole: 0,
        }
    }

    /// Says as much as may be said now; who hears it has received all but so many bytes.
    fn say(&mut self, from: Speaker, input: &[u8], unheard: u64) {
        let (own, other) = if from == Speaker::Client { (0, 1) } else { (1, 0) };
        let mut rest = input;
        while !rest.is_empty() {
            let at = Offset::new(self.said[own]);
            let covers = Offset::new(self.said[other].saturating_sub(unheard));
            let standing = Standing { at, covers };
            let is_first = rest.len() == input.len();
            let used = match self.read_whole(from, rest, standing) {
                Some(used) => used,
                None => self.read(from, rest, standing, is_first),
            };
            if used == 0 {
                break;
            }
            self.said[own] += used as u64;
            rest = &rest[used..];
        }
    }

    fn read_whole(&mut self, from: Speaker, rest: &[u8], standing: Standing) -> Option<usize> {
        if !self.is_quick {
            return None;
        }
        let step = match from {
            Speaker::Client => {
                let line = self.dialogue.whole_line(rest)?;
                let passes = self.guard.pass_line(&mut self.watch, &line, rest);
                passes.then(|| self.dialogue.take_line(&line, standing.at))?
            }
            Speaker::Server => {
                let line = self.dialogue.whole_reply(rest, standing)?;
                let passes = self.guard.pass_reply(&mut self.watch, &line);
                passes.then(|| self.dialogue.take_reply(&line, standing))?
            }
        };
        self.whole += 1;
        self.out.extend(&rest[..step.used]);
        self.note(step.fault, step.change);
        Some(step.used)
    }

    fn read(&mut self, from: Speaker, rest: &[u8], standing: Standing, is_first: bool) -> usize {
        let step = self.guard.read(&mut self.watch, &mut self.dialogue, from, rest, standing);
        if step.event == Event::Wait {
            return 0;
        }
        let bytes = &rest[..step.used];
        let run = Run { event: step.event, bytes, rest, is_first, plain: step.plain };
        let ruling = self.guard.judge(&mut self.watch, run, &mut self.draft);
        match ruling {
            Ruling::Pass => self.out.extend(bytes),
            Ruling::Note(_) | Ruling::Exceed(_) | Ruling::Reset(_) => {
                self.out.extend(bytes);
                self.note(ruling, standing.at);
            }
            Ruling::Edit(_) | Ruling::Refuse(_) => self.out.extend(self.draft.as_bytes()),
        }
        if matches!(ruling, Ruling::Refuse(_)) {
            self.dialogue.refuse(self.watch.is_path_masked());
        }
        self.note(step.fault, step.change);
        step.used
    }

    fn note(&mut self, one: impl std::fmt::Debug, other: impl std::fmt::Debug) {
        let news = format!("{one:?} {other:?};");
        if news != "None None;" {
            self.news += &news;
        }
    }
}

const LINES: [&[u8]; 26] = [
    b"HELO a\r\n",
    b"ehlo a\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<|<a>@b>\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT\r\n",
    b"RCPT \r\n",
    b"DATA\r\n",
    b"DATA x\n",
    b"DATAX\r\n",
    b"text\r\n.\r\n",
    b"RSET\n",
    b"NOOP\tx\r\n",
    b"NOOP a\rb\r\n",
    b"NOOP a\0b\r\n",
    b"NOOP a\r\r\n",
    b"QUIT\r\n",
    b"AUTH PLAIN AGEAYQ==\r\n",
    b"STARTTLS\r\n",
    b"BDAT 3\r\nabc",
    b"BDAT 0 LAST\r\n",
    b"VRFY root\r\n",
    b"GET / HTTP/1.1\r\n",
    b"\r\n",
    b" NOOP\r\n",
    b"\x16\x03\x01 \r\n",
];

const REPLIES: [&[u8]; 22] = [
    b"220 mx ESMTP\r\n",
    b"220-mx\r\n220 b\r\n",
    b"250 ok\r\n",
    b"250\r\n",
    b"250-a\r\n250-CHUNKING\r\n250-SIZE 9\r\n250 XCLIENT\r\n",
    b"250-a\r\n",
    b"250 2.0.0 ok\n",
    b"250-\r\n",
    b"221 bye\r\n",
    b"235 ok\r\n",
    b"334 \r\n",
    b"354 go\r\n",
    b"354-a\r\n354 go\r\n",
    b"421 bye\r\n",
    b"500 what\r\n",
    b"503 no\r\n250 ok\r\n",
    b"554 no\r\n",
    b"2500 x\r\n",
    b"250\rx\r\n",
    b"ok\r\n",
    b"\r\n",
    b"999 ok\r\n",
];

fn compare(guard: &Guard, turns: &[(Speaker, Vec<u8>, u64)]) -> usize {
    let mut quick = Talk::new(guard, true);
    let mut plain = Talk::new(guard, false);
    for (from, bytes, unheard) in turns {
        quick.say(*from, bytes, *unheard);
        plain.say(*from, bytes, *unheard);
        assert_eq!(quick.news, plain.news, "{turns:?}");
        assert_eq!(quick.out, plain.out, "{turns:?}");
        assert_eq!(quick.watch, plain.watch, "{turns:?}");
        let states = (format!("{:?}", quick.dialogue), format!("{:?}", plain.dialogue));
        assert_eq!(states.0, states.1, "{turns:?}");
    }
    quick.whole
}

/// What is offered, known, unknown and odd.
const OFFERS: [&str; 20] = [
    "SIZE 10240000",
    "size",
    "SIZES",
    "SIZ",
    "PIPELINING",
    "8BITMIME",
    "STARTTLS",
    "STARTTLS x",
    "AUTH PLAIN LOGIN",
    "AUTH=LOGIN",
    "CHUNKING",
    "XCLIENT NAME ADDR",
    "SMTPUTF8",
    "OK",
    "OK x",
    "",
    " SIZE",
    "DSN\rX",
    "A\0B",
    "AN-UNKNOWN-KEYWORD-THAT-IS-LONGER-THAN-ANY",
];

#[test]
fn offers_come_to_the_same_whole_and_by_their_runs() {
    let mut random = random(3);
    let mut settings = all_settings();
    for changes in [
        [("starttls", "strip"), ("auth_requires_tls", "required")],
        [("ehlo", "pass"), ("auth_requires_tls", "required")],
    ] {
        settings.push(esmtp_with(&changes));
    }
    let mut whole = 0;
    for guard in settings.into_iter().map(Guard::new) {
        for _ in 0..200 {
            let count = random(6);
            let mut reply = String::from(["250-a\r\n", "250-a SIZE\n", "ok\r\n"][random(3)]);
            for at in 0..=count {
                let separator = if at == count { " " } else { "-" };
                let end = ["\r\n", "\r\n", "\n"][random(3)];
                reply += &format!("250{separator}{}{end}", OFFERS[random(OFFERS.len())]);
            }
            let turns = [
                (Speaker::Server, b"220 mx\r\n".to_vec(), 0),
                (Speaker::Client, b"EHLO a\r\nMAIL FROM:<a@b>\r\n".to_vec(), 0),
                (Speaker::Server, reply.into_bytes(), 0),
                (Speaker::Server, b"250-ok\r\n250 XCLIENT\r\n".to_vec(), 0),
            ];
            whole += compare(&guard, &turns);
        }
    }
    assert!(whole > 5_000, "only {whole} were read whole");
}

/// Pieces of envelopes: what real ones are made of, and what a rule or a patch may mind.
const PIECES: [&str; 52] = [
    "a",
    "bob",
    "o'neil",
    "d.e",
    "x_1",
    "b+c=d",
    "a-b",
    "1",
    "postmaster",
    "@",
    "@",
    "example.org",
    "m_x.example.net",
    "<",
    ">",
    ">",
    " ",
    "  ",
    "\t",
    "SIZE=10",
    "BODY=8BITMIME",
    "SMTPUTF8",
    "AUTH=x+2By",
    "AUTH=x+0Ay",
    "ORCPT=rfc822;a",
    "NOTIFY=NEVER",
    "\"",
    "\\",
    "\\\"",
    ".",
    "..",
    ":",
    ",",
    "[192.0.2.1]",
    "$",
    "{",
    "${x}",
    "$(",
    "`",
    "|",
    ";",
    "(",
    "/*",
    "--",
    ".!",
    "() {",
    "!",
    "%",
    "service statu",
    "s change:",
    "*",
    "\u{e9}",
];

#[test]
fn envelopes_come_to_the_same_whole_and_by_their_runs() {
    let mut random = random(2);
    let mut settings = all_settings();
    for changes in [
        [("path_max", "14"), ("local_part_max", "5")],
        [("envelope", "strict"), ("parameters", "offered")],
        [("envelope", "log"), ("patches", "log")],
        [("sender_refuse", "+!"), ("recipient_refuse", "_$")],
        [("envelope", "off"), ("path_max", "9")],
        [("patches", "on"), ("parameters", "any")],
    ] {
        settings.push(esmtp_with(&changes));
    }
    let mut whole = 0;
    for guard in settings.into_iter().map(Guard::new) {
        let offer = b"250-a\r\n250-SMTPUTF8\r\n250 SIZE 9\r\n".to_vec();
        let hello = [
            (Speaker::Server, b"220 mx\r\n".to_vec(), 0),
            (Speaker::Client, b"EHLO a\r\n".to_vec(), 0),
            (Speaker::Server, offer, 0),
        ];
        for _ in 0..500 {
            let start =
                ["MAIL FROM:<", "RCPT TO:<", "rcpt To:<", "MAIL FROM:", "RCPT TO: ", "VRFY "];
            let mut line = start[random(start.len())].to_owned();
            if random(2) == 0 {
                // As nearly all lines are, up to a certain place.
                line += "bob@example.org>";
            }
            (0..random(9)).for_each(|_| line += PIECES[random(PIECES.len())]);
            let line = (Speaker::Client, [line.as_bytes(), b"\r\nRSET\r\n"].concat(), 0);
            let before = [b"RSET\r\n".to_vec(), b"MAIL FROM:<a@b>\r\n".to_vec()];
            let before = (Speaker::Client, before[random(2)].clone(), 0);
            whole += compare(&guard, &[&hello[..], &[before, line]].concat());
        }
    }
    assert!(whole > 10_000, "only {whole} were read whole");
}

/// The profile as it is shipped, with some settings changed.
fn esmtp_with(changes: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::profile("esmtp").unwrap();
    changes.iter().for_each(|(key, value)| settings.set(key, value).unwrap());
    settings
}

/// Every profile with the patches that are built in, some settings changed, and no patches.
fn all_settings() -> Vec<Settings> {
    let mut all = Profile::ALL.map(Settings::preset).to_vec();
    let plain = all[0].clone();
    all.iter_mut().for_each(|each| each.patches.catalogue = Catalogue::with(&[]).unwrap());
    all.push(plain);
    for changes in [
        [("sender_max", "5"), ("recipients_max", "2")],
        [("long_lines", "reset"), ("address_scan", "refuse")],
        [("line_max", "8"), ("envelope_line_max", "12")],
        [("http_words", "pass"), ("ehlo", "pass")],
    ] {
        all.push(esmtp_with(&changes));
    }
    all
}

#[test]
fn whole_lines_come_to_what_their_runs_come_to() {
    let mut random = random(1);
    let mut whole = 0;
    for guard in all_settings().into_iter().map(Guard::new) {
        for _ in 0..400 {
            let mut turns = vec![(Speaker::Server, b"220 mx\r\n".to_vec(), 0)];
            for _ in 0..random(14) {
                let (from, lines) = match random(2) {
                    0 => (Speaker::Client, &LINES[..]),
                    _ => (Speaker::Server, &REPLIES[..]),
                };
                let count = 1 + random(3);
                let bytes: Vec<u8> =
                    (0..count).flat_map(|_| lines[random(lines.len())].to_vec()).collect();
                let unheard = [0, 0, 0, 9][random(4)];
                turns.push((from, bytes, unheard));
            }
            whole += compare(&guard, &turns);
        }
    }
    assert!(whole > 5_000, "only {whole} were read whole");
}

/// What one says whom everybody hears.
fn one(from: Speaker, text: &str) -> (Speaker, Vec<u8>, u64) {
    (from, text.as_bytes().to_vec(), 0)
}

fn begin() -> [(Speaker, Vec<u8>, u64); 3] {
    let offer = "250-a\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250 SIZE 9\r\n";
    [
        one(Speaker::Server, "220 mx\r\n"),
        one(Speaker::Client, "EHLO a\r\n"),
        one(Speaker::Server, offer),
    ]
}

/// Lines of which one rule or another has something to say, and how they are answered.
#[test]
fn lines_that_a_rule_minds_come_to_the_same_whole_and_by_their_runs() {
    for (changes, line) in [
        (&[("envelope", "strict")][..], "MAIL FROM:<a@b.c.>\r\n"),
        (&[("envelope", "strict")], "MAIL FROM:<a..b@c>\r\n"),
        (&[("envelope", "strict")], "MAIL FROM:<a@b_c>\r\n"),
        (&[], "MAIL FROM:<a@b>;\r\n"),
        (&[], "VRFY ;\r\n"),
        (&[], "VRFY SMTPUTF8=;\r\n"),
        (&[], "HELP ;\r\n"),
        (&[], "BDAT 0 LAST\r\n"),
        (&[("order", "off")], "BDAT 3\r\nabcBDAT 0 LAST\r\n"),
        (&[("hello_refuse", "localhost")], "EHLO localhost\r\n"),
        (&[("hello_refuse", "localhost")], "HELO example\r\n"),
        (&[("address_scan", "log")], "MAIL FROM:<a|b@c>\r\n"),
        (&[("address_scan", "refuse")], "MAIL FROM:<a|b@c>\r\n"),
        (&[("syslog_names", "asa")], "MAIL FROM:<a@b> SIZE=1\r\n"),
        (&[("unit", "packet"), ("refusal", "x")], "MAIL FROM:<a@b>\r\n"),
        (&[("line_max", "5")], "NOOP a\r\n"),
        (&[("line_max", "6")], "NOOP a\r\n"),
        (&[("envelope_line_max", "14")], "MAIL FROM:<a@b>\r\n"),
        (&[("sender_max", "2")], "MAIL FROM:<a@b>\r\n"),
        (&[("local_part_max", "1")], "MAIL FROM:<aa@b>\r\n"),
        (&[("path_max", "4")], "MAIL FROM:<aa@bb>\r\n"),
        (&[("recipients_max", "1")], "MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n"),
        (&[("long_lines", "reset"), ("line_max", "0")], &format!("NOOP {}\r\n", "a".repeat(505))),
        (&[("long_lines", "reset"), ("line_max", "0")], &format!("NOOP {}\r\n", "a".repeat(506))),
        (&[("long_lines", "log"), ("line_max", "0")], &format!("NOOP {}\r\n", "a".repeat(600))),
        (&[("messages_max", "1"), ("order", "off")], "MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n"),
        (&[("idle_commands_max", "1")], "NOOP\r\nNOOP\r\n"),
        (&[("order", "log")], "RCPT TO:<a@b>\r\n"),
        (&[("order", "log")], "DATA\r\n"),
        (&[], "RCPT TO:<a@b>\r\n"),
        (&[], "GET /\r\nNOOP\r\n"),
        (&[], "\x16\x03\r\nMAIL FROM:<a@b>\r\n"),
        (&[], "\x16\x03\r\nNOOP\r\nMAIL FROM:<a@b>\r\n"),
        (&[], "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<\u{e9}@b>\r\n"),
        (&[("envelope", "strict")], "MAIL FROM:<a@b>\r\nRCPT TO:<\u{e9}@b>\r\n"),
        (&[("envelope", "strict")], "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<\u{e9}@b>\r\n"),
        (&[("require_tls", "required")], "MAIL FROM:<a@b>\r\n"),
    ] {
        let guard = Guard::new(esmtp_with(changes));
        for unheard in [0, 9] {
            let mut turns = begin().to_vec();
            turns.push((Speaker::Client, line.as_bytes().to_vec(), unheard));
            turns.push(one(Speaker::Server, "250 ok\r\n250 ok\r\n250 ok\r\n"));
            turns.push(one(Speaker::Client, "RCPT TO:<a@b>\r\nDATA\r\n"));
            compare(&guard, &turns);
        }
    }
    // What an ordinary client says is read whole, but for its first word and its AUTH.
    let mut ordinary = begin().to_vec();
    let mail = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
    ordinary.push(one(Speaker::Client, mail));
    ordinary.push(one(Speaker::Server, "250 ok\r\n250 ok\r\n354 go\r\n"));
    let whole = compare(&Guard::new(esmtp_with(&[])), &ordinary);
    assert_eq!(whole, 10);
}

#[test]
fn replies_that_a_rule_minds_do_so_too() {
    for (profile, changes, replies) in [
        ("pix-4.4", &[][..], "220-a\r\n554 b\r\n"),
        ("pix-4.4", &[], "220-a\r\n220 b\r\n"),
        ("esmtp", &[], "220-a\r\nb\r\n220 c\r\n"),
        ("esmtp", &[("bare_last_line", "log")], "220 a\r\n250-b\r\n250\r\n"),
        ("esmtp", &[("bare_last_line", "space")], "220 a\r\n250-b\r\n250\r\n"),
        ("esmtp", &[("bare_last_line", "pass")], "220 a\r\n250-b\r\n250\r\n"),
        ("esmtp", &[], "220 a\r\n250-b\r\n250 XFOO\r\n"),
        ("esmtp", &[], "220 a\r\n250-b\r\n250 SIZE 70\r\n"),
        ("esmtp", &[("auth_mechanisms", "PLAIN")], "220 a\r\n250-b\r\n250 AUTH LOGIN\r\n"),
        ("esmtp", &[("rejected_recipients_max", "1")], "220 a\r\n550 b\r\n550 b\r\n"),
    ] {
        for command in ["EHLO a\r\n", "RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n"] {
            let mut settings = Settings::profile(profile).unwrap();
            settings.set("order", "off").unwrap();
            changes.iter().for_each(|(key, value)| settings.set(key, value).unwrap());
            let guard = Guard::new(settings);
            for (at, _) in replies.match_indices('\n') {
                let (early, late) = replies.split_at(at + 1);
                let turns = [
                    one(Speaker::Server, early),
                    one(Speaker::Client, command),
                    one(Speaker::Server, late),
                ];
                compare(&guard, &turns);
            }
        }
    }
}

/// Every pair of lines of which one of these is the first, behind every reply.
fn compare_pairs(firsts: &[&[u8]]) {
    let guard = Guard::new(Settings::profile("esmtp").unwrap());
    let greeted = (Speaker::Server, b"220 mx\r\n".to_vec(), 0);
    for one in firsts {
        for other in LINES {
            for reply in REPLIES {
                let turns = [
                    greeted.clone(),
                    (Speaker::Client, [one, other].concat(), 0),
                    (Speaker::Server, reply.to_vec(), 0),
                    (Speaker::Client, other.to_vec(), 0),
                    (Speaker::Server, reply.to_vec(), 0),
                ];
                compare(&guard, &turns);
            }
        }
    }
}

#[test]
fn every_pair_that_begins_with_an_envelope_does_so_behind_every_reply() {
    compare_pairs(&LINES[..7]);
}

#[test]
fn every_pair_that_begins_with_a_message_does_so_behind_every_reply() {
    compare_pairs(&LINES[7..14]);
}

#[test]
fn every_pair_that_begins_with_an_exchange_or_a_chunk_does_so_behind_every_reply() {
    compare_pairs(&LINES[14..20]);
}

#[test]
fn every_pair_that_begins_oddly_does_so_behind_every_reply() {
    compare_pairs(&LINES[20..]);
}
