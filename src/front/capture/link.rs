//! Link headers of captured frames: where the IP packet stands, and how to put another in its
//! place.
//!
//! Knows Ethernet, VLAN tags (802.1Q, QinQ), sessions of PPPoE, MPLS, Linux cooked captures, raw IP
//! and BSD loopback.
//! Whatever follows the IP packet (padding, checksums) stays as it was; what holds no IP packet is
//! not for us. The IP packet itself is the engine's business.

use std::ops::Range;

use etherparse::checksum::Sum16BitWords;

use super::LinkType;

const NULL: LinkType = 0;
const ETHERNET: LinkType = 1;
const RAW_BSD: LinkType = 12;
const RAW_OPENBSD: LinkType = 14;
const RAW: LinkType = 101;
const LOOP: LinkType = 108;
const LINUX_COOKED: LinkType = 113;
const IPV4: LinkType = 228;
const IPV6: LinkType = 229;
const LINUX_COOKED_2: LinkType = 276;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and the number QinQ used before it.
const TYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// A session of PPPoE (RFC 2516).
const TYPE_PPPOE: u16 = 0x8864;
/// MPLS (RFC 3032), to one and to many.
const TYPES_MPLS: [u16; 2] = [0x8847, 0x8848];
/// What carries no IP packet: ARP, RARP, slow protocols, the begin of PPPoE, 802.1X, LLDP, loopback
/// tests.
const TYPES_OTHER: [u16; 7] = [0x0806, 0x8035, 0x8809, 0x8863, 0x888e, 0x88cc, 0x9000];
/// Lower numbers are lengths, or words of the recording system.
const TYPE_MIN: u16 = 0x0600;

/// What PPPoE and PPP put before an IP packet: version and code, session, length, protocol.
const PPPOE_LENGTH: usize = 8;
/// Where in that the length stands.
const PPPOE_LENGTH_AT: usize = 4;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
/// The version of PPPoE, and the code of a session.
const PPPOE_BEGIN: u16 = 0x1100;

/// Labels read at most.
const LABELS_MAX: usize = 16;
/// Bytes of an IPv4 header without options, and of one of IPv6.
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// Bytes at most behind a packet of IPv6 below labels: that long, it is hardly ever padded, but it
/// may have a checksum or a time stamp behind it.
const TRAILER_MAX: usize = 8;

/// Tags read at most; two are standard, more is a provider's own affair.
const TAGS_MAX: usize = 8;

/// `PACKET_OUTGOING`: a cooked frame that the recording machine sent.
const OUTGOING: u8 = 4;

/// An IP packet inside a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its bytes, as many of them as were captured.
    pub range: Range<usize>,
    /// Whether its own length field asks for no more than is there.
    pub is_whole: bool,
    /// Whether that field says anything: a packet captured before a card cut it into segments, or
    /// one above 64 KiB, has none, and is all that was captured.
    pub is_stated: bool,
}

/// What stands before the packet.
enum Header {
    /// A type field at `type_at`, and possibly VLAN tags from `end` on.
    Typed {
        type_at: usize,
        end: usize,
    },
    /// An address family.
    Family,
    Nothing,
}

const fn header(link: LinkType) -> Option<Header> {
    match link {
        ETHERNET => Some(Header::Typed { type_at: 12, end: 14 }),
        LINUX_COOKED => Some(Header::Typed { type_at: 14, end: 16 }),
        LINUX_COOKED_2 => Some(Header::Typed { type_at: 0, end: 20 }),
        NULL | LOOP => Some(Header::Family),
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Some(Header::Nothing),
        _ => None,
    }
}

/// Whether frames of this type can be read here.
#[must_use]
pub const fn is_known(link: LinkType) -> bool {
    header(link).is_some()
}

/// Finds the IP packet in a frame that no capture has cut.
#[must_use]
pub fn locate(link: LinkType, frame: &[u8]) -> Option<Located> {
    locate_cut(link, frame, 0)
}

/// Finds it in a frame of which there were so many bytes before a capture cut it, or those that
/// are there if that is more.
#[must_use]
pub fn locate_cut(link: LinkType, frame: &[u8], original_length: u32) -> Option<Located> {
    let start = match header(link)? {
        Header::Typed { type_at, end } => behind_type(frame, original_length, type_at, end)?,
        Header::Family => behind_family(frame)?,
        Header::Nothing => 0,
    };
    let packet = frame.get(start..)?;
    let stated = match (link, packet.first()? >> 4) {
        (IPV6, 4) | (IPV4, 6) => return None,
        (_, 4) => usize::from(short(packet, 2).unwrap_or(0)),
        (_, 6) => match short(packet, 4).unwrap_or(0) {
            0 => 0,
            payload => usize::from(payload).saturating_add(IPV6_HEADER_BYTES),
        },
        _ => return None,
    };
    let length = if stated == 0 { packet.len() } else { stated.min(packet.len()) };
    let is_whole = stated <= packet.len() && packet.len() >= IPV4_HEADER_BYTES;
    let range = start..start.saturating_add(length);
    Some(Located { range, is_whole, is_stated: stated != 0 })
}

/// The type of what a frame holds, where it may carry IP packets in a way that is not read here.
#[must_use]
pub fn unread_type(link: LinkType, frame: &[u8], original_length: u32) -> Option<u16> {
    let Header::Typed { type_at, end } = header(link)? else { return None };
    let Typed { kind, start, is_beside } = typed(frame, type_at, end)?;
    let is_read = [TYPE_IPV4, TYPE_IPV6].contains(&kind)
        || (TYPES_MPLS.contains(&kind) && below_labels(frame, original_length, start).is_some())
        || (kind == TYPE_PPPOE && is_beside);
    (kind >= TYPE_MIN && !is_read && !TYPES_OTHER.contains(&kind)).then_some(kind)
}

/// Appends the frame with another packet in the place of the one located in it.
pub fn replace(frame: &[u8], old: &Range<usize>, packet: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(frame.get(..old.start).unwrap_or_default());
    state_length(out.get_mut(start..).unwrap_or_default(), packet);
    out.extend_from_slice(packet);
    out.extend_from_slice(frame.get(old.end..).unwrap_or_default());
}

/// A header of PPPoE says how long the packet is.
fn state_length(header: &mut [u8], packet: &[u8]) {
    let Some(at) = header.len().checked_sub(PPPOE_LENGTH) else { return };
    let is_one = at.checked_sub(2).and_then(|at| short(header, at)) == Some(TYPE_PPPOE)
        && session(header, at).is_some();
    let field = header.get_mut(at + PPPOE_LENGTH_AT..).and_then(<[u8]>::first_chunk_mut);
    if let (true, Some(field)) = (is_one, field) {
        *field = u16::try_from(packet.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
    }
}

/// Appends the frame of a packet that we originate, with the link header of a frame of the same
/// flow: the addresses of Ethernet are swapped if it goes back to that frame's sender; a cooked
/// header, which has but the sender's address, says that this machine sent it.
pub fn originate(
    link: LinkType,
    frame: &[u8],
    old: &Range<usize>,
    packet: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(frame.get(..old.start).unwrap_or_default());
    let header = out.get_mut(start..).unwrap_or_default();
    match link {
        ETHERNET => {
            let sent_back = frame.get(old.clone()).is_some_and(|old| goes_back(old, packet));
            if let (true, Some(addresses)) = (sent_back, header.get_mut(..12)) {
                addresses.rotate_left(6);
            }
        }
        LINUX_COOKED => {
            if let Some(kind) = header.first_chunk_mut::<2>() {
                *kind = [0, OUTGOING];
            }
        }
        LINUX_COOKED_2 => {
            if let Some(kind) = header.get_mut(10) {
                *kind = OUTGOING;
            }
        }
        _ => {}
    }
    state_length(header, packet);
    out.extend_from_slice(packet);
}

/// Whether a packet is addressed to the sender of another.
fn goes_back(other: &[u8], packet: &[u8]) -> bool {
    let (source, destination) = match other.first().map(|byte| byte >> 4) {
        Some(4) => (other.get(12..16), packet.get(16..20)),
        Some(6) => (other.get(8..24), packet.get(24..40)),
        Some(_) | None => return false,
    };
    source.is_some() && source == destination
}

/// The offset behind a type field and what it may announce before IP, if it leads there.
fn behind_type(frame: &[u8], original_length: u32, type_at: usize, end: usize) -> Option<usize> {
    let Typed { kind, start, is_beside } = typed(frame, type_at, end)?;
    let version = |start: usize| frame.get(start).map(|byte| byte >> 4);
    if TYPES_MPLS.contains(&kind) {
        return below_labels(frame, original_length, start);
    }
    let (kind, start) = match kind {
        TYPE_PPPOE if is_beside => (session(frame, start)?, start.checked_add(PPPOE_LENGTH)?),
        _ => (kind, start),
    };
    matches!((kind, version(start)?), (TYPE_IPV4, 4) | (TYPE_IPV6, 6)).then_some(start)
}

/// What a type field announces.
struct Typed {
    kind: u16,
    /// Where that begins.
    start: usize,
    /// Whether it begins just behind the field.
    is_beside: bool,
}

/// Reads a type field, and behind it the VLAN tags there are.
fn typed(frame: &[u8], type_at: usize, mut start: usize) -> Option<Typed> {
    let (mut kind, mut at) = (short(frame, type_at)?, type_at);
    for _ in 0..TAGS_MAX {
        if !TYPES_VLAN.contains(&kind) {
            break;
        }
        at = start.checked_add(2)?;
        kind = short(frame, at)?;
        start = start.checked_add(4)?;
    }
    Some(Typed { kind, start, is_beside: at.checked_add(2)? == start })
}

/// What a session of PPPoE that begins there carries, by the type that Ethernet has for it.
fn session(frame: &[u8], start: usize) -> Option<u16> {
    let protocol = short(frame, start.checked_add(PPPOE_LENGTH - 2)?)?;
    match (short(frame, start)?, protocol) {
        (PPPOE_BEGIN, PPP_IPV4) => Some(TYPE_IPV4),
        (PPPOE_BEGIN, PPP_IPV6) => Some(TYPE_IPV6),
        _ => None,
    }
}

/// The offset of the IP packet below a stack of labels, if there is one.
fn below_labels(frame: &[u8], original_length: u32, start: usize) -> Option<usize> {
    let start = behind_labels(frame, start)?;
    let bytes = usize::try_from(original_length).unwrap_or(usize::MAX).max(frame.len());
    is_packet(frame.get(start..)?, bytes.checked_sub(start)?).then_some(start)
}

/// Whether bytes that nothing announces are an IP packet, of which there were so many before the
/// capture cut it. A pseudowire (RFC 4448) may begin with the address of a card instead, whose
/// first digit may well be a 4 or a 6: a packet has to have a header that proves itself.
fn is_packet(packet: &[u8], bytes: usize) -> bool {
    let Some(&first) = packet.first() else { return false };
    let stated = |at: usize| short(packet, at).filter(|&length| length != 0).map(usize::from);
    match first >> 4 {
        4 => {
            let end = usize::from(first & 0xf) * 4;
            let is_right = |header| Sum16BitWords::new().add_slice(header).ones_complement() == 0;
            end >= IPV4_HEADER_BYTES
                && stated(2).is_some_and(|length| (end..=bytes).contains(&length))
                && packet.get(..end).is_some_and(is_right)
        }
        // It has no checksum: its length has to be that of what is there.
        6 => stated(4)
            .and_then(|length| bytes.checked_sub(length.saturating_add(IPV6_HEADER_BYTES)))
            .is_some_and(|behind| behind <= TRAILER_MAX),
        _ => false,
    }
}

/// The offset behind a stack of labels; each is four bytes, of which one bit says that it is the
/// last.
fn behind_labels(frame: &[u8], start: usize) -> Option<usize> {
    let labels = frame.get(start..)?.chunks_exact(4).take(LABELS_MAX);
    let last =
        labels.map(|label| label.get(2)).position(|byte| byte.is_some_and(|b| b & 1 != 0))?;
    start.checked_add((last + 1) * 4)
}

/// The offset behind a BSD loopback header: an address family in the recording machine's byte
/// order, whose number for IPv6 differs from system to system.
fn behind_family(frame: &[u8]) -> Option<usize> {
    let family = *frame.first_chunk::<4>()?;
    let family = u32::from_le_bytes(family).min(u32::from_be_bytes(family));
    let version = frame.get(4)? >> 4;
    matches!((family, version), (2, 4) | (10 | 24 | 28 | 30, 6)).then_some(4)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 bytes of IPv4, no payload, from 10.0.0.1 to 10.0.0.2.
    const V4: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0x66, 0xe2, 10, 0, 0, 1, 10, 0, 0, 2];
    /// The way back.
    const BACK: [u8; 20] =
        [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0x66, 0xe2, 10, 0, 0, 2, 10, 0, 0, 1];

    fn unread_type(link: LinkType, frame: &[u8]) -> Option<u16> {
        super::unread_type(link, frame, length(frame))
    }

    fn length(frame: &[u8]) -> u32 {
        u32::try_from(frame.len()).unwrap()
    }

    fn v6() -> Vec<u8> {
        let mut packet = vec![0; 44];
        packet[0] = 0x60;
        packet[5] = 4;
        packet
    }

    fn frame(header: &[u8], packet: &[u8]) -> Vec<u8> {
        [header, packet].concat()
    }

    const MACS: [u8; 12] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2];

    fn ethernet(types: &[u8]) -> Vec<u8> {
        [&MACS, types].concat()
    }

    /// A session of PPPoE behind a header: what it carries is so long, and of this protocol.
    fn pppoe(header: &[u8], length: u8, protocol: u8) -> Vec<u8> {
        [header, &[0x11, 0, 0xab, 0xcd, 0, length, 0, protocol]].concat()
    }

    /// Each link type's headers in front of IPv4 and of IPv6.
    fn headers() -> Vec<(LinkType, Vec<u8>, bool)> {
        let cooked = |kind: [u8; 2]| [&[0, 0, 0, 1, 0, 6][..], &[3; 8], &kind].concat();
        let cooked_2 = |kind: [u8; 2]| [&kind[..], &[0; 18]].concat();
        vec![
            (ETHERNET, ethernet(&[8, 0]), false),
            (ETHERNET, ethernet(&[0x86, 0xdd]), true),
            (ETHERNET, ethernet(&[0x81, 0, 0, 5, 8, 0]), false),
            (ETHERNET, ethernet(&[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 0x86, 0xdd]), true),
            (ETHERNET, ethernet(&[0x91, 0, 0, 9, 0x81, 0, 0, 5, 8, 0]), false),
            (ETHERNET, pppoe(&ethernet(&[0x88, 0x64]), 22, 0x21), false),
            (ETHERNET, pppoe(&ethernet(&[0x81, 0, 0, 5, 0x88, 0x64]), 46, 0x57), true),
            (ETHERNET, ethernet(&[0x88, 0x47, 0, 1, 0x11, 64]), false),
            (ETHERNET, ethernet(&[0x88, 0x47, 1, 1, 0x10, 64, 0, 0, 0x21, 64]), true),
            (LINUX_COOKED, pppoe(&cooked([0x88, 0x64]), 22, 0x21), false),
            (LINUX_COOKED, cooked([8, 0]), false),
            (LINUX_COOKED, cooked([0x86, 0xdd]), true),
            (LINUX_COOKED, frame(&cooked([0x81, 0]), &[0, 5, 8, 0]), false),
            (LINUX_COOKED_2, cooked_2([8, 0]), false),
            (LINUX_COOKED_2, frame(&cooked_2([0x81, 0]), &[0, 5, 0x86, 0xdd]), true),
            (NULL, vec![2, 0, 0, 0], false),
            (NULL, vec![0, 0, 0, 2], false),
            (NULL, vec![30, 0, 0, 0], true),
            (LOOP, vec![0, 0, 0, 24], true),
            (LOOP, vec![0, 0, 0, 2], false),
            (RAW, vec![], false),
            (RAW, vec![], true),
            (RAW_BSD, vec![], false),
            (RAW_OPENBSD, vec![], true),
            (IPV4, vec![], false),
            (IPV6, vec![], true),
        ]
    }

    #[test]
    fn the_packet_stands_behind_every_known_header() {
        for (link, header, is_v6) in headers() {
            let packet = if is_v6 { v6() } else { V4.to_vec() };
            let mut bytes = frame(&header, &packet);
            let range = header.len()..bytes.len();
            let whole = Located { range: range.clone(), is_whole: true, is_stated: true };
            let whole = Some(whole);
            assert!(is_known(link), "{link}");
            assert_eq!(locate(link, &bytes), whole, "{link} {header:x?}");
            bytes.extend_from_slice(&[0xee; 7]);
            assert_eq!(locate(link, &bytes), whole, "{link} padded");
            let cut = bytes.get(..range.end - 1).unwrap();
            let located = locate_cut(link, cut, length(&bytes));
            // What proves itself has to be there.
            let is_found = is_v6 || !header.starts_with(&ethernet(&[0x88, 0x47]));
            let is_whole = located.map(|located| located.is_whole);
            assert_eq!(is_whole, is_found.then_some(false), "{link} cut");
            for length in 0..range.start {
                assert_eq!(locate(link, &bytes[..length]), None, "{link} header cut");
            }
            let mut same = Vec::new();
            replace(&bytes, &range, &packet, &mut same);
            assert_eq!(same, bytes);
        }
    }

    #[test]
    fn what_is_not_ip_is_not_found() {
        assert_eq!(locate(ETHERNET, &frame(&ethernet(&[8, 6]), &[0; 28])), None);
        assert_eq!(locate(ETHERNET, &frame(&ethernet(&[8, 0]), &v6())), None);
        assert_eq!(locate(IPV4, &v6()), None);
        assert_eq!(locate(NULL, &frame(&[7, 0, 0, 0], &V4)), None);
        assert_eq!(locate(RAW, &[0x50; 40]), None);
        assert_eq!(locate(127, &V4), None);
        let session = |header: &[u8]| frame(&pppoe(header, 22, 0x21), &V4);
        // The beginning of a session, another protocol, another version of IP.
        assert_eq!(locate(ETHERNET, &session(&ethernet(&[0x88, 0x63]))), None);
        let header = ethernet(&[0x88, 0x64]);
        assert_eq!(locate(ETHERNET, &frame(&pppoe(&header, 22, 0x23), &V4)), None);
        assert_eq!(locate(ETHERNET, &frame(&pppoe(&header, 22, 0x57), &V4)), None);
        // A label that is not the last, and one with something else below it.
        assert_eq!(locate(ETHERNET, &frame(&ethernet(&[0x88, 0x47, 0, 1, 0x10, 64]), &V4)), None);
        let below = ethernet(&[0x88, 0x47, 0, 1, 0x11, 64]);
        assert_eq!(locate(ETHERNET, &frame(&below, &[0; 20])), None);
        assert_eq!(locate(ETHERNET, &ethernet(&[0x81, 0].repeat(40))), None);
    }

    /// A frame of Ethernet below a label, without a control word: it begins with the address of a
    /// card.
    #[test]
    fn a_pseudowire_is_no_packet_and_is_told_of() {
        let label = ethernet(&[0x88, 0x47, 0, 1, 0x11, 64]);
        let told = |below: &[u8]| {
            let frame = frame(&label, below);
            assert_eq!(locate(ETHERNET, &frame), None, "{below:x?}");
            assert_eq!(unread_type(ETHERNET, &frame), Some(0x8847), "{below:x?}");
        };
        let to = |card: [u8; 6]| {
            told(&[&card[..], &[0, 0x1b, 0x21, 1, 2, 3], &[8, 0], &V4].concat());
        };
        // The last of them state lengths that fit.
        to([0x44, 0xd9, 0xe7, 0, 0, 1]);
        to([0x40, 0xa6, 0xb7, 0, 0, 1]);
        to([0x60, 0xf2, 0x62, 0, 0xff, 1]);
        to([0x00, 0x1b, 0x21, 0, 0, 9]);
        to([0x44, 0xd9, 0, 20, 0, 1]);
        to([0x60, 0xf2, 0x62, 0, 0, 0]);
        // A control word.
        told(&[&[0; 4][..], &V4].concat());
        let changed = |at: usize, byte: u8| {
            let mut packet = V4;
            packet[at] = byte;
            packet
        };
        // A header too short, one of which a part is missing, a length of none and of too much, and
        // a wrong checksum.
        for (at, byte) in [(0, 0x44), (0, 0x46), (3, 0), (3, 21), (10, 0x67)] {
            told(&changed(at, byte));
        }
        // The same with the sum that it should have.
        let right = |at, byte| {
            let mut packet = changed(at, byte);
            packet[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(&packet).ones_complement();
            packet[10..12].copy_from_slice(&sum.to_ne_bytes());
            packet
        };
        for (at, byte) in [(3, 0), (3, 19), (3, 21)] {
            told(&right(at, byte));
        }
        let cut = frame(&label, &right(3, 21));
        let located = locate_cut(ETHERNET, &cut, length(&cut) + 1);
        assert!(!located.unwrap().is_whole);
        told(&v6()[..43]);
        told(&[&v6()[..], &[0; 9]].concat());
        let mut longer = v6();
        longer.extend_from_slice(&[0; 8]);
        assert_eq!(locate(ETHERNET, &frame(&label, &longer)).unwrap().range, 18..62);
    }

    #[test]
    fn what_may_carry_ip_in_another_way_is_told_of() {
        let kind = |types: &[u8]| unread_type(ETHERNET, &frame(&ethernet(types), &[0; 20]));
        assert_eq!(kind(&[0x88, 0xe5]), Some(0x88e5));
        assert_eq!(kind(&[0x81, 0, 0, 5, 0x89, 0x4f]), Some(0x894f));
        let read_or_other: [&[u8]; 7] = [
            &[8, 0],
            &[0x86, 0xdd],
            &[0x88, 0x64],
            &[8, 6],
            &[0x88, 0xcc],
            &[0, 38],
            &[0x81, 0, 0, 5, 8, 6],
        ];
        for types in read_or_other {
            assert_eq!(kind(types), None, "{types:x?}");
        }
        // There its length could not be found again.
        let cooked = [&[0x88, 0x64][..], &[0; 40]].concat();
        assert_eq!(unread_type(LINUX_COOKED_2, &cooked), Some(TYPE_PPPOE));
        assert_eq!(unread_type(RAW, &V4), None);
    }

    #[test]
    fn a_session_says_how_long_its_packet_is() {
        let header = pppoe(&ethernet(&[0x88, 0x64]), 22, 0x21);
        let bytes = frame(&header, &V4);
        let range = header.len()..bytes.len();
        let mut out = Vec::new();
        replace(&bytes, &range, &V4[..10], &mut out);
        assert_eq!(out, frame(&pppoe(&ethernet(&[0x88, 0x64]), 12, 0x21), &V4[..10]));
        let longer = [&BACK[..], &[0; 4]].concat();
        let swapped = [&[2; 6][..], &[1; 6], &[0x88, 0x64]].concat();
        let mut out = Vec::new();
        originate(ETHERNET, &bytes, &range, &longer, &mut out);
        assert_eq!(out, frame(&pppoe(&swapped, 26, 0x21), &longer));
    }

    #[test]
    fn no_stated_length_means_the_rest_of_the_frame() {
        let mut bytes = V4.to_vec();
        bytes[3] = 0;
        bytes.resize(100, 1);
        let rest = Located { range: 0..100, is_whole: true, is_stated: false };
        assert_eq!(locate(RAW, &bytes), Some(rest));
    }

    #[test]
    fn a_shorter_packet_makes_a_shorter_frame_and_keeps_the_padding() {
        let bytes = frame(&ethernet(&[8, 0]), &[&V4[..], b"pad"].concat());
        let mut out = Vec::new();
        replace(&bytes, &(14..34), &V4[..10], &mut out);
        assert_eq!(out, [&bytes[..24], b"pad"].concat());
    }

    #[test]
    fn a_reset_to_the_sender_swaps_the_addresses_and_keeps_the_tags() {
        let header = ethernet(&[0x81, 0, 0, 5, 8, 0]);
        let bytes = frame(&header, &V4);
        let swapped = [&[2; 6][..], &[1; 6], &[0x81, 0, 0, 5, 8, 0]].concat();
        for (packet, expected) in [(BACK, swapped), (V4, header)] {
            let mut out = Vec::new();
            originate(ETHERNET, &bytes, &(18..38), &packet, &mut out);
            assert_eq!(out, frame(&expected, &packet));
        }
    }

    #[test]
    fn a_cooked_reset_is_outgoing() {
        for (link, header, _) in headers() {
            let at = match link {
                LINUX_COOKED => 1,
                LINUX_COOKED_2 => 10,
                _ => continue,
            };
            let bytes = frame(&header, &V4);
            let mut out = Vec::new();
            originate(link, &bytes, &(header.len()..bytes.len()), &BACK, &mut out);
            let mut expected = frame(&header, &BACK);
            expected[at] = OUTGOING;
            assert_eq!(out, expected);
        }
    }
}
