//! Finds the digits of a picture, drawn, scanned or photographed, and makes each an image like those of MNIST.
//!
//! The stages, each a file: `decode` a file; find the direction of the best `contrast` among colours, and the `strokes`;
//! tell ink from its `ground` whatever the light; find the `sheet`, where the picture shows more; `select` what is
//! handwriting, without `lines`, frames and dirt; order its `parts` in `rows`, with `cuts` where digits may touch; make each
//! candidate (`candidates`) a `glyph` of 28x28 pixels. A recogniser then says which candidates are digits: [`Findings::read`].

mod axis;
mod candidates;
mod contrast;
mod cuts;
mod decode;
mod glyph;
mod ground;
mod lines;
mod map;
mod parts;
mod picture;
mod reading;
mod rows;
mod select;
mod sheet;
mod stages;
mod strokes;

use anyhow::{Result, bail, ensure};
use image::DynamicImage;

use crate::data::{IMAGE_BYTES, IMAGE_SIDE};
use candidates::Candidate;
use contrast::Contrast;
use ground::Ink;
use map::{Map, quantile};
use parts::Part;
use picture::Picture;
use select::Handwriting;
use strokes::Strokes;

pub use decode::decode;
pub use glyph::Pixels;
pub use parts::Frame;
pub use reading::{Digit, Reading};
pub use select::Removed;
use stages::Stages;

/// Below this share of agreement it is in doubt whether ink is dark or light.
const AGREED: f32 = 0.6;
/// Parts lower than this share of the picture's longer side are no digits.
const LEAST_DIGIT: f32 = 0.02;
/// Digits of fewer pixels' height, in the picture as it is looked at, are no digits.
const LEAST_DIGIT_PIXELS: usize = 8;
/// More digits than this are not looked for: such a picture is a pattern.
const MOST_PARTS: usize = 400;

/// What to find.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// There is one digit: all ink belongs to it.
    pub one: bool,
    /// Keep a picture of each stage.
    pub stages: bool,
}

/// What was found in a picture: candidates of digits.
pub struct Findings {
    rows: Vec<(usize, Vec<Candidate>)>,
    is_dark: bool,
    removed: Vec<Removed>,
    /// Why the whole picture is uncertain.
    doubts: Vec<String>,
    /// Pixels of the picture for each pixel that was looked at.
    scale: [f32; 2],
    stages: Stages,
}

/// Finds the digits of a picture.
///
/// # Errors
/// If the picture has no pixels, or no ink that could be a digit.
pub fn find(original: &DynamicImage, options: &Options) -> Result<Findings> {
    if let Some((pixels, is_dark)) = as_it_is(original) {
        let frame = Frame { left: 0, top: 0, right: IMAGE_SIDE, bottom: IMAGE_SIDE };
        let mut stages = Stages::new(options.stages);
        stages.add("picture", || original.clone());
        return Ok(Findings {
            rows: vec![(1, vec![Candidate::only(frame, pixels)])],
            is_dark,
            removed: vec![],
            doubts: vec![],
            scale: [1.0; 2],
            stages,
        });
    }
    let picture = Picture::of(original)?;
    let whole = Map::filled(picture.width(), picture.height(), true);
    let mut traced = Traced::of(&picture, &whole);
    let mut stages = Stages::new(options.stages);
    stages.add("picture", || picture.image().into());
    let mut seen_sheet = whole;
    let mut removed = Vec::new();
    if let Some((on_sheet, painted)) =
        sheet::sheet(&picture, &traced.handwriting.parts, traced.strokes.is_dark, traced.width())
    {
        traced = Traced::of(&painted, &on_sheet);
        stages.add("sheet", || painted.image().into());
        seen_sheet = on_sheet;
        removed.push(Removed::Surroundings);
    }
    let width = traced.width();
    let Traced { contrast, strokes, ink, handwriting } = traced;
    stages.add("contrast", || stages::grey(&contrast.brightness).into());
    stages.add("ink", || stages::grey(&ink.values.map(|value| 1.0 - value / handwriting.strength.max(0.01))).into());
    stages.add("handwriting", || handwriting.image(&ink.values).into());
    removed.extend(&handwriting.removed);
    let strength = handwriting.strength;
    let mut doubts = Vec::new();
    if handwriting.is_cut {
        doubts.push("it touches the edge of the picture".to_owned());
    }
    if strokes.agreement < AGREED {
        doubts.push("ink and ground are hard to tell apart".to_owned());
    }
    let least = (LEAST_DIGIT * seen_sheet.side() as f32).max(LEAST_DIGIT_PIXELS as f32);
    let parts = handwriting.parts;
    let largest = parts.iter().map(|part| part.frame.side()).max().unwrap_or(0);
    ensure!(
        strength > 0.0 && largest as f32 >= least,
        "it shows no digit: nothing on it is as dark or as large as handwriting; give a picture with more contrast, or a \
         closer one"
    );
    if parts.len() > MOST_PARTS {
        bail!("it shows no digit that can be told from its {} dots and lines; give a closer picture", parts.len());
    }
    let rows = if options.one {
        let only = parts.into_iter().reduce(|mut all, part| {
            all.add(part);
            all
        });
        only.into_iter().map(|part| rows::Row { parts: vec![part], slope: 0.0 }).collect()
    } else {
        let (rows, has_dirt) = rows::rows(parts);
        if has_dirt && !removed.contains(&Removed::Dirt) {
            removed.push(Removed::Dirt);
        }
        rows
    };
    let found = rows.iter().map(|row| {
        let strength = row_strength(&row.parts, &ink.values, strength);
        if options.one {
            candidates::only(row, &ink.values, strength, width)
        } else {
            candidates::candidates(row, &ink.values, strength, width)
        }
    });
    let rows = found.collect();
    Ok(Findings { rows, is_dark: strokes.is_dark, removed, doubts, scale: picture.scale, stages })
}

/// How strong the ink of a row is, from that of its parts.
fn row_strength(parts: &[Part], ink: &Map<f32>, all: f32) -> f32 {
    let mut values: Vec<f32> = parts.iter().flat_map(|part| &part.pixels).map(|&pixel| ink.values[pixel]).collect();
    let strength = quantile(&mut values, 0.6);
    if strength > 0.0 { strength } else { all }
}

/// A picture or its sheet through the stages that look at pixels.
struct Traced {
    contrast: Contrast,
    strokes: Strokes,
    ink: Ink,
    handwriting: Handwriting,
}

impl Traced {
    fn of(picture: &Picture, sheet: &Map<bool>) -> Self {
        let contrast = Contrast::of(picture);
        let strokes = Strokes::of(&contrast);
        let ink = Ink::of(&contrast, &strokes);
        let handwriting = Handwriting::of(&ink, &strokes, sheet);
        Self { contrast, strokes, ink, handwriting }
    }

    /// The width of most strokes of the handwriting, in pixels.
    fn width(&self) -> f32 {
        let is_ink = |at| self.ink.values.around(at).is_some_and(|value| value > self.handwriting.threshold);
        let crossings = self.strokes.crossings.iter().filter(|crossing| is_ink(crossing.at));
        quantile(&mut crossings.map(|crossing| crossing.width).collect::<Vec<f32>>(), 0.5).max(1.0)
    }
}

impl Findings {
    /// The images of all candidates, one after the other, for a recogniser.
    pub fn pixels(&self) -> Vec<u8> {
        self.candidates().flat_map(|candidate| candidate.pixels).collect()
    }

    /// The pictures of the stages and their names, if they were to be kept.
    pub fn stages(&self) -> &[(&'static str, DynamicImage)] {
        &self.stages.pictures
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.rows.iter().flat_map(|(_, candidates)| candidates)
    }
}

/// A picture that already is as MNIST's makers made theirs, or its negative: 28x28, the digit in a box with a longer side of
/// 20 and its centre of mass in the middle. Scaling it again could only blur it. Returned with whether its ink is dark.
fn as_it_is(picture: &DynamicImage) -> Option<(Pixels, bool)> {
    if (picture.width(), picture.height()) != (IMAGE_SIDE as u32, IMAGE_SIDE as u32) || picture.color().has_alpha() {
        return None;
    }
    let grey = picture.to_luma8();
    let grey: &[u8] = grey.as_raw();
    let place = |index: usize| [index % IMAGE_SIDE, index / IMAGE_SIDE];
    let is_border = |index: &usize| place(*index).iter().any(|&at| at == 0 || at == IMAGE_SIDE - 1);
    let mut border: Vec<f32> = (0..IMAGE_BYTES).filter(is_border).map(|index| f32::from(grey[index])).collect();
    let ground = quantile(&mut border, 0.5) as u8;
    if border.iter().filter(|value| (**value as u8).abs_diff(ground) > 25).count() > 4 {
        return None;
    }
    let strongest = grey.iter().map(|value| value.abs_diff(ground)).max()?;
    if strongest < 64 {
        return None;
    }
    let is_dark =
        grey.iter().map(|&value| i64::from(ground) - i64::from(value)).map(|step| step * step.abs()).sum::<i64>() > 0;
    let ink = |value: u8| if is_dark { ground.saturating_sub(value) } else { value.saturating_sub(ground) };
    let pixels: Pixels =
        std::array::from_fn(|index| (u32::from(ink(grey[index])) * 255 / u32::from(strongest)).min(255) as u8);
    let inked: Vec<[usize; 2]> = (0..IMAGE_BYTES).filter(|&index| pixels[index] > 76).map(place).collect();
    let length = |axis: usize| {
        let places = inked.iter().map(|at| at[axis]);
        places.clone().max().unwrap_or(0) + 1 - places.min().unwrap_or(0)
    };
    let mass: f32 = pixels.iter().map(|&ink| f32::from(ink)).sum();
    let centre = |axis: usize| {
        (0..IMAGE_BYTES).map(|index| place(index)[axis] as f32 * f32::from(pixels[index])).sum::<f32>() / mass
    };
    let is_centred = [0, 1].into_iter().all(|axis| (centre(axis) - 14.0).abs() <= 1.6);
    ((19..=21).contains(&length(0).max(length(1))) && is_centred).then_some((pixels, is_dark))
}
