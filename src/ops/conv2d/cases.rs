//! Sizes at which kernels of a convolution often fail.

use super::Conv2d;
use crate::ops::relu::SLOPES;

impl Conv2d {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [
            // batch, in_channels, in_height, in_width, out_channels, kernel, stride, padding
            (1, 1, 1, 1, 1, 1, 1, 0),
            (1, 1, 5, 5, 1, 3, 1, 0),
            (2, 3, 5, 7, 4, 3, 1, 2),
            (3, 2, 8, 6, 9, 5, 1, 4),
            (2, 5, 6, 9, 7, 2, 1, 1),
            (3, 4, 4, 5, 3, 4, 1, 3),
            (2, 2, 9, 7, 3, 6, 1, 5),
            (2, 65, 3, 3, 2, 1, 1, 0),
            (5, 7, 13, 11, 8, 3, 1, 0),
            (33, 3, 9, 17, 17, 3, 1, 2),
            (70, 2, 4, 3, 5, 1, 1, 0),
            (37, 1, 28, 28, 3, 5, 1, 0),
            (2, 33, 10, 10, 31, 3, 1, 0),
            (1, 8, 7, 65, 16, 7, 1, 6),
            (9, 4, 6, 5, 8, 3, 1, 2),
            (3, 16, 8, 8, 36, 3, 1, 2),
            (2, 12, 5, 6, 36, 5, 1, 0),
            (3, 3, 9, 9, 5, 3, 2, 2),
            (2, 4, 10, 7, 8, 3, 2, 0),
            (2, 1, 8, 11, 6, 4, 3, 3),
            (17, 5, 7, 6, 4, 1, 2, 0),
            (2, 8, 9, 12, 12, 2, 3, 1),
            (1, 8, 3, 3, 4, 3, 5, 0),
            (2, 32, 5, 6, 9, 3, 1, 2),
            (2, 16, 9, 10, 12, 5, 1, 4),
            (1, 8, 6, 5, 20, 4, 1, 3),
            (1, 32, 4, 5, 4, 7, 1, 6),
            (2, 124, 2, 3, 4, 1, 1, 0),
            (2, 1, 6, 9, 5, 6, 1, 5),
            (8, 4, 8, 8, 4, 4, 2, 3),
            (33, 1, 2, 5, 5, 2, 2, 0),
            (3, 36, 5, 6, 48, 3, 2, 2),
            (2, 72, 4, 9, 32, 3, 1, 1),
            (2, 32, 9, 8, 40, 5, 3, 4),
            (1, 8, 3, 5, 32, 1, 1, 0),
        ]
        .map(Self::of)
        .into()
    }

    /// The same with even numbers of channels: in half precision they are written two to a word.
    pub(in crate::ops) fn awkward_f16() -> Vec<Self> {
        [
            (1, 2, 1, 1, 2, 1, 1, 0),
            (2, 6, 5, 7, 4, 3, 1, 2),
            (3, 2, 8, 6, 10, 5, 1, 4),
            (3, 4, 4, 5, 6, 4, 1, 3),
            (9, 4, 6, 5, 8, 3, 1, 2),
            (33, 8, 9, 17, 18, 3, 1, 2),
            (3, 4, 9, 9, 8, 3, 2, 2),
            (2, 6, 8, 11, 4, 4, 3, 3),
            (2, 32, 7, 5, 40, 3, 2, 2),
        ]
        .map(Self::of)
        .into()
    }

    /// These sizes, each with one of the slopes in turn, and some with each.
    pub(in crate::ops) fn with_slopes<O>(sizes: Vec<Self>, op: fn(Self, f64) -> O) -> Vec<O> {
        let cases = |(i, conv): (usize, Self)| {
            let slopes = if i % 7 == 2 { &SLOPES[..] } else { &SLOPES[i % SLOPES.len()..][..1] };
            slopes.iter().map(move |&slope| op(conv, slope))
        };
        sizes.into_iter().enumerate().flat_map(cases).collect()
    }

    fn of(sizes: (usize, usize, usize, usize, usize, usize, usize, usize)) -> Self {
        let (batch, in_channels, in_height, in_width, out_channels, kernel, stride, padding) = sizes;
        Self { batch, in_channels, in_height, in_width, out_channels, kernel, stride, padding }
    }
}
