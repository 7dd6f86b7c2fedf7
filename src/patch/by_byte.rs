//! A value for each byte.

/// A value for each byte.
#[derive(Clone, Debug, Hash)]
pub struct ByByte<T = u8>([T; 256]);

impl<T> ByByte<T> {
    pub(super) const fn new(values: [T; 256]) -> Self {
        Self(values)
    }
}

impl<T: Copy + Default> ByByte<T> {
    /// The value of one.
    #[inline]
    pub(super) fn of(&self, byte: u8) -> T {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub(super) fn of_mut(&mut self, byte: u8) -> Option<&mut T> {
        self.0.get_mut(usize::from(byte))
    }
}

impl<T: Copy + Default> Default for ByByte<T> {
    fn default() -> Self {
        Self([T::default(); 256])
    }
}
