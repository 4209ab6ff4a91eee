//! Where digits that touch could be cut apart.
//!
//! A part is seen along lines of several slants. Where such a line meets the ink once, and the ink to both sides is
//! high, two digits may touch; a loop is met twice, and so are digits that overlap, more seldom. Whether it is so, the
//! recogniser says (over-segmentation; Casey and Lecolinet, "A survey of methods and strategies in character
//! segmentation", 1996).

use super::map::Map;
use super::parts::{Frame, Part};

/// Parts narrower than this share of their height are not cut.
const LEAST_WIDTH: f32 = 0.55;
/// A piece is at least this share of the height wide, and this share high.
const LEAST_PIECE: f32 = 0.15;
const LEAST_HEIGHT: f32 = 0.5;
/// Slants that are tried: columns to the right for each row upwards.
const SLANTS: [f32; 8] = [0.0, 0.15, 0.3, 0.45, 0.6, -0.15, -0.3, 0.75];
/// A cut meets at most this share of the height.
const THICKEST: f32 = 0.5;
/// More cuts are not made in one part.
pub(super) const MOST_CUTS: usize = 5;
/// Digits that touch are as high as their pair. A cut costs this, and more for each height that a side lacks.
const CUT: f32 = 1.1;
const LOW: f32 = 5.0;
const HIGH: f32 = 0.8;
/// The same for ink that is met twice.
const TWICE: f32 = 1.9;

/// A line through a part.
#[derive(Clone, Copy)]
struct Cut {
    slant: f32,
    /// Where it meets the part's middle row, from the left of the frame.
    place: f32,
    /// Pixels of ink that it meets.
    thickness: f32,
}

/// A piece of a part, and what speaks against the cut behind it; nothing if there is none.
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) cut: Option<f32>,
}

/// The pieces of a part, from left to right; the part itself if it cannot be cut. `height` is that of its row.
pub(super) fn pieces(part: &Part, ink: &Map<f32>, height: f32) -> Vec<Piece> {
    let cuts = cuts(part, ink.width, height);
    let mut pixels = vec![vec![]; cuts.len() + 1];
    for &pixel in &part.pixels {
        let right_of =
            cuts.iter().filter(|(cut, _)| along(&part.frame, pixel, ink.width, cut.slant) >= cut.place).count();
        pixels[right_of].push(pixel);
    }
    let ends = cuts.iter().map(|(_, cost)| Some(*cost)).chain([None]);
    let pieces = pixels.into_iter().zip(ends).filter(|(pixels, _)| !pixels.is_empty());
    pieces.map(|(pixels, cut)| Piece { part: Part::of(pixels, ink), cut }).collect()
}

/// The width of a part, seen along the slant in which it is narrowest.
pub(super) fn narrowest(pixels: impl Iterator<Item = usize> + Clone, frame: &Frame, map_width: usize) -> f32 {
    let width = |slant: f32| {
        let places = pixels.clone().map(|pixel| along(frame, pixel, map_width, slant));
        let [low, high] =
            places.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], place| [low.min(place), high.max(place)]);
        high - low + 1.0
    };
    SLANTS.into_iter().map(width).fold(f32::INFINITY, f32::min)
}

/// The column of a pixel, from the left of the frame, seen along a slant.
fn along(frame: &Frame, pixel: usize, map_width: usize, slant: f32) -> f32 {
    let (x, y) = ((pixel % map_width) as f32, (pixel / map_width) as f32);
    x - frame.left as f32 + slant * (y - frame.top as f32 - frame.height() as f32 / 2.0)
}

/// The cuts from left to right, and what speaks against each.
fn cuts(part: &Part, map_width: usize, height: f32) -> Vec<(Cut, f32)> {
    let frame = part.frame;
    let height = height.min(frame.height() as f32 * 1.3);
    if (frame.width() as f32) < LEAST_WIDTH * height {
        return vec![];
    }
    let mut pixels = part.pixels.clone();
    pixels.sort_unstable();
    let mut found: Vec<(Cut, f32)> = Vec::new();
    for slant in SLANTS {
        found.extend(cuts_along(slant, &pixels, &frame, map_width, height));
    }
    // The thinnest first, those of less slant and nearer to the middle before others.
    let rank = |(cut, cost): &(Cut, f32)| {
        let off = (cut.place / frame.width() as f32 - 0.5).abs();
        cut.thickness / height + 0.1 * cut.slant.abs() + 0.2 * off + 0.3 * cost
    };
    found.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let mut cuts: Vec<(Cut, f32)> = Vec::new();
    for cut in found {
        let is_apart = |other: &(Cut, f32)| {
            (other.0.place - cut.0.place).abs() >= 0.2 * height && !cross(&other.0, &cut.0, frame.height())
        };
        if cuts.len() < MOST_CUTS && cuts.iter().all(is_apart) {
            cuts.push(cut);
        }
    }
    cuts.sort_by(|a, b| a.0.place.total_cmp(&b.0.place));
    cuts
}

/// A line of a slant: the pixels of ink on it, how often it meets ink, and the first and last rows with ink.
#[derive(Clone, Copy)]
struct Column {
    count: f32,
    runs: usize,
    last: usize,
    first: usize,
}

/// The places along a slant where a part could be cut.
fn cuts_along(slant: f32, pixels: &[usize], frame: &Frame, map_width: usize, height: f32) -> Vec<(Cut, f32)> {
    let reach = (slant.abs() * frame.height() as f32 / 2.0).ceil();
    let empty = Column { count: 0.0, runs: 0, last: 0, first: usize::MAX };
    let mut columns = vec![empty; frame.width() + 2 * reach as usize + 2];
    for &pixel in pixels {
        let column = &mut columns[(along(frame, pixel, map_width, slant) + reach) as usize];
        let y = pixel / map_width;
        // Rounding along a slant leaves out a row at some places.
        column.runs += usize::from(column.count == 0.0 || y > column.last + 2);
        *column = Column { count: column.count + 1.0, last: y, first: column.first.min(y), ..*column };
    }
    let first = columns.iter().position(|column| column.count > 0.0).unwrap_or(0);
    let last = columns.iter().rposition(|column| column.count > 0.0).unwrap_or(0);
    // The height of the ink up to each line, from both sides.
    let heights = |columns: &mut dyn Iterator<Item = &Column>| -> Vec<f32> {
        let mut rows = (usize::MAX, 0);
        let heights = columns.map(|column| {
            if column.count > 0.0 {
                rows = (rows.0.min(column.first), rows.1.max(column.last));
            }
            (rows.1 + 1).saturating_sub(rows.0) as f32
        });
        heights.collect()
    };
    let left = heights(&mut columns.iter());
    let mut right = heights(&mut columns.iter().rev());
    right.reverse();
    let margin = (LEAST_PIECE * height) as usize;
    let places = first + margin..last.saturating_sub(margin);
    let cut = |place: usize| {
        let Column { count, runs, .. } = columns[place];
        let lower = left[place - 1].min(right[place + 1]) / frame.height() as f32;
        let is_cut = runs <= 2 && count <= THICKEST * height && lower >= LEAST_HEIGHT;
        let cost = CUT + LOW * (HIGH - lower).max(0.0) + if runs == 2 { TWICE } else { 0.0 };
        is_cut.then_some((Cut { slant, place: place as f32 - reach, thickness: count }, cost))
    };
    places.filter(|place| *place > 0 && place + 1 < columns.len()).filter_map(cut).collect()
}

/// Whether two cuts meet within the part.
fn cross(a: &Cut, b: &Cut, height: usize) -> bool {
    let at = |cut: &Cut, y: f32| cut.place - cut.slant * y;
    let half = height as f32 / 2.0;
    (at(a, -half) - at(b, -half)) * (at(a, half) - at(b, half)) <= 0.0
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{block, is_in_ring, part};
    use super::*;

    fn paper() -> Map<f32> {
        Map::filled(160, 100, 1.0)
    }

    /// Two upright bars, and a bridge between them.
    fn is_in_two_bars(x: usize, y: usize) -> bool {
        let is_bar = (20..80).contains(&y) && ((30..40).contains(&x) || (80..90).contains(&x));
        is_bar || (48..52).contains(&y) && (30..90).contains(&x)
    }

    #[test]
    fn bars_joined_by_a_bridge_are_cut_at_it() {
        let ink = paper();
        let pair = part(&ink, is_in_two_bars);
        let pieces = pieces(&pair, &ink, 60.0);
        assert!(pieces.len() >= 2, "not cut");
        let costs: Vec<bool> = pieces.iter().map(|piece| piece.cut.is_some()).collect();
        assert!(costs[..costs.len() - 1].iter().all(|is_cut| *is_cut) && !costs[costs.len() - 1], "{costs:?}");
        for pair in pieces.windows(2) {
            assert!(pair[0].part.frame.middle()[0] < pair[1].part.frame.middle()[0], "not from left to right");
        }
        // One of the cuts leaves a bar on each side.
        let has_a_bar_on_each_side = |cut: usize| {
            let columns = |pieces: &[Piece]| {
                let pixels = pieces.iter().flat_map(|piece| &piece.part.pixels).map(|pixel| pixel % ink.width);
                (pixels.clone().min().unwrap(), pixels.max().unwrap())
            };
            columns(&pieces[..cut]).1 < 80 && columns(&pieces[cut..]).0 >= 40
        };
        assert!((1..pieces.len()).any(has_a_bar_on_each_side), "no cut through the bridge");
        let mut pixels: Vec<usize> = pieces.iter().flat_map(|piece| piece.part.pixels.clone()).collect();
        pixels.sort_unstable();
        assert_eq!(pixels, pair.pixels, "pixels are lost or taken twice");
    }

    #[test]
    fn a_cut_through_a_loop_costs_more_than_through_a_bridge() {
        let ink = paper();
        let least = |part: &Part| {
            let costs = pieces(part, &ink, part.frame.height() as f32).into_iter().filter_map(|piece| piece.cut);
            costs.fold(f32::INFINITY, f32::min)
        };
        let ring = part(&ink, |x, y| is_in_ring([70.0, 50.0], 30.0, 8.0, x, y));
        let pair = part(&ink, is_in_two_bars);
        assert!(least(&pair).is_finite());
        assert!(least(&ring) > least(&pair) + 1.0, "{} and {}", least(&ring), least(&pair));
    }

    #[test]
    fn narrow_parts_and_solid_ones_are_not_cut() {
        let ink = paper();
        for frame in [[40, 20, 60, 80], [40, 20, 110, 80]] {
            assert_eq!(pieces(&block(&ink, frame), &ink, 60.0).len(), 1, "{frame:?}");
        }
        // Two thin bars, which a high row makes one narrow digit.
        let pair = part(&ink, is_in_two_bars);
        assert_eq!(cuts(&Part { frame: Frame { right: 50, ..pair.frame }, ..pair }, ink.width, 60.0).len(), 0);
    }

    #[test]
    fn a_slanted_stroke_is_as_narrow_as_it_is_upright() {
        let ink = paper();
        // 12 pixels wide, three pixels to the left for each ten downwards.
        let is_stroke = |x: usize, y: usize| (20..80).contains(&y) && (80..92).contains(&(x + 3 * y / 10));
        let stroke = part(&ink, is_stroke);
        let width = narrowest(stroke.pixels.iter().copied(), &stroke.frame, ink.width);
        assert!(stroke.frame.width() > 25 && (11.0..15.0).contains(&width), "{width}");
    }
}
