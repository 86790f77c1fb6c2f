//! Making a line fit: parts give way in a set order.

use crate::report::{Paint, Style};

/// One part of a line, in forms from the longest to the shortest. An empty form: left out.
pub(super) struct Part {
    paint: Paint,
    forms: Vec<String>,
}

impl Part {
    /// A part that may go.
    pub(super) fn optional(paint: Paint, mut forms: Vec<String>) -> Self {
        forms.push(String::new());
        Self { paint, forms }
    }

    /// A part that stays, in its shortest form at least.
    pub(super) fn fixed(paint: Paint, forms: Vec<String>) -> Self {
        Self { paint, forms }
    }

    fn text(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }

    fn shrink(&mut self) {
        if self.forms.len() > 1 {
            self.forms.remove(0);
        }
    }
}

/// Shortens parts until the line is no wider than that. `order` names them by their place; each
/// time a place is named, that part gives way by one form.
pub(super) fn fit(parts: &mut [Part], separator: &str, width: usize, order: &[usize]) {
    for &place in order {
        if line_width(parts, separator) <= width {
            return;
        }
        parts[place].shrink();
    }
}

/// The line's width in columns. All texts here are of characters one column wide.
pub(super) fn line_width(parts: &[Part], separator: &str) -> usize {
    let widths: Vec<_> =
        parts.iter().map(|it| it.text().chars().count()).filter(|n| *n > 0).collect();
    let n_separators = widths.len().saturating_sub(1);
    widths.iter().sum::<usize>() + n_separators * separator.chars().count()
}

/// The line, coloured; what still does not fit is cut off.
pub(super) fn join(parts: &[Part], separator: &str, width: usize, style: Style) -> String {
    let fits = line_width(parts, separator) <= width;
    let style = if fits { style } else { Style { colour: false } };
    let texts = parts.iter().filter(|it| !it.text().is_empty());
    let texts: Vec<_> = texts.map(|it| style.paint(it.paint, it.text())).collect();
    let line = texts.join(separator);
    if fits { line } else { line.chars().take(width).collect() }
}
