//! Ids of the shape that Clerk's have today: 27 base62 characters.

use super::mix::mix;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// As many base62 digits as hold any `u64`.
const WIDTH: usize = 11;

/// 27 characters that hold `number` and cannot be told from random ones.
pub(in crate::sandbox) fn ksuid(number: u64) -> String {
    let mut text = String::with_capacity(27);
    // Clerk's ids of these years begin with a 2.
    text.push('2');
    push_base62(&mut text, number, WIDTH);
    push_base62(&mut text, mix(number), WIDTH);
    push_base62(&mut text, mix(!number), 4);
    text
}

/// The number that [`ksuid`] wrote, if it did write this text.
pub(in crate::sandbox) fn number_of(text: &str) -> Option<u64> {
    let digits = text.as_bytes().get(1..=WIDTH)?;
    let number = digits.iter().try_fold(0_u64, |number, byte| {
        let digit = DIGITS.iter().position(|digit| digit == byte)?;
        number.checked_mul(62)?.checked_add(digit as u64)
    })?;
    (ksuid(number) == text).then_some(number)
}

fn push_base62(text: &mut String, mut number: u64, width: usize) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits[..width].iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    text.extend(digits[..width].iter().copied().map(char::from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_number_is_read_back(number: u64) {
            let text = ksuid(number);
            prop_assert_eq!(text.len(), 27);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
            prop_assert_eq!(number_of(&text), Some(number));
        }
    }

    #[test]
    fn another_text_has_no_number() {
        for text in ["", "2", "2NNEqL2nrIRdJ194ndJqAHwEfxC", "2zzzzzzzzzzzzzzzzzzzzzzzzzz", "2é"] {
            assert_eq!(number_of(text), None, "{text}");
        }
    }
}
