//! `locked`: walk the instance and list who is locked now.

mod list;
mod walker;

use std::path::Path;

use crate::cli::Context;
use crate::cli::args::LockedArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::job::Execution;
use crate::cli::status::Status;
use crate::report::{Level, text};
use list::{Listed, LockedList};
use walker::Walker;

pub(in crate::cli) fn locked(args: &LockedArgs, context: Context<'_>) -> Result<Status, Failure> {
    let Context { console, effective, .. } = context;
    let connection = Connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let list = LockedList::create(args)?;
    let execution = Execution::new(&args.execution);
    let walker = Walker::new(&connection, execution, context)?;
    let counted = walker.count()?;
    let passed = walker.walk(counted, |users| list.add(&users, walker.stop()));
    // An incomplete list must not pass for a complete one.
    let listed = list.finish(passed)?;
    if let Some(counted) = counted.filter(|&counted| listed.passed < counted) {
        console.warning(&some_missing(listed.passed, counted));
    }
    console.say(Level::Answer, &headline(&listed, counted.unwrap_or(listed.passed)));
    if let Some(path) = file(&args.output).filter(|_| listed.locked > 0) {
        let line = effective.line.clone().without(&["output", "force", "snapshot", "redact"]);
        let plan = line.for_command("plan").operand(path);
        let why = "To see what a run would do with them";
        console.note(&format!("\n{why}:\n  {}", plan.to_shell()));
    }
    Ok(Status::Success)
}

/// The output, where it is a file.
fn file(output: &Path) -> Option<&Path> {
    (output.as_os_str() != "-").then_some(output)
}

/// No fault: users may have been deleted in between. But nobody else can tell.
fn some_missing(n_passed: u64, counted: u64) -> String {
    format!(
        "{} were counted and {} passed by: the others were deleted meanwhile, or are missing here",
        text::counted(counted, "user", "users"),
        text::number(n_passed)
    )
}

fn headline(listed: &Listed, n_users: u64) -> String {
    let users = text::counted(n_users, "user", "users");
    let n_never = listed.never_expiring;
    format!(
        "{} of {users} are locked: {} locked on purpose, {} whose lock never ends by itself.",
        text::number(listed.locked),
        text::number(listed.admin_locked),
        text::number(n_never)
    )
}
