//! How large a message is, as Exim counts it, and what the server takes.
//!
//! Where a message is larger than Exim 4.96 takes, Exim reads on as if a line began: a dot in the
//! middle of a line, with a line end behind it, ends the message then, and text behind it is run.
//! So whatever lies beyond what the server has said it takes (RFC 1870) must hold no such dot:
//! nobody stores that message, and the rest of its text leaves masked. Where a server has said
//! nothing, a setting stands for it; and who says less than RFC 5321 4.5.3.1.7 lets it say may not
//! mean it. The server may take what is beyond then: so it passes, but no such dot where the
//! message grows too large.
//!
//! CRLF counts as one, a dot that was added before a line's first is none. How Exim counts a CR or
//! LF that stands alone, and a dot behind it, depends on what came before; in a header it adds
//! blanks where it folds, and takes others out again. So the count is the most that it can be, and
//! all of these, and all of a header, are doubtful in it: where the truth may be what the server
//! takes, no line may end in a dot.

use memchr::memchr_iter;
use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::value::Excess;
use super::{Guard, Rule, Watch};
use crate::smtp::{Plain, Reply, mask};

/// What is known of sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Size {
    /// What the server takes, as far as it has said so; 0 if it has not.
    offered: u32,
    /// The number in the server's line under way, and whether it is over.
    number: u32,
    is_over: bool,
    /// Bytes of the message under way, if Exim counts all that it may.
    octets: u32,
    /// Those among them that it may not count.
    doubtful: u32,
    before: Before,
    /// What MAIL has said that its message has; 0 if it has not.
    pub(super) declared: u32,
    /// How much of its parameter SIZE stands before the next byte of MAIL.
    pub(super) matched: u8,
}

/// What stands before the next byte of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Before {
    /// A CRLF, or nothing.
    #[default]
    Line,
    Cr,
    /// A dot in the middle of a line.
    Dot,
    Text,
}

impl Before {
    /// Whether a line ends in a dot here that is not its first byte.
    fn ends_line_in_dot(self, bytes: &[u8]) -> bool {
        let earlier = self == Self::Dot && matches!(bytes, [b'\r' | b'\n', ..]);
        let is_inside = |dot: usize| match bytes.get(..dot) {
            None | Some([]) => self != Self::Line,
            Some([b'\n']) => self != Self::Cr,
            Some(before) => !before.ends_with(b"\r\n"),
        };
        let is_end = |dot: usize| matches!(bytes.get(dot + 1), Some(b'\r' | b'\n'));
        earlier || memchr_iter(b'.', bytes).any(|dot| is_end(dot) && is_inside(dot))
    }
}

impl Size {
    /// Text behind the keyword of a line that offers SIZE.
    pub(super) fn hear(&mut self, text: &[u8]) {
        for byte in text {
            if byte.is_ascii_digit() && !self.is_over {
                let digit = u32::from(byte - b'0');
                self.number = self.number.saturating_mul(10).saturating_add(digit);
            } else {
                self.is_over |= self.number > 0;
            }
        }
    }

    /// A line of an answer to EHLO, or of what may be one, has ended.
    pub(super) fn hear_end(&mut self, reply: &Reply) {
        let number = std::mem::take(&mut self.number);
        self.is_over = false;
        if !reply.is_later_line {
            self.offered = 0;
        } else if is_size(reply) {
            // Servers without a limit say no number (Postfix, Exim, sendmail) or 0 (RFC 1870 4).
            self.offered = if number == 0 { UNLIMITED } else { number };
        }
    }

    /// The message is over, or none has begun.
    pub(super) const fn end(&mut self) {
        self.begin();
        self.declared = 0;
    }

    /// A message may begin.
    pub(super) const fn begin(&mut self) {
        (self.octets, self.doubtful, self.before) = (0, 0, Before::Line);
    }

    /// More of the message leaves so, of which so much is header, and this is plain.
    fn add_parts(&mut self, header: usize, bytes: &[u8], plain: Plain, has_dots: bool) {
        let (header, body) = bytes.split_at_checked(header).unwrap_or((bytes, &[]));
        self.add(header, true, has_dots);
        // A short one is counted in less time than told apart.
        let plain = if plain.length() < PLAIN_MIN { Plain::NONE } else { plain };
        let Plain { start, end, line_ends } = plain;
        let parts = [bytes.get(..start), bytes.get(start..end), bytes.get(end..)];
        let ([Some(before), Some(text), Some(behind)], true) = (parts, header.is_empty()) else {
            return self.add(body, false, has_dots);
        };
        let pairs = i64::try_from(line_ends).unwrap_or(i64::MAX);
        self.add(before, false, has_dots);
        self.add_counted(text, [pairs, 0, 2 * pairs], false, has_dots);
        self.add(behind, false, has_dots);
    }

    /// `has_dots`: before a line's first dot another was added, which does not count.
    fn add(&mut self, bytes: &[u8], is_header: bool, has_dots: bool) {
        if bytes.is_empty() {
            return;
        }
        let ends = Arch::new().dispatch(LineEnds(bytes));
        self.add_counted(bytes, ends, is_header, has_dots);
    }

    /// The same where it is known how many CRLF there are, dots behind them, and CRs and LFs in
    /// all.
    fn add_counted(
        &mut self,
        bytes: &[u8],
        [mut pairs, mut dots, ends]: [i64; 3],
        is_header: bool,
        has_dots: bool,
    ) {
        let split_pair = self.before == Before::Cr && bytes.first() == Some(&b'\n');
        pairs += i64::from(split_pair);
        let is_dotted = match self.before {
            Before::Line => bytes.first() == Some(&b'.'),
            Before::Cr | Before::Dot | Before::Text => split_pair && bytes.get(1) == Some(&b'.'),
        };
        dots += i64::from(is_dotted);
        dots *= i64::from(has_dots);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        // A CR is known to stand alone by what follows it.
        let earlier = i64::from(self.before == Before::Cr && !bytes.is_empty());
        let lone = ends + earlier - i64::from(bytes.ends_with(b"\r")) - 2 * pairs;
        let count = number(bytes.len()) - pairs - dots + lone;
        let doubtful = if is_header { count.max(0) } else { 2 * lone };
        self.doubtful = self.doubtful.saturating_add(u32::try_from(doubtful).unwrap_or(0));
        self.before = match bytes {
            [] => self.before,
            [.., b'\r', b'\n'] => Before::Line,
            [b'\n'] if split_pair => Before::Line,
            [.., b'\r'] => Before::Cr,
            [b'.'] if self.before == Before::Line => Before::Text,
            [b'\n', b'.'] if split_pair => Before::Text,
            [.., b'\r', b'\n', b'.'] => Before::Text,
            [.., b'.'] => Before::Dot,
            _ => Before::Text,
        };
        let octets = i64::from(self.octets).saturating_add(count).max(0);
        self.octets = u32::try_from(octets).unwrap_or(u32::MAX);
    }
}

/// How many CRLF there are, dots behind them, and CRs and LFs in all. Written in lanes, so that the
/// compiler makes vectors of it, as wide as the processor has them.
struct LineEnds<'a>(&'a [u8]);

impl WithSimd for LineEnds<'_> {
    type Output = [i64; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [i64; 3] {
        let mut counts = [0; 3];
        let used = add_lanes(self.0, &mut counts);
        // What is left, with zeros behind it: nothing that counts comes of them.
        let rest = self.0.get(used..).unwrap_or_default();
        let mut padded = [0; 2 * LANES + 2];
        padded.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
        add_lanes(&padded, &mut counts);
        counts
    }
}

/// Adds what is counted in these bytes as far as they fill lanes, with two bytes behind each: in
/// how many that is.
#[inline(always)]
fn add_lanes(bytes: &[u8], counts: &mut [i64; 3]) -> usize {
    let behind = |count: usize| bytes.get(count..).unwrap_or_default();
    let lanes = [0, 1, 2].map(|count| behind(count).as_chunks::<LANES>().0);
    let [firsts, seconds, thirds] = lanes.map(|lanes| lanes.chunks(SUMS_MAX));
    for ((firsts, seconds), thirds) in firsts.zip(seconds).zip(thirds) {
        let [mut pairs, mut dots, mut ends] = [[0_u8; LANES]; 3];
        for ((firsts, seconds), thirds) in firsts.iter().zip(seconds).zip(thirds) {
            let bytes = firsts.iter().zip(seconds).zip(thirds);
            let sums = pairs.iter_mut().zip(&mut dots).zip(&mut ends);
            for (((&first, &second), &third), ((pairs, dots), ends)) in bytes.zip(sums) {
                // What compares equal is all bits: to subtract it counts one.
                let is_cr = mask(first == b'\r');
                let is_pair = is_cr & mask(second == b'\n');
                *pairs = pairs.wrapping_sub(is_pair);
                *dots = dots.wrapping_sub(is_pair & mask(third == b'.'));
                *ends = ends.wrapping_sub(is_cr | mask(first == b'\n'));
            }
        }
        for (count, sums) in counts.iter_mut().zip([pairs, dots, ends]) {
            *count += sums.iter().map(|&sum| i64::from(sum)).sum::<i64>();
        }
    }
    let [.., thirds] = lanes;
    thirds.len() * LANES
}

/// Whether the line offers SIZE.
pub(super) fn is_size(reply: &Reply) -> bool {
    reply.keyword.as_bytes() == b"SIZE"
}

impl Guard {
    /// What the server takes, and whether it surely refuses what is larger.
    fn limit(&self, watch: &Watch) -> (u32, bool) {
        match watch.size.offered {
            0 => (self.settings.size_assumed.count(), false),
            offered => (offered, offered >= OFFERED_MIN),
        }
    }

    /// Where the message stands, and how many bytes more of it surely stand there too.
    fn zone(&self, watch: &Watch) -> (Zone, usize) {
        let Size { octets, doubtful, .. } = watch.size;
        let (limit, is_firm) = self.limit(watch);
        if limit == UNLIMITED {
            return (Zone::Below, usize::MAX);
        }
        let least = octets.saturating_sub(doubtful);
        let end = if is_firm { limit } else { limit.saturating_add(NEAR) };
        let (zone, room) = if octets < limit {
            // One byte may count as two.
            (Zone::Below, (limit - octets) / 2)
        } else if least < end {
            (Zone::Near, end - least)
        } else {
            (Zone::Beyond, u32::MAX)
        };
        (zone, usize::try_from(room).unwrap_or(usize::MAX).max(1))
    }

    /// How many bytes of message data may be read as such at once. None where that does not matter,
    /// no more where the server surely takes no more.
    pub(super) fn room(&self, watch: &Watch) -> Option<usize> {
        if !self.minds_size() {
            return None;
        }
        match self.zone(watch) {
            (Zone::Below | Zone::Near, room) => Some(room),
            (Zone::Beyond, _) => self.limit(watch).1.then_some(0),
        }
    }

    /// Whether so many bytes of message data are far from any limit on its size.
    pub(super) fn has_room(&self, watch: &Watch, length: usize) -> bool {
        if !self.minds_size() {
            return true;
        }
        match self.zone(watch) {
            (Zone::Below, room) => length < room,
            (Zone::Near, _) => false,
            (Zone::Beyond, _) => !self.limit(watch).1,
        }
    }

    /// Counts what leaves of a message, of which so much is header.
    pub(super) fn measure(
        &self,
        watch: &mut Watch,
        header: usize,
        bytes: &[u8],
        plain: Plain,
    ) -> Option<Excess> {
        if !self.minds_size() {
            return None;
        }
        let (zone, _) = self.zone(watch);
        let has_dot = zone == Zone::Near && watch.size.before.ends_line_in_dot(bytes);
        watch.size.add_parts(header, bytes, plain, true);
        let (limit, _) = self.limit(watch);
        let is_full = zone != Zone::Beyond && self.room(watch) == Some(0);
        let is_end = has_dot && !self.settings.size_assumed.is_logged();
        let (rule, count) = (Rule::MessageBytes, watch.size.octets);
        (has_dot || is_full).then_some(Excess { rule, count, limit, is_end })
    }

    /// Counts octets of a chunk. Exim 4.96 reads what is left of one with which the message becomes
    /// too large as commands: it ends the flow, if the server has said what it takes.
    pub(super) fn measure_chunk(
        &self,
        watch: &mut Watch,
        header: usize,
        bytes: &[u8],
    ) -> Option<Excess> {
        let limit = watch.size.offered;
        if !self.minds_size() || limit == 0 {
            return None;
        }
        let before = watch.size.octets;
        watch.size.add_parts(header, bytes, Plain::NONE, false);
        let (rule, count) = (Rule::MessageBytes, watch.size.octets);
        let is_end = !self.settings.size_assumed.is_logged();
        (before <= limit && count > limit).then_some(Excess { rule, count, limit, is_end })
    }

    const fn minds_size(&self) -> bool {
        self.settings.size_assumed.is_set()
    }
}

/// Bytes of plain text that are not looked at again.
const PLAIN_MIN: usize = 512;

/// Bytes taken together where they are counted.
const LANES: usize = 32;

/// So many of them before a lane's sum might overflow.
const SUMS_MAX: usize = u8::MAX as usize;

/// Where a message stands beside what the server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Below,
    /// It may be as large as that now: a dot that ends a line may be the wrong one.
    Near,
    Beyond,
}

/// A size that is none: no limit was said, or one beyond what is counted.
const UNLIMITED: u32 = u32::MAX;

/// What every server has to take.
const OFFERED_MIN: u32 = 65_536;

/// How far beyond what is assumed a message counts as near to it: the dot and a little more.
const NEAR: u32 = 4;

#[cfg(test)]
mod tests;
