use proptest::prelude::*;

use crate::model::{InputRecord, Row};

use super::super::cells::unguarded;
use super::super::compact::compact;
use super::super::format::tests::{any_row, carrying, moment, record, unlocked};
use super::super::time::Moment;
use super::*;

fn written(rows: &[(InputRecord, Row)]) -> Vec<u8> {
    let mut out = Vec::new();
    carrying().append_header(&mut out);
    for (record, row) in rows {
        carrying().append_row(record, row, &mut out);
    }
    out
}

fn read(bytes: &[u8]) -> Result<Vec<RecordedRow>, ReadError> {
    Reader::new(bytes, Path::new("r.csv"))?.collect()
}

fn two_rows() -> Vec<u8> {
    let row = |user| (record(2, user, &["red", "=7"]), unlocked(user));
    written(&[row("user_a"), row("user_b")])
}

/// How a text comes back: on one line, absent when empty. A `'` in front of a formula was ours.
fn text(text: Option<&str>) -> Option<String> {
    let line = one_line(text?).into_owned();
    Some(unguarded(&line).to_owned()).filter(|it| !it.is_empty())
}

fn expected(record: &InputRecord, row: &Row) -> RecordedRow {
    let user = row.user.clone().unwrap_or_default();
    let time = |ms: Option<i64>| ms.and_then(Moment::from_unix_ms).and_then(Moment::to_system);
    let carried = record.carried.iter();
    RecordedRow {
        line: record.line,
        input: text(Some(&record.cell)).unwrap_or_default(),
        user_id: row.user_id.clone(),
        outcome: row.outcome,
        http_status: row.http_status,
        error_code: text(row.error_code.as_deref()),
        error_message: text(row.error_message.as_deref()),
        attempts: row.attempts,
        duration: row.duration,
        finished_at: Some(row.finished_at),
        trace_id: text(row.trace_id.as_deref()),
        locked: user.locked,
        banned: user.banned,
        lockout_expires_in_seconds: user.lockout_expires_in_seconds,
        verification_attempts_remaining: user.verification_attempts_remaining,
        username: text(user.username.as_deref()),
        email: text(user.email.as_deref()),
        external_id: text(user.external_id.as_deref()),
        first_name: text(user.first_name.as_deref()),
        last_name: text(user.last_name.as_deref()),
        last_sign_in_at: time(user.last_sign_in_at),
        updated_at: time(user.updated_at),
        user_json: text(Some(&compact(&user.json))),
        carried: carried.map(|cell| text(Some(cell)).unwrap_or_default()).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_read_back_as_it_was_written(rows in proptest::collection::vec(any_row(), 0..4)) {
        let expected: Vec<_> = rows.iter().map(|(record, row)| expected(record, row)).collect();
        prop_assert_eq!(read(&written(&rows)).unwrap(), expected);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let mut file = two_rows();
        file.extend(bytes);
        let _ = read(&file);
    }
}

#[test]
fn a_file_torn_at_any_byte_gives_its_whole_rows_and_counts_the_rest() {
    let file = two_rows();
    let whole = read(&file).unwrap();
    let n_header = file.iter().position(|&b| b == b'\n').unwrap() + 1;
    for end in 0..file.len() {
        let torn = &file[..end];
        match Reader::new(torn, Path::new("r.csv")) {
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
fn a_spreadsheet_may_have_saved_it() {
    let file = String::from_utf8(two_rows()).unwrap();
    let saved = format!("\u{feff}{}", file.replace('\n', "\r\n").replace(",false,", ",FALSE,"));
    assert_eq!(read(saved.as_bytes()).unwrap(), read(file.as_bytes()).unwrap());
}

#[test]
fn columns_of_a_later_version_are_passed_over() {
    let file = String::from_utf8(two_rows()).unwrap();
    let later =
        file.replace(",user,in_team", ",user,mood,in_team").replace("}\",red", "}\",fine,red");
    assert_ne!(later, file);
    assert_eq!(read(later.as_bytes()).unwrap(), read(file.as_bytes()).unwrap());
}

#[test]
fn redacted_numbers_and_times_are_absent() {
    let file = String::from_utf8(two_rows()).unwrap();
    let row =
        read(file.replace(",false,,,,", ",[redacted],,[redacted],,").as_bytes()).unwrap().remove(0);
    assert_eq!((row.locked, row.lockout_expires_in_seconds), (None, None));
    assert_eq!(row.finished_at, Some(moment(5)));
}

#[track_caller]
fn refused(change: impl Fn(&str) -> String, expected: &str) {
    let file = String::from_utf8(two_rows()).unwrap();
    assert_eq!(read(change(&file).as_bytes()).unwrap_err().to_string(), expected);
}

#[test]
fn a_row_that_is_none_is_an_error_that_names_its_line() {
    refused(
        |file| file.replace("user_b,unlocked", "user_b,gone fishing"),
        "r.csv, line 3: \"gone fishing\" can't stand in the column \"outcome\"",
    );
    refused(|file| file.replace("=7\n", "=7,\n"), "r.csv, line 2: 26 cells where 25 belong");
    refused(|file| format!("{file}\n"), "r.csv, line 4: the line is empty");
    refused(|file| format!("{file}5,\"user\n"), "r.csv, line 4: a quote is not closed");
    refused(
        |file| file.replace("2,user_a,user_a", ",user_a,user_a"),
        "r.csv, line 2: \"line\" is empty",
    );
    refused(
        |file| file.replace("user_b,unlocked", "user_b/ban,unlocked"),
        "r.csv, line 3: \"user_b/ban\" can't stand in the column \"user_id\"",
    );
}

#[test]
fn another_file_is_no_results_file() {
    refused(
        |_| "id,email\nuser_a,a@x.org\n".to_owned(),
        "r.csv is no results file of this program: column 1 is \"id\" and not \"line\"",
    );
    refused(
        |_| "user_a".to_owned(),
        "r.csv is no results file of this program: column 1 is \"user_a\" and not \"line\"",
    );
    refused(|_| String::new(), "r.csv holds nothing: it was cut off before its first row");
}

#[test]
fn a_missing_file_is_named() {
    let error = Reader::open(Path::new("no/such.csv")).err().unwrap();
    assert!(error.to_string().starts_with("no/such.csv can't be read: "), "{error}");
}
