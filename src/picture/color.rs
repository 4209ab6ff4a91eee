//! Colours that people with any colour vision can distinguish, in light and dark mode.

use std::fmt;

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// The background; a page makes it transparent.
pub(crate) const WHITE: Color = Color(255, 255, 255);
/// The text colour; a page replaces it with its own.
pub(crate) const BLACK: Color = Color(0, 0, 0);
/// Grid lines.
pub(crate) const GRID: Color = Color(225, 225, 225);
/// Less important elements.
pub(crate) const GREY: Color = Color(120, 120, 120);
/// The background of a page in dark mode.
pub(crate) const DARK_PAPER: Color = Color(22, 24, 27);

/// Colours for categories: six of Okabe & Ito ("Color universal design", 2008), and ten of Paul Tol's ("Colour
/// schemes", 2021), with the sand darkened. With more than six, give each category its own mark too.
pub(crate) const COLORS: [Color; 16] = [
    Color(0, 114, 178),
    Color(213, 94, 0),
    Color(0, 158, 115),
    Color(204, 121, 167),
    Color(86, 180, 233),
    Color(230, 159, 0),
    Color(51, 34, 136),
    Color(136, 34, 85),
    Color(17, 119, 51),
    Color(153, 153, 51),
    Color(170, 68, 153),
    Color(68, 170, 153),
    Color(204, 102, 119),
    Color(102, 17, 0),
    Color(102, 153, 204),
    Color(176, 152, 72),
];

/// The least contrast of a line with its background (WCAG 2.1, 1.4.11).
const LEAST_CONTRAST: f64 = 3.0;

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

impl Color {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = u32::from_str_radix(text.strip_prefix('#').filter(|digits| digits.len() == 6)?, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self(red, green, blue))
    }

    /// Mixes in this fraction of another colour.
    pub(crate) fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// The same colour, lightened until it has enough contrast with a dark background.
    pub(crate) fn in_dark_mode(self) -> Self {
        let lighter = (0..=20).map(|step| self.mixed(WHITE, f64::from(step) / 20.0));
        lighter.into_iter().find(|color| color.contrast(DARK_PAPER) >= LEAST_CONTRAST + 1.0).unwrap_or(WHITE)
    }

    /// The contrast of two colours, from 1 to 21 (WCAG 2.1).
    fn contrast(self, other: Self) -> f64 {
        let [a, b] = [self.luminance(), other.luminance()];
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

/// A graded colour for an index below `count`: from dark blue through purple to orange, each lighter than the last
/// (after matplotlib's `plasma`, without its ends).
pub(crate) fn ramp(index: usize, count: usize) -> Color {
    const STOPS: [Color; 5] =
        [Color(52, 32, 150), Color(126, 3, 168), Color(190, 55, 130), Color(228, 100, 85), Color(238, 155, 30)];
    let place = index as f64 / (count.max(2) - 1) as f64 * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    STOPS[stop].mixed(STOPS[stop + 1], place - stop as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_sixteen_and_stand_out_in_dark_mode() {
        for (index, color) in COLORS.iter().enumerate() {
            assert!(!COLORS[..index].contains(color), "{color} twice");
            assert!(color.in_dark_mode().contrast(DARK_PAPER) >= LEAST_CONTRAST, "{color} is too dark");
            assert!(color.contrast(WHITE) >= 2.0, "{color} is too light");
        }
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn forty_layers_have_forty_colours() {
        let colors: Vec<Color> = (0..40).map(|layer| ramp(layer, 40)).collect();
        assert!(colors.iter().enumerate().all(|(index, color)| !colors[..index].contains(color)));
    }
}
