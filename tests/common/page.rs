//! Reads the HTML page.

use std::collections::BTreeMap;

/// The counts in the markup of the page, by outcome.
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
