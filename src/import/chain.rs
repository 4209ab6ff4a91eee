//! Operations one after the other as our layers, with the parameters that each layer takes from them.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::kernel::{Fitted, fitted};
use super::operation::{Channels, Convolution, MOST_SIZE, Operation, Padding, Reduction, Statistics, Windows};
use super::pixels::Pixels;
use super::value::Value;
use crate::layers::{Avg, Conv, Dense, Dropout, Flatten, Layer, Leaky, Norm, Pool, Relu, Residual};
use crate::ops::norm::EPSILON;
use crate::tensor::HostTensor;

/// Layers that compute what some operations do, up to a value.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Each layer with its parameters.
    pub(super) layers: Vec<(Arc<dyn Layer>, Vec<HostTensor>)>,
    /// What a user may want to know.
    pub(super) remarks: Vec<String>,
    /// The input of the first layer.
    pub(super) start: Value,
    /// The output of the last layer.
    pub(super) value: Value,
    /// What is computed of the input before the first layer; none within a branch of a sum.
    pub(super) pixels: Option<Pixels>,
    /// Whether operations of maps take them with channels last.
    channels_last: bool,
    /// Whether the last operation was a softmax.
    pub(super) is_probability: bool,
}

impl Chain {
    /// No layers, from the input of a model on.
    pub(super) fn at_input(value: Value, channels_last: bool) -> Self {
        let start = value.clone();
        let pixels = Some(Pixels::default());
        Self { layers: vec![], remarks: vec![], start, value, pixels, channels_last, is_probability: false }
    }

    /// No layers, from the output of these on.
    pub(super) fn branch(&self) -> Self {
        Self { layers: vec![], remarks: vec![], pixels: None, ..self.clone() }
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// If no layers of ours compute it.
    pub(super) fn add(&mut self, operation: &Operation) -> Result<()> {
        let hands_on = matches!(operation, Operation::Identity | Operation::Dropout { .. });
        ensure!(
            !self.is_probability || hands_on,
            "it follows a softmax, which can only be the last: our models leave it to the loss"
        );
        let takes_padding = matches!(operation, Operation::Conv(_) | Operation::AveragePool { .. } | Operation::Pad(_));
        ensure!(
            !self.value.is_padded() || takes_padding || hands_on,
            "it follows a padding, and only a convolution or an average-pooling of ours has one"
        );
        let is_of_channels = matches!(
            operation,
            Operation::Conv(_)
                | Operation::Norm(_)
                | Operation::MaxPool(_)
                | Operation::AveragePool { .. }
                | Operation::Global { .. }
                | Operation::Pad(_)
        );
        ensure!(
            !is_of_channels || self.value.shape.len() != 3 || self.value.channels_last == self.channels_last,
            "it takes rows for channels, since the axes of its input were exchanged"
        );
        match operation {
            Operation::Conv(conv) => self.conv(conv),
            Operation::Dense { weight, bias } => self.dense(weight, bias.as_deref()),
            Operation::Norm(statistics) => self.norm(statistics),
            Operation::Affine { factor, shift } => self.affine(factor, shift),
            Operation::MaxPool(windows) => self.pool(windows, Reduction::Largest, false),
            Operation::AveragePool { windows, counts_padding } => self.pool(windows, Reduction::Mean, *counts_padding),
            Operation::Global { of, keeps_axes } => self.global(*of, *keeps_axes),
            Operation::Pad(padding) => self.pad(*padding),
            Operation::Rectifier { negative_slope } => self.rectifier(*negative_slope),
            Operation::Flatten => self.flatten(),
            Operation::Shape(shape) => self.shape(shape),
            Operation::Transpose { to_channels_last } => self.value.transpose(*to_channels_last),
            Operation::Dropout { rate: 0.0 } | Operation::Identity => Ok(()),
            Operation::Dropout { rate } => self.push(Dropout { rate: *rate }, vec![]),
            Operation::Softmax { axis } => self.softmax(*axis),
            Operation::Sum => bail!("it adds values that do not come from one"),
        }
    }

    /// Adds a layer that keeps its place in the order of the elements.
    fn push(&mut self, layer: impl Layer + 'static, parameters: Vec<HostTensor>) -> Result<()> {
        self.value.become_output_of(&layer)?;
        self.layers.push((Arc::new(layer), parameters));
        Ok(())
    }

    fn conv(&mut self, conv: &Convolution) -> Result<()> {
        let map = self.value.map()?;
        let Fitted { layer, parameters, remark } = fitted(conv, map, std::mem::take(&mut self.value.padding))?;
        self.remarks.extend(remark);
        self.push(*layer, parameters)
    }

    fn dense(&mut self, weight: &HostTensor, bias: Option<&[f32]>) -> Result<()> {
        let &[outputs, inputs] = weight.shape.extents() else { bail!("its weights do not have two axes") };
        ensure!(!weight.shape.is_empty(), "its weights of shape {} are empty", weight.shape);
        ensure!(
            self.value.shape == [inputs],
            "its weights are for vectors of {inputs}, and its input is {:?}; a dense layer of ours takes flat vectors",
            self.value.shape
        );
        ensure!(bias.is_none_or(|bias| bias.len() == outputs), "its bias does not have {outputs} elements");
        let rows = weight.f32().chunks_exact(inputs).flat_map(|row| self.value.in_our_order(row));
        let weight = HostTensor::from_f32([outputs, inputs], &rows.collect::<Vec<_>>());
        let bias = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        self.push(Dense { outputs }, vec![weight, HostTensor::from_f32([outputs], &bias)])
    }

    /// A batch normalisation of another epsilon has other factors, so that each channel is multiplied by the same.
    fn norm(&mut self, statistics: &Statistics) -> Result<()> {
        let Statistics { factor, shift, mean, variance, epsilon } = statistics;
        let channels = self.value.shape[0];
        ensure!(
            [factor, shift, mean, variance].iter().all(|values| values.len() == channels),
            "its parameters are not one for each of the {channels} channels"
        );
        let adjusted = factor.iter().zip(variance).map(|(&factor, &variance)| {
            let (variance, epsilon) = (f64::from(variance), f64::from(*epsilon as f32));
            ensure!(variance + epsilon > 0.0 && variance >= 0.0, "a variance is {variance}");
            let is_ours = epsilon as f32 == EPSILON as f32;
            let ratio = if is_ours { 1.0 } else { ((variance + EPSILON) / (variance + epsilon)).sqrt() };
            Ok((f64::from(factor) * ratio) as f32)
        });
        let adjusted = adjusted.collect::<Result<Vec<f32>>>()?;
        let parameters = [&adjusted, shift, mean, variance];
        let parameters = parameters.map(|values| HostTensor::from_f32([channels], &self.value.in_our_order(values)));
        self.push(Norm, parameters.into())
    }

    /// A factor and a shift become part of the input's normalisation or of the layer before, if they can; else a `norm`.
    fn affine(&mut self, factor: &Channels, shift: &Channels) -> Result<()> {
        let [factors, shifts] = [self.value.spread(factor)?, self.value.spread(shift)?];
        let is_input = self.layers.iter().all(|(layer, _)| layer.word() == "flatten");
        if let Some(pixels) = self.pixels.as_mut().filter(|_| is_input) {
            return pixels.then(&factors, &shifts);
        }
        let last = self.layers.last_mut().filter(|(layer, _)| matches!(&*layer.word(), "conv" | "dense"));
        let Some((_, parameters)) = last else {
            return self.factors(&factors, &shifts);
        };
        let [weight, bias] = &mut parameters[..] else { bail!("the layer before has no weight and bias") };
        let of_output = weight.shape.len() / bias.shape.len();
        for (output, bias) in bias.f32_mut().iter_mut().enumerate() {
            let (factor, shift) = (factors[output % factors.len()], shifts[output % shifts.len()]);
            *bias = (f64::from(*bias) * factor + shift) as f32;
            let row = &mut weight.f32_mut()[output * of_output..][..of_output];
            row.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        Ok(())
    }

    /// A `norm` that computes a factor and a shift of each channel.
    fn factors(&mut self, factors: &[f64], shifts: &[f64]) -> Result<()> {
        let parameters = norm_of(factors, shifts, self.value.shape[0]);
        self.push(Norm, parameters)
    }

    fn pool(&mut self, windows: &Windows, of: Reduction, counts_padding: bool) -> Result<()> {
        let Windows { size, strides, dilations, padding, is_ceil } = windows;
        let [channels, height, width] = self.value.map()?;
        let before = self.value.padding;
        let map = [0, 1].map(|axis| [height, width][axis] + before[axis].iter().sum::<usize>());
        let extents = [0, 1].map(|axis| (size[axis] - 1) * dilations[axis] + 1);
        let zeros = padding.zeros(map, extents, *strides);
        let is_plain = zeros == [[0; 2]; 2] && extents == *size && !self.value.is_padded();
        let is_whole = is_plain && *size == map;
        if is_whole && of == Reduction::Mean {
            return self.push(Avg { size: None }, vec![]);
        }
        let is_exact = [0, 1]
            .iter()
            .all(|&axis| map[axis] >= size[axis] && (map[axis] - size[axis]).is_multiple_of(strides[axis]));
        if is_plain && size[0] == size[1] && (is_whole || size == strides) && (!is_ceil || is_exact) {
            return match of {
                Reduction::Largest => self.push(Pool { size: size[0] }, vec![]),
                Reduction::Mean => self.push(Avg { size: Some(size[0]) }, vec![]),
            };
        }
        let is_conv = of == Reduction::Mean && (zeros == [[0; 2]; 2] || counts_padding) && (!is_ceil || is_exact);
        ensure!(
            is_conv,
            "its windows of {size:?} with strides {strides:?}, dilations {dilations:?} and {zeros:?} zeros around a map of \
             {height}x{width}{} are not ours, which are square, side by side and within the map",
            if *is_ceil { " (ceil mode)" } else { "" }
        );
        // A mean of windows that overlap is a convolution of each channel with equal weights.
        let [rows, columns] = *size;
        let share = 1.0 / (rows * columns) as f32;
        let weight = HostTensor::from_f32([channels, 1, rows, columns], &vec![share; channels * rows * columns]);
        let (groups, padding) = (channels, Padding::Zeros(zeros));
        self.conv(&Convolution { weight, bias: None, strides: *strides, dilations: *dilations, groups, padding })?;
        self.remarks
            .push("the average-pooling became a convolution of constant weights, which training changes".to_owned());
        Ok(())
    }

    fn global(&mut self, of: Reduction, keeps_axes: bool) -> Result<()> {
        let [_, height, width] = self.value.map()?;
        match of {
            Reduction::Mean => self.push(Avg { size: None }, vec![])?,
            Reduction::Largest => {
                ensure!(height == width, "it has the maximum of {height}x{width} positions, and our pools are square");
                self.push(Pool { size: height }, vec![])?;
            }
        }
        if keeps_axes { Ok(()) } else { self.flatten() }
    }

    fn pad(&mut self, padding: Padding) -> Result<()> {
        self.value.map()?;
        let Padding::Zeros(zeros) = padding else { bail!("it does not say how many zeros it adds") };
        for (sum, more) in self.value.padding.as_flattened_mut().iter_mut().zip(zeros.as_flattened()) {
            *sum += more;
            ensure!(*sum <= MOST_SIZE, "it adds more than {MOST_SIZE} zeros");
        }
        Ok(())
    }

    fn rectifier(&mut self, negative_slope: f64) -> Result<()> {
        ensure!((0.0..=1.0).contains(&negative_slope), "its slope is {negative_slope}, and ours is from 0 to 1");
        if negative_slope == 0.0 { self.push(Relu, vec![]) } else { self.push(Leaky { slope: negative_slope }, vec![]) }
    }

    fn softmax(&mut self, axis: i64) -> Result<()> {
        let is_of_classes = match (&self.value.shape[..], self.value.channels_last) {
            ([_], _) => matches!(axis, 1 | -1),
            ([_, 1, 1], true) => matches!(axis, 3 | -1),
            ([_, 1, 1], false) => axis == 1,
            _ => false,
        };
        ensure!(is_of_classes, "its axis {axis} of {:?} is not that of the classes", self.value.shape);
        self.is_probability = true;
        Ok(())
    }

    fn flatten(&mut self) -> Result<()> {
        if self.value.shape.len() == 1 { Ok(()) } else { self.push(Flatten, vec![]) }
    }

    /// Only the input may be given another shape than that of a vector. An extent of 0 is what the others leave.
    fn shape(&mut self, target: &[usize]) -> Result<()> {
        let all: usize = self.value.shape.iter().product();
        let known =
            target.iter().filter(|&&extent| extent > 0).try_fold(1usize, |all, &extent| all.checked_mul(extent));
        let left = known.and_then(|known| all.checked_div(known)).unwrap_or(0);
        let target: Vec<usize> = target.iter().map(|&extent| if extent == 0 { left } else { extent }).collect();
        let is_whole = target.iter().try_fold(1usize, |all, &extent| all.checked_mul(extent)) == Some(all);
        ensure!(is_whole, "it makes {target:?} of {:?}", self.value.shape);
        match target[..] {
            [_] => self.flatten(),
            _ if target == self.value.foreign_shape() => Ok(()),
            [a, b, c] if self.layers.is_empty() && self.value.shape.len() == 1 => {
                let channels_last = self.value.channels_last;
                self.value = Value::new(if channels_last { vec![c, a, b] } else { vec![a, b, c] }, channels_last);
                self.start = self.value.clone();
                Ok(())
            }
            _ => bail!("it makes {target:?} of {:?}, and our `flatten` only makes vectors", self.value.shape),
        }
    }

    /// Adds the sum of two branches that begin here: layers, and a shortcut around them.
    ///
    /// # Errors
    /// If neither of them is a shortcut of ours.
    pub(super) fn add_sum(&mut self, branches: [Self; 2]) -> Result<()> {
        ensure!(!self.is_probability, "it follows a softmax, which can only be the last");
        let [a, b] = &branches;
        ensure!(
            a.value == b.value && !a.value.is_padded(),
            "it adds {:?} and {:?}; ours adds equal shapes",
            a.value.shape,
            b.value.shape
        );
        let [channels, height, _] = self.value.map()?;
        let output = a.value.clone();
        let changes = output.shape != self.value.shape;
        // The shortcut of ours, if the map's shape changes.
        let stride = height.div_ceil(output.map()?[1]);
        let needed = Conv { channels: output.shape[0], kernel: 1, stride, same: false };
        let find = |branch: &Self| {
            if changes { branch.projection(needed, channels) } else { branch.layers.is_empty().then(Vec::new) }
        };
        let [a, b] = branches;
        let (main, shortcut) = match (find(&b), find(&a)) {
            (Some(shortcut), _) if !a.layers.is_empty() => (a, shortcut),
            (_, Some(shortcut)) if !b.layers.is_empty() => (b, shortcut),
            _ if changes => bail!(
                "neither of the values that it adds is a 1x1 convolution with stride {stride} of the value before both"
            ),
            _ => bail!(
                "neither of the values that it adds is the value before both, as in our `residual` of equal shapes"
            ),
        };
        self.remarks.extend(main.remarks);
        let (layers, parameters): (Vec<_>, Vec<_>) = main.layers.into_iter().unzip();
        let parameters = parameters.into_iter().flatten().chain(shortcut).collect();
        let residual = Residual { layers };
        ensure!(
            residual.output(&self.value.shape)? == output.shape,
            "our `residual` of these layers has another shape"
        );
        self.value = output;
        self.layers.push((Arc::new(residual), parameters));
        Ok(())
    }

    /// The weight and bias of a convolution that does what the layers do, if they are this one, maybe normalised.
    fn projection(&self, needed: Conv, channels: usize) -> Option<Vec<HostTensor>> {
        let [(conv, parameters), norms @ ..] = &self.layers[..] else { return None };
        let [weight, bias] = &parameters[..] else { return None };
        let outputs = needed.channels;
        let fits = conv.text() == needed.text() && weight.shape.extents() == [outputs, channels, 1, 1];
        let (mut weight, mut bias) = fits.then(|| (weight.clone(), bias.clone()))?;
        for (norm, parameters) in norms {
            let [factor, shift, mean, variance] = &parameters[..] else { return None };
            if norm.word() != "norm" {
                return None;
            }
            for output in 0..outputs {
                let [factor, shift, mean, variance] =
                    [factor, shift, mean, variance].map(|of| f64::from(of.f32()[output]));
                let factor = factor / (variance + EPSILON).sqrt();
                let bias = &mut bias.f32_mut()[output];
                *bias = ((f64::from(*bias) - mean) * factor + shift) as f32;
                let row = &mut weight.f32_mut()[output * channels..][..channels];
                row.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
            }
        }
        Some(vec![weight, bias])
    }

    /// Ends the layers as a model of ours ends: with logits, as a vector.
    ///
    /// # Errors
    /// If the output is no vector.
    pub(super) fn end(&mut self) -> Result<()> {
        ensure!(!self.value.is_padded(), "the graph ends with a padding");
        while self.layers.last().is_some_and(|(layer, _)| layer.word() == "dropout") {
            self.layers.pop();
        }
        if let [_, 1, 1] = self.value.shape[..] {
            self.flatten()?;
        }
        ensure!(
            self.value.shape.len() == 1 && self.value.is_in_our_order(),
            "the output is {:?}, and a model of ours ends with a number for each class",
            self.value.shape
        );
        Ok(())
    }
}

/// The parameters of a `norm` that computes `factor · x + shift` in evaluation; one number may stand for all channels.
pub(super) fn norm_of(factors: &[f64], shifts: &[f64], channels: usize) -> Vec<HostTensor> {
    let tensor = |values: &[f64]| {
        let values: Vec<f32> = (0..channels).map(|channel| values[channel % values.len()] as f32).collect();
        HostTensor::from_f32([channels], &values)
    };
    vec![tensor(factors), tensor(shifts), tensor(&[0.0]), tensor(&[1.0 - EPSILON])]
}
