//! Models in ONNX's files: what their nodes compute, and their constants.

mod constants;
mod nodes;

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message as _;

use self::constants::Constants;
use self::nodes::{Attributes, label, operation};
use super::graph::{Graph, Node};
use super::operation::{MOST_SIZE, Operation};
use super::value::Value;
use crate::data::ImageSize;
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

/// The oldest set of operators whose definitions are those that are read here.
const OLDEST_OPERATORS: i64 = 6;

/// The model in the bytes of a file.
///
/// # Errors
/// If they are no message of ONNX.
pub(super) fn decode(bytes: &[u8]) -> Result<ModelProto> {
    let model = ModelProto::decode(bytes).context("it is no ONNX file, or is damaged")?;
    ensure!(model.graph.is_some(), "it is no ONNX file, or is damaged: it has no graph");
    Ok(model)
}

/// The graph of a model. Weights in other files are read from the folder, and the image is that of an input whose sizes the
/// file leaves open.
///
/// # Errors
/// If it has a node or a constant that cannot be read.
pub(super) fn graph(model: &ModelProto, folder: Option<&Path>, image: Option<ImageSize>) -> Result<Graph> {
    let graph = model.graph.as_ref().context("the file has no graph")?;
    let own_operators = model.opset_import.iter().find(|set| matches!(&*set.domain, "" | "ai.onnx"));
    let version = own_operators.map_or(1, |set| set.version);
    ensure!(
        version >= OLDEST_OPERATORS,
        "it is written for version {version} of ONNX's operators, and {OLDEST_OPERATORS} is the oldest that is read; convert it \
         with onnx.version_converter"
    );
    let mut constants = Constants::new(graph, folder);
    let input = input(graph, &constants)?;
    let mut computed = HashSet::from([input.name.as_str()]);
    let mut nodes = Vec::new();
    for node in &graph.node {
        let takes: Vec<String> = node.input.iter().filter(|name| computed.contains(name.as_str())).cloned().collect();
        if takes.is_empty() {
            constants.compute(node).with_context(|| label(node))?;
            continue;
        }
        if node.op_type == "Shape" {
            constants.note_shape(node);
            continue;
        }
        let output = node.output.first().cloned().unwrap_or_default();
        computed.extend(node.output.first().map(String::as_str));
        nodes.push((node, takes, output));
    }
    let last = match &graph.output[..] {
        [only] => &only.name,
        // Logits with their probabilities, as `export` writes them.
        [logits, last] if nodes.iter().any(|node| is_softmax_of(node, &logits.name, &last.name)) => &last.name,
        outputs => bail!("it has {} outputs, and a model of ours has one: the classes", outputs.len()),
    };
    let (value, batch) = (value(input, &nodes, image)?, batch(input));
    let read = |(node, inputs, output): (&NodeProto, Vec<String>, String)| {
        let operation =
            operation(node, &constants, &inputs, batch).with_context(|| format!("{} cannot be read", label(node)))?;
        Ok(Node { label: label(node), operation, inputs, output })
    };
    let nodes = nodes.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Graph { nodes, input: (input.name.clone(), value), output: last.clone(), channels_last: false })
}

/// Whether a node takes one value to another by softmax.
fn is_softmax_of((node, takes, output): &(&NodeProto, Vec<String>, String), from: &str, to: &str) -> bool {
    node.op_type == "Softmax" && *takes == [from] && output == to
}

/// The input that is no constant.
fn input<'a>(graph: &'a GraphProto, constants: &Constants<'_>) -> Result<&'a ValueInfoProto> {
    let inputs: Vec<_> = graph.input.iter().filter(|input| !constants.has(&input.name)).collect();
    let [input] = inputs[..] else { bail!("it has {} inputs, and a model of ours has one: the image", inputs.len()) };
    Ok(input)
}

/// The shape of the input for one sample.
fn value(
    input: &ValueInfoProto,
    nodes: &[(&NodeProto, Vec<String>, String)],
    image: Option<ImageSize>,
) -> Result<Value> {
    let shape = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref()).and_then(|tensor| tensor.shape.as_ref());
    let dims = &shape.context("the shape of its input is not known")?.dim;
    let channels_last = moves_channels_first(&input.name, nodes);
    // An extent of 0 is one that is not known.
    let extents: Vec<_> = dims.iter().skip(1).map(|dim| dim.dim_value.filter(|&extent| extent > 0)).collect();
    Value::at_input(&extents, channels_last, image)
}

/// Whether the graph begins with an exchange of axes that puts the channels first, behind nodes that keep the order.
fn moves_channels_first(input: &str, nodes: &[(&NodeProto, Vec<String>, String)]) -> bool {
    let mut at = input;
    for (node, takes, output) in nodes {
        if !takes.iter().any(|name| name == at) {
            continue;
        }
        match node.op_type.as_str() {
            "Add" | "Cast" | "Div" | "Identity" | "Mul" | "Sub" => at = output,
            "Transpose" => {
                return Attributes::new(node, &["perm"]).is_ok_and(|settings| settings.ints("perm") == [0, 3, 1, 2]);
            }
            _ => return false,
        }
    }
    false
}

/// The samples of the input, if the file fixes them.
fn batch(input: &ValueInfoProto) -> Option<i64> {
    let shape = input.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    shape.dim.first()?.dim_value.filter(|&samples| samples > 0)
}

/// What a `Reshape` to this shape computes, whose first axis is that of the samples.
fn reshaping(target: &[Option<i64>], batch: Option<i64>) -> Result<Operation> {
    let [samples, rest @ ..] = target else { bail!("it makes a value without axes") };
    ensure!(!rest.is_empty(), "it joins samples");
    // -1 stands for what is left, and 0 for the extent as it was.
    let keeps_samples = samples.is_none_or(|samples| matches!(samples, -1 | 0) || Some(samples) == batch);
    let is_only = *samples != Some(-1) || !rest.contains(&Some(-1));
    ensure!(keeps_samples && is_only, "it makes {target:?} of a batch, and keeps no sample by itself");
    let extent = |extent: &Option<i64>| match extent {
        Some(-1) => Ok(0),
        Some(extent) if (1..=MOST_SIZE.pow(2) as i64).contains(extent) => Ok(*extent as usize),
        _ => bail!("its shape {target:?} is not known"),
    };
    Ok(Operation::Shape(rest.iter().map(extent).collect::<Result<_>>()?))
}
