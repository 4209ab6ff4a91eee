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

    /// In pixels of the original picture. Blurred ink may reach into the margin, which the original does not have.
    fn frame(&self, frame: &Frame) -> [f32; 4] {
        let place = |pixel: usize, axis: usize| {
            pixel.saturating_sub(self.margin).min(self.sides[axis]) as f32 * self.scale[axis]
        };
        [place(frame.left, 0), place(frame.top, 1), place(frame.right, 0), place(frame.bottom, 1)]
    }
}

/// The likeliest way through the pieces of a row, without one candidate: dynamic programming from the left. Empty if
/// there is no way.
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

#[cfg(test)]
mod tests {
    use super::super::drawn::frame;
    use super::*;
    use crate::data::IMAGE_BYTES;

    /// A candidate of some pieces, and what a recogniser says: a digit, and how sure it is.
    type Said = (std::ops::Range<usize>, usize, f32);

    /// A row of pieces, each 10 pixels wide, at half the picture's width; `is_cut` says that ink was cut between them.
    fn found(pieces: usize, said: &[Said], is_cut: bool) -> Findings {
        let candidate = |(run, ..): &Said| Candidate {
            first: run.start,
            end: run.end,
            is_cut: is_cut && run.end < pieces,
            ..Candidate::only(frame([10 * run.start, 5, 10 * run.end, 25]), [0; IMAGE_BYTES])
        };
        Findings {
            rows: vec![(pieces, said.iter().map(candidate).collect())],
            is_dark: true,
            removed: BTreeSet::new(),
            doubts: vec![],
            scale: [2.0, 4.0],
            margin: 0,
            sides: [100; 2],
        }
    }

    fn read(found: &Findings, said: &[Said]) -> Vec<Digit> {
        let row = |&(_, digit, sure): &Said| {
            (0..10).map(|other| if other == digit { sure } else { (1.0 - sure) / 9.0 }).collect::<Vec<f32>>()
        };
        found.read(&said.iter().map(row).collect::<Vec<_>>()).rows.remove(0)
    }

    fn digits(pieces: usize, said: &[Said]) -> Vec<Digit> {
        read(&found(pieces, said, false), said)
    }

    fn text(digits: &[Digit]) -> String {
        digits.iter().map(|digit| digit.digit.to_string()).collect()
    }

    #[test]
    fn the_likeliest_way_through_a_row_is_read() {
        let apart = [(0..1, 1, 0.9), (0..2, 8, 0.6), (1..2, 7, 0.9)];
        assert_eq!(text(&digits(2, &apart)), "17");
        let joined = [(0..1, 1, 0.6), (0..2, 8, 0.9), (1..2, 7, 0.6)];
        assert_eq!(text(&digits(2, &joined)), "8");
        // The first digit is likeliest alone, and what it leaves is not.
        let greedy = [(0..1, 1, 0.99), (0..2, 8, 0.9), (1..3, 4, 0.2), (2..3, 3, 0.9), (1..2, 5, 0.3)];
        assert_eq!(text(&digits(3, &greedy)), "83");
        assert!(best_way(1, &[], &|_| 0.0, None).is_empty());
    }

    #[test]
    fn a_prior_counts_like_a_probability() {
        let said = [(0..1, 1, 0.8), (0..2, 8, 0.6), (1..2, 7, 0.8)];
        for (prior, wanted) in [(0.0, "17"), (0.5, "8")] {
            let mut found = found(2, &said, false);
            found.rows[0].1[1].prior = prior;
            assert_eq!(text(&read(&found, &said)), wanted);
        }
    }

    #[test]
    fn doubts_say_why() {
        let doubts =
            |digits: Vec<Digit>| digits.into_iter().map(|digit| digit.doubt.unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!(doubts(digits(1, &[(0..1, 3, 0.95)])), [""]);
        assert_eq!(doubts(digits(1, &[(0..1, 3, 0.3)])), ["a guess"]);
        let pair = [(0..1, 1, 0.9), (0..2, 8, 0.1), (1..2, 7, 0.9)];
        assert_eq!(doubts(digits(2, &pair)), ["", ""]);
        let cut = doubts(read(&found(2, &pair, true), &pair));
        assert!(cut.iter().all(|doubt| doubt.contains("cut")), "{cut:?}");
        let rivalled = doubts(digits(2, &[(0..1, 1, 0.9), (0..2, 8, 0.75), (1..2, 7, 0.9)]));
        assert!(rivalled.iter().all(|doubt| doubt.contains("two digits")), "{rivalled:?}");
    }

    #[test]
    fn frames_are_those_of_the_picture() {
        let digits = digits(2, &[(0..1, 1, 0.9), (1..2, 7, 0.8)]);
        assert_eq!(digits[0].frame, [0.0, 20.0, 20.0, 100.0]);
        assert_eq!(digits[1].frame, [20.0, 20.0, 40.0, 100.0]);
        // Ink in the margin of 3 pixels, of which the picture has none.
        let said = [(0..1, 1, 0.9)];
        let found = Findings { margin: 3, sides: [6, 20], ..found(1, &said, false) };
        assert_eq!(read(&found, &said)[0].frame, [0.0, 8.0, 12.0, 80.0]);
    }

    #[test]
    fn rows_are_lines_and_the_least_sure_digit_counts() {
        let [first, second] =
            [&[(0..1, 4, 0.9), (1..2, 2, 0.7)][..], &[(0..1, 7, 0.8)]].map(|said| digits(said.len(), said));
        let reading = Reading { rows: vec![first, second], doubts: vec![], is_dark: true, removed: BTreeSet::new() };
        assert_eq!(reading.text(), "42\n7");
        assert_eq!(reading.confidence(), 0.7);
        assert!(!reading.is_uncertain());
        assert!(Reading { doubts: vec!["cut".to_owned()], ..reading }.is_uncertain());
    }
}
