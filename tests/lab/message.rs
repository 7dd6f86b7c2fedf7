//! Messages: what was sent, byte for byte, and how it goes over the wire.
//!
//! Sizes and contents come from a seeded generator, so a failure can be repeated.

/// A message and the mailbox it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The recipient's local part; one message, one recipient.
    pub(crate) recipient: String,
    /// Header and body, every line ending in CRLF.
    pub(crate) content: Vec<u8>,
}

/// A small, fast generator (xorshift64*), good enough to vary test data.
pub(crate) struct Random(u64);

impl Message {
    /// A message with a header of our own and this body.
    pub(crate) fn new(recipient: &str, body: &[u8]) -> Self {
        let mut content = format!(
            "From: sender@domain1.com\r\nTo: {recipient}@domain2.com\r\n\
             Subject: for {recipient}\r\n\r\n"
        )
        .into_bytes();
        content.extend_from_slice(body);
        Self { recipient: recipient.to_owned(), content }
    }

    /// A message of about so many octets: text, 8-bit lines, long lines, dots where they hurt.
    pub(crate) fn mixed(recipient: &str, size: usize, random: &mut Random) -> Self {
        let mut body = Vec::with_capacity(size + 1000);
        while body.len() < size {
            match random.below(8) {
                0 => body.extend_from_slice(b"."),
                1 => body.extend_from_slice(b".."),
                2 => body.extend_from_slice(b".DATA QUIT"),
                3 => {}
                _ => {
                    let length = if random.below(10) == 0 { 998 } else { random.below(79) };
                    body.extend((0..length).map(|_| random.octet()));
                }
            }
            body.extend_from_slice(b"\r\n");
        }
        Self::new(recipient, &body)
    }

    /// What follows `DATA`: dots stuffed (RFC 5321 4.5.2), end of data included.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.content.len() + self.content.len() / 64 + 8);
        for line in self.content.split_inclusive(|octet| *octet == b'\n') {
            if line.first() == Some(&b'.') {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }
}

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below the bound, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % bound
    }

    /// An octet of mail text: printable or 8-bit, no control character.
    fn octet(&mut self) -> u8 {
        match u8::try_from(self.below(256)).unwrap_or(b' ') {
            control @ (0..=31 | 127) => control % 26 + b'a',
            other => other,
        }
    }
}

/// What some server or other takes for the end of a message, and none should.
pub(crate) const FALSE_ENDS: [&[u8]; 11] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
];
