//! Lines of a pen: what it passes, how wide it is, and which pixels it covers.

use crate::geometry::{Frame, Point, Projection, point};

/// Where a pen is, and how wide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dot {
    pub(crate) at: Point,
    pub(crate) radius: f32,
}

/// One movement of a pen.
pub(crate) type Stroke = Vec<Dot>;

/// A thinner line would not be seen by a camera.
const MIN_RADIUS: f32 = 0.75;

/// Strokes as they look after a projection.
pub(crate) fn project(strokes: &[Stroke], projection: &Projection) -> Vec<Stroke> {
    let dot = |dot: &Dot| Dot { at: projection.apply(dot.at), radius: dot.radius * projection.scale_at(dot.at) };
    strokes.iter().map(|stroke| stroke.iter().map(dot).collect()).collect()
}

/// The box around strokes.
pub(crate) fn frame(strokes: &[Stroke]) -> Frame {
    let frames = strokes.iter().flatten().map(|dot| {
        let Point { x, y } = dot.at;
        Frame { left: x, top: y, right: x, bottom: y }.grown(dot.radius)
    });
    frames.fold(Frame::NOTHING, Frame::join)
}

/// A straight line.
pub(crate) fn line(from: Point, to: Point, width: f32) -> Stroke {
    [from, to].map(|at| Dot { at, radius: width / 2.0 }).to_vec()
}

/// A smooth curve through points, as many steps for each piece; with a `roundness` of 0 it is straight between them.
/// At 1 it is that of Catmull and Rom (1974).
pub(crate) fn curve(points: &[Point], steps: usize, roundness: f32) -> Vec<Point> {
    let mut places = vec![points[0]];
    for piece in 0..points.len() - 1 {
        let (start, end) = (points[piece], points[piece + 1]);
        let before = if piece == 0 { start } else { points[piece - 1] };
        let after = points.get(piece + 2).copied().unwrap_or(end);
        let (leaving, arriving) = (end.minus(before).times(roundness / 2.0), after.minus(start).times(roundness / 2.0));
        for step in 1..=steps {
            let t = step as f32 / steps as f32;
            let (square, cube) = (t * t, t * t * t);
            let terms = [
                start.times(2.0 * cube - 3.0 * square + 1.0),
                leaving.times(cube - 2.0 * square + t),
                end.times(3.0 * square - 2.0 * cube),
                arriving.times(cube - square),
            ];
            places.push(terms.into_iter().fold(point(0.0, 0.0), Point::plus));
        }
    }
    places
}

/// How much of each pixel of a picture a pen covers, from 0 to 1.
pub(crate) struct Coverage {
    width: usize,
    height: usize,
    shares: Vec<f32>,
}

impl Coverage {
    pub(crate) fn nothing(width: usize, height: usize) -> Self {
        Self { width, height, shares: vec![0.0; width * height] }
    }

    pub(crate) fn of(strokes: &[Stroke], width: usize, height: usize) -> Self {
        let mut coverage = Self::nothing(width, height);
        coverage.draw(strokes);
        coverage
    }

    /// The share of the pixel around a point, which lies in the picture.
    pub(crate) fn at(&self, at: Point) -> f32 {
        self.shares[at.y as usize * self.width + at.x as usize]
    }

    /// The shares of all pixels, row by row.
    pub(crate) fn shares(&self) -> &[f32] {
        &self.shares
    }

    /// Draws strokes with soft edges.
    pub(crate) fn draw(&mut self, strokes: &[Stroke]) {
        for stroke in strokes {
            for ends in stroke.windows(2) {
                self.draw_piece(ends[0], ends[1]);
            }
        }
    }

    fn draw_piece(&mut self, start: Dot, end: Dot) {
        let (from, to) = (start.radius.max(MIN_RADIUS), end.radius.max(MIN_RADIUS));
        let frame = frame(&[vec![start, end]]).grown(MIN_RADIUS + 1.0);
        self.raise(frame, |at| {
            let (share, distance) = at.nearest(start.at, end.at);
            0.5 + (from + (to - from) * share - distance) / 1.2
        });
    }

    /// Raises each pixel within a box to the share that a function gives for its middle.
    pub(crate) fn raise(&mut self, frame: Frame, share: impl Fn(Point) -> f32) {
        let column = |x: f32| (x.max(0.0) as usize).min(self.width);
        let row = |y: f32| (y.max(0.0) as usize).min(self.height);
        for y in row(frame.top)..row(frame.bottom + 1.0) {
            for x in column(frame.left)..column(frame.right + 1.0) {
                let new = share(point(x as f32 + 0.5, y as f32 + 0.5)).clamp(0.0, 1.0);
                let old = &mut self.shares[y * self.width + x];
                *old = old.max(new);
            }
        }
    }
}
