//! What goes on next: the commands, and what a person does.

use super::totals::Totals;
use super::words::told;
use crate::report::page::{Facts, advice};
use crate::report::text::{counted, number};

/// What goes on next.
pub(super) struct Next {
    /// What to say where nothing is to do; empty else.
    pub(super) nothing: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) advice: Vec<Advice>,
}

/// A command, and what it is good for.
pub(super) struct Step {
    pub(super) why: String,
    pub(super) command: String,
}

/// What a person does about some records.
pub(super) struct Advice {
    pub(super) what: String,
    pub(super) text: &'static str,
}

pub(super) fn next(facts: &Facts, totals: &Totals) -> Next {
    let step = |it: &crate::stats::summary::NextStep| Step {
        why: format!("{}:", told(&it.why)),
        command: told(&it.command),
    };
    let steps: Vec<_> = facts.next.iter().map(step).collect();
    let advice = advised(facts, totals);
    let is_over = steps.is_empty() && advice.is_empty();
    Next { nothing: if is_over { "Nothing is left to do." } else { "" }, steps, advice }
}

fn advised(facts: &Facts, totals: &Totals) -> Vec<Advice> {
    let rows = facts.rows.counts.iter().map(|(outcome, n)| Advice {
        what: format!("{} {outcome}", number(n)),
        text: advice::what_to_do(outcome),
    });
    let unprocessed = (totals.n_unprocessed > 0).then(|| Advice {
        what: counted(totals.n_unprocessed, "record", "records") + " without a row",
        text: "Go on with --resume: these users were never tried, or cut off before an answer.",
    });
    unprocessed.into_iter().chain(rows.filter(|it| !it.text.is_empty())).collect()
}
