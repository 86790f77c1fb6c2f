//! A user ID in 21 bytes: a list may have millions of them, and as text each would take 64.

use std::fmt;

use super::UserId;

/// `user_` and at most 28 ASCII letters and digits, six bits each. Clerk's IDs have 27.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PackedId([u8; PackedId::N_BYTES]);

impl PackedId {
    const N_BYTES: usize = 21;
    const N_CHARS: usize = 28;
    /// What follows the last character.
    const END: u8 = 0;
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// `None` where the text is another one than such an ID.
    pub(super) fn pack(text: &str) -> Option<Self> {
        let tail = text.strip_prefix(UserId::PREFIX)?.as_bytes();
        if tail.is_empty() || tail.len() > Self::N_CHARS {
            return None;
        }
        let mut codes = [Self::END; Self::N_CHARS];
        for (code, &byte) in codes.iter_mut().zip(tail) {
            *code = 1 + match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                b'a'..=b'z' => byte - b'a' + 36,
                _ => return None,
            };
        }
        let mut bytes = [0; Self::N_BYTES];
        for (three, four) in bytes.chunks_exact_mut(3).zip(codes.chunks_exact(4)) {
            three[0] = four[0] << 2 | four[1] >> 4;
            three[1] = four[1] << 4 | four[2] >> 2;
            three[2] = four[2] << 6 | four[3];
        }
        Some(Self(bytes))
    }

    pub(super) fn unpack(&self) -> String {
        let mut text = Vec::with_capacity(UserId::PREFIX.len() + Self::N_CHARS);
        text.extend_from_slice(UserId::PREFIX.as_bytes());
        let codes = self.0.chunks_exact(3).flat_map(|three| {
            [
                three[0] >> 2,
                three[0] << 4 & 0x3f | three[1] >> 4,
                three[1] << 2 & 0x3f | three[2] >> 6,
                three[2] & 0x3f,
            ]
        });
        let codes = codes.take_while(|&code| code != Self::END);
        text.extend(codes.map(|code| Self::ALPHABET[usize::from(code) - 1]));
        // All of it is ASCII.
        String::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for PackedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.unpack(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_texts_are_not_packed() {
        let long = format!("user_{}", "a".repeat(29));
        for text in ["", "user_", "user", "User_a", "user_a b", "user_é", "user_a_b", &long] {
            assert_eq!(PackedId::pack(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_unpacked_as_it_was(text in "user_[0-9A-Za-z]{1,28}") {
            prop_assert_eq!(PackedId::pack(&text).unwrap().unpack(), text);
        }

        #[test]
        fn different_ids_are_different_when_packed(a in "user_[0aZ]{1,3}", b in "user_[0aZ]{1,3}") {
            prop_assert_eq!(PackedId::pack(&a) == PackedId::pack(&b), a == b);
        }
    }
}
