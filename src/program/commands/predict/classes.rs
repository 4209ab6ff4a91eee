//! Pictures of other things than digits: each as a whole is of one class.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::pictures::{each, ensure_all_read, pictures};
use super::{Verdict, open_for, percent, print_table, scoring_first, table};
use crate::data::Task;
use crate::decode::bytes_of;
use crate::inference::{Predictor, Views};
use crate::metrics::prediction;
use crate::program::cli::PredictArgs;
use crate::program::files::{Destination, on_stdout};
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
    views: Views,
}

/// `predict` for a model of other things than digits.
pub(super) async fn run(args: &PredictArgs, saved: SavedModel) -> Result<Verdict> {
    let task = saved.model.task().clone();
    ensure!(
        args.show.is_none() && args.stages.is_none() && !args.one,
        "--show, --stages and --one are for models of digits, but this one is for {task}; leave them out"
    );
    let names = pictures(&args.images, args.recursive)?;
    let read = each(&names, |name, picture| {
        bytes_of(&picture, task.image().sizes()).with_context(|| format!("cannot use the picture {}", name.display()))
    })?;
    let (usable, images): (Vec<String>, Vec<Vec<u8>>) = read.into_iter().unzip();
    let images = images.concat();
    let views = args.views.views;
    let seen = views.count() * usable.len();
    let device = open_for(&args.device.device, seen).await?;
    let spinner = scoring_first(&device, seen);
    let rows = Predictor::new(device, saved).with_views(views).probabilities(&images).await?;
    drop(spinner);
    let predictions: Vec<Prediction> =
        usable.into_iter().zip(&rows).map(|(image, row)| Prediction::new(image, &task, row, views)).collect();
    if let Some(output) = &args.results.json {
        output.write_json(&predictions)?;
    }
    if let Some(output) = &args.csv {
        write_csv(&predictions, &rows, &task, output)?;
    }
    if !on_stdout([&args.results.json, &args.csv]) {
        print(&predictions, &rows, &task);
    }
    if views != Views::ONE {
        note!("  note: each picture is read by {views} views of it");
    }
    ensure_all_read(names.len(), predictions.len())?;
    Ok(args.min_confidence.map_or(Verdict::Passed, |least| judged(&predictions, least)))
}

impl Prediction {
    fn new(image: String, task: &Task, row: &[f32], views: Views) -> Self {
        let class = prediction(row);
        let named = |(class, share): (usize, &f32)| (task.class_name(class).into_owned(), *share);
        Self {
            image,
            class: task.class_name(class).into_owned(),
            probability: row[class],
            probabilities: row.iter().enumerate().map(named).collect(),
            views,
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
