//! The record of a data set, with which it is found again and distinguished from others.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{DataChoice, Dataset, Folders, GENERATED, ImageShape, ImageSize, MNIST, Request, Share, Task, load, own};
use crate::words::Word;

/// The data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// `MNIST`, `Fashion-MNIST`, `generated digits`, `arrays`, or what it is and where: `IDX files in` the folder.
    pub name: String,
    /// The folder as given, or the generator's seed.
    pub origin: String,
    /// SHA-256 of the four unpacked files one after the other.
    pub sha256: String,
    /// The shape of an image; that of MNIST in records of older versions.
    #[serde(default = "mnist_image")]
    pub image: ImageShape,
    /// The number of classes; those of MNIST in records of older versions.
    #[serde(default = "mnist_classes")]
    pub classes: usize,
    /// The names of the classes, unless these are their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// Mean and standard deviation of the pixels, with which they are normalised, unless they are as usual for images of
    /// this shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<[f64; 2]>,
    /// Training images, including those held out.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Whether the test images are a part of data without a test set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out: bool,
    /// The absolute path of the folder, if the user named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Word>,
}

fn mnist_image() -> ImageShape {
    ImageShape::MNIST
}

fn mnist_classes() -> usize {
    Task::MNIST.classes()
}

impl From<&Dataset> for DataRecord {
    fn from(dataset: &Dataset) -> Self {
        let task = &dataset.task;
        let usual = Task::new(task.image(), task.classes()).ok().map(|usual| usual.pixels());
        Self {
            name: dataset.name.clone(),
            origin: dataset.origin.clone(),
            sha256: dataset.sha256.clone(),
            image: task.image(),
            classes: task.classes(),
            class_names: task.class_names().map(<[String]>::to_vec),
            pixels: Some(task.pixels()).filter(|pixels| usual != Some(*pixels)),
            train_images: dataset.train.len(),
            test_images: dataset.test.len(),
            held_out: dataset.held_out,
            folder: dataset.folder.clone().map(Word::from),
        }
    }
}

impl DataRecord {
    /// Its name and the beginning of its hash, because several sets may have the same name.
    pub fn title(&self) -> String {
        format!("{} ({})", self.name, self.sha256.get(..8).unwrap_or(&self.sha256))
    }

    /// What its images are, and its classes.
    ///
    /// # Errors
    /// If the record is not of data that there may be.
    pub fn task(&self) -> Result<Task> {
        let mut task = Task::new(self.image, self.classes)?;
        if let Some([mean, deviation]) = self.pixels {
            task = task.normalized(mean, deviation)?;
        }
        self.class_names.clone().map_or(Ok(task.clone()), |names| task.named(names))
    }

    /// The same for a file that may be given away: an absolute path is useless on other machines and tells of its user, so
    /// that only its last word stays.
    pub fn without_paths(&self) -> Self {
        let path = Path::new(&self.origin);
        let last = path.file_name().filter(|_| path.is_absolute()).map(|last| last.to_string_lossy().into_owned());
        let origin = last.unwrap_or_else(|| self.origin.clone());
        Self { name: self.name.replace(&self.origin, &origin), origin, folder: None, ..self.clone() }
    }

    /// Loads the same data again: from its folder, from the generator, or from MNIST as `request` finds it.
    ///
    /// # Errors
    /// If the data no longer exist, or their hash has changed.
    pub fn load(&self, request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
        let mut found = self.find(request, say).with_context(|| format!("cannot load {} again", self.title()))?;
        ensure!(
            found.sha256 == self.sha256,
            "{} ({}) is now other data than {}",
            found.name,
            found.origin,
            self.title()
        );
        // The absolute path may name the folder differently.
        (found.name, found.origin) = (self.name.clone(), self.origin.clone());
        Ok(found)
    }

    fn find(&self, request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
        if self.name == GENERATED {
            let (generated_train, generated_test) = (self.train_images, self.test_images);
            let request = Request { choice: DataChoice::Generated, generated_train, generated_test, ..request.clone() };
            return load(&request, say);
        }
        // Records of older versions have the folder only in `origin`.
        let folder = self.folder.as_ref().map_or(Path::new(&self.origin), Word::as_path);
        let from = |folders: Folders, say: &mut dyn FnMut(&str)| {
            let ImageShape { height, width, channels } = self.image;
            let image = Some(ImageSize { height, width, channels: Some(channels) });
            let test = self.held_out.then_some(Share::Images(self.test_images));
            load(&Request { choice: DataChoice::Mnist, folders, image, test, ..request.clone() }, say)
        };
        let in_folder = own::is_there(folder)
            .then(|| from(Folders { named: Some(folder.to_owned()), ..request.folders.clone() }, say));
        match in_folder {
            Some(Ok(dataset)) if dataset.sha256 == self.sha256 => Ok(dataset),
            _ if self.name == MNIST => from(request.folders.clone(), say),
            Some(found) => found,
            None => bail!("{} no longer exists", folder.display()),
        }
    }
}
