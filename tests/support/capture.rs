//! Captures for tests: built, never recorded.

use std::net::SocketAddr;

use super::packet::{ACK, FIN, PSH, SYN, tcp_packet};

/// One TCP connection as a recorder in the middle would see it.
pub struct Connection {
    ends: [SocketAddr; 2],
    next: [u32; 2],
    /// Each packet, in order.
    pub packets: Vec<Vec<u8>>,
}

/// The end that opened the connection, and the other one.
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

impl Connection {
    /// A connection with its handshake done.
    pub fn open(client: &str, server: &str) -> Self {
        Self::open_at([1_000, 5_000_000], client, server)
    }

    /// The same with these first numbers.
    pub fn open_at(next: [u32; 2], client: &str, server: &str) -> Self {
        let ends = [client.parse().unwrap(), server.parse().unwrap()];
        let mut connection = Self { ends, next, packets: Vec::new() };
        connection.send(CLIENT, SYN, b"");
        connection.send(SERVER, SYN | ACK, b"");
        connection.send(CLIENT, ACK, b"");
        connection
    }

    /// One segment from one end, at its place in the stream.
    pub fn send(&mut self, from: usize, flags: u8, payload: &[u8]) {
        let to = 1 - from;
        let ack = if flags & ACK == 0 { 0 } else { self.next[to] };
        let (src, dst) = (self.ends[from], self.ends[to]);
        self.packets.push(tcp_packet(src, dst, self.next[from], ack, flags, &[], payload));
        let length = u32::try_from(payload.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        self.next[from] = self.next[from].wrapping_add(length);
    }

    /// Data from one end, and the other's acknowledgement.
    pub fn say(&mut self, from: usize, payload: &str) {
        self.send(from, PSH | ACK, payload.as_bytes());
        self.send(1 - from, ACK, b"");
    }

    /// Both FINs and the last acknowledgement.
    pub fn close(&mut self) {
        self.send(CLIENT, FIN | ACK, b"");
        self.send(SERVER, FIN | ACK, b"");
        self.send(CLIENT, ACK, b"");
    }
}

/// A plain SMTP dialogue: one refused command, one message.
pub fn dialogue(client: &str, server: &str) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(client, server);
    for (from, line) in [
        (SERVER, "220 mail.example.org ESMTP 2002\r\n"),
        (CLIENT, "EHLO client.example.net\r\n"),
        (SERVER, "500 what?\r\n"),
        (CLIENT, "HELO client.example.net\r\n"),
        (SERVER, "250 mail.example.org\r\n"),
        (CLIENT, "MAIL FROM:<a@example.net>\r\n"),
        (SERVER, "250 OK\r\n"),
        (CLIENT, "RCPT TO:<b@example.org>\r\n"),
        (SERVER, "250 OK\r\n"),
        (CLIENT, "DATA\r\n"),
        (SERVER, "354 go on\r\n"),
        (CLIENT, "Subject: hello\r\n\r\nA line.\r\n.\r\n"),
        (SERVER, "250 queued\r\n"),
        (CLIENT, "QUIT\r\n"),
        (SERVER, "221 bye\r\n"),
    ] {
        connection.say(from, line);
    }
    connection.close();
    connection.packets
}

/// How a capture is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub is_ng: bool,
    pub is_big: bool,
    pub is_nanos: bool,
    pub link: u16,
    pub header_v4: &'static [u8],
    pub header_v6: &'static [u8],
}

/// Ethernet, little-endian, microseconds: what tcpdump writes.
pub const PLAIN: Layout = Layout {
    is_ng: false,
    is_big: false,
    is_nanos: false,
    link: 1,
    header_v4: &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
    header_v6: &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd],
};

/// The first packet's time: 2001-02-07 17:01:20 UTC, in microseconds; the others follow at 10 ms.
pub const START: u64 = 981_565_280_000_000;

impl Layout {
    /// A capture of IP packets.
    pub fn capture(&self, packets: &[Vec<u8>]) -> Vec<u8> {
        self.capture_of(packets, usize::MAX)
    }

    /// The same, of no more than these bytes of each frame.
    pub fn capture_of(&self, packets: &[Vec<u8>], snaplen: usize) -> Vec<u8> {
        let mut out = self.head();
        for (index, packet) in packets.iter().enumerate() {
            let header = if packet[0] >> 4 == 4 { self.header_v4 } else { self.header_v6 };
            let frame = [header, packet].concat();
            let original = u32::try_from(frame.len()).unwrap();
            let frame = &frame[..frame.len().min(snaplen)];
            let length = u32::try_from(frame.len()).unwrap();
            let micros = START + 10_000 * u64::try_from(index).unwrap();
            let unit = if self.is_nanos { 1_000 } else { 1 };
            if self.is_ng {
                let ticks = micros * unit;
                let words = [0, (ticks >> 32) as u32, ticks as u32, length, original];
                let mut body = self.words(&words);
                body.extend_from_slice(frame);
                out.extend(self.block(6, body));
            } else {
                let fraction = micros % 1_000_000 * unit;
                let words = [(micros / 1_000_000) as u32, fraction as u32, length, original];
                out.extend(self.words(&words));
                out.extend_from_slice(frame);
            }
        }
        out
    }

    fn head(&self) -> Vec<u8> {
        let link = u32::from(self.link);
        if !self.is_ng {
            let magic = if self.is_nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
            let version = if self.is_big { 0x0002_0004 } else { 0x0004_0002 };
            return self.words(&[magic, version, 0, 0, 262_144, link]);
        }
        let short = |value: u32| if self.is_big { value << 16 } else { value };
        let section = self.words(&[0x1a2b_3c4d, short(1), u32::MAX, u32::MAX]);
        let mut interface = self.words(&[short(link), 262_144]);
        if self.is_nanos {
            let option = if self.is_big { 0x0009_0001 } else { 0x0001_0009 };
            interface.extend(self.words(&[option]));
            interface.extend([9, 0, 0, 0, 0, 0, 0, 0]);
        }
        [self.block(0x0a0d_0d0a, section), self.block(1, interface)].concat()
    }

    fn block(&self, kind: u32, mut body: Vec<u8>) -> Vec<u8> {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap();
        [self.words(&[kind, length]), body, self.words(&[length])].concat()
    }

    fn words(&self, words: &[u32]) -> Vec<u8> {
        let bytes = |word: &u32| if self.is_big { word.to_be_bytes() } else { word.to_le_bytes() };
        words.iter().flat_map(bytes).collect()
    }
}
