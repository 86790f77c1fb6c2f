//! What holds for any input.

use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::{InputRecord, Outcome, canonical_cell};

/// Gives one byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_bytes = buffer.len().min(1);
        self.0.read(&mut buffer[..n_bytes])
    }
}

fn kind() -> impl Strategy<Value = IdentifierKind> {
    select(vec![
        IdentifierKind::UserId,
        IdentifierKind::Email,
        IdentifierKind::Phone,
        IdentifierKind::Username,
        IdentifierKind::ExternalId,
    ])
}

fn options() -> impl Strategy<Value = Options> {
    let column = select(vec![None, Some("id"), Some("a"), Some("1"), Some("2"), Some("0")]);
    let carry = select(vec![Carry::None, Carry::All, Carry::Named(vec!["a".into()])]);
    let delimiter = select(Delimiter::ALL.to_vec());
    let part = (0..3_u64, proptest::option::of(0..4_u64));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (kind(), column, carry, delimiter, part, flags).prop_map(
        |(kind, column, carry, delimiter, (skip, limit), flags)| Options {
            kind,
            column: column.and_then(|choice| choice.parse().ok()),
            delimiter,
            lenient: flags.0,
            carry,
            skip,
            limit,
            retry_failed: flags.1,
            takes_admin_locked: flags.2,
        },
    )
}

/// Bytes of the kind that break readers.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: [&[u8]; 27] = [
        b"user_a",
        b"id",
        b"a",
        b"a@x.org",
        b"line,input,user_id,outcome,in_a\n",
        b"1,b,user_b,failed,",
        b"sep=;\n",
        b"user_id,line\n",
        b"\"",
        b"\"\"",
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r",
        b"\r\n",
        b"#",
        b" ",
        b"'=",
        b"\xef\xbb\xbf",
        b"\xe2\x9c",
        b"\xff",
        b"\0",
        b"PK\x03\x04",
        "é".as_bytes(),
        "\u{a0}".as_bytes(),
    ];
    vec(select(TOKENS.to_vec()), 0..30).prop_map(|tokens| tokens.concat())
}

fn outcome_of(source: Source<'_>, options: &Options) -> String {
    match read(source, options) {
        Ok(input) => format!("{input:?}"),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_never_panic(
        bytes in vec(any::<u8>(), 0..200),
        options in options(),
    ) {
        let _ = read(Source::bytes("x", &bytes), &options);
        let _ = read_exclusions(Source::bytes("x", &bytes));
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_the_bytes_come(
        bytes in hostile(),
        options in options(),
    ) {
        let whole = outcome_of(Source::bytes("x", &bytes), &options);
        prop_assert_eq!(outcome_of(Source::reader("x", Drip(&bytes)), &options), whole);
        let _ = read_exclusions(Source::bytes("x", &bytes));
        let _ = recorded(Source::bytes("x", &bytes), &Filter::of(&Outcome::ALL, options.kind));
    }
}

/// Cells full of what has to be quoted.
fn cell() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zé✓,;|\t\"\n\r #'=@ ]{0,6}").unwrap()
}

/// A well-formed table: rows of three cells, and blank lines between them.
#[derive(Clone, Debug)]
struct Table {
    delimiter: u8,
    terminator: csv::Terminator,
    quotes: csv::QuoteStyle,
    has_bom: bool,
    rows: Vec<([String; 3], &'static str)>,
}

fn table() -> impl Strategy<Value = Table> {
    use csv::Terminator::{Any, CRLF};

    let between = select(vec!["", "", "", "\n", "\r\n", "  \r\n", "\r", "\u{3000}\n"]);
    (
        select(vec![b',', b';', b'\t', b'|']),
        select(vec![CRLF, Any(b'\n'), Any(b'\r')]),
        select(vec![csv::QuoteStyle::Always, csv::QuoteStyle::Necessary]),
        any::<bool>(),
        vec(([cell(), cell(), cell()], between), 0..12),
    )
        .prop_map(|(delimiter, terminator, quotes, has_bom, rows)| Table {
            delimiter,
            terminator,
            quotes,
            has_bom,
            rows,
        })
}

impl Table {
    fn line(&self, cells: [&str; 3]) -> String {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(self.terminator)
            .quote_style(self.quotes)
            .from_writer(Vec::new());
        writer.write_record(cells).unwrap();
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    /// The text, and the line on which each record begins, found in the plainest way.
    fn text_and_lines(&self) -> (String, Vec<u64>) {
        let mut text = String::from(if self.has_bom { "\u{feff}" } else { "" });
        text += &self.line(["a", "user_id", "b"]);
        let mut lines = Vec::new();
        for (cells, between) in &self.rows {
            // Two line ends that would read as one are no blank line.
            if !(text.ends_with('\r') && between.starts_with('\n')) {
                text += between;
            }
            let line = self.line([&cells[0], &cells[1], &cells[2]]);
            if !cells.iter().all(|cell| cell.trim().is_empty()) {
                lines.push(n_line_ends(&text) + 1);
            }
            text += &line;
        }
        (text, lines)
    }

    /// The cells of the records that the `csv` crate reads.
    fn cells_by_csv(&self, text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(|record| {
            let record = record.unwrap();
            record.iter().map(|cell| canonical_cell(cell).into_owned()).collect::<Vec<_>>()
        });
        rows.filter(|cells| cells.iter().any(|cell| !cell.is_empty())).collect()
    }
}

fn n_line_ends(text: &str) -> u64 {
    text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64
}

proptest! {
    #[test]
    fn a_well_formed_table_is_read_as_the_csv_crate_reads_it(table in table()) {
        let (text, lines) = table.text_and_lines();
        let input = read_text(&text, &Options { carry: Carry::All, ..lenient() }).unwrap();
        prop_assert_eq!(input.delimiter, Some(char::from(table.delimiter)));
        prop_assert_eq!(input.n_comments, 0);
        let records = &input.records.records;
        prop_assert_eq!(records.iter().map(InputRecord::line).collect::<Vec<_>>(), lines, "{:?}", text);
        let cells = |it: &InputRecord| {
            [&*it.carried()[0], &*it.cell(), &*it.carried()[1]].map(str::to_owned).to_vec()
        };
        let read: Vec<Vec<String>> = records.iter().map(cells).collect();
        prop_assert_eq!(read, table.cells_by_csv(&text), "{:?}", text);
    }

    #[test]
    fn a_plain_list_has_as_many_records_as_lines_that_are_neither_blank_nor_comments(
        lines in vec(select(vec!["user_a", "  user_b ", "# x", "", "  ", "\u{3000}", "#"]), 0..40),
        end in select(vec!["\n", "\r\n", "\r"]),
        is_last_ended in any::<bool>(),
    ) {
        let mut text = lines.join(end);
        if is_last_ended {
            text += end;
        }
        let input = read_text(&text, &Options::default()).unwrap();
        let expected = lines.iter().enumerate().filter_map(|(index, line)| {
            let is_record = !line.trim().is_empty() && !line.starts_with('#');
            is_record.then(|| format!("{}:{}", index + 1, line.trim()))
        });
        prop_assert_eq!(records_of(&input), expected.collect::<Vec<_>>().join(" "));
        let n_comments = lines.iter().filter(|line| line.starts_with('#')).count() as u64;
        prop_assert_eq!(input.n_comments, n_comments);
    }
}
