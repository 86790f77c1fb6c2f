//! The contrast of texts: WCAG 2 requires 4.5 to 1.

const STYLE: &str = include_str!("../page.css");

/// The colors of the light, the dark and the printed page, by name.
fn palettes() -> Vec<Vec<(&'static str, [u8; 3])>> {
    let blocks = STYLE.split(":root {").skip(1).map(|it| it.split_once('}').unwrap().0);
    let color = |line: &'static str| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let channel = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).unwrap();
        Some((name, [channel(0), channel(2), channel(4)]))
    };
    blocks.map(|block| block.split(';').filter_map(color).collect()).collect()
}

/// Relative luminance, as WCAG 2 defines it.
fn luminance(color: [u8; 3]) -> f64 {
    let linear = |channel: u8| match f64::from(channel) / 255.0 {
        low if low <= 0.04045 => low / 12.92,
        high => ((high + 0.055) / 1.055).powf(2.4),
    };
    let [red, green, blue] = color.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let [one, other] = [one, other].map(luminance);
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The color of each text, the colors of its backgrounds, and the minimum contrast.
const TEXTS: [(&str, &[&str], f64); 7] = [
    ("ink", &["page", "panel", "good-tint", "warn-tint", "bad-tint"], 4.5),
    ("soft", &["page", "panel"], 4.5),
    ("link", &["panel"], 4.5),
    ("good", &["panel", "good-tint"], 4.5),
    ("warn", &["panel", "warn-tint"], 4.5),
    ("bad", &["panel", "bad-tint"], 4.5),
    ("fill-open", &["panel"], 2.0),
];

#[test]
fn texts_have_enough_contrast_in_light_in_dark_and_in_print() {
    let palettes = palettes();
    assert_eq!(palettes.len(), 3);
    for palette in palettes {
        let color = |name| palette.iter().find(|(it, _)| *it == name).unwrap().1;
        for (text, grounds, wanted) in TEXTS {
            for ground in grounds {
                let is = contrast(color(text), color(ground));
                assert!(is >= wanted, "{text} on {ground}: {is:.2}");
            }
        }
    }
}
