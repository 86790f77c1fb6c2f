//! What happened, in one line that can be signed.

use super::totals::Totals;
use super::words::{self, RUNNING, told};
use crate::model::Outcome;
use crate::report::page::{Facts, Source};
use crate::report::text::{counted, number};
use crate::report::words::relocked_remark;
use crate::stats::summary::{CommandKind, Ending};

/// What happened.
pub(super) struct Verdict {
    /// The class that colours it.
    pub(super) tone: &'static str,
    pub(super) headline: String,
    pub(super) detail: String,
}

pub(super) fn verdict(facts: &Facts, totals: &Totals) -> Verdict {
    if !totals.adds_up {
        return unaccounted(totals);
    }
    match facts.sources.iter().find(|it| ended_early(it)) {
        Some(source) => stopped(source, facts, totals),
        None if totals.n_unprocessed > 0 => Verdict {
            tone: "bad",
            headline: format!(
                "{} of {} were not processed.",
                number(totals.n_unprocessed),
                counted(totals.n_records, "record", "records")
            ),
            detail: done(facts, totals),
        },
        None if totals.n_records == 0 => Verdict {
            tone: "good",
            headline: "There was nothing to do.".to_owned(),
            detail: String::new(),
        },
        None => completed(facts, totals),
    }
}

fn ended_early(source: &Source) -> bool {
    source.ending.as_deref().is_some_and(|it| it != Ending::Completed.code())
}

fn unaccounted(totals: &Totals) -> Verdict {
    Verdict {
        tone: "bad",
        headline: "The accounting does not add up.".to_owned(),
        detail: format!(
            "{}, yet {} in the results. A file was changed, or the program is at fault: do not \
             sign this off.",
            counted(totals.n_records, "record", "records"),
            counted(totals.n_rows, "row", "rows"),
        ),
    }
}

fn stopped(source: &Source, facts: &Facts, totals: &Totals) -> Verdict {
    let word = source.ending.as_deref().unwrap_or_default();
    let of = match facts.sources.len() {
        1 => String::new(),
        _ => format!("{}: ", told(&source.name)),
    };
    let how = match word {
        RUNNING => "the job did not come to its end: it still runs, or was killed".into(),
        word => words::ending(word),
    };
    let left = format!(
        "{} of {} not processed. ",
        number(totals.n_unprocessed),
        counted(totals.n_records, "record", "records"),
    );
    Verdict {
        tone: "bad",
        headline: format!("{of}{}.", capital(&how)),
        detail: left + &done(facts, totals),
    }
}

fn completed(facts: &Facts, totals: &Totals) -> Verdict {
    let users = counted(totals.n_records, "user", "users");
    let records = counted(totals.n_records, "record", "records");
    let count = |outcome| facts.rows.counts.get(outcome);
    let headline = match kind(facts) {
        Some(CommandKind::Plan) => {
            format!("A run would unlock {} of {users}.", number(count(Outcome::WouldUnlock)))
        }
        Some(CommandKind::Verify) => {
            let n = count(Outcome::StillUnlocked);
            let are = if n == 1 { "is" } else { "are" };
            format!("{} of {users} {are} still unlocked.", number(n))
        }
        Some(CommandKind::RelockPlan) => {
            let n = number(count(Outcome::WouldRelock));
            format!("`relock` would lock {n} of {users} again.")
        }
        Some(CommandKind::Run | CommandKind::Relock | CommandKind::Locked) | None
            if totals.n_not_well == 0 =>
        {
            format!("{} of {records} ended well.", number(totals.n_rows))
        }
        Some(CommandKind::Run | CommandKind::Relock | CommandKind::Locked) | None => {
            format!("{} of {records} did not end well.", number(totals.n_not_well))
        }
    };
    let tone = if totals.all_ended_well() { "good" } else { "warn" };
    Verdict { tone, headline, detail: done(facts, totals) }
}

/// What was reached, and what was not.
fn done(facts: &Facts, totals: &Totals) -> String {
    let count = |outcome| facts.rows.counts.get(outcome);
    let users = |outcome| counted(count(outcome), "user", "users");
    let well = match kind(facts) {
        Some(CommandKind::Plan | CommandKind::RelockPlan) => "Nothing was changed.".to_owned(),
        Some(CommandKind::Relock) => format!("{} locked again.", users(Outcome::Relocked)),
        Some(CommandKind::Run) => format!("{} unlocked.", users(Outcome::Unlocked)),
        Some(CommandKind::Verify) => format!(
            "{} locked again, {} gone.",
            number(count(Outcome::LockedAgain)),
            number(count(Outcome::Gone))
        ),
        Some(CommandKind::Locked) | None => String::new(),
    };
    let left = match totals.n_not_well {
        0 => "Nothing is left to look at.".to_owned(),
        n => format!("{} to look at.", counted(n, "record is left", "records are left")),
    };
    let is_over = totals.n_unprocessed == 0 || totals.n_not_well > 0;
    [well, if is_over { left } else { String::new() }].join(" ").trim().to_owned()
}

/// What was done; `None` where the files are of several kinds, or nobody knows.
pub(super) fn kind(facts: &Facts) -> Option<CommandKind> {
    let first = facts.sources.first()?.kind;
    first.filter(|_| facts.sources.iter().all(|it| it.kind == first))
}

/// What the reader must know beside the verdict.
pub(super) fn notices(facts: &Facts) -> Vec<String> {
    let is_sandbox = |it: &Source| it.instance.as_deref() == Some("sandbox");
    let sandbox = facts.sources.iter().any(is_sandbox).then(|| {
        "A rehearsal: this ran against the sandbox, and no real user was touched.".to_owned()
    });
    let banned = (facts.rows.n_banned > 0).then(|| {
        let who =
            counted(facts.rows.n_banned, "user to unlock is banned", "users to unlock are banned");
        format!("{who}; unlocking does not lift a ban.")
    });
    let counts = &facts.rows.counts;
    let relocked = relocked_remark(|outcome| counts.get(outcome)).map(str::to_owned);
    let warnings = facts.warnings.iter().map(|it| told(it));
    warnings.chain(sandbox).chain(banned).chain(relocked).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
