//! Rows and values that the tests of this module share.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use crate::model::{InputRecord, Outcome, Row, UserId, UserView};

use super::journal::Storage;
use super::{RowFormat, Writer};

/// Any JSON object. Numbers are whole: reading a fraction may change its last bit.
pub(super) fn json() -> impl Strategy<Value = Value> {
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

fn object(fields: BTreeMap<String, Value>) -> Value {
    Value::Object(fields.into_iter().collect())
}

pub(super) fn record(line: u64, cell: &str, carried: &[&str]) -> InputRecord {
    let carried = carried.iter().map(|&it| it.into()).collect();
    InputRecord::new(line, cell).with_carried(carried)
}

/// This many milliseconds after a time on 2023-11-14.
pub(super) fn moment(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + ms)
}

/// A row of that user on line 2.
pub(super) fn unlocked(user: &str) -> Row {
    let user_id: UserId = user.parse().unwrap();
    let json = format!(r#"{{"id":"{user}","locked":false,"username":"someone"}}"#);
    Row {
        user_id: Some(user_id),
        http_status: Some(200),
        attempts: 1,
        duration: Duration::from_millis(87),
        user: Some(Box::new(UserView::parse(&json).unwrap())),
        ..row(2, user, Outcome::Unlocked)
    }
}

/// A row without a request.
pub(super) fn row(line: u64, input: &str, outcome: Outcome) -> Row {
    Row::new(&record(line, input, &[]), outcome, moment(5))
}

fn any_time() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_000_u64).prop_map(|ms| UNIX_EPOCH + Duration::from_millis(ms))
}

fn any_user() -> impl Strategy<Value = UserView> {
    let text = || option::of(any::<String>());
    let texts = (text(), text(), text(), text(), text());
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

/// Any row with two carried cells.
pub(super) fn any_row() -> impl Strategy<Value = Row> {
    let record = (any::<u64>(), any::<String>(), any::<String>(), any::<String>())
        .prop_map(|(line, cell, a, b)| record(line, &cell, &[&a, &b]));
    let text = || option::of(any::<String>());
    let texts = (text(), text(), text());
    let facts = (
        option::of("user_[a-zA-Z0-9]{1,64}"),
        proptest::sample::select(Outcome::ALL.to_vec()),
        option::of(100..600_u16),
        any::<u32>(),
        0..10_000_000_u64,
        any_time(),
        any::<Option<bool>>(),
    );
    (record, texts, facts, option::of(any_user())).prop_map(|(record, texts, facts, user)| Row {
        user_id: facts.0.map(|id| id.parse().unwrap()),
        http_status: facts.2,
        error_code: texts.0.map(Into::into),
        error_message: texts.1,
        attempts: facts.3,
        duration: Duration::from_millis(facts.4),
        trace_id: texts.2,
        user: user.map(Box::new),
        was_locked: facts.6,
        ..Row::new(&record, facts.1, facts.5)
    })
}

/// A format with two carried columns.
pub(super) fn carrying() -> RowFormat {
    RowFormat { carried: vec!["team".into(), "ticket".into()], ..RowFormat::default() }
}

/// A writer on a disk that counts how often it is synced.
pub(crate) fn counting_syncs() -> (Writer, Arc<AtomicUsize>) {
    let n_syncs = Arc::new(AtomicUsize::new(0));
    let disk = SyncCounter(Arc::clone(&n_syncs));
    (Writer::on_storage(Box::new(disk), None).unwrap(), n_syncs)
}

struct SyncCounter(Arc<AtomicUsize>);

impl Storage for SyncCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
