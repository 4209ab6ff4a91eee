//! `conv 32x3 [same] [stride 2]`: convolution with bias.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::network::{Function, NetworkBuilder};
use super::{Entry, Layer, ParameterSpec, Recorder, bound_of_sums, map_of, size, weight_and_bias};
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::tensor::HostTensor;

pub(super) const ENTRY: Entry = Entry {
    word: "conv",
    forms: &["conv 32x3", "conv 32x3 same", "conv 32x3 stride 2", "conv 32x3 same stride 2"],
    help: "convolution to 32 channels with a 3x3 kernel; `same` pads with kernel - 1 zeros; `stride` is its step",
    parse: |words, _| {
        let size_word = words[0];
        let (channels, kernel) =
            size_word.split_once('x').with_context(|| format!("`{size_word}` is not CHANNELSxKERNEL, such as 32x3"))?;
        let (same, rest) = match &words[1..] {
            ["same", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let stride = match rest {
            [] => 1,
            ["stride", stride] => size(stride)?,
            [word, ..] => bail!("`{word}` is neither `same` nor `stride N`, which alone may follow the size"),
        };
        Ok(Arc::new(Conv { channels: size(channels)?, kernel: size(kernel)?, stride, same }))
    },
    ops: &[],
    example: None,
};

/// A convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// The distance in the input of neighbouring positions of the output.
    pub stride: usize,
    /// Whether zeros are added around the map, so that it keeps its size where the stride is 1.
    pub same: bool,
}

impl Conv {
    /// The sizes of its ops.
    pub(crate) fn sizes(&self, batch: usize, input: &[usize]) -> Conv2d {
        Conv2d {
            batch,
            in_channels: input[0],
            in_height: input[1],
            in_width: input[2],
            out_channels: self.channels,
            kernel: self.kernel,
            stride: self.stride,
            padding: if self.same { self.kernel - 1 } else { 0 },
        }
    }
}

impl Layer for Conv {
    fn text(&self) -> String {
        let Self { channels, kernel, stride, same } = *self;
        let same = if same { " same" } else { "" };
        let stride = if stride == 1 { String::new() } else { format!(" stride {stride}") };
        format!("conv {channels}x{kernel}{same}{stride}")
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        let kernel = self.kernel;
        let [_, height, width] = map_of(input)?;
        ensure!(
            self.same || (height >= kernel && width >= kernel),
            "its {kernel}x{kernel} kernel does not fit into that map; use a smaller kernel or add `same`"
        );
        let conv = self.sizes(1, input);
        Ok(vec![self.channels, conv.out_height(), conv.out_width()])
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        weight_and_bias([self.channels, input[0], self.kernel, self.kernel])
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(Conv2dForward::new(self.sizes(step.batch(), step.input())));
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let conv = self.sizes(step.batch(), step.input());
        step.call(Conv2dBackwardWeight(conv));
        step.call(Conv2dBackwardInput::new(conv));
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let padding = self.sizes(1, network.input()).zeros();
        let (weight, bias) = (network.parameter("weight")?, network.parameter("bias")?);
        network.apply(Function::Convolution { weight, bias, stride: self.stride, padding });
        Ok(())
    }

    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        bound_of_sums(input, parameters)
    }
}
