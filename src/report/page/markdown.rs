//! The page as GitHub Flavored Markdown.
//!
//! askama escapes each value with [`Markdown`]; [`code`] and [`fence`] make the rest.

use std::fmt::{self, Write};

use askama::Template;
use askama::filters::Escaper;

use super::view::View;

/// In the template, a line never begins with a value, and a value never has several lines.
#[derive(Template)]
#[template(path = "page.md", config = "src/report/page/askama.toml")]
pub(super) struct Page<'a> {
    pub(super) view: View<'a>,
}

/// Escapes text: no part of it is markup, HTML, or the end of a table cell.
#[derive(Clone, Copy)]
pub(super) struct Markdown;

impl Escaper for Markdown {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut before = ' ';
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let after = chars.peek().copied().unwrap_or(' ');
            match c {
                // Tables are split into cells before escapes are read, and `\\|` has no agreed meaning.
                '&' | '<' | '>' | '|' => write!(dest, "&#{};", u32::from(c))?,
                // Inside a word, it is not markup. User IDs can be copied.
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

/// A text as code. Inside code, nothing can be escaped: a text that could end it or its cell is
/// escaped instead.
fn code(text: &str) -> String {
    if !text.is_empty() && text.trim() == text && !text.contains(['`', '|', '\\']) {
        return format!("`{text}`");
    }
    let mut escaped = String::new();
    // Writing to a string cannot fail.
    let _ = Markdown.write_escaped_str(&mut escaped, text);
    escaped
}

/// Longer than all sequences of backticks in the text, so that none of them ends the block.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}
