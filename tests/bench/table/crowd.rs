//! Crafted connections on the gateway: thousands that stand open and say nothing, and SYNs that
//! tell when a filter gives its first verdict.
//!
//! Both ends are ours, a TUN device each, so that no kernel's sockets stand in the way of the
//! numbers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use etherparse::{Ipv4Slice, TcpSlice};

use crate::lab::{Outcome, PATIENCE, Side, Tun, ensure, now, run, wait_until};
use crate::support::packet::{ACK, PSH, SYN, tcp_packet};

/// Both ends of all of them.
pub(crate) struct Crowd {
    clients: Tun,
    servers: Tun,
    /// The port of the next SYN that nobody answers.
    port: u16,
}

/// What is to be known of a packet that came.
struct Seen {
    source: SocketAddr,
    destination: SocketAddr,
    seq: u32,
    ack: u32,
    flags: u8,
    has_text: bool,
}

impl Crowd {
    /// Makes the devices; the calling thread must be on the gateway.
    pub(crate) fn open() -> Outcome<Self> {
        let clients = Tun::open(Side::Gateway, "t0", &["203.0.113.1/24"])?;
        let servers = Tun::open(Side::Gateway, "t1", &["198.18.0.1/24"])?;
        let words = ["route", "add", "10.0.0.0/8", "dev", "t0"];
        run(&mut Side::Gateway.command("ip", &words), PATIENCE)?;
        Ok(Self { clients, servers, port: 1024 })
    }

    /// Opens so many connections, each with a command that was acknowledged. They are the same
    /// ones each time, for another filter: the kernel has a place for each but once.
    pub(crate) fn fill(&mut self, count: u32) -> Outcome {
        for first in (0..count).step_by(BATCH) {
            let mut waiting: Vec<u32> = (first..count.min(first + BATCH as u32)).collect();
            for _ in 0..TRIES {
                let opened = self.try_to_open(&waiting);
                waiting.retain(|&number| !opened.contains(&client(number)));
            }
            ensure(waiting.is_empty(), || format!("{} connections do not open", waiting.len()))?;
        }
        Ok(())
    }

    /// Each step of the handshake for all of a batch; the clients whose command arrived.
    fn try_to_open(&mut self, batch: &[u32]) -> Vec<SocketAddr> {
        for &number in batch {
            let isn = number.wrapping_mul(2_654_435_761);
            self.clients.send(&tcp_packet(client(number), SERVER, isn, 0, SYN, &MSS, &[]));
        }
        for seen in collect(&mut self.servers, batch.len(), |seen| seen.flags == SYN) {
            let (isn, ack) = (!seen.seq, seen.seq.wrapping_add(1));
            let answer = tcp_packet(SERVER, seen.source, isn, ack, SYN | ACK, &MSS, &[]);
            self.servers.send(&answer);
        }
        let answered = collect(&mut self.clients, batch.len(), |seen| seen.flags == SYN | ACK);
        for seen in &answered {
            let (seq, ack) = (seen.ack, seen.seq.wrapping_add(1));
            let said = tcp_packet(seen.destination, SERVER, seq, ack, ACK | PSH, &[], COMMAND);
            self.clients.send(&said);
        }
        let opened = collect(&mut self.servers, answered.len(), |seen| seen.has_text);
        for seen in &opened {
            let ack = seen.seq.wrapping_add(COMMAND.len() as u32);
            self.servers.send(&tcp_packet(SERVER, seen.source, seen.ack, ack, ACK, &[], &[]));
        }
        collect(&mut self.clients, opened.len(), |seen| seen.flags == ACK);
        opened.iter().map(|seen| seen.source).collect()
    }

    /// Takes everything that is still under way.
    pub(crate) fn quiet(&mut self) {
        collect(&mut self.servers, usize::MAX, |_| true);
    }

    /// Waits until a SYN gets through, from now on.
    pub(crate) fn await_passage(&mut self) -> Outcome {
        wait_until("a SYN gets through", PATIENCE, || {
            let start = now();
            while start.elapsed() < PATIENCE {
                self.port = self.port.checked_add(1).unwrap_or(1024);
                let client = SocketAddr::new(IpAddr::from([10, 255, 0, 1]), self.port);
                self.clients.send(&tcp_packet(client, SERVER, 1, 0, SYN, &MSS, &[]));
                if self.servers.receive().is_some() {
                    return Ok(Some(()));
                }
                thread::sleep(Duration::from_micros(100));
            }
            Ok(None)
        })
    }
}

impl Seen {
    /// Reads an IPv4 packet with TCP in it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let ip = Ipv4Slice::from_slice(bytes).ok()?;
        let tcp = TcpSlice::from_slice(ip.payload().payload).ok()?;
        let end = |address: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(address), port);
        Some(Self {
            source: end(ip.header().source_addr(), tcp.source_port()),
            destination: end(ip.header().destination_addr(), tcp.destination_port()),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: tcp.slice().get(13).copied()?,
            has_text: !tcp.payload().is_empty(),
        })
    }
}

/// Takes so many packets of a kind, or those that come before it grows quiet.
fn collect(device: &mut Tun, count: usize, is_wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
    device.collect(count, |bytes| Seen::read(bytes).filter(&is_wanted))
}

/// A client that no other is.
fn client(number: u32) -> SocketAddr {
    let [_, a, b, c] = (number / 4).to_be_bytes();
    SocketAddr::new(IpAddr::from([10, a, b, c]), 10_000 + (number % 4) as u16)
}

/// The crafted server, behind the device `t1`.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 7)), 25);

const COMMAND: &[u8] = b"NOOP\r\n";

const MSS: [u8; 4] = [2, 4, 5, 180];

/// Connections opened at once.
const BATCH: usize = 250;

const TRIES: usize = 10;
