//! Several finished files of one incident: what each command did, and the final state of each user.

use std::time::SystemTime;

use super::{CommandKind, Ending, Summary};
use crate::model::Outcome;

/// What the files of one incident say together.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    /// The final state of each user. For a single file, what its run summarized.
    pub summary: Summary,
    /// How it ended; `None` where no manifest says.
    pub ending: Option<Ending>,
    /// The exit code; `None` where it is not known.
    pub exit_code: Option<u8>,
    /// What each file says, in order of time.
    pub stages: Vec<Stage>,
    /// The next command of the newest of several files, or of each shard that needs one.
    pub next_commands: Vec<String>,
}

/// What one file says.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// The name of the file.
    pub file: String,
    /// Why it was run (`--reason`).
    pub reason: Option<String>,
    /// When it began: as the manifest says, else its first row.
    pub started_at: Option<SystemTime>,
    /// When it ended: as the manifest says, else its last row.
    pub finished_at: Option<SystemTime>,
    /// How it ended; `None` where no manifest says.
    pub ending: Option<Ending>,
    /// The exit code; `None` where it is not known.
    pub exit_code: Option<u8>,
    /// Number of its records that were not processed by it, nor by a later command.
    pub n_left: u64,
    /// Its own counts.
    pub summary: Summary,
}

impl Incident {
    /// Whether users were looked up only.
    pub fn is_plan(&self) -> bool {
        !self.stages.is_empty()
            && self.stages.iter().all(|stage| stage.summary.command == CommandKind::Plan)
    }

    /// Number of users who were planned to be unlocked, and whom no run processed.
    pub fn n_planned_only(&self) -> u64 {
        if self.is_plan() { 0 } else { self.summary.counts.get(Outcome::WouldUnlock) }
    }

    /// Whether nothing is left to do for any user.
    pub fn all_ended_well(&self) -> bool {
        self.summary.all_ended_well() && self.n_planned_only() == 0
    }

    /// The exit code of several commands together: that of the newest one that did not succeed,
    /// unless all users ended well.
    pub fn exit_code_of_all(&self) -> Option<u8> {
        if self.all_ended_well() {
            return Some(0);
        }
        let codes: Option<Vec<u8>> = self.stages.iter().map(|stage| stage.exit_code).collect();
        Some(codes?.into_iter().rev().find(|&code| code != 0).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(outcomes: &[Outcome], stages: &[(CommandKind, Option<u8>)]) -> Incident {
        let counts = outcomes.iter().copied().collect();
        let stage = |&(command, exit_code): &(CommandKind, Option<u8>)| Stage {
            exit_code,
            summary: Summary { command, ..Summary::default() },
            ..Stage::default()
        };
        Incident {
            summary: Summary { counts, ..Summary::default() },
            stages: stages.iter().map(stage).collect(),
            ..Incident::default()
        }
    }

    #[test]
    fn the_exit_code_is_that_of_the_newest_command_that_did_not_succeed() {
        use CommandKind::{Plan, Run, Verify};
        use Outcome::{Failed, LockedAgain, NotFound, StillUnlocked, Unlocked, WouldUnlock};
        let code = |outcomes: &[_], stages: &[_]| incident(outcomes, stages).exit_code_of_all();
        let retried = [(Run, Some(1)), (Run, Some(0))];
        assert_eq!(code(&[Unlocked], &retried), Some(0));
        assert_eq!(code(&[Unlocked, Failed], &[(Run, Some(3)), (Run, Some(1))]), Some(1));
        assert_eq!(code(&[LockedAgain], &[(Run, Some(0)), (Verify, Some(1))]), Some(1));
        assert_eq!(code(&[WouldUnlock, NotFound], &[(Plan, Some(0))]), Some(0));
        assert_eq!(code(&[WouldUnlock], &[(Plan, Some(0)), (Run, Some(3))]), Some(3));
        assert_eq!(code(&[Failed], &[(Run, None), (Verify, Some(0))]), None);
        assert_eq!(code(&[StillUnlocked], &[(Run, None), (Verify, Some(0))]), Some(0));
    }
}
