//! Editing a packet: copy on the first change, same positions, all checksums at the end.
//!
//! The only edit that changes a length is [`Editor::cut`], which shortens: what was cut off stays
//! unsent, and TCP repeats it.

use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber};

use super::options::are_usual;
use super::{Packet, Seq, checksum, restrict_options};

/// What bytes become that their receiver has read already.
const BLANK: u8 = b'X';

/// A packet about to leave, changed or not.
#[derive(Debug)]
pub struct Editor<'p, 'a> {
    packet: &'p Packet<'a>,
    out: &'p mut Vec<u8>,
}

impl<'p, 'a> Editor<'p, 'a> {
    /// Nothing is changed yet; `out` will hold the changed copy.
    #[inline]
    pub fn new(packet: &'p Packet<'a>, out: &'p mut Vec<u8>) -> Self {
        out.clear();
        Self { packet, out }
    }

    /// Clears the urgent flag and pointer: a receiver would take the urgent byte out of the
    /// stream, and so read other bytes than we judged.
    #[inline]
    pub fn clear_urgent(&mut self) {
        if self.packet.is_urgent {
            self.tcp(|tcp| {
                tcp.set_urg(false);
                tcp.set_urgent_at(0);
            });
        }
    }

    /// Blanks the options that may not pass, and lowers a segment size that is too large.
    #[inline]
    pub fn restrict_options(&mut self) {
        let options = self.packet.options();
        if !are_usual(options) {
            self.restrict_any_options(options);
        }
    }

    fn restrict_any_options(&mut self, options: &[u8]) {
        let mut scratch = [0; 40];
        if let Some(scratch) = scratch.get_mut(..options.len()) {
            scratch.copy_from_slice(options);
            if restrict_options(scratch, self.packet.flags.syn) {
                self.write(self.packet.options_start(), scratch);
            }
        }
    }

    /// Has the packet acknowledge up to another number.
    pub fn set_ack(&mut self, ack: Seq) {
        self.tcp(|tcp| tcp.set_ack_number(TcpSeqNumber(ack.0.cast_signed())));
    }

    /// Takes the FIN back: it stands at a position that may not pass yet, or never.
    #[inline]
    pub fn clear_fin(&mut self) {
        if self.packet.flags.fin {
            self.tcp(|tcp| tcp.set_fin(false));
        }
    }

    /// Makes the payload from `at` on equal to `bytes`.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let at = self.packet.payload_start() + at;
        let current = if self.out.is_empty() { self.packet.bytes() } else { self.out.as_slice() };
        if current.get(at..at.saturating_add(bytes.len())) != Some(bytes) {
            self.write(at, bytes);
        }
    }

    /// Blanks the first `length` bytes of the payload: the receiver has acknowledged them, so it
    /// will not read them, and nothing unjudged may leave. With X, which begins no verb: spaces
    /// before a verb would be passed over by some server that reads them all the same.
    pub fn blank_payload(&mut self, length: usize) {
        if length > 0 {
            let start = self.packet.payload_start();
            if let Some(bytes) = self.copy().get_mut(start..start.saturating_add(length)) {
                bytes.fill(BLANK);
            }
        }
    }

    /// Keeps the first `keep` bytes of the payload, without PSH and FIN.
    #[inline]
    pub fn cut(&mut self, keep: usize) {
        if keep < self.packet.payload().len() {
            self.shorten(keep);
        }
    }

    fn shorten(&mut self, keep: usize) {
        let length = self.packet.payload_start() + keep;
        self.copy().truncate(length);
        self.tcp(|tcp| {
            tcp.set_psh(false);
            tcp.set_fin(false);
        });
    }

    /// Fills in lengths and checksums; true if the copy differs from the packet.
    #[must_use]
    #[inline]
    pub fn finish(self) -> bool {
        let is_changed = !self.out.is_empty();
        if is_changed {
            self.complete();
        }
        is_changed
    }

    fn complete(mut self) {
        let packet = self.packet;
        if let Some(segment) = self.copy().get_mut(packet.tcp_start()..) {
            checksum::fill_tcp(packet.addresses(), segment);
        }
        let length = self.out.len();
        if self.packet.source.is_ipv4() {
            let mut ip = Ipv4Packet::new_unchecked(self.out.as_mut_slice());
            ip.set_total_len(u16::try_from(length).unwrap_or(u16::MAX));
            ip.fill_checksum();
        } else {
            let mut ip = Ipv6Packet::new_unchecked(self.out.as_mut_slice());
            ip.set_payload_len(u16::try_from(length - 40).unwrap_or(u16::MAX));
        }
    }

    fn copy(&mut self) -> &mut Vec<u8> {
        if self.out.is_empty() {
            self.out.extend_from_slice(self.packet.bytes());
        }
        self.out
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let packet = self.packet.bytes();
        let behind = packet.get(at.saturating_add(bytes.len())..);
        if let (true, Some(before), Some(behind)) = (self.out.is_empty(), packet.get(..at), behind)
        {
            // Most often that is all of the payload: no need to copy what is overwritten.
            [before, bytes, behind].iter().for_each(|part| self.out.extend_from_slice(part));
            return;
        }
        if let Some(target) = self.copy().get_mut(at..at.saturating_add(bytes.len())) {
            target.copy_from_slice(bytes);
        }
    }

    fn tcp(&mut self, edit: impl FnOnce(&mut TcpPacket<&mut [u8]>)) {
        let start = self.packet.tcp_start();
        if let Some(tcp) = self.copy().get_mut(start..) {
            edit(&mut TcpPacket::new_unchecked(tcp));
        }
    }
}
