//! How long a command line may be: what RFC 5321 allows, and what the offered extensions add.
//!
//! A flat 512 would refuse legal mail: each extension that adds parameters to MAIL or RCPT adds to
//! the length too.

use crate::smtp::Verb;

/// RFC 5321 4.5.3.1.4, without the CRLF.
const PLAIN: u32 = 510;

/// RFC 4954 4.
const AUTH: u32 = 12_288;

/// Extensions that lengthen lines: the keyword, and what it adds to MAIL and to RCPT.
const LONGER: [(&str, u32, u32); 6] = [
    // RFC 1870 3, RFC 6152 3, RFC 6531 3.4, RFC 4954 3, RFC 3461 4, RFC 2852 4.
    ("SIZE", 26, 0),
    ("8BITMIME", 17, 0),
    ("SMTPUTF8", 10, 0),
    ("AUTH", 500, 0),
    ("DSN", 107, 500),
    ("DELIVERBY", 17, 0),
];

/// Which of those extensions the server has offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers(u8);

impl Offers {
    /// The server has offered this keyword.
    pub(super) fn add(&mut self, keyword: &[u8]) {
        for (index, (name, ..)) in LONGER.iter().enumerate() {
            if name.as_bytes() == keyword {
                self.0 |= 1 << index;
            }
        }
    }
}

/// Bytes that a line of this verb may have, without its line end.
pub(super) fn command_line_max(verb: Option<Verb>, offers: Offers) -> u32 {
    let offered = LONGER.iter().enumerate().filter(|(index, _)| offers.0 & (1 << index) != 0);
    match verb {
        Some(Verb::Auth) => AUTH,
        Some(Verb::Mail) => PLAIN + offered.map(|(_, (_, mail, _))| mail).sum::<u32>(),
        Some(Verb::Rcpt) => PLAIN + offered.map(|(_, (_, _, rcpt))| rcpt).sum::<u32>(),
        _ => PLAIN,
    }
}
