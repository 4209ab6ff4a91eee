//! A digit as MNIST's makers made theirs.
//!
//! They fitted the digit into 20x20 pixels, its aspect kept, and moved its centre of mass to the centre of 28x28 (LeCun
//! et al., "Gradient-based learning applied to document recognition", 1998, III.A).

use super::map::Map;
use super::parts::{Frame, Part};
use crate::data::{IMAGE_BYTES, IMAGE_SIDE};

/// Longer side of the box into which the digit is scaled, in pixels.
const BOX_SIDE: f32 = 20.0;
/// Strokes thinner than this, in pixels of the finished image, are widened: MNIST's hardly ever are.
const THINNEST: f32 = 1.7;
/// Pixels around a stroke that hold its soft edge.
const SOFT: usize = 1;

/// 28x28 pixels row by row, 0 for the background, 255 for the strongest ink.
pub type Pixels = [u8; IMAGE_BYTES];

/// The ink of a digit on its own: a piece of a picture without what else lies there.
pub(super) struct Glyph {
    frame: Frame,
    /// From 0 to 1, of the frame and a margin.
    ink: Map<f32>,
}

impl Glyph {
    /// Some pixels and the soft edges of their strokes. `strength` is that of full ink, and `width` that of the
    /// strokes.
    pub(super) fn of(parts: &[&Part], ink: &Map<f32>, strength: f32, width: f32) -> Self {
        let frame = parts.iter().fold(Frame::NOTHING, |frame, part| frame.with(&part.frame));
        // Half of what is missing, to each side.
        let scale = frame.side() as f32 / BOX_SIDE;
        let widen = ((THINNEST * scale - width) / 2.0).round().max(0.0) as usize;
        let margin = SOFT + widen;
        let (columns, rows) = (frame.width() + 2 * margin, frame.height() + 2 * margin);
        let mut is_own = Map::filled(columns, rows, 0.0);
        for &pixel in parts.iter().flat_map(|part| &part.pixels) {
            let (x, y) = (pixel % ink.width + margin - frame.left, pixel / ink.width + margin - frame.top);
            is_own.values[y * columns + x] = 1.0;
        }
        let is_near = is_own.extremes(SOFT, f32::max);
        let soft = Map::from_fn(columns, rows, |x, y| {
            let (px, py) = (x + frame.left, y + frame.top);
            let inside = px >= margin && py >= margin && px < ink.width + margin && py < ink.height + margin;
            if inside && is_near.at(x, y) > 0.0 {
                (ink.at(px - margin, py - margin) / strength).clamp(0.0, 1.0)
            } else {
                0.0
            }
        });
        Self { frame, ink: if widen > 0 { soft.extremes(widen, f32::max) } else { soft } }
    }

    /// Turned so that a row which falls by `slope` pixels for each to the right is level, and scaled.
    pub(super) fn fitted(&self, slope: f32) -> Pixels {
        let length = 1.0f32.hypot(slope);
        let (cos, sin) = (1.0 / length, slope / length);
        let turned = |x: f32, y: f32| [x * cos + y * sin, y * cos - x * sin];
        let mut points = Vec::new();
        for y in 0..self.ink.height {
            for x in 0..self.ink.width {
                let ink = self.ink.at(x, y);
                if ink > 0.0 {
                    points.push((turned(x as f32 + 0.5, y as f32 + 0.5), ink));
                }
            }
        }
        let strong: Vec<[f32; 2]> = points.iter().filter(|(_, ink)| *ink > 0.42).map(|(at, _)| *at).collect();
        let range = |axis: usize| {
            let places = strong.iter().map(|at| at[axis]);
            places.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], place| [low.min(place), high.max(place)])
        };
        let [columns, rows] = [0, 1].map(range);
        let side = (columns[1] - columns[0]).max(rows[1] - rows[0]) + 1.0;
        let scale = BOX_SIDE / side;
        let mass: f32 = points.iter().map(|(_, ink)| ink).sum();
        let centre = [0, 1].map(|axis| points.iter().map(|(at, ink)| at[axis] * ink).sum::<f32>() / mass);
        let middle = IMAGE_SIDE as f32 / 2.0;
        // To a whole pixel from the box's corner, so that no straight edge is blurred.
        let corner = [columns[0] - 0.5, rows[0] - 0.5];
        let offset = [0, 1].map(|axis| (middle - (centre[axis] - corner[axis]) * scale).ceil());
        let mut grey = [0.0f32; IMAGE_BYTES];
        for (at, ink) in points {
            let place = [0, 1].map(|axis| (at[axis] - corner[axis]) * scale + offset[axis]);
            splat(&mut grey, place, scale, ink);
        }
        let strongest = grey.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        grey.map(|grey| (grey / strongest * 255.0).round() as u8)
    }

    /// Where the digit is in the picture.
    pub(super) fn frame(&self) -> Frame {
        self.frame
    }
}

/// Adds a square of ink to the pixels that it covers.
fn splat(grey: &mut [f32; IMAGE_BYTES], middle: [f32; 2], side: f32, ink: f32) {
    let shares = middle.map(|middle| {
        let (start, end) = (middle - side / 2.0, middle + side / 2.0);
        let first = start.floor().max(0.0) as usize;
        let last = (end.ceil().max(0.0) as usize).min(IMAGE_SIDE);
        (first..last).map(move |pixel| (pixel, (pixel as f32 + 1.0).min(end) - (pixel as f32).max(start)))
    });
    let [columns, rows] = shares;
    for (y, row) in rows {
        for (x, column) in columns.clone() {
            grey[y * IMAGE_SIDE + x] += ink * row.max(0.0) * column.max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{block, ink, is_in_bar, is_in_seven, part};
    use super::*;

    /// The image of some ink of 300x200 pixels, with strokes of some width, turned by a slope.
    fn fitted(width: f32, slope: f32, is_ink: impl Fn(usize, usize) -> bool) -> Pixels {
        let ink = ink(&Map::from_fn(300, 200, &is_ink));
        Glyph::of(&[&part(&ink, is_ink)], &ink, 1.0, width).fitted(slope)
    }

    /// The columns and rows that have ink.
    fn sides(pixels: &Pixels) -> [usize; 2] {
        let inked: Vec<usize> = (0..IMAGE_BYTES).filter(|&index| pixels[index] > 100).collect();
        let side = |place: fn(usize) -> usize| {
            let places = inked.iter().map(|&index| place(index));
            places.clone().max().unwrap() + 1 - places.min().unwrap()
        };
        [side(|index| index % IMAGE_SIDE), side(|index| index / IMAGE_SIDE)]
    }

    /// The middle of the ink, from the image's corner.
    fn centre(pixels: &Pixels) -> [f32; 2] {
        let mass: f32 = pixels.iter().map(|&grey| f32::from(grey)).sum();
        let moment = |place: fn(usize) -> usize| {
            (0..IMAGE_BYTES).map(|index| (place(index) as f32 + 0.5) * f32::from(pixels[index])).sum::<f32>() / mass
        };
        [moment(|index| index % IMAGE_SIDE), moment(|index| index / IMAGE_SIDE)]
    }

    #[test]
    fn a_digit_fills_twenty_pixels_and_keeps_its_aspect() {
        let upright = fitted(40.0, 0.0, |x, y| (200..240).contains(&x) && (20..100).contains(&y));
        assert_eq!(sides(&upright), [10, 20]);
        let lying = fitted(40.0, 0.0, |x, y| (10..90).contains(&x) && (120..140).contains(&y));
        assert_eq!(sides(&lying), [20, 5]);
        let tiny = fitted(4.0, 0.0, |x, y| (10..14).contains(&x) && (120..128).contains(&y));
        assert_eq!(sides(&tiny), [10, 20]);
        assert_eq!((upright.iter().max(), upright[0]), (Some(&255), 0));
    }

    #[test]
    fn the_centre_of_mass_is_in_the_middle() {
        for corner in [[20, 30], [200, 90]] {
            let seven = fitted(10.0, 0.0, |x, y| is_in_seven(corner, x, y));
            // To a whole pixel.
            assert!(centre(&seven).iter().all(|at| (13.4..15.1).contains(at)), "{:?}", centre(&seven));
            // The frame's middle is not: a 7 has more ink above.
            let rows = (0..IMAGE_BYTES).filter(|&index| seven[index] > 100).map(|index| index / IMAGE_SIDE);
            assert!(rows.min().unwrap() > 4, "{:?}", centre(&seven));
        }
    }

    #[test]
    fn thin_strokes_are_widened() {
        let line = |x: usize, y: usize| x == 150 && (20..180).contains(&y);
        let mass =
            |pixels: Pixels| pixels[14 * IMAGE_SIDE..15 * IMAGE_SIDE].iter().map(|&grey| f32::from(grey)).sum::<f32>();
        let thin = mass(fitted(1.0, 0.0, line)) / 255.0;
        assert!(thin > 1.2, "{thin} pixels wide");
        // A stroke that is wide enough stays as wide: 30 of 160 pixels are 3.75 of 20.
        let wide = mass(fitted(30.0, 0.0, |x, y| (130..160).contains(&x) && (20..180).contains(&y))) / 255.0;
        assert!((3.4..4.1).contains(&wide), "{wide} pixels wide");
    }

    #[test]
    fn a_row_that_falls_is_turned_level() {
        let falling = |x: usize, y: usize| is_in_bar([[40.0, 40.0], [240.0, 90.0]], 20.0, x, y);
        let [_, as_it_is] = sides(&fitted(20.0, 0.0, falling));
        let [width, level] = sides(&fitted(20.0, 0.25, falling));
        assert!(as_it_is >= 6 && level <= 3 && width == 20, "{as_it_is}, {level}, {width}");
        let [_, steeper] = sides(&fitted(20.0, -0.25, falling));
        assert!(steeper > as_it_is, "{steeper}");
    }

    #[test]
    fn ink_of_neighbours_is_left_out() {
        // An L, and something between its arms.
        let is_own = |x: usize, y: usize| {
            (20..120).contains(&y) && (20..40).contains(&x) || (100..120).contains(&y) && (20..90).contains(&x)
        };
        let alone = ink(&Map::from_fn(300, 200, is_own));
        let mut both = alone.clone();
        block(&both, [60, 40, 80, 80]).pixels.iter().for_each(|&pixel| both.values[pixel] = 1.0);
        let [with, without] = [&both, &alone].map(|ink| Glyph::of(&[&part(ink, is_own)], ink, 1.0, 20.0).fitted(0.0));
        assert_eq!(with, without);
    }
}
