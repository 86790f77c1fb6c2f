//! What the help of each command ends with: three examples and the exit codes that can occur.

use clap::Command;

/// The end of the program's own help.
const PROGRAM: &str = "\
Every flag has an environment variable: BULK_UNLOCK_ and its long name in capitals, such as
BULK_UNLOCK_QUOTA_SHARE=50%. A flag takes precedence over its variable.

Try it without an account: bulk-unlock run users.csv --sandbox";

const RUN: &str = "\
Examples:
  Unlock the users of a list:
    bulk-unlock run users.csv --reason INC-4711
  Find them by email, and leave out compromised accounts:
    bulk-unlock run emails.csv --by email --exclude compromised.csv
  Run a reviewed plan, ten users first, and stop when more than 1 % fail:
    bulk-unlock run --plan users.plan.csv --canary 10 --max-fail 1%

Exit codes:
  0  every row ended well            5  not confirmed
  1  some rows did not end well      6  the results cannot be written
  2  usage, input, or plan error     7  the accounting does not add up
  3  stopped early by a guard        130, 143  SIGINT, SIGTERM
  4  secret key missing or refused";

const PLAN: &str = "\
Examples:
  Show what a run would do:
    bulk-unlock plan users.csv --exclude compromised.csv
  Plan for everyone who is locked now:
    bulk-unlock locked | bulk-unlock plan -
  Write a page for the reviewer:
    bulk-unlock plan users.csv -o review.plan.csv --report review.html

Exit codes:
  0  the plan is complete            5  not used
  1  some look-ups failed            6  the plan cannot be written
  2  usage or input error            7  the accounting does not add up
  3  stopped early by a guard        130, 143  SIGINT, SIGTERM
  4  secret key missing or refused";

const LOCKED: &str = "\
Examples:
  Write the list of locked users:
    bulk-unlock locked -o locked.csv
  Count them:
    bulk-unlock locked | tail -n +2 | wc -l
  Keep the whole user objects, without private metadata:
    bulk-unlock locked --snapshot full --redact private_metadata -o locked.full.csv

Exit codes:
  0  the list is complete            4  secret key missing or refused
  1  some users did not say whether  6  the list cannot be written
     they are locked                 130, 143  SIGINT, SIGTERM
  2  usage error
  3  the list is incomplete";

const VERIFY: &str = "\
Examples:
  Check the users that a run unlocked:
    bulk-unlock verify users.results.csv
  Check again every ten minutes for a day, while an attack may continue:
    bulk-unlock verify users.results.csv --watch 24h --every 10m
  Print the result as JSON:
    bulk-unlock verify users.results.csv --force --json

Exit codes:
  0  all are still unlocked          4  secret key missing or refused
  1  some are not, or unknown        6  the results cannot be written
  2  usage or input error            7  the accounting does not add up
  3  stopped early by a guard        130, 143  SIGINT, SIGTERM";

const RELOCK: &str = "\
Examples:
  Show who would be locked again:
    bulk-unlock relock users.results.csv -n
  Undo a run, and keep a record of the reason:
    bulk-unlock relock users.results.csv --force --reason INC-4712
  Lock at most ten users again:
    bulk-unlock relock users.results.csv --max-users 10 -o second.relock.csv

Exit codes:
  0  every row ended well            5  not confirmed
  1  some rows did not end well      6  the results cannot be written
  2  usage or input error            7  the accounting does not add up
  3  stopped early by a guard        130, 143  SIGINT, SIGTERM
  4  secret key missing or refused";

const REPORT: &str = "\
Examples:
  Summarize a run:
    bulk-unlock report users.results.csv
  Write a page about a whole incident:
    bulk-unlock report users.plan.csv users.results.csv --html incident.html
  Print the summary as JSON:
    bulk-unlock report users.results.csv --json

Exit codes:
  0  the summary was written         6  the page cannot be written
  2  usage or input error            7  internal error";

const SANDBOX: &str = "\
Examples:
  Rehearse against a production instance:
    bulk-unlock sandbox
  Rehearse against a development instance on a free port:
    bulk-unlock sandbox --development --port 0
  Rehearse with faults, beside a live application:
    bulk-unlock sandbox --faults reset=2%,500=5% --live-app 25/s

Exit codes:
  2  usage error, or the port is in use
  130, 143  SIGINT, SIGTERM";

/// The end of each command's long help.
pub(super) const COMMANDS: [(&str, &str); 7] = [
    ("run", RUN),
    ("plan", PLAN),
    ("locked", LOCKED),
    ("verify", VERIFY),
    ("relock", RELOCK),
    ("report", REPORT),
    ("sandbox", SANDBOX),
];

/// Adds the examples to the help.
pub(super) fn with_examples(command: Command) -> Command {
    let hint = "Use --help for all flags, examples, and exit codes.";
    COMMANDS.into_iter().fold(command.after_help(PROGRAM), |command, (name, text)| {
        command.mut_subcommand(name, |it| it.after_help(hint).after_long_help(text))
    })
}
