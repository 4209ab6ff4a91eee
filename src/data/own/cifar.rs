//! The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009):
//! a byte or two of labels, then the planes of red, green and blue.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::super::idx::channels_last;
use super::super::{ImageShape, Samples};
use super::{Found, Part, ending, files, lines_of};

const IMAGE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

/// How one of the sets lies in its folder.
struct Form {
    what: &'static str,
    /// The beginnings of the names of its files of training and of test images, which end in `.bin`.
    train: &'static str,
    test: &'static str,
    /// Bytes before an image, the last of which is the label.
    labels: usize,
    classes: u8,
    names: &'static str,
}

const FORMS: [Form; 2] = [
    Form {
        what: "CIFAR-10 files",
        train: "data_batch",
        test: "test_batch",
        labels: 1,
        classes: 10,
        names: "batches.meta.txt",
    },
    Form {
        what: "CIFAR-100 files",
        train: "train",
        test: "test",
        labels: 2,
        classes: 100,
        names: "fine_label_names.txt",
    },
];

/// The set in a folder, if it holds one.
pub(super) fn folder(folder: &Path) -> Result<Option<Found>> {
    let files = files(folder)?;
    for form in &FORMS {
        let beginning_with = |beginning: &str| {
            let is_wanted = |file: &&PathBuf| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                ending(file) == "bin" && name.starts_with(beginning)
            };
            files.iter().filter(is_wanted).collect::<Vec<_>>()
        };
        let (train, test) = (beginning_with(form.train), beginning_with(form.test));
        if train.is_empty() {
            continue;
        }
        let read = |files: &[&PathBuf]| {
            let mut samples = Samples { images: vec![], labels: vec![] };
            files.iter().try_for_each(|file| form.read(file, &mut samples))?;
            anyhow::Ok(Part { image: IMAGE, samples })
        };
        return Ok(Some(Found {
            what: form.what,
            train: read(&train)?,
            test: if test.is_empty() { None } else { Some(read(&test)?) },
            names: lines_of(&folder.join(form.names))?,
            name: None,
            notes: vec![],
        }));
    }
    Ok(None)
}

impl Form {
    /// Adds the images of a file.
    fn read(&self, file: &Path, samples: &mut Samples) -> Result<()> {
        let name = file.display();
        let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
        let record = self.labels + IMAGE.bytes();
        ensure!(
            !bytes.is_empty() && bytes.len().is_multiple_of(record),
            "{name} has {} bytes, which is no number of records of {record}; download it again",
            bytes.len()
        );
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, image) = record.split_at(self.labels);
            let label = labels[self.labels - 1];
            ensure!(
                label < self.classes,
                "{name}: record {index} has the label {label}, but labels are 0 to {}; download it again",
                self.classes - 1
            );
            samples.labels.push(u16::from(label));
            samples.images.extend(image);
        }
        let own = samples.images.len() - bytes.len() / record * IMAGE.bytes();
        channels_last(&mut samples.images[own..], IMAGE);
        Ok(())
    }
}
