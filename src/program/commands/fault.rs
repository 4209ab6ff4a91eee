//! The step at which a run diverged: kept in its folder, and shown again call by call.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::repeat::parsed;
use super::train::config;
use super::{Verdict, print_table, table, thousands};
use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Samples};
use crate::files::write_atomically;
use crate::model::Model;
use crate::numbers;
use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::program::cli::Switch;
use crate::program::run_folder::{RunCheckpoint, RunRecord, note};
use crate::train::{Diverged, TrainConfig, Trainer};
use crate::verify::{Step, Written};
use crate::words::Word;

/// The folder of the step in its run folder.
const FOLDER: &str = "fault";

/// The file of the state before the step, with its batch.
const STEP_FILE: &str = "step.safetensors";

/// What the file notes besides the batch.
#[derive(Serialize, Deserialize)]
struct Facts {
    record: RunRecord,
    schedule: [f32; SCHEDULE_COLUMNS],
}

/// Trains again, with a trainer that has not begun, from the last checkpoint or from the start to the step before the one that
/// diverged. Writes the state, the batch and the plan of that step into the folder `fault` of the run, which is returned.
pub(super) async fn keep(
    mut trainer: Trainer,
    dataset: &Dataset,
    config: &TrainConfig,
    record: &RunRecord,
    folder: &Path,
    diverged: &Diverged,
) -> Result<PathBuf> {
    let before = diverged.step - 1;
    let (checkpoint, _) = RunCheckpoint::last(folder).unwrap_or_default();
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.state.steps() <= before) {
        trainer.restore(&checkpoint.state)?;
    }
    trainer.advance_to(before).await?;
    let batch = trainer.next_batch(dataset);
    let rows = config.schedule.rows(config.rate, &config.optimizer, trainer.steps());
    let schedule = rows.f32().as_chunks().0[before];
    let facts = serde_json::to_vec(&Facts { record: record.clone(), schedule })?;
    let labels = batch.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    let notes = [("facts".to_owned(), facts), ("images".to_owned(), batch.images), ("labels".to_owned(), labels)];
    let folder = folder.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Checkpoint { state: trainer.state().await?, notes: notes.into() }.save(&folder.join(STEP_FILE))?;
    let plan = trainer.plan();
    let line = |call: &crate::plan::Call| {
        let tensors = call.tensors.iter().map(|tensor| plan.tensor(*tensor).name.as_str()).collect::<Vec<_>>();
        format!("{call} ({})\n", tensors.join(", "))
    };
    write_atomically(&folder.join("plan.txt"), plan.train.iter().map(line).collect::<String>().as_bytes())?;
    Ok(folder)
}

/// The step that was kept in a folder.
fn load(folder: &Path) -> Result<Step> {
    let path = folder.join(STEP_FILE);
    let Checkpoint { state, notes } = Checkpoint::load(&path)?;
    let name = path.display();
    let Facts { record, schedule } = note(&notes, "facts").with_context(|| format!("{name} is damaged"))?;
    let bytes = |of: &str| notes.get(of).cloned().with_context(|| format!("{name} has no {of}"));
    let labels = bytes("labels")?.as_chunks().0.iter().map(|label| u16::from_le_bytes(*label)).collect();
    let batch = Samples { images: bytes("images")?, labels };
    let words = record.command.iter().map(Word::as_os_str);
    let args = parsed(words).with_context(|| format!("{name} has options of another version"))?;
    let task = record.data.task()?;
    batch.check(&task, "kept")?;
    let config = config(&args, &record.data.name, &task, record.data.train_images)?;
    let model = Model::parse(task, &record.model, &[])?.frozen(&args.freeze)?;
    Ok(Step { model, config, fuse: args.fuse == Some(Switch::On), state, batch, schedule })
}

/// `verify --replay`.
pub(super) async fn replay(folder: &Path) -> Result<Verdict> {
    let step = load(folder)?;
    note!("model: {}", step.model);
    out!("step {} on the CPU: what its calls write", step.state.steps() + 1);
    let written = step.replay().await?;
    let mut rows = table(&["call", "tensor", "least", "greatest", "not finite"], 2);
    let mut first = None;
    for Written { call, tensor, range, faults, count } in &written {
        let [least, most] = range.map_or_else(
            || [(); 2].map(|()| numbers::NONE.to_owned()),
            |range| range.map(|value| format!("{value:.3e}")),
        );
        let share =
            if *faults == 0 { String::new() } else { format!("{} of {}", thousands(*faults), thousands(*count)) };
        rows.add_row(vec![call.clone(), tensor.clone(), least, most, share]);
        if *faults > 0 && first.is_none() {
            first = Some((call, tensor));
        }
    }
    print_table(&rows);
    Ok(match first {
        Some((call, tensor)) => {
            out!("the first that is not finite: `{tensor}`, written by {call}");
            Verdict::Failed
        }
        None => {
            out!("all numbers are finite on the CPU");
            Verdict::Passed
        }
    })
}
