//! What the caller may choose about reading.

use std::convert::Infallible;
use std::str::FromStr;

use crate::model::IdentifierKind;

/// How an input is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the users' column holds.
    pub kind: IdentifierKind,
    /// Which column that is; `None`: it is found by its header.
    pub column: Option<ColumnChoice>,
    /// The most records that are taken, after those that are skipped.
    pub limit: Option<u64>,
    /// How many records are passed over first.
    pub skip: u64,
    /// Which other columns are kept.
    pub carry: Carry,
    /// The input is a results file; only its rows that may yet succeed are records. `column` is
    /// not asked then: such a file's columns are known.
    pub retry_failed: bool,
}

/// A column as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnChoice {
    /// By its header, compared without regard to case, spaces, `-` and `_`.
    Name(String),
    /// By its place, 1-based.
    Number(usize),
}

impl FromStr for ColumnChoice {
    type Err = Infallible;

    /// All digits are a number, anything else is a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.trim().parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

/// Which columns besides the users' one are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// None of them; of a results file those that it carried itself.
    #[default]
    None,
    /// All of them; of a results file those that it carried itself.
    All,
    /// Those with these headers, in this order.
    Named(Vec<String>),
}
