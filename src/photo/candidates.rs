//! What could be a digit: each piece of a row, and neighbouring pieces together. The recogniser's probabilities then
//! choose the best way through a row (the segmentation graph of LeCun et al., 1998, V).

use super::cuts::{MOST_CUTS, Piece, narrowest, pieces};
use super::glyph::{Glyph, Pixels};
use super::map::Map;
use super::parts::{Frame, Part};
use super::rows::Row;

/// Pieces of one digit at most: a part that is cut as often as can be is still a candidate as a whole.
const MOST_PIECES: usize = MOST_CUTS + 1;
/// The logarithm of a digit's likelihood falls by this for each height that it is wider than nine of ten of its kind.
/// What counts is how far the middle of the pen goes: bold digits are wider.
const WIDE: f32 = 8.0;
/// The width of nine of ten of each digit in MNIST's training images, in heights, seen along the slant in which it is
/// narrowest, and without the width of a stroke.
const WIDTHS: [f32; 10] = [0.98, 0.24, 1.05, 0.8, 0.82, 0.9, 0.77, 0.85, 0.76, 0.67];
/// It also falls by this for joining parts that lie apart, and by this for each height that they are apart.
const JOIN: f32 = 0.4;
const APART: f32 = 12.0;
/// Parts whose columns overlap by this share of the narrower are likely to be of one digit.
const OVERLAP: f32 = 0.55;
/// A piece that is smaller than this share of the row's height is hardly a digit, and a small one less likely.
const SMALL: f32 = 5.0;
const SMALLEST: f32 = 0.45;

/// A run of pieces of a row that may be one digit.
pub(super) struct Candidate {
    /// The pieces, from the first to before `end`.
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) frame: Frame,
    pub(super) pixels: Pixels,
    /// What speaks for or against it before it is recognised: a logarithm of a likelihood.
    pub(super) prior: f32,
    /// Its width without that of a stroke, in heights.
    pub(super) width: f32,
    /// Whether it ends where ink is cut.
    pub(super) is_cut: bool,
}

impl Candidate {
    /// The only candidate of a row of one piece.
    pub(super) fn only(frame: Frame, pixels: Pixels) -> Self {
        Self { first: 0, end: 1, frame, pixels, prior: 0.0, width: 0.0, is_cut: false }
    }

    /// What speaks for or against a digit, whatever the probability of its pixels: a logarithm of a likelihood.
    pub(super) fn prior(&self, digit: usize) -> f32 {
        self.prior - WIDE * (self.width - WIDTHS[digit]).max(0.0)
    }
}

/// The candidates of a row, and the number of its pieces. `stroke` is the width of a stroke.
pub(super) fn candidates(row: &Row, ink: &Map<f32>, strength: f32, stroke: f32) -> (usize, Vec<Candidate>) {
    let height = row.parts.iter().map(|part| part.frame.side()).max().unwrap_or(1) as f32;
    let all: Vec<Piece> = row.parts.iter().flat_map(|part| pieces(part, ink, height)).collect();
    let is_turned = row.parts.len() >= 3;
    let slope = if is_turned { row.slope } else { 0.0 };
    let mut candidates = Vec::new();
    for first in 0..all.len() {
        for end in first + 1..=(first + MOST_PIECES).min(all.len()) {
            let parts: Vec<&Part> = all[first..end].iter().map(|piece| &piece.part).collect();
            let Some(join) = join_prior(&all[first..end], height) else { break };
            let glyph = Glyph::of(&parts, ink, strength, stroke);
            let frame = glyph.frame();
            let pixels = parts.iter().flat_map(|part| part.pixels.iter().copied());
            let narrow = narrowest(pixels, &frame, ink.width);
            let width = (narrow - stroke) / (frame.height() as f32).max(0.6 * height);
            let small = SMALLEST - frame.side() as f32 / height;
            let cut = all[end - 1].cut;
            let prior = join - SMALL * small.max(0.0) - cut.unwrap_or(0.0);
            let (pixels, is_cut) = (glyph.fitted(slope), cut.is_some());
            candidates.push(Candidate { first, end, frame, pixels, prior, width, is_cut });
        }
    }
    (all.len(), candidates)
}

/// The whole row as one digit.
pub(super) fn only(row: &Row, ink: &Map<f32>, strength: f32, stroke: f32) -> (usize, Vec<Candidate>) {
    let glyph = Glyph::of(&row.parts.iter().collect::<Vec<_>>(), ink, strength, stroke);
    (1, vec![Candidate::only(glyph.frame(), glyph.fitted(0.0))])
}

/// What speaks against joining pieces; none if they are too far apart.
fn join_prior(pieces: &[Piece], height: f32) -> Option<f32> {
    let mut prior = 0.0;
    for pair in pieces.windows(2) {
        if pair[0].cut.is_some() {
            continue;
        }
        let [left, right] = [&pair[0].part, &pair[1].part];
        let [gap, _] = left.frame.gaps(&right.frame);
        let [overlap, _] = left.frame.overlaps(&right.frame);
        let narrower = left.frame.width().min(right.frame.width()).max(1);
        if gap as f32 > 0.3 * height {
            return None;
        }
        if (overlap as f32) < OVERLAP * narrower as f32 {
            prior -= JOIN + APART * gap as f32 / height;
        }
    }
    Some(prior)
}

#[cfg(test)]
mod tests {
    use super::super::drawn::block;
    use super::*;

    /// The pieces from and to which each candidate goes, its frame and its prior, for blocks in a row.
    fn found(frames: &[[usize; 4]]) -> (usize, Vec<Candidate>) {
        let ink = Map::filled(400, 100, 1.0);
        let parts = frames.iter().map(|&frame| block(&ink, frame)).collect();
        candidates(&Row { parts, slope: 0.0 }, &ink, 1.0, 8.0)
    }

    fn runs(candidates: &[Candidate]) -> Vec<(usize, usize)> {
        candidates.iter().map(|candidate| (candidate.first, candidate.end)).collect()
    }

    #[test]
    fn neighbours_are_joined_in_all_ways() {
        let (pieces, found) = found(&[[20, 20, 40, 80], [45, 20, 65, 80], [70, 20, 90, 80]]);
        assert_eq!(pieces, 3);
        assert_eq!(runs(&found), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
        assert_eq!((found[1].frame.left, found[1].frame.right), (20, 65));
        assert!(found.iter().all(|candidate| !candidate.is_cut));
        assert!(found.iter().all(|candidate| candidate.pixels.contains(&255)));
    }

    #[test]
    fn digits_apart_are_not_joined() {
        let (pieces, found) = found(&[[20, 20, 50, 80], [100, 20, 130, 80], [180, 20, 210, 80]]);
        assert_eq!(pieces, 3);
        assert_eq!(runs(&found), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn wide_small_and_joined_ones_are_less_likely() {
        let prior = |frames: &[[usize; 4]], [left, top, right, bottom]: [usize; 4]| {
            let (_, found) = found(frames);
            found.iter().find(|candidate| candidate.frame == Frame { left, top, right, bottom }).unwrap().prior(3)
        };
        let digit = prior(&[[20, 20, 50, 80]], [20, 20, 50, 80]);
        assert_eq!(digit, 0.0);
        // Two that are a few columns apart, and together as wide as a digit, or too wide.
        let pair = |width: usize| {
            let (end, start) = (20 + width, 24 + width);
            prior(&[[20, 20, end, 80], [start, 20, start + width, 80]], [20, 20, start + width, 80])
        };
        assert!(pair(15) < digit - 0.5, "{}", pair(15));
        assert!(pair(32) < pair(15) - 0.5, "{} and {}", pair(32), pair(15));
        let small = [80, 40, 90, 52];
        assert!(prior(&[[20, 20, 55, 80], small], small) < digit - 0.5, "a small one");
        // Above each other, they are likely to be one.
        assert_eq!(prior(&[[20, 20, 34, 45], [21, 50, 35, 80]], [20, 20, 35, 80]), 0.0);
    }

    #[test]
    fn a_part_that_is_cut_as_often_as_can_be_is_a_candidate_as_a_whole() {
        let ink = Map::filled(400, 100, 1.0);
        let bars = (0..7).map(|bar| [20 + 30 * bar, 20, 28 + 30 * bar, 80]).chain([[20, 48, 208, 52]]);
        let comb = bars.map(|frame| block(&ink, frame)).reduce(|mut all, bar| {
            all.add(bar);
            all
        });
        let (pieces, found) = candidates(&Row { parts: comb.into_iter().collect(), slope: 0.0 }, &ink, 1.0, 8.0);
        assert_eq!(pieces, MOST_CUTS + 1);
        assert!(runs(&found).contains(&(0, pieces)), "{:?}", runs(&found));
    }

    #[test]
    fn a_wide_digit_is_hardly_a_1_unless_its_pen_is_wide() {
        let ink = Map::filled(400, 100, 1.0);
        let prior = |digit: usize, stroke: f32| {
            let row = Row { parts: vec![block(&ink, [20, 20, 50, 80])], slope: 0.0 };
            candidates(&row, &ink, 1.0, stroke).1[0].prior(digit)
        };
        assert_eq!(prior(0, 6.0), 0.0);
        assert!(prior(1, 6.0) < -1.0, "{}", prior(1, 6.0));
        assert_eq!(prior(1, 28.0), 0.0);
    }

    #[test]
    fn where_ink_is_cut_is_known() {
        let ink = Map::filled(400, 100, 1.0);
        let [left, bridge, right] =
            [[20, 20, 30, 80], [30, 48, 70, 52], [70, 20, 80, 80]].map(|frame| block(&ink, frame));
        let mut pair = left;
        pair.add(bridge);
        pair.add(right);
        let row = Row { parts: vec![pair], slope: 0.0 };
        let (pieces, found) = candidates(&row, &ink, 1.0, 8.0);
        assert!(pieces >= 2);
        for candidate in &found {
            assert_eq!(candidate.is_cut, candidate.end < pieces, "{}..{}", candidate.first, candidate.end);
        }
        let (pieces, only) = only(&row, &ink, 1.0, 8.0);
        assert_eq!((pieces, runs(&only)), (1, vec![(0, 1)]));
        assert_eq!((only[0].frame.left, only[0].frame.right, only[0].is_cut), (20, 80, false));
    }
}
