//! Data of your own: what a file or a folder holds, in one of the forms that data sets come in.

mod cifar;
#[cfg(feature = "formats")]
mod formats;
#[cfg(not(feature = "formats"))]
#[path = "no_formats.rs"]
mod formats;
mod idx;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::splits::held_out;
use super::summary::moments;
use super::{CLASSES, Dataset, Folders, ImageShape, MNIST, Request, Samples, Share, Task};
use crate::files::entries;

/// The share of the images that are held out for the test if the data have no test set of their own.
pub const DEFAULT_TEST: Share = Share::Part(0.15);

/// The seed of that choice: the same for all runs, so that their scores can be compared.
const TEST_SEED: u64 = 0;

/// The first of the random streams that choose the test images, one for each class.
const TEST_STREAM: u64 = 5 << 32;

/// The file that names the classes, a line each.
const NAMES_FILE: &str = "classes.txt";

/// What there is to give.
const FORMS: &str = "a folder of pictures sorted into folders by class, of IDX files (train-images-idx3-ubyte, ...), of \
                     CIFAR's binary files, or of CSV files with train and test in their names; a CSV file; or an NPZ file";

/// What a reader has found.
struct Found {
    /// What it is, in the plural.
    what: &'static str,
    train: Part,
    /// The test set, if the data have one.
    test: Option<Part>,
    /// The names of the classes, if the data have them.
    names: Option<Vec<String>>,
    /// The data set's own name, if it is known.
    name: Option<&'static str>,
    /// What else there is to say.
    notes: Vec<String>,
}

/// Images of one shape with their labels.
struct Part {
    image: ImageShape,
    samples: Samples,
}

/// Loads what the user named.
pub(super) fn load(path: &Path, request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    let shown = path.display();
    let found = find(path, request).with_context(|| format!("cannot use the data in {shown}"))?;
    for note in &found.notes {
        say(&format!("NOTE: {note}"));
    }
    let origin = shown.to_string();
    // What has its own name is not taken for MNIST.
    let is_like_mnist = found.name.is_none() && found.train.image == ImageShape::MNIST;
    let mut dataset =
        assemble(found, Some(path), origin, request).with_context(|| format!("cannot use the data in {shown}"))?;
    dataset.folder = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    if is_like_mnist && dataset.name != MNIST {
        say(&format!("NOTE: {shown} holds a data set other than MNIST"));
    }
    Ok(dataset)
}

/// The set of four IDX files in memory, with their names: MNIST's, or another like it.
///
/// # Errors
/// If a file is missing, is there twice, or is damaged.
pub fn from_idx_files(files: Vec<(String, Vec<u8>)>) -> Result<Dataset> {
    let request = Request::new(Folders::default());
    assemble(idx::in_memory(files, &request.source)?, None, "memory".to_owned(), &request)
}

/// Whether a path leads to data, be it a file, a folder, or the beginning of the names of files.
pub(super) fn is_there(path: &Path) -> bool {
    path.exists() || idx::is_prefix(path)
}

/// Reads the data in the form that they have.
fn find(path: &Path, request: &Request) -> Result<Found> {
    if path.is_file() {
        return formats::file(path)?.with_context(|| format!("it is no file of images; give {FORMS}"));
    }
    if !path.is_dir() {
        return idx::with_prefix(path, &request.source);
    }
    if let Some(found) = idx::folder(path, &request.source)? {
        return Ok(found);
    }
    if let Some(found) = cifar::folder(path)? {
        return Ok(found);
    }
    formats::folder(path, request)?.with_context(|| format!("it holds no images that can be read; give {FORMS}"))
}

/// The data set of what was found, at a path unless it is in memory.
fn assemble(found: Found, path: Option<&Path>, origin: String, request: &Request) -> Result<Dataset> {
    let Found { what, train: Part { image, samples: train }, test, names, name, .. } = found;
    let test = match test {
        Some(test) => {
            ensure!(test.image == image, "its training images are {image}, but its test images {}", test.image);
            Some(test.samples)
        }
        None => None,
    };
    if let Some(size) = request.image {
        let wanted =
            ImageShape { height: size.height, width: size.width, channels: size.channels.unwrap_or(image.channels) };
        ensure!(
            wanted == image,
            "its images are {image}, and only pictures can be scaled; leave out --image-size {size}"
        );
    }
    let names = match path.map(names_beside).transpose()?.flatten() {
        Some(names) => Some(names),
        None => names,
    };
    let highest = train.labels.iter().chain(test.iter().flat_map(|test| &test.labels)).max();
    let classes = match &names {
        Some(names) => names.len(),
        // A set of digits may lack the last one.
        None if image == ImageShape::MNIST => (usize::from(*highest.unwrap_or(&0)) + 1).max(CLASSES),
        None => usize::from(*highest.unwrap_or(&0)) + 1,
    };
    let mut task = Task::new(image, classes)?;
    if let Some(names) = names {
        task = task.named(names)?;
    }
    train.check(&task, "training")?;
    let held_out = test.is_none();
    let (train, test) = match (test, request.test) {
        (Some(test), None) => (train, test),
        (Some(_), Some(share)) => {
            bail!("it has a test set of its own, so that {share} of its images cannot be held out; leave out --test")
        }
        (None, share) => hold_out(train, &task, share.unwrap_or(DEFAULT_TEST))?,
    };
    test.check(&task, "test")?;
    if image != ImageShape::MNIST {
        let of = if train.is_empty() { &test } else { &train };
        task = normalized_as(task, &of.images)?;
    }
    let name = name.map_or_else(|| format!("{what} in {origin}"), str::to_owned);
    Ok(Dataset { held_out, ..Dataset::new(task, train, test, name, origin) })
}

/// Holds out images for the test, from each class in proportion to its size.
fn hold_out(samples: Samples, task: &Task, share: Share) -> Result<(Samples, Samples)> {
    let count = share.of(samples.len());
    let there = samples.len();
    ensure!(count > 0, "--test {share} of {there} images is none; hold out more");
    ensure!(count <= there, "--test {share} is more than the {there} images; hold out fewer");
    let is_test = held_out(&samples, task.classes(), count, TEST_SEED, TEST_STREAM);
    let bytes = task.image().bytes();
    let part = |wanted: bool| {
        let chosen =
            || is_test.iter().enumerate().filter(move |(_, is_test)| **is_test == wanted).map(|(image, _)| image);
        Samples {
            images: chosen().flat_map(|image| &samples.images[image * bytes..][..bytes]).copied().collect(),
            labels: chosen().map(|image| samples.labels[image]).collect(),
        }
    };
    Ok((part(false), part(true)))
}

/// The task with the mean and the standard deviation of its pixels, to four digits.
fn normalized_as(task: Task, images: &[u8]) -> Result<Task> {
    let [mean, deviation] = moments(images, 1, 0);
    let rounded = |number: f64| (1e4 * number).round() / 1e4;
    // Images that show nothing have none; they are told elsewhere.
    if deviation < 1e-3 { Ok(task) } else { task.normalized(rounded(mean), rounded(deviation)) }
}

/// The names in the file beside the data, a line each.
fn names_beside(path: &Path) -> Result<Option<Vec<String>>> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    lines_of(&folder.join(NAMES_FILE))
}

/// The lines of a text file that are not empty; none if it is not there.
fn lines_of(file: &Path) -> Result<Option<Vec<String>>> {
    if !file.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()))
}

/// The ending of a file's name, in small letters.
fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}
