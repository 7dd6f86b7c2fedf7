//! How far bytes of one kind go, looked at in blocks that the compiler makes vectors of: runs of
//! blanks, CRs or letters come by the thousand in an attack.

use pulp::{Arch, Simd, WithSimd};

/// Bytes looked at together.
const BLOCK: usize = 32;

/// How many bytes at the front are all of this kind.
pub(crate) fn span(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = bytes.as_chunks();
    let start = BLOCK * whole(blocks.iter(), &is_kind);
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|&&byte| is_kind(byte)).count()
}

/// How many bytes at the end are all of this kind.
pub(crate) fn rspan(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    let (_, blocks) = bytes.as_rchunks();
    let length = BLOCK * whole(blocks.iter().rev(), &is_kind);
    let rest = bytes.get(..bytes.len() - length).unwrap_or_default();
    length + rest.iter().rev().take_while(|&&byte| is_kind(byte)).count()
}

/// What separates words: all that `isspace()` knows, but for line ends.
pub(crate) const fn is_blank(byte: u8) -> bool {
    // What `matches!` makes of a list looks bits up, which vectors cannot.
    (byte == b' ') | (byte == b'\t') | (byte == 0x0B) | (byte == 0x0C)
}

/// White space as grammars have it (RFC 5234 B.1).
pub(crate) const fn is_wsp(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
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

/// How many bytes at the front stand in base64 (RFC 4648 4), padding among it.
pub(crate) fn span_of_base64(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_of_base64(**byte)).count()
}

/// Whether it stands there: by a table, which is quicker than so many comparisons.
pub(crate) fn is_of_base64(byte: u8) -> bool {
    BASE64.get(usize::from(byte)).is_some_and(|is_of_it| *is_of_it)
}

#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
static BASE64: [bool; 256] = {
    let mut base64 = [false; 256];
    let mut byte = 0_u8;
    loop {
        base64[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if byte == u8::MAX {
            break base64;
        }
        byte += 1;
    }
};

/// What a vector comparison gives: all bits or none.
#[inline(always)]
pub(crate) const fn mask(is_so: bool) -> u8 {
    if is_so { u8::MAX } else { 0 }
}

/// How many blocks there are before the first that is not all of this kind.
fn whole<'b>(
    blocks: impl ExactSizeIterator<Item = &'b [u8; BLOCK]>,
    is_kind: impl Fn(u8) -> bool,
) -> usize {
    // Most runs are shorter.
    if blocks.len() == 0 { 0 } else { Arch::new().dispatch(Whole { blocks, is_kind }) }
}

struct Whole<Blocks, IsKind> {
    blocks: Blocks,
    is_kind: IsKind,
}

impl<'b, Blocks, IsKind> WithSimd for Whole<Blocks, IsKind>
where
    Blocks: Iterator<Item = &'b [u8; BLOCK]>,
    IsKind: Fn(u8) -> bool,
{
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        // Without an early exit, so that the compiler makes vectors of it.
        let is_all = |block: &&[u8; BLOCK]| {
            block.iter().fold(0, |odd, &byte| odd | !mask((self.is_kind)(byte))) == 0
        };
        self.blocks.take_while(is_all).count()
    }
}
