//! `gpu-digits predict`.

mod classes;
mod pictures;
mod results;
mod show;

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use image::DynamicImage;
use rayon::prelude::*;

use self::pictures::{STANDARD_INPUT, ensure_no_picture, pictures};
use self::results::{Prediction, print_one, print_several, write_csv};
use super::open::open_for;
use super::{Verdict, percent, print_table, scoring_first, table};
use crate::data::Task;
use crate::inference::{Predictor, Views};
use crate::photo::{self, Findings, Options, Stages};
use crate::program::cli::PredictArgs;
use crate::program::files::Destination;
use crate::program::terminal;
use crate::weights;

pub(super) async fn run(args: PredictArgs) -> Result<Verdict> {
    for output in [&args.results.json, &args.csv].into_iter().flatten() {
        ensure_no_picture(output)?;
    }
    let saved = weights::load(&args.model)?;
    if !saved.model.task().is_of_digits() {
        return classes::run(&args, saved).await;
    }
    let names = pictures(&args.images, args.recursive)?;
    ensure!(
        names.len() == 1 || args.show.is_none() && args.stages.is_none(),
        "--show and --stages draw one picture, but there are {}; give one",
        names.len()
    );
    let mut usable = Vec::new();
    let mut pixels = Vec::new();
    let mut shown = None;
    let bar = terminal::bar(names.len(), "{wide_bar} {pos}/{len} pictures  {left}");
    // The picture itself is only kept to be drawn.
    let found: Vec<Result<(Findings, Option<DynamicImage>)>> = names
        .par_iter()
        .map(|name| {
            bar.inc(1);
            let picture = load(name)?;
            Ok((find(&picture, &args, name)?, args.show.is_some().then_some(picture)))
        })
        .collect();
    bar.finish_and_clear();
    for (name, found) in names.iter().zip(found) {
        match found {
            Ok((found, picture)) => {
                let these = found.pixels();
                usable.push((name.display().to_string(), found, these.len() / Task::MNIST.image().bytes()));
                pixels.extend(these);
                shown = picture;
            }
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => terminal::error(&format!("{error:#}")),
        }
    }
    ensure!(!usable.is_empty(), "none of the {} pictures can be read; the errors above say why", names.len());
    let count = Task::MNIST.image().count(&pixels)?;
    let views = args.views.views;
    let seen = views.count() * count;
    let device = open_for(&args.device.device, seen).await?;
    let spinner = scoring_first(&device, seen);
    let rows = Predictor::new(device, saved).with_views(views).probabilities(&pixels).await?;
    drop(spinner);
    let mut rest = &rows[..];
    let predictions: Vec<Prediction> = usable
        .into_iter()
        .map(|(image, found, candidates)| {
            let (these, others) = rest.split_at(candidates);
            rest = others;
            Prediction { image, views, reading: found.read(these) }
        })
        .collect();
    if let Some(output) = &args.results.json {
        output.write_json(&predictions)?;
    }
    if let Some(output) = &args.csv {
        write_csv(&predictions, output)?;
    }
    if let ([only], Some(output), Some(picture)) = (&predictions[..], &args.show, &shown) {
        show::draw(picture, only)?.write(output)?;
    }
    let to_stdout = |output: &Option<Destination>| *output == Some(Destination::StandardOutput);
    if to_stdout(&args.results.json) || to_stdout(&args.csv) || to_stdout(&args.show) {
        // These outputs replace the table.
    } else if let [only] = &predictions[..] {
        print_one(only);
    } else {
        print_several(&predictions);
    }
    if views != Views::ONE {
        note!("  note: each digit is read by {views} views of it");
    }
    let refused = names.len() - predictions.len();
    if refused > 0 {
        bail!("{refused} of {} pictures cannot be read; the errors above say why", names.len());
    }
    Ok(args.min_confidence.map_or(Verdict::Passed, |least| judged(&predictions, least)))
}

/// Fails if a picture is uncertain, and says which.
fn judged(predictions: &[Prediction], least: f64) -> Verdict {
    let is_below = |prediction: &&Prediction| {
        f64::from(prediction.reading.confidence()) < least || prediction.reading.is_uncertain()
    };
    let below = predictions.iter().filter(is_below).count();
    if below == 0 {
        return Verdict::Passed;
    }
    terminal::error(&format!(
        "{below} of {} pictures are less certain than --min-confidence {least}; the notes say why",
        predictions.len()
    ));
    Verdict::Failed
}

fn load(path: &Path) -> Result<DynamicImage> {
    if path != Path::new(STANDARD_INPUT) {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read the picture {}", path.display()))?;
        return photo::decode(&bytes).with_context(|| format!("cannot use the picture {}", path.display()));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    photo::decode(&bytes).context("cannot use the picture on standard input")
}

/// Finds the digits of a picture, and writes its stages where they are asked for, also if it finds none.
fn find(picture: &DynamicImage, args: &PredictArgs, name: &Path) -> Result<Findings> {
    let options = Options { one: args.one };
    let cannot = || format!("cannot read the picture {}", name.display());
    let Some(folder) = &args.stages else { return photo::find(picture, &options).with_context(cannot) };
    let mut stages = Stages::kept();
    let found = photo::find_in_stages(picture, &options, &mut stages);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (number, (stage, picture)) in stages.pictures().iter().enumerate() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).context("cannot encode a picture")?;
        let file = folder.join(format!("{}-{stage}.png", number + 1));
        crate::files::write_atomically(&file, &bytes.into_inner())?;
    }
    found.with_context(cannot)
}
