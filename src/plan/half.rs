//! Half precision: every op of the layers and of the loss becomes its twin in half precision, see
//! [`half`](crate::ops::half).

use anyhow::{Context, Result};

use super::memory::COPY;
use crate::layers::Recorded;
use crate::model::Model;
use crate::op::{Op, Operand};
use crate::tensor::DType::{F16, F32};

/// The calls in half precision. Where a weight is a factor of products, they read its 16-bit copy.
///
/// # Errors
/// If an op has no twin in half precision, or writes an odd number of neighbours, which would share words with others.
pub(super) fn halve(calls: &mut [Recorded], model: &Model) -> Result<()> {
    let parameters: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
    for Recorded { op, tensors, layer } in calls {
        let half = op.in_half().with_context(|| {
            let odd = odd_row(op.as_ref()).map_or_else(String::new, |(name, length)| {
                format!(": its {name} has rows of {length}, but two neighbours share a word; make the number even")
            });
            format!("layer {layer}: there is no `{}` in half precision{odd}, or leave --precision out", op.name())
        })?;
        for (operand, name) in half.operands().iter().zip(tensors) {
            if operand.dtype == F16 && parameters.contains(name) {
                *name = format!("{name}.{COPY}");
            }
        }
        *op = half;
    }
    Ok(())
}

/// The first operand that an op writes in rows of an odd number of floats: channels or outputs.
fn odd_row(op: &dyn Op) -> Option<(&'static str, usize)> {
    let written = op.operands().into_iter().filter(|operand| operand.is_written() && operand.dtype == F32);
    let mut rows = written.map(|Operand { name, shape, .. }| (name, shape.extents().last().copied().unwrap_or(0)));
    rows.find(|(_, length)| !length.is_multiple_of(2))
}
