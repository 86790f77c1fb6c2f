//! What a retry or a resumed run takes over from the run before: whatever left users out of that
//! run, or guarded it, must not be lost because a flag was not repeated.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::args::RunArgs;
use super::values;
use crate::job::{Effective, Failure};
use crate::report::Console;
use crate::results::{Manifest, sha256_file};

/// Adds the settings of an earlier run that left users out, and for a retry its guards too, unless
/// the command line has them. A resumed run takes its guards from its own command line: after a
/// look at the failures, a person may continue without `--max-fail`.
pub(super) fn inherit(
    manifest: &Manifest,
    args: &mut RunArgs,
    effective: &mut Effective,
    console: &Console,
) -> Result<(), Failure> {
    let mut flags = Vec::new();
    if !args.selection.only_locked && manifest.setting("only_locked") == Some(&Value::Bool(true)) {
        args.selection.only_locked = true;
        effective.map.insert("only_locked".to_owned(), true.into());
        effective.line = effective.line.clone().switch("only-locked");
        flags.push("--only-locked".to_owned());
    }
    if args.input.retry_failed {
        inherit_guards(manifest, args, effective, &mut flags)?;
    }
    flags.extend(inherit_exclude_files(manifest, &mut args.input.exclude, effective, console)?);
    note(&flags, console);
    Ok(())
}

/// Names the flags that an earlier run had and this command line does not.
pub(super) fn note(flags: &[String], console: &Console) {
    if !flags.is_empty() {
        console.note(&format!("Using settings of the earlier run: {}", flags.join(", ")));
    }
}

fn inherit_guards(
    manifest: &Manifest,
    args: &mut RunArgs,
    effective: &mut Effective,
    flags: &mut Vec<String>,
) -> Result<(), Failure> {
    let guards = &mut args.guards;
    let number = |name| manifest.setting(name).and_then(Value::as_u64);
    let mut inherited = Vec::new();
    if let (None, Some(n)) = (guards.max_users, number("max_users")) {
        guards.max_users = Some(n);
        inherited.push(("max-users", n.to_string()));
    }
    if let (None, Some(n)) = (guards.canary, number("canary")) {
        guards.canary = Some(u32::try_from(n).unwrap_or(u32::MAX));
        inherited.push(("canary", n.to_string()));
    }
    let max_fail = manifest.setting("max_fail").and_then(Value::as_str);
    if let (None, Some(text)) = (guards.max_fail, max_fail) {
        guards.max_fail = Some(values::max_fail(text).map_err(Failure::usage)?);
        inherited.push(("max-fail", text.to_owned()));
    }
    for (flag, value) in inherited {
        let name = flag.replace('-', "_");
        let setting = manifest.setting(&name).cloned().unwrap_or_default();
        effective.map.insert(name, setting);
        effective.line = effective.line.clone().value(flag, &value);
        flags.push(format!("--{flag} {value}"));
    }
    Ok(())
}

/// Adds the exclude files of a run that is resumed, also to the command that is printed.
pub(super) fn inherit_exclude_files(
    manifest: &Manifest,
    given: &mut Vec<PathBuf>,
    effective: &mut Effective,
    console: &Console,
) -> Result<Vec<String>, Failure> {
    let n_given = given.len();
    add_exclude_files(manifest, given, console)?;
    let added = given[n_given..].iter().map(|file| format!("--exclude {}", file.display()));
    let added: Vec<String> = added.collect();
    if !added.is_empty() {
        effective.set_values("exclude", given.iter().map(|file| file.clone().into()).collect());
    }
    Ok(added)
}

/// Adds the exclude files of the earlier run. One that is gone is an error, unless a given file has
/// the same content.
fn add_exclude_files(
    manifest: &Manifest,
    given: &mut Vec<PathBuf>,
    console: &Console,
) -> Result<(), Failure> {
    let earlier = manifest.files.iter().filter(|file| file.role == "exclude");
    for file in earlier {
        let path = Path::new(&file.name);
        if given.iter().any(|given| given == path) {
            continue;
        }
        if given.iter().any(|given| sha256_file(given).is_ok_and(|it| it == file.sha256)) {
            continue;
        }
        match sha256_file(path) {
            Ok(sha256) if sha256 == file.sha256 => {}
            Ok(_) => console.warning(&format!(
                "{} has changed since the earlier run; using it as it is now",
                path.display()
            )),
            Err(error) => {
                return Err(Failure::usage(format!(
                    "cannot read {}, the exclude file of the earlier run: {error}; give the file \
                     with --exclude",
                    path.display()
                )));
            }
        }
        given.push(path.to_owned());
    }
    Ok(())
}
