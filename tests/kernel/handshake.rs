//! C: who is talking, and from which number on. No trick before, during or after a handshake makes
//! the filter look elsewhere than the server.

use super::{BOTH, Case, EVIL, Peer, Stand, V4};
use crate::lab::{Because, Outcome, ensure};
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, tcp_packet};
use crate::support::segment::Segment;

pub(crate) const CASES: &[Case] = &[
    Case { id: "C01", name: "data on SYN", run: data_on_syn, families: BOTH },
    Case { id: "C03", name: "SYN+FIN, SYN+RST, null, xmas", run: odd_flags, families: BOTH },
    Case { id: "C04", name: "SYN/ACK from the client first", run: reversed, families: V4 },
    Case { id: "C05", name: "data in the third packet", run: third_with_data, families: BOTH },
    Case { id: "C06", name: "third packet out of order", run: third_ahead, families: V4 },
    Case { id: "C07", name: "data before SYN/ACK", run: data_too_early, families: V4 },
    Case { id: "C08", name: "wrong third ACK", run: wrong_third, families: V4 },
    Case { id: "C09", name: "SYN three times", run: repeated_syn, families: BOTH },
    Case { id: "C10", name: "SYN with another number", run: second_syn, families: V4 },
    Case { id: "C11", name: "half-open reuse", run: half_open, families: BOTH },
    Case { id: "C12", name: "TIME_WAIT reuse", run: time_wait, families: V4 },
    Case { id: "C14", name: "one-way route", run: one_way, families: V4 },
    Case { id: "C15", name: "SYN from port 25", run: server_syn, families: V4 },
    Case { id: "C16", name: "numbers near 2^32", run: wrap, families: BOTH },
    Case { id: "C17", name: "Multipath TCP", run: multipath, families: V4 },
    Case { id: "C18", name: "window scale of one side", run: one_scale, families: V4 },
    Case { id: "C19", name: "spoofed server side", run: spoofed, families: BOTH },
];

fn data_on_syn(stand: &mut Stand) -> Outcome<String> {
    let peer = stand.peer();
    let options = [&[2, 4, 5, 180][..], &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]].concat();
    stand.tun.send(&peer.raw((peer.isn, 0), SYN, &options, b"VRFY r\r\n"));
    let mut peer = stand.connect(peer)?;
    stand.finish(&mut peer, EVIL)
}

fn odd_flags(stand: &mut Stand) -> Outcome<String> {
    for flags in [SYN | FIN, SYN | RST, 0, FIN | PSH | 32, SYN | FIN | ACK, 0xff] {
        let mut peer = stand.peer();
        stand.tun.send(&peer.raw((peer.isn, 0), flags, &[], b"VRFY r\r\n"));
        stand.wait(&mut peer, 5);
        let left = stand.wire.of(peer.local).count();
        ensure(left == 0, || format!("flags {flags:#x} left"))?;
        let mut peer = stand.connect(peer).because(format!("after {flags:#x}"))?;
        // The same within a connection that stands.
        stand.tun.send(&peer.flagged(0, b"EXPN\r\n", flags));
        if flags != FIN | PSH | 32 {
            stand.finish(&mut peer, EVIL).because(format!("after {flags:#x}"))?;
        }
    }
    Ok("dropped, and the next connection is filtered".to_owned())
}

fn reversed(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    stand.tun.send(&peer.raw((peer.isn, 77), SYN | ACK, &[2, 4, 5, 180], &[]));
    stand.wait(&mut peer, 10);
    let left = stand.wire.of(peer.local).count();
    ensure(left == 0, || "the SYN/ACK left".to_owned())?;
    let mut peer = stand.connect(peer)?;
    stand.finish(&mut peer, EVIL)
}

/// Sends the SYN and takes the answer, but does not complete.
fn half(stand: &mut Stand) -> Outcome<Peer> {
    let mut peer = stand.peer();
    stand.tun.send(&peer.syn());
    stand.until("SYN/ACK", &mut peer, |peer| peer.answer.is_some())?;
    Ok(peer)
}

fn third_with_data(stand: &mut Stand) -> Outcome<String> {
    let mut peer = half(stand)?;
    stand.send(&peer, 0, &EVIL[..30]);
    stand.finish(&mut peer, EVIL)
}

fn third_ahead(stand: &mut Stand) -> Outcome<String> {
    let mut peer = half(stand)?;
    stand.send(&peer, 2, &EVIL[2..5]);
    stand.send(&peer, 0, &EVIL[..2]);
    stand.finish(&mut peer, EVIL)
}

fn data_too_early(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    stand.tun.send(&peer.syn());
    stand.tun.send(&peer.raw((peer.seq(0), 0), ACK | PSH, &[], b"VRFY r\r\n"));
    stand.tun.send(&peer.raw((peer.seq(0), 1), ACK | PSH, &[], b"VRFY r\r\n"));
    stand.until("SYN/ACK", &mut peer, |peer| peer.answer.is_some())?;
    stand.tun.send(&peer.flagged(0, &[], ACK));
    stand.finish(&mut peer, EVIL)
}

fn wrong_third(stand: &mut Stand) -> Outcome<String> {
    let mut peer = half(stand)?;
    let numbers = (peer.seq(0), peer.expects().wrapping_add(5));
    stand.tun.send(&peer.raw(numbers, ACK, &[], &[]));
    stand.tun.send(&peer.raw(numbers, ACK | PSH, &[], b"VRFY r\r\n"));
    stand.wait(&mut peer, 5);
    peer.reset = None;
    stand.tun.send(&peer.flagged(0, &[], ACK));
    stand.finish(&mut peer, EVIL)
}

fn repeated_syn(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    for _ in 0..3 {
        stand.tun.send(&peer.syn());
    }
    stand.until("SYN/ACK", &mut peer, |peer| peer.answer.is_some())?;
    // One more behind the answer takes nothing back.
    stand.tun.send(&peer.syn());
    stand.wait(&mut peer, 5);
    stand.tun.send(&peer.flagged(0, &[], ACK));
    stand.finish(&mut peer, EVIL)
}

fn second_syn(stand: &mut Stand) -> Outcome<String> {
    let first = half(stand)?;
    let mut second = Peer::new(first.local, first.remote, first.isn.wrapping_add(5_000_000));
    stand.tun.send(&second.syn());
    // Linux asks back with an ACK of the first, and forgets it when told so, as clients do.
    stand.until("an answer", &mut second, |second| !second.inbox.is_empty())?;
    let asked = second.inbox.iter().find(|seen| seen.flags == ACK).map(|seen| seen.ack);
    let asked = asked.because("no question")?;
    ensure(asked == first.seq(0), || format!("asked for {asked}"))?;
    stand.tun.send(&second.raw((asked, 0), RST, &[], &[]));
    let mut second = stand.connect(second)?;
    stand.finish(&mut second, EVIL)
}

fn half_open(stand: &mut Stand) -> Outcome<String> {
    let mut old = stand.connected()?;
    stand.deliver(&mut old, b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n")?;
    let mut fresh = Peer::new(old.local, old.remote, old.isn.wrapping_add(9_000_000));
    stand.tun.send(&fresh.syn());
    stand.wait(&mut fresh, 20);
    ensure(fresh.answer.is_none(), || "answered at once".to_owned())?;
    // The server's challenge names the number at which a RST is exact.
    let challenge = fresh.inbox.iter().rev().find(|seen| seen.flags & (SYN | RST) == 0);
    let exact = challenge.map(|seen| seen.ack).because("no challenge ACK")?;
    // Before that RST the old connection is still filtered, in message data as it was.
    let body = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\nbody\r\n";
    stand.deliver(&mut old, body)?;
    let exact = exact.max(old.seq(old.acknowledged));
    stand.tun.send(&fresh.raw((exact, 0), RST, &[], &[]));
    stand.wait(&mut fresh, 10);
    let mut fresh = stand.connect(fresh)?;
    stand.finish(&mut fresh, EVIL)
}

fn time_wait(stand: &mut Stand) -> Outcome<String> {
    let mut old = stand.connected()?;
    stand.deliver(&mut old, b"NOOP\r\nQUIT close\r\n")?;
    stand.until("FIN", &mut old, |old| old.has_heard_fin)?;
    let end = old.acknowledged;
    stand.tun.send(&old.flagged(end, &[], ACK | FIN));
    stand.until("ACK of FIN", &mut old, |old| old.acknowledged > end)?;
    let fresh = Peer::new(old.local, old.remote, old.isn.wrapping_add(1_000_000));
    let mut fresh = stand.connect(fresh)?;
    stand.finish(&mut fresh, EVIL)
}

/// The client learns the server's number by another road than the filter's.
fn one_way(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    stand.cut_replies(true)?;
    stand.tun.send(&peer.syn());
    stand.wait(&mut peer, 20);
    let answer = stand.wire.answers.get(&peer.local).cloned();
    peer.answer = answer.map(|answer| answer.seq);
    ensure(peer.answer.is_some(), || "the server did not answer".to_owned())?;
    stand.tun.send(&peer.flagged(0, &[], ACK));
    for _ in 0..3 {
        stand.send(&peer, 0, EVIL);
        stand.wait(&mut peer, 10);
    }
    stand.cut_replies(false)?;
    let leaked = stand.wire.stream(peer.local);
    ensure(leaked.is_empty(), || format!("left: {}", leaked.escape_ascii()))?;
    stand.abort(&mut peer);
    Ok("no data left".to_owned())
}

fn server_syn(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    // From a mail server's port behind the client's interface to an ordinary port of the server.
    peer.local.set_port(25);
    peer.remote.set_port(40_000);
    let packet = tcp_packet(peer.local, peer.remote, 1, 0, SYN, &[2, 4, 5, 180], &[]);
    stand.tun.send(&packet);
    stand.wait(&mut peer, 20);
    ensure(peer.reset.is_none() && peer.inbox.is_empty(), || format!("{:?}", peer.inbox))?;
    Ok("dropped".to_owned())
}

fn wrap(stand: &mut Stand) -> Outcome<String> {
    let step = EVIL.len().div_ceil(9);
    for before in (0..=EVIL.len()).step_by(step) {
        let mut peer = stand.peer();
        peer.isn = 0_u32.wrapping_sub(before as u32);
        let mut peer = stand.connect(peer)?;
        stand.send(&peer, 0, &EVIL[..20]);
        stand.send(&peer, 8, &EVIL[8..30]);
        stand.finish(&mut peer, EVIL).because(format!("{before} bytes before the wrap"))?;
    }
    Ok("each as any other".to_owned())
}

fn multipath(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    let key = [30, 12, 0, 0x81, 1, 2, 3, 4, 5, 6, 7, 8];
    peer.syn_options = [&[2, 4, 5, 180][..], &key].concat();
    let mut peer = stand.connect(peer)?;
    let mut joining = stand.peer();
    let join = [30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8];
    stand.tun.send(&joining.raw((joining.isn, 0), SYN, &join, &[]));
    stand.wait(&mut joining, 10);
    stand.tun.send(&peer.raw((peer.seq(0), peer.expects()), ACK, &key, &[]));
    stand.finish(&mut peer, EVIL)?;
    Ok("the server saw plain TCP".to_owned())
}

fn one_scale(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut stream = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n".to_vec();
    for _ in 0..4000 {
        stream
            .extend_from_slice(b"A line of a message that is longer than any unscaled window\r\n");
    }
    stream.extend_from_slice(b".\r\nQUIT\r\n");
    stand.finish(&mut peer, &stream)
}

fn spoofed(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.peer();
    // A fake SYN/ACK before the true one would move the base of the server's stream.
    stand.tun.send(&peer.syn());
    let lie = |seq: u32, ack: u32, flags: u8, text: &[u8]| {
        tcp_packet(peer.remote, peer.local, seq, ack, flags, &[], text)
    };
    stand.tun.send(&lie(7, peer.isn.wrapping_add(1), SYN | ACK, &[]));
    stand.until("SYN/ACK", &mut peer, |peer| {
        peer.inbox.iter().any(|seen| seen.has(SYN) && seen.seq != 7)
    })?;
    let honest = |seen: &&Segment| seen.has(SYN) && seen.seq != 7;
    peer.answer = peer.inbox.iter().find(honest).map(|seen| seen.seq);
    let is_deceived = peer.inbox.iter().any(|seen| seen.seq == 7);
    ensure(!is_deceived, || "the fake SYN/ACK came through".to_owned())?;
    let mut peer = stand.connect(peer)?;
    let heard = peer.expects();
    let lies = |peer: &Peer, text: &[u8], ahead: u64| {
        tcp_packet(peer.remote, peer.local, heard, peer.seq(ahead), ACK | PSH, &[], text)
    };
    stand.send(&peer, 0, b"NOOP\r\n");
    for packet in [lies(&peer, &[], 6), lies(&peer, &[], 1000), lies(&peer, b"354 go on\r\n", 6)] {
        stand.tun.send(&packet);
    }
    // Were a lie believed, this copy would win, and what follows would be message data.
    stand.send(&peer, 0, b"EXPN\r\n");
    stand.send(&peer, 6, b"VRFY root\r\n");
    stand.finish(&mut peer, b"NOOP\r\nVRFY root\r\nQUIT\r\n")
}
