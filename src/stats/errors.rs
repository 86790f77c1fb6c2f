//! What went wrong how often, with one example each.

use std::collections::BTreeMap;

use crate::model::{ErrorCode, UserId};

/// What went wrong how often, by code, with the first example of each. Codes come from outside,
/// so their number is bounded.
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    groups: BTreeMap<ErrorCode, ErrorGroup>,
    n_beyond: u64,
}

/// All that went wrong under one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorGroup {
    /// How often.
    pub n: u64,
    /// The first of them.
    pub example: Example,
}

/// One case of an error. Its message is as the server sent it: not clean for a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The place of the record in the input.
    pub record: usize,
    /// The user, where one is known.
    pub user: Option<UserId>,
    /// The message, at most [`ErrorCounts::MAX_MESSAGE`] characters of it.
    pub message: String,
}

impl ErrorCounts {
    /// The most codes that are told apart.
    pub const MAX_CODES: usize = 100;
    /// The longest code and message that are kept, in characters.
    pub const MAX_CODE: usize = 64;
    /// The longest message that is kept, in characters.
    pub const MAX_MESSAGE: usize = 300;

    pub(super) fn add(
        &mut self,
        code: &ErrorCode,
        record: usize,
        user: Option<&UserId>,
        message: &str,
    ) {
        let code = shortened(code);
        if let Some(group) = self.groups.get_mut(&code) {
            group.n += 1;
        } else if self.groups.len() < Self::MAX_CODES {
            let message = message.chars().take(Self::MAX_MESSAGE).collect();
            let example = Example { record, user: user.cloned(), message };
            self.groups.insert(code, ErrorGroup { n: 1, example });
        } else {
            self.n_beyond += 1;
        }
    }

    /// The codes and what they stand for, the commonest first.
    pub fn commonest_first(&self) -> Vec<(&ErrorCode, &ErrorGroup)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.n));
        groups
    }

    /// How many more went wrong under codes beyond [`ErrorCounts::MAX_CODES`].
    pub fn n_beyond(&self) -> u64 {
        self.n_beyond
    }
}

fn shortened(code: &ErrorCode) -> ErrorCode {
    match code.char_indices().nth(ErrorCounts::MAX_CODE) {
        Some((end, _)) => code[..end].to_owned().into(),
        None => code.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_comes_first_with_its_first_example() {
        let mut errors = ErrorCounts::default();
        for (record, code) in ["b", "a", "c", "c"].into_iter().enumerate() {
            errors.add(&code.into(), record, None, &format!("message {record}"));
        }
        let told: Vec<_> = errors
            .commonest_first()
            .into_iter()
            .map(|(code, it)| format!("{code} {} {}", it.n, it.example.message))
            .collect();
        assert_eq!(told, ["c 2 message 2", "a 1 message 1", "b 1 message 0"]);
    }

    #[test]
    fn a_server_that_invents_codes_fills_no_memory() {
        let mut errors = ErrorCounts::default();
        for n in 0..1000 {
            errors.add(&format!("{n:0>999}").into(), n, None, &"é".repeat(100_000));
            errors.add(&format!("code_{n}").into(), n, None, &"é".repeat(100_000));
        }
        // All the long ones share their first 64 zeros, so they are one code.
        let groups = errors.commonest_first();
        assert_eq!((groups.len(), groups[0].1.n, errors.n_beyond()), (100, 1000, 901));
        assert!(
            groups.iter().all(|(code, it)| code.len() <= 64 && it.example.message.len() <= 600)
        );
    }
}
