//! Reads Rust well enough for rules about it: rustfmt-ed, and known to compile.

use std::ops::Range;

/// A function of the code.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// 1-based.
    pub(crate) line: usize,
    pub(crate) n_lines: usize,
}

/// The code alone: comments, texts and characters are spaces, line breaks stay. So every place is
/// where it was in the source.
pub(crate) fn without_comments_and_texts(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let (len, is_code) = match len_of_no_code(rest, code.chars().next_back()) {
            0 => (c.len_utf8(), true),
            len => (len, false),
        };
        let (token, after) = rest.split_at(len);
        if is_code {
            code.push(c);
        } else {
            code.push_str(&blank(token));
        }
        rest = after;
    }
    code
}

/// As many bytes, but nothing except line breaks.
pub(crate) fn blank(text: &str) -> String {
    text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
}

/// How long the comment, text or character is that begins here; 0 where none does.
fn len_of_no_code(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return end_of(rest, "*/", 2);
    }
    if let Some(text) = rest.strip_prefix('"') {
        return 1 + len_up_to_unescaped('"', text);
    }
    let hashes = rest.strip_prefix('r').map(|it| it.len() - it.trim_start_matches('#').len());
    if let Some(n_hashes) = hashes
        && !before.is_some_and(|c| c != 'b' && is_word(c))
        && rest[1 + n_hashes..].starts_with('"')
    {
        return end_of(rest, &format!("\"{}", "#".repeat(n_hashes)), n_hashes + 2);
    }
    match rest.strip_prefix('\'') {
        Some(quoted) if is_character(quoted) => 1 + len_up_to_unescaped('\'', quoted),
        _ => 0,
    }
}

fn end_of(rest: &str, end: &str, skip: usize) -> usize {
    rest[skip..].find(end).map_or(rest.len(), |at| skip + at + end.len())
}

fn len_up_to_unescaped(end: char, rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices() {
        if c == end && !is_escaped {
            return at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    rest.len()
}

/// Behind a `'`: a character, not a lifetime.
fn is_character(quoted: &str) -> bool {
    let mut chars = quoted.chars();
    chars.next().is_some_and(|c| c == '\\' || chars.next() == Some('\''))
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a phrase stands, whatever path leads to it.
pub(crate) fn mentions<'a>(code: &'a str, phrase: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(phrase).map(|(at, _)| at).filter(move |&at| {
        !code[..at].ends_with(is_word) && !code[at + phrase.len()..].starts_with(is_word)
    })
}

/// Where a word stands alone, neither as part of a longer one nor behind a `::` or a point.
pub(crate) fn places_of<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let is_end = !word.ends_with(is_word) || !code[at + word.len()..].starts_with(is_word);
        is_end && !code[..at].ends_with(|c| is_word(c) || c == ':' || c == '.')
    })
}

/// 1-based.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

/// The places of the items that are compiled for tests alone, with their attribute.
pub(crate) fn test_items(code: &str) -> Vec<Range<usize>> {
    let attributes = ["#[cfg(test)]", "#[cfg(all(test,"];
    let starts = attributes.iter().flat_map(|it| code.match_indices(it));
    starts.map(|(at, _)| at..end_of_item(code, at)).collect()
}

/// Behind the `}` or `;` that ends the item which begins at that place.
pub(crate) fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == '}' || c == ';') {
            return start + at + 1;
        }
    }
    code.len()
}

/// All functions, those inside others too. Counted from the `fn` to the closing brace.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let named = places_of(code, "fn").filter_map(|at| {
        let name = first_word(code[at + 2..].trim_start());
        let end = end_of_item(code, at);
        let has_body = code[..end].ends_with('}');
        (has_body && !name.is_empty()).then(|| Function {
            name: name.to_owned(),
            line: line_of(code, at),
            n_lines: line_of(code, end) - line_of(code, at) + 1,
        })
    });
    named.collect()
}

pub(crate) fn first_word(text: &str) -> &str {
    text.split(|c| !is_word(c)).next().unwrap_or_default()
}

#[test]
fn comments_texts_and_characters_are_no_code() {
    let check = |source: &str, expected: &str| {
        assert_eq!(without_comments_and_texts(source), expected, "{source}");
    };
    check("a // b\nc", "a     \nc");
    check("a /* b\n{ */ c", "a     \n     c");
    check(r#"f("{\"{", '{', '\'', '\\') }"#, "f(      ,    ,     ,     ) }");
    check(r##"x(r#"a"{"#, br"\", ar)"##, "x(        , b    , ar)");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check("\"é\"", "    ");
}

#[test]
fn an_item_ends_with_its_brace_or_its_semicolon() {
    let check = |code: &str, item: &str| assert_eq!(&code[..end_of_item(code, 0)], item);
    check("mod tests; x", "mod tests;");
    check("#[cfg(test)]\nmod tests { fn f() {} } x", "#[cfg(test)]\nmod tests { fn f() {} }");
    check("fn f(a: [u8; 3]) -> u8 { 1; 2 } x", "fn f(a: [u8; 3]) -> u8 { 1; 2 }");
}

#[test]
fn functions_are_found_with_their_lines() {
    let code = "trait A {\n    fn a();\n}\nfn b(f: fn(u8)) {\n    x;\n}\nfn c() {}\n";
    let found: Vec<_> = functions(code).into_iter().map(|it| (it.name, it.n_lines)).collect();
    assert_eq!(found, [("b".to_owned(), 3), ("c".to_owned(), 1)]);
}

#[test]
fn words_behind_a_path_or_inside_others_are_other_words() {
    let check = |code: &str, n: usize| assert_eq!(places_of(code, "csv").count(), n, "{code}");
    check("use csv::Writer; csv::Reader", 2);
    check("self.csv super::csv csv_core my_csv", 0);
    assert_eq!(places_of("csv::a csv", "csv::").count(), 1);
}
