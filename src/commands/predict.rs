//! `gpu-digits predict`.

use anyhow::Result;
use serde::Serialize;

use super::eval::model_file;
use super::{Verdict, open_device, percent, print_table, table};
use crate::cli::PredictArgs;
use crate::data::CLASSES;
use crate::digit_image;
use crate::metrics::prediction;
use crate::train::probabilities;
use crate::weights;

/// What is printed of one picture.
#[derive(Serialize)]
struct Prediction {
    image: String,
    digit: usize,
    probabilities: [f32; CLASSES],
}

pub(super) async fn run(args: PredictArgs) -> Result<Verdict> {
    let saved = weights::load(&model_file(&args.model))?;
    let mut pixels = Vec::new();
    for path in &args.images {
        pixels.extend(digit_image::load(path)?);
    }
    let device = open_device(&args.device.device).await?;
    let rows = probabilities(&device, &saved.model, &saved.parameters, &pixels).await?;
    let predictions = args.images.iter().zip(rows).map(|(path, probabilities)| Prediction {
        image: path.display().to_string(),
        digit: prediction(&probabilities),
        probabilities,
    });
    let predictions: Vec<Prediction> = predictions.collect();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&predictions)?);
    } else {
        print(&predictions);
    }
    Ok(Verdict::Passed)
}

fn print(predictions: &[Prediction]) {
    let digits: Vec<String> = (0..CLASSES).map(|digit| format!("{digit} %")).collect();
    let header: Vec<&str> = ["image", "digit"].into_iter().chain(digits.iter().map(String::as_str)).collect();
    let mut table = table(&header, 1);
    for Prediction { image, digit, probabilities } in predictions {
        let shares = probabilities.iter().map(|&probability| percent(f64::from(probability)));
        table.add_row([image.clone(), digit.to_string()].into_iter().chain(shares));
    }
    print_table(&table);
}
