//! The id of a user.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of one Clerk user: `user_` and 1 to 64 ASCII letters and digits.
///
/// A user id is safe in a URL path, in a CSV cell and on a terminal. The part after `user_` is
/// opaque; today, it is a KSUID of 27 characters.
///
/// ```
/// use bulk_unlock::clerk::UserId;
///
/// let id: UserId = "user_2abc".parse()?;
/// assert_eq!(id.as_str(), "user_2abc");
/// assert!("user_1/ban".parse::<UserId>().is_err());
/// # Ok::<(), bulk_unlock::clerk::InvalidUserId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The prefix of every user id.
    pub const PREFIX: &'static str = "user_";
    /// The maximum number of characters after the prefix.
    pub const MAX_TAIL: usize = 64;

    /// Parses shared text without copying it.
    ///
    /// # Errors
    ///
    /// As for [`UserId::from_str`].
    pub fn from_shared(text: &Arc<str>) -> Result<Self, InvalidUserId> {
        check(text).map(|()| Self(Arc::clone(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        check(text).map(|()| Self(Arc::from(text)))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why text is not a user id. The message does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUserId {
    /// The text is empty.
    #[error("the cell is empty")]
    Empty,
    /// The id of another kind of object, such as `sess_…` or `org_…`.
    #[error("a user id starts with \"user_\"; this looks like the id of another kind of object")]
    OtherObject,
    /// Does not start with `user_`.
    #[error("a user id starts with \"user_\"")]
    NoPrefix,
    /// Nothing follows `user_`.
    #[error("nothing follows \"user_\"")]
    NoTail,
    /// A character that is not allowed in an id.
    #[error("{} is not allowed in a user id; only ASCII letters and digits follow \"user_\"", named(*.0))]
    BadCharacter(char),
    /// More than [`UserId::MAX_TAIL`] characters after the prefix.
    #[error("{0} characters follow \"user_\"; a user id has at most 64")]
    TooLong(usize),
}

fn named(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c if c.is_ascii_graphic() || c.is_alphanumeric() => format!("\"{c}\""),
        c => format!("the character U+{:04X}", u32::from(c)),
    }
}

fn check(text: &str) -> Result<(), InvalidUserId> {
    if text.is_empty() {
        return Err(InvalidUserId::Empty);
    }
    let Some(tail) = text.strip_prefix(UserId::PREFIX) else {
        return Err(no_prefix(text));
    };
    if tail.is_empty() {
        return Err(InvalidUserId::NoTail);
    }
    if let Some(bad) = tail.chars().find(|c| !c.is_ascii_alphanumeric()) {
        return Err(InvalidUserId::BadCharacter(bad));
    }
    if tail.len() > UserId::MAX_TAIL {
        return Err(InvalidUserId::TooLong(tail.len()));
    }
    Ok(())
}

fn no_prefix(text: &str) -> InvalidUserId {
    let is_other_object = text.split_once('_').is_some_and(|(prefix, tail)| {
        !prefix.is_empty()
            && prefix.bytes().all(|b| b.is_ascii_lowercase())
            && tail.len() >= 20
            && tail.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if is_other_object { InvalidUserId::OtherObject } else { InvalidUserId::NoPrefix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: InvalidUserId) {
        assert_eq!(text.parse::<UserId>(), Err(expected), "{text:?}");
    }

    #[test]
    fn a_clerk_id_is_accepted_unchanged() {
        let id: UserId = "user_2NNEqL2nrIRdJ194ndJqAHwEfxC".parse().unwrap();
        assert_eq!(id.to_string(), "user_2NNEqL2nrIRdJ194ndJqAHwEfxC");
    }

    #[test]
    fn one_to_sixty_four_characters_follow_the_prefix() {
        assert!("user_a".parse::<UserId>().is_ok());
        assert!(format!("user_{}", "a".repeat(64)).parse::<UserId>().is_ok());
        refused(&format!("user_{}", "a".repeat(65)), InvalidUserId::TooLong(65));
    }

    #[test]
    fn each_invalid_user_id_has_its_own_error() {
        refused("", InvalidUserId::Empty);
        refused("user_", InvalidUserId::NoTail);
        refused("alice", InvalidUserId::NoPrefix);
        refused("User_abc", InvalidUserId::NoPrefix);
        refused("-user_x", InvalidUserId::NoPrefix);
        refused("../x", InvalidUserId::NoPrefix);
        refused("sess_2NNEqL2nrIRdJ194ndJqAHwEfxC", InvalidUserId::OtherObject);
        refused("user_1/ban", InvalidUserId::BadCharacter('/'));
        refused("user_a b", InvalidUserId::BadCharacter(' '));
        refused("user_a_b", InvalidUserId::BadCharacter('_'));
        refused("user_é", InvalidUserId::BadCharacter('é'));
        refused("user_a\u{200b}", InvalidUserId::BadCharacter('\u{200b}'));
    }

    #[test]
    fn an_invisible_character_is_shown_as_its_code_point() {
        let error = "user_a\u{200b}".parse::<UserId>().unwrap_err();
        assert!(error.to_string().contains("U+200B"), "{error}");
    }

    #[test]
    fn shared_text_is_not_copied() {
        let text: Arc<str> = Arc::from("user_a");
        let id = UserId::from_shared(&text).unwrap();
        assert_eq!(id.as_str().as_ptr(), text.as_ptr());
    }
}
