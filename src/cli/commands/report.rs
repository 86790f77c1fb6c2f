//! `report`: the summary of finished files, and the page.

use std::io::Write as _;

use crate::cli::args::ReportArgs;
use crate::job::page::{self, gather};
use crate::job::{ExitStatus, Failure};
use crate::model::mask_keys;
use crate::report::{Console, Style, closing};
use crate::results::atomic::AtomicWriter;
use crate::results::{WriteError, refuse_existing, same_file};

pub(in crate::cli) fn report(args: &ReportArgs, console: &Console) -> Result<ExitStatus, Failure> {
    let begun = args.html.as_deref().map(|path| begin(args, path)).transpose()?;
    let gathered = gather(&args.results)?;
    for warning in &gathered.facts.warnings {
        console.warning(warning);
    }
    if let (Some(begun), Some(path)) = (begun, &args.html) {
        let page = page::html(&gathered.facts, args.report_pii)?;
        page::fill(begun, path, &page).map_err(WriteError::of_a_whole)?;
        console.note(&format!("the page is {}", path.display()));
    }
    let mut summary = gathered.summary;
    summary.files.report.clone_from(&args.html);
    summary.next = gathered.facts.next.into_iter().next();
    let text = if args.json {
        summary.to_json().map_err(Failure::internal)? + "\n"
    } else {
        closing::text(&summary, Style { colour: false })
    };
    let text = mask_keys(&text);
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| {
        let text = format!("the summary can't be written to stdout: {error}");
        Failure::new(ExitStatus::Output, anyhow::anyhow!(text))
    })?;
    Ok(ExitStatus::Success)
}

/// Makes sure that the page can be written, before anything is read.
fn begin(args: &ReportArgs, path: &std::path::Path) -> Result<AtomicWriter, Failure> {
    if args.results.iter().any(|results| same_file(path, results)) {
        return Err(Failure::usage(format!("{} would be read and written", path.display())));
    }
    if !args.force {
        refuse_existing(path).map_err(|error| error.of_a_whole("--html"))?;
    }
    Ok(AtomicWriter::create(path).map_err(WriteError::of_a_whole)?)
}
