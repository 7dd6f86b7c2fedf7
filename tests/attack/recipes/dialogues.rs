//! Every recipe that is a dialogue, on every server, before nothing and behind both default
//! profiles.

use std::thread;
use std::time::Duration;

use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::{Before, HONEST, Recipe, Trial};
use super::{chunks, lines, sizes, trust};
use crate::lab::{
    Because, Failure, Mta, Network, Outcome, PATIENCE, Pace, Postfix, Program, Session, Side, Way,
    ensure, wait_until,
};

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

    /// Waits until mail is stored that each server has taken after all other. Twice, for one
    /// message may overtake another.
    fn settle(&self, before: Before) -> Outcome {
        for turn in 0..2 {
            let name = format!("last{turn}{}", before.name());
            for program in Program::ALL {
                let to = format!("{name}{}@{}", program.name(), program.domain(Way::Plain));
                let address = program.address(Way::Plain);
                let mut session = Side::Server.within(|| {
                    let mut session = Session::connect_here(address, PATIENCE)?;
                    session.reply()?;
                    Ok(session)
                })?;
                for (line, code) in [
                    ("EHLO mail.domain1.com", 250),
                    ("MAIL FROM:<a@domain1.com>", 250),
                    (&format!("RCPT TO:<{to}>"), 250),
                    ("DATA", 354),
                    ("Subject: last\r\n\r\nlast\r\n.", 250),
                ] {
                    session.expect(Pace::Whole, line, code).because(&to)?;
                }
            }
            wait_until("the last mail is stored", PATIENCE, || {
                let recipients = self.recipients()?;
                let is_last = |one: &&String| one.starts_with(&name);
                let count = recipients.iter().filter(is_last).count();
                Ok((count == Program::ALL.len()).then_some(()))
            })?;
        }
        Ok(())
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
        let guard = before.start(&[trust::HANDS_OFF, sizes::LIMIT].concat())?;
        let tried = all(before).because(guard.events_end())?;
        servers.settle(before)?;
        let recipients = servers.recipients()?;
        for Done { recipe, program, before, number, mut seen } in tried {
            let evil = format!("evil{number}z");
            let is_evil = |name: &&String| name.starts_with(&evil) && !name.ends_with(HONEST);
            let stored = recipients.iter().filter(is_evil).count();
            if stored > 0 {
                seen = Seen::new(true, format!("{stored} stored; {}", seen.told));
            }
            let must_work = before == Before::Nothing && recipe.alive.contains(&program);
            ensure(seen.worked || !must_work, || {
                format!("{} shows nothing on a bare {}: {seen:?}", recipe.name, program.name())
            })?;
            table.enter((recipe.id, recipe.name), program.name(), before.name(), seen);
        }
    }
    table.judged()
}

/// Tries everything there is, all at once: most of the time is spent waiting.
fn all(before: Before) -> Outcome<Vec<Done>> {
    let recipes =
        [lines::RECIPES, chunks::RECIPES, trust::RECIPES, sizes::RECIPES].into_iter().flatten();
    let pairs = recipes.flat_map(|recipe| recipe.programs.iter().map(move |to| (recipe, *to)));
    let base = Before::ALL.iter().position(|known| *known == before).unwrap_or(0) * TRIES_MAX;
    thread::scope(|scope| {
        let working: Vec<_> = (base..)
            .zip(pairs)
            .map(|(number, (recipe, program))| {
                scope.spawn(move || one(recipe, Trial { program, before, number }))
            })
            .collect();
        let mut done = Vec::new();
        for one in working {
            done.push(one.join().map_err(|_| Failure::Wrong("a panic".to_owned()))??);
        }
        Ok(done)
    })
}

fn one(recipe: &'static Recipe, trial: Trial) -> Outcome<Done> {
    let Trial { program, before, number } = trial;
    let what = format!("{} {} {}: {}", recipe.id, recipe.name, program.name(), before.name());
    let seen = (recipe.run)(&trial).because(what)?;
    Ok(Done { recipe, program, before, number, seen })
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

/// Numbers for the tries before one filter; ports are made of them.
const TRIES_MAX: usize = 300;
