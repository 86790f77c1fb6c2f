//! Reading what may hold anything: a property of another type than documented must not cost the
//! object it stands in.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::value::RawValue;

/// Reads a property; one that does not fit (`null` included) counts as absent.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(decode(&Box::<RawValue>::deserialize(deserializer)?).unwrap_or_default())
}

/// Reads a list; an element that is no object is left out, and what is no list counts as empty.
pub(super) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(elements.into_iter().filter(|it| is_object(it.get())).filter_map(decode).collect())
}

/// Reads a nested object; anything else counts as absent.
pub(super) fn lenient_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(if is_object(raw.get()) { decode(&raw) } else { None })
}

/// Serde would also read a struct from an array.
pub(super) fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{')
}

fn decode<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
