//! Recognises the files of this program by their header: also renamed, piped, or re-saved by a
//! spreadsheet, which changes delimiters, quotes and the case of `true`, but no name of a column.

use crate::model::{Outcome, is_header, normalized_header};

use super::format::COLUMNS;

/// The columns that make a file one of results, plan, verify or relock rows.
const OF_ROWS: [&str; 4] = [COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3]];

/// How the header of a `failed` file ends.
const OF_FAILED: [&str; 4] = ["line", "outcome", "error_code", "error_message"];

/// How the header of an `unprocessed` file ends.
const OF_UNPROCESSED: [&str; 1] = ["line"];

/// The columns that make a file a list of locked users.
const OF_LOCKED: [&str; 3] = ["user_id", "locked", "admin_locked"];

/// A file of this program, and where its columns are (0-based).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnFile {
    /// Results of `run`, `plan`, `verify` or `relock`.
    Rows {
        /// The record's line in the input of the run.
        line: usize,
        /// The cell of the input.
        input: usize,
        /// The user, where one was known.
        user_id: usize,
        /// How the record ended.
        outcome: usize,
    },
    /// `NAME.failed.csv`: the users' column is the first.
    Failed,
    /// `NAME.unprocessed.csv`: the users' column is the first.
    Unprocessed,
    /// The list of `locked`.
    Locked {
        /// The user.
        user_id: usize,
    },
}

impl OwnFile {
    /// Recognises a file by its header. `name` is the file's name: the header of an `unprocessed`
    /// file may be anybody's, so that it counts only if the name is ours too, or if its first
    /// column is one of users by `is_users_header`.
    pub fn recognize<T: AsRef<str>>(
        name: &str,
        headers: &[T],
        is_users_header: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let first = headers.first()?.as_ref();
        if let Some([line, input, user_id, outcome]) = places(headers, OF_ROWS) {
            return Some(Self::Rows { line, input, user_id, outcome });
        }
        if ends_with(headers, &OF_FAILED) {
            return Some(Self::Failed);
        }
        if let Some([user_id, ..]) = places(headers, OF_LOCKED) {
            return Some(Self::Locked { user_id });
        }
        let is_ours = name.ends_with(".unprocessed.csv")
            || is_header(first, &normalized_header("user_id"))
            || is_users_header(first);
        (ends_with(headers, &OF_UNPROCESSED) && is_ours).then_some(Self::Unprocessed)
    }
}

/// The columns of any file that hold a decision of this program about a user: `outcome`, and the
/// `admin_locked` of a list of locked users. Edited files still have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionColumns {
    /// The columns `outcome`.
    pub outcomes: Vec<usize>,
    /// The columns `admin_locked`.
    pub admin_locked: Vec<usize>,
}

impl DecisionColumns {
    /// Finds them by the header.
    pub fn find<T: AsRef<str>>(headers: &[T]) -> Self {
        let all = |name: &str| {
            let name = normalized_header(name);
            let places = headers.iter().enumerate();
            let places = places.filter(|(_, header)| is_header(header.as_ref(), &name));
            places.map(|(place, _)| place).collect()
        };
        Self { outcomes: all("outcome"), admin_locked: all("admin_locked") }
    }
}

/// The outcome in a cell, if it is one.
pub fn outcome_of(cell: &str) -> Option<Outcome> {
    cell.trim().to_ascii_lowercase().parse().ok()
}

/// Whether an outcome means that the user was left alone, or locked again, on purpose: such a user
/// must not be unlocked by accident.
pub fn is_left_alone(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Excluded
            | Outcome::AdminLocked
            | Outcome::Ambiguous
            | Outcome::Relocked
            | Outcome::AlreadyLocked
            | Outcome::WouldRelock
    )
}

/// Whether a cell is `false`, as this program or a spreadsheet writes it, or empty.
pub fn is_false(cell: &str) -> bool {
    cell.trim().is_empty() || bool_of(cell) == Some(false)
}

/// `true` or `false`, as this program or a spreadsheet writes it; `None` for anything else.
pub fn bool_of(cell: &str) -> Option<bool> {
    cell.trim().to_ascii_lowercase().parse().ok()
}

/// The first column with this name.
pub fn column_of<T: AsRef<str>>(headers: &[T], name: &str) -> Option<usize> {
    let name = normalized_header(name);
    headers.iter().position(|header| is_header(header.as_ref(), &name))
}

/// The first place of each of these columns; `None` where one is missing.
fn places<T: AsRef<str>, const N: usize>(headers: &[T], names: [&str; N]) -> Option<[usize; N]> {
    let places: Option<Vec<usize>> =
        names.into_iter().map(|name| column_of(headers, name)).collect();
    places?.try_into().ok()
}

/// Whether the header has a first column, any others, and then these columns.
fn ends_with<T: AsRef<str>>(headers: &[T], end: &[&str]) -> bool {
    // A spreadsheet may append empty columns.
    let n_named = headers.iter().rposition(|header| !header.as_ref().trim().is_empty());
    let headers = &headers[..n_named.map_or(0, |last| last + 1)];
    let Some(n_before) = headers.len().checked_sub(end.len()).filter(|&n| n > 0) else {
        return false;
    };
    let pairs = headers[n_before..].iter().zip(end);
    pairs.into_iter().all(|(header, name)| is_header(header.as_ref(), &normalized_header(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, header: &str, expected: Option<OwnFile>) {
        let headers: Vec<&str> = header.split(',').collect();
        let found = OwnFile::recognize(name, &headers, |header| header == "email");
        assert_eq!(found, expected, "{name}: {header}");
    }

    #[test]
    fn rows_are_recognized_by_four_columns_wherever_they_are() {
        let rows =
            |line, input, user_id, outcome| Some(OwnFile::Rows { line, input, user_id, outcome });
        check("x.csv", &COLUMNS.join(","), rows(0, 1, 2, 3));
        check("x.csv", "\u{feff}Line,Input,User ID,OUTCOME,http_status", rows(0, 1, 2, 3));
        check("x.csv", "user_id,outcome,line,input,in_line", rows(2, 3, 0, 1));
        check("x.csv", "line,user_id,outcome", None);
    }

    #[test]
    fn a_failed_file_is_recognized_by_the_end_of_its_header() {
        let failed = Some(OwnFile::Failed);
        check("x.csv", "cust,line,outcome,error_code,error_message", failed);
        check("x.csv", "cust,id,Line,Outcome,Error Code,error_message,,", failed);
        check("x.csv", "line,outcome,error_code,error_message", None);
    }

    #[test]
    fn an_unprocessed_file_is_recognized_by_its_name_or_its_first_column_too() {
        let unprocessed = Some(OwnFile::Unprocessed);
        check("x.unprocessed.csv", "cust,id,line", unprocessed);
        check("x.csv", "user_id,ticket,line", unprocessed);
        check("x.csv", "email,line", unprocessed);
        check("x.csv", "cust,id,line", None);
        check("x.unprocessed.csv", "line", None);
        check("x.unprocessed.csv", "name,user_id", None);
    }

    #[test]
    fn a_list_of_locked_users_is_recognized_by_its_columns() {
        let list = super::super::locked_list::LOCKED_COLUMNS.join(",");
        check("x.csv", &list, Some(OwnFile::Locked { user_id: 0 }));
        check("x.csv", "user_id,locked", None);
    }

    #[test]
    fn decisions_are_found_in_files_that_were_edited() {
        let columns = DecisionColumns::find(&["user_id", "Outcome", "note", "admin locked"]);
        assert_eq!((columns.outcomes, columns.admin_locked), (vec![1], vec![3]));
        assert_eq!(outcome_of(" Excluded "), Some(Outcome::Excluded));
        assert_eq!(outcome_of("fine"), None);
        assert!(is_false("FALSE") && is_false(" ") && !is_false("true") && !is_false("1"));
    }
}
