//! Colour, where it is wanted.

/// What a text is, as far as its colour goes.
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

/// Whether to colour; decided once, by the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the terminal takes colours and the user wants them.
    pub colour: bool,
}

impl Style {
    /// The text in its colour.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
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
    fn without_colour_nothing_is_added() {
        assert_eq!(Style { colour: false }.paint(Paint::Bad, "2 failed"), "2 failed");
        assert_eq!(
            Style { colour: true }.paint(Paint::Bad, "2 failed"),
            "\u{1b}[31m2 failed\u{1b}[0m"
        );
    }
}
