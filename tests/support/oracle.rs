//! What must hold for each packet that leaves, compared with the one that came.

use mailguard::wire::{Checksum, Packet, Parsed};

/// Lengths and checksums are right; no header field differs but for those the design names
/// (lengths, checksums, FIN, PSH, URG, the urgent pointer, blanked options).
pub fn check_packet(came: &[u8], left: &[u8]) {
    let (Ok(Parsed::Tcp(before)), Ok(Parsed::Tcp(after))) =
        (Packet::parse(came), Packet::parse(left))
    else {
        panic!("unreadable: {left:?}");
    };
    assert_eq!(after.verify(Checksum::Complete), Ok(()), "what leaves is valid");
    assert!(left.len() <= came.len(), "nothing grows");
    assert_eq!(after.bytes().len(), left.len().min(before.bytes().len()), "lengths are right");
    let ip = after.bytes().len() - after.payload().len() - after.options().len() - 20;
    let (old, new) = (&came[..ip + 20], &left[..ip + 20]);
    let is_v4 = old[0] >> 4 == 4;
    for at in 0..ip {
        let is_length = if is_v4 { (2..4).contains(&at) } else { (4..6).contains(&at) };
        let is_checksum = is_v4 && (10..12).contains(&at);
        assert!(is_length || is_checksum || old[at] == new[at], "byte {at} of the IP header");
    }
    let (old, new) = (&old[ip..], &new[ip..]);
    assert_eq!((&old[..8], old[12]), (&new[..8], new[12]), "ports and the number stay");
    let ack = |header: &[u8]| u32::from_be_bytes(header[8..12].try_into().unwrap());
    // A client's old one may become its newest.
    let back = ack(old).wrapping_sub(ack(new)).cast_signed();
    let most = i32::try_from(7 + before.payload().len()).unwrap();
    assert!(back <= most, "the ACK stays, or is a little older");
    assert_eq!(old[13] | 0x29, new[13] | 0x29, "flags but for URG, PSH and FIN stay");
    assert_eq!(new[13] & !old[13], 0, "no flag is added");
    assert_eq!(old[14..16], new[14..16], "the window stays");
    assert_eq!((new[13] & 0x20, &new[18..20]), (0, &[0, 0][..]), "nothing urgent leaves");
}

/// Without rules the payload is what came, or the beginning of it; what the receiver has
/// acknowledged may be blank.
pub fn check_payload(came: &[u8], left: &[u8], acknowledged: usize) {
    for (index, (old, new)) in came.iter().zip(left).enumerate() {
        assert!(old == new || index < acknowledged, "without rules nothing changes");
    }
}

/// None of the words stands in the payload, in any case of its letters.
pub fn check_words(payload: &[u8], words: &[&str]) {
    let upper = payload.to_ascii_uppercase();
    for word in words {
        let has_word = upper.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!has_word, "{word} on the server's wire: {}", payload.escape_ascii());
    }
}
