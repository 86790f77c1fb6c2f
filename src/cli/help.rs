//! The end of each command's help: three examples, and the exit codes that can occur.

use clap::Command;

/// How flags are set by variables: in the program's own help and manual page.
pub(super) const ENVIRONMENT: &str = "\
Every flag has an environment variable: BULK_UNLOCK_ and its long name in capitals, such as
BULK_UNLOCK_QUOTA_SHARE=50%. A flag takes precedence over its variable, and a variable over a
setting in --config FILE.toml.";

const FIRST_TRY: &str = "Try it without an account: bulk-unlock run users.csv --sandbox";

/// An exit code and its meaning.
pub(super) type ExitCodeHelp = (&'static str, &'static str);

const USAGE: ExitCodeHelp = ("2", "usage, configuration, or input error; no user was changed");
const GUARD: ExitCodeHelp = ("3", "stopped early by a guard or an outage; records are left");
const KEY: ExitCodeHelp = ("4", "the secret key is missing, malformed, or refused");
const NOT_CONFIRMED: ExitCodeHelp = ("5", "not confirmed");
const OUTPUT: ExitCodeHelp = ("6", "the output cannot be written");
const INTERNAL: ExitCodeHelp = ("7", "the accounting does not add up, or another internal error");
const SIGNAL: ExitCodeHelp = ("130, 143", "stopped by SIGINT, SIGTERM");

/// The end of a command's long help and of its manual page.
pub(super) struct CommandHelp {
    pub(super) command: &'static str,
    /// What each example does, and its command line.
    pub(super) examples: [(&'static str, &'static str); 3],
    pub(super) exit_codes: &'static [ExitCodeHelp],
}

/// One for each command.
pub(super) const COMMANDS: [CommandHelp; 10] = [
    CommandHelp {
        command: "run",
        examples: [
            (
                "Unlock the users of a list, except compromised accounts",
                "bulk-unlock run users.csv --exclude compromised.csv --reason INC-4711",
            ),
            (
                "Run a reviewed plan, ten users first, and stop when more than 1 % fail",
                "bulk-unlock run --plan users.plan.csv --canary 10 --max-fail 1%",
            ),
            (
                "Unlock all locked users, as a scheduled job does",
                "bulk-unlock run --all-locked --max-users 500 --yes",
            ),
        ],
        exit_codes: &[
            ("0", "every row ended well"),
            ("1", "ran to the end; some rows did not end well"),
            USAGE,
            GUARD,
            KEY,
            NOT_CONFIRMED,
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "plan",
        examples: [
            ("Show what a run would do", "bulk-unlock plan users.csv --exclude compromised.csv"),
            (
                "Plan for all locked users whose password was changed in the last week",
                "bulk-unlock plan --all-locked --password-changed-after 7d",
            ),
            (
                "Write a page for the reviewer",
                "bulk-unlock plan users.csv -o review.plan.csv --report review.html",
            ),
        ],
        exit_codes: &[
            ("0", "the plan is complete"),
            ("1", "some look-ups failed"),
            USAGE,
            GUARD,
            KEY,
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "locked",
        examples: [
            ("Write the list of locked users", "bulk-unlock locked -o locked.csv"),
            (
                "List the members of an organization who signed in this week",
                "bulk-unlock locked --organization org_2abc --last-sign-in-after 7d",
            ),
            (
                "Write whole user objects, without private metadata",
                "bulk-unlock locked --snapshot full --redact private_metadata -o locked.full.csv",
            ),
        ],
        exit_codes: &[
            ("0", "the list is complete"),
            ("1", "the API did not say of some users whether they are locked"),
            ("2", "usage or configuration error"),
            ("3", "the list is incomplete"),
            KEY,
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "verify",
        examples: [
            ("Check the users whom a run unlocked", "bulk-unlock verify users.results.csv"),
            (
                "Check again every ten minutes for a day, while an attack may continue",
                "bulk-unlock verify users.results.csv --watch 24h --every 10m",
            ),
            ("Print the summary as JSON", "bulk-unlock verify users.results.csv --force --json"),
        ],
        exit_codes: &[
            ("0", "all users are still unlocked"),
            ("1", "some users are locked again, gone, or unknown"),
            ("2", "usage, configuration, or input error"),
            GUARD,
            KEY,
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "relock",
        examples: [
            ("Show who would be locked again", "bulk-unlock relock users.results.csv -n"),
            (
                "Undo a run, and record the reason",
                "bulk-unlock relock users.results.csv --force --reason INC-4712",
            ),
            (
                "Lock at most ten users again",
                "bulk-unlock relock users.results.csv --max-users 10 -o second.relock.csv",
            ),
        ],
        exit_codes: &[
            ("0", "every row ended well"),
            ("1", "ran to the end; some rows did not end well"),
            USAGE,
            GUARD,
            KEY,
            NOT_CONFIRMED,
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "report",
        examples: [
            ("Summarize a run", "bulk-unlock report users.results.csv"),
            (
                "Write a page about a whole incident",
                "bulk-unlock report users.plan.csv users.results.csv --html incident.html",
            ),
            (
                "Print a page for a pull request or a job summary",
                "bulk-unlock report users.results.csv --markdown -",
            ),
        ],
        exit_codes: &[
            ("0", "the summary was written"),
            ("2", "usage or input error"),
            OUTPUT,
            ("7", "internal error"),
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "check",
        examples: [
            ("Check the key and the address before an incident", "bulk-unlock check"),
            ("Check a key that is in a file", "bulk-unlock check --secret-key-file clerk.key"),
            ("Print the result as JSON", "bulk-unlock check --json"),
        ],
        exit_codes: &[
            ("0", "a run could begin"),
            ("2", "usage or configuration error, or the API does not answer as expected"),
            KEY,
            ("7", "internal error"),
            SIGNAL,
        ],
    },
    CommandHelp {
        command: "sandbox",
        examples: [
            ("Rehearse against a production instance", "bulk-unlock sandbox"),
            (
                "Rehearse against a development instance on a free port",
                "bulk-unlock sandbox --development --port 0",
            ),
            (
                "Rehearse with faults and a live application",
                "bulk-unlock sandbox --faults reset=2%,500=5% --live-app 25/s",
            ),
        ],
        exit_codes: &[("2", "usage error, or the port is in use"), ("7", "internal error"), SIGNAL],
    },
    CommandHelp {
        command: "completions",
        examples: [
            ("Complete in this bash", "eval \"$(bulk-unlock completions bash)\""),
            (
                "Install for fish",
                "bulk-unlock completions fish > ~/.config/fish/completions/bulk-unlock.fish",
            ),
            (
                "Install for zsh, in a directory of $fpath",
                "bulk-unlock completions zsh > ~/.zfunc/_bulk-unlock",
            ),
        ],
        exit_codes: &[
            ("0", "the script was written"),
            ("2", "usage error"),
            ("6", "stdout cannot be written"),
        ],
    },
    CommandHelp {
        command: "man",
        examples: [
            ("Read the page of the program", "bulk-unlock man | man -l -"),
            ("Read the page of a command", "bulk-unlock man run | man -l -"),
            (
                "Install the page of a command",
                "bulk-unlock man run > ~/.local/share/man/man1/bulk-unlock-run.1",
            ),
        ],
        exit_codes: &[
            ("0", "the page was written"),
            ("2", "usage error"),
            ("6", "stdout cannot be written"),
        ],
    },
];

/// Adds examples and exit codes to the help of each command.
pub(super) fn with_examples(command: Command) -> Command {
    let hint = "Use --help for all flags, examples, and exit codes.";
    let command = command.after_help(format!("{ENVIRONMENT}\n\n{FIRST_TRY}"));
    COMMANDS.iter().fold(command, |command, help| {
        command.mut_subcommand(help.command, |it| {
            it.after_help(hint).after_long_help(help.to_string())
        })
    })
}

impl std::fmt::Display for CommandHelp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "Examples:")?;
        for (purpose, line) in self.examples {
            writeln!(f, "  {purpose}:\n    {line}")?;
        }
        write!(f, "\nExit codes:")?;
        self.exit_codes.iter().try_for_each(|(code, meaning)| write!(f, "\n  {code:<8}  {meaning}"))
    }
}
