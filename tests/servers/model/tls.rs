//! A session under TLS as it was recorded: each side says its flight when it has heard the other's.

use std::collections::VecDeque;
use std::sync::LazyLock;

use crate::support::tls::{SESSIONS, session};
use mailguard::flow::Direction;

type Flights = VecDeque<(Direction, Vec<u8>)>;

static RECORDED: LazyLock<Vec<Flights>> =
    LazyLock::new(|| SESSIONS.iter().map(|(name, _)| session(name).into()).collect());

/// One side of a session.
#[derive(Debug)]
pub struct Recital {
    side: Direction,
    rest: Flights,
    heard: Vec<u8>,
}

impl Recital {
    /// The client of one of the sessions.
    pub fn client(number: usize) -> Self {
        let rest = RECORDED[number % RECORDED.len()].clone();
        Self { side: Direction::Original, rest, heard: Vec::new() }
    }

    /// A server: which session it is the first flight of its client says.
    pub const fn server() -> Self {
        Self { side: Direction::Reply, rest: Flights::new(), heard: Vec::new() }
    }

    /// Takes what has come, and says what is due then.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.heard.extend_from_slice(bytes);
        if self.rest.is_empty() {
            let is_it = |flights: &&Flights| self.heard.starts_with(&flights[0].1);
            self.rest = RECORDED.iter().find(is_it).cloned().unwrap_or_default();
        }
        let mut said = Vec::new();
        while let Some((from, flight)) = self.rest.front() {
            if *from == self.side {
                said.extend_from_slice(flight);
            } else if self.heard.starts_with(flight) {
                self.heard.drain(..flight.len());
            } else {
                break;
            }
            self.rest.pop_front();
        }
        said
    }
}
