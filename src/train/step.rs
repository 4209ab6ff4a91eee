//! The next step alone, to compare a device with the CPU.

use anyhow::Result;

use super::{TrainState, Trainer};
use crate::augment::Augment;
use crate::cpu::CpuExecutor;
use crate::data::{Dataset, Samples, Task};
use crate::executor::Executor;
use crate::model::Model;
use crate::ops::augment::BatchAugment;
use crate::plan::{Plan, PlanConfig};
use crate::resident::{ResidentData, clock_at, write_order};

/// A step on the CPU that is ready to run: its data set is the batch.
///
/// # Errors
/// If the model cannot be planned, or the state is one of another plan.
pub(crate) fn step_on_cpu(
    model: &Model,
    config: PlanConfig,
    batch: &Samples,
    schedule: &[u32],
    state: &TrainState,
    seed: u64,
) -> Result<CpuExecutor> {
    let images = batch.len();
    let mut executor = CpuExecutor::new(Plan::new(model, PlanConfig { images, ..config })?)?;
    ResidentData::pack(&[(&batch.images, &batch.labels)]).upload(&mut executor);
    let tensor = executor.plan().host.schedule;
    executor.write(tensor, schedule);
    let order: Vec<u32> = (0..images as u32).collect();
    write_order(&mut executor, &order, state.steps(), seed);
    state.write(&mut executor)?;
    Ok(executor)
}

/// Images as a step of training sees them, counted from 0, in which they are the first of the batch.
pub fn augmented(images: &[u8], task: &Task, augment: Augment, seed: u64, step: usize) -> Vec<u8> {
    BatchAugment::seen(images, task, augment, clock_at(step, seed))
}

impl Trainer {
    /// The next step on the trainer's device and on the CPU, both ready to run. [`Self::restore`] with the state then undoes
    /// it.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) async fn next_step(
        &mut self,
        dataset: &Dataset,
    ) -> Result<(TrainState, &mut dyn Executor, CpuExecutor)> {
        let Self { config, plan_config, .. } = *self;
        let state = self.state().await?;
        // Of a batch that is cut, the first part is a step of the plan.
        let images = self.next_order(1).into_iter().take(plan_config.batch);
        let batch = self.samples(dataset, images);
        let schedule = config.schedule.rows(config.rate, &config.optimizer, self.steps());
        let mut on_cpu = step_on_cpu(&self.model, plan_config, &batch, schedule.words(), &state, config.seed)?;
        // The step adds a row to it.
        let history = on_cpu.plan().host.history;
        on_cpu.write(history, self.executor.read(history).await?.words());
        self.write_order(&self.next_order(1));
        self.send(1)?;
        Ok((state, self.executor.as_mut(), on_cpu))
    }

    /// The images of the next step, of the data set that is trained on.
    pub fn next_batch(&self, dataset: &Dataset) -> Samples {
        self.samples(dataset, self.next_order(1))
    }

    /// Images by their indices into the training set, followed by the test set, followed by the digits added.
    fn samples(&self, dataset: &Dataset, images: impl IntoIterator<Item = u32>) -> Samples {
        let bytes = dataset.task.image().bytes();
        let mut batch = Samples { images: vec![], labels: vec![] };
        for mut image in images.into_iter().map(|image| image as usize) {
            for set in [&dataset.train, &dataset.test, &self.added] {
                if image < set.len() {
                    batch.images.extend(&set.images[image * bytes..][..bytes]);
                    batch.labels.push(set.labels[image]);
                    break;
                }
                image -= set.len();
            }
        }
        batch
    }
}
