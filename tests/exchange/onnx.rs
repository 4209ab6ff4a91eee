//! The ONNX file: its structure, and what onnxruntime makes of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use gpu_digits::export::onnx;
use gpu_digits::import;
use gpu_digits::onnx::{AttributeType, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use gpu_digits::tensor::HostTensor;
use gpu_digits::weights::SavedModel;
use libtest_mimic::Failed;
use prost::Message as _;

use crate::models::{check, check_near, images, models, wanted};

fn decoded(saved: &SavedModel) -> Result<ModelProto, Failed> {
    Ok(ModelProto::decode(&onnx(saved)?[..])?)
}

/// The model and its graph; a file without a graph fails.
fn graph(saved: &SavedModel) -> Result<gpu_digits::onnx::GraphProto, Failed> {
    decoded(saved)?.graph.ok_or_else(|| "there is no graph".into())
}

pub(crate) fn values() -> Result<(), Failed> {
    for saved in models() {
        let graph = graph(&saved)?;
        let mut there: BTreeSet<&str> = graph.initializer.iter().map(|tensor| &*tensor.name).collect();
        check(there.len() == graph.initializer.len(), format!("{}: a name occurs twice", saved.model))?;
        there.insert("image");
        for node in &graph.node {
            let missing = node.input.iter().find(|input| !there.contains(&***input));
            check(missing.is_none(), format!("{}: {} reads {missing:?}", saved.model, node.name))?;
            let is_new = node.output.iter().all(|output| there.insert(output));
            check(is_new, format!("{}: {} writes what is there", saved.model, node.name))?;
        }
        check(graph.output.iter().all(|output| there.contains(&*output.name)), "an output is missing")?;
        for ((name, shape), values) in saved.model.parameters().iter().zip(&saved.parameters) {
            let tensor = graph.initializer.iter().find(|tensor| tensor.name == *name);
            let tensor = tensor.map(from_raw).ok_or_else(|| format!("there is no `{name}`"))?;
            check(tensor.shape == *shape && tensor == *values, format!("{}: {name} is another", saved.model))?;
        }
    }
    Ok(())
}

fn from_raw(tensor: &TensorProto) -> HostTensor {
    let extents: Vec<usize> = tensor.dims.iter().map(|&extent| extent as usize).collect();
    HostTensor::from_f32(&extents[..], &bytemuck::pod_collect_to_vec(&tensor.raw_data))
}

/// A node in a line, with its attributes.
fn said(node: &NodeProto) -> String {
    let settings = node.attribute.iter().map(|setting| match AttributeType::try_from(setting.r#type) {
        Ok(AttributeType::Int) => format!(" {}={:?}", setting.name, setting.i),
        Ok(AttributeType::Float) => format!(" {}={:?}", setting.name, setting.f),
        _ => format!(" {}={:?}", setting.name, setting.ints),
    });
    format!("{} {}{}", node.name, node.op_type, settings.collect::<String>())
}

pub(crate) fn nodes() -> Result<(), Failed> {
    let conv = |name: &str, kernel: usize, pad: usize, stride: usize| {
        let [kernel, pads, strides] = [vec![kernel; 2], vec![pad; 4], vec![stride; 2]];
        format!("{name} Conv kernel_shape={kernel:?} pads={pads:?} strides={strides:?}")
    };
    let wanted = [
        "scale Mul".to_owned(),
        "shift Add".to_owned(),
        conv("conv1", 5, 0, 3),
        "relu1 Relu".to_owned(),
        conv("residual1.conv1", 3, 1, 1),
        "residual1.norm1 BatchNormalization epsilon=Some(1e-5)".to_owned(),
        "residual1.relu1 Relu".to_owned(),
        conv("residual1.conv2", 3, 1, 1),
        "residual1 Add".to_owned(),
        "relu2 Relu".to_owned(),
        conv("residual2.conv1", 3, 1, 2),
        "residual2.leaky1 LeakyRelu alpha=Some(0.1)".to_owned(),
        conv("residual2.shortcut", 1, 0, 2),
        "residual2 Add".to_owned(),
        "residual3.residual1.relu1 Relu".to_owned(),
        conv("residual3.residual1.conv1", 1, 0, 1),
        "residual3.residual1 Add".to_owned(),
        "residual3.avg1 AveragePool kernel_shape=[1, 1] strides=[1, 1]".to_owned(),
        "residual3 Add".to_owned(),
        "avg1 GlobalAveragePool".to_owned(),
        "flatten1 Flatten axis=Some(1)".to_owned(),
        "dense1 Gemm transB=Some(1)".to_owned(),
        "softmax Softmax axis=Some(1)".to_owned(),
    ];
    let models = models();
    let found: Vec<String> = graph(&models[1])?.node.iter().map(said).collect();
    check(found == wanted, format!("{found:#?}"))?;
    let same = said(&graph(&models[0])?.node[3]);
    let wanted = "conv1 Conv kernel_shape=[4, 4] pads=[1, 1, 2, 2] strides=[1, 1]";
    check(same == wanted, format!("an odd number of zeros goes to the end: {same}"))
}

pub(crate) fn shapes() -> Result<(), Failed> {
    let saved = models().pop().ok_or("there are models")?;
    let model = decoded(&saved)?;
    let dims = |value: &ValueInfoProto| -> Vec<String> {
        let shape = value.r#type.clone().and_then(|of| of.tensor_type).and_then(|tensor| tensor.shape);
        let dims = shape.into_iter().flat_map(|shape| shape.dim);
        dims.map(|dim| dim.dim_param.or(dim.dim_value.map(|value| value.to_string())).unwrap_or_default()).collect()
    };
    let graph = model.graph.ok_or("there is no graph")?;
    check(graph.input.iter().map(dims).collect::<Vec<_>>() == [["n", "3", "9", "12"]], "the input has another shape")?;
    check(graph.output.iter().map(dims).collect::<Vec<_>>() == [["n", "4"]; 2], "the outputs have other shapes")?;
    let said = |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
    check(said("model") == Some(saved.model.to_string()), "the model is another")?;
    check(said("classes").as_deref() == Some(r#"["cat","*/","/*","\"eel\""]"#), "the classes are others")?;
    check(said("input").as_deref() == Some("[n, 3, 9, 12], bytes x from 0 to 255"), "the input is said to be another")
}

/// What is exported can be imported again, unless two shortcuts begin at one place.
pub(crate) fn round_trip() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.onnx");
    for saved in models() {
        fs::write(&path, onnx(&saved)?)?;
        let read = import::read(&path, &import::Options::default());
        if saved.model.to_string().contains("residual(residual(") {
            let error = read.err().map_or_else(String::new, |error| format!("{error:#}"));
            check(error.contains("with at most one shortcut around them"), format!("{}: {error}", saved.model))?;
            continue;
        }
        let read = read.map_err(|error| format!("{}: {error:#}", saved.model))?;
        let images = images(&saved, 2);
        let wanted = wanted(&saved, &images).concat();
        let again = SavedModel { model: read.model, parameters: read.parameters, ..saved };
        check_near(&again, &crate::models::wanted(&again, &images).concat(), &wanted, 1e-5)?;
    }
    Ok(())
}

/// The Python that has onnxruntime.
pub(crate) fn python() -> String {
    std::env::var("GPU_DIGITS_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Checked by onnx's checker, and computed by onnxruntime for one image and for seven.
pub(crate) fn runtime() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for (number, saved) in models().iter().enumerate() {
        let images = images(saved, 7);
        let wanted: Vec<f32> = wanted(saved, &images).concat();
        let file = |ending: &str| folder.path().join(format!("{number}.{ending}"));
        fs::write(file("onnx"), onnx(saved)?)?;
        fs::write(file("images"), &images)?;
        fs::write(file("wanted"), bytemuck::cast_slice(&wanted))?;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/onnxruntime_check.py");
    let output = Command::new(python()).arg(script).arg(folder.path()).output()?;
    check(output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
