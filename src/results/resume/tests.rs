use std::fs;

use crate::model::Row;

use super::super::format::RowFormat;
use super::super::format::tests::{carrying, moment, record, unlocked};
use super::super::journal::Existing;
use super::super::writer::Writer;
use super::*;

fn resume(path: &Path, carried: &[String]) -> Result<Option<Resumed>, OpenError> {
    super::resume(path, IdentifierKind::UserId, carried)
}

fn row(outcome: Outcome, user: Option<&str>) -> Row {
    let user_id = user.map(|it| it.parse().unwrap());
    Row { user_id, ..Row::unasked(0, outcome, moment(0)) }
}

fn rows() -> Vec<(&'static str, Row)> {
    vec![
        ("user_a", unlocked("user_a")),
        ("user_a", row(Outcome::Duplicate, Some("user_a"))),
        ("user_a", row(Outcome::Duplicate, Some("user_a"))),
        ("bad", row(Outcome::Invalid, None)),
        ("bad", row(Outcome::Invalid, None)),
        ("b@x.org", row(Outcome::Failed, Some("user_b"))),
        ("=c@x.org", row(Outcome::NotFound, None)),
    ]
}

fn file(dir: &tempfile::TempDir, rows: &[(&str, Row)]) -> std::path::PathBuf {
    let path = dir.path().join("r.csv");
    let mut writer = Writer::create(&path, Existing::Replace, RowFormat::default()).unwrap();
    for (line, (cell, row)) in (2..).zip(rows) {
        writer.append(&record(line, cell, &[]), row);
    }
    writer.finish().unwrap();
    path
}

#[test]
fn what_is_done_is_known_by_user_and_else_by_cell() {
    let dir = tempfile::tempdir().unwrap();
    let resumed = resume(&file(&dir, &rows()), &[]).unwrap().unwrap();
    let done = &resumed.done;
    let records = crate::model::Records {
        records: ["user_a", "user_a", "user_b", "bad"].map(|cell| record(2, cell, &[])).into(),
        ..crate::model::Records::default()
    };
    let none = std::collections::HashSet::new();
    let plan = crate::policy::plan::Plan::build(&records, &none, done.clone(), moment(0));
    assert_eq!(plan.recorded, [0, 1, 2, 3]);
    assert_eq!(done.n_rows(), 7);
    assert_eq!(resumed.counts.values().sum::<u64>(), 7);
    assert_eq!(resumed.counts[&Outcome::Duplicate], 2);
}

#[test]
fn a_file_torn_at_any_byte_is_gone_on_with_as_if_it_had_never_been_torn() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows();
    let path = file(&dir, &rows);
    let whole = fs::read(&path).unwrap();
    for end in 0..=whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let resumed = resume(&path, &[]).unwrap().unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), end, "nothing is changed yet");
        let n_done = usize::try_from(resumed.done.n_rows()).unwrap();
        let n_kept = whole[..end].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        assert_eq!(resumed.n_torn_bytes, (end - n_kept) as u64, "cut at {end}");
        let mut writer = Writer::resume(resumed.journal, RowFormat::default()).unwrap();
        for (line, (cell, row)) in (2..).zip(&rows).skip(n_done) {
            writer.append(&record(line, cell, &[]), row);
        }
        writer.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {end}");
    }
}

#[test]
fn what_a_power_cut_left_behind_its_last_sync_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &rows());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"3,user_\0\0\0\0\n4,user_d,user_d\n"].concat()).unwrap();
    let resumed = resume(&path, &[]).unwrap().unwrap();
    assert_eq!((resumed.done.n_rows(), resumed.n_torn_bytes), (7, 28));
    Writer::resume(resumed.journal, RowFormat::default()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
    let cut = fs::read(dir.path().join("r.csv.cut")).unwrap();
    assert_eq!(cut, b"3,user_\0\0\0\0\n4,user_d,user_d\n", "whole rows behind it are kept aside");
}

#[test]
fn a_missing_file_is_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(resume(&dir.path().join("r.csv"), &[]).unwrap().is_none());
}

#[test]
fn another_kind_of_file_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    for text in ["user_a\nuser_b\n", "user_a", "line,input,id\n", "\0\0\0"] {
        fs::write(&path, text).unwrap();
        let error = resume(&path, &[]).unwrap_err();
        assert!(matches!(error, OpenError::Read(ReadError::NotResults { .. })), "{text}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_row_that_is_none_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &rows());
    let text = fs::read_to_string(&path).unwrap().replace("bad,,invalid", "bad,,dreadful");
    fs::write(&path, text).unwrap();
    let error = resume(&path, &[]).unwrap_err();
    assert!(matches!(error, OpenError::Read(ReadError::BadRow { line: 5, .. })), "{error}");
}

/// Counted twice it would be one user more than there are.
#[test]
fn a_row_that_somebody_copied_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &rows());
    let text = fs::read_to_string(&path).unwrap();
    let copied = text.lines().nth(1).unwrap();
    fs::write(&path, format!("{text}{copied}\n")).unwrap();
    let error = resume(&path, &[]).unwrap_err();
    assert!(matches!(error, OpenError::Read(ReadError::BadRow { line: 9, .. })), "{error}");
}

#[test]
fn carried_columns_must_be_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    Writer::create(&path, Existing::Refuse, carrying()).unwrap();
    let of = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|&it| it.to_owned()).collect();
        resume(&path, &names).map(|it| it.is_some()).map_err(|error| match error {
            OpenError::OtherCarried { recorded, asked, .. } => (recorded.join(), asked.join()),
            error => panic!("{error}"),
        })
    };
    assert_eq!(of(&["team", "ticket"]), Ok(true));
    assert_eq!(of(&["ticket", "team"]), Err(("team ticket".into(), "ticket team".into())));
    assert_eq!(of(&[]), Err(("team ticket".into(), String::new())));
}

trait Join {
    fn join(&self) -> String;
}

impl Join for Vec<String> {
    fn join(&self) -> String {
        self.as_slice().join(" ")
    }
}

#[test]
fn a_file_of_a_later_version_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &[]);
    let text = fs::read_to_string(&path).unwrap().replace(",user\n", ",user,mood\n");
    fs::write(&path, text).unwrap();
    let error = resume(&path, &[]).unwrap_err();
    assert!(matches!(&error, OpenError::Newer { column, .. } if column == "mood"), "{error}");
}

#[test]
fn rows_tell_what_kind_of_job_wrote_them_as_far_as_they_can() {
    let dir = tempfile::tempdir().unwrap();
    let kind = |outcomes: &[Outcome]| {
        let rows: Vec<_> = outcomes.iter().map(|&it| ("user_a", row(it, Some("user_a")))).collect();
        resume(&file(&dir, &rows), &[]).unwrap().unwrap().kind()
    };
    assert_eq!(kind(&[Outcome::Invalid, Outcome::WouldUnlock]), Some(CommandKind::Plan));
    assert_eq!(kind(&[Outcome::Failed, Outcome::Unlocked]), Some(CommandKind::Run));
    assert_eq!(kind(&[Outcome::Gone]), Some(CommandKind::Verify));
    assert_eq!(kind(&[Outcome::Failed, Outcome::AlreadyUnlocked]), None);
    assert_eq!(kind(&[]), None);
}
