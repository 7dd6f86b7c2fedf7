//! B: other data at the same place. Among commands, where nothing passes ahead of a gap, the first
//! copy that was let through is the only one the server's wire ever sees. In message data, where
//! much does, copies that agree make one message in whatever order they come, and two that do not
//! reset the flow.

use super::{BOTH, Case, Peer, Stand, V4, canonical};
use crate::lab::{Because, End, Family, Outcome, PATIENCE, Side, ensure, run, wait_until};

pub(crate) const CASES: &[Case] = &[
    Case { id: "B01", name: "in order, then other data", run: after, families: BOTH },
    Case { id: "B02", name: "the same, copy 1 lost behind", run: lost, families: BOTH },
    Case {
        id: "B03",
        name: "ahead, exact",
        run: |s| both(s, &[(5, 10, A), (5, 10, B)]),
        families: BOTH,
    },
    Case {
        id: "B04",
        name: "ahead, left overlap",
        run: |s| both(s, &[(5, 10, A), (3, 8, B)]),
        families: V4,
    },
    Case {
        id: "B05",
        name: "ahead, superset",
        run: |s| both(s, &[(5, 10, A), (3, 12, B)]),
        families: V4,
    },
    Case {
        id: "B06",
        name: "ahead, same start",
        run: |s| both(s, &[(5, 10, A), (5, 12, B)]),
        families: V4,
    },
    Case {
        id: "B07",
        name: "ahead, right overlap",
        run: |s| both(s, &[(5, 10, A), (7, 12, B)]),
        families: V4,
    },
    Case {
        id: "B08",
        name: "in order over queued",
        run: |s| both(s, &[(5, 10, A), (0, 8, B)]),
        families: BOTH,
    },
    Case { id: "B09", name: "all relations of two", run: relations, families: BOTH },
    Case { id: "B10", name: "all relations of three", run: triples, families: V4 },
    Case { id: "B11", name: "mask, then unmask", run: unmask, families: BOTH },
    Case { id: "B12", name: "split verb swapped", run: swap, families: V4 },
    Case { id: "B13", name: "below the server's ACK", run: below, families: BOTH },
    Case { id: "B14", name: "straddling old and new", run: straddle, families: BOTH },
    Case { id: "B15", name: "zero-window probe differs", run: probe, families: V4 },
];

const A: u8 = b'A';
const B: u8 = b'B';
const C: u8 = b'C';

/// A copy of part of a region: start, end, what it is made of.
type Copy = (usize, usize, u8);

/// Bytes of a region.
const REGION: usize = 16;

/// A region of one message, of which no octet is like another.
const TEXT: &[u8; REGION] = b"abcdefghijklmnop";

/// Each of them is a connection: so many triples are passed over.
const CONTRADICTING: usize = 23;

/// A client whose message has begun, and what it said so far.
pub(crate) fn in_data(stand: &mut Stand, data: &str) -> Outcome<(Peer, Vec<u8>)> {
    let mut peer = stand.connected()?;
    let stream = format!("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\n{data}\r\n").into_bytes();
    stand.deliver(&mut peer, &stream)?;
    let has_begun = |peer: &Peer| memchr::memmem::find(&peer.heard, b"\r\n354").is_some();
    stand.until("354", &mut peer, has_begun)?;
    Ok((peer, stream))
}

/// What a region must be if the first copy wins and none passes ahead of a gap.
fn first_copies(copies: &[Copy]) -> [u8; REGION] {
    let mut region = [b'f'; REGION];
    let mut edge = 0;
    for &(start, end, octet) in copies {
        if start <= edge && edge < end {
            region[edge..end].fill(octet);
            edge = end;
        }
    }
    region
}

/// Sends the copies, then a filler of other data over all of them, then what TCP would repeat.
fn in_command(stand: &mut Stand, all: &[Vec<Copy>]) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut stream = b"NOOP ".to_vec();
    stand.deliver(&mut peer, &stream)?;
    for copies in all {
        let base = stream.len() as u64;
        for &(start, end, octet) in copies {
            stand.send(&peer, base + start as u64, &vec![octet; end - start]);
        }
        stand.send(&peer, base, &[b'f'; REGION]);
        stream.extend_from_slice(&first_copies(copies));
        stand.deliver(&mut peer, &stream).because(format!("{copies:?}"))?;
    }
    stream.extend_from_slice(b"\r\nQUIT\r\n");
    stand.finish(&mut peer, &stream)
}

/// In a message, copies cut so that agree, and a filler that agrees with them.
fn agreeing(stand: &mut Stand, all: &[Vec<Copy>]) -> Outcome<String> {
    let (mut peer, mut stream) = in_data(stand, "DATA")?;
    for copies in all {
        let base = stream.len() as u64;
        for &(start, end, _) in copies {
            stand.send(&peer, base + start as u64, &TEXT[start..end]);
        }
        stream.extend_from_slice(TEXT);
        stand.deliver(&mut peer, &stream).because(format!("{copies:?}"))?;
    }
    stream.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
    stand.finish(&mut peer, &stream)
}

/// In a message, copies and a filler of which no two agree: the flow is reset, and the server has
/// read nothing of the text.
fn contradicting(stand: &mut Stand, copies: &[Copy]) -> Outcome<String> {
    let (mut peer, stream) = in_data(stand, "DATA")?;
    let base = stream.len() as u64;
    for &(start, end, octet) in copies {
        stand.send(&peer, base + start as u64, &vec![octet; end - start]);
    }
    stand.send(&peer, base, &[b'f'; REGION]);
    stand.until("RST", &mut peer, |peer| peer.reset.is_some()).because(format!("{copies:?}"))?;
    let visit = stand.until_ended(&mut peer)?;
    ensure(visit.end == Some(End::Broken), || format!("the server's end: {:?}", visit.end))?;
    // A first copy in order may have been read before the second came.
    let in_order = copies.iter().filter(|copy| copy.0 == 0).map(|copy| copy.1).max().unwrap_or(0);
    let all = [stream.as_slice(), &first_copies(copies)[..in_order]].concat();
    ensure(canonical(&all).starts_with(&visit.received), || {
        format!("{copies:?}: read {}", visit.received.escape_ascii())
    })?;
    Ok("one stream of commands; a message is reset".to_owned())
}

fn both(stand: &mut Stand, copies: &[Copy]) -> Outcome<String> {
    let all = [copies.to_vec()];
    in_command(stand, &all).because("commands")?;
    agreeing(stand, &all).because("message")?;
    contradicting(stand, copies).because("message")
}

fn relations(stand: &mut Stand) -> Outcome<String> {
    let a = (5, 10);
    let all = [
        (1, 3),
        (2, 5),
        (3, 7),
        (3, 10),
        (3, 12),
        (5, 8),
        (5, 10),
        (5, 13),
        (6, 9),
        (7, 10),
        (7, 13),
        (10, 13),
        (12, 15),
    ];
    let orders = all
        .into_iter()
        .flat_map(|b| [vec![(a.0, a.1, A), (b.0, b.1, B)], vec![(b.0, b.1, B), (a.0, a.1, A)]]);
    let orders: Vec<_> = orders.collect();
    in_command(stand, &orders).because("commands")?;
    agreeing(stand, &orders).because("message")?;
    for copies in &orders {
        contradicting(stand, copies)?;
    }
    Ok(format!("{} relations and orders, thrice", orders.len()))
}

fn triples(stand: &mut Stand) -> Outcome<String> {
    // Every way in which the six ends of three chunks can lie to each other on a short line.
    let spans: Vec<(usize, usize)> =
        (1..5).flat_map(|start| (start + 1..6).map(move |end| (start, end))).collect();
    let mut all = Vec::new();
    for &(a, b) in &spans {
        for &(c, d) in &spans {
            for &(e, f) in spans.iter().step_by(2) {
                all.push(vec![(a, b, A), (c, d, B), (e, f, C)]);
            }
        }
    }
    agreeing(stand, &all).because("message")?;
    for copies in all.iter().step_by(CONTRADICTING) {
        contradicting(stand, copies)?;
    }
    Ok(format!("{} triples", all.len()))
}

fn after(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.send(&peer, 0, b"NOOP\r\n");
    stand.send(&peer, 0, b"EXPN\r\n");
    stand.deliver(&mut peer, b"NOOP\r\n")?;
    stand.send(&peer, 0, b"EXPN\r\n");
    stand.finish(&mut peer, b"NOOP\r\nQUIT\r\n")
}

/// Does something while the server's host loses everything this client sends.
fn while_lost(stand: &mut Stand, peer: &Peer, act: impl FnOnce(&mut Stand) -> Outcome) -> Outcome {
    let program = if stand.family == Family::V4 { "iptables" } else { "ip6tables" };
    let port = peer.local.port().to_string();
    let rules = |words: &[&str]| run(Side::Server.command(program, &["-w"]).args(words), PATIENCE);
    let rule = ["INPUT", "-p", "tcp", "--sport", &port, "-j", "DROP"];
    rules(&[&["-A"], &rule[..]].concat())?;
    let done = act(stand);
    // What was sent must have come there before the rule goes.
    let lost = wait_until("a packet is lost", PATIENCE, || {
        let counts = rules(&["-nvxL", "INPUT"])?;
        let row = counts.lines().find(|row| row.contains(&port)).because(&counts)?;
        Ok((row.split_whitespace().next() != Some("0")).then_some(()))
    });
    rules(&[&["-D"], &rule[..]].concat())?;
    done.and(lost)
}

fn lost(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    while_lost(stand, &peer, |stand| {
        stand.send(&peer, 0, b"NOOP\r\n");
        Ok(())
    })?;
    stand.wait(&mut peer, 5);
    ensure(stand.read_by_server(&peer).is_empty(), || "copy 1 was not lost".to_owned())?;
    stand.deliver(&mut peer, b"EXPN\r\n")?;
    stand.finish(&mut peer, b"NOOP\r\nQUIT\r\n")
}

fn unmask(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    while_lost(stand, &peer, |stand| {
        stand.send(&peer, 0, b"VRFY root\r\n");
        Ok(())
    })?;
    stand.deliver(&mut peer, b"NOOP xxxx\r\n")?;
    stand.finish(&mut peer, b"VRFY root\r\nQUIT\r\n")
}

fn swap(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.send(&peer, 0, b"NO");
    stand.send(&peer, 4, b"\r\n");
    stand.send(&peer, 2, b"OB\r\n");
    stand.send(&peer, 2, b"OP\r\n");
    stand.deliver(&mut peer, b"NOOB\r\n")?;
    stand.finish(&mut peer, b"NOOB\r\nQUIT\r\n")
}

fn below(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.deliver(&mut peer, b"VRFY root\r\n")?;
    stand.wait(&mut peer, 20);
    let repeated = peer.repeated;
    stand.send(&peer, 0, b"NOOP xxxx\r\n");
    stand.until("an ACK", &mut peer, |peer| peer.repeated > repeated)?;
    stand.finish(&mut peer, b"VRFY root\r\nQUIT\r\n")
}

fn straddle(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.deliver(&mut peer, b"NOOP\r\n")?;
    stand.wait(&mut peer, 5);
    stand.send(&peer, 3, b"N\r\nVRFY");
    stand.finish(&mut peer, b"NOOP\r\nVRFY root\r\nQUIT\r\n")
}

fn probe(stand: &mut Stand) -> Outcome<String> {
    let (mut peer, mut stream) = in_data(stand, "DATA held")?;
    while peer.window > 0 {
        ensure(stream.len() < 1_000_000, || "the window does not close".to_owned())?;
        let size = usize::from(peer.window.min(16_000));
        stream.extend_from_slice(&vec![b'x'; size]);
        stand.deliver(&mut peer, &stream)?;
        stand.wait(&mut peer, 2);
    }
    let edge = stream.len() as u64;
    stand.send(&peer, edge, b"Z");
    stand.wait(&mut peer, 20);
    stand.send(&peer, edge, b"Y");
    stand.release();
    stand.until("the window opens", &mut peer, |peer| peer.window > 0)?;
    stream.extend_from_slice(b"Zreal\r\n.\r\nQUIT\r\n");
    stand.finish(&mut peer, &stream)
}
