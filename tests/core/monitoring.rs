//! Monitoring: whatever comes leaves byte for byte as it came, nobody is reset, and the log is that
//! of the enforcing filter until enforcing changes what follows.
//!
//! Each capture of `pcaps` (and of `../shared/pcaps`, where somebody keeps others there) and each
//! random schedule is judged three times by the same settings: enforced, monitored as a whole, and
//! monitored by an exception.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use mailguard::engine::{
    Arrival, Effects, Engine, Exception, Reason, Record, Settings, TlsEvent, Treatment,
    UnknownFlow, Verdict, What,
};
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::flow::PerDirection;
use mailguard::front::replay::{Checksums, Fate, Session, Step};
use mailguard::guard::Rule;
use mailguard::tcp::Violation;
use mailguard::time::Instant;
use mailguard::wire::Checksum;

use crate::replay::{files, settings_beside};
use crate::support::packet::{ACK, FIN, PSH, SYN, arrival, tcp_packet};
use crate::support::random::environment;
use crate::support::rig::{Rig, Seen, settings, settings_with, settings_without_rules};
use crate::support::schedule::{Kind, Plan};

/// Seeds of each kind, unless `SEEDS` says otherwise.
const SEEDS: u64 = 300;

/// Profiles that captures of others are tried under.
const PROFILES: [&str; 4] = ["mailguard", "esmtp", "pix-5.1", "asa"];

/// The same settings, monitored as a whole and by an exception for everybody.
fn monitored(settings: &Settings) -> [Settings; 2] {
    let treatment = Treatment::Monitor(settings.guard.clone());
    let exceptions = vec![Exception { client: None, server: None, treatment }];
    [Settings { monitor: true, ..settings.clone() }, Settings { exceptions, ..settings.clone() }]
}

/// Whether the filter, by what it says here, has changed what follows: the server answers another
/// line, or a packet comes again. What a mask hides changes no answer.
fn changes_what_follows(what: &What) -> bool {
    match what {
        What::Dropped { .. } | What::Cut { .. } | What::Reset { .. } => true,
        What::Tls(TlsEvent::Alarm { .. } | TlsEvent::Rule { .. }) => true,
        What::Edited { rule, .. } => {
            !matches!(rule, Rule::Banner | Rule::BareLastLine | Rule::EhloKeyword | Rule::Lookalike)
        }
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Missed { .. }
        | What::Alarm { .. }
        | What::Contradiction { .. }
        | What::Exceeded { .. }
        | What::LeftOut { .. }
        | What::Unshown { .. }
        | What::Tls(
            TlsEvent::Begin { .. }
            | TlsEvent::Agreed { .. }
            | TlsEvent::Failed { .. }
            | TlsEvent::End { .. },
        )
        | What::Noticed { .. }
        | What::Closed => false,
    }
}

/// The entries of each flow, in order. What a server offered in an earlier flow is remembered, and
/// those may have gone otherwise: what is noticed because of it is not compared.
fn by_flow(records: &[Record]) -> BTreeMap<u64, Vec<&Record>> {
    let mut flows = BTreeMap::<u64, Vec<&Record>>::new();
    for record in records.iter().filter(|record| !matches!(record.what, What::Noticed { .. })) {
        flows.entry(record.flow).or_default().push(record);
    }
    flows
}

/// How much was compared.
#[derive(Debug, Default)]
struct Compared {
    entries: usize,
    whole_flows: usize,
    cut_flows: usize,
}

/// Holds the log of a monitor against that of the filter, flow by flow.
fn compare(enforced: &[Record], monitored: &[Record], compared: &mut Compared) {
    let monitored = by_flow(monitored);
    for (flow, expected) in by_flow(enforced) {
        let found = monitored.get(&flow).cloned().unwrap_or_default();
        let first = expected.iter().position(|record| changes_what_follows(&record.what));
        let length = first.map_or(expected.len(), |place| place + 1);
        for (place, expected) in expected[..length].iter().enumerate() {
            // What has to wait for an answer does not where nothing is held.
            let is_held = matches!(expected.what, What::Cut { reason: Reason::AwaitingReply, .. });
            let is_read = is_held && found.get(place) != Some(expected);
            assert!(is_read || found.get(place) == Some(expected), "flow {flow}, entry {place}");
        }
        compared.entries += length;
        compared.whole_flows += usize::from(first.is_none());
        compared.cut_flows += usize::from(first.is_some());
    }
}

/// The records of a replay, and what left.
struct Replayed {
    records: Vec<Record>,
    written: Vec<u8>,
}

fn replay(capture: &[u8], settings: Settings, is_monitored: bool) -> Replayed {
    let mut session = Session::new(capture, settings, Checksums::Verify);
    let (mut records, mut written, mut step) = (Vec::new(), Vec::new(), Step::default());
    while let Ok(true) = session.step(&mut step) {
        written.extend_from_slice(&step.written);
        records.append(&mut step.records);
        if is_monitored {
            assert!(step.resets.is_empty(), "a monitor resets nothing");
            for (number, fate) in &step.fates {
                let is_let_be = match fate {
                    Fate::Passed(_) | Fate::HandedOver => true,
                    Fate::Judged(verdict) => *verdict == Verdict::Accept,
                    Fate::Repeated(_) => false,
                };
                assert!(is_let_be, "packet {number}: {fate:?}");
            }
        }
    }
    Replayed { records, written }
}

fn try_capture(path: &Path, settings: &Settings, compared: &mut Compared) {
    let capture = fs::read(path).unwrap();
    let enforced = replay(&capture, settings.clone(), false);
    for monitored in monitored(settings) {
        let seen = replay(&capture, monitored, true);
        assert!(seen.written == capture[..seen.written.len()], "{}", path.display());
        // A recorder that was killed leaves the beginning of a record.
        assert!(capture.len() - seen.written.len() < 1 << 16, "{}", path.display());
        compare(&enforced.records, &seen.records, compared);
    }
}

fn captures_below(folder: &str) -> Vec<PathBuf> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

#[test]
fn captures_leave_as_they_came_and_are_judged_as_if_it_mattered() {
    let mut compared = Compared::default();
    for path in captures_below("pcaps") {
        try_capture(&path, &settings_beside(&path).0, &mut compared);
        for profile in PROFILES {
            println!("{} under {profile}", path.display());
            try_capture(&path, &settings(profile), &mut compared);
        }
    }
    println!("the project's captures: {compared:?}");
    assert!(compared.whole_flows > 0 && compared.cut_flows > 0, "{compared:?}");
}

#[test]
fn captures_of_others_leave_as_they_came_and_are_judged_as_if_it_mattered() {
    let mut compared = Compared::default();
    let paths = captures_below("../shared/pcaps");
    for path in &paths {
        for profile in PROFILES {
            println!("{} under {profile}", path.display());
            try_capture(path, &settings(profile), &mut compared);
        }
    }
    println!("{} captures of others: {compared:?}", paths.len());
}

/// Judges the packets of a schedule again.
fn judge(seen: &[Seen], settings: Settings, is_monitored: bool) -> Vec<Record> {
    let engine = Engine::new(settings, 1);
    let (mut effects, mut records) = (Effects::default(), Vec::new());
    for packet in seen {
        let arrival =
            Arrival { checksum: Checksum::Complete, path: packet.path, ..arrival(&packet.bytes) };
        let verdict = engine.handle(packet.at, &arrival, &mut effects);
        if is_monitored {
            assert_eq!(verdict, Verdict::Accept);
            assert!(effects.resets.is_empty() && effects.rewritten.is_empty());
        }
        records.append(&mut effects.records);
    }
    assert!(!is_monitored || engine.stats().resets == 0);
    records
}

#[test]
fn schedules_are_judged_as_if_it_mattered() {
    let seeds = environment("SEEDS", SEEDS);
    let mut compared = Compared::default();
    for kind in Kind::ALL {
        for seed in 0..seeds {
            println!("SEED={seed} KIND={kind:?}");
            let plan = Plan::new(kind, seed);
            let seen = plan.watched().seen;
            let others = PROFILES.into_iter().map(settings);
            for settings in others.chain([plan.settings(), settings_without_rules()]) {
                let enforced = judge(&seen, settings.clone(), false);
                for monitored in monitored(&settings) {
                    compare(&enforced, &judge(&seen, monitored, true), &mut compared);
                }
            }
        }
    }
    println!("schedules: {compared:?}");
    assert!(compared.entries > 20 * seeds as usize && compared.cut_flows > 0, "{compared:?}");
}

/// One packet under each kind of monitoring, and under the filter.
fn fates(packets: &[Vec<u8>]) -> [Vec<Verdict>; 3] {
    let enforced = Settings { unknown_flow: UnknownFlow::Reset, ..settings("mailguard") };
    let [whole, exception] = monitored(&enforced);
    [enforced, whole, exception].map(|settings| {
        let engine = Engine::new(settings, 1);
        let mut effects = Effects::default();
        let judge = |bytes: &Vec<u8>| {
            let arrival = Arrival {
                checksum: Checksum::Complete,
                path: Default::default(),
                ..arrival(bytes)
            };
            let verdict = engine.handle(Instant::from_micros(1_000_000), &arrival, &mut effects);
            assert!(verdict != Verdict::Accept || effects.resets.is_empty());
            verdict
        };
        packets.iter().map(judge).collect()
    })
}

#[test]
fn options_checksums_and_flows_that_enforcing_would_change_are_let_be() {
    let (client, server) = ("192.0.2.1:40000".parse().unwrap(), "198.51.100.2:25".parse().unwrap());
    // TCP Fast Open's option, which is none of those that pass.
    let syn = tcp_packet(client, server, 1, 0, SYN, &[34, 2, 1, 1], b"");
    let mut damaged = tcp_packet(client, server, 1, 0, SYN, &[], b"");
    damaged[36] ^= 1;
    let unknown = tcp_packet(client, server, 500, 500, ACK | PSH, &[], b"VRFY root\r\n");
    let answer = tcp_packet(server, client, 500, 500, SYN | ACK, &[], b"");
    for packet in [syn, damaged, unknown, answer] {
        let [enforced, whole, exception] = fates(&[packet]);
        assert_ne!(enforced, [Verdict::Accept]);
        assert_eq!((whole, exception), (vec![Verdict::Accept], vec![Verdict::Accept]));
    }
}

fn monitoring() -> Settings {
    let changes = [("http_words", "reset"), ("sender_max", "20")];
    Settings { monitor: true, ..settings_with("mailguard", &changes) }
}

/// A monitored flow that is open.
fn watched() -> Rig {
    Rig::established(monitoring(), [1_000, 5_000])
}

/// The client's lines that were told, and those that began a message or ended one.
fn lines(rig: &Rig) -> Vec<String> {
    let told = |what: &What| {
        if let What::Command { line, .. } = what {
            return Some(String::from_utf8_lossy(line).into_owned());
        }
        matches!(what, What::DataEnd { .. }).then(|| "(end)".to_owned())
    };
    rig.records.iter().filter_map(|record| told(&record.what)).collect()
}

fn count(rig: &Rig, is_it: impl Fn(&What) -> bool) -> usize {
    rig.records.iter().filter(|record| is_it(&record.what)).count()
}

const SAID: [&str; 8] = [
    "HELO a",
    "VRFY root",
    "GET / HTTP/1.1",
    "NOOP",
    "MAIL FROM:<longer.than.the.limit@example.org>",
    "RSET",
    "EXPN \0list",
    "QUIT",
];

/// Whatever order its packets come in, and however they are cut, all that has gone on is read once.
#[test]
fn what_goes_on_is_read_in_its_order() {
    let text = SAID.map(|line| format!("{line}\r\n")).concat().into_bytes();
    let mut orders: Vec<Vec<Range<usize>>> = Vec::new();
    for size in [1, 3, 10, 50, text.len()] {
        let starts = (0..text.len()).step_by(size);
        let pieces: Vec<_> = starts.map(|at| at..text.len().min(at + size)).collect();
        orders.push(pieces.clone());
        if pieces.len() <= 16 {
            orders.push(pieces.iter().rev().cloned().collect());
            orders.push([&pieces[..], &pieces[..]].concat());
            let (one, other): (Vec<_>, Vec<_>) =
                pieces.into_iter().enumerate().partition(|(number, _)| number % 2 == 1);
            orders.push(one.into_iter().chain(other).map(|(_, piece)| piece).collect());
        }
    }
    for order in orders {
        for has_fin in [false, true] {
            let mut rig = watched();
            rig.is_lost_behind = true;
            assert_eq!(rig.send(S, 0, b"220 mx\r\n"), Verdict::Accept);
            for piece in &order {
                let flags = if has_fin && piece.end == text.len() { ACK | FIN } else { ACK | PSH };
                let verdict = rig.send_with(C, piece.start as u64, &text[piece.clone()], flags);
                assert_eq!(verdict, Verdict::Accept);
            }
            assert_eq!(lines(&rig), SAID, "{order:?}");
            assert_eq!(count(&rig, |what| matches!(what, What::Reset { .. })), 1, "{order:?}");
            assert_eq!(rig.resets, 0);
            // The end, if there was one, stands behind all of it.
            let end = 1_001 + text.len() as u32 + u32::from(has_fin);
            let _ = rig.packet(S, 5_009, end, ACK | FIN, &[], b"");
            let _ = rig.packet(C, end, 5_010, ACK, &[], b"");
            assert_eq!(rig.has_told(|what| *what == What::Closed), has_fin, "{order:?}");
        }
    }
}

/// The server gets the path as it was written: no message waits for what it says to a mask.
#[test]
fn nothing_waits_for_what_only_a_mask_would_bring_about() {
    let ordered = settings_with("esmtp", &[("order", "enforce")]);
    let mut rig = Rig::established(Settings { monitor: true, ..ordered }, [1_000, 5_000]);
    let said: [(Direction, &[u8]); 6] = [
        (S, b"220 mx\r\n"),
        (C, b"EHLO a\r\n"),
        (S, b"250 mx\r\n"),
        (C, b"MAIL FROM:<a@b>\r\nRCPT TO:<j;x@d>\r\nDATA\r\n"),
        (S, b"250 ok\r\n250 ok\r\n354 go\r\n"),
        (C, b"Subject: x\r\n\r\nVRFY root\r\n.\r\nRSET\r\n"),
    ];
    for (from, text) in said {
        assert_eq!(rig.send_next(from, text), Verdict::Accept);
    }
    let is_trouble = |what: &What| matches!(what, What::Reset { .. } | What::Dropped { .. });
    assert_eq!(count(&rig, is_trouble), 0);
    assert_eq!(lines(&rig)[3..], ["DATA", "(end)", "RSET"]);
}

/// Text that its client sends without waiting is a message once the server has said so.
#[test]
fn what_had_to_wait_is_read_as_soon_as_it_may_be() {
    let text =
        b"HELO a\r\nDATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\nRSET\r\nDATA\r\na\r\n.\r\nQUIT\r\n";
    let steps: [(&[u8], &[&str]); 6] = [
        (b"220 mx\r\n", &["HELO a", "DATA"]),
        (b"250 mx\r\n", &["HELO a", "DATA"]),
        (b"354 go\r\n", &["HELO a", "DATA", "(end)", "RSET", "DATA"]),
        (b"250 ok\r\n250 ok\r\n", &["HELO a", "DATA", "(end)", "RSET", "DATA"]),
        (b"354 go\r\n", &["HELO a", "DATA", "(end)", "RSET", "DATA", "(end)", "QUIT"]),
        (b"250 ok\r\n221 bye\r\n", &["HELO a", "DATA", "(end)", "RSET", "DATA", "(end)", "QUIT"]),
    ];
    for size in [text.len(), 12] {
        let mut rig = watched();
        for (number, piece) in text.chunks(size).enumerate() {
            let verdict = rig.send(C, (number * size) as u64, piece);
            assert_eq!(verdict, Verdict::Accept);
        }
        for (reply, expected) in steps {
            let at = rig.reply.received;
            assert_eq!(rig.send(S, at, reply), Verdict::Accept);
            assert_eq!(lines(&rig), expected, "{size}: behind {}", reply.escape_ascii());
        }
    }
}

#[test]
fn what_would_have_been_held_back_is_counted() {
    let mut rig = watched();
    let _ = rig.send(S, 0, b"220 mx\r\n");
    let _ = rig.send(C, 0, b"HELO a\r\n");
    let _ = rig.send(C, 8, b"DATA\r\nmore\r\n");
    assert!(rig.effects.withheld.is_none(), "it has gone on");
    let cut = |what: &What| matches!(what, What::Cut { .. });
    assert_eq!(count(&rig, cut), 1);
    let withheld = rig.engine.stats().withheld;
    assert_eq!(withheld.into_iter().collect::<Vec<_>>(), [(Reason::AwaitingReply, 1)]);
}

/// The same of replies: one that frees the client may come ahead of another.
#[test]
fn replies_are_read_in_their_order_while_the_client_waits() {
    let mut rig = watched();
    rig.is_lost_behind = true;
    assert_eq!(rig.send(S, 0, b"220 mx\r\n"), Verdict::Accept);
    assert_eq!(rig.send(C, 0, b"HELO a\r\nDATA\r\n"), Verdict::Accept);
    for (at, reply) in [(16, b"354 go\r\n"), (8, b"250 mx\r\n")] {
        let covers = 1_001 + 14;
        let verdict = rig.packet(S, 5_001 + at, covers, ACK | PSH, &[], reply);
        assert_eq!(verdict, Verdict::Accept);
    }
    assert_eq!(rig.send(C, 14, b"QUIT\r\n.\r\nQUIT\r\n"), Verdict::Accept);
    assert_eq!(lines(&rig), ["HELO a", "DATA", "(end)", "QUIT"]);
}

/// What is no TLS ends the flow where enforcing, and is looked at once.
#[test]
fn what_shows_that_a_flow_is_no_tls_is_not_read_again() {
    let mut rig = Rig::established(Settings { monitor: true, ..settings("esmtp") }, [1_000, 5_000]);
    for (from, line) in [
        (S, &b"220 mx\r\n"[..]),
        (C, b"EHLO a\r\n"),
        (S, b"250-mx\r\n250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 go\r\n"),
        (C, b"NOOP\r\n"),
    ] {
        assert_eq!(rig.send_next(from, line), Verdict::Accept);
    }
    let is_alarm =
        |what: &What| matches!(what, What::Alarm { .. } | What::Tls(TlsEvent::Alarm { .. }));
    assert_eq!(count(&rig, is_alarm), 1);
    assert_eq!(count(&rig, |what| matches!(what, What::Reset { .. })), 1);
}

/// What a client sends behind its STARTTLS waits for the 220, and shows then that it is no TLS: the
/// packet that brings the 220 goes the other way.
#[test]
fn what_waited_for_a_reply_is_no_part_of_its_packet() {
    let settings = settings_with("esmtp", &[("tls_framing", "log")]);
    let mut rig =
        Rig::established(Settings { monitor: true, ..settings }, [0x1000_0000, 0x7000_0000]);
    for (from, line) in [
        (S, &b"220 mx\r\n"[..]),
        (C, b"EHLO a\r\n"),
        (S, b"250-mx\r\n250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\nNOOP\r\n"),
    ] {
        assert_eq!(rig.send_next(from, line), Verdict::Accept);
    }
    let [said, answered] = [rig.original.received, rig.reply.received];
    assert_eq!(rig.send_fin(S, answered, b"220 go\r\n"), Verdict::Accept);
    assert_eq!(count(&rig, |what| matches!(what, What::Tls(TlsEvent::Alarm { .. }))), 1);
    let _ = rig.ack(C, said);
    let _ = rig.ack(S, answered + 9);
    let mut seen = None;
    rig.engine.flows(Instant::from_micros(rig.micros), |flow| {
        seen = Some(flow.bytes);
        ControlFlow::Break(())
    });
    assert_eq!(seen, Some(PerDirection::new(said, answered + 9)), "with the FIN's number");
    // The client has not ended: what it says is not beyond its end.
    assert_eq!(rig.send(C, said, b"NOOP\r\n"), Verdict::Accept);
    assert!(!has_dropped(&rig, Violation::BeyondFin.into()));
}

/// Whether a packet was told to be dropped for this reason.
fn has_dropped(rig: &Rig, reason: Reason) -> bool {
    rig.has_told(|what| {
        let What::Dropped { reason: told, .. } = what else { return false };
        *told == reason
    })
}

/// What no receiver takes is not read either.
#[test]
fn what_its_receiver_drops_is_no_part_of_the_stream() {
    let line = b"NOOP\r\n";
    let unsent: Reason = Violation::AckOfUnsent.into();
    // From the other side, with an ACK of long ago, and with one of what nobody can have said.
    let mut rig = watched();
    let forged = rig.build(C, 1_001, 5_001, ACK | PSH, &[], line);
    assert_eq!(rig.raw_from(S, C, &forged), Verdict::Accept);
    assert!(has_dropped(&rig, Reason::WrongInterface));
    let old = 5_001_u32.wrapping_sub(65_000);
    assert_eq!(rig.packet(C, 1_001, old, ACK | PSH, &[], line), Verdict::Accept);
    assert!(has_dropped(&rig, Violation::OldAck.into()));
    assert_eq!(rig.packet(C, 1_001, 5_001 + 70_000, ACK | PSH, &[], line), Verdict::Accept);
    assert!(has_dropped(&rig, unsent));
    assert_eq!(lines(&rig), [""; 0]);
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
    assert_eq!(lines(&rig), ["NOOP"]);
    // One of what the server may have said elsewhere is told, and what comes with it is read.
    let mut rig = watched();
    assert_eq!(rig.packet(C, 1_001, 5_001 + 70, ACK | PSH, &[], line), Verdict::Accept);
    assert!(has_dropped(&rig, unsent));
    assert_eq!(lines(&rig), ["NOOP"]);
    // While something waits it is expected, and afterwards it is not.
    let mut rig = watched();
    assert_eq!(rig.send(C, 6, b"RSET\r\n"), Verdict::Accept);
    assert_eq!(rig.packet(S, 5_001, 1_001 + 3, ACK, &[], b""), Verdict::Accept);
    assert!(!has_dropped(&rig, unsent));
    let mut rig = watched();
    assert_eq!(rig.send(C, 6, b"RSET\r\n"), Verdict::Accept);
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
    assert_eq!(lines(&rig), ["NOOP", "RSET"]);
    let _ = (rig.ack(C, 12), rig.ack(S, 0));
    assert_eq!(rig.packet(S, 5_001, 1_001 + 20, ACK, &[], b""), Verdict::Accept);
    assert!(has_dropped(&rig, unsent));
}

/// What waits is bounded as all else that is kept.
#[test]
fn what_waits_takes_no_more_room_than_a_flow_has() {
    let mut small = monitoring();
    small.limits.bytes_per_flow_max = 4_000;
    let mut rig = Rig::established(small, [1_000, 5_000]);
    for part in 0..20 {
        let verdict = rig.send(C, 10 + part * 1_000, &[b'x'; 1_000]);
        assert_eq!(verdict, Verdict::Accept);
        assert!(rig.engine.stats().store_bytes_now <= 4_000 + 1_000);
    }
    assert!(rig.engine.stats().store_bytes_now >= 3_000);
}

/// Where enforcing masks a verb before it is read, nothing of that line is wrong; what the server
/// says itself may be.
#[test]
fn a_line_that_enforcing_masks_is_excused_and_no_other() {
    let judged = |settings: Settings, lines: &[(Direction, &str)]| {
        let mut rig = Rig::established(settings, [1_000, 5_000]);
        rig.is_lost_behind = true;
        let mut at = [0, 0];
        for (from, line) in lines {
            let place = &mut at[usize::from(*from == S)];
            let _ = rig.send(*from, *place, line.as_bytes());
            *place += line.len() as u64;
        }
        let is_wrong = |what: &&What| matches!(what, What::Alarm { .. } | What::Reset { .. });
        let wrong = rig.records.iter().map(|record| &record.what).filter(is_wrong).cloned();
        // An enforcing filter has nothing to say behind its reset.
        let mut wrong: Vec<What> = wrong.collect();
        let reset = wrong.iter().position(|what| matches!(what, What::Reset { .. }));
        wrong.truncate(reset.map_or(wrong.len(), |place| place + 1));
        wrong
    };
    let mut wrong = 0;
    for profile in PROFILES {
        for line in ["BDAT 10\r\n", "BDAT x\r\n", "BD", "BDAT 1 LAST\r\n", "STARTTLS\r\n", "WHAT"] {
            for behind in [
                &[][..],
                &[(C, "AT 5\r\n")],
                &[(C, "\r\nNOOP\r\n")],
                &[(S, "no code\r\n")],
                &[(C, "\r\n"), (S, "no code\r\n")],
            ] {
                let lines = [&[(S, "220 mx\r\n"), (C, line)], behind].concat();
                let enforced = judged(settings(profile), &lines);
                for settings in monitored(&settings(profile)) {
                    assert_eq!(judged(settings, &lines), enforced, "{profile} {lines:?}");
                }
                wrong += enforced.len();
            }
        }
    }
    assert!(wrong > 10, "{wrong}");
}

/// A server may answer in one segment what enforcing would have let on bit by bit.
#[test]
fn what_came_at_once_is_paired_with_answers_that_come_at_once() {
    const GREETING: [(&str, &str); 2] =
        [("", "220 a\r\n"), ("EHLO a\r\n", "250-a\r\n250-PIPELINING\r\n250 CHUNKING\r\n")];
    const ENVELOPE: (&str, &str) = ("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 a\r\n250 b\r\n");
    for dialogue in [
        vec![
            ENVELOPE,
            ("BDAT 3\r\nabcBDAT 3\r\ndefBDAT 3 LAST\r\nghi", "250 1\r\n250 2\r\n250 3\r\n"),
        ],
        vec![(
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 11 LAST\r\nEXPN root\r\n",
            "250 a\r\n250 b\r\n250 c\r\n",
        )],
        vec![
            ENVELOPE,
            ("DATA\r\n", "354 go\r\n"),
            (
                "x\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
                "250 q\r\n250 a\r\n250 b\r\n354 go\r\n",
            ),
            ("EXPN root\r\n.\r\n", "250 q\r\n"),
        ],
        vec![
            ENVELOPE,
            ("DATA\r\n", "354 go\r\n"),
            ("x\r\n.\r\nRSET\r\nMAIL FROM:<a@b>\r\n", "250 q\r\n250 r\r\n250 a\r\n"),
        ],
        vec![
            ENVELOPE,
            ("DATA\r\n", "354 go\r\n"),
            ("x\r\n.\r\nNOOP a\r\nRSET \r\n", "250 q\r\n250 n\r\n250 r\r\n"),
        ],
    ] {
        let settings = Settings { monitor: true, ..settings("esmtp") };
        let mut rig = Rig::established(settings, [7, 9]);
        let (mut said, mut answered) = (0, 0);
        for (client, server) in
            GREETING.into_iter().chain(dialogue.clone()).chain([("QUIT\r\n", "221 bye\r\n")])
        {
            for (direction, text, at) in [(C, client, &mut said), (S, server, &mut answered)] {
                if !text.is_empty() {
                    assert_eq!(rig.send(direction, *at, text.as_bytes()), Verdict::Accept);
                    *at += text.len() as u64;
                }
            }
        }
        let is_trouble = |record: &&Record| {
            matches!(record.what, What::Alarm { .. } | What::Reset { .. } | What::Edited { .. })
        };
        assert_eq!(rig.records.iter().find(is_trouble), None, "{dialogue:?}");
    }
}

/// What the server says in clear behind its 220 is no dialogue any more, also where it comes in one
/// segment with the 220 and the client's next bytes are no TLS.
#[test]
fn what_came_behind_a_220_in_clear_is_read_as_where_the_filter_acts() {
    for framing in ["log", "enforce"] {
        let enforcing = settings_with("esmtp", &[("tls_framing", framing)]);
        for settings in monitored(&enforcing).into_iter().chain([enforcing]) {
            let mut rig = Rig::established(settings, [7, 9]);
            let (mut said, mut answered) = (0, 0);
            for (client, server) in [
                ("", "220 a\r\n"),
                ("EHLO a\r\n", "250-a\r\n250 STARTTLS\r\n"),
                (
                    "STARTTLS\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
                    "220 go\r\n250 m\r\n250 r\r\n",
                ),
            ] {
                for (direction, text, at) in [(C, client, &mut said), (S, server, &mut answered)] {
                    if !text.is_empty() {
                        let _ = rig.send(direction, *at, text.as_bytes());
                        *at += text.len() as u64;
                    }
                }
            }
            let is_reset = |record: &Record| matches!(record.what, What::Reset { .. });
            let resets = rig.records.iter().filter(|record| is_reset(record)).count();
            assert_eq!(resets, usize::from(framing == "enforce"), "{:?}", rig.records);
        }
    }
}
