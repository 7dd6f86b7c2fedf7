//! What the machine finds, and what files may say.

use super::automaton::{Automaton, Ends};
use super::*;
use crate::smtp::Verb;

/// What is met in an argument of this verb: where, and what it brings about.
fn met(patch: &str, verb: Verb, argument: &str) -> Vec<(usize, Option<Act>)> {
    let text = format!("{HEAD}{patch}{TESTS}");
    let catalogue = Catalogue::of(vec![file::read("x", &text).unwrap()]).unwrap();
    let plan = Plan::new(&catalogue, |_| State::On).unwrap();
    let whole = read(&plan, verb, argument, argument.len().max(1));
    for size in 1..argument.len() {
        assert_eq!(read(&plan, verb, argument, size), whole, "{argument:?} in pieces of {size}");
    }
    whole
}

fn read(plan: &Plan, verb: Verb, argument: &str, size: usize) -> Vec<(usize, Option<Act>)> {
    let (mut line, mut strikes, mut found) = (Line::default(), Vec::new(), Vec::new());
    line.begin_argument(Some(verb));
    let mut start = 0;
    for piece in argument.as_bytes().chunks(size) {
        let mut at = 0;
        while let Some((used, act)) = plan.read(&mut line, &piece[at..], &mut strikes) {
            at += used;
            found.push((start + at, Some(act)));
        }
        start += piece.len();
    }
    let met = strikes.len();
    let end = plan.end(&line, &mut strikes);
    if strikes.len() > met {
        found.push((argument.len(), end));
    }
    found
}

/// Where in an argument of RCPT a rule is met.
fn places(patch: &str, argument: &str) -> Vec<usize> {
    met(patch, Verb::Rcpt, argument).into_iter().map(|(place, _)| place).collect()
}

const HEAD: &str = "id = 'X'\ntitle = 'x'\nproducts = [{ name = 'x', versions = '<2' }]\n\
    references = ['x']\ngrade = 'M'\nscope = 'cleartext'\ncloses = 'the fault'\ndefault = 'on'\n";

const TESTS: &str = "[[test]]\nclient = 'a'\nserver = 'X'\n[[test]]\nclient = 'b'\n";

const LOCAL: &str = "[[rule]]\nzone = ['rcpt.local']\ndo = 'blank'\n";

#[test]
fn a_zone_holds_what_servers_read_there() {
    let zone = |name: &str| format!("[[rule]]\nzone = ['{name}']\nbytes = 'z'\ndo = 'blank'\n");
    let path = "TO:<@z.d,@y:azb.\"z>\\z\"@z.d[z]>zz zNOTIFY=z orCPT=z zz";
    for (name, expected) in [
        ("rcpt", vec![6, 14, 18, 21, 24, 28, 31, 32, 34, 42, 50, 52, 53]),
        ("command", vec![6, 14, 18, 21, 24, 28, 31, 32, 34, 42, 50, 52, 53]),
        ("rcpt.path", vec![6, 14, 18, 21, 24, 28]),
        ("rcpt.local", vec![14, 18, 21]),
        ("rcpt.domain", vec![6, 24, 28]),
        ("rcpt.parameter", vec![42, 50]),
        ("rcpt.parameter.ORCPT", vec![50]),
        ("mail", vec![]),
        ("mail.local", vec![]),
        ("verb", vec![]),
    ] {
        assert_eq!(places(&zone(name), path), expected, "{name}");
    }
    assert_eq!(places(&zone("rcpt.local"), "TO:z@z z"), [4]);
    assert_eq!(places(&zone("rcpt.domain"), "TO:  z@z z"), [8]);
    let auth = |name, argument| met(&zone(name), Verb::Auth, argument).len();
    assert_eq!(auth("auth.mechanism", "  zz zzz"), 2);
    assert_eq!(auth("auth.response", "  zz  zzz"), 3);
}

#[test]
fn a_text_has_to_stand_whole_in_its_zone() {
    let rule = format!("{LOCAL}text = 'Z@z'\n");
    assert!(places(&rule, "TO:<z@z>").is_empty());
    let rule = format!("{LOCAL}text = 'zZ'\n");
    assert_eq!(places(&rule, "TO:<zz>"), [6]);
    assert_eq!(places(&rule, "TO:<z.\"\\z\\z\"z@d>"), [11, 13]);
    assert!(places(&rule, "TO:<@z:z@d>").is_empty());
    let rule = format!("{LOCAL}text = 'zz'\nfirst = true\n");
    assert_eq!(places(&rule, "TO:<zzz>"), [6]);
    assert!(places(&rule, "TO:<azz>").is_empty());
}

#[test]
fn rules_ask_for_quotes_and_for_what_stood_before() {
    let inside = format!("{LOCAL}bytes = 'z'\nquoted = true\n");
    let outside = format!("{LOCAL}bytes = 'z'\nquoted = false\n");
    let path = "TO:<z.\"z\\z\".z\"z@d>";
    // Sendmail quotes behind a quote in a word too.
    assert_eq!(places(&inside, path), [8, 10, 15]);
    assert_eq!(places(&outside, path), [5, 13, 15]);
    let behind = format!("{LOCAL}bytes = 'z'\nbehind = 'y'\n");
    assert_eq!(places(&behind, "TO:<zyz.z@y>"), [7, 9]);
    let length = "[[rule]]\nzone = ['rcpt.domain']\nover = 3\ndo = 'reset'\n";
    assert!(places(length, "TO:<aaaaaaa@aaa>").is_empty());
    assert_eq!(places(length, "TO:<aaaaaaa@aaaaaa>"), [16]);
}

/// Whether one of the patches that come with the filter minds an argument, at every cut.
fn is_minded(plan: &Plan, verb: Verb, argument: &str) -> bool {
    let whole = read(plan, verb, argument, argument.len());
    for size in 1..argument.len() {
        assert_eq!(read(plan, verb, argument, size), whole, "{argument:?} in pieces of {size}");
    }
    assert!(whole.is_empty() || plan.may_mind(verb, Some(argument.as_bytes())), "{argument:?}");
    !whole.is_empty()
}

#[test]
fn a_path_is_seen_however_it_is_dressed() {
    let all = Catalogue::with(&[]).unwrap();
    let plan_of = |id: &str| {
        let state = |patch: &Patch| if *patch.id == *id { State::On } else { State::Off };
        Plan::new(&all, state).unwrap()
    };
    for (id, verb, argument) in [
        ("CVE-2020-28021", Verb::Mail, "FROM:<a@b>\x0bAUTH=x+0Ay"),
        ("CVE-2020-28021", Verb::Mail, "FROM:<a@b> SIZE=1\x0cAUTH=x+0Ay"),
        ("CVE-2020-28021", Verb::Mail, "FROM:a@b\x0bAUTH=x+0Ay"),
        ("CVE-2020-28021", Verb::Mail, "FROM:a@b AUTH=<x+0Ay>"),
        ("CVE-2020-28021", Verb::Mail, "FROM:<a@b> auth=x aUtH=x+0dy"),
        ("CVE-2020-28021", Verb::Mail, "FROM:<a@b>\tSIZE=\"1 \x0b\tAUTH=x+0Ay"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<$\\{x}@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:Joe <\"$\\{x}\"@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:\"Joe\" <\"$\\{x}\"@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:(c)<\"$\\{x}\"@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<(c)$\\{x}@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<@r.example:$\\{x}@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<a\\>${x}@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:a ${x}@d"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:a@b $\\{x}"),
        ("CVE-2025-67896", Verb::Rcpt, "TO:a '--@d"),
        ("CVE-2025-67896", Verb::Rcpt, "TO:Joe@x.example <a'--@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:< |x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\x0b|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<(c)|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<(c (d\\)) e) (f>g)\x0c|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\\|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:Joe <|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:Joe<|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:Joe (c) Doe a=b\t<\"|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:Joe <(c) <@r: (c)\"\\|x\"@d>"),
        ("CVE-1999-0203", Verb::Mail, "FROM: (c d)|x@d"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"@r.example:|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"@r,@s:\\|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<@q:\"\\@r:@s\\: |x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"a@b:|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"(c)|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"(c(d)e)|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"(a@b)|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"(c)@r:|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"<>|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"<a>|x\"@d>"),
        ("CVE-1999-0203", Verb::Mail, "FROM:<\"<|x>\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"\x0b|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"\x7f\x01|x\"@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"\"|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<\"@r.example\":|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:\x0c |x@d"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:\x01\t|x@d"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<,|x@d>"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:,;|x@d"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:a:|x@d"),
        ("CVE-1999-0203", Verb::Rcpt, "TO:<>|x@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<>${x}@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<<$\t{x}@d>>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<<$ {x}@d>>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<\"$\"\"{x}\"@d>"),
        ("CVE-2019-10149", Verb::Mail, "FROM:<$\"{x}\"@d>"),
        ("CVE-2019-10149", Verb::Rcpt, "TO:<\"$\"{x}@d>"),
        ("CVE-2024-45519", Verb::Rcpt, "TO:<\"$\"\"(x)\"@d>"),
        ("CVE-2024-45519", Verb::Rcpt, "TO:<>`x@d>"),
        ("CVE-2021-44228", Verb::Rcpt, "TO:<\"$\"\"{jndi:x}\"@d>"),
        ("CVE-2014-6271", Verb::Rcpt, "TO:<\"()\x0b{ x\"@d>"),
        ("CVE-2014-6271", Verb::Rcpt, "TO:<\"()\x7f{ x\"@d>"),
        ("CVE-2014-6271", Verb::Rcpt, "TO:<\"()\"\" {x\"@d>"),
        ("CVE-2025-67896", Verb::Rcpt, "TO:Joe <'=/*@d>"),
        ("CVE-2025-67896", Verb::Rcpt, "TO:<<>'/*@d>"),
        ("CVE-2025-67896", Verb::Rcpt, "TO:<\"'/\"\"*\"@d>"),
        ("CVE-2020-7247", Verb::Mail, "FROM:<a@;x;@>"),
        ("zimbra-operators", Verb::Rcpt, "TO:<\"a;x\ty\"@d>"),
        ("CVE-2026-73570", Verb::Rcpt, "TO:<service status change: x@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<\"\"@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<\"@r.example:\"@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<\"\\@r,@s\\:\"@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<\"@r:@s:\"@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<@q:\"@r:\"@d>"),
        ("CVE-2020-10967", Verb::Mail, "FROM:Joe <(c) \"@r:\"@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<@d>"),
        ("CVE-2020-10967", Verb::Rcpt, "TO:<@r,@s:@d>"),
        ("CVE-2024-45519", Verb::Rcpt, "TO:Joe <a.(c) \"b;x$y\"@d>"),
    ] {
        assert!(is_minded(&plan_of(id), verb, argument), "{id} {argument:?}");
    }
    let long = |start: &str| start.to_owned() + &"a ".repeat(501) + "\"";
    let one = plan_of("CVE-2020-28026");
    assert!(is_minded(&one, Verb::Rcpt, &long("TO:<a@d> ORCPT=\"")), "a blank in quotes");
    assert!(!is_minded(&one, Verb::Rcpt, &long("TO:<a@d> ORCPT=")));
    let deep = |depth| format!("TO:<{}{}|x@d>", "(".repeat(depth), ")".repeat(depth));
    let pipe = plan_of("CVE-1999-0203");
    assert!([1, 2, 254, 255, 256, 300].map(deep).iter().all(|to| is_minded(&pipe, Verb::Rcpt, to)));
    for argument in ["TO:<a|b@d>", "TO:<(|)a@d>", "TO:<\"a (b) |\"@d>", "TO:a@b SIZE=|"] {
        assert!(!is_minded(&pipe, Verb::Rcpt, argument), "{argument}");
    }
    let empty = plan_of("CVE-2020-10967");
    for argument in
        ["TO:<@r:a@d>", "TO:<\"@r:a\"@d>", "TO:<\"\\\"\"@d>", "TO:<\"(c)\"@d>", "TO:<\"@\"@d>"]
    {
        assert!(!is_minded(&empty, Verb::Rcpt, argument), "{argument}");
    }
}

#[test]
fn a_backslash_in_a_path_is_dropped_but_is_long_and_can_be_looked_for() {
    let rule = format!("{LOCAL}bytes = '\\'\n");
    assert_eq!(places(&rule, "TO:<a\\b.\"\\c\"@d\\>"), [6]);
    let length = "[[rule]]\nzone = ['rcpt.path']\nover = 4\ndo = 'reset'\n";
    assert_eq!(places(length, "TO:<a\\b\\c>"), [9]);
    assert_eq!(places(length, "TO:<\"\\b\\c\">"), [9]);
    let rule = "[[rule]]\nzone = ['vrfy']\ntext = 'a\"b'\nfirst = true\ndo = 'refuse'\n";
    assert_eq!(met(rule, Verb::Vrfy, "a\\\"b").len(), 1);
}

#[test]
fn what_a_byte_becomes_depends_on_its_place() {
    let all = "[[rule]]\nzone = ['command']\nbytes = 'z'\ndo = 'refuse'\n";
    for (verb, argument, cure) in [
        (Verb::Rcpt, "z", Cure::X),
        (Verb::Rcpt, "TO:z", Cure::Bracket),
        (Verb::Rcpt, "TO: az", Cure::Bracket),
        (Verb::Rcpt, "TO:a@z", Cure::Bracket),
        (Verb::Rcpt, "TO:<z", Cure::X),
        (Verb::Rcpt, "TO:<a@[z", Cure::X),
        (Verb::Rcpt, "TO:<\"z", Cure::X),
        (Verb::Rcpt, "TO:<a>z", Cure::Parameter),
        (Verb::Rcpt, "TO:<a> z", Cure::X),
        (Verb::Rcpt, "TO:a z", Cure::Bracket),
        (Verb::Rcpt, "TO:a@b z", Cure::Bracket),
        (Verb::Rcpt, "TO:a <z", Cure::X),
        (Verb::Rcpt, "TO:a ORCPT=z", Cure::BareParameter),
        (Verb::Rcpt, "TO:<\\z", Cure::X),
        (Verb::Rcpt, "TO:<a> ORCPT=z", Cure::Parameter),
        (Verb::Mail, "FROM:<a> BODY=z", Cure::X),
        (Verb::Vrfy, "z", Cure::Bracket),
        (Verb::Vrfy, "<z", Cure::X),
        (Verb::Etrn, "z", Cure::X),
        (Verb::Noop, "z", Cure::Blank),
        (Verb::Ehlo, "az", Cure::Blank),
        (Verb::Auth, "z", Cure::X),
    ] {
        let found = met(all, verb, argument);
        assert_eq!(found, [(argument.len(), Some(Act::Cure(cure)))], "{verb} {argument}");
    }
    assert_eq!(met(all, Verb::Auth, "PLAIN z"), [(7, Some(Act::Reset))]);
    for argument in ["TO:a(z", "TO:a@d(z"] {
        let found = met(all, Verb::Rcpt, argument);
        assert_eq!(found, [(argument.len(), Some(Act::Reset))], "a comment to Exim: {argument}");
    }
}

#[test]
fn the_end_of_a_line_shows_what_is_missing() {
    let quote = "[[rule]]\ncheck = 'open-quote'\ndo = 'reset'\n";
    assert_eq!(met(quote, Verb::Mail, "FROM:<\"a\\\"@d>"), [(13, Some(Act::Reset))]);
    assert!(met(quote, Verb::Mail, "FROM:<\"a\"@d>").is_empty());
    let base64 = "[[rule]]\ncheck = 'base64-length'\ndo = 'log'\n";
    assert_eq!(met(base64, Verb::Auth, "PLAIN abc"), [(9, None)]);
    for (argument, is_short) in [
        ("PLAIN abcd", false),
        ("PLAIN abcd\x0b", false),
        ("\x0cPLAIN\x0b\x0cabcd", false),
        ("PLAIN \x0babc", true),
        ("PLAIN abc\x0b", true),
        ("PLAIN a\x0cb \tc\x0c\x0b", true),
        ("PLAIN\x0babc", true),
    ] {
        assert_eq!(!met(base64, Verb::Auth, argument).is_empty(), is_short, "{argument:?}");
    }
}

/// What the machine says of a whole line, and what the sieve does.
fn said_of(plan: &Plan, verb: Verb, argument: &[u8]) -> (bool, bool) {
    let (mut line, mut strikes) = (Line::default(), Vec::new());
    let mut is_met = plan.read(&mut line, verb.name().as_bytes(), &mut strikes).is_some();
    line.begin_argument(Some(verb));
    is_met |= plan.read(&mut line, argument, &mut strikes).is_some();
    is_met |= plan.end(&line, &mut strikes).is_some();
    (is_met || !strikes.is_empty(), plan.may_mind(verb, Some(argument)))
}

/// What the rules look for, and what is too long for them.
fn texts_of(catalogue: &Catalogue) -> Vec<Vec<u8>> {
    let rules = catalogue.patches().iter().flat_map(|patch| &patch.rules);
    let texts = rules.flat_map(|rule| match &rule.sign {
        Sign::Texts(texts) => texts.clone(),
        Sign::Over(most) => vec![b"a".repeat(usize::from(*most) + 1)],
        Sign::EmptyLocalPart => vec![b"\"\"@".to_vec(), b"\"@r:\"@".to_vec(), b"@r>".to_vec()],
        Sign::OpenQuote | Sign::Base64Length | Sign::Cause(_) => Vec::new(),
    });
    texts.collect()
}

#[test]
fn a_place_without_parts_is_passed_as_byte_by_byte() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let texts = texts_of(&catalogue);
    let (mut met, mut passed) = (0, 0);
    for (number, text) in texts.iter().enumerate() {
        let gap = b"z".repeat(number * 13 % 130);
        let text = [&gap, &**text, &gap, b"'", &texts[number * 7 % texts.len()]].concat();
        for verb in [None, Some(Verb::Noop), Some(Verb::Helo), Some(Verb::Bdat)] {
            let mut line = Line::default();
            if number % 5 > 0 {
                line.begin_argument(verb);
            }
            let (mut stepped, mut steps) = (line, Vec::new());
            for (at, byte) in text.iter().enumerate() {
                catalogue.step(&mut stepped, *byte, |rule| steps.push((at, rule)));
            }
            let (mut at, mut found) = (0, Vec::new());
            while at < text.len() {
                let more = catalogue.pass(&mut line, &text[at..]);
                (at, passed) = (at + more, passed + more);
                if let Some(byte) = text.get(at) {
                    catalogue.step(&mut line, *byte, |rule| found.push((at, rule)));
                    at += 1;
                }
            }
            assert_eq!((line, &found), (stepped, &steps), "{}", text.escape_ascii());
            met += found.len();
        }
    }
    assert!(met > 300 && passed > 50_000, "{met} {passed}");
}

/// However its states are ordered, and whatever bytes it takes for one.
#[test]
fn the_automaton_finds_every_text_and_passes_over_no_stop() {
    let mut texts = texts_of(&Catalogue::with(&[]).unwrap());
    texts.retain(|text| text.len() < 64);
    texts.extend([b"aa".to_vec(), b"a".to_vec(), b"a".to_vec(), b"aA".to_vec()]);
    let texts: Vec<_> = (0..).zip(texts).collect();
    // Some numbers have to stand first, some are a stop.
    let ends = |found: &[(u16, u16)]| match found {
        [] => Ends::Nothing,
        _ if found.iter().all(|(number, _)| number % 3 == 0) => Ends::Firsts,
        _ => Ends::Others,
    };
    let automaton = Automaton::new(&texts, ends).unwrap();
    let bytes: Vec<u8> = (0..4_000_usize)
        .flat_map(|at| {
            let (_, text) = &texts[at * 7_919 % texts.len()];
            let length = if at % 3 == 0 { text.len() } else { 1 + at % text.len() };
            let gap = if at % 5 == 0 { &b"zzzzzzzzzzz"[at % 11..] } else { b"" };
            [&text[..length.min(text.len())], gap].concat()
        })
        .collect();
    let (mut state, mut states) = (0, vec![0]);
    for (at, byte) in bytes.iter().enumerate() {
        state = automaton.step(state, *byte);
        states.push(state);
        let before = &bytes[at.saturating_sub(64)..=at];
        let ends_here = |text: &[u8]| {
            let tail = before.len().checked_sub(text.len()).map(|start| &before[start..]);
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(text))
        };
        let mut expected: Vec<_> = texts
            .iter()
            .filter(|(_, text)| ends_here(text))
            .map(|(n, t)| (*n, u16::try_from(t.len()).unwrap()))
            .collect();
        // The longest first.
        expected.sort_by_key(|(_, length)| u16::MAX - length);
        assert_eq!(automaton.found(state), expected, "at {at}");
    }
    for most in [Ends::Nothing, Ends::Firsts, Ends::Others] {
        let is_stop = |state: u16| automaton.found(state).iter().any(|(number, _)| number % 2 == 0);
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes[at..].split_at(1 + at % 99.min(bytes.len() - at)).0;
            let (used, state) = automaton.pass(states[at], rest, most, is_stop);
            let stops = |state: u16| ends(automaton.found(state)) > most && is_stop(state);
            let expected = states[at + 1..][..rest.len()].iter().position(|state| stops(*state));
            assert_eq!((used, state), (expected.unwrap_or(rest.len()), states[at + used]), "{at}");
            at += used.max(1);
        }
    }
}

/// Numbers below the one given, in no order.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut random = 7_u32;
    move |most| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % most
    }
}

/// An argument of what places and rules mind, and runs of what nobody does.
fn any_argument(texts: &[Vec<u8>], next: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    const MARKS: &str = "< > \" \\ ( ) @ : [ ] , . ; = \x0b \x01 | ' & \u{e9} FROM:< TO:< \
        >\tORCPT= >\tAUTH= \tBODY= >\tX= FROM: TO: \\\\ (( \". X \t";
    let marks: Vec<_> = MARKS.split(' ').map(|mark| mark.replace('\t', " ")).collect();
    let mut argument = Vec::new();
    for _ in 0..2 + next(12) {
        match next(8) {
            0 => argument.extend_from_slice(&texts[next(texts.len())]),
            1 => argument.extend(b"ax\xe9$".repeat(next(12))),
            2 => argument.resize(argument.len() + next(700), b'X'),
            3 => argument.extend(b"abcdefgh!'*\t".iter().take(next(12))),
            _ => argument.extend(marks[next(marks.len())].bytes()),
        }
    }
    argument
}

/// What is passed over, and what comes again and again, is what the same bytes are one by one.
#[test]
fn bytes_that_are_read_alike_are_passed_as_byte_by_byte() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let plan = Plan::new(&catalogue, |patch| patch.default.max(State::Log)).unwrap();
    let texts = texts_of(&catalogue);
    let verbs = [Verb::Mail, Verb::Rcpt, Verb::Vrfy, Verb::Auth, Verb::Noop, Verb::Bdat];
    let (mut next, mut met) = (numbers(), 0);
    for round in 0..6_000 {
        let argument = any_argument(&texts, &mut next);
        let mut line = if round % 9 == 0 { Line::response() } else { Line::default() };
        if round % 9 > 0 {
            line.begin_argument(Some(verbs[next(verbs.len())]));
        }
        let (mut whole, mut again, mut single) = (line, line, line);
        let [mut in_whole, mut in_again, mut in_single] = [const { Vec::new() }; 3];
        let [mut found, mut found_again, mut found_single] = [const { Vec::new() }; 3];
        let mut at = 0;
        while let Some((used, act)) = plan.read(&mut whole, &argument[at..], &mut in_whole) {
            at += used;
            found.push((at, act));
        }
        at = 0;
        for run in argument.chunk_by(|one, other| one == other) {
            let end = at + run.len();
            while at < end {
                let (used, act) = plan.read_again(&mut again, run[0], end - at, &mut in_again);
                at += used;
                found_again.extend(act.map(|act| (at, act)));
            }
        }
        for (at, byte) in argument.iter().enumerate() {
            let (_, act) = plan.read_again(&mut single, *byte, 1, &mut in_single);
            found_single.extend(act.map(|act| (at + 1, act)));
        }
        met += in_single.len();
        let expected = (single, found_single, in_single);
        assert_eq!((whole, found, in_whole), expected, "{}", argument.escape_ascii());
        assert_eq!((again, found_again, in_again), expected, "{}", argument.escape_ascii());
    }
    assert!(met > 5_000, "{met}");
}

#[test]
fn the_sieve_lets_nothing_through_that_the_machine_minds() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let plan = Plan::new(&catalogue, |_| State::On).unwrap();
    let texts = texts_of(&catalogue);
    let starts = [
        "",
        "FROM:<",
        "TO:<",
        "TO:<a'",
        "FROM:<\"a",
        "TO:<a@",
        "FROM:<a> AUTH=",
        "a ",
        "TO:",
        "TO: ",
        "TO:<@x:",
        "FROM:\t",
        "FROM:<a>\x0bAUTH=",
        "FROM:<a> SIZE=1\x0cAUTH=",
        "FROM:a\x0bb=",
        "TO:a\x0c",
        "TO:<a> ORCPT=\"a ",
        "TO:<\\",
        "TO:<a\\>",
        "TO:< ",
        "TO:<\x0b",
        "TO:<(c)",
        "TO:<(c\\)(d)",
        "TO:(c)<",
        "TO:Joe <",
        "TO:Joe <\"",
        "TO:\"Joe\"<",
        "TO:a ",
        "TO:a@b ",
        "TO:a b=",
        "TO:a@b<",
        "TO:a b=<",
        "TO:<@x: (c)\t",
        "FROM:a AUTH=<",
    ];
    let mut met = 0;
    for verb in Verb::ALL.into_iter().filter(|verb| *verb != Verb::Auth) {
        for (at, text) in texts.iter().enumerate() {
            for start in starts {
                let other = &texts[(at * 7) % texts.len()];
                for text in [text.to_ascii_uppercase(), [text.as_slice(), other].concat()] {
                    let argument = [start.as_bytes(), &text, b">"].concat();
                    let (is_met, is_kept) = said_of(&plan, verb, &argument);
                    let shown = String::from_utf8_lossy(&argument);
                    assert!(is_kept || !is_met, "{verb} {shown}");
                    met += usize::from(is_met);
                }
            }
        }
    }
    assert!(met > 1_000, "{met}");
    for text in ["m:<", "<a", "<", "M:", "from:<a@b> s"] {
        let rule = format!("[[rule]]\nzone = ['command']\ntext = '{text}'\ndo = 'refuse'\n");
        let patch = file::read("x", &format!("{HEAD}{rule}{TESTS}")).unwrap();
        let plan = Plan::new(&Catalogue::of(vec![patch]).unwrap(), |_| State::On).unwrap();
        assert_eq!(said_of(&plan, Verb::Mail, b"FROM:<a@b> SIZE=1"), (true, true), "{text}");
    }
    let split = b"TO:<\"a$\\(x\"@d>";
    assert_eq!(said_of(&plan, Verb::Rcpt, split), (true, true));
}

#[test]
fn the_sieve_lets_ordinary_lines_through() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let plan = Plan::new(&catalogue, |patch| patch.default).unwrap();
    for (verb, argument) in [
        (Verb::Mail, "FROM:<>"),
        (Verb::Mail, "FROM:<> SIZE=31415 BODY=8BITMIME RET=HDRS ENVID=QQ314159"),
        (Verb::Mail, "FROM:<bounces+12345-6789=example.org@mail.example.net> SIZE=31415"),
        (Verb::Mail, "FROM:<SRS0=mL/e=5P=x.example=u+t@y.example>"),
        (Verb::Mail, "FROM:<prvs=1234abcdef=a.b_c@x.example>"),
        (Verb::Rcpt, "TO:<b-9_u=d.example_2021#30#24@x.example> NOTIFY=SUCCESS,FAILURE"),
        (Verb::Rcpt, "TO:<someone@example.org> ORCPT=rfc822;someone@example.org"),
        (Verb::Rcpt, "TO:<a@[IPv6:2001:db8::1]>"),
        (Verb::Rcpt, "TO: <some.one@sub-domain.example.org>"),
        (Verb::Ehlo, "[192.0.2.1]"),
        (Verb::Helo, "mail-1.example.org"),
        (Verb::Vrfy, "some.one@example.org"),
        (Verb::Etrn, "@example.org"),
        (Verb::Noop, "keepalive"),
    ] {
        assert_eq!(said_of(&plan, verb, argument.as_bytes()), (false, false), "{verb} {argument}");
    }
    assert!(!plan.may_mind(Verb::Data, None));
    let barring = Plan::new(&catalogue, |_| State::On).unwrap();
    assert!(barring.may_mind(Verb::Vrfy, None), "a patch minds the very word");
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let good = format!("{HEAD}{LOCAL}bytes = 'z'\n{TESTS}");
    assert!(file::read("x", &good).is_ok());
    for (from, to, expected) in [
        ("'X'", "'a b'", "x: id = `a b`: expected letters, digits and hyphens"),
        ("'<2'", "'<x'", "x: versions: `<x` found, expected such as `<4.92`"),
        ("'M'", "'Q'", "x: grade = `Q`: expected V or C or M"),
        ("'on'", "'yes'", "x: default = `yes`: expected off or log or on"),
        ("'blank'", "'drop'", "x: do = `drop`: expected log or blank or refuse or reset"),
        ("bytes = 'z'", "over = 3", "x: over: a length is no text, expected do = reset or log"),
        ("bytes = 'z'", "", "x: rule: expected one of bytes, text, over, check"),
        ("bytes = 'z'", "check = 'y'", "x: zone: a check has its own"),
        ("rcpt.local", "rcpt.parameter.X", "x: zone: `rcpt.parameter.X` found, expected one of"),
        (
            "rcpt.local']\ndo = 'blank'\nbytes = 'z'",
            "header']\ndo = 'log'\nbytes = '\\x00'",
            "x: header: sendmail drops NULs",
        ),
        ("server = 'X'", "server = 'XX'", "x: test: what arrives is not as long as"),
        ("server = 'X'\n", "", "x: no test on which a rule acts"),
        ("client = 'b'", "client = 'b'\nreset = true", "x: no test of a neighbour that passes"),
        ("title = 'x'", "titel = 'x'", "x:2: unknown field `titel`"),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good);
        let said = file::read("x", &text).unwrap_err().to_string();
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains('\n'));
    }
}

#[test]
fn releases_are_ordered_as_people_count() {
    let release = |text: &str| Release::parse(text).unwrap();
    let order = ["4.9", "4.87", "4.92", "4.92.1", "8.8.15", "8.8.15-p45", "8.8.15.P46", "9.0"];
    assert!(order.is_sorted_by(|one, other| release(one) < release(other)));
    assert_eq!(release("4.92").cmp(&release("4.92.0")), std::cmp::Ordering::Equal);
    assert_eq!(Release::parse("x1"), None);
    let product = Product::new("Exim", ">=4.87, <4.92").unwrap();
    assert!(product.has("exim", Some(&release("4.91"))));
    assert!(product.has("exim", None));
    assert!(!product.has("exim", Some(&release("4.92"))));
    assert!(!product.has("postfix", None));
    assert_eq!(product.to_string(), "exim >=4.87, <4.92");
}

#[test]
fn a_greeting_names_its_product() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let ids = |text: &str| -> Vec<String> {
        let (_, patches) = catalogue.for_product(text).unwrap();
        patches.iter().map(|patch| patch.id.to_string()).collect()
    };
    assert!(ids("exim-4.91").contains(&"CVE-2019-10149".to_owned()));
    assert!(!ids("exim-4.96").contains(&"CVE-2019-10149".to_owned()));
    assert_eq!(ids("220 mx.example ESMTP Exim 4.91 Thu, 26 Nov 2026"), ids("exim 4.91"));
    assert!(ids("220 mx.example ESMTP Postfix (Debian/GNU)").len() > ids("postfix-3.8").len());
    assert_eq!(catalogue.for_product("nothing-1.0"), None);
    assert_eq!(catalogue.for_product("minimail 1.0"), None);
    for (text, named) in [
        ("exim-4.91", "exim 4.91"),
        ("Exim", "exim, any release"),
        ("220 mx.example ESMTP Exim Thu, 26 Nov 2026 10:00:00 +0000", "exim, any release"),
        ("220 mx ESMTP Sendmail; Thu, 26 Nov 2026 10:00:00 GMT", "sendmail, any release"),
        ("220 mx ESMTP Sendmail 8.17.1/8.17.1; Thu, 26 Nov 2026", "sendmail 8.17.1"),
        ("220 sendmail.example.com ESMTP Exim 4.91", "exim 4.91"),
        ("220 exchange.example ESMTP Postfix", "postfix, any release"),
        ("220 mx.minimail.example ESMTP Exim 4.91", "exim 4.91"),
        ("220-mx.example ESMTP Exim 4.96-58", "exim 4.96"),
        ("220 Exim 4.91", "exim 4.91"),
        ("exim-4.97-4ubuntu4.3", "exim 4.97"),
        ("exim-4.96-15+deb12u4", "exim 4.96"),
        ("exim-v4.91", "exim 4.91"),
        ("Lotus Domino Release 8.5.3", "domino 8.5.3"),
        ("postfix v3.8", "postfix 3.8"),
    ] {
        assert_eq!(catalogue.for_product(text).unwrap().0.to_string(), named, "{text}");
    }
}

/// Numbers of one catalogue mean the same to another only where their fingerprints are one.
#[test]
fn what_is_remembered_of_a_line_is_one_catalogue_s() {
    let of = |rule: &str| {
        let text = format!("{HEAD}[[rule]]\nzone = ['noop']\n{rule}\ndo = 'log'\n{TESTS}");
        Catalogue::of(vec![file::read("x", &text).unwrap()]).unwrap()
    };
    let [one, like] = ["text = 'abc'", "text = 'abc'"].map(of);
    assert_eq!(one.fingerprint(), like.fingerprint());
    for other in ["text = 'xyz'", "text = 'ab'", "text = 'abc'\nbehind = 'd'"].map(of) {
        assert_ne!(one.fingerprint(), other.fingerprint());
    }
    let strikes = |catalogue: &Catalogue, line: &mut Line, bytes: &[u8]| {
        let (plan, mut strikes) = (Plan::new(catalogue, |_| State::On).unwrap(), Vec::new());
        while plan.read(line, bytes, &mut strikes).is_some() {}
        strikes.len()
    };
    let mut line = Line::default();
    line.begin_argument(Some(Verb::Noop));
    let place = line;
    assert_eq!(strikes(&one, &mut line, b"ab"), 0);
    assert_eq!(strikes(&of("text = 'xyz'"), &mut line.clone(), b"z"), 1, "so it would be");
    line.change_catalogue();
    assert_eq!(strikes(&of("text = 'xyz'"), &mut line.clone(), b"z"), 0);
    assert_eq!((line.place, line.kind, line.argument), (place.place, place.kind, 2));
}

#[test]
fn the_machine_has_bounds() {
    let catalogue = Catalogue::with(&[]).unwrap();
    assert!(catalogue.size() < 128 << 10, "{} bytes", catalogue.size());
    assert!(size_of::<Line>() <= 18, "{} bytes", size_of::<Line>());
    let named = |number: usize| {
        let text = format!("{HEAD}{LOCAL}bytes = 'z'\n{TESTS}")
            .replace("'X'\nt", &format!("'X{number}'\nt"));
        (format!("{number}.toml"), text)
    };
    let many: Vec<_> = (0..256).map(named).collect();
    let said = Catalogue::with(&many).unwrap_err().to_string();
    assert!(said.ends_with("one patch too many: 256 are the most"), "{said}");
}
