//! Windows of pooling. They touch but do not overlap; rows and columns left over at the end belong to none.

use rayon::prelude::*;

use crate::op::Sizes;

/// Sizes of a pooling. Maps are `[n, y, x, c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Samples.
    pub batch: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Rows of a window.
    pub window_height: usize,
    /// Columns of a window.
    pub window_width: usize,
}

impl Windows {
    pub(super) fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("batch", self.batch as f64),
            ("height", self.height as f64),
            ("width", self.width as f64),
            ("channels", self.channels as f64),
            ("window_height", self.window_height as f64),
            ("window_width", self.window_width as f64),
        ]
    }

    /// Windows of these sizes, unless they are larger than the map.
    pub(super) fn of_sizes(sizes: &Sizes) -> Option<Self> {
        let windows = Self {
            batch: sizes.size("batch")?,
            height: sizes.size("height")?,
            width: sizes.size("width")?,
            channels: sizes.size("channels")?,
            window_height: sizes.size("window_height")?,
            window_width: sizes.size("window_width")?,
        };
        (windows.window_height <= windows.height && windows.window_width <= windows.width).then_some(windows)
    }

    /// The map before.
    pub(super) fn input(&self) -> [usize; 4] {
        [self.batch, self.height, self.width, self.channels]
    }

    /// The map behind: an element for each window and channel.
    pub(super) fn output(&self) -> [usize; 4] {
        [self.batch, self.height / self.window_height, self.width / self.window_width, self.channels]
    }

    /// Elements of a window.
    pub(super) fn area(&self) -> usize {
        self.window_height * self.window_width
    }

    /// Windows of all samples, and blocks that are left over: each as large as a window, or what remains of it.
    pub(super) fn blocks(&self) -> usize {
        self.batch * self.height.div_ceil(self.window_height) * self.width.div_ceil(self.window_width)
    }

    /// Where each element of window `x` of a row of windows begins in the rows of the map that they cover, row by row.
    pub(super) fn starts(self, x: usize) -> impl Iterator<Item = usize> {
        let columns = move |ky| (0..self.window_width).map(move |kx| ky * self.width + x * self.window_width + kx);
        (0..self.window_height).flat_map(columns).map(move |position| position * self.channels)
    }

    /// The rows of a map that each row of windows covers, in order.
    pub(super) fn rows(self, map: &[f32]) -> impl IndexedParallelIterator<Item = &[f32]> {
        let [_, rows, _, _] = self.output();
        let row = self.width * self.channels;
        (0..self.batch * rows).into_par_iter().map(move |index| {
            let start = (index / rows * self.height + index % rows * self.window_height) * row;
            &map[start..start + self.window_height * row]
        })
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [
            [1, 1, 1, 1, 1, 1],
            [1, 2, 2, 1, 2, 2],
            [3, 5, 7, 1, 2, 2],
            [2, 9, 9, 3, 3, 3],
            [5, 11, 13, 4, 3, 3],
            [7, 8, 6, 5, 4, 4],
            [3, 7, 5, 6, 2, 2],
            [2, 6, 5, 10, 2, 2],
            [67, 11, 11, 8, 2, 2],
            [3, 4, 3, 17, 3, 3],
        ]
        .map(|[batch, height, width, channels, window_height, window_width]| Self {
            batch,
            height,
            width,
            channels,
            window_height,
            window_width,
        })
        .into()
    }

    /// Those with an even number of channels, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        Self::awkward().into_iter().filter(|windows| windows.channels.is_multiple_of(2)).collect()
    }
}
