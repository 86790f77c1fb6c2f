//! `--metrics-file`: opened before a command begins, finished after it has ended.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::args::Command;
use crate::engine::wall_clock;
use crate::job::Failure;
use crate::report::Metrics;

/// Where to write metrics.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct MetricsArgs {
    /// Write metrics for Prometheus, at the end and every 10 s, readable by all users
    ///
    /// For the textfile collector of the node exporter, which reads files named *.prom. Each job needs its own file
    #[arg(long, value_name = "PATH.prom", hide_short_help = true)]
    pub(super) metrics_file: Option<PathBuf>,
    /// Value of the label `job` in the metrics
    ///
    /// [default: the command]
    #[arg(long, value_name = "NAME", hide_short_help = true, requires = "metrics_file")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) metrics_job: Option<String>,
}

/// Creates the metrics file of a command that is to have one.
pub(super) fn create(command: &Command) -> Result<Option<Metrics>, Failure> {
    let (args, name) = match command {
        Command::Run(args) if args.selection.dry_run => (&args.metrics, "plan"),
        Command::Run(args) => (&args.metrics, "run"),
        Command::Plan(args) => (&args.metrics, "plan"),
        Command::Locked(args) => (&args.metrics, "locked"),
        Command::Verify(args) => (&args.metrics, "verify"),
        Command::Relock(args) => (&args.metrics, "relock"),
        Command::Report(_)
        | Command::Check(_)
        | Command::Sandbox(_)
        | Command::Completions(_)
        | Command::Man(_) => return Ok(None),
    };
    let MetricsArgs { metrics_file: Some(path), metrics_job } = args else { return Ok(None) };
    let job = metrics_job.clone().unwrap_or_else(|| name.to_owned());
    let name = path.display();
    let created = Metrics::create(path.clone(), job, wall_clock());
    created
        .map(Some)
        .map_err(|error| Failure::output(format!("cannot write the metrics file {name}: {error}")))
}
