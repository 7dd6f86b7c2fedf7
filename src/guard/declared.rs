//! What MAIL says of its message's size (RFC 1870), and whether the message keeps to it: an ASA
//! tells of one that does not, and does no more about it.

use super::address::Address;
use super::settings::Settings;
use super::size::Size;
use super::value::Excess;
use super::{Rule, Watch};

impl Size {
    /// A MAIL begins.
    pub(super) const fn declare_nothing(&mut self) {
        (self.declared, self.matched) = (0, 0);
    }

    /// Takes more of the argument of MAIL, before which its address has come so far.
    pub(super) fn hear_declared(&mut self, mut address: Address, run: &[u8]) {
        for &byte in run {
            address.push(byte);
            if address.is_over() {
                self.push_declared(byte);
            }
        }
    }

    fn push_declared(&mut self, byte: u8) {
        match (SIZE.get(usize::from(self.matched)), byte) {
            (None, b'0'..=b'9') => {
                let digit = u32::from(byte - b'0');
                self.declared = self.declared.saturating_mul(10).saturating_add(digit);
            }
            (_, b' ' | b'\t') => self.matched = 1,
            (Some(next), _) if self.matched > 0 && byte.to_ascii_uppercase() == *next => {
                self.matched += 1;
            }
            (_, _) => self.matched = 0,
        }
    }
}

impl Settings {
    /// Whether anybody is told of a message that is larger than its MAIL says.
    pub(super) const fn minds_declared(&self) -> bool {
        self.syslog_names.is_asa()
    }
}

impl Watch {
    /// The message under way is over, and this may be said of it. Its bytes have been counted up to
    /// the CR of its terminator.
    pub(super) fn larger_than_declared(&self, settings: &Settings) -> Option<Excess> {
        let count = self.message.received().saturating_sub(1);
        let (rule, limit) = (Rule::DeclaredSize, self.size.declared);
        let is_larger = settings.minds_declared() && limit > 0 && count > limit;
        is_larger.then_some(Excess { rule, count, limit, is_end: false })
    }
}

/// The parameter, and the space before it.
const SIZE: [u8; 6] = *b" SIZE=";

#[cfg(test)]
mod tests;
