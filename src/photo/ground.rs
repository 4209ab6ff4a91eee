//! The ground: what the picture would be without ink, and the ink as a share of it.
//!
//! Where ink is darker than its ground, a morphological closing with a window wider than any stroke gives the ground (Serra,
//! "Image analysis and mathematical morphology", 1982): it follows light, shadows with sharp edges, and creases, for all of
//! these are wider than a stroke. Where ink is lighter, an opening does.

use super::contrast::Contrast;
use super::map::{Map, quantile};
use super::strokes::Strokes;

/// The share of the crossings that is narrower than the strokes that the window must cover.
const WIDEST: f32 = 0.88;
/// The window is so many times as wide as these.
const WINDOW: f32 = 1.7;
/// Ground darker than this share of the lightest is not lightened further.
const DARKEST: f32 = 0.25;

/// The ink of each pixel: its difference from the ground, in the light that falls there.
pub(super) struct Ink {
    /// 0 is the ground; white minus black is 1.
    pub(super) values: Map<f32>,
    /// The standard deviation of the values on bare ground.
    pub(super) noise: f32,
}

impl Ink {
    pub(super) fn of(contrast: &Contrast, strokes: &Strokes) -> Self {
        let mut widths: Vec<f32> = strokes.crossings.iter().map(|crossing| crossing.width).collect();
        let radius = (WINDOW / 2.0 * quantile(&mut widths, WIDEST)).ceil() as usize + 2;
        let without_ink = |map: &Map<f32>| {
            if strokes.is_dark {
                map.extremes(radius, f32::max).extremes(radius, f32::min)
            } else {
                map.extremes(radius, f32::min).extremes(radius, f32::max)
            }
        };
        let sign = if strokes.is_dark { 1.0 } else { -1.0 };
        let mut values =
            without_ink(&contrast.brightness).with(&contrast.brightness, |ground, here| sign * (ground - here));
        if strokes.is_dark {
            // Ink and paper are darkened alike in a shadow.
            let light = without_ink(&contrast.grey);
            let lightest = light.quantile(0.98).max(f32::MIN_POSITIVE);
            values = values.with(&light, |value, light| value / (light / lightest).clamp(DARKEST, 1.0));
        }
        // The extreme of a window exceeds the ground by the grain. Most of a picture is ground.
        let bias = values.quantile(0.5);
        let values = values.map(|value| value - bias);
        // Below the median there is no ink.
        let noise = -values.quantile(0.16);
        Self { values, noise }
    }
}
