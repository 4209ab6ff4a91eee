//! Dropout (Srivastava et al. 2014), inverted: kept elements are scaled up, so that evaluation needs no change.
//!
//! ```text
//! output[i] = input[i] / (1 - rate) if element i is kept, else 0
//! ```
//!
//! Whether an element is kept is a pure function of (seed, layer, step, i), computed with the counter-based generator
//! Threefry-2x32-20. So no mask is stored: the gradient of dropout is dropout of the gradient, and the backward pass
//! runs the same op.
//!
//! The generator makes 64 bits at a time, and four neighbours share them. So a rate is a multiple of 2^-16, the nearest
//! one, and what is kept is scaled by that one.

use std::sync::Arc;

use rayon::prelude::*;

use super::batch::CLOCK_LENGTH;
use super::fours::{in_fours, plain_and_quad};
use super::half::{Half, InHalf};
use super::threefry::threefry2x32;
use crate::op::{Op, Operand, Shader, Sizes, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Different numbers that the random bits of an element may be.
const RANGE: f64 = (1 << 16) as f64;

/// Elements that share a call of the generator.
const SHARERS: usize = 4;

/// A rate at which the last of so many elements of a test, in layer 1, is just kept: its bits equal the threshold.
fn boundary_rate(length: usize) -> f64 {
    let op = DropoutApply { length, rate: 0.0, layer: 1 };
    let tensors = op.test_inputs(&mut Random::new(0, 0));
    f64::from(op.bits((length - 1) / SHARERS, tensors[1].u32())[(length - 1) % SHARERS]) / RANGE
}

/// `input`, `clock` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutApply {
    /// Elements.
    pub length: usize,
    /// The fraction that is dropped, in [0, 1).
    pub rate: f64,
    /// The key of its random numbers, which the layer before and after must not share: see
    /// [`Recorder::random_key`](crate::layers::Recorder::random_key).
    pub layer: usize,
}

impl DropoutApply {
    /// The least rate above 0. The largest below 1 is as far from 1.
    pub(crate) const LEAST_RATE: f64 = 1.0 / RANGE;

    /// An element is dropped if its random bits are below this.
    fn threshold(&self) -> u32 {
        (self.rate * RANGE).round() as u32
    }

    fn scale(&self) -> f64 {
        RANGE / (RANGE - f64::from(self.threshold()))
    }

    /// The random bits of four neighbours.
    fn bits(&self, quad: usize, clock: &[u32]) -> [u32; SHARERS] {
        let [step, _, seed, _] = clock else { unreachable!("a clock has {CLOCK_LENGTH} words") };
        let [first, second] = threefry2x32([*seed, self.layer as u32], [quad as u32, *step]);
        [first >> 16, first & 0xffff, second >> 16, second & 0xffff]
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        let lengths = [(1009, 0.25, 2), (4099, 0.9, 3), (4 * 64 * 65 + 4, 0.9, 3)].map(Self::of);
        let boundaries = (1..=5).map(|length| Self { length, rate: boundary_rate(length), layer: 1 });
        let extremes = [(64, 0.0, 1), (260, Self::LEAST_RATE, 1), (260, 1.0 - Self::LEAST_RATE, 1)].map(Self::of);
        boundaries.chain(extremes).chain(lengths).collect()
    }

    /// The same with an even length, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        let lengths = [(66, 0.0, 1), (1010, 0.25, 2), (64 * 64 * 2 + 2, 0.9, 3), (4 * 64 * 65 + 4, 0.9, 3)];
        let boundaries = [2, 4, 6].map(|length| Self { length, rate: boundary_rate(length), layer: 1 });
        boundaries.into_iter().chain(lengths.map(Self::of)).collect()
    }

    /// The variants of these shaders, whose words have so many floats.
    fn in_fours(&self, shaders: [Shader; 2], floats: usize) -> Vec<Variant> {
        in_fours(shaders, self.length, floats, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }

    fn of((length, rate, layer): (usize, f64, usize)) -> Self {
        Self { length, rate, layer }
    }
}

impl Op for DropoutApply {
    fn name(&self) -> &'static str {
        "dropout_apply"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("length", self.length as f64),
            ("layer", self.layer as f64),
            ("threshold", f64::from(self.threshold())),
            ("scale", self.scale()),
        ]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, [self.length]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
            Operand::write("output", F32, [self.length]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        self.in_fours(plain_and_quad!(f32 "dropout_apply" "dropout_apply.quad": "shared/threefry", "dropout_apply"), 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, clock, output] = tensors else { unreachable!("three operands") };
        let (threshold, scale) = (self.threshold(), self.scale() as f32);
        let outputs = output.f32_mut().par_chunks_mut(SHARERS).zip(input.f32().par_chunks(SHARERS));
        outputs.enumerate().with_min_len(1 << 12).for_each(|(quad, (output, input))| {
            let bits = self.bits(quad, clock.u32());
            for ((output, &input), bits) in output.iter_mut().zip(input).zip(bits) {
                *output = if bits < threshold { 0.0 } else { input * scale };
            }
        });
    }

    fn flops(&self) -> u64 {
        self.length as u64
    }

    fn tolerance(&self) -> f64 {
        f64::from(f32::EPSILON)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let values: Vec<f32> = (0..self.length).map(|_| random.uniform(0.5, 1.0)).collect();
        vec![
            HostTensor::from_f32([self.length], &values),
            HostTensor::from_u32([CLOCK_LENGTH], &[random.below(1000), random.below(1000), random.bits(), 0]),
            HostTensor::zeros(F32, [self.length].into()),
        ]
    }
}

impl InHalf for DropoutApply {
    const NAME: &'static str = "dropout_apply_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        self.in_fours(
            plain_and_quad!(f16 "dropout_apply_f16" "dropout_apply_f16.quad": "shared/threefry", "dropout_apply"),
            2,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_at_the_threshold_is_kept() {
        for length in 1..=5 {
            let op = DropoutApply { length, rate: boundary_rate(length), layer: 1 };
            let mut tensors = op.test_inputs(&mut Random::new(0, 0));
            assert_eq!(op.bits((length - 1) / SHARERS, tensors[1].u32())[(length - 1) % SHARERS], op.threshold());
            op.reference(&mut tensors);
            assert!(tensors[2].f32()[length - 1] > 0.0, "{op:?}");
        }
    }

    #[test]
    fn the_share_of_dropped_elements_is_the_rate() {
        for rate in [0.3, DropoutApply::LEAST_RATE] {
            let op = DropoutApply { length: 2_000_000, rate, layer: 1 };
            let mut tensors = op.test_inputs(&mut Random::new(7, 0));
            op.reference(&mut tensors);
            let dropped = tensors[2].f32().iter().filter(|&&value| value == 0.0).count() as f64;
            // Five standard deviations of a binomial distribution.
            let wanted = op.length as f64 * rate;
            let most = 5.0 * (wanted * (1.0 - rate)).sqrt();
            assert!((dropped - wanted).abs() < most, "{dropped} dropped at a rate of {rate}");
        }
    }

    #[test]
    fn the_mean_stays_as_it_is_whatever_the_rate_is_rounded_to() {
        // The nearest multiple of 2^-16 is a third larger.
        let op = DropoutApply { length: 4, rate: 0.75 * DropoutApply::LEAST_RATE, layer: 1 };
        assert_eq!(op.threshold(), 1);
        assert_eq!(op.scale() * (1.0 - DropoutApply::LEAST_RATE), 1.0);
    }
}
