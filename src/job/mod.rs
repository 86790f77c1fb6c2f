//! One job from its input to its last line: prepare, run, finish.

pub(crate) mod command_line;
pub(crate) mod next;
