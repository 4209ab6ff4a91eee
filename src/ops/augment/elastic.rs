//! Elastic deformations of training images (Simard, Steinkraus and Platt, "Best practices for convolutional neural
//! networks applied to visual document analysis", 2003): each pixel moves by a smooth random displacement.
//!
//! Simard smooths a random displacement of each pixel by a Gaussian. Here a coarse grid has random displacements, and a
//! uniform cubic B-spline, whose shape is nearly a Gaussian's, is laid through it. An image has 4 cells along each axis,
//! whatever its size. On an image of 28x28 pixels a cell then has 7, and the spline the deviation of 7/√3 = 4.0 pixels:
//! Simard's sigma of 4. A displacement is at most the amount asked for, and on average, as a root mean square, 0.28 of it.
//! Simard's alpha of 34 has 1.4 pixels, as `elastic 5` has.

use std::sync::Arc;

use super::amount;
use crate::op::{Op, Operand, Sizes, Variant, shader};
use crate::ops::batch::CLOCK_LENGTH;
use crate::ops::threefry::threefry2x32;
use crate::random::Random;
use crate::tensor::DType::U32;
use crate::tensor::HostTensor;

/// The key of the random numbers: no layer has it, and neither have the maps.
const KEY: u32 = u32::MAX - 1;

/// Cells of the grid along each axis, and its points: a spline needs one before each cell, and two behind it.
const CELLS: usize = 4;
pub(super) const POINTS: usize = CELLS + 3;

/// Fractional bits of a place in a cell, and of a spline's weights.
const CELL_BITS: u32 = 9;
const CELL: i32 = 1 << CELL_BITS;
const WEIGHT_BITS: u32 = 10;

/// `clock` to `field`: a random displacement for each point of each sample's grid, `x` in the low half of a word and `y`
/// in the high half, both with 8 fractional bits of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElasticField {
    /// Samples of a batch.
    pub batch: usize,
    /// The largest displacement along an axis, with 8 fractional bits of a pixel.
    pub most: i32,
}

impl ElasticField {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [(1, 0), (1, 1), (5, 1280), (85, 25_600)].map(|(batch, most)| Self { batch, most }).into()
    }

    /// The grids' operand, of no use and as small as can be where nothing is displaced.
    pub(super) fn operand(&self) -> Operand {
        let grids = Operand::read("field", U32, [self.batch, POINTS, POINTS]);
        if self.most == 0 { Operand::read("field", U32, [1]) } else { grids }
    }

    /// Random displacements for a test.
    pub(super) fn test_field(&self, random: &mut Random) -> HostTensor {
        let shape = self.operand().shape;
        let words: Vec<u32> = (0..shape.len()).map(|_| self.displacement(random.bits())).collect();
        HostTensor::from_u32(shape, &words)
    }

    /// The displacement that a random word gives.
    fn displacement(&self, word: u32) -> u32 {
        let [x, y] = [word & 0xffff, word >> 16].map(|bits| amount(bits, self.most) as u32);
        (x & 0xffff) | (y << 16)
    }
}

impl Op for ElasticField {
    fn name(&self) -> &'static str {
        "elastic_field"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("most_elastic", f64::from(self.most)), ("key", f64::from(KEY))]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { batch: sizes.size("batch")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let field = [self.batch, POINTS, POINTS];
        vec![Operand::read("clock", U32, [CLOCK_LENGTH]), Operand::write("field", U32, field)]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!(
            "elastic_field": "shared/linear", "shared/threefry", "shared/amounts", "shared/elastic_grid", "elastic_field"
        );
        vec![Variant::linear(shader, self.batch * POINTS * POINTS, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [clock, field] = tensors else { unreachable!("two operands") };
        let [step, _, seed, _] = clock.u32() else { unreachable!("a clock has {CLOCK_LENGTH} words") };
        for (i, point) in field.u32_mut().iter_mut().enumerate() {
            *point = self.displacement(threefry2x32([*seed, KEY], [i as u32, *step])[0]);
        }
    }

    /// Itself: it has no floats.
    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(*self))
    }

    /// Whole numbers only.
    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let clock = [random.below(1000), random.below(10), random.bits(), 0];
        let field = HostTensor::zeros(U32, [self.batch, POINTS, POINTS].into());
        vec![HostTensor::from_u32([CLOCK_LENGTH], &clock), field]
    }
}

/// The displacement of a pixel along x and y, by its sample's grid, with 8 fractional bits of a pixel.
pub(super) fn displacement(grid: &[u32], [x, y]: [usize; 2], [width, height]: [usize; 2]) -> [i32; 2] {
    let ((column, across), (row, down)) = (around(x, width), around(y, height));
    [0, 16].map(|shift| {
        let point = |row: usize, column: usize| i32::from((grid[row * POINTS + column] >> shift) as i16);
        let of_column = |column: usize| -> i32 { (0..4).map(|i| down[i] * point(row + i, column)).sum::<i32>() >> 5 };
        (0..4).map(|i| across[i] * of_column(column + i)).sum::<i32>() >> (2 * WEIGHT_BITS - 5)
    })
}

/// The first of the four points around a pixel's middle along an axis, and their weights.
fn around(pixel: usize, side: usize) -> (usize, [i32; 4]) {
    let place = (2 * pixel + 1) * (CELLS << (CELL_BITS - 1)) / side;
    (place >> CELL_BITS, spline(place as i32 & (CELL - 1)))
}

/// The weights of the four points around a place in a cell: those of a uniform cubic B-spline. Their sum is 1.
fn spline(after: i32) -> [i32; 4] {
    const CUBES: i32 = 6 << (3 * CELL_BITS - WEIGHT_BITS);
    let before = CELL - after;
    let first = before * before * before / CUBES;
    let second = ((3 * after - 6 * CELL) * after * after + (4 << (3 * CELL_BITS))) / CUBES;
    let last = after * after * after / CUBES;
    [first, second, (1 << WEIGHT_BITS) - first - second - last, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(batch: usize, most: i32, step: u32) -> Vec<u32> {
        let op = ElasticField { batch, most };
        let mut tensors = op.test_inputs(&mut Random::new(0, 0));
        tensors[0] = HostTensor::from_u32([CLOCK_LENGTH], &[step, 0, 7, 0]);
        op.reference(&mut tensors);
        tensors[1].u32().to_vec()
    }

    #[test]
    fn the_weights_are_a_cubic_b_splines() {
        assert_eq!(spline(0), [170, 682, 172, 0], "1/6, 4/6, 1/6 and 0, in 1024ths");
        assert_eq!(spline(CELL / 2), [21, 490, 492, 21], "1/48, 23/48, 23/48 and 1/48");
        for after in 0..CELL {
            let t = f64::from(after) / f64::from(CELL);
            let wanted = [(1.0 - t).powi(3), 3.0 * t.powi(3) - 6.0 * t * t + 4.0, 0.0, t.powi(3)];
            let weights = spline(after);
            for place in [0, 1, 3] {
                assert!((f64::from(weights[place]) - wanted[place] / 6.0 * 1024.0).abs() <= 1.0, "{after} {place}");
            }
            assert_eq!(weights.iter().sum::<i32>(), 1024);
        }
    }

    #[test]
    fn a_grid_that_moves_as_a_whole_moves_each_pixel_as_far() {
        let all = |x: i16, y: i16| vec![u32::from(x as u16) | u32::from(y as u16) << 16; POINTS * POINTS];
        for sides in [[1, 1], [28, 28], [5, 31], [8192, 3]] {
            for pixel in [[0, 0], [sides[0] / 2, sides[1] / 2], [sides[0] - 1, sides[1] - 1]] {
                assert_eq!(displacement(&all(25_600, -25_600), pixel, sides), [25_600, -25_600], "{sides:?} {pixel:?}");
                assert_eq!(displacement(&all(-3, 300), pixel, sides), [-3, 300], "{sides:?} {pixel:?}");
            }
        }
    }

    #[test]
    fn one_point_moves_what_is_near_it() {
        let mut grid = vec![0; POINTS * POINTS];
        // The point at the image's middle: 8 pixels to the right.
        grid[3 * POINTS + 3] = 8 * 256;
        let of = |x: usize, y: usize| displacement(&grid, [x, y], [64, 64]);
        assert_eq!(of(0, 32), [0, 0], "more than two cells away");
        assert!(of(31, 31)[0] > 850 && of(31, 31)[0] < 911, "4/9 of it near the point: {:?}", of(31, 31));
        assert!(of(31, 31)[1] == 0 && of(31, 31)[0] > of(31, 16)[0] && of(31, 16)[0] > of(31, 1)[0]);
    }

    #[test]
    fn displacements_are_as_large_and_as_smooth_as_simards() {
        let (batch, side) = (400, 28);
        // On average over a cell, the squares of an axis' weights add up to 151/315.
        let wanted = 5.0 * (1.0_f64 / 3.0).sqrt() * 151.0 / 315.0;
        let grids = grid(batch, 5 * 256, 3);
        let (mut squares, mut products, mut count) = (0.0, 0.0, 0.0);
        for grid in grids.chunks_exact(POINTS * POINTS) {
            for (x, y) in (0..side - 6).flat_map(|x| (0..side).map(move |y| (x, y))) {
                let [here, there] = [x, x + 6].map(|x| displacement(grid, [x, y], [side, side]));
                let along = |axis: usize| (f64::from(here[axis]) / 256.0, f64::from(there[axis]) / 256.0);
                for (here, there) in [along(0), along(1)] {
                    assert!(here.abs() <= 5.0);
                    squares += here * here;
                    products += here * there;
                    count += 1.0;
                }
            }
        }
        let rms = (squares / count).sqrt();
        assert!((rms - wanted).abs() < 0.05 && (rms - 1.38).abs() < 0.06, "{rms}, wanted {wanted}");
        // Of Simard's at sigma 4, exp(-6² / (4 · 4²)) = 0.57 are left 6 pixels away.
        let correlation = products / squares;
        assert!((correlation - 0.57).abs() < 0.08, "{correlation}");
    }

    #[test]
    fn grids_differ_between_samples_and_steps() {
        let grids = [grid(3, 1000, 1), grid(3, 1000, 2)].concat();
        let mut different: Vec<&[u32]> = grids.chunks_exact(POINTS * POINTS).collect();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 6);
    }
}
