//! Generated digits: a data set that is always available, drawn with strokes like handwriting.
//!
//! Each digit has a few skeletons, curves in a box of 1 by 1. A sample takes one, moves its points slightly, slants,
//! stretches and rotates it, draws it with a round pen and centres it like MNIST's digits: scaled into 20x20 pixels,
//! with the centre of mass in the middle of 28x28. Sample `i` depends only on the seed and `i`. The arithmetic is exact
//! on every platform: it uses integers, and only correctly rounded operations of floats.

// A hand-formatted table with one stroke a line.
#[rustfmt::skip]
mod skeletons;

use rayon::prelude::*;

use super::{CLASSES, IMAGE_BYTES, IMAGE_SIDE, Samples};
use crate::random::Random;
use skeletons::{Point, SKELETONS};

/// The first random stream of the samples; lower streams belong to training.
const FIRST_STREAM: u64 = 1 << 48;

/// Straight segments between two points of a skeleton.
const PIECES: usize = 6;

/// Longer side of the box that a digit fills, in pixels.
const BOX_SIDE: f32 = 20.0;

/// `count` generated digits for `seed`, the labels in random order.
pub fn digits(count: usize, seed: u64) -> Samples {
    let mut images = vec![0; count * IMAGE_BYTES];
    let mut labels = vec![0_u16; count];
    images.par_chunks_exact_mut(IMAGE_BYTES).zip(&mut labels).enumerate().for_each(|(i, (image, label))| {
        let mut random = Random::new(seed, FIRST_STREAM + i as u64);
        *label = random.below(CLASSES as u32) as u16;
        draw(usize::from(*label), &mut random, image);
    });
    Samples { images, labels }
}

/// Draws one digit.
fn draw(digit: usize, random: &mut Random, image: &mut [u8]) {
    let styles = SKELETONS[digit];
    let skeleton = styles[random.below(styles.len() as u32) as usize];
    let hand = Hand::new(random);
    let strokes: Vec<Vec<Point>> = skeleton.iter().map(|stroke| hand.write(stroke, random)).collect();
    let strokes = fit(strokes, hand.pen_radius);
    let ink = pen(&strokes, hand.pen_radius, hand.softness);
    centre(&ink, image);
}

/// The handwriting of one sample.
struct Hand {
    /// Rows of the matrix that rotates, slants and stretches.
    shape: [Point; 2],
    /// The largest displacement of a point.
    wobble: f32,
    /// Half the width of the pen, in pixels of the finished image.
    pen_radius: f32,
    /// Width of the soft edge of the pen, in pixels.
    softness: f32,
}

impl Hand {
    fn new(random: &mut Random) -> Self {
        // Sum two random numbers, so that small deviations are likelier than large ones.
        let mut around =
            |centre: f32, most: f32| centre + (random.uniform(-most, most) + random.uniform(-most, most)) / 2.0;
        let (slant, turn, width) = (around(0.12, 0.5), around(0.0, 0.3), around(0.85, 0.4));
        Self {
            // A rotation by a small angle, to second order.
            shape: [[width * (1.0 - turn * turn / 2.0), -slant - turn], [width * turn, 1.0 - turn * turn / 2.0]],
            wobble: around(0.035, 0.025),
            pen_radius: around(1.35, 0.9),
            softness: around(1.1, 0.4),
        }
    }

    /// A stroke as short segments: its points displaced, joined by a smooth curve and transformed.
    fn write(&self, stroke: &[Point], random: &mut Random) -> Vec<Point> {
        let moved: Vec<Point> = stroke
            .iter()
            .map(|point| point.map(|coordinate| coordinate + random.uniform(-self.wobble, self.wobble) * 1.7))
            .collect();
        curve(&moved).into_iter().map(|point| self.shape.map(|row| row[0] * point[0] + row[1] * point[1])).collect()
    }
}

/// A Catmull-Rom spline through the points.
fn curve(points: &[Point]) -> Vec<Point> {
    let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let mut line = vec![at(0)];
    for i in 0..points.len() as isize - 1 {
        let [before, start, end, after] = [i - 1, i, i + 1, i + 2].map(at);
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            line.push(std::array::from_fn(|axis| {
                let (a, b, c, d) = (before[axis], start[axis], end[axis], after[axis]);
                let slope = c - a;
                let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
                let cube = 3.0 * (b - c) + d - a;
                b + 0.5 * t * (slope + t * (square + t * cube))
            }));
        }
    }
    line
}

/// Scales the strokes so that, drawn with the pen, they fill the box, and moves them to its corner.
fn fit(strokes: Vec<Vec<Point>>, pen_radius: f32) -> Vec<Vec<Point>> {
    let bound = |axis: usize, pick: fn(f32, f32) -> f32| {
        strokes.iter().flatten().map(|point| point[axis]).reduce(pick).unwrap_or_default()
    };
    let least = [bound(0, f32::min), bound(1, f32::min)];
    let most = [bound(0, f32::max), bound(1, f32::max)];
    let extent = (most[0] - least[0]).max(most[1] - least[1]).max(1e-3);
    let scale = (BOX_SIDE - 2.0 * pen_radius) / extent;
    let place =
        |point: Point| -> Point { std::array::from_fn(|axis| (point[axis] - least[axis]) * scale + pen_radius) };
    strokes.into_iter().map(|stroke| stroke.into_iter().map(place).collect()).collect()
}

/// Ink, from 0 to 1, of each pixel of the image, the box in its upper left corner: full within the pen's radius of a
/// stroke, fading out over the soft edge.
fn pen(strokes: &[Vec<Point>], radius: f32, softness: f32) -> [f32; IMAGE_BYTES] {
    let mut ink = [0.0f32; IMAGE_BYTES];
    let reach = radius + softness;
    for piece in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        let (start, end) = (piece[0], piece[1]);
        let pixels = |axis: usize| {
            let first = (start[axis].min(end[axis]) - reach).max(0.0) as usize;
            let last = (start[axis].max(end[axis]) + reach).max(0.0) as usize;
            first..(last + 1).min(IMAGE_SIDE)
        };
        for y in pixels(1) {
            for x in pixels(0) {
                let distance = distance([x as f32 + 0.5, y as f32 + 0.5], start, end);
                let cover = ((radius - distance) / softness + 0.5).clamp(0.0, 1.0);
                let pixel = &mut ink[y * IMAGE_SIDE + x];
                *pixel = pixel.max(cover);
            }
        }
    }
    ink
}

/// Distance of a point from a segment.
fn distance(point: Point, start: Point, end: Point) -> f32 {
    let along = [end[0] - start[0], end[1] - start[1]];
    let from = [point[0] - start[0], point[1] - start[1]];
    let length_squared = (along[0] * along[0] + along[1] * along[1]).max(1e-12);
    let t = ((from[0] * along[0] + from[1] * along[1]) / length_squared).clamp(0.0, 1.0);
    let gap = [from[0] - t * along[0], from[1] - t * along[1]];
    (gap[0] * gap[0] + gap[1] * gap[1]).sqrt()
}

/// Writes the ink as grey with its centre of mass in the middle, to the nearest pixel.
fn centre(ink: &[f32; IMAGE_BYTES], image: &mut [u8]) {
    let (mut mass, mut moments) = (0.0, [0.0; 2]);
    for (i, &ink) in ink.iter().enumerate() {
        mass += ink;
        moments[0] += ink * ((i % IMAGE_SIDE) as f32 + 0.5);
        moments[1] += ink * ((i / IMAGE_SIDE) as f32 + 0.5);
    }
    let middle = IMAGE_SIDE as f32 / 2.0;
    let [right, down] = moments.map(|moment| (middle - moment / mass + 64.5) as usize);
    for (i, &ink) in ink.iter().enumerate().filter(|(_, ink)| **ink > 0.0) {
        // The offset of 64 keeps the coordinates positive until here.
        let (x, y) = (i % IMAGE_SIDE + right, i / IMAGE_SIDE + down);
        if (64..64 + IMAGE_SIDE).contains(&x) && (64..64 + IMAGE_SIDE).contains(&y) {
            image[(y - 64) * IMAGE_SIDE + x - 64] = (ink * 255.0 + 0.5) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_set_begins_with_the_shorter_one() {
        let (short, long) = (digits(20, 3), digits(50, 3));
        assert_eq!(short.images, long.images[..20 * IMAGE_BYTES]);
        assert_eq!(short.labels, long.labels[..20]);
        assert_ne!(digits(20, 4).images, short.images);
    }

    #[test]
    fn the_bits_are_the_same_on_every_platform() {
        let Samples { images, labels } = digits(100, 1);
        // FNV-1a, recorded from a run on x86-64.
        let hash = images
            .iter()
            .copied()
            .chain(labels.iter().map(|&label| label as u8))
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(format!("{hash:016x}"), "7fd78b37963e66cf");
    }

    #[test]
    fn every_label_comes_about_equally_often() {
        let labels = digits(5_000, 0).labels;
        for digit in 0..CLASSES as u16 {
            let count = labels.iter().filter(|&&label| label == digit).count();
            assert!((400..600).contains(&count), "{count} of 5,000 are {digit}");
        }
    }

    #[test]
    fn every_digit_is_centred_within_the_box_and_dark_enough() {
        let Samples { images, labels } = digits(2_000, 5);
        for (image, label) in images.chunks_exact(IMAGE_BYTES).zip(labels) {
            let inked = |i: &usize| image[*i] > 0;
            let side = |of: fn(usize) -> usize| {
                let places = (0..IMAGE_BYTES).filter(inked).map(of);
                places.clone().max().unwrap() - places.min().unwrap() + 1
            };
            let longer = side(|i| i % IMAGE_SIDE).max(side(|i| i / IMAGE_SIDE));
            assert!((19..=22).contains(&longer), "a {label} is {longer} pixels long");
            assert!(image.iter().any(|&grey| grey > 200), "a {label} is too faint");
            let mass: f32 = image.iter().map(|&grey| f32::from(grey)).sum();
            let x = (0..IMAGE_BYTES).map(|i| f32::from(image[i]) * ((i % IMAGE_SIDE) as f32 + 0.5)).sum::<f32>() / mass;
            assert!((13.0..15.0).contains(&x), "a {label} is off its centre by {}", x - 14.0);
        }
    }
}
