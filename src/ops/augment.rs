//! The start of a training step with augmentation: gather the batch, each image seen through a random map of its own.
//!
//! Everything is a whole number until the last multiplication. So all devices compute the same map and the same grey
//! levels, to the bit: no rounding depends on a driver, which may fuse `a * b + c`, and no sine or cosine is needed.
//! Amounts and maps have 14 fractional bits, places in an image 8, grey levels 16, and shares of grey levels 7; with
//! the limits of [`Augment`] and of [`BatchAugment::MOST_SIDE`], all numbers on the way stay below 2^31.

mod elastic;
mod seen;

use std::sync::Arc;

use super::batch::{BatchGather, CLOCK_LENGTH, Image};
use super::half::{Half, InHalf};
use super::threefry::threefry2x32;
use crate::augment::Augment;
use crate::op::{AdapterClass, Cost, Op, Operand, Shader, Sizes, Variant, shader};
use crate::random::Random;
use crate::tensor::HostTensor;

pub use elastic::ElasticField;
use elastic::{POINTS, displacement};
pub(crate) use seen::View;

/// The key of the random numbers: no layer has it, whose keys are its number or a hash.
const KEY: u32 = u32::MAX;

/// Fractional bits of amounts and maps, and the number 1.
const BITS: u32 = 14;
const ONE: i32 = 1 << BITS;

/// Changes of a test: some of each kind, and the most of each but the movements, which would leave nothing to see.
const SOME: &str = "rotate 20, zoom 0.2, stretch 0.2, shear 10, shift 1, elastic 3, pen 0.8, blur 0.5";
const MUCH: &str = "rotate 90, zoom 0.9, stretch 0.9, shear 45, shift 1.5, elastic 5, pen 1, blur 1";

/// The most words that an invocation computes in software.
const MOST_RUN_WORDS: usize = 28;

/// The two shaders of one file, which has a constant for the words of an invocation.
macro_rules! run_and_plain {
    (f32 $run:literal $plain:literal) => {
        run_and_plain!("shared/floats_f32" $run $plain)
    };
    (f16 $run:literal $plain:literal) => {
        run_and_plain!("shared/floats_f16" $run $plain)
    };
    ($floats:literal $run:literal $plain:literal) => {
        [run_and_plain!($floats $run), run_and_plain!($floats $plain)]
    };
    ($floats:literal $name:literal) => {
        shader!(
            $name: "shared/linear", $floats, "shared/threefry", "shared/amounts", "shared/elastic_grid", "shared/elastic",
            "shared/batch_gather", "batch_augment"
        )
    };
}

/// As [`BatchGather`], with each image seen through a random map of its own.
///
/// The map is affine around the image's centre: a rotation of what is stretched, slanted and zoomed, and a movement. It
/// gives a place in the image for each pixel; the grid of an [`ElasticField`] displaces it. The pixel is interpolated there
/// between the nearest four; outside of the image is what its edge is, or background, the byte 0. Then the four blur it,
/// and make strokes thicker or thinner. The random numbers are a pure function of seed, step and the sample's place in
/// the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchAugment {
    /// The batch without augmentation.
    pub gather: BatchGather,
    /// Pixels of a row of an image.
    pub width: usize,
    /// Bytes of a pixel.
    pub channels: usize,
    /// Whether the pixels of the edge go on outside of an image, as in photographs; otherwise there is background.
    pub edge: bool,
    /// The largest changes.
    pub augment: Augment,
}

/// How a sample's image is seen.
struct Map {
    /// How far the place moves per pixel to the right, and per pixel downwards.
    right: [i32; 2],
    down: [i32; 2],
    /// The place of the centre.
    centre: [i32; 2],
    /// The share of the lightest or, below 0, of the darkest of four.
    pen: i32,
    /// The share of the mean of four.
    blur: i32,
}

impl BatchAugment {
    /// Sizes at which kernels often fail: each kind of change alone, all together, and as much as there may be.
    pub(super) fn awkward() -> Vec<Self> {
        let nothing = Self::of((3, 784, 7, 12), 28, 1, "none");
        let one = Self::of((5, 36, 11, 35), 6, 1, "none");
        let alone = Augment::each().map(|augment| Self { augment, ..one });
        let sizes = [
            Self::of((1, 1, 1, 1), 1, 1, SOME),
            Self::of((2, 4, 5, 4), 1, 1, SOME),
            Self::of((3, 784, 7, 12), 28, 1, SOME),
            Self::of((5, 9, 11, 35), 3, 3, SOME),
            Self::of((66, 49, 31, 66), 7, 1, SOME),
            Self::of((3, 7 * 5 * 3, 5, 9), 5, 3, MUCH),
            Self::of((4, 29 * 31, 5, 8), 31, 1, MUCH),
        ];
        alone.chain([nothing]).chain(sizes).collect()
    }

    /// The same with an even number of pixels, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        vec![
            Self::of((1, 2, 1, 1), 1, 1, SOME),
            Self::of((3, 784, 7, 12), 28, 1, "none"),
            Self::of((5, 10, 11, 35), 5, 2, SOME),
            Self::of((66, 50, 31, 66), 5, 1, SOME),
            Self::of((3, 6 * 5 * 3, 5, 9), 5, 3, MUCH),
        ]
    }

    fn of(sizes: (usize, usize, usize, usize), width: usize, channels: usize, augment: &str) -> Self {
        let augment = augment.parse().unwrap_or_default();
        // Sizes with several channels are those of photographs.
        Self { gather: BatchGather::normalized(sizes), width, channels, edge: channels > 1, augment }
    }

    /// The most pixels of a side.
    pub const MOST_SIDE: usize = 1 << 13;

    /// The op that makes the grids of the elastic deformation.
    pub fn field(&self) -> ElasticField {
        let [.., most, _, _] = self.most();
        ElasticField { batch: self.gather.batch, most: most.1 as i32 }
    }

    fn height(&self) -> usize {
        self.gather.pixels / (self.width * self.channels)
    }

    /// The largest changes as whole numbers, by the names that they have in the shaders.
    fn most(&self) -> [(&'static str, f64); 8] {
        let Augment { rotate, zoom, stretch, shear, shift, elastic, pen, blur } = self.augment;
        let one = f64::from(ONE);
        [
            ("most_turn", one * (rotate.to_radians() / 2.0).tan()),
            ("most_zoom", one * zoom),
            ("most_stretch", one * stretch),
            ("most_slant", one * shear.to_radians().tan()),
            ("most_move", 256.0 * shift),
            ("most_elastic", 256.0 * elastic),
            ("most_pen", 128.0 * pen),
            ("most_blur", 128.0 * blur),
        ]
        .map(|(name, most)| (name, most.round()))
    }

    /// The random amounts of a sample: turn, zoom, stretch, slant, movements, pen and blur.
    fn amounts(&self, n: usize, clock: &[u32]) -> [i32; 8] {
        let [step, _, seed, _] = clock else { unreachable!("a clock has {CLOCK_LENGTH} words") };
        let words = |call: usize| threefry2x32([*seed, KEY], [(2 * n + call) as u32, *step]);
        let ([a, b], [c, d]) = (words(0), words(1));
        let [turn, zoom, stretch, slant, movement, _, pen, blur] = self.most().map(|(_, most)| most as i32);
        let low = |word: u32, most| amount(word & 0xffff, most);
        let high = |word: u32, most| amount(word >> 16, most);
        [
            low(a, turn),
            high(a, zoom),
            low(b, stretch),
            high(b, slant),
            low(c, movement),
            high(c, movement),
            low(d, pen),
            high(d, blur),
        ]
    }

    fn map(&self, [turn, zoom, stretch, slant, x, y, pen, blur]: [i32; 8]) -> Map {
        // A rotation by the tangent of half its angle.
        let square = (turn * turn) >> BITS;
        let cosine = ((ONE - square) << BITS) / (ONE + square);
        let sine = ((2 * turn) << BITS) / (ONE + square);
        let down = ONE + zoom;
        let right = (down * (ONE + stretch)) >> BITS;
        Map {
            right: [(cosine * right) >> BITS, (sine * right) >> BITS],
            down: [(cosine * slant - sine * down) >> BITS, (sine * slant + cosine * down) >> BITS],
            centre: [128 * (self.width as i32 - 1) + x, 128 * (self.height() as i32 - 1) + y],
            pen,
            blur: blur.abs(),
        }
    }

    /// A byte of a pixel as it is seen, with 16 fractional bits, from a place that is displaced.
    fn grey(&self, map: &Map, image: &Image<'_>, [y, x, c]: [usize; 3], displaced: [i32; 2]) -> i32 {
        let (width, height) = (self.width as i32, self.height() as i32);
        // Twice the distance from the centre is a whole number.
        let (right, down) = (2 * x as i32 - (width - 1), 2 * y as i32 - (height - 1));
        let place = |axis: usize| {
            map.centre[axis] + displaced[axis] + ((map.right[axis] * right + map.down[axis] * down) >> (BITS - 7))
        };
        let ([left, top], [x, y]) = ([place(0) >> 8, place(1) >> 8], [place(0) & 255, place(1) & 255]);
        let byte = |y: i32, x: i32| {
            let (x, y) = if self.edge { (x.clamp(0, width - 1), y.clamp(0, height - 1)) } else { (x, y) };
            let is_inside = (0..width).contains(&x) && (0..height).contains(&y);
            let p = || (y as usize * self.width + x as usize) * self.channels + c;
            if is_inside { i32::from(image.byte(p())) } else { 0 }
        };
        let [a, b, c, d] = [byte(top, left), byte(top, left + 1), byte(top + 1, left), byte(top + 1, left + 1)];
        let grey = (a * (256 - x) + b * x) * (256 - y) + (c * (256 - x) + d * x) * y;
        let grey = grey + (((((a + b + c + d) << 14) - grey) * map.blur) >> 7);
        let extreme = if map.pen > 0 { a.max(b).max(c).max(d) } else { a.min(b).min(c).min(d) };
        grey + ((((extreme << 16) - grey) * map.pen.abs()) >> 7)
    }

    /// An image through its map and its grid, which is empty if nothing is displaced.
    fn see(&self, map: &Map, grid: &[u32], image: &Image<'_>, output: &mut [f32]) {
        let BatchGather { scale, shift, .. } = self.gather;
        let sides = [self.width, self.height()];
        for (p, output) in output.iter_mut().enumerate() {
            let (pixel, c) = (p / self.channels, p % self.channels);
            let (x, y) = (pixel % self.width, pixel / self.width);
            let displaced = if grid.is_empty() { [0; 2] } else { displacement(grid, [x, y], sides) };
            let grey = self.grey(map, image, [y, x, c], displaced);
            *output = grey as f32 * (scale as f32 / 65536.0) + shift as f32;
        }
    }

    /// The variants of this shader, whose words have so many floats: a run of words for an invocation in software,
    /// where it then finds its map once for all of them, and a word elsewhere.
    fn in_runs(&self, [run, plain]: [Shader; 2], floats: usize) -> Vec<Variant> {
        let words = self.gather.batch * self.gather.pixels / floats;
        let row = self.gather.pixels / floats;
        let of = (1..=MOST_RUN_WORDS).rev().find(|&of| row.is_multiple_of(of)).unwrap_or(1);
        let variant = |shader, of: usize| Variant::linear(shader, words / of, of).constant("words", of);
        vec![variant(run, of).made_for(AdapterClass::SOFTWARE), variant(plain, 1)]
    }
}

/// A random amount from `-most` to `most`, by 16 random bits.
fn amount(bits: u32, most: i32) -> i32 {
    ((bits as i32 - (1 << 15)) * most + (1 << 14)) >> 15
}

impl Op for BatchAugment {
    fn name(&self) -> &'static str {
        "batch_augment"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let own = [
            ("width", self.width as f64),
            ("channels", self.channels as f64),
            ("edge", f64::from(u8::from(self.edge))),
            ("key", f64::from(KEY)),
        ];
        self.gather.sizes().into_iter().chain(own).chain(self.most()).collect()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        let gather = self.gather.resized(sizes)?;
        (gather.pixels == self.gather.pixels).then(|| Arc::new(Self { gather, ..*self }) as _)
    }

    fn operands(&self) -> Vec<Operand> {
        self.gather.operands().into_iter().chain([self.field().operand()]).collect()
    }

    fn variants(&self) -> Vec<Variant> {
        self.in_runs(run_and_plain!(f32 "batch_augment.run" "batch_augment"), 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let (clock, field) = (tensors[3].clone(), tensors[6].clone());
        let is_elastic = self.field().most > 0;
        self.gather.gather(&mut tensors[..6], |n, image, output| {
            let map = self.map(self.amounts(n, clock.u32()));
            let grid = if is_elastic { &field.u32()[n * POINTS * POINTS..] } else { &[] };
            self.see(&map, grid, &image, output);
        });
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn flops(&self) -> u64 {
        self.gather.flops()
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        operand == "field" && self.field().most == 0
    }

    /// As if each byte of the batch's images were read once.
    fn cost(&self) -> Cost {
        let Cost { flops, bytes } = self.gather.cost();
        let field = if self.leaves_unread("field") { 0 } else { self.field().operand().traffic_bytes() };
        Cost { flops, bytes: bytes + field }
    }

    /// Grey levels are exact, so that only their normalisation is rounded.
    fn tolerance(&self) -> f64 {
        self.gather.tolerance()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mut tensors = self.gather.test_inputs(random);
        tensors.push(self.field().test_field(random));
        tensors
    }
}

impl InHalf for BatchAugment {
    const NAME: &'static str = "batch_augment_f16";
    const HALVES: &'static [&'static str] = &["output"];

    fn half_variants(&self) -> Vec<Variant> {
        self.in_runs(run_and_plain!(f16 "batch_augment_f16.run" "batch_augment_f16"), 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::batch::NO_SAMPLE;

    /// Grey images of 3x3 pixels.
    const SMALL: BatchAugment = BatchAugment {
        gather: BatchGather { batch: 2, pixels: 9, count: 2, order_length: 4, scale: 1.0, shift: 0.0 },
        width: 3,
        channels: 1,
        edge: false,
        augment: Augment::NONE,
    };

    fn seen(op: &BatchAugment, amounts: [i32; 8]) -> Vec<f32> {
        let mut tensors = op.test_inputs(&mut Random::new(0, 0));
        tensors[0] = HostTensor::from_u32([5], &[0x1e14_0a64, 0x463c_3228, 0x50, 0, 0]);
        tensors[2] = HostTensor::from_u32([4], &[0; 4]);
        let map = op.map(amounts);
        let place = |p: usize| [p / op.channels / op.width, p / op.channels % op.width, p % op.channels];
        op.gather.gather(&mut tensors[..6], |_, image, output| {
            output
                .iter_mut()
                .enumerate()
                .for_each(|(p, output)| *output = op.grey(&map, &image, place(p), [0; 2]) as f32 / 65536.0);
        });
        tensors[4].f32()[..op.gather.pixels].to_vec()
    }

    #[test]
    fn without_changes_the_batch_is_the_plain_one_to_the_bit() {
        for op in BatchAugment::awkward() {
            let op = BatchAugment { augment: Augment::NONE, ..op };
            let mut augmented = op.test_inputs(&mut Random::new(1, 0));
            let mut plain = augmented.clone();
            op.reference(&mut augmented);
            op.gather.reference(&mut plain[..6]);
            assert_eq!(augmented, plain, "{op:?}");
        }
    }

    #[test]
    fn each_amount_changes_what_it_is_named_after() {
        let amounts = |place: usize, amount: i32| {
            let mut amounts = [0; 8];
            amounts[place] = amount;
            seen(&SMALL, amounts)
        };
        // The image, row by row.
        let image = [100.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0];
        assert_eq!(amounts(0, 0), image);
        assert_eq!(amounts(0, -ONE), [60.0, 30.0, 100.0, 70.0, 40.0, 10.0, 80.0, 50.0, 20.0], "a quarter turn");
        assert_eq!(amounts(0, ONE), [20.0, 50.0, 80.0, 10.0, 40.0, 70.0, 100.0, 30.0, 60.0], "the other way");
        assert_eq!(amounts(1, ONE)[4], 40.0, "the centre stays");
        assert_eq!(amounts(1, ONE)[0], 0.0, "from two pixels away is background");
        assert_eq!(amounts(1, -ONE / 2), [45.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0], "half as far away");
        assert_eq!(amounts(2, -ONE / 2), [55.0, 10.0, 15.0, 35.0, 40.0, 45.0, 65.0, 70.0, 75.0], "along a row");
        assert_eq!(amounts(3, ONE), [0.0, 100.0, 10.0, 30.0, 40.0, 50.0, 70.0, 80.0, 0.0], "rows slide");
        assert_eq!(amounts(4, 256), [10.0, 20.0, 0.0, 40.0, 50.0, 0.0, 70.0, 80.0, 0.0], "a pixel to the left");
        assert_eq!(amounts(5, -128)[..3], [50.0, 5.0, 10.0], "half a pixel downwards, with background above");
        assert_eq!(amounts(6, 128)[4..6], [80.0, 80.0], "the lightest of four");
        assert_eq!(amounts(6, -64)[..2], [55.0, 10.0], "half the darkest of four");
        assert_eq!(amounts(7, -128)[0], 45.0, "the mean of four");
        assert_eq!(amounts(7, 64)[0], 72.5, "half of it");
    }

    #[test]
    fn the_edge_goes_on_outside_of_a_photograph() {
        let op = BatchAugment { edge: true, ..SMALL };
        let moved = |x: i32, y: i32| seen(&op, [0, 0, 0, 0, 256 * x, 256 * y, 0, 0]);
        assert_eq!(moved(1, 0), [10.0, 20.0, 20.0, 40.0, 50.0, 50.0, 70.0, 80.0, 80.0]);
        assert_eq!(moved(-9, -9), [100.0; 9], "the first pixel");
    }

    #[test]
    fn maps_differ_between_samples_and_steps_and_repeat_with_the_seed() {
        let op = BatchAugment { augment: SOME.parse().unwrap(), ..SMALL };
        let all = |seed: u32| -> Vec<[i32; 8]> {
            let places = (0..50).flat_map(|step| (0..20).map(move |n| (n, [step, 9, seed, 0])));
            places.map(|(n, clock)| op.amounts(n, &clock)).collect()
        };
        let (first, again, other) = (all(3), all(3), all(4));
        assert_eq!(first, again);
        assert_ne!(first, other);
        let mut different = [first, other].concat();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 2000);
    }

    #[test]
    fn amounts_are_spread_evenly_between_their_limits() {
        let op = BatchAugment { augment: "zoom 0.5, pen 1".parse().unwrap(), ..SMALL };
        let amounts: Vec<[i32; 8]> = (0..10_000).map(|n| op.amounts(n, &[0, 0, 5, 0])).collect();
        for (place, most) in [(1, f64::from(ONE) / 2.0), (6, 128.0)] {
            let shares = || amounts.iter().map(|amounts| f64::from(amounts[place]) / most);
            assert!(shares().all(|share| share.abs() <= 1.0));
            let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / 10_000.0;
            // Five standard deviations of the mean, and of the mean of squares.
            assert!(mean(&mut shares()).abs() < 5.0 * (1.0_f64 / 3e4).sqrt() + 0.01);
            assert!((mean(&mut shares().map(|share| share * share)) - 1.0 / 3.0).abs() < 0.02);
        }
        assert!(amounts.iter().all(|amounts| amounts[0] == 0 && amounts[7] == 0), "what is not asked for");
    }

    #[test]
    fn a_place_without_a_sample_stays_empty() {
        let op = BatchAugment { augment: SOME.parse().unwrap(), ..SMALL };
        let mut tensors = op.test_inputs(&mut Random::new(0, 0));
        tensors[2] = HostTensor::from_u32([4], &[NO_SAMPLE; 4]);
        op.reference(&mut tensors);
        assert!(tensors[4].f32().iter().all(|&value| value == 0.0));
    }
}
