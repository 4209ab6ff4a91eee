//! Training: epochs over a shuffled stream of images, and evaluation, both repeatable.

use anyhow::{Result, bail, ensure};

use crate::data::{Dataset, Splits, Task, digits};
use crate::device::Device;
use crate::executor::{Counters, Executor, Observer, Unobserved};
use crate::finite::ensure_finite;
use crate::model::Model;
use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::plan::{Optimizer, Parameter, Phase, Plan, PlanConfig, PlanForm, Precision, Refinements, TensorId};
use crate::random::Random;
use crate::resident::{ResidentData, write_order, write_parameters};
use crate::schedule::Schedule;
use crate::tensor::HostTensor;
use crate::trace::Span;

/// The first of the random streams that shuffle the epochs; lower streams belong to the initial weights.
const SHUFFLE_STREAM: u64 = 1 << 32;

/// The number of images for checking the activations of a suspicious model during training.
const SAMPLE: usize = 64;

/// The settings of training.
#[derive(Clone, Copy, Debug)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The highest learning rate of the run.
    pub rate: f64,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// Seed of initial weights, shuffling, dropout and augmentation.
    pub seed: u64,
    /// Whether each epoch is shuffled; otherwise the images come in the order of the data set.
    pub shuffle: bool,
    /// Training images to hold out for validation, chosen by `seed` from each class in proportion to its size.
    pub validation: usize,
    /// [Generated digits](crate::data::digits) to train on besides, drawn by `seed`: hands that the data set lacks.
    pub generated: usize,
    /// Whether to fuse calls; none for the device's default.
    pub fuse: Option<bool>,
    /// The float type of activations and their gradients in memory.
    pub precision: Precision,
    /// Label smoothing, clipping of gradients, the average of the parameters, and augmentation.
    pub refinements: Refinements,
}

impl TrainConfig {
    /// Training images of MNIST, for which [`Self::DEFAULT`] is made.
    pub const MNIST_IMAGES: usize = 60_000;

    /// Generated digits that `gpu-digits train` adds to them.
    pub const MNIST_GENERATED: usize = 6_000;

    /// The defaults of `gpu-digits train`, with which the default model reaches a test accuracy of 99.3 to 99.4 % on
    /// MNIST; `train` also adds [`Self::MNIST_GENERATED`].
    pub const DEFAULT: Self = Self {
        epochs: 6,
        batch: 128,
        optimizer: Optimizer::adam(0.0, false),
        rate: 0.01,
        schedule: Schedule::OneCycle,
        seed: 0,
        shuffle: true,
        validation: 5_000,
        generated: 0,
        fuse: None,
        precision: Precision::F32,
        refinements: Refinements::FOR_DIGITS,
    };
}

impl TrainConfig {
    /// [`Self::DEFAULT`] adapted to a training set of this size: a twelfth is held out, and small sets have smaller
    /// batches.
    pub fn for_images(images: usize) -> Self {
        Self::holding_out(images / 12, images)
    }

    /// The same with another number of images held out.
    ///
    /// A batch is at most a sixteenth of the images to train on; otherwise an epoch would have too few steps.
    pub fn holding_out(validation: usize, images: usize) -> Self {
        const SMALLEST_BATCH: usize = 8;
        let trained_on = images.saturating_sub(validation).max(1);
        let sixteenth = 1 << (trained_on / 16).max(1).ilog2();
        let batch = sixteenth.clamp(SMALLEST_BATCH, Self::DEFAULT.batch).min(trained_on);
        Self { validation, ..Self::DEFAULT }.with_batch(batch)
    }

    /// The same with another batch and the learning rate that suits it.
    ///
    /// Below the default batch, the learning rate is proportional to the square root of the batch, like the noise of a
    /// gradient (Krizhevsky, "One weird trick", 2014). Above, it stays, since a higher one may diverge.
    pub fn with_batch(self, batch: usize) -> Self {
        let smaller = batch.min(Self::DEFAULT.batch);
        let rate = Self::DEFAULT.rate * (smaller as f64 / Self::DEFAULT.batch as f64).sqrt();
        // Round to two digits.
        let scale = 10f64.powi(1 - rate.log10().floor() as i32);
        let rate = (rate * scale).round() / scale;
        Self { batch, rate, ..self }
    }

    /// The form of the plan that training on a device uses.
    pub fn form(&self, device: &Device) -> PlanForm {
        PlanForm { fuse: self.fuse.unwrap_or_else(|| device.prefers_fused()), precision: self.precision }
    }
}

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
    /// Summarises a history of batches.
    fn of(history: &[f32], images: usize) -> Self {
        let sum = |column: usize| history.iter().skip(column).step_by(2).map(|&value| f64::from(value)).sum::<f64>();
        let count = images.max(1) as f64;
        Self { loss: sum(0) / count, accuracy: sum(1) / count, images }
    }
}

/// The result of an epoch.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The training score: each batch before its update.
    pub score: Score,
    /// Mean loss of each step's batch before its update.
    pub step_losses: Vec<f64>,
    /// Whether the observer ended the epoch before its last step.
    pub interrupted: bool,
}

/// Trains a model on a device.
pub struct Trainer {
    executor: Box<dyn Executor>,
    config: TrainConfig,
    splits: Splits,
    rates: Vec<f32>,
    epochs_done: usize,
    steps_done: usize,
    model: Model,
    /// Some training images for checking activations.
    sample: Vec<u8>,
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
        // Other digits than those of a generated data set of this seed.
        let more = digits(config.generated, config.seed ^ u64::from_be_bytes(*b"more set"));
        let splits = Splits::stratified(dataset, config.validation, config.seed).with_more(more.len());
        ensure!(
            config.batch <= splits.train.len(),
            "--batch-size {} exceeds the {} images to train on; make it smaller",
            config.batch,
            splits.train.len()
        );
        let most_images = [splits.train.len(), splits.validation.len(), splits.test.len()];
        let steps = config.epochs * splits.train.len() / config.batch;
        let plan = Plan::new(
            model,
            PlanConfig {
                batch: config.batch,
                images: train.len() + test.len() + more.len(),
                batches: most_images.iter().max().unwrap_or(&1).div_ceil(config.batch),
                steps,
                optimizer: Some(config.optimizer),
                refinements: config.refinements,
                form: config.form(device),
            },
        )?;
        let mut executor = device.executor(plan).await?;
        let sets = [train, test, &more].map(|samples| (&samples.images[..], &samples.labels[..]));
        ResidentData::pack(&sets).upload(executor.as_mut());
        let schedule = config.schedule.rows(config.rate, &config.optimizer, steps);
        let tensor = executor.plan().host.schedule;
        executor.write(tensor, schedule.words());
        write_parameters(executor.as_mut(), parameters);
        let rates = schedule.f32().iter().copied().step_by(SCHEDULE_COLUMNS).collect();
        let sample = train.images[..train.len().min(SAMPLE) * dataset.task.image().bytes()].to_vec();
        Ok(Self { executor, config, splits, rates, epochs_done: 0, steps_done: 0, model: model.clone(), sample })
    }

    /// Steps of the next epoch.
    ///
    /// Epochs are sections of one endless stream of permutations of the training images. Images that do not fill an
    /// epoch's last batch come first in the next epoch, so that each image is used equally often.
    pub fn steps_of_next_epoch(&self) -> usize {
        let steps = |epochs: usize| epochs * self.splits.train.len() / self.config.batch;
        steps(self.epochs_done + 1) - steps(self.epochs_done)
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
        self.steps_done
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

    /// Trains one epoch.
    ///
    /// # Errors
    /// If the device fails, or the loss is no longer finite.
    pub async fn epoch(&mut self, observer: &mut dyn Observer) -> Result<Epoch> {
        let wanted = self.steps_of_next_epoch();
        self.write_order(&self.next_order(wanted));
        let steps = self.executor.run(Phase::Train, wanted, observer).await?;
        let history = self.history(steps).await?;
        self.steps_done += steps;
        self.epochs_done += 1;
        let batch = self.config.batch;
        let step_losses: Vec<f64> = history.iter().step_by(2).map(|&sum| f64::from(sum) / batch as f64).collect();
        if let Some(step) = step_losses.iter().position(|loss| !loss.is_finite()) {
            let step = self.steps_done - steps + step + 1;
            let tensor = self.parameters().await.err().map_or_else(String::new, |error| format!(" ({error:#})"));
            if step == 1 {
                bail!(
                    "the loss of the first step is not finite, before any update: the initial weights are too large; give others"
                );
            }
            bail!("the loss of step {step} is not finite{tensor}: training diverged; try a smaller --lr");
        }
        Ok(Epoch { score: Score::of(&history, steps * batch), step_losses, interrupted: steps < wanted })
    }

    /// Trains the first steps of the first epoch and returns the timeline of `steps` of them. Some steps come before,
    /// because drivers compile during the first.
    ///
    /// # Errors
    /// If the device fails or cannot time its kernels, or the epoch has too few steps.
    pub async fn trace(&mut self, steps: usize) -> Result<Vec<Span>> {
        const WARM_UP_STEPS: usize = 3;
        let needed = WARM_UP_STEPS + steps;
        let there = self.steps_of_next_epoch();
        ensure!(there >= needed, "a timeline needs {needed} steps, but the epoch has {there}");
        self.write_order(&self.next_order(needed));
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
        let steps = count.div_ceil(self.config.batch);
        self.write_order(&images);
        self.executor.run(Phase::Evaluate, steps, &mut Unobserved).await?;
        let score = Score::of(&self.history(steps).await?, count);
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
    async fn history(&mut self, steps: usize) -> Result<Vec<f32>> {
        let tensor = self.executor.plan().host.history;
        Ok(self.executor.read(tensor).await?.f32()[..2 * steps].to_vec())
    }

    /// Writes the order of the next batches and sets the clock to the first of them.
    fn write_order(&mut self, order: &[u32]) {
        write_order(self.executor.as_mut(), order, self.steps_done, self.config.seed);
    }

    /// The images of the next epoch's `steps` batches, from the stream of permutations.
    fn next_order(&self, steps: usize) -> Vec<u32> {
        let count = self.splits.train.len();
        let start = self.steps_done_before_epoch() * self.config.batch;
        let places = start..start + steps * self.config.batch;
        let permutations = places.start / count..=(places.end - 1) / count;
        let stream = permutations.clone().flat_map(|number| self.permutation(number));
        stream.skip(places.start - permutations.start() * count).take(places.len()).collect()
    }

    /// The start of the next epoch, even if an earlier one was interrupted.
    fn steps_done_before_epoch(&self) -> usize {
        self.epochs_done * self.splits.train.len() / self.config.batch
    }

    fn permutation(&self, number: usize) -> Vec<u32> {
        let mut images = self.splits.train.clone();
        if self.config.shuffle {
            Random::new(self.config.seed, SHUFFLE_STREAM + number as u64).shuffle(&mut images);
        }
        images
    }
}
#[cfg(test)]
mod tests {
    use super::TrainConfig;

    #[test]
    fn defaults_suit_the_size_of_the_set() {
        let defaults = |images| {
            let TrainConfig { validation, batch, rate, .. } = TrainConfig::for_images(images);
            (validation, batch, rate)
        };
        assert_eq!(defaults(60_000), (5_000, 128, 0.01));
        assert_eq!(defaults(12_000), (1_000, 128, 0.01));
        assert_eq!(defaults(1_000), (83, 32, 0.005));
        assert_eq!(defaults(160), (13, 8, 0.0025));
        assert_eq!(defaults(1), (0, 1, 0.00088));
        assert_eq!(TrainConfig::holding_out(155, 160).batch, 5, "never more than is trained on");
    }

    #[test]
    fn the_default_rate_suits_the_batch() {
        let rate = |batch: usize| TrainConfig::for_images(60_000).with_batch(batch).rate;
        assert_eq!([1, 32, 128, 1024].map(rate), [0.00088, 0.005, 0.01, 0.01]);
    }
}
