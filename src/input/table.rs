//! The form of an input: its delimiter, and what its first record is.

use std::time::SystemTime;

use super::columns::{UserColumn, Wanted};
use super::error::{Malformed, Refusal, Suspicion};
use super::read::ReadInput;
use super::rows::{LineReader, Row, RowReader};
use super::source::{Bytes, Source, sha256};
use crate::model::Records;
use crate::results::format::OwnFile;

/// Number of records that are searched for a header below a title, or compared with a header.
const N_SEARCHED: usize = 20;

/// An opened input whose delimiter and columns are known.
pub(super) struct Table<'a> {
    modified: Option<SystemTime>,
    rows: RowReader<Bytes<'a>>,
    pub(super) delimiter: Option<char>,
    has_sep_line: bool,
    /// The cells of the first record or the header; none in an empty input.
    pub(super) first: Vec<String>,
    pub(super) column: UserColumn,
    /// Which of this program's own files it is.
    pub(super) own: Option<OwnFile>,
    /// Each line is taken as one cell because no delimiter was found, not because one was given.
    pub(super) is_delimiter_guessed: bool,
    /// More columns than this would shift the users' column.
    max_columns: Option<usize>,
}

impl<'a> Table<'a> {
    /// Opens it, and finds its delimiter and the column of the users.
    pub(super) fn open(
        source: Source<'a>,
        wanted: &Wanted<'_>,
        delimiter: Delimiter,
    ) -> Result<Self, Refusal> {
        let opened = source.open()?;
        let sep = sep_line(&opened.head);
        let is_found = delimiter == Delimiter::Auto && sep.is_none();
        let delimiter = match (delimiter, sep) {
            (Delimiter::Auto, Some(sep)) if CANDIDATES.contains(&sep) => Some(sep),
            (Delimiter::Auto, Some(sep)) => return Err(Refusal::UnknownSeparator(sep)),
            (Delimiter::Auto, None) => find_delimiter(&opened.head, wanted)?,
            (given, _) => given.char(),
        };
        let (modified, head) = (opened.modified, opened.head.clone());
        let has_sep_line = sep.is_some();
        let rows = RowReader::new(opened.into_bytes(), delimiter, has_sep_line);
        let mut table = Self {
            modified,
            rows,
            delimiter,
            has_sep_line,
            first: Vec::new(),
            column: UserColumn::PlainList,
            own: None,
            is_delimiter_guessed: is_found && delimiter.is_none() && !wanted.kind.has_shape(),
            max_columns: None,
        };
        table.read_first(&head, wanted)?;
        Ok(table)
    }

    /// Reads the first record and finds the column by it. The next row is the first user.
    fn read_first(&mut self, head: &[u8], wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let Some(row) = self.rows.read()? else { return Ok(()) };
        let (line, first) = (row.line, row.cells());
        let is_user = wanted.kind.has_shape() && wanted.is_user(&first[0]);
        if wanted.column.is_none()
            && !is_user
            && !wanted.is_header_row(&first)
            && let Some(header_line) = self.later_header(head, wanted)
        {
            return Err(Refusal::TitleLine { line, text: first[0].clone(), header_line });
        }
        let below = self.rows_below(head, self.delimiter).into_iter();
        let below: Vec<_> = below.map(|(_, cells)| cells).collect();
        self.column = wanted.choose(line, &first, &below)?;
        self.own = wanted.own_file(&first);
        if self.column.header().is_none() {
            if wanted.column.is_none() {
                self.check_comments(head, line, wanted)?;
            }
            self.rows.hold();
        }
        if self.column != UserColumn::PlainList {
            self.rows.end_comments();
        }
        let can_shift = self.column.header().is_some() || self.column.index() > 0;
        self.max_columns = can_shift.then_some(first.len()).filter(|_| self.delimiter.is_some());
        self.first = first;
        Ok(())
    }

    /// Refuses a comment above the first row that is a header with the users in another column.
    fn check_comments(
        &self,
        head: &[u8],
        first_line: u64,
        wanted: &Wanted<'_>,
    ) -> Result<(), Refusal> {
        let mut lines = LineReader::new(head);
        while let Ok(Some((line, comment))) = lines.read(head.len())
            && line < first_line
        {
            let text = comment.trim_start_matches('#');
            let mut rows = RowReader::new(text.as_bytes(), self.delimiter, false);
            let Ok(Some(row)) = rows.read() else { continue };
            let cells = row.cells();
            if cells.len() > 1
                && let Some(index) = wanted.find_known(&cells)?
                && index != self.column.index()
            {
                let columns = [UserColumn::named(&cells, index), self.column.clone()].into();
                let comment = comment.to_owned();
                return Err(Refusal::HeaderInComment { line, kind: wanted.kind, comment, columns });
            }
        }
        Ok(())
    }

    /// The line of a record near the beginning that is a header.
    fn later_header(&self, head: &[u8], wanted: &Wanted<'_>) -> Option<u64> {
        let delimiters = CANDIDATES.map(Some).into_iter().chain([None]);
        let rows = delimiters.flat_map(|delimiter| self.rows_below(head, delimiter));
        rows.filter(|(_, cells)| wanted.is_header_row(cells)).map(|(line, _)| line).min()
    }

    /// A few rows below the first, as far as they can be read: their lines and cells.
    fn rows_below(&self, head: &[u8], delimiter: Option<char>) -> Vec<(u64, Vec<String>)> {
        let mut rows = RowReader::new(head, delimiter, self.has_sep_line);
        let mut below = Vec::new();
        while let Ok(Some(row)) = rows.read()
            && below.len() <= N_SEARCHED
        {
            below.push((row.line, row.cells()));
        }
        below.drain(..1.min(below.len()));
        below
    }

    /// The next row; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Row<'_>>, Refusal> {
        let Some(row) = self.rows.read()? else { return Ok(None) };
        let n_cells = row.last_filled().map_or(0, |last| last + 1);
        match self.max_columns {
            Some(n_columns) if n_cells > n_columns => {
                let has_header = self.column.header().is_some();
                let what = Malformed::LongRow { n_cells, n_columns, has_header };
                Err(Refusal::Malformed { line: row.line, what })
            }
            _ => Ok(Some(row)),
        }
    }

    /// The input with these records, after its last row.
    pub(super) fn into_input(
        self,
        records: Records,
        suspicions: Vec<Suspicion>,
        is_plan: bool,
    ) -> ReadInput {
        ReadInput {
            records,
            column: self.column,
            delimiter: self.delimiter,
            suspicions,
            is_plan,
            n_lines: self.rows.lines.n_lines,
            n_comments: self.rows.n_comments,
            has_sep_line: self.has_sep_line,
            sha256: sha256(self.rows.lines.input),
            modified: self.modified,
        }
    }
}

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
fn sep_line(head: &[u8]) -> Option<char> {
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
fn find_delimiter(head: &[u8], wanted: &Wanted<'_>) -> Result<Option<char>, Refusal> {
    let head = whole_chars(head);
    let (mut found, mut refused, mut blank) = (Vec::new(), None, None);
    for delimiter in CANDIDATES {
        let mut rows = RowReader::new(head, Some(delimiter), false);
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
            found.push((wanted.fit(&first, &second), first.len(), delimiter));
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
    if let [(.., delimiter)] = found[..] {
        return Ok(Some(delimiter));
    }
    let delimiters = found.into_iter().map(|(.., delimiter)| delimiter);
    Err(Refusal::AmbiguousDelimiter(delimiters.collect()))
}

/// Whether the delimiter is in the lines up to that of an error: the error is reported then.
fn is_about(error: &Refusal, head: &[u8], delimiter: char) -> bool {
    let Refusal::Malformed { line, .. } = error else { return false };
    let mut lines = LineReader::new(head);
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
    use super::super::columns::ColumnChoice;
    use super::*;
    use crate::model::IdentifierKind;

    #[track_caller]
    fn check(head: &str, expected: Option<char>) {
        check_for(None, head, expected);
    }

    #[track_caller]
    fn check_for(column: Option<&ColumnChoice>, head: &str, expected: Option<char>) {
        let wanted = Wanted { name: "users.csv", kind: IdentifierKind::UserId, column };
        let found = find_delimiter(head.as_bytes(), &wanted).unwrap();
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
    fn the_chosen_column_decides() {
        check_for(Some(&ColumnChoice::Name("kunde".into())), "Kunde;id, name, x\n", Some(';'));
        check_for(Some(&ColumnChoice::Number(3)), "a;b;c, d\n", Some(';'));
        let number = ColumnChoice::Number(2);
        check_for(Some(&number), "a;b, c\nx;y, user_a\n", Some(','));
        check_for(Some(&number), "a;b, c\nx, z;user_a\n", Some(';'));
    }

    #[test]
    fn a_column_that_two_delimiters_have_is_refused() {
        let number = ColumnChoice::Number(2);
        let wanted =
            Wanted { name: "users.csv", kind: IdentifierKind::UserId, column: Some(&number) };
        let refused = find_delimiter(b"a;b, c\nx;y, z\n", &wanted);
        assert!(matches!(refused, Err(Refusal::AmbiguousDelimiter(found)) if found == [',', ';']));
    }

    #[test]
    fn a_head_that_ends_within_a_character_is_read_as_far_as_it_goes() {
        let head = "id;é".as_bytes().split_last().unwrap().1;
        let wanted = Wanted { name: "users.csv", kind: IdentifierKind::UserId, column: None };
        assert_eq!(find_delimiter(head, &wanted).unwrap(), Some(';'));
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
