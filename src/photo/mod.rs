//! Finds the digits of a picture, drawn, scanned or photographed, and makes each an image like those of MNIST.
//!
//! The stages, each a file: `decode` a file; find the direction of the best `contrast` among colours, and the
//! `strokes`; tell ink from its `ground` whatever the light; find the `sheet`, where the picture shows more; `select`
//! what is handwriting, without `lines`, frames and dirt; order its `parts` in `rows`, with `cuts` where digits may
//! touch; make each candidate (`candidates`) a `glyph` of 28x28 pixels. A recogniser then says which candidates are
//! digits: [`Findings::read`].

mod axis;
mod candidates;
mod contrast;
mod cuts;
mod glyph;
mod ground;
mod lines;
mod map;
mod parts;
mod picture;
mod reading;
mod ready;
mod rows;
mod select;
mod sheet;
mod stages;
mod strokes;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use image::DynamicImage;

use crate::data::IMAGE_SIDE;
use candidates::Candidate;
use contrast::Contrast;
use ground::Ink;
use map::{Map, quantile};
use parts::Part;
use picture::Picture;
use ready::ready;
use rows::Row;
use select::{Handwriting, LEAST_SIDE};
use strokes::Strokes;

#[cfg(feature = "pictures")]
pub use crate::decode::decode;
pub use glyph::Pixels;
pub use parts::Frame;
pub use reading::{Digit, Reading};
pub use select::Removed;
pub use stages::Stages;

/// Below this share of agreement it is in doubt whether ink is dark or light.
const AGREED: f32 = 0.6;
/// From this share on there is none: grain has less.
const CLEAR: f32 = 0.75;
/// Digits of fewer pixels' height, in the picture as it is looked at, are no digits.
const LEAST_DIGIT_PIXELS: usize = 8;
/// More digits than this are not looked for: such a picture is a pattern.
const MOST_PARTS: usize = 400;

/// What to find.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// There is one digit: all ink belongs to it.
    pub one: bool,
}

/// What was found in a picture: candidates of digits.
pub struct Findings {
    rows: Vec<(usize, Vec<Candidate>)>,
    is_dark: bool,
    removed: BTreeSet<Removed>,
    /// Why the whole picture is uncertain.
    doubts: Vec<String>,
    /// Pixels of the picture for each pixel that was looked at.
    scale: [f32; 2],
    /// Pixels that were added on each side before it was looked at.
    margin: usize,
    /// Columns and rows that were looked at, without those that were added.
    sides: [usize; 2],
}

/// Finds the digits of a picture.
///
/// # Errors
/// If the picture has no pixels, or no ink that could be a digit.
pub fn find(picture: &DynamicImage, options: &Options) -> Result<Findings> {
    find_in_stages(picture, options, &mut Stages::unseen())
}

/// The same, with a picture of each stage; those up to the one that found nothing, if it fails.
///
/// # Errors
/// The same as for [`find`].
pub fn find_in_stages(picture: &DynamicImage, options: &Options, stages: &mut Stages) -> Result<Findings> {
    if let Some((pixels, is_dark)) = ready(picture) {
        stages.add("picture", || picture.clone());
        return Ok(Findings::ready(pixels, is_dark));
    }
    let mut picture = Picture::of(picture)?;
    stages.add("picture", || picture.image().into());
    let mut traced = Traced::of(&picture, picture.whole());
    if let Some((on_sheet, painted)) =
        sheet::sheet(&picture, &traced.handwriting, traced.strokes.is_dark, traced.width())
    {
        stages.add("sheet", || painted.image().into());
        traced = Traced::of(&painted, on_sheet);
        traced.handwriting.removed.insert(Removed::Surroundings);
    }
    if traced.may_be_cropped() {
        let wider = picture.with_margin();
        let other = Traced::of(&wider, wider.whole());
        // Beside a margin, which has no grain, grain would be ink; but its edges are dark and light alike.
        if other.has_digit() && other.strokes.agreement >= CLEAR && !other.has_lines_through(&wider.inside()) {
            (picture, traced) = (wider, other);
            traced.handwriting.is_cut = true;
            stages.add("margin", || picture.image().into());
        }
    }
    traced.show(stages);
    traced.ensure_digits()?;
    Ok(traced.findings(options, &picture))
}

/// A picture or its sheet through the stages that look at pixels.
struct Traced {
    sheet: Map<bool>,
    contrast: Contrast,
    strokes: Strokes,
    ink: Ink,
    handwriting: Handwriting,
}

impl Traced {
    fn of(picture: &Picture, sheet: Map<bool>) -> Self {
        let contrast = Contrast::of(picture);
        let strokes = Strokes::of(&contrast);
        let ink = Ink::of(&contrast, &strokes);
        let handwriting = Handwriting::of(&ink, &strokes, &sheet);
        Self { sheet, contrast, strokes, ink, handwriting }
    }

    fn show(&self, stages: &mut Stages) {
        let strength = self.handwriting.strength.max(0.01);
        stages.add("contrast", || stages::grey(&self.contrast.brightness).into());
        stages.add("ink", || stages::grey(&self.ink.values.map(|value| 1.0 - value / strength)).into());
        stages.add("handwriting", || self.handwriting.image(&self.ink.values).into());
    }

    /// The width of most strokes of the handwriting, in pixels.
    fn width(&self) -> f32 {
        let is_ink = |at| self.ink.values.around(at).is_some_and(|value| value > self.handwriting.threshold);
        let crossings = self.strokes.crossings.iter().filter(|crossing| is_ink(crossing.at));
        quantile(&mut crossings.map(|crossing| crossing.width).collect::<Vec<f32>>(), 0.5).max(1.0)
    }

    /// Whether it may show a digit that was cut out without a margin, which touches the edge and leaves little ground:
    /// there is no digit, nor are there lines.
    fn may_be_cropped(&self) -> bool {
        !self.has_digit() && !self.handwriting.removed.contains(&Removed::Lines)
    }

    /// Whether lines run through a part of it from end to end.
    fn has_lines_through(&self, part: &Map<bool>) -> bool {
        Handwriting::of(&self.ink, &self.strokes, part).removed.contains(&Removed::Lines)
    }

    /// Whether something is as large as a digit.
    fn has_digit(&self) -> bool {
        let least = (LEAST_SIDE * self.sheet.side() as f32).max(LEAST_DIGIT_PIXELS as f32);
        let largest = self.handwriting.parts.iter().map(|part| part.frame.side()).max().unwrap_or(0);
        self.handwriting.strength > 0.0 && largest as f32 >= least
    }

    /// Refuses pictures without handwriting.
    fn ensure_digits(&self) -> Result<()> {
        let parts = &self.handwriting.parts;
        ensure!(
            self.has_digit(),
            "it shows no digit: nothing on it is as dark or as large as handwriting; give a picture with more contrast, or \
             a closer one"
        );
        ensure!(
            parts.len() <= MOST_PARTS,
            "it shows no digit that can be told from its {} dots and lines; give a closer picture",
            parts.len()
        );
        Ok(())
    }

    /// Why the whole picture is uncertain.
    fn doubts(&self) -> Vec<String> {
        let doubts = [
            (self.handwriting.is_cut, "it touches the edge of the picture"),
            (self.strokes.agreement < AGREED, "ink and ground are hard to tell apart"),
        ];
        doubts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, doubt)| doubt.to_owned()).collect()
    }

    /// The candidates of each row.
    fn findings(self, options: &Options, picture: &Picture) -> Findings {
        let (doubts, width) = (self.doubts(), self.width());
        let Handwriting { parts, mut removed, strength, .. } = self.handwriting;
        let (rows, has_dirt) = if options.one { (vec![Row::of_one(parts)], false) } else { rows::rows(parts) };
        if has_dirt {
            removed.insert(Removed::Dirt);
        }
        let ink = &self.ink.values;
        let candidates = |row: &Row| {
            let strength = row_strength(&row.parts, ink, strength);
            if options.one {
                candidates::only(row, ink, strength, width)
            } else {
                candidates::candidates(row, ink, strength, width)
            }
        };
        let rows = rows.iter().map(candidates).collect();
        let Picture { scale, margin, .. } = *picture;
        let Map { width, height, .. } = picture.channels[0];
        let sides = [width - 2 * margin, height - 2 * margin];
        Findings { rows, is_dark: self.strokes.is_dark, removed, doubts, scale, margin, sides }
    }
}

/// How strong the ink of a row is, from that of its parts.
fn row_strength(parts: &[Part], ink: &Map<f32>, all: f32) -> f32 {
    let mut values: Vec<f32> = parts.iter().flat_map(|part| &part.pixels).map(|&pixel| ink.values[pixel]).collect();
    let strength = quantile(&mut values, 0.6);
    if strength > 0.0 { strength } else { all }
}

impl Findings {
    /// Those of a picture that is as a recogniser wants it.
    fn ready(pixels: Pixels, is_dark: bool) -> Self {
        let frame = Frame { left: 0, top: 0, right: IMAGE_SIDE, bottom: IMAGE_SIDE };
        let rows = vec![(1, vec![Candidate::only(frame, pixels)])];
        let sides = [IMAGE_SIDE; 2];
        Self { rows, is_dark, removed: BTreeSet::new(), doubts: vec![], scale: [1.0; 2], margin: 0, sides }
    }

    /// The images of all candidates, one after the other, for a recogniser.
    pub fn pixels(&self) -> Vec<u8> {
        self.rows.iter().flat_map(|(_, candidates)| candidates).flat_map(|candidate| candidate.pixels).collect()
    }
}

#[cfg(test)]
mod drawn;
