//! Records of data under keys, which are nearly all there are: many of them at once.

use super::{FINISHED_MIN, Half, State, Watch};
use crate::speaker::Speaker;
use crate::tls::record::{APPLICATION_DATA, HEADER, Lengths, MAJOR, MINOR_MAX};

/// Records of data at the front of some input.
#[derive(Debug)]
pub struct Data<'a> {
    half: &'a mut Half,
    lengths: Lengths,
    input: &'a [u8],
}

impl Iterator for Data<'_> {
    type Item = ([u8; HEADER], u16);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&header, rest) = self.input.split_first_chunk()?;
        let [APPLICATION_DATA, MAJOR, 0..=MINOR_MAX, high, low] = header else { return None };
        let length = u16::from_be_bytes([high, low]);
        if !self.lengths.admit(length) {
            return None;
        }
        self.half.volume.records += 1;
        self.half.volume.bytes += u64::from(length);
        self.input = rest.get(usize::from(length)..).unwrap_or_default();
        Some((header, length))
    }
}

impl Watch {
    /// The records at the front of the input that are what nearly every record is: data under keys,
    /// the header there whole. Each is its header and how many bytes behind it decide nothing, and
    /// is read as it is taken. Of them [`Watch::read`] says the same; what comes behind them is for
    /// it to read.
    #[inline]
    pub fn read_data<'a>(&'a mut self, side: Speaker, input: &'a [u8]) -> Data<'a> {
        let lengths = if self.is_13() { Lengths::Sealed } else { Lengths::SealedOld };
        let half = &mut self.sides[side];
        let is_begun = half.header.count() > 0 || half.payload.is_some();
        let is_sealed = half.state == State::Sealed;
        // The first may be too short for a Finished.
        let has_finished = half.first_sealed.is_some_and(|first| first >= FINISHED_MIN);
        let is_data = !is_begun && is_sealed && has_finished;
        Data { half, lengths, input: if is_data { input } else { &[] } }
    }
}
