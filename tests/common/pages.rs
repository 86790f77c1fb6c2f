//! For stories about the page: what its markup counts, and what the rows of a file count.

use std::collections::BTreeMap;

use super::Stage;

impl Stage {
    /// How many rows of a results or plan file have each outcome.
    #[track_caller]
    pub fn counts(&self, name: &str) -> BTreeMap<String, u64> {
        self.rows(name).into_iter().fold(BTreeMap::new(), |mut counts, mut row| {
            *counts.entry(row.remove("outcome").expect("an outcome")).or_default() += 1;
            counts
        })
    }
}

/// The counts that the page says, read from its markup.
pub fn outcomes_on_page(html: &str) -> BTreeMap<String, u64> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let tags = html.split('<').map(|rest| rest.split('>').next().unwrap_or_default());
    let counted = tags.filter_map(|tag| {
        let count = attribute(tag, "data-count")?.parse().ok()?;
        Some((attribute(tag, "data-outcome")?, count))
    });
    counted.collect()
}
