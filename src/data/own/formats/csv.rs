//! CSV files of pixels, as Kaggle has them: a line for each image, with its label and its grey bytes row by row.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use csv::{ByteRecord, ReaderBuilder};

use super::super::{Found, Part, ending, files};
use crate::data::task::MOST_CLASSES;
use crate::data::{ImageShape, Samples};

/// The names of the column of labels; without a header it is the first.
const LABELS: [&str; 3] = ["label", "class", "target"];

/// A single file of training images.
pub(super) fn file(path: &Path) -> Result<Found> {
    let train = read(path)?.with_context(|| format!("{} has no column of labels; name it `label`", path.display()))?;
    Ok(Found { what: "a CSV file", train, test: None, names: None, name: None, notes: vec![] })
}

/// The set in a folder, if it holds CSV files: a single one, or one of training and perhaps one of test images.
pub(super) fn folder(folder: &Path) -> Result<Option<Found>> {
    let files: Vec<PathBuf> = files(folder)?.into_iter().filter(|file| ending(file) == "csv").collect();
    let with = |word: &str| {
        let has_word =
            |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().contains(word));
        files.iter().filter(has_word).collect::<Vec<_>>()
    };
    let (train, test) = match (&files[..], &with("train")[..], &with("test")[..]) {
        ([], _, _) => return Ok(None),
        ([only], _, _) => return file(only).map(Some),
        (_, [train], []) => (*train, None),
        (_, [train], [test]) => (*train, Some(*test)),
        (_, train, test) => bail!(
            "it holds {} CSV files with train in their names and {} with test; keep one of each",
            train.len(),
            test.len()
        ),
    };
    let found = file(train)?;
    let Some(test) = test else { return Ok(Some(found)) };
    Ok(Some(match read(test)? {
        Some(part) => Found { what: "CSV files", test: Some(part), ..found },
        None => {
            let note = format!("{} has no labels and is left out", test.display());
            Found { what: "CSV files", notes: vec![note], ..found }
        }
    }))
}

/// The images of a file; none if they have no labels.
fn read(path: &Path) -> Result<Option<Part>> {
    let name = path.display();
    let mut reader =
        ReaderBuilder::new().has_headers(false).from_path(path).with_context(|| format!("cannot read {name}"))?;
    let mut samples = Samples { images: vec![], labels: vec![] };
    let (mut label_column, mut columns) = (Some(0), 0);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).with_context(|| format!("{name} is no table"))? {
        let line = record.position().map_or(0, csv::Position::line);
        if columns == 0 {
            columns = record.len();
            let is_header = record.iter().any(|field| number(field).is_none());
            if is_header {
                let is_label =
                    |field: &[u8]| LABELS.iter().any(|label| field.trim_ascii().eq_ignore_ascii_case(label.as_bytes()));
                label_column = record.iter().position(is_label);
                continue;
            }
        }
        let Some(label_column) = label_column else { return Ok(None) };
        for (column, field) in record.iter().enumerate() {
            let found = number(field);
            let most = if column == label_column { MOST_CLASSES - 1 } else { 255 };
            let Some(value) = found.filter(|&value| value <= most) else {
                let (kind, shown) =
                    (if column == label_column { "a label" } else { "a pixel" }, String::from_utf8_lossy(field));
                bail!("{name}: line {line}, column {}: found `{shown}`, wanted {kind} from 0 to {most}", column + 1);
            };
            if column == label_column {
                samples.labels.push(value as u16);
            } else {
                samples.images.push(value as u8);
            }
        }
    }
    ensure!(!samples.is_empty(), "{name} holds no image");
    let pixels = columns - 1;
    let side = pixels.isqrt();
    ensure!(
        side > 0 && side * side == pixels,
        "{name} has {pixels} columns of pixels, which are no square image; give images as wide as high"
    );
    Ok(Some(Part { image: ImageShape { height: side, width: side, channels: 1 }, samples }))
}

/// The whole number of a field; some programs write `7.0`.
fn number(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}
