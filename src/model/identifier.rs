//! What names a user in an input: a user ID, or something that a user can be looked up by.

use std::fmt;
use std::sync::Arc;

use super::text::{is_invisible, is_separator, name_of_char};
use super::{InvalidUserId, UserId};

/// What the input's column holds (`--by`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Clerk's own IDs, `user_…`.
    #[default]
    UserId,
    /// Email addresses; compared without regard to case, as Clerk does.
    Email,
    /// Phone numbers, in international form.
    Phone,
    /// Usernames; compared without regard to case, as Clerk does.
    Username,
    /// The customer's own IDs; compared to the letter.
    ExternalId,
}

impl IdentifierKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::UserId, Self::Email, Self::Phone, Self::Username, Self::ExternalId];

    /// Flag value, query parameter, article, noun, and plural.
    fn words(self) -> [&'static str; 5] {
        match self {
            Self::UserId => ["user-id", "user_id", "a", "user ID", "user IDs"],
            Self::Email => ["email", "email_address", "an", "email address", "email addresses"],
            Self::Phone => ["phone", "phone_number", "a", "phone number", "phone numbers"],
            Self::Username => ["username", "username", "a", "username", "usernames"],
            Self::ExternalId => ["external-id", "external_id", "an", "external ID", "external IDs"],
        }
    }

    /// The word for it on the command line and in a manifest.
    pub fn flag_value(self) -> &'static str {
        self.words()[0]
    }

    /// The query parameter of `GET /v1/users` that looks users up by it.
    pub fn query_parameter(self) -> &'static str {
        self.words()[1]
    }

    fn article(self) -> &'static str {
        self.words()[2]
    }

    /// The word for it in a sentence: "no user has this email address".
    pub fn noun(self) -> &'static str {
        self.words()[3]
    }

    /// The words for several of them: "user IDs".
    pub fn plural(self) -> &'static str {
        self.words()[4]
    }

    /// Whether they can be recognized by their form. Any word may be a username or an external ID.
    pub fn has_shape(self) -> bool {
        matches!(self, Self::UserId | Self::Email | Self::Phone)
    }
}

/// One user as the input names it, checked and in the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// The user's id: no look-up is needed to unlock.
    UserId(UserId),
    /// An email address, in lower case.
    Email(Arc<str>),
    /// A phone number: `+` and digits.
    Phone(Arc<str>),
    /// A user name, in lower case.
    Username(Arc<str>),
    /// An id of the customer's own.
    ExternalId(Arc<str>),
}

impl Identifier {
    /// The longest identifier other than a user id that is sent to the API, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Checks a canonical cell and brings it into the form in which identifiers are compared.
    ///
    /// # Errors
    ///
    /// When the cell cannot be an identifier of that kind; nothing would be sent for it.
    pub fn parse(kind: IdentifierKind, cell: &Arc<str>) -> Result<Self, InvalidIdentifier> {
        if kind == IdentifierKind::UserId {
            return Ok(Self::UserId(UserId::from_shared(cell)?));
        }
        if cell.is_empty() {
            return Err(InvalidIdentifier::Empty);
        }
        if cell.len() > Self::MAX_LEN {
            return Err(InvalidIdentifier::TooLong { kind, length: cell.len() });
        }
        match kind {
            IdentifierKind::UserId | IdentifierKind::ExternalId => {
                Ok(Self::ExternalId(Arc::clone(cell)))
            }
            IdentifierKind::Email => email(cell),
            IdentifierKind::Phone => phone(cell),
            IdentifierKind::Username => username(cell),
        }
    }

    /// Whether a canonical cell can be an identifier of that kind.
    pub fn is_valid(kind: IdentifierKind, cell: &str) -> bool {
        Self::parse(kind, &Arc::from(cell)).is_ok()
    }

    /// What kind it is.
    pub fn kind(&self) -> IdentifierKind {
        match self {
            Self::UserId(_) => IdentifierKind::UserId,
            Self::Email(_) => IdentifierKind::Email,
            Self::Phone(_) => IdentifierKind::Phone,
            Self::Username(_) => IdentifierKind::Username,
            Self::ExternalId(_) => IdentifierKind::ExternalId,
        }
    }

    /// The text that is sent and compared.
    pub fn as_str(&self) -> &str {
        match self {
            Self::UserId(id) => id.as_str(),
            Self::Email(text)
            | Self::Phone(text)
            | Self::Username(text)
            | Self::ExternalId(text) => text,
        }
    }

    /// The user ID, if the input has it.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::UserId(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a cell cannot be an identifier of the kind that the column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentifier {
    /// Not a user ID.
    #[error(transparent)]
    UserId(#[from] InvalidUserId),
    /// A blank cell.
    #[error("the cell is empty")]
    Empty,
    /// The column's own header: lists that were joined repeat it.
    #[error("the cell repeats the column header")]
    Header,
    /// Longer than [`Identifier::MAX_LEN`].
    #[error("{length} bytes are too long for {article} {noun}", article = kind.article(), noun = kind.noun())]
    TooLong {
        /// What it should have been.
        kind: IdentifierKind,
        /// Its length in bytes.
        length: usize,
    },
    /// A character that no identifier of this kind holds.
    #[error("{article} {noun} cannot contain {name}", article = kind.article(), noun = kind.noun(), name = name_of_char(*found))]
    Character {
        /// What it should have been.
        kind: IdentifierKind,
        /// The first such character.
        found: char,
    },
    /// Not of the form `name@host`.
    #[error("an email address must have one \"@\" with something on both sides")]
    Email,
    /// Not in international form.
    #[error("a phone number must be in international form, such as +15551234567")]
    Phone,
}

/// Address books write `<a@x.org>`, links `mailto:a@x.org`.
fn email(cell: &Arc<str>) -> Result<Identifier, InvalidIdentifier> {
    let address = unwrapped_email(cell);
    if let Some(found) = address.chars().find(|&c| is_foreign_to_emails(c)) {
        return Err(InvalidIdentifier::Character { kind: IdentifierKind::Email, found });
    }
    match address.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => {
            Ok(Identifier::Email(lower_case(cell, address)))
        }
        _ => Err(InvalidIdentifier::Email),
    }
}

/// An email address without the `mailto:` and the `<…>` around it.
pub fn unwrapped_email(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let is_link = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    match inner.or_else(|| is_link.then(|| &text[7..])) {
        Some(inner) => unwrapped_email(inner),
        None => text,
    }
}

fn is_foreign_to_emails(c: char) -> bool {
    const MARKS: [char; 15] =
        ['"', '“', '”', '„', '‟', '«', '»', '‘', '’', '‚', '‛', ',', ';', '<', '>'];
    is_unseen(c) || MARKS.contains(&c)
}

fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_separator(c) || is_invisible(c)
}

fn username(cell: &Arc<str>) -> Result<Identifier, InvalidIdentifier> {
    match cell.chars().find(|&c| is_unseen(c)) {
        None => Ok(Identifier::Username(lower_case(cell, cell))),
        Some(found) => Err(InvalidIdentifier::Character { kind: IdentifierKind::Username, found }),
    }
}

/// People write `+1 (555) 123-4567`; Clerk stores `+15551234567`.
fn phone(cell: &str) -> Result<Identifier, InvalidIdentifier> {
    let digits = cell.strip_prefix('+').ok_or(InvalidIdentifier::Phone)?;
    let bare: String =
        digits.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let is_number = (4..=15).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        Ok(Identifier::Phone(format!("+{bare}").into()))
    } else {
        Err(InvalidIdentifier::Phone)
    }
}

/// A part of a cell in lower case; shares the cell's text where both are the same.
fn lower_case(cell: &Arc<str>, part: &str) -> Arc<str> {
    if part.contains(char::is_uppercase) {
        part.to_lowercase().into()
    } else if part.len() == cell.len() {
        Arc::clone(cell)
    } else {
        part.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: IdentifierKind, cell: &str) -> Result<String, InvalidIdentifier> {
        Identifier::parse(kind, &cell.into()).map(|it| it.as_str().to_owned())
    }

    #[test]
    fn an_email_is_compared_in_lower_case() {
        assert_eq!(parse(IdentifierKind::Email, "A.B+c@Ex.org"), Ok("a.b+c@ex.org".into()));
        assert_eq!(parse(IdentifierKind::Email, "o'brien@x.org"), Ok("o'brien@x.org".into()));
    }

    #[test]
    fn an_email_is_taken_out_of_its_link_and_its_brackets() {
        for cell in ["<a@x.org>", "mailto:a@x.org", "MailTo: a@x.org", "<mailto:A@x.org>"] {
            assert_eq!(parse(IdentifierKind::Email, cell), Ok("a@x.org".into()), "{cell}");
        }
    }

    #[test]
    fn a_cell_that_is_not_an_email_is_refused() {
        for cell in ["alice", "@x", "a@", "a@b@c", "<>", "mailto:"] {
            assert_eq!(parse(IdentifierKind::Email, cell), Err(InvalidIdentifier::Email), "{cell}");
        }
    }

    #[test]
    fn the_error_names_a_character_that_no_email_contains() {
        for (cell, name) in [
            ("a b@x.org", "a space"),
            ("a@x.org;", "\";\""),
            ("a@x.org,b@x.org", "\",\""),
            ("\"a\"@x.org", "\"\"\""),
            ("Ann <a@x.org>", "a space"),
            ("<a@x.org", "\"<\""),
            ("\u{200b}a@x.org", "U+200B"),
            ("a@x.org\u{202e}", "U+202E"),
            ("a\u{a0}@x.org", "U+00A0"),
            ("a@x.org”", "U+201D"),
        ] {
            let why = parse(IdentifierKind::Email, cell).unwrap_err().to_string();
            assert!(why.starts_with("an email address cannot contain "), "{cell}: {why}");
            assert!(why.contains(name), "{cell}: {why}");
        }
    }

    #[test]
    fn a_username_contains_neither_white_space_nor_invisible_characters() {
        assert_eq!(parse(IdentifierKind::Username, "Ann.B"), Ok("ann.b".into()));
        for (cell, found) in [("ann b", ' '), ("ann\u{200b}", '\u{200b}')] {
            let why = InvalidIdentifier::Character { kind: IdentifierKind::Username, found };
            assert_eq!(parse(IdentifierKind::Username, cell), Err(why), "{cell:?}");
        }
    }

    #[test]
    fn punctuation_in_a_phone_number_is_removed() {
        assert_eq!(parse(IdentifierKind::Phone, "+1 (555) 123-4567"), Ok("+15551234567".into()));
        assert_eq!(parse(IdentifierKind::Phone, "5551234567"), Err(InvalidIdentifier::Phone));
        assert_eq!(parse(IdentifierKind::Phone, "+1x"), Err(InvalidIdentifier::Phone));
    }

    #[test]
    fn an_external_id_is_kept_to_the_letter() {
        assert_eq!(parse(IdentifierKind::ExternalId, "-Ab c"), Ok("-Ab c".into()));
        assert_eq!(parse(IdentifierKind::ExternalId, ""), Err(InvalidIdentifier::Empty));
    }
}
