//! The checkpoints of a run folder: `checkpoint-STEPS.safetensors`, of which the last two are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RunRecord;
use crate::checkpoint::Checkpoint;
use crate::figures::EpochRow;
use crate::train::TrainState;

/// Checkpoints that are kept: the last one may be damaged.
const KEPT: usize = 2;

/// How far a run is, beside the state of its trainer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The epochs done.
    pub epochs: Vec<EpochRow>,
    /// Seconds since the start of the run, without those between its processes.
    pub elapsed_seconds: f64,
    /// Seconds of training in the epoch that is not done.
    pub epoch_seconds: f64,
}

/// A checkpoint of a run.
pub struct RunCheckpoint {
    /// Where training is.
    pub state: TrainState,
    /// Which run it is.
    pub record: RunRecord,
    /// How far the run is.
    pub progress: Progress,
}

impl RunCheckpoint {
    /// Writes it into a run folder and removes all but the last ones.
    ///
    /// # Errors
    /// If it cannot be written; those before then stay.
    pub fn save(self, folder: &Path) -> Result<()> {
        let steps = self.state.steps();
        let record = serde_json::to_vec(&self.record)?;
        let progress = serde_json::to_vec(&self.progress)?;
        let notes = [("record".to_owned(), record), ("progress".to_owned(), progress)].into();
        Checkpoint { state: self.state, notes }.save(&folder.join(file_name(steps)))?;
        remove_older(folder, steps, KEPT)
    }

    fn load(path: &Path) -> Result<Self> {
        let Checkpoint { state, notes } = Checkpoint::load(path)?;
        let damaged = || format!("{} is of another version, or damaged", path.display());
        let record = note(&notes, "record").with_context(damaged)?;
        let progress = note(&notes, "progress").with_context(damaged)?;
        Ok(Self { state, record, progress })
    }

    /// The last checkpoint of a folder that can be read, if there is one, and why later ones cannot.
    ///
    /// # Errors
    /// If the folder cannot be read, or there are checkpoints and none of them can be read.
    pub fn last(folder: &Path) -> Result<(Option<Self>, Vec<anyhow::Error>)> {
        let mut damaged = Vec::new();
        for (_, path) in list(folder)?.into_iter().rev() {
            match Self::load(&path) {
                Ok(checkpoint) => return Ok((Some(checkpoint), damaged)),
                Err(error) => damaged.push(error),
            }
        }
        match damaged.pop() {
            Some(error) => Err(error.context(format!("no checkpoint in {} can be read", folder.display()))),
            None => Ok((None, vec![])),
        }
    }
}

/// Removes the checkpoints up to some step but for the last ones. What lies beyond is damaged, since the run went on before it.
pub(super) fn remove_older(folder: &Path, steps: usize, kept: usize) -> Result<()> {
    for (_, path) in list(folder)?.into_iter().filter(|(at, _)| *at <= steps).rev().skip(kept) {
        fs::remove_file(&path).with_context(|| format!("cannot remove the old checkpoint {}", path.display()))?;
    }
    Ok(())
}

/// A note that is a value as JSON.
pub fn note<T: DeserializeOwned>(notes: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<T> {
    let bytes = notes.get(name).with_context(|| format!("it has no `{name}`"))?;
    crate::json::parse(std::str::from_utf8(bytes).with_context(|| format!("its `{name}` is no text"))?)
}

fn file_name(steps: usize) -> String {
    format!("checkpoint-{steps}.safetensors")
}

/// The checkpoints of a folder by their steps.
fn list(folder: &Path) -> Result<BTreeMap<usize, PathBuf>> {
    let cannot = || format!("cannot read the run folder {}", folder.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let steps = name.and_then(|name| name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse().ok());
        // A number with zeros before it is not ours.
        if let Some(steps) = steps.filter(|steps| name == Some(&file_name(*steps))) {
            found.insert(steps, path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    fn checkpoint(steps: usize) -> RunCheckpoint {
        let state = TrainState { history: vec![0.5; 2 * steps], tensors: BTreeMap::new() };
        let progress = Progress { elapsed_seconds: 0.1, ..Progress::default() };
        RunCheckpoint { state, record: record(), progress }
    }

    fn steps_in(folder: &Path) -> Vec<usize> {
        list(folder).unwrap().into_keys().collect()
    }

    fn last(folder: &Path) -> (Option<usize>, usize) {
        let (checkpoint, damaged) = RunCheckpoint::last(folder).unwrap();
        (checkpoint.map(|checkpoint| checkpoint.state.steps()), damaged.len())
    }

    #[test]
    fn the_last_two_are_kept_and_the_last_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(last(path), (None, 0));
        for steps in [9, 10, 100] {
            checkpoint(steps).save(path).unwrap();
        }
        fs::write(path.join("checkpoint-0200.safetensors"), "not ours").unwrap();
        assert_eq!(steps_in(path), [10, 100]);
        assert_eq!(last(path), (Some(100), 0));
    }

    #[test]
    fn a_damaged_one_is_passed_over_and_never_kept_instead_of_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        [10, 20].into_iter().for_each(|steps| checkpoint(steps).save(path).unwrap());
        let damage = |steps| {
            let path = path.join(file_name(steps));
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        };
        damage(20);
        assert_eq!(last(path), (Some(10), 1));
        [12, 14, 16].into_iter().for_each(|steps| checkpoint(steps).save(path).unwrap());
        assert_eq!(steps_in(path), [14, 16, 20]);
        assert_eq!(last(path), (Some(16), 1));
        [14, 16].into_iter().for_each(damage);
        let error = format!("{:#}", RunCheckpoint::last(path).err().unwrap());
        assert!(error.contains("no checkpoint in"), "{error}");
    }
}
