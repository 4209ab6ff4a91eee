//! Where the tensors of a plan lie: all parameters in one tensor, the partial sums of their gradients in another, and
//! every other tensor in memory of its own.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::{Call, HostTensors, Parameter, PlanConfig, TensorId, TensorSpec};
use crate::layers::{Order, ParameterSpec, PlacedLayer, Recorded};
use crate::model::Model;
use crate::op::Operand;
use crate::ops::layout::to_outputs_last;
use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::ops::segments::{Segment, Segments};
use crate::tensor::DType::{self, F16, F32};
use crate::tensor::Shape;

/// The copy of all parameters in 16-bit floats, and the suffix of each parameter's copy.
pub(super) const COPY: &str = "f16";

/// The averages of all parameters, and the suffix of each parameter's average.
pub(super) const AVERAGE: &str = "average";

/// The tensors of a plan.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) tensors: Vec<TensorSpec>,
    by_name: HashMap<String, TensorId>,
}

impl Memory {
    /// The tensor with a name.
    pub(super) fn find(&self, name: &str) -> Option<TensorId> {
        self.by_name.get(name).copied()
    }

    /// A new tensor.
    pub(super) fn add(
        &mut self,
        name: &str,
        dtype: DType,
        shape: impl Into<Shape>,
        part_of: Option<(TensorId, usize)>,
    ) -> TensorId {
        let id = TensorId(self.tensors.len());
        self.by_name.insert(name.to_owned(), id);
        self.tensors.push(TensorSpec { name: name.to_owned(), dtype, shape: shape.into(), part_of, initial: None });
        id
    }

    /// The tensor with a name for an operand; a new one if there is none.
    ///
    /// A tensor may be read in another shape with equally many elements; this implements `flatten`.
    fn for_operand(&mut self, name: &str, operand: &Operand) -> Result<TensorId> {
        let found = self.find(name);
        let id = found.unwrap_or_else(|| self.add(name, operand.dtype, operand.shape.clone(), None));
        let spec = &self.tensors[id.0];
        ensure!(
            spec.dtype == operand.dtype && spec.shape.len() == operand.shape.len(),
            "`{name}` is a tensor of {:?} {}, but the operand `{}` is {:?} {}",
            spec.dtype,
            spec.shape,
            operand.name,
            operand.dtype,
            operand.shape
        );
        Ok(id)
    }

    /// The calls on tensors, of which those with new names are made.
    ///
    /// # Errors
    /// If an operand does not fit the tensor with its name.
    pub(super) fn calls(&mut self, recorded: Vec<Recorded>) -> Result<Vec<Call>> {
        let call = |Recorded { op, tensors, layer }: Recorded| {
            let operands = op.operands();
            ensure!(operands.len() == tensors.len(), "`{}` has {} operands", op.label(), operands.len());
            let ids = operands.iter().zip(&tensors).map(|(operand, name)| self.for_operand(name, operand));
            let tensors = ids
                .collect::<Result<_>>()
                .with_context(|| format!("layer {layer} cannot be planned: `{}`", op.label()))?;
            Ok(Call { op, tensors, layer })
        };
        recorded.into_iter().map(call).collect()
    }

    /// Places the model's parameters, and their gradients if the calls of a training step are given.
    ///
    /// # Errors
    /// If a call writes a gradient that is no whole number of partial sums.
    pub(super) fn place_parameters(&mut self, model: &Model, train: &[Recorded]) -> Result<(Vec<Parameter>, Segments)> {
        let owned = model.layers().iter().flat_map(|placed| placed.parameters.iter().map(move |own| (placed, own)));
        let weights = owned.clone().filter(|(_, own)| own.trained);
        let chunks = weights.clone().map(|(placed, own)| chunks_of_gradient(placed, own, train));
        let chunks = chunks.collect::<Result<Vec<_>>>()?;
        let lengths = weights.map(|(_, own)| own.shape.len());
        let segments = Segments(lengths.zip(chunks).map(|(length, chunks)| Segment { length, chunks }).collect());
        let starts = segments.starts();
        let [all_parameters, all_gradients] = starts[segments.0.len()];
        let parameters = self.add("parameters", F32, [all_parameters], None);
        let gradients = (!train.is_empty()).then(|| self.add("gradients", F32, [all_gradients], None));
        let mut places = segments.0.iter().zip(starts);
        let place = |(placed, own): (&PlacedLayer, &ParameterSpec)| {
            let (name, length) = (placed.name_of(own), own.shape.len());
            let place = own.trained.then(|| places.next()).flatten();
            let tensor = self.add(&name, F32, [length], place.map(|(_, [start, _])| (parameters, start)));
            let place = place.filter(|_| !placed.frozen);
            let grad = gradients.zip(place).map(|(gradients, (segment, [_, start]))| {
                self.add(&format!("{name}.grad"), F32, [segment.chunks * length], Some((gradients, start)))
            });
            let (frozen, shape, order) = (placed.frozen, own.shape.clone(), order(placed, own));
            Parameter { tensor, average: None, gradient: grad, frozen, shape, order }
        };
        let placed = owned.map(place).collect();
        Ok((placed, segments))
    }

    /// Places the copy of all parameters in 16-bit floats; returns its length.
    pub(super) fn place_copy(&mut self, model: &Model, segments: &Segments) -> usize {
        let starts = segments.starts();
        let [length, _] = starts[segments.0.len()];
        let copy = self.add(COPY, DType::U32, [length / 2], None);
        for ((name, shape), [start, _]) in model.weights().into_iter().zip(starts) {
            self.add(&format!("{name}.{COPY}"), F16, [shape.len()], Some((copy, start / 2)));
        }
        length
    }

    /// Places the averages of all parameters.
    pub(super) fn place_averages(&mut self, model: &Model, segments: &Segments, parameters: &mut [Parameter]) {
        let averages = self.add(AVERAGE, F32, [segments.parameters()], None);
        let named = model.weights().into_iter().zip(segments.starts());
        let own = model.layers().iter().flat_map(|placed| &placed.parameters);
        let weights = parameters.iter_mut().zip(own).filter(|(_, own)| own.trained);
        for (((name, shape), [start, _]), (parameter, _)) in named.zip(weights) {
            let average = self.add(&format!("{name}.{AVERAGE}"), F32, [shape.len()], Some((averages, start)));
            parameter.average = Some(average);
        }
    }

    /// The tensors that the host writes and reads; those of them that no call has are made.
    pub(super) fn host(&mut self, config: &PlanConfig, parameters: Vec<Parameter>, segments: &Segments) -> HostTensors {
        // Every plan has the schedule, even if no optimizer reads it.
        if self.find("schedule").is_none() {
            self.add("schedule", F32, [config.steps, SCHEDULE_COLUMNS], None);
        }
        if let Some(blocks) = self.find("blocks") {
            self.tensors[blocks.0].initial = Some(segments.blocks().words().into());
        }
        if let Some(scale) = self.find("grad_scale") {
            self.tensors[scale.0].initial = Some([1.0_f32.to_bits()].into());
        }
        let named = |name: &str| self.by_name[name];
        HostTensors {
            images: named("images"),
            labels: named("labels"),
            order: named("order"),
            clock: named("clock"),
            schedule: named("schedule"),
            history: named("history"),
            probability: named("probability"),
            loss: named("loss"),
            parameters,
        }
    }
}

/// The calls of an evaluation read the averages instead of the parameters, but for those that are frozen.
pub(super) fn read_averages(evaluate: &mut [Recorded], model: &Model) {
    for placed in model.layers().iter().filter(|placed| !placed.frozen) {
        for name in placed.parameters.iter().filter(|own| own.trained).map(|own| placed.name_of(own)) {
            evaluate.iter_mut().for_each(|call| call.rename(&name, &format!("{name}.{AVERAGE}")));
        }
    }
    // In half precision the copy is made of the averages.
    evaluate.iter_mut().for_each(|call| call.rename("parameters", AVERAGE));
}

/// How many partial sums of a parameter's gradient a training step writes; none of a frozen one, although an op that also
/// writes another gradient may write some.
fn chunks_of_gradient(placed: &PlacedLayer, own: &ParameterSpec, train: &[Recorded]) -> Result<usize> {
    if placed.frozen {
        return Ok(0);
    }
    let grad = format!("{}.grad", placed.name_of(own));
    let Some(Operand { shape: written, .. }) = train.iter().find_map(|call| call.written(&grad)) else { return Ok(1) };
    let length = own.shape.len();
    ensure!(
        written.len().is_multiple_of(length),
        "layer {} (`{}`) writes a gradient of shape {written} for its parameter `{}` of shape {}",
        placed.name,
        placed.layer,
        own.name,
        own.shape
    );
    Ok(written.len() / length)
}

/// The index in the model's order of each of a parameter's elements in memory.
///
/// A dense layer over a map is a convolution as large as the map, so that one rule serves both.
pub(crate) fn order(placed: &PlacedLayer, own: &ParameterSpec) -> Option<Arc<[u32]>> {
    let extents = match (own.order, own.shape.extents()) {
        (Order::OutputsLast, &[outputs, channels, rows, columns]) => [outputs, channels, rows, columns],
        (Order::OutputsLast, &[outputs, inputs]) => {
            let [channels, rows, columns] = placed.flattened.unwrap_or([inputs, 1, 1]);
            [outputs, channels, rows, columns]
        }
        (Order::AsInput, &[_]) => {
            let [channels, rows, columns] = placed.flattened?;
            [1, channels, rows, columns]
        }
        _ => return None,
    };
    let places: Vec<u32> = (0..own.shape.len() as u32).collect();
    Some(to_outputs_last(&places, extents).into())
}

#[cfg(test)]
mod tests {
    use crate::model::Model;
    use crate::plan::{Optimizer, Plan, PlanConfig};

    #[test]
    fn state_lies_apart_and_in_the_order_of_the_input() {
        let model: Model = "conv 2x27, norm, flatten, norm, dense 10".parse().unwrap();
        let plan = Plan::new(&model, PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false)))).unwrap();
        let parameters = plan.find("parameters");
        for ((name, _), parameter) in model.parameters().iter().zip(&plan.host.parameters) {
            let is_state = name.contains(".running_");
            let place = plan.tensor(parameter.tensor).part_of.map(|(whole, _)| whole);
            assert_eq!(place, if is_state { None } else { parameters }, "{name}");
            assert_eq!(parameter.gradient.is_none(), is_state, "{name}");
            // The elements of a flattened map lie as `[y, x, c]`, in the model as `[c, y, x]`.
            let order: &[u32] = if name.starts_with("norm2.") { &[0, 4, 1, 5, 2, 6, 3, 7] } else { continue };
            assert_eq!(parameter.order.as_deref(), Some(order), "{name}");
        }
        assert_eq!(model.parameter_count(), 2 * 27 * 27 + 2 + 4 + 16 + 8 * 10 + 10);
    }
}
