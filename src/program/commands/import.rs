//! `gpu-digits import`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::{Verdict, thousands};
use crate::files::hex;
use crate::import::{self, Imported, Options};
use crate::program::cli::ImportArgs;
use crate::weights;

pub(super) fn run(args: &ImportArgs) -> Result<Verdict> {
    let options = Options {
        model: args.model.clone(),
        image: args.image_size,
        classes: args.classes.clone(),
        pixels: args.mean.zip(args.deviation).map(|(mean, deviation)| [mean, deviation]),
    };
    let Imported { model, parameters, format, remarks } = import::read(&args.file, &options)?;
    let out = destination(args)?;
    remarks.iter().for_each(|remark| note!("  note: {remark}"));
    weights::save_imported(&out, &model, &parameters, &source(&args.file, format)?)?;
    let (task, [mean, deviation]) = (model.task(), model.task().pixels());
    out!("{format}: {model} ({} parameters)", thousands(model.parameter_count()));
    out!("{task}; of a byte x the model takes (x / 255 - {mean}) / {deviation}");
    out!("saved {}", out.display());
    Ok(Verdict::Passed)
}

/// The file to write. A name that nobody gave replaces nothing.
fn destination(args: &ImportArgs) -> Result<PathBuf> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let out = args.file.with_extension("safetensors");
    ensure!(!out.exists(), "{} is there already; give another name with --out", out.display());
    Ok(out)
}

/// What the metadata of the new file say of the old one.
fn source(path: &Path, format: import::Format) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name} ({format}), SHA-256 {}", hex(&Sha256::digest(&bytes))))
}
