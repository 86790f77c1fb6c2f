//! Top-level fields of a snapshot whose values nobody is to see.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands in place of a value that is not to be seen.
pub(super) const REDACTED: &str = "[redacted]";
const REDACTED_JSON: &str = "\"[redacted]\"";

/// The fields whose values are replaced (`--redact`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    fields: Vec<String>,
}

impl Redaction {
    /// Replaces the values of these top-level fields of the user object.
    pub fn new(fields: impl IntoIterator<Item = String>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// Whether that field is not to be seen.
    pub fn hides(&self, field: &str) -> bool {
        self.fields.iter().any(|it| it == field)
    }

    /// The object with the values replaced; every other byte is as it was. A text in which the
    /// fields can't be told apart is replaced whole.
    pub(super) fn apply<'a>(&self, json: &'a str) -> Cow<'a, str> {
        if self.fields.is_empty() {
            return Cow::Borrowed(json);
        }
        match serde_json::from_str::<Fields<'_>>(json) {
            Ok(fields) => self.splice(json, &fields),
            Err(_) => Cow::Borrowed(REDACTED_JSON),
        }
    }

    fn splice<'a>(&self, json: &'a str, fields: &Fields<'_>) -> Cow<'a, str> {
        let mut out = String::new();
        let mut kept_from = 0;
        for (key, value) in &fields.0 {
            if self.hides(&key.0) {
                let start = value.get().as_ptr().addr() - json.as_ptr().addr();
                out.push_str(&json[kept_from..start]);
                out.push_str(REDACTED_JSON);
                kept_from = start + value.get().len();
            }
        }
        if kept_from == 0 {
            return Cow::Borrowed(json);
        }
        out.push_str(&json[kept_from..]);
        Cow::Owned(out)
    }
}

/// The fields in the order of the text, those that stand there twice included: a map would keep
/// one of them and leave the other to be seen.
struct Fields<'a>(Vec<(Key<'a>, &'a RawValue)>);

/// A name that may be written with escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(field: &str, json: &str, expected: &str) {
        assert_eq!(Redaction::new([field.to_owned()]).apply(json), expected);
    }

    #[test]
    fn the_value_of_a_top_level_field_is_replaced_and_no_other() {
        check(
            "a",
            r#"{"b":1.50,"a":{"a":[1]},"c":{"a":2}}"#,
            r#"{"b":1.50,"a":"[redacted]","c":{"a":2}}"#,
        );
        check("a", r#"{"a":null}"#, r#"{"a":"[redacted]"}"#);
        check("x", r#"{"a":"x"}"#, r#"{"a":"x"}"#);
    }

    #[test]
    fn a_field_that_stands_there_twice_is_hidden_twice() {
        check("a", r#"{"a":1,"a":2}"#, r#"{"a":"[redacted]","a":"[redacted]"}"#);
    }

    #[test]
    fn a_name_written_with_escapes_is_the_same_name() {
        check("a_b", r#"{"a\u005fb":1}"#, r#"{"a\u005fb":"[redacted]"}"#);
    }

    #[test]
    fn what_can_not_be_read_is_hidden_whole() {
        for text in ["", "[]", r#"{"a":"#, r#"{"a":1} x"#] {
            check("a", text, r#""[redacted]""#);
        }
    }

    #[test]
    fn deep_nesting_is_no_trouble() {
        let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        check("a", &format!(r#"{{"a":{nest}}}"#), r#"{"a":"[redacted]"}"#);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn only_the_named_fields_differ(mut value in crate::results::format::tests::json(), at in 0..8_usize) {
            let fields = value.as_object_mut().unwrap();
            let Some(name) = fields.keys().nth(at).cloned() else { return Ok(()) };
            let sent = serde_json::to_string(fields).unwrap();
            fields.insert(name.clone(), json!(REDACTED));
            let redacted = Redaction::new([name]).apply(&sent).into_owned();
            prop_assert_eq!(serde_json::from_str::<Value>(&redacted).unwrap(), value);
        }
    }
}
