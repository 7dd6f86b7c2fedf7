//! Whom to ask: `HOST[:PORT]`, where HOST is a name, an IPv4 address or an IPv6 address (in
//! brackets if a port follows). Looks nothing up.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A server, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name or address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: text.to_owned(), port: PORT });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("expected `]` after the address")?;
                host.parse::<Ipv6Addr>().map_err(|_| "expected an IPv6 address in the brackets")?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or("expected `:PORT` after `]`")?),
                };
                (host, port)
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        let is_name = text.starts_with('[') || host.bytes().all(is_plain);
        if host.is_empty() || !is_name {
            return Err("expected HOST or HOST:PORT; an IPv6 address before a port in []".into());
        }
        let port = match port.map(str::parse) {
            None => PORT,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err("expected a port from 1 to 65535".into()),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// SMTP's (RFC 5321 4.5.4.2).
const PORT: u16 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for (text, host, port) in [
            ("mail.example.com", "mail.example.com", 25),
            ("mail.example.com:2525", "mail.example.com", 2525),
            ("192.0.2.1:26", "192.0.2.1", 26),
            ("2001:db8::25", "2001:db8::25", 25),
            ("[2001:db8::25]", "2001:db8::25", 25),
            ("[2001:db8::25]:587", "2001:db8::25", 587),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for text in
            ["", ":25", "a:", "a:0", "a:65536", "a:b:c", "[::1", "[::1]25", "[a]:25", "a b", "a\n"]
        {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
