//! Every recipe that is a dialogue, on every server, before nothing and behind both default
//! profiles.

use std::thread;
use std::time::Duration;

use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::{Before, HONEST, Recipe, Trial};
use super::{chunks, lines, trust};
use crate::lab::{Because, Failure, Mta, Network, Outcome, Postfix, Program, ensure, wait_until};

/// What one try came to.
struct Done {
    recipe: &'static Recipe,
    program: Program,
    before: Before,
    number: usize,
    seen: Seen,
}

/// The four servers.
pub(crate) struct Servers(Vec<Mta>);

impl Servers {
    /// Starts all four, or fewer, side by side.
    pub(crate) fn start(programs: &[Program]) -> Outcome<Self> {
        let (first, others) = programs.split_first().because("a server")?;
        // The first one makes the certificate that all share.
        let mut all = vec![Mta::serve(*first)?];
        thread::scope(|scope| {
            let starting: Vec<_> =
                others.iter().map(|program| scope.spawn(|| Mta::serve(*program))).collect();
            for one in starting {
                all.push(one.join().map_err(|_| Failure::Wrong("a panic".to_owned()))??);
            }
            Ok::<_, Failure>(())
        })?;
        Ok(Self(all))
    }

    /// Recipients of all that is stored.
    fn recipients(&self) -> Outcome<Vec<String>> {
        let letters = self.0.iter().map(Mta::stored).collect::<Outcome<Vec<_>>>()?;
        Ok(letters.into_iter().flatten().flat_map(|letter| letter.recipients).collect())
    }
}

/// Runs them all.
pub(crate) fn every_recipe() -> Outcome<String> {
    let _network = Network::build()?;
    let servers = Servers::start(&Program::ALL)?;
    let _encrypting = Postfix::start_with(ENCRYPT)?;
    trust::prepare()?;
    detectors_work(&servers)?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for before in Before::ALL {
        let guard = before.start(trust::HANDS_OFF)?;
        let tried = all(before).because(guard.events_end())?;
        thread::sleep(SETTLING);
        let recipients = servers.recipients()?;
        for Done { recipe, program, before, number, mut seen } in tried {
            let evil = format!("evil{number}z");
            let is_evil = |name: &&String| name.starts_with(&evil) && !name.ends_with(HONEST);
            let stored = recipients.iter().filter(is_evil).count();
            if stored > 0 {
                seen = Seen::new(true, format!("{stored} stored; {}", seen.told));
            }
            table.enter((recipe.id, recipe.name), program.name(), before.name(), seen);
        }
    }
    table.judged()
}

/// Tries everything there is, each server's recipes one after the other.
fn all(before: Before) -> Outcome<Vec<Done>> {
    let quick = [lines::RECIPES, chunks::RECIPES, trust::RECIPES].into_iter().flatten();
    let quick: Vec<&Recipe> = quick.collect();
    let base = Before::ALL.iter().position(|known| *known == before).unwrap_or(0) * 300;
    thread::scope(|scope| {
        let mut working = Vec::new();
        for (place, program) in Program::ALL.into_iter().enumerate() {
            let mine = |recipe: &&&'static Recipe| recipe.programs.contains(&program);
            let number = base + place * 60;
            let list: Vec<_> = quick.iter().filter(mine).copied().collect();
            working.push(scope.spawn(move || share(before, program, number, &list)));
            let slow: Vec<_> = trust::SLOW.iter().filter(|recipe| mine(&recipe)).collect();
            working.push(scope.spawn(move || share(before, program, number + 50, &slow)));
        }
        let mut done = Vec::new();
        for one in working {
            done.extend(one.join().map_err(|_| Failure::Wrong("a panic".to_owned()))??);
        }
        Ok(done)
    })
}

fn share(
    before: Before,
    program: Program,
    first: usize,
    recipes: &[&'static Recipe],
) -> Outcome<Vec<Done>> {
    let mut done = Vec::new();
    for (number, recipe) in (first..).zip(recipes) {
        let trial = Trial { program, before, number };
        let what = format!("{} {} {}: {}", recipe.id, recipe.name, program.name(), before.name());
        let seen = (recipe.run)(&trial).because(what)?;
        done.push(Done { recipe, program, before, number, seen });
    }
    Ok(done)
}

/// Without a filter each server runs the forbidden line and stores mail for the evil recipient:
/// otherwise nothing that follows would show anything.
fn detectors_work(servers: &Servers) -> Outcome {
    for (number, program) in (9000..).zip(Program::ALL) {
        let trial = Trial { program, before: Before::Nothing, number };
        let mut talk: Talk = trial.greeted()?;
        talk.ask(&trial.forbidden());
        ensure(trial.has_run(&talk), || format!("{}: {:?}", program.name(), talk.heard))?;
        for line in trial.evil_mail(&trial.evil_address()).splitn(4, "\r\n") {
            talk.ask(line.trim_end());
        }
        ensure(talk.last().starts_with("250"), || format!("{}: {:?}", program.name(), talk.heard))?;
        wait_until("evil mail is stored", STORING_TIME_MAX, || {
            Ok(servers.recipients()?.contains(&trial.evil()).then_some(()))
        })?;
    }
    Ok(())
}

/// A Postfix that wants TLS of everybody, at the address of the lab's own.
pub(crate) const ENCRYPTING: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2)), 25);

const ENCRYPT: &str = "\
inet_interfaces = 198.51.100.2, 2001:db8:2::2
smtpd_tls_security_level = encrypt
";

const STORING_TIME_MAX: Duration = Duration::from_secs(10);

/// What servers have accepted arrives no later than this.
const SETTLING: Duration = Duration::from_millis(1500);
