//! A mail server that remembers every octet it was sent, connection by connection.
//!
//! It answers as a plain RFC 821 server would, 500 to what that does not know, and takes nothing
//! but CRLF.CRLF for the end of data. What a guard lets through is what this server received. A
//! number behind a verb makes it wait so many milliseconds before it answers; `DATA held` makes it
//! read nothing more until it is released; `QUIT close` makes it close first.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::network::Side;
use super::outcome::{Because, Outcome};

/// The running server.
pub(crate) struct Recorder {
    visits: Arc<Mutex<Vec<Visit>>>,
    /// How many `DATA held` may go on.
    released: Arc<Mutex<usize>>,
}

/// One connection, as the server's application saw it.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Every octet it brought.
    pub(crate) received: Vec<u8>,
    /// How it ended, if it has.
    pub(crate) end: Option<End>,
}

/// How a connection ended for the server's application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other end had nothing more to say.
    Finished,
    /// The connection broke.
    Broken,
}

impl Recorder {
    /// Listens on the server's host until the lab ends.
    pub(crate) fn start(address: SocketAddr) -> Outcome<Self> {
        let listener = Side::Server.within(|| TcpListener::bind(address).because(address))?;
        let visits = Arc::new(Mutex::new(Vec::new()));
        let released = Arc::new(Mutex::new(0));
        let (shared, gate) = (Arc::clone(&visits), Arc::clone(&released));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(peer) = stream.peer_addr() else { continue };
                let number = {
                    let mut all = shared.lock();
                    all.push(Visit { peer, received: Vec::new(), end: None });
                    all.len() - 1
                };
                let (shared, gate) = (Arc::clone(&shared), Arc::clone(&gate));
                thread::spawn(move || {
                    let served = serve(&stream, number, &shared, &gate);
                    let end = if served.is_ok() { End::Finished } else { End::Broken };
                    if let Some(visit) = shared.lock().get_mut(number) {
                        visit.end = Some(end);
                    }
                });
            }
        });
        Ok(Self { visits, released })
    }

    /// Lets one `DATA held` go on.
    pub(crate) fn release(&self) {
        *self.released.lock() += 1;
    }

    /// What each connection has brought so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        self.visits.lock().iter().map(|visit| visit.received.clone()).collect()
    }

    /// The connections from this end so far, oldest first.
    pub(crate) fn visits(&self, peer: SocketAddr) -> Vec<Visit> {
        self.visits.lock().iter().filter(|visit| visit.peer == peer).cloned().collect()
    }
}

fn serve(
    stream: &TcpStream,
    number: usize,
    all: &Mutex<Vec<Visit>>,
    gate: &Mutex<usize>,
) -> io::Result<()> {
    let answer = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    let mut reader = BufReader::new(stream);
    let (mut line, mut is_data) = (Vec::new(), false);
    answer("220 mail20.domain2.com recorder")?;
    loop {
        let count = keep_octets(&mut reader, &mut line, number, all)?;
        if count == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\r\n") {
            continue;
        }
        let whole = std::mem::take(&mut line);
        if is_data {
            if whole == b".\r\n" {
                is_data = false;
                answer("250 OK")?;
            }
            continue;
        }
        let verb = whole.split(|octet| b" \r\n".contains(octet)).next().unwrap_or_default();
        let argument = str::from_utf8(whole.get(verb.len()..).unwrap_or_default());
        let argument = argument.unwrap_or_default().trim();
        let pause = Duration::from_millis(argument.parse().unwrap_or(0));
        let verb = verb.to_ascii_uppercase();
        thread::sleep(pause);
        match verb.as_slice() {
            b"DATA" => {
                is_data = true;
                answer("354 go on")?;
                if argument == "held" {
                    pass(gate);
                }
            }
            b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => answer("250 OK")?,
            b"QUIT" => {
                answer("221 bye")?;
                if argument == "close" {
                    return Ok(());
                }
            }
            _ => answer("500 unrecognized")?,
        }
    }
}

/// Waits to be released.
fn pass(gate: &Mutex<usize>) {
    loop {
        let mut released = gate.lock();
        if let Some(rest) = released.checked_sub(1) {
            *released = rest;
            return;
        }
        drop(released);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads up to the next LF, or what there is before the end, and keeps it.
fn keep_octets(
    reader: &mut BufReader<&TcpStream>,
    line: &mut Vec<u8>,
    number: usize,
    all: &Mutex<Vec<Visit>>,
) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let until_lf = memchr::memchr(b'\n', available).map_or(available.len(), |at| at + 1);
    let taken = available.get(..until_lf).unwrap_or_default();
    line.extend_from_slice(taken);
    if let Some(visit) = all.lock().get_mut(number) {
        visit.received.extend_from_slice(taken);
    }
    reader.consume(until_lf);
    Ok(until_lf)
}
