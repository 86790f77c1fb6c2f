//! The ends of the help texts, and what is generated from the definition of the command line:
//! manual pages and completion scripts.

use std::io::Write as _;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args;
use crate::job::{ExitStatus, Failure};

const PROGRAM: &str = "bulk-unlock";

/// How flags are set by variables: in the program's own help and manual page.
const ENVIRONMENT: &str = "\
Every flag has an environment variable: BULK_UNLOCK_ and its long name in capitals, such as
BULK_UNLOCK_QUOTA_SHARE=50%. A flag takes precedence over its variable, and a variable over a
setting in --config FILE.toml.";

const FIRST_TRY: &str = "Try it without an account: bulk-unlock run users.csv --sandbox";

/// An exit code and its meaning.
type ExitCode = (&'static str, &'static str);

const WELL: ExitCode = ("0", "every row ended well");
const NOT_WELL: ExitCode = ("1", "ran to the end; some rows did not end well");
const USAGE: ExitCode = ("2", "usage, configuration, or input error; no user was changed");
const GUARD: ExitCode = ("3", "stopped early by a guard or an outage; records are left");
const KEY: ExitCode = ("4", "the secret key is missing, malformed, or refused");
const NOT_CONFIRMED: ExitCode = ("5", "not confirmed");
const OUTPUT: ExitCode = ("6", "the output cannot be written");
const ACCOUNTING: ExitCode = ("7", "the accounting does not add up, or another internal error");
const INTERNAL: ExitCode = ("7", "internal error");
const SIGNAL: ExitCode = ("130, 143", "stopped by SIGINT, SIGTERM");

/// The exit codes of commands that change users, after those of the command itself.
const OF_CHANGES: &[ExitCode] = &[GUARD, KEY, NOT_CONFIRMED, OUTPUT, ACCOUNTING, SIGNAL];

/// The same of commands that only read users.
const OF_READS: &[ExitCode] = &[GUARD, KEY, OUTPUT, ACCOUNTING, SIGNAL];

/// The same of commands that only print.
const OF_PRINTING: &[ExitCode] = &[("2", "usage error"), ("6", "stdout cannot be written")];

/// The end of a command's long help and of its manual page.
pub(super) struct CommandHelp {
    pub(super) command: &'static str,
    /// As the help prints them: what each example does, and its command line.
    examples: &'static str,
    exit_codes: &'static [&'static [ExitCode]],
}

/// One for each command.
pub(super) const COMMANDS: [CommandHelp; 10] = [
    CommandHelp {
        command: "run",
        examples: "
  Unlock the users of a list, except compromised accounts:
    bulk-unlock run users.csv --exclude compromised.csv --reason INC-4711
  Run a reviewed plan, ten users first, and stop when more than 1 % fail:
    bulk-unlock run --plan users.plan.csv --canary 10 --max-fail 1%
  Unlock all locked users, as a scheduled job does:
    bulk-unlock run --all-locked --max-users 500 --yes",
        exit_codes: &[&[WELL, NOT_WELL, USAGE], OF_CHANGES],
    },
    CommandHelp {
        command: "plan",
        examples: "
  Show what a run would do:
    bulk-unlock plan users.csv --exclude compromised.csv
  Plan for all locked users whose password was changed in the last week:
    bulk-unlock plan --all-locked --password-changed-after 7d
  Write a page for the reviewer:
    bulk-unlock plan users.csv -o review.plan.csv --report review.html",
        exit_codes: &[
            &[("0", "the plan is complete"), ("1", "some look-ups failed"), USAGE],
            OF_READS,
        ],
    },
    CommandHelp {
        command: "locked",
        examples: "
  Write the list of locked users:
    bulk-unlock locked -o locked.csv
  List the members of an organization who signed in this week:
    bulk-unlock locked --organization org_2abc --last-sign-in-after 7d
  Write whole user objects, without private metadata:
    bulk-unlock locked --snapshot full --redact private_metadata -o locked.full.csv",
        exit_codes: &[&[
            ("0", "the list is complete"),
            ("1", "the API did not return the lock state of some users"),
            ("2", "usage or configuration error"),
            ("3", "the list is incomplete"),
            KEY,
            OUTPUT,
            ACCOUNTING,
            SIGNAL,
        ]],
    },
    CommandHelp {
        command: "verify",
        examples: "
  Check the users whom a run unlocked:
    bulk-unlock verify users.results.csv
  Check again every ten minutes for a day, while an attack may continue:
    bulk-unlock verify users.results.csv --watch 24h --every 10m
  Print the summary as JSON:
    bulk-unlock verify users.results.csv --force --json",
        exit_codes: &[
            &[
                ("0", "all users are still unlocked"),
                ("1", "some users are locked again, gone, or unknown"),
                ("2", "usage, configuration, or input error"),
            ],
            OF_READS,
        ],
    },
    CommandHelp {
        command: "relock",
        examples: "
  Show who would be locked again:
    bulk-unlock relock users.results.csv -n
  Undo a run, and record the reason:
    bulk-unlock relock users.results.csv --force --reason INC-4712
  Lock at most ten users again:
    bulk-unlock relock users.results.csv --max-users 10 -o second.relock.csv",
        exit_codes: &[&[WELL, NOT_WELL, USAGE], OF_CHANGES],
    },
    CommandHelp {
        command: "report",
        examples: "
  Summarize a run:
    bulk-unlock report users.results.csv
  Write a page about a whole incident:
    bulk-unlock report users.plan.csv users.results.csv --html incident.html
  Print a page for a pull request or a job summary:
    bulk-unlock report users.results.csv --markdown -",
        exit_codes: &[&[
            ("0", "the summary was written"),
            ("2", "usage or input error"),
            OUTPUT,
            INTERNAL,
            SIGNAL,
        ]],
    },
    CommandHelp {
        command: "check",
        examples: "
  Check the key and the address before an incident:
    bulk-unlock check
  Check a key that is in a file:
    bulk-unlock check --secret-key-file clerk.key
  Print the result as JSON:
    bulk-unlock check --json",
        exit_codes: &[&[
            ("0", "a run could begin"),
            ("2", "usage or configuration error, or the API does not answer as expected"),
            KEY,
            INTERNAL,
            SIGNAL,
        ]],
    },
    CommandHelp {
        command: "sandbox",
        examples: "
  Rehearse against a production instance:
    bulk-unlock sandbox
  Rehearse against a development instance on a free port:
    bulk-unlock sandbox --development --port 0
  Rehearse with faults and a live application:
    bulk-unlock sandbox --faults reset=2%,500=5% --live-app 25/s",
        exit_codes: &[&[("2", "usage error, or the port is in use"), INTERNAL, SIGNAL]],
    },
    CommandHelp {
        command: "completions",
        examples: "
  Complete in this bash:
    eval \"$(bulk-unlock completions bash)\"
  Install for fish:
    bulk-unlock completions fish > ~/.config/fish/completions/bulk-unlock.fish
  Install for zsh, in a directory of $fpath:
    bulk-unlock completions zsh > ~/.zfunc/_bulk-unlock",
        exit_codes: &[&[("0", "the script was written")], OF_PRINTING],
    },
    CommandHelp {
        command: "man",
        examples: "
  Read the page of the program:
    bulk-unlock man | man -l -
  Read the page of a command:
    bulk-unlock man run | man -l -
  Install the page of a command:
    bulk-unlock man run > ~/.local/share/man/man1/bulk-unlock-run.1",
        exit_codes: &[&[("0", "the page was written")], OF_PRINTING],
    },
];

/// Adds examples and exit codes to the help of each command.
pub(super) fn with_examples(command: Command) -> Command {
    let hint = "Use --help for all flags, examples, and exit codes.";
    let command = command.after_help(format!("{ENVIRONMENT}\n\n{FIRST_TRY}"));
    COMMANDS.iter().fold(command, |command, help| {
        command.mut_subcommand(help.command, |it| it.after_help(hint).after_long_help(help.text()))
    })
}

impl CommandHelp {
    fn text(&self) -> String {
        let mut text = format!("Examples:{}\n\nExit codes:", self.examples);
        for (code, meaning) in self.exit_codes.iter().copied().flatten() {
            text += &format!("\n  {code:<8}  {meaning}");
        }
        text
    }
}

/// Prints a completion script.
pub(super) fn completions(shell: Shell) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), PROGRAM, &mut script);
    if shell == Shell::Bash {
        // clap_complete escapes the hyphen of the program's name in two ways, so that nothing
        // after a command is completed: clap issue 6421.
        let text = String::from_utf8_lossy(&script);
        script = text.replace("bulk__subcmd__unlock", "bulk__unlock").into_bytes();
    }
    print(&script)
}

/// Prints the manual page of this command, or of the program.
pub(super) fn man(command: Option<&str>) -> Result<ExitStatus, Failure> {
    print(&page(command).map_err(Failure::internal)?)
}

fn page(name: Option<&str>) -> std::io::Result<Vec<u8>> {
    // `help` is a command of clap's, without a page.
    let mut program = args::command().disable_help_subcommand(true);
    program.build();
    let command = name.and_then(|name| program.find_subcommand(name)).unwrap_or(&program);
    let help = COMMANDS.iter().find(|it| Some(it.command) == name);
    let man = Man::new(command.clone())
        .source(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if let Some(help) = help {
        examples_and_exit_codes(help).to_writer(&mut page)?;
    } else {
        man.render_subcommands_section(&mut page)?;
        let mut roff = Roff::new();
        roff.control("SH", ["ENVIRONMENT"]).text([roman(ENVIRONMENT)]);
        roff.to_writer(&mut page)?;
    }
    Ok(page)
}

/// The sections that clap has no data for.
fn examples_and_exit_codes(help: &CommandHelp) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for line in help.examples.lines().skip(1) {
        match line.strip_prefix("    ") {
            Some(command) => roff.text([bold(command)]),
            None => roff.control("TP", []).text([roman(line.trim())]),
        };
    }
    roff.control("SH", ["EXIT STATUS"]);
    for &(code, meaning) in help.exit_codes.iter().copied().flatten() {
        roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold(PROGRAM), roman("(1)")]);
    roff
}

fn print(bytes: &[u8]) -> Result<ExitStatus, Failure> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::output(format!("failed to write to stdout: {error}")))?;
    Ok(ExitStatus::Success)
}
