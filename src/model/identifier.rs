//! What may stand in the input's column: a user id, or something a user can be looked up by.

use std::fmt;
use std::sync::Arc;

use super::{InvalidUserId, UserId};

/// What the input's column holds (`--by`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Clerk's own ids, `user_…`.
    #[default]
    UserId,
    /// Email addresses; compared without regard to case, as Clerk does.
    Email,
    /// Phone numbers, in international form.
    Phone,
    /// User names; compared without regard to case, as Clerk does.
    Username,
    /// The customer's own ids; compared to the letter.
    ExternalId,
}

impl IdentifierKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::UserId, Self::Email, Self::Phone, Self::Username, Self::ExternalId];

    /// The word for it in a sentence: "no user has this email address".
    pub fn noun(self) -> &'static str {
        match self {
            Self::UserId => "user id",
            Self::Email => "email address",
            Self::Phone => "phone number",
            Self::Username => "user name",
            Self::ExternalId => "external id",
        }
    }

    /// The word for it on the command line and in a manifest.
    pub fn flag_value(self) -> &'static str {
        match self {
            Self::UserId => "user-id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Username => "username",
            Self::ExternalId => "external-id",
        }
    }

    /// The query parameter of `GET /v1/users` that looks users up by it.
    pub fn query_parameter(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email_address",
            Self::Phone => "phone_number",
            Self::Username => "username",
            Self::ExternalId => "external_id",
        }
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
    /// When the cell can't be an identifier of that kind; nothing would be sent for it.
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

    /// The user's id, where that is what the input gave.
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

/// Why a cell can't be an identifier of the kind that the column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentifier {
    /// Not a user id.
    #[error(transparent)]
    UserId(#[from] InvalidUserId),
    /// A blank cell.
    #[error("the cell is empty")]
    Empty,
    /// Longer than [`Identifier::MAX_LEN`].
    #[error("{length} bytes are too long for {article} {noun}", article = article(*kind), noun = kind.noun())]
    TooLong {
        /// What it should have been.
        kind: IdentifierKind,
        /// Its length in bytes.
        length: usize,
    },
    /// Not of the form `name@host`.
    #[error("an email address has one \"@\" with something on both sides and no spaces")]
    Email,
    /// Not in international form.
    #[error("a phone number is written in international form, such as +15551234567")]
    Phone,
    /// White space inside.
    #[error("a user name has no spaces in it")]
    Username,
}

fn article(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Email | IdentifierKind::ExternalId => "an",
        IdentifierKind::UserId | IdentifierKind::Phone | IdentifierKind::Username => "a",
    }
}

fn email(cell: &Arc<str>) -> Result<Identifier, InvalidIdentifier> {
    let is_email = cell
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !cell.contains(char::is_whitespace);
    if is_email { Ok(Identifier::Email(lower_case(cell))) } else { Err(InvalidIdentifier::Email) }
}

fn username(cell: &Arc<str>) -> Result<Identifier, InvalidIdentifier> {
    if cell.contains(char::is_whitespace) {
        return Err(InvalidIdentifier::Username);
    }
    Ok(Identifier::Username(lower_case(cell)))
}

/// People write `+1 (555) 123-4567`; Clerk holds `+15551234567`.
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

fn lower_case(cell: &Arc<str>) -> Arc<str> {
    if cell.contains(char::is_uppercase) { cell.to_lowercase().into() } else { Arc::clone(cell) }
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
    }

    #[test]
    fn what_is_no_email_is_refused() {
        for cell in ["alice", "@x", "a@", "a@b@c", "a b@c"] {
            assert_eq!(parse(IdentifierKind::Email, cell), Err(InvalidIdentifier::Email), "{cell}");
        }
    }

    #[test]
    fn a_phone_number_loses_what_people_write_between_the_digits() {
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
