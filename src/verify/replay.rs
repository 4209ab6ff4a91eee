//! One training step again, call by call on the CPU, to see where its numbers leave the floats.

use anyhow::{Result, ensure};

use crate::data::Samples;
use crate::executor::Executor;
use crate::model::Model;
use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::plan::{Phase, PlanConfig, PlanForm};
use crate::tensor::DType;
use crate::train::{TrainConfig, TrainState, step_on_cpu};

/// A training step before it is run.
#[derive(Clone, Debug)]
pub struct Step {
    /// The model.
    pub model: Model,
    /// The settings of its run.
    pub config: TrainConfig,
    /// Whether the run's plan is fused.
    pub fuse: bool,
    /// The state after the steps before.
    pub state: TrainState,
    /// The images of its batch.
    pub batch: Samples,
    /// Its row of the schedule.
    pub schedule: [f32; SCHEDULE_COLUMNS],
}

/// What a call has written to a tensor of floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The call's layer and op.
    pub call: String,
    /// The tensor.
    pub tensor: String,
    /// The least and the greatest finite number; none if there is none.
    pub range: Option<[f32; 2]>,
    /// How many numbers are infinities or NaNs.
    pub faults: usize,
    /// How many numbers there are.
    pub count: usize,
}

impl Step {
    /// Runs the step on the CPU and returns what each of its calls has written, in order.
    ///
    /// # Errors
    /// If the state is not one of this model and these settings.
    pub async fn replay(&self) -> Result<Vec<Written>> {
        let Self { model, config, state, batch, .. } = self;
        let plan = PlanConfig {
            batch: config.batch,
            images: batch.len(),
            batches: 1,
            // Later steps than the last row's use the last row.
            steps: 1,
            optimizer: Some(config.optimizer),
            refinements: config.refinements,
            form: PlanForm { fuse: self.fuse, precision: config.precision },
        };
        let schedule = self.schedule.map(f32::to_bits);
        let mut executor = step_on_cpu(model, plan, batch, &schedule, state, config.seed)?;
        let mut written = Vec::new();
        for index in 0..executor.plan().train.len() {
            executor.run_call(Phase::Train, index).await?;
            let call = &executor.plan().train[index];
            for (operand, &tensor) in call.op.operands().iter().zip(&call.tensors) {
                if operand.is_written() && operand.dtype != DType::U32 {
                    let name = executor.plan().tensor(tensor).name.clone();
                    let values = executor.tensor(tensor);
                    let values = if operand.dtype == DType::F16 { values.widened() } else { values.f32().to_vec() };
                    written.push(Written::of(format!("{} {}", call.layer, call.op.name()), name, &values));
                }
            }
        }
        ensure!(!written.is_empty(), "the step has no calls");
        Ok(written)
    }
}

impl Written {
    fn of(call: String, tensor: String, values: &[f32]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let range = finite().reduce(f32::min).zip(finite().reduce(f32::max)).map(|(least, most)| [least, most]);
        Self { call, tensor, range, faults: values.len() - finite().count(), count: values.len() }
    }
}
