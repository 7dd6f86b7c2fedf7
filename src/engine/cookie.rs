//! Keeps a client's segments from passing for the third packet of a new connection.
//!
//! A server under a flood of SYNs keeps no state (SYN cookies): it opens a connection for a lone
//! segment whose numbers fit its secret. Linux's secret fits whatever is added to both numbers at
//! once, and takes numbers that are up to three bytes off for another segment size
//! (`check_tcp_syn_cookie` and `msstab` in net/ipv4/syncookies.c); those of others fit the very
//! first numbers alone. So when a server has given its end up, a segment from the middle of a
//! stream may begin a new one: text that was judged as a message would be read as commands.
//!
//! Behind a RST that the server surely takes, and behind its FIN, nothing of the client's passes.
//! Behind a RST that it may take, before a window that is full, and while it says again what is not
//! acknowledged, a server may go without a word: there the client's segment leaves with an ACK that
//! is a few bytes older, which says nothing new to a server that still has the connection, and does
//! not fit the secret.

use super::Mode;
use super::passage::Passage;
use crate::flow::Direction;
use crate::offset::Offset;
use crate::smtp::Expect;
use crate::wire::Seq;

/// How far beside each other the numbers of a segment may be and still fit.
const SIZES: i64 = 3;

impl Passage<'_, '_> {
    /// The ACK that the segment is to leave with, if its own might open a connection.
    pub(super) fn harmless_ack(&self) -> Option<Seq> {
        if self.direction == Direction::Reply || !self.may_begin_anew() || self.is_first() {
            return None;
        }
        let (packet, streams) = (self.turn.packet, &self.conversation.streams);
        let start = |way: Direction| streams[way].seq(Offset::ZERO).0;
        // An old ACK tells the server nothing, and may fit a cookie of another minute.
        let newest = streams[Direction::Reply].seq(streams[Direction::Reply].acknowledged());
        let ack = if packet.ack.distance_from(newest) < 0 { newest } else { packet.ack };
        // By how many bytes more the client has received than it had sent before this segment.
        let received = ack.before(start(Direction::Reply));
        let ahead = received.distance_from(packet.seq.before(start(Direction::Original)));
        let length = i64::try_from(packet.payload().len()).unwrap_or(i64::MAX);
        // The kernel cuts a super-packet into segments, nobody knows where.
        let is_super_packet = self.turn.arrival.is_super_packet;
        let most = if is_super_packet { SIZES.saturating_add(length) } else { SIZES };
        let fits = (-SIZES..=most).contains(&ahead) && !self.is_behind_fin();
        let back = if fits { u32::try_from(ahead + SIZES + 1).unwrap_or(0) } else { 0 };
        let harmless = ack.before(back);
        (harmless != packet.ack).then_some(harmless)
    }

    /// Whether the server may have given its end up, and would not read the same as before. Under
    /// TLS the client may say to it whatever it likes as it is.
    fn may_begin_anew(&self) -> bool {
        let conversation = &self.conversation;
        let reply = &conversation.streams[Direction::Reply];
        let acknowledged = reply.offset(self.turn.packet.ack).unwrap_or_default().in_32_bits();
        (conversation.may_be_gone || reply.fin().is_some() || acknowledged < conversation.repeated)
            && conversation.mode() == Mode::Enforce
            && !matches!(conversation.dialogue.expect(), Expect::Tls(_))
    }

    /// Whether neither end has said anything before it. It may complete the handshake, where any
    /// other ACK is answered by a RST; and what begins there is judged from its first byte.
    fn is_first(&self) -> bool {
        let streams = &self.conversation.streams;
        let offset = streams[Direction::Original].offset(self.turn.packet.seq);
        streams[Direction::Reply].judged() == Offset::ZERO && offset == Some(Offset::ZERO)
    }

    /// Whether nothing can come behind it.
    fn is_behind_fin(&self) -> bool {
        let stream = &self.conversation.streams[Direction::Original];
        let offset = stream.offset(self.turn.packet.seq);
        stream.fin().is_some_and(|fin| offset.is_some_and(|offset| offset > fin))
    }
}
