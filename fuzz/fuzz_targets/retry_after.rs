//! Any `Retry-After` header at any time.

#![no_main]

use std::time::{Duration, SystemTime};

use bulk_unlock::clerk::parse_retry_after;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &str)| {
    let (now, value) = input;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.into());
    let wait = parse_retry_after(value, now);

    let padded = format!(" {value}\t");
    assert_eq!(parse_retry_after(&padded, now), wait, "white space around it is ignored");
    if let Ok(seconds) = value.parse::<u32>()
        && !value.starts_with('+')
    {
        assert_eq!(wait, Some(Duration::from_secs(seconds.into())));
    }
});
