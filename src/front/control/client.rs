//! `mailguard ctl`: one request, or a prompt for many.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::{mode_named, prompt, prompt_of, word_of};
use crate::front::{FrontError, Outcome, print};
use crate::pix::Mode;

/// What to ask, of whom.
pub struct Options<'a> {
    /// The daemon's socket.
    pub socket: &'a Path,
    /// The words; none: a prompt, or lines of standard input.
    pub words: &'a [String],
    /// One object a line.
    pub is_json: bool,
    /// Lines end in the daemon's rules being brought up to date by this, where it may.
    pub rules_up: &'a dyn Fn(&str) -> Result<(), FrontError>,
    /// Writes what the daemon may not write itself, where this may; what is to be said then. It is
    /// told whether the daemon ever had the file.
    pub write: &'a dyn Fn(&str, bool) -> Result<String, FrontError>,
}

/// How a request was answered.
struct Reply {
    how: String,
    /// The mode of the next words; none: the session is over.
    mode: Option<Mode>,
    question: String,
    body: Box<dyn Read>,
}

/// Asks, and prints what is answered.
///
/// # Errors
/// No daemon answers, or standard output cannot be written.
pub fn run(options: &Options<'_>) -> Result<Outcome, FrontError> {
    if !options.words.is_empty() {
        // One command needs no mode to be entered first.
        let mut talk =
            Talk { options, mode: Mode::Configuring, is_at_prompt: false, is_over: false };
        return talk.say(&options.words.join(" "));
    }
    let mode = if is_root() { Mode::Exec } else { Mode::Looking };
    let is_at_prompt = io::stdin().is_terminal();
    let mut talk = Talk { options, mode, is_at_prompt, is_over: false };
    if is_at_prompt {
        return prompt::run(&mut talk);
    }
    // What comes by a pipe ends at the first line that is refused.
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| FrontError::io("cannot read standard input", error))?;
        if is_comment(&line) {
            continue;
        }
        talk.say(&line)?;
        if talk.is_over() {
            break;
        }
    }
    Ok(Outcome::Done)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with([':', '!'])
}

/// A conversation with the daemon, a connection each time.
pub(super) struct Talk<'a> {
    options: &'a Options<'a>,
    mode: Mode,
    is_at_prompt: bool,
    is_over: bool,
}

impl Talk<'_> {
    /// What stands before the words that are typed.
    pub(super) const fn prompt(&self) -> &'static str {
        prompt_of(self.mode)
    }

    /// Asks one thing and prints the answer; an error if it was refused.
    pub(super) fn say(&mut self, words: &str) -> Result<Outcome, FrontError> {
        let mut reply = self.ask(words, "")?;
        if reply.how == "confirm" {
            if !confirmed(&reply.question)? {
                return Ok(Outcome::Done);
            }
            reply = self.ask(words, CONFIRMED)?;
        }
        if reply.how == "error" {
            let mut why = String::new();
            let _ = reply.body.read_to_string(&mut why);
            if why.contains(ROOT_WRITES) && is_root() {
                return self.write(words);
            }
            return Err(FrontError::said(&self.aligned(&why)));
        }
        show(reply.body)?;
        if reply.how == "rules" {
            self.follow()?;
        }
        self.is_over = reply.mode.is_none();
        self.mode = reply.mode.unwrap_or(self.mode);
        Ok(Outcome::Done)
    }

    /// A mark below the first line, still below it where the program's name stands before that.
    fn aligned(&self, why: &str) -> String {
        match why.split_once('\n') {
            Some((line, mark)) if !self.is_at_prompt && mark.trim_start().starts_with('^') => {
                format!("{line}\n{:name$}{mark}", "", name = "mailguard: ".len())
            }
            _ => why.to_owned(),
        }
    }

    /// Has the rules brought up to date.
    fn follow(&self) -> Result<(), FrontError> {
        let mut config = String::new();
        let _ = self.ask("rules-config", "")?.body.read_to_string(&mut config);
        (self.options.rules_up)(&config).map_err(|error| {
            FrontError::new(format!(
                "the filter has changed, and its rules have not (mailguard rules up): {error}"
            ))
        })
    }

    /// Does in the daemon's place what it may not. Of a file that it begins the rules are from then
    /// on, too.
    fn write(&self, words: &str) -> Result<Outcome, FrontError> {
        let mut reply = self.ask(words, &format!("{CONFIRMED}--written-there "))?;
        let mut said = String::new();
        let read = reply.body.read_to_string(&mut said);
        read.map_err(|error| broken(self.options.socket, HEAD_PATIENCE, error))?;
        let had_file = reply.how != "rules";
        if had_file && reply.how != "ok" {
            return Err(FrontError::said(&said));
        }
        print(&format!("{}\n", (self.options.write)(&said, had_file)?))?;
        if !had_file {
            self.follow()?;
        }
        Ok(Outcome::Done)
    }

    /// Whether the session was ended.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The lines that may be typed, for who completes them.
    pub(super) fn candidates(&self) -> Vec<String> {
        let Ok(mut reply) = self.ask("complete", "") else { return Vec::new() };
        let mut body = String::new();
        let _ = reply.body.read_to_string(&mut body);
        body.lines().map(str::to_owned).collect()
    }

    fn ask(&self, words: &str, flags: &str) -> Result<Reply, FrontError> {
        let json = if self.options.is_json { "--json " } else { "" };
        let mode = word_of(self.mode);
        let words = words.replace(['\n', '\r'], " ");
        let line = format!("{json}{flags}--place={mode} {words}\n");
        request(self.options.socket, &line, None)
    }
}

/// Asks one thing, for a program: the answer, one object a line.
///
/// # Errors
/// No daemon answers, it takes too long ([`ErrorKind::TimedOut`]), or it refuses.
pub(in crate::front) fn ask(socket: &Path, words: &str) -> Result<String, FrontError> {
    let mut reply = request(socket, &format!("--json {words}\n"), Some(PATIENCE))?;
    let mut body = String::new();
    let read = reply.body.read_to_string(&mut body);
    read.map_err(|error| broken(socket, PATIENCE, error))?;
    if reply.how == "ok" { Ok(body) } else { Err(FrontError::said(&body)) }
}

/// Sends a line, and reads the head of the answer. Each piece of the body has this limit of time;
/// what is followed may be long in coming.
fn request(path: &Path, line: &str, limit: Option<Duration>) -> Result<Reply, FrontError> {
    let patience = limit.unwrap_or(HEAD_PATIENCE);
    let failed = |error| broken(path, patience, error);
    let mut stream = connect(path, patience).map_err(|error| {
        if error.kind() == ErrorKind::WouldBlock {
            return failed(error);
        }
        FrontError::io(format!("no mailguard answers at {}", path.display()), error)
    })?;
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    // Who is turned away may be told why before all of it is said.
    let said = stream.write_all(line.as_bytes());
    let mut body = io::BufReader::new(stream);
    let mut head = String::new();
    body.read_line(&mut head).map_err(failed)?;
    if head.is_empty() {
        said.map_err(failed)?;
    }
    body.get_ref().set_read_timeout(limit).map_err(failed)?;
    let mut parts = head.trim_end().splitn(3, ' ');
    let how = parts.next().unwrap_or_default().to_owned();
    let mode = parts.next().and_then(mode_named);
    let question = parts.next().unwrap_or_default().to_owned();
    Ok(Reply { how, mode, question, body: Box::new(body) })
}

/// Connects. Where many wait to be let in already, the kernel has those behind them wait for as
/// long as for what they write.
fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

fn broken(path: &Path, patience: Duration, error: io::Error) -> FrontError {
    let error = if error.kind() == ErrorKind::WouldBlock {
        let what = format!("the filter says nothing for {} seconds", patience.as_secs());
        io::Error::new(ErrorKind::TimedOut, what)
    } else {
        error
    };
    FrontError::io(format!("no answer from {}", path.display()), error)
}

/// Prints an answer as it comes.
fn show(body: impl Read) -> Result<(), FrontError> {
    let mut lines = io::BufReader::new(body);
    let mut line = String::new();
    loop {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(FrontError::io("the answer broke off", error)),
        }
        print(&line)?;
    }
}

/// Asks the person at the terminal; on a pipe there is none.
fn confirmed(question: &str) -> Result<bool, FrontError> {
    if !io::stdin().is_terminal() {
        return Err(FrontError::new(format!("{question} expected the word noconfirm behind it")));
    }
    print(&format!("{question} [confirm]"))?;
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| FrontError::io("cannot read standard input", error))?;
    Ok(line.trim().is_empty() || line.trim_start().to_ascii_lowercase().starts_with('y'))
}

/// What an answer says where the daemon may not write what it was asked to.
pub(in crate::front) const ROOT_WRITES: &str = "root's `mailguard ctl` may";

/// What was asked is confirmed.
const CONFIRMED: &str = "--confirmed ";

/// For the daemon to take a request, and to answer one that is asked again and again.
const PATIENCE: Duration = Duration::from_secs(5);

/// For the beginning of the answer to a person, who may ask for much.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
