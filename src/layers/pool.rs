//! `pool 2`: max-pooling.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::network::{Function, NetworkBuilder};
use super::{Entry, Layer, Recorder, map_of, size};
use crate::ops::max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};

pub(super) const ENTRY: Entry = Entry {
    word: "pool",
    forms: &["pool 2"],
    help: "max-pooling over windows of 2x2 that do not overlap",
    parse: |words, _| Ok(Arc::new(Pool { size: size(words[0])? })),
    ops: &[],
    example: None,
};

/// A max-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Rows and columns of a window.
    pub size: usize,
}

impl Pool {
    fn sizes(&self, step: &Recorder<'_>) -> MaxPool {
        let [channels, height, width] = step.input() else { unreachable!("`output` takes maps only") };
        MaxPool { batch: step.batch(), height: *height, width: *width, channels: *channels, size: self.size }
    }
}

/// The map that pooling over square windows makes of a map.
///
/// # Errors
/// If no window fits.
pub(super) fn pooled(input: &[usize], size: usize) -> Result<Vec<usize>> {
    let [channels, height, width] = map_of(input)?;
    let (rows, columns) = (height / size, width / size);
    ensure!(
        rows > 0 && columns > 0,
        "it would shrink the map to [{channels}, {rows}, {columns}], below 1x1; remove it or an earlier pool"
    );
    Ok(vec![channels, rows, columns])
}

impl Layer for Pool {
    fn text(&self) -> String {
        format!("pool {}", self.size)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        pooled(input, self.size)
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(MaxPoolForward { pool: self.sizes(step), negative_slope: 1.0 });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        step.call(MaxPoolBackward { pool: self.sizes(step), negative_slope: 1.0 });
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        network.apply(Function::MaxPool { window: [self.size; 2] });
        Ok(())
    }
}
