//! Pictures sorted into folders by class.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rayon::prelude::*;

use super::super::{Found, Part};
use crate::data::{ImageShape, Request, Samples};
use crate::decode::{bytes_of, decode, dimensions, has_picture_ending};
use crate::files::entries;

/// The names of folders that hold a part of the data, sorted by class again.
const TRAIN: &[&str] = &["train", "training"];
const VALIDATION: &[&str] = &["val", "valid", "validation"];
const TEST: &[&str] = &["test", "testing"];

/// The longer side that pictures of several sizes, or large ones, are scaled to.
const LONGEST_SIDE: u32 = 64;

/// A picture's file, and the number of its class.
type Labelled = (PathBuf, u16);

/// The files of a part, by class.
type Classes = BTreeMap<String, Vec<PathBuf>>;

/// The set in a folder, if there are pictures in its folders.
pub(super) fn folder(folder: &Path, request: &Request) -> Result<Option<Found>> {
    let folders: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    let called = |names: &[&str]| folders.iter().find(|path| names.contains(&name_of(path).to_lowercase().as_str()));
    let mut others = 0;
    let mut notes = vec![];
    let (mut train, test) = match called(TRAIN) {
        Some(train) => {
            let test = called(TEST).map(|test| classes(test, &mut others)).transpose()?;
            (classes(train, &mut others)?, test)
        }
        None => (classes(folder, &mut others)?, None),
    };
    if let (Some(_), Some(more)) = (called(TRAIN), called(VALIDATION)) {
        notes.push(format!("the pictures of {} are added to the training images", more.display()));
        for (class, files) in classes(more, &mut others)? {
            train.entry(class).or_default().extend(files);
        }
    }
    if train.is_empty() {
        return Ok(None);
    }
    let names = in_order(train.keys().cloned().collect());
    let train = labelled(train, &names)?;
    let test = test.map(|test| labelled(test, &names)).transpose()?;
    if others > 0 {
        notes.push(format!("{others} files in these folders are no pictures, and left out"));
    }
    let all: Vec<&Labelled> = train.iter().chain(test.iter().flatten()).collect();
    let (image, note) = shape(&all, request)?;
    notes.extend(note);
    let part = |files: &[Labelled]| read(files, image).map(|samples| Part { image, samples });
    let (mut train, mut test) = (part(&train)?, test.as_deref().map(part).transpose()?);
    if request.image.is_none_or(|wanted| wanted.channels.is_none()) {
        let parts = || std::iter::once(&train).chain(&test);
        if parts().all(|part| part.samples.images.as_chunks::<3>().0.iter().all(|&[r, g, b]| r == g && g == b)) {
            make_grey(&mut train);
            test.as_mut().map(make_grey);
        }
    }
    Ok(Some(Found { what: "pictures", train, test, names: Some(names), name: None, notes }))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The pictures in the folders of a folder, which stand for a class each, and the number of other files.
fn classes(folder: &Path, others: &mut usize) -> Result<Classes> {
    let mut classes = Classes::new();
    for class in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let mut pictures = vec![];
        enter(&class, &mut pictures, others)?;
        if !pictures.is_empty() {
            classes.insert(name_of(&class), pictures);
        }
    }
    Ok(classes)
}

/// Collects the pictures of a folder and of the folders in it. Links to folders may lead back to where they are.
fn enter(folder: &Path, pictures: &mut Vec<PathBuf>, others: &mut usize) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            if !path.is_symlink() {
                enter(&path, pictures, others)?;
            }
        } else if has_picture_ending(&path) {
            pictures.push(path);
        } else {
            *others += 1;
        }
    }
    Ok(())
}

/// Names of classes in order: as numbers if all are.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    if names.iter().all(|name| name.parse::<u64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<u64>().unwrap_or(0));
    }
    names
}

/// The files of a part, each with the number of its class.
fn labelled(classes: Classes, names: &[String]) -> Result<Vec<Labelled>> {
    let mut all = vec![];
    for (class, files) in classes {
        let label = names.iter().position(|name| *name == class);
        let label = label.with_context(|| {
            format!("its test pictures have a class `{class}`, which the training pictures do not have")
        })?;
        all.extend(files.into_iter().map(|file| (file, label as u16)));
    }
    Ok(all)
}

/// The shape of the images: the one asked for, otherwise that of all pictures, or one to which they are scaled, with a note.
/// They are read in colour first.
fn shape(files: &[&Labelled], request: &Request) -> Result<(ImageShape, Option<String>)> {
    let in_colour =
        |[width, height]: [u32; 2]| ImageShape { height: height as usize, width: width as usize, channels: 3 };
    if let Some(wanted) = request.image {
        return Ok((
            ImageShape { height: wanted.height, width: wanted.width, channels: wanted.channels.unwrap_or(3) },
            None,
        ));
    }
    let size =
        |(file, _): &&Labelled| dimensions(file).with_context(|| format!("cannot use the picture {}", file.display()));
    let sizes = files.par_iter().map(size).collect::<Result<Vec<_>>>()?;
    let middle = |axis: usize| {
        let mut along: Vec<u32> = sizes.iter().map(|size| size[axis]).collect();
        along.sort_unstable();
        along[along.len() / 2]
    };
    let median = [middle(0), middle(1)];
    let longest = median[0].max(median[1]);
    let are_alike = sizes.iter().all(|size| *size == median);
    if are_alike && longest <= LONGEST_SIDE {
        return Ok((in_colour(median), None));
    }
    let scale = f64::from(LONGEST_SIDE.min(longest)) / f64::from(longest);
    let scaled = median.map(|side| (f64::from(side) * scale).round().max(1.0) as u32);
    let [width, height] = scaled;
    let found = if are_alike { "are large" } else { "have several sizes" };
    let note = format!("the pictures {found}; each is scaled to {height}x{width} (--image-size {height}x{width})");
    Ok((in_colour(scaled), Some(note)))
}

/// The pictures, scaled to a shape.
fn read(files: &[Labelled], image: ImageShape) -> Result<Samples> {
    let read = |(file, _): &Labelled| {
        let cannot = || format!("cannot use the picture {}", file.display());
        let bytes = std::fs::read(file).with_context(cannot)?;
        bytes_of(&decode(&bytes).with_context(cannot)?, image.sizes()).with_context(cannot)
    };
    let images = files.par_iter().map(read).collect::<Result<Vec<_>>>()?.concat();
    ensure!(!files.is_empty(), "there is no picture");
    Ok(Samples { images, labels: files.iter().map(|(_, label)| *label).collect() })
}

/// One byte a pixel of images whose three are equal.
fn make_grey(part: &mut Part) {
    part.image.channels = 1;
    part.samples.images = part.samples.images.iter().copied().step_by(3).collect();
}
