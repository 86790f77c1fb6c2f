//! The first question: what does this reply mean? Total, and ignorant of attempts and time.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::{
    Answer, ApiError, ErrorCode, Failure, Fault, Head, Identifier, Outcome, Reply, UserId,
    UserView, count_of, error_of, users_of,
};

/// What one reply means.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// The answer that was wanted.
    Good(T),
    /// 200 and this user's object, and yet it is locked: worth another attempt.
    StillLocked(Box<UserView>, Failure),
    /// This attempt failed; another may succeed, not before `at_least` is over.
    Transient {
        /// What went wrong.
        failure: Failure,
        /// How long the server asked this caller to wait.
        at_least: Option<Duration>,
    },
    /// The API is asked too much: everybody pauses. Uses up no retry.
    Throttled {
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// The 429, for the log.
        failure: Failure,
    },
    /// The last word on this user.
    Final(Outcome, Failure),
    /// The key is refused: every further call would end the same way.
    Fatal(Failure),
}

/// What the reply to an unlock call means for that user.
pub fn unlock(user: &UserId, reply: Reply) -> Verdict<Box<UserView>> {
    classify(reply, |answer| match trusted(user, answer) {
        Err(why) => untrusted(answer, &why),
        Ok(view) if view.is_locked() => {
            let failure = failure(answer, "still_locked", "the user is still locked");
            Verdict::StillLocked(Box::new(view), failure)
        }
        Ok(view) => Verdict::Good(Box::new(view)),
    })
}

/// What the reply to a look-up of these identifiers means.
///
/// An answer that holds a user nobody asked for is not trusted: a server that ignores the filter
/// would make everybody else look missing.
pub fn look_up(asked: &[Identifier], limit: usize, reply: Reply) -> Verdict<Vec<UserView>> {
    classify(reply, |answer| match users_of(&answer.body) {
        Err(why) => untrusted(answer, &format!("not a list of users: {why}")),
        Ok(users) if users.len() >= limit => untrusted(
            answer,
            &format!(
                "{} users answered, as many as a page holds: some may be missing",
                users.len()
            ),
        ),
        Ok(users) if !all_asked_for(asked, &users) => {
            untrusted(answer, "a user who was not asked for")
        }
        Ok(users) => Verdict::Good(users),
    })
}

/// What the reply to a page of the walk means.
pub fn page(reply: Reply) -> Verdict<Vec<UserView>> {
    classify(reply, |answer| match users_of(&answer.body) {
        Ok(users) if users.iter().all(|user| !user.id.is_empty()) => Verdict::Good(users),
        Ok(_) => untrusted(answer, "a user without an id"),
        Err(why) => untrusted(answer, &format!("not a list of users: {why}")),
    })
}

/// What the reply to a count means.
pub fn count(reply: Reply) -> Verdict<u64> {
    classify(reply, |answer| match count_of(&answer.body) {
        Some(count) => Verdict::Good(count),
        None => untrusted(answer, "no total_count in the answer"),
    })
}

/// Whether a failed attempt may mean that the API does not answer at all. What began with a status
/// other than a server's fault is an answer, if not one to be trusted.
pub fn is_silence(failure: &Failure) -> bool {
    failure.status.is_none_or(|status| matches!(status, 408 | 425 | 500..=599))
}

/// Whether an answer's user is one that an identifier names.
pub fn matches(identifier: &Identifier, user: &UserView) -> bool {
    let same = |text: &str, other: &str| other.to_lowercase() == text;
    match identifier {
        Identifier::UserId(id) => user.is_of(id),
        Identifier::Email(email) => user.emails.iter().any(|it| same(email, it)),
        Identifier::Phone(phone) => user.phones.iter().any(|it| **it == **phone),
        Identifier::Username(name) => user.username.as_deref().is_some_and(|it| same(name, it)),
        Identifier::ExternalId(id) => user.external_id.as_deref() == Some(&**id),
    }
}

fn all_asked_for(asked: &[Identifier], users: &[UserView]) -> bool {
    let ids: HashSet<&str> =
        asked.iter().filter_map(Identifier::user_id).map(UserId::as_str).collect();
    users.iter().all(|user| {
        ids.contains(user.id.as_str()) || asked.iter().any(|identifier| matches(identifier, user))
    })
}

fn classify<T>(reply: Reply, on_200: impl FnOnce(&Answer) -> Verdict<T>) -> Verdict<T> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Fault(fault) => return transport(&fault, None),
        Reply::Broken(head, fault) => return transport(&fault, Some(head)),
    };
    match answer.status {
        200 => on_200(&answer),
        401 => Verdict::Fatal(refusal(&answer)),
        404 => Verdict::Final(Outcome::NotFound, refusal(&answer)),
        429 => {
            Verdict::Throttled { retry_after: answer.retry_after, failure: server_fault(&answer) }
        }
        408 | 425 | 500..=599 => {
            Verdict::Transient { failure: server_fault(&answer), at_least: answer.retry_after }
        }
        _ => Verdict::Final(Outcome::Rejected, refusal(&answer)),
    }
}

fn transport<T>(fault: &Fault, head: Option<Head>) -> Verdict<T> {
    let (status, trace_id) = head.map_or((None, None), |head| (Some(head.status), head.ray));
    let failure = Failure { code: fault.code(), message: fault.to_string(), status, trace_id };
    Verdict::Transient { failure, at_least: None }
}

fn trusted(user: &UserId, answer: &Answer) -> Result<UserView, String> {
    if answer.body.is_empty() {
        return Err("the answer is empty".into());
    }
    let text = str::from_utf8(&answer.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let view = UserView::parse(text).map_err(|why| format!("not a user object: {why}"))?;
    if !view.is_of(user) {
        return Err("the answer is another user's object".into());
    }
    if view.is_locked_garbled {
        return Err("its \"locked\" is neither true nor false".into());
    }
    Ok(view)
}

fn untrusted<T>(answer: &Answer, why: &str) -> Verdict<T> {
    let failure = failure(answer, "untrusted_answer", why);
    Verdict::Transient { failure, at_least: None }
}

fn failure(answer: &Answer, code: &'static str, message: &str) -> Failure {
    Failure {
        code: code.into(),
        message: message.to_owned(),
        status: Some(answer.status),
        trace_id: answer.ray.clone(),
    }
}

/// A refusal is named as Clerk names it: its code is what people search for.
fn refusal(answer: &Answer) -> Failure {
    let error = error_of(&answer.body).unwrap_or_default();
    let code = error.code.clone().map_or_else(|| status_code(answer.status), Into::into);
    described(answer, code, error)
}

/// A fault of the server is named by its status: the body is as often a proxy's as Clerk's.
fn server_fault(answer: &Answer) -> Failure {
    let error = error_of(&answer.body).unwrap_or_default();
    described(answer, status_code(answer.status), error)
}

fn described(answer: &Answer, code: ErrorCode, error: ApiError) -> Failure {
    Failure {
        code,
        message: error.message.unwrap_or_else(|| in_words(answer.status)),
        status: Some(answer.status),
        trace_id: error.trace_id.or_else(|| answer.ray.clone()),
    }
}

fn status_code(status: u16) -> ErrorCode {
    format!("http_{status}").into()
}

fn in_words(status: u16) -> String {
    match status {
        300..=399 => {
            format!("the server answered {status}, a redirect; redirects are not followed")
        }
        429 => "too many requests".to_owned(),
        _ => format!("the server answered {status} and said no more"),
    }
}

#[cfg(test)]
mod tests;
