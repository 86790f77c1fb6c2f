//! What is asked, as URLs.

use url::form_urlencoded::{Serializer, byte_serialize};

use crate::model::{Identifier, IdentifierKind, UserId};

use super::{ApiAddress, CreatedAt, PageRequest};

/// The most identifiers that the API takes in one look-up.
pub const MAX_LOOK_UP: usize = 100;
/// The most users that the API puts on one page.
pub const MAX_PAGE: u16 = 500;

/// The longest query, in bytes: what servers and proxies take at least, some room kept for the
/// rest of the line. A hundred user ids need 4,500.
const MAX_QUERY: usize = 7_500;

/// How many of these identifiers, from the first on, go into one look-up: at most
/// [`MAX_LOOK_UP`], fewer when they are so long that the URL would be refused, and at least one
/// (zero of none).
pub fn n_that_fit(identifiers: &[Identifier]) -> usize {
    let lengths = identifiers.iter().take(MAX_LOOK_UP).scan(0, |length, identifier| {
        *length += query_len(identifier);
        Some(*length)
    });
    let n_fitting = lengths.take_while(|length| *length <= MAX_QUERY).count();
    n_fitting.max(identifiers.len().min(1))
}

/// The URLs of one API, each made of a whole path and encoded pairs: nothing that is asked for can
/// change what is asked.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    users: String,
}

impl Urls {
    pub(super) fn new(address: &ApiAddress) -> Self {
        Self { users: format!("{address}/v1/users") }
    }

    /// A [`UserId`] holds nothing that would have to be encoded.
    pub(super) fn unlock(&self, user: &UserId) -> String {
        format!("{}/{user}/unlock", self.users)
    }

    pub(super) fn look_up(&self, identifiers: &[Identifier]) -> String {
        let mut query = self.query("");
        // One email address may belong to several users, so more than were asked for may come.
        query.append_pair("limit", "500");
        for identifier in identifiers {
            let (sign, text) = (sign(identifier), identifier.as_str());
            query.append_pair(identifier.kind().query_parameter(), &format!("{sign}{text}"));
        }
        query.finish()
    }

    pub(super) fn page(&self, page: &PageRequest) -> String {
        let mut query = self.query("");
        query.append_pair("limit", &page.limit.to_string());
        if let Some(last) = &page.starting_after {
            query.append_pair("starting_after", last.as_str());
        }
        append_created_at(&mut query, page.created_at);
        if page.oldest_first {
            query.append_pair("order_by", "+created_at");
        }
        query.finish()
    }

    pub(super) fn count(&self, created_at: CreatedAt) -> String {
        let mut query = self.query("/count");
        append_created_at(&mut query, created_at);
        query.finish()
    }

    fn query(&self, path: &str) -> Serializer<'static, String> {
        let url = format!("{}{path}?", self.users);
        let query_at = url.len();
        Serializer::for_suffix(url, query_at)
    }
}

/// The API reads a `+` or `-` before an external id as "these" and "all but these": without a sign
/// of ours, a look-up of the external id `-7` would list everybody else. It reads user ids likewise,
/// but none begins with a sign.
fn sign(identifier: &Identifier) -> &'static str {
    let is_external = identifier.kind() == IdentifierKind::ExternalId;
    if is_external && identifier.as_str().starts_with(['+', '-']) { "+" } else { "" }
}

fn append_created_at(query: &mut Serializer<'_, String>, created_at: CreatedAt) {
    let bounds = [("created_at_before", created_at.before), ("created_at_after", created_at.after)];
    for (name, bound) in bounds {
        if let Some(bound) = bound {
            query.append_pair(name, &bound.to_string());
        }
    }
}

/// The length of `&name=value`, encoded.
fn query_len(identifier: &Identifier) -> usize {
    let value: usize = byte_serialize(identifier.as_str().as_bytes()).map(str::len).sum();
    "&=%2B".len() + identifier.kind().query_parameter().len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Urls {
        Urls::new(&ApiAddress::default())
    }

    fn identifier(kind: IdentifierKind, cell: &str) -> Identifier {
        Identifier::parse(kind, &cell.into()).unwrap()
    }

    /// The query of a look-up, after its limit.
    #[track_caller]
    fn looks_up(kind: IdentifierKind, cell: &str, expected: &str) {
        let url = urls().look_up(&[identifier(kind, cell)]);
        let query = url.strip_prefix("https://api.clerk.com/v1/users?limit=500&").unwrap();
        assert_eq!(query, expected);
    }

    #[test]
    fn the_id_is_a_path_segment_of_an_unlock() {
        let url = urls().unlock(&"user_2abc".parse().unwrap());
        assert_eq!(url, "https://api.clerk.com/v1/users/user_2abc/unlock");
    }

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        looks_up(IdentifierKind::Email, "a+b@x.org", "email_address=a%2Bb%40x.org");
        looks_up(
            IdentifierKind::Email,
            "-a&b=c#d%e@x.org",
            "email_address=-a%26b%3Dc%23d%25e%40x.org",
        );
        looks_up(IdentifierKind::Phone, "+1 555 1234", "phone_number=%2B15551234");
        looks_up(IdentifierKind::Username, "élan_1", "username=%C3%A9lan_1");
    }

    #[test]
    fn an_external_id_that_begins_with_a_sign_is_given_another_so_that_it_excludes_nobody() {
        looks_up(IdentifierKind::UserId, "user_a", "user_id=user_a");
        looks_up(IdentifierKind::ExternalId, "7-", "external_id=7-");
        looks_up(IdentifierKind::ExternalId, "-7", "external_id=%2B-7");
        looks_up(IdentifierKind::ExternalId, "+7", "external_id=%2B%2B7");
    }

    #[test]
    fn a_parameter_is_repeated_for_each_identifier() {
        let ids = ["user_a", "user_b"].map(|id| identifier(IdentifierKind::UserId, id));
        let url = urls().look_up(&ids);
        assert!(url.ends_with("?limit=500&user_id=user_a&user_id=user_b"), "{url}");
    }

    #[test]
    fn a_page_names_its_limit_its_cursor_and_its_range() {
        let mut page = PageRequest::default();
        assert!(urls().page(&page).ends_with("/v1/users?limit=500"));
        page.starting_after = Some("user_z".parse().unwrap());
        page.created_at = CreatedAt { before: Some(20), after: Some(-10) };
        let url = urls().page(&page);
        let query = "limit=500&starting_after=user_z&created_at_before=20&created_at_after=-10";
        assert_eq!(url.split_once('?').unwrap().1, query);
        let oldest = PageRequest { limit: 1, oldest_first: true, ..PageRequest::default() };
        assert!(urls().page(&oldest).ends_with("?limit=1&order_by=%2Bcreated_at"));
    }

    #[test]
    fn a_count_takes_the_same_range() {
        assert!(urls().count(CreatedAt::default()).ends_with("/v1/users/count?"));
        let created_at = CreatedAt { before: None, after: Some(1) };
        assert!(urls().count(created_at).ends_with("/v1/users/count?created_at_after=1"));
    }

    #[track_caller]
    fn fits(kind: IdentifierKind, cell: &str, n: usize, expected: usize) {
        let identifiers = vec![identifier(kind, cell); n];
        let n_fitting = n_that_fit(&identifiers);
        assert_eq!(n_fitting, expected);
        let query = urls().look_up(&identifiers[..n_fitting]).split_once('?').unwrap().1.len();
        assert!(n_fitting < 2 || query <= MAX_QUERY + "limit=500".len(), "{query}");
    }

    #[test]
    fn a_hundred_fit_unless_they_are_too_long() {
        fits(IdentifierKind::UserId, "user_2NNEqL2nrIRdJ194ndJqAHwEfxC", 250, 100);
        fits(IdentifierKind::Email, &format!("{}@example.org", "a".repeat(30)), 250, 100);
        fits(IdentifierKind::UserId, "user_a", 3, 3);
        fits(IdentifierKind::UserId, "user_a", 0, 0);
        fits(IdentifierKind::ExternalId, &"é".repeat(128), 250, 9);
    }
}
