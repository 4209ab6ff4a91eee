//! What the references of a convolution are made of: operations on long rows.
//!
//! A plane of the padded input, `pitch` wide, read from position `ky·pitch + kx` on, *is* the plane shifted by (ky, kx), and
//! the gaps at the ends of its rows are never used.

use super::Conv2d;

impl Conv2d {
    /// Columns of the padded input, the distance of its rows in memory.
    pub(super) fn pitch(&self) -> usize {
        self.in_width + self.padding
    }

    /// Elements of one padded plane.
    pub(super) fn padded_area(&self) -> usize {
        (self.in_height + self.padding) * self.pitch()
    }

    /// From the first to the last element of an output plane laid out at the input's pitch.
    pub(super) fn span(&self) -> usize {
        (self.out_height() - 1) * self.pitch() + self.out_width()
    }

    /// The kernel's positions, and the shift of a plane for each.
    pub(super) fn taps(&self) -> impl Iterator<Item = (usize, usize)> {
        let (kernel, pitch) = (self.kernel, self.pitch());
        (0..kernel * kernel).map(move |tap| (tap, tap / kernel * pitch + tap % kernel))
    }

    /// The planes of one sample's input with zeros around them.
    pub(super) fn padded_planes(&self, sample: &[f32]) -> Vec<f64> {
        let (before, pitch) = (self.padding / 2, self.pitch());
        let mut planes = vec![0.0; self.in_channels * self.padded_area()];
        let rows = sample.chunks_exact(self.in_width);
        for (i, row) in rows.enumerate() {
            let (c, y) = (i / self.in_height, i % self.in_height);
            widen(row, &mut planes[c * self.padded_area() + (y + before) * pitch + before..]);
        }
        planes
    }

    /// The planes of one sample's output gradient at the input's pitch, zeros in the gaps.
    pub(super) fn pitched_planes(&self, sample: &[f32]) -> Vec<f64> {
        let mut planes = vec![0.0; self.out_channels * self.span()];
        let rows = sample.chunks_exact(self.out_width());
        for (i, row) in rows.enumerate() {
            let (o, y) = (i / self.out_height(), i % self.out_height());
            widen(row, &mut planes[o * self.span() + y * self.pitch()..]);
        }
        planes
    }
}

fn widen(from: &[f32], to: &mut [f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f64::from(*from);
    }
}

/// `sum += factor * row`
#[inline(always)]
pub(super) fn add_scaled(sum: &mut [f64], factor: f64, row: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// The dot product, summed in eight interleaved lanes so that it vectorizes without changing its bits.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}
