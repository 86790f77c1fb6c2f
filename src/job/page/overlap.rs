//! Several files that tell of the same users: the last word on each counts, once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::SystemTime;

use crate::model::{Outcome, Row};

/// Who had the last word on whom. Users are told apart within a group of files of one kind of job
/// and one instance: a plan does not contradict its run.
#[derive(Default)]
pub(super) struct LastWords {
    by_name: HashMap<(usize, String), Word>,
}

/// One word: when it was said, and in which file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word {
    said_at: Option<SystemTime>,
    file: usize,
}

impl LastWords {
    /// Takes down what a row says.
    pub(super) fn note(&mut self, group: usize, file: usize, row: &Row) {
        let word = Word { said_at: row.finished_at, file };
        for name in names(row) {
            let last = self.by_name.entry((group, name)).or_insert(word);
            *last = (*last).max(word);
        }
    }

    /// Whether another file had a later word on the same user.
    pub(super) fn is_superseded(&self, group: usize, file: usize, row: &Row) -> bool {
        let Some(name) = names(row).next() else { return false };
        self.by_name.get(&(group, name)).is_some_and(|last| last.file != file)
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    /// The later; of two at the same time that of the file that was named later.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.said_at, self.file).cmp(&(other.said_at, other.file))
    }
}

/// What the user of a row is known by, the surest first. A record that only points at another, or
/// that was left out, is nobody's last word; a blank cell names nobody.
fn names(row: &Row) -> impl Iterator<Item = String> {
    let is_word = !matches!(row.outcome, Outcome::Duplicate | Outcome::Excluded);
    let user_id = row.user_id.as_ref().map(ToString::to_string);
    let input =
        Some(row.input.to_string()).filter(|it| !it.is_empty() && Some(it) != user_id.as_ref());
    user_id.into_iter().chain(input).filter(move |_| is_word)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::results::Reader;

    fn rows(lines: &str) -> Vec<Row> {
        let header = crate::results::format::COLUMNS.join(",");
        let text = format!("{header}\n{lines}");
        let reader = Reader::new(text.as_bytes(), "r.csv".as_ref()).unwrap();
        reader.map(Result::unwrap).collect()
    }

    fn row(input: &str, user_id: &str, outcome: &str, second: u32) -> Row {
        let at = format!("2026-07-07T03:00:{second:02}Z");
        let line = format!("2,{input},{user_id},{outcome},200,,,1,5,{at}{}\n", ",".repeat(14));
        rows(&line).remove(0)
    }

    #[track_caller]
    fn check(first: &Row, second: &Row, expected: [bool; 2]) {
        let mut words = LastWords::default();
        words.note(0, 0, first);
        words.note(0, 1, second);
        let found = [words.is_superseded(0, 0, first), words.is_superseded(0, 1, second)];
        assert_eq!(found, expected, "{first:?}\n{second:?}");
    }

    #[test]
    fn the_later_word_on_a_user_counts_whichever_file_is_named_first() {
        let failed = row("user_a", "user_a", "failed", 1);
        let unlocked = row("user_a", "user_a", "unlocked", 2);
        check(&failed, &unlocked, [true, false]);
        check(&unlocked, &failed, [false, true]);
        let other = row("user_b", "user_b", "unlocked", 2);
        check(&failed, &other, [false, false]);
    }

    #[test]
    fn a_user_who_was_not_known_before_is_found_by_the_cell() {
        let failed = row("a@x.org", "", "failed", 1);
        check(&failed, &row("a@x.org", "user_a", "unlocked", 2), [true, false]);
        check(&row("", "", "invalid", 1), &row("", "", "invalid", 2), [false, false]);
    }

    #[test]
    fn a_duplicate_is_nobodys_last_word_and_a_plan_does_not_contradict_its_run() {
        let unlocked = row("user_a", "user_a", "unlocked", 1);
        check(&unlocked, &row("user_a", "user_a", "duplicate", 2), [false, false]);
        let mut words = LastWords::default();
        words.note(0, 0, &row("user_a", "user_a", "would_unlock", 1));
        words.note(1, 1, &unlocked);
        assert!(!words.is_superseded(0, 0, &row("user_a", "user_a", "would_unlock", 1)));
    }

    #[test]
    fn of_two_words_at_one_time_that_of_the_file_named_later_counts() {
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        assert!(Word { said_at: at, file: 1 } > Word { said_at: at, file: 0 });
        assert!(Word { said_at: at, file: 0 } > Word { said_at: None, file: 1 });
    }
}
