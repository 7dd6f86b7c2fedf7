//! The bugs of the original with their identities: what leaks and what starves in which profile,
//! for all 16 cuts of CRLF.CRLF and every way a message may come, as a checked-in table.
//!
//! * CSCds90792: the segment that completes a terminator begun in an earlier one is rejected.
//! * CVE-2000-1022 (CSCdr91002, CSCds30699, CSCds38708; again CSCdu47003): message data begins on
//!   DATA, whatever the server answers.
//! * The second line of a greeting loses its code in 4.4, and clients wait for it.

use crate::support::esmtp::Esmtp;
use crate::support::golden::{compare, markdown};
use crate::support::rig::settings;
use crate::support::session::Session;
use mailguard::engine::Settings;
use mailguard::flow::Direction::Original as C;
use mailguard::guard::{Profile, Settings as Guard};

const END: &[u8] = b"\r\n.\r\n";

/// What the client says before the end; no profile lets EXPN through as a command.
const BODY: &str = "Subject: x\r\n\r\nEXPN staff\r\ntext";

/// Every way of cutting the five bytes of the end.
const CUTS: std::ops::Range<u8> = 0..16;

/// A way a message may come.
struct Scene {
    name: &'static str,
    /// Plays it with the end cut like this.
    play: fn(&mut Session, u8),
    /// Messages that the server takes, if nothing is amiss.
    messages: usize,
}

const fn scene(name: &'static str, play: fn(&mut Session, u8), messages: usize) -> Scene {
    Scene { name, play, messages }
}

const SCENES: [Scene; 16] = [
    scene("354 awaited", |s, cut| tell(s, BODY, cut, ""), 1),
    scene("text before the 354", early, 1),
    scene("DATA without RCPT: 503", without_recipient, 0),
    scene("DATA without RCPT, then DATA again", twice_refused, 0),
    scene("DATA twice, the first is answered 354", twice, 1),
    scene("DATA before the greeting", before_greeting, 0),
    scene("empty message", empty, 1),
    scene("dot-stuffed neighbours", |s, cut| tell(s, "x\r\n..\r\n.y\r\n..", cut, ""), 1),
    scene("QUIT behind it", |s, cut| tell(s, BODY, cut, "QUIT\r\n"), 1),
    scene("MAIL and EXPN behind it", |s, cut| tell(s, BODY, cut, "MAIL FROM:<a>\r\nEXPN a\r\n"), 1),
    scene("FIN on the last segment", with_fin, 1),
    scene("10 seconds between segments", with_pauses, 1),
    scene("repeated in one segment", repeated_whole, 1),
    scene("out of order", out_of_order, 1),
    scene("overlapping by a byte", |s, cut| overlapping(s, cut, false), 1),
    scene("overlapping by another byte", |s, cut| overlapping(s, cut, true), 1),
];

/// The segments of a text whose end is cut; what stands before and behind it is in the first and
/// the last of them.
fn pieces(before: &str, cut: u8, behind: &str) -> Vec<Vec<u8>> {
    let mut pieces = vec![before.as_bytes().to_vec()];
    for (index, &byte) in END.iter().enumerate() {
        pieces.last_mut().unwrap().push(byte);
        if index < 4 && cut & (1 << index) != 0 {
            pieces.push(Vec::new());
        }
    }
    pieces.last_mut().unwrap().extend_from_slice(behind.as_bytes());
    pieces
}

fn queue(session: &mut Session, pieces: &[Vec<u8>]) {
    session.queue(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

fn open(session: &mut Session) {
    for line in ["HELO a\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n"] {
        session.say(line);
    }
}

/// A message's envelope and its DATA, which the server answers.
fn ask(session: &mut Session) {
    open(session);
    session.say("DATA\r\n");
}

fn tell(session: &mut Session, before: &str, cut: u8, behind: &str) {
    ask(session);
    queue(session, &pieces(before, cut, behind));
    session.settle();
}

fn early(session: &mut Session, cut: u8) {
    open(session);
    session.queue(&[b"DATA\r\n"]);
    queue(session, &pieces(BODY, cut, ""));
    session.repeat();
    session.settle();
}

fn without_recipient(session: &mut Session, cut: u8) {
    session.say("HELO a\r\n");
    session.say("MAIL FROM:<a@b>\r\n");
    session.say("DATA\r\n");
    queue(session, &pieces(BODY, cut, ""));
    session.settle();
}

fn twice_refused(session: &mut Session, cut: u8) {
    session.say("DATA\r\n");
    without_recipient(session, cut);
}

fn twice(session: &mut Session, cut: u8) {
    open(session);
    session.say("DATA\r\nDATA\r\n");
    queue(session, &pieces(BODY, cut, ""));
    session.settle();
}

fn before_greeting(session: &mut Session, cut: u8) {
    session.queue(&[b"DATA\r\n"]);
    queue(session, &pieces(BODY, cut, ""));
    session.repeat();
    session.settle();
}

/// The CRLF of DATA is the first half of the end.
fn empty(session: &mut Session, cut: u8) {
    open(session);
    queue(session, &pieces("DATA", cut, ""));
    session.settle();
}

fn with_fin(session: &mut Session, cut: u8) {
    ask(session);
    session.is_last = true;
    queue(session, &pieces(BODY, cut, ""));
    session.settle();
}

fn with_pauses(session: &mut Session, cut: u8) {
    ask(session);
    for piece in pieces(BODY, cut, "") {
        session.rig.micros += 10_000_000;
        session.queue(&[&piece]);
        session.settle();
    }
}

/// No ACK arrives in time, so all of it is sent again at once.
fn repeated_whole(session: &mut Session, cut: u8) {
    ask(session);
    let start = session.text.len();
    queue(session, &pieces(BODY, cut, ""));
    session.repeat();
    session.send(start, session.text.len());
    session.settle();
}

fn out_of_order(session: &mut Session, cut: u8) {
    ask(session);
    let first = session.edges.len();
    queue(session, &pieces(BODY, cut, ""));
    for _ in 0..2 {
        for index in (first..session.edges.len()).rev() {
            session.send(session.edges[index - 1], session.edges[index]);
        }
    }
    session.settle();
}

/// Each segment begins with the last byte of the one before, or with another in its place.
fn overlapping(session: &mut Session, cut: u8, is_other: bool) {
    ask(session);
    let first = session.edges.len();
    queue(session, &pieces(BODY, cut, ""));
    for index in first..session.edges.len() {
        let overlap = usize::from(index > first);
        let (start, end) = (session.edges[index - 1] - overlap, session.edges[index]);
        let mut bytes = session.text[start..end].to_vec();
        if is_other && overlap == 1 {
            bytes[0] = b'Z';
        }
        let _ = session.rig.send(C, start as u64, &bytes);
    }
    session.settle();
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// The server ran EXPN.
    leaks: bool,
    /// Not everything reached the server.
    starves: bool,
    /// The flow was reset.
    is_reset: bool,
}

fn outcome(scene: &Scene, cut: u8, settings: &Settings) -> Outcome {
    let mut server = Esmtp::new("220 mx.example\r\n");
    server.is_strict = true;
    let mut session = if scene.name.contains("before the greeting") {
        Session::silent(settings.clone(), server)
    } else {
        Session::greeted(settings.clone(), server)
    };
    (scene.play)(&mut session, cut);
    let is_reset = session.rig.resets > 0;
    let has_arrived = session.rig.original.received == session.text.len() as u64;
    if has_arrived && !session.is_last {
        session.say("EXPN behind\r\n");
    }
    let outcome =
        Outcome { leaks: session.has_run(&["EXPN"]), starves: !has_arrived && !is_reset, is_reset };
    if outcome == Outcome::default() {
        let count = session.server.messages.len();
        assert_eq!(count, scene.messages, "{} {cut}: {:?}", scene.name, session.server.messages);
    }
    outcome
}

fn variant(profile: &str, scope: &str, action: &str) -> Settings {
    let mut settings = settings(profile);
    settings.guard.set("split_scope", scope).unwrap();
    settings.guard.set("split_action", action).unwrap();
    settings
}

fn cell(outcomes: &[Outcome]) -> String {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let counts = [
        ("leaks", count(|outcome| outcome.leaks)),
        ("starves", count(|outcome| outcome.starves)),
        ("reset", count(|outcome| outcome.is_reset)),
    ];
    let told: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| if *count == 16 { (*word).into() } else { format!("{word} {count}") })
        .collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}

const SCOPES: [&str; 2] = ["crlf-dot-crlf", "dot-crlf"];
const ACTIONS: [&str; 2] = ["drop", "reset"];

fn cut_shown(cut: u8) -> String {
    let mut text = String::new();
    for (index, name) in ["CR", "LF", ".", "CR", "LF"].into_iter().enumerate() {
        text += name;
        if index < 4 {
            text += if cut & (1 << index) != 0 { " / " } else { " " };
        }
    }
    text
}

#[test]
fn what_leaks_and_what_starves() {
    let mut text = String::from(
        "# What leaks and what starves\n\n\
         Every way a message may come, and all 16 cuts of CRLF.CRLF across segments. *Leaks*: the\n\
         server ran EXPN, which no profile permits. *Starves*: the terminator never reaches the\n\
         server. *Reset*: both ends were. A number counts the cuts, where not all 16 do it. \
         Made by\n`tests/core/bugs.rs`.\n\n## By profile\n\n\
         With `split_scope = crlf-dot-crlf`, `split_action = drop`.\n\n",
    );
    let mut rows = Vec::new();
    for scene in &SCENES {
        let mut row = vec![scene.name.to_owned()];
        for profile in Profile::names() {
            let outcomes = |scope, action| {
                let settings = variant(profile, scope, action);
                CUTS.map(|cut| outcome(scene, cut, &settings)).collect::<Vec<_>>()
            };
            let found = outcomes(SCOPES[0], ACTIONS[0]);
            check(profile, scene.name, &found);
            if !matches!(profile, "pix-4.1" | "pix-4.4" | "pix-5.1") {
                assert_eq!(outcomes(SCOPES[1], ACTIONS[1]), found, "{profile} {}", scene.name);
            }
            row.push(cell(&found));
        }
        rows.push(row);
    }
    text += &markdown(&[&["message"], &Profile::names()[..]].concat(), &rows);
    text += "\n## By scope and action\n\nWith the other settings of `pix-5.1`.\n\n";
    text += &by_scope();
    text += "\n## By cut\n\n`354 awaited`, with the other settings of `pix-5.1`; `/` is a cut.\n\n";
    text += &by_cut();
    compare("bugs.md", &text);
}

fn variants() -> impl Iterator<Item = (String, Settings)> {
    SCOPES.into_iter().flat_map(|scope| {
        ACTIONS.map(|action| (format!("{scope}, {action}"), variant("pix-5.1", scope, action)))
    })
}

fn by_scope() -> String {
    let names: Vec<String> = variants().map(|(name, _)| name).collect();
    let head: Vec<&str> = ["message"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows = SCENES.iter().map(|scene| {
        let cells = variants().map(|(_, settings)| {
            cell(&CUTS.map(|cut| outcome(scene, cut, &settings)).collect::<Vec<_>>())
        });
        [scene.name.to_owned()].into_iter().chain(cells).collect()
    });
    markdown(&head, &rows.collect::<Vec<Vec<_>>>())
}

fn by_cut() -> String {
    let names: Vec<String> = variants().map(|(name, _)| name).collect();
    let head: Vec<&str> = ["cut"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows = CUTS.map(|cut| {
        let cells = variants().map(|(_, settings)| {
            let found = outcome(&SCENES[0], cut, &settings);
            match (found.starves, found.is_reset) {
                (true, _) => "starves".to_owned(),
                (_, true) => "reset".to_owned(),
                (false, false) => "passes".to_owned(),
            }
        });
        [cut_shown(cut)].into_iter().chain(cells).collect()
    });
    markdown(&head, &rows.collect::<Vec<Vec<_>>>())
}

/// What the table must say, whatever else changes.
fn check(profile: &str, scene: &str, found: &[Outcome]) {
    let is_fooled = scene.starts_with("DATA without RCPT") || scene == "DATA before the greeting";
    let leaks = is_fooled
        && Guard::profile(profile).unwrap().words().contains(&("data_begins", "on-data".into()));
    let has_bug = matches!(profile, "pix-4.1" | "pix-4.4" | "pix-5.1");
    for (cut, outcome) in found.iter().enumerate() {
        assert_eq!(outcome.leaks, leaks, "{profile}, {scene}, cut {cut}");
        let is_contradicted = scene == "overlapping by another byte" && cut > 0;
        assert!(is_contradicted || !outcome.is_reset, "{profile}, {scene}, cut {cut}");
        assert!(has_bug || !outcome.starves, "{profile}, {scene}, cut {cut}");
    }
    assert!(!found[0].starves, "{profile}, {scene}: nothing is cut");
}

#[test]
fn a_second_greeting_line_hangs_clients_of_4_4_alone() {
    for profile in Profile::names() {
        for cut in 0..20 {
            let server = Esmtp::new("220-mx.example\r\n220 go on\r\n");
            let mut session = Session::silent(settings(profile), server);
            session.reply_cuts = vec![cut];
            session.settle();
            let heard = session.client_got();
            let is_greeted = heard.lines().any(|line| line.starts_with("220 "));
            assert_eq!(is_greeted, profile != "pix-4.4", "{profile}, cut {cut}: {heard:?}");
        }
    }
}
