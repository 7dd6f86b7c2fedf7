//! An engine's image: whoever begins where another engine stopped answers every packet as that one
//! would have, at whatever packet it takes over; and an image that is not whole is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::support::crowd::{Crowd, Line};
use crate::support::esmtp::Esmtp;
use crate::support::packet::{ACK, FIN, RST};
use crate::support::quiet::failure;
use crate::support::random::{Random, asked, environment};
use crate::support::rig::{Heirs, Rig, handing_over, limits, settings, settings_with};
use crate::support::schedule::{Kind, Plan};
use crate::support::session::Session;
use crate::support::tls::{SESSIONS, session};
use crate::targets;
use mailguard::engine::{
    Diary, Effects, Engine, FORMAT, FORMAT_MIN, Image, Limits, Notice, RECORD_BYTES_MAX, Settings,
    Stats, Unreadable, Verdict, What, image_of_diary,
};
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::guard::Unit;
use mailguard::patch::Catalogue;
use mailguard::time::Instant;

/// Seeds of each kind, unless `SEEDS` says otherwise: some thousand hand-overs.
const SEEDS: u64 = 100;

fn image(engine: &Engine) -> Vec<u8> {
    engine.image(Instant::from_seconds(1_000), 0)
}

#[test]
fn at_whatever_packet_of_a_schedule_the_successor_answers_the_same() {
    let seeds = environment("SEEDS", SEEDS);
    handing_over(|| {
        for kind in Kind::ALL {
            for seed in asked(&Kind::ALL, &kind).unwrap_or(0..seeds) {
                let _replayable = Replayable(kind, seed);
                Plan::new(kind, seed).play();
            }
        }
    });
}

/// Says how to repeat the schedule that is under way, should it fail.
struct Replayable(Kind, u64);

impl Drop for Replayable {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: KIND={:?} SEED={}", self.0, self.1);
        }
    }
}

/// Everything that a dialogue can be in the middle of, a byte a packet.
#[test]
fn at_whatever_byte_of_a_dialogue_the_successor_answers_the_same() {
    let texts: [(&str, &[u8]); 3] = [
        (
            "esmtp",
            b"EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\nVRFY root\r\n\
              MAIL FROM:<a@b>\r\n\
              RCPT TO:<c@d>\r\nBDAT 6\r\n\r\n.\r\nxBDAT 3 LAST\r\nend\
              RSET\r\nSTARTTLS\r\n\x16\x03\x01\x00",
        ),
        (
            "pix-5.1",
            b"HELO a\r\nexpn b\rc\0d\r\nMAIL FROM:<a|b@c>\r\nRCPT TO:<d@e>\r\n\
              DATA\r\na\n.\nb\r\n.\r\n",
        ),
        (
            "mailguard",
            b"HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<d@e>\r\nDATA\r\n\
              a\n.\n\r\n.\r\nGET /\r\n",
        ),
    ];
    handing_over(|| {
        for (profile, text) in texts {
            let mut server = Esmtp::new("220 mx.example ESMTP\r\n");
            server.auth = &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
            for is_monitored in [false, true] {
                let settings = Settings { monitor: is_monitored, ..settings(profile) };
                let unit = settings.guard.unit;
                let mut session = Session::greeted(settings, server.clone());
                session.reply_cuts = (0..600).collect();
                let pieces: Vec<&[u8]> = match unit {
                    Unit::Stream => text.chunks(1).collect(),
                    Unit::Packet => text.split_inclusive(|&byte| byte == b'\n').collect(),
                };
                for piece in pieces {
                    session.say_pieces(&[piece]);
                }
                session.hang_up();
                let said = session.server_got();
                assert!(said.contains("MAIL FROM"), "{profile}: {said}");
            }
        }
    });
}

/// The same under TLS, with the packets of a flight in either order.
#[test]
fn at_whatever_packet_of_a_tls_session_the_successor_answers_the_same() {
    handing_over(|| {
        for (name, _) in SESSIONS {
            for is_swapped in [false, true] {
                let mut rig = Rig::established(settings("esmtp"), [1, 2]);
                for (from, said) in STARTTLS.iter().map(|&(from, line)| (from, line.to_vec())) {
                    say(&mut rig, from, &[&said]);
                }
                for (from, flight) in session(name) {
                    let pieces: Vec<&[u8]> = flight.chunks(flight.len().div_ceil(5)).collect();
                    if is_swapped {
                        say_backwards(&mut rig, from, &pieces);
                    } else {
                        say(&mut rig, from, &pieces);
                    }
                }
                assert_eq!(rig.resets, 0, "{name}");
            }
        }
    });
}

const STARTTLS: [(Direction, &[u8]); 3] =
    [(S, b"220 mx ESMTP\r\n"), (C, b"STARTTLS\r\n"), (S, b"220 go\r\n")];

fn say(rig: &mut Rig, from: Direction, pieces: &[&[u8]]) {
    for piece in pieces {
        assert_eq!(rig.send_next(from, piece), Verdict::Accept);
        let at = rig.side(from.other()).received;
        let _ = rig.ack(from.other(), at);
    }
}

fn say_backwards(rig: &mut Rig, from: Direction, pieces: &[&[u8]]) {
    let start = rig.side(from).received;
    let lengths = pieces.iter().map(|piece| piece.len() as u64);
    let places: Vec<u64> =
        lengths.scan(start, |at, more| Some(std::mem::replace(at, *at + more))).collect();
    for (at, piece) in places.into_iter().zip(pieces).rev() {
        assert_eq!(rig.send(from, at, piece), Verdict::Accept);
    }
    let at = rig.side(from.other()).received;
    let _ = rig.ack(from.other(), at);
}

#[test]
fn an_image_with_any_byte_changed_is_none() {
    let mut rig = Rig::established(settings("mailguard"), [1, 2]);
    let _ = rig.send(C, 0, b"MAIL FR");
    let whole = image(&rig.engine);
    assert_eq!(Image::open(&whole).map(|image| image.now()), Ok(Instant::from_seconds(1_000)));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let refusal = Image::open(&changed).err();
            // Magic and length say where an image ends, and its last word that it was written.
            let is_frame = at < 16 || (20..HEAD).contains(&at) || at >= whole.len() - 8;
            let expected = if is_frame { Unreadable::Incomplete } else { Unreadable::Damaged };
            assert_eq!(refusal, Some(expected), "byte {at}");
        }
        assert_eq!(Image::open(&whole[..at]).err(), Some(Unreadable::Incomplete), "{at}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(Image::open(&longer).err(), Some(Unreadable::Incomplete));
}

/// Flows in the middle of a command, of a message with a gap and of a chunk, and a handshake.
fn populated() -> Rig {
    let mut rig = Rig::new(settings("esmtp"), [1, 2]);
    let envelope = [
        (S, "220 mx ESMTP\r\n"),
        (C, "EHLO a\r\n"),
        (S, "250-mx\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n"),
        (C, "MAIL FROM:<a@b>\r\n"),
        (S, "250 ok\r\n"),
        (C, "RCPT TO:<c@d>\r\n"),
        (S, "250 ok\r\n"),
    ];
    for (number, last) in ["EXPN root\r\nMAIL FR", "DATA\r\n", "BDAT 9\r\n123"].iter().enumerate() {
        rig.client.set_port(40_000 + u16::try_from(number).unwrap());
        rig.renew([10, 20]);
        rig.shake_hands();
        let (mut client, mut server) = (0, 0);
        for (direction, line) in envelope.iter().copied().chain([(C, *last)]) {
            let offset = if direction == C { &mut client } else { &mut server };
            let _ = rig.send(direction, *offset, line.as_bytes());
            *offset += line.len() as u64;
        }
        if *last == "DATA\r\n" {
            let _ = rig.send(S, server, b"354 go on\r\n");
            let _ = rig.send(C, client, b"Subject: x\r\n\r\na\n.");
            let _ = rig.send(C, client + 30, b"behind a gap");
        }
    }
    rig.client.set_port(40_003);
    rig.renew([30, 40]);
    let _ = rig.packet(C, 30, 0, 2, &[2, 4, 5, 180], &[]);
    rig
}

/// The records of an image: the first says what belongs to all.
fn records(image: &[u8]) -> Vec<&[u8]> {
    let mut rest = &image[HEAD..image.len() - TAIL];
    let mut found = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (record, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        found.push(record);
        rest = behind;
    }
    found
}

/// Magic, format and length.
const HEAD: usize = 28;
/// Hash and the last word.
const TAIL: usize = 24;

/// Whoever changes the form of a record has to say so: a reader would take it for something else.
#[test]
fn the_form_of_an_image_is_that_of_its_format() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/image");
    let now = image(&populated().engine);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    // What belongs to all says settings by their names, and the program's version.
    assert!(
        records(&golden)[1..] == records(&now)[1..] && golden[..20] == now[..20],
        "the form of an image has changed: raise FORMAT in src/engine/image/mod.rs, and FORMAT_MIN \
         with it unless the old types are kept beside what reads them; BLESS=1 writes it anew"
    );
    goes_on(&golden);
}

/// Programs of the formats before have written these, and their flows go on here.
#[test]
fn images_of_the_formats_before_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let before: Vec<u32> = (FORMAT_MIN..FORMAT).collect();
    let kept = |format: &u32| {
        let image = std::fs::read(format!("{folder}/image-{format}")).unwrap();
        assert_eq!(image[16..20], format.to_le_bytes(), "each is kept by its number");
        image
    };
    let images: Vec<Vec<u8>> = before.iter().map(kept).collect();
    let now = image(&populated().engine);
    images.iter().for_each(|image| goes_on(image));
    // And as if they had been written in today's.
    for reading in images.iter().chain([&now]) {
        let mut left = String::new();
        for (port, client, said) in [
            (40_000, 58, "OM:<a@b>\r\nNOOP\r\n"),
            (40_000, 58, "OM:<a;b>\r\nVRFY a\r\n"),
            (40_002, 51, "\r\n.\r\n.EXPN x\r\n"),
        ] {
            let mut rig = restored(reading, port);
            let _ = rig.send(C, client, said.as_bytes());
            let bytes = (client..).map_while(|at| rig.original.left(at));
            left += &String::from_utf8_lossy(&bytes.collect::<Vec<_>>());
        }
        assert_eq!(left, LEFT);
    }
    // All that is known of a flow has been in them since format 13.
    let again = |bytes: &[u8]| image(&restored(bytes, 40_000).engine);
    let expected = again(&now);
    for kept in images.iter().rev().take(3) {
        let read = again(kept);
        assert_eq!(records(&read)[2..5], records(&expected)[2..5]);
    }
}

/// What leaves of them.
const LEFT: &str = "OM:<a@b>\r\nNOOP\r\nOM:<aXXX\r\nVRFY a\r\n\r\n.\r\n.EXXXXX\r\n";

/// A rig whose engine goes on with an image, in its flow of this port.
fn restored(image: &[u8], port: u16) -> Rig {
    let opened = Image::open(image).unwrap();
    let (settings, mut effects) = (settings("esmtp"), Effects::default());
    let (engine, _) =
        Engine::restored(settings, &opened, Instant::from_seconds(1_000), &mut effects);
    let mut rig = populated();
    rig.engine = engine;
    rig.client.set_port(port);
    rig.renew([10, 20]);
    rig
}

/// All that the image of [`populated`] holds goes on, as it was.
fn goes_on(golden: &[u8]) {
    let opened = Image::open(golden).unwrap();
    let mut effects = Effects::default();
    let (_, flows) =
        Engine::restored(settings("esmtp"), &opened, Instant::from_seconds(1_000), &mut effects);
    assert_eq!((flows.flows, flows.handshakes, flows.undecodable), (3, 1, 0));
    let mut rig = restored(golden, 40_002);
    let offset = 8 + 17 + 15 + 11;
    let _ = rig.send(C, offset, b"\r\n.\r\n.EXPN x\r\n");
    let left = &rig.original.bytes();
    assert!(left.is_empty(), "nothing was seen below it");
    let left: Vec<_> = (0..).map_while(|at| rig.original.left(offset + at)).collect();
    assert_eq!(left, b"\r\n.\r\n.EXXXXX\r\n");
}

/// What was counted is counted on, and who has offered STARTTLS is not forgotten.
#[test]
fn counts_and_the_memory_of_offers_outlive_a_restart() {
    let settings = settings("esmtp");
    let mut rig = Rig::established(settings.clone(), [1, 2]);
    let greet = |rig: &mut Rig, offer: &[u8]| {
        say(rig, S, &[b"220 mx\r\n"]);
        say(rig, C, &[b"EHLO a\r\n"]);
        say(rig, S, &[offer]);
    };
    greet(&mut rig, b"250-mx\r\n250 STARTTLS\r\n");
    say(&mut rig, C, &[b"STARTTLS\r\n"]);
    say(&mut rig, S, &[b"220 go\r\n"]);
    for (from, flight) in session("tls13") {
        say(&mut rig, from, &[&flight]);
    }
    let at = rig.reply.received;
    let (seq, ack) = rig.numbers(S, at);
    let _ = rig.packet(S, seq, ack.wrapping_add(5_000), 16, &[], b"");
    let before = rig.engine.stats();
    assert!(!before.tls.is_empty() && before.tls_begun == 1 && !before.drops.is_empty());
    let bytes = image(&rig.engine);
    let (mut effects, now) = (Effects::default(), Instant::from_seconds(1_000));
    let opened = Image::open(&bytes).unwrap();
    let (engine, _) = Engine::restored(settings, &opened, now, &mut effects);
    let after = engine.stats();
    assert_eq!(
        (&after.tls, &after.drops, after.packets),
        (&before.tls, &before.drops, before.packets)
    );
    assert_eq!(after.counters(), before.counters());
    rig.engine = engine;
    rig.client.set_port(40_001);
    rig.renew([3, 4]);
    rig.shake_hands();
    greet(&mut rig, b"250-mx\r\n250 SIZE\r\n");
    let gone = What::Noticed { direction: S, notice: Notice::OfferGone };
    assert!(rig.has_told(|what| *what == gone));
}

#[test]
fn what_rules_patches_and_gaps_did_is_counted_on() {
    let settings = settings_with("esmtp", &[("patches", "off,CVE-2014-6271=on")]);
    let mut rig = Rig::established(settings.clone(), [1, 2]);
    let _ = rig.send(S, 0, b"220 mx\r\n");
    let _ = rig.send(C, 0, b"VRFY a\r\nMAIL FROM:<\"() {x\"@d.example>\r\n");
    let _ = rig.send(C, 500, b"behind a gap");
    let before = rig.engine.stats();
    assert!(!before.withheld.is_empty() && !before.rules.is_empty() && !before.patches.is_empty());
    let (bytes, now) = (image(&rig.engine), Instant::from_seconds(1_000));
    let opened = Image::open(&bytes).unwrap();
    let (engine, _) = Engine::restored(settings, &opened, now, &mut Effects::default());
    let after = Stats { store_bytes_now: before.store_bytes_now, ..engine.stats() };
    assert_eq!(after, before);
}

/// A record may hold anything, if its hash is right.
#[test]
fn a_record_that_says_anything_panics_nobody() {
    let golden = image(&populated().engine);
    let records = records(&golden);
    let flows = records[1..].iter().map(|record| targets::image::with_flow(record).stats());
    assert!(flows.filter(|stats| stats.flows_now == 1).count() >= 2, "nothing would be read");
    let mut random = Random::new(1);
    for _ in 0..environment("SEEDS", 2_000) {
        for record in &records[1..] {
            let mut record = record.to_vec();
            random.mutate(&mut record);
            record.truncate(record.len().saturating_sub(random.below(2) * random.below(20)));
            let said = failure(|| targets::image::run(&record));
            assert_eq!(said, None, "{record:?}");
        }
    }
}

#[test]
fn flows_keep_what_they_are_judged_by_and_their_numbers() {
    let old = settings_with("esmtp", &[("verbs", "EXPN,EHLO")]);
    let mut rig = Rig::established(old, [1, 2]);
    let bytes = image(&rig.engine);
    let image = Image::open(&bytes).unwrap();
    let mut effects = Effects::default();
    let now = Instant::from_seconds(1_000);
    let (engine, restored) = Engine::restored(settings("mailguard"), &image, now, &mut effects);
    assert_eq!((restored.flows, restored.undecodable), (1, 0));
    rig.engine = engine;
    let _ = rig.send(S, 0, b"220 mx ESMTP\r\n");
    let _ = rig.send(C, 0, b"EXPN root\r\nNOOP\r\n");
    assert_eq!(rig.original.bytes(), b"EXPN root\r\nXXXX\r\n");
    rig.client.set_port(40_001);
    rig.renew([3, 4]);
    rig.shake_hands();
    let flows: Vec<_> = rig.records.iter().map(|record| record.flow).collect();
    assert_eq!((flows.first(), flows.last()), (Some(&1), Some(&2)));
}

#[test]
fn flows_that_have_no_room_any_more_are_reset() {
    let mut rig = Rig::established(settings("mailguard"), [1, 2]);
    for port in 40_001..40_004 {
        rig.client.set_port(port);
        rig.renew([3, 4]);
        rig.shake_hands();
    }
    let bytes = image(&rig.engine);
    let limits = Limits { flows_max: 2, ..limits() };
    let fewer = Settings { limits, ..settings("mailguard") };
    let mut effects = Effects::default();
    let image = Image::open(&bytes).unwrap();
    let now = Instant::from_seconds(1_000);
    let (engine, _) = Engine::restored(fewer, &image, now, &mut effects);
    assert_eq!((engine.stats().flows_now, engine.stats().flows_evicted), (2, 2));
    assert_eq!(effects.resets.len(), 4, "two flows, two ends");
    assert_eq!(engine.stats().resets, 4);
    let is_told = |what: &What| {
        let What::Reset { reason } = what else { return false };
        reason.name() == "flows-full"
    };
    let told = effects.records.iter().filter(|record| is_told(&record.what));
    assert_eq!(told.count(), 2);
}

#[test]
fn a_handshake_goes_on_with_the_successor() {
    let mut rig = Rig::new(settings("mailguard"), [1, 2]);
    rig.heirs = Some(Heirs::new(settings("mailguard")));
    rig.shake_hands();
    let _ = rig.send(C, 0, b"NOOP\r\n");
    assert_eq!(rig.original.bytes(), b"NOOP\r\n");
}

/// What a flood has displaced may come again, whoever is asked then.
#[test]
fn a_lost_handshake_is_known_to_the_successor() {
    let limits = Limits { handshakes_max: 16, ..limits() };
    let settings = Settings { limits, ..settings("mailguard") };
    for (seconds, is_known) in [(1, true), (31, false)] {
        let mut crowd = Crowd::new(settings.clone());
        let line = Line::new("192.0.2.1", 1_000);
        assert!(crowd.shake(&line, 0));
        let flood = |port| crowd.shake(&Line::new("192.0.2.66", port), 0);
        assert!((1..=200).all(flood));
        crowd.micros += seconds * 1_000_000;
        let now = Instant::from_micros(crowd.micros);
        let bytes = crowd.engine.image(now, 0);
        let image = Image::open(&bytes).unwrap();
        crowd.engine = Engine::restored(settings.clone(), &image, now, &mut Effects::default()).0;
        // Behind its SYN/ACK a client waits for the greeting and says no SYN again.
        let _ = crowd.packet(&line, C, [100, 1_000], ACK, &[], b"");
        assert_eq!(crowd.resets > 0, !is_known);
        assert_eq!(crowd.shake(&line, 1), is_known);
        assert_eq!(crowd.shake(&line, 2), is_known);
    }
}

/// So may what others knew before the predecessor began.
#[test]
fn a_handshake_older_than_the_predecessor_is_known_to_the_successor() {
    for (seconds, is_known) in [(1, true), (31, false)] {
        let mut crowd = Crowd::new(settings("mailguard"));
        crowd.engine.begin_behind_others(Instant::from_micros(crowd.micros));
        for _ in 0..2 {
            let now = Instant::from_micros(crowd.micros);
            let bytes = crowd.engine.image(now, 0);
            let image = Image::open(&bytes).unwrap();
            let mut effects = Effects::default();
            crowd.engine = Engine::restored(settings("mailguard"), &image, now, &mut effects).0;
        }
        crowd.micros += seconds * 1_000_000;
        let line = Line::new("192.0.2.1", 1_000);
        assert_eq!(crowd.shake(&line, 1), is_known, "{seconds}");
        assert_eq!(crowd.shake(&line, 2), is_known, "{seconds}");
    }
}

/// Where other patches are known, what has begun of a text is no part of another.
#[test]
fn what_patches_have_seen_of_a_line_is_forgotten_with_them() {
    let patches = |zone: &str, text: &str| {
        let patch = format!(
            "id = 'X'\ntitle = 'x'\nproducts = [{{ name = 'x', versions = '<2' }}]\n\
             references = ['x']\ngrade = 'M'\nscope = 'cleartext'\ncloses = 'the fault'\n\
             default = 'on'\n[[rule]]\nzone = ['{zone}']\ntext = '{text}'\ndo = 'log'\n\
             [[test]]\nclient = 'a'\nserver = 'X'\n[[test]]\nclient = 'b'\n"
        );
        let all = Catalogue::with(&[("x.toml".to_owned(), patch)]).unwrap();
        let catalogue = Catalogue::of(vec![all.find("X").unwrap().clone()]).unwrap();
        let mut settings = settings_with("esmtp", &[("patches", "off,X=on")]);
        settings.guard.patches.catalogue = catalogue;
        settings
    };
    let said: [(Direction, &[u8]); 4] =
        [(S, b"220 mx ESMTP\r\n"), (C, b"DATA\r\n"), (S, b"354 go\r\n"), (C, b"Subject: ab")];
    for (zone, said) in [("noop", &[said[0], (C, b"NOOP ab")][..]), ("header.subject", &said)] {
        for (other, rest, count) in [("abc", "c", 1), ("xyz", "z", 0), ("xyz", "xyz", 1)] {
            let mut rig = Rig::established(patches(zone, "abc"), [1, 2]);
            for (from, text) in said {
                let at = rig.side(*from).received;
                let _ = rig.send(*from, at, text);
            }
            let (bytes, now) = (image(&rig.engine), Instant::from_micros(rig.micros));
            let (image, settings) = (Image::open(&bytes).unwrap(), patches(zone, other));
            rig.engine = Engine::restored(settings, &image, now, &mut Effects::default()).0;
            let at = rig.original.received;
            let _ = rig.send(C, at, format!("{rest}\r\n").as_bytes());
            let struck: u64 = rig.engine.stats().patches.values().sum();
            assert_eq!(struck, count, "{zone} {other} {rest}");
        }
    }
}

#[test]
fn a_flow_under_tls_goes_on_with_the_successor() {
    let mut rig = Rig::new(settings("esmtp"), [1, 2]);
    rig.heirs = Some(Heirs::new(settings("esmtp")));
    rig.shake_hands();
    STARTTLS.into_iter().for_each(|(from, line)| say(&mut rig, from, &[line]));
    for (from, flight) in session("tls13") {
        let (one, other) = flight.split_at(flight.len() / 2);
        say(&mut rig, from, &[one, other]);
    }
    assert_eq!(rig.engine.stats().tls_begun, 1);
}

/// A diary that outlives its engine, and how much it takes of what is said for all.
#[derive(Clone, Debug)]
struct Paper(Arc<Mutex<(Vec<u8>, Slots)>>, usize);

impl Default for Paper {
    fn default() -> Self {
        Self(Arc::default(), usize::MAX)
    }
}

type Slots = BTreeMap<u32, Vec<u8>>;

impl Diary for Paper {
    fn keep_preamble(&self, preamble: &[u8]) -> bool {
        let has_room = preamble.len() <= self.1;
        if has_room {
            self.0.lock().unwrap().0 = preamble.to_vec();
        }
        has_room
    }

    fn keep(&self, slot: u32, record: &[u8]) {
        assert!(record.len() <= RECORD_BYTES_MAX);
        self.0.lock().unwrap().1.insert(slot, record.to_vec());
    }
}

impl Paper {
    /// What a process leaves that dies now.
    fn image(&self) -> Vec<u8> {
        let (preamble, slots) = &*self.0.lock().unwrap();
        let records: Vec<_> =
            slots.values().map(Vec::as_slice).filter(|record| !record.is_empty()).collect();
        image_of_diary(preamble, &records)
    }
}

/// The engine dies, and another begins with what its diary says; how many flows that knows.
fn die(rig: &mut Rig, paper: &mut Paper, settings: &Settings) -> u64 {
    let bytes = paper.image();
    let now = Instant::from_micros(rig.micros);
    let Ok(image) = Image::open(&bytes) else { return 0 };
    let mut effects = Effects::default();
    let (mut engine, restored) = Engine::restored(settings.clone(), &image, now, &mut effects);
    *paper = Paper::default();
    engine.keep_diary(Box::new(paper.clone()), now, 0);
    rig.engine = engine;
    restored.flows
}

/// Killed before each byte of the client's, with replies cut anywhere and all repeated.
#[test]
fn a_flow_outlives_a_death_before_each_byte() {
    let text = b"EHLO a\r\nVRFY root\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\
        Subject: x\r\n\r\na\n.\nb\r\n.\r\nRSET\r\n";
    let settings = settings("esmtp");
    let server = Esmtp::new("220 mx.example ESMTP\r\n");
    let mut undisturbed = Session::greeted(settings.clone(), server.clone());
    text.iter().for_each(|&byte| drop(undisturbed.say_pieces(&[&[byte]])));
    let mut session = Session::silent(settings.clone(), server);
    let mut paper = Paper::default();
    let now = Instant::from_micros(session.rig.micros);
    session.rig.engine.keep_diary(Box::new(paper.clone()), now, 0);
    session.settle();
    for &byte in text {
        assert_eq!(die(&mut session.rig, &mut paper, &settings), 1);
        session.say_pieces(&[&[byte]]);
    }
    assert_eq!(session.server_got(), undisturbed.server_got());
    assert_eq!(session.client_got(), undisturbed.client_got());
    assert_eq!(session.rig.resets, 0);
}

/// What was judged and perhaps not sent keeps its value, whatever its sender says afterwards.
#[test]
fn a_sender_that_contradicts_itself_around_a_death_is_read_one_way() {
    let settings = settings("mailguard");
    let mut rig = Rig::established(settings.clone(), [1, 2]);
    let mut paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let _ = rig.send(S, 0, b"220 mx ESMTP\r\n");
    rig.is_lost_behind = true;
    let _ = rig.send(C, 0, b"NOOP\r\n");
    assert_eq!(die(&mut rig, &mut paper, &settings), 1);
    rig.is_lost_behind = false;
    let _ = rig.send(C, 0, b"QUIT\r\n");
    assert_eq!(rig.original.bytes(), b"NOOP\r\n");
}

/// Bulk has no room in a diary: its flow is unknown afterwards, until its bytes are acknowledged.
#[test]
fn a_flow_too_large_for_its_record_is_unknown_until_it_fits_again() {
    let settings = settings("mailguard");
    let mut rig = Rig::established(settings.clone(), [1, 2]);
    let mut paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let flows =
        |paper: &Paper| paper.0.lock().unwrap().1.values().filter(|r| !r.is_empty()).count();
    let _ = rig.send(S, 0, b"220 mx ESMTP\r\n");
    assert_eq!(flows(&paper), 1);
    let lines = b"RCPT TO:<a@example.org>\r\n".repeat(300);
    let _ = rig.send(C, 0, &lines);
    assert_eq!(flows(&paper), 0);
    let _ = rig.ack(S, 14);
    let _ = rig.send(S, 14, &b"250 OK\r\n".repeat(300)[..800]);
    let _ = rig.ack(C, lines.len() as u64);
    assert_eq!(flows(&paper), 0, "unanswered commands need room, too");
    assert_eq!(die(&mut rig, &mut paper, &settings), 0);
}

/// An ACK alone is not worth a record; an end is, and so is a flow that was there before.
#[test]
fn an_end_is_written_down_and_so_is_a_flow_of_before() {
    let settings = settings("mailguard");
    for flags in [ACK | FIN, RST] {
        let mut rig = Rig::established(settings.clone(), [1, 2]);
        let mut paper = Paper::default();
        rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
        let slots = |paper: &Paper| paper.0.lock().unwrap().1.clone();
        let before = slots(&paper);
        let _ = rig.send(C, 0, b"");
        assert_eq!(slots(&paper), before);
        let _ = rig.packet(C, 2, 3, flags, &[], b"");
        assert_ne!(slots(&paper), before, "{flags:#x}");
        let mut rig = Rig::established(settings.clone(), [1, 2]);
        rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
        assert_eq!(die(&mut rig, &mut paper, &settings), 1);
    }
}

#[test]
fn a_flow_that_is_gone_leaves_its_place_in_the_diary() {
    let settings = settings("mailguard");
    let mut rig = Rig::established(settings, [1, 2]);
    let paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let slots = || paper.0.lock().unwrap().1.clone();
    assert!(slots().values().all(|record| !record.is_empty()) && slots().len() == 1);
    rig.engine.expire(Instant::from_seconds(1_000_000), &mut Effects::default());
    assert!(slots().values().all(Vec::is_empty) && slots().len() == 1);
}

#[test]
fn an_engine_that_is_gone_leaves_its_diary() {
    let mut rig = Rig::established(settings("mailguard"), [1, 2]);
    let paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let _ = rig.send(S, 0, b"220 mx ESMTP\r\n");
    let before = paper.image();
    drop(rig);
    assert_eq!(paper.image(), before);
    let now = Instant::from_seconds(1);
    let image = Image::open(&before).unwrap();
    let (_, known) = Engine::restored(settings("mailguard"), &image, now, &mut Effects::default());
    assert_eq!(known.flows, 1);
}

/// A flow of these settings that has said something; how many there are that a successor knows, and
/// how long what is said for all is.
fn begin(rig: &mut Rig, paper: &Paper, settings: &Settings) -> (u64, usize) {
    rig.engine.reload(settings);
    rig.client.set_port(rig.client.port() + 1);
    rig.renew([1, 2]);
    rig.shake_hands();
    let _ = rig.send(S, 0, b"220 mx ESMTP\r\n");
    let (bytes, now) = (paper.image(), Instant::from_micros(rig.micros));
    let image = Image::open(&bytes).unwrap();
    let settings = self::settings("mailguard");
    let (_, restored) = Engine::restored(settings, &image, now, &mut Effects::default());
    (restored.flows, paper.0.lock().unwrap().0.len())
}

/// However often the configuration is read anew, the diary says no more than its flows need.
#[test]
fn a_diary_says_once_what_many_flows_are_judged_by() {
    let line_max = |most: u32| settings_with("esmtp", &[("line_max", &most.to_string())]);
    let mut rig = Rig::established(line_max(1), [1, 2]);
    let paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let (_, one) = begin(&mut rig, &paper, &line_max(1));
    // Two that take turns are two, and their flows outlive a death.
    for number in 0..20 {
        let (flows, length) = begin(&mut rig, &paper, &line_max(1 + number % 2));
        assert_eq!(flows, u64::from(number) + 3);
        assert!(length < 3 * one, "{length}, and one is {one}");
    }
    // Of many, those stay that judge a flow.
    let mut micros = rig.micros;
    for number in 100..200 {
        rig.engine.expire(Instant::from_micros(micros), &mut Effects::default());
        micros += limits().idle_seconds * 1_000_000 / 4;
        rig.micros = micros;
        let (flows, length) = begin(&mut rig, &paper, &line_max(number));
        assert!(flows > 0 && length < 10 * one, "{length}, and one is {one}");
    }
}

/// What has no room there leaves what is there, and is written down once there is room.
#[test]
fn a_diary_that_is_full_names_nothing_that_it_does_not_say() {
    let line_max = |most: u32| settings_with("esmtp", &[("line_max", &most.to_string())]);
    let mut rig = Rig::established(line_max(77), [1, 2]);
    let mut paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let (_, one) = begin(&mut rig, &paper, &line_max(77));
    let mut rig = Rig::established(line_max(77), [1, 2]);
    paper = Paper(Arc::default(), 2 * one);
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let known: Vec<u64> = (77..81).map(|most| begin(&mut rig, &paper, &line_max(most)).0).collect();
    // The one that was there, and one each; then there is no room.
    assert_eq!(known, [2, 3, 3, 3]);
    rig.micros += 2 * limits().idle_seconds * 1_000_000;
    rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
    assert_eq!(begin(&mut rig, &paper, &line_max(80)).0, 1);
}

/// How many flows a successor knows.
fn known(rig: &Rig, paper: &Paper) -> u64 {
    let (bytes, now) = (paper.image(), Instant::from_micros(rig.micros));
    let (image, settings) = (Image::open(&bytes).unwrap(), settings("mailguard"));
    Engine::restored(settings, &image, now, &mut Effects::default()).1.flows
}

/// Whoever had no room there, and goes on, has it as soon as others have left.
#[test]
fn a_diary_takes_in_who_had_no_room_once_there_is_some() {
    let line_max = |most: u32| settings_with("esmtp", &[("line_max", &most.to_string())]);
    let idle = limits().idle_seconds * 1_000_000;
    let mut rig = Rig::established(line_max(77), [1, 2]);
    let paper = Paper::default();
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    let (_, one) = begin(&mut rig, &paper, &line_max(77));
    for is_reloaded in [false, true] {
        let mut rig = Rig::established(line_max(77), [1, 2]);
        let paper = Paper(Arc::default(), 2 * one);
        rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
        let flows = [78, 79].map(|most| begin(&mut rig, &paper, &line_max(most)).0);
        assert_eq!(flows, [2, 2], "for the third there is no room");
        rig.micros += idle * 3 / 4;
        let _ = rig.send(C, 0, b"NOOP\r\n");
        rig.micros += idle * 3 / 4;
        rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
        assert_eq!(rig.engine.stats().flows_now, 1);
        if is_reloaded {
            // By terms that are alike and not the same.
            rig.engine.reload(&line_max(80));
            assert_eq!(begin(&mut rig, &paper, &line_max(79)).0, 1);
        } else {
            let _ = rig.send(C, 6, b"NOOP\r\n");
            assert_eq!(known(&rig, &paper), 1);
        }
    }
    // What one said of the terms that had the place before is nothing of those that have it now.
    let mut rig = Rig::established(line_max(77), [1, 2]);
    let paper = Paper(Arc::default(), one);
    rig.engine.keep_diary(Box::new(paper.clone()), Instant::from_micros(rig.micros), 0);
    assert_eq!(known(&rig, &paper), 1);
    rig.micros += 2 * idle;
    rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
    assert_eq!(begin(&mut rig, &paper, &line_max(12_000)).0, 0);
}
