//! An attacker beside honest clients: everything it does at random costs itself alone.

use super::bounds::{ATTACKER, BLOCK, limited, text};
use crate::support::crowd::{BEGIN, Crowd, Line};
use crate::support::packet::ACK;
use crate::support::random::Random;
use crate::support::rig::limits;
use mailguard::engine::What;
use mailguard::flow::Direction::{Original as C, Reply as S};

/// What one client's flows do at random: many of them, bytes early and unacknowledged, noise.
struct Attacker {
    lines: Vec<Line>,
    port: u16,
}

impl Attacker {
    fn act(&mut self, crowd: &mut Crowd, random: &mut Random) {
        if self.lines.len() < 20 || random.below(8) == 0 {
            self.port = self.port % 60_000 + 1;
            let mut line = Line::new(ATTACKER, self.port);
            let steps = 1 + random.below(4);
            if (0..steps.min(3)).all(|step| crowd.shake(&line, step)) && steps > 2 {
                let _ = random.below(4) == 0 || crowd.begin_data(&mut line);
                self.lines.push(line);
            }
            return;
        }
        let which = random.below(self.lines.len());
        let mut line = self.lines.swap_remove(which);
        let next = line.received;
        match random.below(8) {
            0 => _ = crowd.send(&mut line, C, next[0] + random.below(1 << 20) as u64, b"a"),
            1 => _ = crowd.send(&mut line, C, next[0] + 5_000, &text(random.below(60_000))),
            2 | 3 => _ = crowd.send(&mut line, C, next[0], &text(random.below(65_000))),
            4 => _ = crowd.send(&mut line, C, next[0], &b"\n".repeat(1 + random.below(3_000))),
            5 => {
                let noise = b"\n250-".repeat(1 + random.below(9_000));
                _ = crowd.send(&mut line, S, next[1], &noise);
            }
            6 => _ = crowd.say(&mut line, S, b"250 what?\r\n"),
            _ if random.below(4) == 0 => _ = crowd.send_fin(&mut line, [C, S][random.below(2)]),
            _ => {
                let numbers = [random.below(9_000) as u32, random.below(9_000) as u32];
                let _ =
                    crowd.packet(&line, C, numbers, ACK | [0, 2, 4][random.below(3)], &[], b"x");
            }
        }
        self.lines.push(line);
    }
}

/// A client that delivers a message.
struct Honest {
    line: Line,
    step: usize,
}

impl Honest {
    /// One packet of it, and its ACK; what does not pass is tried again. Whether all is done.
    fn act(&mut self, crowd: &mut Crowd) -> bool {
        let body = text(2_900);
        let end: [(_, &[u8]); 6] = [
            (C, &body[..1_448]),
            (C, &body[1_448..]),
            (C, b"\r\n.\r\n"),
            (S, b"250 taken\r\n"),
            (C, b"QUIT\r\n"),
            (S, b"221 bye\r\n"),
        ];
        let said: Vec<_> = BEGIN.into_iter().chain(end).collect();
        let is_done = match self.step.checked_sub(3).map(|step| said.get(step)) {
            None => crowd.shake(&self.line, self.step),
            Some(Some((from, bytes))) => crowd.say(&mut self.line, *from, bytes),
            Some(None) => {
                let fins = [C, S].map(|from| crowd.send_fin(&mut self.line, from).is_some());
                let at = self.line.received[0];
                fins == [true; 2] && crowd.send(&mut self.line, C, at, b"").is_some()
            }
        };
        // A handshake whose record had to go begins anew.
        match (is_done, self.step) {
            (true, step) => self.step = step + 1,
            (false, 0..3) => self.step = 0,
            (false, _) => {}
        }
        self.step > said.len() + 3
    }
}

#[test]
fn fifty_deliver_beside_an_attacker() {
    for seed in 0..4 {
        let settings = limited(|limits| {
            (limits.flows_max, limits.handshakes_max) = (200, 512);
            (limits.store_bytes_max, limits.bytes_per_flow_max) = (8 << 20, 1 << 20);
        });
        let mut crowd = Crowd::new(settings);
        let mut random = Random::new(seed);
        let mut attacker = Attacker { lines: Vec::new(), port: 0 };
        let (mut delivered, mut rounds) = (0, 0);
        let client =
            |n: usize| Honest { line: Line::new(&format!("192.0.2.{}", n + 1), 2_000), step: 0 };
        let mut honest: Vec<Honest> = (0..50).map(client).collect();
        while delivered < 50 {
            rounds += 1;
            assert!(rounds < 20_000, "seed {seed}: {} of 50 are stuck", honest.len());
            crowd.micros += 10_000;
            (0..10).for_each(|_| attacker.act(&mut crowd, &mut random));
            let which = random.below(honest.len());
            if honest[which].act(&mut crowd) {
                honest.swap_remove(which);
                delivered += 1;
            }
            assert!(crowd.held_max <= (8 << 20) + BLOCK, "seed {seed}: {} bytes", crowd.held_max);
            assert!(crowd.engine.stats().flows_now <= 200, "seed {seed}");
        }
        let stats = crowd.engine.stats();
        assert_eq!(stats.messages, 50, "seed {seed}: each was delivered once");
        assert!(stats.flows_evicted > 0, "seed {seed}: the attacker filled the table");
        crowd.wait(limits().idle_seconds);
        let stats = crowd.engine.stats();
        assert_eq!((stats.flows_now, stats.store_bytes_now), (0, 0), "seed {seed}");
        let said = |what: &What| crowd.records.iter().filter(|r| r.what == *what).count() as u64;
        assert_eq!((said(&What::Opened), said(&What::Closed)), (stats.flows, stats.flows));
    }
}
