//! Recorded calls on tensors by name, run one by one without a plan: by the references of their ops, or as a caller wishes.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::order;
use crate::layers::{PlacedLayer, Recorded};
use crate::op::Operand;
use crate::tensor::HostTensor;

/// Tensors by the names that calls have for them.
pub(crate) type Tensors = HashMap<String, HostTensor>;

/// Adds the parameters of layers, which are in the layers' order, as they lie in memory.
///
/// # Errors
/// If there are others than the layers need.
pub(crate) fn add_parameters(tensors: &mut Tensors, layers: &[PlacedLayer], parameters: &[HostTensor]) -> Result<()> {
    let own = layers.iter().flat_map(|placed| placed.parameters.iter().map(move |own| (placed, own)));
    ensure!(own.clone().count() == parameters.len(), "the layers need other parameters");
    for ((placed, own), values) in own.zip(parameters) {
        ensure!(values.shape == own.shape, "`{}` is {}, not {}", placed.name_of(own), values.shape, own.shape);
        let words = match order(placed, own) {
            Some(order) => order.iter().map(|&place| values.words()[place as usize]).collect(),
            None => values.words().to_vec(),
        };
        tensors.insert(placed.name_of(own), HostTensor::from_words(values.dtype, values.shape.clone(), words));
    }
    Ok(())
}

/// Runs the references of calls.
///
/// # Errors
/// If a call reads a tensor that does not exist, or one of another size.
pub(crate) fn run(calls: &[Recorded], tensors: &mut Tensors) -> Result<()> {
    for call in calls {
        let mut operands = operands_of(call, tensors)?;
        call.op.reference(&mut operands);
        tensors.extend(call.tensors.iter().cloned().zip(operands));
    }
    Ok(())
}

/// The tensors of a call. What it writes need not exist before.
///
/// # Errors
/// The same as for [`run`].
pub(crate) fn operands_of(call: &Recorded, tensors: &Tensors) -> Result<Vec<HostTensor>> {
    let op = &call.op;
    let operand = |(operand, name): (Operand, &String)| {
        let zeros = || HostTensor::zeros(operand.dtype, operand.shape.clone());
        let tensor = tensors.get(name).cloned().or_else(|| operand.is_written().then(zeros));
        let tensor = tensor.with_context(|| format!("`{}` reads `{name}`, which nothing writes", op.label()))?;
        ensure!(
            tensor.dtype == operand.dtype && tensor.shape.len() == operand.shape.len(),
            "`{}` takes `{name}` as {:?} {}, but it is {:?} {}",
            op.label(),
            operand.dtype,
            operand.shape,
            tensor.dtype,
            tensor.shape
        );
        Ok(HostTensor::from_words(operand.dtype, operand.shape, tensor.words().to_vec()))
    };
    op.operands().into_iter().zip(&call.tensors).map(operand).collect()
}
