//! Counts what a packet costs in instructions, by kind.
//!
//! Instructions are counted by valgrind (callgrind), so the figure is the same on any day and on a
//! busy machine. Only [`counted`] is: the engine's part, with the event log's records made unless
//! the kind says otherwise. The program that includes this runs itself again under valgrind; see
//! [`play_if_asked`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench stops where it is wrong"
)]
#![allow(clippy::print_stdout, reason = "the program under valgrind reports to the one outside")]

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use mailguard::engine::{Arrival, Effects, Engine, Verdict};
use mailguard::flow::Direction;
use mailguard::time::Instant;

use crate::kinds::{self, Kind, Segment};
use crate::support::packet::{ACK, FIN, PSH, SYN, arrival, tcp_packet};

/// Packets, and bytes, after which a kind has been counted enough.
const ENOUGH: (usize, usize) = (100, 1 << 20);

/// The word by which the program tells itself to play the kinds.
const INSIDE: &str = "--count-inside";

/// A kind, and what it and the mail beside it cost.
pub(crate) struct Row {
    pub(crate) name: String,
    packets: u64,
    bytes: u64,
    instructions: u64,
    beside: u64,
}

impl Row {
    /// Instructions a packet.
    pub(crate) fn a_packet(&self) -> f64 {
        self.instructions as f64 / self.packets as f64
    }

    /// Instructions a byte of payload.
    pub(crate) fn a_byte(&self) -> f64 {
        self.instructions as f64 / self.bytes.max(1) as f64
    }

    /// How many times dearer than ordinary mail in segments of the same sizes.
    pub(crate) fn ratio(&self) -> f64 {
        self.instructions as f64 / self.beside as f64
    }
}

/// Plays the kinds, where this program was told to by [`count`].
pub(crate) fn play_if_asked(arguments: &[String]) -> Option<ExitCode> {
    let [flag, wanted] = arguments else { return None };
    if flag != INSIDE {
        return None;
    }
    let kinds = kinds::all();
    kinds.iter().filter(|kind| kind.name.contains(wanted)).for_each(play_beside_mail);
    Some(ExitCode::SUCCESS)
}

/// Plays the kinds that have the word in their names under valgrind.
pub(crate) fn count(wanted: &str) -> Vec<Row> {
    let file = format!("{}/instructions.{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .args(["--toggle-collect=*counting::counted", "--dump-after=*counting::ended"])
        .arg(format!("--callgrind-out-file={file}"))
        .arg(env::current_exe().unwrap())
        .args([INSIDE, wanted])
        .output()
        .expect("valgrind is installed by `make setup`");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let dumps = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let totals = dumps.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals: Vec<u64> = totals.map(|total| total.parse().unwrap()).collect();
    let rows = said.lines().zip(totals.chunks(2)).map(|(line, totals)| {
        let (counts, name) = line.split_once('\t').unwrap();
        let (packets, bytes) = counts.split_once(' ').unwrap();
        Row {
            name: name.to_owned(),
            packets: packets.parse().unwrap(),
            bytes: bytes.parse().unwrap(),
            instructions: totals[0],
            beside: totals[1],
        }
    });
    rows.collect()
}

/// A kind, then what it is measured by.
fn play_beside_mail(kind: &Kind) {
    let (packets, bytes) = play(kind);
    ended();
    play(&kind.measure());
    ended();
    println!("{packets} {bytes}\t{}", kind.name);
}

/// Flow after flow until enough was counted; how many packets and payload bytes that is.
fn play(kind: &Kind) -> (usize, usize) {
    let engine = Engine::new(kind.settings(), 1);
    let mut effects = Effects::of_worker(0, !kind.is_unheard);
    let (mut packets, mut bytes) = (0, 0);
    // The first flow is not counted: it takes memory that all others use again.
    for port in 10_000.. {
        let is_counted = port > 10_000;
        let mut flow = Flow::new(&engine, &mut effects, port);
        flow.is_counted = is_counted && kind.is_whole;
        flow.open();
        kind.prelude.iter().for_each(|(from, bytes)| flow.say(*from, bytes));
        let base = flow.received;
        for segment in &kind.segments {
            flow.is_counted = is_counted;
            flow.judge(base, segment);
            flow.is_counted &= kind.is_whole;
            if kind.is_acknowledged {
                flow.acknowledge(segment.from.other());
            }
        }
        if kind.is_whole {
            flow.close();
        }
        packets += flow.counted.0;
        bytes += flow.counted.1;
        if is_counted && (packets >= ENOUGH.0 || bytes >= ENOUGH.1) {
            break;
        }
    }
    (packets, bytes)
}

/// What is counted.
#[inline(never)]
fn counted(engine: &Engine, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
    black_box(engine.handle(now, arrival, effects))
}

/// Where valgrind writes down what was counted.
#[inline(never)]
fn ended() {
    black_box(());
}

/// One flow through the engine; both ends take whatever comes.
struct Flow<'e> {
    engine: &'e Engine,
    effects: &'e mut Effects,
    port: u16,
    /// What the other end has of the client's bytes, and of the server's.
    received: [u64; 2],
    is_counted: bool,
    /// Packets, and bytes.
    counted: (usize, usize),
}

impl<'e> Flow<'e> {
    const fn new(engine: &'e Engine, effects: &'e mut Effects, port: u16) -> Self {
        Self { engine, effects, port, received: [0; 2], is_counted: false, counted: (0, 0) }
    }

    fn open(&mut self) {
        // Windows of a GiB: how much is in flight is the kind's business.
        let options = [2, 4, 5, 180, 3, 3, 14, 1];
        let _ = self.packet(Direction::Original, [99, 0], SYN, &options, &[]);
        let _ = self.packet(Direction::Reply, [999, 100], SYN | ACK, &options, &[]);
        let _ = self.packet(Direction::Original, [100, 1_000], ACK, &[], &[]);
    }

    fn close(&mut self) {
        for from in [Direction::Original, Direction::Reply] {
            let numbers = self.numbers(from);
            let _ = self.packet(from, numbers, FIN | ACK, &[], &[]);
            self.received[index(from)] += 1;
        }
        self.acknowledge(Direction::Original);
    }

    /// Says something that is acknowledged at once.
    fn say(&mut self, from: Direction, bytes: &[u8]) {
        self.judge(self.received, &Segment { from, at: 0, bytes: bytes.to_vec() });
        self.acknowledge(from.other());
    }

    /// A segment, of which the engine may let pass only the beginning.
    fn judge(&mut self, base: [u64; 2], segment: &Segment) {
        let from = segment.from;
        let offset = base[index(from)] + segment.at;
        let mut numbers = self.numbers(from);
        numbers[0] = start(from) + offset as u32;
        let verdict = self.packet(from, numbers, ACK | PSH, &[], &segment.bytes);
        let length = match verdict {
            Verdict::Drop(_) => 0,
            Verdict::Accept | Verdict::Rewrite => {
                self.effects.withheld.map_or(segment.bytes.len(), |withheld| withheld.passed)
            }
        };
        let received = &mut self.received[index(from)];
        if offset <= *received {
            *received = (*received).max(offset + length as u64);
        }
    }

    fn acknowledge(&mut self, by: Direction) {
        let numbers = self.numbers(by);
        let _ = self.packet(by, numbers, ACK, &[], &[]);
    }

    /// What this end sends next, and what it has received.
    fn numbers(&self, from: Direction) -> [u32; 2] {
        [from, from.other()].map(|side| start(side) + self.received[index(side)] as u32)
    }

    fn packet(
        &mut self,
        from: Direction,
        [seq, ack]: [u32; 2],
        flags: u8,
        options: &[u8],
        data: &[u8],
    ) -> Verdict {
        let ends = [([192, 0, 2, 1], self.port).into(), ([198, 51, 100, 2], 25).into()];
        let (source, destination) = (ends[index(from)], ends[index(from.other())]);
        let bytes = tcp_packet(source, destination, seq, ack, flags, options, data);
        let arrival = arrival(&bytes);
        let now = Instant::from_seconds(1_000);
        if self.is_counted {
            self.counted.0 += 1;
            self.counted.1 += data.len();
            return counted(self.engine, now, &arrival, self.effects);
        }
        self.engine.handle(now, &arrival, self.effects)
    }
}

const fn index(direction: Direction) -> usize {
    match direction {
        Direction::Original => 0,
        Direction::Reply => 1,
    }
}

/// The sequence number of an end's first byte.
const fn start(direction: Direction) -> u32 {
    match direction {
        Direction::Original => 100,
        Direction::Reply => 1_000,
    }
}
