//! What went wrong how often, by code, with the first few examples of each.

use std::collections::BTreeMap;

use crate::report::text::clipped;

use super::TableRow;

/// The rows that did not end well and say why, by code. Codes come from outside, so their number
/// is bounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorGroups {
    groups: BTreeMap<String, ErrorGroup>,
    n_beyond: u64,
}

/// All rows under one code.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorGroup {
    /// How many.
    pub(crate) n: u64,
    /// The first of them.
    pub(crate) examples: Vec<Example>,
}

/// One row under a code.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// The place of its file.
    pub(crate) source: usize,
    /// Its line in the input.
    pub(crate) line: u64,
    /// The user's id.
    pub(crate) user_id: Option<String>,
    /// What the API said; may quote addresses.
    pub(crate) message: String,
}

const MAX_CODES: usize = 100;
const MAX_CODE: usize = 64;
const MAX_MESSAGE: usize = 200;
const MAX_EXAMPLES: usize = 3;

impl ErrorGroups {
    pub(super) fn add(&mut self, row: &TableRow) {
        let is_explained = row.error_code.is_some() || row.error_message.is_some();
        if row.outcome.ended_well() || !is_explained {
            return;
        }
        let code = clipped(row.error_code.as_deref().unwrap_or(row.outcome.code()), MAX_CODE);
        if self.groups.len() >= MAX_CODES && !self.groups.contains_key(&code) {
            self.n_beyond += 1;
            return;
        }
        let group = self.groups.entry(code).or_default();
        group.n += 1;
        if group.examples.len() < MAX_EXAMPLES {
            group.examples.push(example(row));
        }
    }

    /// The codes and what stands under them, the commonest first.
    pub(crate) fn commonest_first(&self) -> Vec<(&str, &ErrorGroup)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(code, it)| (code.as_str(), it)).collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.n));
        groups
    }

    /// How many more rows there are under codes that are not told apart any more.
    pub(crate) fn n_beyond(&self) -> u64 {
        self.n_beyond
    }
}

fn example(row: &TableRow) -> Example {
    Example {
        source: row.source,
        line: row.line,
        user_id: row.user_id.as_ref().map(ToString::to_string),
        message: clipped(row.error_message.as_deref().unwrap_or_default(), MAX_MESSAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn groups(codes: impl IntoIterator<Item = (Outcome, Option<String>)>) -> ErrorGroups {
        let mut groups = ErrorGroups::default();
        for ((outcome, error_code), line) in codes.into_iter().zip(1..) {
            groups.add(&TableRow { error_code, ..TableRow::new(0, line, outcome) });
        }
        groups
    }

    #[test]
    fn the_commonest_comes_first_with_its_first_examples() {
        let codes = ["b", "a", "a", "a", "a"];
        let groups = groups(codes.map(|code| (Outcome::Failed, Some(code.to_owned()))));
        let told: Vec<_> = groups
            .commonest_first()
            .into_iter()
            .map(|(code, it)| {
                (code, it.n, it.examples.iter().map(|it| it.line).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(told, [("a", 4, vec![2, 3, 4]), ("b", 1, vec![1])]);
    }

    #[test]
    fn only_rows_that_did_not_end_well_and_say_why_are_errors() {
        let code = || Some("code".to_owned());
        let groups = groups([(Outcome::Duplicate, code()), (Outcome::AdminLocked, None)]);
        assert!(groups.commonest_first().is_empty());
    }

    #[test]
    fn a_server_that_invents_codes_fills_no_memory() {
        let codes = (0..1000).map(|n| (Outcome::Rejected, Some(format!("code_{n}"))));
        let groups = groups(codes);
        assert_eq!((groups.commonest_first().len(), groups.n_beyond()), (100, 900));
    }
}
