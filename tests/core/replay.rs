//! Captures through the engine: what comes out, byte for byte.
//!
//! Every `pcaps/NAME.pcap` is replayed with the settings in `NAME.settings` beside it (if any) and
//! compared with `NAME.verdicts`; `BLESS=1` in the environment writes that file anew. Lines of
//! settings are `profile NAME`, `set KEY=VALUE`, `monitor`, `tolerate-checksums`, `# comment`.

use std::fmt::Write;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;

use mailguard::engine::{Settings, Verdict};
use mailguard::event::{self, Format, Zone};
use mailguard::front::replay::{self, Bystander, Fate, Options, Session, Step};
use mailguard::guard;

use crate::support::capture::{CLIENT, Connection, Layout, PLAIN, SERVER, dialogue};
use crate::support::packet::{ACK, PSH};
use crate::support::random::Random;
use crate::support::rig::settings as profile;

fn settings() -> Settings {
    profile("mailguard")
}

fn monitor() -> Settings {
    Settings { monitor: true, ..settings() }
}

/// The capture that leaves, and everything that is said about it.
struct Outcome {
    written: Vec<u8>,
    verdicts: String,
}

/// Replays without files; an error is part of the outcome.
fn outcome(capture: &[u8], settings: Settings, tolerate_checksums: bool) -> Outcome {
    let mut session = Session::new(capture, settings, tolerate_checksums);
    let (mut written, mut fates, mut resets) = (Vec::new(), String::new(), String::new());
    let (mut log, mut step, mut packets) = (Vec::new(), Step::default(), 0);
    let fault = loop {
        match session.step(&mut step) {
            Ok(true) => {}
            Ok(false) => break String::new(),
            Err(fault) => break format!("{fault}\n"),
        }
        written.extend_from_slice(&step.written);
        for (number, fate) in &step.fates {
            packets = packets.max(*number);
            writeln!(fates, "{number} {}", word(*fate)).unwrap();
        }
        for reset in &step.resets {
            let bytes: String = reset.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(resets, "reset behind {packets}: {bytes}").unwrap();
        }
        for record in &step.records {
            event::write(record, Format::Text, Zone::Utc, &mut log);
        }
    };
    let log = String::from_utf8(log).unwrap();
    let summary = session.summary();
    let mut hasher = SipHasher13::new();
    hasher.write(&written);
    let digest = format!("written {} bytes, siphash {:016x}", written.len(), hasher.finish());
    let verdicts = format!("{fates}{fault}\n{resets}\n{log}\n{summary}{digest}\n");
    Outcome { written, verdicts }
}

fn word(fate: Fate) -> String {
    let (verdict, again) = match fate {
        Fate::Passed(Bystander::NotIp) => return "pass not-ip".to_owned(),
        Fate::Passed(Bystander::NotSmtp) => return "pass not-smtp".to_owned(),
        Fate::HandedOver => return "offload".to_owned(),
        Fate::Judged(verdict) => (verdict, ""),
        Fate::Repeated(verdict) => (verdict, "repeated "),
    };
    match verdict {
        Verdict::Accept => format!("{again}accept"),
        Verdict::Rewrite => format!("{again}rewrite"),
        Verdict::Drop(reason) => format!("{again}drop {}", reason.name()),
    }
}

const V4: [&str; 2] = ["192.0.2.1:40000", "198.51.100.25:25"];
const V6: [&str; 2] = ["[2001:db8::1]:40000", "[2001:db8::25]:25"];

/// Every format and link type, IPv4 and IPv6 in one capture where the link allows it.
fn layouts() -> Vec<Layout> {
    let tagged = |header_v4, header_v6| Layout { header_v4, header_v6, ..PLAIN };
    let linked = |link, header_v4, header_v6| Layout { link, header_v4, header_v6, ..PLAIN };
    let mut layouts = vec![
        PLAIN,
        tagged(
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0],
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 0x86, 0xdd],
        ),
        linked(
            113,
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x86, 0xdd],
        ),
        linked(
            276,
            &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            &[0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        ),
        linked(0, &[2, 0, 0, 0], &[30, 0, 0, 0]),
        linked(108, &[0, 0, 0, 2], &[0, 0, 0, 24]),
        linked(101, &[], &[]),
        linked(12, &[], &[]),
        linked(14, &[], &[]),
    ];
    let plain = layouts.clone();
    for is_nanos in [false, true] {
        for is_big in [false, true] {
            for is_ng in [false, true] {
                layouts.extend(plain.iter().map(|layout| Layout {
                    is_ng,
                    is_big,
                    is_nanos,
                    ..*layout
                }));
            }
        }
    }
    layouts
}

fn both_families() -> Vec<Vec<u8>> {
    [dialogue(V4[0], V4[1]), dialogue(V6[0], V6[1])].concat()
}

#[test]
fn what_does_not_change_leaves_byte_for_byte() {
    for layout in layouts() {
        let capture = layout.capture(&both_families());
        let outcome = outcome(&capture, monitor(), false);
        assert!(outcome.written == capture, "{layout:?}\n{}", outcome.verdicts);
    }
}

#[test]
fn every_layout_gives_the_same_verdicts() {
    let expected = outcome(&PLAIN.capture(&both_families()), settings(), false);
    for layout in layouts() {
        let capture = layout.capture(&both_families());
        let outcome = outcome(&capture, settings(), false);
        let [now, expected] = [&outcome.verdicts, &expected.verdicts].map(|text| said(text));
        assert_eq!(now, expected, "{layout:?}");
        // Nothing is dropped from a well-behaved dialogue, and no length changes.
        assert_eq!(outcome.written.len(), capture.len(), "{layout:?}");
    }
}

/// The verdicts without the digest of the bytes, which differ from layout to layout.
fn said(verdicts: &str) -> &str {
    verdicts.split("written ").next().unwrap()
}

#[test]
fn two_runs_give_identical_bytes() {
    let mut packets = both_families();
    let mut random = Random(7);
    for _ in 0..packets.len() {
        let (a, b) = (random.below(packets.len()), random.below(packets.len()));
        packets.swap(a, b);
    }
    let capture = PLAIN.capture(&packets);
    let [first, second] = [0; 2].map(|_| outcome(&capture, settings(), false));
    assert_eq!(first.verdicts, second.verdicts);
    assert!(first.written == second.written);
}

#[test]
fn captures_that_others_recorded_pass_unchanged_under_monitor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/pcaps");
    for path in files(&folder) {
        let capture = fs::read(&path).unwrap();
        let outcome = outcome(&capture, monitor(), true);
        let text = &outcome.verdicts;
        assert!(outcome.written == capture, "{}:\n{text}", path.display());
    }
}

#[test]
fn captures_that_others_recorded_give_the_same_twice_under_every_profile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/pcaps");
    let captures = files(&folder);
    for path in &captures {
        let capture = fs::read(path).unwrap();
        for (index, name) in guard::Settings::PROFILES.iter().enumerate() {
            let [first, second] = [0; 2].map(|_| outcome(&capture, profile(name), index % 2 == 0));
            assert_eq!(first.verdicts, second.verdicts, "{}, {name}", path.display());
            assert!(first.written == second.written, "{}, {name}", path.display());
        }
    }
    println!("recorded by others: {} captures", captures.len());
}

/// Captures below a folder, in order; none if it does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn no_prefix_and_no_mutation_of_a_capture_panics() {
    let ng = Layout { is_ng: true, ..PLAIN };
    let samples = [PLAIN.capture(&both_families()), ng.capture(&both_families())];
    for sample in &samples {
        for length in (0..sample.len()).step_by(7).chain(0..200) {
            let _ = outcome(&sample[..length], settings(), false);
        }
    }
    let rounds = std::env::var("ROUNDS").map_or(3_000, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("SEED").map_or(42, |seed| seed.parse().unwrap());
    println!("SEED={seed} ROUNDS={rounds}");
    let mut random = Random(seed);
    for round in 0..rounds {
        let mut capture = samples[round % samples.len()].clone();
        random.mutate(&mut capture);
        let _ = outcome(&capture, settings(), round % 3 == 0);
    }
}

#[test]
fn no_mutation_of_a_packet_panics() {
    let packets = both_families();
    let mut random = Random(4711);
    for round in 0..3_000 {
        let mut mutated = packets.clone();
        for _ in 0..3 {
            let at = random.below(mutated.len());
            random.mutate(&mut mutated[at]);
            let length = random.below(mutated[at].len()) + 1;
            if random.below(8) == 0 {
                mutated[at].truncate(length);
            }
        }
        let _ = outcome(&PLAIN.capture(&mutated), settings(), round % 2 == 0);
    }
}

/// What the log and the counters say of a dialogue up to MAIL and RCPT, and what follows.
fn replayed(follow: impl FnOnce(&mut Connection)) -> String {
    let mut connection = Connection::open(V4[0], V4[1]);
    for (from, line) in [
        (SERVER, "220 ready\r\n"),
        (CLIENT, "HELO a\r\n"),
        (SERVER, "250 b\r\n"),
        (CLIENT, "MAIL FROM:<a@b>\r\n"),
        (SERVER, "250 OK\r\n"),
        (CLIENT, "RCPT TO:<c@d>\r\n"),
        (SERVER, "250 OK\r\n"),
    ] {
        connection.say(from, line);
    }
    follow(&mut connection);
    outcome(&PLAIN.capture(&connection.packets), settings(), false).verdicts
}

fn counts(verdicts: &str, line: &str) -> bool {
    verdicts.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()))
}

#[test]
fn text_ahead_of_the_354_passes_behind_it() {
    let verdicts = replayed(|connection| {
        connection.say(CLIENT, "DATA\r\nSubject: early\r\n\r\nA line.\r\n");
        connection.say(CLIENT, "Another.\r\n.\r\n");
        connection.say(SERVER, "354 go on\r\n");
        connection.say(SERVER, "250 queued\r\n");
        connection.say(CLIENT, "QUIT\r\n");
        connection.say(SERVER, "221 bye\r\n");
    });
    assert!(counts(&verdicts, "messages 1"), "{verdicts}");
    assert!(counts(&verdicts, "repeated 2"), "{verdicts}");
    assert!(counts(&verdicts, "never let through 0"), "{verdicts}");
    assert!(verdicts.contains(">>> 221 bye"), "{verdicts}");
}

#[test]
fn commands_out_of_order_pass_in_order() {
    let verdicts = replayed(|connection| {
        for line in ["RCPT TO:<e@f>\r\n", "RCPT TO:<g@h>\r\n", "RSET\r\n"] {
            connection.send(CLIENT, PSH | ACK, line.as_bytes());
        }
        let last = connection.packets.len() - 1;
        connection.packets.swap(last - 2, last);
        connection.say(SERVER, "250 OK\r\n250 OK\r\n250 OK\r\n");
        connection.say(CLIENT, "QUIT\r\n");
        connection.say(SERVER, "221 bye\r\n");
    });
    assert!(counts(&verdicts, "repeated 2"), "{verdicts}");
    assert!(counts(&verdicts, "never let through 0"), "{verdicts}");
    assert!(counts(&verdicts, "alarms 0"), "{verdicts}");
    let places = ["<<< RCPT TO:<e@f>", "<<< RCPT TO:<g@h>", "<<< RSET", ">>> 221 bye"]
        .map(|line| verdicts.find(line));
    assert!(places.is_sorted() && places[0].is_some(), "{verdicts}");
}

/// A directory of a test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the directory holds, by name.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn options(&self) -> Options {
        Options {
            input: self.path("in.pcap"),
            write: Some(self.path("out.pcap")),
            events: Some(self.path("events")),
            format: Format::Json,
            tolerate_checksums: false,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn results_appear_under_their_names() {
    let scratch = Scratch::new("results");
    let capture = PLAIN.capture(&both_families());
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    fs::write(scratch.path("out.pcap"), "an older result").unwrap();
    replay::perform(&scratch.options(), settings()).unwrap();
    assert_eq!(scratch.names(), ["events", "in.pcap", "out.pcap"]);
    let expected = outcome(&capture, settings(), false);
    assert!(fs::read(scratch.path("out.pcap")).unwrap() == expected.written);
    for line in fs::read_to_string(scratch.path("events")).unwrap().lines() {
        assert!(line.starts_with("{\"time\":\"2001-02-07T17:01:2"), "{line}");
    }
}

#[test]
fn a_damaged_capture_leaves_no_result() {
    let scratch = Scratch::new("damaged");
    let mut capture = PLAIN.capture(&both_families());
    let second = 24 + 16 + 14 + 40;
    capture[second + 8..second + 12].fill(0xff);
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    fs::write(scratch.path("out.pcap"), "an older result").unwrap();
    let message = replay::perform(&scratch.options(), settings()).unwrap_err().to_string();
    let place = "in.pcap: behind packet 1: byte 94: expected a record of at most 16777216 bytes, \
                 found a length of 4294967295";
    assert!(message.ends_with(place), "{message}");
    assert_eq!(scratch.names(), ["in.pcap", "out.pcap"]);
    assert_eq!(fs::read(scratch.path("out.pcap")).unwrap(), b"an older result");
}

#[test]
fn a_capture_cut_in_a_record_is_replayed_to_there() {
    let scratch = Scratch::new("cut");
    let capture = PLAIN.capture(&both_families());
    fs::write(scratch.path("in.pcap"), &capture[..capture.len() - 1]).unwrap();
    replay::perform(&scratch.options(), monitor()).unwrap();
    let last = 16 + 14 + 60;
    assert!(fs::read(scratch.path("out.pcap")).unwrap() == capture[..capture.len() - last]);
}

#[test]
fn no_result_is_written_over_the_capture_or_another_result() {
    let scratch = Scratch::new("same");
    let capture = PLAIN.capture(&both_families());
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    std::os::unix::fs::symlink(scratch.path("in.pcap"), scratch.path("link.pcap")).unwrap();
    fs::hard_link(scratch.path("in.pcap"), scratch.path("hard.pcap")).unwrap();
    for name in ["in.pcap", "link.pcap", "hard.pcap"] {
        let path = Some(scratch.path(name));
        let write = Options { write: path.clone(), ..scratch.options() };
        let events = Options { events: path, ..scratch.options() };
        for options in [write, events] {
            let message = replay::perform(&options, settings()).unwrap_err().to_string();
            assert!(message.contains(": expected a file other than "), "{message}");
        }
    }
    let twice = Options { events: Some(scratch.path("out.pcap")), ..scratch.options() };
    replay::perform(&twice, settings()).unwrap_err();
    assert_eq!(scratch.names(), ["hard.pcap", "in.pcap", "link.pcap"]);
    assert!(fs::read(scratch.path("in.pcap")).unwrap() == capture);
}

#[test]
fn a_capture_that_is_not_there_is_said_to_be_missing() {
    let scratch = Scratch::new("missing");
    let message = replay::perform(&scratch.options(), settings()).unwrap_err().to_string();
    assert!(message.ends_with("in.pcap: No such file or directory (os error 2)"), "{message}");
    assert!(scratch.names().is_empty());
}

/// The settings beside a capture, and whether unfinished checksums are tolerated.
fn settings_beside(path: &Path) -> (Settings, bool) {
    let (mut settings, mut tolerate) = (settings(), false);
    let text = fs::read_to_string(path.with_extension("settings")).unwrap_or_default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(' ').unwrap_or((line, "")) {
            (comment, _) if comment.starts_with('#') => {}
            ("profile", name) => settings.guard = guard::Settings::profile(name).unwrap(),
            ("set", pair) => {
                let (key, value) = pair.split_once('=').unwrap();
                settings.guard.set(key.trim(), value.trim()).unwrap();
            }
            ("monitor", "") => settings.monitor = true,
            ("tolerate-checksums", "") => tolerate = true,
            _ => panic!("{}: unknown line `{line}`", path.display()),
        }
    }
    (settings, tolerate)
}

#[test]
fn the_projects_captures_give_their_verdicts() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut changed = Vec::new();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")) {
        let (settings, tolerate) = settings_beside(&path);
        let outcome = outcome(&fs::read(&path).unwrap(), settings, tolerate);
        let beside = path.with_extension("verdicts");
        if bless {
            fs::write(&beside, &outcome.verdicts).unwrap();
        } else if fs::read_to_string(&beside).ok().as_ref() != Some(&outcome.verdicts) {
            changed.push(format!("{}: now\n{}", path.display(), outcome.verdicts));
        }
    }
    assert!(changed.is_empty(), "BLESS=1 accepts these:\n{}", changed.join("\n"));
}

/// The one capture that is built and not recorded; `BLESS=1` writes it, too.
#[test]
fn the_handmade_capture_is_as_built() {
    let mut connection = Connection::open(V4[0], V4[1]);
    connection.say(SERVER, "220 mail.example.org ESMTP 2002\r\n");
    connection.say(CLIENT, "HELO client.example.net\r\n");
    connection.say(SERVER, "250 mail.example.org\r\n");
    connection.say(CLIENT, "QUIT\r\n");
    connection.say(SERVER, "221 bye\r\n");
    connection.close();
    let capture = PLAIN.capture(&connection.packets);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/handmade-helo.pcap");
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, capture).unwrap();
    } else {
        assert!(fs::read(path).unwrap() == capture);
    }
}
