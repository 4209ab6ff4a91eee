//! `leaky 0.1`: leaky ReLU (Maas et al. 2013).

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::network::{Function, NetworkBuilder};
use super::{Entry, Example, Layer, Recorder, number};
use crate::ops::relu::{ReluBackward, ReluForward};

pub(super) const ENTRY: Entry = Entry {
    word: "leaky",
    forms: &["leaky 0.1"],
    help: "leaky ReLU: negative values are multiplied by 0.1",
    parse: |words, _| {
        let slope = number(words[0])?;
        ensure!((0.0..=1.0).contains(&slope), "the slope `{}` must be from 0 to 1", words[0]);
        Ok(Arc::new(Leaky { slope }))
    },
    ops: &[],
    example: Some(Example { form: "leaky 0.5", shape: &[3], input: &[-2.0, 0.0, 3.0], output: &[-1.0, 0.0, 3.0] }),
};

/// A leaky rectified linear unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaky {
    /// The factor of negative values, from 0 to 1.
    pub slope: f64,
}

impl Layer for Leaky {
    fn text(&self) -> String {
        format!("leaky {}", self.slope)
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(ReluForward { length: step.length(), negative_slope: self.slope });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        step.call(ReluBackward { length: step.length(), negative_slope: self.slope });
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        network.apply(Function::Rectifier { slope: self.slope });
        Ok(())
    }

    fn negative_slope(&self) -> Option<f64> {
        Some(self.slope)
    }
}
