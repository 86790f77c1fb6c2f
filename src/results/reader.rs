//! Reads a results, plan or verify file row by row.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Outcome, Row, UserId, UserView, one_line};

use super::error::ReadError;
use super::format::{CARRIED_PREFIX, COLUMNS};
use super::lines::Moment;
use super::lines::{CellParser, Cells, LineReader, unguarded};
use super::snapshot::REDACTED;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The columns that every version writes; later ones may be missing.
const N_ESSENTIAL: usize = 23;

/// The index of the first column that comes from the user object.
const FIRST_OF_USER: usize = 11;
const USER: usize = 22;
const WAS_LOCKED: usize = 23;

/// Reads a results, plan or verify file row by row, in little memory. A torn end is left out and
/// counted; anything else that is not a row is an error that names its line.
///
/// A file may have been saved by a spreadsheet: byte order mark, another delimiter, quotes, CRLF
/// and `TRUE` are accepted.
pub struct Reader<R = File> {
    pub(super) lines: LineReader<R>,
    cells: CellParser,
    pub(super) header: Header,
    skips_users: bool,
    path: PathBuf,
}

impl Reader {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not a results file of this program.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|error| io_error(path, error))?;
        Self::new(file, path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything; `path` is its name in errors.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn new(input: R, path: &Path) -> Result<Self, ReadError> {
        let mut lines = LineReader::new(input);
        let is_whole = lines.advance().map_err(|error| io_error(path, error))?;
        let line = lines.line().strip_prefix(BYTE_ORDER_MARK).unwrap_or(lines.line());
        if !is_whole && Header::is_torn(line) {
            return Err(ReadError::NoHeader(path.to_owned()));
        }
        let delimiter = Header::delimiter(line);
        let mut cells = CellParser::new(delimiter);
        let max_cells = line.split(|&byte| byte == delimiter).count() + 1;
        let header = cells.parse(line, max_cells).map_err(ToOwned::to_owned);
        let header = header.and_then(|cells| Header::check(cells, delimiter));
        let header = header.map_err(|why| ReadError::NotResults {
            path: path.to_owned(),
            why: one_line(&why).into_owned(),
        })?;
        Ok(Self { lines, cells, header, skips_users: false, path: path.to_owned() })
    }

    /// Does not decode users: [`Row::user`] and, in rows that ended well, [`Row::was_locked`] and
    /// [`Row::carried`] are empty. Several times faster.
    #[must_use]
    pub fn without_users(self) -> Self {
        Self { skips_users: true, ..self }
    }

    /// The headers of the carried columns, without their prefix.
    #[cfg(any(test, feature = "internals"))]
    pub fn carried(&self) -> &[String] {
        &self.header.carried
    }

    /// Length of the whole lines read so far, the header included, in bytes.
    pub fn n_whole_bytes(&self) -> u64 {
        self.lines.n_whole_bytes
    }

    /// Length of the end that a crash tore, in bytes; known after the last row. Such a file is
    /// finished with `--resume`.
    pub fn n_torn_bytes(&self) -> u64 {
        self.lines.n_torn_bytes
    }

    fn read_row(&mut self) -> Result<Option<Row>, ReadError> {
        if !self.lines.advance().map_err(|error| io_error(&self.path, error))? {
            return Ok(None);
        }
        let row = self.parse_row().map(Some);
        row.map_err(|why| ReadError::BadRow {
            path: self.path.clone(),
            line: self.lines.n_lines,
            why: one_line(&why).into_owned(),
        })
    }

    fn parse_row(&mut self) -> Result<Row, String> {
        let line = self.lines.line();
        if self.skips_users {
            let row = parse_facts(self.cells.parse(line, FIRST_OF_USER)?)?;
            // The others are few, and their carried cells are wanted.
            if row.outcome.ended_well() {
                return Ok(row);
            }
        }
        // One more, so that a surplus shows.
        let cells = self.cells.parse(line, self.header.n_columns + 1)?;
        if cells.len() != self.header.n_columns {
            let found = if cells.len() < self.header.n_columns { "fewer" } else { "more" };
            return Err(format!("expected {} cells, found {found}", self.header.n_columns));
        }
        let row = parse_facts(cells)?;
        let carried = cells.iter().skip(self.header.first_carried());
        let carried = carried.map(|cell| unguarded(cell).into()).collect();
        let was_locked = if self.header.has_was_locked { truth(cells, WAS_LOCKED)? } else { None };
        let user = if self.skips_users { None } else { parse_user(cells, row.user_id.as_ref())? };
        Ok(Row { user, was_locked, carried, ..row })
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_row().transpose()
    }
}

fn io_error(path: &Path, reason: io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), reason }
}

/// The checked header of a results file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) delimiter: u8,
    /// Files of early versions lack this column.
    pub(super) has_was_locked: bool,
    /// Columns that a later version appended, in order.
    pub(super) unknown: Vec<String>,
    /// The names of the carried columns, without their prefix.
    pub(super) carried: Vec<String>,
    n_columns: usize,
}

impl Header {
    /// Checks the first line of a file; the reason when it is not ours.
    fn check(cells: Cells<'_>, delimiter: u8) -> Result<Self, String> {
        let has_was_locked = cells.get(WAS_LOCKED) == COLUMNS[WAS_LOCKED];
        let n_known = if has_was_locked { COLUMNS.len() } else { N_ESSENTIAL };
        for (at, column) in COLUMNS.into_iter().enumerate().take(n_known) {
            let found = cells.get(at);
            if found != column {
                return Err(format!(
                    "expected \"{column}\" as column {}, found \"{found}\"",
                    at + 1
                ));
            }
        }
        let (unknown, carried) = (Vec::new(), Vec::new());
        let mut header =
            Self { delimiter, has_was_locked, unknown, carried, n_columns: cells.len() };
        for name in cells.iter().skip(n_known) {
            match name.strip_prefix(CARRIED_PREFIX) {
                Some(carried) => header.carried.push(carried.to_owned()),
                None if header.carried.is_empty() => header.unknown.push(name.to_owned()),
                None => return Err(format!("the column \"{name}\" follows carried columns")),
            }
        }
        Ok(header)
    }

    fn first_carried(&self) -> usize {
        self.n_columns - self.carried.len()
    }

    /// What follows the name of the first column, which may be quoted.
    fn delimiter(line: &[u8]) -> u8 {
        let first = COLUMNS[0].as_bytes();
        let rest = line.strip_prefix(b"\"").unwrap_or(line).strip_prefix(first);
        let rest = rest.map(|rest| rest.strip_prefix(b"\"").unwrap_or(rest));
        match rest.and_then(|rest| rest.first()) {
            Some(&delimiter @ (b';' | b'\t' | b'|')) => delimiter,
            _ => b',',
        }
    }

    /// Whether the bytes can be the beginning of a header: all that a crash left.
    fn is_torn(bytes: &[u8]) -> bool {
        let ours = COLUMNS.join(",").into_bytes();
        ours.starts_with(bytes)
            || bytes.strip_prefix(ours.as_slice()).is_some_and(|rest| rest.starts_with(b","))
    }
}

/// The cells before the user's. Empty cells are `None`, and so are redacted numbers and times.
fn parse_facts(cells: Cells<'_>) -> Result<Row, String> {
    let input: Arc<str> = unguarded(cells.get(1)).into();
    Ok(Row {
        line: required(cells, 0)?,
        user_id: user_id(cells, 2, &input)?,
        outcome: required::<Outcome>(cells, 3)?,
        http_status: value(cells, 4)?,
        error_code: text(cells, 5).map(Into::into),
        error_message: text(cells, 6),
        attempts: required(cells, 7)?,
        duration: Duration::from_millis(required(cells, 8)?),
        finished_at: time(cells, 9)?.and_then(Moment::to_system),
        trace_id: text(cells, 10),
        user: None,
        was_locked: None,
        carried: Box::default(),
        input,
    })
}

/// The user object of a row, as far as columns show it; `None` where all of them are empty.
fn parse_user(cells: Cells<'_>, id: Option<&UserId>) -> Result<Option<Box<UserView>>, String> {
    if cells.iter().take(USER + 1).skip(FIRST_OF_USER).all(str::is_empty) {
        return Ok(None);
    }
    Ok(Some(Box::new(UserView {
        id: id.map(ToString::to_string).unwrap_or_default(),
        locked: truth(cells, 11)?,
        banned: truth(cells, 12)?,
        lockout_expires_in_seconds: value(cells, 13)?,
        verification_attempts_remaining: value(cells, 14)?,
        username: text(cells, 15),
        email: text(cells, 16),
        external_id: text(cells, 17),
        first_name: text(cells, 18),
        last_name: text(cells, 19),
        last_sign_in_at: time(cells, 20)?.map(Moment::to_unix_ms),
        updated_at: time(cells, 21)?.map(Moment::to_unix_ms),
        json: text(cells, USER).unwrap_or_default(),
        ..UserView::default()
    })))
}

/// The user's ID, which shares its text with the input cell where both are the same.
fn user_id(cells: Cells<'_>, at: usize, input: &Arc<str>) -> Result<Option<UserId>, String> {
    if cells.get(at) == &**input
        && let Ok(id) = UserId::from_shared(input)
    {
        return Ok(Some(id));
    }
    value(cells, at)
}

fn text(cells: Cells<'_>, at: usize) -> Option<String> {
    Some(unguarded(cells.get(at))).filter(|it| !it.is_empty()).map(ToOwned::to_owned)
}

fn required<T: FromStr>(cells: Cells<'_>, at: usize) -> Result<T, String> {
    value(cells, at)?.ok_or_else(|| format!("the column \"{}\" is empty", COLUMNS[at]))
}

fn value<T: FromStr>(cells: Cells<'_>, at: usize) -> Result<Option<T>, String> {
    parsed(cells, at, |cell| cell.parse().ok())
}

/// A spreadsheet writes `TRUE`.
fn truth(cells: Cells<'_>, at: usize) -> Result<Option<bool>, String> {
    parsed(cells, at, |cell| cell.to_ascii_lowercase().parse().ok())
}

fn time(cells: Cells<'_>, at: usize) -> Result<Option<Moment>, String> {
    parsed(cells, at, Moment::parse)
}

fn parsed<T>(
    cells: Cells<'_>,
    at: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    match cells.get(at) {
        "" | REDACTED => Ok(None),
        cell => match parse(cell) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("\"{cell}\" is not valid in the column \"{}\"", COLUMNS[at])),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::RowFormat;
    use super::super::lines::LineWriter;
    use super::super::snapshot::compact;
    use super::super::testing::{any_row, carrying, moment, record, unlocked};
    use super::*;

    fn written(format: &RowFormat, rows: &[Row]) -> String {
        let mut out = LineWriter::new();
        format.write_header(&mut out);
        for row in rows {
            format.write_row(row, &mut out);
        }
        String::from_utf8(out.take(Vec::new())).unwrap()
    }

    fn reader(file: &[u8]) -> Result<Reader<&[u8]>, ReadError> {
        Reader::new(file, Path::new("r.csv"))
    }

    fn read(file: impl AsRef<[u8]>) -> Result<Vec<Row>, ReadError> {
        reader(file.as_ref())?.collect()
    }

    fn two_rows() -> String {
        let row = |user| Row { carried: ["red".into(), "=7".into()].into(), ..unlocked(user) };
        written(&carrying(), &[row("user_a"), row("user_b")])
    }

    /// How a text comes back: on one line, absent when empty, without a formula guard.
    fn text(text: Option<&str>) -> Option<String> {
        let line = one_line(text?).into_owned();
        Some(unguarded(&line).to_owned()).filter(|it| !it.is_empty())
    }

    /// How a row comes back.
    fn expected(row: &Row) -> Row {
        let time = |ms: Option<i64>| ms.and_then(Moment::from_unix_ms).map(Moment::to_unix_ms);
        let user = row.user.as_ref().map(|user| UserView {
            id: row.user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            username: text(user.username.as_deref()),
            email: text(user.email.as_deref()),
            external_id: text(user.external_id.as_deref()),
            first_name: text(user.first_name.as_deref()),
            last_name: text(user.last_name.as_deref()),
            last_sign_in_at: time(user.last_sign_in_at),
            updated_at: time(user.updated_at),
            json: text(Some(&compact(&user.json))).unwrap_or_default(),
            ..(**user).clone()
        });
        let carried = row.carried.iter();
        Row {
            input: text(Some(&row.input)).unwrap_or_default().into(),
            error_code: text(row.error_code.as_deref()).map(Into::into),
            error_message: text(row.error_message.as_deref()),
            trace_id: text(row.trace_id.as_deref()),
            user: user.map(Box::new),
            carried: carried.map(|cell| text(Some(cell)).unwrap_or_default().into()).collect(),
            ..row.clone()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_row_is_read_back_as_it_was_written(rows in proptest::collection::vec(any_row(), 0..4)) {
            let expected: Vec<_> = rows.iter().map(expected).collect();
            let file = written(&carrying(), &rows);
            prop_assert_eq!(read(&file).unwrap(), expected.clone());

            let quick = reader(file.as_bytes()).unwrap().without_users();
            let quick: Vec<Row> = quick.map(Result::unwrap).collect();
            let skipped = expected.into_iter().map(|row| Row {
                carried: if row.outcome.ended_well() { Box::default() } else { row.carried },
                user: None,
                was_locked: row.was_locked.filter(|_| !row.outcome.ended_well()),
                ..row
            });
            prop_assert_eq!(quick, skipped.collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let mut file = two_rows().into_bytes();
            file.extend(bytes);
            let _ = read(&file);
            reader(&file).unwrap().without_users().for_each(drop);
        }
    }

    #[test]
    fn a_file_torn_at_any_byte_gives_its_whole_rows_and_counts_the_rest() {
        let file = two_rows().into_bytes();
        let whole = read(&file).unwrap();
        let n_header = file.iter().position(|&b| b == b'\n').unwrap() + 1;
        for end in 0..file.len() {
            let torn = &file[..end];
            match reader(torn) {
                Ok(mut reader) => {
                    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
                    let n_lines = torn.split(|&b| b == b'\n').count() - 1;
                    assert_eq!(rows, whole[..n_lines - 1], "cut at {end}");
                    assert_eq!(reader.n_whole_bytes() + reader.n_torn_bytes(), end as u64);
                    assert!(torn[usize::try_from(reader.n_whole_bytes()).unwrap() - 1] == b'\n');
                }
                Err(error) => {
                    assert!(end < n_header, "cut at {end}");
                    assert!(matches!(error, ReadError::NoHeader { .. }), "cut at {end}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_file_saved_by_a_spreadsheet_is_read() {
        let rows = read(two_rows()).unwrap();
        let saved = two_rows().replace('\n', "\r\n").replace(",false,", ",FALSE,");
        assert_eq!(read(format!("\u{feff}{saved}")).unwrap(), rows);
        for delimiter in [b';', b'\t', b'|'] {
            let mut saved = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .quote_style(csv::QuoteStyle::Always)
                .from_writer(Vec::new());
            let file = two_rows();
            let mut original =
                csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_bytes());
            original.records().for_each(|it| saved.write_record(&it.unwrap()).unwrap());
            assert_eq!(read(saved.into_inner().unwrap()).unwrap(), rows);
        }
    }

    #[test]
    fn columns_of_a_later_version_are_ignored() {
        let file = two_rows();
        let later = file
            .replace(",was_locked,in_team", ",was_locked,mood,in_team")
            .replace("}\",,red", "}\",,fine,red");
        assert_ne!(later, file);
        assert_eq!(read(later).unwrap(), read(file).unwrap());
    }

    #[test]
    fn a_file_of_an_earlier_version_lacks_was_locked() {
        let file = two_rows();
        let earlier = file.replace(",user,was_locked", ",user").replace("}\",,red", "}\",red");
        assert_eq!(read(&earlier).unwrap(), read(file).unwrap());
        assert!(!reader(earlier.as_bytes()).unwrap().header.has_was_locked);
    }

    #[test]
    fn redacted_numbers_and_times_are_absent() {
        let file = two_rows().replace(",false,,,,", ",[redacted],,[redacted],,");
        let row = read(file).unwrap().remove(0);
        let user = row.user.unwrap();
        assert_eq!((user.locked, user.lockout_expires_in_seconds), (None, None));
        assert_eq!(row.finished_at, Some(moment(5)));
    }

    #[track_caller]
    fn check_refused(change: impl Fn(&str) -> String, expected: &str) {
        let file = change(&two_rows());
        assert_eq!(read(file).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_line_that_is_not_a_row_is_an_error_that_names_it() {
        check_refused(
            |file| file.replace("user_b,unlocked", "user_b,gone fishing"),
            "r.csv:3: \"gone fishing\" is not valid in the column \"outcome\"",
        );
        check_refused(
            |file| file.replace("=7\n", "=7,\n"),
            "r.csv:2: expected 26 cells, found more",
        );
        check_refused(
            |file| file.replace(",'=7\n", "\n"),
            "r.csv:2: expected 26 cells, found fewer",
        );
        check_refused(|file| format!("{file}\n"), "r.csv:4: the line is empty");
        check_refused(|file| format!("{file}5,\"user\n"), "r.csv:4: a quote is not closed");
        check_refused(
            |file| file.replace("2,user_a,user_a", ",user_a,user_a"),
            "r.csv:2: the column \"line\" is empty",
        );
        check_refused(
            |file| file.replace("user_b,unlocked", "user_b/ban,unlocked"),
            "r.csv:3: \"user_b/ban\" is not valid in the column \"user_id\"",
        );
    }

    #[test]
    fn a_row_torn_inside_its_snapshot_is_torn_and_not_an_open_quote() {
        let file = two_rows();
        let torn = &file[..file.rfind("someone").unwrap()];
        let mut reader = reader(torn.as_bytes()).unwrap();
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), 1);
        assert!(reader.n_torn_bytes() > 0);
    }

    #[test]
    fn another_file_is_not_a_results_file() {
        check_refused(
            |_| "id,email\nuser_a,a@x.org\n".to_owned(),
            "r.csv is not a bulk-unlock results file: expected \"line\" as column 1, found \"id\"",
        );
        check_refused(
            |_| "user_a".to_owned(),
            "r.csv is not a bulk-unlock results file: expected \"line\" as column 1, found \"user_a\"",
        );
        check_refused(
            |file| file.replace(",in_team,in_ticket", ",in_team,mood"),
            "r.csv is not a bulk-unlock results file: the column \"mood\" follows carried columns",
        );
        check_refused(
            |_| String::new(),
            "r.csv has no rows: it is empty or was cut off before its first row",
        );
    }

    #[test]
    fn carried_columns_are_named_without_their_prefix() {
        let record = record(2, "user_a", &["x", "y"]);
        let format = RowFormat { carried: vec!["team".into(), "a,b".into()], ..carrying() };
        let file = written(&format, &[Row::new(&record, Outcome::Duplicate, moment(0))]);
        let reader = reader(file.as_bytes()).unwrap();
        assert_eq!(reader.carried(), ["team", "a,b"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Reader::open(Path::new("no/such.csv")).err().unwrap();
        assert!(error.to_string().starts_with("cannot read no/such.csv: "), "{error}");
    }
}
