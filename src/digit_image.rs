//! Turns a picture of a digit, drawn, scanned or photographed, into an image like those of MNIST.
//!
//! MNIST's images were made from black and white ones by fitting the digit into 20x20 pixels and moving its centre of
//! mass to the centre of 28x28 (LeCun et al., Gradient-based learning applied to document recognition, 1998, III.A).
//! A picture that was made so already comes through unchanged, and so does its negative. Where the light is uneven, the
//! paper is found first: grey levels closed by a window larger than any stroke (Serra, Image analysis and mathematical
//! morphology, 1982) are what the paper would look like without ink.

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
/// Pictures are shrunk to this longer side before anything else: it is plenty, and takes most of the noise away.
const WORKING_SIDE: u32 = 1000;
/// Bytes of an unpacked picture that are taken: a photograph of 80 megapixels, not a decompression bomb.
const MAX_PICTURE_BYTES: u64 = 256 << 20;
/// Difference between ink and background, white minus black being 1, below which a picture counts as blank.
const MIN_CONTRAST: f32 = 0.1;
/// Share of the strongest ink from which on a pixel belongs to a stroke. In MNIST every box of such pixels has a longer
/// side of exactly 20.
const STROKE_THRESHOLD: f32 = 0.3;
/// Difference of the border's grey levels, from the tenth to the ninetieth percentile, above which the light is uneven.
const UNEVEN_LIGHT: f32 = 0.08;
/// Longer side of the picture in which the paper is looked for.
const PAPER_SIDE: u32 = 192;
/// Pixels from the middle of the window to its edge: it must be larger than any stroke.
const PAPER_WINDOW: usize = 42;
/// Paper darker than this is not made lighter.
const DARKEST_PAPER: f32 = 0.2;
/// Patches that stand side by side are digits of their own where each is at least this share of the picture's ink high.
const MIN_DIGIT_HEIGHT: f32 = 0.55;
/// A patch with less than this share of the ink of the largest one is dirt, not part of the digit.
const MIN_PATCH_SHARE: f32 = 0.03;

/// A picture that is ready to be recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// 28x28 pixels row by row, 0 for the background, 255 for the strongest ink.
    pub pixels: [u8; IMAGE_BYTES],
    /// How many digits it seems to show, side by side; one that is wanted.
    pub digits: usize,
}

/// Reads a PNG, JPEG, PGM, PPM or PBM file, told by its content, and prepares it.
///
/// # Errors
/// The file cannot be read, is none of these formats, is damaged, is larger than 256 MB when unpacked, or is blank.
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

/// Makes a picture of one digit, of any size, dark on light or light on dark, into an image like those of MNIST. What is
/// transparent counts as white.
///
/// # Errors
/// The picture is blank.
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
    /// Tells ink from background, which the border shows.
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
            "it is blank: no pixel differs from the background by more than {:.0} of 255 grey levels, wanted {:.0}; give \
             a picture of one digit with more contrast",
            contrast * 255.0,
            MIN_CONTRAST * 255.0
        );
        Ok(Self { width, height, values })
    }

    /// Erases what is too small to be a part of the digit, and returns the frame around the rest and the number of digits
    /// that it seems to be.
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

/// The difference from a background of one grey, towards the side to which it is larger.
fn evenly_lit(grey: &[f32], background: f32) -> Vec<f32> {
    let difference = |value: &f32| value - background;
    let lean: f32 = grey.iter().map(difference).map(|value| value * value.abs()).sum();
    grey.iter().map(difference).map(|value| value * lean.signum()).collect()
}

/// The difference from a background that changes from place to place: from the grey levels closed, or opened, by a window
/// larger than a stroke, with or without the slope that the border shows taken away first: whichever leaves the least ink,
/// for ink covers less than paper.
fn unevenly_lit(grey: &[f32], width: usize, height: usize) -> Vec<f32> {
    let ink = |(grey, sign): (&[f32], f32)| -> Vec<f32> {
        let signed: Vec<f32> = grey.iter().map(|value| sign * value).collect();
        let paper = Paper::of(&signed, width, height);
        let difference = |index: usize| {
            let paper = paper.at(index % width, index / width);
            // Where paper is in the shade, so is the ink on it; a light stroke on dark ground is taken as it is.
            let light = if sign > 0.0 { paper.max(DARKEST_PAPER) } else { 1.0 };
            (paper - signed[index]) / light
        };
        let mut ink: Vec<f32> = (0..signed.len()).map(difference).collect();
        // The brightest of a window lies above the paper by its noise. Most of a picture is paper.
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

/// Takes away the plane that fits the border best: windows that the edge cuts off would take a slope for ink.
fn without_slope(grey: &[f32], width: usize, height: usize) -> Vec<f32> {
    let place = |index: usize| {
        let [x, y] = [(index % width, width), (index / width, height)];
        [x, y].map(|(place, length)| place as f32 - (length - 1) as f32 / 2.0)
    };
    let is_border = |index: &usize| {
        let (x, y) = (index % width, index / width);
        x == 0 || y == 0 || x == width - 1 || y == height - 1
    };
    // Around its centre a border is symmetric, so that the slopes do not depend on each other.
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

/// What a picture would look like without dark ink, small.
struct Paper {
    width: usize,
    height: usize,
    /// Pixels of the picture to one of these.
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
        // Closing: the brightest of each window, then the darkest of those.
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
