//! Captures through the engine: what comes out, byte for byte.
//!
//! Every `pcaps/NAME.pcap` is replayed with the settings in `NAME.settings` beside it (if any) and
//! compared with `NAME.verdicts`; `BLESS=1` in the environment writes that file anew. Lines of
//! settings are `profile NAME`, `set KEY=VALUE`, `monitor`, `checksums MODE`, `# comment`.

use std::fmt::Write;
use std::fs::{self, Permissions};
use std::hash::Hasher;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;

use mailguard::engine::{Exception, Settings, Treatment, Verdict};
use mailguard::event::{self, Format, Zone};
use mailguard::front::FrontError;
use mailguard::front::replay::{self, Bystander, Checksums, Fate, Options, Session, Step, Summary};
use mailguard::wire::{Checksum, Packet, Parsed};

use crate::support::capture::{CLIENT, Connection, Layout, PLAIN, SERVER, dialogue};
use crate::support::packet::{ACK, PSH, fragments};
use crate::support::random::{Random, environment};
use crate::support::rig::settings as profile;

fn settings() -> Settings {
    profile("mailguard")
}

const VERIFY: Checksums = Checksums::Verify;
const MODES: [Checksums; 3] = [VERIFY, Checksums::Mend, Checksums::Ignore];

fn monitor() -> Settings {
    Settings { monitor: true, ..settings() }
}

/// The capture that leaves, and everything that is said about it.
struct Outcome {
    written: Vec<u8>,
    verdicts: String,
}

/// Replays without files; an error is part of the outcome.
fn outcome(capture: &[u8], settings: Settings, checksums: Checksums) -> Outcome {
    let mut session = Session::new(capture, settings, checksums);
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
        Fate::Passed(Bystander::Fragment) => return "pass fragment".to_owned(),
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
        let outcome = outcome(&capture, monitor(), VERIFY);
        assert!(outcome.written == capture, "{layout:?}\n{}", outcome.verdicts);
        if layout.is_ng {
            // A section that states its length, be it right or wrong.
            let mut capture = capture;
            capture[16..24].fill(7);
            assert!(outcome_monitored(&capture) == capture, "{layout:?}");
        }
    }
}

#[test]
fn every_layout_gives_the_same_verdicts() {
    let expected = outcome(&PLAIN.capture(&both_families()), settings(), VERIFY);
    for layout in layouts() {
        let capture = layout.capture(&both_families());
        let outcome = outcome(&capture, settings(), VERIFY);
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
    let [first, second] = [0; 2].map(|_| outcome(&capture, settings(), VERIFY));
    assert_eq!(first.verdicts, second.verdicts);
    assert!(first.written == second.written);
}

/// Captures below a folder, in order; none if it does not exist.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
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
            let _ = outcome(&sample[..length], settings(), VERIFY);
        }
    }
    let rounds = usize::try_from(environment("ROUNDS", 3_000)).unwrap();
    let seed = environment("SEED", 42);
    println!("SEED={seed} ROUNDS={rounds}");
    let mut random = Random(seed);
    for round in 0..rounds {
        let mut capture = samples[round % samples.len()].clone();
        random.mutate(&mut capture);
        let _ = outcome(&capture, settings(), MODES[round % 3]);
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
        let _ = outcome(&PLAIN.capture(&mutated), settings(), MODES[round % 3]);
    }
}

/// A dialogue up to MAIL and RCPT.
fn with_recipient() -> Connection {
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
    connection
}

/// What the log and the counters say of it, and of what follows.
fn replayed(follow: impl FnOnce(&mut Connection)) -> String {
    let mut connection = with_recipient();
    follow(&mut connection);
    outcome(&PLAIN.capture(&connection.packets), settings(), VERIFY).verdicts
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

/// A server that has received a flight whole answers it whole: behind the filter it would not have.
#[test]
fn replies_that_came_together_come_each_behind_what_it_answers() {
    let verdicts = replayed(|connection| {
        connection.say(CLIENT, "DATA\r\n");
        connection.say(SERVER, "354 go on\r\n");
        let flight = "text\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
        connection.say(CLIENT, flight);
        connection.say(SERVER, "250 queued\r\n250 OK\r\n250 OK\r\n354 go on\r\n");
        connection.say(CLIENT, "VRFY text\r\n.\r\nQUIT\r\n");
        connection.say(SERVER, "250-queued\r\n250 as 2\r\n221 bye\r\n");
    });
    for line in ["messages 2", "commands refused 0", "alarms 0", "resets 0", "repeated 1"] {
        assert!(counts(&verdicts, line), "{line}: {verdicts}");
    }
    assert!(verdicts.contains(">>> 221 bye"), "{verdicts}");
}

/// A client says no replies, whatever a capture lacks of its server's: a terminator that came whole
/// is none that was split.
#[test]
fn a_client_s_segment_stays_whole_behind_what_its_server_s_lack() {
    let mut connection = with_recipient();
    connection.send(CLIENT, PSH | ACK, b"RCPT TO:<e@f>\r\n");
    connection.send(CLIENT, PSH | ACK, b"DATA\r\n");
    connection.send(SERVER, PSH | ACK, b"250 OK\r\n");
    connection.packets.pop();
    connection.send(SERVER, PSH | ACK, b"354 go on\r\n");
    connection.say(CLIENT, "hello\r\n.\r\n");
    connection.say(SERVER, "250 queued\r\n");
    let capture = PLAIN.capture(&connection.packets);
    let verdicts = outcome(&capture, profile("pix-5.1"), VERIFY).verdicts;
    assert!(!verdicts.contains("split-terminator"), "{verdicts}");
    assert!(counts(&verdicts, "messages 1"), "{verdicts}");
}

#[test]
fn text_ahead_of_a_gap_passes_whatever_stands_before_it() {
    let verdicts = replayed(|connection| {
        connection.say(CLIENT, "DATA\r\n");
        for text in ["Subject: a\r\n", "not there\n", "text\r\n.\r\nfoo", "hello world"] {
            connection.send(CLIENT, PSH | ACK, text.as_bytes());
        }
        let lost = carrying(&connection.packets, "not there");
        connection.packets.remove(lost);
        connection.send(SERVER, PSH | ACK, b"354 go on\r\n");
    });
    assert!(counts(&verdicts, "repeated 2"), "{verdicts}");
    assert!(counts(&verdicts, "never let through 1"), "{verdicts}");
}

/// Text that waits for the 354 while another section of the capture begins.
#[test]
fn what_waits_is_sent_again_in_another_section() {
    let mut connection = with_recipient();
    connection.send(CLIENT, PSH | ACK, b"DATA\r\nSubject: early\r\n\r\n");
    connection.send(CLIENT, PSH | ACK, b"A line.\r\n.\r\n");
    let border = connection.packets.len();
    connection.say(SERVER, "354 go on\r\n");
    connection.say(SERVER, "250 queued\r\n");
    let (first, second) = connection.packets.split_at(border);
    let ng = Layout { is_ng: true, ..PLAIN };
    let raw = Layout { link: 101, header_v4: &[], header_v6: &[], ..ng };
    for (layout, written) in [(ng, 1), (Layout { is_big: true, ..ng }, 1), (raw, 0)] {
        let capture = [ng.capture(first), layout.capture(second)].concat();
        let sent = outcome(&capture, settings(), VERIFY);
        for line in ["messages 1", "repeated 2", "alarms 0", "never let through 0"] {
            assert!(counts(&sent.verdicts, line), "{layout:?}: {line}\n{}", sent.verdicts);
        }
        // Frames of another link type cannot stand in the second section.
        let left = outcome(&sent.written, monitor(), VERIFY).verdicts;
        assert!(counts(&left, &format!("messages {written}")), "{layout:?}\n{left}");
    }
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

/// The first connection breaks off while packets of it wait to be sent again.
#[test]
fn a_port_that_is_used_again_opens_a_connection_that_is_judged() {
    for numbers in [[50_000, 99_000], [3_000_000_000, 99_000]] {
        let verdicts = replayed(|connection| {
            connection.send(CLIENT, PSH | ACK, b"DATA\r\nSubject: early\r\n");
            let mut next = Connection::open_at(numbers, V4[0], V4[1]);
            for (from, line) in [
                (SERVER, "220 ready\r\n"),
                (CLIENT, "VRFY root\r\n"),
                (SERVER, "500 what?\r\n"),
                (CLIENT, "QUIT\r\n"),
                (SERVER, "221 bye\r\n"),
            ] {
                next.say(from, line);
            }
            next.close();
            connection.packets.append(&mut next.packets);
        });
        assert!(counts(&verdicts, "flows 2"), "{verdicts}");
        assert!(counts(&verdicts, "commands refused 1"), "{verdicts}");
        assert!(verdicts.contains(">>> 221 bye"), "{verdicts}");
        assert_eq!(said_behind_counters(&verdicts), [""; 0], "{verdicts}");
    }
}

/// A dialogue, and the packets of it by the text they carry.
fn packets() -> Vec<Vec<u8>> {
    dialogue(V4[0], V4[1])
}

/// Where the packet stands that begins to carry this text.
fn carrying(packets: &[Vec<u8>], text: &str) -> usize {
    packets.iter().position(|packet| packet[40..].starts_with(text.as_bytes())).unwrap()
}

/// Replays packets and checks the lines behind the counters: what was not judged, and why.
fn expect_remarks(
    packets: &[Vec<u8>],
    (settings, checksums): (Settings, Checksums),
    remarks: &[&str],
) -> Outcome {
    let capture = PLAIN.capture(packets);
    let monitored = Settings { monitor: true, ..settings.clone() };
    assert!(outcome(&capture, monitored, checksums).written == capture, "monitored");
    let outcome = outcome(&capture, settings, checksums);
    assert_eq!(said_behind_counters(&outcome.verdicts), remarks, "{}", outcome.verdicts);
    outcome
}

fn said_behind_counters(verdicts: &str) -> Vec<&str> {
    let lines = verdicts.lines().skip_while(|line| !line.starts_with("truncated "));
    lines.skip(1).take_while(|line| !line.starts_with("written ")).collect()
}

/// The IP packets of a capture with plain layout.
fn packets_of(mut capture: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    capture = &capture[24..];
    while let Some(length) = capture.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        packets.push(capture[16 + 14..16 + length].to_vec());
        capture = &capture[16 + length..];
    }
    packets
}

/// Whether a receiver takes a packet: its length and both checksums are right.
fn is_valid(packet: &[u8]) -> bool {
    usize::from(u16::from_be_bytes([packet[2], packet[3]])) == packet.len()
        && matches!(
            Packet::parse(packet),
            Ok(Parsed::Tcp(tcp)) if tcp.verify(Checksum::Complete).is_ok()
        )
}

#[test]
fn a_capture_with_nothing_wrong_has_no_remark() {
    expect_remarks(&packets(), (settings(), VERIFY), &[]);
}

#[test]
fn rewritten_addresses_leave_wrong_checksums_that_are_named_mended_or_ignored() {
    let right = packets();
    let mut wrong = right.clone();
    for packet in &mut wrong {
        packet[12] ^= 1;
        packet[16] ^= 1;
    }
    let judged = outcome(&PLAIN.capture(&right), settings(), VERIFY);
    let watched = outcome(&PLAIN.capture(&wrong), monitor(), Checksums::Mend).verdicts;
    let as_right = "wrong checksums: 36 of 36 packets of mail; judged as if they were right";
    assert_eq!(said_behind_counters(&watched), [as_right]);
    let verify =
        ["wrong checksums: 36 of 36 packets of mail; not judged: --checksums=mend reads them"];
    let outcome = expect_remarks(&wrong, (settings(), VERIFY), &verify);
    assert!(packets_of(&outcome.written).is_empty());
    let mend =
        ["wrong checksums: 36 of 36 packets of mail; judged as if they were right, and mended"];
    let ignore = ["wrong checksums: 36 of 36 packets of mail; judged as if they were right"];
    for (checksums, remarks) in [(Checksums::Mend, mend), (Checksums::Ignore, ignore)] {
        let outcome = expect_remarks(&wrong, (settings(), checksums), &remarks);
        assert!(counts(&outcome.verdicts, "messages 1"), "{}", outcome.verdicts);
        let left = packets_of(&outcome.written);
        let expected = packets_of(&judged.written);
        assert_eq!(left.len(), expected.len());
        for ((left, expected), came) in left.iter().zip(&expected).zip(&wrong) {
            assert_eq!(left[40..], expected[40..]);
            if checksums == Checksums::Ignore && left[40..] == came[40..] {
                assert_eq!(left, came);
            } else {
                assert!(is_valid(left), "{checksums:?}");
            }
        }
    }
}

#[test]
fn a_damaged_packet_is_dropped_and_no_flag_is_recommended() {
    let mut packets = packets();
    let last = packets.len() - 1;
    packets[last][36] ^= 1;
    let remark =
        ["wrong checksums: 1 of 36 packets of mail; not judged, as a receiver would drop them"];
    expect_remarks(&packets, (settings(), VERIFY), &remark);
}

#[test]
fn checksums_left_to_a_card_are_named_and_mended() {
    let mut left = packets();
    let mut count = 0;
    for packet in left.iter_mut().filter(|packet| packet[12..16] == [192, 0, 2, 1]) {
        packet[36..38].fill(0);
        packet[10..12].fill(0);
        count += 1;
    }
    let of = format!("wrong checksums: {count} of 36 packets of mail, left to a network card");
    let remark = format!("{of}; not judged: --checksums=mend reads them");
    expect_remarks(&left, (settings(), VERIFY), &[&remark]);
    let remark = format!("{of}; judged as if they were right, and mended");
    let outcome = expect_remarks(&left, (settings(), Checksums::Mend), &[&remark]);
    let expected = outcome_of(&packets());
    assert!(outcome.written == expected.written);
}

fn outcome_of(packets: &[Vec<u8>]) -> Outcome {
    outcome(&PLAIN.capture(packets), settings(), VERIFY)
}

#[test]
fn packets_captured_before_segmentation_have_the_length_of_their_frame() {
    for ends in [V4, V6] {
        let right = dialogue(ends[0], ends[1]);
        let mut long = right.clone();
        for packet in &mut long {
            if packet[0] >> 4 == 4 {
                let length = u16::from_be_bytes([packet[2], packet[3]]);
                let sum = u16::from_be_bytes([packet[10], packet[11]]);
                let (sum, carry) = sum.overflowing_add(length);
                packet[10..12].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
                packet[2..4].fill(0);
            } else {
                packet[4..6].fill(0);
            }
        }
        let outcome = expect_remarks(&long, (settings(), VERIFY), &[]);
        assert!(outcome.written == outcome_of(&right).written, "{}", outcome.verdicts);
    }
}

#[test]
fn bytes_that_a_capture_lacks_are_counted_and_the_judging_goes_on() {
    // The client's MAIL, with its server's bare ACK of it: the reply acknowledges it too.
    let mut packets = packets();
    let mail = carrying(&packets, "MAIL");
    packets.drain(mail..mail + 2);
    let outcome = outcome_of(&packets);
    let verdicts = &outcome.verdicts;
    let remarks = said_behind_counters(verdicts);
    let gaps = [
        "gaps: the capture lacks 27 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 27 bytes",
    ];
    assert_eq!(remarks[..2], gaps, "{verdicts}");
    // How many findings they are is the dialogue's affair.
    assert!(remarks[2].starts_with("uncertain: "), "{verdicts}");
    assert!(remarks[2].ends_with(" in 1 flow, behind bytes not read"), "{verdicts}");
    for said in [
        "*** client: 27 bytes not seen, what follows is uncertain",
        "<<< RCPT TO:<b@example.org>",
        "<<< DATA",
        "*** client offset 138: data ends, 30 bytes",
        ">>> 221 bye",
    ] {
        assert!(verdicts.contains(said), "{said}\n{verdicts}");
    }
    assert!(!verdicts.contains("ack-of-unsent"), "{verdicts}");
    assert!(counts(verdicts, "messages 1"), "{verdicts}");
    assert!(counts(verdicts, "commands refused 1"), "{verdicts}");
}

/// A dialogue up to the 354, a message in pieces, and the end.
fn message(pieces: [&str; 3]) -> Vec<Vec<u8>> {
    let mut connection = with_recipient();
    connection.say(CLIENT, "DATA\r\n");
    connection.say(SERVER, "354 go on\r\n");
    for piece in pieces {
        connection.send(CLIENT, ACK, piece.as_bytes());
    }
    connection.send(SERVER, ACK, b"");
    connection.say(SERVER, "250 queued\r\n");
    connection.say(CLIENT, "QUIT\r\n");
    connection.say(SERVER, "221 bye\r\n");
    connection.packets
}

#[test]
fn a_gap_in_a_message_leaves_it_a_message() {
    let mut packets = message(["Subject: a\r\n\r\n", "lost\r\n", "kept\r\n.\r\n"]);
    let lost = carrying(&packets, "lost");
    packets.remove(lost);
    let remarks = [
        "gaps: the capture lacks 6 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 6 bytes",
        "uncertain: 0 findings in 1 flow, behind bytes not read",
    ];
    let outcome = expect_remarks(&packets, (settings(), VERIFY), &remarks);
    assert!(counts(&outcome.verdicts, "messages 1"), "{}", outcome.verdicts);
    // The header of what came behind the gap went on ahead of it.
    assert_eq!(packets_of(&outcome.written).len(), packets.len() + 1);
}

#[test]
fn a_lost_end_is_seen_by_its_ack_alone() {
    let mut packets = message(["Subject: a\r\n\r\n", "kept\r\n", "lost\r\n.\r\n"]);
    let lost = carrying(&packets, "lost");
    packets.remove(lost);
    packets.truncate(lost + 1);
    let remarks = [
        "gaps: the capture lacks 9 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 9 bytes",
    ];
    expect_remarks(&packets, (settings(), VERIFY), &remarks);
}

#[test]
fn an_ack_recorded_ahead_of_its_data_is_no_gap() {
    let mut packets = packets();
    let mail = carrying(&packets, "MAIL");
    packets.swap(mail, mail + 1);
    let outcome = expect_remarks(&packets, (settings(), VERIFY), &[]);
    assert!(outcome.verdicts.contains("<<< MAIL FROM:<a@example.net>"), "{}", outcome.verdicts);
    assert!(counts(&outcome.verdicts, "alarms 0"), "{}", outcome.verdicts);
}

#[test]
fn bytes_recorded_behind_their_ack_are_not_lacking() {
    // The client's VRFY behind its refusal, as a recorder with two queues has it.
    let mut connection = Connection::open(V4[0], V4[1]);
    connection.say(SERVER, "220 ready\r\n");
    connection.send(CLIENT, PSH | ACK, b"VRFY root\r\n");
    connection.say(SERVER, "500 what?\r\n");
    let command = carrying(&connection.packets, "VRFY");
    connection.packets.swap(command, command + 1);
    connection.say(CLIENT, "QUIT\r\n");
    let remarks = [
        "out of order: 11 bytes in 1 flow, recorded behind their ACK; not judged",
        // A reply that nobody asked for.
        "uncertain: 1 finding in 1 flow, behind bytes not read",
    ];
    expect_remarks(&connection.packets, (settings(), VERIFY), &remarks);
}

/// A message is masked in more places than the log shows, behind bytes that the capture lacks.
#[test]
fn findings_that_the_log_does_not_show_are_uncertain_too() {
    let mut packets = message(["Subject: a\r\n\r\nlost\r\n", &"a\r\n.\nb\r\n".repeat(40), ".\r\n"]);
    let lost = carrying(&packets, "Subject");
    packets.remove(lost);
    let uncertain = |settings: Settings| {
        let verdicts = outcome(&PLAIN.capture(&packets), settings, VERIFY).verdicts;
        let remarks = said_behind_counters(&verdicts);
        let said = remarks.iter().find_map(|line| line.strip_prefix("uncertain: "));
        let count = said.unwrap().split(' ').next().unwrap().parse::<usize>().unwrap();
        (count, verdicts)
    };
    let (all, verdicts) = uncertain(settings());
    let count = |sign: &str| verdicts.lines().filter(|line| line.contains(sign)).count();
    let (shown, unshown) = (count("\" -> \""), count(" are not shown"));
    assert!(unshown > 0, "{verdicts}");
    // The greeting stands before the gap.
    assert_eq!(all, shown - 1 + unshown, "{verdicts}");
    let mut terse = settings();
    (terse.limits.log_burst_bytes, terse.limits.log_flow_bytes_per_second) = (2_000, 0);
    let (some, verdicts) = uncertain(terse);
    assert!(verdicts.contains(" left out"), "{verdicts}");
    assert!(some >= all, "{verdicts}");
}

/// One packet is dated wrongly, ahead by so many seconds.
#[test]
fn a_time_that_goes_back_is_told_of() {
    let packets = packets();
    let late = packets.len() - 6;
    let behind = "of 36 packets of mail, by up to";
    for (ahead, said) in [
        (0, vec![]),
        (900, vec![format!("time: goes back in {late} {behind} 899 seconds; not followed")]),
        (
            90_000,
            vec![format!(
                "time: goes back in {late} {behind} 89999 seconds; not followed, and flows may \
                 have ended too early"
            )],
        ),
    ] {
        let mut capture = PLAIN.capture(&packets);
        let at = 24 + packets[..5].iter().map(|packet| 16 + 14 + packet.len()).sum::<usize>();
        let second = u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
        capture[at..at + 4].copy_from_slice(&(second + ahead).to_le_bytes());
        let outcome = outcome(&capture, settings(), VERIFY);
        assert_eq!(said_behind_counters(&outcome.verdicts), said, "{}", outcome.verdicts);
        assert!(outcome_monitored(&capture) == capture);
    }
}

#[test]
fn submission_alone_is_named_with_its_port() {
    let moved = dialogue(V4[0], "198.51.100.25:587");
    let remark = ["other ports: 36 of 36 packets, on port 587, look like SMTP; not judged: \
         --set ports=[587] reads them"];
    let outcome = expect_remarks(&moved, (settings(), VERIFY), &remark);
    assert!(counts(&outcome.verdicts, "not SMTP 36"), "{}", outcome.verdicts);
    let both = [packets(), moved, dialogue(V6[0], "[2001:db8::25]:2525")].concat();
    let remark =
        ["other ports: 72 of 108 packets, on ports 587, 2525, look like SMTP; not judged: \
         --set ports=[25,587,2525] reads them"];
    expect_remarks(&both, (settings(), VERIFY), &remark);
    let all = Settings { ports: vec![25, 587, 2525], ..settings() };
    expect_remarks(&both, (all, VERIFY), &[]);
}

#[test]
fn a_server_of_files_is_none_of_mail_and_a_client_alone_tells_enough() {
    let mut files = Connection::open(V4[0], "198.51.100.25:21");
    files.say(SERVER, "220 files here\r\n");
    files.say(CLIENT, "USER a\r\n");
    files.say(SERVER, "331 and?\r\n");
    let nothing = ["no mail: no packet is from or to port 25"];
    expect_remarks(&files.packets, (settings(), VERIFY), &nothing);
    for (from, line) in
        [(SERVER, "220-hello\r\n"), (CLIENT, "ehlo a\r\n"), (CLIENT, "mail FROM:<a>\r\n")]
    {
        let mut mail = Connection::open(V4[0], "198.51.100.25:587");
        mail.say(CLIENT, "");
        mail.say(from, line);
        let remark = ["other ports: 7 of 7 packets, on port 587, look like SMTP; not judged: \
             --set ports=[587] reads them"];
        expect_remarks(&mail.packets, (settings(), VERIFY), &remark);
    }
}

#[test]
fn packets_cut_by_the_recorder_are_counted() {
    let packets = message(["Subject: a\r\n\r\n", &"x".repeat(100), "\r\n.\r\n"]);
    let capture = PLAIN.capture_of(&packets, 14 + 60);
    let outcome = outcome(&capture, settings(), VERIFY);
    let remarks = [
        "truncated packets: 1 of 31 packets of mail; not judged: record with a larger snaplen",
        "gaps: the capture lacks 80 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 80 bytes",
        "uncertain: 0 findings in 1 flow, behind bytes not read",
    ];
    assert_eq!(said_behind_counters(&outcome.verdicts), remarks, "{}", outcome.verdicts);
    assert!(counts(&outcome.verdicts, "messages 1"), "{}", outcome.verdicts);
    assert!(outcome_monitored(&capture) == capture);
}

#[test]
fn fragments_are_told_of() {
    let mut packets = message(["Subject: a\r\n\r\n", &"x".repeat(100), "\r\n.\r\n"]);
    let at = packets.iter().position(|packet| packet.ends_with(b"xxx")).unwrap();
    let whole = packets.remove(at);
    let parts = fragments(&whole, 48);
    packets.splice(at..at, parts);
    let remarks = [
        "fragments: 3 of 33 packets; not joined, not judged",
        "gaps: the capture lacks 72 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 72 bytes",
        "uncertain: 0 findings in 1 flow, behind bytes not read",
    ];
    let outcome = expect_remarks(&packets, (settings(), VERIFY), &remarks);
    assert!(counts(&outcome.verdicts, "not SMTP 0"), "{}", outcome.verdicts);
}

#[test]
fn tunnels_are_named_by_their_protocols() {
    let within = |protocol: u8, before: &[u8], packet: &[u8]| {
        let length = u16::try_from(20 + before.len() + packet.len()).unwrap().to_be_bytes();
        let mut outer = [&packet[..20], before, packet].concat();
        outer[2..4].copy_from_slice(&length);
        outer[9] = protocol;
        outer
    };
    let all = packets();
    let gre: Vec<_> = all.iter().map(|packet| within(47, &[0, 0, 8, 0], packet)).collect();
    let tunnel = "tunnels: 36 of 36 packets, of IP protocol 47; passed unread";
    let no_mail = "no mail: no packet is from or to port 25";
    expect_remarks(&gre, (settings(), VERIFY), &[tunnel, no_mail]);
    let mixed = [all.clone(), vec![within(4, &[], &all[0]), within(41, &[], &all[0])]].concat();
    let tunnels = "tunnels: 2 of 38 packets, of IP protocols 4, 41; passed unread";
    expect_remarks(&mixed, (settings(), VERIFY), &[tunnels]);
}

fn outcome_monitored(capture: &[u8]) -> Vec<u8> {
    outcome(capture, monitor(), VERIFY).written
}

#[test]
fn a_flow_without_its_handshake_is_called_so() {
    let all = packets();
    let remark = ["missing handshake: 1 flow, 33 of 33 packets of mail; not judged"];
    expect_remarks(&all[3..], (settings(), VERIFY), &remark);
    let remark = ["missing handshake: 1 flow, 34 of 35 packets of mail; not judged"];
    let no_answer = [&all[..1], &all[2..]].concat();
    expect_remarks(&no_answer, (settings(), VERIFY), &remark);
}

/// Without it, or behind the greeting, or ahead of what it answers: the server has got it.
#[test]
fn a_third_packet_that_the_capture_lacks_opens_the_flow_all_the_same() {
    let all = packets();
    let without = |lost: std::ops::Range<usize>| [&all[..lost.start], &all[lost.end..]].concat();
    let swapped = |at: usize| {
        let mut packets = all.clone();
        packets.swap(at, at + 1);
        packets
    };
    let gaps = [
        "gaps: the capture lacks 33 bytes in 1 flow",
        "  192.0.2.1:40000 to 198.51.100.25:25: the capture lacks 33 bytes",
    ];
    // A line that is refused, and the reply to DATA: nobody has seen a greeting.
    let behind = "uncertain: 2 findings in 1 flow, behind bytes not read";
    let early = "missing handshake: 1 flow, 1 of 36 packets of mail; not judged";
    for (packets, remarks) in [
        (without(2..3), vec![]),
        (without(2..5), vec![gaps[0], gaps[1], behind]),
        (swapped(2), vec![]),
        (swapped(1), vec![early]),
    ] {
        let outcome = outcome_of(&packets);
        let (verdicts, said) = (&outcome.verdicts, said_behind_counters(&outcome.verdicts));
        assert_eq!(said.len(), remarks.len(), "{verdicts}");
        assert!(said.iter().zip(&remarks).all(|(said, wanted)| said == wanted), "{verdicts}");
        for line in ["flows 1", "commands refused 1", "messages 1", "resets 0"] {
            assert!(counts(verdicts, line), "{line}\n{verdicts}");
        }
        assert!(outcome_monitored(&PLAIN.capture(&packets)) == PLAIN.capture(&packets));
    }
}

#[test]
fn a_handshake_that_opens_nothing_is_missing_too() {
    let mut packets = packets();
    // The server answers another SYN than the one that is there.
    packets[1] = Connection::open_at([7, 5_000_000], V4[0], V4[1]).packets.swap_remove(1);
    let saying = packets.iter().filter(|packet| packet.len() > 40 || packet[33] & 1 != 0).count();
    let remark = format!("missing handshake: 1 flow, {saying} of 36 packets of mail; not judged");
    expect_remarks(&packets, (settings(), VERIFY), &[&remark]);
    let let_alone = Exception { client: None, server: None, treatment: Treatment::HandsOff };
    let untouched = Settings { exceptions: vec![let_alone], ..settings() };
    expect_remarks(&packets, (untouched, VERIFY), &[]);
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
            report: None,
            format: Format::Json,
            checksums: Checksums::Verify,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn perform(options: &Options, settings: Settings) -> Result<Summary, FrontError> {
    replay::watch(options, settings, &mut |_| {})
}

#[test]
fn results_appear_under_their_names() {
    let scratch = Scratch::new("results");
    let capture = PLAIN.capture(&both_families());
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    fs::write(scratch.path("out.pcap"), "an older result").unwrap();
    perform(&scratch.options(), settings()).unwrap();
    assert_eq!(scratch.names(), ["events", "in.pcap", "out.pcap"]);
    let expected = outcome(&capture, settings(), VERIFY);
    assert!(fs::read(scratch.path("out.pcap")).unwrap() == expected.written);
    for line in fs::read_to_string(scratch.path("events")).unwrap().lines() {
        assert!(line.starts_with("{\"time\":\"2001-02-07T17:01:2"), "{line}");
    }
}

#[test]
fn a_result_is_read_by_nobody_who_could_not_read_what_it_replaces() {
    let scratch = Scratch::new("access");
    fs::write(scratch.path("in.pcap"), PLAIN.capture(&both_families())).unwrap();
    for mode in [0o600, 0o640, 0o666] {
        fs::write(scratch.path("out.pcap"), "an older result").unwrap();
        fs::set_permissions(scratch.path("out.pcap"), Permissions::from_mode(mode)).unwrap();
        perform(&scratch.options(), settings()).unwrap();
        let found = fs::metadata(scratch.path("out.pcap")).unwrap().mode();
        assert_eq!(found & 0o7777, mode, "{found:o}");
    }
}

/// Another process had our number, and was killed.
#[test]
fn what_a_killed_replay_left_is_no_obstacle() {
    let scratch = Scratch::new("killed");
    let capture = PLAIN.capture(&both_families());
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    let left = format!(".out.pcap.{}.partial", std::process::id());
    fs::write(scratch.path(&left), "half of").unwrap();
    perform(&scratch.options(), monitor()).unwrap();
    assert_eq!(scratch.names(), [&left, "events", "in.pcap", "out.pcap"]);
    assert!(fs::read(scratch.path("out.pcap")).unwrap() == capture);
    let nowhere = Options { write: Some(scratch.path("none/out")), ..scratch.options() };
    let message = perform(&nowhere, settings()).unwrap_err().to_string();
    let said = format!("/none/.out.{}.partial: No such file", std::process::id());
    assert!(message.contains(&said), "{message}");
}

#[test]
fn half_a_result_has_no_name() {
    let scratch = Scratch::new("half");
    fs::write(scratch.path("in.pcap"), "a capture").unwrap();
    let mut output = replay::create(&scratch.path("out.pcap"), &scratch.path("in.pcap")).unwrap();
    output.write(&[b'x'; 100_000]).unwrap();
    assert_eq!(scratch.names(), ["in.pcap"]);
    output.finish().unwrap();
    assert_eq!(scratch.names(), ["in.pcap", "out.pcap"]);
}

#[test]
fn a_damaged_capture_leaves_no_result() {
    let scratch = Scratch::new("damaged");
    let mut capture = PLAIN.capture(&both_families());
    let second = 24 + 16 + 14 + 40;
    capture[second + 8..second + 12].fill(0xff);
    fs::write(scratch.path("in.pcap"), &capture).unwrap();
    fs::write(scratch.path("out.pcap"), "an older result").unwrap();
    let message = perform(&scratch.options(), settings()).unwrap_err().to_string();
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
    perform(&scratch.options(), monitor()).unwrap();
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
            let message = perform(&options, settings()).unwrap_err().to_string();
            assert!(message.contains(": expected a file other than "), "{message}");
        }
    }
    let twice = Options { events: Some(scratch.path("out.pcap")), ..scratch.options() };
    perform(&twice, settings()).unwrap_err();
    // By another name of the directory, and of the report.
    let twice = Options { events: Some(scratch.path("../replay-same/out.pcap")), ..twice };
    perform(&twice, settings()).unwrap_err();
    for name in ["out.pcap", "events"] {
        let twice = Options { report: Some(scratch.path(name)), ..scratch.options() };
        let message = perform(&twice, settings()).unwrap_err().to_string();
        assert!(message.contains(": expected a file other than "), "{message}");
    }
    assert_eq!(scratch.names(), ["hard.pcap", "in.pcap", "link.pcap"]);
    assert!(fs::read(scratch.path("in.pcap")).unwrap() == capture);
}

#[test]
fn a_capture_that_is_not_there_is_said_to_be_missing() {
    let scratch = Scratch::new("missing");
    let message = perform(&scratch.options(), settings()).unwrap_err().to_string();
    assert!(message.ends_with("in.pcap: No such file or directory (os error 2)"), "{message}");
    assert!(scratch.names().is_empty());
}

/// The settings beside a capture, and what is made of its checksums.
pub(crate) fn settings_beside(path: &Path) -> (Settings, Checksums) {
    let (mut settings, mut checksums) = (settings(), Checksums::Verify);
    let text = fs::read_to_string(path.with_extension("settings")).unwrap_or_default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(' ').unwrap_or((line, "")) {
            (comment, _) if comment.starts_with('#') => {}
            ("profile", name) => settings.guard = profile(name).guard,
            ("set", pair) => {
                let (key, value) = pair.split_once('=').unwrap();
                settings.guard.set(key.trim(), value.trim()).unwrap();
            }
            ("monitor", "") => settings.monitor = true,
            ("checksums", "mend") => checksums = Checksums::Mend,
            ("checksums", "ignore") => checksums = Checksums::Ignore,
            _ => panic!("{}: unknown line `{line}`", path.display()),
        }
    }
    (settings, checksums)
}

#[test]
fn the_projects_captures_give_their_verdicts() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut changed = Vec::new();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")) {
        let (settings, checksums) = settings_beside(&path);
        let outcome = outcome(&fs::read(&path).unwrap(), settings, checksums);
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
