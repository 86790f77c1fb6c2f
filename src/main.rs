//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulk_unlock::main(std::env::args_os())
}
