//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, of which those with packets are read.
//!
//! A rewritten packet keeps its options except its hash, which covered the old bytes. A section
//! that states its length leaves stating none where packets may be missing from it.

use std::io::Read;

use super::window::Window;
use super::{Entry, Fault, LinkType, Order, Packet, RECORD_BYTES_MAX, Record, Shape, stated};

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Type and length in front of a block's body.
const HEAD_BYTES: usize = 8;
/// Type, both lengths.
const BLOCK_BYTES_MIN: usize = 12;
/// Head, magic, version, section length, trailing length.
pub(super) const SECTION_BYTES_MIN: usize = 28;
/// Head, interface, two halves of the time, captured and original length.
const PACKET_HEAD_BYTES: usize = 28;
/// Head, original length.
const SIMPLE_HEAD_BYTES: usize = 12;

/// Interfaces of one section: a capture of every interface of the largest router stays below.
const INTERFACES_MAX: usize = 65_536;

const OPTION_HASH: u16 = 3;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// The current section: its byte order and interfaces.
#[derive(Debug, Default)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Bytes of a packet that are captured at most; 0: no limit.
    snap_length: u32,
    clock: Clock,
}

impl Section {
    /// Learns a section's byte order from its header.
    fn check<R: Read>(&mut self, window: &Window<R>) -> Result<(), Fault> {
        let bytes = window.peek();
        let found = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.word(bytes, 8) == Some(ORDER_MAGIC));
        let Some(order) = found else {
            return Err(window.expected("the byte-order magic of a pcapng section"));
        };
        if order.short(bytes, 12) != Some(1) {
            return Err(window.expected("a pcapng section of version 1"));
        }
        self.order = order;
        self.interfaces.clear();
        Ok(())
    }

    /// The next block; nothing if the file ends inside it.
    pub(super) fn next<'a, R: Read>(
        &'a mut self,
        window: &'a mut Window<R>,
    ) -> Result<Option<Entry<'a>>, Fault> {
        if !window.fill(BLOCK_BYTES_MIN)? {
            return Ok(None);
        }
        let kind = self.order.word(window.peek(), 0);
        if kind == Some(SECTION_HEADER) {
            if !window.fill(SECTION_BYTES_MIN)? {
                return Ok(None);
            }
            self.check(window)?;
        }
        let Some(length) = self.length(window)? else { return Ok(None) };
        match kind {
            Some(SECTION_HEADER) => Ok(Some(Entry::Section(window.take(length)))),
            Some(INTERFACE_DESCRIPTION) => {
                self.describe(window, length)?;
                Ok(Some(Entry::Other(window.take(length))))
            }
            Some(OBSOLETE_PACKET | ENHANCED_PACKET) => self.packet(window, length).map(Some),
            Some(SIMPLE_PACKET) => self.simple(window, length).map(Some),
            Some(_) | None => Ok(Some(Entry::Other(window.take(length)))),
        }
    }

    /// The length of the block in the window, all of which is then in memory.
    fn length<R: Read>(&self, window: &mut Window<R>) -> Result<Option<usize>, Fault> {
        let Some(stated) = self.order.word(window.peek(), 4) else { return Ok(None) };
        let length = usize::try_from(stated).unwrap_or(usize::MAX);
        if !(BLOCK_BYTES_MIN..=RECORD_BYTES_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Err(window.expected(format!(
                "a block length from {BLOCK_BYTES_MIN} to {RECORD_BYTES_MAX} divisible by 4, \
                 found {stated}"
            )));
        }
        if !window.fill(length)? {
            return Ok(None);
        }
        let trailing = self.order.word(window.peek(), length.saturating_sub(4));
        if trailing != Some(stated) {
            return Err(
                window.expected(format!("a block of {stated} bytes that ends in its length"))
            );
        }
        Ok(Some(length))
    }

    fn describe<R: Read>(&mut self, window: &Window<R>, length: usize) -> Result<(), Fault> {
        let order = self.order;
        let block = window.peek().get(..length).unwrap_or_default();
        let fields = order.short(block, 8).zip(order.word(block, 12));
        let (Some((link, snap_length)), true) = (fields, length >= 20) else {
            return Err(window.expected("an interface description of at least 20 bytes"));
        };
        if self.interfaces.len() >= INTERFACES_MAX {
            return Err(window.expected(format!("at most {INTERFACES_MAX} interfaces")));
        }
        let mut clock = Clock::default();
        for (code, value, _) in options(order, body(block, 16)) {
            match (code, value) {
                (OPTION_RESOLUTION, [resolution]) => clock.resolution = *resolution,
                (OPTION_OFFSET, value) => {
                    if let Some(bytes) = value.first_chunk::<8>() {
                        clock.offset = match order {
                            Order::Little => i64::from_le_bytes(*bytes),
                            Order::Big => i64::from_be_bytes(*bytes),
                        };
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(Interface { link, snap_length, clock });
        Ok(())
    }

    /// An enhanced packet block, or its obsolete elder, whose first word holds a drop count too.
    fn packet<'a, R: Read>(
        &self,
        window: &'a mut Window<R>,
        length: usize,
    ) -> Result<Entry<'a>, Fault> {
        let order = self.order;
        let block = window.peek().get(..length).unwrap_or_default();
        let Some(stamp) = self.stamp(block) else {
            return Err(window.expected("a packet of an interface described before it"));
        };
        let lengths = order.word(block, 20).zip(order.word(block, 24));
        let place = lengths.and_then(|(captured, original)| {
            let captured = usize::try_from(captured).ok()?;
            let end = PACKET_HEAD_BYTES.checked_add(captured)?;
            let padded = end.checked_next_multiple_of(4)?;
            (padded.checked_add(4)? <= length).then_some((end, padded, original))
        });
        let Some((end, padded, original_length)) = place else {
            return Err(window.expected("a packet no longer than the block that holds it"));
        };
        let record = window.take(length);
        Ok(Entry::Packet(Packet {
            record,
            frame: record.get(PACKET_HEAD_BYTES..end).unwrap_or_default(),
            original_length,
            link: stamp.link,
            micros: Some(stamp.clock.micros(stamp.ticks)),
            shape: Shape(Record::Ng(stamp)),
            options: body(record, padded),
        }))
    }

    fn stamp(&self, block: &[u8]) -> Option<Stamp> {
        let order = self.order;
        let kind = order.word(block, 0)?;
        let source = order.word(block, 8)?;
        let index = match kind {
            OBSOLETE_PACKET => usize::from(order.short(block, 8)?),
            _ => usize::try_from(source).ok()?,
        };
        let interface = self.interfaces.get(index)?;
        let ticks = u64::from(order.word(block, 12)?) << 32 | u64::from(order.word(block, 16)?);
        let (clock, link) = (interface.clock, interface.link);
        Some(Stamp { order, kind, source, link, ticks, clock })
    }

    /// A simple packet block: of the first interface, and without a time.
    fn simple<'a, R: Read>(
        &self,
        window: &'a mut Window<R>,
        length: usize,
    ) -> Result<Entry<'a>, Fault> {
        let block = window.peek().get(..length).unwrap_or_default();
        let original = self.order.word(block, 8).filter(|_| length >= 16);
        let Some((original_length, interface)) = original.zip(self.interfaces.first()) else {
            return Err(window.expected("a packet of an interface described before it"));
        };
        let room = length.saturating_sub(SIMPLE_HEAD_BYTES + 4);
        let limit = match interface.snap_length {
            0 => original_length,
            limit => original_length.min(limit),
        };
        let captured = usize::try_from(limit).unwrap_or(usize::MAX).min(room);
        let (link, clock) = (interface.link, interface.clock);
        let order = self.order;
        let stamp = Stamp { order, kind: SIMPLE_PACKET, source: 0, link, ticks: 0, clock };
        let record = window.take(length);
        Ok(Entry::Packet(Packet {
            record,
            frame: body(record, SIMPLE_HEAD_BYTES).get(..captured).unwrap_or_default(),
            original_length,
            link,
            micros: None,
            shape: Shape(Record::Ng(stamp)),
            options: &[],
        }))
    }
}

/// Appends a section's header, stating no length.
pub fn write_section(header: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(header);
    if let Some(stated) = out.get_mut(start + 16..start + 24) {
        stated.fill(0xff);
    }
}

/// A block from an offset to its trailing length.
fn body(block: &[u8], from: usize) -> &[u8] {
    block.get(from..block.len().saturating_sub(4)).unwrap_or_default()
}

/// Options as (code, value, the bytes of the whole option); what is malformed ends the list.
fn options(order: Order, bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let code = order.short(rest, 0).filter(|code| *code != 0)?;
        let length = usize::from(order.short(rest, 2)?);
        let (option, tail) = rest.split_at_checked(4 + length.next_multiple_of(4))?;
        rest = tail;
        Some((code, option.get(4..4 + length)?, option))
    })
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Negative power of 10, or of 2 if the highest bit is set.
    resolution: u8,
    /// Seconds to add.
    offset: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { resolution: 6, offset: 0 }
    }
}

impl Clock {
    /// Microseconds since the epoch.
    pub(super) fn micros(self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks);
        let power = u32::from(self.resolution & 0x7f);
        let micros = match (self.resolution & 0x80 != 0, power) {
            (true, _) => (ticks * 1_000_000) >> power,
            (false, 0..=6) => ticks * 10_u128.pow(6 - power),
            (false, _) => 10_u128.checked_pow(power - 6).map_or(0, |unit| ticks / unit),
        };
        let offset = i128::from(self.offset) * 1_000_000;
        let micros = i128::try_from(micros).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(micros.max(0)).unwrap_or(u64::MAX)
    }

    /// The count nearest below a time.
    pub(super) fn ticks(self, micros: u64) -> u64 {
        let offset = i128::from(self.offset) * 1_000_000;
        let micros = u128::try_from(i128::from(micros) - offset).unwrap_or(0);
        let power = u32::from(self.resolution & 0x7f);
        let ticks = match (self.resolution & 0x80 != 0, power) {
            (true, 0..=32) => Some((micros << power) / 1_000_000),
            (true, _) => (micros / 1_000_000).checked_mul(1_u128 << power.min(100)),
            (false, 0..=6) => Some(micros / 10_u128.pow(6 - power)),
            (false, _) => 10_u128.checked_pow(power - 6).and_then(|unit| micros.checked_mul(unit)),
        };
        ticks.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
pub(super) const fn tests_clock(resolution: u8, offset: i64) -> Clock {
    Clock { resolution, offset }
}

/// Everything of a packet block but its frame and options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    order: Order,
    kind: u32,
    /// The word that names the interface.
    source: u32,
    link: LinkType,
    ticks: u64,
    clock: Clock,
}

impl Stamp {
    /// This stamp at the time of another, which is at `micros`.
    pub(super) fn at(self, other: Self, micros: u64) -> Self {
        let is_counted_alike = other.kind != SIMPLE_PACKET && other.clock == self.clock;
        Self {
            ticks: if is_counted_alike { other.ticks } else { self.clock.ticks(micros) },
            ..self
        }
    }

    pub(super) fn write(self, frame: &[u8], original: u32, old: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.order.bytes(self.kind));
        out.extend_from_slice(&[0; 4]);
        if self.kind == SIMPLE_PACKET {
            out.extend_from_slice(&self.order.bytes(original));
        } else {
            let [high, low] = halves(self.ticks);
            for word in [self.source, high, low, stated(frame.len()), original] {
                out.extend_from_slice(&self.order.bytes(word));
            }
        }
        out.extend_from_slice(frame);
        out.resize(start + (out.len() - start).next_multiple_of(4), 0);
        let mut has_options = false;
        for (code, _, option) in options(self.order, old) {
            if code != OPTION_HASH {
                out.extend_from_slice(option);
                has_options = true;
            }
        }
        if has_options {
            out.extend_from_slice(&[0; 4]);
        }
        let length = self.order.bytes(stated(out.len() + 4 - start));
        out.extend_from_slice(&length);
        if let Some(field) = out.get_mut(start + 4..start + HEAD_BYTES) {
            field.copy_from_slice(&length);
        }
    }
}

/// A 64-bit count as its two words, the high one first.
fn halves(count: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = count.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}
