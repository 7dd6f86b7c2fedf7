//! A piece of network that is slow, narrow and loses packets: a TUN device on a host, another one
//! on the gateway, and a thread that carries packets between them.
//!
//! What is lost depends on the seed, the number of the connection to its port, the direction and
//! the number of the packet, and on nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Because, Outcome, Side, Tun, now};

/// The host's address on the relayed network.
pub(crate) const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2));

/// The running relay.
pub(crate) struct Relay {
    /// Packets lost in a thousand.
    loss: Arc<AtomicU32>,
}

/// One of the two ways.
#[derive(Default)]
struct Way {
    under_way: VecDeque<(Instant, Vec<u8>)>,
    /// When the line is free again.
    free_at: Option<Instant>,
    counts: BTreeMap<(u16, u16), u64>,
}

/// What tells the connections to one port apart: the order of their appearance.
#[derive(Default)]
struct Connections(BTreeMap<u16, Vec<u16>>);

impl Relay {
    /// Puts it between a host (device `far`) and the gateway.
    pub(crate) fn start(side: Side, delay: Duration) -> Outcome<Self> {
        let loss = Arc::new(AtomicU32::new(0));
        let shared = Arc::clone(&loss);
        let (ready, opened) = channel();
        thread::spawn(move || {
            let devices = side
                .enter()
                .and_then(|()| Tun::open(side, "far", &["203.0.113.2/24"]))
                .and_then(|far| Side::Gateway.enter().map(|()| far))
                .and_then(|far| Ok((far, Tun::open(Side::Gateway, "near", &["203.0.113.1/24"])?)));
            match devices {
                Ok((far, near)) => {
                    let _ = ready.send(Ok(()));
                    carry([far, near], delay, &shared);
                }
                Err(failure) => drop(ready.send(Err(failure))),
            }
        });
        opened.recv().ok().because("the relay's thread")??;
        Ok(Self { loss })
    }

    /// Changes the losses; connections count anew.
    pub(crate) fn lose(&self, loss: u32) {
        self.loss.store(loss, Ordering::Relaxed);
    }
}

fn carry(mut devices: [Tun; 2], delay: Duration, loss: &AtomicU32) {
    let mut ways: [Way; 2] = Default::default();
    let mut connections = Connections::default();
    let mut last_loss = 0;
    loop {
        let loss = loss.load(Ordering::Relaxed);
        if loss != last_loss {
            (connections, last_loss) = (Connections::default(), loss);
            ways.iter_mut().for_each(|way| way.counts.clear());
        }
        let mut is_idle = true;
        let (time, [far, near]) = (now(), &mut devices);
        for (device, (number, way)) in [far, near].into_iter().zip(ways.iter_mut().enumerate()) {
            for packet in std::iter::from_fn(|| device.receive()).take(BURST) {
                is_idle = false;
                if !way.loses(&packet, number as u64, loss, &mut connections) {
                    way.admit(time, delay, packet);
                }
            }
        }
        let [far, near] = &mut devices;
        for (device, way) in [near, far].into_iter().zip(&mut ways) {
            while let Some((_, packet)) = way.under_way.pop_front_if(|(due, _)| *due <= time) {
                device.send(&packet);
                is_idle = false;
            }
        }
        if is_idle {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Way {
    /// A packet takes its turn on the line, unless too many wait for theirs.
    fn admit(&mut self, time: Instant, delay: Duration, packet: Vec<u8>) {
        let turn = self.free_at.map_or(time, |free_at| free_at.max(time));
        if turn.duration_since(time) < QUEUE_TIME_MAX {
            let free_at = turn + Duration::from_nanos(packet.len() as u64 * NANOS_PER_OCTET);
            self.free_at = Some(free_at);
            self.under_way.push_back((free_at + delay, packet));
        }
    }

    fn loses(
        &mut self,
        packet: &[u8],
        number: u64,
        loss: u32,
        connections: &mut Connections,
    ) -> bool {
        let Some([a, b, c, d]) = packet.get(20..24) else { return false };
        let ports = [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])];
        let [server, client] = if ports[0] < ports[1] { ports } else { [ports[1], ports[0]] };
        let count = self.counts.entry((server, client)).or_default();
        *count += 1;
        // Everybody gets a fair start.
        if *count <= SPARED {
            return false;
        }
        let connection = connections.number(server, client);
        let mixed = mix(connection << 1 | number).wrapping_add(*count);
        mix(mixed) % 1000 < u64::from(loss)
    }
}

impl Connections {
    fn number(&mut self, server: u16, client: u16) -> u64 {
        let known = self.0.entry(server).or_default();
        let place = known.iter().position(|&port| port == client).unwrap_or_else(|| {
            known.push(client);
            known.len() - 1
        });
        place as u64
    }
}

/// SplitMix64's finaliser: near numbers become far ones.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// 200 Mbit a second.
const NANOS_PER_OCTET: u64 = 40;

/// A packet that would have to wait longer is lost.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(40);

const SEED: u64 = 25;

/// Packets of a connection's beginning that are never lost, each way.
const SPARED: u64 = 12;

/// Packets taken at once from one side.
const BURST: usize = 64;
