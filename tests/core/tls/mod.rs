//! STARTTLS and what follows it: recorded sessions in every cut and order, and what neither side
//! may say there. A fault costs the flow, and the segment that shows it does not leave.
//!
//! Which test shows which case of the specification, `tests/golden/tls.md` says.

mod orders;
mod told;

use std::fs;
use std::path::Path;

use mailguard::engine::{Handling, Notice, Reason, Settings, TlsEvent, Verdict, What};
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::tls::Fault;

use crate::support::rig::{Rig, settings, settings_with};
use crate::support::tls::{SESSIONS, session};

/// A flow whose client has said STARTTLS.
fn asked(settings: Settings) -> Rig {
    ask(Rig::established(settings, [7, 0xffff_ff00]))
}

fn ask(mut rig: Rig) -> Rig {
    for (from, line) in [
        (S, &b"220 mx ESMTP\r\n"[..]),
        (C, b"EHLO a\r\n"),
        (S, b"250-mx\r\n250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\n"),
    ] {
        let _ = say(&mut rig, from, line);
    }
    rig
}

/// A flow that has come to the 220 of STARTTLS.
fn begun(settings: Settings) -> Rig {
    answered(asked(settings))
}

fn answered(mut rig: Rig) -> Rig {
    let _ = say(&mut rig, S, b"220 go\r\n");
    rig
}

fn esmtp(changes: &[(&str, &str)]) -> Rig {
    begun(settings_with("esmtp", changes))
}

/// The same after so many flights of a recorded session.
fn behind(name: &str, flights: usize) -> Rig {
    let mut rig = esmtp(&[]);
    play(&mut rig, name, flights, usize::MAX);
    rig
}

/// One segment in order, and the other end's ACK.
fn say(rig: &mut Rig, from: Direction, bytes: &[u8]) -> Verdict {
    let verdict = rig.send_next(from, bytes);
    let at = rig.side(from.other()).received;
    let _ = rig.ack(from.other(), at);
    verdict
}

/// The flights of a session up to some number of them, cut into pieces.
fn play(rig: &mut Rig, name: &str, flights: usize, piece: usize) {
    for (from, flight) in session(name).into_iter().take(flights) {
        for part in flight.chunks(piece) {
            assert_eq!(say(rig, from, part), Verdict::Accept, "{name}");
        }
    }
}

fn told(rig: &Rig) -> Vec<TlsEvent> {
    let event = |what: &What| if let What::Tls(event) = what { Some(event.clone()) } else { None };
    rig.records.iter().filter_map(|record| event(&record.what)).collect()
}

fn failures(rig: &Rig) -> Vec<TlsEvent> {
    let mut told = told(rig);
    told.retain(|event| matches!(event, TlsEvent::Failed { .. }));
    told
}

fn was_reset_for(rig: &Rig, reason: impl Into<Reason>) -> bool {
    let reason = reason.into();
    rig.resets > 0 && rig.has_told(|what| *what == What::Reset { reason })
}

fn noticed(rig: &Rig) -> Vec<Notice> {
    let notice =
        |what: &What| if let What::Noticed { notice, .. } = what { Some(*notice) } else { None };
    rig.records.iter().filter_map(|record| notice(&record.what)).collect()
}

#[test]
fn every_session_passes_in_every_cut_and_says_the_same() {
    let mut runs = 0;
    for (name, _) in SESSIONS {
        let mut whole = begun(settings("esmtp"));
        play(&mut whole, name, usize::MAX, usize::MAX);
        let longest = session(name).iter().map(|(_, flight)| flight.len()).max().unwrap();
        assert!(
            whole.has_told(|what| matches!(what, What::Tls(TlsEvent::Agreed { .. }))),
            "{name}"
        );
        for cut in 1..longest {
            let mut rig = begun(settings("esmtp"));
            for (from, flight) in session(name) {
                let (one, other) = flight.split_at(cut.min(flight.len()));
                for part in [one, other].into_iter().filter(|part| !part.is_empty()) {
                    assert_eq!(say(&mut rig, from, part), Verdict::Accept, "{name} at {cut}");
                }
            }
            assert_eq!(told(&rig), told(&whole), "{name} at {cut}");
            runs += 1;
        }
        let mut single = begun(settings("esmtp"));
        play(&mut single, name, usize::MAX, 1);
        for rig in [&single, &whole] {
            assert_eq!((told(rig), rig.resets), (told(&whole), 0), "{name}");
            assert_eq!(rig.engine.stats().store_bytes_now, 0, "{name}: memory is given back");
        }
    }
    println!("{runs} cuts of {} sessions", SESSIONS.len());
}

#[test]
fn text_for_tls_resets_both_ends_and_does_not_arrive() {
    let hello = session("tls13").remove(0).1;
    for (from, bytes, fault) in [
        (S, &b"250-evil\r\n"[..], Fault::NotTls),
        (S, b"250-AUT", Fault::NotTls),
        (S, b"220 go\r\n", Fault::NotTls),
        (S, b"\x16\x03\x03", Fault::ServerFirst),
        (C, b"RSET\r\n", Fault::NotTls),
        (C, b"QUIT\r\n", Fault::NotTls),
        (C, b"STARTTLS\r\n", Fault::NotTls),
        (C, b"\x16RSET\r\nMAIL FROM:<a>\r\n", Fault::RecordVersion),
        (C, b"\x16\x03\x01\0\x06RSET\r\n", Fault::NoHello),
        (C, b"\x80\x2e\x01\x03\x01", Fault::Sslv2Hello),
        (C, b"\x16\x03\x01\x40\0\x01\xff\xff\xff", Fault::HelloTooLong),
    ] {
        let mut rig = esmtp(&[]);
        let before = rig.side(from).bytes();
        let verdict = say(&mut rig, from, bytes);
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{bytes:x?}");
        assert!(was_reset_for(&rig, fault), "{bytes:x?}");
        assert_eq!(rig.side(from).bytes(), before, "none of it arrives");
        assert!(!rig.has_told(|what| matches!(what, What::Tls(TlsEvent::Begin { .. }))));
        // One byte after the other: what could still be TLS has left.
        let mut rig = esmtp(&[]);
        let mut verdict = Verdict::Accept;
        for byte in bytes.chunks(1) {
            verdict = say(&mut rig, from, byte);
            if verdict != Verdict::Accept {
                break;
            }
        }
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{bytes:x?}");
        // Monitored, it goes on and is told.
        let mut rig = begun(Settings { monitor: true, ..settings("esmtp") });
        assert_eq!(say(&mut rig, from, bytes), Verdict::Accept, "{bytes:x?}");
        let is_it = |event: &TlsEvent| {
            let TlsEvent::Alarm { fault: told, .. } = event else { return false };
            *told == fault
        };
        assert!(told(&rig).iter().any(is_it), "{bytes:x?}");
        // Logged only, it goes on unread.
        let mut rig = esmtp(&[("tls_framing", "log")]);
        assert_eq!(rig.send_next(from, bytes), Verdict::Accept, "{bytes:x?}");
        assert_eq!(rig.effects.handling, Handling::HandedOver, "{bytes:x?}");
        assert!(rig.has_told(|what| matches!(what, What::Tls(TlsEvent::Alarm { .. }))));
        assert_eq!(say(&mut rig, from, b"anything"), Verdict::Accept);
        assert_eq!(rig.effects.handling, Handling::HandedOver);
    }
    for (name, flights, from, bytes, fault) in [
        ("tls13", 3, C, &b"\n"[..], Fault::TextAfterTls),
        ("tls13", 4, C, b"EHLO x\r\n", Fault::TextAfterTls),
        ("tls13", 4, S, b"421 bye\r\n", Fault::TextAfterTls),
        ("tls12", 4, C, b"NOOP\r\n", Fault::TextAfterTls),
        ("tls13", 1, C, b"QUIT\r\n", Fault::NotTls),
        ("tls13", 1, C, &hello, Fault::RecordType),
        ("tls12", 1, C, b"\x14\x03\x03\0\x01\x01", Fault::EarlyCcs),
        ("tls12", 2, C, b"\x14\x03\x03\0\x01\x01", Fault::EarlyCcs),
    ] {
        let mut rig = esmtp(&[]);
        play(&mut rig, name, flights, usize::MAX);
        let verdict = say(&mut rig, from, bytes);
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{name} {flights} {bytes:x?}");
    }
}

#[test]
fn text_in_the_segment_of_the_220_never_reaches_the_client() {
    for behind in [&b"250-evil\r\n"[..], b"250-AUT", b"220 go\r\n", b"\x16\x03"] {
        let mut rig = Rig::established(settings("esmtp"), [7, 9]);
        let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
        let _ = say(&mut rig, C, b"STARTTLS\r\n");
        let verdict = say(&mut rig, S, &[b"220 go\r\n", behind].concat());
        assert!(matches!(verdict, Verdict::Drop(Reason::Tls(_))), "{behind:?}: {verdict:?}");
        assert_eq!(rig.reply.bytes(), b"220 mx ESMTP\r\n", "{behind:?}");
    }
}

#[test]
fn what_stands_behind_starttls_waits_for_its_answer() {
    let hello = session("tls13").remove(0).1;
    let both = [b"STARTTLS\r\n", &hello[..]].concat();
    let mut rig = Rig::established(settings("esmtp"), [7, 9]);
    let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
    assert_eq!(say(&mut rig, C, &both), Verdict::Rewrite, "cut behind the line");
    assert_eq!(rig.original.bytes(), b"STARTTLS\r\n");
    let _ = say(&mut rig, S, b"220 go\r\n");
    assert_eq!(say(&mut rig, C, &hello), Verdict::Accept);
    assert!(rig.original.bytes().ends_with(&hello));
    // Commands in its place wait as long, and are refused then.
    for (bytes, fault) in [
        (&b"RSET\r\n"[..], Fault::NotTls),
        (b"STARTTLS\r\n", Fault::NotTls),
        (b"\x16\x03\x01\0\x06RSET\r\n", Fault::NoHello),
    ] {
        let mut rig = Rig::established(settings("esmtp"), [7, 9]);
        let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
        let _ = say(&mut rig, C, &[b"STARTTLS\r\n", bytes].concat());
        assert_eq!(rig.original.bytes(), b"STARTTLS\r\n");
        let _ = say(&mut rig, S, b"220 go\r\n");
        assert_eq!(say(&mut rig, C, bytes), Verdict::Drop(Reason::Tls(fault)), "{bytes:x?}");
        assert_eq!(rig.original.bytes(), b"STARTTLS\r\n", "it never leaves");
    }
}

#[test]
fn a_refusal_leaves_commands_and_another_try() {
    let mut rig = asked(settings("esmtp"));
    for (from, line) in [
        (S, &b"454 not now\r\n"[..]),
        (C, b"NOOP\r\n"),
        (S, b"250 ok\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 go\r\n"),
    ] {
        assert_eq!(say(&mut rig, from, line), Verdict::Accept, "{line:?}");
    }
    assert_eq!(rig.engine.stats().starttls_refused, 1);
    play(&mut rig, "tls13", usize::MAX, usize::MAX);
    assert_eq!((rig.engine.stats().tls_begun, rig.resets), (1, 0));
}

#[test]
fn tls_begins_behind_the_last_line_of_the_220() {
    let reply = b"220-go\r\n220 now\r\n";
    for cut in 1..reply.len() {
        let mut rig = asked(settings("esmtp"));
        for part in [&reply[..cut], &reply[cut..]] {
            assert_eq!(say(&mut rig, S, part), Verdict::Accept, "{cut}");
        }
        play(&mut rig, "tls13", usize::MAX, usize::MAX);
        assert_eq!((rig.engine.stats().tls_begun, rig.resets), (1, 0), "{cut}");
    }
}

#[test]
fn a_client_that_thinks_better_of_it_is_reset_and_tls_has_not_failed() {
    let mut rig = esmtp(&[]);
    assert_eq!(say(&mut rig, C, b"QUIT\r\n"), Verdict::Drop(Reason::Tls(Fault::NotTls)));
    assert!(matches!(told(&rig)[..], [TlsEvent::Alarm { .. }]), "{:?}", told(&rig));
    assert_eq!(rig.engine.stats().tls_failed, 0);
    // One that hangs up instead has done nothing wrong.
    let mut rig = esmtp(&[]);
    for from in [C, S] {
        let at = rig.side(from).received;
        assert_eq!(rig.send_fin(from, at, b""), Verdict::Accept);
    }
    assert_eq!((told(&rig), rig.resets), (Vec::new(), 0));
    // Behind a handshake that came to nothing QUIT is no less in the wrong place.
    let mut rig = behind("tls13", 1);
    assert_eq!(say(&mut rig, S, b"\x15\x03\x03\0\x02\x02\x28"), Verdict::Accept);
    assert_eq!(say(&mut rig, C, b"QUIT\r\n"), Verdict::Drop(Reason::Tls(Fault::NotTls)));
    assert_eq!(failures(&rig).len(), 1);
    assert!(was_reset_for(&rig, Fault::NotTls));
}

/// The table names tests that there are, one for each case.
#[test]
fn each_case_of_the_table_has_its_test() {
    let rows: Vec<Vec<&str>> = include_str!("../../golden/tls.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| T"))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    let mut sources = String::new();
    for folder in ["src/tls", "src/engine", "src/guard", "tests/core", "tests/live", "tests/bench"]
    {
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
    }
    for row in &rows {
        let names: Vec<&str> = row[2].split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row:?}");
        for name in names.iter().filter(|name| !name.contains(' ')) {
            let is_there = [format!("fn {name}("), format!("\"{name}\"")];
            assert!(is_there.iter().any(|text| sources.contains(text)), "no test {name}");
        }
    }
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
