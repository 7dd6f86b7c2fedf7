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
//! It goes without a word only where it has something to say that is not acknowledged, or finds no
//! window; and then it says that again for a while, and keeps silent for longer. So there, unless
//! it was heard a moment ago, a segment that fits leaves with an ACK that is a few bytes older; and
//! so it does before the server has said anything at all, but for the third packet and what begins
//! as that does. That says nothing new to a server that still has the connection, which repeats
//! itself, is heard, and gets the next one as it is.
//!
//! Without cookies, too, a server that has given its end up unseen may read old text as a new
//! connection's, where an answer of it to another SYN has numbers that the client may still say.
//! Such an answer ends the flow. So that these numbers are few, no ACK leaves that is far older
//! than the newest one; as it came it would have told the server as little.

use serde::{Deserialize, Serialize};

use super::conversation::REACH;
use super::passage::Passage;
use crate::flow::Direction;
use crate::offset::Offset;
use crate::tcp::Stream;
use crate::time::Instant;
use crate::wire::Seq;

/// How far beside each other the numbers of a segment may be and still fit.
const SIZES: i64 = 3;

/// By how much an ACK becomes older at the most, unless it is a super-packet's.
const BACK_MAX: u64 = 2 * SIZES as u64 + 1;

/// For so long after its last segment a server is still there: it waits longer for an answer before
/// it gives up. A client's answer to that segment comes sooner.
const PRESENT_MILLIS: u32 = 1_000;

/// What tells whether the server may have given its end up unseen. An idle flow pays for each byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Presence {
    /// When it was heard last, or that RST passed, in milliseconds that wrap.
    heard: u32,
    /// Behind what the client has offered to take, where it has offered least: which of its
    /// segments the server heeds is the server's to say. Few servers say more than 64 KiB.
    least_offered: u16,
    /// By how much the client has acknowledged more than any ACK says that has left.
    short: u8,
    /// [`UNHEARD`], [`RESET`] and [`SILENT`].
    trouble: u8,
}

/// Its last word was held back, or it has said that again: whatever ACK has left, it heard none.
const UNHEARD: u8 = 1;

/// A RST of either side has passed that it may have taken.
const RESET: u8 = 2;

/// It has said nothing since its SYN/ACK: the third packet may never have reached it.
const SILENT: u8 = 4;

impl Presence {
    /// It may have accepted the connection.
    pub(super) const NEW: Self =
        Self { heard: 0, least_offered: u16::MAX, short: 0, trouble: SILENT };

    /// Of a server of which is known whether a RST has passed, and nothing else.
    pub(super) const fn of_before(has_reset: bool) -> Self {
        Self { least_offered: 0, trouble: if has_reset { RESET } else { 0 }, ..Self::NEW }
    }

    /// A segment of the server has come that may be its own. What it sent before it took a RST
    /// comes soon behind that.
    pub(super) fn hear(&mut self, now: Instant) {
        if self.trouble & RESET == 0 || self.is_long_ago(now) {
            (self.heard, self.trouble) = (millis(now), self.trouble & !(RESET | SILENT));
        }
    }

    /// Where the client has offered least.
    pub(super) const fn least_offered(&self) -> u16 {
        self.least_offered
    }

    /// What it said there is news and came through whole, or not.
    pub(super) const fn note_passage(&mut self, is_whole_news: bool) {
        self.trouble = if is_whole_news { self.trouble & !UNHEARD } else { self.trouble | UNHEARD };
    }

    /// A RST passes that it may take.
    pub(super) fn hear_reset(&mut self, now: Instant) {
        (self.heard, self.trouble) = (millis(now), self.trouble | RESET);
    }

    /// It was heard a moment ago, and no RST has passed since that it may have taken.
    pub(super) fn is_surely_there(&self, now: Instant) -> bool {
        self.trouble & RESET == 0 && !self.is_long_ago(now)
    }

    fn is_long_ago(&self, now: Instant) -> bool {
        millis(now).wrapping_sub(self.heard) > PRESENT_MILLIS
    }

    /// The client offers to take what comes before this.
    pub(super) fn note_offer(&mut self, offered: Offset) {
        self.least_offered = self.least_offered.min(in_16_bits(offered));
    }

    /// Behind what the server knows to be acknowledged.
    pub(super) fn answered(&self, reply: &Stream) -> Offset {
        Offset::new(reply.acknowledged().value().saturating_sub(self.short.into()))
    }

    /// An ACK has left, or none: so much is what the server knows now.
    pub(super) fn note_answered(&mut self, answered: Offset, reply: &Stream) {
        let short = reply.acknowledged().since(answered);
        self.short = u8::try_from(short).unwrap_or(u8::MAX);
    }

    /// Whether it may be gone.
    pub(super) fn is_doubtful(&self, reply: &Stream, now: Instant) -> bool {
        let is_waiting = self.trouble & UNHEARD != 0
            || self.answered(reply) < reply.judged()
            || in_16_bits(reply.judged()) >= self.least_offered
            || reply.fin().is_some();
        self.trouble & (RESET | SILENT) != 0 || (is_waiting && self.is_long_ago(now))
    }
}

/// What a server knows.
pub(super) struct Before {
    /// Behind what is acknowledged.
    answered: Offset,
    /// Whether it may read what comes as another connection's.
    may_begin_anew: bool,
}

fn in_16_bits(offset: Offset) -> u16 {
    u16::try_from(offset.value()).unwrap_or(u16::MAX)
}

/// Wrapping after 49 days.
fn millis(now: Instant) -> u32 {
    u32::try_from(now.micros() / 1_000 % (1 << u32::BITS)).unwrap_or_default()
}

impl Passage<'_, '_> {
    /// The ACK that a client's segment is to leave with, if its own might open a connection.
    fn harmless_ack(&self) -> Option<Seq> {
        if self.is_first() || self.is_behind_fin() {
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
        let fits = (-SIZES..=most).contains(&ahead);
        let back = if fits { u32::try_from(ahead + SIZES + 1).unwrap_or(0) } else { 0 };
        let harmless = ack.before(back);
        (harmless != packet.ack).then_some(harmless)
    }

    /// The ACK that a client's segment is to leave with, if its own is too old.
    fn recent_ack(&self) -> Option<Seq> {
        let reply = &self.conversation.streams[Direction::Reply];
        let oldest = reply.seq(reply.acknowledged()).before(REACH);
        let is_older = self.turn.packet.ack.distance_from(oldest) < 0;
        (is_older && self.conversation.may_alter_ack()).then_some(oldest)
    }

    /// Whether the server may have given its end up, and would not read the same as before.
    fn may_begin_anew(&self) -> bool {
        let conversation = &self.conversation;
        let reply = &conversation.streams[Direction::Reply];
        conversation.presence.is_doubtful(reply, self.turn.now) && conversation.may_alter_ack()
    }

    /// Whether a RST answers an ACK that left older than it was: its receiver would ignore it.
    pub(super) fn answers_harmless_ack(&self) -> bool {
        let reply = &self.conversation.streams[Direction::Reply];
        let offset = reply.offset(self.turn.packet.seq);
        let before = offset.map(|offset| reply.acknowledged().since(offset));
        self.direction == Direction::Reply
            && before.is_some_and(|before| before > 0 && before <= BACK_MAX)
            && self.may_begin_anew()
    }

    /// Whether neither end has said anything before it. It may complete the handshake, where any
    /// other ACK is answered by a RST; and what begins there is judged from its first byte.
    fn is_first(&self) -> bool {
        let (packet, streams) = (self.turn.packet, &self.conversation.streams);
        let [original, reply] = Direction::BOTH.map(|way| &streams[way]);
        let start = (original.seq(Offset::ZERO), reply.seq(Offset::ZERO));
        reply.judged() == Offset::ZERO && (packet.seq, packet.ack) == start
    }

    /// Whether nothing can come behind it.
    fn is_behind_fin(&self) -> bool {
        let stream = &self.conversation.streams[Direction::Original];
        let offset = stream.offset(self.turn.packet.seq);
        stream.fin().is_some_and(|fin| offset.is_some_and(|offset| offset > fin))
    }

    /// What the server knows before the client's segment, whose own ACK it has still to hear;
    /// nothing of its own segments.
    pub(super) fn before_ack(&self) -> Option<Before> {
        let conversation = &self.conversation;
        let reply = &conversation.streams[Direction::Reply];
        (self.direction == Direction::Original).then(|| Before {
            answered: conversation.presence.answered(reply),
            may_begin_anew: self.may_begin_anew(),
        })
    }

    /// The ACK of a segment was taken.
    pub(super) fn take_presence(&mut self, before: Option<Before>) {
        let Some(Before { answered, may_begin_anew }) = before else {
            if self.is_of_present_server() {
                self.conversation.presence.hear(self.turn.now);
            }
            return;
        };
        let (packet, conversation) = (self.turn.packet, &mut *self.conversation);
        let reply = &conversation.streams[Direction::Reply];
        conversation.presence.note_answered(answered, reply);
        conversation.presence.note_offer(reply.offered(packet.ack, packet.window));
        let harmless = if may_begin_anew { self.harmless_ack() } else { None };
        self.effects.harmless_ack = harmless.or_else(|| self.recent_ack());
    }

    /// Whether a segment of the server shows that it still has its end. One that has given it up
    /// asks back, when its client tries to open another, with what may look like an old ACK, or has
    /// numbers of which its SYN/ACK has not ended the flow.
    fn is_of_present_server(&self) -> bool {
        let (packet, streams) = (self.turn.packet, &self.conversation.streams);
        if !self.conversation.is_within_reach(packet.ack, packet.seq) {
            return false;
        }
        if !packet.payload().is_empty() {
            return true;
        }
        let reply = &streams[Direction::Reply];
        if reply.offset(packet.seq).is_some_and(|offset| offset >= reply.judged()) {
            return self.is_heeded();
        }
        // It may probe a window that is shut, by the number before the one that is awaited.
        let original = &streams[Direction::Original];
        packet.seq.after(1) == reply.seq(reply.acknowledged())
            && packet.ack == original.seq(original.judged())
    }

    /// A segment of the client leaves.
    pub(super) fn note_leaving(&mut self) {
        if self.turn.packet.flags.rst || !self.is_heeded() {
            return;
        }
        let left = self.effects.harmless_ack.unwrap_or(self.turn.packet.ack);
        let conversation = &mut *self.conversation;
        let reply = &conversation.streams[Direction::Reply];
        let answered = conversation.presence.answered(reply);
        let answered = answered.max(reply.offset(left).unwrap_or_default());
        conversation.presence.note_answered(answered, reply);
    }
}
