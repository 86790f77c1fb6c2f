//! `report`: the summary of finished files, and the pages.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::args::ReportArgs;
use crate::job::finished_files::{self, Detail, gather};
use crate::job::{Context, ExitStatus, Failure, check_not_read};
use crate::model::mask_keys;
use crate::report::{Console, closing};
use crate::results::{AtomicWriter, WriteError, is_stdout, refuse_existing, same_file};

pub(super) fn report(args: &ReportArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let markdown = args.markdown.as_deref();
    let is_printed = markdown.is_some_and(|path| path == Path::new("-"));
    let markdown = markdown.filter(|_| !is_printed);
    let pages: Vec<&Path> = args.html.as_deref().into_iter().chain(markdown).collect();
    check_paths(args, &pages, is_printed)?;
    for inputs in [&args.results, &context.effective.files] {
        pages.iter().try_for_each(|page| check_not_read(page, inputs))?;
    }
    // Pages are created before the results are read.
    let html = args.html.as_deref().map(|path| begin(path, "--html", args.force)).transpose()?;
    let markdown = markdown.map(|path| begin(path, "--markdown", args.force)).transpose()?;
    let detail = args.html.as_ref().map_or(Detail::Counts, |_| Detail::of_page(args.report_pii));
    let mut facts = gather(&args.results, detail)?;
    for warning in &facts.warnings {
        console.warning(warning);
    }
    if let Some(begun) = html {
        finish(begun, &finished_files::html(&facts, args.report_pii)?, console)?;
    }
    if let Some(begun) = markdown {
        finish(begun, &finished_files::markdown(&facts)?, console)?;
    }
    facts.incident.summary.files.report.clone_from(&args.html);
    let text = if is_printed {
        finished_files::markdown(&facts)?
    } else if args.json {
        facts.incident.to_json().map_err(Failure::internal)? + "\n"
    } else {
        closing::incident(&facts.incident)
    };
    let written = std::io::stdout().write_all(mask_keys(&text).as_bytes());
    written
        .map_err(|error| Failure::output(format!("cannot write the summary to stdout: {error}")))?;
    Ok(ExitStatus::Success)
}

/// Refuses two outputs with one path, and stdout that is redirected to a file. `pages` are those that
/// are files; `is_printed` is whether one goes to stdout.
fn check_paths(args: &ReportArgs, pages: &[&Path], is_printed: bool) -> Result<(), Failure> {
    if is_printed && args.json {
        return Err(Failure::usage(
            "--json and `--markdown -` both write to stdout; give --markdown a file name",
        ));
    }
    if let [html, markdown] = pages
        && same_file(html, markdown)
    {
        return Err(Failure::usage(format!(
            "{} would be written as two different files; give --html and --markdown two names",
            html.display()
        )));
    }
    let mut files = args.results.iter().map(PathBuf::as_path).chain(pages.iter().copied());
    if let Some(path) = files.find(|path| is_printed && is_stdout(path)) {
        let text = format!("stdout is redirected to {}; name another file", path.display());
        return Err(Failure::usage(text));
    }
    Ok(())
}

type BegunPage<'a> = (AtomicWriter, &'a Path);

fn begin<'a>(path: &'a Path, flag: &'static str, force: bool) -> Result<BegunPage<'a>, Failure> {
    if !force {
        refuse_existing(path).map_err(|error| error.without_resume(flag))?;
    }
    Ok((AtomicWriter::create(path).map_err(WriteError::without_resume)?, path))
}

fn finish((writer, path): BegunPage<'_>, text: &str, console: &Console) -> Result<(), Failure> {
    finished_files::fill(writer, path, text).map_err(WriteError::without_resume)?;
    console.note(&format!("wrote the page {}", path.display()));
    Ok(())
}
