//! Data sets: MNIST or another set of IDX files from a folder, MNIST from the network, generated digits, or arrays of
//! any images.

#[cfg(feature = "download")]
mod download;
#[cfg(not(feature = "download"))]
#[path = "no_download.rs"]
mod download;
mod generated;
mod idx;
mod mnist;
mod record;
mod remarks;
mod splits;
mod task;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use etcetera::BaseStrategy as _;
use sha2::{Digest as _, Sha256};

use crate::files::hex;
use crate::host::free_host_memory;
pub use generated::digits;
pub use mnist::Source;
pub use record::DataRecord;
pub use splits::Splits;
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
    pub labels: Vec<u8>,
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
    fn hash_into(&self, image: ImageShape, hash: &mut Sha256) {
        let sizes = [image.height, image.width, image.channels].map(|size| size as u32);
        // Grey images have no axis of channels.
        let axes = if image.channels == 1 { &sizes[..2] } else { &sizes[..] };
        hash.update(idx::header(self.len(), axes));
        hash.update(&self.images);
        hash.update(idx::header(self.len(), &[]));
        hash.update(&self.labels);
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
    /// `MNIST`, `IDX files in DIR`, `generated digits` or `arrays`.
    pub name: String,
    /// The folder of the files, or the seed of the generator.
    pub origin: String,
    /// The absolute path of the folder, if the user named one.
    pub folder: Option<PathBuf>,
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
        train.hash_into(task.image(), &mut hash);
        test.hash_into(task.image(), &mut hash);
        Self { task, train, test, name, origin, folder: None, sha256: hex(&hash.finalize()) }
    }
}

/// The requested digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataChoice {
    /// MNIST, or generated digits if MNIST can be neither found nor downloaded.
    #[default]
    Auto,
    /// MNIST, or the set in the folder that the user named, or an error.
    Mnist,
    /// Generated digits: no file, no network.
    Generated,
}

/// The folders where IDX files are looked for.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// The folder that the user named. It must hold all four files, which may be a set other than MNIST.
    pub named: Option<PathBuf>,
    /// The program's own folder, into which MNIST is downloaded.
    pub cache: Option<PathBuf>,
}

impl Folders {
    /// The folder given with `--data`, otherwise `$GPU_DIGITS_DATA`, and the user's cache folder
    /// (`~/.cache/gpu-digits/mnist` on Unix unless `$XDG_CACHE_HOME` says otherwise, the local application data on
    /// Windows).
    pub fn from_environment(data_option: Option<PathBuf>) -> Self {
        let cache = etcetera::choose_base_strategy().ok().map(|user| user.cache_dir().join("gpu-digits").join("mnist"));
        Self { named: named_folder(data_option, env::var_os("GPU_DIGITS_DATA")), cache }
    }
}

/// An empty variable counts as unset, because shells and containers often cannot unset one.
fn named_folder(data_option: Option<PathBuf>, variable: Option<OsString>) -> Option<PathBuf> {
    data_option.or(variable.filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// A request for a data set.
#[derive(Clone, Debug)]
pub struct Request {
    /// The requested digits.
    pub choice: DataChoice,
    /// The folders to search.
    pub folders: Folders,
    /// The hashes of MNIST and its download addresses.
    pub source: Source,
    /// Size of a generated training set.
    pub generated_train: usize,
    /// Size of a generated test set.
    pub generated_test: usize,
    /// Seed of the generator.
    pub seed: u64,
    /// Whether to show the progress of a download, if stderr is a terminal.
    pub show_progress: bool,
}

impl Request {
    /// MNIST if it is available, otherwise as many generated digits as MNIST has images.
    pub fn new(folders: Folders) -> Self {
        Self {
            choice: DataChoice::Auto,
            folders,
            source: Source::default(),
            generated_train: 60_000,
            generated_test: 10_000,
            seed: 0,
            show_progress: true,
        }
    }
}

/// Loads the digits of `request`. `say` gets each message for the user; some have several lines.
///
/// # Errors
/// If a named folder lacks a file or holds a wrong one; there is no fallback to other digits. If MNIST can be neither
/// found nor downloaded and [`DataChoice::Mnist`] was requested.
pub fn load(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    if request.choice == DataChoice::Generated {
        return generate(request);
    }
    if let Some(folder) = &request.folders.named {
        return mnist::from_named_folder(folder, &request.source, say);
    }
    mnist::from_cache(request, say).or_else(|why| {
        let advice = how_to_get_mnist(&request.folders);
        if request.choice == DataChoice::Mnist {
            bail!("cannot load MNIST: {why:#}\n{advice}");
        }
        say(&format!(
            "WARNING: MNIST was not found, so these are GENERATED DIGITS; their accuracy is not that of MNIST.\n\
             Why: {why:#}\n{advice}"
        ));
        generate(request)
    })
}

fn how_to_get_mnist(folders: &Folders) -> String {
    let place = match &folders.cache {
        Some(cache) => format!("in {} or in a folder named with --data or $GPU_DIGITS_DATA", cache.display()),
        None => "in a folder named with --data or $GPU_DIGITS_DATA".to_owned(),
    };
    format!("To get MNIST: connect to the internet, or put {} (.gz or unpacked) {place}.", mnist::NAMES.join(", "))
}

fn generate(request: &Request) -> Result<Dataset> {
    ensure!(
        request.generated_train > 0 && request.generated_test > 0,
        "cannot generate {} training and {} test digits; request at least one of each",
        request.generated_train,
        request.generated_test
    );
    // The images, and two copies during the upload to the device.
    let bytes = 3 * (request.generated_train as u64 + request.generated_test as u64) * IMAGE_BYTES as u64;
    if let Some(free) = free_host_memory() {
        ensure!(
            bytes <= free,
            "{} generated images do not fit: they take {} MiB, but {} are free; generate fewer with --generated-images",
            request.generated_train,
            bytes.div_ceil(1 << 20),
            free >> 20
        );
    }
    // Use a separate seed that also differs from the next seed of a training set.
    let test_seed = request.seed ^ u64::from_be_bytes(*b"test set");
    let train = digits(request.generated_train, request.seed);
    let test = digits(request.generated_test, test_seed);
    Ok(Dataset::new(Task::MNIST, train, test, GENERATED.to_owned(), format!("seed {}", request.seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(labels: &[u8]) -> Samples {
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
        let error = refusal(samples(&(10..20).collect::<Vec<u8>>()));
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

    #[test]
    fn data_option_goes_before_the_variable() {
        let option = Some(PathBuf::from("option"));
        assert_eq!(named_folder(option.clone(), Some("variable".into())), option);
        assert_eq!(named_folder(None, Some("variable".into())), Some(PathBuf::from("variable")));
    }

    #[test]
    fn empty_variable_counts_as_unset() {
        assert_eq!(named_folder(None, Some(OsString::new())), None);
        assert_eq!(named_folder(None, None), None);
    }
}
