//! Captures of mail for the replays: many connections side by side, every packet honest.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::support::packet::{ACK, FIN, PSH, SYN, tcp_packet};

/// What a capture is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tape {
    pub(crate) name: &'static str,
    pub(crate) mails: u32,
    /// Octets of each mail's text.
    pub(crate) octets: usize,
}

/// A capture that was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// One connection under construction.
struct Talk {
    ends: [SocketAddr; 2],
    /// What the client sends next, and the server.
    numbers: [u32; 2],
    packets: Vec<Vec<u8>>,
}

impl Tape {
    /// Writes it, as a classic capture of Ethernet frames.
    pub(crate) fn write(self, path: &Path) -> io::Result<Written> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut written = Written::default();
        file.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        file.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])?;
        for first in (0..self.mails).step_by(SIDE_BY_SIDE) {
            let last = self.mails.min(first + SIDE_BY_SIDE as u32);
            let talks: Vec<Talk> =
                (first..last).map(|number| Talk::of_one_mail(number, self.octets)).collect();
            let longest = talks.iter().map(|talk| talk.packets.len()).max().unwrap_or(0);
            for turn in 0..longest {
                for packet in talks.iter().filter_map(|talk| talk.packets.get(turn)) {
                    written.record(&mut file, packet)?;
                }
            }
        }
        file.flush()?;
        Ok(written)
    }
}

impl Written {
    fn record(&mut self, file: &mut impl Write, packet: &[u8]) -> io::Result<()> {
        // A hundred thousand packets a second.
        let (second, micros) = (self.packets / 100_000, self.packets % 100_000 * 10);
        let length = (ETHERNET.len() + packet.len()) as u32;
        for number in [1_700_000_000 + second as u32, micros as u32, length, length] {
            file.write_all(&number.to_le_bytes())?;
        }
        file.write_all(&ETHERNET)?;
        file.write_all(packet)?;
        self.packets += 1;
        self.bytes += u64::from(length);
        Ok(())
    }
}

impl Talk {
    fn of_one_mail(number: u32, octets: usize) -> Self {
        let [_, a, b, c] = (number / 50_000).to_be_bytes();
        let client =
            SocketAddr::new(IpAddr::from([10, a, b, c]), 10_000 + (number % 50_000) as u16);
        let server = SocketAddr::new(IpAddr::from([198, 51, 100, 2]), 25);
        let numbers = [number.wrapping_mul(2_654_435_761), !number];
        let mut talk = Self { ends: [client, server], numbers, packets: Vec::new() };
        talk.packet(CLIENT, SYN, &MSS, &[]);
        talk.packet(SERVER, SYN | ACK, &MSS, &[]);
        talk.packet(CLIENT, ACK, &[], &[]);
        talk.say(SERVER, b"220 mail.example.org ESMTP\r\n");
        talk.packet(CLIENT, ACK, &[], &[]);
        for (asked, answered) in DIALOGUE {
            talk.say(CLIENT, asked);
            talk.say(SERVER, answered);
        }
        for (count, segment) in text(octets).chunks(MTU).enumerate() {
            talk.say(CLIENT, segment);
            // An ACK for every second segment, as receivers do it.
            if count % 2 == 1 {
                talk.packet(SERVER, ACK, &[], &[]);
            }
        }
        talk.say(SERVER, b"250 2.0.0 Ok: queued\r\n");
        talk.say(CLIENT, b"QUIT\r\n");
        talk.say(SERVER, b"221 2.0.0 Bye\r\n");
        talk.packet(CLIENT, FIN | ACK, &[], &[]);
        talk.packet(SERVER, FIN | ACK, &[], &[]);
        talk.packet(CLIENT, ACK, &[], &[]);
        talk
    }

    fn say(&mut self, from: usize, bytes: &[u8]) {
        self.packet(from, ACK | PSH, &[], bytes);
    }

    fn packet(&mut self, from: usize, flags: u8, options: &[u8], bytes: &[u8]) {
        let to = 1 - from;
        let (ends, numbers) = (self.ends, self.numbers);
        let ack = if flags & ACK == 0 { 0 } else { numbers[to] };
        self.packets.push(tcp_packet(
            ends[from],
            ends[to],
            numbers[from],
            ack,
            flags,
            options,
            bytes,
        ));
        let taken = bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.numbers[from] = numbers[from].wrapping_add(taken);
    }
}

/// A mail's text and its end.
fn text(octets: usize) -> Vec<u8> {
    let header = b"From: sender@domain1.com\r\nTo: someone@domain2.com\r\nSubject: bench\r\n\r\n";
    let line = b"Some text of a message, as long as most lines of messages are here.\r\n";
    let mut text = header.to_vec();
    while text.len() < octets {
        text.extend(line);
    }
    text.extend(b".\r\n");
    text
}

const DIALOGUE: [(&[u8], &[u8]); 4] = [
    (b"HELO mail.domain1.com\r\n", b"250 mail.example.org\r\n"),
    (b"MAIL FROM:<sender@domain1.com>\r\n", b"250 2.1.0 Ok\r\n"),
    (b"RCPT TO:<someone@domain2.com>\r\n", b"250 2.1.5 Ok\r\n"),
    (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
];

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// Payload of a full packet on Ethernet.
const MTU: usize = 1_448;

const MSS: [u8; 4] = [2, 4, 5, 180];

/// Connections that take turns.
const SIDE_BY_SIDE: usize = 10;

/// Two stations, and IPv4.
const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
