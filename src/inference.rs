//! Inference: probabilities, losses and layer outputs of images.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::data::Samples;
use crate::device::Device;
use crate::executor::{Executor, Unobserved};
use crate::finite::ensure_finite;
use crate::layers;
use crate::model::Model;
use crate::ops::layout::to_planes;
use crate::plan::{Phase, Plan, PlanConfig, PlanForm, Precision};
use crate::resident::{ResidentData, write_order, write_parameters};
use crate::tensor::HostTensor;
use crate::weights::{self, SavedModel};

/// A model's results for labelled images, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The probabilities of each image, one for each class.
    pub probabilities: Vec<Vec<f32>>,
    /// The cross-entropy of each image, in nats. It is computed from the logits, because the probability of a label may
    /// be too small for a float.
    pub losses: Vec<f32>,
}

/// Images that are evaluated at once at most.
const MOST_AT_ONCE: usize = 256;

/// The message for a model that overflows.
const DIVERGED: &str = "the model overflows, as after a diverged run; train again with a smaller --lr";

/// A trained model on a device. Its kernels are compiled at the first call, and again only for calls with many more or many
/// fewer images.
pub struct Predictor {
    device: Device,
    saved: SavedModel,
    /// By the images that they take, which are powers of two: ready executors.
    executors: BTreeMap<usize, Box<dyn Executor>>,
}

impl Predictor {
    /// Loads a model from its run folder or its file.
    ///
    /// # Errors
    /// The same as for [`weights::load`].
    pub fn open(device: Device, run: &Path) -> Result<Self> {
        Ok(Self::new(device, weights::load(run)?))
    }

    /// Loads a model with layers of your own, by the rows with which [`Model::parse`] reads them.
    ///
    /// # Errors
    /// The same as for [`weights::load`].
    pub fn open_with(device: Device, run: &Path, own: &[layers::Entry]) -> Result<Self> {
        Ok(Self::new(device, weights::load_with(run, own)?))
    }

    /// A model that is already loaded, such as by [`weights::read`].
    pub fn new(device: Device, saved: SavedModel) -> Self {
        Self { device, saved, executors: BTreeMap::new() }
    }

    /// The layers.
    pub fn model(&self) -> &Model {
        &self.saved.model
    }

    /// The probabilities of each image, in order. An image is the bytes `[y, x, c]` of the model's
    /// [task](Model::task): for digits, 28x28 bytes of white ink on black.
    ///
    /// # Errors
    /// The same as for [`probabilities`].
    pub async fn probabilities(&mut self, images: &[u8]) -> Result<Vec<Vec<f32>>> {
        let image = self.saved.model.task().image();
        let mut rows = Vec::with_capacity(image.count(images)?);
        ensure_finite(&self.saved.model, &self.saved.parameters, images, Precision::F32).await.context(DIVERGED)?;
        for images in images.chunks(MOST_AT_ONCE * image.bytes()) {
            rows.extend(self.batch(images).await?);
        }
        Ok(rows)
    }

    async fn batch(&mut self, images: &[u8]) -> Result<Vec<Vec<f32>>> {
        let image = self.saved.model.task().image();
        let count = images.len() / image.bytes();
        let room = count.next_power_of_two();
        let mut samples = Samples { images: images.to_vec(), labels: vec![0; room] };
        samples.images.resize(room * image.bytes(), 0);
        let executor = match self.executors.entry(room) {
            Entry::Occupied(entry) => {
                let executor = entry.into_mut();
                ResidentData::pack(&[(&samples.images, &samples.labels)]).upload(executor.as_mut());
                executor
            }
            Entry::Vacant(entry) => {
                let SavedModel { model, parameters, .. } = &self.saved;
                entry.insert(evaluator(&self.device, model, parameters, &samples, room, form(&self.device)).await?)
            }
        };
        Ok(evaluate(executor.as_mut(), count, 1, &self.device).await?.probabilities)
    }
}

/// The probabilities of each image, in order, by a model with these parameters.
///
/// # Errors
/// If the images are incomplete, the model overflows, or the device cannot run the plan or fails.
pub async fn probabilities(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
) -> Result<Vec<Vec<f32>>> {
    let samples = Samples { images: images.to_vec(), labels: vec![0; model.task().image().count(images)?] };
    Ok(score(device, model, parameters, &samples).await?.probabilities)
}

/// The probabilities and losses of labelled images by a model with these parameters.
///
/// # Errors
/// If an image has no label, the model overflows (the error names the first tensor), or the device cannot run the plan
/// or fails.
pub async fn score(device: &Device, model: &Model, parameters: &[HostTensor], samples: &Samples) -> Result<Scored> {
    samples.check(model.task(), "scored")?;
    let count = samples.len();
    if count == 0 {
        return Ok(Scored { probabilities: vec![], losses: vec![] });
    }
    ensure_finite(model, parameters, &samples.images, Precision::F32).await.context(DIVERGED)?;
    // Make batches as even as possible, so that few samples of a batch are empty.
    let batches = count.div_ceil(MOST_AT_ONCE);
    let batch = count.div_ceil(batches);
    let mut executor = evaluator(device, model, parameters, samples, batch, form(device)).await?;
    evaluate(executor.as_mut(), count, batches, device).await
}

/// The probabilities and losses of the first `count` images of an [`evaluator`].
async fn evaluate(executor: &mut dyn Executor, count: usize, batches: usize, device: &Device) -> Result<Scored> {
    write_order(executor, &(0..count as u32).collect::<Vec<_>>(), 0, 0);
    let collected = [executor.plan().host.probability, executor.plan().host.loss];
    let words = executor.run_collecting(Phase::Evaluate, batches, &collected).await?;
    let values: &[f32] = bytemuck::cast_slice(&words[0]);
    let classes = executor.plan().tensor(collected[0]).shape.extents()[1];
    let probabilities: Vec<Vec<f32>> = values.chunks_exact(classes).take(count).map(<[f32]>::to_vec).collect();
    let losses: Vec<f32> = bytemuck::cast_slice(&words[1])[..count].to_vec();
    let mut rows = probabilities.iter().zip(&losses);
    if let Some(image) = rows.position(|(row, loss)| !loss.is_finite() || !row.iter().all(|share| share.is_finite())) {
        bail!(
            "`probability` or `loss` of image {image} is not finite on {device}, although no activation overflows; check \
             the device with `gpu-digits verify`"
        );
    }
    Ok(Scored { probabilities, losses })
}

/// The outputs of all layers for some images, in the model's order: the layer's name and a tensor of `[images, ...]`.
///
/// # Errors
/// If the images are incomplete, or the device cannot run the plan or fails.
pub async fn activations(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    images: &[u8],
) -> Result<Vec<(String, HostTensor)>> {
    let count = model.task().image().count(images)?;
    ensure!(count > 0, "cannot compute activations without images; give at least one");
    // Fused ops do not store the outputs of the layers between.
    let samples = Samples { images: images.to_vec(), labels: vec![0; count] };
    let mut executor = evaluator(device, model, parameters, &samples, count, PlanForm::PLAIN).await?;
    write_order(executor.as_mut(), &(0..count as u32).collect::<Vec<_>>(), 0, 0);
    executor.run(Phase::Evaluate, 1, &mut Unobserved).await?;
    let mut outputs = Vec::new();
    for layer in model.layers() {
        if let Some(tensor) = executor.plan().find(&format!("{}.output", layer.name)) {
            let output = executor.read(tensor).await?;
            // Plans have channels last, and layers have them first.
            let values = match layer.output_map() {
                Some([channels, height, width]) => to_planes(output.f32(), [count, height, width, channels]),
                None => output.f32().to_vec(),
            };
            let shape = [&[count], &layer.output[..]].concat();
            outputs.push((layer.name.clone(), HostTensor::from_f32(&shape[..], &values)));
        }
    }
    Ok(outputs)
}

/// The form of an evaluation's plan on a device.
fn form(device: &Device) -> PlanForm {
    PlanForm { fuse: device.prefers_fused(), precision: Precision::F32 }
}

/// An executor of a plan for evaluation only, with images and parameters loaded.
async fn evaluator(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    samples: &Samples,
    batch: usize,
    form: PlanForm,
) -> Result<Box<dyn Executor>> {
    let count = samples.len();
    let batches = count.div_ceil(batch);
    let config = PlanConfig { batch, images: count, batches, steps: 1, form, ..PlanConfig::for_mnist(batch, None) };
    let mut executor = device.executor(Plan::new(model, config)?).await?;
    ResidentData::pack(&[(&samples.images, &samples.labels)]).upload(executor.as_mut());
    write_parameters(executor.as_mut(), parameters);
    Ok(executor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{IMAGE_BYTES, digits};

    #[test]
    fn a_predictor_keeps_its_kernels_and_answers_for_each_call() {
        let model: Model = "flatten, dense 10".parse().unwrap();
        let parameters = model.initial_parameters(1);
        let saved = SavedModel { model, parameters, seed: None, data: None };
        let mut predictor = Predictor::new(Device::Cpu, saved);
        let images = digits(300, 0).images;
        pollster::block_on(async {
            let SavedModel { model, parameters, .. } = &predictor.saved;
            let wanted = probabilities(&Device::Cpu, model, parameters, &images).await.unwrap();
            for range in [0..7, 7..12, 20..28] {
                let images = &images[range.start * IMAGE_BYTES..range.end * IMAGE_BYTES];
                assert_eq!(predictor.probabilities(images).await.unwrap(), wanted[range]);
            }
            assert_eq!(predictor.executors.keys().collect::<Vec<_>>(), [&8], "one executor serves 5 to 8 images");
            assert_eq!(predictor.probabilities(&images).await.unwrap(), wanted);
            assert!(predictor.probabilities(&[]).await.unwrap().is_empty());
        });
    }
}
