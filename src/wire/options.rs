//! TCP options: which may pass, and the two numbers we read from a SYN and bound.
//!
//! Multipath TCP would move data to another path, MD5 and AO break under edits, Fast Open carries
//! data before the handshake: all options but the whitelist become NOP, in place. A malformed list
//! is blanked from the fault on, so that every stack behind us reads the same list.

const END: u8 = 0;
const NOP: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The largest segment we let anyone ask for. Over loopback, whose MTU is 65,536 bytes, Linux would
/// send more than its queue can show us (65,531 bytes with all headers).
const SEGMENT_MAX: u16 = 65_000;

/// The largest shift of a window: more would let it span half the sequence space (RFC 7323 2.3).
pub const SCALE_MAX: u8 = 14;

/// The largest window that TCP can offer (RFC 7323 2.3).
pub const WINDOW_MAX: u32 = 1 << 30;

/// Whether these are the options of nearly every segment, none or timestamps alone, of which
/// nothing has to be changed.
#[must_use]
pub(super) const fn are_usual(options: &[u8]) -> bool {
    matches!(options, [] | [NOP, NOP, TIMESTAMPS, 10, _, _, _, _, _, _, _, _])
}

/// Turns every option that may not pass into NOPs, and lowers a maximum segment size above 65,000
/// bytes to that; true if a byte changed. `is_syn` selects the whitelist: RFC 9293 MSS, RFC 7323
/// window scale and timestamps, RFC 2018 SACK.
pub fn restrict_options(mut options: &mut [u8], is_syn: bool) -> bool {
    let mut changed = false;
    let mut seen = 0_u16;
    while let Some((&kind, rest)) = options.split_first() {
        let length = match (kind, rest.first()) {
            (END, _) => return blank(options, END) || changed,
            (NOP, _) => 1,
            (_, Some(&length)) if length >= 2 && usize::from(length) <= options.len() => {
                usize::from(length)
            }
            _ => return blank(options, NOP) || changed,
        };
        let (option, tail) = options.split_at_mut(length);
        let is_repeated = kind != NOP && seen & (1 << kind.min(15)) != 0;
        seen |= 1 << kind.min(15);
        if is_repeated || !is_permitted(kind, length, is_syn) {
            changed |= blank(option, NOP);
        } else if let [MAXIMUM_SEGMENT_SIZE, _, size @ ..] = option
            && *size > *SEGMENT_MAX.to_be_bytes().as_slice()
        {
            size.copy_from_slice(&SEGMENT_MAX.to_be_bytes());
            changed = true;
        }
        options = tail;
    }
    changed
}

const fn is_permitted(kind: u8, length: usize, is_syn: bool) -> bool {
    match kind {
        NOP => true,
        MAXIMUM_SEGMENT_SIZE => is_syn && length == 4,
        WINDOW_SCALE => is_syn && length == 3,
        SACK_PERMITTED => is_syn && length == 2,
        SACK => !is_syn && length >= 10 && length <= 34 && length % 8 == 2,
        TIMESTAMPS => length == 10,
        _ => false,
    }
}

fn blank(bytes: &mut [u8], value: u8) -> bool {
    let changed = bytes.iter().any(|&byte| byte != value);
    bytes.fill(value);
    changed
}

/// What the MSS option says in a SYN, bounded as [`restrict_options`] bounds it.
#[must_use]
pub fn maximum_segment_size(options: &[u8]) -> Option<u16> {
    match find(options, MAXIMUM_SEGMENT_SIZE)? {
        [high, low] => Some(u16::from_be_bytes([*high, *low]).min(SEGMENT_MAX)),
        _ => None,
    }
}

/// What the window scale option says in a SYN: bits by which its sender's later windows are to be
/// shifted, 14 at most, whatever was written (RFC 7323 2.3).
#[must_use]
pub fn window_scale(options: &[u8]) -> Option<u8> {
    match find(options, WINDOW_SCALE)? {
        [bits] => Some((*bits).min(SCALE_MAX)),
        _ => None,
    }
}

/// The value of the first option of a kind, as far as the list can be read: what
/// [`restrict_options`] leaves is what is found here, so both may be given the list as it came.
fn find(mut options: &[u8], kind: u8) -> Option<&[u8]> {
    loop {
        options = match options {
            [NOP, rest @ ..] => rest,
            [found, length, ..] if *found != END && *length >= 2 => {
                let (option, rest) = options.split_at_checked(usize::from(*length))?;
                if *found == kind {
                    return option.get(2..);
                }
                rest
            }
            _ => return None,
        };
    }
}
