//! Files that are to be replaced, kept until it is sure that they will be.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files that stand under other names for a while. What was not given up is put back when this is
/// dropped; where the program is killed it stays there, and nothing is lost.
#[derive(Debug, Default)]
pub struct SetAside {
    /// Each with its own name and the one it has now.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl SetAside {
    /// Moves away whichever of these files are there.
    ///
    /// # Errors
    ///
    /// When one of them can't be moved; those before it are put back.
    pub fn take(paths: &[&Path]) -> io::Result<Self> {
        let mut aside = Self::default();
        for path in paths {
            // A link stays; what it leads to moves.
            let Ok(real) = path.canonicalize() else { continue };
            let hidden = hidden_name(&real);
            if hidden.exists() {
                // A run that was killed left it: what stands in its place is that run's, half made.
                fs::remove_file(&real)?;
            } else {
                fs::rename(&real, &hidden)?;
            }
            aside.moved.push((real, hidden));
        }
        Ok(aside)
    }

    /// Gives all of them their names again, over whatever stands there now.
    pub fn put_back(&mut self) {
        for (real, hidden) in self.moved.drain(..) {
            // Where it fails the file is still there, under the other name.
            let _ = fs::rename(hidden, real);
        }
    }

    /// Removes all of them: others took their places.
    pub fn give_up(&mut self) {
        for (_, hidden) in self.moved.drain(..) {
            // It is hidden and harmless.
            let _ = fs::remove_file(hidden);
        }
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.put_back();
    }
}

fn hidden_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".set-aside");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_files() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        fs::write(&a, "old a").unwrap();
        (dir, a, b)
    }

    #[test]
    fn what_is_put_back_is_as_it_was() {
        let (dir, a, b) = two_files();
        let mut aside = SetAside::take(&[&a, &b]).unwrap();
        assert!(!a.exists());
        fs::write(&a, "new a").unwrap();
        aside.put_back();
        assert_eq!(fs::read(&a).unwrap(), b"old a");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// Killed twice: the first to be moved away is what comes back.
    #[test]
    fn what_a_killed_run_left_aside_is_not_lost_to_the_next() {
        let (_dir, a, _) = two_files();
        std::mem::forget(SetAside::take(&[&a]).unwrap());
        fs::write(&a, "half made").unwrap();
        drop(SetAside::take(&[&a]).unwrap());
        assert_eq!(fs::read(&a).unwrap(), b"old a");
    }

    #[test]
    fn what_is_given_up_is_gone() {
        let (dir, a, b) = two_files();
        let mut aside = SetAside::take(&[&b, &a]).unwrap();
        aside.give_up();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_comes_back() {
        let (dir, a, _) = two_files();
        let link = dir.path().join("link.csv");
        std::os::unix::fs::symlink(&a, &link).unwrap();
        let aside = SetAside::take(&[&link]).unwrap();
        assert!(link.symlink_metadata().is_ok() && !a.exists());
        drop(aside);
        assert_eq!(fs::read(&link).unwrap(), b"old a");
    }
}
