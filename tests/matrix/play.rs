//! One run of the matrix: everything is started once, everything sent, then everything judged.

use std::thread;
use std::time::Duration;

use crate::cell::{Cell, Client};
use crate::clients::Senders;
use crate::judge::{Mark, Sight};
use crate::lab::{
    Because, Failure, Filter, Guard, Mta, Network, Outcome, PATIENCE, Program, ensure, now,
    wait_until,
};
use crate::{is_full, print};

/// What stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Nothing: the control.
    None,
    /// The default profile.
    Mailguard,
    /// The profile for servers of today.
    Esmtp,
}

/// A cell that has been run.
pub(crate) struct Sent {
    pub(crate) cell: Cell,
    /// Local part of the only recipient; of several, what they begin with.
    pub(crate) name: String,
    /// What was sent, with LF for CRLF.
    pub(crate) content: Vec<u8>,
    /// What the client said, if it did not send.
    pub(crate) refusal: Option<String>,
}

/// Runs it and prints it; fails if any cell is wrong.
pub(crate) fn matrix(profile: Profile) -> Outcome<String> {
    let network = Network::build()?;
    let servers = all(Mta::serve)?;
    let clients = all(Mta::send_with)?;
    let senders = Senders::open()?;
    let guard = Guard::start(match profile {
        Profile::None => Filter::None,
        Profile::Mailguard => Filter::with(&["--profile", "mailguard", "--format", "json"]),
        Profile::Esmtp => Filter::with(&["--profile", "esmtp", "--format", "json"]),
    })?;
    let start = now();
    let sent = send_all(&clients, &senders)?;
    let sight = await_all(&sent, &servers, &clients, &guard)?;
    let marks: Vec<Mark> = sent.iter().map(|sent| sight.judge(profile, sent)).collect();
    let table = print::table(&sent, &marks);
    let wrong = print::faults(&sent, &marks);
    ensure(wrong.is_empty(), || format!("{table}\n{wrong}"))?;
    network.all_closed().because(guard.events_end())?;
    let figures = sight.figures(profile)?;
    let kernel = network.contented()?;
    let seconds = start.elapsed().as_secs_f32();
    Ok(format!("{table}\n{} messages in {seconds:.1} s; {figures}; {kernel}", sent.len()))
}

fn all(start: impl Fn(Program) -> Outcome<Mta>) -> Outcome<Vec<Mta>> {
    Program::ALL.into_iter().map(|program| start(program).because(program.name())).collect()
}

/// Queues what mail servers send; the other clients send meanwhile, several at a time.
fn send_all(clients: &[Mta], senders: &Senders) -> Outcome<Vec<Sent>> {
    let cells = Cell::all(is_full());
    let numbered: Vec<(usize, &Cell)> = cells.iter().enumerate().collect();
    let share = numbered.len().div_ceil(WORKERS);
    // Neighbours in the list go to the same server: dealt out, the load is even.
    let shares = (0..WORKERS).map(|worker| numbered.iter().skip(worker).step_by(WORKERS));
    let mut sent = Vec::with_capacity(share * WORKERS);
    thread::scope(|scope| {
        let workers: Vec<_> = shares
            .map(|share| {
                scope.spawn(move || {
                    share
                        .map(|(number, cell)| send(clients, senders, *number, cell))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for worker in workers {
            let done = worker.join().map_err(|_| Failure::Wrong("a sender panicked".to_owned()))?;
            sent.extend(done.into_iter().collect::<Outcome<Vec<_>>>()?);
        }
        Ok(sent)
    })
}

fn send(clients: &[Mta], senders: &Senders, number: usize, cell: &Cell) -> Outcome<Sent> {
    let name = format!("cell{number}");
    let content = cell.kind.content(&name);
    let domain = cell.server.domain(cell.kind.way());
    let to: Vec<String> = match cell.kind.recipients() {
        1 => vec![format!("{name}@{domain}")],
        count => (0..count).map(|index| format!("{name}r{index}@{domain}")).collect(),
    };
    let refusal = match cell.client {
        Client::Mta(program) => {
            let place = Program::ALL.iter().position(|known| *known == program);
            let mta = place.and_then(|place| clients.get(place)).because("a sender")?;
            mta.submit(&content, &to)?;
            None
        }
        _ => match senders.send(cell, &name, &content, &to) {
            Ok(()) => None,
            Err(Failure::Wrong(why)) => Some(why),
            Err(lacking) => return Err(lacking),
        },
    };
    Ok(Sent { cell: *cell, name, content, refusal })
}

/// Waits until nothing more is to be expected, and a little longer, for what should not come.
fn await_all(sent: &[Sent], servers: &[Mta], clients: &[Mta], guard: &Guard) -> Outcome<Sight> {
    let copies = |sent: &Sent| if sent.refusal.is_some() { 0 } else { sent.cell.kind.recipients() };
    let expected: usize = sent.iter().map(copies).sum();
    let mut sight = Sight::default();
    // A message that never comes is a mark in the matrix: waiting just ends.
    let _ = wait_until("all messages stored", PATIENCE, || {
        thread::sleep(Duration::from_millis(300));
        sight = Sight::take(servers, guard)?;
        Ok((sight.copies() >= expected).then_some(()))
    });
    thread::sleep(SETTLING);
    let mut sight = Sight::take(servers, guard)?;
    sight.logs = clients.iter().chain(servers).map(Mta::log).collect();
    Ok(sight)
}

const WORKERS: usize = 4;

/// Longer than the senders wait before they try again.
const SETTLING: Duration = Duration::from_secs(3);
