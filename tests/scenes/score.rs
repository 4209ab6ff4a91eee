//! How many pictures of each scene a model reads rightly, and which of the stages is wrong where it does not.

use std::path::Path;

use anyhow::{Result, ensure};
use gpu_digits::photo::{self, Findings, Options, Reading};
use gpu_digits::{Device, Predictor};
use rayon::prelude::*;

use super::shot::{Glyph, Picture};
use super::{Chosen, digits};

/// A digit is found if its box and the true one share at least this part of both together.
const FOUND: f32 = 0.4;

/// What became of the pictures of a scene.
#[derive(Default)]
struct Score {
    pictures: usize,
    right: usize,
    /// Wrong, but said to be uncertain or to show no digit.
    doubted: usize,
    /// Wrong, although each digit was found where it is: the model is wrong.
    model: usize,
}

/// Reads pictures of each scene, and prints a line for each.
pub(super) fn score(run: &Path, chosen: &Chosen) -> Result<()> {
    let mut predictor = Predictor::open(Device::Cpu, run)?;
    println!(
        "| scene | pictures | right | of the others, the model's mistakes | of the others, said to be uncertain |"
    );
    println!("|---|---|---|---|---|");
    let mut all = Score::default();
    for scene in &chosen.scenes {
        let indices: Vec<u64> = (0..chosen.count).collect();
        let pictures: Vec<(Picture, Option<Findings>)> = indices
            .into_par_iter()
            .map(|index| {
                let picture = scene.picture(chosen.seed, index);
                let found = photo::find(&picture.image, &Options::default()).ok();
                (picture, found)
            })
            .collect();
        let mut score = Score::default();
        for (picture, found) in &pictures {
            let reading = match found {
                Some(found) => Some(found.read(&pollster::block_on(predictor.probabilities(&found.pixels()))?)),
                None => None,
            };
            score.add(picture, reading.as_ref());
        }
        score.print(scene.name);
        all.pictures += score.pictures;
        all.right += score.right;
        all.doubted += score.doubted;
        all.model += score.model;
    }
    all.print("all");
    let share = all.right as f64 / all.pictures as f64;
    ensure!(
        share >= chosen.at_least,
        "{share:.3} of the pictures are read rightly, and {} were asked for",
        chosen.at_least
    );
    Ok(())
}

impl Score {
    fn add(&mut self, picture: &Picture, reading: Option<&Reading>) {
        self.pictures += 1;
        let text = reading.map_or_else(|| "none".to_owned(), |reading| reading.text().replace('\n', "_"));
        if text == digits(&picture.truth) {
            self.right += 1;
            return;
        }
        self.doubted += usize::from(reading.is_none_or(Reading::is_uncertain));
        self.model += usize::from(reading.is_some_and(|reading| are_found(&picture.truth, reading)));
    }

    fn print(&self, name: &str) {
        let Self { pictures, right, doubted, model } = self;
        println!("| {name} | {pictures} | {:.3} | {model} | {doubted} |", *right as f64 / *pictures as f64);
    }
}

/// Whether the digits read are where the true ones are.
fn are_found(truth: &[Vec<Glyph>], reading: &Reading) -> bool {
    let is_same = |glyphs: &Vec<Glyph>, digits: &Vec<photo::Digit>| {
        glyphs.len() == digits.len()
            && glyphs.iter().zip(digits).all(|(glyph, digit)| overlap(glyph, digit.frame) >= FOUND)
    };
    truth.len() == reading.rows.len() && truth.iter().zip(&reading.rows).all(|(glyphs, digits)| is_same(glyphs, digits))
}

/// The area that both boxes have, over the area of both together.
fn overlap(glyph: &Glyph, [left, top, right, bottom]: [f32; 4]) -> f32 {
    let frame = glyph.frame;
    let width = (frame.right.min(right) - frame.left.max(left)).max(0.0);
    let height = (frame.bottom.min(bottom) - frame.top.max(top)).max(0.0);
    let area = |width: f32, height: f32| width * height;
    let both = area(width, height);
    let either = area(frame.right - frame.left, frame.bottom - frame.top) + area(right - left, bottom - top) - both;
    both / either.max(f32::MIN_POSITIVE)
}
