//! `gpu-digits eval`.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::open::{load_data, open_for, say, say_data};
use super::{Verdict, percent, print_table, scoring_first, table, thousands};
use crate::data::{DataChoice, DataRecord, Dataset, Folders, Request};
use crate::inference::{Views, score_views};
use crate::metrics::{Evaluation, Mistake};
use crate::numbers;
use crate::program::cli::{DataArgs, EvalArgs};
use crate::program::files::on_stdout;
use crate::program::run_folder::RunRecord;
use crate::weights::{self, MODEL_FILE};

/// The most classes whose confusion matrix is printed, and the mistakes that are printed of more.
const WIDEST_MATRIX: usize = 20;
const MISTAKES: usize = 20;

/// The JSON output.
#[derive(Serialize)]
struct Scored<'a> {
    data: ScoredData,
    /// How many views of each image the probabilities are means over.
    views: Views,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

/// The data that a model is scored on.
#[derive(Serialize)]
struct ScoredData {
    name: String,
    origin: String,
    sha256: String,
    images: usize,
    /// Whether the model was trained on the same data set; none if the model does not name its data set.
    is_that_of_training: Option<bool>,
}

pub(super) async fn run(args: EvalArgs) -> Result<Verdict> {
    let saved = weights::load(&args.model)?;
    let record = record_of(&args.model)?;
    let trained_on = record.map(|record| record.data).or_else(|| saved.data.clone());
    let dataset = data(&args.data, trained_on.as_ref())?;
    saved.model.task().ensure_takes(&dataset.task)?;
    let views = args.views.views;
    let seen = views.count() * dataset.test.len();
    let device = open_for(&args.device.device, seen).await?;
    let spinner = scoring_first(&device, seen);
    let scored = score_views(&device, &saved.model, &saved.parameters, &dataset.test, views).await?;
    drop(spinner);
    let evaluation = Evaluation::new(saved.model.task(), &scored.probabilities, &scored.losses, &dataset.test.labels);
    if let Some(output) = &args.results.json {
        let data = ScoredData {
            name: dataset.name.clone(),
            origin: dataset.origin,
            is_that_of_training: trained_on.map(|data| data.sha256 == dataset.sha256),
            sha256: dataset.sha256,
            images: dataset.test.len(),
        };
        output.write_json(&Scored { data, views, evaluation: &evaluation })?;
    }
    if !on_stdout([&args.results.json]) {
        print(&evaluation, &dataset.name, views);
    }
    Ok(Verdict::Passed)
}

/// A fraction in per cent, or `-` if there is no value.
fn optional_percent(share: Option<f64>) -> String {
    share.map_or_else(|| numbers::NONE.to_owned(), percent)
}

/// The record of the run that a model is of, given its folder or its file; none if it is of none.
pub(super) fn record_of(path: &Path) -> Result<Option<RunRecord>> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let is_of_a_run = path.is_dir() || path.file_name().is_some_and(|name| name == MODEL_FILE);
    if is_of_a_run { RunRecord::load(folder) } else { Ok(None) }
}

/// The data that the arguments name, otherwise the data that the model was trained on. There is no fallback to other
/// data.
pub(super) fn data(args: &DataArgs, trained_on: Option<&DataRecord>) -> Result<Dataset> {
    let dataset = match (args.dataset, args.generated_images) {
        (None, Some(_)) if args.data.is_none() => Some(DataChoice::Generated),
        (dataset, _) => dataset,
    };
    let args = &DataArgs { dataset, ..args.clone() };
    let Some(trained_on) = trained_on else {
        return load_data(&DataArgs { dataset: dataset.or(Some(DataChoice::Mnist)), ..args.clone() });
    };
    if args.data.is_none() && dataset.is_none() {
        let request = Request::new(Folders::from_environment(None));
        let dataset = trained_on
            .load(&request, &mut say)
            .context("cannot load the data that the model was trained on; give other data with --data or --dataset")?;
        say_data(&dataset);
        return Ok(dataset);
    }
    let dataset = load_data(args)?;
    if dataset.sha256 == trained_on.sha256 {
        note!("  note: the model was trained on the same data set");
    } else {
        warning!("WARNING: the model was trained on another data set: {}", trained_on.title());
    }
    Ok(dataset)
}

fn print(evaluation: &Evaluation, data: &str, views: Views) {
    let Evaluation { images, accuracy, loss, .. } = evaluation;
    let (share, images, loss) = (percent(*accuracy), thousands(*images), numbers::loss(*loss));
    let by_views = if views == Views::ONE { String::new() } else { format!(", by {views} views of each") };
    out!("accuracy {share} % of {images} images ({data}), loss {loss}{by_views}\n");
    // Numbers stand to the right, and names to the left.
    let are_named = evaluation.classes.iter().any(|score| *score.name() != *score.class.to_string());
    let left = usize::from(are_named);
    let mut scores = table(&["class", "precision %", "recall %", "F1 %", "images"], left);
    for score in &evaluation.classes {
        scores.add_row([
            score.name().into_owned(),
            optional_percent(score.precision),
            optional_percent(score.recall),
            optional_percent(score.f1),
            score.support.to_string(),
        ]);
    }
    print_table(&scores);

    if evaluation.classes.len() > WIDEST_MATRIX {
        out!("\nmost frequent mistakes");
        let mut mistakes = table(&["label", "taken for", "images"], 2 * left);
        for Mistake { label, prediction, images } in evaluation.mistakes().into_iter().take(MISTAKES) {
            let [label, prediction] = [label, prediction].map(|class| evaluation.classes[class].name());
            mistakes.add_row([&label, &prediction, images.to_string().as_str()]);
        }
        print_table(&mistakes);
        return;
    }
    out!("\nconfusion: rows are labels, columns predictions");
    let numbers: Vec<String> = (0..evaluation.classes.len()).map(|class| class.to_string()).collect();
    let header: Vec<&str> = std::iter::once("").chain(numbers.iter().map(String::as_str)).collect();
    let mut confusion = table(&header, left);
    for ((number, score), row) in numbers.iter().zip(&evaluation.classes).zip(&evaluation.confusion) {
        // Columns are as narrow as their numbers; a row says which class its number is.
        let class = if are_named { format!("{number} {}", score.name()) } else { number.clone() };
        confusion.add_row(std::iter::once(class).chain(row.iter().map(u64::to_string)));
    }
    print_table(&confusion);
}
