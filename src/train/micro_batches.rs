//! What the micro-batches of a step take.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{TrainConfig, Trainer};
use crate::data::{Dataset, Samples};
use crate::device::Device;
use crate::executor::Observer;
use crate::model::Model;
use crate::random::Random;
use crate::ranks::{RankReport, Ranks};

/// How long steps are measured, and the most of them.
const TIME: Duration = Duration::from_secs(1);
const MOST_STEPS: usize = 200;

/// Ends a run after some steps, and after some time.
struct Until {
    steps: usize,
    end: Instant,
}

impl Observer for Until {
    fn progress(&mut self, steps: usize, _: Option<&[f32]>) -> ControlFlow<()> {
        if steps >= self.steps || Instant::now() >= self.end {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Trains random images in micro-batches for a moment, after a first step in which drivers may compile, and returns what
/// they took.
///
/// # Errors
/// If the device cannot run the model, or fails.
pub async fn measure_micro_batches(device: &Device, model: &Model, config: TrainConfig) -> Result<RankReport> {
    let (task, mut random) = (model.task(), Random::new(config.seed, 0));
    let mut samples = |count: usize| Samples {
        images: (0..count * task.image().bytes()).map(|_| random.bits() as u8).collect(),
        labels: (0..count).map(|_| random.below(task.classes() as u32) as u16).collect(),
    };
    let dataset = Dataset::from_arrays(task.clone(), samples(2 * config.batch), samples(1))?;
    let config = TrainConfig { validation: 0, generated: 0, epochs: MOST_STEPS, ..config };
    let parameters = model.initial_parameters(config.seed);
    let mut trainer = Trainer::among(Ranks::alone()?, device, model, &parameters, &dataset, config).await?;
    let end = Instant::now() + TIME;
    trainer.run_shared(1, &mut Until { steps: 1, end }).await?;
    while trainer.report().map_or(MOST_STEPS, |report| report.steps) < MOST_STEPS && Instant::now() < end {
        trainer.run_shared(2, &mut Until { steps: 2, end }).await?;
    }
    let reports = trainer.dismiss()?;
    Ok(reports.into_iter().next().unwrap_or_default())
}
