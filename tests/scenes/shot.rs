//! A picture in the making: what each step of a scene works on.

use gpu_digits::random::Random;
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::geometry::{Frame, Point, Projection, point};
use crate::strokes::{Coverage, Stroke};

/// Red, green and blue, 0 for none and 1 for the most.
pub(crate) type Colour = [f32; 3];

/// A digit in a picture, and the box around its ink in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyph {
    pub(crate) digit: u8,
    pub(crate) frame: Frame,
}

/// A finished picture and what it shows.
pub(crate) struct Picture {
    pub(crate) image: DynamicImage,
    /// The digits in reading order: lines from above, each from the left.
    pub(crate) truth: Vec<Vec<Glyph>>,
    /// The file of a picture that was compressed with losses; `image` is what it unpacks to.
    pub(crate) jpeg: Option<Vec<u8>>,
}

/// The sheet of paper that is written on.
#[derive(Clone, Copy)]
pub(crate) struct Sheet {
    /// In units of its own, about a pixel.
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// Where its points lie in the picture, and back.
    pub(crate) view: Projection,
    pub(crate) back: Projection,
}

impl Sheet {
    /// A sheet whose corners lie at these points of the picture, clockwise from the upper left one.
    pub(crate) fn seen_at(corners: [Point; 4], width: f32, height: f32) -> Self {
        let view = Projection::onto(corners, width, height);
        Self { width, height, view, back: view.inverse() }
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame { left: 0.0, top: 0.0, right: self.width, bottom: self.height }
    }
}

/// Which digits a scene writes.
#[derive(Clone, Copy)]
pub(crate) enum Digits {
    Any,
    /// Those with a loop, which a bold pen nearly fills.
    Closed,
    /// All but the 1: a bar that touches a round digit would read as a B.
    NoBars,
}

/// A picture in the making.
pub(crate) struct Shot {
    pub(crate) random: Random,
    /// Counts the pictures of a scene; digits and sizes take turns.
    pub(crate) turn: u64,
    /// In pixels.
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<Colour>,
    /// Whether only the ink is there, on nothing.
    pub(crate) transparent: bool,
    pub(crate) sheet: Sheet,
    /// Widths of the pen in heights of a digit, if the scene asks for one; else each hand has its own.
    pub(crate) pen: Option<(f32, f32)>,
    pub(crate) digits: Digits,
    /// Heights of a digit, in those of the sheet.
    pub(crate) sizes: [f32; 4],
    /// Where ink is, and what it shows.
    pub(crate) ink: Coverage,
    pub(crate) truth: Vec<Vec<Glyph>>,
    pub(crate) jpeg: Option<Vec<u8>>,
}

/// Sides of a picture in pixels, and how much longer one side is than the other at most.
const SIDES: (f32, f32) = (300.0, 1200.0);
const MAX_RATIO: f32 = 1.8;

impl Shot {
    /// An empty white picture of a random size.
    pub(crate) fn new(mut random: Random, turn: u64) -> Self {
        let width = random.uniform(SIDES.0, SIDES.1);
        let height = random.uniform((width / MAX_RATIO).max(SIDES.0), (width * MAX_RATIO).min(SIDES.1));
        Self::blank(random, turn, width as usize, height as usize)
    }

    /// An empty white picture.
    pub(crate) fn blank(random: Random, turn: u64, width: usize, height: usize) -> Self {
        let sheet =
            Sheet { width: width as f32, height: height as f32, view: Projection::NONE, back: Projection::NONE };
        Self {
            random,
            turn,
            width,
            height,
            pixels: vec![[1.0; 3]; width * height],
            transparent: false,
            sheet,
            pen: None,
            digits: Digits::Any,
            sizes: [0.12, 0.22, 0.4, 0.7],
            ink: Coverage::nothing(width, height),
            truth: Vec::new(),
            jpeg: None,
        }
    }

    /// The box of the picture.
    pub(crate) fn frame(&self) -> Frame {
        Frame { left: 0.0, top: 0.0, right: self.width as f32, bottom: self.height as f32 }
    }

    /// The shorter side in pixels.
    pub(crate) fn side(&self) -> f32 {
        self.width.min(self.height) as f32
    }

    /// The box around all digits, or the middle of the picture if there are none.
    pub(crate) fn written(&self) -> Frame {
        if self.truth.is_empty() {
            let middle = self.frame().middle();
            return Frame { left: middle.x, top: middle.y, right: middle.x, bottom: middle.y };
        }
        self.truth.iter().flatten().map(|glyph| glyph.frame).fold(Frame::NOTHING, Frame::join)
    }

    /// The height of a digit in pixels, from the largest one; that of a small digit if there are none.
    pub(crate) fn digit_height(&self) -> f32 {
        let tallest = self.truth.iter().flatten().map(|glyph| glyph.frame.height()).fold(0.0, f32::max);
        if tallest > 0.0 { tallest } else { self.side() * 0.15 }
    }

    /// Replaces each pixel by what a function makes of its middle and its colour.
    pub(crate) fn paint(&mut self, mut colour: impl FnMut(Point, Colour) -> Colour) {
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let at = point((index % self.width) as f32 + 0.5, (index / self.width) as f32 + 0.5);
            *pixel = colour(at, *pixel);
        }
    }

    /// Makes each pixel brighter or darker by a factor that depends on its place.
    pub(crate) fn shine(&mut self, mut factor: impl FnMut(Point) -> f32) {
        self.paint(|at, old| {
            let factor = factor(at);
            old.map(|part| part * factor)
        });
    }

    /// Draws strokes in one colour.
    pub(crate) fn draw(&mut self, strokes: &[Stroke], colour: Colour) {
        let coverage = Coverage::of(strokes, self.width, self.height);
        self.paint(|at, old| mix(old, colour, coverage.at(at)));
    }

    /// Replaces each pixel that has ink by what a function makes of its middle, its colour and the ink's share of it.
    pub(crate) fn paint_ink(&mut self, mut colour: impl FnMut(Point, Colour, f32) -> Colour) {
        let ink = std::mem::replace(&mut self.ink, Coverage::nothing(0, 0));
        self.paint(|at, ground| if ink.at(at) > 0.0 { colour(at, ground, ink.at(at)) } else { ground });
        self.ink = ink;
    }

    /// The colours as bytes, 3 for each pixel.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.pixels.iter().flatten().copied().map(byte).collect()
    }

    /// The picture as it is.
    pub(crate) fn finish(self) -> Picture {
        let (width, height, colours) = (self.width as u32, self.height as u32, self.bytes());
        let image: Option<DynamicImage> = if self.transparent {
            let pixels = colours.chunks_exact(3).zip(self.ink.shares());
            let bytes = pixels.flat_map(|(colour, share)| [colour[0], colour[1], colour[2], byte(*share)]).collect();
            RgbaImage::from_raw(width, height, bytes).map(DynamicImage::from)
        } else {
            RgbImage::from_raw(width, height, colours).map(DynamicImage::from)
        };
        Picture { image: image.expect("as many bytes as the picture needs"), truth: self.truth, jpeg: self.jpeg }
    }
}

/// A share of white as a byte.
fn byte(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// A colour between two; 0 is the first, 1 the second.
pub(crate) fn mix(first: Colour, second: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|part| first[part] + (second[part] - first[part]) * share)
}
