//! The delimiter: given, or found in the first record.

use super::Error;
use super::columns::Wanted;
use super::lines::LineReader;
use super::rows::RowReader;

/// The delimiters to look for.
pub(super) const CANDIDATES: [char; 4] = [',', ';', '\t', '|'];

/// The delimiter of an input (`--delimiter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delimiter {
    /// Found in the first record.
    #[default]
    Auto,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Pipe,
    /// Nothing: each line is one cell.
    None,
}

impl Delimiter {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe, Self::None];

    /// The word for it on the command line.
    pub fn flag_value(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Comma => "comma",
            Self::Semicolon => "semicolon",
            Self::Tab => "tab",
            Self::Pipe => "pipe",
            Self::None => "none",
        }
    }

    /// The character; `None` for [`Delimiter::Auto`] and [`Delimiter::None`].
    pub(super) fn char(self) -> Option<char> {
        match self {
            Self::Auto | Self::None => None,
            Self::Comma => Some(','),
            Self::Semicolon => Some(';'),
            Self::Tab => Some('\t'),
            Self::Pipe => Some('|'),
        }
    }
}

/// The character that an Excel `sep=` line names, where the first line is one.
pub(super) fn sep_line(head: &[u8]) -> Option<char> {
    let end = head.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(head.len());
    let line = std::str::from_utf8(&head[..end]).ok()?;
    let line = line.strip_prefix('\u{feff}').unwrap_or(line).trim_matches('"');
    let is_sep = line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("sep="));
    let mut rest = line.get(4..).filter(|_| is_sep)?.chars();
    rest.next().filter(|_| rest.all(char::is_whitespace))
}

/// The delimiter under which the first record has the wanted column; `None` if the record has one
/// cell under each.
///
/// # Errors
///
/// When two delimiters match equally well, or when the first record is malformed under the only one.
pub(super) fn find(name: &str, head: &[u8], wanted: &Wanted<'_>) -> Result<Option<char>, Error> {
    let head = whole_chars(head);
    let (mut found, mut refused, mut blank) = (Vec::new(), None, None);
    for delimiter in CANDIDATES {
        let mut rows = RowReader::new(name, head, Some(delimiter), false);
        let first = match rows.read() {
            Ok(Some(row)) => row.cells(),
            Ok(None) => {
                let is_there = head.contains(&(delimiter as u8));
                blank = blank.or(Some(delimiter).filter(|_| is_there));
                continue;
            }
            Err(error) => {
                refused = refused.or(Some(error).filter(|it| is_about(it, head, delimiter)));
                continue;
            }
        };
        // An error in a later record is reported when that is read.
        let second = rows.read().ok().flatten().map(|row| row.cells()).unwrap_or_default();
        if first.len() > 1 {
            found.push((wanted.fit(name, &first, &second), first.len(), delimiter));
        }
    }
    let Some(best) = found.iter().map(|&(fit, ..)| fit).max() else {
        return refused.map_or(Ok(blank), Err);
    };
    if best == 0 {
        let is_list = wanted.column.is_none() && !wanted.kind.has_shape();
        let most = found.iter().max_by_key(|&&(_, n_cells, _)| n_cells);
        return match refused {
            Some(error) => Err(error),
            None => Ok(most.filter(|_| !is_list).map(|&(.., delimiter)| delimiter)),
        };
    }
    found.retain(|&(fit, ..)| fit == best);
    match found[..] {
        [(.., delimiter)] => Ok(Some(delimiter)),
        _ => Err(Error::AmbiguousDelimiter {
            name: name.to_owned(),
            delimiters: found.into_iter().map(|(.., delimiter)| delimiter).collect(),
        }),
    }
}

/// Whether the delimiter is in the lines up to that of an error: the error is reported then.
fn is_about(error: &Error, head: &[u8], delimiter: char) -> bool {
    let Error::Malformed { line, .. } = error else { return false };
    let mut lines = LineReader::new("", head);
    while let Ok(Some((number, text))) = lines.read(head.len()) {
        if number <= *line && text.contains(delimiter) {
            return true;
        }
    }
    false
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
    fn check(head: &str, expected: Option<char>) {
        check_for(None, head, expected);
    }

    #[track_caller]
    fn check_for(column: Option<&ColumnChoice>, head: &str, expected: Option<char>) {
        let wanted = Wanted { kind: IdentifierKind::UserId, column };
        let found = find("users.csv", head.as_bytes(), &wanted).unwrap();
        assert_eq!(found, expected, "{head:?}");
    }

    #[test]
    fn any_of_four_delimiters_is_found() {
        check("id,name\n", Some(','));
        check("id;name\n", Some(';'));
        check("id\tname\n", Some('\t'));
        check("id|name\n", Some('|'));
        check("user_a\nuser_b\n", None);
        check("", None);
    }

    #[test]
    fn a_known_header_decides_before_many_columns() {
        check("id;name, first, last, middle\n", Some(';'));
        check("\"a;b;c\",user_id\n", Some(','));
        check("# a,b,c\n\nid|a;b,c\n", Some('|'));
    }

    #[test]
    fn a_valid_first_cell_decides_before_many_columns() {
        check("user_a;Doe, John, Jr.\n", Some(';'));
        check("Doe;John,x,y\n", Some(','));
    }

    #[test]
    fn the_column_that_is_asked_for_decides() {
        check_for(Some(&ColumnChoice::Name("kunde".into())), "Kunde;id, name, x\n", Some(';'));
        check_for(Some(&ColumnChoice::Number(3)), "a;b;c, d\n", Some(';'));
        let number = ColumnChoice::Number(2);
        check_for(Some(&number), "a;b, c\nx;y, user_a\n", Some(','));
        check_for(Some(&number), "a;b, c\nx, z;user_a\n", Some(';'));
    }

    #[test]
    fn a_column_that_two_delimiters_have_is_refused() {
        let number = ColumnChoice::Number(2);
        let wanted = Wanted { kind: IdentifierKind::UserId, column: Some(&number) };
        insta::assert_snapshot!(
            find("users.csv", b"a;b, c\nx;y, z\n", &wanted).unwrap_err(),
            @r#"users.csv: the cells may be separated by "," or ";"; choose one with --delimiter"#
        );
    }

    #[test]
    fn a_head_that_ends_within_a_character_is_read_as_far_as_it_goes() {
        let head = "id;é".as_bytes().split_last().unwrap().1;
        let wanted = Wanted { kind: IdentifierKind::UserId, column: None };
        assert_eq!(find("users.csv", head, &wanted).unwrap(), Some(';'));
    }

    #[test]
    fn the_separator_of_excel_is_read_from_the_first_line_only() {
        for (head, expected) in [
            ("sep=;\r\nid;x", Some(';')),
            ("\u{feff}SEP=,\n", Some(',')),
            ("\"sep=|\"\n", Some('|')),
            ("sep=\t\n", Some('\t')),
            ("sep=:", Some(':')),
            ("sep=\nid", None),
            ("sep=ab\n", None),
            ("id\nsep=;\n", None),
        ] {
            assert_eq!(sep_line(head.as_bytes()), expected, "{head:?}");
        }
    }
}
