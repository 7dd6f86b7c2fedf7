//! An SMTP client that decides which bytes leave together: every write is a segment of its own
//! (TCP_NODELAY), and pauses are explicit.
//!
//! It says what it is told, right or wrong, and never waits longer than its patience.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_tcp_congestion;

use super::message::Message;
use super::network::Side;
use super::outcome::{Because, Outcome, ensure, wrong};
use super::process::wait_until;

/// One TCP connection to a mail server.
pub(crate) struct Session {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// A server's reply, all lines of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The three digits of the last line.
    pub(crate) code: u16,
    /// Every line as received, without its line end.
    pub(crate) lines: Vec<Vec<u8>>,
}

/// How a client cuts what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As few writes as possible.
    Whole,
    /// Pieces of so many octets, each written by itself.
    Pieces(usize),
}

impl Session {
    /// Connects from the client's host and reads the banner.
    pub(crate) fn open(server: SocketAddr, patience: Duration) -> Outcome<(Self, Reply)> {
        let mut session = Self::connect(server, patience)?;
        let banner = session.reply().because("banner")?;
        Ok((session, banner))
    }

    /// Connects from the client's host, reads the banner and says HELO.
    pub(crate) fn greeted(server: SocketAddr, patience: Duration) -> Outcome<Self> {
        let (mut session, banner) = Self::open(server, patience)?;
        ensure(banner.code == 220, || format!("banner: {banner}"))?;
        session.expect(Pace::Whole, "HELO mail.domain1.com", 250)?;
        Ok(session)
    }

    /// Connects from the client's host and reads nothing.
    pub(crate) fn connect(server: SocketAddr, patience: Duration) -> Outcome<Self> {
        Side::Client.within(|| Self::connect_here(server, patience))
    }

    /// Connects from wherever the calling thread is.
    pub(crate) fn connect_here(server: SocketAddr, patience: Duration) -> Outcome<Self> {
        let stream = TcpStream::connect_timeout(&server, patience).because(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Changes how long a reply may take.
    pub(crate) fn set_patience(&self, patience: Duration) -> Outcome {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// Chooses the kernel's congestion control for what is sent from here on.
    pub(crate) fn set_congestion_control(&self, name: &str) -> Outcome {
        let set = set_tcp_congestion(&self.stream, name);
        set.map_err(std::io::Error::from).because(name)
    }

    /// Sends these bytes in one write.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.stream.write_all(bytes).because("sending")
    }

    /// Sends these bytes cut as told.
    pub(crate) fn send_at(&mut self, pace: Pace, bytes: &[u8]) -> Outcome {
        match pace {
            Pace::Whole => self.send(bytes),
            Pace::Pieces(size) => bytes.chunks(size).try_for_each(|piece| self.send(piece)),
        }
    }

    /// Sends each piece by itself, when the one before it was acknowledged, so that none joins the
    /// next; a piece that a filter drops never is, and has its time.
    pub(crate) fn send_cut(&mut self, pieces: &[&[u8]]) -> Outcome {
        for piece in pieces {
            let _ =
                wait_until("an ACK", ACK_TIME_MAX, || Ok(self.is_acknowledged()?.then_some(())));
            self.send(piece)?;
        }
        Ok(())
    }

    /// Our end's port.
    pub(crate) fn port(&self) -> Outcome<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// Whether the other end has acknowledged all that was sent.
    fn is_acknowledged(&self) -> Outcome<bool> {
        let local = self.stream.local_addr()?;
        let table = if local.is_ipv4() { "tcp" } else { "tcp6" };
        let path = format!("/proc/thread-self/net/{table}");
        let text = Side::Client.within(|| fs::read_to_string(&path).because(&path))?;
        let port = format!(":{:04X}", local.port());
        // Slot, local end, remote end, state, octets sent and not acknowledged : octets to read.
        let rows = text.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let mut ours = rows.filter(|row| row.get(1).is_some_and(|end| end.ends_with(&port)));
        Ok(ours.all(|row| row.get(4).is_some_and(|sizes| sizes.starts_with("00000000:"))))
    }

    /// Reads one reply.
    pub(crate) fn reply(&mut self) -> Outcome<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let count = self.reader.read_until(b'\n', &mut line).because("waiting for a reply")?;
            ensure(count > 0, || "the server closed the connection".to_owned())?;
            while line.last().is_some_and(|last| b"\r\n".contains(last)) {
                line.pop();
            }
            let is_last = line.get(3) != Some(&b'-');
            lines.push(line);
            if is_last {
                return Reply::of(lines);
            }
        }
    }

    /// Sends a line, cut as told, and reads the reply.
    pub(crate) fn command(&mut self, pace: Pace, line: &str) -> Outcome<Reply> {
        self.send_at(pace, format!("{line}\r\n").as_bytes())?;
        self.reply().because(line)
    }

    /// Sends a line and insists on the reply's code.
    pub(crate) fn expect(&mut self, pace: Pace, line: &str, code: u16) -> Outcome<Reply> {
        let reply = self.command(pace, line)?;
        ensure(reply.code == code, || format!("{line}: {reply}, not {code}"))?;
        Ok(reply)
    }

    /// Everything up to the server's 354.
    pub(crate) fn begin(&mut self, pace: Pace, recipient: &str) -> Outcome {
        self.expect(pace, "MAIL FROM:<sender@domain1.com>", 250)?;
        self.expect(pace, &format!("RCPT TO:<{recipient}@domain2.com>"), 250)?;
        self.expect(pace, "DATA", 354)?;
        Ok(())
    }

    /// One whole message, acknowledged.
    pub(crate) fn deliver(&mut self, pace: Pace, message: &Message) -> Outcome {
        self.begin(pace, &message.recipient)?;
        self.send_at(pace, &message.wire())?;
        let reply = self.reply().because("end of data")?;
        ensure(reply.code == 250, || format!("end of data: {reply}"))
    }

    /// Says QUIT and reads the codes of all replies that come before the connection ends, the last
    /// one not counted if it is 221.
    pub(crate) fn quit_and_count(mut self) -> Vec<u16> {
        // The server may have ended the connection: what it said before is still there.
        let _ = self.send(b"QUIT\r\n");
        let mut codes = Vec::new();
        while let Ok(reply) = self.reply() {
            codes.push(reply.code);
        }
        if codes.last() == Some(&221) {
            codes.pop();
        }
        codes
    }

    /// Ends the connection with a RST: what is not acknowledged is not repeated any more.
    pub(crate) fn abort(self) -> Outcome {
        Ok(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?)
    }

    /// Ends the connection politely.
    pub(crate) fn quit(mut self) -> Outcome {
        self.expect(Pace::Whole, "QUIT", 221)?;
        // The server may have been faster.
        let _ = self.stream.shutdown(Shutdown::Both);
        Ok(())
    }
}

impl Reply {
    fn of(lines: Vec<Vec<u8>>) -> Outcome<Self> {
        let last = lines.last().and_then(|line| line.get(..3));
        let code = last.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        match code {
            Some(code) => Ok(Self { code, lines }),
            None => wrong(format!("no reply: {lines:?}")),
        }
    }

    /// The last line as text.
    pub(crate) fn text(&self) -> String {
        let last = self.lines.last().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(last).into_owned()
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// After so long without an ACK none will come.
const ACK_TIME_MAX: Duration = Duration::from_secs(3);
