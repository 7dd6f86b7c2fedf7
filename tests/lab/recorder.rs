//! A mail server that remembers every octet it was sent, connection by connection.
//!
//! It answers as a plain RFC 821 server would, 500 to what that does not know, and takes nothing
//! but CRLF.CRLF for the end of data. What a guard lets through is what this server received.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::network::Side;
use super::outcome::{Because, Outcome};

/// The running server.
pub(crate) struct Recorder {
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// Listens on the server's host until the lab ends.
    pub(crate) fn start(address: SocketAddr) -> Outcome<Self> {
        let listener = Side::Server.within(|| TcpListener::bind(address).because(address))?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = {
                    let mut all = shared.lock();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let shared = Arc::clone(&shared);
                // A connection that breaks is what its client made it.
                thread::spawn(move || serve(&stream, number, &shared));
            }
        });
        Ok(Self { received })
    }

    /// What each connection has brought so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().clone()
    }
}

fn serve(stream: &TcpStream, number: usize, all: &Mutex<Vec<Vec<u8>>>) -> io::Result<()> {
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
        match verb.to_ascii_uppercase().as_slice() {
            b"DATA" => {
                is_data = true;
                answer("354 go on")?;
            }
            b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => answer("250 OK")?,
            b"QUIT" => answer("221 bye")?,
            _ => answer("500 unrecognized")?,
        }
    }
}

/// Reads up to the next LF, or what there is before the end, and keeps it.
fn keep_octets(
    reader: &mut BufReader<&TcpStream>,
    line: &mut Vec<u8>,
    number: usize,
    all: &Mutex<Vec<Vec<u8>>>,
) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let until_lf = memchr::memchr(b'\n', available).map_or(available.len(), |at| at + 1);
    let taken = available.get(..until_lf).unwrap_or_default();
    line.extend_from_slice(taken);
    if let Some(kept) = all.lock().get_mut(number) {
        kept.extend_from_slice(taken);
    }
    reader.consume(until_lf);
    Ok(until_lf)
}
