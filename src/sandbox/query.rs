//! The query of `GET /v1/users` and `GET /v1/users/count`, and the users that match it.

use std::ops::Range;

use url::form_urlencoded;

use crate::clerk::UserId;

use super::response::Response;
use super::{FakeUser, Population};

const MAX_VALUES: usize = 100;
const MAX_LIMIT: usize = 500;

/// A parsed query. A user must pass all filters.
pub(super) struct ListQuery {
    values: Vec<ValueFilter>,
    /// Time of creation in Unix milliseconds; both bounds are exclusive in the API.
    created: Range<u64>,
    signed_in: Option<Range<u64>>,
    banned: Option<bool>,
    is_oldest_first: bool,
    limit: usize,
}

/// The values of an identifier or an organization.
struct ValueFilter {
    parameter: String,
    included: Vec<String>,
    excluded: Vec<String>,
}

impl ListQuery {
    pub(super) fn parse(query: &str, population: Population) -> Result<Self, Response> {
        let mut list = Self {
            values: Vec::new(),
            created: 0..u64::MAX,
            signed_in: None,
            banned: None,
            is_oldest_first: false,
            limit: 10,
        };
        let (mut order, mut cursor) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let invalid = |expected| Response::invalid_parameter(&name, expected);
            let number = || value.parse::<u64>().map_err(|_| invalid("not a number"));
            match &*name {
                "user_id" | "email_address" | "phone_number" | "username" | "external_id"
                | "organization_id" => list.add_value(&name, &value)?,
                "created_at_after" => list.created.start = number()?.saturating_add(1),
                "created_at_before" => list.created.end = number()?,
                "last_sign_in_at_after" => {
                    list.signed_in.get_or_insert(0..u64::MAX).start = number()?.saturating_add(1);
                }
                "last_sign_in_at_before" => {
                    list.signed_in.get_or_insert(0..u64::MAX).end = number()?;
                }
                "banned" => {
                    list.banned = Some(value.parse().map_err(|_| invalid("not a boolean"))?);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    list.limit = limit.ok_or_else(|| invalid("not from 1 to 500"))?;
                }
                "starting_after" => {
                    let id: UserId = value.parse().map_err(|_| invalid("not a user ID"))?;
                    let user = population.user(&id);
                    cursor = Some(user.ok_or_else(|| invalid("no such user"))?.created_at);
                }
                // Clerk ignores all but the first.
                "order_by" => order = order.or(Some(value)),
                _ => return Err(invalid("not a parameter of the sandbox")),
            }
        }
        list.is_oldest_first = match order.as_deref() {
            None | Some("-created_at") => false,
            // A plus sign that was not encoded arrives as a space.
            Some("created_at" | "+created_at" | " created_at") => true,
            Some(_) => return Err(Response::invalid_parameter("order_by", "must be created_at")),
        };
        // No two listed users share a time of creation, so a cursor is a bound too.
        let created = &mut list.created;
        match cursor {
            Some(cursor) if list.is_oldest_first => created.start = created.start.max(cursor + 1),
            Some(cursor) => created.end = created.end.min(cursor),
            None => {}
        }
        created.end = created.end.max(created.start);
        Ok(list)
    }

    /// Users must have one of the values of a parameter. IDs may have a sign: `+` to include those
    /// users, `-` to exclude them.
    fn add_value(&mut self, parameter: &str, value: &str) -> Result<(), Response> {
        let found = self.values.iter().position(|filter| filter.parameter == parameter);
        let index = found.unwrap_or_else(|| {
            let parameter = parameter.to_owned();
            self.values.push(ValueFilter { parameter, included: vec![], excluded: vec![] });
            self.values.len() - 1
        });
        let filter = &mut self.values[index];
        if filter.included.len() + filter.excluded.len() == MAX_VALUES {
            return Err(Response::invalid_parameter(parameter, "more than 100 values"));
        }
        let is_signed = parameter.ends_with("_id");
        if let Some(value) = value.strip_prefix('-').filter(|_| is_signed) {
            filter.excluded.push(value.to_owned());
        } else {
            let unsigned = value.strip_prefix('+').filter(|_| is_signed);
            filter.included.push(unsigned.unwrap_or(value).to_owned());
        }
        Ok(())
    }

    /// A filter that identifies users: each of its values leads to its users without a walk.
    fn identifiers(&self) -> Option<&ValueFilter> {
        self.values.iter().find(|it| it.parameter != "organization_id" && !it.included.is_empty())
    }

    /// Whether the query identifies users, in contrast to a walk.
    pub(super) fn identifies_users(&self) -> bool {
        self.identifiers().is_some()
    }

    /// IDs to include.
    pub(super) fn user_ids(&self) -> &[String] {
        let filter = self.values.iter().find(|filter| filter.parameter == "user_id");
        filter.map_or(&[], |filter| &filter.included)
    }

    fn matches(&self, user: &FakeUser) -> bool {
        let signed_in = self.signed_in.as_ref();
        self.created.contains(&user.created_at)
            && signed_in.is_none_or(|it| user.last_sign_in_at.is_some_and(|at| it.contains(&at)))
            && self.banned.is_none_or(|banned| user.banned == banned)
            && self.values.iter().all(|filter| filter.matches(user))
    }
}

impl ValueFilter {
    fn matches(&self, user: &FakeUser) -> bool {
        let has_any = |values: &[String]| values.iter().any(|it| user.has(&self.parameter, it));
        (self.included.is_empty() || has_any(&self.included)) && !has_any(&self.excluded)
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
    pub(super) fn page(&self, query: &ListQuery) -> Vec<FakeUser> {
        let users = self.candidates(query);
        let ordered: Box<dyn Iterator<Item = FakeUser>> =
            if query.is_oldest_first { users } else { Box::new(users.rev()) };
        ordered.filter(|it| query.matches(it)).take(query.limit).collect()
    }

    /// Number of users that match, on all pages.
    pub(super) fn count(&self, query: &ListQuery) -> usize {
        if query.values.is_empty() && query.signed_in.is_none() && query.banned.is_none() {
            return self.listed(&query.created).len();
        }
        self.candidates(query).filter(|user| query.matches(user)).count()
    }

    /// All users that may match, oldest first.
    fn candidates<'a>(
        &'a self,
        query: &ListQuery,
    ) -> Box<dyn DoubleEndedIterator<Item = FakeUser> + 'a> {
        let population = &self.population;
        if let Some(ValueFilter { parameter, included, .. }) = query.identifiers() {
            let found = included.iter().flat_map(|value| population.find(parameter, value));
            let mut users: Vec<_> = found.collect();
            users.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            users.dedup_by(|a, b| a.id == b.id);
            return Box::new(users.into_iter());
        }
        let listed = self.listed(&query.created).iter();
        Box::new(listed.filter_map(|&index| population.user(&population.listed_id(index))))
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

    #[track_caller]
    fn parse(query: &str) -> ListQuery {
        ListQuery::parse(query, Population::new(1)).unwrap()
    }

    #[track_caller]
    fn page(query: &str) -> Vec<FakeUser> {
        directory().page(&parse(query))
    }

    #[track_caller]
    fn count(query: &str) -> usize {
        directory().count(&parse(query))
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
    fn banned_users_filter() {
        check("banned=true", |it| it.banned);
        check("banned=false", |it| !it.banned);
    }

    #[test]
    fn missing_users_are_left_out() {
        let id = user(5).id;
        let query = format!("limit=100&user_id={}&user_id={id}&user_id=nonsense", missing());
        assert_eq!(page(&query), [user(5)]);
    }

    #[test]
    fn a_user_listed_twice_is_found_once() {
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
        parse(query).identifiers().map_or(Vec::new(), |it| it.included.clone())
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
        let response = ListQuery::parse(query, Population::new(1)).err().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        let found = (response.status, body["errors"][0]["meta"]["param_name"].as_str());
        assert_eq!(found, (422, Some(parameter)), "{query}");
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
        refused("order_by=email_address", "order_by");
        let values = |n: usize| vec!["user_id=user_a"; n].join("&");
        parse(&values(100));
        refused(&values(101), "user_id");
    }

    #[test]
    fn the_first_order_counts() {
        assert!(page("order_by=created_at&order_by=-created_at") == page("order_by=%2Bcreated_at"));
        assert!(page("") == page("order_by=-created_at&order_by=created_at"));
    }
}
