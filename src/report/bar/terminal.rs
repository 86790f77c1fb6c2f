//! The terminal that indicatif draws on, with room for the `^C` that a terminal echoes.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::TermLike;

/// A terminal whose cursor rests right after the text of the last line.
///
/// indicatif pads that line and leaves the cursor at the right edge. There the echo of Ctrl-C would
/// begin a new line that indicatif does not count, and the next redraw would leave the top of this
/// one on the screen.
#[derive(Debug)]
pub(super) struct Terminal<T> {
    inner: T,
    n_blanks: AtomicUsize,
}

impl<T> Terminal<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, n_blanks: AtomicUsize::new(0) }
    }
}

impl<T: TermLike> TermLike for Terminal<T> {
    fn width(&self) -> u16 {
        self.inner.width()
    }

    fn height(&self) -> u16 {
        self.inner.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.inner.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let n_blanks = if text.bytes().all(|byte| byte == b' ') { text.len() } else { 0 };
        self.n_blanks.store(n_blanks, Ordering::Relaxed);
        self.inner.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.inner.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        // At the edge the cursor is on the last column and not after it: one step less.
        let n_back = self.n_blanks.swap(0, Ordering::Relaxed).saturating_sub(1);
        if n_back > 0 {
            self.inner.move_cursor_left(n_back)?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Paper(Mutex<String>);

    impl Paper {
        fn put(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            10
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<up {n}>"));
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<down {n}>"));
            Ok(())
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<right {n}>"));
            Ok(())
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<left {n}>"));
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(&format!("{text}|"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.put("<clear>");
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(texts: &[&str]) -> String {
        let terminal = Terminal::new(Paper::default());
        for text in texts {
            terminal.write_str(text).unwrap();
        }
        terminal.flush().unwrap();
        terminal.inner.0.into_inner().unwrap()
    }

    #[test]
    fn the_cursor_goes_back_over_the_blanks_of_the_last_line_alone() {
        assert_eq!(drawn(&["one", "       ", "seven", "     "]), "one       seven     <left 4>");
    }

    #[test]
    fn a_full_line_leaves_it_where_it_is() {
        assert_eq!(drawn(&["0123456789", ""]), "0123456789");
    }
}
