//! MNIST: its four files, their hashes, and the folders where they are looked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::download::Downloader;
use super::idx::{IdxFile, samples};
use super::{Dataset, Folders, MNIST, Request, Task};

/// The names of the four files, in the order used everywhere.
pub const NAMES: [&str; 4] =
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

/// Loads MNIST from the cache folder. Missing or damaged files are downloaded first.
pub(super) fn from_cache(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    let folder = request
        .folders
        .cache
        .as_deref()
        .context("there is no cache folder because no home folder is known; set HOME")?;
    let found = in_parallel(|index| cached(folder, NAMES[index], &request.source.sha256[index]));
    let mut downloader = None;
    let mut get = |index: usize, (file, damaged): (Option<IdxFile>, Vec<anyhow::Error>)| {
        damaged.iter().for_each(|error| say(&format!("damaged file in the cache: {error:#}")));
        if let Some(file) = file {
            return Ok(file);
        }
        let downloader = match &mut downloader {
            Some(downloader) => downloader,
            None => downloader.insert(Downloader::new(&request.source, request.show_progress)?),
        };
        say(&format!("downloading {} into {}", NAMES[index], folder.display()));
        downloader.fetch(NAMES[index], &request.source.sha256[index], folder)
    };
    let [a, b, c, d] = found;
    let files = [get(0, a)?, get(1, b)?, get(2, c)?, get(3, d)?];
    dataset(files, MNIST.to_owned(), folder)
}

/// What `get` returns for the index of each file, on several threads.
pub(super) fn in_parallel<T: Send>(get: impl Fn(usize) -> T + Sync) -> [T; 4] {
    let pair = |first| rayon::join(|| get(first), || get(first + 1));
    let ((a, b), (c, d)) = rayon::join(|| pair(0), || pair(2));
    [a, b, c, d]
}

/// The file `name` from the cache folder, if it exists and is right, and what is wrong with those that are not.
fn cached(folder: &Path, name: &str, sha256: &str) -> (Option<IdxFile>, Vec<anyhow::Error>) {
    let mut damaged = Vec::new();
    for path in candidates(folder, name).iter().filter(|path| path.is_file()) {
        match IdxFile::read(path).and_then(|file| file.with_sha256(sha256)) {
            Ok(file) => return (Some(file), damaged),
            Err(error) => damaged.push(error),
        }
    }
    (None, damaged)
}

/// Compressed or not, in the two common spellings, starting with the one that [`Downloader::fetch`] writes.
pub(super) fn candidates(folder: &Path, name: &str) -> [PathBuf; 4] {
    let dotted = name.replace("-idx", ".idx");
    [format!("{name}.gz"), name.to_owned(), format!("{dotted}.gz"), dotted].map(|name| folder.join(name))
}

/// The four files of MNIST, or of a set with the same names, in the named folder or else in the cache folder; none if one is
/// missing. Nothing is read.
pub fn mnist_files(folders: &Folders) -> Option<[PathBuf; 4]> {
    let folder = folders.named.as_ref().or(folders.cache.as_ref())?;
    let found = NAMES.map(|name| candidates(folder, name).into_iter().find(|path| path.is_file()));
    let [Some(a), Some(b), Some(c), Some(d)] = found else { return None };
    Some([a, b, c, d])
}

/// Combines the files, which are in the order of [`NAMES`].
fn dataset(files: [IdxFile; 4], name: String, folder: &Path) -> Result<Dataset> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let (_, train) = samples(train_images, train_labels)?;
    let (_, test) = samples(test_images, test_labels)?;
    Ok(Dataset::new(Task::MNIST, train, test, name, folder.display().to_string()))
}
