//! Drawings for the tests of the stages.

use super::contrast::Contrast;
use super::ground::Ink;
use super::map::Map;
use super::parts::{Frame, Part};
use super::picture::Picture;
use super::strokes::Strokes;

/// A picture of a colour for each pixel, from 0 to 1.
pub(super) fn picture(width: usize, height: usize, color: impl Fn(usize, usize) -> [f32; 3]) -> Picture {
    let channels = std::array::from_fn(|channel| Map::from_fn(width, height, |x, y| color(x, y)[channel]));
    Picture { channels, scale: [1.0; 2], margin: 0 }
}

/// The same in grey.
pub(super) fn grey(width: usize, height: usize, value: impl Fn(usize, usize) -> f32) -> Picture {
    picture(width, height, |x, y| [value(x, y); 3])
}

/// Black ink on light paper, through the stages up to the ground.
pub(super) fn traced(mask: &Map<bool>) -> (Ink, Strokes) {
    let picture = grey(mask.width, mask.height, |x, y| if mask.at(x, y) { 0.1 } else { 0.85 });
    let contrast = Contrast::of(&picture);
    let strokes = Strokes::of(&contrast);
    (Ink::of(&contrast, &strokes), strokes)
}

/// Whether a pixel lies in a bar of some thickness between two points.
pub(super) fn is_in_bar([from, to]: [[f32; 2]; 2], thickness: f32, x: usize, y: usize) -> bool {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = along[0].hypot(along[1]);
    let off = [x as f32 - from[0], y as f32 - from[1]];
    let place = (off[0] * along[0] + off[1] * along[1]) / length;
    let beside = (off[1] * along[0] - off[0] * along[1]) / length;
    (0.0..=length).contains(&place) && beside.abs() <= thickness / 2.0
}

/// Whether a pixel lies in a ring around a point.
pub(super) fn is_in_ring(middle: [f32; 2], radius: f32, thickness: f32, x: usize, y: usize) -> bool {
    ((x as f32 - middle[0]).hypot(y as f32 - middle[1]) - radius).abs() <= thickness / 2.0
}

/// A 7 in a frame of 60x100 pixels, its strokes 10 pixels thick; `x` and `y` are those of its upper left corner.
pub(super) fn is_in_seven([left, top]: [usize; 2], x: usize, y: usize) -> bool {
    let [left, top] = [left, top].map(|place| place as f32);
    let is_bar = is_in_bar([[left, top + 5.0], [left + 60.0, top + 5.0]], 10.0, x, y);
    is_bar || is_in_bar([[left + 54.0, top + 5.0], [left + 20.0, top + 100.0]], 10.0, x, y)
}

/// The frame from column `left` and row `top` to before `right` and `bottom`.
pub(super) fn frame([left, top, right, bottom]: [usize; 4]) -> Frame {
    Frame { left, top, right, bottom }
}

/// All pixels of a map that a function chooses, as one part.
pub(super) fn part(ink: &Map<f32>, is_part: impl Fn(usize, usize) -> bool) -> Part {
    let pixels = 0..ink.values.len();
    Part::of(pixels.filter(|pixel| is_part(pixel % ink.width, pixel / ink.width)).collect(), ink)
}

/// A part that fills a frame.
pub(super) fn block(ink: &Map<f32>, [left, top, right, bottom]: [usize; 4]) -> Part {
    part(ink, |x, y| (left..right).contains(&x) && (top..bottom).contains(&y))
}

/// Ink of full strength where a mask is set.
pub(super) fn ink(mask: &Map<bool>) -> Map<f32> {
    mask.map(|is_ink| if is_ink { 1.0 } else { 0.0 })
}
