//! What could be a digit: each piece of a row, and neighbouring pieces together. The recogniser's probabilities then choose
//! the best way through a row (the segmentation graph of LeCun et al., 1998, V).

use super::cuts::{MOST_CUTS, Piece, narrowest, pieces};
use super::glyph::{Glyph, Pixels};
use super::map::Map;
use super::parts::{Frame, Part};
use super::rows::Row;

/// Pieces of one digit at most: a part that is cut as often as can be is still a candidate as a whole.
const MOST_PIECES: usize = MOST_CUTS + 1;
/// The logarithm of a digit's likelihood falls by this for each height that it is wider than nine of ten of its kind. What counts is
/// how far the middle of the pen goes: bold digits are wider.
const WIDE: f32 = 8.0;
/// The width of nine of ten of each digit in MNIST's training images, in heights, seen along the slant in which it is narrowest, and
/// without the width of a stroke.
const WIDTHS: [f32; 10] = [0.98, 0.24, 1.05, 0.8, 0.82, 0.9, 0.77, 0.85, 0.76, 0.67];
/// The same for joining parts that lie apart, and for each height that they are apart.
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
    prior: f32,
    /// Its width without that of a stroke, in heights.
    width: f32,
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
