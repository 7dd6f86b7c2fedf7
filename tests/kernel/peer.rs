//! The crafted client: remembers its numbers and what it heard, and nothing makes it honest.
//!
//! It acknowledges what the server says and knows what the server acknowledged; what it sends, and
//! when, is each case's own.

use std::cell::Cell;
use std::net::SocketAddr;

use super::craft;
use crate::support::packet::{ACK, FIN, PSH, RST, SYN};
use crate::support::segment::Segment;

/// One end of a TCP connection that exists in this test alone.
pub(crate) struct Peer {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) isn: u32,
    /// The server's ISN, once it has answered.
    pub(crate) answer: Option<u32>,
    /// What the server said, in order.
    pub(crate) heard: Vec<u8>,
    pub(crate) has_heard_fin: bool,
    /// How much of our stream the server has acknowledged (a FIN counts as a byte).
    pub(crate) acknowledged: u64,
    /// How much of our stream has left, acknowledged or not.
    pub(crate) sent: Cell<u64>,
    /// The window it last offered, unscaled.
    pub(crate) window: u16,
    /// ACKs that repeated the last one.
    pub(crate) repeated: usize,
    /// Sequence number of a RST from the server's side.
    pub(crate) reset: Option<u32>,
    /// Options on every segment but the SYN.
    pub(crate) options: Vec<u8>,
    /// Options on the SYN.
    pub(crate) syn_options: Vec<u8>,
    /// Everything that came.
    pub(crate) inbox: Vec<Segment>,
}

impl Peer {
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr, isn: u32) -> Self {
        Self {
            local,
            remote,
            isn,
            answer: None,
            heard: Vec::new(),
            has_heard_fin: false,
            acknowledged: 0,
            sent: Cell::new(0),
            window: 0,
            repeated: 0,
            reset: None,
            options: Vec::new(),
            syn_options: vec![2, 4, 5, 180],
            inbox: Vec::new(),
        }
    }

    /// The sequence number of an offset in our stream.
    pub(crate) fn seq(&self, offset: u64) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(offset as u32)
    }

    /// The next number we expect from the server.
    pub(crate) fn expects(&self) -> u32 {
        let heard = self.heard.len() as u32 + 1 + u32::from(self.has_heard_fin);
        self.answer.map_or(0, |answer| answer.wrapping_add(heard))
    }

    pub(crate) fn syn(&self) -> Vec<u8> {
        self.raw((self.isn, 0), SYN, &self.syn_options, &[])
    }

    /// An honest segment of our stream.
    pub(crate) fn segment(&self, offset: u64, payload: &[u8]) -> Vec<u8> {
        self.flagged(offset, payload, ACK | PSH)
    }

    /// The ACK of everything heard: a receiver believes it only from where our stream has come to.
    pub(crate) fn acknowledgment(&self) -> Vec<u8> {
        self.flagged(self.sent.get().max(self.acknowledged), &[], ACK)
    }

    /// A segment with other flags.
    pub(crate) fn flagged(&self, offset: u64, payload: &[u8], flags: u8) -> Vec<u8> {
        self.raw((self.seq(offset), self.expects()), flags, &self.options, payload)
    }

    /// A segment with other numbers, flags and options.
    pub(crate) fn raw(
        &self,
        numbers: (u32, u32),
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        craft((self.local, self.remote), numbers, flags, options, payload, |_, _| {})
    }

    /// A segment that `change` gets to see as bytes, and where TCP starts in them.
    pub(crate) fn changed(
        &self,
        offset: u64,
        payload: &[u8],
        change: impl FnOnce(&mut Vec<u8>, usize),
    ) -> Vec<u8> {
        let numbers = (self.seq(offset), self.expects());
        craft((self.local, self.remote), numbers, ACK | PSH, &self.options, payload, change)
    }

    /// Takes a packet from the server's side; true if it wants to be acknowledged.
    pub(crate) fn take(&mut self, seen: Segment) -> bool {
        if seen.source != self.remote || seen.destination != self.local {
            return false;
        }
        let is_news = self.learn(&seen);
        self.inbox.push(seen);
        is_news
    }

    fn learn(&mut self, seen: &Segment) -> bool {
        if seen.has(RST) {
            self.reset = Some(seen.seq);
            return false;
        }
        if seen.has(SYN) {
            if seen.ack == self.isn.wrapping_add(1) {
                self.answer = Some(seen.seq);
            }
            return false;
        }
        // Who has no answer to its SYN yet has no number to compare with, and acknowledges nothing.
        if self.answer.is_none() {
            return false;
        }
        let ahead = seen.ack.wrapping_sub(self.seq(self.acknowledged)).cast_signed();
        if ahead == 0 && seen.payload.is_empty() {
            self.repeated += 1;
        }
        self.acknowledged = self.acknowledged.saturating_add_signed(i64::from(ahead.max(0)));
        self.window = seen.window;
        let start = self.expects().wrapping_sub(seen.seq).cast_signed();
        let fresh = usize::try_from(start).ok().and_then(|start| seen.payload.get(start..));
        if let Some(fresh) = fresh {
            self.heard.extend_from_slice(fresh);
            self.has_heard_fin |= seen.has(FIN);
        }
        // What was cut to nothing because we have it asks for our ACK (RFC 9293 3.10.7.4).
        !seen.payload.is_empty() || seen.has(FIN) || start > 0
    }
}
