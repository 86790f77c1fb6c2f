//! Color, where it is wanted.

/// What a text is, as far as its color goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Nothing special.
    Plain,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// Look at this.
    Warn,
    /// A hint, read when everything else was.
    Dim,
    /// The first thing to read.
    Bold,
}

/// Whether to color; decided once, by the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the terminal takes colors and the user wants them.
    pub color: bool,
}

impl Style {
    /// The text in its color.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.color || text.is_empty() => return text.to_owned(),
            Paint::Plain => return text.to_owned(),
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Warn => "33",
            Paint::Dim => "2",
            Paint::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_color_nothing_is_added() {
        assert_eq!(Style { color: false }.paint(Paint::Bad, "2 failed"), "2 failed");
        assert_eq!(
            Style { color: true }.paint(Paint::Bad, "2 failed"),
            "\u{1b}[31m2 failed\u{1b}[0m"
        );
    }
}
