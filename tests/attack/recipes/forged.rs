//! Packets that pretend to be the server's: from a third interface of the gateway, and from the
//! client itself where client and server stand behind one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::bypasses;
use super::dialogues::Servers;
use super::ether::{Ether, ROUTER};
use super::puppet::Puppet;
use super::table::{Seen, Table};
use super::trial::{Before, Trial};
use crate::is_full;
use crate::lab::{
    Because, Guard, Network, Outcome, PATIENCE, Program, Side, Sniffer, Tun, run, tool, wait_until,
};
use crate::support::segment::Segment;

/// Where the forger stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forger {
    /// Behind an interface of its own.
    ThirdInterface,
    /// On the client's host, with client and server behind one interface.
    OneArm,
}

/// The wires.
struct Stage {
    ether: Ether,
    third: Option<Tun>,
    server: Sniffer,
    ports: u16,
}

/// Recipes 3 and 4 from a third interface.
pub(crate) fn third_interface() -> Outcome<String> {
    every_forgery(Forger::ThirdInterface)
}

/// Recipe 3 where there is only one interface.
pub(crate) fn one_arm() -> Outcome<String> {
    every_forgery(Forger::OneArm)
}

fn every_forgery(forger: Forger) -> Outcome<String> {
    let _network = Network::build()?;
    if forger == Forger::OneArm {
        join_on_one_wire()?;
    }
    let programs: &[Program] =
        if is_full() { &Program::ALL } else { &[Program::Postfix, Program::Exim] };
    let _servers = Servers::start(programs)?;
    let third = match forger {
        Forger::ThirdInterface => {
            Side::Gateway.enter()?;
            Some(Tun::open(Side::Gateway, "t1", &["203.0.113.1/24"])?)
        }
        Forger::OneArm => None,
    };
    Side::Server.enter()?;
    let server = Sniffer::open("s0")?;
    let mut stage = Stage { ether: Ether::open()?, third, server, ports: 20_000 };
    let recipes: &[Forgery] = match forger {
        Forger::ThirdInterface => &[
            (("3", "a forged 354 from a third interface"), Stage::forged_354),
            (("4", "forged ACKs, then blanked octets"), Stage::forged_ack),
        ],
        Forger::OneArm => &[
            (("3", "a forged 354, one-armed gateway"), Stage::forged_354),
            (("4", "forged ACKs, one-armed gateway"), Stage::forged_ack),
        ],
    };
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for before in Before::ALL {
        let guard = before.start("")?;
        if forger == Forger::OneArm && before == Before::Mailguard {
            let seen = bypasses::one_armed()?;
            table.enter(("12", "a one-armed gateway"), "gateway", before.name(), seen);
        }
        for &program in programs {
            for &(name, recipe) in recipes {
                let trial = Trial { program, before, number: usize::from(stage.ports) };
                let seen = recipe(&mut stage, &trial, &guard);
                let seen = seen.because(guard.events_end()).because(name.1)?;
                table.enter(name, program.name(), before.name(), seen);
            }
        }
    }
    table.judged()
}

type Forgery = ((&'static str, &'static str), fn(&mut Stage, &Trial, &Guard) -> Outcome<Seen>);

impl Stage {
    /// A crafted client that has said hello.
    fn greeted(&mut self, trial: &Trial) -> Outcome<Puppet> {
        self.ports += 1;
        let address: IpAddr = ROUTER.parse().ok().because(ROUTER)?;
        let mut puppet = Puppet::new(SocketAddr::new(address, self.ports), trial.address());
        puppet.connect(&mut self.ether)?;
        puppet.ask(&mut self.ether, trial.hello());
        Ok(puppet)
    }

    /// Sends a packet that pretends to be the server's, and waits until it has arrived, or was
    /// dropped where it had to be.
    fn forge(
        &mut self,
        puppet: &mut Puppet,
        (ack, payload): (u32, &[u8]),
        guard: Option<&Guard>,
    ) -> Outcome {
        let dropped = || guard.map_or(Ok(0), |guard| guard.dropped(REASON));
        let before = dropped()?;
        let packet = puppet.forged(puppet.seq(ack), payload);
        match &mut self.third {
            Some(third) => third.send(&packet),
            None => self.ether.send(&packet),
        }
        wait_until("a forged packet is dealt with", PATIENCE, || {
            puppet.drain(&mut self.ether);
            let is_there = puppet.forgeries_seen > 0 || dropped()? > before;
            Ok(is_there.then_some(()))
        })
    }

    /// What has left towards the server from this client since the last look.
    fn left(&mut self, puppet: &Puppet) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while let Some(packet) = self.server.receive() {
            if let Some(segment) = Segment::read(&packet)
                && segment.source == puppet.local
            {
                payloads.push(segment.payload);
            }
        }
        payloads
    }

    /// 354 though nobody said DATA; then commands that a filter would take for text.
    fn forged_354(&mut self, trial: &Trial, guard: &Guard) -> Outcome<Seen> {
        let mut puppet = self.greeted(trial)?;
        let told = (puppet.sent, &b"354 go\r\n"[..]);
        self.forge(&mut puppet, told, trial.guarded(guard))?;
        self.left(&puppet);
        puppet.ask(&mut self.ether, &trial.forbidden());
        let forbidden = trial.forbidden();
        let has_left = self.left(&puppet).iter().any(|payload| holds(payload, &forbidden));
        let told = match (puppet.is_reset, has_left) {
            (true, _) => "reset",
            (false, true) => "the line reached it",
            (false, false) => "the line did not",
        };
        Ok(Seen::new(has_left, told))
    }

    /// A line that the filter has judged and the server has dropped is half acknowledged by
    /// somebody else; what is sent again must be the line that was judged, or no line at all.
    fn forged_ack(&mut self, trial: &Trial, guard: &Guard) -> Outcome<Seen> {
        let mut puppet = self.greeted(trial)?;
        let forbidden = trial.forbidden();
        let line = format!("NOOP {forbidden}\r\n");
        self.ether.send(&puppet.segment(puppet.sent, line.as_bytes(), true));
        wait_until("the line has left", PATIENCE, || {
            puppet.drain(&mut self.ether);
            let has_left = self.left(&puppet).iter().any(|payload| payload.len() == line.len());
            Ok(has_left.then_some(()))
        })?;
        let half = puppet.sent + 5;
        self.forge(&mut puppet, (half, &[]), trial.guarded(guard))?;
        self.left(&puppet);
        let before = puppet.heard.len();
        puppet.say(&mut self.ether, line.as_bytes());
        puppet.hear(&mut self.ether, before, ANSWER);
        let heard = puppet.heard.get(before..).unwrap_or_default().to_vec();
        let is_blanked = |payload: &Vec<u8>| {
            holds(payload, &format!(" {forbidden}"))
                && !holds(payload, &format!("NOOP {forbidden}"))
        };
        let has_left = self.left(&puppet).iter().any(is_blanked);
        let has_run = holds(&heard, &trial.proof());
        let told = String::from_utf8_lossy(&heard);
        Ok(Seen::new(has_left || has_run, told.trim().replace(['\r', '\n'], " ")))
    }
}

fn holds(text: &[u8], part: &str) -> bool {
    memchr::memmem::find(text, part.as_bytes()).is_some()
}

/// Puts client, server and the gateway's only interface on one wire.
fn join_on_one_wire() -> Outcome {
    let lines = [
        "-n client link del c0",
        "-n server link del s0",
        "netns add switch",
        "-n switch link add b0 type bridge",
        "-n switch link set b0 up",
        "link add c0 netns client type veth peer name wc netns switch",
        "link add s0 netns server type veth peer name ws netns switch",
        "link add gc netns gateway type veth peer name wg netns switch",
        "-n switch link set wc up master b0",
        "-n switch link set ws up master b0",
        "-n switch link set wg up master b0",
        "-n client link set c0 up",
        "-n server link set s0 up",
        "-n gateway link set gc up",
        "-n client address add 192.0.2.2/24 dev c0",
        "-n server address add 198.51.100.2/24 dev s0",
        "-n gateway address add 192.0.2.1/24 dev gc",
        "-n gateway address add 198.51.100.1/24 dev gc",
        "-n client route add default via 192.0.2.1",
        "-n server route add default via 198.51.100.1",
    ];
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        run(&mut tool("ip", &words), STEP_TIME_MAX)?;
    }
    for name in ["ipv4/conf/all/send_redirects", "ipv4/conf/gc/send_redirects"] {
        Side::Gateway.set(name, "0")?;
    }
    Ok(())
}

/// Why a filter drops what comes from where the server is not.
const REASON: &str = "wrong-interface";

/// For a server's answer, several repetitions included.
const ANSWER: Duration = Duration::from_millis(800);

const STEP_TIME_MAX: Duration = Duration::from_secs(10);
