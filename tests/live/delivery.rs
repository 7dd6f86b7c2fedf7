//! Delivery: whatever a real client sends, a real Postfix stores, byte for byte and exactly once.
//!
//! Each scenario takes the filter that stands on the gateway, and is told nothing else about it.

use std::thread;

use crate::lab::{
    Because, Family, Filter, Message, Outcome, PATIENCE, Pace, Random, Root, Session, Site, now,
    smtplib, swaks, wrong,
};

/// Every client with every kind of message, over IPv4 and IPv6.
pub(crate) fn every_kind(filter: Filter<'_>) -> Outcome<String> {
    let site = Site::open(filter)?;
    let swaks_root = Root::mount("swaks")?;
    let mut sent = Vec::new();
    for family in Family::ALL {
        let server = family.server();
        for (kind, message) in kinds(family) {
            raw(family, Pace::Whole, &message).because(kind)?;
            sent.push(message);
        }
        for (index, size) in [1, 2, 3, 7, 1000].into_iter().enumerate() {
            let name = format!("pieces{index}{family:?}");
            let message = Message::mixed(&name, 4000, &mut Random::new(7));
            raw(family, Pace::Pieces(size), &message).because(format!("pieces of {size}"))?;
            sent.push(message);
        }
        let text = b"caf\xc3\xa9\r\n.dot\r\n\r\n..two dots\r\nend\r\n";
        let message = Message::new(&format!("swaks{family:?}"), text);
        swaks(&swaks_root, server, &message)?;
        sent.push(message);
        let message = Message::new(&format!("smtplib{family:?}"), text);
        smtplib(server, &message)?;
        sent.push(message);
    }
    site.finish(&sent)
}

/// A thousand messages of mixed sizes over parallel connections, half IPv4, half IPv6.
pub(crate) fn thousand(filter: Filter<'_>) -> Outcome<String> {
    let site = Site::open(filter)?;
    let start = now();
    let workers: Vec<_> =
        (0..CONNECTIONS).map(|worker| thread::spawn(move || share_of_a_thousand(worker))).collect();
    let mut sent = Vec::new();
    for worker in workers {
        match worker.join() {
            Ok(messages) => sent.extend(messages?),
            Err(_) => return wrong("a sender panicked"),
        }
    }
    let seconds = start.elapsed().as_secs_f32();
    let octets: usize = sent.iter().map(|message| message.content.len()).sum();
    let figures = site.finish(&sent)?;
    Ok(format!("{figures}; {} MB in {seconds:.1} s, {CONNECTIONS} at a time", octets / 1_000_000))
}

/// Some of each with the segmentation offloads off: packets of the MTU, finished checksums.
pub(crate) fn without_offloads(filter: Filter<'_>) -> Outcome<String> {
    let site = Site::open(filter)?;
    site.network.set_offloads(false)?;
    let mut random = Random::new(11);
    let mut sent = Vec::new();
    for family in Family::ALL {
        for size in [0, 1_000, 30_000, 3_000_000] {
            let message = Message::mixed(&format!("s{size}{family:?}"), size, &mut random);
            raw(family, Pace::Whole, &message)?;
            sent.push(message);
        }
    }
    site.finish(&sent)
}

fn share_of_a_thousand(worker: usize) -> Outcome<Vec<Message>> {
    let mut random = Random::new(worker as u64 + 100);
    let family = if worker.is_multiple_of(2) { Family::V4 } else { Family::V6 };
    let mut sent = Vec::new();
    // Several connections one after the other, several messages on each.
    for connection in 0..MESSAGES / CONNECTIONS / MESSAGES_PER_CONNECTION {
        let mut session = greeted(family)?;
        for number in 0..MESSAGES_PER_CONNECTION {
            let size = match random.below(20) {
                0 => random.below(1_000_000),
                1..=5 => random.below(50_000),
                _ => random.below(3_000),
            };
            let name = format!("w{worker}c{connection}n{number}");
            let message = Message::mixed(&name, size, &mut random);
            session.deliver(Pace::Whole, &message).because(&name)?;
            sent.push(message);
        }
        session.quit()?;
    }
    Ok(sent)
}

/// One message over a connection of its own.
fn raw(family: Family, pace: Pace, message: &Message) -> Outcome {
    let mut session = greeted(family)?;
    session.deliver(pace, message)?;
    session.quit()
}

fn greeted(family: Family) -> Outcome<Session> {
    Session::greeted(family.server(), PATIENCE)
}

fn kinds(family: Family) -> Vec<(&'static str, Message)> {
    let mut random = Random::new(3);
    let mut octets = Vec::new();
    for octet in (1..=255).filter(|octet| !b"\r\n".contains(octet)) {
        octets.extend_from_slice(&[octet, b'|', octet, b'\r', b'\n']);
    }
    let long = [b"x".repeat(998), b"\r\n.".to_vec(), b"y".repeat(997), b"\r\n".to_vec()].concat();
    let attachment: Vec<u8> = [b"QUJD".repeat(19), b"\r\n".to_vec()].concat();
    let attachment = attachment.repeat(25_000_000 / 78);
    let bodies: [(&str, Vec<u8>); 8] = [
        ("plain", b"Hello,\r\n\r\nworld.\r\n".to_vec()),
        ("empty", Vec::new()),
        ("blank", b"\r\n\r\n\r\n".to_vec()),
        ("dots", b".\r\n..\r\n...\r\n.x\r\n. \r\n.QUIT\r\n\r\n.\r\n".to_vec()),
        ("octets", octets),
        ("long", long),
        ("commands", b"QUIT\r\nRSET\r\nVRFY root\r\nDATA\r\n250 ok\r\n".to_vec()),
        ("attachment", attachment),
    ];
    let named = |name: &str| format!("{name}{family:?}");
    let mut all: Vec<_> =
        bodies.map(|(kind, body)| (kind, Message::new(&named(kind), &body))).into();
    all.push(("nothing at all", Message { recipient: named("nothing"), content: Vec::new() }));
    all.push(("mixed", Message::mixed(&named("mixed"), 300_000, &mut random)));
    all
}

const MESSAGES: usize = 1000;
const CONNECTIONS: usize = 10;
const MESSAGES_PER_CONNECTION: usize = 5;
