//! Times as the files write them: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;

/// Unix milliseconds of the start of year 0. Earlier times have no RFC 3339 form.
const YEAR_ZERO_MS: i64 = -62_167_219_200_000;

/// A time that can be written, in whole milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Moment(Timestamp);

impl Moment {
    /// `None` outside of the years 0 to 9999.
    pub(super) fn from_unix_ms(ms: i64) -> Option<Self> {
        if ms < YEAR_ZERO_MS { None } else { Timestamp::from_millisecond(ms).ok().map(Self) }
    }

    /// `None` as above.
    pub(super) fn from_system(time: SystemTime) -> Option<Self> {
        Self::from_unix_ms(Timestamp::try_from(time).ok()?.as_millisecond())
    }

    pub(super) fn to_unix_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// `None` where the system's clock does not reach.
    pub(super) fn to_system(self) -> Option<SystemTime> {
        self.0.try_into().ok()
    }

    /// Parses any RFC 3339 time.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// A [`SystemTime`] in JSON.
pub(super) mod as_text {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Moment, SystemTime};

    pub(in crate::results) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let moment = Moment::from_system(*time);
        serializer.collect_str(&moment.ok_or_else(|| S::Error::custom("time out of range"))?)
    }

    pub(in crate::results) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = Moment::parse(&text).and_then(Moment::to_system);
        time.ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

/// A [`SystemTime`] or null in JSON.
pub(super) mod as_text_or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SystemTime;

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "super::as_text")] SystemTime);

    #[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(in crate::results) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Text).serialize(serializer)
    }

    pub(in crate::results) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[track_caller]
    fn check(ms: i64, expected: Option<&str>) {
        assert_eq!(Moment::from_unix_ms(ms).map(|it| it.to_string()).as_deref(), expected, "{ms}");
    }

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        check(0, Some("1970-01-01T00:00:00.000Z"));
        check(1_700_000_000_123, Some("2023-11-14T22:13:20.123Z"));
        check(-1, Some("1969-12-31T23:59:59.999Z"));
        check(YEAR_ZERO_MS, Some("0000-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_time_without_a_year_of_four_digits_is_not_written() {
        check(YEAR_ZERO_MS - 1, None);
        check(i64::MAX, None);
        check(i64::MIN, None);
    }

    #[test]
    fn a_written_time_is_read_back_to_the_millisecond() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_999_999);
        let text = Moment::from_system(time).unwrap().to_string();
        let read = Moment::parse(&text).unwrap();
        assert_eq!(read.to_system(), Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)));
        assert_eq!(read.to_unix_ms(), 1_700_000_000_123);
    }
}
