use std::fs;

use crate::model::{Outcome, Row};

use super::super::format::tests::{carrying, moment, record, unlocked};
use super::*;

#[track_caller]
fn check(results: &str, failed: &str) {
    assert_eq!(Sidecars::beside(Path::new(results)).failed, Path::new(failed));
}

#[test]
fn the_files_are_named_after_the_results() {
    check("out/a.results.csv", "out/a.results.failed.csv");
    check("a.csv", "a.failed.csv");
    check("out/plain", "out/plain.failed.csv");
    check("a.txt", "a.txt.failed.csv");
    let all = Sidecars::beside(Path::new("a.csv"));
    assert_eq!(all.unprocessed, Path::new("a.unprocessed.csv"));
    assert_eq!(all.manifest, Path::new("a.manifest.json"));
    assert_eq!(all.verify, Path::new("a.verify.csv"));
}

fn results() -> Vec<u8> {
    let mut out = Vec::new();
    let failed = Row {
        outcome: Outcome::Failed,
        error_code: Some("timeout".into()),
        error_message: Some("no answer within 30 s, nine times".into()),
        ..unlocked("user_b")
    };
    let invalid = Row::unasked(2, Outcome::Invalid, moment(0));
    carrying().append_header(&mut out);
    carrying().append_row(&record(2, "user_a", &["red", "1"]), &unlocked("user_a"), &mut out);
    carrying().append_row(&record(3, "user_b", &["-red", "\"2\""]), &failed, &mut out);
    carrying().append_row(&record(4, "#=x", &["", ""]), &invalid, &mut out);
    carrying().append_row(&record(5, "=x", &["", ""]), &invalid, &mut out);
    out.extend_from_slice(b"6,user_c,us");
    out
}

fn failed(header: Option<&str>, results: &[u8]) -> (u64, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.failed.csv");
    let reader = Reader::new(results, Path::new("r.csv")).unwrap();
    let n_rows = write_failed(reader, header, &path).unwrap();
    (n_rows, fs::read_to_string(&path).unwrap())
}

#[test]
fn rows_that_did_not_end_well_can_be_read_as_input() {
    let (n_rows, text) = failed(Some("=clerk id"), &results());
    assert_eq!(n_rows, 4);
    insta::assert_snapshot!(text, @r##"
'=clerk id,team,ticket,line,outcome,error_code,error_message
user_b,'-red,"""2""",3,failed,timeout,"no answer within 30 s, nine times"
"#=x",,,4,invalid,,
'=x,,,5,invalid,,
"##);
}

#[test]
fn without_failures_there_is_a_header_alone() {
    let mut header = Vec::new();
    carrying().append_header(&mut header);
    let expected = "user_id,team,ticket,line,outcome,error_code,error_message\n";
    assert_eq!(failed(None, &header), (0, expected.to_owned()));
}

#[test]
fn results_that_can_not_be_read_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.failed.csv");
    let bytes = [results(), b"\nnonsense\n".to_vec()].concat();
    let reader = Reader::new(bytes.as_slice(), Path::new("r.csv")).unwrap();
    assert!(matches!(write_failed(reader, None, &path), Err(SidecarError::Read(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn records() -> Records {
    Records {
        records: vec![
            record(2, "user_a", &["red"]),
            record(3, "", &["blue"]),
            record(5, "+1555", &["a,b"]),
        ],
        header: Some("Clerk ID".into()),
        carried: vec!["team".into()],
        ..Records::default()
    }
}

fn unprocessed(records: &Records, unrecorded: &[usize]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.unprocessed.csv");
    let n_rows = write_unprocessed(records, unrecorded.iter().copied(), &path).unwrap();
    assert_eq!(n_rows, unrecorded.len() as u64);
    fs::read_to_string(&path).unwrap()
}

#[test]
fn records_without_a_row_can_be_read_as_input() {
    insta::assert_snapshot!(unprocessed(&records(), &[1, 2]), @r#"
Clerk ID,team,line
,blue,3
'+1555,"a,b",5
"#);
}

#[test]
fn without_such_records_there_is_a_header_alone() {
    let records = Records { header: None, carried: vec![], ..records() };
    assert_eq!(unprocessed(&records, &[]), "user_id,line\n");
}
