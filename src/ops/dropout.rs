//! Dropout (Srivastava et al. 2014), inverted: kept elements are scaled up, so that evaluation needs no change.
//!
//! ```text
//! output[i] = input[i] / (1 - rate) if element i is kept, else 0
//! ```
//!
//! Whether an element is kept is a pure function of (seed, layer, step, i), computed with the counter-based generator
//! Threefry-2x32-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). So no mask is stored: the
//! gradient of dropout is dropout of the gradient, and the backward pass runs the same op.

use std::sync::Arc;

use rayon::prelude::*;

use super::batch::CLOCK_LENGTH;
use super::half::Half;
use crate::op::{Op, Operand, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Rounds of the generator, for each number.
pub(super) const THREEFRY_ROUNDS: usize = 20;

/// A rate at which the first element of a test of one element in layer 1 is just kept: its bits equal the threshold.
const BOUNDARY_RATE: f64 = 14_777_959.0 / (1 << 24) as f64;

/// The same for a test of two elements.
fn boundary_rate_of_two() -> f64 {
    let op = DropoutApply { length: 2, rate: 0.0, layer: 1 };
    let tensors = op.test_inputs(&mut Random::new(0, 0));
    let clock = tensors[1].u32();
    let [bits, _] = threefry2x32([clock[2], op.layer as u32], [0, clock[0]]);
    f64::from(bits >> 8) / f64::from(1 << 24)
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
    /// An element is dropped if its 24 random bits are below this.
    fn threshold(&self) -> u32 {
        (self.rate * f64::from(1 << 24)).round() as u32
    }

    fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, BOUNDARY_RATE, 1), (65, 0.0, 1), (1009, 0.25, 2), (4099, 0.9, 3)].map(Self::of).into()
    }

    /// The same with an even length, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        [(2, boundary_rate_of_two(), 1), (66, 0.0, 1), (1010, 0.25, 2), (64 * 64 * 2 + 2, 0.9, 3)].map(Self::of).into()
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

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, [self.length]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
            Operand::write("output", F32, [self.length]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("dropout_apply": "shared/linear", "shared/floats_f32", "shared/threefry", "dropout_apply");
        vec![Variant::linear(shader, self.length, THREEFRY_ROUNDS)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, clock, output] = tensors else { unreachable!("three operands") };
        let [step, _, seed] = clock.u32() else { unreachable!("a clock has {CLOCK_LENGTH} words") };
        let key = [*seed, self.layer as u32];
        output.f32_mut().par_iter_mut().zip(input.f32()).enumerate().for_each(|(i, (output, &input))| {
            let [bits, _] = threefry2x32(key, [i as u32, *step]);
            *output = if bits >> 8 < self.threshold() { 0.0 } else { input * self.scale() as f32 };
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
            HostTensor::from_u32([CLOCK_LENGTH], &[random.below(1000), random.below(1000), random.bits()]),
            HostTensor::zeros(F32, [self.length].into()),
        ]
    }
}

/// Threefry-2x32 with 20 rounds: two random words for each counter.
fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for round in 0..20 {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left(ROTATIONS[round % 8]) ^ x[0];
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            x[0] = x[0].wrapping_add(keys[injection % 3]);
            x[1] = x[1].wrapping_add(keys[(injection + 1) % 3]).wrapping_add(injection as u32);
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that come with the authors' library Random123.
    #[test]
    fn threefry_gives_the_known_answers() {
        assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry2x32([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry2x32([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn an_element_at_the_threshold_is_kept() {
        let op = DropoutApply { length: 1, rate: BOUNDARY_RATE, layer: 1 };
        let mut tensors = op.test_inputs(&mut Random::new(0, 0));
        op.reference(&mut tensors);
        assert!(tensors[2].f32()[0] > 0.0);
        let [step, _, seed] = tensors[1].u32() else { unreachable!("a clock") };
        assert_eq!(threefry2x32([*seed, 1], [0, *step])[0] >> 8, op.threshold());
    }

    #[test]
    fn the_share_of_dropped_elements_is_the_rate() {
        let op = DropoutApply { length: 100_000, rate: 0.3, layer: 1 };
        let mut tensors = op.test_inputs(&mut Random::new(7, 0));
        op.reference(&mut tensors);
        let dropped = tensors[2].f32().iter().filter(|&&value| value == 0.0).count();
        assert!((29_000..31_000).contains(&dropped), "{dropped} of 100,000 dropped");
    }
}
