//! Plays the scenarios, round by round, and reports.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{IsTerminal, Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::contender::{Contender, Running, Spent};
use crate::counting;
use crate::crowd::Crowd;
use crate::figure;
use crate::lab::{
    Background, Because, Failure, Network, Outcome, PATIENCE, Side, now, run, target,
};
use crate::replay::Replays;
use crate::report::{Block, Figures, Row};
use crate::scenario::{self, Scenario, Work};
use crate::sender::{self, Load};
use crate::sink;
use crate::suricata::Suricata;

/// Plays everything that is wanted, and leaves the results in `target/bench`.
#[expect(clippy::print_stdout, reason = "this is a program's report")]
pub(crate) fn run_all() -> Outcome {
    let wanted = Wanted::read();
    let place = target()?.join("bench");
    fs::create_dir_all(&place)?;
    let start = now();
    let mut bench = Bench::build(wanted.seconds)?;
    println!(
        "{} rounds; value ±half its spread, x times the row it stands beside\n",
        wanted.rounds
    );
    let mut blocks = Vec::new();
    let scenarios = scenario::ALL.iter().filter(|scenario| wanted.has(scenario.name));
    for scenario in scenarios {
        let block = bench.play(scenario, &wanted);
        println!("{block}");
        blocks.push(block);
        write(&place, &blocks, &wanted)?;
    }
    if wanted.has(INSTRUCTIONS) {
        let block = count();
        println!("{}", shortened(&block));
        blocks.push(block);
        write(&place, &blocks, &wanted)?;
    }
    println!(
        "{} and bench.svg beside it; {} s",
        place.join("bench.json").display(),
        start.elapsed().as_secs()
    );
    Ok(())
}

fn write(place: &Path, blocks: &[Block], wanted: &Wanted) -> Outcome {
    let machine = json!({
        "processors": std::thread::available_parallelism()?.get(),
        "processor": fs::read_to_string("/proc/cpuinfo")?.lines()
            .find_map(|line| line.strip_prefix("model name\t: ")),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        "load": fs::read_to_string("/proc/loadavg")?.trim(),
    });
    let blocks_json: Vec<_> = blocks.iter().map(Block::json).collect();
    let all = json!({ "machine": machine, "rounds": wanted.rounds, "scenarios": blocks_json });
    fs::write(place.join("bench.json"), format!("{all:#}\n")).because("bench.json")?;
    fs::write(place.join("bench.svg"), figure::draw(blocks)).because("bench.svg")
}

/// What the caller asks for.
struct Wanted {
    rounds: usize,
    seconds: f64,
    scenario: String,
    contender: String,
}

impl Wanted {
    fn read() -> Self {
        let variable = |name| env::var(name).unwrap_or_default();
        let only = variable("ONLY");
        let (scenario, contender) = only.split_once('/').unwrap_or((&only, ""));
        Self {
            rounds: variable("ROUNDS").parse().unwrap_or(ROUNDS),
            seconds: variable("SECONDS_A_TURN").parse().unwrap_or(SECONDS),
            scenario: scenario.to_owned(),
            contender: contender.to_owned(),
        }
    }

    fn has(&self, scenario: &str) -> bool {
        scenario.contains(&self.scenario)
    }
}

/// The lab with everything in it.
struct Bench {
    _network: Network,
    turn: Duration,
    running: BTreeMap<&'static str, Running>,
    suricata: Suricata,
    crowd: Crowd,
    replays: Replays,
}

/// A virtual link leaves checksums to the gateway's kernel, which a network card has verified. So
/// the kernel writes them first, for everybody, as README says for gateways with such neighbours.
fn fill_checksums() -> Outcome {
    let rule = ["-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "-j", "CHECKSUM"];
    let arguments = [&rule[..], &["--checksum-fill"]].concat();
    run(&mut Side::Gateway.command("iptables", &arguments), PATIENCE).map(|_| ())
}

impl Bench {
    fn build(seconds: f64) -> Outcome<Self> {
        let network = Network::build()?;
        network.steer_flows()?;
        sink::open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 25))?;
        sender::prepare()?;
        // From here on this is the gateway.
        Side::Gateway.enter()?;
        fill_checksums()?;
        Ok(Self {
            _network: network,
            turn: Duration::from_secs_f64(seconds),
            running: BTreeMap::new(),
            suricata: Suricata::default(),
            crowd: Crowd::open()?,
            replays: Replays::default(),
        })
    }

    /// All rounds of a scenario. A contender that fails takes no further part in it.
    fn play(&mut self, scenario: &Scenario, wanted: &Wanted) -> Block {
        let mut rows: Vec<Row> = scenario
            .contenders
            .iter()
            .filter(|(name, base)| name.contains(&wanted.contender) || name == base)
            .map(|(name, base)| Row::new(name, base))
            .collect();
        for round in 0..wanted.rounds {
            for turn in 0..rows.len() {
                // Each goes first in its turn.
                let place = (round + turn) % rows.len();
                let Some(row) = rows.get_mut(place).filter(|row| row.note.is_none()) else {
                    continue;
                };
                let (number, all) = (round + 1, wanted.rounds);
                progress(&format!("{}, round {number} of {all}: {}", scenario.name, row.contender));
                match self.once(&scenario.work, &row.contender) {
                    Ok(figures) => row.rounds.push(figures),
                    Err(failure) => row.note = Some(one_line(&failure)),
                }
            }
        }
        progress("");
        Block { scenario: scenario.name, rows }
    }

    fn once(&mut self, work: &Work, name: &str) -> Outcome<Figures> {
        match *work {
            Work::Mail(load) => {
                let contender = Contender::named(name)?;
                self.start(contender)?;
                contender.lead_mail_here()?;
                self.mail(load, name)
            }
            Work::Start => self.first_verdict(Contender::named(name)?),
            Work::Replay(tape) => self.replays.once(name, tape, &mut self.suricata),
        }
    }

    /// Has a contender up, and its crowd.
    fn start(&mut self, contender: &'static Contender) -> Outcome {
        if !self.running.contains_key(contender.name) {
            let running = contender.start(&mut self.suricata)?;
            contender.lead_mail_here()?;
            self.crowd.fill(contender.crowd).because(running.log())?;
            self.running.insert(contender.name, running);
        }
        Ok(())
    }

    fn mail(&self, load: Load, name: &str) -> Outcome<Figures> {
        let running = self.running.get(name).because(name)?;
        let before = running.spent()?;
        let mut sent = sender::send(load, self.turn)?;
        let spent = running.spent()?.since(&before);
        let mails = sent.micros.len() as f64;
        let mut figures = vec![("mails/s", mails / sent.seconds)];
        let mib = sent.octets as f64 / f64::from(1 << 20);
        let is_large = load.octets >= 1 << 20;
        if load.senders == 1 {
            figures.push(("p50 us", quantile(&mut sent.micros, 0.5)));
            figures.push(("p99 us", quantile(&mut sent.micros, 0.99)));
        }
        if let Some(resident) = running.resident()? {
            figures.extend(spent.figures(mails, is_large.then_some(mib)));
            figures.push(("resident MB", resident));
        }
        Ok(figures)
    }

    /// Starts another one of a kind, and looks when it lets the first packet pass.
    fn first_verdict(&mut self, contender: &'static Contender) -> Outcome<Figures> {
        // Its queues must be nobody's meanwhile.
        self.running.remove(contender.name);
        contender.lead_mail_here()?;
        let mut command = contender.command(&mut self.suricata)?.because("a program")?;
        self.crowd.quiet();
        let start = now();
        let daemon = Background::start("first-verdict", &mut command)?;
        self.crowd.await_passage().because(daemon.log())?;
        let millis = start.elapsed().as_secs_f64() * 1e3;
        let resident = daemon.resident()? as f64 / 1e3;
        Ok(vec![("first verdict ms", millis), ("idle resident MB", resident)])
    }
}

impl Spent {
    /// What was used since then.
    fn since(&self, before: &Self) -> Self {
        let (ours, theirs) = (&self.usage, &before.usage);
        let mut usage = *ours;
        usage.nanos -= theirs.nanos;
        usage.user_ticks -= theirs.user_ticks;
        usage.system_ticks -= theirs.system_ticks;
        let (packets, dropped) = (self.packets - before.packets, self.dropped - before.dropped);
        Self { usage, packets, dropped }
    }

    /// Processor time by packet, and by mail or MiB.
    fn figures(&self, mails: f64, mib: Option<f64>) -> Figures {
        let micros = self.usage.nanos as f64 / 1e3;
        let ticks = (self.usage.user_ticks + self.usage.system_ticks).max(1) as f64;
        let user = micros * self.usage.user_ticks as f64 / ticks;
        let packets = self.packets.max(1) as f64;
        let mut figures = vec![
            ("us/packet", micros / packets),
            ("user us/packet", user / packets),
            ("system us/packet", (micros - user) / packets),
        ];
        figures.extend(match mib {
            Some(mib) => vec![
                ("us/MiB", micros / mib),
                ("user us/MiB", user / mib),
                ("system us/MiB", (micros - user) / mib),
                ("packets/MiB", packets / mib),
            ],
            None => vec![("us/mail", micros / mails), ("packets/mail", packets / mails)],
        });
        figures.push(("lost", self.dropped as f64));
        figures
    }
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * part) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Instructions by kind of packet: kinds are the contenders, and mail what they stand beside.
fn count() -> Block {
    progress("counting instructions");
    let rows = counting::count("").into_iter().map(|counted| {
        let mut row = Row::new(&counted.name, "");
        row.rounds.push(vec![
            ("instr/packet", counted.a_packet()),
            ("instr/byte", counted.a_byte()),
            ("x mail", counted.ratio()),
        ]);
        row
    });
    let block = Block { scenario: INSTRUCTIONS, rows: rows.collect() };
    progress("");
    block
}

/// Ordinary kinds, and the dearest of the others.
fn shortened(block: &Block) -> Block {
    let (mut rows, mut others): (Vec<Row>, Vec<Row>) =
        block.rows.iter().cloned().partition(|row| row.contender.starts_with("ordinary"));
    let ratio = |row: &Row| row.middle("x mail").unwrap_or(0.0);
    others.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
    others.truncate(DEAREST);
    rows.extend(others);
    Block { scenario: block.scenario, rows }
}

fn one_line(failure: &Failure) -> String {
    let text = failure.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NOTE_MAX).collect()
}

#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn progress(text: &str) {
    if stdout().is_terminal() {
        print!("\r\x1b[K{text}");
        // A terminal that has gone away is no reason to stop measuring.
        let _ = stdout().flush();
    }
}

const INSTRUCTIONS: &str = "instructions";

/// All of it then takes ten minutes on two processors.
const ROUNDS: usize = 5;

const SECONDS: f64 = 1.0;

/// Hostile kinds of packets that are printed; all are in the JSON.
const DEAREST: usize = 8;

/// Characters of what went wrong that a row shows.
const NOTE_MAX: usize = 200;
