//! `relu`: the rectified linear unit.

use std::sync::Arc;

use anyhow::Result;

use super::network::{Function, NetworkBuilder};
use super::{Entry, Layer, Recorder};
use crate::ops::relu::{ReluBackward, ReluForward};

pub(super) const ENTRY: Entry = Entry {
    word: "relu",
    forms: &["relu"],
    help: "ReLU: negative values become 0",
    parse: |_, _| Ok(Arc::new(Relu)),
    ops: &[],
    example: None,
};

/// A rectified linear unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relu;

impl Layer for Relu {
    fn text(&self) -> String {
        "relu".to_owned()
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(ReluForward { length: step.length(), negative_slope: 0.0 });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        step.call(ReluBackward { length: step.length(), negative_slope: 0.0 });
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        network.apply(Function::Rectifier { slope: 0.0 });
        Ok(())
    }

    fn negative_slope(&self) -> Option<f64> {
        Some(0.0)
    }
}
