//! What happened, in one sentence, and what the reader must know first.

use super::totals::Totals;
use super::words::cleaned;
use crate::report::closing::relocked_remark;
use crate::report::page::{Facts, Source};
use crate::report::text::{counted, number};

/// What happened.
pub(super) struct Verdict {
    /// The class that colors it.
    pub(super) tone: &'static str,
    pub(super) headline: String,
    pub(super) detail: String,
}

pub(super) fn verdict(facts: &Facts, totals: &Totals) -> Verdict {
    if !totals.adds_up {
        return Verdict {
            tone: "bad",
            headline: "The accounting does not add up.".to_owned(),
            detail: "The rows of a file do not match its manifest. The file was changed, or \
                     bulk-unlock has a fault: do not rely on this report."
                .to_owned(),
        };
    }
    let tone = match () {
        () if totals.n_left + totals.n_open() > 0 => "bad",
        () if totals.n_not_well > 0 => "warn",
        () => "good",
    };
    let detail = match totals.n_not_well {
        0 if totals.n_left + totals.n_open() > 0 => String::new(),
        0 => "No record needs attention.".to_owned(),
        n => format!("{} attention.", counted(n, "record needs", "records need")),
    };
    Verdict { tone, headline: cleaned(&facts.result), detail }
}

/// What the reader must know with the verdict.
pub(super) fn notices(facts: &Facts) -> Vec<String> {
    let is_sandbox = |it: &Source| it.instance.as_deref() == Some("sandbox");
    let sandbox =
        facts.sources.iter().any(is_sandbox).then(|| {
            "This is a rehearsal against the sandbox. No real user was changed.".to_owned()
        });
    let n_banned = facts.incident.summary.n_banned;
    let banned = (n_banned > 0).then(|| {
        let are = if n_banned == 1 { "user is" } else { "users are" };
        format!("{} {are} banned. Unlocking does not lift a ban.", number(n_banned))
    });
    let counts = &facts.incident.summary.counts;
    let relocked = relocked_remark(counts).map(str::to_owned);
    let warnings = facts.warnings.iter().map(|it| cleaned(&format!("Warning: {it}.")));
    warnings.chain(sandbox).chain(banned).chain(relocked).collect()
}
