//! One file for each command.

pub(super) mod check;
pub(super) mod generate;
pub(super) mod locked;
pub(super) mod relock;
pub(super) mod report;
pub(super) mod run;
pub(super) mod sandbox;
pub(super) mod verify;

mod inherit;
