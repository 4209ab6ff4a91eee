//! A layer of your own, with an op and a parameter of its own: verified, trained, saved and read back:
//! `cargo run --release --example own_layer`

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_digits::data::{self, DataChoice, Folders, IMAGE_BYTES, Request, Task};
use gpu_digits::device::DeviceChoice;
use gpu_digits::executor::Unobserved;
use gpu_digits::layers::network::{Function, NetworkBuilder};
use gpu_digits::layers::{Entry, Initial, Layer, ParameterSpec, Recorder};
use gpu_digits::op::{Operand, Shader, Variant};
use gpu_digits::tensor::DType::F32;
use gpu_digits::tensor::HostTensor;
use gpu_digits::verify::{self, Outcome};
use gpu_digits::weights::{self, Origin};
use gpu_digits::{Device, Model, Op, Predictor, TrainConfig, Trainer};

/// `gain`: a learned factor for each channel, `output[n,c,i] = gain[c] · input[n,c,i]`.
#[derive(Debug)]
struct Gain;

impl Layer for Gain {
    fn text(&self) -> String {
        "gain".to_owned()
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        vec![ParameterSpec::new("gain", [input[0]], Initial::Constant(1.0))]
    }

    // Tensors are found by the names of the operands.
    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(GainForward(Sizes::of(step)));
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        step.call(GainBackward(Sizes::of(step)));
        // The gradient of the input is `gain[c] · output_grad[n,i,c]`: the op forward, on the gradients.
        step.call_with(GainForward(Sizes::of(step)), &[("input", "output_grad"), ("output", "input_grad")]);
    }

    // For `gpu-digits export`: a normalisation that only has a factor.
    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let all = |value: f32| HostTensor::from_f32([network.input()[0]], &vec![value; network.input()[0]]);
        let (bias, mean, variance) = (all(0.0), all(0.0), all(1.0));
        let weight = network.parameter("gain")?;
        network.apply(Function::Normalization { weight, bias, mean, variance, epsilon: 0.0 });
        Ok(())
    }

    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        parameters[0].f32().iter().fold(0.0, |most: f64, gain| most.max(input * f64::from(gain.abs())))
    }
}

/// The row by which the text `gain` is read.
const GAIN: Entry = Entry {
    word: "gain",
    forms: &["gain"],
    help: "a learned factor for each channel",
    parse: |_, _| Ok(Arc::new(Gain)),
    ops: &[],
    example: None,
};

/// Samples, channels, and positions in a channel.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    channels: usize,
    area: usize,
}

impl Sizes {
    fn of(step: &Recorder<'_>) -> Self {
        let (channels, rest) = step.input().split_first().expect("an input has a shape");
        Self { batch: step.batch(), channels: *channels, area: rest.iter().product() }
    }

    fn named(self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("channels", self.channels as f64), ("area", self.area as f64)]
    }

    fn shape(self) -> [usize; 3] {
        [self.batch, self.area, self.channels]
    }

    fn length(self) -> usize {
        self.shape().iter().product()
    }
}

/// `input`, `gain` to `output`.
#[derive(Debug)]
struct GainForward(Sizes);

impl Op for GainForward {
    fn name(&self) -> &'static str {
        "gain_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.named()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.0.shape()),
            Operand::read("gain", F32, [self.0.channels]),
            Operand::write("output", F32, self.0.shape()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        vec![Variant::linear(FORWARD, self.0.length(), 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, gain, output] = tensors else { unreachable!("three operands") };
        for (i, output) in output.f32_mut().iter_mut().enumerate() {
            *output = input.f32()[i] * gain.f32()[i % self.0.channels];
        }
    }

    fn flops(&self) -> u64 {
        self.0.length() as u64
    }

    fn tolerance(&self) -> f64 {
        f64::from(f32::EPSILON)
    }
}

const FORWARD: Shader = Shader::from_text(
    "gain_forward",
    "
        override batch: u32;
        override channels: u32;
        override area: u32;
        override workgroup_size: u32;

        @group(0) @binding(0) var<storage, read> input: array<f32>;
        @group(0) @binding(1) var<storage, read> gain: array<f32>;
        @group(0) @binding(2) var<storage, read_write> output: array<f32>;

        @compute @workgroup_size(workgroup_size)
        fn gain_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
            let i = id.x + id.y * groups.x * workgroup_size;
            if i >= batch * channels * area { return; }
            output[i] = input[i] * gain[i % channels];
        }
    ",
);

/// `input`, `output_grad` to partial sums of `gain_grad`, one for each sample; the optimizer adds them up.
#[derive(Debug)]
struct GainBackward(Sizes);

impl Op for GainBackward {
    fn name(&self) -> &'static str {
        "gain_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.named()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.0.shape()),
            Operand::read("output_grad", F32, self.0.shape()),
            Operand::write("gain_grad_partial", F32, [self.0.batch, self.0.channels]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        vec![Variant::linear(BACKWARD, self.0.batch * self.0.channels, self.0.area)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output_grad, sums] = tensors else { unreachable!("three operands") };
        let Sizes { channels, area, .. } = self.0;
        for (i, sum) in sums.f32_mut().iter_mut().enumerate() {
            let places = (0..area).map(|position| (i / channels * area + position) * channels + i % channels);
            let products = places.map(|place| f64::from(input.f32()[place]) * f64::from(output_grad.f32()[place]));
            *sum = products.sum::<f64>() as f32;
        }
    }

    fn flops(&self) -> u64 {
        2 * self.0.length() as u64
    }

    /// A sum of `area` products.
    fn tolerance(&self) -> f64 {
        4.0 * f64::from(f32::EPSILON) * (self.0.area as f64).sqrt()
    }
}

const BACKWARD: Shader = Shader::from_text(
    "gain_backward",
    "
        override batch: u32;
        override channels: u32;
        override area: u32;
        override workgroup_size: u32;

        @group(0) @binding(0) var<storage, read> input: array<f32>;
        @group(0) @binding(1) var<storage, read> output_grad: array<f32>;
        @group(0) @binding(2) var<storage, read_write> gain_grad_partial: array<f32>;

        @compute @workgroup_size(workgroup_size)
        fn gain_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
            let i = id.x + id.y * groups.x * workgroup_size;
            if i >= batch * channels { return; }
            var sum = 0.0;
            for (var position = 0u; position < area; position++) {
                let place = (i / channels * area + position) * channels + i % channels;
                sum += input[place] * output_grad[place];
            }
            gain_grad_partial[i] = sum;
        }
    ",
);

/// The op's kernels, the layer's gradients, and the model: its kernels, and whole training steps on the GPU and the CPU
/// in lockstep.
async fn verify_all(device: &Device, model: &Model) -> Result<()> {
    for shape in [&[3, 4, 5][..], &[7]] {
        verify::check_gradients(&Gain, shape)?;
    }
    println!("the layer's gradients are right");
    let Device::Gpu(gpu) = device else {
        println!("no GPU: its kernels are not verified");
        return Ok(());
    };
    let mut checks = Vec::new();
    for (batch, channels, area) in [(1, 1, 1), (3, 5, 7), (37, 8, 144)] {
        let sizes = Sizes { batch, channels, area };
        checks.extend(verify::check(gpu, Arc::new(GainForward(sizes))).await);
        checks.extend(verify::check(gpu, Arc::new(GainBackward(sizes))).await);
    }
    checks.extend(verify::check_model(gpu, model).await?);
    for check in checks {
        println!("{}: {:?}", check.label, check.outcome);
        ensure!(!matches!(check.outcome, Outcome::Failed { .. }), "{} is wrong", check.label);
    }
    Ok(())
}

/// Saves the model and reads it back; the row says what `gain` is.
async fn read_back(device: Device, model: &Model, trained: &[HostTensor], seed: u64) -> Result<()> {
    let path = std::env::temp_dir().join(format!("gpu-digits-own-layer-{}.safetensors", std::process::id()));
    weights::save(&path, model, trained, Origin { seed, data: None })?;
    let saved = weights::load_with(&path, &[GAIN])?;
    ensure!(saved.parameters == trained, "the saved weights should be those that were trained");
    let mut predictor = Predictor::open_with(device, &path, &[GAIN])?;
    std::fs::remove_file(&path)?;
    let [blank] = &predictor.probabilities(&[0; IMAGE_BYTES]).await?[..] else { unreachable!("one image") };
    println!("read back `{}`: a blank image is a 1 with {:.1} %", saved.model, 100.0 * blank[1]);
    Ok(())
}

fn main() -> Result<()> {
    pollster::block_on(async {
        let model = Model::parse(Task::MNIST, "conv 8x5, gain, relu, pool 4, flatten, dense 10, gain", &[GAIN])?;
        let device = Device::open(&DeviceChoice::Auto).await?;
        verify_all(&device, &model).await?;

        let folders = Folders::from_environment(None);
        let request = Request { choice: DataChoice::Generated, generated_train: 3_000, ..Request::new(folders) };
        let dataset = data::load(&request, &mut |line| eprintln!("{line}"))?;
        let config = TrainConfig { epochs: 2, batch: 32, validation: 0, ..TrainConfig::DEFAULT };
        let before = model.initial_parameters(config.seed);
        let mut trainer = Trainer::new(&device, &model, &before, &dataset, config).await?;
        for _ in 0..config.epochs {
            println!("loss {:.3}", trainer.epoch(&mut Unobserved).await?.score.loss);
        }
        let test = trainer.evaluate(trainer.splits().test.clone()).await?;
        let trained = trainer.parameters().await?;
        for ((name, _), values) in model.parameters().iter().zip(&trained) {
            if name.ends_with(".gain") {
                println!("{name}: {:.2?}", values.f32());
            }
        }
        println!("{:.1} % of {} test images on {device}", 100.0 * test.accuracy, test.images);
        ensure!(test.accuracy > 0.9, "a model with a gain should learn");
        read_back(device, &model, &trained, config.seed).await
    })
}
