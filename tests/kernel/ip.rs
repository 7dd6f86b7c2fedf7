//! E: the layer below. Fragments meet the gateway's reassembly before the queue; chains of headers
//! and lengths that lie hide nothing.

use super::{BOTH, Case, EVIL, Peer, Stand, V4, V6, fragment6, fragments, insert6, reseal_ip};
use crate::lab::{Because, Outcome, ensure};

pub(crate) const CASES: &[Case] = &[
    Case { id: "E01", name: "fragments of 24 bytes", run: in_fragments, families: BOTH },
    Case { id: "E02", name: "fragments reversed, repeated", run: reversed, families: BOTH },
    Case { id: "E03", name: "overlapping fragments", run: overlapping, families: V4 },
    Case { id: "E04", name: "trailing bytes", run: trailing, families: BOTH },
    Case { id: "E05", name: "TTL too low", run: short_lived, families: BOTH },
    Case { id: "E06", name: "IPv6 header chains", run: chains, families: V6 },
    Case { id: "E07", name: "overlapping IPv6 fragments", run: overlapping6, families: V6 },
    Case { id: "E08", name: "IPv4 options", run: options, families: V4 },
];

/// A client's segments of the stream, each in fragments.
fn cut(peer: &Peer, stream: &[u8], id: u16) -> Vec<Vec<u8>> {
    let packet = peer.segment(0, stream);
    if peer.local.is_ipv4() {
        return fragments(&packet, 24, id);
    }
    let length = packet.len() - 40;
    let piece = |start: usize| start..(start + 24).min(length);
    (0..length).step_by(24).map(|at| fragment6(&packet, piece(at), u32::from(id))).collect()
}

fn in_fragments(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let pieces = cut(&peer, EVIL, 700);
    pieces.iter().for_each(|piece| stand.tun.send(piece));
    stand.until("ACK", &mut peer, |peer| peer.acknowledged > 0)?;
    stand.finish(&mut peer, EVIL).map(|read| format!("{} fragments, {read}", pieces.len()))
}

fn reversed(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let pieces = cut(&peer, EVIL, 701);
    for piece in pieces.iter().rev() {
        stand.tun.send(piece);
        stand.tun.send(piece);
    }
    stand.wait(&mut peer, 5);
    stand.finish(&mut peer, EVIL)
}

/// The verb in the second fragment is overlapped by another one.
fn overlapping(stand: &mut Stand) -> Outcome<String> {
    for is_first in [false, true] {
        let mut peer = stand.connected()?;
        let line = b"NOOP aaaaaaaaaaaa\r\nNOOP bbbbbbbb\r\n";
        let honest = fragments(&peer.segment(0, line), 24, 702);
        let other =
            fragments(&peer.segment(0, b"NOOP\r\nVRFY root\r\nNOOP bbbbbbbbbbb\r\n"), 24, 702);
        let mut order = vec![honest[0].clone(), honest[1].clone(), honest[2].clone()];
        order.insert(if is_first { 1 } else { 2 }, other[1].clone());
        order.iter().for_each(|piece| stand.tun.send(piece));
        stand.wait(&mut peer, 10);
        stand.finish(&mut peer, line).because(format!("{is_first}"))?;
    }
    Ok("dropped or one value, delivered when sent again".to_owned())
}

fn trailing(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut packet = peer.segment(0, b"NOOP\r\n");
    packet.extend_from_slice(b"VRFY root\r\n");
    stand.tun.send(&packet);
    stand.until("ACK", &mut peer, |peer| peer.acknowledged > 0)?;
    stand.wait(&mut peer, 5);
    ensure(peer.acknowledged == 6, || format!("{} bytes taken", peer.acknowledged))?;
    stand.finish(&mut peer, b"NOOP\r\nEXPN x\r\nQUIT\r\n")
}

fn short_lived(stand: &mut Stand) -> Outcome<String> {
    for hops in [1, 2] {
        let mut peer = stand.connected()?;
        let mut packet = peer.segment(0, b"NOOP\r\n");
        if peer.local.is_ipv4() {
            packet[8] = hops;
            reseal_ip(&mut packet);
        } else {
            packet[7] = hops;
        }
        stand.tun.send(&packet);
        stand.wait(&mut peer, 5);
        let truth: &[u8] = b"EXPN\r\nVRFY root\r\nQUIT\r\n";
        stand.deliver(&mut peer, truth)?;
        stand.settle_as_one_of(&mut peer, &[truth, b"NOOP\r\nVRFY root\r\nQUIT\r\n"])?;
    }
    Ok("one value".to_owned())
}

/// An extension header: its kind, and its bytes.
type Header<'a> = (u8, &'a [u8]);

fn chains(stand: &mut Stand) -> Outcome<String> {
    let hop = [0, 0, 1, 4, 0, 0, 0, 0];
    let routing = [0, 0, 4, 0, 0, 0, 0, 0];
    let atomic = [0, 0, 0, 0, 0, 0, 0, 9];
    let mut outcomes = Vec::new();
    let chains: [(&str, &[Header<'_>]); 6] = [
        ("HBH", &[(0, &hop)]),
        ("DestOpts", &[(60, &hop)]),
        ("Routing", &[(43, &routing)]),
        ("atomic", &[(44, &atomic)]),
        ("four DestOpts", &[(60, &hop), (60, &hop), (60, &hop), (60, &hop)]),
        ("all", &[(44, &atomic), (43, &routing), (60, &hop), (0, &hop)]),
    ];
    for (name, chain) in chains {
        let mut peer = stand.connected()?;
        let mut packet = peer.segment(0, b"NOOP\r\nVRFY root\r\n");
        for (kind, header) in chain {
            packet = insert6(&packet, *kind, header);
        }
        outcomes.push(fate(stand, &mut peer, name, &packet)?);
    }
    Ok(outcomes.join(", "))
}

fn overlapping6(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let line = b"NOOP aaaaaaaaaaaa\r\nNOOP bbbbbbbb\r\n";
    let honest = peer.segment(0, line);
    let other = peer.segment(0, b"NOOP\r\nVRFY root\r\nNOOP bbbbbbbbbbb\r\n");
    let end = honest.len() - 40;
    stand.tun.send(&fragment6(&honest, 0..24, 5));
    stand.tun.send(&fragment6(&other, 16..48, 5));
    stand.tun.send(&fragment6(&honest, 24..end, 5));
    stand.wait(&mut peer, 10);
    ensure(peer.acknowledged == 0, || "the overlapped datagram was delivered".to_owned())?;
    stand.finish(&mut peer, line)?;
    Ok("dropped, delivered when sent again".to_owned())
}

/// Sends a doctored first packet of NOOP and VRFY. Whether it is inspected or dropped, the server
/// gets the lines as the filter makes them.
fn fate(stand: &mut Stand, peer: &mut Peer, name: &str, packet: &[u8]) -> Outcome<String> {
    stand.tun.send(packet);
    stand.wait(peer, 10);
    let fate = if peer.acknowledged > 0 { "inspected" } else { "dropped" };
    stand.finish(peer, b"NOOP\r\nVRFY root\r\nQUIT\r\n").because(name)?;
    Ok(format!("{name} {fate}"))
}

fn options(stand: &mut Stand) -> Outcome<String> {
    let mut outcomes = Vec::new();
    let all: [(&str, &[u8]); 4] = [
        ("NOP", &[1, 1, 1, 0]),
        ("RR", &[7, 7, 4, 0, 0, 0, 0, 0]),
        ("LSRR", &[131, 7, 4, 198, 51, 100, 2, 0]),
        ("unknown", &[0x5e, 4, 1, 2]),
    ];
    for (name, list) in all {
        let mut peer = stand.connected()?;
        let mut packet = peer.segment(0, b"NOOP\r\nVRFY root\r\n");
        packet.splice(20..20, list.iter().copied());
        packet[0] = 0x45 + (list.len() / 4) as u8;
        reseal_ip(&mut packet);
        outcomes.push(fate(stand, &mut peer, name, &packet)?);
    }
    Ok(outcomes.join(", "))
}
