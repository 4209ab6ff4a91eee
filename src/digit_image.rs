//! Turns a picture of a digit, drawn, scanned or photographed, into an image like those of MNIST.
//!
//! MNIST's images were made from black and white ones by fitting the digit into 20x20 pixels and moving its centre of
//! mass to the centre of 28x28 (LeCun et al., Gradient-based learning applied to document recognition, 1998, III.A).
//! A picture that was made so already comes through unchanged, and so does its negative.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, LumaA};

use crate::data::{IMAGE_BYTES, IMAGE_SIDE};

/// Longer side of the box into which the digit is scaled, in pixels.
const BOX_SIDE: f32 = 20.0;
/// Pictures are shrunk to this longer side before anything else: it is plenty, and takes most of the noise away.
const WORKING_SIDE: u32 = 1000;
/// Bytes of an unpacked picture that are taken: a photograph of 80 megapixels, not a decompression bomb.
const MAX_PICTURE_BYTES: u64 = 256 << 20;
/// Difference between ink and background, white minus black being 1, below which a picture counts as blank.
const MIN_CONTRAST: f32 = 0.1;
/// Share of the strongest ink from which on a pixel belongs to a stroke. In MNIST every box of such pixels has a longer
/// side of exactly 20.
const STROKE_THRESHOLD: f32 = 0.3;
/// A patch with less than this share of the ink of the largest one is dirt, not part of the digit.
const MIN_PATCH_SHARE: f32 = 0.03;

/// Reads a PNG, JPEG, PGM, PPM or PBM file, told by its content, and prepares it.
///
/// # Errors
/// The file cannot be read, is none of these formats, is damaged, is larger than 256 MB when unpacked, or is blank.
pub fn load(path: &Path) -> Result<[u8; IMAGE_BYTES]> {
    let picture = decode(path).with_context(|| format!("cannot read the picture {}", path.display()))?;
    prepare(&picture).with_context(|| format!("cannot use the picture {}", path.display()))
}

/// Makes a picture of one digit, of any size, dark on light or light on dark, into an image like those of MNIST: 28x28
/// pixels row by row, 0 for the background, 255 for the strongest ink. What is transparent counts as white.
///
/// # Errors
/// The picture is blank.
pub fn prepare(picture: &DynamicImage) -> Result<[u8; IMAGE_BYTES]> {
    let mut ink = match picture.width().max(picture.height()) > WORKING_SIDE {
        true => Ink::of(&picture.thumbnail(WORKING_SIDE, WORKING_SIDE))?,
        false => Ink::of(picture)?,
    };
    let digit = ink.erase_dirt();
    Ok(ink.fit(&digit))
}

fn decode(path: &Path) -> Result<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PICTURE_BYTES);
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context("give a PNG, JPEG or PGM file")?;
    let (width, height) = decoder.dimensions();
    ensure!(
        decoder.total_bytes() <= MAX_PICTURE_BYTES,
        "{width}x{height} pixels are more than {} MB unpacked; shrink it",
        MAX_PICTURE_BYTES >> 20
    );
    // A photograph may lie on its side, with a note on how to turn it. Without one that can be read it stays as it is.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).context("it is damaged")?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Pixels from `x.start` to `x.end` and `y.start` to `y.end`, ends not included.
struct Frame {
    x: Range<usize>,
    y: Range<usize>,
}

/// How much each pixel differs from the background, ink being positive and white minus black being 1. Noise of the
/// background goes to either side, so that it cancels out where many pixels become one.
struct Ink {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Ink {
    /// Takes the border for the background, and the side to which the rest differs more from it for the ink.
    fn of(picture: &DynamicImage) -> Result<Self> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let over_white = |&LumaA([grey, alpha])| 1.0 - f32::from(255 - grey) / 255.0 * f32::from(alpha) / 255.0;
        let grey: Vec<f32> = picture.to_luma_alpha8().pixels().map(over_white).collect();
        let is_border = |index: usize| {
            let (x, y) = (index % width, index / width);
            x == 0 || y == 0 || x == width - 1 || y == height - 1
        };
        let mut border: Vec<f32> = (0..grey.len()).filter(|&index| is_border(index)).map(|index| grey[index]).collect();
        ensure!(!border.is_empty(), "it has no pixels");
        let middle = border.len() / 2;
        let background = *border.select_nth_unstable_by(middle, f32::total_cmp).1;

        let difference = |value: &f32| value - background;
        let lean: f32 = grey.iter().map(difference).map(|value| value * value.abs()).sum();
        let values: Vec<f32> = grey.iter().map(difference).map(|value| value * lean.signum()).collect();
        let contrast = values.iter().copied().fold(0.0, f32::max);
        ensure!(
            contrast >= MIN_CONTRAST,
            "it is blank: no pixel differs from the border by more than {:.0} of 255 grey levels, wanted {:.0}; give a \
             picture of one digit with more contrast",
            contrast * 255.0,
            MIN_CONTRAST * 255.0
        );
        Ok(Self { width, height, values })
    }

    /// Erases what is too small to be a part of the digit, and returns the frame around the rest.
    fn erase_dirt(&mut self) -> Frame {
        let patches = self.patches();
        let amount = |patch: &Vec<usize>| patch.iter().map(|&pixel| self.values[pixel]).sum::<f32>();
        let largest = patches.iter().map(amount).fold(0.0, f32::max);
        let (digit, dirt): (Vec<_>, Vec<_>) =
            patches.iter().partition(|patch| amount(patch) >= MIN_PATCH_SHARE * largest);
        for &pixel in dirt.into_iter().flatten() {
            self.values[pixel] = 0.0;
        }
        let mut frame = Frame { x: self.width..0, y: self.height..0 };
        for &pixel in digit.into_iter().flatten() {
            let (x, y) = (pixel % self.width, pixel / self.width);
            frame.x = frame.x.start.min(x)..frame.x.end.max(x + 1);
            frame.y = frame.y.start.min(y)..frame.y.end.max(y + 1);
        }
        frame
    }

    /// The pixels of each connected patch of ink; corners connect too.
    fn patches(&self) -> Vec<Vec<usize>> {
        let strongest = self.values.iter().copied().fold(0.0, f32::max);
        let mut is_open: Vec<bool> = self.values.iter().map(|&value| value > STROKE_THRESHOLD * strongest).collect();
        let mut patches = Vec::new();
        for start in 0..is_open.len() {
            if !is_open[start] {
                continue;
            }
            is_open[start] = false;
            let mut patch = vec![start];
            let mut visited = 0;
            while let Some(&pixel) = patch.get(visited) {
                visited += 1;
                let (x, y) = (pixel % self.width, pixel / self.width);
                for y in y.saturating_sub(1)..(y + 2).min(self.height) {
                    for x in x.saturating_sub(1)..(x + 2).min(self.width) {
                        let neighbour = y * self.width + x;
                        if is_open[neighbour] {
                            is_open[neighbour] = false;
                            patch.push(neighbour);
                        }
                    }
                }
            }
            patches.push(patch);
        }
        patches
    }

    /// Scales the digit into a box of 20x20 pixels and puts its centre of mass, to the nearest whole pixel so that no
    /// edge is blurred, into the centre of 28x28.
    fn fit(&self, digit: &Frame) -> [u8; IMAGE_BYTES] {
        let scale = digit.x.len().max(digit.y.len()) as f32 / BOX_SIDE;
        let margin = scale.ceil() as usize;
        let widen = |side: &Range<usize>, end| side.start.saturating_sub(margin)..(side.end + margin).min(end);
        let around = Frame { x: widen(&digit.x, self.width), y: widen(&digit.y, self.height) };
        let (centre_x, centre_y) = self.centre_of_mass(&around);
        let columns = windows(&around.x, digit.x.start, centre_x, scale);
        let rows = windows(&around.y, digit.y.start, centre_y, scale);

        let mut grey = [0.0; IMAGE_BYTES];
        for (index, grey) in grey.iter_mut().enumerate() {
            for &(y, row_weight) in &rows[index / IMAGE_SIDE] {
                for &(x, column_weight) in &columns[index % IMAGE_SIDE] {
                    *grey += self.values[y * self.width + x] * row_weight * column_weight;
                }
            }
        }
        let strongest = grey.iter().copied().fold(0.0, f32::max);
        // The conversion takes what is lighter than the background to 0.
        grey.map(|grey| (grey / strongest * 255.0).round() as u8)
    }

    /// In pixels from the left and from the top.
    fn centre_of_mass(&self, frame: &Frame) -> (f32, f32) {
        let (mut mass, mut moment_x, mut moment_y) = (0.0, 0.0, 0.0);
        for y in frame.y.clone() {
            for x in frame.x.clone() {
                let ink = f64::from(self.values[y * self.width + x].max(0.0));
                mass += ink;
                moment_x += ink * (x as f64 + 0.5);
                moment_y += ink * (y as f64 + 0.5);
            }
        }
        ((moment_x / mass) as f32, (moment_y / mass) as f32)
    }
}

/// For each of the 28 pixels of a side, the pixels of the picture that it covers and the share of each.
///
/// `start` is where the digit begins and `centre` its centre of mass; a pixel is `scale` pixels of the picture wide. One
/// that covers less than a pixel is widened to it, which interpolates linearly. Outside `around` there is background.
fn windows(around: &Range<usize>, start: usize, centre: f32, scale: f32) -> [Vec<(usize, f32)>; IMAGE_SIDE] {
    let middle = (IMAGE_SIDE / 2) as f32;
    let digit_offset = (middle - (centre - start as f32) / scale).ceil();
    let width = scale.max(1.0);
    std::array::from_fn(|index| {
        let window_centre = start as f32 + (index as f32 + 0.5 - digit_offset) * scale;
        let (left, right) = (window_centre - width / 2.0, window_centre + width / 2.0);
        let share = |pixel: usize| ((pixel as f32 + 1.0).min(right) - (pixel as f32).max(left)) / width;
        around.clone().map(|pixel| (pixel, share(pixel))).filter(|&(_, share)| share > 0.0).collect()
    })
}
