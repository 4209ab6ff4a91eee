//! `dropout 0.2`: drops random activations in training.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::network::NetworkBuilder;
use super::{Entry, Layer, Recorder, number};
use crate::ops::dropout::DropoutApply;

pub(super) const ENTRY: Entry = Entry {
    word: "dropout",
    forms: &["dropout 0.2"],
    help: "in training, sets a fifth of its inputs to 0 at random",
    parse: |words, _| {
        let (word, rate) = (words[0], number(words[0])?);
        ensure!((0.0..1.0).contains(&rate), "the rate `{word}` must be at least 0 and below 1");
        let least = DropoutApply::LEAST_RATE;
        ensure!(
            rate == 0.0 || (least..=1.0 - least).contains(&rate),
            "the rate `{word}` would drop nothing, or everything; use 0, or at least {least:.1e}"
        );
        Ok(Arc::new(Dropout { rate }))
    },
    ops: &[],
    example: None,
};

/// Dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The fraction that is dropped in training.
    pub rate: f64,
}

impl Dropout {
    fn op(&self, step: &Recorder<'_>) -> DropoutApply {
        DropoutApply { length: step.length(), rate: self.rate, layer: step.random_key() }
    }
}

impl Layer for Dropout {
    fn text(&self) -> String {
        format!("dropout {}", self.rate)
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        if step.trains() {
            step.call(self.op(step));
        }
    }

    /// The gradient of dropout is dropout of the gradient.
    fn backward(&self, step: &mut Recorder<'_>) {
        if step.trains() {
            step.call_with(self.op(step), &[("input", "output_grad"), ("output", "input_grad")]);
        }
    }

    /// Nothing: it only changes training.
    fn describe(&self, _network: &mut NetworkBuilder<'_>) -> Result<()> {
        Ok(())
    }

    fn may_be_last(&self) -> bool {
        false
    }
}
