//! What codes mean, and what to do about outcomes.

use crate::model::Outcome;

/// What a code of the `error_code` column means.
pub(super) fn code_meaning(code: &str) -> &'static str {
    match code {
        "timeout" => "No answer came in time, at any attempt.",
        "connection" => "The connection could not be made, or broke.",
        "truncated_answer" => "The answer broke off, at the last attempt.",
        "untrusted_answer" => "The API answered with something that can't be trusted.",
        "still_locked" => "The API took the call, and says the user is locked.",
        "invalid_input" => "The cell can't be a user; nothing was sent.",
        "resource_not_found" => "The instance has no such user.",
        "ambiguous_identifier" => "Several users go by what the input names.",
        "authentication_invalid" | "http_401" => "The secret key was refused.",
        "http_402" => "The instance's plan does not include this.",
        "http_403" => "The key may not do this.",
        "http_409" => "The user was being changed by somebody else.",
        "http_429" => "The quota was used up.",
        "http_500" | "http_502" | "http_503" | "http_504" => "The API had a fault of its own.",
        _ => other_status(code),
    }
}

fn other_status(code: &str) -> &'static str {
    match code.strip_prefix("http_").and_then(|it| it.bytes().next()) {
        Some(b'3') => "The API redirected; redirects are not followed.",
        Some(b'4') => "The API refused the request.",
        Some(b'5') => "The API, or the network before it, had a fault of its own.",
        _ => "The API's own code.",
    }
}

/// What a person does about records that did not end well; empty where nothing is to do.
pub(super) fn what_to_do(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unlocked
        | Outcome::WouldUnlock
        | Outcome::AlreadyUnlocked
        | Outcome::Duplicate
        | Outcome::Excluded
        | Outcome::StillUnlocked
        | Outcome::Relocked
        | Outcome::WouldRelock
        | Outcome::AlreadyLocked => "",
        Outcome::AdminLocked => {
            "Most likely locked on purpose. Find out by whom and why before unlocking any of them."
        }
        Outcome::NotFound => "Check that the list and the instance belong together; else deleted.",
        Outcome::Ambiguous => "Name these users by their ids.",
        Outcome::Invalid => "Correct these lines of the list.",
        Outcome::Rejected => "Read the code below; trying again will not help by itself.",
        Outcome::StillLocked => "Try again; if they stay locked, ask Clerk with the trace id.",
        Outcome::Failed => "Try again: nothing speaks against them.",
        Outcome::LockedAgain => {
            "Somebody still signs in with wrong passwords: the user, or the attack goes on."
        }
        Outcome::Unknown => "Read these users back again, or look at them in the dashboard.",
        Outcome::Gone => "Deleted since they were unlocked; nothing to do.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_advice_for_exactly_what_did_not_end_well() {
        for outcome in Outcome::ALL {
            assert_eq!(what_to_do(outcome).is_empty(), outcome.ended_well(), "{outcome}");
        }
    }

    #[test]
    fn a_status_without_words_of_its_own_is_told_by_its_class() {
        let told = ["http_302", "http_418", "http_524", "form_param_nil"].map(code_meaning);
        insta::assert_snapshot!(told.join("\n"), @"
            The API redirected; redirects are not followed.
            The API refused the request.
            The API, or the network before it, had a fault of its own.
            The API's own code.
            ");
    }
}
