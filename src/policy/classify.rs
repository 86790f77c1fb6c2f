//! What a reply means, without regard to attempts and time, and what a look-up decides.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::Duration;

use crate::clerk::body::{count_of, error_of, user_of, users_of};
use crate::model::{
    Answer, ErrorCode, Failure, Fault, Head, Identifier, Outcome, Reply, StopReason, UserId,
    UserSnapshot, mask_keys,
};

/// What one reply means.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// The expected answer.
    Good(T),
    /// 200 and this user's object, but the user is locked: try again.
    StillLocked(Box<UserSnapshot>, Failure),
    /// This attempt failed; another may succeed.
    Transient {
        /// What went wrong.
        failure: Failure,
        /// The shortest wait before the next attempt, where the server sent one.
        at_least: Option<Duration>,
    },
    /// Too many requests: all requests pause. Uses up no retry.
    Throttled {
        /// The wait in `Retry-After`.
        retry_after: Option<Duration>,
        /// The 429, for the log.
        failure: Failure,
    },
    /// The final outcome for this user.
    Final(Outcome, Failure),
    /// Every further request would fail the same way: the run stops for this reason.
    Fatal(StopReason, Failure),
}

/// What the reply to an unlock means for that user.
///
/// An answer without `locked` counts as unlocked. One whose `locked` is neither true nor false is
/// not trusted.
pub fn unlock(user: &UserId, reply: Reply) -> Verdict<Box<UserSnapshot>> {
    classify(reply, |answer| match user_of::<UserSnapshot>(mem::take(&mut answer.body), user) {
        Err(why) => untrusted(answer, &why),
        Ok(user) if user.is_locked_garbled => {
            untrusted(answer, "\"locked\" is neither true nor false")
        }
        Ok(user) if user.is_locked() => {
            let failure = failure(answer, "still_locked", "the user is still locked");
            Verdict::StillLocked(Box::new(user), failure)
        }
        Ok(user) => Verdict::Good(Box::new(user)),
    })
}

/// What the reply to a lock means for that user.
///
/// Only an answer with `locked: true` counts as locked.
pub fn lock(user: &UserId, reply: Reply) -> Verdict<Box<UserSnapshot>> {
    classify(reply, |answer| match user_of::<UserSnapshot>(mem::take(&mut answer.body), user) {
        Err(why) => untrusted(answer, &why),
        Ok(user) if user.is_locked() => Verdict::Good(Box::new(user)),
        Ok(_) => untrusted(answer, "the answer does not say that the user is locked"),
    })
}

/// What the reply to a look-up of these identifiers means.
///
/// An answer with a user who was not requested is not trusted: a server that ignores the filter
/// would make all others look missing.
pub fn look_up(asked: &[Identifier], limit: usize, reply: Reply) -> Verdict<Vec<UserSnapshot>> {
    classify(reply, |answer| match users_of::<UserSnapshot>(&answer.body) {
        Err(why) => untrusted(answer, &why),
        Ok(users) if users.len() >= limit => untrusted(
            answer,
            &format!("{} users, as many as fit on a page: some may be missing", users.len()),
        ),
        Ok(users) if !all_asked_for(asked, &users) => {
            untrusted(answer, "the answer holds a user who was not asked for")
        }
        Ok(users) => match without_repeats(users) {
            Some(users) => Verdict::Good(users),
            None => untrusted(answer, "the answer holds a user twice, with different properties"),
        },
    })
}

/// What the reply to a page of a walk means.
pub fn page(reply: Reply) -> Verdict<Vec<UserSnapshot>> {
    classify(reply, |answer| match users_of(&answer.body) {
        Ok(users) => Verdict::Good(users),
        Err(why) => untrusted(answer, &why),
    })
}

/// What the reply to a count means.
pub fn count(reply: Reply) -> Verdict<u64> {
    classify(reply, |answer| match count_of(&answer.body) {
        Some(count) => Verdict::Good(count),
        None => untrusted(answer, "the answer holds no total_count"),
    })
}

/// Whether a failed attempt may mean that the API does not answer at all. A response with a status
/// other than a server error is an answer, even if it is not trusted.
pub fn is_silence(failure: &Failure) -> bool {
    failure.status.is_none_or(|status| matches!(status, 408 | 425 | 500..=599))
}

/// Whether `--include-admin-locked` was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminLocked {
    /// Leave users alone who look locked on purpose.
    #[default]
    LeaveAlone,
    /// Unlock them too.
    Include,
}

/// What to do with a user after a look-up; `None` if the answer does not show whether the user is
/// locked, or whether on purpose: then the user may be neither unlocked nor skipped.
///
/// [`Outcome::WouldUnlock`] means that the request must be sent.
pub fn decide(user: &UserSnapshot, admin_locked: AdminLocked) -> Option<Outcome> {
    let is_left_alone = || match admin_locked {
        AdminLocked::LeaveAlone => user.is_admin_locked(),
        AdminLocked::Include => Some(false),
    };
    Some(match user.locked? {
        false => Outcome::AlreadyUnlocked,
        true if is_left_alone()? => Outcome::AdminLocked,
        true => Outcome::WouldUnlock,
    })
}

/// The same for a user who is to be locked again. [`Outcome::WouldRelock`] means that the request
/// must be sent.
pub fn decide_relock(user: &UserSnapshot) -> Option<Outcome> {
    let outcome = |is_locked| if is_locked { Outcome::AlreadyLocked } else { Outcome::WouldRelock };
    user.locked.map(outcome)
}

/// What a look-up after an unlock shows; `None`: no such user.
pub fn read_back(user: Option<&UserSnapshot>) -> Outcome {
    match user.map(|user| user.locked) {
        None => Outcome::Gone,
        Some(Some(true)) => Outcome::LockedAgain,
        Some(Some(false)) => Outcome::StillUnlocked,
        Some(None) => Outcome::Unknown,
    }
}

/// Whether the user has this identifier.
pub fn matches(identifier: &Identifier, user: &UserSnapshot) -> bool {
    let same = |text: &str, other: &str| other.to_lowercase() == text;
    match identifier {
        Identifier::UserId(id) => user.is_of(id),
        Identifier::Email(email) => user.emails.iter().any(|it| same(email, it)),
        Identifier::Phone(phone) => user.phones.iter().any(|it| **it == **phone),
        Identifier::Username(name) => user.username.as_deref().is_some_and(|it| same(name, it)),
        Identifier::ExternalId(id) => user.external_id.as_deref() == Some(&**id),
    }
}

/// The users, each once; `None` if the answer has two versions of one of them.
fn without_repeats(users: Vec<UserSnapshot>) -> Option<Vec<UserSnapshot>> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(users.len());
    let mut distinct: Vec<UserSnapshot> = Vec::with_capacity(users.len());
    for user in users {
        match places.entry(user.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(distinct.len());
                distinct.push(user);
            }
            Entry::Occupied(place) if distinct[*place.get()] == user => {}
            Entry::Occupied(_) => return None,
        }
    }
    Some(distinct)
}

fn all_asked_for(asked: &[Identifier], users: &[UserSnapshot]) -> bool {
    let ids: HashSet<&str> =
        asked.iter().filter_map(Identifier::user_id).map(UserId::as_str).collect();
    users.iter().all(|user| {
        ids.contains(user.id.as_str()) || asked.iter().any(|identifier| matches(identifier, user))
    })
}

fn classify<T>(reply: Reply, on_200: impl FnOnce(&mut Answer) -> Verdict<T>) -> Verdict<T> {
    let mut answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Fault(fault) => return on_fault(&fault, None),
        Reply::Broken(head, fault) => return on_fault(&fault, Some(head)),
    };
    match answer.status {
        200 => on_200(&mut answer),
        401 => Verdict::Fatal(StopReason::Unauthorized, refusal(&answer)),
        404 => Verdict::Final(Outcome::NotFound, refusal(&answer)),
        407 => Verdict::Fatal(StopReason::ProxyRefused, refusal(&answer)),
        429 => {
            Verdict::Throttled { retry_after: answer.retry_after, failure: server_fault(&answer) }
        }
        408 | 425 | 500..=599 => {
            Verdict::Transient { failure: server_fault(&answer), at_least: answer.retry_after }
        }
        _ => Verdict::Final(Outcome::Rejected, refusal(&answer)),
    }
}

fn on_fault<T>(fault: &Fault, head: Option<Head>) -> Verdict<T> {
    let (status, trace_id) = head.map_or((None, None), |head| (Some(head.status), head.ray));
    let (code, stop) = match fault {
        Fault::Timeout(_) => ("timeout", None),
        Fault::Connection(_) => ("connection", None),
        Fault::Truncated(_) => ("truncated_answer", None),
        Fault::TooLarge(_) => ("untrusted_answer", None),
        Fault::UntrustedCertificate(_) => {
            ("untrusted_certificate", Some(StopReason::UntrustedCertificate))
        }
        Fault::ProxyAuthentication => ("proxy_refused", Some(StopReason::ProxyRefused)),
    };
    let message = mask_keys(&fault.to_string()).into_owned();
    let failure = Failure { code: code.into(), message, status, trace_id };
    match stop {
        Some(reason) => Verdict::Fatal(reason, failure),
        None => Verdict::Transient { failure, at_least: None },
    }
}

fn untrusted<T>(answer: &Answer, why: &str) -> Verdict<T> {
    let failure = failure(answer, "untrusted_answer", &mask_keys(why));
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

/// A refusal has Clerk's own code: that is what people search for.
fn refusal(answer: &Answer) -> Failure {
    let error = error_of(&answer.body).unwrap_or_default();
    let word = |text: &str| fit(text, MAX_WORD);
    let code = error.code.as_deref().map(|code| word(code).into());
    let message = error.message.map(|message| fit(&message, MAX_MESSAGE));
    Failure {
        code: code.unwrap_or_else(|| status_code(answer.status)),
        message: message.unwrap_or_else(|| in_words(answer.status)),
        status: Some(answer.status),
        trace_id: error.trace_id.as_deref().map(word).or_else(|| answer.ray.clone()),
    }
}

/// A server error has its status as code: the body is as often a proxy's as Clerk's.
fn server_fault(answer: &Answer) -> Failure {
    Failure { code: status_code(answer.status), ..refusal(answer) }
}

/// The longest code or trace id that is kept, in characters.
const MAX_WORD: usize = 100;
/// The longest message that is kept, in characters.
const MAX_MESSAGE: usize = 1_000;

/// The text without keys, cut to this many characters. Masked first: a part of a key would not be
/// recognized.
fn fit(text: &str, max_chars: usize) -> String {
    mask_keys(text).chars().take(max_chars).collect()
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
        _ => format!("the server answered {status} without an explanation"),
    }
}

#[cfg(test)]
mod tests;
