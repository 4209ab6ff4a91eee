//! What each class of Keras' layers computes.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;

use super::weights::Weights;
use crate::import::operation::{
    Channels, Convolution, MOST_SIZE, Operation, Padding, Reduction, Statistics, Windows, shortest,
};
use crate::ops::layout;
use crate::tensor::HostTensor;

/// Keras' own epsilon, by which `Normalization` bounds a deviation from below.
const LEAST_DEVIATION: f64 = 1e-7;

/// Layers that do something in training only, and are not `Dropout`.
const OF_TRAINING: [&str; 4] = ["GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout2D"];

/// A layer with its configuration.
pub(super) struct Reading<'a> {
    pub(super) class: &'a str,
    pub(super) config: &'a Json,
    pub(super) name: &'a str,
    pub(super) weights: &'a Weights,
    pub(super) channels_last: bool,
}

/// A text of a configuration.
pub(super) fn text<'a>(json: &'a Json, key: &str) -> Result<&'a str> {
    json[key].as_str().with_context(|| format!("its configuration has no `{key}`"))
}

/// Whether maps have their channels last: what the layers say, or Keras' default.
pub(super) fn channels_last(layers: &[Json]) -> Result<bool> {
    let formats: Vec<&str> = layers.iter().filter_map(|layer| layer["config"]["data_format"].as_str()).collect();
    let Some(first) = formats.first() else { return Ok(true) };
    ensure!(formats.iter().all(|format| format == first), "some of its layers have channels first, and some last");
    Ok(*first != "channels_first")
}

impl Reading<'_> {
    /// Whether it is left out.
    pub(super) fn is_of_training_only(&self) -> bool {
        OF_TRAINING.contains(&self.class) || self.class.starts_with("Random")
    }

    /// What the layer computes, one after the other.
    pub(super) fn operations(&self) -> Result<Vec<Operation>> {
        if self.is_of_training_only() {
            return Ok(vec![]);
        }
        let one = |operation: Operation| Ok(vec![operation]);
        match self.class {
            "Conv2D" => self.with_activation(vec![self.conv()?]),
            "DepthwiseConv2D" => self.with_activation(vec![self.depthwise(true)?]),
            "SeparableConv2D" => self.with_activation(vec![self.depthwise(false)?, self.pointwise()?]),
            "Dense" => self.with_activation(vec![self.dense()?]),
            "BatchNormalization" => one(self.norm()?),
            "Rescaling" => one(Operation::Affine { factor: self.channels("scale")?, shift: self.channels("offset")? }),
            "Normalization" => one(self.normalization()?),
            "MaxPooling2D" => one(Operation::MaxPool(self.windows()?)),
            // Keras leaves padding out of the mean.
            "AveragePooling2D" => one(Operation::AveragePool { windows: self.windows()?, counts_padding: false }),
            "GlobalMaxPooling2D" => one(self.global(Reduction::Largest)),
            "GlobalAveragePooling2D" => one(self.global(Reduction::Mean)),
            "ZeroPadding2D" => one(Operation::Pad(self.zeros()?)),
            // Keras flattens with channels last, also where they are first.
            "Flatten" if !self.channels_last => {
                Ok(vec![Operation::Transpose { to_channels_last: true }, Operation::Flatten])
            }
            "Flatten" => one(Operation::Flatten),
            "Reshape" => one(Operation::Shape(self.target()?)),
            "Dropout" => one(Operation::Dropout { rate: self.number("rate", 0.0)? }),
            "Activation" => self.with_activation(vec![]),
            "ReLU" => one(self.relu()?),
            "LeakyReLU" => {
                let old = self.number("alpha", 0.3)?;
                one(Operation::Rectifier { negative_slope: shortest(self.number("negative_slope", old)? as f32) })
            }
            "Softmax" => one(Operation::Softmax { axis: self.number("axis", -1.0)? as i64 }),
            "Add" => one(Operation::Sum),
            "Identity" => Ok(vec![]),
            "Sequential" | "Functional" | "Model" => bail!("it is a model in the model, and ours has layers alone"),
            other => bail!("there is no layer of ours for the class {other}"),
        }
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        match &self.config[key] {
            Json::Null => Ok(default),
            json => json.as_f64().filter(|number| number.is_finite()).with_context(|| format!("its `{key}` is {json}")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.config[key].as_bool().unwrap_or(default)
    }

    /// A number, or one for each channel.
    fn channels(&self, key: &str) -> Result<Channels> {
        let mut values = Vec::new();
        collect_numbers(&self.config[key], &mut values);
        ensure!(
            !values.is_empty() && values.iter().all(|value| value.is_finite()),
            "its `{key}` is {}",
            self.config[key]
        );
        Ok(if values.len() == 1 { Channels::all(values[0]) } else { Channels { shape: vec![values.len()], values } })
    }

    /// Two sizes, of rows and columns, or one for both.
    fn pair(&self, key: &str) -> Result<[usize; 2]> {
        let size =
            |json: &Json| json.as_u64().filter(|size| (1..=MOST_SIZE as u64).contains(size)).map(|size| size as usize);
        let json = &self.config[key];
        let pair = match json.as_array().map(Vec::as_slice) {
            Some([rows, columns]) => size(rows).zip(size(columns)),
            Some([both]) => size(both).map(|size| (size, size)),
            _ => size(json).map(|size| (size, size)),
        };
        pair.map(|(rows, columns)| [rows, columns]).with_context(|| format!("its `{key}` is {json}"))
    }

    fn padding(&self) -> Result<Padding> {
        match text(self.config, "padding")? {
            "valid" => Ok(Padding::NONE),
            "same" => Ok(Padding::Same { odd_is_last: true }),
            other => bail!("its padding is `{other}`"),
        }
    }

    /// The weights of the layer, which are so many.
    fn tensors<const N: usize>(&self) -> Result<[HostTensor; N]> {
        let tensors = self.weights.of(self.name)?;
        let count = tensors.len();
        tensors.try_into().ok().with_context(|| format!("it has {count} weights in the file, and {N} are needed"))
    }

    /// The kernel, and the bias if it has one.
    fn kernel_and_bias(&self) -> Result<(HostTensor, Option<Vec<f32>>)> {
        if self.flag("use_bias", true) {
            let [kernel, bias] = self.tensors()?;
            return Ok((kernel, Some(bias.f32().to_vec())));
        }
        let [kernel] = self.tensors()?;
        Ok((kernel, None))
    }

    fn convolution(&self, weight: HostTensor, bias: Option<Vec<f32>>, groups: usize) -> Result<Operation> {
        let (strides, dilations) = (self.pair("strides")?, self.pair("dilation_rate")?);
        Ok(Operation::Conv(Convolution { weight, bias, strides, dilations, groups, padding: self.padding()? }))
    }

    fn conv(&self) -> Result<Operation> {
        let (kernel, bias) = self.kernel_and_bias()?;
        let groups = self.number("groups", 1.0)?;
        ensure!((1.0..=MOST_SIZE as f64).contains(&groups), "its `groups` is {groups}");
        self.convolution(permuted(&kernel, [3, 2, 0, 1])?, bias, groups as usize)
    }

    /// The kernels of a depthwise convolution, `[rows, columns, channels, outputs of each]`.
    fn depthwise(&self, is_alone: bool) -> Result<Operation> {
        let (kernel, bias) = if is_alone {
            self.kernel_and_bias()?
        } else {
            (self.weights.of(self.name)?.into_iter().next().context("its kernel is missing")?, None)
        };
        let &[rows, columns, channels, of_each] = kernel.shape.extents() else {
            bail!("its kernel is {}", kernel.shape)
        };
        let weight = permuted(&kernel, [2, 3, 0, 1])?;
        let weight = HostTensor::from_f32([channels * of_each, 1, rows, columns], weight.f32());
        self.convolution(weight, bias, channels)
    }

    /// The convolution behind, of one position.
    fn pointwise(&self) -> Result<Operation> {
        let tensors = self.weights.of(self.name)?;
        let (kernel, bias) = match &tensors[..] {
            [_, kernel] => (kernel, None),
            [_, kernel, bias] => (kernel, Some(bias.f32().to_vec())),
            other => bail!("it has {} weights in the file", other.len()),
        };
        Ok(Operation::Conv(Convolution {
            weight: permuted(kernel, [3, 2, 0, 1])?,
            bias,
            strides: [1; 2],
            dilations: [1; 2],
            groups: 1,
            padding: Padding::NONE,
        }))
    }

    fn dense(&self) -> Result<Operation> {
        let (kernel, bias) = self.kernel_and_bias()?;
        let &[inputs, outputs] = kernel.shape.extents() else { bail!("its kernel is {}", kernel.shape) };
        let value = |index: usize| kernel.f32()[index % inputs * outputs + index / inputs];
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        Ok(Operation::Dense { weight: HostTensor::from_f32([outputs, inputs], &weight), bias })
    }

    fn norm(&self) -> Result<Operation> {
        let mut axes = Vec::new();
        collect_numbers(&self.config["axis"], &mut axes);
        let is_of_channels = if self.channels_last { axes == [-1.0] || axes == [3.0] } else { axes == [1.0] };
        ensure!(is_of_channels, "its axis is {}, not that of the channels", self.config["axis"]);
        let [scales, centers] = ["scale", "center"].map(|key| self.flag(key, true));
        let mut tensors = self.weights.of(self.name)?.into_iter();
        let mut next = || tensors.next().map(|tensor| tensor.f32().to_vec()).context("some of its weights are missing");
        let factor = if scales { Some(next()?) } else { None };
        let shift = if centers { Some(next()?) } else { None };
        let (mean, variance) = (next()?, next()?);
        let all = |value: f32| vec![value; mean.len()];
        Ok(Operation::Norm(Statistics {
            factor: factor.unwrap_or_else(|| all(1.0)),
            shift: shift.unwrap_or_else(|| all(0.0)),
            epsilon: self.number("epsilon", 1e-3)?,
            mean,
            variance,
        }))
    }

    /// `(x - mean) / √variance`, by numbers that the layer was given, or that it took from data.
    fn normalization(&self) -> Result<Operation> {
        ensure!(!self.flag("invert", false), "it inverts a normalisation");
        let [mean, variance] = if self.config["mean"].is_null() {
            let tensors = self.weights.of(self.name)?;
            let channels = |tensor: &HostTensor| {
                let values = tensor.f32().iter().map(|&value| f64::from(value)).collect();
                Channels { shape: tensor.shape.extents().to_vec(), values }
            };
            let [mean, variance, ..] = &tensors[..] else { bail!("it was never adapted to data") };
            [channels(mean), channels(variance)]
        } else {
            [self.channels("mean")?, self.channels("variance")?]
        };
        ensure!(variance.values.iter().all(|&variance| variance >= 0.0), "a variance is negative");
        let factor = variance.map(|variance| 1.0 / variance.sqrt().max(LEAST_DEVIATION));
        let count = mean.values.len().max(factor.values.len());
        let of = |channels: &Channels, place: usize| channels.values[place % channels.values.len()];
        let values = (0..count).map(|place| -of(&mean, place) * of(&factor, place)).collect();
        let shape = if mean.values.len() == count { mean.shape.clone() } else { factor.shape.clone() };
        Ok(Operation::Affine { factor, shift: Channels { shape, values } })
    }

    fn windows(&self) -> Result<Windows> {
        let size = self.pair("pool_size")?;
        let strides = if self.config["strides"].is_null() { size } else { self.pair("strides")? };
        Ok(Windows { size, strides, dilations: [1; 2], padding: self.padding()?, is_ceil: false })
    }

    fn global(&self, of: Reduction) -> Operation {
        Operation::Global { of, keeps_axes: self.flag("keepdims", false) }
    }

    fn zeros(&self) -> Result<Padding> {
        let mut sizes = Vec::new();
        collect_numbers(&self.config["padding"], &mut sizes);
        ensure!(
            sizes.iter().all(|size| (0.0..=MOST_SIZE as f64).contains(size)),
            "its padding is {}",
            self.config["padding"]
        );
        let sizes: Vec<usize> = sizes.into_iter().map(|size| size as usize).collect();
        let &[top, bottom, left, right] = &sizes[..] else { bail!("its padding is {}", self.config["padding"]) };
        Ok(Padding::Zeros([[top, bottom], [left, right]]))
    }

    /// The shape that it makes; 0 stands for what is left.
    fn target(&self) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        collect_numbers(&self.config["target_shape"], &mut sizes);
        let size = |size: f64| {
            if size == -1.0 { Some(0) } else { (1.0..=MOST_SIZE as f64).contains(&size).then_some(size as usize) }
        };
        let shape: Option<Vec<usize>> = sizes.into_iter().map(size).collect();
        shape.with_context(|| format!("its `target_shape` is {}", self.config["target_shape"]))
    }

    fn relu(&self) -> Result<Operation> {
        ensure!(self.config["max_value"].is_null(), "it bounds values to {}", self.config["max_value"]);
        ensure!(self.number("threshold", 0.0)? == 0.0, "its threshold is {}", self.config["threshold"]);
        Ok(Operation::Rectifier { negative_slope: shortest(self.number("negative_slope", 0.0)? as f32) })
    }

    /// The operations, and the activation behind them.
    fn with_activation(&self, mut operations: Vec<Operation>) -> Result<Vec<Operation>> {
        operations.extend(match &self.config["activation"] {
            Json::Null => None,
            Json::String(name) => match name.as_str() {
                "linear" => None,
                "relu" => Some(Operation::Rectifier { negative_slope: 0.0 }),
                // The default of the function; that of the layer is 0.3.
                "leaky_relu" => Some(Operation::Rectifier { negative_slope: 0.2 }),
                "softmax" | "log_softmax" => Some(Operation::Softmax { axis: -1 }),
                other => bail!("its activation is `{other}`, and ours are ReLU and leaky ReLU"),
            },
            other => bail!("its activation is {other}"),
        });
        Ok(operations)
    }
}

/// Numbers of lists in lists, in order.
fn collect_numbers(json: &Json, numbers: &mut Vec<f64>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| collect_numbers(item, numbers)),
        json => numbers.extend(json.as_f64()),
    }
}

/// A tensor of four axes in another order of them.
fn permuted(tensor: &HostTensor, axes: [usize; 4]) -> Result<HostTensor> {
    let from = <[usize; 4]>::try_from(tensor.shape.extents()).ok();
    let from = from.with_context(|| format!("its kernel is {}", tensor.shape))?;
    Ok(HostTensor::from_f32(axes.map(|axis| from[axis]), &layout::permuted(tensor.f32(), from, axes)))
}
