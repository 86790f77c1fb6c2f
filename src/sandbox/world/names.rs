//! What people are called.

use super::mix::Rolls;

/// Names of no consequence: ASCII, so that addresses can be made of them.
const FIRST: [&str; 16] = [
    "Olivia", "Noah", "Amara", "Luca", "Priya", "Mateo", "Hana", "Elias", "Zoe", "Kwame", "Ingrid",
    "Tariq", "Maeve", "Diego", "Yuki", "Sofia",
];
const LAST: [&str; 16] = [
    "Martin", "Okafor", "Silva", "Novak", "Sharma", "Garcia", "Tanaka", "Weber", "Rossi", "Mensah",
    "Larsen", "Haddad", "Murphy", "Torres", "Kimura", "Petrov",
];

/// Names that have broken a program somewhere, as first and last name.
const AWKWARD: [(Option<&str>, Option<&str>); 16] = [
    (Some("Miles"), Some("O'Brien")),
    (Some("<script>alert(1)</script>"), Some("Tables")),
    (Some("=HYPERLINK(\"http://x\")"), Some("+1+1")),
    (Some("\"quoted\", comma"), Some("semi;colon|pipe")),
    (Some("😀👩‍👩‍👧‍👦"), Some("Ünïcödé")),
    (Some("\u{202e}evets"), Some("\u{200b}invisible")),
    (Some("Line\nbreak"), Some("carriage\r\nreturn")),
    (Some(LONG), Some("Long")),
    (Some(""), Some("")),
    (None, None),
    (Some("null"), Some("NaN")),
    (Some("{{7*7}}"), Some("%s%n${HOME}")),
    (Some("\u{1b}[31mred\u{1b}[0m"), Some("tab\there")),
    (Some("محمد"), Some("李小龍")),
    (Some("@SUM(A1)"), Some("-2+3")),
    (Some("  padded  "), Some("back\\slash")),
];

/// Three hundred characters.
const LONG: &str = "Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinha";

/// What one user is called.
pub(super) struct Names {
    pub(super) first: Option<&'static str>,
    pub(super) last: Option<&'static str>,
    /// First and last name without difficulties, for addresses.
    pub(super) plain: (&'static str, &'static str),
}

impl Names {
    /// About one in eight is awkward.
    pub(super) fn roll(rolls: &mut Rolls) -> Self {
        let plain = (rolls.one_of(&FIRST), rolls.one_of(&LAST));
        let awkward = rolls.one_of(&AWKWARD);
        let (first, last) =
            if rolls.percent(12) { awkward } else { (Some(plain.0), Some(plain.1)) };
        Self { first, last, plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_name_is_long() {
        assert_eq!(LONG.len(), 300);
    }
}
