//! Sizes at which kernels of batch normalisation often fail, and values for their operands.

use super::{Norm, NormFold};
use crate::op::{Op, Operand};
use crate::random::Random;
use crate::tensor::HostTensor;

impl Norm {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [
            [1, 1, 1],
            [2, 1, 3],
            [31, 1, 4],
            [33, 1, 6],
            [3, 35, 1],
            [5, 49, 8],
            [67, 1, 17],
            [2, 65, 130],
            [7, 1171, 5],
            [41, 201, 4],
            [8, 1, 64],
        ]
        .map(|[batch, area, channels]| Self { batch, area, channels })
        .into()
    }

    /// Those with an even number of channels, which half precision needs.
    pub(in crate::ops) fn awkward_f16() -> Vec<Self> {
        Self::awkward().into_iter().filter(|norm| norm.channels.is_multiple_of(2)).collect()
    }
}

impl NormFold {
    /// Sizes at which kernels often fail.
    pub(in crate::ops) fn awkward() -> Vec<Self> {
        [(1, 1), (3, 7), (9, 8), (65, 64), (25, 170)].map(|(terms, outputs)| Self { terms, outputs }).into()
    }
}

/// Random numbers from `low` to 1.
pub(super) fn uniform(length: usize, low: f32, random: &mut Random) -> Vec<f32> {
    (0..length).map(|_| random.uniform(low, 1.0)).collect()
}

/// Random values for the operands of an op; variances are above 0.
pub(super) fn test_inputs(op: &dyn Op, random: &mut Random) -> Vec<HostTensor> {
    let values = |operand: Operand| {
        let low = if operand.name.ends_with("var") || operand.name == "variance" { 0.1 } else { -1.0 };
        HostTensor::from_f32(operand.shape.clone(), &uniform(operand.shape.len(), low, random))
    };
    op.operands().into_iter().map(values).collect()
}
