//! `conv 32x3 [same]`: convolution with bias, stride 1.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::{Entry, Layer, ParameterSpec, Pattern, Recorder, bound_of_sums, map_of, size, weight_and_bias};
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::ops::reduce::BiasBackward;
use crate::tensor::HostTensor;

pub(super) const ENTRY: Entry = Entry {
    word: "conv",
    forms: &["conv 32x3", "conv 32x3 same"],
    help: "convolution to 32 channels with a 3x3 kernel; `same` pads with zeros to keep the size",
    parse: |words| {
        let size_word = words[0];
        let (channels, kernel) =
            size_word.split_once('x').with_context(|| format!("`{size_word}` is not CHANNELSxKERNEL, such as 32x3"))?;
        let extra = words.get(1);
        if let Some(word) = extra {
            ensure!(*word == "same", "`{word}` is not `same`, the only word that may follow the size");
        }
        Ok(Arc::new(Conv { channels: size(channels)?, kernel: size(kernel)?, same: extra.is_some() }))
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
    /// Whether zeros are added around the map so that it keeps its size.
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
            padding: if self.same { self.kernel - 1 } else { 0 },
        }
    }
}

impl Layer for Conv {
    fn text(&self) -> String {
        format!("conv {}x{}{}", self.channels, self.kernel, if self.same { " same" } else { "" })
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        let Self { channels, kernel, same } = *self;
        let [_, height, width] = map_of(input)?;
        let smaller = if same { 0 } else { kernel - 1 };
        ensure!(
            height > smaller && width > smaller,
            "its {kernel}x{kernel} kernel does not fit into that map; use a smaller kernel or add `same`"
        );
        Ok(vec![channels, height - smaller, width - smaller])
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        weight_and_bias([self.channels, input[0], self.kernel, self.kernel])
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(Conv2dForward(self.sizes(step.batch(), step.input())));
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let conv = self.sizes(step.batch(), step.input());
        step.call(Conv2dBackwardWeight(conv));
        let area = conv.out_height() * conv.out_width();
        step.call(BiasBackward { batch: conv.batch, channels: conv.out_channels, area });
        step.call(Conv2dBackwardInput(conv));
    }

    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        bound_of_sums(input, parameters)
    }

    fn pattern(&self) -> Pattern {
        Pattern::Conv(*self)
    }
}
