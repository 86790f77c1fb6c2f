//! The query of `GET /v1/users` and `GET /v1/users/count`.

use url::form_urlencoded;

use crate::model::{IdentifierKind, UserId};

use super::refusal::Refusal;

/// What a list is asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ListQuery {
    /// One for each kind that was given; a user has to pass all of them.
    pub(super) filters: Vec<Filter>,
    pub(super) banned: Option<bool>,
    /// Unix milliseconds; users of that moment are left out.
    pub(super) created_after: Option<u64>,
    /// Unix milliseconds; users of that moment are left out.
    pub(super) created_before: Option<u64>,
    pub(super) starting_after: Option<UserId>,
    pub(super) is_oldest_first: bool,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

/// The identifiers of one kind.
#[derive(Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) kind: IdentifierKind,
    /// A user has to be named by one of them, if there is any.
    pub(super) wanted: Vec<String>,
    /// A user may be named by none of them (`-` in front).
    pub(super) unwanted: Vec<String>,
}

const KINDS: [IdentifierKind; 5] = [
    IdentifierKind::UserId,
    IdentifierKind::Email,
    IdentifierKind::Phone,
    IdentifierKind::Username,
    IdentifierKind::ExternalId,
];
/// How many values of one kind a query may hold.
const MAX_VALUES: usize = 100;
const MAX_LIMIT: usize = 500;

impl ListQuery {
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut list = Self::default();
        let mut has_order = false;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(kind) = KINDS.into_iter().find(|kind| kind.query_parameter() == name) {
                list.filter(kind).take(&value);
            } else if name == "order_by" {
                // Of several, Clerk takes the first.
                if !std::mem::replace(&mut has_order, true) {
                    list.is_oldest_first = is_oldest_first(&value)?;
                }
            } else {
                list.set(&name, &value)?;
            }
        }
        list.check()?;
        Ok(list)
    }

    fn filter(&mut self, kind: IdentifierKind) -> &mut Filter {
        let at = self.filters.iter().position(|filter| filter.kind == kind).unwrap_or_else(|| {
            self.filters.push(Filter { kind, wanted: Vec::new(), unwanted: Vec::new() });
            self.filters.len() - 1
        });
        &mut self.filters[at]
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let number = || value.parse::<u64>().map_err(|_| Refusal::parameter(name, "is no number"));
        match name {
            "limit" => self.limit = Some(limit(value)?),
            "offset" => self.offset = usize::try_from(number()?).unwrap_or(usize::MAX),
            "created_at_after" => self.created_after = Some(number()?),
            "created_at_before" => self.created_before = Some(number()?),
            "starting_after" => {
                let id = value.parse().map_err(|_| Refusal::parameter(name, "is no user id"))?;
                self.starting_after = Some(id);
            }
            "banned" => {
                let flag = value.parse().map_err(|_| Refusal::parameter(name, "is no boolean"))?;
                self.banned = Some(flag);
            }
            _ => return Err(Refusal::unknown_parameter(name)),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.starting_after.is_some() && self.offset > 0 {
            return Err(Refusal::parameter("starting_after", "can't be combined with offset"));
        }
        let is_full = |it: &&Filter| it.wanted.len() + it.unwanted.len() > MAX_VALUES;
        match self.filters.iter().find(is_full) {
            Some(it) => Err(Refusal::parameter(it.kind.query_parameter(), "has over 100 values")),
            None => Ok(()),
        }
    }
}

impl Filter {
    /// Ids of both kinds take a sign: `+` for these, `-` for all but these.
    fn take(&mut self, value: &str) {
        let is_signed = matches!(self.kind, IdentifierKind::UserId | IdentifierKind::ExternalId);
        match value.split_at_checked(1) {
            Some(("-", value)) if is_signed => self.unwanted.push(value.to_owned()),
            Some(("+", value)) if is_signed => self.wanted.push(value.to_owned()),
            _ => self.wanted.push(value.to_owned()),
        }
    }
}

fn limit(value: &str) -> Result<usize, Refusal> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Refusal::parameter("limit", "is no number from 1 to 500"))
}

fn is_oldest_first(value: &str) -> Result<bool, Refusal> {
    match value {
        "-created_at" => Ok(false),
        // A plus sign that was not encoded arrives as a space.
        "created_at" | "+created_at" | " created_at" => Ok(true),
        _ => Err(Refusal::parameter("order_by", "the sandbox orders by created_at alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(query: &str, parameter: &str) {
        let refusal = ListQuery::parse(query).unwrap_err();
        assert_eq!((refusal.status, refusal.parameter.as_deref()), (422, Some(parameter)));
    }

    fn wanted(query: &str) -> Vec<String> {
        ListQuery::parse(query).unwrap().filters.remove(0).wanted
    }

    #[test]
    fn identifiers_are_repeated_and_decoded() {
        assert_eq!(wanted("user_id=user_a&user_id=user_b"), ["user_a", "user_b"]);
        assert_eq!(wanted("email_address=a%2B1%40x.org"), ["a+1@x.org"]);
        assert_eq!(wanted("email_address=a+1@x.org"), ["a 1@x.org"]);
    }

    #[test]
    fn ids_take_a_sign_and_other_identifiers_do_not() {
        assert_eq!(wanted("external_id=%2B-7"), ["-7"]);
        assert_eq!(wanted("phone_number=%2B15550000001"), ["+15550000001"]);
        let query = ListQuery::parse("user_id=-user_a").unwrap();
        assert_eq!(query.filters[0].unwanted, ["user_a"]);
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        for value in ["0", "501", "x", "", "-1"] {
            refused(&format!("limit={value}"), "limit");
        }
        assert_eq!(ListQuery::parse("limit=500").unwrap().limit, Some(500));
    }

    #[test]
    fn more_than_a_hundred_values_are_refused() {
        let of = |n: usize| vec!["user_id=user_a"; n].join("&");
        assert!(ListQuery::parse(&of(100)).is_ok());
        refused(&of(101), "user_id");
    }

    #[test]
    fn what_the_sandbox_does_not_know_is_refused_not_ignored() {
        refused("locked=true", "locked");
        refused("user_id[]=user_a", "user_id[]");
        refused("banned=yes", "banned");
        refused("created_at_after=yesterday", "created_at_after");
        refused("starting_after=7", "starting_after");
        refused("starting_after=user_a&offset=1", "starting_after");
        refused("order_by=email_address", "order_by");
    }

    #[test]
    fn of_several_orders_the_first_counts() {
        let query = ListQuery::parse("order_by=%2Bcreated_at&order_by=-created_at").unwrap();
        assert!(query.is_oldest_first);
        assert!(!ListQuery::parse("").unwrap().is_oldest_first);
    }
}
