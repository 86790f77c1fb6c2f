//! Whether two paths lead to the same file: an output must not be an input.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use same_file::Handle;

/// Whether two paths lead to the same file, by whatever names, links included. Files that do not
/// exist yet are compared by the directory in which they would be.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let is_file = |path: &Path| path.metadata().ok().map(|it| it.is_file());
    match (is_file(a), is_file(b)) {
        // A pipe or a device is not opened: that might block.
        (Some(true), Some(true)) => {
            same_file::is_same_file(a, b).unwrap_or_else(|_| same_place(a, b))
        }
        (Some(_), Some(_)) | (None, None) => same_place(a, b),
        _ => false,
    }
}

/// Whether standard output is redirected to this file.
pub fn is_stdout(path: &Path) -> bool {
    is_handle_of(Handle::stdout(), path)
}

/// Whether standard input is redirected from this file.
pub fn is_stdin(path: &Path) -> bool {
    is_handle_of(Handle::stdin(), path)
}

fn is_handle_of(handle: io::Result<Handle>, path: &Path) -> bool {
    let is_file = path.metadata().is_ok_and(|it| it.is_file());
    is_file && matches!((handle, Handle::from_path(path)), (Ok(a), Ok(b)) if a == b)
}

/// Whether standard input and output are redirected to the same regular file.
pub fn is_stdin_stdout() -> bool {
    let (Ok(stdin), Ok(stdout)) = (Handle::stdin(), Handle::stdout()) else { return false };
    stdin == stdout && stdin.as_file().metadata().is_ok_and(|it| it.is_file())
}

/// Whether the open file is still the one at this path. Needs no further descriptor: connections
/// may have taken all of them.
pub(super) fn is_in_place(file: &File, path: &Path) -> bool {
    match (path.metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => same_identity(&named, &open),
        _ => false,
    }
}

#[cfg(unix)]
fn same_identity(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Other systems do not let an open file be replaced.
#[cfg(not(unix))]
fn same_identity(_: &Metadata, _: &Metadata) -> bool {
    true
}

fn same_place(a: &Path, b: &Path) -> bool {
    a == b || matches!((place(a), place(b)), (Some(a), Some(b)) if a == b)
}

/// The path without links and detours, as far as it exists.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(whole) = path.canonicalize() {
        return Some(whole);
    }
    Some(directory(path).canonicalize().ok()?.join(path.file_name()?))
}

/// The directory that holds a file; `.` for a bare name.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn detours_lead_to_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        fs::write(&a, "x").unwrap();
        fs::write(&b, "x").unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert!(same_file(&a, &a));
        assert!(same_file(&a, &dir.path().join("sub/../a.csv")));
        assert!(!same_file(&a, &b));
        assert!(same_file(dir.path(), &dir.path().join("sub/..")));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, dir.path().join("hard.csv")).unwrap();
        std::os::unix::fs::symlink(&file, dir.path().join("soft.csv")).unwrap();
        assert!(same_file(&file, &dir.path().join("hard.csv")));
        assert!(same_file(&file, &dir.path().join("soft.csv")));
    }

    #[test]
    fn files_that_do_not_exist_are_compared_by_their_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let new = dir.path().join("new.csv");
        assert!(same_file(&new, &dir.path().join("sub/../new.csv")));
        assert!(!same_file(&new, &dir.path().join("sub/new.csv")));
        assert!(!same_file(&new, dir.path()));
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        assert!(is_in_place(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_in_place(&file, &path));
        fs::write(&path, "x").unwrap();
        assert!(!is_in_place(&file, &path));
    }
}
