//! A `Retry-After` from a server that may say anything, at any time of day.

#![no_main]

use std::time::{Duration, SystemTime};

use bulk_unlock::clerk::retry_after::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &str)| {
    let (now, value) = input;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.into());
    let wait = parse(value, now);

    assert_eq!(parse(&format!(" {value}\t"), now), wait, "white space around it means nothing");
    if let Ok(seconds) = value.parse::<u32>()
        && !value.starts_with('+')
    {
        assert_eq!(wait, Some(Duration::from_secs(seconds.into())));
    }
});
