//! What a request asks for.

use crate::model::{IdentifierKind, UserId};

use super::list_query::ListQuery;
use super::refusal::Refusal;

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    Unlock(UserId),
    Lock(UserId),
    Get(UserId),
    List(ListQuery),
    Count(ListQuery),
}

impl Call {
    /// Reads method, path and query.
    pub(super) fn read(method: &str, path: &str, query: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix("/v1/users").ok_or_else(Refusal::no_such_path)?;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (segments.as_slice(), method) {
            ([], "GET") if path.is_empty() => Ok(Self::List(ListQuery::parse(query)?)),
            (["count"], "GET") => Ok(Self::Count(ListQuery::parse(query)?)),
            ([id], "GET") => Ok(Self::Get(user(id)?)),
            ([id, "unlock"], "POST") => Ok(Self::Unlock(user(id)?)),
            ([id, "lock"], "POST") => Ok(Self::Lock(user(id)?)),
            ([] | [_] | [_, "unlock" | "lock"], _) if is_clean(path) => {
                Err(Refusal::wrong_method())
            }
            _ => Err(Refusal::no_such_path()),
        }
    }

    /// The users whom it names by id.
    pub(super) fn user_ids(&self) -> Vec<String> {
        match self {
            Self::Unlock(id) | Self::Lock(id) | Self::Get(id) => vec![id.to_string()],
            Self::List(query) | Self::Count(query) => {
                let by_id = query.filters.iter().find(|it| it.kind == IdentifierKind::UserId);
                by_id.map(|it| it.wanted.clone()).unwrap_or_default()
            }
        }
    }

    /// Whether it names users, rather than walking the instance.
    pub(super) fn names_users(&self) -> bool {
        match self {
            Self::Unlock(_) | Self::Lock(_) | Self::Get(_) => true,
            Self::List(query) => query.filters.iter().any(|it| !it.wanted.is_empty()),
            Self::Count(_) => false,
        }
    }
}

/// `/v1/usersuffix` is none of ours.
fn is_clean(path: &str) -> bool {
    path.is_empty() || path.starts_with('/')
}

/// What can't be an id is nobody's.
fn user(segment: &str) -> Result<UserId, Refusal> {
    segment.parse().map_err(|_| Refusal::no_user(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Result<&str, u16>) {
        let found = match Call::read(method, path, "") {
            Ok(call) => Ok(format!("{call:?}").split(['(', ' ']).next().unwrap().to_owned()),
            Err(refusal) => Err(refusal.status),
        };
        assert_eq!(found, expected.map(str::to_owned), "{method} {path}");
    }

    #[test]
    fn the_five_calls_are_told_apart() {
        check("POST", "/v1/users/user_a/unlock", Ok("Unlock"));
        check("POST", "/v1/users/user_a/lock", Ok("Lock"));
        check("GET", "/v1/users/user_a", Ok("Get"));
        check("GET", "/v1/users", Ok("List"));
        check("GET", "/v1/users/count", Ok("Count"));
    }

    #[test]
    fn a_known_path_with_another_method_is_405() {
        check("GET", "/v1/users/user_a/unlock", Err(405));
        check("DELETE", "/v1/users/user_a", Err(405));
        check("POST", "/v1/users", Err(405));
    }

    #[test]
    fn anything_else_is_404() {
        for path in
            ["/", "/users", "/v1/usersx", "/v1/users/user_a/ban", "/v1/users/user_a/unlock/"]
        {
            check("POST", path, Err(404));
        }
        check("POST", "/v1/users/sess_1/unlock", Err(404));
        check("GET", "/v1/users/", Err(404));
    }
}
