//! `flatten`: channels, rows and columns become one axis, in PyTorch's order.

use std::sync::Arc;

use anyhow::Result;

use super::network::{Function, NetworkBuilder};
use super::{Entry, Layer, Recorder};

pub(super) const ENTRY: Entry = Entry {
    word: "flatten",
    forms: &["flatten"],
    help: "from a map to a vector, as dense layers need it",
    parse: |_, _| Ok(Arc::new(Flatten)),
    ops: &[],
    example: None,
};

/// A change of shape, for which no element moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    fn text(&self) -> String {
        "flatten".to_owned()
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![input.iter().product()])
    }

    fn forward(&self, _step: &mut Recorder<'_>) {}

    fn backward(&self, _step: &mut Recorder<'_>) {}

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        network.apply(Function::Flatten);
        Ok(())
    }
}
