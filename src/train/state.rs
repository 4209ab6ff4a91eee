//! Where training is, and how it goes on from there.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};

use super::Trainer;
use crate::executor::{Executor, Unobserved};
use crate::plan::TensorId;
use crate::tensor::HostTensor;

/// Where training is: with it another [`Trainer`] of the same model, data, settings and device goes on to the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// For each step done, the sum of the losses of its batch and the number of hits.
    pub history: Vec<f32>,
    /// The plan's [carried tensors](crate::plan::Plan::carried) by name, in the order in which the device keeps their
    /// elements.
    pub tensors: BTreeMap<String, HostTensor>,
}

impl TrainState {
    /// Steps done.
    pub fn steps(&self) -> usize {
        self.history.len() / 2
    }

    /// Writes the tensors to an executor.
    ///
    /// # Errors
    /// If its plan carries others.
    pub(crate) fn write(&self, executor: &mut dyn Executor) -> Result<()> {
        let plan = executor.plan();
        let carried: BTreeMap<String, TensorId> =
            plan.carried().into_iter().map(|id| (plan.tensor(id).name.clone(), id)).collect();
        let wanted: Vec<(&String, usize)> = carried.iter().map(|(name, id)| (name, plan.tensor(*id).words())).collect();
        let found: Vec<_> = self.tensors.iter().map(|(name, tensor)| (name, tensor.words().len())).collect();
        ensure!(wanted == found, "the state is of another plan: it has tensors of {found:?} words, wanted {wanted:?}");
        for (id, tensor) in carried.into_values().zip(self.tensors.values()) {
            executor.write(id, tensor.words());
        }
        Ok(())
    }
}

/// The error of training whose loss or weights have left the range of floats.
#[derive(Debug)]
pub struct Diverged {
    /// The first such step, counted from 1.
    pub step: usize,
    /// Whether its loss is not finite; otherwise its weights after the update are not.
    pub is_loss: bool,
    /// What was found of the weights at the end of the steps that were run then.
    pub(super) tensor: Option<String>,
}

impl std::error::Error for Diverged {}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, is_loss, tensor } = self;
        let tensor = tensor.as_ref().map_or_else(String::new, |tensor| format!(" ({tensor})"));
        match (is_loss, step) {
            (true, 1) => f.write_str(
                "the loss of the first step is not finite, before any update: the initial weights are too large; give others",
            ),
            (true, step) => {
                write!(f, "the loss of step {step} is not finite{tensor}: training diverged; try a smaller --lr")
            }
            (false, step) => {
                write!(f, "the weights after step {step} are not finite{tensor}: training diverged; try a smaller --lr")
            }
        }
    }
}

impl Trainer {
    /// Where training is.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn state(&mut self) -> Result<TrainState> {
        let mut tensors = BTreeMap::new();
        for tensor in self.executor.plan().carried() {
            let name = self.executor.plan().tensor(tensor).name.clone();
            tensors.insert(name, self.executor.read(tensor).await?);
        }
        Ok(TrainState { history: self.history.clone(), tensors })
    }

    /// Goes on from a [`state`](Self::state) of a trainer of the same model, data, settings and device.
    ///
    /// # Errors
    /// If the state is of another plan.
    pub fn restore(&mut self, state: &TrainState) -> Result<()> {
        ensure!(
            state.history.len().is_multiple_of(2) && state.steps() <= self.steps(),
            "the state has {} numbers of a history, but the run has {} steps of two each",
            state.history.len(),
            self.steps()
        );
        state.write(self.executor.as_mut())?;
        self.history.clone_from(&state.history);
        Ok(())
    }

    /// Trains until so many steps of the run are done, whatever becomes of their numbers.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn advance_to(&mut self, steps: usize) -> Result<()> {
        while self.steps_done() < steps {
            let wanted = self.steps_of_epoch().end.min(steps) - self.steps_done();
            self.run_steps(wanted, &mut Unobserved).await?;
        }
        Ok(())
    }
}
