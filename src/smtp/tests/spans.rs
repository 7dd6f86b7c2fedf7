//! How far bytes of one kind go.

use crate::smtp::{rspan, span};

#[test]
fn a_span_ends_at_the_first_byte_of_another_kind() {
    for length in 0..100 {
        for odd in 0..=length {
            let mut bytes = vec![b'a'; length];
            bytes.iter_mut().skip(odd).take(1).for_each(|byte| *byte = b'b');
            assert_eq!(span(&bytes, |byte| byte == b'a'), odd);
            let behind = if odd == length { length } else { length - odd - 1 };
            assert_eq!(rspan(&bytes, |byte| byte == b'a'), behind);
        }
    }
}
