//! What bad input gets.

use std::path::Path;

use super::*;
use crate::model::InvalidIdentifier;

fn error_of(bytes: &[u8], options: &Options) -> String {
    read(Source::bytes("users.csv", bytes), options).unwrap_err().to_string()
}

fn error(bytes: impl AsRef<[u8]>) -> String {
    error_of(bytes.as_ref(), &Options::default())
}

#[test]
fn an_unknown_column_names_the_columns_there_are() {
    let text = b"Name,Team\nx,y\n";
    insta::assert_snapshot!(
        error_of(text, &column("user")),
        @r#"users.csv has no column "user". Its columns are 1 "Name", 2 "Team""#
    );
    insta::assert_snapshot!(
        error_of(text, &column("3")),
        @r#"users.csv has no column number 3. Its columns are 1 "Name", 2 "Team""#
    );
    assert!(error_of(text, &column("0")).contains("no column number 0"));
    insta::assert_snapshot!(
        error(text),
        @r#"users.csv: no header says in which column the user id stands; give it the header "user_id", or name it with --column. The columns are 1 "Name", 2 "Team""#
    );
}

#[test]
fn a_header_of_another_kind_is_not_taken_for_a_user() {
    assert!(error("user_email,team\na@x.org,red\n").contains("no header says"));
}

#[test]
fn another_encoding_gets_the_command_that_converts_it() {
    insta::assert_snapshot!(
        error(b"id,name\nuser_a,Jos\xe9\n"),
        @"users.csv, line 2: this is not UTF-8; it looks like Windows-1252 or Latin-1. Convert it: iconv -f WINDOWS-1252 -t UTF-8 users.csv > new.csv"
    );
    insta::assert_snapshot!(
        error(b"\xff\xfeu\0s\0e\0r\0"),
        @"users.csv, line 1: this is not UTF-8; it looks like UTF-16 (little endian). Convert it: iconv -f UTF-16LE -t UTF-8 users.csv > new.csv"
    );
    assert!(error(b"\0u\0s\0e\0r").contains("-f UTF-16BE"));
    let spaced = read(Source::bytes("my users.csv", b"\xe9"), &Options::default()).unwrap_err();
    assert!(spaced.to_string().contains("-t UTF-8 'my users.csv' >"), "{spaced}");
    let stdin = read(Source::bytes("standard input", b"\xe9"), &Options::default()).unwrap_err();
    assert!(stdin.to_string().contains("-t UTF-8 old.csv >"), "{stdin}");
}

#[test]
fn a_comment_in_another_encoding_is_named_too() {
    assert!(error(b"user_a\n# Jos\xe9\n").starts_with("users.csv, line 2: this is not UTF-8"));
}

#[test]
fn a_file_of_another_kind_is_named() {
    insta::assert_snapshot!(
        error(b"PK\x03\x04\x14\0"),
        @"users.csv looks like an Excel workbook or another ZIP archive: export it as CSV (UTF-8)"
    );
    insta::assert_snapshot!(
        error(b"[{\"id\": \"user_a\"}]"),
        @"users.csv looks like JSON: make a list of it, for example with jq -r '.[].id'"
    );
    insta::assert_snapshot!(
        error(b"user_a\nuser_b\0\n"),
        @"users.csv, line 2: there is a NUL byte; this is no text file"
    );
}

#[test]
fn a_quote_that_is_never_closed_is_named_by_the_line_on_which_its_record_begins() {
    insta::assert_snapshot!(
        error("id,x\nuser_a,1\n\nuser_b,\"2\nuser_c,3\n"),
        @"users.csv, line 4: a quote that opens in this record is never closed; close it, or remove it"
    );
    assert!(error("\"user_a").contains("line 1"));
    assert!(error("id\n\"user_a\"\"").contains("line 2"));
}

#[test]
fn a_path_that_can_not_be_read_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| {
        let error = read(Source::path(path), &Options::default()).unwrap_err().to_string();
        error.replace(folder.path().to_str().unwrap(), "DIR")
    };
    insta::assert_snapshot!(
        error(&folder.path().join("none.csv")),
        @"can't open DIR/none.csv: No such file or directory (os error 2)"
    );
    insta::assert_snapshot!(
        error(folder.path()),
        @"DIR is a directory; give the file in it that lists the users"
    );
}

#[test]
fn a_file_tells_when_it_was_changed_and_bytes_do_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "user_a\n").unwrap();
    let input = read(Source::path(file.path()), &Options::default()).unwrap();
    assert_eq!(input.modified, file.path().metadata().unwrap().modified().ok());
    assert_eq!(read_text("user_a\n", &Options::default()).unwrap().modified, None);
}

/// Gives one answer after another, the last one first.
struct Scripted(Vec<std::io::Result<u8>>);

impl std::io::Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(answer) = self.0.pop() else { return Ok(0) };
        buffer[0] = answer?;
        Ok(1)
    }
}

#[test]
fn a_reader_that_fails_on_the_way_is_an_error_and_an_interrupted_one_is_not() {
    let read = |script| read(Source::reader("pipe", Scripted(script)), &Options::default());
    let interrupted = || Err(std::io::ErrorKind::Interrupted.into());
    let input = read(vec![Ok(b'b'), Ok(b'\n'), interrupted(), Ok(b'a'), interrupted()]).unwrap();
    assert_eq!(told(&input), "1:a 2:b");

    let error = read(vec![Err(std::io::Error::other("unplugged")), Ok(b'a')]).unwrap_err();
    assert_eq!(error.to_string(), "can't read pipe: unplugged");
}

#[test]
fn an_excluded_cell_that_can_not_be_a_user_is_never_passed_over() {
    let error = |text: &str| {
        let source = Source::bytes("exclude.csv", text.as_bytes());
        super::super::excluded::excluded(source, IdentifierKind::UserId).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        error("user_a\n\nalice\u{1b}[31m\n"),
        @r#"exclude.csv, line 3: "alice [31m" can't be a user to exclude: a user id starts with "user_". Correct it or take the line out"#
    );
    insta::assert_snapshot!(
        error("id,name\n,x\n"),
        @r#"exclude.csv, line 2: "" can't be a user to exclude: the cell is empty. Correct it or take the line out"#
    );
}

#[test]
fn a_missing_exclude_file_is_an_error() {
    let path = Path::new("no such exclude file");
    assert!(read_excluded(path, IdentifierKind::UserId).is_err());
}

/// One of each.
fn one_of_each() -> Vec<Error> {
    let name = || "users.csv".to_owned();
    let value = || "oops".to_owned();
    let columns = || Columns::of(&["Name".to_owned(), "Team".to_owned()]);
    let reason = || std::io::ErrorKind::PermissionDenied.into();
    let line = 7;
    vec![
        Error::Open { name: name(), reason: reason() },
        Error::Directory { name: name() },
        Error::Read { name: name(), reason: reason() },
        Error::Foreign { name: name(), foreign: Foreign::Gzip },
        Error::NotUtf8 { name: name(), line, encoding: Encoding::Utf16Le },
        Error::Binary { name: name(), line },
        Error::OpenQuote { name: name(), line },
        Error::TooLong { name: name(), line },
        Error::TooManyCells { name: name(), line },
        Error::UnknownColumn { name: name(), wanted: value(), columns: columns() },
        Error::NoSuchNumber { name: name(), number: 3, columns: columns() },
        Error::NoUserColumn { name: name(), kind: IdentifierKind::UserId, columns: columns() },
        Error::UnknownCarry { name: name(), wanted: value(), columns: columns() },
        Error::CarryWithoutHeader { name: name(), wanted: value() },
        Error::NotResults { name: name() },
        Error::BadOutcome { name: name(), line, value: value() },
        Error::BadLine { name: name(), line, value: value() },
        Error::BadExcluded { name: name(), line, value: value(), why: InvalidIdentifier::Empty },
    ]
}

#[test]
fn each_error_is_told_in_these_words() {
    let told: Vec<String> = one_of_each().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    can't open users.csv: permission denied
    users.csv is a directory; give the file in it that lists the users
    can't read users.csv: permission denied
    users.csv looks like a gzip file: unpack it first, with gunzip
    users.csv, line 7: this is not UTF-8; it looks like UTF-16 (little endian). Convert it: iconv -f UTF-16LE -t UTF-8 users.csv > new.csv
    users.csv, line 7: there is a NUL byte; this is no text file
    users.csv, line 7: a quote that opens in this record is never closed; close it, or remove it
    users.csv, line 7: the record that begins here is longer than 16 MiB; is a quote not closed, or is this no CSV file?
    users.csv, line 7: the record that begins here has more than a million cells; is this a CSV file?
    users.csv has no column "oops". Its columns are 1 "Name", 2 "Team"
    users.csv has no column number 3. Its columns are 1 "Name", 2 "Team"
    users.csv: no header says in which column the user id stands; give it the header "user_id", or name it with --column. The columns are 1 "Name", 2 "Team"
    users.csv has no column "oops" to carry. Its columns are 1 "Name", 2 "Team"
    users.csv has no header, so there is no column "oops" to carry; add a header line
    users.csv is no results or plan file of this program: its header does not begin with line,input,user_id,outcome
    users.csv, line 7: "oops" is no outcome of this program; the file was edited, or its run was cut off: finish that with --resume
    users.csv, line 7: "oops" in the column "line" is no line number; the file was edited
    users.csv, line 7: "oops" can't be a user to exclude: the cell is empty. Correct it or take the line out
    "#);
}

#[test]
fn each_kind_of_file_that_is_no_list_is_told_in_these_words() {
    use Foreign::{Gzip, Json, OldWorkbook, Pdf, Workbook};
    let told = [Workbook, OldWorkbook, Gzip, Pdf, Json].map(|it| it.to_string()).join("\n");
    insta::assert_snapshot!(told, @"
    an Excel workbook or another ZIP archive: export it as CSV (UTF-8)
    an old Excel workbook: export it as CSV (UTF-8)
    a gzip file: unpack it first, with gunzip
    a PDF document: give the list as CSV or as plain text, one user a line
    JSON: make a list of it, for example with jq -r '.[].id'
    ");
}
