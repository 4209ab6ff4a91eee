//! Pictures of other things than digits: each as a whole is of one class.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use rayon::prelude::*;
use serde::Serialize;

use super::pictures::pictures;
use super::{Verdict, load, open_for, percent, print_table, scoring_first, table};
use crate::data::Task;
use crate::decode::bytes_of;
use crate::inference::Predictor;
use crate::metrics::prediction;
use crate::program::cli::PredictArgs;
use crate::program::files::Destination;
use crate::program::terminal::{self, one_line};
use crate::weights::SavedModel;

/// The classes that are printed of a single picture.
const FIRST: usize = 10;

/// A picture and its class.
#[derive(Serialize)]
struct Prediction {
    image: String,
    class: String,
    probability: f32,
    /// Of all classes, by name.
    probabilities: BTreeMap<String, f32>,
}

/// `predict` for a model of other things than digits.
pub(super) async fn run(args: &PredictArgs, saved: SavedModel) -> Result<Verdict> {
    let task = saved.model.task().clone();
    ensure!(
        args.show.is_none() && args.stages.is_none() && !args.one,
        "--show, --stages and --one are for models of digits, but this one is for {task}; leave them out"
    );
    let names = pictures(&args.images, args.recursive)?;
    let bar = terminal::bar(names.len(), "{wide_bar} {pos}/{len} pictures  {left}");
    let read = |name: &std::path::PathBuf| {
        bar.inc(1);
        bytes_of(&load(name)?, task.image().sizes())
            .with_context(|| format!("cannot use the picture {}", name.display()))
    };
    let read: Vec<Result<Vec<u8>>> = names.par_iter().map(read).collect();
    bar.finish_and_clear();
    let (mut usable, mut images) = (vec![], vec![]);
    for (name, read) in names.iter().zip(read) {
        match read {
            Ok(image) => {
                usable.push(name.display().to_string());
                images.extend(image);
            }
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => terminal::error(&format!("{error:#}")),
        }
    }
    ensure!(!usable.is_empty(), "none of the {} pictures can be read; the errors above say why", names.len());
    let views = args.views.views;
    let seen = views.count() * usable.len();
    let device = open_for(&args.device.device, seen).await?;
    let spinner = scoring_first(&device, seen);
    let rows = Predictor::new(device, saved).with_views(views).probabilities(&images).await?;
    drop(spinner);
    let predictions: Vec<Prediction> =
        usable.into_iter().zip(&rows).map(|(image, row)| Prediction::new(image, &task, row)).collect();
    if let Some(output) = &args.results.json {
        output.write_json(&predictions)?;
    }
    if let Some(output) = &args.csv {
        write_csv(&predictions, &rows, &task, output)?;
    }
    let is_on_stdout = |output: &Option<Destination>| *output == Some(Destination::StandardOutput);
    if !is_on_stdout(&args.results.json) && !is_on_stdout(&args.csv) {
        print(&predictions, &rows, &task);
    }
    let refused = names.len() - predictions.len();
    if refused > 0 {
        bail!("{refused} of {} pictures cannot be read; the errors above say why", names.len());
    }
    Ok(args.min_confidence.map_or(Verdict::Passed, |least| judged(&predictions, least)))
}

impl Prediction {
    fn new(image: String, task: &Task, row: &[f32]) -> Self {
        let class = prediction(row);
        let named = |(class, share): (usize, &f32)| (task.class_name(class).into_owned(), *share);
        Self {
            image,
            class: task.class_name(class).into_owned(),
            probability: row[class],
            probabilities: row.iter().enumerate().map(named).collect(),
        }
    }
}

/// Fails if a picture is uncertain, and says so.
fn judged(predictions: &[Prediction], least: f64) -> Verdict {
    let below = predictions.iter().filter(|prediction| f64::from(prediction.probability) < least).count();
    if below == 0 {
        return Verdict::Passed;
    }
    let all = predictions.len();
    terminal::error(&format!("{below} of {all} pictures are less certain than --min-confidence {least}"));
    Verdict::Failed
}

/// Writes a line for each picture.
fn write_csv(predictions: &[Prediction], rows: &[Vec<f32>], task: &Task, output: &Destination) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let classes = (0..task.classes()).map(|class| task.class_name(class).into_owned());
    table.write_record(["image", "class", "probability"].map(str::to_owned).into_iter().chain(classes))?;
    for (Prediction { image, class, probability, .. }, row) in predictions.iter().zip(rows) {
        let known = [image.clone(), class.clone(), probability.to_string()];
        table.write_record(known.into_iter().chain(row.iter().map(ToString::to_string)))?;
    }
    output.write(&table.into_inner().context("cannot make the table")?)
}

/// Prints the most probable classes of a single picture, or a line for each of several.
fn print(predictions: &[Prediction], rows: &[Vec<f32>], task: &Task) {
    let in_order = |row: &[f32]| {
        let mut classes: Vec<usize> = (0..row.len()).collect();
        classes.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        classes
    };
    let share = |row: &[f32], class: usize| percent(f64::from(row[class]));
    if let ([only], [row]) = (predictions, rows) {
        out!("{}: {}", one_line(&only.image), only.class);
        let mut classes = table(&["class", "%"], 1);
        for class in in_order(row).into_iter().take(FIRST) {
            classes.add_row([task.class_name(class).into_owned(), share(row, class)]);
        }
        print_table(&classes);
        return;
    }
    let mut pictures = table(&["image", "class", "%", "next", "%"], 2);
    for (prediction, row) in predictions.iter().zip(rows) {
        let next = in_order(row)[1];
        let [first, second] = [in_order(row)[0], next].map(|class| share(row, class));
        pictures.add_row([
            one_line(&prediction.image),
            prediction.class.clone(),
            first,
            task.class_name(next).into_owned(),
            second,
        ]);
    }
    print_table(&pictures);
}
