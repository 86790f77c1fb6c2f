//! What a retry or a resumed run takes over from the run before: whatever left users out of that
//! run, or guarded it, must not be lost because a flag was not repeated.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::args::RunArgs;
use crate::cli::values;
use crate::job::{Effective, Failure};
use crate::report::Console;
use crate::results::{Manifest, sha256_file};

/// Adds the settings of an earlier run that restrict or protect, unless the command line has them.
pub(super) fn inherit(
    manifest: &Manifest,
    args: &mut RunArgs,
    effective: &mut Effective,
    console: &Console,
) -> Result<(), Failure> {
    let mut names = Vec::new();
    let mut added = |name: &str, value: Option<String>, effective: &mut Effective| {
        let setting = manifest.setting(name).cloned().unwrap_or_default();
        effective.map.insert(name.to_owned(), setting);
        let flag = name.replace('_', "-");
        let line = effective.line.clone();
        effective.line = match &value {
            Some(value) => line.value(&flag, value),
            None => line.switch(&flag),
        };
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        names.push(format!("--{flag}{value}"));
    };
    let is_on = |name| manifest.setting(name) == Some(&Value::Bool(true));
    let selection = &mut args.selection;
    for (name, switch) in [
        ("only_locked", &mut selection.only_locked),
        ("include_admin_locked", &mut selection.include_admin_locked),
    ] {
        if !*switch && is_on(name) {
            *switch = true;
            added(name, None, effective);
        }
    }
    let number = |name| manifest.setting(name).and_then(Value::as_u64);
    if args.guards.max_users.is_none()
        && let Some(n) = number("max_users")
    {
        args.guards.max_users = Some(n);
        added("max_users", Some(n.to_string()), effective);
    }
    if args.guards.canary.is_none()
        && let Some(n) = number("canary")
    {
        args.guards.canary = Some(u32::try_from(n).unwrap_or(u32::MAX));
        added("canary", Some(n.to_string()), effective);
    }
    let text = manifest.setting("max_fail").and_then(Value::as_str);
    if args.guards.max_fail.is_none()
        && let Some(text) = text
    {
        args.guards.max_fail = Some(values::max_fail(text).map_err(Failure::usage)?);
        added("max_fail", Some(text.to_owned()), effective);
    }
    let n_given = args.input.exclude.len();
    add_exclude_files(manifest, &mut args.input.exclude, console)?;
    if args.input.exclude.len() > n_given {
        let files = &args.input.exclude;
        names.extend(files[n_given..].iter().map(|file| format!("--exclude {}", file.display())));
        let values: Vec<OsString> = files.iter().map(|file| file.clone().into()).collect();
        effective.set_values("exclude", values);
    }
    if !names.is_empty() {
        console.note(&format!("Using settings of the earlier run: {}", names.join(", ")));
    }
    Ok(())
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
