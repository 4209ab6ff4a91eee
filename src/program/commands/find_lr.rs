//! `gpu-digits train --find-lr`.

use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::session::Session;
use super::start::initial;
use super::train::{config, device};
use super::{Verdict, compiling, print_table, table, thousands};
use crate::numbers::{exact, loss, significant};
use crate::program::cli::TrainArgs;
use crate::program::files::Destination;
use crate::program::picture_file::write_picture;
use crate::program::report::rates;
use crate::program::terminal;
use crate::train::{RangeTest, Trainer};

/// The JSON output.
#[derive(Serialize)]
struct Found<'a> {
    model: String,
    device: String,
    batch_size: usize,
    optimizer: String,
    /// The suggested peak of the learning rate; none if the loss did not fall.
    suggestion: Option<f64>,
    #[serde(flatten)]
    test: &'a RangeTest,
}

/// Finds a rate for what the arguments would train, and writes nothing but what `output` names.
pub(super) async fn run(session: &Session, args: &TrainArgs, output: Option<&Destination>) -> Result<Verdict> {
    let dataset = &session.dataset;
    let start = initial(args, dataset.task.clone(), false)?;
    let config =
        RangeTest::config(config(args, &dataset.name, &dataset.task, dataset.train.len())?, dataset.train.len());
    let device = device(&session.device, args, &start.model, &config).await?;
    let spinner = compiling(&device);
    let mut trainer = Trainer::new(&device, &start.model, &start.parameters, dataset, config).await?;
    drop(spinner);
    let steps = trainer.steps();
    note!("model: {}", start.model);
    note!(
        "finding a learning rate: up to {} steps of {} images, from {} to {}",
        thousands(steps),
        config.batch,
        significant(f64::from(trainer.rate(0)), 2),
        exact(config.rate)
    );
    let bar = terminal::bar(steps, "{wide_bar} {pos}/{len} steps  {left}");
    let test = trainer.range_test(|done| {
        bar.set_position(done as u64);
        !session.stop.load(Ordering::Relaxed)
    });
    let test = test.await?;
    bar.finish_and_clear();
    if session.stop.load(Ordering::Relaxed) {
        return Ok(Verdict::Interrupted);
    }
    ensure!(
        !test.points.is_empty(),
        "the loss of the first step is not finite: the initial weights are too large; give others"
    );
    let suggestion = test.suggestion();
    if let Some(output) = output {
        if output.is_picture() {
            write_picture(&rates(&test)?, output)?;
        } else {
            output.write_json(&Found {
                model: start.model.to_string(),
                device: device.to_string(),
                batch_size: config.batch,
                optimizer: format!("{:?}", config.optimizer),
                suggestion,
                test: &test,
            })?;
        }
    }
    if output != Some(&Destination::StandardOutput) {
        print(&test, steps);
    }
    Ok(Verdict::Passed)
}

/// Prints some of the steps, and the suggestion.
fn print(test: &RangeTest, steps: usize) {
    const ROWS: usize = 24;
    let mut rows = table(&["step", "learning rate", "loss", "smoothed"], 0);
    let every = test.points.len().div_ceil(ROWS);
    for (step, point) in test.points.iter().enumerate().skip(every - 1).step_by(every) {
        rows.add_row([thousands(step + 1), significant(point.rate, 2), loss(point.loss), loss(point.smoothed)]);
    }
    print_table(&rows);
    if test.points.len() < steps {
        out!("at step {} the loss had become four times its lowest, or no number", thousands(test.points.len() + 1));
    }
    match test.suggestion() {
        Some(rate) => out!("suggested: --lr {}", significant(rate, 2)),
        None => out!("no rate is suggested: the loss did not fall; give other weights, or another model"),
    }
}
