//! Models of other libraries compute the same here as there, on the CPU and on each adapter. `tests/exchange/foreign*.py` make
//! the files with the libraries themselves, and note what these compute.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::{adapter_name, check, gpus, without_adapter};
use gpu_digits::Model;
use gpu_digits::data::{ImageShape, ImageSize, Task};
use gpu_digits::device::Device;
use gpu_digits::export;
use gpu_digits::import::{self, Imported, Options};
use gpu_digits::inference::{activations, probabilities};
use gpu_digits::onnx::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use gpu_digits::weights::SavedModel;
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;
use prost::Message as _;
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
const TYPES: &str = "conv 4x3, norm, relu, flatten, dense 3";
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
        tensors("safetensors_types.safetensors", TYPES, [8, 11, 1]),
        case("onnx_dynamo.onnx", SMALL, UNIT),
        case("onnx_digits.onnx", "conv 4x5 stride 3, relu, avg global, flatten, dense 10", UNIT),
        case("onnx_dynamo_norm.onnx", FOLDED, UNIT),
        case("onnx_old.onnx", FOLDED, UNIT),
        case("onnx_old_norm.onnx", NAMED, UNIT),
        case("onnx_viewed.onnx", "conv 4x5 same, leaky 0.1, avg 2, flatten, dense 10", [0.1307, 0.3081]),
        case("onnx_dynamic.onnx", "conv 4x5 same, leaky 0.1, avg 2, flatten, dense 10", [0.1307, 0.3081]),
        case("onnx_keras.onnx", "conv 4x3 same, relu, pool 2, flatten, dense 5", UNIT),
        case("keras_channels_first.keras", "conv 4x3, norm, pool 2, flatten, dense 3", UNIT),
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
        case("keras2_sequential.h5", "conv 4x3, relu, norm, pool 2, leaky 0.2, flatten, dropout 0.5, dense 5", UNIT),
        case(
            "keras2_functional.h5",
            "conv 4x3 same, relu, residual(conv 4x3 same), avg global, flatten, dense 3",
            UNIT,
        ),
        case("keras_mlp.keras", "flatten, dense 7, relu, dense 4", UNIT),
        case("keras_mlp.h5", "flatten, dense 7, relu, dense 4", UNIT),
    ]
}

const KERAS_NORMALIZATION: &str =
    "norm, conv 4x4 same stride 2, relu, conv 8x3 same, conv 5x3 same, leaky 0.2, pool 4, flatten, dense 4";

/// An ONNX model of these nodes, each behind the one before, and of these constants, for images of 6x6 with two channels.
fn onnx(nodes: &[(&str, &[&str], &[Setting])], constants: &[(&str, &[i64])]) -> Vec<u8> {
    let value = |name: &str, extents: &[i64]| ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto {
                    dim: extents.iter().map(|&of| DimensionProto { dim_value: Some(of), dim_param: None }).collect(),
                }),
            }),
        }),
    };
    let node = |(place, (kind, inputs, settings)): (usize, &(&str, &[&str], &[Setting]))| NodeProto {
        input: std::iter::once(format!("v{place}")).chain(inputs.iter().map(|&name| name.to_owned())).collect(),
        output: vec![format!("v{}", place + 1)],
        name: format!("the {kind}"),
        op_type: (*kind).to_owned(),
        attribute: settings.iter().map(Setting::proto).collect(),
        domain: String::new(),
    };
    let constant = |(name, extents): &(&str, &[i64])| TensorProto {
        name: (*name).to_owned(),
        dims: extents.to_vec(),
        data_type: DataType::Float as i32,
        float_data: (0..extents.iter().product()).map(|place: i64| 0.5 + place as f32).collect(),
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: nodes.iter().enumerate().map(node).collect(),
        name: "test".to_owned(),
        initializer: constants.iter().map(constant).collect(),
        input: vec![value("v0", &[1, 2, 6, 6])],
        output: vec![value(&format!("v{}", nodes.len()), &[1, 3])],
        value_info: vec![],
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..ModelProto::default() }.encode_to_vec()
}

/// The name and the shape of a constant.
type Constant = (&'static str, &'static [i64]);

/// A setting of a node.
#[derive(Clone, Copy)]
enum Setting {
    Int(&'static str, i64),
    Ints(&'static str, &'static [i64]),
    Text(&'static str, &'static str),
}

impl Setting {
    fn proto(&self) -> AttributeProto {
        let named = |name: &str, kind: AttributeType| AttributeProto {
            name: name.to_owned(),
            r#type: kind as i32,
            ..AttributeProto::default()
        };
        match *self {
            Self::Int(name, i) => AttributeProto { i: Some(i), ..named(name, AttributeType::Int) },
            Self::Ints(name, ints) => AttributeProto { ints: ints.to_vec(), ..named(name, AttributeType::Ints) },
            Self::Text(name, text) => AttributeProto { s: Some(text.into()), ..named(name, AttributeType::String) },
        }
    }
}

/// What one node, a flattening and a dense layer are read as: the model, or the error.
fn with_node(kind: &str, constants: &[(&str, &[i64])], settings: &[Setting], inputs: i64) -> String {
    let names: Vec<&str> = constants.iter().map(|(name, _)| *name).collect();
    let nodes: [(&str, &[&str], &[Setting]); 3] =
        [(kind, &names, settings), ("Flatten", &[], &[]), ("Gemm", &["dense"], &[])];
    let dense = [inputs, 3];
    let constants = [constants, &[("dense", &dense[..])]].concat();
    match import::read_bytes(&onnx(&nodes, &constants), None, &Options::default()) {
        Ok(imported) => imported.model.to_string(),
        Err(error) => format!("{error:#}"),
    }
}

/// A setting that no layer has is expressed by others or refused, never ignored.
fn settings_are_expressed_or_refused() -> Result<(), Failed> {
    use Setting::{Int, Ints, Text};
    type Row = (&'static str, &'static [Constant], &'static [Setting], i64, &'static str);
    const WEIGHT: &[Constant] = &[("w", &[4, 2, 3, 3])];
    let rows: &[Row] = &[
        ("Conv", WEIGHT, &[], 64, "conv 4x3, flatten, dense 3"),
        ("Conv", WEIGHT, &[Ints("pads", &[1, 1, 1, 1])], 144, "conv 4x3 same, flatten, dense 3"),
        ("Conv", WEIGHT, &[Ints("dilations", &[2, 2])], 16, "conv 4x5, flatten, dense 3"),
        ("Conv", &[("w", &[4, 1, 3, 3])], &[Int("group", 2)], 64, "conv 4x3, flatten, dense 3"),
        (
            "Conv",
            WEIGHT,
            &[Text("auto_pad", "SAME_UPPER"), Ints("strides", &[2, 2])],
            36,
            "conv 4x4 same stride 2, flatten, dense 3",
        ),
        ("Conv", WEIGHT, &[Ints("pads", &[2, 2, 2, 2])], 256, "Conv `the Conv` is no layer of ours: its 3x3 kernel"),
        ("Conv", WEIGHT, &[Ints("strides", &[1, 2])], 36, "its strides [1, 2] differ"),
        (
            "Conv",
            WEIGHT,
            &[Int("novel", 1)],
            64,
            "Conv `the Conv` cannot be read: its setting `novel` is not known here",
        ),
        ("Conv", &[("w", &[4, 2, 3])], &[], 64, "not those of maps with rows and columns"),
        ("Conv", &[("w", &[4, 3, 3, 3])], &[], 64, "do not fit its 2 channels"),
        ("MaxPool", &[], &[Ints("kernel_shape", &[2, 2]), Ints("strides", &[2, 2])], 18, "pool 2, flatten, dense 3"),
        (
            "MaxPool",
            &[],
            &[Ints("kernel_shape", &[2, 2])],
            50,
            "MaxPool `the MaxPool` is no layer of ours: its windows",
        ),
        ("MaxPool", &[], &[Ints("kernel_shape", &[6, 6])], 2, "pool 6, flatten, dense 3"),
        (
            "MaxPool",
            &[],
            &[Ints("kernel_shape", &[4, 4]), Ints("strides", &[4, 4]), Int("ceil_mode", 1)],
            8,
            "(ceil mode)",
        ),
        ("AveragePool", &[], &[Ints("kernel_shape", &[2, 2])], 50, "conv 2x2, flatten, dense 3"),
        ("AveragePool", &[], &[Ints("kernel_shape", &[6, 6])], 2, "avg global, flatten, dense 3"),
        (
            "AveragePool",
            &[],
            &[Ints("kernel_shape", &[3, 3]), Ints("pads", &[1, 1, 1, 1])],
            72,
            "AveragePool `the AveragePool` is no layer of ours",
        ),
        ("Sigmoid", &[], &[], 72, "there is no layer of ours for the operator Sigmoid"),
        ("Softmax", &[], &[], 72, "its axis -1 of [2, 6, 6] is not that of the classes"),
        ("Mul", &[("c", &[2, 1, 1])], &[], 72, "norm, flatten, dense 3"),
        ("Mul", &[("c", &[6])], &[], 72, "is not a number for each of the 2 channels"),
        ("PRelu", &[("c", &[1])], &[], 72, "leaky 0.5, flatten, dense 3"),
        ("PRelu", &[("c", &[2, 1, 1])], &[], 72, "its slopes differ"),
        ("Flatten", &[], &[Int("axis", 2)], 72, "it joins samples"),
        ("Transpose", &[], &[Ints("perm", &[0, 2, 3, 1])], 72, "flatten, dense 3"),
        ("Transpose", &[], &[Ints("perm", &[0, 1, 3, 2])], 72, "it changes the order of axes"),
        ("Flatten", &[], &[], 71, "its weights are for vectors of 71, and its input is [72]"),
    ];
    let twice: [(&str, &[&str], &[Setting]); 4] =
        [("Flatten", &[], &[]), ("Gemm", &["dense"], &[]), ("Softmax", &[], &[]), ("Relu", &[], &[])];
    let error = import::read_bytes(&onnx(&twice, &[("dense", &[72, 3])]), None, &Options::default()).unwrap_err();
    let wanted = "Relu `the Relu` is no layer of ours: it follows a softmax, which can only be the last";
    check(format!("{error:#}").contains(wanted), format!("{error:#}"))?;
    for (kind, constants, settings, inputs, wanted) in rows {
        let found = with_node(kind, constants, settings, *inputs);
        check(found.contains(wanted), format!("{kind} is `{found}` instead of `{wanted}`"))?;
    }
    Ok(())
}

/// What is missing or not of this kind is said.
fn what_cannot_be_read_is_said() -> Result<(), Failed> {
    let error = |file: &str, options: Options| match import::read(&path(file), &options) {
        Ok(imported) => format!("it is {}", imported.model),
        Err(error) => format!("{error:#}"),
    };
    let with = |text: &str| Options { model: Some(text.to_owned()), ..Options::default() };
    let rows = [
        ("torch_old.pt", with(SMALL), "PyTorch before 1.6 wrote it"),
        ("torch_script.pt", with(SMALL), "it is a program of TorchScript; save the weights instead"),
        ("torch_sequential.pt", Options::default(), "give the layers with --model. It holds:\n  0.weight [4, 1, 3, 3]"),
        ("torch_sequential.pt", with("conv 4x3, flatten, dense 9"), "matched: conv1 is 0\nlayers of the model without"),
        ("torch_sequential.pt", with("conv 4x3, flaten"), "did you mean `flatten`?"),
        ("onnx_old.onnx", with(SMALL), "the file names its layers itself; leave --model out"),
        ("onnx_dynamo.onnx.data", Options::default(), "it is no file of ONNX, Keras, PyTorch or safetensors"),
        ("nothing.onnx", Options::default(), "cannot import"),
        ("", Options::default(), "it is a folder"),
    ];
    for (file, options, wanted) in rows {
        let found = error(file, options);
        check(found.contains(wanted) && found.contains(file), format!("{file}: `{found}` instead of `{wanted}`"))?;
    }
    // Weights in a file that is not there.
    let bytes = fs::read(path("onnx_dynamo.onnx"))?;
    let elsewhere = tempfile::tempdir()?;
    let error = import::read_bytes(&bytes, Some(elsewhere.path()), &Options::default()).unwrap_err();
    let wanted = "cannot read its elements from";
    check(format!("{error:#}").contains(wanted), format!("{error:#}"))?;
    // And in one outside of the folder.
    let mut model = ModelProto::decode(&bytes[..])?;
    let tensors = model.graph.as_mut().map(|graph| &mut graph.initializer).ok_or("no graph")?;
    let locations = tensors.iter_mut().flat_map(|tensor| &mut tensor.external_data);
    locations.filter(|entry| entry.key == "location").for_each(|entry| entry.value.insert_str(0, "../foreign/"));
    let folder = path("");
    let error = import::read_bytes(&model.encode_to_vec(), Some(&folder), &Options::default()).unwrap_err();
    check(format!("{error:#}").contains("not in the folder of the model"), format!("{error:#}"))
}

/// What `export` writes as ONNX is read as a model that computes the same.
fn exported_models_come_back() -> Result<(), Failed> {
    let image = ImageShape { height: 13, width: 16, channels: 3 };
    for text in [
        "conv 4x3, relu, pool 2, dropout 0.2, flatten, dense 10",
        "conv 5x4 same stride 2, norm, leaky 0.1, residual(conv 5x3 same, relu), avg 2, flatten, norm, dense 10",
        "residual(conv 6x3 same stride 2, norm), relu, avg global, flatten, dense 7, relu, dense 10",
    ] {
        for [mean, deviation] in [[0.1307, 0.3081], [0.5, 0.5], [0.0, 1.0], [0.9, 0.05]] {
            let model = Model::parse(Task::new(image, 10)?.normalized(mean, deviation)?, text, &[])?;
            let parameters = model.initial_parameters(7);
            let images: Vec<u8> = (0..3 * image.bytes()).map(|place| (place * place % 251) as u8).collect();
            let wanted = block_on(probabilities(&Device::Cpu, &model, &parameters, &images))?;
            let bytes = export::onnx(&SavedModel { model, parameters, seed: None, data: None })?;
            let Imported { model, parameters, .. } = import::read_bytes(&bytes, None, &Options::default())?;
            let found = block_on(probabilities(&Device::Cpu, &model, &parameters, &images))?;
            let same =
                found.concat().iter().zip(wanted.concat()).all(|(found, wanted)| (found - wanted).abs() < TOLERANCE);
            check(same, format!("`{text}` comes back as `{model}`: {found:?} instead of {wanted:?}"))?;
            check(text.replace(", dropout 0.2", "") == model.to_string(), format!("`{text}` comes back as `{model}`"))?;
        }
    }
    Ok(())
}

/// A safetensors file whose tensors begin at any byte.
fn unaligned_tensors_are_read() -> Result<(), Failed> {
    let bytes = fs::read(path("safetensors_types.safetensors"))?;
    let case = tensors("", TYPES, [8, 11, 1]);
    let read = |bytes: &[u8]| import::read_bytes(bytes, None, &case.options).map(|imported| imported.parameters);
    let aligned = read(&bytes)?;
    let (length, rest) = bytes.split_first_chunk().ok_or("no header")?;
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    for more in 1..8 {
        let length = (header.len() as u64 + more as u64).to_le_bytes();
        let moved = [&length, header, &vec![b' '; more][..], data].concat();
        check(read(&moved)? == aligned, format!("moved by {more} bytes they differ"))?;
    }
    Ok(())
}

/// Classes may have names, and their number must be that of the outputs.
fn classes_may_be_named() -> Result<(), Failed> {
    let read = |names: &[&str]| {
        let classes = Some(names.iter().map(|&name| name.to_owned()).collect());
        import::read(&path("keras_residual.keras"), &Options { classes, ..Options::default() })
    };
    check(read(&["cat", "dog", "eel"])?.model.task().class_name(1) == "dog", "the second is no dog")?;
    let error = format!("{:#}", read(&["cat", "dog"]).unwrap_err());
    check(error.contains("there are 2 names for 3 classes"), error)
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/foreign").join(file)
}

type Test = fn() -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let gpus = gpus();
    let mut trials = if gpus.is_empty() { vec![without_adapter("imported models compute the same")] } else { vec![] };
    let on_gpus = gpus.into_iter().map(|gpu| (adapter_name(&gpu), Device::Gpu(Box::new(gpu))));
    let others: [(&str, Test); 5] = [
        ("exported models come back", exported_models_come_back),
        ("settings are expressed or refused", settings_are_expressed_or_refused),
        ("what cannot be read is said", what_cannot_be_read_is_said),
        ("unaligned tensors are read", unaligned_tensors_are_read),
        ("classes may be named", classes_may_be_named),
    ];
    trials.extend(others.map(|(name, test)| Trial::test(name, test)));
    for (name, device) in std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(on_gpus) {
        for case in cases() {
            let device = device.clone();
            let title = format!("{} computes the same [{name}]", case.file);
            trials.push(Trial::test(title, move || computes_the_same(&device, &case)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What a library computes of some images.
struct Expected {
    images: Vec<u8>,
    /// Logits or probabilities, by their name.
    outputs: BTreeMap<String, Vec<f32>>,
}

fn expected(file: &str) -> Result<Expected, Failed> {
    let stem = file.split('.').next().unwrap_or(file);
    let bytes = fs::read(path(&format!("{stem}.expected.safetensors")))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let images = tensors.tensor("images")?.data().to_vec();
    let outputs = tensors.iter().filter(|(name, _)| *name != "images");
    let outputs = outputs.map(|(name, view)| (name.to_owned(), bytemuck::pod_collect_to_vec(view.data()))).collect();
    Ok(Expected { images, outputs })
}

fn computes_the_same(device: &Device, case: &Case) -> Result<(), Failed> {
    let Imported { model, parameters, .. } = import::read(&path(case.file), &case.options)?;
    if model.to_string() != case.model || model.task().pixels() != case.normalized {
        return Err(format!("it is `{model}`, pixels {:?}", model.task().pixels()).into());
    }
    let Expected { images, outputs } = expected(case.file)?;
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
