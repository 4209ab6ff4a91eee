//! A model computed with bytes: weights of 8 bits with a unit for each output channel, values of 8 bits with a unit and a zero,
//! sums of 32 bits, and no floats up to the logits. After Jacob et al., "Quantization and training of neural networks for
//! efficient integer-arithmetic-only inference", 2018.

mod fixed;
mod quantized;
mod run;
mod simplified;

use std::ops::Range;

use anyhow::{Result, ensure};
use rayon::prelude::*;

pub use quantized::LOGIT_ONE;
pub(super) use quantized::{Computed, Rows, Step};

use super::evaluate::evaluate;
use super::network;
use crate::data::Samples;
use crate::host::free_host_memory;
use crate::layers::network::Network;
use crate::weights::SavedModel;

/// A model in whole numbers.
pub struct Quantized<'a> {
    pub(super) saved: &'a SavedModel,
    pub(super) steps: Vec<Step>,
    pub(super) images: String,
    /// How it reads the images by which it was made.
    pub accuracy: Accuracy,
}

/// How many images a model reads rightly, and how many it still reads with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    /// The images.
    pub images: usize,
    /// Those that are read rightly with floats.
    pub floats: usize,
    /// Those that are read rightly with bytes.
    pub bytes: usize,
    /// Those that are read alike.
    pub alike: usize,
}

impl<'a> Quantized<'a> {
    /// Turns a model into whole numbers. The range of each value is taken from how far it reaches on these images, which
    /// should be some hundred of those that the model was not trained on. `name` says which they are, for the file.
    ///
    /// # Errors
    /// If there is no image, or the images are not of the model's task; if a layer of your own does not
    /// [say what it computes](crate::Layer::describe); if numbers are too large for 32 bits.
    pub fn new(saved: &'a SavedModel, samples: &Samples, name: &str) -> Result<Self> {
        let task = saved.model.task();
        samples.check(task, "calibration")?;
        ensure!(!samples.is_empty(), "the ranges of a model's values are found with images; give at least one");
        let network = network(saved)?;
        ensure_fits(&network)?;
        let nodes = simplified::simplified(&network);
        let images = || samples.images.par_chunks_exact(task.image().bytes());
        let evaluated: Vec<(Vec<Range<f32>>, usize)> = images()
            .map(|image| {
                let values = evaluate(&network, task, image);
                let ranges = nodes.iter().map(|node| range(&values[node.value]));
                (ranges.collect(), largest(&values[network.steps.len()]))
            })
            .collect();
        let widest = |node: usize| evaluated.iter().fold(0.0..0.0, |all, (ranges, _)| hull(&all, &ranges[node]));
        let ranges: Vec<Range<f32>> = (0..nodes.len()).map(widest).collect();
        let steps = quantized::quantized(task, &nodes, &ranges)?;
        let classes: Vec<usize> =
            images().map(|image| largest(&run::run(&steps, image, task.image().channels))).collect();

        let by_floats = || evaluated.iter().map(|(_, class)| class);
        let labels = samples.labels.iter().map(|&label| usize::from(label));
        let accuracy = Accuracy {
            images: samples.len(),
            floats: by_floats().zip(labels.clone()).filter(|(class, label)| *class == label).count(),
            bytes: classes.iter().zip(labels).filter(|(class, label)| *class == label).count(),
            alike: by_floats().zip(&classes).filter(|(floats, bytes)| floats == bytes).count(),
        };
        Ok(Self { saved, steps, images: name.to_owned(), accuracy })
    }

    /// The logits of an image, the bytes `[y, x, c]` of the model's task: the whole numbers that the C file computes, of which
    /// [`LOGIT_ONE`] is a logit of 1.
    pub fn logits(&self, image: &[u8]) -> Vec<i32> {
        run::run(&self.steps, image, self.saved.model.task().image().channels)
    }
}

/// Refuses a network whose values, of an image for each thread, are larger than memory.
fn ensure_fits(network: &Network) -> Result<()> {
    let floats =
        |value: usize| network.shape(value).iter().fold(1_u64, |size, &extent| size.saturating_mul(extent as u64));
    let all = (0..=network.steps.len()).fold(0_u64, |sum, value| sum.saturating_add(floats(value)));
    let bytes = all.saturating_mul(4 * rayon::current_num_threads() as u64);
    if let Some(free) = free_host_memory() {
        let (needed, free) = (bytes >> 20, free >> 20);
        ensure!(
            needed <= free,
            "the values of the model take {needed} MiB, but {free} are free; make the model smaller"
        );
    }
    Ok(())
}

/// The least and the largest of some values.
fn range(values: &[f32]) -> Range<f32> {
    values.iter().fold(f32::INFINITY..f32::NEG_INFINITY, |all, &value| all.start.min(value)..all.end.max(value))
}

/// The range that holds both.
fn hull(a: &Range<f32>, b: &Range<f32>) -> Range<f32> {
    a.start.min(b.start)..a.end.max(b.end)
}

/// The class with the largest logit, the first of those that have it.
fn largest<T: PartialOrd>(logits: &[T]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}
