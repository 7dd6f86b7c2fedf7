//! H, and what only a kernel can show: clients of its own TCP, links that go down, Fast Open with a
//! real cookie, connections that a SYN cookie opens, and the reset that a policy asks for.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{BOTH, Case, EVIL, Peer, Stand, V4};
use crate::lab::{Because, End, Outcome, PATIENCE, Side, ensure, now, run, wrong};
use crate::support::packet::{ACK, PSH, RST, SYN};

pub(crate) const CASES: &[Case] = &[
    Case { id: "C02", name: "Fast Open with a real cookie", run: fast_open, families: V4 },
    Case { id: "C20", name: "text behind a RST, under SYN cookies", run: revived, families: BOTH },
    Case { id: "H01", name: "Nagle client without probes", run: nagle, families: V4 },
    Case { id: "H02", name: "one character at a time", run: characters, families: V4 },
    Case { id: "H03", name: "server that delays its ACKs", run: slow_server, families: V4 },
    Case { id: "H07", name: "server's link down for 2 s", run: link_down, families: V4 },
];

/// Those that want `split_action = "reset"`.
pub(crate) const RESETTING: &[Case] =
    &[Case { id: "H08", name: "reset action", run: reset_action, families: V4 }];

fn fast_open(stand: &mut Stand) -> Outcome<String> {
    // Without the filter the server's application reads what the SYN carried.
    stand.guard.rules("down")?;
    let asked = fetch_cookie(stand).and_then(|cookie| {
        let mut bare = with_cookie(stand, &cookie, b"NOOP\r\n")?;
        let read = stand.until_read(&mut bare, b"NOOP\r\n".len());
        read.because("no Fast Open without the filter, so nothing shown")?;
        stand.clear();
        Ok(cookie)
    });
    stand.guard.rules("up")?;
    let cookie = asked?;
    let mut guarded = with_cookie(stand, &cookie, b"VRFY r\r\n")?;
    ensure(stand.visits(&guarded).is_empty(), || "accepted before the handshake".to_owned())?;
    let syn = stand.wire.of(guarded.local).next().because("no SYN left")?;
    ensure(syn.payload.is_empty(), || "the SYN left with data".to_owned())?;
    stand.tun.send(&guarded.flagged(0, &[], ACK));
    stand.finish(&mut guarded, EVIL)
}

/// A server that answers every SYN with a cookie takes any segment for the third packet whose two
/// numbers have the right difference, once it has forgotten the connection.
fn revived(stand: &mut Stand) -> Outcome<String> {
    Side::Server.set("ipv4/tcp_syncookies", "2")?;
    stand.guard.rules("down")?;
    let bare = speak_behind_a_reset(stand, 0).and_then(|read| {
        ensure(read.iter().any(|read| read == TEXT), || "the server falls for nothing".to_owned())
    });
    stand.clear();
    stand.guard.rules("up")?;
    bare?;
    for beside in -3..=3 {
        let read = speak_behind_a_reset(stand, beside)?;
        ensure(read.is_empty(), || format!("{beside}: taken for another connection"))?;
    }
    Side::Server.set("ipv4/tcp_syncookies", "1")?;
    // A RST that nobody takes changes nothing.
    let mut peer = stand.connected()?;
    let seq = peer.seq(0).wrapping_add(500);
    stand.tun.send(&peer.raw((seq, 0), RST, &[], &[]));
    stand.finish(&mut peer, EVIL)
}

/// What a server would read as a command.
const TEXT: &[u8] = b"HELP me\r\n";

/// A line in the middle of a message, behind a RST that the server has taken, with an ACK so far
/// beside what its cookie fits; what the server read, connection by connection.
fn speak_behind_a_reset(stand: &mut Stand, beside: i32) -> Outcome<Vec<Vec<u8>>> {
    let mut peer = stand.connected()?;
    let begin = b"HELO c\r\nNOOP\r\nNOOP\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n";
    stand.deliver(&mut peer, begin)?;
    stand.until("354", &mut peer, |peer| peer.heard.ends_with(b"354 go on\r\n"))?;
    let at = peer.acknowledged;
    ensure(peer.heard.len() as u64 > at + 3, || "too little was said".to_owned())?;
    stand.tun.send(&peer.raw((peer.seq(at), 0), RST, &[], &[]));
    stand.until_ended(&mut peer)?;
    let first = peer.answer.because("no SYN/ACK")?.wrapping_add(1);
    let ack = first.wrapping_add(at as u32).wrapping_add_signed(beside);
    let before = stand.visits(&peer).len();
    for _ in 0..3 {
        stand.tun.send(&peer.raw((peer.seq(at), ack), ACK | PSH, &[], TEXT));
        stand.wait(&mut peer, 20);
    }
    let visits = stand.visits(&peer);
    Ok(visits.into_iter().skip(before).map(|visit| visit.received).collect())
}

/// Asks the server for its cookie, while no filter stands between.
fn fetch_cookie(stand: &mut Stand) -> Outcome<Vec<u8>> {
    let mut asking = stand.peer();
    asking.local.set_ip([203, 0, 113, 250].into());
    asking.syn_options = vec![2, 4, 5, 180, 34, 2, 1, 1];
    stand.tun.send(&asking.syn());
    stand.until("SYN/ACK", &mut asking, |asking| asking.answer.is_some())?;
    let options = asking.inbox.first().map(|seen| seen.options.clone()).unwrap_or_default();
    let at = options.windows(2).position(|pair| pair == [34, 10]).because("no cookie")?;
    let cookie = options[at..at + 10].to_vec();
    // From here on only what the filter lets through is judged.
    stand.clear();
    Ok(cookie)
}

/// Says something in a SYN with the cookie, and waits for the answer.
fn with_cookie(stand: &mut Stand, cookie: &[u8], data: &[u8]) -> Outcome<Peer> {
    let mut peer = stand.peer();
    peer.local.set_ip([203, 0, 113, 250].into());
    let options = [&[2, 4, 5, 180][..], cookie, &[1, 1]].concat();
    stand.tun.send(&peer.raw((peer.isn, 0), SYN, &options, data));
    // An ACK of the data is an answer, too.
    let answer = |peer: &Peer| peer.inbox.iter().find(|seen| seen.has(SYN)).map(|seen| seen.seq);
    stand.until("SYN/ACK", &mut peer, |peer| answer(peer).is_some())?;
    peer.answer = answer(&peer);
    // The SYN was on the server's wire before its answer was on ours.
    stand.look();
    Ok(peer)
}

/// A client of the kernel's own TCP that has read the banner.
fn kernel_client(stand: &Stand) -> Outcome<TcpStream> {
    let server = stand.family.server();
    let mut stream = Side::Client.within(|| Ok(TcpStream::connect(server)?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut banner = [0; 100];
    ensure(stream.read(&mut banner)? > 0, || "no banner".to_owned())?;
    Ok(stream)
}

fn nagle(stand: &mut Stand) -> Outcome<String> {
    Side::Client.set("ipv4/tcp_early_retrans", "0")?;
    // What waits for the client's timer does so each time; where the machine is busy it runs out
    // now and then.
    for tries in 1..=TRIES {
        let mut stream = kernel_client(stand)?;
        let repeated = || Side::Client.tcp_counter("RetransSegs");
        let before = repeated()?;
        stream.write_all(b"HEL")?;
        stream.write_all(b"O x\r\n")?;
        let mut reply = [0; 100];
        let count = stream.read(&mut reply)?;
        ensure(reply[..count].starts_with(b"250"), || reply.escape_ascii().to_string())?;
        if repeated()? == before {
            return Ok(format!("answered with nothing repeated, try {tries}"));
        }
    }
    wrong(format!("each of {TRIES} times something had to be repeated"))
}

const TRIES: usize = 20;

fn characters(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let line = b"HELO c\r\nVRFY\r\n";
    let start = now();
    for at in 0..line.len() {
        stand.send(&peer, at as u64, &line[at..=at]);
        stand.until("ACK", &mut peer, |peer| peer.acknowledged > at as u64)?;
    }
    let millis = start.elapsed().as_millis() / line.len() as u128;
    stand.finish(&mut peer, line).map(|_| format!("each acknowledged, {millis} ms on average"))
}

fn slow_server(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let stream: &[u8] = b"NOOP 200\r\nNOOP 200\r\nVRFY root\r\nQUIT\r\n";
    stand.finish(&mut peer, stream)
}

fn link_down(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut stream = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n".to_vec();
    stand.deliver(&mut peer, &stream)?;
    let change = |words: &[&str]| run(&mut Side::Server.command("ip", words), PATIENCE);
    change(&["link", "set", "s0", "down"])?;
    stream.extend_from_slice(&b"a line of the message under way\r\n".repeat(500));
    let base = peer.acknowledged;
    for _ in 0..20 {
        stand.send(&peer, base, &stream[usize::try_from(base).unwrap_or(0)..][..1000]);
        stand.wait(&mut peer, 100);
    }
    change(&["link", "set", "s0", "up"])?;
    change(&["route", "add", "default", "via", "198.51.100.1"])?;
    stream.extend_from_slice(b".\r\nQUIT\r\n");
    stand.finish(&mut peer, &stream)
}

fn reset_action(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let begin = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n";
    stand.deliver(&mut peer, begin)?;
    stand.until("354", &mut peer, |peer| peer.heard.ends_with(b"354 go on\r\n"))?;
    let base = begin.len() as u64;
    stand.send(&peer, base, b"hello\r\n.");
    stand.send(&peer, base + 8, b"\r\n");
    stand.until("RST", &mut peer, |peer| peer.reset.is_some())?;
    let exact = peer.expects();
    ensure(peer.reset == Some(exact), || format!("{:?} is not {exact}", peer.reset))?;
    let end = stand.until_ended(&mut peer)?.end;
    ensure(end == Some(End::Broken), || format!("the server's end: {end:?}"))?;
    Ok("both ends reset at once, at the exact number".to_owned())
}
