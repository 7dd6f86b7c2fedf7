//! A stand-in for a mail server, with bad manners where a recipe wants them, that knows which
//! commands it has run.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::lab::{Because, Outcome, Side};

/// What it does that no server should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing.
    Good,
    /// It greets twice, the second time late.
    GreetsTwice,
    /// It answers NOOP twice.
    AnswersTwice,
    /// The same, and its second answer comes when it has received the next command.
    AnswersTwiceLate,
    /// It does not answer an empty line.
    IgnoresEmpty,
    /// Its answer to HELO has so many lines more.
    LongReply(usize),
}

/// The running server.
#[derive(Clone)]
pub(crate) struct StandIn(Arc<Mutex<Heard>>);

struct Heard {
    manner: Manner,
    /// Every command line it has run.
    commands: Vec<String>,
    /// Messages it has taken.
    messages: usize,
}

impl StandIn {
    /// Listens on the server's host until the lab ends.
    pub(crate) fn start(address: SocketAddr) -> Outcome<Self> {
        let listener = Side::Server.within(|| TcpListener::bind(address).because(address))?;
        let heard = Heard { manner: Manner::Good, commands: Vec::new(), messages: 0 };
        let this = Self(Arc::new(Mutex::new(heard)));
        let shared = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // However a connection ends, it has been dealt with.
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Ok(this)
    }

    /// Changes its manners for connections to come, and forgets what it has run.
    pub(crate) fn behave(&self, manner: Manner) {
        let mut heard = self.0.lock();
        heard.manner = manner;
        heard.commands.clear();
    }

    /// Whether it has run a command that begins so.
    pub(crate) fn has_run(&self, start: &str) -> bool {
        self.0.lock().commands.iter().any(|command| command.starts_with(start))
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let manner = self.0.lock().manner;
        stream.set_nodelay(true)?;
        let answer = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
        let mut reader = BufReader::new(stream);
        answer(BANNER)?;
        if manner == Manner::GreetsTwice {
            thread::sleep(LATE);
            answer(BANNER)?;
        }
        loop {
            let Some(line) = read_line(&mut reader)? else { return Ok(()) };
            let line = line.trim_end();
            self.0.lock().commands.push(line.to_owned());
            let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
            match (verb.as_str(), manner) {
                ("HELO", Manner::LongReply(count)) => {
                    answer(&("250-standin\r\n".repeat(count) + "250 standin"))?;
                }
                ("EHLO", _) => answer(OFFERS)?,
                ("NOOP", Manner::AnswersTwice) => answer("250 OK\r\n250 OK")?,
                ("NOOP", Manner::AnswersTwiceLate) => {
                    answer("250 OK")?;
                    reader.fill_buf()?;
                    answer("250 OK")?;
                }
                ("HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP", _) => answer("250 OK")?,
                ("DATA", _) => {
                    answer("354 go on")?;
                    while read_line(&mut reader)?.is_some_and(|line| line != ".\r\n") {}
                    self.0.lock().messages += 1;
                    answer("250 OK")?;
                }
                ("BDAT", _) => {
                    let count = line.split(' ').nth(1).and_then(|word| word.parse().ok());
                    reader.read_exact(&mut vec![0; count.unwrap_or(0)])?;
                    answer("250 OK")?;
                }
                ("STAR", _) => {
                    answer("220 go ahead")?;
                    // Whatever follows is no TLS that it likes.
                    reader.read_exact(&mut [0; 5])?;
                    return Ok(());
                }
                ("QUIT", _) => return answer("221 bye"),
                ("EXPN", _) => answer("252 run")?,
                ("", Manner::IgnoresEmpty) => {}
                _ => answer("500 unrecognized")?,
            }
        }
    }
}

/// A line as it came, or nothing at the end.
fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = reader.read_until(b'\n', &mut line)?;
    Ok((count > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// Before the second greeting: the client has said EHLO by then.
const LATE: Duration = Duration::from_millis(100);

/// What it greets with: nothing of that is left in a masked banner.
pub(crate) const BANNER: &str = "220 standin ESMTP ready";

/// A keyword of a server's own that no profile lets pass, and the one for BDAT.
const OFFERS: &str = "250-standin\r\n250-XEVIL\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 CHUNKING";
