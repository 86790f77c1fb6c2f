//! Users who must stay as they are (`--exclude`).
//!
//! The file is a set of possible identifiers, whatever its header, delimiter or comments: a table
//! could be misread, and then a user would be unlocked by mistake. So every part of every line
//! counts, in every plausible form, as an identifier of every kind. An entry that matches no user
//! does no harm; it is counted and reported.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::model::{
    Identifier, IdentifierKind, UserId, UserSnapshot, excerpt, is_invisible, is_separator,
    unwrapped_email,
};
use crate::stats::summary::ExcludeCounts;

/// What separates the entries of a line. A cell may contain all but one of them, so the cells under
/// each single one count too.
const DELIMITERS: [char; 5] = [',', ';', '\t', '|', '"'];

/// The longest text with delimiters in it that may still be one identifier, in bytes.
const MAX_WHOLE: usize = 1024;

/// The users who must not be changed, as the entries of an exclude file.
///
/// An entry is the text between two delimiters (comma, semicolon, tab, pipe, quote) of a line,
/// without white space and invisible characters around it. The same text counts once.
#[derive(Debug, Default)]
pub struct ExcludeList {
    files: Vec<String>,
    entries: Vec<Entry>,
    places: HashMap<Arc<str>, usize>,
    /// User IDs and external IDs, to the letter.
    exact: Index,
    /// Email addresses and usernames, in lower case.
    folded: Index,
    /// Phone numbers, as digits.
    phones: Index,
}

/// The entries that contain each text.
type Index = HashMap<Box<str>, Vec<usize>>;

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    /// The first place of it: the file and the line.
    file: usize,
    line: u64,
    is_user_id: bool,
    is_matched: AtomicBool,
}

impl ExcludeList {
    /// The entries that follow are of another file; `name` is its name in messages.
    pub fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// A list of these lines, the first of which is line 1.
    #[cfg(any(test, feature = "internals"))]
    pub fn of_lines<T: AsRef<str>>(name: &str, lines: impl IntoIterator<Item = T>) -> Self {
        let mut list = Self::default();
        list.begin_file(name);
        for (number, line) in (1..).zip(lines) {
            list.add_line(number, line.as_ref());
        }
        list
    }

    /// Adds the entries of one line of the file; `false` where it has none.
    pub fn add_line(&mut self, number: u64, line: &str) -> bool {
        let mut has_entry = false;
        let present = DELIMITERS.iter().filter(|&&delimiter| line.contains(delimiter));
        let cells = present.flat_map(|&delimiter| line.split(delimiter));
        let wholes = std::iter::once(line).chain(cells).filter(|text| text.len() <= MAX_WHOLE);
        for text in line.split(is_delimiter).chain(wholes) {
            let entries: Vec<usize> = parts(text).map(|part| self.entry(part, number)).collect();
            has_entry |= !entries.is_empty();
            for reading in readings(text) {
                self.add_reading(&reading, &entries);
            }
        }
        has_entry
    }

    /// The index of the entry with this text, which is added if it is new.
    fn entry(&mut self, text: &str, line: u64) -> usize {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let (place, shared) = (self.entries.len(), Arc::<str>::from(text));
        let is_user_id = readings(text).iter().any(|it| is_only_a_user_id(it));
        let entry = Entry {
            text: Arc::clone(&shared),
            file: self.files.len().saturating_sub(1),
            line,
            is_user_id,
            is_matched: AtomicBool::default(),
        };
        self.entries.push(entry);
        self.places.insert(shared, place);
        for name in names_inside(text) {
            self.add_reading(name, &[place]);
        }
        place
    }

    fn add_reading(&mut self, text: &str, entries: &[usize]) {
        add(&mut self.exact, text, entries);
        add(&mut self.folded, &text.to_lowercase(), entries);
        if let Some(digits) = phone_digits(text) {
            add(&mut self.phones, &digits, entries);
        }
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names of its files in messages.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether users must be looked up for the list to hold: an input of user IDs shows nothing else
    /// of its users, and some entry may be another identifier of one of them.
    pub fn needs_look_up(&self, kind: IdentifierKind) -> bool {
        !self.is_empty()
            && (kind != IdentifierKind::UserId || self.entries.iter().any(|it| !it.is_user_id))
    }

    /// Whether the identifiers in a user object can be read: a field of another type than documented
    /// could hide one that is in the list.
    pub fn can_check(&self, user: &UserSnapshot) -> bool {
        self.is_empty() || serde_json::from_str::<Names>(&user.json).is_ok()
    }

    /// The entry that names this user, by ID or by anything else the user has. Marks all such
    /// entries as matched.
    pub fn find(&self, user: &UserSnapshot) -> Option<Exclusion<'_>> {
        use IdentifierKind::{Email, ExternalId, Phone, UserId, Username};

        if self.is_empty() {
            return None;
        }
        let texts = [
            (UserId, std::slice::from_ref(&user.id)),
            (Email, &user.emails),
            (Phone, &user.phones),
            (Username, user.username.as_slice()),
            (ExternalId, user.external_id.as_slice()),
        ];
        let entries = texts.into_iter().flat_map(|(kind, texts)| {
            texts.iter().flat_map(move |text| self.entries_of(kind, text))
        });
        self.mark(entries)
    }

    /// The entry that is this identifier. Marks all such entries as matched.
    pub fn find_identifier(&self, identifier: &Identifier) -> Option<Exclusion<'_>> {
        self.mark(self.entries_of(identifier.kind(), identifier.as_str()))
    }

    /// The entry that is this text, whatever kind of identifier it is. Marks all such entries as
    /// matched.
    pub fn find_text(&self, text: &str) -> Option<Exclusion<'_>> {
        let kinds = [IdentifierKind::UserId, IdentifierKind::Email, IdentifierKind::Phone];
        let text = unwrapped_email(text);
        self.mark(kinds.into_iter().flat_map(|kind| self.entries_of(kind, text)))
    }

    /// Marks the entry as matched that an [`Exclusion`] named in the row of an earlier run.
    pub fn mark_recorded(&self, message: &str) {
        let named = message.strip_prefix("excluded by \"");
        let text = named.and_then(|rest| rest.rsplit_once("\" on line ")).map(|(text, _)| text);
        let is_it = |entry: &&Entry| text.is_some_and(|text| *excerpt(&entry.text) == *text);
        if let Some(place) = text.and_then(|text| self.places.get(text)) {
            self.entries[*place].is_matched.store(true, Ordering::Relaxed);
        } else if let Some(entry) = self.entries.iter().find(is_it) {
            entry.is_matched.store(true, Ordering::Relaxed);
        }
    }

    fn entries_of(&self, kind: IdentifierKind, text: &str) -> impl Iterator<Item = usize> {
        let entries = match kind {
            IdentifierKind::UserId | IdentifierKind::ExternalId => self.exact.get(text),
            IdentifierKind::Email | IdentifierKind::Username => {
                self.folded.get(text.to_lowercase().as_str())
            }
            IdentifierKind::Phone => {
                phone_digits(text).and_then(|digits| self.phones.get(digits.as_str()))
            }
        };
        entries.into_iter().flatten().copied()
    }

    fn mark(&self, entries: impl Iterator<Item = usize>) -> Option<Exclusion<'_>> {
        let mut first = None;
        for entry in entries.map(|place| &self.entries[place]) {
            entry.is_matched.store(true, Ordering::Relaxed);
            first.get_or_insert(entry);
        }
        first.map(|entry| self.exclusion(entry))
    }

    fn exclusion<'a>(&'a self, entry: &'a Entry) -> Exclusion<'a> {
        let file = self.files.get(entry.file).map_or("", String::as_str);
        Exclusion { file, text: &entry.text, line: entry.line }
    }

    /// How many entries matched so far. Complete once all users of the input were looked up, or
    /// planned where no user is looked up.
    pub fn counts(&self) -> ExcludeCounts {
        let entries = self.entries.len() as u64;
        let unmatched = self.unmatched().count() as u64;
        ExcludeCounts { entries, matched: entries - unmatched, unmatched }
    }

    /// The entries that matched no user so far, in the order of the files.
    pub fn unmatched(&self) -> impl Iterator<Item = Exclusion<'_>> {
        let entries = self.entries.iter().filter(|it| !it.is_matched.load(Ordering::Relaxed));
        entries.map(|entry| self.exclusion(entry))
    }
}

/// The fields of a user object that name the user, by their documented types.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct Names {
    email_addresses: Option<Vec<EmailAddress>>,
    phone_numbers: Option<Vec<PhoneNumber>>,
    username: Option<String>,
    external_id: Option<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its type alone")]
struct EmailAddress {
    email_address: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its type alone")]
struct PhoneNumber {
    phone_number: String,
}

/// The entry of an exclude list that names a user; shows as `excluded by "x" on line 3 of FILE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion<'a> {
    /// The name of the file in messages.
    pub file: &'a str,
    /// The entry.
    pub text: &'a str,
    /// The first line that contains it, 1-based.
    pub line: u64,
}

impl fmt::Display for Exclusion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "excluded by \"{}\" on line {} of {}", excerpt(self.text), self.line, self.file)
    }
}

/// Whether a text has the form of Clerk's user IDs, or is the header above them. A shorter one, such
/// as `user_bob`, may be a username.
fn is_only_a_user_id(text: &str) -> bool {
    /// The length of a KSUID in base 62.
    const KSUID: usize = 27;
    let Some(rest) = text.strip_prefix(UserId::PREFIX) else { return false };
    rest == "id" || rest.len() == KSUID && text.parse::<UserId>().is_ok()
}

/// Every character that any program reads as a line break ends an entry too.
fn is_delimiter(c: char) -> bool {
    DELIMITERS.contains(&c) || c.is_control() || is_separator(c)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c)
}

/// The texts between delimiters. A part of nothing but `#` names no user.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(is_delimiter).map(|part| part.trim_matches(is_blank));
    parts.filter(|part| !part.chars().all(|c| c == '#' || is_blank(c)))
}

/// A text as it is, and without what people and programs put around an identifier: `#`, quotes,
/// the `'` of a spreadsheet, `mailto:`, `<…>`, invisible characters.
fn readings(text: &str) -> Vec<String> {
    let mut readings: Vec<String> = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        let text = text.trim_matches(is_blank);
        if text.is_empty() || readings.iter().any(|it| it == text) {
            continue;
        }
        open.push(text.trim_start_matches('#').to_owned());
        open.push(text.trim_start_matches('\'').to_owned());
        open.push(text.trim_matches('\'').to_owned());
        open.push(unwrapped_email(text).to_owned());
        if let Some(quoted) = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
            open.push(quoted.replace("\"\"", "\""));
        }
        if text.contains(is_invisible) {
            open.push(text.replace(is_invisible, ""));
        }
        readings.push(text.to_owned());
    }
    readings
}

/// The user IDs and email addresses in an entry with more text: `user_a (CEO)`, `Ann <a@x.org>`,
/// a link to the dashboard.
fn names_inside(entry: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ids = entry.split(move |c| !is_word(c)).filter(|word| word.starts_with(UserId::PREFIX));
    let is_edge = |c: char| is_blank(c) || "<>()[]{}'，；、:=".contains(c);
    let words = entry.split(is_edge).map(|word| word.trim_matches(['.', '!', '?']));
    ids.chain(words.filter(|word| word.contains('@') && word.len() < entry.len()))
}

/// The digits of a phone number, whatever is between them, without the `+` or `00` before them.
fn phone_digits(text: &str) -> Option<String> {
    let is_between = |c: char| {
        matches!(c, '+' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}') || is_blank(c)
    };
    if !text.chars().all(|c| c.is_ascii_digit() || is_between(c)) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    (4..=15).contains(&digits.len()).then(|| digits.to_owned())
}

fn add(index: &mut Index, key: &str, entries: &[usize]) {
    let known = match index.get_mut(key) {
        Some(known) => known,
        None => index.entry(key.into()).or_default(),
    };
    for entry in entries {
        if !known.contains(entry) {
            known.push(*entry);
        }
    }
}

#[cfg(test)]
mod tests;
