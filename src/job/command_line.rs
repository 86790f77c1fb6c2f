//! Commands that the program prints. They are built from the effective settings of a run, whatever
//! their source, and can be pasted into a POSIX shell as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use super::Job;
use super::connection::Instance;
use crate::model::{Outcome, StopReason};
use crate::policy::shard::Shard;
use crate::report::text::is_invisible;
use crate::stats::summary::{CommandKind, Ending, NextStep, Summary};

/// A command of this program with its effective settings.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    program: OsString,
    command: String,
    operands: Vec<OsString>,
    /// Long flag names without the dashes, each with its value; `None` for a switch. Those that this
    /// command does not accept are kept for the commands that follow it.
    flags: Vec<(String, Option<OsString>)>,
    /// Flags that were removed.
    left_out: BTreeSet<String>,
    accepted: Arc<AcceptedFlags>,
    variables: VariablesOfFlags,
}

/// The long flag names that each command accepts.
pub(crate) type AcceptedFlags = BTreeMap<String, BTreeSet<String>>;

/// The environment variables that set each flag, by its long name: the flag's own, and the one that
/// names a configuration file with it.
pub(crate) type VariablesOfFlags = BTreeMap<String, BTreeSet<String>>;

impl CommandLine {
    /// A command without arguments. `program` is how the user called this program.
    pub(crate) fn new(
        program: &OsStr,
        command: &str,
        accepted: AcceptedFlags,
        variables: VariablesOfFlags,
    ) -> Self {
        Self {
            program: program.to_owned(),
            command: command.to_owned(),
            operands: Vec::new(),
            flags: Vec::new(),
            left_out: BTreeSet::new(),
            accepted: Arc::new(accepted),
            variables,
        }
    }

    /// Another command with the same settings. It prints those that it accepts.
    #[must_use]
    pub(crate) fn for_command(mut self, command: &str) -> Self {
        command.clone_into(&mut self.command);
        self
    }

    /// Without these flags.
    #[must_use]
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.flags.retain(|(name, _)| !names.contains(&name.as_str()));
        self.left_out.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// With this operand in place of all others.
    #[must_use]
    pub(crate) fn operand(mut self, operand: impl Into<OsString>) -> Self {
        self.operands = vec![operand.into()];
        self
    }

    /// Without operands.
    #[must_use]
    pub(crate) fn without_operands(mut self) -> Self {
        self.operands.clear();
        self
    }

    /// With this switch.
    #[must_use]
    pub(crate) fn switch(mut self, name: &str) -> Self {
        if self.flags.iter().all(|(it, _)| it != name) {
            self.flags.push((name.to_owned(), None));
        }
        self
    }

    /// With this value of a flag, in place of another.
    #[must_use]
    pub(crate) fn value(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self = self.without(&[name]);
        self.flags.push((name.to_owned(), Some(value.into())));
        self
    }

    /// With these values of a flag, which is repeated for each of them.
    #[must_use]
    pub(crate) fn values(mut self, name: &str, values: Vec<OsString>) -> Self {
        self = self.without(&[name]);
        self.flags.extend(values.into_iter().map(|value| (name.to_owned(), Some(value))));
        self
    }

    /// The value of a flag, where it has one.
    pub(crate) fn value_of(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.flags.iter().find(|(it, _)| it == name)?;
        value.as_deref()
    }

    /// The command as a line for a POSIX shell. It is safe for a terminal: whatever a terminal
    /// would not show as it is, is written as an escape.
    pub(crate) fn to_shell(&self) -> String {
        let mut words = self.without_variables();
        words.extend([program_word(&self.program), self.command.clone()]);
        words.extend(self.operands.iter().map(|operand| operand_word(operand)));
        for (name, value) in self.flags.iter().filter(|(name, _)| self.accepts(name)) {
            let mut word = OsString::from(format!("--{name}"));
            if let Some(value) = value {
                word.push("=");
                word.push(value);
            }
            words.push(quote(&word));
        }
        words.join(" ")
    }

    /// The words that unset the variables of flags that were left out, which would still hold in the
    /// user's shell. Empty where there are none.
    fn without_variables(&self) -> Vec<String> {
        let is_given = |flag: &String| self.flags.iter().any(|(name, _)| name == flag);
        let left_out = self.left_out.iter().filter(|it| self.accepts(it) && !is_given(it));
        let names: BTreeSet<&String> =
            left_out.filter_map(|flag| self.variables.get(flag)).flatten().collect();
        if names.is_empty() {
            return Vec::new();
        }
        let mut words = vec!["env".to_owned()];
        words.extend(names.into_iter().map(|name| format!("-u {name}")));
        // `env` would take the program for an assignment.
        if self.program.as_encoded_bytes().contains(&b'=') {
            words.push("sh -c 'exec \"$0\" \"$@\"'".to_owned());
        }
        words
    }

    fn accepts(&self, flag: &str) -> bool {
        self.accepted.get(&self.command).is_none_or(|flags| flags.contains(flag))
    }
}

/// A shell would take `NAME=value` in the first place for an assignment.
fn program_word(program: &OsStr) -> String {
    let is_bare = program.to_str().is_some_and(|name| !name.contains('='));
    if is_bare { quote(program) } else { quote_always(program) }
}

/// A file whose name begins with a dash would be taken for a flag.
fn operand_word(operand: &OsStr) -> String {
    let is_flag = operand.len() > 1 && operand.as_encoded_bytes().starts_with(b"-");
    if is_flag { quote(Path::new(".").join(operand).as_os_str()) } else { quote(operand) }
}

/// One word for a POSIX shell.
fn quote(word: &OsStr) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        _ => quote_always(word),
    }
}

/// Text in single quotes; what a terminal does not show, and what is not UTF-8, by `printf`. A line
/// break stays as it is: command substitution would drop one at the end.
fn quote_always(word: &OsStr) -> String {
    let escape = |bytes: &[u8]| -> String {
        let octal = bytes.iter().map(|byte| format!("\\{byte:03o}"));
        let octal = octal.collect::<Vec<_>>().concat();
        format!("'\"$(printf '{octal}')\"'")
    };
    let mut quoted = String::from("'");
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' => quoted.push_str("'\\''"),
                '\n' => quoted.push(c),
                c if c.is_control() || is_invisible(c) => {
                    quoted.push_str(&escape(c.encode_utf8(&mut [0; 4]).as_bytes()));
                }
                c => quoted.push(c),
            }
        }
        if !chunk.invalid().is_empty() {
            quoted.push_str(&escape(chunk.invalid()));
        }
    }
    quoted + "'"
}

/// Flags that select users of the instance, which no list of users allows.
pub(crate) const FILTERS: [&str; 9] = [
    "organization",
    "email-domain",
    "last-sign-in-after",
    "last-sign-in-before",
    "created-after",
    "created-before",
    "password-changed-after",
    "lock-ends-after",
    "skip-banned",
];

/// Flags that belong to one input: the next command reads another one.
const OF_INPUT: [&str; 14] = [
    "column",
    "by",
    "delimiter",
    "lenient",
    "limit",
    "skip",
    "carry",
    "if-empty",
    "max-input-age",
    "retry-failed",
    "plan",
    "plan-max-age",
    "plan-sha256",
    "all-locked",
];

/// Flags that belong to one job: where it writes, and how many users it expects.
const OF_JOB: [&str; 9] = [
    "dry-run",
    "expect-count",
    "output",
    "resume",
    "force",
    "report",
    "report-pii",
    "metrics-file",
    "metrics-job",
];

/// The command that continues from a finished or stopped job, if anything is left to do.
pub(super) fn next_step(job: &Job<'_>, summary: &Summary) -> Option<NextStep> {
    let line = &job.context.effective.line;
    let results = summary.files.results.as_deref()?;
    let has = |outcome| summary.counts.get(outcome) > 0;
    let has_failed = summary.counts.n_where(Outcome::may_yet_succeed) > 0;
    let mut look_first = None;
    let (why, command) = match summary.command {
        _ if summary.n_unprocessed > 0 => {
            if let Ending::Stopped(StopReason::Canary | StopReason::MaxFail) = summary.ending {
                look_first.clone_from(&summary.files.failed);
            }
            let why = why_resume(summary.ending, job.settings.input.path().is_none());
            (why, line.clone().without(&["force"]).switch("resume"))
        }
        CommandKind::Plan if has(Outcome::WouldUnlock) => {
            ("To unlock them", run_plan(line, results, summary.plan_sha256.as_deref()))
        }
        // In place of the file of the dry run.
        CommandKind::RelockPlan if has(Outcome::WouldRelock) => {
            let line = line.clone().without(&["dry-run", "resume"]).switch("force");
            ("To lock them again", line)
        }
        // Into another file: this one is the record of what was done.
        CommandKind::Relock if has_failed => {
            let output = results.with_extension("again.csv");
            let line = line.clone().without(&OF_JOB).value("output", output);
            ("To try the users that failed again", line)
        }
        CommandKind::Run if has_failed => {
            let mut retry = of_another_input(line).operand(results);
            if let Some(by) = line.value_of("by") {
                retry = retry.value("by", by);
            }
            // A plan or a walk named the users, who were looked up.
            if !job.settings.input.is_list() {
                retry = retry.switch("only-locked");
            }
            ("To retry the users that failed", retry.switch("retry-failed"))
        }
        // The server of the sandbox ends with the job: nothing can be read back.
        CommandKind::Run
            if has(Outcome::Unlocked)
                && job.connection.instance != Instance::Sandbox
                && !job.settings.verify =>
        {
            let verify = of_another_input(line).without(&["max-fail", "max-duration", "json"]);
            let verify = with_divided_share(verify).for_command("verify");
            ("To check that they stay unlocked", verify.operand(results))
        }
        _ => return None,
    };
    Some(NextStep { look_first, why: why.to_owned(), command: command.to_shell() })
}

fn why_resume(ending: Ending, is_piped: bool) -> &'static str {
    match ending {
        Ending::Stopped(StopReason::Unauthorized) => "To resume with a valid key",
        Ending::Stopped(StopReason::Forbidden) => {
            "To resume with a key that has permission (the failed file lists the refused users)"
        }
        Ending::Stopped(StopReason::OutputFailed) => "To resume when there is room to write",
        _ if is_piped => "To resume, with the same users on stdin",
        _ => "To resume",
    }
}

fn run_plan(line: &CommandLine, plan: &Path, sha256: Option<&str>) -> CommandLine {
    let run = of_another_input(line).without(&["only-locked"]).without_operands();
    let mut run = run.for_command("run").value("plan", plan);
    // The plan and its run expect the same number; a retry does not.
    if let Some(expected) = line.value_of("expect-count") {
        run = run.value("expect-count", expected);
    }
    match sha256 {
        Some(sha256) => run.value("plan-sha256", sha256),
        None => run,
    }
}

/// Without the flags that belong to one input or one job.
pub(super) fn of_another_input(line: &CommandLine) -> CommandLine {
    line.clone().without(&OF_INPUT).without(&FILTERS).without(&OF_JOB)
}

/// `verify` has no shards: the results of all of them may be read back at once.
fn with_divided_share(line: CommandLine) -> CommandLine {
    let text = |name| line.value_of(name).and_then(OsStr::to_str);
    let shard: Option<Shard> = text("shard").and_then(|it| it.parse().ok());
    let percent: Option<f64> =
        text("quota-share").and_then(|it| it.trim_end_matches('%').trim().parse().ok());
    match (shard, percent) {
        (Some(shard), Some(percent)) => {
            let percent = percent / f64::from(shard.count().get());
            line.value("quota-share", format!("{percent}%"))
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &str) -> CommandLine {
        let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
        let accepted = AcceptedFlags::from([
            ("run".to_owned(), names(&["exclude", "only-locked", "rate", "output"])),
            ("verify".to_owned(), names(&["rate"])),
        ]);
        let variables = VariablesOfFlags::from([
            ("output".to_owned(), names(&["X_OUTPUT", "X_CONFIG"])),
            ("rate".to_owned(), names(&["X_CONFIG"])),
        ]);
        CommandLine::new(OsStr::new("bulk-unlock"), command, accepted, variables)
    }

    #[test]
    fn a_command_repeats_its_settings() {
        let run =
            line("run").operand("users.csv").value("exclude", "a b.csv").switch("only-locked");
        let expected = "bulk-unlock run users.csv '--exclude=a b.csv' --only-locked";
        assert_eq!(run.to_shell(), expected);
        assert_eq!(run.clone().switch("only-locked").to_shell(), expected);
        assert_eq!(
            run.without(&["only-locked", "exclude"]).to_shell(),
            "bulk-unlock run users.csv"
        );
    }

    #[test]
    fn another_command_keeps_only_what_it_accepts() {
        let run = line("run").operand("users.csv").switch("only-locked").value("rate", "5/s");
        let verify = run.for_command("verify").operand("r.csv");
        assert_eq!(verify.to_shell(), "bulk-unlock verify r.csv --rate=5/s");
    }

    #[test]
    fn flags_of_a_later_command_are_kept_but_not_printed() {
        let verify = line("verify").value("rate", "5/s").value("exclude", "a.csv");
        assert_eq!(verify.to_shell(), "bulk-unlock verify --rate=5/s");
        let run = verify.for_command("run");
        assert_eq!(run.to_shell(), "bulk-unlock run --rate=5/s --exclude=a.csv");
    }

    #[test]
    fn variables_of_flags_that_are_left_out_are_unset() {
        let run = line("run").value("output", "a.csv").value("rate", "5/s");
        assert_eq!(run.to_shell(), "bulk-unlock run --output=a.csv --rate=5/s");
        let bare = run.without(&["output", "rate"]);
        assert_eq!(bare.to_shell(), "env -u X_CONFIG -u X_OUTPUT bulk-unlock run");
        let other = bare.clone().value("output", "b.csv").value("rate", "6/s");
        assert_eq!(other.to_shell(), "bulk-unlock run --output=b.csv --rate=6/s");
        let verify = bare.value("rate", "5/s").for_command("verify");
        assert_eq!(verify.to_shell(), "bulk-unlock verify --rate=5/s", "it has no --output");
    }

    #[test]
    fn names_that_begin_with_a_dash_stay_names() {
        let run = line("run").operand("-x.csv").value("output", "-y.csv");
        assert_eq!(run.to_shell(), "bulk-unlock run ./-x.csv --output=-y.csv");
        assert_eq!(line("run").operand("-").to_shell(), "bulk-unlock run -");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_with_an_equals_sign_in_its_path_is_no_assignment() {
        use std::process::Command;

        let echo = |line: CommandLine| {
            let dir = tempfile::tempdir().unwrap();
            let bin = dir.path().join("a=b");
            std::os::unix::fs::symlink("/bin", &bin).unwrap();
            let line = CommandLine { program: bin.join("echo").into(), ..line };
            let output = Command::new("sh").args(["-c", &line.to_shell()]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let run = line("run").operand("a b.csv");
        assert_eq!(echo(run.clone()), "run a b.csv\n");
        assert_eq!(echo(run.without(&["output"])), "run a b.csv\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_every_word_as_it_was() {
        use std::os::unix::ffi::OsStringExt as _;
        use std::process::Command;

        let words: [&[u8]; 12] = [
            b"plain",
            b"",
            b"two words",
            b"it's \"quoted\" $HOME `x` \\ !",
            b"line\nbreak\n",
            b"tab\tbell\x07",
            b"\xff\xfe not utf-8 \xff",
            "é\u{202e}x\u{200b}".as_bytes(),
            b"*?[a]{b,c}~#;&|<>()",
            b"-n",
            b"%s\\n",
            b"\n",
        ];
        for word in words {
            let word = OsString::from_vec(word.to_vec());
            let script = format!("printf '%s.' {}", quote(&word));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            let mut expected = word.clone().into_vec();
            expected.push(b'.');
            assert_eq!(output.stdout, expected, "{script}");
            let shown = |c: char| c == '\n' || !c.is_control();
            assert!(script.chars().all(shown), "{script:?}");
        }
    }
}
