//! `gpu-digits predict`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::open::open_for;
use super::{Verdict, percent, print_table, scoring_first, table};
use crate::data::{CLASSES, IMAGE_BYTES, IMAGE_SIDE, Task};
use crate::digit_image::{self, Prepared};
use crate::inference::probabilities;
use crate::metrics::prediction;
use crate::program::cli::PredictArgs;
use crate::program::files::Destination;
use crate::program::terminal::{self, one_line};
use crate::weights;

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// File extensions of pictures in a folder.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "pgm", "ppm", "pbm"];

/// A prediction with a lower probability is marked as a guess.
const SURE: f32 = 0.5;

/// The JSON output for one picture.
#[derive(Serialize)]
struct Prediction {
    image: String,
    digit: usize,
    probabilities: Vec<f32>,
    /// Why the prediction is doubtful, if it is.
    remark: Option<String>,
    #[serde(skip)]
    pixels: [u8; IMAGE_BYTES],
}

impl Prediction {
    fn new(image: String, prepared: &Prepared, probabilities: Vec<f32>) -> Self {
        let digit = prediction(&probabilities);
        let remark = if prepared.digits > 1 {
            Some(format!("it seems to show {} digits; give a picture of each", prepared.digits))
        } else if probabilities[digit] < SURE {
            Some("a guess".to_owned())
        } else {
            None
        };
        Self { image, digit, probabilities, remark, pixels: prepared.pixels }
    }
}

pub(super) async fn run(args: PredictArgs) -> Result<Verdict> {
    ensure_no_picture(args.results.json.as_ref())?;
    let saved = weights::load(&args.model)?;
    let task = saved.model.task();
    ensure!(
        Task::MNIST.ensure_takes(task).is_ok(),
        "{} is a model for {task}, but `predict` makes each picture a digit, for models for {}; for other images use the \
         library's `Predictor`",
        args.model.display(),
        Task::MNIST
    );
    let names = pictures(&args.images)?;
    let mut usable = Vec::new();
    let bar = terminal::bar(names.len(), "{wide_bar} {pos}/{len} pictures  {left}");
    for name in &names {
        bar.inc(1);
        match load(name) {
            Ok(prepared) => usable.push((name.display().to_string(), prepared)),
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => terminal::error(&format!("{error:#}")),
        }
    }
    bar.finish_and_clear();
    ensure!(!usable.is_empty(), "none of the {} pictures can be read; the errors above say why", names.len());
    let device = open_for(&args.device.device, usable.len()).await?;
    let pixels: Vec<u8> = usable.iter().flat_map(|(_, prepared)| prepared.pixels).collect();
    let spinner = scoring_first(&device, usable.len());
    let rows = probabilities(&device, &saved.model, &saved.parameters, &pixels).await?;
    drop(spinner);
    let predictions = usable.into_iter().zip(rows);
    let predictions: Vec<Prediction> =
        predictions.map(|((image, prepared), row)| Prediction::new(image, &prepared, row)).collect();
    if let Some(output) = &args.results.json {
        output.write_json(&predictions)?;
    }
    if args.results.json == Some(Destination::StandardOutput) {
        // The JSON output replaces the table.
    } else if let [only] = &predictions[..] {
        print_one(only);
    } else {
        print_several(&predictions);
    }
    let refused = names.len() - predictions.len();
    if refused > 0 {
        bail!("{refused} of {} pictures cannot be read; the errors above say why", names.len());
    }
    Ok(Verdict::Passed)
}

/// Refuses to write JSON over a picture, as in `predict run --json a.png b.png`.
fn ensure_no_picture(json: Option<&Destination>) -> Result<()> {
    if let Some(Destination::File(path)) = json {
        let name = path.display();
        ensure!(
            !has_picture_ending(path),
            "--json {name} would overwrite a picture; for standard output give `--json -`"
        );
    }
    Ok(())
}

fn has_picture_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&&*ending))
}

/// The pictures that the paths name: files as they are, and for folders all pictures in them.
fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for path in paths {
        if !path.is_dir() {
            pictures.push(path.clone());
            continue;
        }
        let name = path.display();
        let entries = fs::read_dir(path).with_context(|| format!("cannot read the folder {name}"))?;
        let mut inside = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read the folder {name}"))?.path();
            if has_picture_ending(&path) {
                inside.push(path);
            }
        }
        ensure!(!inside.is_empty(), "the folder {name} holds no picture; give PNG, JPEG or PGM files");
        inside.sort();
        pictures.extend(inside);
    }
    Ok(pictures)
}

fn load(path: &Path) -> Result<Prepared> {
    if path != Path::new(STANDARD_INPUT) {
        return digit_image::load(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    digit_image::read(&bytes).context("cannot use the picture on standard input")
}

/// Prints the picture as the model sees it, two rows a line, with a bar for each digit beside it.
fn print_one(prediction: &Prediction) {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    const BAR: f32 = 30.0;
    for line in 0..IMAGE_SIDE / 2 {
        let shade = |x: usize| {
            let [above, below] = [0, 1].map(|row| usize::from(prediction.pixels[(2 * line + row) * IMAGE_SIDE + x]));
            SHADES[(above + below) * SHADES.len() / 511]
        };
        let picture: String = (0..IMAGE_SIDE).map(shade).collect();
        let bar = line.checked_sub(2).filter(|&digit| digit < CLASSES).map_or_else(String::new, |digit| {
            let probability = prediction.probabilities[digit];
            let length = (BAR * probability).round() as usize;
            format!("  {digit} {:>6} % {}", percent(f64::from(probability)), "█".repeat(length))
        });
        out!("{}", format!("{picture}{bar}").trim_end());
    }
    out!("{}: {}", one_line(&prediction.image), prediction.digit);
    if let Some(remark) = &prediction.remark {
        out!("note: {remark}");
    }
}

/// Prints a line for each picture: the two most probable digits.
fn print_several(predictions: &[Prediction]) {
    let mut table = table(&["image", "digit", "%", "next", "%"], 1);
    for Prediction { image, digit, probabilities, .. } in predictions {
        let others = (0..CLASSES).filter(|other| other != digit);
        let next = others.max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or_default();
        let share = |digit: usize| percent(f64::from(probabilities[digit]));
        table.add_row([one_line(image), digit.to_string(), share(*digit), next.to_string(), share(next)]);
    }
    print_table(&table);
    for Prediction { image, remark, .. } in predictions {
        if let Some(remark) = remark {
            out!("note: {}: {remark}", one_line(image));
        }
    }
}
