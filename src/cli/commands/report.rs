//! `report`: the summary of finished files, and the pages.

use std::io::Write as _;
use std::path::Path;

use crate::cli::args::ReportArgs;
use crate::job::page::{self, Detail, gather};
use crate::job::{ExitStatus, Failure};
use crate::model::mask_keys;
use crate::report::{Console, Style, closing};
use crate::results::AtomicWriter;
use crate::results::{WriteError, is_stdout, refuse_existing, same_file};

pub(in crate::cli) fn report(args: &ReportArgs, console: &Console) -> Result<ExitStatus, Failure> {
    let markdown = args.markdown.as_deref();
    let is_printed = markdown.is_some_and(|path| path == Path::new("-"));
    let markdown = markdown.filter(|_| !is_printed);
    check_paths(args, markdown, is_printed)?;
    let html = args.html.as_deref().map(|path| begin(args, path, "--html")).transpose()?;
    let markdown = markdown.map(|path| begin(args, path, "--markdown")).transpose()?;
    let detail = args.html.as_ref().map_or(Detail::Counts, |_| Detail::of_page(args.report_pii));
    let mut facts = gather(&args.results, detail)?;
    for warning in &facts.warnings {
        console.warning(warning);
    }
    if let Some(begun) = html {
        begun.finish(&page::html(&facts, args.report_pii)?, console)?;
    }
    if let Some(begun) = markdown {
        begun.finish(&page::markdown(&facts)?, console)?;
    }
    facts.incident.summary.files.report.clone_from(&args.html);
    let text = if is_printed {
        page::markdown(&facts)?
    } else if args.json {
        facts.incident.to_json().map_err(Failure::internal)? + "\n"
    } else {
        closing::incident(&facts.incident, Style { color: false })
    };
    let text = mask_keys(&text);
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| {
        let text = format!("cannot write the summary to stdout: {error}");
        Failure::new(ExitStatus::Output, anyhow::anyhow!(text))
    })?;
    Ok(ExitStatus::Success)
}

/// Refuses two outputs in one place, and an output in the place of an input. `markdown` is the
/// Markdown page that is a file, `is_printed` is whether stdout is one.
fn check_paths(
    args: &ReportArgs,
    markdown: Option<&Path>,
    is_printed: bool,
) -> Result<(), Failure> {
    if is_printed && args.json {
        return Err(Failure::usage(
            "--json and `--markdown -` both write to stdout; give --markdown a file name",
        ));
    }
    if let (Some(html), Some(markdown)) = (&args.html, markdown)
        && same_file(html, markdown)
    {
        let name = html.display();
        return Err(Failure::usage(format!(
            "{name} would be written as two different files; give --html and --markdown two names"
        )));
    }
    for path in args.html.as_deref().into_iter().chain(markdown) {
        if args.results.iter().any(|results| same_file(path, results)) {
            return Err(Failure::usage(format!("{} would be read and written", path.display())));
        }
    }
    let pages = args.html.as_deref().into_iter().chain(markdown);
    let mut files = args.results.iter().map(std::path::PathBuf::as_path).chain(pages);
    match files.find(|path| is_printed && is_stdout(path)) {
        Some(path) => {
            let text = format!("stdout is redirected to {}; name another file", path.display());
            Err(Failure::usage(text))
        }
        None => Ok(()),
    }
}

/// A page that was begun before the results are read.
struct BegunPage<'a> {
    writer: AtomicWriter,
    path: &'a Path,
}

/// Checks that the page can be written, before anything is read.
fn begin<'a>(
    args: &ReportArgs,
    path: &'a Path,
    flag: &'static str,
) -> Result<BegunPage<'a>, Failure> {
    if !args.force {
        refuse_existing(path).map_err(|error| error.without_resume(flag))?;
    }
    let writer = AtomicWriter::create(path).map_err(WriteError::without_resume)?;
    Ok(BegunPage { writer, path })
}

impl BegunPage<'_> {
    fn finish(self, text: &str, console: &Console) -> Result<(), Failure> {
        page::fill(self.writer, self.path, text).map_err(WriteError::without_resume)?;
        console.note(&format!("wrote the page {}", self.path.display()));
        Ok(())
    }
}
