//! `gpu-digits export`.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, ensure};

use super::eval::{data, record_of};
use super::{Verdict, percent, thousands};
use crate::data::{Samples, Splits};
use crate::export::int8::{Accuracy, Quantized};
use crate::export::{self, c, c_int8};
use crate::program::cli::{ExportArgs, ExportFormat};
use crate::program::files::Destination;
use crate::program::terminal::Spinner;
use crate::weights::{self, SavedModel, model_file};

pub(super) fn run(args: &ExportArgs) -> Result<Verdict> {
    let saved = weights::load(&args.model)?;
    ensure!(
        (!args.int8 && args.data.is_empty()) || (args.int8 && args.format == ExportFormat::C),
        "--int8, and data to measure ranges on, are for --format c only; leave them out, or give `--format c --int8`"
    );
    let out = match &args.out {
        Some(out) => out.clone(),
        None => Destination::File(model_file(&args.model)?.with_extension(args.format.ending())),
    };
    let bytes = match args.format {
        ExportFormat::Onnx => export::onnx(&saved)?,
        ExportFormat::Json => export::json(&saved)?.into_bytes(),
        ExportFormat::C if args.int8 => of_bytes(args, &saved, &name(&out))?.into_bytes(),
        ExportFormat::C => c(&saved, &name(&out))?.into_bytes(),
    };
    out.write(&bytes)?;
    if let Destination::File(path) = &out {
        out!("saved {}", path.display());
    }
    Ok(Verdict::Passed)
}

/// What the names of a C file's functions begin with: the file's own name, as far as it is one of C's.
fn name(out: &Destination) -> String {
    let stem = match out {
        Destination::File(path) => path.file_stem().map(OsStr::to_string_lossy).unwrap_or_default(),
        Destination::StandardOutput => "".into(),
    };
    let letters = stem.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
    let name: String = letters.collect();
    let is_begun = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if is_begun { name } else { format!("model{name}") }
}

/// The C file that computes with bytes, measured on images.
fn of_bytes(args: &ExportArgs, saved: &SavedModel, name: &str) -> Result<String> {
    let (samples, which) = images(args, saved, &args.model)?;
    let spinner = Spinner::new(format!("measuring {} {which}", thousands(samples.len())));
    let quantized = Quantized::new(saved, &samples, which)?;
    drop(spinner);
    let Accuracy { images, floats, bytes, alike } = quantized.accuracy;
    let share = |count: usize| percent(count as f64 / images as f64);
    out!(
        "read rightly with floats {} %, with bytes {} % of {} {which}",
        share(floats),
        share(bytes),
        thousands(images)
    );
    out!("read alike {} %", share(alike));
    c_int8(&quantized, name)
}

/// The images on which ranges and accuracy are measured: those that the run held out, otherwise the test images.
fn images(args: &ExportArgs, saved: &SavedModel, path: &Path) -> Result<(Samples, &'static str)> {
    let record = record_of(path)?;
    let trained_on = record.as_ref().map(|record| record.data.clone()).or_else(|| saved.data.clone());
    let dataset = data(&args.data, trained_on.as_ref())?;
    saved.model.task().ensure_takes(&dataset.task)?;
    let record = record.filter(|record| record.settings.validation > 0 && record.data.sha256 == dataset.sha256);
    let Some(record) = record else { return Ok((dataset.test, "test images")) };
    let held_out = Splits::stratified(&dataset, record.settings.validation, record.seed).validation;
    let size = dataset.task.image().bytes();
    let image = |&index: &u32| &dataset.train.images[index as usize * size..][..size];
    let samples = Samples {
        images: held_out.iter().flat_map(image).copied().collect(),
        labels: held_out.iter().map(|&index| dataset.train.labels[index as usize]).collect(),
    };
    Ok((samples, "validation images"))
}
