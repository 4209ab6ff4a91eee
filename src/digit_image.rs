//! Turns a picture of a digit, drawn, scanned or photographed, into an image like those of MNIST.
//!
//! MNIST's images were made from black and white ones by fitting the digit into 20x20 pixels and moving its centre of
//! mass to the centre of 28x28 (LeCun et al., Gradient-based learning applied to document recognition, 1998, III.A). A
//! picture that was already made this way stays unchanged, and so does its negative. If the light is uneven, the paper
//! is estimated first: a morphological closing with a window larger than any stroke (Serra, Image analysis and
//! mathematical morphology, 1982) gives the paper without ink.

use std::fs;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, LumaA};

use crate::data::{IMAGE_BYTES, IMAGE_SIDE};

/// Longer side of the box into which the digit is scaled, in pixels.
const BOX_SIDE: f32 = 20.0;
/// Pictures are first shrunk to this longer side. It is enough, and removes most of the noise.
const WORKING_SIDE: u32 = 1000;
/// The most bytes of an unpacked picture: enough for a photograph of 80 megapixels, too few for a decompression bomb.
const MAX_PICTURE_BYTES: u64 = 256 << 20;
/// A picture is blank if ink and background differ by less than this; white minus black is 1.
const MIN_CONTRAST: f32 = 0.1;
/// A pixel belongs to a stroke if it has at least this fraction of the strongest ink. In MNIST the box around these
/// pixels always has a longer side of exactly 20.
const STROKE_THRESHOLD: f32 = 0.3;
/// The light is uneven if the 10th and the 90th percentile of the border's grey levels differ by more than this.
const UNEVEN_LIGHT: f32 = 0.08;
/// Longer side of the shrunk picture in which the paper is estimated.
const PAPER_SIDE: u32 = 192;
/// Pixels from the middle of the window to its edge. The window must be larger than any stroke.
const PAPER_WINDOW: usize = 42;
/// Paper darker than this is not lightened.
const DARKEST_PAPER: f32 = 0.2;
/// Patches side by side count as separate digits if the height of each is at least this fraction of the ink's height.
const MIN_DIGIT_HEIGHT: f32 = 0.55;
/// A patch with less than this fraction of the largest patch's ink is dirt, not part of the digit.
const MIN_PATCH_SHARE: f32 = 0.03;

/// A picture that is ready to be recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// 28x28 pixels row by row, 0 for the background, 255 for the strongest ink.
    pub pixels: [u8; IMAGE_BYTES],
    /// The number of digits that it seems to show side by side; it should be one.
    pub digits: usize,
}

/// Reads a PNG, JPEG, PGM, PPM or PBM file, recognised by its content, and prepares it.
///
/// # Errors
/// If the file cannot be read, has another format, is damaged, is larger than 256 MB when unpacked, or is blank.
pub fn load(path: &Path) -> Result<Prepared> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the picture {}", path.display()))?;
    read(&bytes).with_context(|| format!("cannot use the picture {}", path.display()))
}

/// Reads the content of such a file and prepares it.
///
/// # Errors
/// As [`load`].
pub fn read(bytes: &[u8]) -> Result<Prepared> {
    prepare(&decode(bytes)?)
}

/// Converts a picture of one digit, of any size, dark on light or light on dark, into an image like those of MNIST.
/// Transparent pixels count as white.
///
/// # Errors
/// If the picture is blank.
pub fn prepare(picture: &DynamicImage) -> Result<Prepared> {
    let mut ink = match picture.width().max(picture.height()) > WORKING_SIDE {
        true => Ink::of(&picture.thumbnail(WORKING_SIDE, WORKING_SIDE))?,
        false => Ink::of(picture)?,
    };
    let (digit, digits) = ink.erase_dirt();
    Ok(Prepared { pixels: ink.fit(&digit), digits })
}

fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PICTURE_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context("give a PNG, JPEG or PGM file")?;
    let (width, height) = decoder.dimensions();
    ensure!(
        decoder.total_bytes() <= MAX_PICTURE_BYTES,
        "its {width}x{height} pixels take more than {} MB unpacked; shrink it",
        MAX_PICTURE_BYTES >> 20
    );
    // A photograph may be stored rotated, with the rotation in its metadata. If that cannot be read, the picture stays
    // as it is.
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

/// The difference of each pixel from the background: ink is positive, and white minus black is 1. Noise of the
/// background has both signs, so that it cancels out when many pixels become one.
struct Ink {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Ink {
    /// Separates ink from the background, which the border shows.
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
        border.sort_unstable_by(f32::total_cmp);
        let quantile = |share: usize| border[share * (border.len() - 1) / 100];
        let values = if quantile(90) - quantile(10) > UNEVEN_LIGHT {
            unevenly_lit(&grey, width, height)
        } else {
            evenly_lit(&grey, quantile(50))
        };
        let contrast = values.iter().copied().fold(0.0, f32::max);
        ensure!(
            contrast >= MIN_CONTRAST,
            "it is blank: no pixel differs from the background by more than {:.0} of 255 grey levels, but {:.0} are \
             needed; give a picture of one digit with more contrast",
            contrast * 255.0,
            MIN_CONTRAST * 255.0
        );
        Ok(Self { width, height, values })
    }

    /// Erases patches that are too small to be part of the digit. Returns the frame around the others, and the number
    /// of digits that they seem to be.
    fn erase_dirt(&mut self) -> (Frame, usize) {
        let patches = self.patches();
        let amount = |patch: &Vec<usize>| patch.iter().map(|&pixel| self.values[pixel]).sum::<f32>();
        let largest = patches.iter().map(amount).fold(0.0, f32::max);
        let (digit, dirt): (Vec<_>, Vec<_>) =
            patches.iter().partition(|patch| amount(patch) >= MIN_PATCH_SHARE * largest);
        for &pixel in dirt.into_iter().flatten() {
            self.values[pixel] = 0.0;
        }
        let mut frame = Frame { x: self.width..0, y: self.height..0 };
        let mut tall = Vec::new();
        let frames: Vec<Frame> = digit.into_iter().map(|patch| self.frame(patch)).collect();
        for part in &frames {
            frame.x = frame.x.start.min(part.x.start)..frame.x.end.max(part.x.end);
            frame.y = frame.y.start.min(part.y.start)..frame.y.end.max(part.y.end);
        }
        for part in &frames {
            if part.y.len() as f32 >= MIN_DIGIT_HEIGHT * frame.y.len() as f32 {
                tall.push(part.x.clone());
            }
        }
        tall.sort_by_key(|columns| columns.start);
        let is_apart = |pair: &[Range<usize>]| pair[0].end <= pair[1].start;
        let digits = 1 + tall.windows(2).filter(|pair| is_apart(pair)).count();
        (frame, digits)
    }

    /// The frame around some pixels.
    fn frame(&self, pixels: &[usize]) -> Frame {
        let mut frame = Frame { x: self.width..0, y: self.height..0 };
        for &pixel in pixels {
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
        // The conversion maps pixels lighter than the background to 0.
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

/// The difference from a uniform background. Its sign is that of the larger deviation.
fn evenly_lit(grey: &[f32], background: f32) -> Vec<f32> {
    let difference = |value: &f32| value - background;
    let lean: f32 = grey.iter().map(difference).map(|value| value * value.abs()).sum();
    grey.iter().map(difference).map(|value| value * lean.signum()).collect()
}

/// The difference from an uneven background. The background is the closing or the opening of the grey levels with a
/// window larger than a stroke, with or without removing the border's slope first. The candidate with the least ink is
/// used, because ink covers less area than paper.
fn unevenly_lit(grey: &[f32], width: usize, height: usize) -> Vec<f32> {
    let ink = |(grey, sign): (&[f32], f32)| -> Vec<f32> {
        let signed: Vec<f32> = grey.iter().map(|value| sign * value).collect();
        let paper = Paper::of(&signed, width, height);
        let difference = |index: usize| {
            let paper = paper.at(index % width, index / width);
            // In a shadow, ink is darkened like the paper. A light stroke on a dark background is not corrected.
            let light = if sign > 0.0 { paper.max(DARKEST_PAPER) } else { 1.0 };
            (paper - signed[index]) / light
        };
        let mut ink: Vec<f32> = (0..signed.len()).map(difference).collect();
        // The maximum of a window exceeds the paper by the noise. Most of a picture is paper.
        let mut sorted = ink.clone();
        let noise = *sorted.select_nth_unstable_by(ink.len() / 2, f32::total_cmp).1;
        ink.iter_mut().for_each(|value| *value -= noise);
        ink
    };
    let amount = |ink: &Vec<f32>| ink.iter().map(|value| value * value).sum::<f32>();
    let level = without_slope(grey, width, height);
    let candidates = [(grey, 1.0), (grey, -1.0), (&level[..], 1.0), (&level[..], -1.0)];
    candidates.into_iter().map(ink).min_by(|a, b| amount(a).total_cmp(&amount(b))).unwrap_or_default()
}

/// Subtracts the plane that fits the border best. Otherwise windows at the edge would mistake a slope for ink.
fn without_slope(grey: &[f32], width: usize, height: usize) -> Vec<f32> {
    let place = |index: usize| {
        let [x, y] = [(index % width, width), (index / width, height)];
        [x, y].map(|(place, length)| place as f32 - (length - 1) as f32 / 2.0)
    };
    let is_border = |index: &usize| {
        let (x, y) = (index % width, index / width);
        x == 0 || y == 0 || x == width - 1 || y == height - 1
    };
    // The border is symmetric around its centre, so the two slopes are independent.
    let mut slopes = [0.0f32; 2];
    for (axis, slope) in slopes.iter_mut().enumerate() {
        let (mut products, mut squares) = (0.0, 0.0);
        for index in (0..grey.len()).filter(is_border) {
            let along = place(index)[axis];
            products += f64::from(along * grey[index]);
            squares += f64::from(along * along);
        }
        *slope = if squares > 0.0 { (products / squares) as f32 } else { 0.0 };
    }
    let level = |index: usize| {
        let [x, y] = place(index);
        grey[index] - slopes[0] * x - slopes[1] * y
    };
    (0..grey.len()).map(level).collect()
}

/// A small version of the picture without dark ink.
struct Paper {
    width: usize,
    height: usize,
    /// Pixels of the picture per pixel of this one.
    scale: f32,
    values: Vec<f32>,
}

impl Paper {
    fn of(grey: &[f32], width: usize, height: usize) -> Self {
        let scale = (width.max(height) as f32 / PAPER_SIDE as f32).max(1.0);
        let side = |length: usize| ((length as f32 / scale).ceil() as usize).max(1);
        let (small_width, small_height) = (side(width), side(height));
        let mut sums = vec![(0.0, 0.0); small_width * small_height];
        for (index, value) in grey.iter().enumerate() {
            let [x, y] = [index % width, index / width].map(|place| (place as f32 / scale) as usize);
            let (sum, count) = &mut sums[y.min(small_height - 1) * small_width + x.min(small_width - 1)];
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
        let small = sums.into_iter().map(|(sum, count)| sum / f32::max(count, 1.0)).collect();
        let mut paper = Self { width: small_width, height: small_height, scale, values: small };
        // Closing: the maximum of each window, then the minimum of the maxima.
        paper.filter(f32::max);
        paper.filter(f32::min);
        paper
    }

    /// Replaces each value by the extreme of its window, along one axis and then the other.
    fn filter(&mut self, extreme: fn(f32, f32) -> f32) {
        for (length, stride) in [(self.width, 1), (self.height, self.width)] {
            let old = self.values.clone();
            for (index, value) in self.values.iter_mut().enumerate() {
                let place = index / stride % length;
                let window = place.saturating_sub(PAPER_WINDOW)..(place + PAPER_WINDOW + 1).min(length);
                *value = window.map(|other| old[index + other * stride - place * stride]).fold(old[index], extreme);
            }
        }
    }

    /// Its grey at a pixel of the picture, interpolated.
    fn at(&self, x: usize, y: usize) -> f32 {
        let place = |pixel: usize, length: usize| {
            let place = ((pixel as f32 + 0.5) / self.scale - 0.5).clamp(0.0, (length - 1) as f32);
            let low = place as usize;
            (low, (low + 1).min(length - 1), place - low as f32)
        };
        let ((left, right, x), (top, bottom, y)) = (place(x, self.width), place(y, self.height));
        let row = |row: usize| {
            let [left, right] = [left, right].map(|column| self.values[row * self.width + column]);
            left + (right - left) * x
        };
        row(top) + (row(bottom) - row(top)) * y
    }
}

/// For each of the 28 pixels of a side, the pixels of the picture that it covers and the share of each.
///
/// `start` is where the digit begins and `centre` its centre of mass. A pixel is `scale` pixels of the picture wide; if
/// that is less than one pixel, it is widened to one, which interpolates linearly. Outside `around` there is
/// background.
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
