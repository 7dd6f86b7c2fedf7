//! An address or a block of addresses, as `192.0.2.25` or `2001:db8::/64`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses; a single host is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_ipv6() && first_of(address, self.prefix) == self.address
    }

    /// Whether all of the other lies in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Whether blocks of one family are all of it together.
    pub fn are_all<'n>(blocks: impl Iterator<Item = &'n Self>) -> bool {
        let mut begin = 0;
        let mut ranges: Vec<(u128, u128)> = blocks
            .map(|block| {
                begin = if block.is_ipv6() { 0 } else { FIRST_V4 };
                block.range()
            })
            .collect();
        ranges.sort_unstable();
        // None: beyond the last address there is nothing left.
        let reached = ranges.into_iter().try_fold(begin, |next, (first, last)| {
            if first > next { Some(next) } else { last.checked_add(1).map(|end| end.max(next)) }
        });
        reached.is_none()
    }

    /// The first and the last address, those of IPv4 at the end of all numbers.
    fn range(&self) -> (u128, u128) {
        let (first, bits) = match self.address {
            IpAddr::V4(address) => {
                (FIRST_V4 + u128::from(address.to_bits()), 32 - u32::from(self.prefix))
            }
            IpAddr::V6(address) => (address.to_bits(), 128 - u32::from(self.prefix)),
        };
        let hosts = 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
        (first, first + hosts)
    }

    /// How many bits all its addresses have in common.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }
}

impl Network {
    /// The block with so many bits in common that an address lies in, if there is one.
    #[must_use]
    pub fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = if address.is_ipv6() { 128 } else { 32 };
        let is_one = !is_mapped(&address) && prefix <= bits;
        is_one.then(|| Self { address: first_of(address, prefix), prefix })
    }

    /// The block and the address of a text that has a block's length behind an address which is not
    /// the block's first: it may mean either.
    #[must_use]
    pub fn meant_by(text: &str) -> Option<(Self, IpAddr)> {
        let (block, address) = parsed(text)?;
        (block.address != address).then_some((block, address))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parsed(text) {
            Some((block, address)) if block.address == address => Ok(block),
            Some((block, address)) => Err(format!("`{text}` found, expected {block} or {address}")),
            None => {
                Err(format!("`{text}` found, expected an address or a block such as 192.0.2.0/24"))
            }
        }
    }
}

/// The block that a text names, and the address that stands there.
fn parsed(text: &str) -> Option<(Network, IpAddr)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address = address.parse::<IpAddr>().ok()?;
    let host = if address.is_ipv6() { 128 } else { 32 };
    let prefix = prefix.map_or(Some(host), |digits| digits.parse().ok())?;
    Some((Network::around(address, prefix)?, address))
}

/// Whether it is an IPv4 address in IPv6 form, which no packet has.
const fn is_mapped(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    }
}

/// Where IPv4 stands among the numbers: its last address is the last of all.
const FIRST_V4: u128 = !(u32::MAX as u128);

/// The block's first address, which is how the packet filter lists it.
fn first_of(address: IpAddr, prefix: u8) -> IpAddr {
    let host_bits = |bits: u8| u32::from(bits.saturating_sub(prefix));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host_bits(32)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host_bits(128)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_its_first_address() {
        for (text, expected) in [
            ("192.0.2.25", "192.0.2.25/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::/64", "2001:db8::/64"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), expected);
            assert_eq!(Network::meant_by(text), None);
        }
        for (text, block, address) in [
            ("192.0.2.25/24", "192.0.2.0/24", "192.0.2.25"),
            ("10.1.2.3/0", "0.0.0.0/0", "10.1.2.3"),
            ("2001:db8::1/64", "2001:db8::/64", "2001:db8::1"),
        ] {
            let said = format!("`{text}` found, expected {block} or {address}");
            assert_eq!(text.parse::<Network>().unwrap_err(), said);
            let meant =
                Network::meant_by(text).map(|(block, address)| (block.to_string(), address));
            assert_eq!(meant, Some((block.to_owned(), address.parse().unwrap())));
        }
        let block: Network = "192.0.2.128/25".parse().unwrap();
        for (address, is_inside) in
            [("192.0.2.200", true), ("192.0.2.100", false), ("::c000:2c8", false)]
        {
            assert_eq!(block.contains(address.parse().unwrap()), is_inside, "{address}");
        }
        for text in
            ["", "x", "::ffff:192.0.2.9", "192.0.2.25/33", "::/129", "192.0.2.0/", "1.2.3.4/-1"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn blocks_are_all_where_they_leave_no_gap() {
        for (blocks, expected) in [
            ("0.0.0.0/0", true),
            ("128.0.0.0/1 0.0.0.0/1", true),
            ("0.0.0.0/1 64.0.0.0/2 128.0.0.0/1", true),
            ("0.0.0.0/1", false),
            ("128.0.0.0/1", false),
            ("0.0.0.0/2 128.0.0.0/1", false),
            ("0.0.0.0/1 128.0.0.0/2", false),
            ("::/0", true),
            ("8000::/1 ::/1", true),
            ("::/1", false),
            ("::/2 8000::/1", false),
        ] {
            let blocks: Vec<Network> = blocks.split(' ').map(|b| b.parse().unwrap()).collect();
            assert_eq!(Network::are_all(blocks.iter()), expected, "{blocks:?}");
        }
    }
}
