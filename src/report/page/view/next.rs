//! What remains to do: the next command, and what a person does.

use super::totals::Totals;
use crate::model::mask_keys;
use crate::report::page::{Facts, advice};
use crate::report::text::{clean, counted, number};

/// What remains to do.
pub(super) struct Next {
    pub(super) is_nothing: bool,
    /// What the command is for.
    pub(super) purpose: &'static str,
    /// The command that the newest job printed; empty where it printed none.
    pub(super) command: String,
    pub(super) advice: Vec<Advice>,
}

/// What a person does about some records.
pub(super) struct Advice {
    pub(super) what: String,
    pub(super) text: &'static str,
}

pub(super) fn next(facts: &Facts, totals: &Totals) -> Next {
    let summary = &facts.incident.summary;
    // It is not clipped: a command without its last flags does something else.
    let command = summary.next.as_ref().map(|it| clean(&mask_keys(&it.command)).into_owned());
    let command = command.unwrap_or_default();
    let unprocessed = (totals.n_unprocessed > 0).then(|| Advice {
        what: counted(totals.n_unprocessed, "record", "records") + " without a row",
        text: "Not attempted or interrupted. Resume the run.",
    });
    let planned = (totals.n_planned_only > 0).then(|| Advice {
        what: format!("{} planned only", number(totals.n_planned_only)),
        text: "No run processed these users. Resume or run the plan.",
    });
    let outcomes = summary.counts.iter().map(|(outcome, n)| Advice {
        what: format!("{} {outcome}", number(n)),
        text: advice::of_outcome(outcome),
    });
    let outcomes = outcomes.filter(|it| !it.text.is_empty());
    let advice: Vec<_> = unprocessed.into_iter().chain(planned).chain(outcomes).collect();
    let is_nothing = command.is_empty() && advice.is_empty();
    Next { is_nothing, purpose: purpose(facts, &command), command, advice }
}

/// The command of a single plan names the plan's hash, so that what was reviewed is what runs.
fn purpose(facts: &Facts, command: &str) -> &'static str {
    let runs = |hash: &String| command.contains(&format!("--plan-sha256={hash}"));
    match facts.sources.as_slice() {
        [plan] if plan.plan_sha256.as_ref().is_some_and(runs) => {
            "Command for the operator. It runs exactly this plan, and refuses one with another hash:"
        }
        _ => "Next command:",
    }
}
