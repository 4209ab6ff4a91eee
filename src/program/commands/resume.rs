//! Going on with a run that ended early.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::repeat::parsed;
use crate::program::cli::TrainArgs;
use crate::program::run_folder::{Progress, RunCheckpoint, RunFolder, RunRecord};
use crate::schedule::Schedule;
use crate::train::{TrainConfig, TrainState, Trainer};
use crate::words::Word;

/// A run to go on with: its folder, which no other process trains in, and where it is.
pub(super) struct Resumed {
    /// None for a rank that follows another, which has it.
    pub(super) folder: Option<RunFolder>,
    path: PathBuf,
    /// What the run was begun with.
    command: Vec<Word>,
    is_finished: bool,
    /// The run that the checkpoint is of.
    pub(super) record: RunRecord,
    pub(super) progress: Progress,
    /// None if the run ended before its first checkpoint: it begins anew.
    pub(super) state: Option<TrainState>,
}

impl Resumed {
    /// Opens the folder of a run.
    ///
    /// # Errors
    /// If it holds no run, another process trains in it, or none of its checkpoints can be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let there = record(path)?;
        let folder = RunFolder::reopen(path)?;
        Self::found(path, there, Some(folder))
    }

    /// The same without its folder, in which another rank trains.
    ///
    /// # Errors
    /// If it holds no run, or none of its checkpoints can be read.
    pub(super) fn look(path: &Path) -> Result<Self> {
        Self::found(path, record(path)?, None)
    }

    fn found(path: &Path, there: RunRecord, folder: Option<RunFolder>) -> Result<Self> {
        let (checkpoint, damaged) = RunCheckpoint::last(path)?;
        for error in damaged {
            warning!("warning: {error:#}; the one before is taken");
        }
        let command = there.command.clone();
        let is_finished = there.result.as_ref().is_some_and(|result| !result.interrupted);
        let (record, progress, state) = match checkpoint {
            Some(RunCheckpoint { state, record, progress }) => (record, progress, Some(state)),
            None => (there, Progress::default(), None),
        };
        Ok(Self { folder, path: path.to_owned(), command, is_finished, record, progress, state })
    }

    /// The arguments of the run with those of this command, which are the words after `train`.
    ///
    /// # Errors
    /// If the run is finished and not to be extended, or cannot be extended.
    pub(super) fn arguments(&self, path: &Path, given: &[OsString]) -> Result<TrainArgs> {
        let words = self.command.iter().map(Word::as_os_str).chain(given.iter().map(OsString::as_os_str));
        let mut args = parsed(words).context("the run has options of another version")?;
        if let Some(epochs) = args.extend_to {
            let done = self.record.settings.epochs;
            ensure!(epochs > done, "--extend-to {epochs}: the run already has {done} epochs; give more");
            ensure!(
                args.schedule == Schedule::Constant,
                "a run can be extended only with `--schedule constant`: the rates of others depend on the last step; to train \
                 further from its weights, use --init {}",
                path.display()
            );
            args.epochs = epochs;
        }
        ensure!(
            !self.is_finished || args.extend_to.is_some(),
            "the run in {} is finished; --extend-to goes on with one of a constant learning rate",
            path.display()
        );
        Ok(args)
    }

    /// Brings a trainer to where the run is.
    ///
    /// # Errors
    /// If the trainer's run, which has this record, is another one.
    pub(super) fn go_on(&self, record: &mut RunRecord, trainer: &mut Trainer, config: &TrainConfig) -> Result<()> {
        let mut found = self.record.clone();
        record.started.clone_from(&found.started);
        if self.state.is_some() {
            record.settings.initial_weights_sha256.clone_from(&found.settings.initial_weights_sha256);
        }
        if config.schedule == Schedule::Constant {
            // It is the same run up to where it is.
            found.settings.epochs = config.epochs;
        }
        if let Some(difference) = difference(&found, record)? {
            bail!(
                "cannot go on with the run in {}: {difference}; give the options, the device, the data and the version that it \
                 has",
                self.path.display()
            );
        }
        self.state.as_ref().map_or(Ok(()), |state| trainer.restore(state))
    }
}

/// The record of the run in a folder.
fn record(path: &Path) -> Result<RunRecord> {
    RunRecord::load(path)?.with_context(|| format!("{} holds no run; give the folder of one", path.display()))
}

/// The first difference between a found run and the wanted one, among all facts that may change its weights.
pub(super) fn difference(found: &RunRecord, wanted: &RunRecord) -> Result<Option<String>> {
    // On the CPU, the number of threads changes nothing.
    let device = |record: &RunRecord| record.adapter.as_ref().map_or("the CPU".to_owned(), |_| record.device.clone());
    let facts = |record: &RunRecord| -> Result<Vec<(String, String)>> {
        let mut facts = vec![
            ("commit".to_owned(), format!("{} {}", record.version, record.commit)),
            ("model".to_owned(), record.model.clone()),
            ("seed".to_owned(), record.seed.to_string()),
            ("device".to_owned(), device(record)),
            ("data".to_owned(), format!("{} ({})", record.data.name, record.data.sha256)),
        ];
        let settings = serde_json::to_value(&record.settings)?;
        facts.extend(settings.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.to_string())));
        Ok(facts)
    };
    let (of_found, of_wanted) = (facts(found)?, facts(wanted)?);
    let differs = of_found.iter().zip(&of_wanted).find(|(found, wanted)| found != wanted);
    if let Some(((name, found), (_, wanted))) = differs {
        return Ok(Some(format!("its `{name}` is {found}, not {wanted}")));
    }
    // Kernels are known once a run has begun. Their sizes depend on the number of epochs.
    let variants = |record: &RunRecord| -> Vec<String> {
        record.kernels.iter().map(|kernel| kernel.split(':').next().unwrap_or(kernel).to_owned()).collect()
    };
    let (of_found, of_wanted) = (variants(found), variants(wanted));
    let differs = of_found.iter().zip(&of_wanted).find(|(found, wanted)| found != wanted);
    Ok(differs.map(|(found, wanted)| format!("its kernel `{found}` is now `{wanted}`")))
}
