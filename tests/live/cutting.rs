//! A real Postfix without patience that is made to cut the terminator: its packets are kept small,
//! and its message ends where a packet is full, with the dot. Nagle's algorithm does the rest.
//!
//! Before it a server that delivers what it has got when a connection ends, as old Exchange did.

use crate::lab::{
    Because, HastyServer, Mta, Network, Outcome, PATIENCE, Program, Side, Way, run, wait_until,
};

/// A network with small packets, the sender, the server, and no filter yet.
pub(crate) struct Stage {
    pub(crate) network: Network,
    sender: Mta,
    pub(crate) server: HastyServer,
}

impl Stage {
    /// Builds and starts everything. What the sender is told beyond the necessary is `settings`.
    pub(crate) fn build(settings: &str) -> Outcome<Self> {
        let network = Network::build()?;
        small_packets(&network)?;
        let server = Program::Postfix.address(Way::Plain);
        let add = ["address", "add", &format!("{}/24", server.ip()), "dev", "s0"];
        run(&mut Side::Server.command("ip", &add), PATIENCE)?;
        let server = HastyServer::start(server)?;
        let sender = Mta::postfix_with(&format!("{IMPATIENT}{settings}"))?;
        Ok(Self { network, sender, server })
    }

    /// Queues the message whose end will be cut.
    pub(crate) fn submit(&self) -> Outcome {
        self.sender
            .submit(&cut_message(), &[format!("reader@{}", Program::Postfix.domain(Way::Plain))])
    }

    /// Waits until so many copies have been delivered.
    pub(crate) fn await_copies(&self, count: usize) -> Outcome {
        wait_until(&format!("{count} copies"), PATIENCE, || {
            Ok((self.server.delivered().len() >= count).then_some(()))
        })
        .because(self.sender.log())
    }

    /// Waits until the sender's log tells of so many tries.
    pub(crate) fn await_tries(&self, count: usize) -> Outcome {
        wait_until(&format!("{count} tries"), PATIENCE, || {
            Ok((self.tries().len() >= count).then_some(()))
        })
    }

    /// Waits until the sender has been told that its message was taken.
    pub(crate) fn await_acknowledgement(&self) -> Outcome {
        wait_until("the sender is content", PATIENCE, || {
            Ok(self.sender.log().contains("status=sent").then_some(()))
        })
        .because(self.sender.log())
    }

    /// Waits until so many messages have left the sender's queue.
    pub(crate) fn await_removals(&self, count: usize) -> Outcome {
        wait_until(&format!("{count} messages removed"), PATIENCE, || {
            Ok((self.sender.log().matches(": removed").count() >= count).then_some(()))
        })
        .because(self.sender.log())
    }

    /// What the sender's log says of each try.
    pub(crate) fn tries(&self) -> Vec<String> {
        let log = self.sender.log();
        let is_try = |line: &&str| line.contains("status=sent") || line.contains("status=deferred");
        let tries = log.lines().filter(is_try);
        tries.map(|line| line.split_once("]: ").map_or(line, |(_, tail)| tail).to_owned()).collect()
    }
}

/// The maximum segment size that leaves room for the timestamps of every packet.
pub(crate) fn small_packets(network: &Network) -> Outcome {
    network.set_offloads(false)?;
    let size = (SEGMENT + TIMESTAMPS).to_string();
    let route = ["route", "change", "default", "via", "198.51.100.1", "advmss", &size];
    run(&mut Side::Server.command("ip", &route), PATIENCE)?;
    Ok(())
}

/// A message that, with CRLF and the final dot, fills two packets; LF for CRLF.
pub(crate) fn cut_message() -> Vec<u8> {
    let header = "From: sender@domain1.com\nTo: reader@domain2.com\nSubject: all work and no play\n\
                  Date: Wed, 7 Feb 2001 17:01:20 +0000\nMessage-ID: <work@domain1.com>\n\n";
    let mut text = header.as_bytes().to_vec();
    let lines = |text: &[u8]| text.iter().filter(|octet| **octet == b'\n').count();
    // The dot is the last octet of the second packet.
    let full = 2 * SEGMENT - 1;
    while text.len() + lines(&text) + 70 < full {
        text.extend_from_slice(b"All work and no play makes Jack a dull boy.\n");
    }
    let missing = full - text.len() - lines(&text) - 2;
    text.extend(std::iter::repeat_n(b'x', missing));
    text.push(b'\n');
    text
}

/// Settings of a sender that tries again within seconds, and adds no header of variable length.
/// With a shorter backoff Postfix's queue manager may look at a message that its last try has not
/// let go of yet, and then forgets it.
pub(crate) const IMPATIENT: &str = "\
header_checks = regexp:{{/^Received:/ IGNORE}}
smtp_data_done_timeout = 2s
smtp_connection_cache_on_demand = no
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 1s
destination_recipient_limit = 1
smtp_destination_concurrency_failed_cohort_limit = 0
";

/// A sender that does not know of PIX.
pub(crate) const NO_WORKAROUNDS: &str = "smtp_pix_workarounds =\n";

const SEGMENT: usize = 524;
const TIMESTAMPS: usize = 12;
