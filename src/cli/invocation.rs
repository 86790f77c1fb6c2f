//! The command line as a value, so that the next one can be made from it.

use std::borrow::Cow;
use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

/// What was typed: the program, the command, and each argument in its long form. Values that came
/// from the environment are not in it: they are still there for the next command.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    program: String,
    command: String,
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    id: String,
    tokens: Vec<String>,
}

impl Invocation {
    /// Takes down what was typed. No flag takes a secret, so none is in it.
    pub(super) fn new(program: &OsStr, top: &clap::Command, matches: &ArgMatches) -> Self {
        let program = program.to_string_lossy().into_owned();
        let Some((name, matches)) = matches.subcommand() else {
            return Self { program, command: String::new(), items: Vec::new() };
        };
        let arguments =
            top.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
        let items = arguments.filter_map(|arg| Item::typed(arg, matches)).collect();
        Self { program, command: name.to_owned(), items }
    }

    /// Another command of the same program.
    pub(super) fn into_command(mut self, command: &str) -> Self {
        command.clone_into(&mut self.command);
        self
    }

    /// Without these arguments.
    pub(super) fn without(mut self, ids: &[&str]) -> Self {
        self.items.retain(|item| !ids.contains(&item.id.as_str()));
        self
    }

    /// With one more, unless it is there.
    pub(super) fn with(mut self, id: &str, tokens: &[&str]) -> Self {
        if self.items.iter().all(|item| item.id != id) {
            let tokens = tokens.iter().map(|&token| token.to_owned()).collect();
            self.items.push(Item { id: id.to_owned(), tokens });
        }
        self
    }

    /// As it would be typed, quoted for a shell.
    pub(super) fn text(&self) -> String {
        let head = [self.program.as_str(), self.command.as_str()].into_iter();
        let is_positional =
            |item: &&Item| !item.tokens.first().is_some_and(|it| it.starts_with("--"));
        let positional = self.items.iter().filter(is_positional);
        let flags = self.items.iter().filter(|item| !is_positional(item));
        // A name that begins with a dash would be taken for a flag.
        let positional =
            positional.flat_map(|item| &item.tokens).map(|token| match token.as_str() {
                name if name.starts_with('-') && name.len() > 1 && !name.starts_with("--") => {
                    Cow::Owned(format!("./{name}"))
                }
                name => Cow::Borrowed(name),
            });
        let flags = flags.flat_map(|item| &item.tokens).map(|token| Cow::Borrowed(token.as_str()));
        let head = head.map(Cow::Borrowed);
        shell_words::join(head.chain(positional).chain(flags))
    }
}

impl Item {
    fn typed(arg: &Arg, matches: &ArgMatches) -> Option<Self> {
        let id = arg.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            return None;
        }
        let long = arg.get_long().map(|long| format!("--{long}"));
        let mut tokens: Vec<String> = Vec::new();
        match arg.get_action() {
            ArgAction::Count => {
                let n = usize::from(matches.get_count(id));
                tokens.extend(std::iter::repeat_n(long?, n));
            }
            ArgAction::SetTrue | ArgAction::SetFalse => tokens.push(long?),
            _ => {
                let values: Vec<String> =
                    matches.get_raw(id)?.map(|it| it.to_string_lossy().into_owned()).collect();
                match long {
                    Some(long) => tokens.extend([long, values.join(",")]),
                    None => tokens.extend(values),
                }
            }
        }
        Some(Self { id: id.to_owned(), tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    fn typed(line: &str) -> Invocation {
        let words = shell_words::split(line).unwrap();
        let matches = args::command().try_get_matches_from(&words).unwrap();
        Invocation::new(words[0].as_ref(), &args::command(), &matches)
    }

    #[test]
    fn it_is_told_as_it_was_typed_in_long_form() {
        let line = "./bulk-unlock run 'my ids.csv' -c 8 -y -vv --redact a,b --rate 80/s";
        insta::assert_snapshot!(
            typed(line).text(),
            @"./bulk-unlock run 'my ids.csv' --yes --rate 80/s --concurrency 8 --redact a,b --verbose --verbose"
        );
    }

    #[test]
    fn a_name_that_begins_with_a_dash_is_told_so_that_it_is_no_flag() {
        assert_eq!(typed("bu run ./-x.csv").text(), "bu run ./-x.csv");
        let next = typed("bu run a.csv").without(&["input"]).with("input", &["-a.results.csv"]);
        assert_eq!(next.text(), "bu run ./-a.results.csv");
    }

    #[test]
    fn the_next_command_is_made_from_it() {
        let next = typed("bu run ids.csv --force -o out.csv --sandbox")
            .without(&["force"])
            .with("resume", &["--resume"]);
        assert_eq!(next.text(), "bu run ids.csv --output out.csv --sandbox --resume");
    }
}
