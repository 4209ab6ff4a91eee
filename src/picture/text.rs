//! Text in pictures: its style, its width, and the wrapping of long texts.

use super::color::{BLACK, Color};

/// The style and the alignment of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    pub(crate) size: f64,
    pub(crate) color: Color,
    /// `start`, `middle` or `end`.
    pub(crate) anchor: &'static str,
}

impl Style {
    /// Black text that begins at its point.
    pub(crate) const fn new(size: f64) -> Self {
        Self { size, color: BLACK, anchor: "start" }
    }

    /// In another colour.
    pub(crate) const fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// Centred at its point.
    pub(crate) const fn centered(self) -> Self {
        Self { anchor: "middle", ..self }
    }

    /// Ending at its point.
    pub(crate) const fn to_the_left(self) -> Self {
        Self { anchor: "end", ..self }
    }
}

/// The width of a text in DejaVu Sans, which is wider than the usual sans-serif font of a browser.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    size * text.chars().map(letter_width).sum::<f64>()
}

fn letter_width(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '\'' | 'I' | ' ' | '.' | ',' | ':' | ';' | '|' | '/' => 0.34,
        'f' | 'r' | 't' | '-' | '(' | ')' | '[' | ']' | '!' => 0.42,
        'm' | '%' | 'W' | 'M' | '@' => 0.98,
        'w' | '→' | '−' | '+' | '=' | '<' | '>' | '~' => 0.84,
        'A'..='Z' => 0.74,
        '\u{20}'..='\u{24f}' => 0.64,
        // Letters of other scripts may be as wide as they are high.
        _ => 1.0,
    }
}

/// A text that is no wider than `width`: its end is left out if need be.
pub(crate) fn shortened(text: &str, size: f64, width: f64) -> String {
    if self::width(text, size) <= width {
        return text.to_owned();
    }
    let mut shorter = text.to_owned();
    while shorter.pop().is_some() && self::width(&shorter, size) + size > width {}
    format!("{}…", shorter.trim_end())
}

/// Wraps a text into lines no wider than `width`: between words if possible, otherwise within them.
pub(crate) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut last_break: Option<usize> = None;
    for letter in text.chars() {
        if self::width(&line, size) + size * letter_width(letter) > width && !line.is_empty() {
            let rest = last_break.map_or_else(String::new, |place| line.split_off(place));
            lines.push(line.trim_end().to_owned());
            line = rest;
            last_break = None;
        }
        if line.is_empty() && letter == ' ' {
            continue;
        }
        line.push(letter);
        // Do not break after a point or a comma, which may be part of a number.
        if matches!(letter, ' ' | '/' | '_' | '-' | ':') {
            last_break = Some(line.len());
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked_and_hold_every_word() {
        let words = "conv2d_relu_max_pool_backward_weight winograd, of a layer with a name that is long";
        for room in [60.0, 100.0, 250.0] {
            let lines = wrap(words, 13.0, room);
            assert!(lines.iter().all(|line| width(line, 13.0) <= room), "{lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(words));
        }
        assert_eq!(wrap("one two", 13.0, 500.0), ["one two"]);
        assert_eq!(wrap("one two", 13.0, width("one tw", 13.0)), ["one", "two"]);
        assert_eq!(wrap("nnnnnn", 10.0, 20.0), ["nnn", "nnn"]);
    }
}
