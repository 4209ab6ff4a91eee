//! A trained model at work: probabilities of images, and what the layers make of them.

use anyhow::{Result, ensure};

use crate::data::{CLASSES, image_count};
use crate::device::Device;
use crate::executor::{Executor, Unobserved};
use crate::model::Model;
use crate::plan::{Phase, Plan, PlanConfig, Precision};
use crate::tensor::HostTensor;
use crate::train::{ResidentData, write_order, write_parameters};

/// The ten probabilities of each image, in order, by a model with these parameters.
///
/// # Errors
/// Where the images are not whole, or the device cannot run the plan or fails.
pub async fn probabilities(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
) -> Result<Vec<[f32; CLASSES]>> {
    const MOST_AT_ONCE: usize = 256;
    let count = image_count(images)?;
    if count == 0 {
        return Ok(vec![]);
    }
    // Batches as even as can be, so that hardly any work is done for places without an image.
    let batches = count.div_ceil(MOST_AT_ONCE);
    let batch = count.div_ceil(batches);
    let fuse = device.prefers_fused();
    let mut executor = evaluator(device, model, parameters, images, batch, fuse).await?;
    write_order(executor.as_mut(), &(0..count as u32).collect::<Vec<_>>(), 0, 0);
    let place = executor.plan().host.probability;
    let words = executor.run_collecting(Phase::Evaluate, batches, place).await?;
    Ok(bytemuck::cast_slice(&words).as_chunks().0[..count].to_vec())
}

/// What each layer gives for some images, in the model's order: its name and a tensor of `[images, ...]`.
///
/// # Errors
/// Where the images are not whole, or the device cannot run the plan or fails.
pub async fn activations(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
) -> Result<Vec<(String, HostTensor)>> {
    let count = image_count(images)?;
    ensure!(count > 0, "there is no image whose activations could be computed; give at least one");
    // Fused ops keep to themselves what the layers between them give.
    let mut executor = evaluator(device, model, parameters, images, count, false).await?;
    write_order(executor.as_mut(), &(0..count as u32).collect::<Vec<_>>(), 0, 0);
    executor.run(Phase::Evaluate, 1, &mut Unobserved).await?;
    let mut outputs = Vec::new();
    for layer in model.layers() {
        if let Some(place) = executor.plan().find(&format!("{}.output", layer.name)) {
            let output = executor.read(place).await?;
            // Element by element the same, under the shape that the layer thinks of.
            let shape = [&[count], &layer.output[..]].concat();
            outputs.push((layer.name.clone(), HostTensor::from_f32(&shape[..], output.f32())));
        }
    }
    Ok(outputs)
}

/// An executor of a plan that only evaluates, with images and parameters in place.
async fn evaluator(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
    batch: usize,
    fuse: bool,
) -> Result<Box<dyn Executor>> {
    let count = image_count(images)?;
    let batches = count.div_ceil(batch);
    let config =
        PlanConfig { batch, images: count, batches, steps: 1, optimizer: None, fuse, precision: Precision::F32 };
    let mut executor = device.executor(Plan::new(model, config)?).await?;
    ResidentData::pack(&[(images, &vec![0; count])]).upload(executor.as_mut());
    write_parameters(executor.as_mut(), parameters);
    Ok(executor)
}
