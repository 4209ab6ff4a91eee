//! Models for images of other shapes and with other numbers of classes than MNIST's: they learn, are saved and read
//! back, and give the same on every device; what does not fit is refused in words.

mod common;

use common::{adapter_name, check, gpus, without_adapter};
use gpu_digits::data::{DataRecord, Dataset, ImageShape, Samples, Task};
use gpu_digits::device::Device;
use gpu_digits::executor::Unobserved;
use gpu_digits::inference::{Predictor, activations, probabilities, score};
use gpu_digits::metrics::Evaluation;
use gpu_digits::model::Model;
use gpu_digits::plan::{Optimizer, Plan, PlanConfig, PlanForm};
use gpu_digits::random::Random;
use gpu_digits::schedule::Schedule;
use gpu_digits::tensor::HostTensor;
use gpu_digits::train::{TrainConfig, Trainer};
use gpu_digits::verify::{self, Outcome};
use gpu_digits::weights::{self, Origin};
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

/// A test of one size on one device.
type SizeTest = fn(&Device, &Size) -> Result<(), Failed>;

/// A task and a small model for it.
struct Size {
    name: &'static str,
    shape: ImageShape,
    classes: usize,
    layers: &'static str,
    /// Images to train on.
    images: usize,
}

const SIZES: [Size; 2] = [
    Size {
        name: "32x32x3 of 100",
        shape: ImageShape { height: 32, width: 32, channels: 3 },
        classes: 100,
        layers: "conv 8x3, relu, pool 3, flatten, dense 100",
        images: 600,
    },
    Size {
        name: "16x16x1 of 2",
        shape: ImageShape { height: 16, width: 16, channels: 1 },
        classes: 2,
        layers: "conv 4x3, relu, pool 2, flatten, dropout 0.2, dense 12, relu, dense 2",
        images: 200,
    },
];

impl Size {
    fn task(&self) -> Task {
        Task::new(self.shape, self.classes).expect("a task")
    }

    fn model(&self) -> anyhow::Result<Model> {
        Model::parse(self.task(), self.layers, &[])
    }

    fn dataset(&self, images: usize) -> anyhow::Result<Dataset> {
        Dataset::from_arrays(self.task(), self.patterns(images, 1), self.patterns(2 * self.classes, 2))
    }

    /// Every class in turn: squares of four pixels in colours that are drawn for each class, dimmed, with noise over
    /// them.
    fn patterns(&self, count: usize, seed: u64) -> Samples {
        let ImageShape { width, channels, .. } = self.shape;
        let mut random = Random::new(seed, 0);
        let mut samples = Samples { images: vec![], labels: vec![] };
        for class in (0..self.classes).cycle().take(count) {
            let mut of_class = Random::new(0, class as u64);
            let colors: Vec<u32> = (0..self.shape.bytes()).map(|_| of_class.below(200)).collect();
            let strength = 0.6 + random.uniform(0.0, 0.4);
            for i in 0..self.shape.bytes() {
                let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
                let color = colors[((y / 4) * width + x / 4) * channels + c] as f32 * strength;
                samples.images.push(color as u8 + random.below(50) as u8);
            }
            samples.labels.push(class as u16);
        }
        samples
    }

    fn config(&self) -> TrainConfig {
        TrainConfig { epochs: 4, batch: 20, validation: 0, rate: 5e-3, ..TrainConfig::DEFAULT }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let on_each: [(&str, SizeTest); 3] = [
        ("a_model_learns_and_is_saved_and_read_back", learns),
        ("the_losses_of_ten_steps_plain_and_fused_are_the_cpus_to_1e-4", losses_are_the_cpus),
        ("images_and_weights_have_the_orders_that_are_documented", by_hand),
    ];
    let mut trials = vec![Trial::test("what_does_not_fit_is_refused_in_words", refusals)];
    let gpus = gpus();
    let devices = std::iter::once(Device::Cpu).chain(gpus.iter().map(|gpu| Device::Gpu(Box::new(gpu.clone()))));
    for device in devices {
        let on = match &device {
            Device::Cpu => "cpu".to_owned(),
            Device::Gpu(gpu) => adapter_name(gpu),
        };
        let verified: (&str, SizeTest) = ("its_kernels_and_steps_are_verified", kernels);
        let tests = on_each.into_iter().chain(matches!(device, Device::Gpu(_)).then_some(verified));
        for ((name, test), size) in tests.flat_map(|test| SIZES.iter().map(move |size| (test, size))) {
            let device = device.clone();
            trials.push(Trial::test(format!("{name} [{} on {on}]", size.name), move || test(&device, size)));
        }
    }
    if gpus.is_empty() {
        trials.push(without_adapter("models_of_other_sizes"));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn learns(device: &Device, size: &Size) -> Result<(), Failed> {
    let (model, dataset, config) = (size.model()?, size.dataset(size.images)?, size.config());
    let before = model.initial_parameters(config.seed);
    let mut trainer = block_on(Trainer::new(device, &model, &before, &dataset, config))?;
    for _ in 0..config.epochs {
        block_on(trainer.epoch(&mut Unobserved))?;
    }
    let test = block_on(trainer.evaluate(trainer.splits().test.clone()))?;
    check(test.accuracy > 0.9, format!("{test:?}"))?;

    let folder = tempfile::tempdir()?;
    let (path, data) = (folder.path().join(weights::MODEL_FILE), DataRecord::from(&dataset));
    let trained = block_on(trainer.parameters())?;
    weights::save(&path, &model, &trained, Origin { seed: config.seed, data: Some(&data) })?;
    let saved = weights::load(folder.path())?;
    check(saved.model.task() == &dataset.task, format!("read back: {}", saved.model.task()))?;
    check(saved.parameters == trained && saved.data.as_ref() == Some(&data), "it is read back differently")?;

    let scored = block_on(score(device, &saved.model, &saved.parameters, &dataset.test))?;
    let evaluation = Evaluation::new(&dataset.task, &scored.probabilities, &scored.losses, &dataset.test.labels);
    check(evaluation.accuracy == test.accuracy, format!("{} after {test:?}", evaluation.accuracy))?;
    check((evaluation.loss / test.loss - 1.0).abs() < 1e-4, format!("{} after {test:?}", evaluation.loss))?;
    check(evaluation.confusion.len() == size.classes && evaluation.classes.len() == size.classes, "not all classes")?;
    let mut predictor = Predictor::new(device.clone(), saved);
    let rows = block_on(predictor.probabilities(&dataset.test.images[..3 * size.shape.bytes()]))?;
    let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5;
    let mut pairs = rows.iter().flatten().zip(scored.probabilities.iter().flatten());
    check(rows.len() == 3 && rows[0].len() == size.classes && !pairs.any(differs), format!("{rows:?}"))
}

fn losses_are_the_cpus(device: &Device, size: &Size) -> Result<(), Failed> {
    let (model, dataset) = (size.model()?, size.dataset(10 * size.config().batch)?);
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
    let losses = |device: &Device, fuse: bool| -> anyhow::Result<Vec<f64>> {
        let config = TrainConfig {
            epochs: 1,
            optimizer,
            rate: 0.01,
            schedule: Schedule::Constant,
            fuse: Some(fuse),
            ..size.config()
        };
        let parameters = model.initial_parameters(0);
        let mut trainer = block_on(Trainer::new(device, &model, &parameters, &dataset, config))?;
        Ok(block_on(trainer.epoch(&mut Unobserved))?.step_losses)
    };
    let wanted = losses(&Device::Cpu, false)?;
    for fuse in [false, true] {
        let got = losses(device, fuse)?;
        for (step, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            check(
                (got / wanted - 1.0).abs() < 1e-4,
                format!("step {step}, fused {fuse}: {got}, the CPU has {wanted}"),
            )?;
        }
    }
    Ok(())
}

/// A task whose pixels have another mean and deviation, and its normalised pixel `[c, y, x]` of an image's bytes `[y,
/// x, c]`.
fn normalized<'a>(size: &Size, image: &'a [u8]) -> anyhow::Result<(Task, impl Fn(usize, usize, usize) -> f32 + 'a)> {
    let ImageShape { width, channels, .. } = size.shape;
    let pixel = move |c: usize, y: usize, x: usize| f32::from(image[(y * width + x) * channels + c]) / 255.0;
    Ok((size.task().normalized(0.4, 0.3)?, move |c, y, x| (pixel(c, y, x) - 0.4) / 0.3))
}

/// The outputs of a dense layer.
fn dense(weight: &HostTensor, bias: &HostTensor, input: &[f32]) -> Vec<f32> {
    let sum = |row: &[f32]| row.iter().zip(input).map(|(weight, x)| weight * x).sum::<f32>();
    weight.f32().chunks_exact(input.len()).map(sum).zip(bias.f32()).map(|(sum, bias)| sum + bias).collect()
}

fn check_close(what: &str, got: &[f32], wanted: &[f32]) -> Result<(), Failed> {
    check(got.len() == wanted.len(), format!("{what}: {} numbers, not {}", got.len(), wanted.len()))?;
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        check((got - wanted).abs() < 1e-4, format!("{what}: element {i} is {got}, but {wanted} by hand"))?;
    }
    Ok(())
}

/// What two models give, computed here from the weights in PyTorch's order.
fn by_hand(device: &Device, size: &Size) -> Result<(), Failed> {
    const KERNEL: usize = 3;
    const OUTPUTS: usize = 5;
    let ImageShape { height, width, channels } = size.shape;
    let image = size.patterns(1, 9).images;
    let (task, pixel) = normalized(size, &image)?;
    let of_model = |layers: &str| -> Result<_, Failed> {
        let model = Model::parse(task.clone(), layers, &[])?;
        let parameters = model.initial_parameters(3);
        let outputs = block_on(activations(device, &model, &parameters, &image))?;
        let probabilities = block_on(probabilities(device, &model, &parameters, &image))?.concat();
        Ok((parameters, outputs, probabilities))
    };
    let softmax = |logits: &[f32]| -> Vec<f32> {
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
        logits.iter().map(|logit| (logit - most).exp() / total).collect()
    };

    let flat = (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
    let flat: Vec<f32> = flat.map(|(c, y, x)| pixel(c, y, x)).collect();
    let (parameters, _, probabilities) = of_model(&format!("flatten, dense {}", size.classes))?;
    check_close("dense", &probabilities, &softmax(&dense(&parameters[0], &parameters[1], &flat)))?;

    let layers = format!("conv {OUTPUTS}x{KERNEL}, flatten, leaky 0.5, dense {}", size.classes);
    let (parameters, outputs, probabilities) = of_model(&layers)?;
    let (rows, columns) = (height - KERNEL + 1, width - KERNEL + 1);
    let mut map = vec![0.0; OUTPUTS * rows * columns];
    for (i, sum) in map.iter_mut().enumerate() {
        let (o, y, x) = (i / rows / columns, i / columns % rows, i % columns);
        *sum = parameters[1].f32()[o];
        let filter = channels * KERNEL * KERNEL;
        for (j, weight) in parameters[0].f32()[o * filter..][..filter].iter().enumerate() {
            *sum += weight * pixel(j / KERNEL / KERNEL, y + j / KERNEL % KERNEL, x + j % KERNEL);
        }
    }
    let [conv, leaky, _] = &outputs[..] else { return Err(Failed::from(format!("{outputs:?}"))) };
    check(conv.1.shape == [1, OUTPUTS, rows, columns].into(), format!("{conv:?}"))?;
    check_close(&conv.0, conv.1.f32(), &map)?;
    let map: Vec<f32> = map.into_iter().map(|x| if x > 0.0 { x } else { 0.5 * x }).collect();
    check_close(&leaky.0, leaky.1.f32(), &map)?;
    check_close("probabilities", &probabilities, &softmax(&dense(&parameters[2], &parameters[3], &map)))
}

fn kernels(device: &Device, size: &Size) -> Result<(), Failed> {
    let Device::Gpu(gpu) = device else { return Err(Failed::from("no adapter")) };
    let checks = block_on(verify::check_model(gpu, &size.model()?))?;
    check(checks.len() > 20, format!("only {} checks", checks.len()))?;
    match checks.iter().find(|check| matches!(check.outcome, Outcome::Failed { .. })) {
        Some(failed) => Err(Failed::from(format!("{}: {:?}", failed.label, failed.outcome))),
        None => Ok(()),
    }
}

/// The error of something that must be refused.
fn error<T>(result: anyhow::Result<T>) -> String {
    result.err().map_or_else(|| "it was not refused".to_owned(), |error| format!("{error:#}"))
}

fn refusals() -> Result<(), Failed> {
    let [coloured, grey] = &SIZES;
    let (model, dataset) = (coloured.model()?, coloured.dataset(100)?);
    let parameters: Vec<HostTensor> = model.initial_parameters(0);
    let trained = block_on(Trainer::new(&Device::Cpu, &model, &parameters, &grey.dataset(60)?, grey.config()));
    let scored = |images: &[u8], labels: &[u16]| {
        let samples = Samples { images: images.to_vec(), labels: labels.to_vec() };
        error(block_on(score(&Device::Cpu, &model, &parameters, &samples)))
    };
    let mut too_high = coloured.patterns(5, 0);
    too_high.labels[4] = 100;
    let one = &dataset.test.images[..3_072];
    let odd = Model::parse(grey.task(), "conv 9x3, relu, conv 8x3, flatten, dense 2", &[])?;
    let odd_in_half = |form: PlanForm| {
        error(Plan::new(&odd, PlanConfig { form, ..PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false))) }))
    };
    for (error, wanted) in [
        (
            error(trained),
            "the model is made for 32x32x3 images of 100 classes, but the data are 16x16x1 images of 2 classes",
        ),
        (
            error(Dataset::from_arrays(coloured.task(), too_high, coloured.patterns(5, 1))),
            "image 4 of the training set has the label 100; labels are 0 to 99",
        ),
        (
            error(Dataset::from_arrays(coloured.task(), coloured.patterns(5, 1), grey.patterns(5, 1))),
            "the images of the test set: 1280 bytes are not a whole number of 32x32x3 images; give 3072 bytes for each",
        ),
        (error(Task::new(coloured.shape, 1_001)), "there cannot be 1001 classes"),
        (scored(&one[1..], &[0]), "3071 bytes are not a whole number of 32x32x3 images"),
        (scored(one, &[100]), "image 0 of the scored set has the label 100; labels are 0 to 99"),
        (
            error(Model::parse(coloured.task(), grey.layers, &[])),
            "logits of shape [100] are needed, one for each class; end the model with `dense 100`",
        ),
        (error(Model::parse(grey.task(), "conv 4x17, flatten, dense 2", &[])), "[1, 16, 16]"),
        (odd_in_half(PlanForm::HALF), "its output has rows of 9, but two neighbours share a word"),
        (odd_in_half(PlanForm { fuse: false, ..PlanForm::HALF }), "its output has rows of 9, but two neighbours"),
    ] {
        check(error.contains(wanted), format!("`{error}` does not say `{wanted}`"))?;
    }
    Ok(())
}
