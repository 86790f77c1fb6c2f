//! The query of `GET /v1/users` and `GET /v1/users/count`, and the users that match it.

use std::collections::BTreeMap;
use std::ops::Range;

use url::form_urlencoded;

use crate::model::UserId;

use super::response::ApiError;
use super::{FakeUser, Population};

/// Parameters that identify users: each value leads to its users without a walk.
const IDENTIFIERS: [&str; 5] =
    ["user_id", "email_address", "phone_number", "username", "external_id"];
const ORGANIZATION: &str = "organization_id";
const MAX_VALUES: usize = 100;
const MAX_LIMIT: usize = 500;

/// A parsed query. A user must pass all filters.
pub(super) struct ListQuery {
    /// Values to include of the first identifier parameter.
    identified: Option<(&'static str, Vec<String>)>,
    /// IDs to include, for the request log.
    pub(super) user_ids: Vec<String>,
    filters: Vec<Filter>,
    /// Time of creation in Unix milliseconds; both bounds are exclusive in the API.
    created: Range<u64>,
    starting_after: Option<UserId>,
    is_oldest_first: bool,
    limit: usize,
    offset: usize,
}

type Filter = Box<dyn Fn(&FakeUser) -> bool + Send + Sync>;

impl ListQuery {
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut list = Self {
            identified: None,
            user_ids: Vec::new(),
            filters: Vec::new(),
            created: 0..u64::MAX,
            starting_after: None,
            is_oldest_first: false,
            limit: 10,
            offset: 0,
        };
        let mut values = BTreeMap::<&str, Vec<String>>::new();
        let mut order = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let repeated = IDENTIFIERS.into_iter().chain([ORGANIZATION]).find(|it| *it == name);
            if let Some(name) = repeated {
                values.entry(name).or_default().push(value.into_owned());
            } else if name == "order_by" {
                // Clerk ignores all but the first.
                order = order.or(Some(value));
            } else {
                list.set(&name, &value)?;
            }
        }
        for (name, values) in values {
            list.match_any(name, values)?;
        }
        list.is_oldest_first = match order.as_deref() {
            None | Some("-created_at") => false,
            // A plus sign that was not encoded arrives as a space.
            Some("created_at" | "+created_at" | " created_at") => true,
            Some(_) => return Err(ApiError::parameter("order_by", "must be created_at")),
        };
        if list.starting_after.is_some() && list.offset > 0 {
            return Err(ApiError::parameter("starting_after", "cannot be combined with offset"));
        }
        Ok(list)
    }

    /// Whether the query identifies users, in contrast to a walk.
    pub(super) fn identifies_users(&self) -> bool {
        self.identified.is_some()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let number = || value.parse::<u64>().map_err(|_| ApiError::parameter(name, "not a number"));
        match name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit = limit.ok_or_else(|| ApiError::parameter(name, "not from 1 to 500"))?;
            }
            "offset" => self.offset = usize::try_from(number()?).unwrap_or(usize::MAX),
            "starting_after" => {
                let id = value.parse().map_err(|_| ApiError::parameter(name, "not a user ID"))?;
                self.starting_after = Some(id);
            }
            "created_at_after" => self.created.start = number()?.saturating_add(1),
            "created_at_before" => self.created.end = number()?,
            "last_sign_in_at_after"
            | "last_sign_in_at_before"
            | "last_active_at_after"
            | "last_active_at_before" => {
                let at = number()?;
                let is_after = name.ends_with("_after");
                let is_sign_in = name.starts_with("last_sign_in");
                self.filters.push(Box::new(move |user| {
                    let date =
                        if is_sign_in { user.last_sign_in_at } else { user.last_active_at() };
                    date.is_some_and(|date| if is_after { date > at } else { date < at })
                }));
            }
            "banned" => {
                let banned = value.parse::<bool>();
                let banned = banned.map_err(|_| ApiError::parameter(name, "not a boolean"))?;
                self.filters.push(Box::new(move |user| user.banned == banned));
            }
            "query"
            | "email_address_query"
            | "phone_number_query"
            | "username_query"
            | "name_query" => {
                let (name, needle) = (name.to_owned(), value.to_lowercase());
                self.filters.push(Box::new(move |user| user.contains(&name, &needle)));
            }
            _ => return Err(ApiError::parameter(name, "not a parameter of the sandbox")),
        }
        Ok(())
    }

    /// Users must have one of the values of this parameter. IDs may have a sign: `+` to include
    /// those users, `-` to exclude them.
    fn match_any(&mut self, name: &'static str, values: Vec<String>) -> Result<(), ApiError> {
        if values.len() > MAX_VALUES {
            return Err(ApiError::parameter(name, "more than 100 values"));
        }
        let is_signed = name.ends_with("_id");
        let (excluded, included): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|value| is_signed && value.starts_with('-'));
        let sign: &[char] = if is_signed { &['+', '-'] } else { &[] };
        let unsigned = |values: Vec<String>| -> Vec<String> {
            values.iter().map(|it| it.strip_prefix(sign).unwrap_or(it).to_owned()).collect()
        };
        let (included, excluded) = (unsigned(included), unsigned(excluded));
        if name == "user_id" {
            self.user_ids.clone_from(&included);
        }
        if name != ORGANIZATION && !included.is_empty() && self.identified.is_none() {
            self.identified = Some((name, included.clone()));
        }
        self.filters.push(Box::new(move |user| {
            let has_any = |values: &[String]| values.iter().any(|value| user.has(name, value));
            (included.is_empty() || has_any(&included)) && !has_any(&excluded)
        }));
        Ok(())
    }
}

/// The users that an instance lists, in the order of their creation.
pub(super) struct Directory {
    pub(super) population: Population,
    /// Four bytes per user are all that a listed user takes.
    oldest_first: Vec<u32>,
}

impl Directory {
    pub(super) fn new(population: Population, n_users: u32) -> Self {
        let mut oldest_first: Vec<u32> = (0..n_users).collect();
        oldest_first.sort_unstable_by_key(|&index| population.created_at(index));
        Self { population, oldest_first }
    }

    /// One page of the users that match.
    pub(super) fn page(&self, query: &ListQuery) -> Result<Vec<FakeUser>, ApiError> {
        Ok(self.matching(query)?.skip(query.offset).take(query.limit).collect())
    }

    /// Number of users that match, on all pages.
    pub(super) fn count(&self, query: &ListQuery) -> Result<usize, ApiError> {
        if query.filters.is_empty() {
            return Ok(self.listed(&self.created(query)?).len());
        }
        Ok(self.matching(query)?.count())
    }

    fn matching<'a>(
        &'a self,
        query: &'a ListQuery,
    ) -> Result<Box<dyn Iterator<Item = FakeUser> + 'a>, ApiError> {
        let created = self.created(query)?;
        let passes = |user: &FakeUser| query.filters.iter().all(|filter| filter(user));
        let users: Box<dyn DoubleEndedIterator<Item = FakeUser>> = match &query.identified {
            Some((name, values)) => {
                let found = values.iter().flat_map(|value| self.population.find(name, value));
                let mut users: Vec<_> =
                    found.filter(|user| created.contains(&user.created_at)).collect();
                users.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
                users.dedup_by(|a, b| a.id == b.id);
                Box::new(users.into_iter())
            }
            None => Box::new(
                self.listed(&created)
                    .iter()
                    .filter_map(|&index| self.population.user(&self.population.listed_id(index))),
            ),
        };
        if query.is_oldest_first {
            Ok(Box::new(users.filter(passes)))
        } else {
            Ok(Box::new(users.rev().filter(passes)))
        }
    }

    /// Times of creation of the users that match. No two listed users share one, so a cursor is a
    /// bound too.
    fn created(&self, query: &ListQuery) -> Result<Range<u64>, ApiError> {
        let Range { mut start, mut end } = query.created;
        if let Some(id) = &query.starting_after {
            let user = self.population.user(id);
            let user = user.ok_or_else(|| ApiError::parameter("starting_after", "no such user"))?;
            if query.is_oldest_first {
                start = start.max(user.created_at + 1);
            } else {
                end = end.min(user.created_at);
            }
        }
        Ok(start..end.max(start))
    }

    fn listed(&self, created: &Range<u64>) -> &[u32] {
        let index_at =
            |at| self.oldest_first.partition_point(|&index| self.population.created_at(index) < at);
        &self.oldest_first[index_at(created.start)..index_at(created.end)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N_USERS: u32 = 1_234;

    fn directory() -> Directory {
        Directory::new(Population::new(1), N_USERS)
    }

    fn user(index: u32) -> FakeUser {
        let population = Population::new(1);
        population.user(&population.listed_id(index)).unwrap()
    }

    fn missing() -> UserId {
        let mut ids = (0..).map(|n| format!("user_{n}").parse().unwrap());
        ids.find(|id| Population::new(1).user(id).is_none()).unwrap()
    }

    fn page(query: &str) -> Vec<FakeUser> {
        directory().page(&ListQuery::parse(query).unwrap_or_else(|_| panic!("{query}"))).unwrap()
    }

    fn count(query: &str) -> usize {
        directory().count(&ListQuery::parse(query).unwrap_or_else(|_| panic!("{query}"))).unwrap()
    }

    fn walk(extra: &str) -> Vec<FakeUser> {
        let mut seen: Vec<FakeUser> = Vec::new();
        loop {
            let cursor = seen.last().map(|user| format!("&starting_after={}", user.id));
            let page = page(&format!("limit=100{extra}{}", cursor.unwrap_or_default()));
            let is_last = page.len() < 100;
            seen.extend(page);
            if is_last {
                return seen;
            }
        }
    }

    /// The query finds exactly the users for which this is true, and counts them.
    #[track_caller]
    fn check(query: &str, is_wanted: impl Fn(&FakeUser) -> bool) {
        let expected: Vec<_> = walk("").into_iter().filter(is_wanted).collect();
        assert!(!expected.is_empty() && expected.len() < N_USERS as usize, "{query}");
        assert_eq!(walk(&format!("&{query}")), expected, "{query}");
        assert_eq!(count(query), expected.len(), "{query}");
    }

    #[test]
    fn a_page_has_ten_users_by_default() {
        assert_eq!(page("").len(), 10);
        assert_eq!(page("limit=500").len(), 500);
    }

    #[test]
    fn a_walk_by_cursor_lists_every_user_once_newest_first() {
        let seen = walk("");
        let mut expected: Vec<_> = (0..N_USERS).map(user).collect();
        expected.sort_by_key(|user| user.created_at);
        assert!(walk("&order_by=%2Bcreated_at") == expected);
        expected.reverse();
        assert!(seen == expected);
        let pages = (0..13).flat_map(|n| page(&format!("limit=100&offset={}", n * 100)));
        assert!(pages.eq(expected), "a walk by offset lists the same users");
    }

    #[test]
    fn dates_filter_both_ways_and_exclude_the_moment_itself() {
        let created_at = user(7).created_at;
        check(&format!("created_at_after={created_at}"), |it| it.created_at > created_at);
        check(&format!("created_at_before={created_at}"), |it| it.created_at < created_at);
        let signed_in = (0..).find_map(|index| user(index).last_sign_in_at).unwrap();
        let is_later = |at: Option<u64>, then: u64| at.is_some_and(|at| at > then);
        let is_earlier = |at: Option<u64>, then: u64| at.is_some_and(|at| at < then);
        check(&format!("last_sign_in_at_after={signed_in}"), |it| {
            is_later(it.last_sign_in_at, signed_in)
        });
        check(&format!("last_sign_in_at_before={signed_in}"), |it| {
            is_earlier(it.last_sign_in_at, signed_in)
        });
        let day = (0..).find_map(|index| user(index).last_active_at()).unwrap();
        check(&format!("last_active_at_after={day}"), |it| is_later(it.last_active_at(), day));
        check(&format!("last_active_at_before={day}"), |it| is_earlier(it.last_active_at(), day));
        let range = format!("created_at_after={created_at}&created_at_before={created_at}");
        assert_eq!(count(&range), 0);
    }

    #[test]
    fn organizations_include_and_exclude() {
        let is_in = |user: &FakeUser, organization| user.organizations.contains(&organization);
        check("organization_id=org_acme", |it| is_in(it, "org_acme"));
        check("organization_id=org_acme&organization_id=%2Borg_globex", |it| {
            is_in(it, "org_acme") || is_in(it, "org_globex")
        });
        check("organization_id=-org_acme", |it| !is_in(it, "org_acme"));
        check("organization_id=org_acme&organization_id=-org_globex&banned=false", |it| {
            is_in(it, "org_acme") && !is_in(it, "org_globex") && !it.banned
        });
        assert_eq!(count("organization_id=org_nowhere"), 0);
    }

    #[test]
    fn banned_users_and_partial_matches_filter() {
        check("banned=true", |it| it.banned);
        check("banned=false", |it| !it.banned);
        check("query=NOAH", |it| it.contains("query", "noah"));
        check("email_address_query=work.example", |it| {
            it.emails.len() == 2 && it.emails[1].ends_with("work.example")
        });
    }

    #[test]
    fn missing_users_are_left_out() {
        let id = user(5).id;
        let query = format!("limit=100&user_id={}&user_id={id}&user_id=nonsense", missing());
        assert_eq!(page(&query), [user(5)]);
    }

    #[test]
    fn a_user_who_is_named_twice_is_found_once() {
        let id = user(5).id;
        assert_eq!(page(&format!("user_id={id}&user_id=%2B{id}")).len(), 1);
    }

    #[test]
    fn excluded_users_are_left_out() {
        let FakeUser { id, external_id: Some(external_id), .. } = user(5) else { panic!() };
        assert_eq!(count(&format!("user_id=-{id}")), N_USERS as usize - 1);
        assert_eq!(count(&format!("user_id={id}&external_id=-{external_id}")), 0);
    }

    #[test]
    fn a_shared_phone_number_finds_both_users() {
        let phone = user(50).phone.unwrap();
        assert_eq!(count(&format!("phone_number={}", phone.replace('+', "%2B"))), 2);
    }

    /// The values to include of the first identifier.
    fn included(query: &str) -> Vec<String> {
        ListQuery::parse(query).ok().and_then(|it| it.identified).map(|it| it.1).unwrap_or_default()
    }

    #[test]
    fn identifiers_are_repeated_decoded_and_only_ids_have_a_sign() {
        assert_eq!(included("user_id=user_a&user_id=user_b"), ["user_a", "user_b"]);
        assert_eq!(included("email_address=a%2B1%40x.org"), ["a+1@x.org"]);
        assert_eq!(included("email_address=a+1@x.org"), ["a 1@x.org"]);
        assert_eq!(included("external_id=%2B-7"), ["-7"]);
        assert_eq!(included("phone_number=%2B15550000001"), ["+15550000001"]);
        assert_eq!(included("user_id=-user_a"), [""; 0]);
    }

    #[track_caller]
    fn refused(query: &str, parameter: &str) {
        let error = ListQuery::parse(query).and_then(|it| directory().page(&it)).unwrap_err();
        assert_eq!((error.status, error.parameter.as_deref()), (422, Some(parameter)), "{query}");
    }

    #[test]
    fn invalid_and_unknown_parameters_are_refused() {
        for value in ["0", "501", "x", "", "-1"] {
            refused(&format!("limit={value}"), "limit");
        }
        refused("locked=true", "locked");
        refused("user_id[]=user_a", "user_id[]");
        refused("banned=yes", "banned");
        refused("created_at_after=yesterday", "created_at_after");
        refused("last_sign_in_at_before=7d", "last_sign_in_at_before");
        refused("starting_after=7", "starting_after");
        refused(&format!("starting_after={}", missing()), "starting_after");
        refused("starting_after=user_a&offset=1", "starting_after");
        refused("order_by=email_address", "order_by");
        let values = |n: usize| vec!["user_id=user_a"; n].join("&");
        assert!(ListQuery::parse(&values(100)).is_ok());
        refused(&values(101), "user_id");
    }

    #[test]
    fn the_first_order_counts() {
        assert!(page("order_by=created_at&order_by=-created_at") == page("order_by=%2Bcreated_at"));
        assert!(page("") == page("order_by=-created_at&order_by=created_at"));
    }
}
