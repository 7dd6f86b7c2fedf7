//! What others are shown of flows, and the one thing they may ask for: that some be reset.

use std::net::SocketAddr;
use std::ops::ControlFlow;

use mailguard::engine::{
    Deeds, Effects, Engine, Exception, Image, Killed, Limits, Reason, Seen, Settings, Stage,
    Treatment, Verdict, What,
};
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::flow::{Endpoint, FlowId, PerDirection};
use mailguard::smtp::Verb;
use mailguard::time::Instant;

use crate::support::rig::{Rig, limits, settings, settings_with};

/// All that is shown now.
fn all(rig: &Rig) -> Vec<Seen> {
    let mut all = Vec::new();
    rig.engine.flows(Instant::from_micros(rig.micros), |seen| {
        all.push(seen);
        ControlFlow::Continue(())
    });
    all
}

fn stages(rig: &Rig) -> Vec<Stage> {
    all(rig).into_iter().map(|seen| seen.stage).collect()
}

fn say(rig: &mut Rig, from: Direction, line: &str) {
    assert_ne!(rig.send_next(from, line.as_bytes()), Verdict::Drop(Reason::FlowReset), "{line}");
    let at = rig.side(from.other()).received;
    let _ = rig.ack(from.other(), at);
}

/// Another flow, from the next port.
fn open_another(rig: &mut Rig) {
    rig.client.set_port(rig.client.port() + 1);
    rig.renew(rig.isn);
    rig.shake_hands();
}

const fn endpoint(end: SocketAddr) -> Endpoint {
    Endpoint { address: end.ip(), port: end.port() }
}

fn kill(rig: &Rig, id: FlowId, effects: &mut Effects) -> Killed {
    rig.engine.kill(id, Instant::from_micros(rig.micros), effects)
}

const GREETING: [(Direction, &str); 3] = [
    (S, "220 mx\r\n"),
    (C, "EHLO a\r\n"),
    (S, "250-mx\r\n250-CHUNKING\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n"),
];

#[test]
fn a_flow_is_seen_where_it_is() {
    let mut rig = Rig::established(settings("esmtp"), [1, 2]);
    let envelope = [
        (C, "MAIL FROM:<a@b>\r\n", Stage::Commands),
        (S, "250 ok\r\n", Stage::Commands),
        (C, "RCPT TO:<c@d>\r\n", Stage::Commands),
        (S, "250 ok\r\n", Stage::Commands),
    ];
    let steps = [
        (C, "AUTH LOGIN\r\n", Stage::Commands),
        (S, "334 VXNlcm5hbWU6\r\n", Stage::Auth),
        (C, "dXNlcg==\r\n", Stage::Commands),
        (S, "235 ok\r\n", Stage::Commands),
    ];
    let data = [
        (C, "DATA\r\n", Stage::Commands),
        (S, "354 go\r\n", Stage::Message),
        (C, "text\r\n.\r\n", Stage::Commands),
        (S, "250 ok\r\n", Stage::Commands),
    ];
    let chunk = [
        (C, "BDAT 9 LAST\r\n123", Stage::Message),
        (C, "456789", Stage::Commands),
        (S, "250 ok\r\n", Stage::Commands),
    ];
    let tls = [(C, "STARTTLS\r\n", Stage::Commands), (S, "220 go\r\n", Stage::Tls)];
    let greeting = GREETING.map(|(from, line)| (from, line, Stage::Commands));
    let steps = [&greeting[..], &steps, &envelope, &data, &envelope, &chunk, &tls].concat();
    for (from, line, stage) in steps {
        say(&mut rig, from, line);
        assert_eq!(stages(&rig), [stage], "behind {line}");
    }
    let words = Stage::ALL.map(Stage::name);
    assert_eq!(words, ["commands", "message", "auth", "tls", "closing", "reset"]);
}

#[test]
fn a_flow_is_seen_with_all_that_is_known_of_it() {
    let mut rig = Rig::established(settings("mailguard"), [1, 2]);
    let opened = rig.micros;
    rig.micros += 7_000_000;
    say(&mut rig, S, "220 mx\r\n");
    say(&mut rig, C, "VRFY a\r\nNOOP\r\nHELO a;b\r\n");
    let spoke = rig.micros;
    rig.is_lost_behind = true;
    assert_eq!(rig.send(C, rig.original.received, b"RSET\r\n"), Verdict::Accept);
    rig.micros += 11_000_000;
    let [seen] = all(&rig)[..] else { panic!("one flow") };
    assert!(seen.held > 0 && seen.deeds.edited > 0);
    let expected = Seen {
        id: 1,
        client: endpoint(rig.client),
        server: endpoint(rig.server),
        stage: Stage::Commands,
        age_seconds: rig.micros / 1_000_000 - opened / 1_000_000,
        idle_seconds: rig.micros / 1_000_000 - spoke / 1_000_000,
        bytes: PerDirection::new(8 + 6 + 10 + 6, 8),
        held: seen.held,
        last: Some(Verb::Rset),
        deeds: Deeds { refused: 1, ..seen.deeds },
        is_monitored: false,
    };
    assert_eq!(seen, expected);
    // A successor knows since when.
    let now = Instant::from_micros(rig.micros);
    let bytes = rig.engine.image(now, 0);
    let image = Image::open(&bytes).unwrap();
    let mut effects = Effects::default();
    rig.engine = Engine::restored(settings("mailguard"), &image, now, &mut effects).0;
    let [seen] = all(&rig)[..] else { panic!("one flow") };
    assert_eq!(seen.age_seconds, expected.age_seconds);
    assert_eq!(seen.idle_seconds, expected.idle_seconds);
    let rig = Rig::established(Settings { monitor: true, ..settings("mailguard") }, [1, 2]);
    assert!(all(&rig)[0].is_monitored);
}

#[test]
fn flows_are_shown_in_their_order_until_it_is_enough() {
    let limits = Limits { flows_max: 77, store_bytes_max: 5 << 20, ..limits() };
    let mut rig = Rig::established(Settings { limits, ..settings("mailguard") }, [1, 2]);
    open_another(&mut rig);
    open_another(&mut rig);
    assert_eq!(all(&rig).iter().map(|seen| seen.id).collect::<Vec<_>>(), [1, 2, 3]);
    let mut shown = Vec::new();
    rig.engine.flows(Instant::from_micros(rig.micros), |seen| {
        shown.push(seen.id);
        if shown.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(shown, [1, 2]);
    assert_eq!((rig.engine.flows_max(), rig.engine.store_bytes_max()), (77, 5 << 20));
}

#[test]
fn one_flow_is_reset_and_no_other() {
    let limits = limits();
    let mut rig = Rig::established(settings("esmtp"), [1, 2]);
    open_another(&mut rig);
    rig.is_lost_behind = true;
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
    let mut effects = Effects::default();
    assert_eq!(kill(&rig, 3, &mut effects), Killed::Unknown);
    assert!(effects.resets.is_empty() && effects.records.is_empty());
    assert_eq!(kill(&rig, 2, &mut effects), Killed::Done);
    let told: Vec<_> = effects.records.iter().map(|record| (record.flow, &record.what)).collect();
    assert_eq!(told, [(2, &What::Reset { reason: Reason::Cleared }), (2, &What::Closed)]);
    let resets = effects.resets.len() as u64;
    assert!(resets >= 2, "both ends are told");
    assert_eq!(rig.engine.stats().resets, resets);
    assert_eq!(stages(&rig), [Stage::Commands, Stage::Reset]);
    assert_eq!(all(&rig)[1].held, 0);
    assert_eq!(kill(&rig, 2, &mut effects), Killed::Over);
    assert!(effects.resets.is_empty());
    assert_eq!(rig.engine.stats().resets, resets);
    assert_eq!(kill(&rig, 1, &mut effects), Killed::Done);
    assert_eq!(rig.engine.stats().resets, resets + effects.resets.len() as u64);
    // They are remembered as long as any other that has ended.
    for (seconds, flows) in [(limits.closed_seconds - 1, 2), (2, 0)] {
        rig.micros += seconds * 1_000_000;
        rig.engine.expire(Instant::from_micros(rig.micros), &mut effects);
        assert_eq!(rig.engine.stats().flows_now, flows, "after {seconds} seconds more");
    }
}

/// What its ends still say goes on, and is nobody's business.
#[test]
fn a_monitored_flow_that_was_reset_is_told_of_no_more() {
    let mut rig = Rig::established(Settings { monitor: true, ..settings("mailguard") }, [1, 2]);
    say(&mut rig, S, "220 mx\r\n");
    let mut effects = Effects::default();
    assert_eq!(kill(&rig, 1, &mut effects), Killed::Done);
    let (count, bytes) = (rig.records.len(), all(&rig)[0].bytes);
    for line in ["NOOP\r\n", "GET / HTTP/1.0\r\n"] {
        say(&mut rig, C, line);
        say(&mut rig, S, "250 ok\r\n");
    }
    let told = rig.records[count..].iter().map(|record| &record.what);
    assert_eq!(told.filter(|what| !matches!(what, What::Dropped { .. })).count(), 0);
    assert_eq!((all(&rig)[0].bytes, all(&rig)[0].held), (bytes, 0));
}

#[test]
fn what_has_ended_or_passes_elsewhere_cannot_be_reset() {
    let mut effects = Effects::default();
    let mut rig = Rig::established(settings("esmtp"), [1, 2]);
    for from in [C, S] {
        assert_eq!(rig.send_fin(from, 0, b""), Verdict::Accept);
    }
    assert_eq!(rig.ack(C, 1), Verdict::Accept);
    assert_eq!(stages(&rig), [Stage::Closing]);
    assert_eq!(kill(&rig, 1, &mut effects), Killed::Over);
    let mut rig = handed_over();
    assert_eq!(kill(&rig, 1, &mut effects), Killed::HandedOver);
    assert_eq!(stages(&rig), [Stage::Tls]);
    // Neither is, where its settings are in force no more.
    rig.engine.reload(&settings("mailguard"));
    let now = Instant::from_micros(rig.micros);
    assert_eq!(rig.engine.reset_outdated(now, &mut effects), 0);
    rig.micros += 1_000_000;
    assert_eq!(rig.engine.stats().resets, 0);
}

/// A flow that both ends have under TLS, and nobody watches.
fn handed_over() -> Rig {
    let mut rig = Rig::established(settings_with("esmtp", &[("tls_watch", "off")]), [1, 2]);
    GREETING.into_iter().for_each(|(from, line)| say(&mut rig, from, line));
    for (from, line) in [
        (C, "STARTTLS\r\n"),
        (S, "220 go\r\n"),
        (C, "\x16\x03\x01\0\x05\x01\0\0\x01\0"),
        (S, "\x16\x03\x03\0\x05\x02\0\0\x01\0"),
    ] {
        say(&mut rig, from, line);
    }
    rig
}

#[test]
fn flows_under_settings_of_before_are_reset_where_those_differ() {
    let before = settings("mailguard");
    let hands_off = |settings: Settings| {
        let treatment = Treatment::HandsOff;
        let exceptions = vec![Exception { client: None, server: None, treatment }];
        Settings { exceptions, ..settings }
    };
    for (what, after, count) in [
        ("the same", before.clone(), 0),
        ("a limit of a line", settings_with("mailguard", &[("line_max", "77")]), 2),
        ("the mode", Settings { monitor: true, ..before.clone() }, 2),
        ("hands off", hands_off(before.clone()), 2),
        ("another port", Settings { ports: vec![26], ..before.clone() }, 2),
        ("one port more", Settings { ports: vec![26, 25], ..before.clone() }, 0),
    ] {
        let mut rig = Rig::established(before.clone(), [1, 2]);
        open_another(&mut rig);
        open_another(&mut rig);
        for from in [C, S] {
            assert_eq!(rig.send_fin(from, 0, b""), Verdict::Accept);
        }
        assert_eq!(rig.ack(C, 1), Verdict::Accept);
        rig.engine.reload(&after);
        let mut effects = Effects::default();
        let now = Instant::from_micros(rig.micros);
        assert_eq!(rig.engine.reset_outdated(now, &mut effects), count, "{what}");
        let stage = if count == 0 { Stage::Commands } else { Stage::Reset };
        assert_eq!(stages(&rig), [stage, stage, Stage::Closing], "{what}");
        assert_eq!(effects.resets.len(), count * 2, "{what}: both ends of each");
        assert_eq!(rig.engine.stats().resets, count as u64 * 2, "{what}");
        assert_eq!(rig.engine.reset_outdated(now, &mut effects), 0, "{what}: once");
        assert_eq!(rig.engine.stats().resets, count as u64 * 2, "{what}");
    }
    // Those of a predecessor are none of ours, and yet the same.
    let rig = Rig::established(before.clone(), [1, 2]);
    let now = Instant::from_micros(rig.micros);
    let (bytes, mut effects) = (rig.engine.image(now, 0), Effects::default());
    let image = Image::open(&bytes).unwrap();
    let (heir, _) = Engine::restored(before, &image, now, &mut effects);
    assert_eq!((heir.stats().flows_now, heir.reset_outdated(now, &mut effects)), (1, 0));
}

/// A mask that finds what it would write changes nothing.
#[test]
fn what_leaves_as_it_came_is_no_edit() {
    for (line, edited) in [("XXXX\r\n", false), ("VRFY\r\n", true)] {
        let mut rig = Rig::established(settings("mailguard"), [1, 2]);
        say(&mut rig, S, "220 mx\r\n");
        let before = all(&rig).remove(0).deeds.edited;
        say(&mut rig, C, line);
        let deeds = all(&rig).remove(0).deeds;
        assert_eq!((deeds.edited > before, deeds.refused), (edited, 1), "{line:?}");
    }
}

/// However a reply comes, the first is a banner and each later one a reply.
#[test]
fn a_reply_in_pieces_is_told_as_one_that_came_whole() {
    for cut in 1..9 {
        let mut rig = Rig::established(settings("mailguard"), [1, 2]);
        for (from, line) in [(S, "220 mx a\r\n"), (C, "NOOP\r\n"), (S, "250 okay\r\n")] {
            let (one, other) = line.split_at(if from == S { cut } else { line.len() });
            for piece in [one, other].into_iter().filter(|piece| !piece.is_empty()) {
                say(&mut rig, from, piece);
            }
        }
        let banners = rig.records.iter().filter(|r| matches!(r.what, What::Banner { .. })).count();
        let replies = rig.records.iter().filter(|r| matches!(r.what, What::Reply { .. })).count();
        assert_eq!((banners, replies), (1, 1), "cut at {cut}");
    }
}
