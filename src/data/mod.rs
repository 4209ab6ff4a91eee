//! Data sets: MNIST from the network, data of your own from files and folders, generated digits, or arrays of any images.

#[cfg(feature = "download")]
mod download;
#[cfg(not(feature = "download"))]
#[path = "no_download.rs"]
mod download;
mod generated;
mod idx;
mod load;
mod mnist;
mod own;
mod record;
mod remarks;
mod share;
mod splits;
mod summary;
mod task;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::files::hex;
pub use generated::digits;
pub use load::{DataChoice, Folders, ImageSize, Request, load};
pub use mnist::{NAMES as MNIST_NAMES, Source, mnist_files};
pub use own::{DEFAULT_TEST, from_idx_files};
pub use record::DataRecord;
pub use share::Share;
pub use splits::Splits;
pub use summary::{ClassCount, Summary};
pub use task::{ImageShape, Task};

/// Height and width of a digit of MNIST, in pixels.
pub const IMAGE_SIDE: usize = 28;
/// Pixels of a digit of MNIST, and its bytes.
pub const IMAGE_BYTES: usize = IMAGE_SIDE * IMAGE_SIDE;
/// The classes of MNIST.
pub const CLASSES: usize = 10;

/// The name of the data set MNIST.
pub const MNIST: &str = "MNIST";
/// The name of generated digits.
pub const GENERATED: &str = "generated digits";

/// Images with a label each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// `[n, y, x, c]`, a byte each. In digits, 0 is the black background and 255 the white ink.
    pub images: Vec<u8>,
    /// `[n]`, each below the number of classes.
    pub labels: Vec<u16>,
}

impl Samples {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image; never true for sets from [`load`].
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Checks that the images are complete, that there are as many labels, and that labels are below the number of
    /// classes. `what` names the set in the error.
    ///
    /// # Errors
    /// If a check fails.
    pub fn check(&self, task: &Task, what: &str) -> Result<()> {
        let images = task.image().count(&self.images).with_context(|| format!("the images of the {what} set"))?;
        let labels = self.labels.len();
        ensure!(images == labels, "the {what} set has {images} images and {labels} labels; give equal numbers");
        let most = task.classes() - 1;
        if let Some((image, label)) = self.labels.iter().enumerate().find(|(_, label)| usize::from(**label) > most) {
            bail!("image {image} of the {what} set has the label {label}; labels are 0 to {most}");
        }
        Ok(())
    }

    /// The samples as the content of an unpacked IDX image file, followed by the content of a label file.
    fn hash_into(&self, task: &Task, hash: &mut Sha256) {
        let image = task.image();
        let sizes = [image.height, image.width, image.channels].map(|size| size as u32);
        // Grey images have no axis of channels.
        let axes = if image.channels == 1 { &sizes[..2] } else { &sizes[..] };
        hash.update(idx::header(self.len(), axes));
        hash.update(&self.images);
        hash.update(idx::labels_file(&self.labels, task.classes()));
    }
}

/// A training and a test set, and their origin.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The shape of the images, and the classes.
    pub task: Task,
    /// The images to train on.
    pub train: Samples,
    /// The images to score, never used in training.
    pub test: Samples,
    /// `MNIST`, `Fashion-MNIST`, `generated digits`, `arrays`, or what it is and where: `IDX files in DIR`.
    pub name: String,
    /// The folder of the files, or the seed of the generator.
    pub origin: String,
    /// The absolute path of the folder or file, if the user named one.
    pub folder: Option<PathBuf>,
    /// Whether the test images are a part of data without a test set.
    pub held_out: bool,
    /// SHA-256 in hex of the four unpacked IDX files one after the other (training images and labels, test images and
    /// labels), computed from the samples, so that generated digits have one too.
    pub sha256: String,
}

impl Dataset {
    /// A data set from your own arrays: images of the task's shape, with labels below its number of classes. Digits as
    /// in MNIST, of [`Task::MNIST`], are white ink on black.
    ///
    /// # Errors
    /// If a set holds no image, or [`Samples::check`] fails.
    pub fn from_arrays(task: Task, train: Samples, test: Samples) -> Result<Self> {
        let dataset = Self::new(task, train, test, "arrays".to_owned(), "memory".to_owned());
        dataset.check()?;
        Ok(dataset)
    }

    /// Checks both sets, because their fields are public.
    ///
    /// # Errors
    /// The same as for [`Self::from_arrays`].
    pub fn check(&self) -> Result<()> {
        for (samples, what) in [(&self.train, "training"), (&self.test, "test")] {
            samples.check(&self.task, what)?;
            ensure!(!samples.is_empty(), "the {what} set holds no image; give at least one");
        }
        Ok(())
    }

    fn new(task: Task, train: Samples, test: Samples, name: String, origin: String) -> Self {
        let mut hash = Sha256::new();
        train.hash_into(&task, &mut hash);
        test.hash_into(&task, &mut hash);
        Self { task, train, test, name, origin, folder: None, held_out: false, sha256: hex(&hash.finalize()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(labels: &[u16]) -> Samples {
        Samples { images: vec![0; labels.len() * IMAGE_BYTES], labels: labels.to_vec() }
    }

    /// The error for a training set.
    fn refusal(train: Samples) -> String {
        format!("{:#}", Dataset::from_arrays(Task::MNIST, train, samples(&[0])).unwrap_err())
    }

    #[test]
    fn arrays_of_your_own_make_a_data_set() {
        let dataset = Dataset::from_arrays(Task::MNIST, samples(&[0, 9, 5]), samples(&[1])).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len(), dataset.sha256.len()), (3, 1, 64));
    }

    #[test]
    fn the_same_bytes_as_other_images_are_another_data_set() {
        let hash = |height, width, channels| {
            let task = Task::new(ImageShape { height, width, channels }, 2).unwrap();
            let samples = |count: usize| Samples { images: vec![7; count * 192], labels: vec![1; count] };
            Dataset::from_arrays(task, samples(3), samples(1)).unwrap().sha256
        };
        let hashes = [hash(8, 8, 3), hash(16, 12, 1), hash(12, 16, 1), hash(8, 8, 3)];
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
        assert_eq!(hashes[0], hashes[3]);
    }

    #[test]
    fn labels_beyond_the_classes_are_refused() {
        let error = refusal(samples(&(10..20).collect::<Vec<u16>>()));
        assert_eq!(error, "image 0 of the training set has the label 10; labels are 0 to 9");
    }

    #[test]
    fn arrays_of_different_lengths_are_refused() {
        let error = refusal(Samples { labels: vec![1, 2], ..samples(&[1, 2, 3]) });
        assert_eq!(error, "the training set has 3 images and 2 labels; give equal numbers");
    }

    #[test]
    fn bytes_that_are_no_whole_images_are_refused() {
        let error = refusal(Samples { images: vec![0; 1_000], labels: vec![1] });
        assert!(error.contains("the training set") && error.contains("1000 bytes") && error.contains("784"), "{error}");
    }

    #[test]
    fn an_empty_set_is_refused() {
        assert!(refusal(samples(&[])).contains("the training set holds no image"));
        let error = Dataset::from_arrays(Task::MNIST, samples(&[0]), samples(&[])).unwrap_err().to_string();
        assert!(error.contains("the test set holds no image"), "{error}");
    }
}
