//! A client that cannot be put off: it says what it is told, hears what comes, and when the
//! connection ends it notes that and goes on with nothing.
//!
//! Every write is a segment of its own (TCP_NODELAY).

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_tcp_quickack;
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{Because, Outcome, Side};

/// One connection, and all that was heard on it.
pub(crate) struct Talk {
    reader: BufReader<TcpStream>,
    /// Replies in order, the lines of each joined with a line feed; the first is the banner.
    pub(crate) heard: Vec<String>,
    /// Bytes said so far.
    pub(crate) said: usize,
    /// Whether the connection was reset or closed.
    pub(crate) is_over: bool,
}

impl Talk {
    /// Connects from the client's host and hears the banner.
    pub(crate) fn open(server: SocketAddr) -> Outcome<Self> {
        Self::open_from(server, 0)
    }

    /// The same from this port of the client; any, if it is 0.
    pub(crate) fn open_from(server: SocketAddr, port: u16) -> Outcome<Self> {
        let client = SocketAddr::new(IpAddr::from([192, 0, 2, 2]), port);
        Self::open_within(client, server, CONNECT_TIME_MAX)
    }

    /// The same from this address of the client's host, within a time.
    pub(crate) fn open_within(
        client: SocketAddr,
        server: SocketAddr,
        limit: Duration,
    ) -> Outcome<Self> {
        let stream = Side::Client.within(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&client.into()).because(client)?;
            socket.connect_timeout(&server.into(), limit).because(server)?;
            Ok(TcpStream::from(socket))
        })?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(limit))?;
        let reader = BufReader::new(stream);
        let mut talk = Self { reader, heard: Vec::new(), said: 0, is_over: false };
        talk.set_patience(limit);
        talk.hear(1);
        talk.set_patience(PATIENCE);
        Ok(talk)
    }

    /// Our own end.
    pub(crate) fn local(&self) -> Outcome<SocketAddr> {
        Ok(self.reader.get_ref().local_addr()?)
    }

    /// One message, step by step; whether it was taken.
    pub(crate) fn delivers(&mut self, text: &str) -> bool {
        for line in
            ["HELO mail.domain1.com", "MAIL FROM:<a@domain1.com>", "RCPT TO:<b@domain2.com>"]
        {
            self.ask(line);
        }
        self.ask("DATA").starts_with("354") && self.ask(&format!("{text}\r\n.")).starts_with("250")
    }

    /// Changes how long a reply may take.
    pub(crate) fn set_patience(&self, patience: Duration) {
        // It fails for no patience at all only.
        let _ = self.reader.get_ref().set_read_timeout(Some(patience));
    }

    /// Sends these bytes in one write.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        if !self.is_over {
            self.said += bytes.as_ref().len();
            self.is_over = self.reader.get_ref().write_all(bytes.as_ref()).is_err();
        }
    }

    /// Says that nothing more will come, and waits until the other end says so too, or is slow.
    pub(crate) fn finish(mut self) {
        // Where the other end was faster there is nothing to say.
        let _ = self.reader.get_ref().shutdown(Shutdown::Write);
        self.set_patience(SHORT_PATIENCE);
        self.hear(usize::MAX);
    }

    /// Hears up to so many replies; how many came.
    pub(crate) fn hear(&mut self, count: usize) -> usize {
        (0..count).take_while(|_| self.hear_one()).count()
    }

    /// Says a line and hears the answer to it, which is empty if none came.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\r\n"));
        if self.hear(1) == 1 { self.last().to_owned() } else { String::new() }
    }

    /// The newest reply.
    pub(crate) fn last(&self) -> &str {
        self.heard.last().map_or("", String::as_str)
    }

    /// Whether any reply holds this text.
    pub(crate) fn has_heard(&self, text: &str) -> bool {
        self.heard.iter().any(|reply| reply.contains(text))
    }

    /// How it stands, in few words: the last code heard, or how it ended.
    pub(crate) fn told(&self) -> String {
        let codes: Vec<&str> = self.heard.iter().skip(1).map(|reply| code(reply)).collect();
        let end = if self.is_over { " over" } else { "" };
        format!("{}{end}", codes.join(" "))
    }

    /// Lets the connection go without a word to the other end, where the client's packet filter
    /// keeps its RST.
    pub(crate) fn vanish(self) {
        let socket = Socket::from(self.reader.into_inner());
        // A connection that is not let go at once shows in what follows.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }

    fn hear_one(&mut self) -> bool {
        let mut reply = String::new();
        while !self.is_over {
            let mut line = Vec::new();
            match self.reader.read_until(b'\n', &mut line) {
                Ok(1..) => {}
                Ok(0) => {
                    self.is_over = true;
                    // The kernel would delay its ACK, and a FIN that is repeated is a second one
                    // for connection tracking. Nothing depends on it but one recipe.
                    let _ = set_tcp_quickack(self.reader.get_ref(), true);
                }
                Err(error) => {
                    self.is_over = error.kind() != std::io::ErrorKind::WouldBlock;
                    return false;
                }
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            if !reply.is_empty() {
                reply.push('\n');
            }
            reply.push_str(&line);
            if is_last && !self.is_over {
                self.heard.push(reply);
                return true;
            }
        }
        false
    }
}

/// The three digits a reply begins with.
pub(crate) fn code(reply: &str) -> &str {
    reply.get(..3).unwrap_or("?")
}

/// For a reply: several of TCP's own repetitions fall into this time.
const PATIENCE: Duration = Duration::from_secs(4);

/// For a reply that decides nothing any more.
const SHORT_PATIENCE: Duration = Duration::from_millis(200);

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
