//! What the light, the paper's folds and the camera do to a picture.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;

use crate::geometry::{Point, point};
use crate::noise::{Hills, between, gaussian, sign, smooth_step};
use crate::shot::Shot;

/// Light from one side: the other side is darker by `fall`.
pub(crate) fn falling(shot: &mut Shot, fall: f32) {
    let direction = Point::towards(shot.random.below(4) as f32 * std::f32::consts::FRAC_PI_2);
    let middle = shot.frame().middle();
    // From -1 on the side of the light to 1 on the other one.
    let reach = (middle.x * direction.x.abs() + middle.y * direction.y.abs()).max(1.0);
    shot.shine(|at| 1.0 - fall * (0.5 + 0.5 * at.minus(middle).dot(direction) / reach));
}

/// Corners that are darker, as through a cheap lens.
pub(crate) fn vignette(shot: &mut Shot) {
    let fall = shot.random.uniform(0.3, 0.6);
    let middle = shot.frame().middle();
    shot.shine(|at| {
        let outwards = at.minus(middle).length() / middle.length();
        1.0 - fall * outwards * outwards * (0.4 + 0.6 * outwards)
    });
}

/// Standard deviation of the grain in dim light, in parts of white.
const GRAIN: f32 = 22.0 / 255.0;

/// Grain of a picture in dim light, the same in each colour.
pub(crate) fn grain(shot: &mut Shot) {
    noise(shot, GRAIN, 0.0);
}

/// Grain of a picture in dim light, different in each colour.
pub(crate) fn coloured_grain(shot: &mut Shot) {
    noise(shot, GRAIN * 0.6, GRAIN * 0.8);
}

/// A steady camera in good light: a little blur, a little noise.
pub(crate) fn camera(shot: &mut Shot) {
    blur(shot);
    let deviation = shot.random.uniform(1.5, 5.0) / 255.0;
    noise(shot, deviation, deviation * 0.5);
}

/// Adds noise with two standard deviations: of the grey level, and of each colour alone.
fn noise(shot: &mut Shot, grey: f32, colour: f32) {
    let random = &mut shot.random;
    for pixel in &mut shot.pixels {
        let all = grey * gaussian(random);
        *pixel = pixel.map(|part| part + all + if colour > 0.0 { colour * gaussian(random) } else { 0.0 });
    }
}

/// Mixes each pixel with its neighbours, as an ordinary lens does: weights 1, 2, 1 both ways.
fn blur(shot: &mut Shot) {
    let (width, height) = (shot.width, shot.height);
    for (step, limit) in [(1, width), (width, height)] {
        let sharp = shot.pixels.clone();
        for (index, pixel) in shot.pixels.iter_mut().enumerate() {
            let place = index / step % limit;
            let before = if place == 0 { index } else { index - step };
            let after = if place + 1 == limit { index } else { index + step };
            *pixel = [0, 1, 2].map(|part| (sharp[before][part] + 2.0 * sharp[index][part] + sharp[after][part]) / 4.0);
        }
    }
}

/// Light on dark instead of dark on light.
pub(crate) fn negative(shot: &mut Shot) {
    shot.paint(|_, old| old.map(|part| 1.0 - part));
}

/// Paper that was crumpled and smoothed again: large folds and small ones catch the light differently.
pub(crate) fn crumpled(shot: &mut Shot) {
    let depth = shot.random.uniform(0.6, 1.0);
    let folds = [0.45, 0.22, 0.11].map(|size| Folds::new(shot, size));
    let strengths = [0.16, 0.12, 0.05];
    shot.shine(|at| {
        let parts = folds.iter().zip(strengths).map(|(folds, strength)| strength * folds.light(at));
        1.0 + depth * (parts.sum::<f32>() - 0.13)
    });
}

/// Folds that part paper into flat facets.
struct Folds {
    hills: Hills,
    bends: Hills,
    /// The direction in which facets are longest.
    along: Point,
    /// The length of a facet in pixels.
    size: f32,
}

impl Folds {
    fn new(shot: &mut Shot, size: f32) -> Self {
        let along = Point::towards(shot.random.uniform(0.0, std::f32::consts::PI));
        Self {
            hills: Hills::new(&mut shot.random),
            bends: Hills::new(&mut shot.random),
            along,
            size: shot.side() * size,
        }
    }

    /// How the light changes at a point, from about -1 to 1.
    fn light(&self, at: Point) -> f32 {
        let at = at.times(1.0 / self.size);
        let bend = point(self.bends.rough(at.times(3.0)), self.bends.rough(at.times(3.0).plus(point(99.0, 7.0))));
        let at = at.plus(bend.times(0.12));
        let place = point(at.dot(self.along), 1.7 * (at.y * self.along.x - at.x * self.along.y));
        let ((column, row), centre, edge) = facet(self.hills, place);
        let tilt = 2.0 * self.hills.height_of(column, row) - 1.0;
        let turned = Point::towards(self.bends.height_of(column, row) * std::f32::consts::TAU);
        // A crease is lit on one flank and lies in shade on the other one.
        let crease = (self.bends.height_of(row, column) - 0.55) * (1.0 - smooth_step(0.0, 0.07, edge));
        0.55 * tilt + 0.9 * turned.dot(place.minus(centre)) + 0.5 * crease
    }
}

/// The facet that a point lies in, its centre, and how far the border to the next facet is (Worley, 1996).
fn facet(hills: Hills, at: Point) -> ((i32, i32), Point, f32) {
    let (column, row) = (at.x.floor() as i32, at.y.floor() as i32);
    let mut nearest = (f32::INFINITY, (0, 0), at);
    let mut second = f32::INFINITY;
    for y in row - 1..=row + 1 {
        for x in column - 1..=column + 1 {
            let jitter = point(hills.height_of(x * 7 + 1, y), hills.height_of(x, y * 5 + 2));
            let centre = point(x as f32, y as f32).plus(jitter);
            let distance = at.minus(centre).length();
            if distance < nearest.0 {
                second = nearest.0;
                nearest = (distance, (x, y), centre);
            } else {
                second = second.min(distance);
            }
        }
    }
    (nearest.1, nearest.2, second - nearest.0)
}

/// The shadow of the hand that holds the camera, with soft edges: it comes from one side and reaches what is written.
pub(crate) fn shadow_of_a_hand(shot: &mut Shot) {
    let side = shot.side();
    let target = shot.written().middle();
    let random = &mut shot.random;
    let angle = random.uniform(0.0, std::f32::consts::TAU);
    let direction = Point::towards(angle);
    let across = point(-direction.y, direction.x);
    let size = side * random.uniform(0.2, 0.28);
    let off = across.times(between(random, (-0.3, 0.3)) * side);
    let palm = target.plus(off).minus(direction.times(size * random.uniform(1.1, 2.2)));
    let wrist = palm.minus(direction.times(side * 2.5));
    let spread = random.uniform(0.04, 0.14);
    let mut lobes = vec![(wrist, palm, size * 0.8), (palm, palm.plus(direction.times(size * 0.2)), size)];
    for finger in 0..4 {
        let place = finger as f32 - 1.5;
        let root = palm.plus(across.times(place * size * 0.5));
        let length = size * (2.1 - 0.2 * place.abs()) * random.uniform(0.9, 1.1);
        lobes.push((root, root.plus(Point::towards(angle + place * spread).times(length)), size * 0.24));
    }
    let thumb = Point::towards(angle + sign(random) * random.uniform(0.7, 1.1)).times(size * 1.6);
    lobes.push((palm, palm.plus(thumb), size * 0.27));
    let soft = side * random.uniform(0.015, 0.05);
    let dark = random.uniform(0.25, 0.5);
    shot.shine(|at| {
        let distances = lobes.iter().map(|(root, tip, radius)| at.nearest(*root, *tip).1 - radius);
        1.0 - dark * (1.0 - smooth_step(-soft, soft, distances.fold(f32::INFINITY, f32::min)))
    });
}

/// Saves the picture with losses: what it shows from now on is what the file unpacks to.
pub(crate) fn compressed(shot: &mut Shot, quality: u8) {
    let mut file = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let (width, height) = (shot.width as u32, shot.height as u32);
    let copied = image::RgbImage::from_raw(width, height, shot.bytes()).expect("three bytes for each pixel");
    copied.write_with_encoder(encoder).expect("memory can be written");
    let file = file.into_inner();
    let unpacked = image::load_from_memory(&file).expect("a picture that was just packed").to_rgb32f();
    shot.pixels = unpacked.pixels().map(|pixel| pixel.0).collect();
    shot.jpeg = Some(file);
}
