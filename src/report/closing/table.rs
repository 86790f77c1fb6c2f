//! Names, counts, and remarks in columns.

use crate::report::text::number;
use crate::report::{Paint, Style};

/// One line: a name, how many, and a remark.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) n: u64,
    /// The color of the count.
    pub(super) paint: Paint,
    pub(super) remark: String,
}

/// The lines in columns: names to the left, counts to the right, remarks last.
pub(super) fn table(lines: &[Line], style: Style) -> String {
    let widest = |width: fn(&Line) -> usize| lines.iter().map(width).max().unwrap_or_default();
    let name_width = widest(|line| line.name.chars().count());
    let n_width = widest(|line| number(line.n).len());
    let in_columns = |line: &Line| {
        let count = style.paint(line.paint, &format!("{:>n_width$}", number(line.n)));
        let remark = style.paint(Paint::Dim, &line.remark);
        format!("  {:<name_width$}  {count}  {remark}\n", line.name)
    };
    lines.iter().map(in_columns).collect()
}
