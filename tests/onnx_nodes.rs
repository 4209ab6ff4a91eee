//! The tests of operators that the onnx package has, by our layers on the CPU and on each adapter, only on request:
//! `cargo test --release --test onnx_nodes -- FOLDER`. `tests/exchange/onnx_nodes.py` writes the folder. Prints how many pass,
//! and why the others have no layer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use gpu_digits::Op as _;
use gpu_digits::gpu::{Gpu, adapters, choose_variant, run_variant};
use gpu_digits::import::{self, Layers};
use gpu_digits::onnx::{DataType, ModelProto, TensorProto};
use gpu_digits::ops::cross_entropy::CrossEntropy;
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
    // By operator: how many pass, and how many there are.
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut wrong = 0;
    for path in &tests {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let model = ModelProto::decode(&fs::read(path.join("model.onnx"))?[..])?;
        let [passed, all] = counts.entry(operators(&model)).or_default();
        *all += 1;
        let devices = std::iter::once(None).chain(gpus.iter().map(Some));
        match read(path, model) {
            Err(error) => println!("no layer  {name}: {error:#}"),
            Ok(test) => match devices.map(|gpu| check(gpu, &test)).collect::<Result<Vec<()>>>() {
                Ok(_) => *passed += 1,
                Err(error) => {
                    wrong += 1;
                    println!("WRONG     {name}: {error:#}");
                }
            },
        }
    }
    println!("\noperators                     tests  pass");
    counts.iter().for_each(|(operators, [passed, all])| println!("{operators:28} {all:6} {passed:5}"));
    let passed: usize = counts.values().map(|[passed, _]| passed).sum();
    println!("\n{passed} of {} tests pass on the CPU and on {} adapters, {wrong} are wrong", tests.len(), gpus.len());
    ensure!(passed > 0, "no test passed");
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// The operators of a test.
fn operators(model: &ModelProto) -> String {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let mut kinds: Vec<&str> = nodes.map(|node| node.op_type.as_str()).filter(|kind| *kind != "Constant").collect();
    kinds.dedup();
    kinds.join(", ")
}

/// The layers of a test, its input, and the output that is right.
struct Test {
    layers: Layers,
    input: HostTensor,
    output: HostTensor,
}

/// Reads a test. The inputs but the first become constants.
fn read(path: &Path, mut model: ModelProto) -> Result<Test> {
    let graph = model.graph.as_mut().context("no graph")?;
    let tensor = |name: &str| -> Result<TensorProto> {
        Ok(TensorProto::decode(&fs::read(path.join("test_data_set_0").join(name))?[..])?)
    };
    let is_constant = |name: &String| graph.initializer.iter().any(|tensor| tensor.name == *name);
    let inputs = graph.input.iter().map(|input| input.name.clone());
    let inputs: Vec<String> = inputs.filter(|name| !is_constant(name)).collect();
    ensure!(!inputs.is_empty(), "it has no input");
    let first = floats(&tensor("input_0.pb")?)?;
    for (place, name) in inputs.into_iter().enumerate().skip(1) {
        graph.initializer.push(TensorProto { name, ..tensor(&format!("input_{place}.pb"))? });
    }
    let layers = import::onnx_layers(&model)?;
    let is_log = model.graph.iter().flat_map(|graph| &graph.node).any(|node| node.op_type == "LogSoftmax");
    ensure!(!is_log, "the logarithm of a softmax is part of the loss");
    ensure!(!layers.softmax_follows || layers.output.len() == 1, "it is a softmax of maps");
    let batch = first.shape.extents().first().copied().unwrap_or(1);
    let input = HostTensor::from_f32(&[&[batch], &layers.input[..]].concat()[..], first.f32());
    Ok(Test { layers, input, output: floats(&tensor("output_0.pb")?)? })
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

fn check(gpu: Option<&Gpu>, Test { layers: test, input, output: wanted }: &Test) -> Result<()> {
    let mut found = block_on(layers_output(gpu, &test.layers, &test.parameters, input))?;
    if test.softmax_follows {
        found = block_on(softmax(gpu, found))?;
    }
    let device = gpu.map_or("the CPU".to_owned(), |gpu| gpu.info().to_string());
    let [shape, right] = [&found.shape, &wanted.shape];
    ensure!(shape.len() == right.len(), "on {device} the output is {shape} instead of {right}");
    let largest = wanted.f32().iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let differences = found.f32().iter().zip(wanted.f32()).map(|(found, wanted)| (found - wanted).abs());
    let difference = differences.fold(0.0, f32::max);
    if difference.is_nan() || difference > TOLERANCE * largest {
        bail!("on {device} an element differs by {difference}, the largest is {largest}");
    }
    Ok(())
}

/// The probabilities that the loss computes of logits.
async fn softmax(gpu: Option<&Gpu>, logits: HostTensor) -> Result<HostTensor> {
    let &[batch, classes] = logits.shape.extents() else { bail!("the logits are {}", logits.shape) };
    let op = CrossEntropy { batch, classes, label_smoothing: 0.0 };
    let empty = op.operands().into_iter().map(|operand| HostTensor::zeros(operand.dtype, operand.shape));
    let mut tensors: Vec<HostTensor> = std::iter::once(logits).chain(empty.skip(1)).collect();
    match gpu {
        Some(gpu) => tensors = run_variant(gpu, &op, &choose_variant(gpu, &op)?, &tensors).await?,
        None => op.reference(&mut tensors),
    }
    Ok(tensors.swap_remove(2))
}
