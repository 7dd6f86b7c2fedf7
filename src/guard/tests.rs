//! What leaves of greetings and offers, whatever the cut; and the talk that all tests here hold.

use super::*;
use crate::offset::Offset;
use crate::patch::Catalogue;
use crate::smtp::{Dialogue, Event, Expect, Fault, Speaker, Standing, Verb};

/// Whoever speaks has received all that the other side said.
const HEARD: Standing = Standing { at: Offset::ZERO, covers: Offset::new(u64::MAX) };

/// A talk between the two sides, as the guard lets it through.
pub(super) struct Talk {
    guard: Guard,
    dialogue: Dialogue,
    pub(super) watch: Watch,
    pub(super) draft: Draft,
    /// Every ruling so far, and all that was wrong.
    pub(super) rulings: Vec<Ruling>,
    pub(super) faults: Vec<Fault>,
}

impl Talk {
    pub(super) fn new(settings: &Settings) -> Self {
        let guard = Guard::new(settings.clone());
        Self {
            dialogue: guard.dialogue(),
            guard,
            watch: Watch::default(),
            draft: Draft::default(),
            rulings: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Goes on from the greeting to a recipient. The server answers EHLO so.
    pub(super) fn begin(&mut self, offers: &[u8]) {
        self.say(Speaker::Server, b"220 a\r\n", 99);
        self.say(Speaker::Client, b"EHLO a\r\n", 99);
        self.say(Speaker::Server, offers, 99);
        self.say(Speaker::Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 99);
        self.say(Speaker::Server, b"250 ok\r\n250 ok\r\n", 99);
    }

    /// Whether the client's bytes have to wait.
    pub(super) fn waits(&mut self, input: &[u8]) -> bool {
        let line = self.dialogue.whole_line(input);
        let waits = self.guard.has_to_wait(&mut self.watch, &self.dialogue, input);
        let mut watch = self.watch;
        let passes = line.is_some_and(|line| self.guard.pass_line(&mut watch, &line, input));
        assert!(!(waits && passes), "both ways of reading agree");
        waits
    }

    /// What the client's bytes are read as.
    pub(super) fn reads(&mut self, input: &[u8]) -> Event {
        self.guard.read(&mut self.watch, &mut self.dialogue, Speaker::Client, input, HEARD).event
    }

    /// Whether more of a message would be looked into.
    pub(super) fn reads_message(&self) -> bool {
        self.guard.reads_message(&self.watch)
    }

    /// What leaves of bytes that come in packets of this size, up to the end of the flow.
    pub(super) fn say(&mut self, from: Speaker, input: &[u8], size: usize) -> String {
        String::from_utf8_lossy(&self.speak(from, input, size)).into_owned()
    }

    /// The same, byte for byte.
    pub(super) fn speak(&mut self, from: Speaker, input: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in input.chunks(size) {
            let mut rest = packet;
            while !rest.is_empty() && self.ended().is_none() {
                let mut step =
                    self.guard.read(&mut self.watch, &mut self.dialogue, from, rest, HEARD);
                // Lines here end in a LF alone, and the next one waits for their answers.
                while step.event == Event::Wait && self.dialogue.is_owed() {
                    let mut reply = &b"500\n"[..];
                    while !reply.is_empty() {
                        let used = self.dialogue.read(Speaker::Server, reply, HEARD).used;
                        reply = &reply[used..];
                    }
                    step = self.guard.read(&mut self.watch, &mut self.dialogue, from, rest, HEARD);
                }
                assert_ne!(step.event, Event::Wait);
                let (bytes, behind) = rest.split_at(step.used);
                let is_first = rest.len() == packet.len();
                let run = Run { event: step.event, bytes, rest, is_first, plain: step.plain };
                let ruling = self.guard.judge(&mut self.watch, run, &mut self.draft);
                if matches!(ruling, Ruling::Refuse(_)) {
                    self.dialogue.refuse(self.watch.is_path_masked());
                }
                match ruling {
                    _ if ruling.ends_flow() => {}
                    Ruling::Pass | Ruling::Note(_) | Ruling::Exceed(_) => {
                        out.extend_from_slice(bytes);
                    }
                    Ruling::Edit(_) | Ruling::Refuse(_) => {
                        assert_eq!(self.draft.as_bytes().len(), bytes.len());
                        out.extend_from_slice(self.draft.as_bytes());
                    }
                    Ruling::Reset(_) => {}
                }
                let noted = self.draft.noted(bytes).map(|(rule, ..)| Ruling::Note(rule));
                self.rulings.extend(noted.into_iter().chain([ruling]));
                self.faults.extend(step.fault);
                rest = behind;
            }
        }
        out
    }

    /// What leaves of message data that is swept; none where it has to be read run by run.
    fn sweep(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = input.to_vec();
        let Self { guard, dialogue, watch, draft, .. } = self;
        let swept = guard.sweep(watch, dialogue, &mut bytes, Offset::ZERO, draft);
        let (step, _) = swept.filter(|(step, _)| step.used > 0)?;
        bytes.truncate(step.used);
        Some(bytes)
    }

    /// By which rule the flow has ended, if it has.
    pub(super) fn ended(&self) -> Option<Rule> {
        match self.rulings.last() {
            Some(Ruling::Reset(rule) | Ruling::Exceed(Excess { rule, is_end: true, .. })) => {
                Some(*rule)
            }
            _ => None,
        }
    }
}

/// A profile without its grammar and its order of commands, which have tests of their own.
pub(super) fn profile(name: &str) -> Settings {
    let mut settings = Settings::profile(name).unwrap();
    for (key, value) in
        [("envelope", "off"), ("order", "off"), ("local_part_max", "0"), ("path_max", "0")]
    {
        settings.set(key, value).unwrap();
    }
    settings
}

/// A profile with some settings changed.
pub(super) fn changed(name: &str, changes: &[(&str, &str)]) -> Settings {
    let mut settings = profile(name);
    for (key, value) in changes {
        settings.set(key, value).unwrap();
    }
    settings
}

/// Numbers below what is asked for, the same for the same seed.
pub(super) fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}

/// What leaves of a stream that comes in packets of this size.
pub(super) fn leaves(settings: &Settings, from: Speaker, input: &[u8], size: usize) -> String {
    let mut talk = Talk::new(settings);
    let left = talk.say(from, input, size);
    assert_eq!(talk.ended(), None, "{:?}", String::from_utf8_lossy(input));
    left
}

/// What leaves, whatever the size of the packets.
pub(super) fn check(settings: &Settings, from: Speaker, cases: &[(&str, &str)]) {
    for (input, output) in cases {
        for size in 1..=input.len() {
            let left = leaves(settings, from, input.as_bytes(), size);
            assert_eq!(left, *output, "{input:?} in packets of {size}");
        }
    }
}

/// What leaves of an answer to EHLO.
fn offer(settings: &Settings, reply: &str, size: usize) -> String {
    let mut talk = Talk::new(settings);
    talk.say(Speaker::Server, b"220 a\r\n", 99);
    talk.say(Speaker::Client, b"EHLO a\r\n", 99);
    let before = talk.rulings.len();
    let left = talk.say(Speaker::Server, reply.as_bytes(), size);
    let is_offer =
        |ruling: &Ruling| matches!(ruling, Ruling::Pass | Ruling::Edit(Rule::EhloKeyword));
    assert!(talk.rulings[before..].iter().all(is_offer));
    left
}

#[test]
fn the_banner_follows_the_rule_of_pix_5_1() {
    check(
        &profile("mailguard"),
        Speaker::Server,
        &[
            ("220 mail2.nwtraders.msft\r\n", "220 ****2***************\r\n"),
            ("220 a 0 b 20 2 c\r\n", "220 **0 **20 2**\r\n"),
            ("220  x\r\n", "220 **\r\n"),
            ("220-a\r\n220 b\r\n", "220-*\r\n220 *\r\n"),
            ("220\r\n", "220\r\n"),
            ("554 no\r\n250 mail\r\n", "554 no\r\n250 mail\r\n"),
            ("hello 220\r\n", "******220\r\n"),
            (
                "220 Sendmail 8.10.1; Sat, 20 Jan 2001 09:45:13 -0400\r\n",
                "220 ************0*********20 ****200**0*********0*00\r\n",
            ),
        ],
    );
}

#[test]
fn the_articles_banner_comes_out_to_the_letter() {
    let host = "mailgates0.nwtraders.msft.c";
    assert_eq!(host.as_bytes()[9], b'0');
    let before = format!(
        "220 {host} ESMTP Server (Microsoft Exchange Internet Mail Service 5.5.2653.13) ready\r\n"
    );
    let after = format!("220 *********0{}2*************\r\n", "*".repeat(77));
    assert_eq!(leaves(&profile("mailguard"), Speaker::Server, before.as_bytes(), 7), after);
}

#[test]
fn a_split_terminator_is_rejected_in_its_scope() {
    let mut settings = profile("mailguard");
    assert_eq!(Guard::new(settings.clone()).judge_terminator(2, 5), None);
    settings.split_terminator = SplitTerminator::Bug;
    let guard = Guard::new(settings.clone());
    assert_eq!(guard.judge_terminator(4, 5), Some(SplitAction::Drop));
    assert_eq!(guard.judge_terminator(5, 5), None);
    assert_eq!(guard.judge_terminator(3, 3), None);
    assert_eq!(guard.judge_terminator(2, 3), Some(SplitAction::Drop));
    settings.split_scope = SplitScope::DotCrlf;
    settings.split_action = SplitAction::Reset;
    let guard = Guard::new(settings);
    assert_eq!(guard.judge_terminator(2, 5), Some(SplitAction::Reset));
    assert_eq!(guard.judge_terminator(3, 5), None);
    assert_eq!(guard.judge_terminator(2, 3), Some(SplitAction::Reset));
}

#[test]
fn every_profile_masks_the_banner_in_its_own_way() {
    let banner = "220 mx20.example ESMTP Postfix\r\n";
    for (name, masked) in [
        ("mailguard", "220 **20**********************\r\n"),
        ("esmtp", "220 mx20.example ESMTP .......\r\n"),
        ("pix-4.1", "220 SMTP/cmap ready___________\r\n"),
        ("pix-4.4", "220 **************************\r\n"),
        ("pix-5.1", "220 **20**********************\r\n"),
        ("pix-5.2.4", "220 **20**********************\r\n"),
        ("pix-6.3", "220 **20**********************\r\n"),
        ("asa", "220 **************************\r\n"),
    ] {
        for piece in 1..banner.len() {
            let left = leaves(&profile(name), Speaker::Server, banner.as_bytes(), piece);
            assert_eq!(left, masked, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn a_refusal_says_why_in_the_greeting_and_to_ehlo() {
    let refusal = "554-mx.example nemesis\r\n554-no\r\n554 see http://example\r\n";
    let offers = "250-mx\r\n250-SIZE 9\r\n250-XFOO\r\n550 5.7.1 not welcome here\r\n";
    for name in Profile::names() {
        for piece in [1, 2, 7, 99] {
            let left = leaves(&profile(name), Speaker::Server, refusal.as_bytes(), piece);
            assert_eq!(left, refusal, "{name} in pieces of {piece}");
        }
        let left = offer(&profile(name), offers, 99);
        assert!(left.ends_with("\r\n550 5.7.1 not welcome here\r\n"), "{name}: {left:?}");
        assert_eq!(left.contains("XFOO"), !["esmtp", "asa"].contains(&name), "{name}: {left:?}");
        let refused = "550-mx\r\n550-SIZE says no\r\n550 XFOO\r\n";
        assert_eq!(offer(&profile(name), refused, 3), refused, "{name}");
    }
    // A line greets by its own code.
    let mixed = b"220-mx one\r\n554 two\r\n";
    assert_eq!(leaves(&profile("esmtp"), Speaker::Server, mixed, 5), "220-mx ESM\r\n554 two\r\n");
}

#[test]
fn ok_alone_in_the_last_line_is_no_keyword() {
    for (line, esmtp) in [
        ("250 OK", "250 OK"),
        ("250 Ok", "250 Ok"),
        ("250-OK", "250-XX"),
        ("250 OKAY", "250 OKXX"),
        ("250 OK go", "250 OK XX"),
        ("250 OK=go", "250 OKXXX"),
        ("250 O", "250 O"),
    ] {
        let reply = format!("250-mx\r\n{line}\r\n");
        for piece in 1..=reply.len() {
            let left = offer(&profile("esmtp"), &reply, piece);
            assert_eq!(left, format!("250-mx\r\n{esmtp}\r\n"), "in pieces of {piece}");
        }
    }
    assert_eq!(offer(&profile("asa"), "250-mx\r\n250 OK\r\n", 99), "250-mx\r\n250 OK\r\n");
    assert_eq!(offer(&profile("asa"), "250-mx\r\n250-OK\r\n", 99), "250-mx\r\n250-XA\r\n");
}

#[test]
fn offers_that_answer_nothing_are_filtered_all_the_same() {
    let (own, stray) = ("250-mx\r\n250 SIZE\r\n", "250-mx\r\n250-XCLIENT\r\n250 SIZE\r\n");
    let left = offer(&profile("esmtp"), &format!("{own}{stray}"), 4);
    assert_eq!(left, format!("{own}250-mx\r\n250-XXXXXXX\r\n250 SIZE\r\n"));
}

#[test]
fn a_second_banner_line_loses_its_code_in_4_4_alone_and_its_hyphen_from_5_1_on() {
    let banner = b"220-a\r\n220 b\r\n";
    for (name, masked) in [
        ("pix-4.1", "220-S\r\n220 S\r\n"),
        ("pix-4.4", "220-*\r\n*****\r\n"),
        ("pix-5.1", "220-*\r\n220 *\r\n"),
        ("asa", "220-*\r\n220 *\r\n"),
        ("esmtp", "220-a\r\n220 E\r\n"),
    ] {
        assert_eq!(leaves(&profile(name), Speaker::Server, banner, 99), masked, "{name}");
    }
    let banner = b"220-a\r\n220-20 c\r\n220 0 \r\n";
    for (name, masked) in [
        ("mailguard", "220-*\r\n220-20 *\r\n220 0 \r\n"),
        ("pix-5.1", "220-*\r\n220*20 *\r\n220 0 \r\n"),
        ("pix-6.3", "220-*\r\n220*20 *\r\n220 0 \r\n"),
    ] {
        for piece in 1..=banner.len() {
            assert_eq!(leaves(&profile(name), Speaker::Server, banner, piece), masked, "{name}");
        }
    }
}

#[test]
fn ehlo_keywords_are_filtered_byte_by_byte() {
    let reply = "250-mx XCLIENT\r\n250-SIZE 100\r\n250-XCLIENT NAME ADDR\r\n250-AUTH=LOGIN\r\n\
                 250-sizes\r\n250-StartTLS\r\n250-\r\n250 HELP\r\n";
    let masked = "250-mx XCLIENT\r\n250-SIZE 100\r\n250-XXXXXXX XXXX XXXX\r\n250-AUTH=LOGIN\r\n\
                  250-sizeX\r\n250-StartTLS\r\n250-\r\n250 HELP\r\n";
    for piece in 1..reply.len() {
        assert_eq!(offer(&profile("esmtp"), reply, piece), masked, "in pieces of {piece}");
    }
    let mut stripped = profile("esmtp");
    stripped.set("starttls", "strip").unwrap();
    let reply = "250-mx\r\n250-STARTTLS\r\n250 SIZE\r\n";
    assert_eq!(offer(&stripped, reply, 5), "250-mx\r\n250-SXXXXXXX\r\n250 SIZE\r\n");
}

#[test]
fn an_offer_is_masked_behind_its_keyword_too() {
    let listed = [("envelope", "lenient"), ("auth_mechanisms", "PLAIN")];
    let passing = [&listed[..], &[("ehlo", "pass")]].concat();
    let listed = changed("esmtp", &listed);
    for (settings, reply, expected) in [
        (&profile("esmtp"), "250-mx\r\n250 SIZ 10\r\n", "250-mx\r\n250 SIZ XX\r\n"),
        (&profile("esmtp"), "250-mx\r\n250 SIZE 10\r\n", "250-mx\r\n250 SIZE 10\r\n"),
        (
            &listed,
            "250-mx\r\n250-SIZE 10\r\n250 AUTH PLAIN LOGIN PLUM\r\n",
            "250-mx\r\n250-SIZE 10\r\n250 AUTH PLAIN XXXXX PLXX\r\n",
        ),
        (
            &changed("esmtp", &passing),
            "250-mx\r\n250-XFOO 10\r\n250 AUTH PLAIN LOGIN\r\n",
            "250-mx\r\n250-XFOO 10\r\n250 AUTH PLAIN XXXXX\r\n",
        ),
        (
            &changed("esmtp", &[("envelope", "lenient"), ("ehlo", "pass")]),
            "250-mx\r\n250-XFOO 10\r\n250-PRDR\r\n250 AUTH PLAIN\r\n",
            "250-mx\r\n250-XFOO 10\r\n250-PRDX\r\n250 AUTH PLAIN\r\n",
        ),
        (
            &changed("esmtp", &[("envelope", "lenient"), ("ehlo", "pass")]),
            "250-mx\r\n250-https://mx.example/policy/of/ours says\r\n250 PRDRS\r\n",
            "250-mx\r\n250-https://mx.example/policy/of/ours says\r\n250 PRDXX\r\n",
        ),
        (
            &changed("esmtp", &[("envelope", "lenient"), ("ehlo_keywords", "SIZE,PRDR")]),
            "250-mx\r\n250-SIZE 10\r\n250 PRDR\r\n",
            "250-mx\r\n250-SIZE 10\r\n250 XXXX\r\n",
        ),
        (
            &changed("esmtp", &[("ehlo", "pass"), ("envelope", "off")]),
            "250-mx\r\n250 PRDR\r\n",
            "250-mx\r\n250 PRDX\r\n",
        ),
        (
            &changed("esmtp", &[("ehlo", "pass"), ("envelope", "off"), ("unit", "packet")]),
            "250-mx\r\n250 PRDR\r\n",
            "250-mx\r\n250 PRDR\r\n",
        ),
    ] {
        for size in 1..=reply.len() {
            assert_eq!(offer(settings, reply, size), expected, "by {size}");
        }
    }
}

#[test]
fn asa_letters_masked_keywords() {
    let reply = "250-mx\r\n250-PIPELINING\r\n250-DELIVERBY\r\n250-STARTTLS\r\n\
                 250-X-EXPS GSSAPI\r\n250 HELP\r\n";
    let masked = "250-mx\r\n250-PIPELINING\r\n250-XXXXXXXXA\r\n250-XXXXXXXB\r\n\
                  250-XXXXXC XXXXXX\r\n250 XXXD\r\n";
    assert_eq!(offer(&profile("asa"), reply, 999), masked);
}

#[test]
fn an_asa_lets_tls_begin_where_it_is_allowed() {
    let mut asa = profile("asa");
    let (reply, line) = ("250-mx\r\n250 STARTTLS\r\n", b"STARTTLS\r\n");
    assert_eq!(offer(&asa, reply, 99), "250-mx\r\n250 XXXXXXXA\r\n");
    assert_eq!(leaves(&asa, Speaker::Client, line, 99), "XXXXXXXX\r\n");
    asa.set("starttls", "allow").unwrap();
    assert_eq!(offer(&asa, reply, 99), reply);
    assert_eq!(leaves(&asa, Speaker::Client, line, 99), "STARTTLS\r\n");
}

/// Of an ASA EHLO alone is answered by an offer; and of a keyword in two packets each part is one.
#[test]
fn by_the_packet_no_other_answer_is_an_offer() {
    let answer = "250-flushed\r\n250-pleased to meet you\r\n250 State reset\r\n";
    for asked in ["HELO a\r\n", "NOOP\r\n", "RSET\r\n", "EHLO a\r\nRSET\r\n"] {
        let mut talk = Talk::new(&profile("asa"));
        talk.say(Speaker::Server, b"220 a\r\n", 99);
        talk.say(Speaker::Client, asked.as_bytes(), 99);
        if asked.starts_with("EHLO") {
            talk.say(Speaker::Server, b"250 a\r\n", 99);
        }
        assert_eq!(talk.say(Speaker::Server, answer.as_bytes(), 999), answer, "{asked:?}");
    }
    assert_eq!(
        offer(&profile("asa"), "250-a\r\n250-HELP\r\n250 OK\r\n", 12),
        "250-a\r\n\
         250-AXXX\r\n250 OK\r\n"
    );
}

/// Behind a line that its server never answers, an offer seems to answer that line.
#[test]
fn an_offer_is_filtered_whatever_it_seems_to_answer() {
    for before in ["", "\r\n", "NOOP\r\n", "RSET\r\nxyz\r\n", "HELO a\r\n\r\n"] {
        let mut talk = Talk::new(&profile("esmtp"));
        talk.say(Speaker::Server, b"220 a\r\n", 99);
        talk.say(Speaker::Client, format!("{before}EHLO a\r\n").as_bytes(), 99);
        let left = talk.say(Speaker::Server, b"250-a\r\n250-XEVIL b\r\n250 SIZE\r\n", 99);
        assert_eq!(left, "250-a\r\n250-XXXXX X\r\n250 SIZE\r\n", "{before:?}");
    }
}

/// A server that answers twice, the second time late, seems to answer EHLO with one line.
#[test]
fn an_offer_that_is_owed_is_filtered_behind_any_command() {
    let offer = "250-a\r\n250-XEVIL b\r\n250 SIZE\r\n";
    let masked = "250-a\r\n250-XXXXX X\r\n250 SIZE\r\n";
    let cases = [
        ("250 ok\r\n", masked, "MAIL FROM:<a@b>\r\n"),
        ("250 ok\r\n250 ok\r\n", masked, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"),
        // Who has made its offer may explain itself in several lines.
        ("250-a\r\n250 SIZE\r\n", offer, "MAIL FROM:<a@b>\r\n"),
        ("250 ok\r\n250-a\r\n250 SIZE\r\n", offer, "EHLO a\r\nMAIL FROM:<a@b>\r\n"),
    ];
    for (replies, expected, then) in cases {
        for size in 1..=offer.len() {
            let mut talk = Talk::new(&profile("esmtp"));
            talk.say(Speaker::Server, b"220 a\r\n", 99);
            talk.say(Speaker::Client, format!("EHLO a\r\n{then}").as_bytes(), 99);
            talk.say(Speaker::Server, replies.as_bytes(), size);
            let left = talk.say(Speaker::Server, offer.as_bytes(), size);
            assert_eq!(left, expected, "{replies:?}");
        }
    }
}

#[test]
fn the_code_alone_in_a_last_line_of_several_is_told_of() {
    for (setting, reply, expected, rulings) in [
        ("space", "250-a\r\n250\r\n", "250-a\r\n250 \n", 1),
        ("log", "250-a\r\n250\r\n", "250-a\r\n250\r\n", 1),
        ("pass", "250-a\r\n250\r\n", "250-a\r\n250\r\n", 0),
        ("space", "250\r\n", "250\r\n", 0),
        ("space", "250-a\r\n250 \r\n", "250-a\r\n250 \r\n", 0),
        ("space", "250-a\r\n250 \r\r\n", "250-a\r\n250 \r\r\n", 0),
        ("space", "250-a\r\n250-\r\n250 b\r\n", "250-a\r\n250-\r\n250 b\r\n", 0),
    ] {
        for size in 1..=reply.len() {
            let mut talk = Talk::new(&changed("esmtp", &[("bare_last_line", setting)]));
            talk.say(Speaker::Server, b"220 a\r\n", 99);
            talk.say(Speaker::Client, b"RSET\r\n", 99);
            talk.rulings.clear();
            assert_eq!(talk.say(Speaker::Server, reply.as_bytes(), size), expected, "{setting}");
            let is_told = |ruling: &&Ruling| {
                let rule = Rule::BareLastLine;
                **ruling == Ruling::Edit(rule) || **ruling == Ruling::Note(rule)
            };
            assert_eq!(talk.rulings.iter().filter(is_told).count(), rulings, "{setting} {reply:?}");
        }
    }
}

/// Text behind it that leaves as it came is no edit: then that is what there is to tell.
#[test]
fn the_code_alone_is_told_of_where_no_text_behind_it_is_masked() {
    let settings = changed("esmtp", &[("bare_last_line", "log"), ("banner", "stars")]);
    for (text, ruling) in
        [("x", Ruling::Edit(Rule::Banner)), ("*", Ruling::Note(Rule::BareLastLine))]
    {
        let mut talk = Talk::new(&settings);
        talk.say(Speaker::Server, b"220-a\r\n220", 99);
        talk.rulings.clear();
        assert_eq!(talk.say(Speaker::Server, format!("\r{text}").as_bytes(), 99), "\r*");
        assert_eq!(talk.rulings, [ruling]);
    }
}

/// `esmtp`, where nothing but the size is asked of a message, behind its header.
fn sized(changes: &[(&str, &str)]) -> Settings {
    let none = ["header_bytes_max", "header_line_max", "header_fields_max"];
    let none = none.map(|name| (name, "0"));
    changed("esmtp", &[&none[..], changes].concat())
}

/// A talk in the body of a message.
fn in_body(settings: &Settings, offer: &str) -> Talk {
    let mut talk = Talk::new(settings);
    talk.say(Speaker::Server, b"220 a\r\n", 99);
    talk.say(Speaker::Client, b"EHLO a\r\n", 99);
    talk.say(Speaker::Server, format!("250-a\r\n{offer}250 DSN\r\n").as_bytes(), 99);
    talk.say(Speaker::Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", 99);
    talk.say(Speaker::Server, b"250 ok\r\n250 ok\r\n354 go\r\n", 99);
    talk.say(Speaker::Client, b"a: b\r\n\r\n", 99);
    talk.rulings.clear();
    assert!(!talk.reads_message());
    talk
}

/// Says a piece to both talks, swept where that may be: whether it was.
fn say_both(quick: &mut Talk, plain: &mut Talk, piece: &[u8]) -> bool {
    let (mut left, mut rest) = (Vec::new(), piece);
    let mut is_swept = false;
    while !rest.is_empty() && quick.ended().is_none() {
        let before = plain.rulings.len();
        let part = match quick.sweep(rest) {
            Some(part) => {
                is_swept = true;
                let expected = plain.speak(Speaker::Client, &rest[..part.len()], 9_999_999);
                assert_eq!(part, expected, "{:?}", String::from_utf8_lossy(piece));
                let is_cause = |ruling: &Ruling| *ruling == Ruling::Edit(Rule::Lookalike);
                let has_struck = plain.rulings[before..].iter().any(is_cause);
                let strikes = usize::from(has_struck && quick.guard.plan.is_some());
                assert_eq!(quick.draft.strikes().len(), strikes);
                rest = &rest[part.len()..];
                part
            }
            None => {
                let part = quick.speak(Speaker::Client, rest, 9_999_999);
                assert_eq!(part, plain.speak(Speaker::Client, rest, 9_999_999));
                rest = &[];
                part
            }
        };
        left.extend(part);
        assert_eq!(quick.watch, plain.watch, "{:?}", String::from_utf8_lossy(piece));
        assert_eq!(quick.dialogue.expect(), plain.dialogue.expect());
        assert_eq!(quick.ended(), plain.ended(), "{:?}", String::from_utf8_lossy(piece));
    }
    is_swept
}

#[test]
fn what_is_swept_leaves_as_what_is_read_run_by_run() {
    let mut random = random(4);
    let (mut swept, mut all) = (0, 0);
    let mut all_settings = Vec::new();
    for size in ["0", "60", "9999"] {
        for lookalikes in ["neutralise", "pass"] {
            all_settings.push((30, sized(&[("size_assumed", size), ("lookalikes", lookalikes)])));
        }
    }
    let mut patched = sized(&[("size_assumed", "0"), ("patches", "off,CVE-2023-51764=on")]);
    patched.patches.catalogue = Catalogue::with(&[]).unwrap();
    all_settings.push((2, patched));
    for (rounds, settings) in all_settings {
        for _ in 0..rounds {
            let (mut quick, mut plain) = (in_body(&settings, ""), in_body(&settings, ""));
            for _ in 0..20 {
                let piece: Vec<u8> =
                    (0..random(30)).map(|_| b"\r\n\n..abcd\r\n\r"[random(12)]).collect();
                all += usize::from(!piece.is_empty());
                swept += usize::from(say_both(&mut quick, &mut plain, &piece));
                if !matches!(quick.dialogue.expect(), Expect::Data(_)) {
                    break;
                }
            }
        }
    }
    assert!(swept > all / 3 && swept < all, "{swept} of {all}");
}

#[test]
fn what_is_far_from_any_limit_is_swept_and_nothing_else() {
    let text = "abc\r\n".repeat(4_000);
    for (changes, offer, before, is_swept) in [
        ([("size_assumed", "0")], "", 0, true),
        ([("size_assumed", "99999")], "", 0, true),
        ([("size_assumed", "9999")], "", 0, false),
        ([("size_assumed", "9999")], "", 20_000, true),
        ([("size_assumed", "99999")], "250-SIZE 9999\r\n", 20_000, true),
        ([("size_assumed", "99999")], "250-SIZE 70000\r\n", 0, true),
        ([("size_assumed", "99999")], "250-SIZE 70000\r\n", 60_000, false),
    ] {
        let mut talk = in_body(&sized(&changes), offer);
        let start = "x".repeat(before);
        assert_eq!(talk.say(Speaker::Client, start.as_bytes(), 9_999), start);
        let swept = talk.sweep(text.as_bytes());
        let expected = is_swept.then(|| text.clone().into_bytes());
        assert_eq!(swept, expected, "{changes:?} {offer:?} {before}");
    }
    // What the server surely refuses leaves masked, swept too.
    let offer = "250-SIZE 65536\r\n";
    let (mut quick, mut plain) = (in_body(&sized(&[]), offer), in_body(&sized(&[]), offer));
    let start = "x".repeat(70_000);
    quick.say(Speaker::Client, start.as_bytes(), 9_999);
    plain.say(Speaker::Client, start.as_bytes(), 9_999);
    assert!(say_both(&mut quick, &mut plain, b"EXPN a\r\n.\r\nRSET\r\n"));
}

#[test]
fn guards_are_alike_by_their_settings() {
    let guard = |changes: &[(&str, &str)]| Guard::new(changed("esmtp", changes));
    assert!(guard(&[]).is_like(&guard(&[])));
    assert!(!guard(&[]).is_like(&guard(&[("line_max", "9")])));
    assert!(!guard(&[("line_max", "9")]).is_like(&guard(&[])));
}

/// The names of the patches that have struck.
fn struck(guard: &Guard, draft: &Draft) -> Vec<String> {
    let names = draft.strikes().iter().filter_map(|strike| guard.patch(*strike));
    names.map(|id| id.to_string()).collect()
}

#[test]
fn patches_are_named_by_what_they_are_for() {
    let mut settings = changed("esmtp", &[("patches", "off,CVE-2019-15846=on,CVE-2014-0160=on")]);
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    let (guard, mut draft) = (Guard::new(settings.clone()), Draft::default());
    guard.blame_rule(Rule::Sni, &mut draft);
    assert_eq!(struck(&guard, &draft), ["CVE-2019-15846"]);
    let mut draft = Draft::default();
    guard.blame("record-type", Speaker::Client, &mut draft);
    assert_eq!(struck(&guard, &draft), ["CVE-2014-0160"]);
    let mut draft = Draft::default();
    guard.blame_rule(Rule::Verb, &mut draft);
    guard.blame("early-ccs", Speaker::Client, &mut draft);
    assert!(draft.strikes().is_empty());
    // One of which something is said has to be there.
    assert_eq!(settings.patches.unknown(), None);
    settings.set("patches", "on,CVE-2019-15846=off,CVE-1=off").unwrap();
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    assert_eq!(settings.patches.unknown(), Some("CVE-1"));
}

#[test]
fn a_patch_may_keep_chunks_from_passing() {
    for (patches, permits) in [
        ("off", true),
        ("off,CVE-2017-16943=log", true),
        ("off,CVE-2017-16943=on", false),
        ("off,CVE-2019-15846=on", true),
    ] {
        let mut settings = changed("esmtp", &[("patches", patches)]);
        settings.patches.catalogue = Catalogue::with(&[]).unwrap();
        let guard = Guard::new(settings);
        assert_eq!(guard.permitted.contains(Verb::Bdat), permits, "{patches}");
        let offered = guard.settings().ehlo_keywords.iter().any(|keyword| keyword == "CHUNKING");
        assert_eq!(offered, permits, "{patches}");
    }
}
