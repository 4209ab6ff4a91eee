//! What layers compute of any numbers, call by call: by the kernels of a GPU, or by the references.

use anyhow::{Result, ensure};

use crate::gpu::{Gpu, choose_variant, run_variant};
use crate::layers::{Ends, PlacedLayer, Recorder};
use crate::ops::layout::{to_channels_last, to_planes};
use crate::plan::by_name::{Tensors, add_parameters, operands_of};
use crate::tensor::HostTensor;

/// The output in evaluation of layers for a batch `[n, ...]` of any numbers, with maps as `[n, c, y, x]`. The parameters are
/// in the layers' order; without a GPU the references compute it.
///
/// # Errors
/// If the input or a parameter does not have the shape that the layers need, or if the GPU fails.
pub async fn layers_output(
    gpu: Option<&Gpu>,
    layers: &[PlacedLayer],
    parameters: &[HostTensor],
    input: &HostTensor,
) -> Result<HostTensor> {
    let batch = input.shape.extents().first().copied().unwrap_or(0);
    let Some(first) = layers.first() else { return Ok(input.clone()) };
    ensure!(
        batch > 0 && input.shape.extents()[1..] == first.input,
        "the input is {}, not [n, {:?}]",
        input.shape,
        first.input
    );
    let mut tensors = Tensors::from([("input".to_owned(), in_memory(input))]);
    add_parameters(&mut tensors, layers, parameters)?;
    let mut step = Recorder {
        layer: String::new(),
        number: 0,
        batch,
        shape: &first.input,
        trains: false,
        ends: Ends::new("input", ""),
        needs_input_grad: false,
        frozen: false,
        calls: vec![],
    };
    let names = step.forward(layers);
    for call in &step.calls {
        let mut operands = operands_of(call, &tensors)?;
        match gpu {
            Some(gpu) => {
                operands =
                    run_variant(gpu, call.op.as_ref(), &choose_variant(gpu, call.op.as_ref())?, &operands).await?
            }
            None => call.op.reference(&mut operands),
        }
        tensors.extend(call.tensors.iter().cloned().zip(operands));
    }
    let output = &tensors[&names[layers.len()]];
    let last = &layers[layers.len() - 1];
    let values = match last.output_map() {
        Some([channels, height, width]) => to_planes(output.f32(), [batch, height, width, channels]),
        None => output.f32().to_vec(),
    };
    Ok(HostTensor::from_f32(&[&[batch], &last.output[..]].concat()[..], &values))
}

/// A batch of maps with its channels last.
fn in_memory(input: &HostTensor) -> HostTensor {
    let &[batch, channels, height, width] = input.shape.extents() else { return input.clone() };
    let values = to_channels_last(input.f32(), [batch, channels, height, width]);
    HostTensor::from_f32([batch, height, width, channels], &values)
}
