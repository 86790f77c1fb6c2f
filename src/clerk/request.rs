//! The URLs of requests.

use std::borrow::Cow;

use url::form_urlencoded::{Serializer, byte_serialize};

use super::{ApiAddress, UserId};

/// The maximum number of identifiers in one look-up.
pub const MAX_LOOK_UP: usize = 100;
/// The maximum number of users on one page.
pub const MAX_PAGE: u16 = 500;

/// The maximum length of a query, in bytes: the minimum that servers and proxies accept, less the
/// rest of the request line. A hundred user ids have 4,500.
const MAX_QUERY: usize = 7_500;

/// Which users to walk or to count (default: all). A user must meet every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserFilter {
    /// When the user was created.
    pub created_at: TimeRange,
    /// When the user last signed in. With a bound, users who never signed in do not match.
    pub last_sign_in_at: TimeRange,
    /// The user is a member of one of these organizations, `org_…`; empty: no condition.
    pub organization_ids: Vec<String>,
    /// Members of none of these organizations.
    pub excluded_organization_ids: Vec<String>,
    /// Whether the user is banned; `None`: no condition.
    pub banned: Option<bool>,
}

/// A range of time, in Unix milliseconds. Clerk does not document whether the bounds are included,
/// so adjacent ranges should overlap by a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The lower bound, if any.
    pub after: Option<i64>,
    /// The upper bound, if any.
    pub before: Option<i64>,
}

/// One page of a walk over the users.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageRequest {
    /// Which users. Must be the same for all pages of a walk.
    pub filter: UserFilter,
    /// The maximum number of users on the page, 1 to [`MAX_PAGE`].
    pub limit: u16,
    /// The last user of the previous page; `None` for the first page.
    pub starting_after: Option<UserId>,
    /// Whether the oldest users come first, instead of the newest.
    pub oldest_first: bool,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            filter: UserFilter::default(),
            limit: MAX_PAGE,
            starting_after: None,
            oldest_first: false,
        }
    }
}

/// How many of these values, starting with the first, fit into one look-up by this query parameter:
/// at most [`MAX_LOOK_UP`], fewer if the URL would be too long, but at least one unless `values` is
/// empty.
pub(crate) fn n_that_fit<'v>(parameter: &str, values: impl IntoIterator<Item = &'v str>) -> usize {
    let mut n_bytes = 0;
    let mut n_values = 0;
    for value in values.into_iter().take(MAX_LOOK_UP) {
        n_bytes += query_len(parameter, value);
        if n_bytes > MAX_QUERY && n_values > 0 {
            break;
        }
        n_values += 1;
    }
    n_values
}

/// The URLs of one API. Paths are fixed and values are encoded, so that no value can change the
/// request.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    users: String,
}

impl Urls {
    pub(super) fn new(address: &ApiAddress) -> Self {
        Self { users: format!("{address}/v1/users") }
    }

    /// A [`UserId`] needs no encoding.
    pub(super) fn unlock(&self, user: &UserId) -> String {
        format!("{}/{user}/unlock", self.users)
    }

    pub(super) fn lock(&self, user: &UserId) -> String {
        format!("{}/{user}/lock", self.users)
    }

    pub(super) fn look_up<'v>(
        &self,
        parameter: &str,
        values: impl IntoIterator<Item = &'v str>,
    ) -> String {
        let mut query = self.query("");
        // One email address may belong to several users, so there may be more users than values.
        query.append_pair("limit", "500");
        for value in values {
            // The API also reads a sign in `user_id`, but no user id begins with one.
            if parameter == "external_id" {
                query.append_pair(parameter, &including(value));
            } else {
                query.append_pair(parameter, value);
            }
        }
        query.finish()
    }

    pub(super) fn page(&self, page: &PageRequest) -> String {
        let mut query = self.query("");
        query.append_pair("limit", &page.limit.to_string());
        if let Some(last) = &page.starting_after {
            query.append_pair("starting_after", last.as_str());
        }
        append_filter(&mut query, &page.filter);
        if page.oldest_first {
            query.append_pair("order_by", "+created_at");
        }
        query.finish()
    }

    pub(super) fn count(&self, filter: &UserFilter) -> String {
        let mut query = self.query("/count");
        append_filter(&mut query, filter);
        query.finish()
    }

    fn query(&self, path: &str) -> Serializer<'static, String> {
        let url = format!("{}{path}?", self.users);
        let query_at = url.len();
        Serializer::for_suffix(url, query_at)
    }
}

/// The value with a `+` in front of a sign of its own: the API reads a `+` or `-` before a value as
/// "include" or "exclude", so the external id `-7` would list all other users.
fn including(value: &str) -> Cow<'_, str> {
    if value.starts_with(['+', '-']) { format!("+{value}").into() } else { value.into() }
}

fn append_filter(query: &mut Serializer<'_, String>, filter: &UserFilter) {
    let bounds = [
        ("created_at_before", filter.created_at.before),
        ("created_at_after", filter.created_at.after),
        ("last_sign_in_at_before", filter.last_sign_in_at.before),
        ("last_sign_in_at_after", filter.last_sign_in_at.after),
    ];
    for (name, bound) in bounds {
        if let Some(bound) = bound {
            query.append_pair(name, &bound.to_string());
        }
    }
    for organization in &filter.organization_ids {
        query.append_pair("organization_id", &including(organization));
    }
    for organization in &filter.excluded_organization_ids {
        query.append_pair("organization_id", &format!("-{organization}"));
    }
    if let Some(banned) = filter.banned {
        query.append_pair("banned", if banned { "true" } else { "false" });
    }
}

/// The length of `&name=value`, encoded.
fn query_len(parameter: &str, value: &str) -> usize {
    let value: usize = byte_serialize(value.as_bytes()).map(str::len).sum();
    "&=%2B".len() + parameter.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Urls {
        Urls::new(&ApiAddress::default())
    }

    /// The query of a look-up, after its limit.
    #[track_caller]
    fn looks_up(parameter: &str, value: &str, expected: &str) {
        let url = urls().look_up(parameter, [value]);
        let query = url.strip_prefix("https://api.clerk.com/v1/users?limit=500&").unwrap();
        assert_eq!(query, expected);
    }

    #[test]
    fn the_id_of_a_user_is_a_path_segment() {
        let user = "user_2abc".parse().unwrap();
        assert_eq!(urls().unlock(&user), "https://api.clerk.com/v1/users/user_2abc/unlock");
        assert_eq!(urls().lock(&user), "https://api.clerk.com/v1/users/user_2abc/lock");
    }

    #[test]
    fn special_characters_are_encoded() {
        looks_up("email_address", "a+b@x.org", "email_address=a%2Bb%40x.org");
        looks_up("email_address", "-a&b=c#d%e@x.org", "email_address=-a%26b%3Dc%23d%25e%40x.org");
        looks_up("phone_number", "+15551234", "phone_number=%2B15551234");
        looks_up("username", "élan_1", "username=%C3%A9lan_1");
    }

    #[test]
    fn an_external_id_with_a_sign_gets_a_plus_and_excludes_no_user() {
        looks_up("user_id", "user_a", "user_id=user_a");
        looks_up("external_id", "7-", "external_id=7-");
        looks_up("external_id", "-7", "external_id=%2B-7");
        looks_up("external_id", "+7", "external_id=%2B%2B7");
    }

    #[test]
    fn the_parameter_is_repeated_for_each_value() {
        let url = urls().look_up("user_id", ["user_a", "user_b"]);
        assert!(url.ends_with("?limit=500&user_id=user_a&user_id=user_b"), "{url}");
    }

    fn filter() -> UserFilter {
        UserFilter {
            created_at: TimeRange { before: Some(20), after: Some(-10) },
            last_sign_in_at: TimeRange { before: None, after: Some(5) },
            organization_ids: vec!["org_a".into(), "-org_b".into()],
            excluded_organization_ids: vec!["org_c".into()],
            banned: Some(false),
        }
    }

    const FILTER: &str = "created_at_before=20&created_at_after=-10&last_sign_in_at_after=5&\
        organization_id=org_a&organization_id=%2B-org_b&organization_id=-org_c&banned=false";

    #[test]
    fn a_page_has_a_limit_a_cursor_and_a_filter() {
        let mut page = PageRequest::default();
        assert!(urls().page(&page).ends_with("/v1/users?limit=500"));
        page.starting_after = Some("user_z".parse().unwrap());
        page.filter = filter();
        let url = urls().page(&page);
        let query = format!("limit=500&starting_after=user_z&{FILTER}");
        assert_eq!(url.split_once('?').unwrap().1, query);
        let oldest = PageRequest { limit: 1, oldest_first: true, ..PageRequest::default() };
        assert!(urls().page(&oldest).ends_with("/v1/users?limit=1&order_by=%2Bcreated_at"));
    }

    #[test]
    fn a_count_has_the_same_filter() {
        assert!(urls().count(&UserFilter::default()).ends_with("/v1/users/count?"));
        assert!(urls().count(&filter()).ends_with(&format!("/v1/users/count?{FILTER}")));
    }

    #[track_caller]
    fn fits(parameter: &str, value: &str, n: usize, expected: usize) {
        let values = vec![value; n];
        let n_fitting = n_that_fit(parameter, values.iter().copied());
        assert_eq!(n_fitting, expected);
        let url = urls().look_up(parameter, values[..n_fitting].iter().copied());
        let n_bytes = url.split_once('?').unwrap().1.len();
        assert!(n_fitting < 2 || n_bytes <= MAX_QUERY + "limit=500".len(), "{n_bytes}");
    }

    #[test]
    fn a_hundred_values_fit_unless_the_url_is_too_long() {
        fits("user_id", "user_2NNEqL2nrIRdJ194ndJqAHwEfxC", 250, 100);
        fits("email_address", &format!("{}@example.org", "a".repeat(30)), 250, 100);
        fits("user_id", "user_a", 3, 3);
        fits("user_id", "user_a", 0, 0);
        fits("external_id", &"é".repeat(128), 250, 9);
        fits("external_id", &"é".repeat(5_000), 2, 1);
    }
}
