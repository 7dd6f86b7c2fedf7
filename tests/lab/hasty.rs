//! A mail server with the habit that made the split terminator visible: when a connection ends in
//! the middle of a message, it delivers what it has got. Old Exchange servers did so.
//!
//! A connection has ended for it when it was closed, was reset, or brought nothing for a while.
//! RFC 5321 4.2.5 has it otherwise: what was not acknowledged is the sender's to send again, and
//! must not be delivered. So each try to send a message gives one more copy.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::network::Side;
use super::outcome::{Because, Outcome};

/// The running server.
pub(crate) struct HastyServer {
    tries: Arc<Mutex<Vec<Try>>>,
}

/// One message that came, whole or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    /// What was delivered, as it came.
    pub(crate) content: Vec<u8>,
    /// Whether its end came, and was acknowledged.
    pub(crate) is_whole: bool,
}

impl HastyServer {
    /// Listens on the server's host until the lab ends.
    pub(crate) fn start(address: SocketAddr) -> Outcome<Self> {
        let listener = Side::Server.within(|| TcpListener::bind(address).because(address))?;
        let tries = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&tries);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // However a connection ends, it has been dealt with.
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Ok(Self { tries })
    }

    /// What it has delivered so far.
    pub(crate) fn delivered(&self) -> Vec<Try> {
        self.tries.lock().clone()
    }
}

fn serve(stream: &TcpStream, tries: &Mutex<Vec<Try>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let answer = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    let mut reader = BufReader::new(stream);
    answer("220 mail20.domain2.com Microsoft ESMTP MAIL Service ready")?;
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_slice() {
            b"DATA" => {
                answer("354 Start mail input; end with <CRLF>.<CRLF>")?;
                let message = receive(&mut reader);
                let is_whole = message.is_whole;
                tries.lock().push(message);
                if !is_whole {
                    return Ok(());
                }
                answer("250 Queued mail for delivery")?;
            }
            b"HELO" | b"EHLO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => answer("250 OK")?,
            b"QUIT" => answer("221 Service closing transmission channel")?,
            _ => answer("500 Unrecognized command")?,
        }
    }
}

fn receive(reader: &mut BufReader<&TcpStream>) -> Try {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        let end = reader.read_until(b'\n', &mut line);
        if line == b".\r\n" {
            return Try { content, is_whole: true };
        }
        // The dot of an end that was cut does not count as text.
        if line != b"." {
            content.extend_from_slice(&line);
        }
        if !matches!(end, Ok(1..)) {
            return Try { content, is_whole: false };
        }
    }
}

/// Short, so that a try does not take minutes.
const SILENCE_MAX: Duration = Duration::from_secs(2);
