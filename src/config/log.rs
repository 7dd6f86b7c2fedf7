//! The event log: where it goes, and in which form.

use std::path::Path;

use crate::event::{Daemon, Format};

/// The event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where events are written; none: nowhere.
    pub events: Option<String>,
    /// In which form.
    pub format: Format,
    /// Bytes it may grow by in a second; what is more is left out, and counted.
    pub bytes_per_second: u64,
}

/// Where events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To a daemon that listens at this socket.
    Daemon(Daemon, &'a Path),
    /// To a file or a FIFO; `-` for standard output.
    Stream(&'a str),
}

impl Log {
    /// Where events are written; none: nowhere.
    #[must_use]
    pub fn destination(&self) -> Option<Destination<'_>> {
        self.events.as_deref().map(Destination::of)
    }
}

impl<'a> Destination<'a> {
    /// What a text names.
    pub(super) fn of(events: &'a str) -> Self {
        let (word, socket) = match events.split_once(':') {
            Some((word, socket)) => (word, Some(socket)),
            None => (events, None),
        };
        let daemon = DAEMONS.iter().find(|(name, ..)| *name == word);
        daemon.map_or(Self::Stream(events), |(_, daemon, usual)| {
            Self::Daemon(*daemon, Path::new(socket.unwrap_or(usual)))
        })
    }
}

/// The daemons by their words, and where they listen.
const DAEMONS: [(&str, Daemon, &str); 2] = [
    ("journald", Daemon::Journal, "/run/systemd/journal/socket"),
    ("syslog", Daemon::Syslog, "/dev/log"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_daemons_and_everything_else_a_file() {
        let daemon = |daemon, path| Some(Destination::Daemon(daemon, Path::new(path)));
        for (events, expected) in [
            ("syslog", daemon(Daemon::Syslog, "/dev/log")),
            ("syslog:/run/log", daemon(Daemon::Syslog, "/run/log")),
            ("journald", daemon(Daemon::Journal, "/run/systemd/journal/socket")),
            ("journald:/a:b", daemon(Daemon::Journal, "/a:b")),
            ("./syslog", Some(Destination::Stream("./syslog"))),
            ("/var/log/syslog:1", Some(Destination::Stream("/var/log/syslog:1"))),
            ("-", Some(Destination::Stream("-"))),
        ] {
            let log =
                Log { events: Some(events.into()), format: Format::Text, bytes_per_second: 1 };
            assert_eq!(log.destination(), expected, "{events}");
        }
        let nowhere = Log { events: None, format: Format::Text, bytes_per_second: 1 };
        assert_eq!(nowhere.destination(), None);
    }
}
