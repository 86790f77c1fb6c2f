//! The header of a results file: what makes it one, and where its columns are.

use super::format::{CARRIED_PREFIX, COLUMNS};
use super::lines::Cells;

/// The checked header of a results file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// How many columns there are.
    pub(super) n_columns: usize,
    /// Columns that a later version appended, in order.
    pub(super) unknown: Vec<String>,
    /// The names of the carried columns, without their prefix.
    pub(super) carried: Vec<String>,
}

impl Header {
    /// Checks the first line of a file; the reason when it is not ours.
    pub(super) fn check(cells: Cells<'_>) -> Result<Self, String> {
        for (at, column) in COLUMNS.into_iter().enumerate() {
            let found = cells.get(at);
            if found != column {
                return Err(format!("column {} is \"{found}\" and not \"{column}\"", at + 1));
            }
        }
        let mut header = Self { n_columns: cells.len(), unknown: vec![], carried: vec![] };
        for name in cells.iter().skip(COLUMNS.len()) {
            match name.strip_prefix(CARRIED_PREFIX) {
                Some(carried) => header.carried.push(carried.to_owned()),
                None if header.carried.is_empty() => header.unknown.push(name.to_owned()),
                None => return Err(format!("the column \"{name}\" follows carried ones")),
            }
        }
        Ok(header)
    }

    /// The place of the first carried column.
    pub(super) fn first_carried(&self) -> usize {
        self.n_columns - self.carried.len()
    }

    /// Whether the bytes can be the beginning of one of our headers: all that a crash left.
    pub(super) fn is_torn(bytes: &[u8]) -> bool {
        let ours = COLUMNS.join(",").into_bytes();
        ours.starts_with(bytes)
            || bytes.strip_prefix(ours.as_slice()).is_some_and(|rest| rest.starts_with(b","))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::CellParser;
    use super::*;

    fn check(line: &str) -> Result<Header, String> {
        Header::check(CellParser::new().parse(line.as_bytes()).unwrap())
    }

    fn with(more: &str) -> String {
        COLUMNS.join(",") + more
    }

    #[test]
    fn our_columns_may_be_followed_by_carried_ones() {
        let header = check(&with(",in_team,\"in_a,b\"")).unwrap();
        assert_eq!(header.carried, ["team", "a,b"]);
        assert_eq!(header.first_carried(), 23);
    }

    #[test]
    fn a_later_version_may_append_columns_before_the_carried_ones() {
        let header = check(&with(",mood,in_team")).unwrap();
        assert_eq!((header.unknown, header.carried), (vec!["mood".into()], vec!["team".into()]));
    }

    #[test]
    fn another_kind_of_file_is_refused_with_the_reason() {
        assert_eq!(check("id,email").unwrap_err(), "column 1 is \"id\" and not \"line\"");
        assert_eq!(check("line,input").unwrap_err(), "column 3 is \"\" and not \"user_id\"");
        assert_eq!(
            check(&with(",in_a,mood")).unwrap_err(),
            "the column \"mood\" follows carried ones"
        );
    }

    #[test]
    fn a_header_cut_off_anywhere_is_known_for_what_it_is() {
        let whole = with(",in_team");
        assert!((0..=whole.len()).all(|end| Header::is_torn(&whole.as_bytes()[..end])));
        assert!(!Header::is_torn(b"line,inputs"));
        assert!(!Header::is_torn(b"\0\0"));
    }
}
