//! Replaces parts of the output that differ between runs.

/// The text with `T` for each duration, `PORT` for the port of the sandbox, and `HASH` for hashes.
pub fn without_times(text: &str) -> String {
    let text = without_ports(text);
    let words: Vec<&str> = text.split(' ').collect();
    let mut normalized: Vec<String> = Vec::new();
    for word in words {
        let unit = word.split('\n').next().map(|it| it.trim_end_matches([',', '.', ')', ':', ';']));
        let is_time = matches!(unit, Some("ms" | "s" | "min"));
        let is_after_number = normalized.last().is_some_and(|it| is_number(it));
        if is_time && is_after_number {
            let rest = word.trim_start_matches(char::is_alphabetic);
            if let Some(number) = normalized.last_mut() {
                *number = format!("T{rest}");
            }
        } else {
            normalized.push(word.to_owned());
        }
    }
    without_hashes(&normalized.join(" "))
}

/// The text with `HASH` for each SHA-256.
fn without_hashes(text: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let words = text.split_inclusive(|c| !is_hex(c)).map(|word| {
        let digits = word.trim_end_matches(|c| !is_hex(c));
        if digits.len() == 64 { word.replace(digits, "HASH") } else { word.to_owned() }
    });
    words.collect()
}

fn without_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + HOST + "PORT" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

fn is_number(word: &str) -> bool {
    let number = word.trim_start_matches('<');
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}
