//! What a packet, a flow, a client address and all together can cost at most: a test for each row
//! of the table "Bounds" in ARCHITECTURE.md.
//!
//! Wherever a setting is the bound, the same attack is played with the setting out of the way too,
//! and must then cost more: otherwise the test would not see that the bound is gone.

use std::cell::Cell;

use crate::support::crowd::{BEGIN, Crowd, Line, index};
use crate::support::packet::ACK;
use crate::support::random::Random;
use crate::support::rig::{limits, settings, settings_with, settings_without_rules};
use crate::support::tls::{client_hello, hello_of_suites, server_name};
use mailguard::engine::{LOGGED_BYTES_MAX, Limits, Reason, Record, Settings, What};
use mailguard::event::{self, Format, Zone};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Rule;

pub(crate) const ATTACKER: &str = "192.0.2.66";

/// Memory for the payload of any packet: by so much what is held can go over a limit.
pub(crate) const BLOCK: u64 = 64 << 10;

/// Text of a message.
const TEXT: &[u8] = b"Some text of a message, as long as most lines of messages are here.\r\n";

/// The default profile with other limits.
pub(crate) fn limited(change: impl FnOnce(&mut Limits)) -> Settings {
    let mut settings = settings("mailguard");
    settings.limits.handshakes_max = 1_024;
    change(&mut settings.limits);
    settings
}

pub(crate) fn text(length: usize) -> Vec<u8> {
    TEXT.iter().copied().cycle().take(length).collect()
}

#[test]
fn every_row_names_its_test() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let page = read("ARCHITECTURE.md");
    let (_, section) = page.split_once("\n## Bounds\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut own = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (place, name) = cells[4].trim_matches('`').split_once(' ').unwrap();
        assert!(read(place).contains(&format!("fn {name}(")), "{row}");
        own += usize::from(place == "tests/core/bounds.rs");
    }
    let tests = read("tests/core/bounds.rs").matches("\n#[test]\n").count();
    assert_eq!(own + 1, tests, "all but this test are rows");
}

thread_local! {
    /// Runs that were judged, and their bytes.
    static JUDGED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn note(run: &[u8]) {
    JUDGED.with(|judged| {
        let (runs, bytes) = judged.get();
        judged.set((runs + 1, bytes + run.len()));
    });
}

#[test]
fn a_byte_is_judged_once() {
    let mut crowd = Crowd::new(limited(|_| ()));
    crowd.engine = mailguard::engine::Engine::new(limited(|_| ()), 1).inspected_by(note);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.begin_data(&mut line));
    let start = line.received[0];
    JUDGED.set((0, 0));
    let bytes = text(60_000);
    // Cut anywhere, in any order, again and again.
    let mut random = Random::new(1);
    for _ in 0..2_000 {
        let at = random.below(bytes.len() - 1_448);
        let length = 1 + random.below(1_448);
        crowd.send(&mut line, C, start + at as u64, &bytes[at..at + length]);
        let next = (line.received[0] - start) as usize;
        let end = (next + length).min(bytes.len());
        crowd.send(&mut line, C, start + next as u64, &bytes[next..end]);
    }
    assert_eq!(line.received[0] - start, 60_000);
    let (runs, judged) = JUDGED.get();
    assert_eq!(judged, 60_000, "every byte once");
    assert!(runs <= 4_000, "{runs}: no run for nothing");
}

/// A monitored flow behind its greeting.
fn monitored() -> (Crowd, Line) {
    let settings = limited(|limits| limits.log_burst_bytes = 1 << 16);
    let settings = Settings { monitor: true, ..settings };
    let mut crowd = Crowd::new(settings.clone());
    crowd.engine = mailguard::engine::Engine::new(settings, 1).inspected_by(note);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    JUDGED.set((0, 0));
    (crowd, line)
}

/// Bytes of memory asked for on the way: no copy of what waits is made without.
fn asked(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_total
}

#[test]
fn what_monitoring_lets_go_on_is_read_in_its_place() {
    let lines = [b'\n'; 60_000];
    // Behind the 48th each line is one that enforcing resets the flow for.
    let (mut crowd, mut line) = monitored();
    let at = line.received[index(S)];
    let bytes = asked(|| assert!(crowd.send(&mut line, S, at, &lines).is_some()));
    assert_eq!(JUDGED.get(), (60_000, 60_000));
    assert!(bytes < 60_000 * 500, "{bytes} bytes are asked for in one packet");
    // And behind the 24th each has to wait, whatever else comes.
    let (mut crowd, mut line) = monitored();
    assert!(crowd.send(&mut line, C, 0, &lines).is_some());
    assert_eq!(JUDGED.get(), (24, 24));
    let at = line.received[index(S)];
    for answer in [&b""[..], b"500 what?\r\n"] {
        let bytes = asked(|| {
            for number in 0..100 {
                crowd.send(&mut line, S, at + number * answer.len() as u64, answer);
            }
        });
        assert!(bytes < 1 << 20, "{bytes} bytes are asked for in 100 packets of {answer:?}");
    }
    assert_eq!(JUDGED.get().1, 24 + 100 + 100 * 11, "as many more as were answered");
}

#[test]
fn a_packet_draws_four_resets_at_most() {
    let mut crowd = Crowd::new(limited(|limits| limits.closed_seconds = 1));
    let mut random = Random::new(2);
    let bytes = text(100);
    for port in 1..1_000 {
        let mut line = crowd.open(ATTACKER, port);
        crowd.begin_data(&mut line);
        let [c, s] = line.received;
        // Bytes in flight both ways: each end may await either of two numbers.
        crowd.send(&mut line, C, c, &bytes);
        crowd.send(&mut line, S, s, b"250-");
        for _ in 0..20 {
            let numbers = [100 + random.below(400) as u32, 1_000 + random.below(200) as u32];
            let (from, flags) =
                ([C, S][random.below(2)], [ACK, ACK | 1, 4, ACK | 4][random.below(4)]);
            let data = [&b"354 a\r\n"[..], b"", b"GET / HTTP/1.0\r\n", &bytes][random.below(4)];
            let numbers = if from == C { numbers } else { [numbers[1], numbers[0]] };
            let _ = crowd.packet(&line, from, numbers, flags, &[], data);
            let stranger = Line::new(ATTACKER, 60_000);
            let _ = crowd.packet(&stranger, from, numbers, flags, &[], data);
        }
    }
    assert_eq!(crowd.resets_max, 4, "of this many packets some draw all four");
}

/// The most that is held of one flow that nobody acknowledges.
fn held_in_flight(settings: Settings, from: mailguard::flow::Direction) -> u64 {
    let mut crowd = Crowd::new(settings);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.begin_data(&mut line));
    // The header is over: what follows has no limit but the store's.
    assert!(crowd.say(&mut line, C, b"\r\n"));
    for _ in 0..64 {
        let at = line.received[index(from)];
        let reply = b"250-a line of a long reply\r\n";
        let bytes = if from == C { text(BLOCK as usize - 1_000) } else { reply.repeat(2_250) };
        crowd.send(&mut line, from, at, &bytes);
    }
    crowd.held_max
}

#[test]
fn a_flow_holds_its_bytes_and_a_block() {
    let small = |limits: &mut Limits| limits.bytes_per_flow_max = 1 << 20;
    for from in [C, S] {
        let held = held_in_flight(limited(small), from);
        assert!((1 << 19..=(1 << 20) + 2 * BLOCK).contains(&held), "{held}");
        assert!(held_in_flight(limited(|_| ()), from) > (1 << 20) + 2 * BLOCK);
    }
}

/// Single bytes ahead of a gap, from far to near or each apart: how many pass, and what they hold.
/// However many, what closes the gap passes.
fn held_early(settings: Settings, step: u64) -> (usize, u64) {
    let mut crowd = Crowd::new(settings);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.begin_data(&mut line));
    let next = line.received[0];
    let ahead = |count: u64| next + (20_000 - count) * step;
    let passed = (0..20_000).filter(|&count| {
        let at = ahead(count);
        crowd.send(&mut line, C, at, b"a").is_some_and(|passed| passed == 1)
    });
    let (passed, held) = (passed.count(), crowd.held_max);
    assert_eq!(crowd.send(&mut line, C, next, &[b'a'; 1_400]), Some(1_400));
    (passed, held)
}

#[test]
fn bytes_ahead_of_a_gap_are_counted_with_their_overhead() {
    let small = |limits: &mut Limits| limits.bytes_per_flow_max = 1 << 18;
    let (passed, held) = held_early(limited(small), 1);
    assert!(passed < 1_500 && held <= (1 << 17) + 128, "{passed} bytes hold {held}");
    let (passed, held) = held_early(limited(|_| ()), 1);
    assert!(passed == 20_000 && held > 20_000 * 90, "{passed} bytes hold {held}");
}

#[test]
fn runs_ahead_of_a_gap_are_sixteen() {
    assert_eq!(held_early(limited(|_| ()), 2).0, 16);
}

#[test]
fn unanswered_lines_are_1024_and_but_for_recipients_24() {
    for (text, most) in [("RCPT\r\n", 1_024), ("\n", 24), ("NOOP\r\n", 24), ("a\r\n", 24)] {
        let mut crowd = Crowd::new(limited(|_| ()));
        let mut line = crowd.open(ATTACKER, 1);
        assert!(crowd.say(&mut line, S, BEGIN[0].1));
        let lines = text.repeat(3_000);
        assert!(!crowd.say(&mut line, C, lines.as_bytes()), "the rest has to wait");
        assert_eq!(line.received[0], most * text.len() as u64, "{text:?}");
        assert!(crowd.say(&mut line, S, &b"500 what?\r\n".repeat(24)));
        crowd.say(&mut line, C, lines.as_bytes());
        let left = line.received[0] / text.len() as u64;
        assert_eq!(left, most + 24, "as many more as were answered: {text:?}");
    }
}

#[test]
fn an_entry_shows_512_bytes_and_a_line_16_edits() {
    let mut settings = settings_without_rules();
    settings.guard.set("lookalikes", "neutralise").unwrap();
    let mut crowd = Crowd::new(settings);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    let argument = b"a\t\0b".repeat(15_000);
    assert!(crowd.say(&mut line, C, &[b"NOOP\t", &argument[..], b"\r\n"].concat()));
    let longest = |what: &What| {
        if let What::Edited { before, after, .. } = what {
            return before.len().max(after.len());
        }
        if let What::Command { line, .. } = what { line.len() } else { 0 }
    };
    let shown: Vec<usize> = crowd.records.iter().map(|record| longest(&record.what)).collect();
    assert_eq!(shown.iter().max(), Some(&LOGGED_BYTES_MAX));
    let edits = crowd.records.iter().filter(|record| matches!(record.what, What::Edited { .. }));
    assert!((1..=16).contains(&edits.count()));
}

/// What is asked of memory for the last of these bytes, and what each entry held that was made.
fn entries_of_hello(hello: &[u8]) -> (u64, Vec<i64>) {
    let mut crowd = Crowd::new(settings("esmtp"));
    let mut line = crowd.open(ATTACKER, 1);
    for (from, said) in [
        (S, &b"220 mx\r\n"[..]),
        (C, b"EHLO a\r\n"),
        (S, b"250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 go\r\n"),
    ] {
        assert!(crowd.say(&mut line, from, said));
    }
    crowd.records.clear();
    let asked = allocation_counter::measure(|| assert!(crowd.say(&mut line, C, hello)));
    assert_eq!(crowd.engine.stats().tls_begun, 1);
    let freed = |record| -allocation_counter::measure(|| drop(record)).bytes_current;
    (asked.count_total, crowd.records.drain(..).map(freed).collect())
}

#[test]
fn an_entry_that_waits_holds_2_kib() {
    let list = |content: &[u8]| [&(content.len() as u16).to_be_bytes()[..], content].concat();
    let protocols = list(&[&[255][..], &[b'a'; 255]].concat().repeat(30));
    let many = list(&b"\x13\x01".repeat(4_000));
    let shares = list(&b"\x13\x01\0\0".repeat(1_900));
    for (what, hello) in [
        ("suites", hello_of_suites()),
        ("protocols", client_hello(&[(0, &server_name(&[b'a'; 255])), (16, &protocols)])),
        ("names of a byte", client_hello(&[(16, &list(&b"\x01a".repeat(4_000)))])),
        ("groups", client_hello(&[(10, &many), (13, &many)])),
        ("keys", client_hello(&[(51, &shares)])),
    ] {
        let (asked, held) = entries_of_hello(&hello);
        assert!(asked <= 100, "{what}: no memory for each value: {asked}");
        assert!(held.iter().all(|bytes| (0..=2_048).contains(bytes)), "{what}: {held:?}");
        assert!(held.iter().any(|bytes| *bytes > 0), "{what}: {held:?}");
    }
    // A line and its edits.
    let mut crowd = Crowd::new(settings("mailguard"));
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    for part in [&b"VRFY "[..], &[b';'; 400], &[b';'; 400], b"\r\n"].concat().chunks(7) {
        assert!(crowd.say(&mut line, C, part));
    }
    for record in crowd.records {
        let what = format!("{:?}", record.what);
        let freed = -allocation_counter::measure(|| drop(record)).bytes_current;
        assert!((0..=2_048).contains(&freed), "{freed}: {what}");
    }
}

/// The edits that are told of a line that comes in packets of so many bytes: the bytes shown, and
/// the bytes that are only counted.
fn edits_told(line: &[u8], packet: usize) -> (u64, Vec<u64>) {
    let mut crowd = Crowd::new(settings("mailguard"));
    let mut connection = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut connection, S, BEGIN[0].1));
    for part in line.chunks(packet) {
        assert!(crowd.say(&mut connection, C, part));
    }
    let (mut shown, mut unshown) = (0, Vec::new());
    for record in &crowd.records {
        if let What::Edited { direction: C, before, .. } = &record.what {
            shown += before.len() as u64;
        } else if let What::Unshown { bytes, .. } = &record.what {
            unshown.push(*bytes);
        }
    }
    (shown, unshown)
}

#[test]
fn edits_beyond_the_16th_of_a_line_are_counted() {
    // Each `;` in a name is an edit of its own, where it comes alone.
    let line = |strays: usize| [b"HELO a", &b";b".repeat(strays)[..], b"\r\n"].concat();
    assert_eq!(edits_told(&line(40), 1), (16, vec![24]));
    assert_eq!(edits_told(&line(17), 1), (16, vec![1]));
    assert_eq!(edits_told(&line(16), 1), (16, vec![]));
    // In one packet they are one edit, and all of it is shown.
    assert_eq!(edits_told(&line(40), 100), (81, vec![]));
}

#[test]
fn false_ends_beyond_the_16th_of_a_message_are_counted() {
    // Far enough apart to be an edit each; one byte of each is changed.
    let part = b"some text that is long enough to part them\n.\n";
    let cases = [
        (16, 1_000, (16, vec![])),
        (17, 1_000, (16, vec![1])),
        (40, 1_000, (16, vec![24])),
        (40, 1, (16, vec![24])),
    ];
    // Where nothing is asked of the body it is read in one pass.
    let limits = ["0", "1000000"].into_iter();
    for ((count, packet, expected), limit) in
        limits.flat_map(|limit| cases.iter().cloned().map(move |case| (case, limit)))
    {
        let mut crowd = Crowd::new(settings_with("mailguard", &[("body_bytes_max", limit)]));
        let mut line = crowd.open(ATTACKER, 1);
        assert!(crowd.begin_data(&mut line));
        for _ in 0..2 {
            let begun = crowd.records.len();
            let text = [b"S: x\r\n\r\n", &part.repeat(count)[..]].concat();
            for piece in text.chunks(packet) {
                assert!(crowd.say(&mut line, C, piece));
            }
            // Those that are shown are told at once.
            let told = &crowd.records[begun..];
            let is_shown = |record: &&Record| {
                matches!(record.what, What::Edited { rule: Rule::Lookalike, .. })
            };
            assert_eq!(told.iter().filter(is_shown).count(), 16, "{count} {packet} {limit}");
            for piece in b"\r\n.\r\n".chunks(packet) {
                assert!(crowd.say(&mut line, C, piece));
            }
            let (mut shown, mut unshown) = (0, Vec::new());
            let mut ends = Vec::new();
            for record in &crowd.records[begun..] {
                #[expect(clippy::wildcard_enum_match_arm, reason = "all else is no edit of it")]
                match &record.what {
                    What::Edited { rule: Rule::Lookalike, .. } => shown += 1,
                    What::Unshown { bytes, .. } => unshown.push(*bytes),
                    What::DataEnd { .. } => ends.push(unshown.len()),
                    _ => {}
                }
            }
            assert_eq!((shown, unshown.clone()), expected, "{count} {packet} {limit}");
            assert_eq!(ends, [unshown.len()], "it is told before the end");
            // Each message has its own.
            let again = ["MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA"];
            assert!(crowd.say(&mut line, S, b"250 ok\r\n"));
            for command in again {
                assert!(crowd.say(&mut line, C, format!("{command}\r\n").as_bytes()));
                let reply: &[u8] = if command == "DATA" { b"354 go\r\n" } else { b"250 ok\r\n" };
                assert!(crowd.say(&mut line, S, reply));
            }
        }
    }
}

/// Bytes that a client of many short commands puts into the log in so many seconds.
fn log_of_noise(settings: Settings, seconds: u64) -> usize {
    let mut crowd = Crowd::new(settings);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    for _ in 0..seconds {
        for _ in 0..200 {
            assert!(crowd.say(&mut line, C, &b"NOOP\r\n".repeat(20)));
            assert!(crowd.say(&mut line, S, &b"250 ok\r\n".repeat(20)));
        }
        crowd.micros += 1_000_000;
    }
    let told: u64 = crowd.records.iter().map(|record| left_out(&record.what)).sum();
    let stats = crowd.engine.stats();
    assert!(stats.entries_left_out >= told, "no count is lost");
    // An entry counts for 128 bytes beside those it shows.
    crowd.records.iter().filter(|record| left_out(&record.what) == 0).count() * 128
}

const fn left_out(what: &What) -> u64 {
    if let What::LeftOut { entries } = what { *entries } else { 0 }
}

#[test]
fn a_flow_has_its_burst_in_the_log() {
    let small = |limits: &mut Limits| limits.log_burst_bytes = 1 << 16;
    let least = |limits: &mut Limits| limits.log_flow_bytes_per_second = 0;
    let both = |limits: &mut Limits| {
        small(limits);
        least(limits);
    };
    let logged = log_of_noise(limited(both), 3);
    assert!((1 << 15..=1 << 16).contains(&logged), "{logged}");
    assert!(log_of_noise(limited(least), 3) > 1 << 19, "the burst is the bound");
}

/// What is escaped takes more of the log than it is, and counts for that.
#[test]
fn escapes_count_for_what_is_written_of_them() {
    let limits = |limits: &mut Limits| {
        (limits.log_burst_bytes, limits.log_flow_bytes_per_second) = (1 << 18, 0);
    };
    let mut crowd = Crowd::new(limited(limits));
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    let reply = [b"250 ", &[1; 500][..], b"\r\n"].concat();
    for _ in 0..2_000 {
        assert!(crowd.say(&mut line, C, b"NOOP\r\n"));
        assert!(crowd.say(&mut line, S, &reply));
    }
    assert!(crowd.engine.stats().entries_left_out > 1_000);
    // JSON names more of each entry.
    for (format, most) in [(Format::Text, 1 << 18), (Format::Json, 1 << 19)] {
        let mut log = Vec::new();
        crowd.records.iter().for_each(|record| event::write(record, format, Zone::Utc, &mut log));
        assert!((1 << 17..=most).contains(&log.len()), "{format:?}: {}", log.len());
    }
}

#[test]
fn an_offence_is_told_once_however_much_was_told_before() {
    let mut settings = limited(|limits: &mut Limits| {
        (limits.log_burst_bytes, limits.log_flow_bytes_per_second) = (1 << 16, 0);
    });
    settings.guard.set("refused_lines_max", "20 log").unwrap();
    let mut crowd = Crowd::new(settings);
    let mut line = crowd.open(ATTACKER, 1);
    assert!(crowd.say(&mut line, S, BEGIN[0].1));
    for _ in 0..50 {
        assert!(crowd.say(&mut line, C, &b"NOOP\r\n".repeat(20)));
        assert!(crowd.say(&mut line, S, &b"250 ok\r\n".repeat(20)));
    }
    for _ in 0..40 {
        assert!(crowd.say(&mut line, C, b"WHAT\r\n"));
        assert!(crowd.say(&mut line, S, b"500 what\r\n"));
    }
    let is_told = |what: &What| matches!(what, What::Exceeded { excess, .. } if excess.count == 21);
    assert_eq!(crowd.records.iter().filter(|record| is_told(&record.what)).count(), 1);
    assert!(crowd.engine.stats().entries_left_out > 100);
}

#[test]
fn a_flow_has_its_rate_in_the_log() {
    let with = |burst, rate| {
        limited(move |limits: &mut Limits| {
            (limits.log_burst_bytes, limits.log_flow_bytes_per_second) = (burst, rate);
        })
    };
    let logged = log_of_noise(with(1 << 20, 1 << 14), 20);
    assert!((1 << 20..=(1 << 20) + 20 * (1 << 14)).contains(&logged), "{logged}");
    assert!(log_of_noise(with(1 << 20, 1 << 20), 20) > 10 << 20, "the rate is the bound");
}

#[test]
fn a_flow_is_forgotten_in_its_time() {
    let mut crowd = Crowd::new(limited(|_| ()));
    let _idle = crowd.open(ATTACKER, 1);
    let mut ended = crowd.open(ATTACKER, 2);
    assert!(crowd.say(&mut ended, S, BEGIN[0].1));
    for from in [C, S] {
        assert!(crowd.send_fin(&mut ended, from).is_some());
    }
    assert!(crowd.send(&mut ended, C, 1, b"").is_some());
    let limits = limits();
    for (seconds, flows) in [
        (limits.closed_seconds - 1, 2),
        (1, 1),
        (limits.idle_seconds - limits.closed_seconds - 1, 1),
        (1, 0),
    ] {
        crowd.wait(seconds);
        assert_eq!(crowd.engine.stats().flows_now, flows, "after {seconds} seconds more");
    }
}

/// How many of ten clients with a flow each lose it while another opens so many.
fn displaced_neighbours(flows_max: usize, flows: u16, network: &str) -> (usize, u64) {
    let mut crowd = Crowd::new(limited(|limits| limits.flows_max = flows_max));
    let neighbours: Vec<Line> =
        (1..=10).map(|n| crowd.open(&format!("{network}{n}"), 1_000)).collect();
    let mut most = 0;
    for port in 1..=flows {
        crowd.micros += 1_000_000;
        crowd.open(ATTACKER, port);
        most = most.max(crowd.engine.stats().flows_now);
    }
    let lost = neighbours.into_iter().filter(|line| {
        let mut line = line.clone();
        !crowd.say(&mut line, S, BEGIN[0].1)
    });
    (lost.count(), most)
}

#[test]
fn a_client_displaces_its_own_flows() {
    // The neighbours are the idlest: without shares they would be the first to go.
    assert_eq!(displaced_neighbours(100, 500, "192.0.2."), (0, 100));
}

#[test]
fn flows_are_as_many_as_may_be() {
    assert_eq!(displaced_neighbours(100, 300, "192.0.2.").1, 100);
    assert_eq!(displaced_neighbours(1_000, 300, "192.0.2.").1, 310);
}

/// One client fills the store by many flows, none of which holds as much as the one flow of its
/// neighbour: how many are reset of either, and the most that is held.
fn pressed(settings: Settings) -> (usize, usize, u64) {
    let mut crowd = Crowd::new(settings);
    let mut neighbour = crowd.open("192.0.2.1", 1_000);
    assert!(crowd.begin_data(&mut neighbour));
    for _ in 0..5 {
        let at = neighbour.received[0];
        assert_eq!(crowd.send(&mut neighbour, C, at, &text(60_000)), Some(60_000));
    }
    for port in 1..200 {
        let mut line = crowd.open(ATTACKER, port);
        if !crowd.begin_data(&mut line) {
            continue;
        }
        for _ in 0..2 {
            let at = line.received[0];
            crowd.send(&mut line, C, at, &text(60_000));
        }
    }
    let is_pressed = |what: &What| *what == What::Reset { reason: Reason::StorePressure };
    let reset: Vec<u64> =
        crowd.records.iter().filter(|r| is_pressed(&r.what)).map(|record| record.flow).collect();
    let own = reset.iter().filter(|&&flow| flow != 1).count();
    (own, reset.len() - own, crowd.held_max)
}

#[test]
fn the_heaviest_client_gives_memory_back() {
    let (own, others, held) = pressed(limited(|limits| {
        (limits.store_bytes_max, limits.bytes_per_flow_max) = (4 << 20, 1 << 20);
    }));
    assert!(own > 0 && others == 0, "{own} of its own flows are reset, {others} of others");
    assert!(held <= (4 << 20) + BLOCK, "{held}");
}

#[test]
fn all_flows_hold_the_store_and_a_block() {
    let full = |limits: &mut Limits| {
        (limits.store_bytes_max, limits.bytes_per_flow_max) = (8 << 20, 1 << 20);
    };
    let (own, _, held) = pressed(limited(full));
    assert!(own > 0 && held <= (8 << 20) + BLOCK, "{held}");
    let (own, _, held) = pressed(limited(|_| ()));
    assert!(own == 0 && held > (8 << 20) + BLOCK, "{held}");
}

/// Handshakes of a client that succeed at once while another client floods, of a hundred; and
/// those that succeed when the server says its SYN/ACK again.
fn handshakes_in_a_flood(handshakes_max: usize) -> [usize; 2] {
    let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = handshakes_max));
    let mut good = [0; 2];
    for port in 0..100 {
        let line = Line::new("192.0.2.1", 1_000 + port);
        let is_good_at_once = (0..3).all(|step| {
            flood(&mut crowd, 1 + port * 600 + step as u16 * 200);
            crowd.shake(&line, step)
        });
        let is_good = is_good_at_once || (1..3).all(|step| crowd.shake(&line, step));
        good = [good[0] + usize::from(is_good_at_once), good[1] + usize::from(is_good)];
    }
    good
}

/// SYNs of two hundred connections.
pub(crate) fn flood(crowd: &mut Crowd, port: u16) {
    for number in 0..200 {
        crowd.shake(&Line::new(ATTACKER, port + number), 0);
    }
}

#[test]
fn a_flood_costs_others_a_repeated_packet() {
    assert_eq!(handshakes_in_a_flood(1 << 20), [100; 2], "there is room for all");
    // The oldest goes; one at random would be one of these for eight of the hundred.
    assert_eq!(handshakes_in_a_flood(1_024), [100; 2]);
    let [at_once, repeated] = handshakes_in_a_flood(256);
    assert!(at_once < 100, "{at_once}: some have to say one again");
    assert_eq!(repeated, 100);
}

#[test]
fn orphans_are_reset_at_a_rate() {
    let mut crowd = Crowd::new(limited(|limits| limits.orphan_resets_per_second = 10));
    let mut drawn = [0; 3];
    for resets in &mut drawn {
        for port in 1..1_000 {
            let _ = crowd.packet(&Line::new(ATTACKER, port), C, [1, 1], ACK, &[], b"");
            *resets += crowd.resets;
        }
        crowd.micros += 1_000_000;
    }
    assert_eq!(drawn, [20; 3], "two each, to both ends");
    assert_eq!(crowd.engine.stats().resets_spared, 3 * 989);
}
