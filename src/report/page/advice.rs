//! The meaning of error codes, and what to do about codes and outcomes.

use crate::model::Outcome;

const RETRY: &str = "Retry these users.";
const NETWORK: &str = "Check the network, DNS and the proxy, then retry.";
const SUPPORT: &str = "Retry. If it happens again, send the trace ID to Clerk's support.";

/// The meaning of a code of the `error_code` column, and what to do about it.
pub(super) fn of_code(code: &str) -> (&'static str, &'static str) {
    match code {
        "timeout" => ("No response arrived in time at any attempt.", RETRY),
        "connection" => ("The connection failed at every attempt.", NETWORK),
        "truncated_answer" => ("The response was cut off.", RETRY),
        "untrusted_answer" => (
            "The response was not a valid user object, or was one of another user.",
            "Check for a proxy between this machine and the API, then retry.",
        ),
        "still_locked" => ("The API accepted the request, but the user is still locked.", SUPPORT),
        "invalid_input" => {
            ("The cell is not a valid user. No request was sent.", "Correct the line.")
        }
        "ambiguous_identifier" => {
            ("The identifier matches several users.", "List these users by user ID.")
        }
        "resource_not_found" | "http_404" => (
            "This instance has no such user: deleted, or of another instance.",
            "Check that the list is of this instance. Deleted users need no action.",
        ),
        "authentication_invalid" | "clerk_key_invalid" | "secret_key_invalid" | "http_401" => (
            "The API did not accept the secret key.",
            "Check that the key is complete, active and of this instance, then resume.",
        ),
        "authorization_invalid" | "resource_forbidden" | "not_allowed_access" | "http_403" => (
            "The key is valid, but this request is not allowed.",
            "Check in the Clerk dashboard that the key and the instance may change users.",
        ),
        "feature_not_enabled" | "unsupported_subscription_plan_features" | "http_402" => (
            "The instance's subscription or settings do not include this feature.",
            "Check the plan and the lockout settings in the Clerk dashboard.",
        ),
        "too_many_requests" | "rate_limit_exceeded" | "http_429" => (
            "The rate limit of the instance was exceeded.",
            "Retry later, or with a smaller --quota-share.",
        ),
        "internal_clerk_error" | "http_500" | "http_502" | "http_503" | "http_504" => {
            ("The API failed to handle the request.", RETRY)
        }
        "user_locked" => ("The API refused because the user is locked.", SUPPORT),
        "http_409" => ("Another process changed the user at the same time.", RETRY),
        code if code.contains("quota") => (
            "A quota of the instance or of its subscription is used up.",
            "Check usage in the Clerk dashboard. A retry alone does not help.",
        ),
        code if code.starts_with("form_") || code.starts_with("request_") => (
            "The API rejected a value of the request.",
            "Check the user's ID, and that this version of bulk-unlock is current.",
        ),
        code => match code.strip_prefix("http_").and_then(|it| it.bytes().next()) {
            Some(b'3') => (
                "The API redirected. Redirects are not followed.",
                "Check --api-url and the proxy.",
            ),
            Some(b'4') => ("The API refused the request.", SUPPORT),
            Some(b'5') => ("The API, or the network in front of it, failed.", RETRY),
            _ => (
                "A code of the API.",
                "Look it up in Clerk's documentation, or ask Clerk's support.",
            ),
        },
    }
}

/// The class that colors an outcome, and what to do about it; empty if no action is needed.
pub(super) fn of_outcome(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Unlocked
        | Outcome::WouldUnlock
        | Outcome::StillUnlocked
        | Outcome::Relocked
        | Outcome::WouldRelock => ("good", ""),
        Outcome::AlreadyUnlocked
        | Outcome::AlreadyLocked
        | Outcome::Duplicate
        | Outcome::Excluded => ("done", ""),
        Outcome::AdminLocked => (
            "warn",
            "Probably locked on purpose. Find out who locked them and why before you unlock them.",
        ),
        Outcome::NotFound => {
            ("warn", "Check that the list is of this instance. Deleted users need no action.")
        }
        Outcome::Ambiguous => ("warn", "List these users by user ID."),
        Outcome::Invalid => ("warn", "Correct these lines of the list."),
        Outcome::Gone => ("warn", "Deleted since they were unlocked. No action needed."),
        Outcome::Unknown => {
            ("warn", "Verify these users again, or check them in the Clerk dashboard.")
        }
        Outcome::Rejected => ("bad", "See the error codes. A retry alone does not help."),
        Outcome::StillLocked => ("bad", SUPPORT),
        Outcome::Failed => ("bad", RETRY),
        Outcome::LockedAgain => {
            ("bad", "Sign-ins with wrong passwords go on. Check whether the attack has stopped.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_outcomes_that_did_not_end_well_have_advice() {
        for outcome in Outcome::ALL {
            assert_eq!(of_outcome(outcome).1.is_empty(), outcome.ended_well(), "{outcome}");
        }
    }

    #[test]
    fn each_code_has_a_meaning() {
        let codes = [
            "resource_not_found",
            "authorization_invalid",
            "quota_exceeded",
            "user_quota_exceeded",
            "form_param_nil",
            "http_302",
            "http_418",
            "http_524",
            "brand_new",
        ];
        let meanings = codes.map(|code| format!("{code}: {}", of_code(code).0));
        insta::assert_snapshot!(meanings.join("\n"), @"
            resource_not_found: This instance has no such user: deleted, or of another instance.
            authorization_invalid: The key is valid, but this request is not allowed.
            quota_exceeded: A quota of the instance or of its subscription is used up.
            user_quota_exceeded: A quota of the instance or of its subscription is used up.
            form_param_nil: The API rejected a value of the request.
            http_302: The API redirected. Redirects are not followed.
            http_418: The API refused the request.
            http_524: The API, or the network in front of it, failed.
            brand_new: A code of the API.
            ");
    }
}
