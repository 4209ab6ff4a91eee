//! `avg 2`: average-pooling over square windows that do not overlap; rows and columns left over are dropped. `avg global` has one
//! window, as large as the map.

use std::sync::Arc;

use anyhow::Result;

use super::network::{Function, NetworkBuilder};
use super::pool::pooled;
use super::{Entry, Example, Layer, Recorder, map_of, size};
use crate::ops::avg_pool::{AvgPoolBackward, AvgPoolForward, Windows};

pub(super) const ENTRY: Entry = Entry {
    word: "avg",
    forms: &["avg 2", "avg global"],
    help: "average-pooling over windows of 2x2 that do not overlap; `global` means over the whole map",
    parse: |words, _| {
        let size = if words[0] == "global" { None } else { Some(size(words[0])?) };
        Ok(Arc::new(Avg { size }))
    },
    ops: &[],
    example: Some(Example { form: "avg 2", shape: &[1, 2, 3], input: &[1.0, 2.0, 9.0, 4.0, 5.0, 9.0], output: &[3.0] }),
};

/// An average-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avg {
    /// Rows and columns of a window; none for one window as large as the map.
    pub size: Option<usize>,
}

impl Avg {
    fn windows(&self, batch: usize, input: &[usize]) -> Windows {
        let [channels, height, width] = *input else { unreachable!("`output` takes maps only") };
        let [window_height, window_width] = self.size.map_or([height, width], |size| [size; 2]);
        Windows { batch, height, width, channels, window_height, window_width }
    }
}

impl Layer for Avg {
    fn text(&self) -> String {
        self.size.map_or_else(|| "avg global".to_owned(), |size| format!("avg {size}"))
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        match self.size {
            Some(size) => pooled(input, size),
            None => map_of(input).map(|[channels, ..]| vec![channels, 1, 1]),
        }
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(AvgPoolForward { windows: self.windows(step.batch(), step.input()), negative_slope: 1.0 });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        step.call(AvgPoolBackward { windows: self.windows(step.batch(), step.input()), negative_slope: 1.0 });
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let Windows { window_height, window_width, .. } = self.windows(1, network.input());
        network.apply(Function::AveragePool { window: [window_height, window_width] });
        Ok(())
    }
}
