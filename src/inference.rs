//! Inference: probabilities, losses and layer outputs of images.

mod attribution;
mod views;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::data::{Samples, Task};
#[cfg(feature = "pictures")]
use crate::decode::bytes_of;
use crate::device::Device;
use crate::executor::{Executor, Unobserved};
use crate::finite::ensure_finite;
use crate::layers;
use crate::model::Model;
use crate::ops::layout::to_planes;
#[cfg(feature = "photos")]
use crate::photo;
use crate::plan::{Phase, Plan, PlanConfig, PlanForm, Precision};
use crate::resident::{ResidentData, write_order, write_parameters};
use crate::tensor::HostTensor;
use crate::train::TrainConfig;
use crate::weights::{self, SavedModel};

pub use attribution::attribution;
pub use views::Views;
use views::mean;

/// A model's results for labelled images, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The probabilities of each image, one for each class.
    pub probabilities: Vec<Vec<f32>>,
    /// The cross-entropy of each image, in nats. It is computed from the logits, because the probability of a label may
    /// be too small for a float.
    pub losses: Vec<f32>,
}

/// Images of a step: the batch that models are trained with by default. All calls have the same, the last images with
/// empty places beside them, so that kernels compiled for some images serve for any number.
pub(crate) const BATCH: usize = TrainConfig::DEFAULT.batch;

/// The most steps between two transfers, and the bytes of the images that a transfer holds unless a step has more.
const MOST_STEPS: usize = 16;
const TRANSFER_BYTES: usize = 1 << 24;

/// The message for a model that overflows.
const DIVERGED: &str = "the model overflows, as after a diverged run; train again with a smaller --lr";

/// A trained model on a device. Its kernels are compiled at the first call, for any number of images.
pub struct Predictor {
    device: Device,
    saved: SavedModel,
    views: Views,
    /// By the images of a step.
    evaluators: BTreeMap<usize, Evaluator>,
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
        Self { device, saved, views: Views::ONE, evaluators: BTreeMap::new() }
    }

    /// The same with probabilities that are means over several views of each image.
    pub fn with_views(self, views: Views) -> Self {
        Self { views, ..self }
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
        let SavedModel { model, parameters, .. } = &self.saved;
        let count = model.task().image().count(images)?;
        if count == 0 {
            return Ok(vec![]);
        }
        ensure_finite(model, parameters, images, Precision::F32).await.context(DIVERGED)?;
        let evaluator = match self.evaluators.entry(batch_for(&self.device, count, BATCH)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let batch = *entry.key();
                entry.insert(Evaluator::new(&self.device, model, parameters, batch).await?)
            }
        };
        let samples = Samples { images: images.to_vec(), labels: vec![0; count] };
        Ok(evaluator.score(&samples, self.views).await?.probabilities)
    }
}

#[cfg(feature = "photos")]
impl Predictor {
    /// The digits of a picture, drawn, scanned or photographed, as numbers.
    ///
    /// ```no_run
    /// use gpu_digits::device::DeviceChoice;
    /// use gpu_digits::{Device, Predictor, photo};
    ///
    /// # async fn read() -> anyhow::Result<()> {
    /// let device = Device::open(&DeviceChoice::Auto).await?;
    /// let mut predictor = Predictor::open(device, "runs/first".as_ref())?;
    /// let picture = photo::decode(&std::fs::read("photo.jpg")?)?;
    /// let reading = predictor.read(&picture, &photo::Options::default()).await?;
    /// let (number, certainty) = (reading.text(), reading.confidence());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The same as for [`photo::find`] and [`probabilities`], and if the model is not one for digits.
    pub async fn read(&mut self, picture: &image::DynamicImage, options: &photo::Options) -> Result<photo::Reading> {
        let task = self.model().task();
        ensure!(task.is_of_digits(), "the model is made for {task}, which are no digits; use `Predictor::classify`");
        let found = photo::find(picture, options)?;
        Ok(found.read(&self.probabilities(&found.pixels()).await?))
    }
}

#[cfg(feature = "pictures")]
impl Predictor {
    /// The probabilities of a picture as a whole, one for each class. It is scaled to the images of the model's
    /// [task](Model::task); what is clear is white.
    ///
    /// # Errors
    /// The same as for [`probabilities`], and if the images of the task have other than 1 or 3 channels.
    pub async fn classify(&mut self, picture: &image::DynamicImage) -> Result<Vec<f32>> {
        let image = bytes_of(picture, self.model().task().image().sizes())?;
        let rows = self.probabilities(&image).await?;
        rows.into_iter().next().context("the picture gives no image")
    }
}

/// Images of a step for `count` images: on an adapter the same for any, since it has kernels for one number; on the CPU
/// not many more than there are.
fn batch_for(device: &Device, count: usize, batch: usize) -> usize {
    match device {
        Device::Cpu => count.next_power_of_two().min(batch),
        Device::Gpu(_) => batch,
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
    score_by(device, model, parameters, samples, BATCH).await
}

/// The same as the means over several views of each image; a loss is that of the mean probability.
///
/// # Errors
/// The same as for [`score`].
pub async fn score_views(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    samples: &Samples,
    views: Views,
) -> Result<Scored> {
    score_with(device, model, parameters, samples, BATCH, views).await
}

/// The same with so many images in each step: those of a training step, whose evaluation has compiled kernels for them.
pub(crate) async fn score_by(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    samples: &Samples,
    batch: usize,
) -> Result<Scored> {
    score_with(device, model, parameters, samples, batch, Views::ONE).await
}

async fn score_with(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    samples: &Samples,
    batch: usize,
    views: Views,
) -> Result<Scored> {
    samples.check(model.task(), "scored")?;
    if samples.is_empty() {
        return Ok(Scored { probabilities: vec![], losses: vec![] });
    }
    ensure_finite(model, parameters, &samples.images, Precision::F32).await.context(DIVERGED)?;
    let batch = batch_for(device, samples.len(), batch);
    Evaluator::new(device, model, parameters, batch).await?.score(samples, views).await
}

/// A plan for evaluation only, with parameters and with room for the images of some steps, on a device.
struct Evaluator {
    executor: Box<dyn Executor>,
    /// The device's name.
    device: String,
    task: Task,
    /// Images that there is room for.
    room: usize,
}

impl Evaluator {
    async fn new(device: &Device, model: &Model, parameters: &[HostTensor], batch: usize) -> Result<Self> {
        let task = model.task().clone();
        let room = batch * (TRANSFER_BYTES / (batch * task.image().bytes())).clamp(1, MOST_STEPS);
        let form = PlanForm { fuse: device.prefers_fused(), precision: Precision::F32 };
        let executor = evaluator(device, model, parameters, batch, room, form).await?;
        Ok(Self { executor, device: device.to_string(), task, room })
    }

    /// The probabilities and losses of labelled images, in order.
    async fn score(&mut self, samples: &Samples, views: Views) -> Result<Scored> {
        let mut scored = Scored { probabilities: vec![], losses: vec![] };
        let task = self.task.clone();
        let images = samples.images.chunks(self.room * task.image().bytes());
        for (images, labels) in images.zip(samples.labels.chunks(self.room)) {
            let mut of_views = Vec::new();
            for images in views.of(images, &task) {
                of_views.push(self.transfer(&images, labels).await?);
            }
            let next = mean(of_views);
            scored.probabilities.extend(next.probabilities);
            scored.losses.extend(next.losses);
        }
        let mut rows = scored.probabilities.iter().zip(&scored.losses);
        if let Some(image) =
            rows.position(|(row, loss)| !loss.is_finite() || !row.iter().all(|share| share.is_finite()))
        {
            bail!(
                "`probability` or `loss` of image {image} is not finite on {}, although no activation overflows; check the \
                 device with `gpu-digits verify`",
                self.device
            );
        }
        Ok(scored)
    }

    /// The same for images that there is room for.
    async fn transfer(&mut self, images: &[u8], labels: &[u16]) -> Result<Scored> {
        let (executor, count) = (self.executor.as_mut(), labels.len());
        upload(executor, images, labels, self.room);
        write_order(executor, &(0..count as u32).collect::<Vec<_>>(), 0, 0);
        let collected = [executor.plan().host.probability, executor.plan().host.loss];
        let steps = count.div_ceil(executor.plan().batch);
        let words = executor.run_collecting(Phase::Evaluate, steps, &collected).await?;
        let values: &[f32] = bytemuck::cast_slice(&words[0]);
        let classes = executor.plan().tensor(collected[0]).shape.extents()[1];
        let probabilities = values.chunks_exact(classes).take(count).map(<[f32]>::to_vec).collect();
        Ok(Scored { probabilities, losses: bytemuck::cast_slice(&words[1])[..count].to_vec() })
    }
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
    let mut executor = evaluator(device, model, parameters, count, count, PlanForm::PLAIN).await?;
    upload(executor.as_mut(), images, &vec![0; count], count);
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

/// An executor of a plan for evaluation only, with room for `room` images and with parameters loaded.
async fn evaluator(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    batch: usize,
    room: usize,
    form: PlanForm,
) -> Result<Box<dyn Executor>> {
    let batches = room.div_ceil(batch);
    let config = PlanConfig { batch, images: room, batches, steps: 1, form, ..PlanConfig::for_mnist(batch, None) };
    let mut executor = device.executor(Plan::new(model, config)?).await?;
    write_parameters(executor.as_mut(), parameters);
    Ok(executor)
}

/// Writes images and labels, and zeros where there is room for more.
fn upload(executor: &mut dyn Executor, images: &[u8], labels: &[u16], room: usize) {
    let bytes = images.len() / labels.len().max(1);
    let empty = room - labels.len();
    let zeros = (vec![0; empty * bytes], vec![0; empty]);
    ResidentData::pack(&[(images, labels), (&zeros.0, &zeros.1)]).upload(executor);
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
            assert_eq!(predictor.evaluators.keys().collect::<Vec<_>>(), [&8], "one serves 5 to 8 images");
            assert_eq!(predictor.probabilities(&images).await.unwrap(), wanted);
            assert!(predictor.probabilities(&[]).await.unwrap().is_empty());
        });
    }
}
