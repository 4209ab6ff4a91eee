//! `gpu-digits eval`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Verdict, load_data, open_device, percent, print_table, scoring, table, thousands};
use crate::cli::EvalArgs;
use crate::data::CLASSES;
use crate::files::Destination;
use crate::inference::probabilities;
use crate::metrics::Evaluation;
use crate::weights;

/// The file of a saved model, which may be named by its run folder.
pub(super) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(crate::run_folder::MODEL_FILE) } else { path.to_owned() }
}

pub(super) async fn run(args: EvalArgs) -> Result<Verdict> {
    let saved = weights::load(&model_file(&args.model))?;
    let device = open_device(&args.device.device).await?;
    let dataset = load_data(&args.data)?;
    let spinner = scoring(dataset.test.len());
    let probabilities = probabilities(&device, &saved.model, &saved.parameters, &dataset.test.images).await?;
    drop(spinner);
    let evaluation = Evaluation::new(&probabilities, &dataset.test.labels);
    if let Some(output) = &args.json {
        output.write_json(&evaluation)?;
    }
    if args.json != Some(Destination::StandardOutput) {
        print(&evaluation);
    }
    Ok(Verdict::Passed)
}

fn print(evaluation: &Evaluation) {
    let Evaluation { images, accuracy, loss, .. } = evaluation;
    out!("accuracy {} % of {} images, loss {loss:.4}\n", percent(*accuracy), thousands(*images));
    let mut scores = table(&["digit", "precision %", "recall %", "F1 %", "images"], 0);
    for score in &evaluation.classes {
        scores.add_row([
            score.class.to_string(),
            percent(score.precision),
            percent(score.recall),
            percent(score.f1),
            score.support.to_string(),
        ]);
    }
    print_table(&scores);

    out!("\nconfusion: rows are labels, columns predictions");
    let digits: Vec<String> = (0..CLASSES).map(|digit| digit.to_string()).collect();
    let header: Vec<&str> = std::iter::once("").chain(digits.iter().map(String::as_str)).collect();
    let mut confusion = table(&header, 0);
    for (digit, row) in digits.iter().zip(&evaluation.confusion) {
        confusion.add_row(std::iter::once(digit.clone()).chain(row.iter().map(u64::to_string)));
    }
    print_table(&confusion);
}
