//! Sizes at which kernels of a convolution often fail.

use super::Conv2d;

impl Conv2d {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [
            // batch, in_channels, in_height, in_width, out_channels, kernel, padding
            (1, 1, 1, 1, 1, 1, 0),
            (1, 1, 5, 5, 1, 3, 0),
            (2, 3, 5, 7, 4, 3, 2),
            (3, 2, 8, 6, 9, 5, 4),
            (2, 5, 6, 9, 7, 2, 1),
            (3, 4, 4, 5, 3, 4, 3),
            (2, 2, 9, 7, 3, 6, 5),
            (2, 65, 3, 3, 2, 1, 0),
            (5, 7, 13, 11, 8, 3, 0),
            (33, 3, 9, 17, 17, 3, 2),
            (70, 2, 4, 3, 5, 1, 0),
            (37, 1, 28, 28, 3, 5, 0),
            (2, 33, 10, 10, 31, 3, 0),
            (1, 8, 7, 65, 16, 7, 6),
        ]
        .map(|(batch, in_channels, in_height, in_width, out_channels, kernel, padding)| Self {
            batch,
            in_channels,
            in_height,
            in_width,
            out_channels,
            kernel,
            padding,
        })
        .into()
    }
}
