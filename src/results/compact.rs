//! JSON on one line: the white space between its tokens taken out, every token left as it was.

use std::borrow::Cow;

use crate::model::is_separator;

/// The same JSON on one line, without white space between tokens. Nothing is copied when there is
/// none.
///
/// The text must be valid JSON; anything else comes back with some white space fewer.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    match without_white_space(json) {
        // They stand in strings alone, where an escape is the same value.
        json if json.contains(is_separator) => {
            Cow::Owned(json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
        }
        json => json,
    }
}

fn without_white_space(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    let (mut kept_from, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_string(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&json[kept_from..at]);
                at += 1;
                kept_from = at;
            }
            _ => at += 1,
        }
    }
    if kept_from == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[kept_from..]);
    Cow::Owned(out)
}

/// The place after the string whose opening quote is at `open`.
fn after_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(compact(json), expected);
    }

    #[test]
    fn white_space_between_tokens_goes_and_white_space_in_strings_stays() {
        check("{ \"a\" : [ 1 ,\r\n\t2 ] }", r#"{"a":[1,2]}"#);
        check(r#"{ "a b" : " c " }"#, r#"{"a b":" c "}"#);
        check(r#"{"q\" \\" : "\\\" x"}"#, r#"{"q\" \\":"\\\" x"}"#);
        check(r#" "\\" "#, r#""\\""#);
    }

    #[test]
    fn the_text_of_numbers_is_left_alone() {
        check(
            "[ 1.50 , -0.0, 1E+400,12345678901234567890123 ]",
            "[1.50,-0.0,1E+400,12345678901234567890123]",
        );
    }

    #[test]
    fn unicodes_line_breaks_are_escaped_and_the_value_is_the_same() {
        let json = "{\"a\u{2028}\":\"b\u{2029}c\"}";
        check(json, r#"{"a\u2028":"b\u2029c"}"#);
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&compact(json)).unwrap(), value);
    }

    #[test]
    fn compact_json_is_not_copied() {
        assert!(matches!(compact(r#"{"a":"b c"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_no_json_is_no_trouble() {
        for text in ["", "\"", "\"\\", "\"\\é", " é \" é", "\\ \""] {
            compact(text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_value_is_the_same_and_no_white_space_is_left(value in crate::results::format::tests::json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let small = compact(&pretty);
            prop_assert_eq!(serde_json::from_str::<Value>(&small).unwrap(), value.clone());
            prop_assert!(!small.contains(is_separator));
            prop_assert!(small.contains("\\u202") || small == serde_json::to_string(&value).unwrap());
        }
    }
}
