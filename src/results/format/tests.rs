use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use crate::model::{Outcome, UserId, is_separator};

use super::*;

/// Any JSON object. Numbers are whole: reading a fraction may move its last bit.
pub(in crate::results) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6).prop_map(object),
        ]
    });
    btree_map(any::<String>(), inner, 0..8).prop_map(object)
}

fn object(fields: std::collections::BTreeMap<String, Value>) -> Value {
    Value::Object(fields.into_iter().collect())
}

pub(in crate::results) fn record(line: u64, cell: &str, carried: &[&str]) -> InputRecord {
    InputRecord {
        line,
        cell: cell.into(),
        user: None,
        carried: carried.iter().map(|&it| it.into()).collect(),
    }
}

/// The end of 2023-11-14, and so many milliseconds.
pub(in crate::results) fn moment(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + ms)
}

pub(in crate::results) fn unlocked(user: &str) -> Row {
    let user_id: UserId = user.parse().unwrap();
    let json = format!(r#"{{"id":"{user}","locked":false,"username":"someone"}}"#);
    Row {
        user_id: Some(user_id),
        http_status: Some(200),
        attempts: 1,
        duration: Duration::from_millis(87),
        user: Some(Box::new(UserView::parse(&json).unwrap())),
        ..Row::unasked(0, Outcome::Unlocked, moment(5))
    }
}

fn any_time() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_000_u64).prop_map(|ms| UNIX_EPOCH + Duration::from_millis(ms))
}

fn any_user() -> impl Strategy<Value = UserView> {
    let texts = (
        option::of(any::<String>()),
        option::of(any::<String>()),
        option::of(any::<String>()),
        option::of(any::<String>()),
        option::of(any::<String>()),
    );
    let numbers =
        (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<i64>>(), any::<Option<i64>>());
    let times = (option::of(0..4_000_000_000_000_i64), option::of(-9_000_000_i64..0));
    (texts, numbers, times, json()).prop_map(|(texts, numbers, times, json)| UserView {
        username: texts.0,
        email: texts.1,
        external_id: texts.2,
        first_name: texts.3,
        last_name: texts.4,
        locked: numbers.0,
        banned: numbers.1,
        lockout_expires_in_seconds: numbers.2,
        verification_attempts_remaining: numbers.3,
        last_sign_in_at: times.0,
        updated_at: times.1,
        json: serde_json::to_string_pretty(&json).unwrap(),
        ..UserView::default()
    })
}

/// Any record with two carried cells, and any row for it.
pub(in crate::results) fn any_row() -> impl Strategy<Value = (InputRecord, Row)> {
    let record = (any::<u64>(), any::<String>(), any::<String>(), any::<String>())
        .prop_map(|(line, cell, a, b)| record(line, &cell, &[&a, &b]));
    let texts =
        (option::of(any::<String>()), option::of(any::<String>()), option::of(any::<String>()));
    let facts = (
        option::of("user_[a-zA-Z0-9]{1,64}"),
        proptest::sample::select(Outcome::ALL.to_vec()),
        option::of(100..600_u16),
        any::<u32>(),
        0..10_000_000_u64,
        any_time(),
    );
    (record, texts, facts, option::of(any_user())).prop_map(|(record, texts, facts, user)| {
        let row = Row {
            record: 0,
            user_id: facts.0.map(|id| id.parse().unwrap()),
            outcome: facts.1,
            http_status: facts.2,
            error_code: texts.0.map(Into::into),
            error_message: texts.1,
            attempts: facts.3,
            duration: Duration::from_millis(facts.4),
            finished_at: facts.5,
            trace_id: texts.2,
            user: user.map(Box::new),
        };
        (record, row)
    })
}

/// A format with two carried columns.
pub(in crate::results) fn carrying() -> RowFormat {
    RowFormat { carried: vec!["team".into(), "ticket".into()], ..RowFormat::default() }
}

fn line(format: &RowFormat, record: &InputRecord, row: &Row) -> String {
    let mut out = Vec::new();
    format.append_row(record, row, &mut out);
    String::from_utf8(out).unwrap()
}

/// A user with an awkward value in every field.
fn awkward() -> UserView {
    UserView::parse(
        r#"{
            "id": "user_a", "locked": false, "banned": true,
            "lockout_expires_in_seconds": null, "verification_attempts_remaining": 10,
            "username": "=HYPERLINK(\"http://x\")", "primary_email_address_id": "e1",
            "email_addresses": [{"id": "e1", "email_address": "+a@x.org"}],
            "external_id": "-7, or\nso", "first_name": "<script>alert(1)</script>",
            "last_name": "O\"Neill\u001b[31m", "last_sign_in_at": 1700000000123,
            "updated_at": 99999999999999999, "private_metadata": {"pin": 1.50}
        }"#,
    )
    .unwrap()
}

fn awkward_row() -> Row {
    Row {
        user: Some(Box::new(awkward())),
        error_message: Some("was locked;\r\nnow not".into()),
        trace_id: Some("@trace".into()),
        ..unlocked("user_a")
    }
}

#[test]
fn the_header_names_the_columns_and_the_carried_ones_after_them() {
    let mut out = Vec::new();
    RowFormat { carried: vec!["team, unit".into(), "=x\ny".into()], ..RowFormat::default() }
        .append_header(&mut out);
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"line,input,user_id,outcome,http_status,error_code,error_message,attempts,duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,verification_attempts_remaining,username,email,external_id,first_name,last_name,last_sign_in_at,updated_at,user,"in_team, unit",in_=x y"#);
}

#[test]
fn a_whole_file_with_awkward_values() {
    let format = carrying();
    let mut out = Vec::new();
    format.append_header(&mut out);
    format.append_row(&record(2, "user_a", &["red", "=1+1"]), &awkward_row(), &mut out);
    let failed = Row {
        outcome: Outcome::Failed,
        http_status: Some(503),
        error_code: Some("http_503".into()),
        error_message: Some("Service Unavailable".into()),
        attempts: 9,
        user: None,
        ..unlocked("user_b")
    };
    format.append_row(&record(3, "user_b", &["", "#7"]), &failed, &mut out);
    let invalid = Row {
        error_code: Some("invalid".into()),
        error_message: Some("a user id starts with \"user_\"".into()),
        ..Row::unasked(2, Outcome::Invalid, moment(0))
    };
    format.append_row(&record(4, "+49 30 1", &["a,b", "é"]), &invalid, &mut out);
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r##"
line,input,user_id,outcome,http_status,error_code,error_message,attempts,duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,verification_attempts_remaining,username,email,external_id,first_name,last_name,last_sign_in_at,updated_at,user,in_team,in_ticket
2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,"'=HYPERLINK(""http://x"")",'+a@x.org,"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",2023-11-14T22:13:20.123Z,,"{""id"":""user_a"",""locked"":false,""banned"":true,""lockout_expires_in_seconds"":null,""verification_attempts_remaining"":10,""username"":""=HYPERLINK(\""http://x\"")"",""primary_email_address_id"":""e1"",""email_addresses"":[{""id"":""e1"",""email_address"":""+a@x.org""}],""external_id"":""-7, or\nso"",""first_name"":""<script>alert(1)</script>"",""last_name"":""O\""Neill\u001b[31m"",""last_sign_in_at"":1700000000123,""updated_at"":99999999999999999,""private_metadata"":{""pin"":1.50}}",red,'=1+1
3,user_b,user_b,failed,503,http_503,Service Unavailable,9,87,2023-11-14T22:13:20.005Z,,,,,,,,,,,,,,,"#7"
4,'+49 30 1,,invalid,,invalid,"a user id starts with ""user_""",0,0,2023-11-14T22:13:20.000Z,,,,,,,,,,,,,,"a,b",é
"##);
}

#[test]
fn a_summary_has_the_columns_without_the_object() {
    let format = RowFormat { snapshot: SnapshotMode::Summary, ..RowFormat::default() };
    insta::assert_snapshot!(line(&format, &record(2, "user_a", &[]), &awkward_row()), @r#"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,"'=HYPERLINK(""http://x"")",'+a@x.org,"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",2023-11-14T22:13:20.123Z,,"#);
}

#[test]
fn no_snapshot_leaves_every_column_of_the_user_empty() {
    let format = RowFormat { snapshot: SnapshotMode::None, ..RowFormat::default() };
    insta::assert_snapshot!(line(&format, &record(2, "user_a", &[]), &awkward_row()), @"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,,,,,,,,,,,,");
}

#[test]
fn redacted_fields_are_hidden_in_their_columns_too() {
    let fields = ["private_metadata", "email_addresses", "username", "last_sign_in_at", "absent"];
    let redaction = Redaction::new(fields.map(ToOwned::to_owned));
    let format = RowFormat { redaction, ..RowFormat::default() };
    insta::assert_snapshot!(line(&format, &record(2, "user_a", &[]), &awkward_row()), @r#"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,[redacted],[redacted],"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",[redacted],,"{""id"":""user_a"",""locked"":false,""banned"":true,""lockout_expires_in_seconds"":null,""verification_attempts_remaining"":10,""username"":""[redacted]"",""primary_email_address_id"":""e1"",""email_addresses"":""[redacted]"",""external_id"":""-7, or\nso"",""first_name"":""<script>alert(1)</script>"",""last_name"":""O\""Neill\u001b[31m"",""last_sign_in_at"":""[redacted]"",""updated_at"":99999999999999999,""private_metadata"":""[redacted]""}""#);
}

#[test]
fn a_record_with_too_few_or_too_many_carried_cells_keeps_the_file_rectangular() {
    let n_cells = |carried: &[&str]| {
        let line = line(&carrying(), &record(2, "user_a", carried), &unlocked("user_a"));
        csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(line.as_bytes())
            .records()
            .next()
            .unwrap()
            .unwrap()
            .len()
    };
    assert_eq!([n_cells(&[]), n_cells(&["a", "b"]), n_cells(&["a", "b", "c"])], [25, 25, 25]);
}

#[test]
fn a_control_character_that_json_allows_in_a_string_becomes_a_space() {
    let user = UserView { json: "{\"a\":\"x\u{7f}y\u{85}z\"}".into(), ..UserView::default() };
    let row = Row { user: Some(Box::new(user)), ..unlocked("user_a") };
    let line = line(&RowFormat::default(), &record(2, "user_a", &[]), &row);
    assert!(line.ends_with("\"{\"\"a\"\":\"\"x y z\"\"}\"\n"), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_row_is_one_line_and_no_cell_is_a_formula((record, row) in any_row()) {
        let line = line(&carrying(), &record, &row);
        prop_assert_eq!(line.find(char::is_control), Some(line.len() - 1));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let cells = reader.records().next().unwrap().unwrap();
        prop_assert_eq!(cells.len(), 25);
        let is_number = |cell: &str| cell.parse::<i64>().is_ok();
        let is_formula = |cell: &str| cell.starts_with(crate::model::is_formula_start);
        prop_assert!(!cells.iter().any(|cell| is_formula(cell) && !is_number(cell)));
    }

    #[test]
    fn the_object_is_the_one_that_was_sent((record, row) in any_row()) {
        let Some(user) = &row.user else { return Ok(()) };
        let has_control = |c: char| c.is_control() && c != '\n';
        prop_assume!(!user.json.contains(has_control) && !user.json.contains(is_separator));
        let line = line(&carrying(), &record, &row);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let cells = reader.records().next().unwrap().unwrap();
        let sent: Value = serde_json::from_str(&user.json).unwrap();
        prop_assert_eq!(&cells[22], serde_json::to_string(&sent).unwrap());
    }
}

#[test]
fn an_arc_cell_is_written_as_it_is() {
    let record =
        InputRecord { line: 9, cell: Arc::from("a@x.org"), user: None, carried: Box::default() };
    let line = line(&RowFormat::default(), &record, &unlocked("user_a"));
    assert!(
        line.starts_with("9,a@x.org,user_a,unlocked,200,,,1,87,2023-11-14T22:13:20.005Z,,"),
        "{line}"
    );
}
