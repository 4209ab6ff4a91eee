//! `gpu-digits predict`.

mod classes;
mod pictures;
mod results;
mod show;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use image::DynamicImage;

use self::pictures::{each, ensure_all_read, ensure_no_picture, pictures};
use self::results::{Prediction, print_one, print_several, write_csv};
use super::open::open_for;
use super::{Verdict, percent, print_table, scoring_first, table};
use crate::data::Task;
use crate::inference::{Predictor, Views};
use crate::photo::{self, Findings, Options, Stages};
use crate::program::cli::PredictArgs;
use crate::program::files::on_stdout;
use crate::program::picture_file::write_picture;
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
    let found = each(&names, |name, picture| {
        // The picture itself is only kept to be drawn.
        Ok((find(&picture, &args, name)?, args.show.is_some().then_some(picture)))
    })?;
    let mut usable = Vec::new();
    let mut pixels = Vec::new();
    let mut shown = None;
    for (name, (found, picture)) in found {
        let these = found.pixels();
        usable.push((name, found, these.len() / Task::MNIST.image().bytes()));
        pixels.extend(these);
        shown = picture;
    }
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
        write_picture(&show::draw(picture, only)?, output)?;
    }
    match &predictions[..] {
        _ if on_stdout([&args.results.json, &args.csv, &args.show]) => {}
        [only] => print_one(only),
        several => print_several(several),
    }
    if views != Views::ONE {
        note!("  note: each digit is read by {views} views of it");
    }
    ensure_all_read(names.len(), predictions.len())?;
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
