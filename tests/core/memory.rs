//! What flows cost in memory, at 100,000 of them: measured on the process itself, so everything
//! counts (tables, locks, queues, the allocator's own share).
//!
//! Alone in its process: another test's memory would be measured too.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]

use std::net::{Ipv4Addr, SocketAddr};

use crate::support::again::alone;
use crate::support::packet::{ACK, PSH, SYN, arrival, tcp_packet};
use crate::support::rig::settings;
use crate::support::tls::session;
use mailguard::engine::{Effects, Engine, Settings, Verdict};
use mailguard::flow::Direction;
use mailguard::time::Instant;

const FLOWS: u32 = 100_000;

/// What an established flow may cost while nothing is in flight.
const IDLE_BYTES_MAX: usize = 680;

/// How much more one may cost under TLS.
const TLS_BYTES_MAX: usize = 400;

/// Bytes of message data in flight in each flow of the bulk measurement.
const BULK_BYTES: usize = 14_600;

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let row = status.lines().find_map(|row| row.strip_prefix("VmRSS:")).unwrap();
    row.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

struct Load {
    engine: Engine,
    effects: Effects,
}

impl Load {
    fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings, 1), effects: Effects::default() }
    }

    fn packet(&mut self, flow: u32, from_client: bool, numbers: [u32; 2], flags: u8, data: &[u8]) {
        let client = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + flow / 50_000), 0));
        let client = SocketAddr::new(client.ip(), 1_024 + (flow % 50_000) as u16);
        let server: SocketAddr = "198.51.100.2:25".parse().unwrap();
        let (source, destination) = if from_client { (client, server) } else { (server, client) };
        let bytes = tcp_packet(source, destination, numbers[0], numbers[1], flags, &[], data);
        let arrival = arrival(&bytes);
        let now = Instant::from_seconds(1_000);
        let verdict = self.engine.handle(now, &arrival, &mut self.effects);
        assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
    }

    fn open(&mut self, flow: u32) {
        self.packet(flow, true, [99, 0], SYN, b"");
        self.packet(flow, false, [999, 100], SYN | ACK, b"");
        self.packet(flow, true, [100, 1_000], ACK, b"");
    }

    /// Greeting, HELO, MAIL, RCPT and DATA, all acknowledged.
    fn talk(&mut self, flow: u32) {
        let [mut client, mut server] = [100, 1_000];
        for (from_client, line) in [
            (false, &b"220 mail.example.org ESMTP Postfix\r\n"[..]),
            (true, b"HELO client.example.net\r\n"),
            (false, b"250 mail.example.org\r\n"),
            (true, b"MAIL FROM:<somebody@example.net>\r\n"),
            (false, b"250 2.1.0 Ok\r\n"),
            (true, b"RCPT TO:<somebody@example.org>\r\n"),
            (false, b"250 2.1.5 Ok\r\n"),
            (true, b"DATA\r\n"),
            (false, b"354 End data with <CR><LF>.<CR><LF>\r\n"),
        ] {
            let numbers = if from_client { [client, server] } else { [server, client] };
            self.packet(flow, from_client, numbers, ACK | PSH, line);
            let counter = if from_client { &mut client } else { &mut server };
            *counter += line.len() as u32;
        }
        self.packet(flow, true, [client, server], ACK, b"");
    }

    /// STARTTLS and a recorded session, all acknowledged.
    fn encrypt(&mut self, flow: u32, flights: &[(Direction, Vec<u8>)]) {
        let [mut client, mut server] = [100, 1_000];
        let greeting = [
            (Direction::Reply, b"220 mail.example.org ESMTP Postfix\r\n".to_vec()),
            (Direction::Original, b"EHLO client.example.net\r\n".to_vec()),
            (Direction::Reply, b"250-mail.example.org\r\n250 STARTTLS\r\n".to_vec()),
            (Direction::Original, b"STARTTLS\r\n".to_vec()),
            (Direction::Reply, b"220 2.0.0 Ready to start TLS\r\n".to_vec()),
        ];
        for (from, said) in greeting.iter().chain(flights) {
            let from_client = *from == Direction::Original;
            let numbers = if from_client { [client, server] } else { [server, client] };
            self.packet(flow, from_client, numbers, ACK | PSH, said);
            let counter = if from_client { &mut client } else { &mut server };
            *counter += said.len() as u32;
        }
        self.packet(flow, true, [client, server], ACK, b"");
        self.packet(flow, false, [server, client], ACK, b"");
    }

    /// Message data that nobody acknowledges.
    fn send_bulk(&mut self, flow: u32) {
        let line = b"Some text of a message, as long as most lines of messages are.\r\n";
        let data: Vec<u8> = line.iter().copied().cycle().take(1_460).collect();
        for segment in 0..BULK_BYTES as u32 / 1_460 {
            // 100 + HELO, MAIL, RCPT and DATA; 1,000 + the server's lines.
            self.packet(flow, true, [100 + 97 + segment * 1_460, 1_000 + 123], ACK, &data);
        }
    }
}

#[test]
fn an_idle_flow_costs_at_most_680_bytes() {
    alone(|| idle_flows("mailguard"));
}

#[test]
fn an_idle_flow_under_esmtp_costs_at_most_680_bytes() {
    alone(|| idle_flows("esmtp"));
}

fn idle_flows(profile: &str) {
    let mut limits = settings(profile);
    limits.limits.flows_max = FLOWS as usize;
    limits.limits.handshakes_max = FLOWS as usize * 2;
    limits.limits.store_bytes_max = 4 << 30;
    let mut load = Load::new(limits);

    let start = resident();
    for flow in 0..FLOWS {
        load.packet(flow, true, [99, 0], SYN, b"");
    }
    let handshake = (resident() - start) / FLOWS as usize;

    for flow in 0..FLOWS {
        load.open(flow);
    }
    // The handshakes' own memory stays, so what grows is the flows'.
    let opened = resident();
    let open = (opened - start) / FLOWS as usize - handshake;
    for flow in 0..FLOWS {
        load.talk(flow);
    }
    let idle = (resident() - start) / FLOWS as usize - handshake;
    assert_eq!(load.engine.stats().store_bytes_now, 0);

    let idle_resident = resident();
    let bulk_flows = FLOWS / 20;
    for flow in 0..bulk_flows {
        load.send_bulk(flow);
    }
    let bulk = (resident() - idle_resident) / bulk_flows as usize + idle;
    println!(
        "{profile}, {FLOWS} flows, bytes: {handshake} a handshake record, {open} a flow just \
     opened, {idle} an idle flow, {bulk} a flow with {BULK_BYTES} bytes in flight"
    );
    assert!(idle <= IDLE_BYTES_MAX, "an idle flow costs {idle} bytes");
    assert!(bulk <= idle + 3 * BULK_BYTES, "a flow in bulk transfer costs {bulk} bytes");
}

/// From far to near, each ahead of a gap, which closes then: the receiver has acknowledged nothing.
#[test]
fn bytes_that_came_one_by_one_are_as_heavy_as_they_are_counted() {
    alone(|| {
        const BYTES: u32 = 10_000;
        let mut load = Load::new(settings("mailguard"));
        let mut grown = 0;
        for flow in 0..40 {
            load.open(flow);
            load.talk(flow);
            let start = resident();
            let [client, server] = [100 + 97, 1_000 + 123];
            load.packet(flow, true, [client, server], ACK, b"Subject: a\r\n\r\n");
            for at in (0..BYTES).rev() {
                load.packet(flow, true, [client + 14 + at, server], ACK, b"a");
            }
            // What is free again behind the first is there for the others.
            grown += if flow > 0 { resident().saturating_sub(start) } else { 0 };
        }
        let counted = load.engine.stats().store_bytes_now as usize;
        assert!(counted >= 40 * BYTES as usize, "{counted} bytes are counted");
        assert!(grown <= 4 * counted, "{grown} bytes for {counted}");
    });
}

#[test]
fn an_idle_flow_under_tls_costs_at_most_400_bytes_more() {
    alone(|| {
        const COUNT: u32 = 10_000;
        let flights = session("tls13");
        let flights = &flights[..4];
        let mut load = Load::new(settings("esmtp"));
        // What is made once, is made before.
        load.open(COUNT);
        load.encrypt(COUNT, flights);
        let start = resident();
        for flow in 0..COUNT {
            load.open(flow);
            load.talk(flow);
        }
        let clear = (resident() - start) / COUNT as usize;
        let start = resident();
        for flow in 2 * COUNT..3 * COUNT {
            load.open(flow);
            load.encrypt(flow, flights);
        }
        let sealed = (resident() - start) / COUNT as usize;
        assert_eq!(load.engine.stats().store_bytes_now, 0);
        assert_eq!(load.engine.stats().tls_agreed, 0, "they have not ended");
        println!("{COUNT} idle flows: {clear} bytes each in clear, {sealed} under TLS");
        assert!(sealed <= clear + TLS_BYTES_MAX, "{clear} in clear, {sealed} under TLS");
    });
}
