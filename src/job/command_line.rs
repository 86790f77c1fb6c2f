//! Commands that the program prints. They are built from the effective settings of a run, whatever
//! their source, and can be pasted into a POSIX shell as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::report::text::is_invisible;

/// A command of this program with its effective settings.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    program: OsString,
    command: String,
    operands: Vec<OsString>,
    /// Long flag names without the dashes, each with its value; `None` for a switch. Those that this
    /// command does not accept are kept for the commands that follow it.
    flags: Vec<(String, Option<OsString>)>,
    accepted: Arc<AcceptedFlags>,
}

/// The long flag names that each command accepts.
pub(crate) type AcceptedFlags = BTreeMap<String, BTreeSet<String>>;

impl CommandLine {
    /// A command without arguments. `program` is how the user called this program.
    pub(crate) fn new(program: &OsStr, command: &str, accepted: AcceptedFlags) -> Self {
        Self {
            program: program.to_owned(),
            command: command.to_owned(),
            operands: Vec::new(),
            flags: Vec::new(),
            accepted: Arc::new(accepted),
        }
    }

    /// The same settings for another command, as far as that one accepts them.
    #[must_use]
    pub(crate) fn for_command(mut self, command: &str) -> Self {
        command.clone_into(&mut self.command);
        let accepted = Arc::clone(&self.accepted);
        let of_command = accepted.get(command);
        self.flags.retain(|(name, _)| of_command.is_some_and(|names| names.contains(name)));
        self
    }

    /// Without these flags.
    #[must_use]
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.flags.retain(|(name, _)| !names.contains(&name.as_str()));
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
        let accepted = self.accepted.get(&self.command);
        let mut words = vec![program_word(&self.program), self.command.clone()];
        words.extend(self.operands.iter().map(|operand| operand_word(operand)));
        let is_accepted = |name: &str| accepted.is_none_or(|names| names.contains(name));
        for (name, value) in self.flags.iter().filter(|(name, _)| is_accepted(name)) {
            let mut word = OsString::from(format!("--{name}"));
            if let Some(value) = value {
                word.push("=");
                word.push(value);
            }
            words.push(quote(&word));
        }
        words.join(" ")
    }
}

/// A shell would take `NAME=value` in the first place for an assignment.
fn program_word(program: &OsStr) -> String {
    let is_bare = program.to_str().is_some_and(|name| !name.contains('='));
    if is_bare { quote(program) } else { quote_always(program) }
}

/// A file whose name begins with a dash would be taken for a flag.
fn operand_word(operand: &OsStr) -> String {
    let bytes = operand.as_encoded_bytes();
    if bytes.len() > 1 && bytes.starts_with(b"-") {
        let mut path = OsString::from("./");
        path.push(operand);
        return quote(&path);
    }
    quote(operand)
}

/// One word for a POSIX shell.
pub(crate) fn quote(word: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:=@%+,-".contains(byte);
    let bytes = word.as_encoded_bytes();
    match word.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        _ => quote_always(word),
    }
}

/// Text in single quotes; what a terminal does not show, and what is not UTF-8, by `printf`. A line
/// break stays as it is: command substitution would drop one at the end.
fn quote_always(word: &OsStr) -> String {
    let is_shown = |c: char| c == '\n' || !(c.is_control() || is_invisible(c));
    let (mut text, mut escapes, mut quoted) = (String::new(), String::new(), String::new());
    let flush_text = |text: &mut String, quoted: &mut String| {
        if !text.is_empty() {
            quoted.push('\'');
            quoted.push_str(&text.replace('\'', "'\\''"));
            quoted.push('\'');
            text.clear();
        }
    };
    let flush_escapes = |escapes: &mut String, quoted: &mut String| {
        if !escapes.is_empty() {
            quoted.push_str("\"$(printf '");
            quoted.push_str(escapes);
            quoted.push_str("')\"");
            escapes.clear();
        }
    };
    let octal = |byte: u8| format!("\\{byte:03o}");
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_shown(c) {
                flush_escapes(&mut escapes, &mut quoted);
                text.push(c);
            } else {
                flush_text(&mut text, &mut quoted);
                escapes.extend(c.encode_utf8(&mut [0; 4]).bytes().map(octal));
            }
        }
        if !chunk.invalid().is_empty() {
            flush_text(&mut text, &mut quoted);
            escapes.extend(chunk.invalid().iter().copied().map(octal));
        }
    }
    flush_escapes(&mut escapes, &mut quoted);
    flush_text(&mut text, &mut quoted);
    if quoted.is_empty() { "''".to_owned() } else { quoted }
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
        CommandLine::new(OsStr::new("bulk-unlock"), command, accepted)
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
    fn names_that_begin_with_a_dash_stay_names() {
        let run = line("run").operand("-x.csv").value("output", "-y.csv");
        assert_eq!(run.to_shell(), "bulk-unlock run ./-x.csv --output=-y.csv");
        assert_eq!(line("run").operand("-").to_shell(), "bulk-unlock run -");
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
