//! What separates the cells, found by looking at the first record.

use super::rows::{NO_DELIMITER, RowReader};
use super::user_column::Wanted;

/// Of candidates that do equally well the last is taken.
const CANDIDATES: [u8; 4] = [b'|', b'\t', b';', b','];

/// The delimiter under which the first record makes most sense; [`NO_DELIMITER`] where there is one
/// column under each.
pub(super) fn find(head: &[u8], wanted: &Wanted<'_>) -> u8 {
    let head = whole_chars(head);
    let score = |delimiter: u8| {
        let first = first_record(head, delimiter)?;
        let is_user = first.first().is_some_and(|cell| wanted.is_user(cell));
        (first.len() > 1).then(|| (wanted.fits(&first), is_user, first.len()))
    };
    CANDIDATES
        .into_iter()
        .filter_map(|delimiter| score(delimiter).map(|score| (score, delimiter)))
        .max_by_key(|&(score, _)| score)
        .map_or(NO_DELIMITER, |(_, delimiter)| delimiter)
}

/// What can't be read is no candidate; reading itself will say what is wrong.
fn first_record(head: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut rows = RowReader::new(String::new(), head, delimiter);
    rows.read().ok()?.map(|row| row.cells())
}

/// The head may end in the middle of a character.
fn whole_chars(head: &[u8]) -> &[u8] {
    match std::str::from_utf8(head) {
        Err(e) if e.error_len().is_none() => &head[..e.valid_up_to()],
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::ColumnChoice;
    use crate::model::IdentifierKind;

    #[track_caller]
    fn check(head: &str, expected: u8) {
        check_for(None, head, expected);
    }

    #[track_caller]
    fn check_for(column: Option<&ColumnChoice>, head: &str, expected: u8) {
        let wanted = Wanted { kind: IdentifierKind::UserId, column, or_user_id: false };
        assert_eq!(find(head.as_bytes(), &wanted), expected, "{head:?}");
    }

    #[test]
    fn any_of_four_delimiters_is_found() {
        check("id,name\n", b',');
        check("id;name\n", b';');
        check("id\tname\n", b'\t');
        check("id|name\n", b'|');
        check("user_a\nuser_b\n", NO_DELIMITER);
        check("", NO_DELIMITER);
    }

    #[test]
    fn a_known_header_weighs_more_than_many_columns() {
        check("id;name, first, last, middle\n", b';');
        check("\"a;b;c\",user_id\n", b',');
        check("# a,b,c\n\nid|a;b,c\n", b'|');
    }

    #[test]
    fn a_valid_first_cell_weighs_more_than_many_columns() {
        check("user_a;Doe, John, Jr.\n", b';');
        check("Doe;John,x,y\n", b',');
    }

    #[test]
    fn the_column_that_is_asked_for_decides() {
        check_for(Some(&ColumnChoice::Name("kunde".into())), "Kunde;id, name, x\n", b';');
        check_for(Some(&ColumnChoice::Number(3)), "a;b;c, d\n", b';');
    }

    #[test]
    fn a_head_that_ends_within_a_character_is_read_as_far_as_it_goes() {
        let wanted = Wanted { kind: IdentifierKind::UserId, column: None, or_user_id: false };
        assert_eq!(find("id;é".as_bytes().split_last().unwrap().1, &wanted), b';');
    }
}
