//! Models of other libraries compute the same here as there, on the CPU and on each adapter. `tests/exchange/foreign.py` makes the
//! files with the libraries themselves, and notes what these compute.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::{adapter_name, gpus, without_adapter};
use gpu_digits::data::ImageSize;
use gpu_digits::device::Device;
use gpu_digits::import::{self, Imported, Options};
use gpu_digits::inference::{activations, probabilities};
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;
use safetensors::SafeTensors;

/// The allowed difference of a probability, and of a logit relative to the largest.
const TOLERANCE: f32 = 1e-5;

/// A file, what it does not say, and the model that it is.
struct Case {
    file: &'static str,
    options: Options,
    model: &'static str,
    normalized: [f64; 2],
}

fn case(file: &'static str, model: &'static str, normalized: [f64; 2]) -> Case {
    Case { file, options: Options::default(), model, normalized }
}

/// A file of tensors alone, with the height, width and channels of the images.
fn tensors(file: &'static str, model: &'static str, [height, width, channels]: [usize; 3]) -> Case {
    let image = Some(ImageSize { height, width, channels: Some(channels) });
    let options = Options { model: Some(model.to_owned()), image, ..Options::default() };
    Case { file, options, model, normalized: [0.0, 1.0] }
}

fn with_pixels(mut case: Case, pixels: [f64; 2]) -> Case {
    case.options.pixels = Some(pixels);
    Case { normalized: pixels, ..case }
}

const SMALL: &str = "conv 4x3, relu, pool 2, flatten, dense 10";
const NAMED: &str = "conv 4x3 same, norm, relu, conv 6x3 same stride 2, norm, relu, avg global, flatten, dense 3";
const FOLDED: &str = "conv 4x3 same, relu, conv 6x3 same stride 2, relu, avg global, flatten, dense 3";
const BLOCK: &str = "conv 2x3, relu, residual(conv 4x3 same stride 2, relu, conv 4x3 same), relu, flatten, dense 5";
const UNIT: [f64; 2] = [0.0, 1.0];

fn cases() -> Vec<Case> {
    vec![
        tensors("torch_sequential.pt", SMALL, [8, 11, 1]),
        with_pixels(tensors("torch_named.pt", NAMED, [8, 10, 1]), [0.1307, 0.3081]),
        tensors("torch_checkpoint.pt", SMALL, [8, 11, 1]),
        tensors("torch_strided.pt", SMALL, [8, 11, 1]),
        tensors("torch_types.pt", SMALL, [8, 11, 1]),
        tensors("torch_whole.pt", SMALL, [8, 11, 1]),
        with_pixels(tensors("torch_shortcut.pt", BLOCK, [10, 8, 3]), [0.5, 0.5]),
        case("onnx_dynamo.onnx", SMALL, UNIT),
        case("onnx_dynamo_norm.onnx", FOLDED, UNIT),
        case("onnx_old.onnx", FOLDED, UNIT),
        case("onnx_old_norm.onnx", NAMED, UNIT),
        case("onnx_viewed.onnx", "conv 4x5 same, leaky 0.1, avg 2, flatten, dense 10", [0.1307, 0.3081]),
        case(
            "onnx_residual.onnx",
            "conv 4x3 same, relu, residual(conv 4x3 same, relu, conv 4x3 same), relu, residual(conv 6x3 same stride 2, relu, conv \
             6x3 same), relu, avg global, flatten, dense 7",
            UNIT,
        ),
        case(
            "onnx_unusual.onnx",
            "norm, conv 6x5 same, relu, conv 6x3 same, relu, conv 4x5 same, relu, conv 4x5 same, conv 4x3 same stride 2, flatten, \
             dense 4",
            UNIT,
        ),
        case(
            "keras_sequential.keras",
            "conv 4x3, relu, norm, pool 2, dropout 0.25, conv 6x3 same, norm, leaky 0.2, flatten, norm, dense 8, relu, dense 10",
            UNIT,
        ),
        case(
            "keras_residual.keras",
            "conv 4x4 same stride 2, relu, residual(conv 4x3 same, norm), relu, residual(conv 6x3 same), relu, avg 2, avg global, \
             flatten, dense 3",
            [0.5, 0.5],
        ),
        case("keras_normalization.keras", KERAS_NORMALIZATION, UNIT),
        case("keras_normalization.h5", KERAS_NORMALIZATION, UNIT),
        case("keras_mlp.keras", "flatten, dense 7, relu, dense 4", UNIT),
        case("keras_mlp.h5", "flatten, dense 7, relu, dense 4", UNIT),
    ]
}

const KERAS_NORMALIZATION: &str =
    "norm, conv 4x4 same stride 2, relu, conv 8x3 same, conv 5x3 same, leaky 0.2, pool 4, flatten, dense 4";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/foreign").join(file)
}

fn main() {
    let arguments = Arguments::from_args();
    let gpus = gpus();
    let mut trials = if gpus.is_empty() { vec![without_adapter("imported models compute the same")] } else { vec![] };
    let on_gpus = gpus.into_iter().map(|gpu| (adapter_name(&gpu), Device::Gpu(Box::new(gpu))));
    for (name, device) in std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(on_gpus) {
        for case in cases() {
            let device = device.clone();
            let title = format!("{} computes the same [{name}]", case.file);
            trials.push(Trial::test(title, move || check(&device, &case)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What the library computes: images, and logits or probabilities by their name.
fn expected(file: &str) -> Result<(Vec<u8>, BTreeMap<String, Vec<f32>>), Failed> {
    let stem = file.split('.').next().unwrap_or(file);
    let bytes = fs::read(path(&format!("{stem}.expected.safetensors")))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let images = tensors.tensor("images")?.data().to_vec();
    let outputs = tensors.iter().filter(|(name, _)| *name != "images");
    let outputs = outputs.map(|(name, view)| (name.to_owned(), bytemuck::pod_collect_to_vec(view.data()))).collect();
    Ok((images, outputs))
}

fn check(device: &Device, case: &Case) -> Result<(), Failed> {
    let Imported { model, parameters, .. } = import::read(&path(case.file), &case.options)?;
    if model.to_string() != case.model || model.task().pixels() != case.normalized {
        return Err(format!("it is `{model}`, pixels {:?}", model.task().pixels()).into());
    }
    let (images, outputs) = expected(case.file)?;
    for (name, wanted) in outputs {
        let found: Vec<f32> = if name == "probabilities" {
            block_on(probabilities(device, &model, &parameters, &images))?.concat()
        } else {
            let outputs = block_on(activations(device, &model, &parameters, &images))?;
            outputs.last().ok_or("no layer has an output")?.1.f32().to_vec()
        };
        let largest = wanted.iter().fold(1.0, |largest: f32, value| largest.max(value.abs()));
        let differences = found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted).abs());
        let difference = differences.fold(0.0, f32::max);
        if found.len() != wanted.len() || difference.is_nan() || difference > TOLERANCE * largest {
            return Err(format!("{name} differ by {difference}: {found:?} instead of {wanted:?}").into());
        }
    }
    Ok(())
}
