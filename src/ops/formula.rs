//! Ops that are a formula for each element of their one output, such as element-wise ones.
//!
//! An op says its formula twice, in its shader and as [`Formula::value`]; the rest is the same for all.
//!
//! ```
//! use gpu_digits::op::{Op, Operand, Shader};
//! use gpu_digits::ops::formula::{Formula, elementwise_operands};
//! use gpu_digits::tensor::HostTensor;
//!
//! #[derive(Debug)]
//! struct Square {
//!     length: usize,
//! }
//!
//! const SQUARE: Shader = Shader::from_text(
//!     "square",
//!     "
//!         override length: u32;
//!         override workgroup_size: u32;
//!         @group(0) @binding(0) var<storage, read> input: array<f32>;
//!         @group(0) @binding(1) var<storage, read_write> output: array<f32>;
//!
//!         @compute @workgroup_size(workgroup_size)
//!         fn square(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
//!             let i = id.x + id.y * groups.x * workgroup_size;
//!             if i < length { output[i] = input[i] * input[i]; }
//!         }
//!     ",
//! );
//!
//! impl Formula for Square {
//!     const NAME: &'static str = "square";
//!     const KERNELS: &'static [Shader] = &[SQUARE];
//!
//!     fn operands(&self) -> Vec<Operand> {
//!         elementwise_operands(&["input", "output"], self.length)
//!     }
//!
//!     fn sizes(&self) -> Vec<(&'static str, f64)> {
//!         vec![("length", self.length as f64)]
//!     }
//!
//!     fn roundings(&self) -> usize {
//!         1
//!     }
//!
//!     fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
//!         inputs[0][i] * inputs[0][i]
//!     }
//! }
//!
//! let mut tensors = [[3.0, -2.0], [0.0; 2]].map(|values| HostTensor::from_f32([2], &values));
//! Square { length: 2 }.reference(&mut tensors);
//! assert_eq!(tensors[1].f32(), [9.0, 4.0]);
//! ```

use std::fmt::Debug;
use std::sync::Arc;

use rayon::prelude::*;

use super::product;
use crate::op::{Op, Operand, Sizes, Variant, sum_tolerance};
use crate::random::Random;
use crate::shader::Shader;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// An [`Op`] by a formula for each element.
pub trait Formula: Debug + Send + Sync {
    /// See [`Op::name`].
    const NAME: &'static str;
    /// The plain kernel and, if there is one, the `quad` variant, which computes four elements an invocation.
    const KERNELS: &'static [Shader];

    /// See [`Op::operands`]; floats, the output last.
    fn operands(&self) -> Vec<Operand>;

    /// See [`Op::sizes`].
    fn sizes(&self) -> Vec<(&'static str, f64)>;

    /// See [`Op::with_sizes`].
    fn with_sizes(&self, _sizes: &Sizes) -> Option<Arc<dyn Op>> {
        None
    }

    /// How often an element is rounded: once for a product, once a term for a sum, never (0) for a choice between
    /// numbers.
    ///
    /// It decides the tolerance. Each rounding counts as a FLOP, and as an iteration of the kernel's loops, which may
    /// make no more.
    fn roundings(&self) -> usize {
        0
    }

    /// The formula: element `i` of the output.
    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32;

    /// See [`Op::in_half`].
    fn in_half(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// See [`Op::leaves_unread`].
    fn leaves_unread(&self, _operand: &str) -> bool {
        false
    }

    /// See [`Op::rectifying`].
    fn rectifying(&self, _negative_slope: f64) -> Option<Arc<dyn Op>> {
        None
    }

    /// See [`Op::before_rectifier`].
    fn before_rectifier(&self, _negative_slope: f64) -> Option<Arc<dyn Op>> {
        None
    }
}

/// Operands of one length, the output last.
pub fn elementwise_operands(names: &[&'static str], length: usize) -> Vec<Operand> {
    let mut operands: Vec<Operand> = names.iter().map(|name| Operand::read(name, F32, [length])).collect();
    if let Some(output) = operands.last_mut() {
        *output = Operand::write(output.name, F32, [length]);
    }
    operands
}

/// Lengths at which element-wise kernels often fail: 1, workgroups plus and minus 1, a prime, and grids that fold, with
/// and without `quad`.
pub fn awkward_lengths() -> Vec<usize> {
    vec![1, 63, 64, 65, 1009, 64 * 64 + 1, 4 * 64 * 130 + 4]
}

/// The awkward lengths that are even, which half precision needs.
pub(super) fn awkward_lengths_f16() -> Vec<usize> {
    vec![2, 126, 130, 1010, 64 * 64 * 2 + 2, 4 * 64 * 130 + 4]
}

impl<F: Formula + 'static> Op for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        Formula::sizes(self)
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Formula::with_sizes(self, sizes)
    }

    fn operands(&self) -> Vec<Operand> {
        Formula::operands(self)
    }

    /// Four elements an invocation if the length is a multiple of four and there is such a kernel, otherwise one.
    fn variants(&self) -> Vec<Variant> {
        let length = outputs(self);
        let mut variants = vec![Variant::linear(F::KERNELS[0], length, self.roundings())];
        if let Some(&quad) = F::KERNELS.get(1).filter(|_| length.is_multiple_of(4)) {
            variants.insert(0, Variant::linear(quad, length / 4, self.roundings()));
        }
        variants
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Some((output, inputs)) = tensors.split_last_mut() else { unreachable!("an op has an output") };
        let inputs: Vec<&[f32]> = inputs.iter().map(HostTensor::f32).collect();
        let elements = output.f32_mut().par_iter_mut().enumerate().with_min_len(1 << 14);
        elements.for_each(|(i, output)| *output = self.value(i, &inputs));
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Formula::in_half(self)
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        Formula::leaves_unread(self, operand)
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        Formula::rectifying(self, negative_slope)
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        Formula::before_rectifier(self, negative_slope)
    }

    fn flops(&self) -> u64 {
        product(&[outputs(self), self.roundings().max(1)])
    }

    fn tolerance(&self) -> f64 {
        if self.roundings() == 0 { 0.0 } else { sum_tolerance(self.roundings()) }
    }

    /// Random values in [-1, 1); one in four is 0, where many formulas have a kink.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mut value = || if random.below(4) == 0 { 0.0 } else { random.uniform(-1.0, 1.0) };
        let tensor = |operand: Operand| {
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| value()).collect();
            HostTensor::from_f32(operand.shape, &values)
        };
        Formula::operands(self).into_iter().map(tensor).collect()
    }
}

/// Elements of the output.
fn outputs(op: &impl Formula) -> usize {
    op.operands().last().map_or(0, |output| output.shape.len())
}
