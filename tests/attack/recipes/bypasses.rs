//! Configurations of the gateway that lead mail past the filter: `mailguard check` must name each.

use std::process::Command;
use std::time::Duration;

use super::standin::{BANNER, StandIn};
use super::table::{Seen, Table};
use super::talk::Talk;
use crate::lab::{
    Because, Family, Filter, Guard, Network, Outcome, Side, ensure, mailguard, run, run_any,
};

/// One of them: what is done on the gateway, and how it is undone.
struct Bypass {
    name: &'static str,
    bring: &'static str,
    undo: &'static str,
}

/// Runs them all.
pub(crate) fn every_bypass() -> Outcome<String> {
    let _network = Network::build()?;
    let _server = StandIn::start(Family::V4.server())?;
    let mut elsewhere = Family::V4.server();
    elsewhere.set_port(2525);
    let _elsewhere = StandIn::start(elsewhere)?;
    shell(STRICT)?;
    let _guard = Guard::start(Filter::DEFAULT)?;
    let mut table = Table::new(&["before", "with it"]);
    for Bypass { name, bring, undo } in BYPASSES {
        let (before, is_open) = (findings()?, passes_unread()?);
        ensure(!is_open, || format!("{name}: open before"))?;
        table.enter(("12", name), "gateway", "before", Seen::new(false, "masked"));
        shell(bring).because(name)?;
        let (after, is_open) = (findings()?, passes_unread()?);
        shell(undo).because(name)?;
        let news = after.iter().filter(|line| !before.contains(line)).count();
        let mail = if is_open { "passes unread" } else { "masked" };
        let told = format!("{mail}, {news} told");
        table.enter(("12", name), "gateway", "with it", Seen::new(news == 0, told));
    }
    table.judged()
}

/// Whether a gateway with one interface for both sides is named.
pub(crate) fn one_armed() -> Outcome<Seen> {
    shell(STRICT)?;
    let told = findings()?.len();
    Ok(Seen::new(told == 0, format!("{told} told")))
}

/// What `check` finds wrong or doubtful.
fn findings() -> Outcome<Vec<String>> {
    let mut command: Command = mailguard()?;
    let (_, text, _) = run_any(command.args(["check", "--queue", "0"]), STEP_TIME_MAX)?;
    Ok(text.lines().filter(|line| !line.starts_with("ok ")).map(str::to_owned).collect())
}

/// Whether the banner comes as the server said it.
fn passes_unread() -> Outcome<bool> {
    let mut talk = Talk::open(Family::V4.server())?;
    let banner = talk.heard.first().cloned().unwrap_or_default();
    talk.ask("QUIT");
    Ok(banner == BANNER)
}

fn shell(script: &str) -> Outcome {
    run(&mut Side::Gateway.command("sh", &["-euc", script]), STEP_TIME_MAX).map(drop)
}

const BYPASSES: [Bypass; 7] = [
    Bypass {
        name: "a foreign rule sets the connection mark",
        bring: "iptables -w -t mangle -I PREROUTING -p tcp --dport 25 \
                -j CONNMARK --set-mark 0x20000000",
        undo: "iptables -w -t mangle -D PREROUTING -p tcp --dport 25 \
                -j CONNMARK --set-mark 0x20000000",
    },
    Bypass {
        name: "a foreign rule sets the packet mark",
        bring: "iptables -w -t mangle -I PREROUTING -p tcp \
                -j MARK --set-mark 0x10000000",
        undo: "iptables -w -t mangle -D PREROUTING -p tcp \
                -j MARK --set-mark 0x10000000",
    },
    Bypass {
        name: "DNAT of port 25 to another port",
        bring: "iptables -w -t nat -I PREROUTING -p tcp --dport 25 \
                -j DNAT --to-destination :2525",
        undo: "iptables -w -t nat -D PREROUTING -p tcp --dport 25 \
                -j DNAT --to-destination :2525",
    },
    Bypass {
        name: "another rule accepts before ours",
        bring: "iptables -w -t mangle -I FORWARD 1 -p tcp -j ACCEPT",
        undo: "iptables -w -t mangle -D FORWARD 1",
    },
    Bypass {
        name: "our jump is gone",
        bring: "iptables-save -t mangle > /run/lab/saved; iptables -w -t mangle -F FORWARD",
        undo: "iptables-restore -w < /run/lab/saved",
    },
    Bypass {
        name: "no tracking, so no reassembly",
        bring: "iptables -w -t raw -I PREROUTING -p tcp -j CT --notrack",
        undo: "iptables -w -t raw -D PREROUTING -p tcp -j CT --notrack",
    },
    Bypass {
        name: "rp_filter off",
        bring: "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done",
        undo: STRICT,
    },
];

/// A source is believed only by the interface that leads to it.
const STRICT: &str = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done";

const STEP_TIME_MAX: Duration = Duration::from_secs(10);
