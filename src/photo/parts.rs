//! Connected parts of the ink.

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};

use super::map::{Map, quantile};

/// A rectangle of pixels; `right` and `bottom` are not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// The column behind the last.
    pub right: usize,
    /// The row behind the last.
    pub bottom: usize,
}

impl Frame {
    /// A frame that holds nothing, to be widened.
    pub(super) const NOTHING: Self = Self { left: usize::MAX, top: usize::MAX, right: 0, bottom: 0 };

    /// Columns.
    pub fn width(&self) -> usize {
        self.right.saturating_sub(self.left)
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.bottom.saturating_sub(self.top)
    }

    /// The longer of both.
    pub(super) fn side(&self) -> usize {
        self.width().max(self.height())
    }

    pub(super) fn middle(&self) -> [f32; 2] {
        [(self.left + self.right) as f32 / 2.0, (self.top + self.bottom) as f32 / 2.0]
    }

    /// The frame around both.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    pub(super) fn holds(&self, other: &Self) -> bool {
        self.with(other) == *self
    }

    /// The empty columns and rows between both, 0 where they overlap.
    pub(super) fn gaps(&self, other: &Self) -> [usize; 2] {
        let gap = |a: (usize, usize), b: (usize, usize)| a.0.max(b.0).saturating_sub(a.1.min(b.1));
        [
            gap((self.left, self.right), (other.left, other.right)),
            gap((self.top, self.bottom), (other.top, other.bottom)),
        ]
    }

    /// The columns and rows that both have.
    pub(super) fn overlaps(&self, other: &Self) -> [usize; 2] {
        let overlap = |a: (usize, usize), b: (usize, usize)| a.1.min(b.1).saturating_sub(a.0.max(b.0));
        [
            overlap((self.left, self.right), (other.left, other.right)),
            overlap((self.top, self.bottom), (other.top, other.bottom)),
        ]
    }
}

/// A connected part of the ink; corners connect, too.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The indices of its pixels.
    pub(super) pixels: Vec<usize>,
    pub(super) frame: Frame,
    /// How dark its ink is: the value that 70 % of its pixels stay below.
    pub(super) strength: f32,
}

impl Part {
    pub(super) fn of(pixels: Vec<usize>, ink: &Map<f32>) -> Self {
        let mut values: Vec<f32> = pixels.iter().map(|&pixel| ink.values[pixel]).collect();
        let strength = quantile(&mut values, 0.7);
        let frame = pixels.iter().fold(Frame::NOTHING, |frame, &pixel| {
            let (x, y) = (pixel % ink.width, pixel / ink.width);
            frame.with(&Frame { left: x, top: y, right: x + 1, bottom: y + 1 })
        });
        Self { pixels, frame, strength }
    }
}

/// The connected parts of a mask, in the order of their first pixels.
pub(super) fn parts(mask: &Map<bool>, ink: &Map<f32>) -> Vec<Part> {
    let pixels = mask.values.iter().map(|&is_ink| u8::from(is_ink)).collect();
    let image = GrayImage::from_raw(mask.width as u32, mask.height as u32, pixels).expect("a mask has a value a pixel");
    let labels = connected_components(&image, Connectivity::Eight, Luma([0]));
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let mut members = vec![vec![]; count];
    for (index, &label) in labels.as_raw().iter().enumerate() {
        if label > 0 {
            members[label as usize - 1].push(index);
        }
    }
    members.into_iter().filter(|pixels| !pixels.is_empty()).map(|pixels| Part::of(pixels, ink)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::drawn::frame;
    use super::*;

    fn mask(rows: &[&str]) -> Map<bool> {
        let rows: Vec<&[u8]> = rows.iter().map(|row| row.as_bytes()).collect();
        Map::from_fn(rows[0].len(), rows.len(), |x, y| rows[y][x] == b'#')
    }

    #[test]
    fn corners_connect() {
        let mask = mask(&[
            "#....##", //
            ".#...##", "..#....", "......#",
        ]);
        let found = parts(&mask, &mask.map(|_| 1.0));
        let frames: Vec<Frame> = found.iter().map(|part| part.frame).collect();
        assert_eq!(frames, [frame([0, 0, 3, 3]), frame([5, 0, 7, 2]), frame([6, 3, 7, 4])]);
        assert_eq!(found[0].pixels, [0, 8, 16]);
    }

    #[test]
    fn no_ink_is_no_part() {
        let nothing = Map::filled(5, 4, false);
        assert!(parts(&nothing, &nothing.map(|_| 0.0)).is_empty());
    }

    #[test]
    fn a_part_is_as_strong_as_most_of_its_ink() {
        let ink = Map { width: 10, height: 1, values: vec![0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9] };
        assert_eq!(parts(&ink.map(|_| true), &ink)[0].strength, 0.5);
    }

    #[test]
    fn frames_are_apart_or_overlap() {
        let (a, b, c) = (frame([0, 0, 10, 20]), frame([13, 5, 20, 25]), frame([2, 30, 8, 40]));
        assert_eq!((a.gaps(&b), a.overlaps(&b)), ([3, 0], [0, 15]));
        assert_eq!((b.gaps(&a), b.overlaps(&a)), ([3, 0], [0, 15]));
        assert_eq!((a.gaps(&c), a.overlaps(&c)), ([0, 10], [6, 0]));
        assert_eq!((b.gaps(&c), b.overlaps(&c)), ([5, 5], [0, 0]));
        assert_eq!((a.with(&b), a.side(), a.middle()), (frame([0, 0, 20, 25]), 20, [5.0, 10.0]));
    }

    #[test]
    fn a_frame_holds_itself_and_what_is_inside() {
        let outer = frame([5, 5, 25, 20]);
        for (inner, is_inside) in [
            ([5, 5, 25, 20], true),
            ([6, 7, 10, 12], true),
            ([4, 7, 10, 12], false),
            ([6, 7, 26, 12], false),
            ([6, 7, 10, 21], false),
        ] {
            assert_eq!(outer.holds(&frame(inner)), is_inside, "{inner:?}");
        }
        assert_eq!((Frame::NOTHING.width(), Frame::NOTHING.height()), (0, 0));
        assert_eq!(Frame::NOTHING.with(&outer), outer);
    }
}
