//! A model as an ONNX file: bytes of images in, logits and probabilities out, for any number of images.

use anyhow::Result;
use prost::Message as _;

use super::{facts, network};
use crate::layers::network::{Function, Network, Step, Value};
use crate::onnx::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::tensor::HostTensor;
use crate::weights::SavedModel;

/// The set of operators of 2021, which every runtime in `docs/EXPORT.md` knows, and its version of the file format.
const OPERATORS: i64 = 17;
const FORMAT: i64 = 8;

/// The names of the graph's input and outputs.
const INPUT: &str = "image";
const LOGITS: &str = "logits";
const PROBABILITIES: &str = "probabilities";

/// The file of a saved model.
///
/// Its input `image` is `[n, c, h, w]`: floats from 0 to 255, the values of the bytes; the graph normalises them. Its outputs are
/// `logits` and `probabilities`, `[n, classes]`. The metadata are those of the model's own file.
///
/// # Errors
/// If a layer of your own does not [say what it computes](crate::Layer::describe).
pub fn onnx(saved: &SavedModel) -> Result<Vec<u8>> {
    let network = network(saved)?;
    let metadata = facts(saved)?.into_iter().map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value });
    let model = ModelProto {
        ir_version: FORMAT,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph(saved, &network)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATORS }],
        metadata_props: metadata.collect(),
    };
    Ok(model.encode_to_vec())
}

fn graph(saved: &SavedModel, network: &Network) -> GraphProto {
    let classes = [saved.model.task().classes()];
    let mut graph = GraphProto {
        name: env!("CARGO_PKG_NAME").to_owned(),
        input: vec![value_info(INPUT, &network.input)],
        output: vec![value_info(LOGITS, &classes), value_info(PROBABILITIES, &classes)],
        ..GraphProto::default()
    };
    let [scale, shift] = saved.model.task().scale_and_shift().map(|number| number as f32);
    for (name, operator, operand) in [("scale", "Mul", scale), ("shift", "Add", shift)] {
        let input = if name == "scale" { INPUT } else { "scale.output" };
        graph.initializer.push(tensor(&format!("{name}.value"), &HostTensor::from_f32([1], &[operand])));
        graph.node.push(NodeProto {
            input: vec![input.to_owned(), format!("{name}.value")],
            output: vec![format!("{name}.output")],
            ..node(name, operator, vec![])
        });
    }
    for (place, step) in network.steps.iter().enumerate() {
        let (operator, attributes, operands) = lowered(step, network.shape(step.inputs[0]));
        let inputs = step.inputs.iter().map(|&value| value_name(network, value));
        let names: Vec<String> = operands.iter().map(|(name, _)| format!("{}.{name}", step.name)).collect();
        graph.initializer.extend(names.iter().zip(&operands).map(|(name, (_, values))| tensor(name, values)));
        graph.node.push(NodeProto {
            input: inputs.chain(names).collect(),
            output: vec![value_name(network, place + 1)],
            ..node(&step.name, operator, attributes)
        });
    }
    graph.node.push(NodeProto {
        input: vec![LOGITS.to_owned()],
        output: vec![PROBABILITIES.to_owned()],
        ..node("softmax", "Softmax", vec![int("axis", 1)])
    });
    graph
}

/// The operator of a step, its attributes, and its constants by the names of a layer's parameters.
fn lowered<'a>(
    step: &'a Step,
    input: &[usize],
) -> (&'static str, Vec<AttributeProto>, Vec<(&'static str, &'a HostTensor)>) {
    match &step.function {
        Function::Convolution { weight, bias, stride, padding: [before, after] } => {
            let kernel = weight.shape.extents()[2];
            let attributes = vec![
                ints("kernel_shape", &[kernel; 2]),
                ints("pads", &[*before, *before, *after, *after]),
                ints("strides", &[*stride; 2]),
            ];
            ("Conv", attributes, vec![("weight", weight), ("bias", bias)])
        }
        Function::Dense { weight, bias } => ("Gemm", vec![int("transB", 1)], vec![("weight", weight), ("bias", bias)]),
        Function::Normalization { weight, bias, mean, variance, epsilon } => {
            let operands = vec![("weight", weight), ("bias", bias), ("running_mean", mean), ("running_var", variance)];
            ("BatchNormalization", vec![float("epsilon", *epsilon)], operands)
        }
        Function::Rectifier { slope: 0.0 } => ("Relu", vec![], vec![]),
        Function::Rectifier { slope } => ("LeakyRelu", vec![float("alpha", *slope)], vec![]),
        Function::MaxPool { window } => ("MaxPool", of_windows(*window), vec![]),
        Function::AveragePool { window } if input[1..] == window[..] => ("GlobalAveragePool", vec![], vec![]),
        Function::AveragePool { window } => ("AveragePool", of_windows(*window), vec![]),
        Function::Flatten => ("Flatten", vec![int("axis", 1)], vec![]),
        Function::Sum => ("Add", vec![], vec![]),
    }
}

/// The attributes of windows that do not overlap.
fn of_windows(window: [usize; 2]) -> Vec<AttributeProto> {
    vec![ints("kernel_shape", &window), ints("strides", &window)]
}

/// The name of a value of the network in the graph.
fn value_name(network: &Network, value: Value) -> String {
    match value {
        0 => "shift.output".to_owned(),
        value if value == network.steps.len() => LOGITS.to_owned(),
        value => format!("{}.output", network.steps[value - 1].name),
    }
}

fn node(name: &str, operator: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto { name: name.to_owned(), op_type: operator.to_owned(), attribute, ..NodeProto::default() }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto { f: Some(value as f32), ..attribute(name, AttributeType::Float) }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().map(|&value| value as i64).collect(), ..attribute(name, AttributeType::Ints) }
}

fn tensor(name: &str, values: &HostTensor) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: values.shape.extents().iter().map(|&extent| extent as i64).collect(),
        data_type: DataType::Float.into(),
        raw_data: values.f32().iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// A value of any number of samples of a shape.
fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    let any = DimensionProto { dim_param: Some("n".to_owned()), dim_value: None };
    let extent = |&extent: &usize| DimensionProto { dim_value: Some(extent as i64), dim_param: None };
    let shape = TensorShapeProto { dim: std::iter::once(any).chain(shape.iter().map(extent)).collect() };
    let tensor_type = TensorTypeProto { elem_type: DataType::Float.into(), shape: Some(shape) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
