//! Points, boxes and projections of the plane.

/// A place in a picture, on a sheet of paper or in a digit; y runs downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// A point, in short.
pub(crate) const fn point(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    pub(crate) fn plus(self, other: Point) -> Point {
        point(self.x + other.x, self.y + other.y)
    }

    pub(crate) fn minus(self, other: Point) -> Point {
        point(self.x - other.x, self.y - other.y)
    }

    pub(crate) fn times(self, factor: f32) -> Point {
        point(self.x * factor, self.y * factor)
    }

    pub(crate) fn dot(self, other: Point) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of an angle, clockwise from the right, since y runs downwards.
    pub(crate) fn towards(angle: f32) -> Point {
        point(angle.cos(), angle.sin())
    }

    /// The place between this point and another one; 0 is here, 1 is there.
    pub(crate) fn mix(self, other: Point, share: f32) -> Point {
        self.plus(other.minus(self).times(share))
    }

    /// How far along the line from `start` to `end` the nearest point to this one is, from 0 to 1, and its distance.
    pub(crate) fn nearest(self, start: Point, end: Point) -> (f32, f32) {
        let (along, here) = (end.minus(start), self.minus(start));
        let share = (here.dot(along) / along.dot(along).max(1e-12)).clamp(0.0, 1.0);
        (share, here.minus(along.times(share)).length())
    }
}

/// An upright box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

impl Frame {
    /// Contains nothing, and grows with what it is joined with.
    pub(crate) const NOTHING: Frame =
        Frame { left: f32::INFINITY, top: f32::INFINITY, right: f32::NEG_INFINITY, bottom: f32::NEG_INFINITY };

    pub(crate) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub(crate) fn middle(&self) -> Point {
        point((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    /// The box of both.
    pub(crate) fn join(self, other: Frame) -> Frame {
        Frame {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The box with a border of this width on each side.
    pub(crate) fn grown(self, by: f32) -> Frame {
        Frame { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    pub(crate) fn contains(&self, at: Point) -> bool {
        (self.left..=self.right).contains(&at.x) && (self.top..=self.bottom).contains(&at.y)
    }

    /// Its corners, clockwise from the upper left one.
    pub(crate) fn corners(&self) -> [Point; 4] {
        [
            point(self.left, self.top),
            point(self.right, self.top),
            point(self.right, self.bottom),
            point(self.left, self.bottom),
        ]
    }
}

/// A projective map of the plane, as a camera sees a flat sheet: a matrix of three rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projection([[f32; 3]; 3]);

impl Projection {
    pub(crate) const NONE: Projection = Projection([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);

    /// Scales about the origin, rotates, then moves.
    pub(crate) fn placed(scale: f32, angle: f32, to: Point) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([[scale * cos, -scale * sin, to.x], [scale * sin, scale * cos, to.y], [0.0, 0.0, 1.0]])
    }

    /// Maps the rectangle from the origin to (width, height) to four corners, clockwise from the upper left one
    /// (Heckbert, Fundamentals of texture mapping and image warping, 1989).
    pub(crate) fn onto(corners: [Point; 4], width: f32, height: f32) -> Self {
        let [a, b, c, d] = corners;
        let (ahead, back) = (b.minus(c), d.minus(c));
        let sum = a.minus(b).plus(c).minus(d);
        let area = ahead.x * back.y - back.x * ahead.y;
        let g = (sum.x * back.y - back.x * sum.y) / area;
        let h = (ahead.x * sum.y - sum.x * ahead.y) / area;
        Self([
            [(b.x - a.x + g * b.x) / width, (d.x - a.x + h * d.x) / height, a.x],
            [(b.y - a.y + g * b.y) / width, (d.y - a.y + h * d.y) / height, a.y],
            [g / width, h / height, 1.0],
        ])
    }

    pub(crate) fn apply(&self, at: Point) -> Point {
        let [x, y, depth] = self.0.map(|row| row[0] * at.x + row[1] * at.y + row[2]);
        point(x / depth, y / depth)
    }

    /// How much longer things become near a point.
    pub(crate) fn scale_at(&self, at: Point) -> f32 {
        let here = self.apply(at);
        let step = 0.01;
        let right = self.apply(at.plus(point(step, 0.0))).minus(here);
        let down = self.apply(at.plus(point(0.0, step))).minus(here);
        (right.x * down.y - right.y * down.x).abs().sqrt() / step
    }

    pub(crate) fn inverse(&self) -> Self {
        let m = &self.0;
        let minor = |row: usize, column: usize| {
            let (r, s) = ((row + 1) % 3, (row + 2) % 3);
            let (c, d) = ((column + 1) % 3, (column + 2) % 3);
            m[r][c] * m[s][d] - m[r][d] * m[s][c]
        };
        let determinant: f32 = (0..3).map(|column| m[0][column] * minor(0, column)).sum();
        Self([0, 1, 2].map(|row| [0, 1, 2].map(|column| minor(column, row) / determinant)))
    }
}
