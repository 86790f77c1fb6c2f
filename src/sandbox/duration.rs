//! Durations as people write them: `200ms`, `10s`, `1.5s`, `2m`.

use std::time::Duration;

/// Reads a duration: a number and one of `ms`, `s`, `m`. A bare `0` needs no unit, a bare unit is
/// one of it.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let unit_in_seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let number = if number.is_empty() { 1.0 } else { number.trim().parse::<f64>().ok()? };
    Duration::try_from_secs_f64(number * unit_in_seconds).ok()
}

/// Writes a duration as [`parse`] reads it.
pub(super) fn write(duration: Duration) -> String {
    if duration.is_zero() {
        "0".to_owned()
    } else if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(parse(text), millis.map(Duration::from_millis), "{text:?}");
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        check("200ms", Some(200));
        check("1.5s", Some(1500));
        check(" 2m ", Some(120_000));
        check("s", Some(1000));
        check("0", Some(0));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "-1s", "1h", "1e999s", "NaNs", "s5"] {
            check(text, None);
        }
    }
}
