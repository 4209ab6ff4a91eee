//! Training: epochs over a shuffled stream of images, and evaluation, both repeatable.

mod config;
mod micro_batches;
mod order;
mod range_test;
mod shared;
mod state;
mod step;

use std::ops::Range;

use anyhow::{Result, bail, ensure};

use crate::data::{Dataset, Samples, Splits, Task, digits};
use crate::device::Device;
use crate::executor::{Counters, Executor, Feed, Observer, Unobserved};
use crate::finite::ensure_finite;
use crate::model::Model;
use crate::ops::batch::HISTORY_COLUMNS;
use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::plan::{Parameter, Phase, Plan, PlanConfig, TensorId};
use crate::ranks::Ranks;
use crate::resident::{ResidentData, Stream, write_parameters};
use crate::tensor::HostTensor;
use crate::trace::Span;

pub use config::TrainConfig;
pub use micro_batches::measure_micro_batches;
pub use range_test::{RangeTest, RatePoint};
use shared::Shared;
pub use state::{Diverged, TrainState};
pub use step::augmented;
pub(crate) use step::step_on_cpu;

/// The number of images for checking the activations of a suspicious model during training.
const SAMPLE: usize = 64;

/// Mean loss and accuracy over some images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of images whose label is the argmax of the logits, from 0 to 1.
    pub accuracy: f64,
    /// Images.
    pub images: usize,
}

impl Score {
    /// Summarises batches by the sum of their losses and their number of hits.
    fn of(batches: impl Iterator<Item = [f32; 2]> + Clone, images: usize) -> Self {
        let sum = |column: usize| batches.clone().map(|batch| f64::from(batch[column])).sum::<f64>();
        let count = images.max(1) as f64;
        Self { loss: sum(0) / count, accuracy: sum(1) / count, images }
    }
}

/// The result of an epoch, or of as much of it as is done.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The training score: each batch before its update.
    pub score: Score,
    /// Mean loss of each step's batch before its update.
    pub step_losses: Vec<f64>,
    /// Whether the observer ended the epoch before its last step. [`Trainer::epoch`] then goes on with it.
    pub interrupted: bool,
}

/// Trains a model on a device.
pub struct Trainer {
    executor: Box<dyn Executor>,
    plan_config: PlanConfig,
    config: TrainConfig,
    splits: Splits,
    rates: Vec<f32>,
    /// For each step done, the sum of the losses of its batch and the number of hits.
    history: Vec<f32>,
    model: Model,
    /// Some training images for checking activations.
    sample: Vec<u8>,
    /// The digits that are trained on besides.
    added: Samples,
    /// The images, if there is no room for all of them on the device.
    stream: Option<Stream>,
    /// The device in words.
    device: String,
    /// How steps are shared with other ranks, or cut into micro-batches; none of steps that are computed at once.
    shared: Option<Shared>,
}

impl Trainer {
    /// Prepares training: makes the plan, allocates memory, compiles kernels, and uploads the data and the parameters.
    ///
    /// # Errors
    /// If the sizes do not match, the model is made for other images or classes than those of the data set, generated
    /// digits are to be added to something else, or the device cannot run the plan.
    pub async fn new(
        device: &Device,
        model: &Model,
        parameters: &[HostTensor],
        dataset: &Dataset,
        config: TrainConfig,
    ) -> Result<Self> {
        let is_cut = config.micro_batches > 1 || config.sync_every.is_some();
        let ranks = if is_cut { Some(Ranks::alone()?) } else { None };
        Self::build(device, model, parameters, dataset, config, ranks).await
    }

    /// The same for one of several ranks, which all are made of equal arguments but for their devices. Rank 0 trains as a
    /// trainer alone does; the others [follow](Self::follow) it.
    ///
    /// # Errors
    /// Also if the batch cannot be shared by so many ranks, or a rank was given other arguments.
    pub async fn among(
        ranks: Ranks,
        device: &Device,
        model: &Model,
        parameters: &[HostTensor],
        dataset: &Dataset,
        config: TrainConfig,
    ) -> Result<Self> {
        let facts = shared::facts(model, parameters, dataset, &config);
        let mut trainer = Self::build(device, model, parameters, dataset, config, Some(ranks)).await?;
        trainer.meet(&facts)?;
        Ok(trainer)
    }

    async fn build(
        device: &Device,
        model: &Model,
        parameters: &[HostTensor],
        dataset: &Dataset,
        config: TrainConfig,
        ranks: Option<Ranks>,
    ) -> Result<Self> {
        dataset.check()?;
        model.task().ensure_takes(&dataset.task)?;
        let (train, test) = (&dataset.train, &dataset.test);
        ensure!(
            config.validation < train.len(),
            "--validation {} leaves none of the {} training images to train on; hold out fewer",
            config.validation,
            train.len()
        );
        ensure!(
            config.generated == 0 || dataset.task == Task::MNIST,
            "generated digits cannot be added to images of {}; leave out --add-generated",
            dataset.task
        );
        let more = added_digits(&config);
        let splits = Splits::stratified(dataset, config.validation, config.seed).with_more(more.len());
        ensure!(
            config.batch <= splits.train.len(),
            "--batch-size {} exceeds the {} images to train on; make it smaller",
            config.batch,
            splits.train.len()
        );
        // Samples of the plan's batch: those that are computed at once.
        let batch = ranks.as_ref().map_or(Ok(config.batch), |ranks| shared::samples_at_once(&config, ranks.count()))?;
        let most_images = [splits.train.len(), splits.validation.len(), splits.test.len()];
        let steps = config.epochs * splits.train.len() / config.batch;
        let (images, image_bytes) = (train.len() + test.len() + more.len(), dataset.task.image().bytes());
        let most_bytes = device.most_tensor_bytes().unwrap_or(u64::MAX);
        let is_streamed = config.stream.unwrap_or((images * image_bytes) as u64 > most_bytes);
        let steps_there = Stream::steps_within(most_bytes, batch, image_bytes);
        let plan_config = PlanConfig {
            batch,
            images: if is_streamed { steps_there * batch } else { images },
            batches: most_images.iter().max().unwrap_or(&1).div_ceil(config.batch) * (config.batch / batch),
            steps,
            optimizer: Some(config.optimizer),
            refinements: config.refinements,
            form: config.form(device),
        };
        let mut executor = device.executor(Plan::new(model, plan_config)?).await?;
        let sets = [train, test, &more];
        let stream = is_streamed.then(|| Stream::new(&sets, image_bytes, steps_there, executor.plan()));
        if stream.is_none() {
            ResidentData::pack(&sets.map(|set| (&set.images[..], &set.labels[..]))).upload(executor.as_mut());
        }
        let schedule = config.schedule.rows(config.rate, &config.optimizer, steps);
        let tensor = executor.plan().host.schedule;
        executor.write(tensor, schedule.words());
        write_parameters(executor.as_mut(), parameters);
        let rates = schedule.f32().iter().copied().step_by(SCHEDULE_COLUMNS).collect();
        let sample = train.images[..train.len().min(SAMPLE) * dataset.task.image().bytes()].to_vec();
        let shared = match ranks {
            Some(ranks) => Some(Shared::new(ranks, &config, executor.plan())?),
            None => None,
        };
        Ok(Self {
            executor,
            plan_config,
            config,
            splits,
            rates,
            history: vec![],
            model: model.clone(),
            sample,
            added: more,
            stream,
            device: device.to_string(),
            shared,
        })
    }

    /// The epoch that the next step belongs to, counted from 0.
    pub fn epochs_done(&self) -> usize {
        ((self.steps_done() + 1) * self.config.batch - 1) / self.splits.train.len()
    }

    /// The steps of the epoch that the next step belongs to, those done too.
    ///
    /// Epochs are sections of one endless stream of permutations of the training images. Images that do not fill an
    /// epoch's last batch come first in the next epoch, so that each image is used equally often.
    pub fn steps_of_epoch(&self) -> Range<usize> {
        let steps = |epochs: usize| epochs * self.splits.train.len() / self.config.batch;
        steps(self.epochs_done())..steps(self.epochs_done() + 1)
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        self.rates.len()
    }

    /// The learning rate of a step of the run, counted from 0.
    pub fn rate(&self, step: usize) -> f32 {
        self.rates[step]
    }

    /// Steps run so far.
    pub fn steps_done(&self) -> usize {
        self.history.len() / 2
    }

    /// Mean loss of each step's batch before its update, of all steps run so far.
    pub fn step_losses(&self) -> Vec<f64> {
        self.mean_losses(0)
    }

    fn mean_losses(&self, first_step: usize) -> Vec<f64> {
        let batch = self.config.batch as f64;
        self.history[2 * first_step..].iter().step_by(2).map(|&sum| f64::from(sum) / batch).collect()
    }

    /// The images by use.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The kernels of a training step in order, each with its variant.
    pub fn kernels(&self) -> Vec<String> {
        let calls = self.executor.plan().calls(Phase::Train).len();
        (0..calls).map(|call| self.executor.describe_call(Phase::Train, call)).collect()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    /// The executor's counters so far.
    pub fn counters(&self) -> Counters {
        self.executor.counters()
    }

    /// Trains to the end of the epoch that the next step belongs to.
    ///
    /// # Errors
    /// If the device fails, or the loss is no longer finite.
    pub async fn epoch(&mut self, observer: &mut dyn Observer) -> Result<Epoch> {
        let (first, epoch) = (self.steps_done(), self.steps_of_epoch());
        let rows = self.run_steps(epoch.end - first, observer).await?;
        self.ensure_finite(first, &rows).await?;
        let images = (self.steps_done() - epoch.start) * self.config.batch;
        Ok(Epoch {
            score: Score::of(self.history[2 * epoch.start..].as_chunks().0.iter().copied(), images),
            step_losses: self.mean_losses(epoch.start),
            interrupted: self.steps_done() < epoch.end,
        })
    }

    /// Trains the next `steps` steps of an epoch, unless the observer ends them early, and returns their rows of the history.
    async fn run_steps(&mut self, steps: usize, observer: &mut dyn Observer) -> Result<Vec<[f32; HISTORY_COLUMNS]>> {
        let rows = if self.shared.is_some() {
            self.run_shared(steps, observer).await?
        } else {
            self.write_order(&self.next_order(steps));
            let feed = self.stream.as_mut().map(|stream| stream as &mut dyn Feed);
            let steps = self.executor.run_fed(Phase::Train, steps, observer, feed).await?;
            self.read_history(steps).await?
        };
        self.history.extend(rows.iter().flat_map(|[loss, hits, _]| [loss, hits]));
        Ok(rows)
    }

    /// Refuses steps, the first of which is given, whose loss or weights are not finite, and names the first.
    async fn ensure_finite(&mut self, first: usize, rows: &[[f32; HISTORY_COLUMNS]]) -> Result<()> {
        let Some(row) = rows.iter().position(|[loss, _, fault]| !loss.is_finite() || *fault != 0.0) else {
            return Ok(());
        };
        let tensor = self.parameters().await.err().map(|error| format!("{error:#}"));
        Err(Diverged { step: first + row + 1, is_loss: !rows[row][0].is_finite(), tensor }.into())
    }

    /// Trains the first steps of the first epoch and returns the timeline of `steps` of them. Some steps come before,
    /// because drivers compile during the first.
    ///
    /// # Errors
    /// If the device fails or cannot time its kernels, or the epoch has too few steps.
    pub async fn trace(&mut self, steps: usize) -> Result<Vec<Span>> {
        const WARM_UP_STEPS: usize = 3;
        let needed = WARM_UP_STEPS + steps;
        let there = self.steps_of_epoch().len();
        ensure!(there >= needed, "a timeline needs {needed} steps, but the epoch has {there}");
        self.write_order(&self.next_order(needed));
        self.send(needed)?;
        self.executor.run(Phase::Train, WARM_UP_STEPS, &mut Unobserved).await?;
        self.executor.trace(Phase::Train, steps).await
    }

    /// Scores some images of the data set: those of a split, or any indices into the training set, followed by the test
    /// set, followed by the digits added.
    ///
    /// # Errors
    /// If the device fails, an image does not exist, or there are more images than in the largest split.
    pub async fn evaluate(&mut self, images: impl IntoIterator<Item = u32>) -> Result<Score> {
        let images: Vec<u32> = images.into_iter().collect();
        let (count, there) = (images.len(), self.splits.test.end + self.config.generated as u32);
        if let Some(image) = images.iter().find(|&&image| image >= there) {
            bail!("cannot score image {image}: the data set holds {there} images, counted from 0");
        }
        let places = self.executor.plan().tensor(self.executor.plan().host.order).shape.len();
        ensure!(count <= places, "cannot score {count} images at once: there is room for {places}; score fewer");
        let steps = count.div_ceil(self.plan_config.batch);
        self.write_order(&images);
        let feed = self.stream.as_mut().map(|stream| stream as &mut dyn Feed);
        self.executor.run_fed(Phase::Evaluate, steps, &mut Unobserved, feed).await?;
        let score = Score::of(self.read_history(steps).await?.iter().map(|[loss, hits, _]| [*loss, *hits]), count);
        ensure!(
            score.loss.is_finite(),
            "the loss of {count} images is not finite: training diverged; try a smaller --lr"
        );
        Ok(score)
    }

    /// Weights and biases as they are now, or their averages if they are averaged, in the order of
    /// [`Model::parameters`].
    ///
    /// # Errors
    /// If the device fails, or if a parameter is not finite or so large that the model overflows; the error names the
    /// first tensor.
    pub async fn parameters(&mut self) -> Result<Vec<HostTensor>> {
        let parameters = self.read_parameters(|parameter| Some(parameter.evaluated())).await?;
        let parameters: Vec<HostTensor> = parameters.into_iter().flatten().collect();
        ensure_finite(&self.model, &parameters, &self.sample, self.config.precision).await?;
        Ok(parameters)
    }

    /// The gradients of the last step, in the order of [`Self::parameters`]; none for state that is not trained.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn gradients(&mut self) -> Result<Vec<Option<HostTensor>>> {
        self.read_parameters(|parameter| parameter.gradient).await
    }

    /// Reads a tensor of each parameter that has one, and permutes it into the model's order.
    async fn read_parameters(
        &mut self,
        tensor: impl Fn(&Parameter) -> Option<TensorId>,
    ) -> Result<Vec<Option<HostTensor>>> {
        let mut tensors = Vec::new();
        for parameter in self.executor.plan().host.parameters.clone() {
            tensors.push(match tensor(&parameter) {
                Some(tensor) => Some(parameter.restored(&self.executor.read(tensor).await?)),
                None => None,
            });
        }
        Ok(tensors)
    }

    /// The rows of the history that the last `steps` steps wrote.
    async fn read_history(&mut self, steps: usize) -> Result<Vec<[f32; HISTORY_COLUMNS]>> {
        let tensor = self.executor.plan().host.history;
        Ok(self.executor.read(tensor).await?.f32().as_chunks().0[..steps].to_vec())
    }
}

/// Other digits than those of a generated data set of this seed.
fn added_digits(config: &TrainConfig) -> Samples {
    digits(config.generated, config.seed ^ u64::from_be_bytes(*b"more set"))
}
