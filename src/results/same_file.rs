//! Whether two paths lead to one file: an output must not be the input.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

/// Whether two paths lead to one file, by whatever names, links included. Files that do not exist
/// yet are compared by the directory in which they would be.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        (Ok(one), Ok(other)) => same_identity(&one, &other).unwrap_or_else(|| same_place(a, b)),
        (Err(_), Err(_)) => same_place(a, b),
        _ => false,
    }
}

/// Whether standard output leads to that file.
#[cfg(unix)]
pub fn is_stdout(path: &Path) -> bool {
    use std::os::fd::AsFd as _;

    is_of_handle(path, std::io::stdout().as_fd())
}

/// Whether standard input comes from that file.
#[cfg(unix)]
pub fn is_stdin(path: &Path) -> bool {
    use std::os::fd::AsFd as _;

    is_of_handle(path, std::io::stdin().as_fd())
}

#[cfg(unix)]
fn is_of_handle(path: &Path, handle: std::os::fd::BorrowedFd<'_>) -> bool {
    let handle = || std::fs::File::from(handle.try_clone_to_owned().ok()?).metadata().ok();
    let Some(open) = handle().filter(Metadata::is_file) else { return false };
    path.metadata().is_ok_and(|it| same_identity(&it, &open) == Some(true))
}

/// Whether standard input and output are one file.
#[cfg(unix)]
pub fn is_stdin_stdout() -> bool {
    use std::os::fd::AsFd as _;

    let of = |handle: std::os::fd::BorrowedFd<'_>| {
        std::fs::File::from(handle.try_clone_to_owned().ok()?).metadata().ok()
    };
    let (stdin, stdout) = (of(std::io::stdin().as_fd()), of(std::io::stdout().as_fd()));
    match (stdin, stdout) {
        (Some(stdin), Some(stdout)) => {
            stdin.is_file() && same_identity(&stdin, &stdout) == Some(true)
        }
        _ => false,
    }
}

/// Where handles are no files this is not known.
#[cfg(not(unix))]
pub fn is_stdout(_: &Path) -> bool {
    false
}

/// Where handles are no files this is not known.
#[cfg(not(unix))]
pub fn is_stdin(_: &Path) -> bool {
    false
}

/// Where handles are no files this is not known.
#[cfg(not(unix))]
pub fn is_stdin_stdout() -> bool {
    false
}

/// Whether it is the same file of the same disk; `None` where the system does not tell.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "the other systems do not know")]
pub(super) fn same_identity(a: &Metadata, b: &Metadata) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    Some((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Whether it is the same file of the same disk; `None` where the system does not tell.
#[cfg(not(unix))]
pub(super) fn same_identity(_: &Metadata, _: &Metadata) -> Option<bool> {
    None
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
    fn detours_and_links_lead_to_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        fs::write(&a, "x").unwrap();
        fs::write(&b, "x").unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert!(same_file(&a, &a));
        assert!(same_file(&a, &dir.path().join("sub/../a.csv")));
        assert!(!same_file(&a, &b));
    }

    #[cfg(unix)]
    #[test]
    fn links_of_both_kinds_are_seen_through() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, dir.path().join("hard.csv")).unwrap();
        std::os::unix::fs::symlink(&file, dir.path().join("soft.csv")).unwrap();
        assert!(same_file(&file, &dir.path().join("hard.csv")));
        assert!(same_file(&file, &dir.path().join("soft.csv")));
    }

    #[test]
    fn files_that_are_not_there_yet_are_compared_by_their_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let new = dir.path().join("new.csv");
        assert!(same_file(&new, &dir.path().join("sub/../new.csv")));
        assert!(!same_file(&new, &dir.path().join("sub/new.csv")));
        assert!(!same_file(&new, dir.path()));
    }
}
