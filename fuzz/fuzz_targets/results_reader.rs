//! A results file that somebody edited, or that a crash or a bad disk left behind.

#![no_main]

use std::path::Path;

use bulk_unlock::internals::results::{ReadError, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = read(bytes) {
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "what people read is one line: {text:?}");
    }
});

fn read(bytes: &[u8]) -> Result<(), ReadError> {
    let mut reader = Reader::new(bytes, Path::new("fuzz.results.csv"))?;
    let n_carried = reader.carried().len();
    let mut quick = Reader::new(bytes, Path::new("fuzz.results.csv"))?.without_users();
    for row in reader.by_ref() {
        let row = row?;
        assert_eq!(row.carried.len(), n_carried);
        let same = quick.next().expect("a row")?;
        assert_eq!((row.line, row.input, row.user_id), (same.line, same.input, same.user_id));
        assert_eq!((row.outcome, row.finished_at), (same.outcome, same.finished_at));
    }
    let n_bytes = reader.n_whole_bytes() + reader.n_torn_bytes();
    assert_eq!(n_bytes, bytes.len() as u64, "every byte is whole or torn");
    Ok(())
}
