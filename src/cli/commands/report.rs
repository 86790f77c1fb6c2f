//! `report`: the summary of finished files, and the page.

use std::io::Write as _;

use crate::cli::args::ReportArgs;
use crate::job::page::{self, Detail, gather};
use crate::job::{ExitStatus, Failure};
use crate::model::mask_keys;
use crate::report::{Console, Style, closing};
use crate::results::atomic::AtomicWriter;
use crate::results::{WriteError, refuse_existing, same_file};

pub(in crate::cli) fn report(args: &ReportArgs, console: &Console) -> Result<ExitStatus, Failure> {
    let begun = args.html.as_deref().map(|path| begin(args, path)).transpose()?;
    let detail = args.html.as_ref().map_or(Detail::Counts, |_| Detail::of_page(args.report_pii));
    let mut facts = gather(&args.results, detail)?;
    for warning in &facts.warnings {
        console.warning(warning);
    }
    if let (Some(begun), Some(path)) = (begun, &args.html) {
        let page = page::html(&facts, args.report_pii)?;
        page::fill(begun, path, &page).map_err(WriteError::of_a_whole)?;
        console.note(&format!("wrote the page {}", path.display()));
    }
    facts.incident.summary.files.report.clone_from(&args.html);
    let text = if args.json {
        facts.incident.to_json().map_err(Failure::internal)? + "\n"
    } else {
        closing::incident(&facts.incident, Style { colour: false })
    };
    let text = mask_keys(&text);
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| {
        let text = format!("cannot write the summary to stdout: {error}");
        Failure::new(ExitStatus::Output, anyhow::anyhow!(text))
    })?;
    Ok(ExitStatus::Success)
}

/// Checks that the page can be written, before anything is read.
fn begin(args: &ReportArgs, path: &std::path::Path) -> Result<AtomicWriter, Failure> {
    if args.results.iter().any(|results| same_file(path, results)) {
        return Err(Failure::usage(format!("{} would be read and written", path.display())));
    }
    if !args.force {
        refuse_existing(path).map_err(|error| error.of_a_whole("--html"))?;
    }
    Ok(AtomicWriter::create(path).map_err(WriteError::of_a_whole)?)
}
