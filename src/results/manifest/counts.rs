//! Counts by the codes of the outcomes, in the order in which summaries name them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer};

use super::Counts;
use crate::model::Outcome;

pub(super) fn serialize<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    let in_order = Outcome::ALL.into_iter().filter_map(|it| Some((it.code(), counts.get(&it)?)));
    serializer.collect_map(in_order)
}

/// Outcomes that only a later version knows are passed over.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counts, D::Error> {
    let by_code = BTreeMap::<String, u64>::deserialize(deserializer)?;
    let known = by_code.into_iter().filter_map(|(code, n)| Some((code.parse().ok()?, n)));
    Ok(known.collect())
}
