//! How far bytes of one kind go, looked at in blocks that the compiler makes vectors of: runs of
//! blanks, CRs or letters come by the thousand in an attack.

/// Bytes looked at together.
const BLOCK: usize = 32;

/// How many bytes at the front are all of this kind.
pub(crate) fn span(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let start = blocks.iter().take_while(|block| is_all(block, &is_kind)).count() * BLOCK;
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|&&byte| is_kind(byte)).count()
}

/// How many bytes at the end are all of this kind.
pub(crate) fn rspan(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    let (_, blocks) = bytes.as_rchunks::<BLOCK>();
    let length = blocks.iter().rev().take_while(|block| is_all(block, &is_kind)).count() * BLOCK;
    let rest = bytes.get(..bytes.len() - length).unwrap_or_default();
    length + rest.iter().rev().take_while(|&&byte| is_kind(byte)).count()
}

/// What separates words: all that `isspace()` knows, but for line ends.
pub(crate) const fn is_blank(byte: u8) -> bool {
    // What `matches!` makes of a list looks bits up, which vectors cannot.
    (byte == b' ') | (byte == b'\t') | (byte == 0x0B) | (byte == 0x0C)
}

/// Whether it stands between words or ends a line: most of what C's `isspace()` knows.
#[inline(always)]
pub(crate) const fn is_gap(byte: u8) -> bool {
    (byte == b' ') | (byte == b'\t') | (byte == b'\r') | (byte == b'\n')
}

/// Whether it is a letter, a digit, `.` or `-`.
#[inline(always)]
pub(crate) const fn is_of_name(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    is_letter | is_digit | (byte == b'.') | (byte == b'-')
}

/// What a vector comparison gives: all bits or none.
#[inline(always)]
pub(crate) const fn mask(is_so: bool) -> u8 {
    if is_so { u8::MAX } else { 0 }
}

/// Without an early exit, and by itself: among other code the compiler may make no vectors of it.
#[inline(never)]
fn is_all(block: &[u8; BLOCK], is_kind: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(true, |is_all, &byte| is_all & is_kind(byte))
}
