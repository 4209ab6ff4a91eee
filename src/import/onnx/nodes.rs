//! What the nodes of an ONNX graph compute, by the definitions of its operators.

use anyhow::{Context, Result, bail, ensure};

use super::constants::Constants;
use super::reshaping;
use crate::import::operation::{
    Channels, Convolution, MOST_SIZE, Operation, Padding, Reduction, Statistics, Windows, shortest,
};
use crate::onnx::{AttributeProto, NodeProto};
use crate::tensor::HostTensor;

/// The kind and the name of a node: Conv `/conv1/Conv`.
pub(super) fn label(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!("{} `{name}`", node.op_type)
}

/// The settings of a node.
pub(super) struct Attributes<'a>(&'a [AttributeProto]);

impl<'a> Attributes<'a> {
    /// The settings, which may have these names.
    ///
    /// # Errors
    /// If one has another name, since it may mean something that is not read here.
    pub(super) fn new(node: &'a NodeProto, known: &[&str]) -> Result<Self> {
        let unknown = node.attribute.iter().find(|attribute| !known.contains(&attribute.name.as_str()));
        if let Some(AttributeProto { name, .. }) = unknown {
            bail!("its setting `{name}` is not known here");
        }
        Ok(Self(&node.attribute))
    }

    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn ints(&self, name: &str) -> Vec<i64> {
        self.find(name).map(|attribute| attribute.ints.clone()).unwrap_or_default()
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |attribute| attribute.i.unwrap_or(0))
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |attribute| attribute.f.unwrap_or(0.0))
    }

    fn text(&self, name: &str) -> String {
        let bytes = self.find(name).and_then(|attribute| attribute.s.as_deref()).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Two sizes from 1 on, of rows and columns.
    fn pair(&self, name: &str, default: [usize; 2]) -> Result<[usize; 2]> {
        match self.ints(name)[..] {
            [] => Ok(default),
            [rows, columns] => Ok([size(rows, 1)?, size(columns, 1)?]),
            ref other => bail!("its `{name}` {other:?} is not of two axes, rows and columns"),
        }
    }

    fn padding(&self) -> Result<Padding> {
        match self.text("auto_pad").as_str() {
            "" | "NOTSET" => match self.ints("pads")[..] {
                [] => Ok(Padding::NONE),
                [top, left, bottom, right] => {
                    Ok(Padding::Zeros([[size(top, 0)?, size(bottom, 0)?], [size(left, 0)?, size(right, 0)?]]))
                }
                ref other => bail!("its `pads` {other:?} are not of two axes, rows and columns"),
            },
            "VALID" => Ok(Padding::NONE),
            "SAME_UPPER" => Ok(Padding::Same { odd_is_last: true }),
            "SAME_LOWER" => Ok(Padding::Same { odd_is_last: false }),
            other => bail!("its `auto_pad` is `{other}`"),
        }
    }
}

/// A size from `least` on.
fn size(value: i64, least: usize) -> Result<usize> {
    let size = usize::try_from(value).ok().filter(|size| (least..=MOST_SIZE).contains(size));
    size.with_context(|| format!("a size is {value}, and may be from {least} to {MOST_SIZE}"))
}

/// A node with its constants.
struct Reading<'a> {
    node: &'a NodeProto,
    constants: &'a Constants<'a>,
}

/// What a node computes; `values` are those of its inputs that are no constants, and `batch` is the number of samples if the
/// file fixes it.
///
/// # Errors
/// If it is none of the operators that are known here, or has a setting that is not.
pub(super) fn operation(
    node: &NodeProto,
    constants: &Constants<'_>,
    values: &[String],
    batch: Option<i64>,
) -> Result<Operation> {
    ensure!(matches!(&*node.domain, "" | "ai.onnx"), "it is an operator of `{}`, not of ONNX", node.domain);
    let read = Reading { node, constants };
    let settings = |known: &[&str]| Attributes::new(node, known);
    let is_of_two = matches!(&*node.op_type, "Add" | "Sub" | "Mul" | "Div");
    if !is_of_two {
        ensure!(
            node.input.first().is_some_and(|first| values == [first.as_str()]),
            "its first input alone may be computed"
        );
    }
    match node.op_type.as_str() {
        "Conv" => read.conv(),
        "Gemm" => read.gemm(),
        "MatMul" => {
            settings(&[])?;
            Ok(Operation::Dense { weight: transposed(&read.floats(1)?)?, bias: None })
        }
        "BatchNormalization" => read.norm(),
        "Add" | "Sub" | "Mul" | "Div" => read.arithmetic(values),
        "MaxPool" => read.max_pool(),
        "AveragePool" => {
            let settings = settings(&[&WINDOWS[..], &["count_include_pad"]].concat())?;
            let counts_padding = settings.int("count_include_pad", 0) != 0;
            Ok(Operation::AveragePool { windows: read.windows(&settings)?, counts_padding })
        }
        "GlobalMaxPool" => settings(&[]).map(|_| Operation::Global { of: Reduction::Largest, keeps_axes: true }),
        "GlobalAveragePool" => settings(&[]).map(|_| Operation::Global { of: Reduction::Mean, keeps_axes: true }),
        "ReduceMean" => read.reduced(Reduction::Mean),
        "ReduceMax" => read.reduced(Reduction::Largest),
        "Relu" => settings(&[]).map(|_| Operation::Rectifier { negative_slope: 0.0 }),
        "LeakyRelu" => {
            Ok(Operation::Rectifier { negative_slope: shortest(settings(&["alpha"])?.float("alpha", 0.01)) })
        }
        "PRelu" => read.prelu(),
        "Clip" => read.clip(),
        "Pad" => read.pad(),
        "Flatten" => {
            ensure!(settings(&["axis"])?.int("axis", 1) == 1, "it joins samples");
            Ok(Operation::Flatten)
        }
        "Reshape" => {
            let (target, keeps_zeros) =
                (constants.sizes(read.input(1)?)?, settings(&["allowzero"])?.int("allowzero", 0));
            ensure!(keeps_zeros == 0 || !target.contains(&Some(0)), "it makes a value without elements");
            reshaping(&target, batch)
        }
        "Squeeze" => {
            let axes = read.axes(&settings(&["axes"])?, 1)?;
            ensure!(axes == [2, 3], "it removes the axes {axes:?}");
            Ok(Operation::Flatten)
        }
        "Transpose" => match settings(&["perm"])?.ints("perm")[..] {
            [0, 3, 1, 2] => Ok(Operation::Transpose { to_channels_last: false }),
            [0, 2, 3, 1] => Ok(Operation::Transpose { to_channels_last: true }),
            ref other => bail!("it changes the order of axes to {other:?}"),
        },
        "Softmax" | "LogSoftmax" => read.softmax(),
        "Dropout" => read.dropout(),
        "Identity" => Ok(Operation::Identity),
        "Cast" => {
            let to = settings(&["to", "saturate", "round_mode"])?.int("to", 0);
            ensure!(
                to == i64::from(crate::onnx::DataType::Float as i32),
                "it makes elements of type {to}, and ours are floats"
            );
            Ok(Operation::Identity)
        }
        other => bail!("there is no layer of ours for the operator {other}"),
    }
}

const WINDOWS: [&str; 6] = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"];

impl Reading<'_> {
    fn input(&self, place: usize) -> Result<&str> {
        self.optional(place).with_context(|| format!("its input {place} is missing"))
    }

    fn optional(&self, place: usize) -> Option<&str> {
        self.node.input.get(place).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn floats(&self, place: usize) -> Result<HostTensor> {
        self.constants.floats(self.input(place)?)
    }

    fn vector(&self, place: usize) -> Result<Vec<f32>> {
        Ok(self.floats(place)?.f32().to_vec())
    }

    /// One number.
    fn scalar(&self, place: usize) -> Result<Option<f32>> {
        let Some(name) = self.optional(place) else { return Ok(None) };
        let tensor = match self.constants.get(name)? {
            super::constants::Constant::Floats(tensor) => tensor,
            _ => bail!("its input {place} is no float"),
        };
        let &[value] = tensor.f32() else { bail!("its input {place} is not one number") };
        Ok(Some(value))
    }

    fn conv(&self) -> Result<Operation> {
        let settings =
            Attributes::new(self.node, &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])?;
        let weight = self.floats(1)?;
        let &[_, _, rows, columns] = weight.shape.extents() else {
            bail!("its weights of shape {} are not those of maps with rows and columns", weight.shape)
        };
        ensure!(
            settings.pair("kernel_shape", [rows, columns])? == [rows, columns],
            "its `kernel_shape` is not that of its weights"
        );
        Ok(Operation::Conv(Convolution {
            bias: self.optional(2).map(|_| self.vector(2)).transpose()?,
            strides: settings.pair("strides", [1; 2])?,
            dilations: settings.pair("dilations", [1; 2])?,
            groups: size(settings.int("group", 1), 1)?,
            padding: settings.padding()?,
            weight,
        }))
    }

    /// `alpha · x · w + beta · b`.
    fn gemm(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["alpha", "beta", "broadcast", "transA", "transB"])?;
        ensure!(settings.int("transA", 0) == 0, "it exchanges the axes of its input");
        let scaled = |tensor: HostTensor, by: f32| {
            let values: Vec<f32> = tensor.f32().iter().map(|value| value * by).collect();
            HostTensor::from_f32(tensor.shape.clone(), &values)
        };
        let weight = self.floats(1)?;
        let weight = if settings.int("transB", 0) == 0 { transposed(&weight)? } else { weight };
        let &[outputs, _] = weight.shape.extents() else { bail!("its weights do not have two axes") };
        let bias = match self.optional(2) {
            None => None,
            Some(_) => {
                let bias = scaled(self.floats(2)?, settings.float("beta", 1.0));
                let is_of_outputs = bias.shape.extents().last().is_none_or(|&last| last == bias.shape.len());
                let count = bias.shape.len();
                ensure!(
                    is_of_outputs && (count == 1 || count == outputs),
                    "its bias of shape {} differs by sample",
                    bias.shape
                );
                Some((0..outputs).map(|output| bias.f32()[output % count]).collect())
            }
        };
        Ok(Operation::Dense { weight: scaled(weight, settings.float("alpha", 1.0)), bias })
    }

    fn norm(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["epsilon", "is_test", "momentum", "spatial", "training_mode"])?;
        let trains = settings.int("training_mode", 0) != 0 || settings.int("is_test", 1) == 0;
        ensure!(!trains, "it is in training mode; export the model in evaluation mode");
        ensure!(settings.int("spatial", 1) == 1, "it normalises each position by itself");
        Ok(Operation::Norm(Statistics {
            factor: self.vector(1)?,
            shift: self.vector(2)?,
            mean: self.vector(3)?,
            variance: self.vector(4)?,
            epsilon: shortest(settings.float("epsilon", 1e-5)),
        }))
    }

    /// The sum of two values, or a constant applied to one.
    fn arithmetic(&self, values: &[String]) -> Result<Operation> {
        Attributes::new(self.node, &[])?;
        let kind = self.node.op_type.as_str();
        let [a, b] = [self.input(0)?, self.input(1)?];
        if values.len() > 1 || a == b {
            ensure!(kind == "Add" && a != b, "it computes with two values of the graph, and our layers only add them");
            return Ok(Operation::Sum);
        }
        let is_first = values == [a];
        let constant = self.floats(usize::from(is_first))?;
        let values = constant.f32().iter().map(|&value| f64::from(value)).collect();
        let constant = Channels { shape: constant.shape.extents().to_vec(), values };
        let [one, zero] = [1.0, 0.0].map(Channels::all);
        let [factor, shift] = match (kind, is_first) {
            ("Add", _) => [one, constant],
            ("Mul", _) => [constant, zero],
            ("Sub", true) => [one, constant.map(|value| -value)],
            ("Sub", false) => [Channels::all(-1.0), constant],
            ("Div", true) => [constant.map(f64::recip), zero],
            _ => bail!("it divides by a value of the graph"),
        };
        Ok(Operation::Affine { factor, shift })
    }

    fn windows(&self, settings: &Attributes<'_>) -> Result<Windows> {
        ensure!(!settings.ints("kernel_shape").is_empty(), "its `kernel_shape` is missing");
        Ok(Windows {
            size: settings.pair("kernel_shape", [1; 2])?,
            strides: settings.pair("strides", [1; 2])?,
            dilations: settings.pair("dilations", [1; 2])?,
            padding: settings.padding()?,
            is_ceil: settings.int("ceil_mode", 0) != 0,
        })
    }

    fn max_pool(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &[&WINDOWS[..], &["storage_order"]].concat())?;
        ensure!(self.node.output.len() == 1, "it also gives the places of the maxima");
        Ok(Operation::MaxPool(self.windows(&settings)?))
    }

    /// The axes of an operator that takes them as a setting or as an input, as numbers from 0.
    fn axes(&self, settings: &Attributes<'_>, place: usize) -> Result<Vec<i64>> {
        let own = settings.ints("axes");
        let axes = if own.is_empty() && self.optional(place).is_some() {
            self.constants.ints(self.input(place)?)?
        } else {
            own
        };
        let mut axes: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + 4 } else { axis }).collect();
        axes.sort_unstable();
        Ok(axes)
    }

    fn reduced(&self, of: Reduction) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let axes = self.axes(&settings, 1)?;
        ensure!(axes == [2, 3], "it reduces the axes {axes:?}, and our layers those of rows and columns");
        Ok(Operation::Global { of, keeps_axes: settings.int("keepdims", 1) != 0 })
    }

    /// A slope that is the same for all channels.
    fn prelu(&self) -> Result<Operation> {
        let slopes = self.vector(1)?;
        let [first, rest @ ..] = &slopes[..] else { bail!("it has no slope") };
        ensure!(rest.iter().all(|slope| slope == first), "its slopes differ, and ours is one for all channels");
        Ok(Operation::Rectifier { negative_slope: shortest(*first) })
    }

    fn clip(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["max", "min"])?;
        let least = self.scalar(1)?.unwrap_or(settings.float("min", f32::MIN));
        let most = self.scalar(2)?.unwrap_or(settings.float("max", f32::MAX));
        ensure!(
            least == 0.0 && most >= f32::MAX,
            "it bounds values to {least} to {most}, and our rectifiers only below"
        );
        Ok(Operation::Rectifier { negative_slope: 0.0 })
    }

    fn pad(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["mode", "pads", "value"])?;
        let mode = settings.text("mode");
        ensure!(matches!(&*mode, "" | "constant"), "it pads by `{mode}`, and our convolutions by zeros");
        let value = self.scalar(2)?.unwrap_or(settings.float("value", 0.0));
        ensure!(value == 0.0, "it pads with {value}, and our convolutions with zeros");
        ensure!(self.optional(3).is_none(), "it names the axes that it pads");
        let pads =
            if self.optional(1).is_some() { self.constants.ints(self.input(1)?)? } else { settings.ints("pads") };
        let &[0, 0, top, left, 0, 0, bottom, right] = &pads[..] else {
            bail!("its pads {pads:?} are not those of rows and columns alone")
        };
        Ok(Operation::Pad(Padding::Zeros([[size(top, 0)?, size(bottom, 0)?], [size(left, 0)?, size(right, 0)?]])))
    }

    fn softmax(&self) -> Result<Operation> {
        Ok(Operation::Softmax { axis: Attributes::new(self.node, &["axis"])?.int("axis", -1) })
    }

    fn dropout(&self) -> Result<Operation> {
        let settings = Attributes::new(self.node, &["is_test", "ratio", "seed"])?;
        let rate = shortest(self.scalar(1)?.unwrap_or(settings.float("ratio", 0.5)));
        ensure!((0.0..1.0).contains(&rate), "it drops a share of {rate}");
        let trains = self.optional(2).map(|name| self.constants.ints(name)).transpose()?;
        ensure!(
            trains.is_none_or(|trains| trains == [0]),
            "it is in training mode; export the model in evaluation mode"
        );
        ensure!(self.node.output.len() == 1, "it also gives its mask");
        Ok(Operation::Dropout { rate })
    }
}

/// A matrix with rows and columns exchanged.
pub(super) fn transposed(matrix: &HostTensor) -> Result<HostTensor> {
    let &[rows, columns] = matrix.shape.extents() else { bail!("its constant of shape {} is no matrix", matrix.shape) };
    let values: Vec<f32> =
        (0..rows * columns).map(|index| matrix.f32()[index % rows * columns + index / rows]).collect();
    Ok(HostTensor::from_f32([columns, rows], &values))
}
