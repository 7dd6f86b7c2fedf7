//! What needs no filter no longer comes to it: connections behind STARTTLS, and those of a
//! hands-off exception. Counted by the kernel: packets queued, and packets the rules let by.

use std::fs;
use std::path::Path;

use crate::lab::{
    Because, DIRECTORY, Filter, Guard, Mta, Network, Outcome, PATIENCE, Program, Session, Side,
    Way, ensure, run, wait_until,
};

/// What the gateway's kernel has counted.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Packets given to the filter.
    queued: u64,
    /// Packets that the rule about the connection mark let by.
    passed: u64,
}

/// Sends the same bulk in clear, over TLS, and from a client the filter keeps its hands off.
pub(crate) fn bulk() -> Outcome<String> {
    let network = Network::build()?;
    let server = Mta::serve(Program::Postfix)?;
    let mut guard = Guard::start(Filter::with(&HANDSHAKE))?;
    let clear = counted(|| send(&server, Way::Plain, 1))?;
    ensure(clear.queued > MANY && clear.passed == 0, || format!("in clear: {clear:?}"))?;
    let tls = counted(|| send(&server, Way::Tls, 2))?;
    ensure(tls.queued < FEW && tls.passed > MANY, || format!("over TLS: {tls:?}"))?;
    guard.await_event("TLS")?;
    let received =
        server.stored()?.iter().filter(|letter| letter.received().contains("ESMTPS")).count();
    ensure(received == 1, || format!("{received} of 2 over TLS"))?;
    let file = Path::new(DIRECTORY).join("hands-off.toml");
    fs::write(&file, HANDS_OFF)?;
    let file = file.to_string_lossy();
    guard.replace(Filter::with(&["--config", &file]))?;
    let hands_off = counted(|| {
        let (session, banner) = Session::open(Program::Postfix.address(Way::Plain), PATIENCE)?;
        ensure(banner.text().contains("Postfix"), || format!("hands off, but {banner}"))?;
        session.quit()?;
        send(&server, Way::Plain, 3)
    })?;
    ensure(hands_off.queued < FEW && hands_off.passed > MANY, || {
        format!("hands off: {hands_off:?}")
    })?;
    drop(guard);
    let kernel = network.contented()?;
    let told = |name, counts: Counts| {
        format!("{name}: {} queued, {} let by", counts.queued, counts.passed)
    };
    Ok(format!(
        "20 MB {}; {}; {}; {kernel}",
        told("in clear", clear),
        told("over TLS", tls),
        told("hands off", hands_off)
    ))
}

fn send(server: &Mta, way: Way, count: usize) -> Outcome {
    let address = Program::Postfix.address(way);
    let step = if way == Way::Tls { "tls" } else { "clear" };
    let mut command =
        Side::Client.command("python3", &["-c", BULK, &address.ip().to_string(), step]);
    command.arg(format!("bulk@{}", Program::Postfix.domain(way)));
    run(&mut command, PATIENCE)?;
    wait_until(
        "the bulk is stored",
        PATIENCE,
        || Ok((server.stored_count() >= count).then_some(())),
    )
    .because(server.log())
}

fn counted(act: impl FnOnce() -> Outcome) -> Outcome<Counts> {
    let before = Counts::read()?;
    act()?;
    let after = Counts::read()?;
    Ok(Counts { queued: after.queued - before.queued, passed: after.passed - before.passed })
}

impl Counts {
    fn read() -> Outcome<Self> {
        // Number, port id, length, copy mode, copy range, two kinds of drops, packets so far, 1.
        let table = "/proc/thread-self/net/netfilter/nfnetlink_queue";
        let queues = Side::Gateway.within(|| fs::read_to_string(table).because(table))?;
        let number = |row: &str| row.split_whitespace().nth(7)?.parse().ok();
        let queued = queues.lines().next().and_then(number).because(&queues)?;
        let list = ["-w", "-t", "mangle", "-nvxL", "MAILGUARD"];
        let rules = run(&mut Side::Gateway.command("iptables", &list), PATIENCE)?;
        let rule = rules.lines().find(|row| row.contains("connmark match")).because(&rules)?;
        let passed = rule.split_whitespace().next().and_then(|word| word.parse().ok());
        Ok(Self { queued, passed: passed.because(rule)? })
    }
}

const BULK: &str = "\
import smtplib, ssl, sys
host, step, recipient = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
with smtplib.SMTP(host, 25, 'mail.domain1.com', timeout=30) as client:
    if step == 'tls':
        client.starttls(context=context)
    line = b'x' * 70 + b'\\r\\n'
    text = b'Subject: bulk\\r\\n\\r\\n' + line * 280000
    client.sendmail('sender@domain1.com', [recipient], text)
";

/// TLS is handed over behind its handshake.
const HANDSHAKE: [&str; 4] = ["--profile", "esmtp", "--set", "tls_watch=handshake"];

/// The client of the lab, and nobody else.
const HANDS_OFF: &str = "\
profile = \"mailguard\"
[[exceptions]]
client = \"192.0.2.2/32\"
treatment = \"hands-off\"
";

/// Fewer packets than 20 MB could ever be, in packets of 64 kB.
const MANY: u64 = 300;
/// More than a handshake and a short dialogue take.
const FEW: u64 = 60;
