//! Parameters of MAIL and RCPT: which may come, and what their values may be.

use super::{Envelope, Finding, Place, Rules};
use crate::guard::extension::{AUTH, BODY, ENVID, ORCPT, Parameters, SIZE, SMTPUTF8};
use crate::smtp::Verb;

impl Envelope {
    pub(super) fn keyword(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Finding {
        let (permitted, otherwise) = match verb {
            Some(Verb::Vrfy | Verb::Expn) => {
                (Parameters::of(SMTPUTF8), Finding::Refuse(self.cure()))
            }
            _ => (rules.permitted, Finding::Unoffered),
        };
        if self.place == Place::Gap {
            if byte == b' ' && !rules.is_strict && self.has_room_for_blank() {
                return Finding::Take;
            }
            (self.at, self.open) = (0, u32::MAX);
        }
        match byte {
            _ if byte.is_ascii_alphanumeric() || (byte == b'-' && self.at > 0) => {
                let open = Parameters::of_bits(self.open).with_letter(self.at, byte);
                if !permitted.meets(open) {
                    return otherwise;
                }
                (self.open, self.at) = (open.bits(), self.at.saturating_add(1));
                self.place = Place::Keyword;
                Finding::Take
            }
            b' ' | b'=' if self.place == Place::Keyword => {
                let whole = Parameters::of_bits(self.open).of_length(self.at);
                if !permitted.meets(whole) {
                    return otherwise;
                }
                self.says_utf8 |= whole.contains(SMTPUTF8);
                (self.open, self.at, self.digits) = (whole.index(), 0, 0);
                self.place = if byte == b' ' { Place::Gap } else { Place::Value };
                Finding::Take
            }
            _ => Finding::Refuse(self.cure()),
        }
    }

    /// Whether the keyword under way is SMTPUTF8, whole: so a line may end.
    pub(in crate::guard) fn ends_with_utf8(&self) -> bool {
        let whole = Parameters::of_bits(self.open).of_length(self.at);
        self.says_utf8 || (self.place == Place::Keyword && whole.contains(SMTPUTF8))
    }

    pub(super) fn value(&mut self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        if byte == b' ' {
            return (self.digits == 0 && !self.utf8.is_due()).then_some(Place::Gap);
        }
        let at = self.at;
        self.at = at.saturating_add(1);
        let is_taken = match self.open {
            SIZE => byte.is_ascii_digit() && at < SIZE_DIGITS_MAX,
            BODY => {
                let is_next =
                    |name: &&[u8]| name.get(usize::from(at)) == Some(&byte.to_ascii_uppercase());
                self.last = if at == 0 { byte.to_ascii_uppercase() } else { self.last };
                BODIES.iter().filter(|name| name.first() == Some(&self.last)).any(is_next)
            }
            _ if !byte.is_ascii() || self.utf8.is_due() => rules.has_utf8 && self.utf8.push(byte),
            AUTH | ENVID | ORCPT => self.xtext(byte, rules),
            _ => is_value(byte) && (byte != b'=' || !rules.is_strict),
        };
        is_taken.then_some(Place::Value)
    }

    /// RFC 3461 4: `+` and two digits stand for a byte, which may be no control character. Programs
    /// that write an address into ORCPT as it is (CodeIgniter) mean a plus where none follow.
    fn xtext(&mut self, byte: u8, rules: &Rules<'_>) -> bool {
        let is_digit = byte.is_ascii_digit()
            || (byte.is_ascii_hexdigit() && (byte.is_ascii_uppercase() || !rules.is_strict));
        let is_plus = self.digits > 0 && !is_digit && !rules.is_strict && self.open == ORCPT;
        match self.digits {
            _ if byte == b'+' && (self.digits == 0 || is_plus) => {
                self.digits = 2;
                true
            }
            _ if is_plus => {
                self.digits = 0;
                is_value(byte)
            }
            0 => is_value(byte) && (byte != b'=' || !rules.is_strict),
            2 => {
                (self.digits, self.last) = (1, byte);
                is_digit
            }
            _ => {
                self.digits = 0;
                let is_control = matches!(self.last, b'0' | b'1')
                    || (self.last == b'7' && matches!(byte, b'f' | b'F'));
                is_digit && !is_control
            }
        }
    }
}

/// RFC 5321 4.1.2, and `=`, which some write into the value of ORCPT.
const fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// RFC 1870 4.
const SIZE_DIGITS_MAX: u8 = 20;

/// RFC 6152 2, RFC 3030 3.
const BODIES: [&[u8]; 3] = [b"7BIT", b"8BITMIME", b"BINARYMIME"];
