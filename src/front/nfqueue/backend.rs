//! The seam between a queue and what talks to the kernel for it: the nfq crate, or our own few
//! messages.

use std::io;

use super::ledger::Accepted;
use super::message::Fate;
use super::packet::Head;

/// What talks to the kernel for one queue. Answers are carried out in the order they are given in,
/// at the latest by [`Backend::flush`].
pub(super) trait Backend {
    /// The next packet at hand. An error is the kernel's complaint about an earlier answer, or
    /// says that packets were lost.
    fn receive(&mut self) -> io::Result<Option<Head>>;

    /// The bytes of the packet last received.
    fn bytes(&self) -> &[u8];

    /// Answers for the packet last received.
    fn answer(&mut self, answer: Answer<'_>) -> Result<(), Unsent>;

    /// Lets these go on as they came.
    fn accept_through(&mut self, accepted: Accepted) -> Result<(), Unsent>;

    /// Drops every packet up to this number that the kernel still holds. On suspicion: there may be
    /// none, and a complaint about that is nobody's business.
    fn drop_through(&mut self, packet: u32, is_suspicion: bool) -> Result<(), Unsent>;

    /// Has all answers carried out.
    fn flush(&mut self) -> Result<(), Unsent>;

    /// Waits until something may be at hand.
    fn wait(&mut self) -> io::Result<()>;

    /// From here on only what has been read is at hand.
    fn read_no_more(&mut self);
}

/// What becomes of one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) packet: u32,
    pub(super) fate: Fate,
    /// The mark it gets, if not its own.
    pub(super) mark: Option<u32>,
    /// What goes on instead of its bytes.
    pub(super) bytes: Option<&'a [u8]>,
}

/// Answers did not reach the kernel, which still holds their packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    /// How many packets.
    pub(super) packets: u64,
    /// The number of the last of them.
    pub(super) through: u32,
}
