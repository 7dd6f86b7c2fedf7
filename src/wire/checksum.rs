//! The Internet checksum (RFC 1071): the one's complement of the sum of all 16-bit words.
//!
//! The sum is the same in any byte order, and words may be added several at a time: the machine's
//! own order and 64 bits are the fastest for packets of mail.

/// A sum in 16 bits. With the checksum among the bytes all of them are set where it is right.
fn folded(sum: u128) -> u16 {
    let half = |sum: u128, bits: u32| (sum >> bits) + (sum & ((1 << bits) - 1));
    // Each time the sum has half as many bits, and one more for the carry.
    let sum = half(half(half(half(sum, 64), 32), 16), 16);
    u16::try_from(half(sum, 16)).unwrap_or(0)
}

/// Missing bytes at the end count as 0.
fn sum(bytes: &[u8]) -> u128 {
    let (words, rest) = bytes.as_chunks::<8>();
    let add = |sum, word: &[u8; 8]| sum + u128::from(u64::from_ne_bytes(*word));
    let (pairs, last) = rest.as_chunks::<2>();
    let last = last.first().map_or(0, |&byte| u16::from_ne_bytes([byte, 0]));
    let pairs = pairs.iter().map(|pair| u128::from(u16::from_ne_bytes(*pair)));
    words.iter().fold(0, add) + pairs.sum::<u128>() + u128::from(last)
}

/// Whether the checksum in an IPv4 header is right.
pub(super) fn is_right(header: &[u8]) -> bool {
    folded(sum(header)) == u16::MAX
}

/// Whether the checksum in a segment is right that goes between these addresses (RFC 9293 3.1).
pub(super) fn is_tcp_right(addresses: &[u8], segment: &[u8]) -> bool {
    folded(tcp_sum(addresses, segment)) == u16::MAX
}

/// Fills in the checksum of a segment that goes between these addresses.
pub(super) fn fill_tcp(addresses: &[u8], segment: &mut [u8]) {
    let Some(field) = segment.get_mut(16..18) else { return };
    field.fill(0);
    // The sum was made of words in the machine's order, so it goes back as it is.
    let checksum = !folded(tcp_sum(addresses, segment));
    if let Some(field) = segment.get_mut(16..18) {
        field.copy_from_slice(&checksum.to_ne_bytes());
    }
}

fn tcp_sum(addresses: &[u8], segment: &[u8]) -> u128 {
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX).to_be();
    let protocol = u32::from_ne_bytes([0, 0, 0, 6]);
    sum(segment) + sum(addresses) + u128::from(length) + u128::from(protocol)
}

#[cfg(test)]
mod tests {
    use smoltcp::wire::{Ipv4Address, TcpPacket};

    use super::*;

    #[test]
    fn a_sum_is_right_where_another_implementation_says_so() {
        let (source, destination) =
            (Ipv4Address::new(192, 0, 2, 1), Ipv4Address::new(255, 0, 2, 9));
        let addresses = [source.octets(), destination.octets()].concat();
        for length in 20..300 {
            let mut bytes: Vec<u8> = (0_u8..=255).cycle().step_by(151).take(length).collect();
            bytes[12] = 0x50;
            let mut tcp = TcpPacket::new_unchecked(&mut bytes);
            tcp.fill_checksum(&source.into(), &destination.into());
            assert!(is_tcp_right(&addresses, &bytes), "{length}");
            let mut ours = bytes.clone();
            ours[16..18].fill(0x5a);
            fill_tcp(&addresses, &mut ours);
            assert_eq!(ours, bytes);
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] ^= 0x10;
                assert!(!is_tcp_right(&addresses, &other), "{length} {at}");
            }
        }
        // Carries that make further carries, and nothing but zeros.
        assert!(is_right(&[0xff; 20]) && is_right(&[0xff; 2]) && !is_right(&[0; 20]));
    }
}
