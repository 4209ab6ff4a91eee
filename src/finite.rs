//! Checks that a model's numbers stay within 32-bit floats. The error names the first tensor that does not.
//!
//! Kernels cannot check this. `max(x, 0.0)` turns a NaN into 0 on most GPUs, and some drivers fold `x != x` away, so a
//! model that overflows in one layer gives ordinary probabilities after the next ReLU. So the host checks, without
//! waiting for a device: it computes a bound from the weights alone, and evaluates images on the CPU only if the bound
//! is exceeded.

use anyhow::{Result, bail, ensure};

use crate::cpu::CpuExecutor;
use crate::executor::{Executor, Unobserved};
use crate::model::Model;
use crate::plan::{Phase, Plan, PlanConfig, PlanForm, Precision, TensorId};
use crate::resident::{ResidentData, write_order, write_parameters};
use crate::tensor::HostTensor;

/// The largest activation in 32 bits. The margin up to 3.4e38 is for partial sums of kernels, for differences of
/// logits, and for the sum of a batch's losses.
pub(crate) const LARGEST: f64 = 1e30;

/// The largest 16-bit float.
const LARGEST_F16: f64 = 65_504.0;

/// Images that are evaluated at a time.
const BATCH: usize = 64;

/// Refuses parameters, in the order of [`Model::parameters`], if they are not finite, or if the model overflows for
/// some of these images.
///
/// # Errors
/// The error names the first such tensor.
pub(crate) async fn ensure_finite(
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
    precision: Precision,
) -> Result<()> {
    for ((name, _), tensor) in model.parameters().iter().zip(parameters) {
        if let Some(value) = tensor.f32().iter().find(|value| !value.is_finite()) {
            bail!("`{name}` is not finite: it holds {value}");
        }
    }
    let largest = match precision {
        Precision::F32 => LARGEST,
        Precision::F16 => LARGEST_F16,
    };
    if bound(model, parameters) <= largest {
        return Ok(());
    }
    ensure_activations(model, parameters, images, largest).await
}

/// An upper bound of all activations, for any image; infinite if a layer knows none.
pub(crate) fn bound(model: &Model, parameters: &[HostTensor]) -> f64 {
    let pixel = model.task().largest_pixel();
    let (mut bound, mut largest, mut rest) = (pixel, pixel, parameters);
    for placed in model.layers() {
        let (own, others) = rest.split_at(placed.parameters.len().min(rest.len()));
        bound = placed.layer.bound(bound, own);
        largest = largest.max(bound);
        rest = others;
    }
    largest
}

/// Evaluates images on the CPU, layer by layer, and refuses activations that are too large.
async fn ensure_activations(model: &Model, parameters: &[HostTensor], images: &[u8], largest: f64) -> Result<()> {
    let count = model.task().image().count(images)?;
    let batch = count.clamp(1, BATCH);
    let batches = count.div_ceil(batch);
    let (images_of_plan, form) = (count.max(1), PlanForm::PLAIN);
    let config =
        PlanConfig { images: images_of_plan, batches: batches.max(1), form, ..PlanConfig::for_mnist(batch, None) };
    let mut executor = CpuExecutor::new(Plan::new(model, config)?)?;
    let tensors = executor.plan().tensors.iter().enumerate().filter(|(_, spec)| spec.name.ends_with(".output"));
    let outputs: Vec<(TensorId, String)> = tensors.map(|(i, spec)| (TensorId(i), spec.name.clone())).collect();
    if count > 0 {
        ResidentData::pack(&[(images, &vec![0; count])]).upload(&mut executor);
    }
    write_parameters(&mut executor, parameters);
    write_order(&mut executor, &(0..count as u32).collect::<Vec<_>>(), 0, 0);
    for _ in 0..batches {
        executor.run(Phase::Evaluate, 1, &mut Unobserved).await?;
        for (id, name) in &outputs {
            // Half precision stores outputs of ReLUs only, so only positive values count. Comparisons with a NaN are
            // false.
            let is_within = |&value: &f32| f64::from(value) <= largest && f64::from(value) >= -LARGEST;
            if let Some(value) = executor.tensor(*id).f32().iter().find(|value| !is_within(value)) {
                ensure!(
                    !value.is_finite() || value.abs() > LARGEST as f32,
                    "`{name}` holds {value:e}, but half precision ends at {largest:e}"
                );
                bail!("`{name}` holds {value:e}, and sums of such values exceed the range of 32-bit floats");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::IMAGE_BYTES;

    fn images() -> Vec<u8> {
        (0..70 * IMAGE_BYTES).map(|i| (i * 7919 % 251) as u8).collect()
    }

    fn scaled(model: &Model, factor: f32) -> Vec<HostTensor> {
        let scaled = |tensor: HostTensor| {
            let values: Vec<f32> = tensor.f32().iter().map(|value| value * factor).collect();
            HostTensor::from_f32(tensor.shape.clone(), &values)
        };
        model.initial_parameters(0).into_iter().map(scaled).collect()
    }

    fn error(model: &Model, parameters: &[HostTensor], precision: Precision) -> Option<String> {
        let checked = pollster::block_on(ensure_finite(model, parameters, &images(), precision));
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn the_first_tensor_that_overflows_is_named() {
        let model: Model = "conv 4x3, relu, pool 2, flatten, dense 10".parse().unwrap();
        assert_eq!(error(&model, &scaled(&model, 1.0), Precision::F32), None);
        assert_eq!(error(&model, &scaled(&model, 1e14), Precision::F32), None);
        let wanted = "`dense1.output` holds";
        assert!(error(&model, &scaled(&model, 1e20), Precision::F32).unwrap().starts_with(wanted));
        let wanted = "`conv1.output` holds";
        assert!(error(&model, &scaled(&model, 1e35), Precision::F32).unwrap().starts_with(wanted));
        let mut parameters = scaled(&model, 1.0);
        parameters[2].f32_mut()[5] = f32::NAN;
        assert_eq!(error(&model, &parameters, Precision::F32).unwrap(), "`dense1.weight` is not finite: it holds NaN");
    }

    #[test]
    fn half_precision_ends_where_its_floats_end() {
        let model: Model = "conv 4x3, relu, pool 2, flatten, dense 10".parse().unwrap();
        assert_eq!(error(&model, &scaled(&model, 100.0), Precision::F16), None);
        let error = error(&model, &scaled(&model, 1e6), Precision::F16).unwrap();
        assert!(error.starts_with("`conv1.output` holds") && error.contains("half precision"), "{error}");
    }

    #[test]
    fn a_deep_model_whose_bound_is_large_is_not_refused() {
        let layers = "conv 8x3 same, relu, ".repeat(40);
        let model: Model = format!("{layers}pool 4, flatten, dense 10").parse().unwrap();
        let parameters = model.initial_parameters(0);
        assert!(bound(&model, &parameters) > LARGEST, "the bound alone would refuse it");
        assert_eq!(error(&model, &parameters, Precision::F32), None);
    }
}
