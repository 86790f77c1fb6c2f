//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulk_unlock::cli::main(std::env::args_os())
}
