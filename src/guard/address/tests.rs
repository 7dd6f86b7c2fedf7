//! Taking many bytes at once, beside taking each.

use super::Address;
use crate::guard::tests::random;

#[test]
fn many_bytes_are_taken_as_one_by_one() {
    let mut random = random(11);
    let letters = b":<>\"\\| \ta@.[\xFF";
    for _ in 0..20_000 {
        let (mut one, mut other) = (Address::default(), Address::default());
        for _ in 0..1 + random(3) {
            let length = random(12);
            let text: Vec<u8> = (0..length).map(|_| letters[random(letters.len())]).collect();
            let mut left = text.clone();
            let is_replaced = random(2) == 0;
            let has_stray = other.read(&mut left, is_replaced);
            let mut expected = text;
            let mut is_any = false;
            for byte in &mut expected {
                let is_stray = one.is_stray(*byte);
                one.push(*byte);
                is_any |= is_stray;
                *byte = if is_stray && is_replaced { b' ' } else { *byte };
            }
            assert_eq!((left, has_stray, other), (expected, is_any, one));
        }
    }
}
