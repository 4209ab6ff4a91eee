//! What a picture says: of all candidates those that the recogniser finds the likeliest, in the order of reading.

use std::collections::BTreeSet;

use serde::Serialize;

use super::candidates::Candidate;
use super::glyph::Pixels;
use super::parts::Frame;
use super::{Findings, Removed};
use crate::metrics::prediction;

/// A digit below this probability is a guess.
const SURE: f32 = 0.5;
/// A reading is in doubt if the next best way through its row is likelier than this share of it.
const RIVAL: f32 = 0.3;

/// A digit of a picture.
#[derive(Clone, Debug, Serialize)]
pub struct Digit {
    /// The digit.
    pub digit: usize,
    /// The probability of each digit.
    pub probabilities: Vec<f32>,
    /// Where it is, in pixels of the picture: left, top, right, bottom.
    pub frame: [f32; 4],
    /// Why it is uncertain, if it is.
    pub doubt: Option<String>,
    /// The image that was recognised.
    #[serde(skip)]
    pub pixels: Pixels,
}

/// A picture as it is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The digits of each row.
    pub rows: Vec<Vec<Digit>>,
    /// Why the whole picture is uncertain.
    pub doubts: Vec<String>,
    /// Whether the ink is darker than its ground.
    pub is_dark: bool,
    /// What is no handwriting and was taken out.
    pub removed: BTreeSet<Removed>,
}

impl Reading {
    /// The rows as numbers, a line for each.
    pub fn text(&self) -> String {
        let number = |row: &Vec<Digit>| row.iter().map(|digit| digit.digit.to_string()).collect::<String>();
        self.rows.iter().map(number).collect::<Vec<_>>().join("\n")
    }

    /// Whether some of it is in doubt.
    pub fn is_uncertain(&self) -> bool {
        !self.doubts.is_empty() || self.digits().any(|digit| digit.doubt.is_some())
    }

    /// All digits.
    pub fn digits(&self) -> impl Iterator<Item = &Digit> {
        self.rows.iter().flatten()
    }

    /// The lowest probability of a digit.
    pub fn confidence(&self) -> f32 {
        self.digits().map(|digit| digit.probabilities[digit.digit]).fold(1.0, f32::min)
    }
}

impl Findings {
    /// Reads the picture, with the probabilities that a recogniser gives for each of [`Self::pixels`], in order.
    pub fn read(&self, probabilities: &[Vec<f32>]) -> Reading {
        let mut rest = probabilities;
        let mut rows = Vec::new();
        for (pieces, candidates) in &self.rows {
            let (these, others) = rest.split_at(candidates.len());
            rest = others;
            rows.push(self.read_row(*pieces, candidates, these));
        }
        Reading { rows, doubts: self.doubts.clone(), is_dark: self.is_dark, removed: self.removed.clone() }
    }

    fn read_row(&self, pieces: usize, candidates: &[Candidate], probabilities: &[Vec<f32>]) -> Vec<Digit> {
        let score = |number: usize| {
            let row = &probabilities[number];
            let digit = prediction(row);
            row[digit].max(1e-6).ln() + candidates[number].prior(digit)
        };
        let best = best_way(pieces, candidates, &score, None);
        let total = |way: &[usize]| way.iter().map(|&number| score(number)).sum::<f32>();
        let is_cut = |this: &Candidate| {
            this.is_cut
                || best.iter().map(|&number| &candidates[number]).any(|left| left.end == this.first && left.is_cut)
        };
        let digit = |&number: &usize| {
            let (candidate, probabilities) = (&candidates[number], probabilities[number].clone());
            let digit = prediction(&probabilities);
            let rival = best_way(pieces, candidates, &score, Some(number));
            let is_rivalled = !rival.is_empty() && (total(&rival) - total(&best)).exp() > RIVAL;
            let doubt = if probabilities[digit] < SURE {
                Some("a guess".to_owned())
            } else if is_cut(candidate) {
                Some("it touches its neighbour, and was cut from it".to_owned())
            } else if is_rivalled {
                Some("it may belong to its neighbour, or be two digits".to_owned())
            } else {
                None
            };
            Digit { digit, probabilities, frame: self.frame(&candidate.frame), doubt, pixels: candidate.pixels }
        };
        best.iter().map(digit).collect()
    }

    /// In pixels of the original picture.
    fn frame(&self, frame: &Frame) -> [f32; 4] {
        let [x, y] = self.scale;
        [frame.left as f32 * x, frame.top as f32 * y, frame.right as f32 * x, frame.bottom as f32 * y]
    }
}

/// The likeliest way through the pieces of a row, without one candidate: dynamic programming from the left. Empty if there is
/// no way.
fn best_way(
    pieces: usize,
    candidates: &[Candidate],
    score: &dyn Fn(usize) -> f32,
    without: Option<usize>,
) -> Vec<usize> {
    let mut ways: Vec<Option<(f32, Vec<usize>)>> = vec![None; pieces + 1];
    ways[0] = Some((0.0, vec![]));
    for start in 0..pieces {
        let Some((sum, way)) = ways[start].clone() else { continue };
        for (number, candidate) in candidates.iter().enumerate() {
            if candidate.first != start || without == Some(number) {
                continue;
            }
            let sum = sum + score(number);
            if ways[candidate.end].as_ref().is_none_or(|(best, _)| sum > *best) {
                ways[candidate.end] = Some((sum, [&way[..], &[number]].concat()));
            }
        }
    }
    ways[pieces].take().map_or_else(Vec::new, |(_, way)| way)
}
