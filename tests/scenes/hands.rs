//! Hands: each forms the digits in its own way, with its own slant, proportions and pen.

use gpu_digits::random::Random;

use crate::forms::FORMS;
use crate::geometry::{Point, point};
use crate::noise::{Hills, gaussian, smooth_step};
use crate::strokes::{Dot, Stroke, curve};

/// How somebody writes.
#[derive(Clone, Copy)]
pub(crate) struct Hand {
    /// Which form of each digit in [`FORMS`].
    forms: [usize; 10],
    /// How far the top of a digit leans to the right, in its heights.
    slant: f32,
    /// The width of a digit compared with that of its form.
    breadth: f32,
    /// The width of the pen in heights of a digit.
    pen: f32,
    /// How far the pen misses the points of the form, in heights of a digit.
    wobble: f32,
    /// 1 for smooth curves, less for angular ones.
    roundness: f32,
}

const fn hand(forms: [usize; 10], slant: f32, breadth: f32, pen: f32, wobble: f32, roundness: f32) -> Hand {
    Hand { forms, slant, breadth, pen, wobble, roundness }
}

/// Different people, from a thin pencil to a bold marker.
pub(crate) const HANDS: [Hand; 24] = [
    hand([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.05, 1.00, 0.070, 0.010, 1.0),
    hand([1, 3, 1, 1, 2, 1, 1, 1, 1, 1], 0.12, 0.95, 0.055, 0.012, 1.0),
    hand([2, 1, 2, 0, 1, 0, 0, 2, 2, 2], 0.25, 0.90, 0.060, 0.010, 1.1),
    hand([3, 2, 0, 1, 1, 2, 2, 0, 0, 0], 0.00, 1.10, 0.080, 0.008, 0.9),
    hand([0, 3, 3, 0, 2, 0, 1, 3, 0, 1], 0.18, 1.05, 0.045, 0.014, 1.0),
    hand([1, 0, 1, 2, 3, 1, 2, 0, 2, 2], -0.08, 0.85, 0.050, 0.012, 1.0),
    hand([0, 1, 0, 0, 1, 0, 0, 1, 1, 0], 0.02, 1.20, 0.120, 0.008, 1.0),
    hand([3, 3, 2, 0, 0, 2, 1, 1, 0, 1], 0.10, 1.00, 0.035, 0.015, 1.0),
    hand([2, 1, 1, 2, 0, 1, 0, 0, 0, 2], 0.30, 0.85, 0.040, 0.012, 1.1),
    hand([0, 2, 3, 1, 1, 2, 1, 2, 1, 0], -0.04, 1.00, 0.140, 0.006, 0.9),
    hand([1, 1, 0, 0, 2, 0, 2, 1, 2, 1], 0.08, 0.80, 0.065, 0.010, 1.0),
    hand([3, 0, 2, 1, 3, 2, 0, 3, 0, 0], 0.15, 1.10, 0.075, 0.016, 1.0),
    hand([0, 3, 1, 0, 2, 0, 0, 1, 0, 1], 0.06, 1.15, 0.160, 0.008, 1.0),
    hand([1, 1, 3, 1, 0, 1, 1, 2, 2, 2], 0.20, 0.95, 0.033, 0.010, 0.9),
    hand([2, 3, 0, 2, 1, 2, 2, 3, 1, 1], 0.14, 1.00, 0.090, 0.012, 1.1),
    hand([0, 0, 2, 0, 3, 0, 1, 0, 1, 0], -0.12, 1.05, 0.060, 0.012, 1.0),
    hand([3, 2, 1, 1, 0, 1, 0, 1, 0, 2], 0.04, 0.90, 0.110, 0.010, 1.0),
    hand([1, 3, 3, 2, 2, 2, 2, 1, 2, 1], 0.22, 0.90, 0.048, 0.018, 0.8),
    hand([0, 1, 2, 1, 1, 0, 1, 0, 0, 1], 0.00, 1.25, 0.055, 0.008, 1.1),
    hand([2, 0, 0, 0, 0, 2, 0, 2, 2, 0], 0.16, 1.00, 0.100, 0.014, 1.0),
    hand([3, 1, 1, 2, 3, 0, 2, 3, 1, 2], 0.09, 0.80, 0.040, 0.010, 1.0),
    hand([0, 2, 0, 1, 1, 1, 1, 1, 0, 0], -0.05, 1.10, 0.085, 0.020, 0.7),
    hand([1, 3, 2, 0, 2, 0, 0, 1, 1, 1], 0.11, 1.00, 0.130, 0.010, 1.0),
    hand([3, 1, 3, 0, 0, 2, 2, 0, 2, 2], 0.28, 1.00, 0.050, 0.014, 1.0),
];

/// Pieces of a curve between two points of a form.
const STEPS: usize = 12;

impl Hand {
    /// The same hand with another pen.
    pub(crate) fn with_pen(self, pen: f32) -> Self {
        Self { pen, ..self }
    }

    /// The same hand with another slant. Its 1 has a flag: a bar that leans far would be a slash.
    pub(crate) fn leaning(mut self, slant: f32) -> Self {
        self.forms[1] = 1;
        Self { slant, ..self }
    }

    /// Writes a digit, never twice the same, from (0, 0) to about (0.6, 1).
    pub(crate) fn write(&self, digit: u8, random: &mut Random) -> Vec<Stroke> {
        let form = FORMS[usize::from(digit)][self.forms[usize::from(digit)]];
        let slant = self.slant + 0.03 * gaussian(random);
        let breadth = self.breadth * (1.0 + 0.05 * gaussian(random));
        let lean = |at: Point| point(at.x * breadth + slant * (1.0 - at.y), at.y);
        let pressure = Hills::new(random);
        let mut strokes = Vec::new();
        for path in form {
            let mut written = Stroke::new();
            for piece in self.pieces(path, random) {
                let places = curve(&piece, STEPS, self.roundness);
                written.extend(places.into_iter().map(|at| Dot { at: lean(at), radius: 0.0 }));
            }
            self.press(&mut written, pressure);
            strokes.push(written);
        }
        strokes
    }

    /// The points of a path as the hand meets them, in a piece from each corner to the next.
    fn pieces(&self, path: &[(f32, f32)], random: &mut Random) -> Vec<Vec<Point>> {
        let mut pieces = vec![Vec::new()];
        let mut last = None;
        for &(x, y) in path {
            if last == Some((x, y)) {
                let corner: Option<&Point> = pieces.last().and_then(|piece: &Vec<Point>| piece.last());
                pieces.push(corner.copied().into_iter().collect());
                continue;
            }
            last = Some((x, y));
            let missed = point(gaussian(random), gaussian(random)).times(self.wobble);
            pieces.last_mut().expect("there is a first piece").push(point(x, y).plus(missed));
        }
        pieces
    }

    /// Gives the dots of a stroke their width, which changes a little on the way and is less where the pen is lifted.
    fn press(&self, stroke: &mut Stroke, pressure: Hills) {
        let whole: f32 = stroke.windows(2).map(|ends| ends[1].at.minus(ends[0].at).length()).sum();
        let mut way = 0.0;
        let mut last = stroke[0].at;
        for dot in stroke {
            way += dot.at.minus(last).length();
            last = dot.at;
            let lifted = 1.0 - 0.3 * smooth_step(whole - 0.25, whole, way);
            dot.radius = self.pen / 2.0 * lifted * (0.88 + 0.24 * pressure.at(point(way * 4.0, 0.5)));
        }
    }
}
