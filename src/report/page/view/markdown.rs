//! The page as GitHub Flavored Markdown, for a pull request or a job summary.
//!
//! askama escapes each value with [`Markdown`]; [`code`] and [`fence`] make the rest.

use std::borrow::Cow;
use std::fmt::{self, Write};

use askama::Template;

use super::totals::Totals;
use super::{errors, header, next, outcomes, privacy, verdict};
use crate::report::page::Facts;

/// Everything on the page, in its order. A line never begins with a value, and a value is never
/// longer than its line.
#[derive(Template)]
#[template(ext = "md", config = "src/report/page/askama.toml")]
#[template(
    source = r#"# {{ header.heading }}{% if header.heading != header.kind %} – {{ header.kind }}{% endif %}

**{{ verdict.headline.trim() }}** {{ verdict.detail }}
{% for notice in notices %}
> {{ notice }}
{% endfor %}
| | |
| --- | --- |
{% for fact in header.facts -%}
| {{ fact.name }} | {% for value in fact.values %}{% if !loop.first %}; {% endif %}{% if fact.class == "code" %}{{ self::code(value)|safe }}{% else %}{{ value }}{% endif %}{% endfor %} |
{% endfor -%}
{% if !header.stages.is_empty() %}
## What was done

| Began (UTC) | Command | File | Result | Exit code |
| --- | --- | --- | --- | ---: |
{% for stage in header.stages -%}
| {{ stage.began }} | {{ stage.command }} | {{ self::code(stage.file)|safe }} | {{ stage.result }} | {{ stage.exit_code }} |
{% endfor -%}
{% endif %}
## Outcomes

| Outcome | Records | Share | Meaning |
| --- | ---: | ---: | --- |
{% for line in outcomes.lines -%}
| {{ self::code(line.bar.label)|safe }} | {{ line.bar.n }} | {{ line.bar.share }} | {{ line.meaning }} |
{% endfor %}
Sum: {{ outcomes.sum }}

## Errors

{% if errors.lines.is_empty() -%}
None.
{% else -%}
| Code | Records | Meaning | What to do | First example |
| --- | ---: | --- | --- | --- |
{% for line in errors.lines -%}
| {{ self::code(line.code)|safe }} | {{ line.n }} | {{ line.meaning }} | {{ line.advice }} | {{ line.example }} |
{% endfor -%}
{% endif -%}
{% if !errors.more.is_empty() %}
Not shown: {{ errors.more }}
{% endif -%}
{% if !header.files.is_empty() %}
## Files

| Role | Name | SHA-256 |
| --- | --- | --- |
{% for file in header.files -%}
| {{ file.role }} | {{ self::code(file.name)|safe }} | {{ self::code(file.sha256)|safe }} |
{% endfor -%}
{% endif %}
## What remains to do

{% if next.is_nothing -%}
Nothing.
{% endif -%}
{% for advice in next.advice -%}
- **{{ advice.what }}**: {{ advice.text }}
{% endfor -%}
{% if !next.command.is_empty() %}
{{ next.purpose }}

{{ fence|safe }}sh
{{ next.command|safe }}
{{ fence|safe }}
{% endif %}
---

{{ privacy }} {{ header.made }} Times are in UTC.
"#
)]
pub(in crate::report::page) struct Page {
    header: header::Header,
    verdict: verdict::Verdict,
    notices: Vec<String>,
    outcomes: outcomes::Outcomes,
    errors: errors::Errors,
    next: next::Next,
    /// The line before and after the next command.
    fence: String,
    privacy: &'static str,
}

impl Page {
    pub(in crate::report::page) fn new(facts: &Facts) -> Self {
        let totals = Totals::of(facts);
        let next = next::next(facts, &totals);
        Self {
            header: header::header(facts, &totals),
            verdict: verdict::verdict(facts, &totals),
            notices: verdict::notices(facts),
            outcomes: outcomes::outcomes(facts, &totals),
            errors: errors::errors(facts, false),
            fence: fence(&next.command),
            next,
            privacy: privacy(false),
        }
    }
}

/// Escapes text: no part of it is markup, HTML, or the end of a table cell.
#[derive(Clone, Copy)]
pub(in crate::report::page) struct Markdown;

impl askama::filters::Escaper for Markdown {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut before = ' ';
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let after = chars.peek().copied().unwrap_or(' ');
            match c {
                // A table ends its cells before it reads escapes, and `\\|` has no agreed meaning.
                '&' | '<' | '>' | '|' => write!(dest, "&#{};", u32::from(c))?,
                // Inside a word it is no markup: user IDs can be copied as they are.
                '_' if before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric() => {
                    dest.write_char(c)?;
                }
                '\\' | '`' | '*' | '_' | '[' | ']' | '{' | '}' | '~' | '#' | '$' => {
                    write!(dest, "\\{c}")?;
                }
                c => dest.write_char(c)?,
            }
            before = c;
        }
        Ok(())
    }
}

/// A text as code. Nothing can be escaped inside code, so a text that could end it, or its cell, is
/// escaped text.
fn code(text: &str) -> Cow<'_, str> {
    let is_plain = !text.is_empty() && text.trim() == text && !text.contains(['`', '|', '\\']);
    if is_plain { format!("`{text}`").into() } else { escaped(text).into() }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    // A `String` can always be written to.
    let _ = askama::filters::Escaper::write_escaped_str(&Markdown, &mut escaped, text);
    escaped
}

/// Longer than all backticks in a row of the text, which so cannot end the block.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}
