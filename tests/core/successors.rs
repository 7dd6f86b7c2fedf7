//! A server that has lost its end of a flow unseen, and answers another SYN between the same ends:
//! no text that was judged as a message is read as commands.

use crate::bounds::limited;
use crate::support::crowd::{BEGIN, Crowd, Line};
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, tcp_packet};
use crate::support::random::Random;
use mailguard::engine::{Path, Verdict};
use mailguard::flow::Direction;
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::wire::{Packet, Parsed};

/// The largest scale there is: each end offers a gigabyte.
const SCALE: [u8; 4] = [3, 3, 14, 1];
const OFFERED: u32 = 64_240 << 14;
const REACH: u32 = 65_536;

/// A server that has answered a SYN, as Linux does (`tcp_check_req` in net/ipv4/tcp_minisocks.c).
struct Listener {
    /// The number it expects, and the one that its third packet acknowledges.
    next: [u32; 2],
    is_open: bool,
    /// What came in its window, by its distance from there.
    came: Vec<Option<u8>>,
}

impl Listener {
    fn new(next: [u32; 2]) -> Self {
        Self { next, is_open: false, came: vec![None; usize::from(u16::MAX)] }
    }

    fn take(&mut self, packet: &Packet<'_>) {
        let start = packet.seq.0.wrapping_sub(self.next[0]).cast_signed();
        let length = packet.payload().len() as i32 + i32::from(packet.flags.fin);
        let is_in_window =
            start == 0 || (start < self.came.len() as i32 && start.saturating_add(length) > 0);
        if packet.flags.rst || packet.flags.syn || !is_in_window {
            return;
        }
        // Open, it minds no ACK that is old.
        self.is_open |= packet.ack.0 == self.next[1];
        if self.is_open {
            for (at, &byte) in (start..).zip(packet.payload()) {
                if let Ok(at) = usize::try_from(at)
                    && let Some(place) = self.came.get_mut(at)
                {
                    place.get_or_insert(byte);
                }
            }
        }
    }

    /// Whether its program reads more than blanks.
    fn reads_text(&self) -> bool {
        self.came.iter().map_while(|byte| *byte).any(|byte| byte != b'X')
    }
}

/// A flow in the middle of a message.
struct Play {
    crowd: Crowd,
    line: Line,
    isn: [u32; 2],
    /// How much of each side was said, and how much of that was acknowledged.
    said: [u32; 2],
    acknowledged: [u32; 2],
}

const fn index(from: Direction) -> usize {
    match from {
        C => 0,
        S => 1,
    }
}

impl Play {
    fn new(isn: [u32; 2]) -> Self {
        let crowd = Crowd::new(limited(|_| {}));
        let line = Line::new("192.0.2.1", 40_000);
        let mut play = Self { crowd, line, isn, said: [0; 2], acknowledged: [0; 2] };
        play.handshake(isn);
        let _ = play.send(C, [isn[0].wrapping_add(1), isn[1].wrapping_add(1)], ACK, b"");
        for (from, text) in BEGIN {
            play.say(from, text);
            play.hear(from);
        }
        play
    }

    /// A SYN and its answer.
    fn handshake(&mut self, [client, server]: [u32; 2]) {
        let _ = self.send(C, [client, 0], SYN, b"");
        let _ = self.send(S, [server, client.wrapping_add(1)], SYN | ACK, b"");
    }

    fn number(&self, from: Direction, at: u32) -> u32 {
        self.isn[index(from)].wrapping_add(1).wrapping_add(at)
    }

    fn say(&mut self, from: Direction, text: &[u8]) {
        let seq = self.number(from, self.said[index(from)]);
        let ack = self.number(from.other(), self.acknowledged[index(from.other())]);
        assert!(self.send(from, [seq, ack], ACK | PSH, text).is_some());
        self.said[index(from)] += text.len() as u32;
    }

    /// All that this end has said is acknowledged.
    fn hear(&mut self, from: Direction) {
        self.acknowledged[index(from)] = self.said[index(from)];
        let seq = self.number(from.other(), self.said[index(from.other())]);
        let ack = self.number(from, self.said[index(from)]);
        assert!(self.send(from.other(), [seq, ack], ACK, b"").is_some());
    }

    /// What leaves, if anything.
    fn send(
        &mut self,
        from: Direction,
        [seq, ack]: [u32; 2],
        flags: u8,
        text: &[u8],
    ) -> Option<Vec<u8>> {
        let (client, server) = (self.line.client, "198.51.100.2:25".parse().unwrap());
        let (ends, path) = match from {
            C => ((client, server), Path { ingress: 1, egress: 2, link: 0 }),
            S => ((server, client), Path { ingress: 2, egress: 1, link: 0 }),
        };
        let options: &[u8] = if flags & SYN != 0 { &SCALE } else { &[] };
        let bytes = tcp_packet(ends.0, ends.1, seq, ack, flags, options, text);
        match self.crowd.arrive(path, &bytes) {
            Verdict::Accept => Some(bytes),
            Verdict::Rewrite => Some(self.crowd.effects.rewritten.clone()),
            Verdict::Drop(_) => None,
        }
    }

    fn has_flow(&self) -> bool {
        self.crowd.engine.stats().flows_now > 0
    }

    /// The server has lost its end, and is sent three SYNs, so that the first is known no more. It
    /// answers that, and asks back for the others.
    fn succeed(&mut self, next: [u32; 2]) -> Listener {
        let isn = next[0].wrapping_sub(1);
        for beside in [0, 1 << 31, (1 << 31) + 10] {
            let _ = self.send(C, [isn.wrapping_add(beside), 0], SYN, b"");
        }
        let _ = self.send(S, [next[1].wrapping_sub(1), next[0]], SYN | ACK, b"");
        let _ = self.send(S, [next[1], next[0]], ACK, b"");
        Listener::new(next)
    }

    /// The ACK with which a bare segment of the client's leaves.
    fn acknowledge(&mut self, numbers: [u32; 2]) -> u32 {
        let left = self.send(C, numbers, ACK, b"").unwrap();
        let Ok(Parsed::Tcp(packet)) = Packet::parse(&left) else { panic!("{left:x?}") };
        packet.ack.0
    }

    /// The client says something to it, with whatever numbers.
    fn offer(&mut self, listener: &mut Listener, numbers: [u32; 2], flags: u8, text: &[u8]) {
        if let Some(left) = self.send(C, numbers, flags, text) {
            let Ok(Parsed::Tcp(packet)) = Packet::parse(&left) else { panic!("{left:x?}") };
            listener.take(&packet);
        }
    }
}

/// A number at one of the edges beside this one, or any other.
fn beside(random: &mut Random, number: u32, start: u32) -> u32 {
    let edges = [0, 0, 100, REACH, 2 * REACH, OFFERED, 1 << 30, 1 << 31];
    let off = edges[random.below(edges.len())].wrapping_add(random.below(9) as u32).wrapping_sub(4);
    match random.below(8) {
        0 => start,
        1 => number,
        2 => (random.below(1 << 16) as u32) << 16 | random.below(1 << 16) as u32,
        3..=5 => number.wrapping_sub(off),
        _ => number.wrapping_add(off),
    }
}

#[test]
fn no_numbers_have_text_of_a_message_begin_another_connection() {
    let text = b"\r\nVRFY root\r\nEXPN staff\r\n".repeat(50);
    let long = [&b"x".repeat(60_000)[..], &text].concat();
    let [mut kept, mut opened] = [0; 2];
    for seed in 0..4_000 {
        let random = &mut Random::new(seed);
        let mut any = || (random.below(1 << 16) as u32) << 16 | random.below(1 << 16) as u32;
        let mut play = Play::new([any(), any()]);
        for part in 0..random.below(3) {
            play.say(C, &b"text\r\n".repeat(30));
            if part == 0 && random.below(2) == 0 {
                play.hear(C);
            }
        }
        // One that was heard a moment ago is there.
        play.crowd.wait(2);
        if random.below(2) == 0 {
            let within = play.number(C, play.said[0] + random.below(200) as u32 + 1);
            let _ = play.send(C, [within, 0], RST, b"");
        }
        play.crowd.wait([0, 2, 100][random.below(3)]);
        let [acknowledged, said] =
            [play.acknowledged, play.said].map(|at| [play.number(C, at[0]), play.number(S, at[1])]);
        let start = [play.number(C, 0), play.number(S, 0)];
        let next = [0, 1].map(|way| {
            let number = [acknowledged, said][random.below(2)][way];
            beside(random, number, start[way])
        });
        let mut listener = play.succeed(next);
        // What comes behind its end is another flow's, and judged from its first byte.
        if !play.has_flow() {
            continue;
        }
        kept += 1;
        for (seq, flags, said) in [
            (next[0], ACK, &b""[..]),
            (next[0], ACK | PSH, &text),
            (said[0], ACK | PSH, &text),
            (acknowledged[0], ACK | PSH, &text),
            (acknowledged[0].wrapping_sub(60_000), ACK | PSH, &long),
            (next[0], ACK | PSH, &long),
            (said[0].wrapping_add(text.len() as u32), ACK | FIN, b""),
            (said[0].wrapping_add(text.len() as u32 + 1), ACK, b""),
            (acknowledged[0], ACK | PSH, &text),
        ] {
            let oldest = acknowledged[1].wrapping_sub(REACH);
            for ack in [next[1], next[1].wrapping_sub(1), acknowledged[1], oldest] {
                play.offer(&mut listener, [seq, ack], flags, said);
            }
        }
        opened += u32::from(listener.is_open);
        assert!(!listener.reads_text(), "seed {seed}: {next:?} {acknowledged:?} {start:?}");
    }
    println!("{kept} flows stood, {opened} connections were opened");
    assert!(kept > 1_000 && opened > 10, "{kept} {opened}");
}

/// What a client says that is 64 KiB old says nothing, and an answer that far away ends nothing.
#[test]
fn no_ack_leaves_that_is_far_older_than_the_newest() {
    for (below, expected) in [(0, 0), (REACH, REACH), (REACH + 1, REACH), (OFFERED, REACH)] {
        for flags in [ACK, ACK | PSH, ACK | FIN] {
            let mut play = Play::new([7, u32::MAX - 5]);
            let [seq, newest] = [play.number(C, play.said[0]), play.number(S, play.said[1])];
            let text = if flags == ACK | PSH { &b"VRFY root\r\n"[..] } else { b"" };
            let left = play.send(C, [seq, newest.wrapping_sub(below)], flags, text).unwrap();
            let Ok(Parsed::Tcp(packet)) = Packet::parse(&left) else { panic!("{left:x?}") };
            assert_eq!(newest.wrapping_sub(packet.ack.0), expected, "{flags}");
            assert_eq!((packet.payload(), packet.flags.fin), (text, flags == ACK | FIN));
            // Behind its FIN, too, and elsewhere.
            for beside in [1, OFFERED, 1 << 31] {
                let numbers = [seq.wrapping_add(beside), newest.wrapping_sub(below)];
                assert_eq!(newest.wrapping_sub(play.acknowledge(numbers)), expected, "{beside}");
            }
        }
    }
}

/// Who asks back may have lost its end, unless its SYN/ACK would have ended the flow.
#[test]
fn a_server_is_heard_by_numbers_within_reach_alone() {
    let reply = &b"250 ok\r\n"[..];
    for (ahead, below, said, is_heard) in [
        (0, 0, &b""[..], true),
        (REACH, 0, b"", true),
        (REACH + 1, 0, b"", false),
        (1 << 29, 0, b"", false),
        (0, REACH, b"", true),
        (0, REACH + 1, b"", false),
        (0, 0, reply, true),
        (REACH + 1, 0, reply, false),
        (0, REACH + 1, reply, false),
    ] {
        let mut play = Play::new([7, 9]);
        let _ = play.send(C, [play.number(C, play.said[0] + 50), 0], RST, b"");
        play.crowd.wait(2);
        let next = [play.number(S, play.said[1] + ahead), play.number(C, play.said[0])];
        assert!(play.send(S, [next[0], next[1].wrapping_sub(below)], ACK, said).is_some());
        // Its numbers fit a cookie.
        let fitting = [play.number(C, play.said[1]), play.number(S, play.said[1])];
        assert_eq!(play.acknowledge(fitting) == fitting[1], is_heard, "{ahead} {below} {said:?}");
    }
}
