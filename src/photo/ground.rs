//! The ground: what the picture would be without ink, and the ink as a share of it.
//!
//! Where ink is darker than its ground, a morphological closing with a window wider than any stroke gives the ground
//! (Serra, "Image analysis and mathematical morphology", 1982): it follows light, shadows with sharp edges, and
//! creases, for all of these are wider than a stroke. Where ink is lighter, an opening does.

use super::contrast::Contrast;
use super::map::{Map, highest};
use super::strokes::{Crossing, Strokes};

/// The share of the crossings that is as wide as the strokes that the window must cover. Each counts by how far it
/// stands out: squared paper has more lines than handwriting has strokes, but faint ones.
const WIDEST: f32 = 0.12;
/// The ground is so many pixels beside the edge of a stroke.
const BESIDE: f32 = 2.0;
/// The window is so many times as wide as these.
const WINDOW: f32 = 1.7;
/// Ground darker than this share of the lightest is not lightened further.
const DARKEST: f32 = 0.25;

/// The ink of each pixel: its difference from the ground, in the light that falls there.
pub(super) struct Ink {
    /// 0 is the ground; white minus black is √3, one for each channel.
    pub(super) values: Map<f32>,
    /// The standard deviation of the values on bare ground.
    pub(super) noise: f32,
}

impl Ink {
    pub(super) fn of(contrast: &Contrast, strokes: &Strokes) -> Self {
        let widths = strokes.crossings.iter().map(|crossing| (crossing.width, depth(crossing, &contrast.brightness)));
        let radius = (WINDOW / 2.0 * highest(widths, WIDEST).unwrap_or(0.0)).ceil() as usize + 2;
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

/// How much the middle of a stroke differs in brightness from the ground on both of its sides.
fn depth(crossing: &Crossing, brightness: &Map<f32>) -> f32 {
    let middle = brightness.around(crossing.at).unwrap_or(0.0);
    let ground = [-1.0, 1.0].map(|side| {
        let off = side * (crossing.width / 2.0 + BESIDE);
        brightness.around([0, 1].map(|axis| crossing.at[axis] + off * crossing.across[axis])).unwrap_or(middle)
    });
    ((ground[0] + ground[1]) / 2.0 - middle).abs()
}

#[cfg(test)]
mod tests {
    use super::super::drawn::grey;
    use super::*;
    use crate::random::Random;

    /// Two upright strokes 8 pixels wide, at columns 60 and 140, of ink that leaves a share of the light.
    fn ink_of(share: f32, light: impl Fn(usize, usize) -> f32) -> Ink {
        let is_ink = |x: usize, y: usize| (20..100).contains(&y) && ((60..68).contains(&x) || (140..148).contains(&x));
        let picture = grey(200, 120, |x, y| light(x, y) * if is_ink(x, y) { share } else { 1.0 });
        let contrast = Contrast::of(&picture);
        Ink::of(&contrast, &Strokes::of(&contrast))
    }

    #[test]
    fn ink_is_the_same_share_in_shadow_as_in_light() {
        // A shadow with a sharp edge, and light that falls off.
        for light in [|x: usize, _: usize| if x < 100 { 0.9 } else { 0.45 }, |x, _| 0.9 - 0.5 * x as f32 / 200.0] {
            let ink = ink_of(0.4, light);
            let [left, right] = [64, 144].map(|x| ink.values.at(x, 60));
            assert!(left > 0.3 && (left / right - 1.0).abs() < 0.15, "{left} and {right}");
            for x in [20, 40, 120, 170] {
                let bare = ink.values.at(x, 60);
                assert!(bare.abs() < 0.1 * left, "{bare} at {x}");
            }
        }
    }

    #[test]
    fn light_ink_on_dark_ground_is_positive_too() {
        let ink = ink_of(3.0, |_, _| 0.3);
        assert!(ink.values.at(64, 60) > 0.4 && ink.values.at(144, 60) > 0.4, "{}", ink.values.at(64, 60));
        assert!(ink.values.at(100, 60).abs() < 0.02, "{}", ink.values.at(100, 60));
    }

    #[test]
    fn many_faint_lines_do_not_hollow_out_a_bold_stroke() {
        let picture = grey(400, 300, |x, y| match (x, y) {
            (190..206, 100..200) => 0.2,
            _ if x % 60 > 56 || y % 60 > 56 => 0.8,
            _ => 0.9,
        });
        let contrast = Contrast::of(&picture);
        let ink = Ink::of(&contrast, &Strokes::of(&contrast));
        let [edge, middle] = [192, 198].map(|x| ink.values.at(x, 160));
        assert!(middle > 0.6 && (edge / middle - 1.0).abs() < 0.1, "{edge} at the edge, {middle} in the middle");
    }

    #[test]
    fn noise_is_that_of_bare_ground() {
        let random = std::cell::RefCell::new(Random::new(1, 0));
        let grain = |_: usize, _: usize| random.borrow_mut().uniform(0.75, 0.85);
        let [clean, grainy] = [ink_of(0.3, |_, _| 0.8), ink_of(0.3, grain)];
        assert!(clean.noise < 1e-3, "{}", clean.noise);
        assert!((1e-3..0.05).contains(&grainy.noise), "{}", grainy.noise);
    }
}
