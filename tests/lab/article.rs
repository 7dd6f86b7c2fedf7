//! The two experiments of Microsoft's article 295725, as it tells one to do them by hand.
//!
//! First: connect, read the banner, say `goodmorning`, say EHLO. Second: send a message whose end
//! of data is cut over two packets. What the answers should be depends on what stands between;
//! here they are only obtained.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::{Pace, Reply, Session};
use super::message::Message;
use super::outcome::{Failure, Outcome};
use super::process::PATIENCE;

/// What a server, or what stands before it, answers to the article's test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    /// The banner.
    pub(crate) banner: Reply,
    /// The reply to `goodmorning`.
    pub(crate) goodmorning: Reply,
    /// The reply to EHLO.
    pub(crate) ehlo: Reply,
    /// The reply to HELO.
    pub(crate) helo: Reply,
}

/// How one attempt to send a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The server's reply to the end of data came.
    Answered(u16),
    /// The connection was reset or closed.
    Broken,
    /// Nothing came for as long as the client was patient.
    Starved,
}

impl Answers {
    /// Does the test.
    pub(crate) fn of(server: SocketAddr) -> Outcome<Self> {
        let (mut session, banner) = Session::open(server, PATIENCE)?;
        let goodmorning = session.command(Pace::Whole, "goodmorning")?;
        let ehlo = session.command(Pace::Whole, "EHLO mail.domain1.com")?;
        let helo = session.command(Pace::Whole, "HELO mail.domain1.com")?;
        session.quit()?;
        Ok(Self { banner, goodmorning, ehlo, helo })
    }
}

impl Attempt {
    /// Sends a message whose end of data leaves in these pieces, each in a packet of its own, and
    /// waits for the answer no longer than the patience.
    pub(crate) fn cut(
        server: SocketAddr,
        message: &Message,
        pieces: &[&[u8]],
        patience: Duration,
    ) -> Outcome<Self> {
        let mut session = Session::greeted(server, PATIENCE)?;
        session.begin(Pace::Whole, &message.recipient)?;
        let wire = message.wire();
        let end: usize = pieces.iter().map(|piece| piece.len()).sum();
        let body = wire.get(..wire.len().saturating_sub(end)).unwrap_or_default();
        let all: Vec<&[u8]> = std::iter::once(body).chain(pieces.iter().copied()).collect();
        session.send_cut(&all)?;
        session.set_patience(patience)?;
        match session.reply() {
            Ok(reply) => Ok(Self::Answered(reply.code)),
            Err(Failure::Wrong(why)) if why.contains("temporarily unavailable") => {
                // Its repetitions would pass as soon as the filter is taken away.
                session.abort()?;
                Ok(Self::Starved)
            }
            Err(Failure::Wrong(why)) if why.contains("reset") || why.contains("closed") => {
                Ok(Self::Broken)
            }
            Err(failure) => Err(failure),
        }
    }
}
