//! `mailguard probe`: is there a Mailguard between this machine and a mail server?
//!
//! Microsoft's article 295725 tests by hand: read the greeting, send an invalid command and EHLO.
//! This does the same and more, and never sends mail. Here are sockets, names and the clock;
//! what to say is decided in `dialogue`, what it means in `verdict`. One connection, bounded in
//! time: one limit for each reply, six times as much for everything.

mod banner;
mod dialogue;
mod findings;
mod generation;
mod keywords;
mod reply;
mod report;
mod starttls;
mod target;
mod verdict;

pub use target::Target;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use self::dialogue::{Command, Dialogue, Next, Transcript};
use self::verdict::{Presence, Verdict};
use super::{Form, FrontError, Outcome};

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// The form of the report.
    pub form: Form,
    /// The longest wait for a connection, and for a reply.
    pub timeout: Duration,
}

/// Asks the server and prints what its answers show.
///
/// # Errors
/// The server cannot be reached or does not speak SMTP, what it says is not enough to tell, or
/// standard output cannot be written.
pub fn run(options: &Options) -> Result<Outcome, FrontError> {
    let clock = Clock { end: now() + options.timeout * TIMEOUTS, timeout: options.timeout };
    let mut stream = connect(&options.target, &clock)?;
    let (server, name) = ends(&options.target, &stream)?;
    let said = converse(&mut stream, &name, &clock);
    if said.greeting.lines.is_empty() {
        let seconds = options.timeout.as_secs();
        return Err(FrontError::new(match said.ending {
            dialogue::Ending::Silent => format!("{server}: no greeting within {seconds} s"),
            dialogue::Ending::Done | dialogue::Ending::HungUp | dialogue::Ending::TooMuch => {
                format!("{server}: closed the connection without a greeting")
            }
        }));
    }
    let verdict = Verdict::of(&said);
    let text = match options.form {
        Form::Text => report::text(&server, &said, &verdict),
        Form::Json => report::json(&server, &said, &verdict),
    };
    super::print(&text)?;
    match verdict.presence {
        Presence::Found | Presence::Suspected => Ok(Outcome::Found),
        Presence::NotFound => Ok(Outcome::Done),
        Presence::Unknown => Err(FrontError::new(format!("{server}: {}", why_unknown(&said)))),
    }
}

fn why_unknown(said: &Transcript) -> &'static str {
    match said.greeting.code() {
        None => "the greeting is not SMTP's",
        Some(code) if code / 100 != 2 => "the server refused to talk",
        Some(_) => "the conversation ended too early to tell",
    }
}

/// When things have to be over.
struct Clock {
    end: Instant,
    timeout: Duration,
}

impl Clock {
    /// How long to wait for the next thing; nothing if no time is left.
    fn wait(&self) -> Option<Duration> {
        remaining(self.end).map(|left| left.min(self.timeout))
    }
}

fn remaining(end: Instant) -> Option<Duration> {
    end.checked_duration_since(now()).filter(|left| !left.is_zero())
}

#[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
fn now() -> Instant {
    Instant::now()
}

fn connect(target: &Target, clock: &Clock) -> Result<TcpStream, FrontError> {
    let mut failure = FrontError::new(format!("{target}: no address"));
    for address in resolve(target, clock)?.into_iter().take(ADDRESSES_MAX) {
        let Some(wait) = clock.wait() else { break };
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = FrontError::io(format!("cannot connect to {address}"), error),
        }
    }
    Err(failure)
}

/// The system's resolver knows no time limit, so another thread waits for it.
fn resolve(target: &Target, clock: &Clock) -> Result<Vec<SocketAddr>, FrontError> {
    if let Ok(address) = target.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, target.port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let asked = (target.host.clone(), target.port);
    thread::spawn(move || {
        // Nobody listens any more if this took too long.
        let _ = sender.send(asked.to_socket_addrs().map(Iterator::collect));
    });
    let answer = receiver
        .recv_timeout(clock.wait().unwrap_or_default())
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    answer.map_err(|error| FrontError::io(format!("cannot look up {}", target.host), error))
}

/// How to call the server in the report, and ourselves in EHLO: by our address (RFC 5321 4.1.3).
fn ends(target: &Target, stream: &TcpStream) -> Result<(String, String), FrontError> {
    let both = stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?)));
    let (peer, own) =
        both.map_err(|error| FrontError::io(format!("{target}: the connection was lost"), error))?;
    let server = if target.host.parse::<IpAddr>().is_ok() {
        target.to_string()
    } else {
        format!("{target} ({})", peer.ip())
    };
    let name = match own.ip().to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    Ok((server, name))
}

fn converse(stream: &mut TcpStream, name: &str, clock: &Clock) -> Transcript {
    let mut dialogue = Dialogue::new();
    // Without it the kernel would join the pieces of a command.
    let is_prompt = stream.set_nodelay(true);
    if is_prompt.is_err() {
        dialogue.closed();
    }
    let mut reply_end = now() + clock.timeout;
    loop {
        match dialogue.next() {
            Next::Close => return dialogue.into_transcript(),
            Next::Send(command) => {
                if send(stream, command, name, clock).is_err() {
                    // What it said before it hung up may still be there to read.
                    log::debug!("{} could not be sent", command.word());
                }
                reply_end = now() + clock.timeout;
            }
            Next::Receive => receive(stream, &mut dialogue, reply_end, clock),
            Next::Settle => receive(stream, &mut dialogue, reply_end.min(now() + SETTLE), clock),
        }
    }
}

fn send(stream: &mut TcpStream, command: Command, name: &str, clock: &Clock) -> io::Result<()> {
    stream.set_write_timeout(Some(clock.wait().ok_or(ErrorKind::TimedOut)?))?;
    for (index, piece) in command.pieces(name).iter().enumerate() {
        if index > 0 {
            thread::sleep(PIECE_GAP);
        }
        stream.write_all(piece)?;
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, dialogue: &mut Dialogue, reply_end: Instant, clock: &Clock) {
    let mut buffer = [0; 4096];
    let Some(wait) = remaining(reply_end.min(clock.end)) else {
        if remaining(clock.end).is_none() {
            dialogue.stop()
        } else {
            dialogue.silent()
        }
        return;
    };
    match stream.set_read_timeout(Some(wait)).and_then(|()| stream.read(&mut buffer)) {
        Ok(0) => dialogue.closed(),
        Ok(count) => dialogue.received(buffer.get(..count).unwrap_or_default()),
        // The clock is asked again, not the socket.
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) if is_timeout(&error) => dialogue.silent(),
        Err(_) => dialogue.closed(),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// All of a conversation may take so many times what one reply may.
const TIMEOUTS: u32 = 6;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Between the packets of a cut command: longer than offloading joins packets, and no burden.
const PIECE_GAP: Duration = Duration::from_millis(100);

/// For the rest of a greeting whose end is masked.
const SETTLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
