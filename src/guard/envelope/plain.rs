//! Paths as nearly all lines have them, read at a glance: `FROM:<local@domain>`, of letters, digits
//! and what no rule minds.

use super::{Envelope, Place, key_of};
use crate::guard::extension::{BODY, SIZE};
use crate::guard::value::Bytes;
use crate::smtp::{Verb, is_of_name, span};

impl Envelope {
    /// Reads the path that a whole argument of MAIL or RCPT begins with, up to and with its `>`,
    /// if it is such a one and has none of these bytes in its local part. How many bytes that is;
    /// where it is none, nothing. Only the lenient rules take all that is taken here.
    pub(in crate::guard) fn skip_plain_path(
        &mut self,
        argument: &[u8],
        verb: Option<Verb>,
        refused: &Bytes,
    ) -> Option<usize> {
        let key = key_of(verb);
        let (own, rest) = argument.split_at_checked(key.len())?;
        let path = rest.strip_prefix(b"<").filter(|_| own.eq_ignore_ascii_case(key))?;
        let local = path.iter().position(|byte| !is_of(LOCAL, *byte))?;
        let domain = path.get(local..)?.strip_prefix(b"@")?;
        let length = domain.iter().position(|byte| !is_of(DOMAIN, *byte))?;
        let is_whole = local > 0 && length > 0 && domain.get(length) == Some(&b'>');
        if !is_whole || LOCAL_MARKS.iter().any(|byte| refused.contains(*byte)) {
            return None;
        }
        let path = local + 1 + length;
        // What else the machine would remember matters only ahead of the `>`.
        *self = Self {
            place: Place::End,
            is_open: true,
            last: b'>',
            at: u8::try_from(key.len()).unwrap_or(u8::MAX),
            local: u16::try_from(local).unwrap_or(u16::MAX),
            path: u16::try_from(path).unwrap_or(u16::MAX),
            ..*self
        };
        Some(key.len() + 1 + path + 1)
    }

    /// Takes what begins a run and stays whatever the rules are, one byte as the other: how many.
    pub(in crate::guard) fn skip_plain(&mut self, run: &[u8]) -> usize {
        if matches!(self.place, Place::Name | Place::Word) {
            self.skip_name(run)
        } else if self.place == Place::Value {
            self.skip_value(run)
        } else {
            0
        }
    }

    /// Letters and digits of a value; of xtext behind a `+` it matters which.
    fn skip_value(&mut self, run: &[u8]) -> usize {
        if matches!(self.open, SIZE | BODY) || self.digits > 0 || self.utf8.is_due() {
            return 0;
        }
        // Most are short, and to look at 32 bytes of one costs more than it saves.
        let length = run.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        self.at = self.at.saturating_add(u8::try_from(length).unwrap_or(u8::MAX));
        length
    }

    /// Of the name of HELO or EHLO, or of NOOP's argument.
    fn skip_name(&mut self, run: &[u8]) -> usize {
        let length = span(run, is_of_name);
        if let Some(&last) = length.checked_sub(1).and_then(|last| run.get(last)) {
            self.last = last;
        }
        length
    }
}

/// What a plain local part may have beside letters and digits, and a plain domain.
const LOCAL_MARKS: &[u8] = b".-_+=";
const DOMAIN_MARKS: &[u8] = b".-_";

/// Bits of [`CLASSES`].
const LOCAL: u8 = 1;
const DOMAIN: u8 = 2;

/// By byte: where in a plain path it may stand.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] = LOCAL | DOMAIN;
        }
        byte += 1;
    }
    let (mut local, mut domain) = (LOCAL_MARKS, DOMAIN_MARKS);
    while let [mark, rest @ ..] = local {
        classes[*mark as usize] |= LOCAL;
        local = rest;
    }
    while let [mark, rest @ ..] = domain {
        classes[*mark as usize] |= DOMAIN;
        domain = rest;
    }
    classes
};

fn is_of(class: u8, byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}
