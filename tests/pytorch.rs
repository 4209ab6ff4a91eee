//! Ten steps of SGD give PyTorch's parameters, for models of unusual layers and sizes. It needs a Python with torch and
//! safetensors; without one the tests are reported as ignored.

mod common;

use std::fs;
use std::process::Command;

use common::{adapter_name, gpus, without_adapter};
use gpu_digits::Model;
use gpu_digits::data::{Dataset, ImageShape, Samples, Task};
use gpu_digits::device::Device;
use gpu_digits::executor::Unobserved;
use gpu_digits::plan::{Optimizer, Refinements};
use gpu_digits::random::Random;
use gpu_digits::schedule::Schedule;
use gpu_digits::train::{TrainConfig, Trainer};
use gpu_digits::weights::{self, Origin};
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

const NO_TORCH: &str = "no Python with torch and safetensors; name one with GPU_DIGITS_PYTHON";

const STEPS: usize = 10;

/// The allowed difference of a parameter.
const TOLERANCE: f64 = 1e-4;

/// Models with the height, width and channels of their images and the number of classes.
const MODELS: [(&str, [usize; 3], usize); 8] = [
    ("conv 4x3, relu, pool 2, flatten, dense 10", [28, 28, 1], 10),
    ("conv 5x3 same stride 2, leaky 0.1, conv 7x3 stride 3, relu, flatten, dense 3", [13, 17, 1], 3),
    ("residual(conv 3x3 same, relu, conv 3x3 same), relu, avg global, flatten, dense 5", [9, 11, 3], 5),
    (
        "conv 6x5 same, norm, relu, residual(conv 8x3 same stride 2, norm), relu, pool 3, flatten, dense 11, relu, dense 2",
        [16, 16, 1],
        2,
    ),
    ("flatten, dense 13, norm, leaky 0.2, dense 7, relu, dense 100", [7, 5, 3], 100),
    ("avg 2, conv 1x1, relu, conv 17x2, pool 2, relu, flatten, dense 10", [11, 13, 1], 10),
    ("conv 3x7 same, pool 3, leaky 0.5, residual(relu, conv 3x3 same), flatten, dense 4", [19, 23, 3], 4),
    ("conv 16x3 same, relu, conv 8x3 same, relu, pool 2, conv 2x1, flatten, dense 10", [10, 10, 2], 10),
];

fn main() {
    let arguments = Arguments::from_args();
    let python = std::env::var("GPU_DIGITS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import torch, safetensors"]).output();
    let can_run = probe.is_ok_and(|output| output.status.success());
    let gpus = gpus();
    let mut trials = if gpus.is_empty() { vec![without_adapter("ten steps are PyTorch's")] } else { vec![] };
    let on_gpus = gpus.into_iter().map(|gpu| (adapter_name(&gpu), Device::Gpu(Box::new(gpu))));
    let devices: Vec<(String, Device)> =
        std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(on_gpus.filter(|_| can_run)).collect();
    for (name, device) in devices {
        for (index, (model, ..)) in MODELS.into_iter().enumerate() {
            let (python, device) = (python.clone(), device.clone());
            let trial = Trial::test(format!("ten steps are PyTorch's: {model} [{name}]"), move || {
                check(&python, &device, index)
            });
            trials.push(if can_run { trial } else { trial.with_kind(NO_TORCH).with_ignored_flag(true) });
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The settings of a model; every other one has all refinements.
fn config(index: usize) -> TrainConfig {
    let refined = Refinements { label_smoothing: 0.1, clip_norm: Some(0.5), ..Refinements::default() };
    TrainConfig {
        epochs: 1,
        batch: 7,
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-3 },
        rate: 0.05,
        schedule: Schedule::Constant,
        shuffle: false,
        validation: 0,
        refinements: if index.is_multiple_of(2) { Refinements::default() } else { refined },
        ..TrainConfig::DEFAULT
    }
}

fn samples(count: usize, bytes: usize, classes: usize, random: &mut Random) -> Samples {
    Samples {
        images: (0..count * bytes).map(|_| random.below(256) as u8).collect(),
        labels: (0..count).map(|_| random.below(classes as u32) as u16).collect(),
    }
}

fn check(python: &str, device: &Device, index: usize) -> Result<(), Failed> {
    let (text, [height, width, channels], classes) = MODELS[index];
    let image = ImageShape { height, width, channels };
    let task = Task::new(image, classes)?.normalized(0.5, 0.5)?;
    let model = Model::parse(task.clone(), text, &[])?;
    let config = config(index);
    let mut random = Random::new(index as u64, 0);
    let train = samples(STEPS * config.batch, image.bytes(), classes, &mut random);
    let test = samples(1, image.bytes(), classes, &mut random);
    let folder = std::env::temp_dir().join(format!("gpu-digits-pytorch-{}-{index}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("images.bin"), &train.images)?;
    fs::write(folder.join("labels.bin"), bytemuck::cast_slice::<u16, u8>(&train.labels))?;
    let Optimizer::Sgd { momentum, weight_decay, .. } = config.optimizer else { unreachable!("SGD") };
    let settings = serde_json::json!({
        "shape": [channels, height, width], "batch": config.batch, "rate": config.rate, "momentum": momentum,
        "weight_decay": weight_decay, "label_smoothing": config.refinements.label_smoothing,
        "clip_norm": config.refinements.clip_norm,
    });
    fs::write(folder.join("settings.json"), settings.to_string())?;

    let before = model.initial_parameters(3);
    let dataset = Dataset::from_arrays(task, train, test)?;
    let mut trainer = block_on(Trainer::new(device, &model, &before, &dataset, config))?;
    block_on(trainer.epoch(&mut Unobserved))?;
    let after = block_on(trainer.parameters())?;
    let origin = || Origin { seed: 0, data: None };
    weights::save(&folder.join("before.safetensors"), &model, &before, origin())?;
    weights::save(&folder.join("after.safetensors"), &model, &after, origin())?;

    let output = Command::new(python).arg("tests/pytorch.py").arg(&folder).output()?;
    fs::remove_dir_all(&folder)?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let difference: f64 = text.parse().map_err(|_| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    if difference < TOLERANCE { Ok(()) } else { Err(format!("parameters differ by {difference}").into()) }
}
