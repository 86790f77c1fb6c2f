//! An input of any kind, read with any options.
//!
//! The last two bytes choose the options, not the first ones: so every file of `samples/` is a
//! seed as it is.

#![no_main]

use bulk_unlock::internals::input::{self, Carry, ColumnChoice, Delimiter, Options, ReadInput, Source};
use bulk_unlock::internals::model::{IdentifierKind, canonical_cell};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((bytes, &[first, second])) = bytes.split_last_chunk() else { return };
    let options = options(first.into(), second.into());
    match input::read(Source::bytes("fuzz.csv", bytes), &options) {
        Ok(input) => check(&input, &options),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "what people read is one line: {text:?}");
        }
    }
});

fn check(input: &ReadInput, options: &Options) {
    let records = &input.records.records;
    assert!(options.limit.is_none_or(|limit| records.len() as u64 <= limit));
    // The rows of an earlier run keep the lines of its input.
    if !options.retry_failed {
        assert!(records.iter().all(|it| (1..=input.n_lines).contains(&it.line())));
        assert!(records.is_sorted_by(|a, b| a.line() < b.line()), "each record begins on its own line");
    }
    assert!(input.records.repeated_headers.iter().all(|&place| place < records.len()));
    assert!(options.lenient || input.suspicions.is_empty());
    for record in records {
        assert_eq!(record.carried().len(), input.records.carried.len());
        assert_eq!(record.cell(), canonical_cell(&record.cell()));
    }
}

fn options(first: usize, second: usize) -> Options {
    use IdentifierKind::{Email, ExternalId, Phone, UserId, Username};

    let named = |name: &str| Some(ColumnChoice::Name(name.into()));
    let numbered = |number| Some(ColumnChoice::Number(number));
    let team = || "team".to_owned();
    Options {
        kind: [UserId, UserId, Email, Phone, Username, ExternalId][first % 6],
        column: [None, None, named("id"), numbered(0), numbered(1), numbered(2)][first / 6 % 6]
            .clone(),
        carry: [Carry::None, Carry::All, Carry::Named(vec![team()]), Carry::Named(vec![])]
            [first / 36 % 4]
            .clone(),
        limit: [None, None, Some(0), Some(3), Some(u64::MAX)][second % 5],
        skip: [0, 0, 1, u64::MAX][second / 5 % 4],
        retry_failed: second / 20 % 3 == 2,
        delimiter: Delimiter::ALL[first % 7 % 6],
        lenient: second % 3 == 0,
        takes_admin_locked: second % 2 == 0,
    }
}
