//! MNIST: its four files, their hashes, and the folders where they are looked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::download::Downloader;
use super::idx::IdxFile;
use super::{Dataset, IMAGE_BYTES, MNIST, Request, Samples, Task};

/// The four files, in the order used everywhere.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The hashes of MNIST and its download addresses. The default is the real MNIST.
#[derive(Clone, Debug)]
pub struct Source {
    /// Addresses, ending in a slash, to which a file's name with `.gz` is added; tried in turn.
    pub mirrors: Vec<String>,
    /// SHA-256 in hex of the unpacked training images, training labels, test images and test labels.
    pub sha256: [String; 4],
    /// The time limit for a mirror to be resolved, to accept a connection, to answer, and to send the next bytes. It is
    /// short, because a machine without a network waits this long first.
    pub patience: Duration,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            mirrors: vec![
                "https://storage.googleapis.com/cvdf-datasets/mnist/".to_owned(),
                "https://ossci-datasets.s3.amazonaws.com/mnist/".to_owned(),
            ],
            sha256: [
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db".to_owned(),
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5".to_owned(),
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7".to_owned(),
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2".to_owned(),
            ],
            patience: Duration::from_secs(4),
        }
    }
}

/// Loads the folder that the user named, be it MNIST or another set of the same form.
pub(super) fn from_named_folder(folder: &Path, source: &Source, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    ensure!(folder.is_dir(), "{} is not a folder; give a folder with --data or $GPU_DIGITS_DATA", folder.display());
    let read = |index| IdxFile::read(&find(folder, NAMES[index])?);
    let files = [read(0)?, read(1)?, read(2)?, read(3)?];
    let is_mnist = files.iter().zip(&source.sha256).all(|(file, sha256)| file.sha256() == *sha256);
    let name = if is_mnist { MNIST.to_owned() } else { format!("IDX files in {}", folder.display()) };
    let mut dataset = dataset(files, name, folder)?;
    dataset.folder = Some(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    if !is_mnist {
        say(&format!("NOTE: {} holds a data set other than MNIST", folder.display()));
    }
    Ok(dataset)
}

/// Loads MNIST from the cache folder. Missing or damaged files are downloaded first.
pub(super) fn from_cache(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    let folder = request
        .folders
        .cache
        .as_deref()
        .context("there is no cache folder because no home folder is known; set HOME")?;
    let mut downloader = None;
    let mut get = |index: usize| {
        let (name, sha256) = (NAMES[index], &request.source.sha256[index]);
        match cached(folder, name, sha256, say) {
            Some(file) => Ok(file),
            None => {
                let downloader = match &mut downloader {
                    Some(downloader) => downloader,
                    None => downloader.insert(Downloader::new(&request.source, request.show_progress)?),
                };
                say(&format!("downloading {name} into {}", folder.display()));
                downloader.fetch(name, sha256, folder)
            }
        }
    };
    let files = [get(0)?, get(1)?, get(2)?, get(3)?];
    dataset(files, MNIST.to_owned(), folder)
}

/// The file `name` from the cache folder, if it exists and is right; prints a message if it is wrong.
fn cached(folder: &Path, name: &str, sha256: &str, say: &mut dyn FnMut(&str)) -> Option<IdxFile> {
    for path in candidates(folder, name).iter().filter(|path| path.is_file()) {
        match IdxFile::read(path).and_then(|file| file.with_sha256(sha256)) {
            Ok(file) => return Some(file),
            Err(error) => say(&format!("damaged file in the cache: {error:#}")),
        }
    }
    None
}

/// The first of the paths under which `name` is looked for that is a file.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let candidates = candidates(folder, name);
    candidates.iter().find(|path| path.is_file()).cloned().with_context(|| {
        let looked_for = candidates.each_ref().map(|path| path.display().to_string()).join(", ");
        format!("found none of {looked_for}; put {} there, or give another folder with --data", NAMES.join(", "))
    })
}

/// Compressed or not, in the two common spellings, starting with the one that [`Downloader::fetch`] writes.
fn candidates(folder: &Path, name: &str) -> [PathBuf; 4] {
    let dotted = name.replace("-idx", ".idx");
    [format!("{name}.gz"), name.to_owned(), format!("{dotted}.gz"), dotted].map(|name| folder.join(name))
}

/// Combines the files, which are in the order of [`NAMES`].
fn dataset(files: [IdxFile; 4], name: String, folder: &Path) -> Result<Dataset> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let train = samples(train_images, train_labels)?;
    let test = samples(test_images, test_labels)?;
    Ok(Dataset::new(Task::MNIST, train, test, name, folder.display().to_string()))
}

fn samples(images: IdxFile, labels: IdxFile) -> Result<Samples> {
    let names = format!("{} and {}", images.name(), labels.name());
    let (images, labels) = (images.images()?, labels.labels()?);
    let (image_count, label_count) = (images.len() / IMAGE_BYTES, labels.len());
    ensure!(
        image_count == label_count,
        "{names}: byte 4: found {image_count} images and {label_count} labels, wanted equal numbers; use \
         files of the same set"
    );
    Ok(Samples { images, labels })
}
