//! One value for each pixel of a picture.

use image::{ImageBuffer, Luma};
use imageproc::filter::gaussian_blur_f32;

/// Values row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map<T> {
    /// Pixels of a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// `values[y * width + x]`.
    pub(super) values: Vec<T>,
}

impl<T: Copy> Map<T> {
    /// The same value everywhere.
    pub(super) fn filled(width: usize, height: usize, value: T) -> Self {
        Self { width, height, values: vec![value; width * height] }
    }

    /// The value of a function for each pixel.
    pub(super) fn from_fn(width: usize, height: usize, mut value: impl FnMut(usize, usize) -> T) -> Self {
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            values.extend((0..width).map(|x| value(x, y)));
        }
        Self { width, height, values }
    }

    pub(super) fn at(&self, x: usize, y: usize) -> T {
        self.values[y * self.width + x]
    }

    /// The value of the pixel in which a point lies; none outside.
    pub(super) fn around(&self, point: [f32; 2]) -> Option<T> {
        let [x, y] = point.map(|place| place.round());
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        inside.then(|| self.at(x as usize, y as usize))
    }

    /// Another map, by a function of each value.
    pub(super) fn map<U>(&self, change: impl Fn(T) -> U) -> Map<U> {
        Map { width: self.width, height: self.height, values: self.values.iter().map(|&value| change(value)).collect() }
    }

    /// A map of both values of each pixel.
    pub(super) fn with<U: Copy, V>(&self, other: &Map<U>, both: impl Fn(T, U) -> V) -> Map<V> {
        let values = self.values.iter().zip(&other.values).map(|(&a, &b)| both(a, b)).collect();
        Map { width: self.width, height: self.height, values }
    }

    /// The longer side.
    pub(super) fn side(&self) -> usize {
        self.width.max(self.height)
    }
}

impl Map<f32> {
    /// The values of the outermost rows and columns.
    pub(super) fn border(&self) -> Vec<f32> {
        let (right, bottom) = (self.width - 1, self.height - 1);
        let rows = (0..self.width).flat_map(|x| [self.at(x, 0), self.at(x, bottom)]);
        rows.chain((0..self.height).flat_map(|y| [self.at(0, y), self.at(right, y)])).collect()
    }

    /// Smoothed by a Gaussian.
    pub(super) fn blurred(&self, sigma: f32) -> Self {
        let image: ImageBuffer<Luma<f32>, Vec<f32>> =
            ImageBuffer::from_raw(self.width as u32, self.height as u32, self.values.clone())
                .expect("a map has a value for each pixel");
        Self { values: gaussian_blur_f32(&image, sigma).into_raw(), ..*self }
    }

    /// The extreme of the square around each pixel, `radius` pixels to each side.
    ///
    /// Method: running extremes of blocks from both ends, three comparisons a pixel for any radius (van Herk, "A fast
    /// algorithm for local minimum and maximum filters", 1992).
    pub(super) fn extremes(&self, radius: usize, extreme: fn(f32, f32) -> f32) -> Self {
        let mut result = self.clone();
        for y in 0..self.height {
            let row = y * self.width..(y + 1) * self.width;
            running_extremes(&mut result.values[row], radius, extreme);
        }
        let mut column = vec![0.0; self.height];
        for x in 0..self.width {
            for (y, value) in column.iter_mut().enumerate() {
                *value = result.values[y * self.width + x];
            }
            running_extremes(&mut column, radius, extreme);
            for (y, value) in column.iter().enumerate() {
                result.values[y * self.width + x] = *value;
            }
        }
        result
    }

    /// The value that a share of all values is below.
    pub(super) fn quantile(&self, share: f32) -> f32 {
        quantile(&mut self.values.clone(), share)
    }
}

/// The value that a share of the values is below; 0 if there is none. The values are reordered.
pub(super) fn quantile(values: &mut [f32], share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = (share * (values.len() - 1) as f32) as usize;
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// The value for which those at least as high have a share of all weights, from values and their weights; none if there
/// are no values.
pub(super) fn highest(values: impl Iterator<Item = (f32, f32)>, share: f32) -> Option<f32> {
    let mut values: Vec<(f32, f32)> = values.collect();
    values.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all: f32 = values.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let reached = values.into_iter().find(|(_, weight)| {
        sum += weight;
        sum >= share * all
    });
    reached.map(|(value, _)| value)
}

fn running_extremes(line: &mut [f32], radius: usize, extreme: fn(f32, f32) -> f32) {
    let (length, window) = (line.len(), 2 * radius + 1);
    let (mut ahead, mut behind) = (line.to_vec(), line.to_vec());
    for i in 1..length {
        if i % window != 0 {
            ahead[i] = extreme(ahead[i], ahead[i - 1]);
        }
        let j = length - 1 - i;
        if (j + 1) % window != 0 {
            behind[j] = extreme(behind[j], behind[j + 1]);
        }
    }
    for (i, value) in line.iter_mut().enumerate() {
        let (first, last) = (i.saturating_sub(radius), (i + radius).min(length - 1));
        // Both ends lie in one block or in neighbouring ones.
        *value = if first / window == last / window {
            // Only at the ends of a line, where the window is cut: the block's extreme from its own end.
            if first % window == 0 { ahead[last] } else { behind[first] }
        } else {
            extreme(behind[first], ahead[last])
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn extremes_are_those_of_each_square() {
        let mut random = Random::new(1, 0);
        for (width, height, radius) in [(1, 1, 3), (7, 5, 1), (13, 4, 2), (9, 20, 6), (5, 5, 9)] {
            let map = Map::from_fn(width, height, |_, _| random.uniform(0.0, 1.0));
            for extreme in [f32::max, f32::min] {
                let wanted = Map::from_fn(width, height, |x, y| {
                    let rows = y.saturating_sub(radius)..(y + radius + 1).min(height);
                    let columns = x.saturating_sub(radius)..(x + radius + 1).min(width);
                    let square = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
                    square.map(|(x, y)| map.at(x, y)).reduce(extreme).unwrap()
                });
                assert_eq!(map.extremes(radius, extreme), wanted, "{width}x{height}, {radius}");
            }
        }
    }

    #[test]
    fn a_quantile_is_a_value_that_its_share_is_below() {
        let map = Map::from_fn(11, 1, |x, _| 10.0 - x as f32);
        assert_eq!([0.0, 0.5, 1.0].map(|share| map.quantile(share)), [0.0, 5.0, 10.0]);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn the_highest_values_have_a_share_of_the_weights() {
        let values = [(1.0, 1.0), (3.0, 2.0), (2.0, 1.0)];
        assert_eq!(
            [0.25, 0.5, 0.7, 1.0].map(|share| highest(values.into_iter(), share).unwrap()),
            [3.0, 3.0, 2.0, 1.0]
        );
        assert_eq!(highest([].into_iter(), 0.5), None);
    }
}
