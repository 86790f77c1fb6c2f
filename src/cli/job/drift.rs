//! What changed between a plan and its run.

use crate::model::{Event, Outcome};
use crate::report::{Console, Listener, text};
use crate::stats::Stats;

/// Lists the users of a plan who no longer need to be unlocked.
pub(super) struct Drift {
    console: Console,
    n_drifted: u64,
}

/// How many are listed one by one; all of them have their rows.
const MOST: u64 = 20;

impl Drift {
    pub(super) fn new(console: Console) -> Self {
        Self { console, n_drifted: 0 }
    }
}

impl Listener for Drift {
    fn on_event(&mut self, event: &Event, _: &Stats) {
        let Event::JobFinished { row, .. } = event else { return };
        if !is_change(row.outcome) {
            return;
        }
        self.n_drifted += 1;
        if self.n_drifted <= MOST {
            let (line, input, outcome) = (row.line, &row.input, row.outcome);
            let meaning = outcome.meaning();
            self.console.note(&format!("drift: line {line}, {input}: {outcome} ({meaning})"));
        }
    }

    fn finish(self: Box<Self>) {
        if self.n_drifted > 0 {
            let users = text::counted(self.n_drifted, "user", "users");
            let verbs = if self.n_drifted == 1 { ["has", "is"] } else { ["have", "are"] };
            let more = if self.n_drifted > MOST { "; the results have them all" } else { "" };
            self.console.warning(&format!(
                "{users} of the plan {} changed since and {} left out{more}",
                verbs[0], verbs[1]
            ));
        }
    }
}

/// Who could not be looked up may not have changed at all.
fn is_change(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Failed | Outcome::Rejected | Outcome::Excluded)
}
