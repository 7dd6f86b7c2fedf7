//! What is done for each packet asks no allocator for memory, once a flow has seen its like: an
//! ACK, a command, text of any length. A reply and a masked line ask once.

use std::net::SocketAddr;

use crate::support::packet::{ACK, PSH, SYN, arrival, tcp_packet};
use crate::support::rig::settings;
use mailguard::engine::{Arrival, Effects, Engine, Verdict};
use mailguard::time::Instant;
use mailguard::wire::Checksum;

/// One connection, on which both ends acknowledge all they get.
struct Line {
    engine: Engine,
    effects: Effects,
    ends: [SocketAddr; 2],
    /// What each end sends next.
    next: [u32; 2],
}

impl Line {
    fn open(profile: &str) -> Self {
        let ends = ["192.0.2.1:40000".parse().unwrap(), "198.51.100.2:25".parse().unwrap()];
        let (engine, effects) = (Engine::new(settings(profile), 1), Effects::of_worker(0, false));
        let mut line = Self { engine, effects, ends, next: [99, 999] };
        // Windows of a GiB.
        let options = [2, 4, 5, 180, 3, 3, 14, 1];
        for (from, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
            let options: &[u8] = if flags & SYN == 0 { &[] } else { &options };
            line.packet(from, flags, options, b"");
            line.next[from] += u32::from(flags & SYN != 0);
        }
        line
    }

    /// How often memory was asked for on behalf of a packet.
    fn packet(&mut self, from: usize, flags: u8, options: &[u8], data: &[u8]) -> u64 {
        let (source, destination) = (self.ends[from], self.ends[1 - from]);
        let [seq, ack] = [self.next[from], self.next[1 - from]];
        let bytes = tcp_packet(source, destination, seq, ack, flags, options, data);
        let arrival = Arrival { checksum: Checksum::Complete, ..arrival(&bytes) };
        let now = Instant::from_seconds(1_000);
        let mut verdict = Verdict::Accept;
        let asked = allocation_counter::measure(|| {
            verdict = self.engine.handle(now, &arrival, &mut self.effects);
        });
        assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
        assert_eq!(self.effects.withheld, None);
        self.next[from] += data.len() as u32;
        asked.count_total
    }

    /// The same for a line or some text, and for the ACK that answers it.
    fn say(&mut self, from: usize, data: &[u8]) -> [u64; 2] {
        let said = self.packet(from, ACK | PSH, &[], data);
        [said, self.packet(1 - from, ACK, &[], b"")]
    }

    /// A mail on the open connection: what was asked for by each packet.
    fn mail(&mut self) -> Vec<(String, [u64; 2])> {
        let text = b"Some text of a message, as long as most lines of messages are here.\r\n";
        let text = |length: usize| text.iter().copied().cycle().take(length).collect::<Vec<u8>>();
        let (segment, bulk) = (text(1_448), text(65_000));
        let turns: [(usize, &[u8]); 14] = [
            (0, b"MAIL FROM:<somebody@example.net>\r\n"),
            (1, b"250 2.1.0 Ok\r\n"),
            (0, b"RCPT TO:<somebody@example.org>\r\n"),
            (1, b"250 2.1.5 Ok\r\n"),
            (0, b"VRFY root\r\n"),
            (1, b"500 5.5.2 Error: command not recognized\r\n"),
            (0, b"DATA\r\n"),
            (1, b"354 End data with <CR><LF>.<CR><LF>\r\n"),
            (0, &segment),
            (0, &bulk),
            (0, b"\r\n.\r\n"),
            (1, b"250 2.0.0 Ok: queued as 4F9D195432C7\r\n"),
            (0, b"RSET\r\n"),
            (1, b"250 2.0.0 Ok\r\n"),
        ];
        let name = |data: &[u8]| String::from_utf8_lossy(data.get(..20).unwrap_or(data)).into();
        turns.iter().map(|(from, data)| (name(data), self.say(*from, data))).collect()
    }
}

#[test]
fn what_comes_again_asks_for_no_memory() {
    for (profile, hello) in [("mailguard", &b"HELO client\r\n"[..]), ("esmtp", b"EHLO client\r\n")]
    {
        let mut line = Line::open(profile);
        line.say(1, b"220 mail.example.org ESMTP Postfix\r\n");
        line.say(0, hello);
        line.say(1, b"250 mail.example.org\r\n");
        let first = line.mail();
        assert!(first.iter().any(|(_, asked)| *asked != [0, 0]), "nobody counts");
        for (said, asked) in line.mail() {
            // A reply is read by a reader of its own, a masked line drafted on a sheet of its own.
            let most = u64::from(said.starts_with(|c: char| c.is_ascii_digit() || c == 'V'));
            assert!(
                asked[0] <= most && asked[1] == 0,
                "{profile}: {said:?} and its ACK: {asked:?}"
            );
        }
    }
}
