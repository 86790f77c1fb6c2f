//! A tail in lower case from which it can be recovered: what an unlisted user's email address and
//! user name are made of, as both are compared without regard to case.

/// The tail in lower case; where it has capitals, `-` and a hexadecimal mask of them follow.
pub(super) fn from_tail(tail: &str) -> String {
    let capitals = tail
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_uppercase())
        .fold(0_u64, |mask, (at, _)| mask | 1 << at);
    let lower_case = tail.to_ascii_lowercase();
    if capitals == 0 { lower_case } else { format!("{lower_case}-{capitals:x}") }
}

/// The tail that [`from_tail`] was given.
pub(super) fn to_tail(handle: &str) -> Option<String> {
    let (lower_case, mask) = handle.split_once('-').unwrap_or((handle, "0"));
    let capitals = u64::from_str_radix(mask, 16).ok()?;
    if lower_case.len() > 64 {
        return None;
    }
    let restore = |(at, c): (usize, char)| {
        if capitals >> at & 1 == 1 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    lower_case.is_ascii().then(|| lower_case.chars().enumerate().map(restore).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_tail_is_recovered_whatever_the_case(tail in "[A-Za-z0-9]{1,64}") {
            let handle = from_tail(&tail);
            prop_assert_eq!(to_tail(&handle), Some(tail.clone()));
            prop_assert_eq!(to_tail(&handle.to_uppercase()), Some(tail));
        }

        #[test]
        fn any_text_is_survived(text: String) {
            to_tail(&text);
        }
    }

    #[test]
    fn a_tail_without_capitals_is_its_own_handle() {
        assert_eq!(from_tail("alice1"), "alice1");
        assert_eq!(from_tail("aLicE"), "alice-12");
    }
}
