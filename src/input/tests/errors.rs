//! What bad input gets.

use std::path::Path;

use super::super::columns::{Columns, UserColumn};
use super::super::error::{LeftAlone, Malformed, Suspicion};
use super::super::source::WINDOWS_1252;
use super::*;
use crate::model::Outcome;
use crate::stats::summary::CommandKind;

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
        @r#"users.csv has no column "user"; its columns are 1 "Name", 2 "Team""#
    );
    insta::assert_snapshot!(
        error_of(text, &column("3")),
        @r#"users.csv has no column number 3; its columns are 1 "Name", 2 "Team""#
    );
    assert!(error_of(text, &column("0")).contains("no column number 0"));
    insta::assert_snapshot!(
        error(text),
        @r#"users.csv: no header names a column of user IDs; name it with --column, or give it the header "user_id". The columns are 1 "Name", 2 "Team""#
    );
}

#[test]
fn the_error_of_another_encoding_has_the_command_to_convert_it() {
    insta::assert_snapshot!(
        error(b"id,name\nuser_a,Jos\xe9\n"),
        @"users.csv:2: this is not UTF-8: line 2 looks like Windows-1252 or Latin-1. Convert the file: iconv -f WINDOWS-1252 -t UTF-8 users.csv > new.csv"
    );
    insta::assert_snapshot!(
        error(b"\xff\xfeu\0s\0e\0r\0"),
        @"users.csv:1: this is not UTF-8: line 1 looks like UTF-16 (little endian). Convert the file: iconv -f UTF-16LE -t UTF-8 users.csv > new.csv"
    );
    assert!(error(b"\0u\0s\0e\0r").contains("-f UTF-16BE"));
    let spaced = read(Source::bytes("my users.csv", b"\xe9"), &Options::default()).unwrap_err();
    assert!(spaced.to_string().contains("-t UTF-8 'my users.csv' >"), "{spaced}");
    let stdin = read(Source::bytes("standard input", b"\xe9"), &Options::default()).unwrap_err();
    assert!(stdin.to_string().contains("-t UTF-8 old.csv >"), "{stdin}");
}

#[test]
fn a_commented_header_that_names_another_column_is_an_error() {
    insta::assert_snapshot!(error("\u{feff}\n#manager_id,user_id\n\nuser_m,user_a\n"), @r##"users.csv:2: is the comment "#manager_id,user_id" the header? The user IDs are in column 2 ("user_id") if it is, and in column 1 (no header) if it is not; remove the "#", or choose the column by its number with --column"##);
    for text in [
        "sep=;\n## manager_id ; User ID\nuser_m;user_a\n",
        "#\"manager, id\"\t\"user_id\"\nuser_m\tuser_a\n",
        "# from the desk\r#x|id\r# and\ruser_m|user_a\r",
    ] {
        assert!(refusal(&lenient(), text).contains("is the comment"), "{text}");
    }
    let email = by(IdentifierKind::Email);
    assert!(refusal(&email, "#user_id,email\na@x.org,b@x.org\n").contains("is the comment"));
    assert!(refusal(&lenient(), "#id,id\nuser_m,user_a\n").contains("are both named"));
    // The same column, another delimiter or kind, one cell, and prose.
    for comment in ["#id,x", "#user_id,id", "#x;user_id", "#x,email", "#id", "# our id, by \"x\""] {
        check(&format!("{comment}\nuser_m,user_a\n"), "2:user_m");
    }
    check_with(&column("1"), "#x,user_id\nuser_m,user_a\n", "2:user_m");
    check("#x,user_id\nid,user_x\nuser_m,user_a\n", "3:user_m");
    check("user_m,user_a\n#x,user_id\n", "1:user_m 2:#x");
}

#[test]
fn a_comment_in_another_encoding_is_named_too() {
    assert!(error(b"user_a\n# Jos\xe9\n").starts_with("users.csv:2: this is not UTF-8: line 2"));
}

#[test]
fn a_file_of_another_kind_is_named() {
    insta::assert_snapshot!(
        error(b"PK\x03\x04\x14\0"),
        @"users.csv looks like an Excel workbook or another ZIP archive; export it as CSV (UTF-8)"
    );
    insta::assert_snapshot!(
        error(b"[{\"id\": \"user_a\"}]"),
        @"users.csv looks like JSON; convert it to a list, for example with jq -r '.[].id'"
    );
    insta::assert_snapshot!(
        error(b"user_a\nuser_b\0\n"),
        @"users.csv:2: line 2 contains a NUL byte; give a text file"
    );
}

#[test]
fn a_quote_that_is_never_closed_is_named_by_the_line_on_which_its_cell_begins() {
    insta::assert_snapshot!(
        error("id,x\nuser_a,1\n\nuser_b,\"2\nuser_c,3\n"),
        @"users.csv:4: unclosed quote: the quoted cell that begins on line 4 is never closed; close the quote or remove it"
    );
    assert!(error("\"user_a").contains("line 1"));
    assert!(error("id\n\"user_a\"\"").contains("line 2"));
}

/// What a CSV may do wrong, under every delimiter that may be meant.
#[test]
fn each_malformed_csv_is_refused_with_file_and_line() {
    const MALFORMED: [&str; 14] = [
        "id,name\nuser_a,\"Ann\"x\n",
        "id,name\nuser_a,\"Ann\nuser_b,\"Bob\n",
        "id,name\nuser_a,Ann\nuser_b,\"Bob\n",
        "id,name\n\"user_a\" x,Ann\n",
        "id,name\nuser_a,Ann \"A\" Lee\n",
        "id,name\nuser_a, x \"Lee, Ann\"\n",
        "id,name\nuser_a,\"A\nB\", c \"D\"\n",
        "name,id\nLee, Ann,user_a\n",
        "name,id\nAnn,user_a,,x\n",
        "id,\"name\"x\nuser_a,Ann\n",
        "id,\"name\nuser_a,Ann\n",
        "id,\"name\nuser_a\nuser_b\n",
        "\"id\nuser_a\n",
        "\"user_a\"\n\"user_b\" x\n",
    ];
    let refusals = MALFORMED.map(|text| {
        let refused = error(text);
        for delimiter in [";", "\t", "|"] {
            let other = error(text.replace(',', delimiter));
            assert_eq!(other, refused, "{text:?} with {delimiter:?}");
        }
        assert_eq!(error_of(text.as_bytes(), &lenient()), refused, "{text:?}");
        refused
    });
    insta::assert_snapshot!(refusals.join("\n"), @"
    users.csv:2: text after a closing quote; quote the whole cell or remove the quote
    users.csv:3: text after a closing quote, in the quoted cell on lines 2 to 3; quote the whole cell or remove the quote
    users.csv:3: unclosed quote: the quoted cell that begins on line 3 is never closed; close the quote or remove it
    users.csv:2: text after a closing quote; quote the whole cell or remove the quote
    users.csv:2: white space before a quote inside a cell; quote the whole cell and double the quotes inside it
    users.csv:2: white space before a quote inside a cell; quote the whole cell and double the quotes inside it
    users.csv:3: white space before a quote inside a cell; quote the whole cell and double the quotes inside it
    users.csv:2: 3 cells, but the header has 2; quote the cells that contain the delimiter
    users.csv:2: 4 cells, but the header has 2; quote the cells that contain the delimiter
    users.csv:1: text after a closing quote; quote the whole cell or remove the quote
    users.csv:1: unclosed quote: the quoted cell that begins on line 1 is never closed; close the quote or remove it
    users.csv:1: unclosed quote: the quoted cell that begins on line 1 is never closed; close the quote or remove it
    users.csv:1: unclosed quote: the quoted cell that begins on line 1 is never closed; close the quote or remove it
    users.csv:2: text after a closing quote; quote the whole cell or remove the quote
    ");
}

#[test]
fn a_path_that_cannot_be_read_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| {
        let error = read(Source::path(path), &Options::default()).unwrap_err().to_string();
        error.replace(folder.path().to_str().unwrap(), "DIR")
    };
    insta::assert_snapshot!(
        error(&folder.path().join("none.csv")),
        @"cannot open DIR/none.csv: No such file or directory (os error 2)"
    );
    insta::assert_snapshot!(
        error(folder.path()),
        @"DIR is a directory; give the file in it that lists the users"
    );
}

#[test]
fn the_modification_time_of_a_file_is_known() {
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
fn a_failed_read_is_an_error_and_an_interrupted_one_is_not() {
    let read = |script| read(Source::reader("pipe", Scripted(script)), &lenient());
    let interrupted = || Err(std::io::ErrorKind::Interrupted.into());
    let input = read(vec![Ok(b'b'), Ok(b'\n'), interrupted(), Ok(b'a'), interrupted()]).unwrap();
    assert_eq!(records_of(&input), "1:a 2:b");

    let error = read(vec![Err(std::io::Error::other("unplugged")), Ok(b'a')]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read pipe: unplugged");
}

#[test]
fn an_incomplete_or_empty_exclude_file_is_an_error() {
    let read = |bytes: &[u8]| read_exclusions(Source::bytes("keep.txt", bytes));
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    insta::assert_snapshot!(
        error(b"\xef\xbb\xbf ,;|\t\"\"\n\n#\n\xe2\x80\x8b\n"),
        @"keep.txt contains no entry, so it excludes nobody; add the users to exclude, or leave out --exclude"
    );
    assert!(error(b"").contains("contains no entry"));
    assert!(error(b"user_a\nJos\xe9\n").starts_with("keep.txt:2: this is not UTF-8: line 2"));
    assert!(error(b"\xff\xfeu\0s\0").contains("iconv -f UTF-16LE"));
    assert!(error(b"user_a\n\0").contains("NUL"));
    assert!(error(b"PK\x03\x04").contains("Excel workbook"));
    assert!(error(b"[\"user_a\"]").contains("JSON"));
    let broken = Scripted(vec![Err(std::io::Error::other("unplugged")), Ok(b'\n'), Ok(b'a')]);
    let error = read_exclusions(Source::reader("pipe", broken)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read pipe: unplugged");
    assert!(read_exclusions(Source::path(Path::new("no such exclude file"))).is_err());
    let long = vec![b'x'; (16 << 20) + 1];
    assert!(matches!(read(&long), Err(Error { refusal: Refusal::TooLong { line: 1 }, .. })));
    assert!(read(&long[1..]).is_ok());
}

fn one_of_each() -> Vec<Refusal> {
    let value = || "oops".to_owned();
    let columns = || Columns::of(&["Name".to_owned(), "Team".to_owned()]);
    let reason = || std::io::ErrorKind::PermissionDenied.into();
    let kind = IdentifierKind::UserId;
    let line = 7;
    let readings = || {
        let headers = ["id".to_owned(), "user_id".to_owned()];
        [0, 1].map(|index| UserColumn::named(&headers, index)).into()
    };
    let malformed = |what| Refusal::Malformed { line, what };
    let suspicious = |line| Refusal::Suspicious(Suspicion { line, text: value() });
    let left_alone = |outcome, n_rows, is_locked_list| {
        Refusal::LeftAlone(LeftAlone { line, outcome, n_rows, is_locked_list })
    };
    vec![
        Refusal::Open(reason()),
        Refusal::Directory,
        Refusal::Read(reason()),
        Refusal::Foreign("a gzip file; unpack it with gunzip"),
        Refusal::NotUtf8 { line, encoding: WINDOWS_1252 },
        Refusal::Binary { line },
        Refusal::TooLong { line },
        malformed(Malformed::TextAfterQuote { first: 7, last: 7 }),
        malformed(Malformed::OpenQuote { line: 7 }),
        malformed(Malformed::SpaceBeforeQuote),
        malformed(Malformed::LongRow { n_cells: 3, n_columns: 2, has_header: true }),
        malformed(Malformed::TooManyCells),
        Refusal::UnknownSeparator(':'),
        Refusal::AmbiguousDelimiter(vec![';', '\t']),
        Refusal::LineOrColumns { line, kind, columns: columns() },
        Refusal::HeaderOrUser { line, kind, cell: value() },
        Refusal::OwnFileOrList {
            line,
            kind,
            cells: ["user_m", "user_a"].map(str::to_owned).into(),
            columns: readings(),
        },
        Refusal::HeaderInComment { line, kind, comment: "#id,user_id".into(), columns: readings() },
        Refusal::TitleLine { line, text: value(), header_line: 9 },
        Refusal::UnknownColumn { wanted: value(), columns: columns() },
        Refusal::NoSuchNumber { number: 3, columns: columns() },
        Refusal::RepeatedColumn { header: value(), numbers: (1, 3) },
        Refusal::NoUserColumn { kind, columns: columns() },
        Refusal::UnknownCarry { wanted: value(), columns: columns() },
        Refusal::CarryWithoutHeader { wanted: value() },
        suspicious(None),
        suspicious(Some(line)),
        left_alone(Outcome::Excluded, 1, false),
        left_alone(Outcome::AdminLocked, 3, true),
        Refusal::NotResults,
        Refusal::NotARun { line, kind: CommandKind::Verify },
        Refusal::WasLockedUnknown { line, n_rows: 1 },
        Refusal::WasLockedUnknown { line, n_rows: 3 },
        Refusal::BadOutcome { line, value: value() },
        Refusal::BadLine { line, value: value() },
        Refusal::NoEntries,
    ]
}

#[test]
fn each_error_has_a_message() {
    let messages = one_of_each()
        .into_iter()
        .map(|refusal| Error { name: "users.csv".into(), refusal }.to_string());
    let messages: Vec<String> = messages.collect();
    insta::assert_snapshot!(messages.join("\n"), @r##"
    cannot open users.csv: permission denied
    users.csv is a directory; give the file in it that lists the users
    cannot read users.csv: permission denied
    users.csv looks like a gzip file; unpack it with gunzip
    users.csv:7: this is not UTF-8: line 7 looks like Windows-1252 or Latin-1. Convert the file: iconv -f WINDOWS-1252 -t UTF-8 users.csv > new.csv
    users.csv:7: line 7 contains a NUL byte; give a text file
    users.csv:7: the record that begins here is longer than 16 MiB; close an open quote, or give a CSV file
    users.csv:7: text after a closing quote; quote the whole cell or remove the quote
    users.csv:7: unclosed quote: the quoted cell that begins on line 7 is never closed; close the quote or remove it
    users.csv:7: white space before a quote inside a cell; quote the whole cell and double the quotes inside it
    users.csv:7: 3 cells, but the header has 2; quote the cells that contain the delimiter
    users.csv:7: more than a million cells; give a CSV file
    users.csv:1: the delimiter ":" is not supported; expected a comma, semicolon, tab or pipe
    users.csv: the cells may be separated by ";" or a tab; choose one with --delimiter
    users.csv:7: is this line one user ID, or the columns 1 "Name", 2 "Team"? Name a column with --column, or take whole lines with --delimiter none
    users.csv:7: is "oops" a column header or a user ID? If it is a header, give --column with that name; if it is a user ID, add a header line
    users.csv:7: does this row name "user_m" or "user_a"? The user IDs are in column 1 ("id") if this is a failed or unprocessed file of bulk-unlock, and in column 2 ("user_id") if it is another list; choose one with --column
    users.csv:7: is the comment "#id,user_id" the header? The user IDs are in column 1 ("id") if it is, and in column 2 ("user_id") if it is not; remove the "#", or choose the column by its number with --column
    users.csv:7: line 7 ("oops") is neither a header nor a user, and line 9 looks like the header; remove the lines above it
    users.csv has no column "oops"; its columns are 1 "Name", 2 "Team"
    users.csv has no column number 3; its columns are 1 "Name", 2 "Team"
    users.csv: columns 1 and 3 are both named "oops"; choose one by its number with --column
    users.csv: no header names a column of user IDs; name it with --column, or give it the header "user_id". The columns are 1 "Name", 2 "Team"
    users.csv has no column "oops" to carry; its columns are 1 "Name", 2 "Team"
    users.csv has no header, so it has no column "oops" to carry; add a header line
    users.csv: oops. To continue anyway, add --lenient
    users.csv:7: oops. To continue anyway, add --lenient
    users.csv:7: the user of this row was left alone on purpose (excluded); run a plan with --plan, retry the failed rows of a run with --retry-failed, or remove these rows
    users.csv:7: the user of this row was left alone on purpose (admin_locked), and the users of 2 more rows; remove these rows, or look the users up first, which leaves such users alone: make a plan of the list and run it with --plan, or add --only-locked. To unlock them too, add --include-admin-locked
    users.csv is not a bulk-unlock results or plan file: it has no columns line, input, user_id and outcome
    users.csv:7: this row was written by `verify`, and --retry-failed takes the results of `run`
    users.csv:7: `was_locked` is neither true nor false: the run did not look this user up, so it is not known whether this user was locked before; to lock this user all the same, add --include-unknown
    users.csv:7: `was_locked` is neither true nor false, nor in 2 more rows: the run did not look these users up, so it is not known whether they were locked before; to lock them all the same, add --include-unknown
    users.csv:7: "oops" is not an outcome; the file was edited, or its run was cut off: finish that with --resume
    users.csv:7: "oops" in the column "line" is not a line number; the file was edited
    users.csv contains no entry, so it excludes nobody; add the users to exclude, or leave out --exclude
    "##);
}
