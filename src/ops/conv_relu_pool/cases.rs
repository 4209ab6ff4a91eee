//! Sizes at which kernels of a fused convolution often fail.

use super::ConvReluPool;
use crate::ops::conv2d::Conv2d;

impl ConvReluPool {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [
            // batch, in_channels, in_height, in_width, out_channels, kernel, padding, pool
            (1, 1, 1, 1, 1, 1, 0, 1),
            (1, 1, 3, 3, 1, 2, 0, 2),
            (3, 3, 5, 7, 5, 3, 2, 2),
            (9, 2, 8, 6, 9, 5, 4, 2),
            (2, 5, 6, 9, 7, 2, 1, 3),
            (7, 4, 6, 7, 4, 3, 0, 2),
            (1, 4, 5, 6, 8, 3, 1, 2),
            (2, 3, 6, 4, 7, 2, 0, 2),
            (17, 8, 7, 6, 12, 4, 3, 2),
            (5, 36, 6, 5, 40, 3, 2, 2),
            (5, 1, 9, 8, 36, 3, 2, 2),
            (37, 1, 6, 5, 4, 3, 2, 2),
            (2, 1, 6, 7, 4, 3, 2, 2),
            (3, 8, 5, 9, 8, 3, 4, 2),
            (2, 260, 5, 4, 4, 3, 2, 2),
            (3, 6, 9, 9, 33, 1, 0, 2),
            (33, 1, 28, 28, 6, 5, 4, 2),
            (2, 4, 5, 6, 260, 3, 0, 2),
            (2, 260, 4, 4, 4, 2, 1, 2),
            (3, 68, 4, 4, 68, 2, 1, 2),
            (33, 4, 2, 2, 4, 1, 0, 2),
            (1, 1, 30, 31, 3, 3, 2, 15),
            (3, 24, 7, 6, 72, 3, 2, 2),
            (2, 40, 6, 8, 32, 4, 3, 2),
            (4, 3, 6, 8, 6, 5, 4, 2),
            (1, 4, 40, 44, 4, 3, 2, 2),
        ]
        .map(Self::of)
        .into()
    }

    /// The same with an even number of output channels: in half precision they are written two to a word.
    pub(in crate::ops) fn awkward_f16() -> Vec<Self> {
        [
            (1, 2, 1, 1, 2, 1, 0, 1),
            (1, 1, 3, 3, 2, 2, 0, 2),
            (3, 3, 5, 7, 6, 3, 2, 2),
            (9, 2, 8, 6, 10, 5, 4, 2),
            (2, 6, 6, 9, 6, 2, 1, 3),
            (7, 4, 6, 7, 4, 3, 0, 2),
            (2, 3, 6, 4, 4, 2, 0, 2),
            (2, 6, 5, 5, 8, 3, 2, 2),
            (17, 8, 7, 6, 12, 4, 3, 2),
            (5, 36, 6, 5, 40, 3, 2, 2),
            (33, 1, 28, 28, 4, 5, 4, 2),
            (2, 4, 5, 6, 260, 3, 0, 2),
            (2, 260, 4, 4, 4, 2, 1, 2),
            (3, 4, 2, 2, 4, 1, 0, 2),
            (1, 1, 30, 31, 2, 3, 2, 15),
            (2, 40, 6, 8, 32, 4, 3, 2),
            (4, 3, 6, 8, 6, 5, 4, 2),
            (1, 4, 40, 44, 4, 3, 2, 2),
        ]
        .map(Self::of)
        .into()
    }

    /// The same with an even number of input channels, too, for their gradient.
    pub(in crate::ops) fn awkward_f16_input() -> Vec<Self> {
        Self::awkward_f16().into_iter().filter(|block| block.conv.in_channels.is_multiple_of(2)).collect()
    }

    fn of(sizes: (usize, usize, usize, usize, usize, usize, usize, usize)) -> Self {
        let (batch, in_channels, in_height, in_width, out_channels, kernel, padding, pool) = sizes;
        let conv = Conv2d { batch, in_channels, in_height, in_width, out_channels, kernel, stride: 1, padding };
        Self { conv, pool }
    }
}
