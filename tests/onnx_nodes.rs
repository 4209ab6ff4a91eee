//! The tests of operators that the onnx package has, by our layers on the CPU and on each adapter, only on request:
//! `cargo test --release --test onnx_nodes -- FOLDER`. `tests/exchange/onnx_nodes.py` writes the folder. Prints how many pass,
//! and why the others have no layer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use gpu_digits::gpu::{Gpu, adapters};
use gpu_digits::import::{self, Layers};
use gpu_digits::onnx::{DataType, ModelProto, TensorProto};
use gpu_digits::tensor::HostTensor;
use gpu_digits::verify::layers_output;
use pollster::block_on;
use prost::Message as _;

/// The allowed difference, relative to the largest magnitude of the output.
const TOLERANCE: f32 = 1e-5;

fn main() -> Result<ExitCode> {
    let folder = std::env::args().nth(1).context("give the folder that tests/exchange/onnx_nodes.py has written")?;
    let mut tests: Vec<PathBuf> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    tests.sort();
    let gpus = block_on(async {
        let mut gpus = Vec::new();
        for adapter in adapters().await.into_iter().filter(|adapter| adapter.info.unusable.is_none()) {
            gpus.push(Gpu::open(&adapter).await?);
        }
        anyhow::Ok(gpus)
    })?;
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut passed, mut wrong) = (0, 0);
    for path in &tests {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (layers, input, output) = match read(path) {
            Ok(test) => test,
            Err(error) => {
                println!("no layer  {name}: {error:#}");
                refused.entry(reason(&format!("{error:#}"))).or_default().push(name);
                continue;
            }
        };
        let devices = std::iter::once(None).chain(gpus.iter().map(Some));
        let results = devices.map(|gpu| check(gpu, &layers, &input, &output)).collect::<Result<Vec<()>>>();
        match results {
            Ok(_) => passed += 1,
            Err(error) => {
                wrong += 1;
                println!("WRONG     {name}: {error:#}");
            }
        }
    }
    println!("\n{passed} of {} tests pass on the CPU and on {} adapters, {wrong} are wrong", tests.len(), gpus.len());
    for (reason, names) in &refused {
        println!("{:5}  {reason}, such as {}", names.len(), names[0]);
    }
    ensure!(passed > 0, "no test passed");
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// The layers of a test, its input, and the output that is right. The other inputs become constants.
fn read(path: &Path) -> Result<(Layers, HostTensor, HostTensor)> {
    let mut model = ModelProto::decode(&fs::read(path.join("model.onnx"))?[..])?;
    let graph = model.graph.as_mut().context("no graph")?;
    let tensor = |name: &str| -> Result<TensorProto> {
        Ok(TensorProto::decode(&fs::read(path.join("test_data_set_0").join(name))?[..])?)
    };
    let is_constant = |name: &String| graph.initializer.iter().any(|tensor| tensor.name == *name);
    let names: Vec<String> =
        graph.input.iter().map(|input| input.name.clone()).filter(|name| !is_constant(name)).collect();
    let first = floats(&tensor("input_0.pb")?)?;
    for (place, name) in names.iter().enumerate().skip(1) {
        graph.initializer.push(TensorProto { name: name.clone(), ..tensor(&format!("input_{place}.pb"))? });
    }
    let layers = import::onnx_layers(&model)?;
    let batch = first.shape.extents().first().copied().unwrap_or(1);
    let input = HostTensor::from_f32(&[&[batch], &layers.input[..]].concat()[..], first.f32());
    Ok((layers, input, floats(&tensor("output_0.pb")?)?))
}

fn floats(tensor: &TensorProto) -> Result<HostTensor> {
    ensure!(tensor.data_type == DataType::Float as i32, "its elements are no 32-bit floats");
    let shape = tensor.dims.iter().map(|&extent| usize::try_from(extent)).collect::<Result<Vec<_>, _>>()?;
    let values = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        bytemuck::pod_collect_to_vec(&tensor.raw_data)
    };
    ensure!(values.len() == shape.iter().product::<usize>(), "a tensor is damaged");
    Ok(HostTensor::from_f32(&shape[..], &values))
}

fn check(gpu: Option<&Gpu>, test: &Layers, input: &HostTensor, wanted: &HostTensor) -> Result<()> {
    let found = block_on(layers_output(gpu, &test.layers, &test.parameters, input))?;
    let device = gpu.map_or("the CPU".to_owned(), |gpu| gpu.info().to_string());
    ensure!(
        found.shape.len() == wanted.shape.len(),
        "on {device} the output is {} instead of {}",
        found.shape,
        wanted.shape
    );
    let largest = wanted.f32().iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let difference =
        found.f32().iter().zip(wanted.f32()).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f32::max);
    if difference.is_nan() || difference > TOLERANCE * largest {
        bail!("on {device} an element differs by {difference}, the largest is {largest}");
    }
    Ok(())
}

/// A reason without the names and numbers of one test.
fn reason(error: &str) -> String {
    let error = error.rsplit(": ").next().unwrap_or(error);
    let mut words = String::new();
    let mut in_quotes = false;
    for letter in error.chars() {
        in_quotes ^= letter == '`';
        match letter {
            '0'..='9' | '[' | ']' | '-' | '.' if !in_quotes => {
                if !words.ends_with('#') {
                    words.push('#');
                }
            }
            ',' | ' ' if words.ends_with('#') && letter == ',' => {}
            letter => words.push(letter),
        }
    }
    words
}
