//! What the words of the control socket do to a running filter.
//!
//! It reads counters that others own, and walks the flows one by one; no packet waits for it. It
//! changes something only by a whole configuration, as a signal does ([`Running`]).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Pid;
use socket2::{Domain, Socket, Type};

use super::Reread;
use super::metrics;
use super::reload::{Reloaded, reload};
use super::running::{Needs, Pending, Running};
use super::show::{self, Detail};
use super::worker::Shared;
use crate::config::{Config, Override};
use crate::engine::{Effects, Killed};
use crate::flow::FlowId;
use crate::front::control::{
    Answer, How, Listener, ROOT_WRITES, Request, Server, Service, Waker, group_named, is_trusted,
};
use crate::front::{FrontError, is_there, rules, saved_config};
use crate::pix::{self, Command, Edit, Mode, Typed};

/// Everything that answers.
pub(super) struct Steering<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) running: &'a Running<'a>,
    pub(super) reread: &'a Reread<'a>,
    /// The configuration file, which `write memory` writes.
    pub(super) file: Option<&'a Path>,
    /// Whether it was there at any time.
    pub(super) had_file: &'a AtomicBool,
    /// What the command line lays over it.
    pub(super) overrides: &'a [Override],
    /// Whose counters it counts in: a worker of its own.
    pub(super) worker: usize,
}

/// Opens what the configuration asks for.
///
/// # Errors
/// A socket that was asked for by name cannot be opened. One that nobody asked for is done without.
pub(super) fn open(
    config: &Config,
    predecessor: Option<Pid>,
) -> Result<(Server, Waker), FrontError> {
    let control = &config.control;
    let group = control.group.as_deref().map(group_named).transpose()?;
    let listener = match Listener::open(Path::new(&control.socket), group, predecessor) {
        Ok(listener) => Some(listener),
        Err(error) if !control.is_wanted => {
            log::warn!("no control socket: {error}");
            None
        }
        Err(error) => return Err(error),
    };
    let metrics = config.metrics.listen.map(|address| {
        listen(address, predecessor.is_some())
            .map_err(|error| FrontError::io(format!("cannot listen at {address}"), error))
    });
    Server::new(listener, metrics.transpose()?)
}

/// Listens beside the process that is taken over from, which listens there until it is gone; beside
/// no other.
fn listen(address: SocketAddr, is_successor: bool) -> io::Result<TcpListener> {
    let bound = |is_shared| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(is_shared)?;
        socket.bind(&address.into())?;
        io::Result::Ok(socket)
    };
    if !is_successor {
        drop(bound(false)?);
    }
    let socket = bound(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Steering<'_> {
    /// Serves until the waker is gone.
    pub(super) fn serve(&self, server: &Server) {
        server.serve(&Service {
            answer: &|request| self.answer(request),
            metrics: &|| metrics::text(self.shared, &self.running.config()),
            backlog: self.shared.events.backlog(),
        });
    }
}

impl Steering<'_> {
    fn answer(&self, request: &Request) -> Answer {
        match request.words.as_str() {
            // For the client, and typed by nobody.
            "complete" => {
                let lines: Vec<_> = pix::lines_of(request.mode).collect();
                return Answer::text(request.mode, lines.join("\n"));
            }
            "rules-config" => {
                // Who asks may have begun it for us.
                self.finds_file();
                return Answer::text(request.mode, rules::inputs(&self.running.config()));
            }
            "" => return Answer::text(request.mode, ""),
            _ => {}
        }
        let (words, filter) = match request.words.split_once('|') {
            Some((words, filter)) => (words.trim(), Some(filter.trim())),
            None => (request.words.as_str(), None),
        };
        let mut answer = match pix::resolve(words, request.mode) {
            Ok(typed) if typed.command.changes() && !self.may_change(request) => {
                Answer::refused(request.mode, NOT_ALLOWED)
            }
            Ok(typed) => self.perform(&typed, request),
            Err(mistake) => Answer::refused(request.mode, mistake.to_string()),
        };
        if filter.is_some() && answer.is_followed {
            return Answer::refused(request.mode, NO_BAR);
        }
        // What is to be written is no text to look into.
        let filter = filter.filter(|_| !request.is_written_there);
        if let (Some(filter), How::Done | How::RulesFollow) = (filter, &answer.how) {
            match filtered(&answer.body, filter) {
                Some(body) => answer.body = body,
                None => {
                    let why = "ERROR: expected include, exclude, grep or begin behind the bar";
                    return Answer::refused(request.mode, why);
                }
            }
        }
        answer
    }

    fn perform(&self, typed: &Typed, request: &Request) -> Answer {
        let mode = request.mode;
        let text = |body: String| Answer::text(mode, body);
        let rest = typed.values.first().map_or("", String::as_str);
        let config = || self.running.config().clone();
        let shared = self.shared;
        match typed.command {
            Command::Status => text(show::status(shared, self.running, request.form)),
            Command::Stats => text(show::stats(shared, request.form)),
            Command::Flows => match show::Wanted::parse(rest) {
                Ok(wanted) => text(show::flows(shared, &wanted, request.form)),
                Err(error) => Answer::refused(mode, format!("flows: {error}")),
            },
            Command::Flow => match rest.parse() {
                Ok(id) => show::flow(shared, id, request.form)
                    .map_or_else(|| Answer::refused(mode, no_such_flow(id)), text),
                Err(_) => Answer::refused(mode, not_a_flow(rest)),
            },
            Command::Kill => match rest.parse() {
                Ok(id) => self.kill(id, request),
                Err(_) => Answer::refused(mode, not_a_flow(rest)),
            },
            Command::Queues => text(show::queue_table(&config(), request.form)),
            Command::Metrics => text(metrics::classic(&metrics::text(shared, &config()))),
            Command::Events => self.events(rest, mode),
            Command::Version => text(format!("Mailguard Version {}\n", env!("CARGO_PKG_VERSION"))),
            Command::Ping => text("pong\n".to_owned()),
            Command::Help => text(pix::lines_of(mode).collect::<Vec<_>>().join("\n")),
            Command::Enable if self.may_change(request) => Answer::text(Mode::Exec, ""),
            Command::Enable => Answer::refused(mode, NOT_ALLOWED),
            Command::Disable => Answer::text(Mode::Looking, ""),
            Command::Configure => Answer::text(Mode::Configuring, ""),
            Command::End => Answer::text(Mode::Exec, ""),
            Command::Leave if mode == Mode::Configuring => Answer::text(Mode::Exec, ""),
            Command::Leave => Answer { mode: None, ..Answer::default() },
            Command::Reload => self.reload(request),
            Command::WriteTerminal => text(pix::written(&config())),
            Command::WriteMemory => self.write(&config(), request),
            Command::WriteErase if request.is_confirmed || words_end_in_noconfirm(request) => {
                self.write(&pix::erased(&config()), request)
            }
            Command::WriteErase => {
                let question = "Erase PIX configuration in flash memory?".to_owned();
                Answer { how: How::Question(question), ..Answer::text(mode, "") }
            }
            Command::ShowConfigure => match self.file.map(crate::front::read_configuration) {
                Some(Ok(file)) => text(file),
                Some(Err(error)) => Answer::refused(mode, format!("ERROR: {error}")),
                None => Answer::refused(mode, NO_FILE),
            },
            Command::ShowRunning => text(pix::running_of(&config(), rest).join("\n")),
            Command::ShowFixup => text(pix::fixups(&config()).join("\n")),
            Command::ShowMailhost => text(pix::lines_named(&config(), "mailhost").join("\n")),
            Command::ShowStatic => text(pix::lines_named(&config(), "static").join("\n")),
            Command::ShowConduit => text(hits(&pix::lines_named(&config(), "conduit"))),
            Command::ShowAccessList => text(hits(&pix::lines_named(&config(), "access-list"))),
            Command::ShowConn => text(show::connections(shared, Detail::Short)),
            Command::ShowConnLong => text(show::connections(shared, Detail::Long)),
            Command::ShowConnCount | Command::ShowXlate => {
                let all = show::connections(shared, Detail::Short);
                text(all.lines().next().unwrap_or_default().to_owned())
            }
            Command::ShowServicePolicy => text(show::service_policy(shared)),
            Command::ClearXlate => text(self.clear()),
            Command::Edit(edit) => self.change(edit, typed, request),
        }
    }

    /// Whether who asks may change anything.
    fn may_change(&self, request: &Request) -> bool {
        let is_group_trusted = self.running.config().control.group_may_change;
        is_group_trusted || is_trusted(request.user)
    }

    fn events(&self, rest: &str, mode: Mode) -> Answer {
        if !self.shared.events.are_heard() {
            let why = "events: there is no event log, expected log.events in the configuration";
            return Answer::refused(mode, why);
        }
        let backlog = self.shared.events.backlog();
        let last = |lines| String::from_utf8_lossy(&backlog.last(lines)).into_owned();
        match rest.trim() {
            "" => Answer::text(mode, last(LINES)),
            "follow" => Answer { is_followed: true, ..Answer::text(mode, last(FOLLOWED_LINES)) },
            number => number.parse().map_or_else(
                |_| {
                    let what = "expected follow or a number of lines";
                    Answer::refused(mode, format!("events: `{number}` found, {what}"))
                },
                |lines| Answer::text(mode, last(lines)),
            ),
        }
    }

    /// What SIGHUP does, with an answer.
    fn reload(&self, request: &Request) -> Answer {
        log::info!("reading the configuration anew, as user {} asks", request.user);
        match reload(self.running, self.reread, self.shared) {
            Ok(Reloaded { said, pending }) => applied(request.mode, said, &pending),
            Err(error) => {
                let why = format!("the old configuration stays in force:\n{error}");
                Answer::refused(request.mode, why)
            }
        }
    }

    /// A line of configuration, in force for connections that begin from now on.
    fn change(&self, edit: Edit, typed: &Typed, request: &Request) -> Answer {
        let changed: Result<_, String> = self.running.change(|old| {
            let changed = pix::change(old, edit, typed)?;
            let is_old = |port: &u16| old.engine.ports.contains(port);
            let has_new_ports = !changed.config.engine.ports.iter().all(is_old);
            let is_new = |port: &u16| changed.config.engine.ports.contains(port);
            let has_old_ports = !old.engine.ports.iter().all(is_new);
            Ok((changed.config, (changed.said, has_new_ports, has_old_ports)))
        });
        let (mut pending, (mut said, has_new_ports, has_old_ports)) = match changed {
            Ok(changed) => changed,
            Err(why) => return Answer::refused(request.mode, why),
        };
        log::info!("user {} types: {}", request.user, request.words);
        if !has_new_ports {
            // What is under way on a port that was given up is read to its end, so its packets
            // have to come here: the rules may stay.
            pending.retain(|one| *one != Pending::Ports);
            said.extend(has_old_ports.then(|| GIVEN_UP.to_owned()));
        }
        applied(request.mode, said, &pending)
    }

    /// Resets what began under other settings.
    fn clear(&self) -> String {
        let mut effects = Effects::of_worker(self.worker, self.shared.events.are_heard());
        let count = self.shared.engine.reset_outdated(self.shared.clock.now(), &mut effects);
        self.shared.deliver(&mut effects);
        format!("{count} connections that began under other settings were reset\n")
    }

    /// Resets both ends of a connection.
    fn kill(&self, id: FlowId, request: &Request) -> Answer {
        let mut effects = Effects::of_worker(self.worker, self.shared.events.are_heard());
        let killed = self.shared.engine.kill(id, self.shared.clock.now(), &mut effects);
        self.shared.deliver(&mut effects);
        let mode = request.mode;
        match killed {
            Killed::Done => {
                log::info!("user {} has connection {id} reset", request.user);
                Answer::text(mode, format!("connection {id} was reset\n"))
            }
            Killed::Over => Answer::refused(mode, format!("connection {id} is over")),
            Killed::HandedOver => {
                let why = format!("connection {id} speaks TLS and bypasses the filter");
                Answer::refused(mode, why)
            }
            Killed::Unknown => Answer::refused(mode, no_such_flow(id)),
        }
    }

    /// Writes the configuration file, or says what has to be written to who can.
    fn write(&self, config: &Config, request: &Request) -> Answer {
        let mode = request.mode;
        let Some(file) = self.file else { return Answer::refused(mode, NO_FILE) };
        let had_file = self.had_file.load(Ordering::Relaxed);
        if request.is_written_there {
            // The rules follow a file that is begun, and by that its writer knows that it may be.
            let how = if had_file { How::Done } else { How::RulesFollow };
            return match saved_config::to_be_written(file, config) {
                Ok(text) => Answer { how, ..Answer::text(mode, text) },
                Err(error) => Answer::refused(mode, format!("ERROR: {error}")),
            };
        }
        match saved_config::write(file, had_file, config, self.overrides) {
            // From now on the rules are of a file, too.
            Ok(text) if self.finds_file() => {
                Answer { how: How::RulesFollow, ..Answer::text(mode, text) }
            }
            Ok(text) => Answer::text(mode, text),
            Err(error) if saved_config::is_forbidden(&error) => {
                Answer::refused(mode, format!("ERROR: {error}; {ROOT_WRITES}"))
            }
            Err(error) => Answer::refused(mode, format!("ERROR: {error}")),
        }
    }

    /// Whether the file is there for the first time.
    fn finds_file(&self) -> bool {
        self.file.is_some_and(is_there) && !self.had_file.swap(true, Ordering::Relaxed)
    }
}

/// What is to be said of a new configuration, and what is not yet in force of it.
fn applied(mode: Mode, mut said: Vec<String>, pending: &[Pending]) -> Answer {
    said.extend(pending.iter().map(ToString::to_string));
    let need_rules = pending.iter().any(|one| one.needs() == Needs::Rules);
    let how = if need_rules { How::RulesFollow } else { How::Done };
    Answer { how, ..Answer::text(mode, said.join("\n")) }
}

fn no_such_flow(id: FlowId) -> String {
    format!("there is no connection {id}: `flows` lists them")
}

fn not_a_flow(word: &str) -> String {
    format!("`{word}` found, expected the number of a connection: `flows` lists them")
}

fn words_end_in_noconfirm(request: &Request) -> bool {
    let last = request.words.split_whitespace().last().unwrap_or_default();
    "noconfirm".starts_with(last) && last.starts_with('n')
}

/// Lines as a PIX shows them that counts who came by. Nobody counts here.
fn hits(lines: &[String]) -> String {
    let is_remark = |line: &str| line.split(' ').nth(2) == Some("remark");
    let count = |line: &str| if is_remark(line) { "" } else { " (hitcnt=0) " };
    lines.iter().map(|line| format!("{line}{}\n", count(line))).collect()
}

/// The lines of a text that a filter leaves; none: there is no such filter.
fn filtered(text: &str, filter: &str) -> Option<String> {
    let (word, pattern) = filter.split_once(' ')?;
    let is_word = |name: &str| !word.is_empty() && name.starts_with(word);
    let has = |line: &&str| line.contains(pattern.trim());
    let lines = text.lines();
    let left: Vec<&str> = if is_word("include") || is_word("grep") {
        lines.filter(has).collect()
    } else if is_word("exclude") {
        lines.filter(|line| !has(line)).collect()
    } else if is_word("begin") {
        lines.skip_while(|line| !has(line)).collect()
    } else {
        return None;
    };
    Some(left.join("\n"))
}

const NOT_ALLOWED: &str = "ERROR: only root and the filter's own user may change anything, and the \
                           group with control.group_may_change = true";

const NO_BAR: &str = "ERROR: expected no bar behind `events follow`: what follows is not filtered \
                      here";

const NO_FILE: &str = "ERROR: the filter was started without a configuration file: expected one at \
                       /etc/mailguard/mailguard.toml, or --config";

/// What is said of ports that are guarded no more.
const GIVEN_UP: &str = "the rules keep a port while its connections last: `mailguard rules up` \
                        takes it out";

/// Collectors that may wait to be let in.
const BACKLOG: i32 = 16;

/// Lines of the log where nobody says how many.
const LINES: usize = 100;

/// Lines of the log before those that follow.
const FOLLOWED_LINES: usize = 10;
