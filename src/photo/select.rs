//! Which ink is handwriting: a threshold, and what is taken out because it is none.

use std::collections::BTreeSet;
use std::{fmt, mem};

use super::axis::Axis;
use super::ground::Ink;
use super::lines::lines;
use super::map::{Map, highest, quantile};
use super::parts::{Frame, Part, parts};
use super::strokes::{Crossing, Strokes};

/// A pixel is ink if it has at least this share of the handwriting's strength.
const THRESHOLD: f32 = 0.38;
/// The same where it is not yet known what is handwriting, of the strength at most crossings.
const FIRST_THRESHOLD: f32 = 0.35;
/// Ink exceeds the noise of bare ground by so many standard deviations.
const ABOVE_NOISE: f32 = 4.5;
/// The least difference that is ink; white minus black is √3, one for each channel.
const LEAST: f32 = 0.035;
/// Handwriting is at least this share of the picture's longer side, and so many pixels.
pub(super) const LEAST_SIDE: f32 = 0.02;
const LEAST_PIXELS: usize = 9;
/// The strength of the handwriting is that of the strongest parts that have this share of the ink.
const STRONGEST: f32 = 0.25;
/// What touches the edge of the sheet is no handwriting if it follows the edge for this share of the picture's side.
const ALONG_EDGE: f32 = 0.25;
/// A digit just reaches the edge with this share of its side, and is by less than this factor higher or lower than
/// others.
const JUST: f32 = 0.3;
const LIKE_OTHERS: f32 = 1.5;
/// A box is at most so many times as high as what stands in it.
const BOX: f32 = 4.0;
/// A part has so many crossings for each pixel of its longer side, if it is handwriting; one that has fewer than the
/// second is none, even if nothing else is.
const WRITTEN: f32 = 0.25;
const UNWRITTEN: f32 = 0.06;
/// A part is a straight line if it is so many times as long as thick; no digit is if it is longer than others by this.
const STRAIGHT: f32 = 14.0;
const LONG: f32 = 1.5;
/// A blot fills this share of its frame.
const FULL: f32 = 0.62;
/// Directions in which a box must be met from inside, of 16.
const AROUND: usize = 13;

/// Something that is not handwriting and was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removed {
    /// Ground that is not the sheet.
    Surroundings,
    /// Lines through the whole sheet.
    Lines,
    /// A box around digits.
    Box,
    /// Ink that touches the edge of the picture or the sheet.
    AtEdge,
    /// Ink too small for a digit.
    Dirt,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surroundings => "what is beside the sheet",
            Self::Lines => "lines through the sheet",
            Self::Box => "a box",
            Self::AtEdge => "ink at the edge",
            Self::Dirt => "dirt",
        })
    }
}

/// The handwriting of a picture.
pub(super) struct Handwriting {
    pub(super) parts: Vec<Part>,
    /// The boxes around it, which were taken out.
    pub(super) boxes: Vec<Part>,
    /// Values above this are ink.
    pub(super) threshold: f32,
    /// How strong its ink is.
    pub(super) strength: f32,
    pub(super) removed: BTreeSet<Removed>,
    /// Whether some of it touches the edge.
    pub(super) is_cut: bool,
}

impl Handwriting {
    pub(super) fn of(ink: &Ink, strokes: &Strokes, sheet: &Map<bool>) -> Self {
        let at_middles = strokes.crossings.iter().filter_map(|crossing| ink.values.around(crossing.at));
        let typical = quantile(&mut at_middles.collect::<Vec<f32>>(), 0.6);
        let least = (ABOVE_NOISE * ink.noise).max(LEAST);
        let mut threshold = (FIRST_THRESHOLD * typical).max(least);
        let mut found = Self::above(threshold, ink, strokes, sheet);
        // Where the handwriting is stronger than what else was found, it is found anew without that.
        for _ in 0..3 {
            let better = (THRESHOLD * found.strength).max(least);
            if better <= 1.1 * threshold {
                break;
            }
            threshold = better;
            found = Self::above(threshold, ink, strokes, sheet);
        }
        found
    }

    fn above(threshold: f32, ink: &Ink, strokes: &Strokes, sheet: &Map<bool>) -> Self {
        let mut left = Selection::above(threshold, &ink.values, strokes, sheet);
        let written = |part: &Part, left: &Selection| written(part, &left.crossings, &left.mask);
        left.keep_if_any_is_large(
            |part, left| written(part, left) >= WRITTEN,
            |part, left| written(part, left) >= UNWRITTEN,
        );
        left.keep_if_any_is_large(|part, _| !is_dot(part), |_, _| true);
        let boxes = left.remove_boxes();
        let at_edge = left.take_out(|part, left| touches_edge(part, left.sheet) > 0);
        left.remove_long_lines();
        let is_cut = left.add_digits_of(at_edge);
        let strength = strength(left.large());
        Self { parts: left.parts, boxes, threshold, strength, removed: left.removed, is_cut }
    }
}

/// What is left of the ink, while what is no handwriting is taken out.
struct Selection<'a> {
    sheet: &'a Map<bool>,
    mask: Map<bool>,
    /// Those in the ink.
    crossings: Vec<Crossing>,
    parts: Vec<Part>,
    removed: BTreeSet<Removed>,
}

impl<'a> Selection<'a> {
    /// The ink above a threshold, without lines through the whole sheet and without single dots.
    fn above(threshold: f32, ink: &Map<f32>, strokes: &Strokes, sheet: &'a Map<bool>) -> Self {
        let mut mask = ink.with(sheet, |value, on_sheet| on_sheet && value > threshold);
        let is_ink = |at| mask.around(at) == Some(true);
        let crossings: Vec<_> = strokes.crossings.iter().filter(|crossing| is_ink(crossing.at)).copied().collect();
        let lines = lines(&crossings, &mask, sheet);
        lines.iter().for_each(|line| line.erase(&mut mask));
        let parts = parts(&mask, ink);
        let mut left = Self { sheet, mask, crossings, parts, removed: BTreeSet::new() };
        if !lines.is_empty() {
            left.removed.insert(Removed::Lines);
        }
        if !left.take_out(|part, _| part.pixels.len() < LEAST_PIXELS).is_empty() {
            left.removed.insert(Removed::Dirt);
        }
        left
    }

    /// Takes some parts out, and returns them.
    fn take_out(&mut self, is_taken: impl Fn(&Part, &Self) -> bool) -> Vec<Part> {
        let parts = mem::take(&mut self.parts);
        let (taken, kept) = parts.into_iter().partition(|part| is_taken(part, self));
        self.parts = kept;
        taken
    }

    /// Keeps only some parts. If that leaves nothing as large as a digit, the others that may stay do.
    fn keep_if_any_is_large(
        &mut self,
        is_kept: impl Fn(&Part, &Self) -> bool,
        may_stay: impl Fn(&Part, &Self) -> bool,
    ) {
        let mut others = self.take_out(|part, left| !is_kept(part, left));
        if self.large().next().is_none() {
            others.retain(|part| may_stay(part, self));
            self.parts.extend(others);
        }
    }

    /// The parts that could be digits by their size.
    fn large(&self) -> impl Iterator<Item = &Part> {
        let least = LEAST_SIDE * self.mask.side() as f32;
        self.parts.iter().filter(move |part| part.frame.side() as f32 >= least)
    }

    /// Takes out straight parts that are much longer than all others are high: the sheet's edge, a rule that ends.
    fn remove_long_lines(&mut self) {
        let width = self.mask.width;
        let others = self.parts.iter().map(|part| straightness(part, width)).filter(|(_, is_straight)| !is_straight);
        let longest = others.map(|(length, _)| length).fold(0.0, f32::max);
        let is_long_line = |part: &Part| {
            let (length, is_straight) = straightness(part, width);
            is_straight && length > LONG * longest
        };
        if longest > 0.0 && !self.take_out(|part, _| is_long_line(part)).is_empty() {
            self.removed.insert(Removed::Lines);
        }
    }

    /// Takes out what runs around digits, and returns it.
    fn remove_boxes(&mut self) -> Vec<Part> {
        let boxes: Vec<Frame> =
            self.parts.iter().filter(|part| is_box(part, &self.parts, &self.mask)).map(|part| part.frame).collect();
        let boxes = self.take_out(|part, _| boxes.contains(&part.frame));
        if !boxes.is_empty() {
            self.removed.insert(Removed::Box);
        }
        boxes
    }

    /// Adds the parts at the edge that may be digits all the same, and says whether there are any.
    fn add_digits_of(&mut self, at_edge: Vec<Part>) -> bool {
        let mut heights: Vec<f32> = self.large().map(|part| part.frame.height() as f32).collect();
        let height = quantile(&mut heights, 0.5);
        let is_digit = |part: &Part| {
            let touching = touches_edge(part, self.sheet) as f32;
            let relative = part.frame.height() as f32 / height;
            // One that just reaches the edge, if it is as high as others.
            let is_like_others =
                touching <= JUST * part.frame.side() as f32 && (1.0 / LIKE_OTHERS..=LIKE_OTHERS).contains(&relative);
            // A digit that is cut is better than none.
            touching < ALONG_EDGE * self.mask.side() as f32 && (heights.is_empty() || is_like_others)
        };
        let (digits, others): (Vec<Part>, Vec<Part>) = at_edge.into_iter().partition(is_digit);
        if !others.is_empty() {
            self.removed.insert(Removed::AtEdge);
        }
        let are_any = !digits.is_empty();
        self.parts.extend(digits);
        are_any
    }
}

/// Whether a part is a blot: about as wide as high, and full.
fn is_dot(part: &Part) -> bool {
    let (width, height) = (part.frame.width(), part.frame.height());
    let is_full = part.pixels.len() as f32 >= FULL * (width * height) as f32;
    is_full && 5 * width.min(height) >= 3 * width.max(height)
}

/// How many crossings of strokes a part has for each pixel of its longer side: few in a shadow.
fn written(part: &Part, crossings: &[Crossing], mask: &Map<bool>) -> f32 {
    let Frame { left, top, right, bottom } = part.frame;
    let is_inside = |crossing: &&Crossing| {
        let [x, y] = crossing.at.map(|place| place.round() as usize);
        (left..right).contains(&x)
            && (top..bottom).contains(&y)
            && part.pixels.binary_search(&(y * mask.width + x)).is_ok()
    };
    crossings.iter().filter(is_inside).count() as f32 / part.frame.side() as f32
}

/// The length of a part, and whether it is a straight line: how far its pixels lie along their main direction and
/// beside it.
fn straightness(part: &Part, width: usize) -> (f32, bool) {
    let axis = Axis::of(part.pixels.iter().map(|pixel| [(pixel % width) as f32, (pixel / width) as f32]));
    // A bar of length l has a variance of l * l / 12.
    let [length, thickness] = axis.variances.map(|variance| (12.0 * variance).sqrt() + 1.0);
    (length, length >= STRAIGHT * thickness)
}

/// The strength of which the strongest parts, with a share of all ink, have at least.
fn strength<'a>(parts: impl Iterator<Item = &'a Part>) -> f32 {
    let weight = |part: &Part| part.pixels.len() as f32 * part.strength * part.strength;
    highest(parts.map(|part| (part.strength, weight(part))), STRONGEST).unwrap_or(0.0)
}

/// For how many pixels a part follows the edge of the picture or the sheet; 0 if it does not touch it.
fn touches_edge(part: &Part, sheet: &Map<bool>) -> usize {
    let is_outside = |x: isize, y: isize| {
        let inside = x >= 0 && y >= 0 && x < sheet.width as isize && y < sheet.height as isize;
        !inside || !sheet.at(x as usize, y as usize)
    };
    let at_edge = |&&pixel: &&usize| {
        let (x, y) = ((pixel % sheet.width) as isize, (pixel / sheet.width) as isize);
        [(-2, 0), (2, 0), (0, -2), (0, 2)].iter().any(|(dx, dy)| is_outside(x + dx, y + dy))
    };
    // Two pixels deep.
    part.pixels.iter().filter(at_edge).count().div_ceil(2)
}

/// Whether a part runs around another one that could be a digit.
fn is_box(outer: &Part, parts: &[Part], mask: &Map<bool>) -> bool {
    parts.iter().any(|inner| {
        let is_inside = outer.frame != inner.frame
            && outer.frame.holds(&inner.frame)
            && inner.frame.height() as f32 * BOX >= outer.frame.height() as f32
            && inner.frame.side() * 6 >= outer.frame.side();
        is_inside && surrounds(outer, inner.frame.middle(), mask)
    })
}

/// Whether a part is met from a point in almost all directions.
fn surrounds(part: &Part, from: [f32; 2], mask: &Map<bool>) -> bool {
    let frame = part.frame;
    let mut is_part = Map::filled(frame.width(), frame.height(), false);
    for &pixel in &part.pixels {
        let (x, y) = (pixel % mask.width - frame.left, pixel / mask.width - frame.top);
        is_part.values[y * frame.width() + x] = true;
    }
    let start = [from[0] - frame.left as f32, from[1] - frame.top as f32];
    let is_met = |direction: usize| {
        let (sin, cos) = (direction as f32 * std::f32::consts::TAU / 16.0).sin_cos();
        let point = |step: usize| [start[0] + cos * step as f32, start[1] + sin * step as f32];
        (0..frame.width() + frame.height()).map_while(|step| is_part.around(point(step))).any(|met| met)
    };
    (0..16).filter(|&direction| is_met(direction)).count() >= AROUND
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{frame, is_in_bar, is_in_seven, traced};
    use super::*;

    /// The handwriting of a picture of 400x300 pixels.
    fn handwriting(is_ink: impl Fn(usize, usize) -> bool) -> Handwriting {
        let mask = Map::from_fn(400, 300, is_ink);
        let (ink, strokes) = traced(&mask);
        Handwriting::of(&ink, &strokes, &Map::filled(400, 300, true))
    }

    /// Checks that a 7 in the middle is the only handwriting beside something, and what was taken out.
    #[track_caller]
    fn assert_only_seven(is_other: impl Fn(usize, usize) -> bool, removed: &[Removed]) {
        let found = handwriting(|x, y| is_in_seven([170, 100], x, y) || is_other(x, y));
        let [seven] = &found.parts[..] else { panic!("{} parts", found.parts.len()) };
        let wanted = frame([166, 96, 236, 204]);
        assert!(wanted.holds(&seven.frame) && seven.frame.height() > 92, "{:?}", seven.frame);
        assert_eq!(found.removed.iter().copied().collect::<Vec<_>>(), removed);
        assert!(!found.is_cut);
    }

    #[test]
    fn digits_are_handwriting() {
        assert_only_seven(|_, _| false, &[]);
        let two = handwriting(|x, y| is_in_seven([100, 100], x, y) || is_in_seven([220, 80], x, y));
        assert_eq!((two.parts.len(), two.removed.len()), (2, 0));
        assert!(
            two.threshold > 0.1 * two.strength && two.threshold < two.strength,
            "{} of {}",
            two.threshold,
            two.strength
        );
    }

    #[test]
    fn dots_dirt_and_boxes_are_none() {
        assert_only_seven(|x, y| (x as f32 - 80.0).hypot(y as f32 - 150.0) < 14.0, &[]);
        assert_only_seven(|x, y| (300..302).contains(&x) && (60..62).contains(&y), &[Removed::Dirt]);
        let is_box = |x: usize, y: usize| {
            let [across, down] = [(130..270).contains(&x), (70..230).contains(&y)];
            across && down && !((134..266).contains(&x) && (74..226).contains(&y))
        };
        assert_only_seven(is_box, &[Removed::Box]);
    }

    #[test]
    fn what_is_at_the_edge_or_is_long_is_none() {
        let from_edge = [[0.0, 150.0], [90.0, 170.0]];
        assert_only_seven(|x, y| is_in_bar(from_edge, 8.0, x, y), &[Removed::AtEdge]);
        let rule = [[20.0, 270.0], [340.0, 260.0]];
        assert_only_seven(|x, y| is_in_bar(rule, 4.0, x, y), &[Removed::Lines]);
        assert_only_seven(|_, y| (240..243).contains(&y), &[Removed::Lines]);
    }

    #[test]
    fn a_cut_digit_is_kept_if_it_is_the_only_one() {
        let cut = handwriting(|x, y| is_in_seven([120, 230], x, y));
        assert_eq!(cut.parts.len(), 1);
        assert!(cut.is_cut);
        let both = handwriting(|x, y| is_in_seven([120, 260], x, y) || is_in_seven([220, 80], x, y));
        assert_eq!(both.parts.len(), 1);
        assert!(!both.is_cut && both.removed.contains(&Removed::AtEdge), "{:?}", both.removed);
        // As high as its neighbour, it only just reaches the edge.
        let whole = handwriting(|x, y| is_in_seven([120, 199], x, y) || is_in_seven([220, 80], x, y));
        assert_eq!(whole.parts.len(), 2);
        assert!(whole.is_cut);
    }

    #[test]
    fn what_no_stroke_runs_through_is_none() {
        let mask = Map::from_fn(400, 300, |x, y| is_in_seven([170, 100], x, y));
        let (ink, mut strokes) = traced(&mask);
        let sheet = Map::filled(400, 300, true);
        assert_eq!(Handwriting::of(&ink, &strokes, &sheet).parts.len(), 1);
        strokes.crossings.truncate(4);
        assert!(Handwriting::of(&ink, &strokes, &sheet).parts.is_empty());
    }

    #[test]
    fn ink_beside_the_sheet_is_none() {
        let mask = Map::from_fn(400, 300, |x, y| is_in_seven([60, 100], x, y) || is_in_seven([260, 100], x, y));
        let (ink, strokes) = traced(&mask);
        let sheet = Map::from_fn(400, 300, |x, _| x < 200);
        let found = Handwriting::of(&ink, &strokes, &sheet);
        assert_eq!(found.parts.len(), 1);
        assert!(found.parts[0].frame.right < 200);
    }
}
