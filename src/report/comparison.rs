//! Several runs on one page.

use anyhow::Result;
use maud::html;

use super::chart::{Axes, Line, lines, number};
use super::data::RunReport;
use super::figures::{Figure, Table};
use super::html::{document, figure_grid, interval, share, table};

/// The page that compares runs, each named by its folder.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn compare(runs: &[(String, RunReport)]) -> Result<String> {
    let validation = |of: fn(&crate::run_folder::EpochRow) -> Option<f64>, scale: f64| {
        let line = |(index, (name, report)): (usize, &(String, RunReport))| {
            let points = report.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, scale * of(epoch)?)));
            Line::new(name.clone(), index, points.collect())
        };
        runs.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let axes =
        |caption, y, is_logarithmic| Axes { caption, x: "epoch", y, is_logarithmic, y_range: None, y_text: number };
    let figures = [
        Figure {
            name: "accuracy".to_owned(),
            alt: format!("Accuracy on the images held out, by epoch, of {} runs.", runs.len()),
            picture: lines(
                &axes("validation accuracy", "images recognised, %", false),
                &validation(|epoch| epoch.validation_accuracy, 100.0),
            )?,
            table: by_epoch(runs, |epoch| epoch.validation_accuracy.map(share)),
        },
        Figure {
            name: "loss".to_owned(),
            alt: format!("Loss on the images held out, by epoch, of {} runs.", runs.len()),
            picture: lines(
                &axes("validation loss", "cross-entropy, nats", true),
                &validation(|epoch| epoch.validation_loss, 1.0),
            )?,
            table: by_epoch(runs, |epoch| epoch.validation_loss.map(|loss| format!("{loss:.4}"))),
        },
    ];
    let title = format!("gpu-digits: {} runs", runs.len());
    let body = html! {
        h1 { (title) }
        @if let Some(warning) = different_data(runs) {
            p role="alert" { strong { (warning) } }
        }
        div class="wide" { (table(&overview(runs))) }
        h2 { "How they learned" }
        (figure_grid(&figures))
    };
    Ok(document(&title, &body))
}

/// A warning where runs were not trained and scored on the same data, told by their hashes.
pub fn different_data(runs: &[(String, RunReport)]) -> Option<String> {
    let mut sets = Vec::<&crate::data::DataRecord>::new();
    for (_, report) in runs {
        let data = &report.record.data;
        if sets.iter().all(|other| other.sha256 != data.sha256) {
            sets.push(data);
        }
    }
    let titles: Vec<String> = sets.iter().map(|data| data.title()).collect();
    (sets.len() > 1)
        .then(|| format!("These runs have different data, so their scores do not compare: {}.", titles.join(", ")))
}

fn overview(runs: &[(String, RunReport)]) -> Table {
    let mut table = Table::new(&[
        "run",
        "model",
        "data",
        "device",
        "batch",
        "learning rate",
        "epochs",
        "validation",
        "test",
        "95 % interval",
        "loss",
        "calibration error",
        "seconds",
        "images/s",
    ]);
    for (name, report) in runs {
        let record = &report.record;
        let seconds: f64 = report.epochs.iter().map(|epoch| epoch.seconds).sum();
        let images: f64 = report.epochs.iter().map(|epoch| epoch.images_per_second * epoch.seconds).sum();
        let evaluation = report.evaluation.as_ref();
        let of_test = |text: fn(&crate::metrics::Evaluation) -> String| evaluation.map_or_else(|| "-".to_owned(), text);
        let last = report.epochs.last().and_then(|epoch| epoch.validation_accuracy);
        table.row([
            name.clone(),
            report.name(),
            record.data.title(),
            record.device.clone(),
            record.settings.batch_size.to_string(),
            record.settings.learning_rate.to_string(),
            report.epochs.len().to_string(),
            last.map_or_else(|| "-".to_owned(), share),
            of_test(|evaluation| share(evaluation.accuracy)),
            of_test(interval),
            of_test(|evaluation| format!("{:.4}", evaluation.loss)),
            of_test(|evaluation| share(evaluation.calibration_error)),
            format!("{seconds:.1}"),
            format!("{:.0}", images / seconds.max(f64::MIN_POSITIVE)),
        ]);
    }
    table
}

/// A column for each run, a row for each epoch.
fn by_epoch(runs: &[(String, RunReport)], of: fn(&crate::run_folder::EpochRow) -> Option<String>) -> Table {
    let names: Vec<&str> = std::iter::once("epoch").chain(runs.iter().map(|(name, _)| name.as_str())).collect();
    let mut table = Table::new(&names);
    let most = runs.iter().map(|(_, report)| report.epochs.len()).max().unwrap_or(0);
    for epoch in 0..most {
        let cell = |(_, report): &(String, RunReport)| report.epochs.get(epoch).and_then(of).unwrap_or_default();
        table.row(std::iter::once((epoch + 1).to_string()).chain(runs.iter().map(cell)));
    }
    table
}
