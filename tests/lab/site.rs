//! A whole site: the three hosts, a Postfix, and a filter between. What most scenarios begin with.
//!
//! Also the judgement that ends them: all mail stored as sent, and no kernel with a complaint.

use std::time::Duration;

use super::guard::{Filter, Guard};
use super::message::Message;
use super::network::{Network, Side};
use super::outcome::{Because, Outcome, ensure};
use super::postfix::Postfix;
use super::process::{PATIENCE, wait_until};

/// The hosts with a Postfix and a filter between.
pub(crate) struct Site {
    /// The three hosts.
    pub(crate) network: Network,
    /// The mail server.
    pub(crate) postfix: Postfix,
    /// What stands on the gateway.
    pub(crate) guard: Guard,
}

impl Site {
    /// Builds and starts everything.
    pub(crate) fn open(filter: Filter<'_>) -> Outcome<Self> {
        let network = Network::build()?;
        let postfix = Postfix::start()?;
        let guard = Guard::start(filter)?;
        Ok(Self { network, postfix, guard })
    }

    /// Takes the filter out of the path and puts another one in.
    pub(crate) fn change_filter(&mut self, filter: Filter<'_>) -> Outcome {
        self.guard.replace(filter)
    }

    /// All stored exactly once, exactly as sent; every connection closed at both ends; no checksum
    /// errors, no packets that connection tracking calls invalid. Answers with these figures.
    pub(crate) fn finish(self, sent: &[Message]) -> Outcome<String> {
        let tally = self.postfix.tally(sent, PATIENCE)?.perfect();
        let tally = tally.because(self.postfix.log_end()).because(self.guard.log())?;
        self.network.all_closed().because(self.guard.events_end())?;
        let kernel = self.network.contented()?;
        Ok(format!("{tally}; {kernel}"))
    }
}

impl Network {
    /// Insists that no connection hangs between open and closed.
    pub(crate) fn all_closed(&self) -> Outcome {
        wait_until("all connections are closed", CLOSING_TIME_MAX, || {
            let open = Side::Client.half_closed()? + Side::Server.half_closed()?;
            Ok((open == 0).then_some(()))
        })
    }

    /// Insists that no kernel on the way had a complaint.
    pub(crate) fn contented(&self) -> Outcome<String> {
        let invalid = self.invalid()?;
        ensure(invalid == 0, || format!("{invalid} packets invalid to connection tracking"))?;
        for side in [Side::Client, Side::Server] {
            let errors = side.tcp_counter("InCsumErrors")?;
            ensure(errors == 0, || format!("{errors} checksum errors at the {}", side.name()))?;
        }
        Ok("checksum errors 0, conntrack invalid 0".to_owned())
    }
}

/// Less than TCP repeats a FIN for.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(30);
