//! `completions` and `man`: generated from the definition of the command line.

use std::io::Write as _;

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args;
use super::help::{COMMANDS, CommandHelp, ENVIRONMENT};
use crate::job::{ExitStatus, Failure};

const PROGRAM: &str = "bulk-unlock";

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

pub(super) fn man(command: Option<&str>) -> Result<ExitStatus, Failure> {
    let page = page(command).map_err(Failure::internal)?;
    print(&page)
}

/// The manual page of this command, or of the program.
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
    for (purpose, line) in help.examples {
        roff.control("TP", []).text([roman(format!("{purpose}:"))]);
        roff.text([bold(line)]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for &(code, meaning) in help.exit_codes {
        roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold(PROGRAM), roman("(1)")]);
    roff
}

fn print(bytes: &[u8]) -> Result<ExitStatus, Failure> {
    let mut stdout = std::io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| {
        let error = anyhow::Error::new(error).context("failed to write to stdout");
        Failure::new(ExitStatus::Output, error)
    })?;
    Ok(ExitStatus::Success)
}
