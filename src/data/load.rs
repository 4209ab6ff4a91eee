//! What data are requested, and where they come from.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result, bail, ensure};
use etcetera::BaseStrategy as _;

use super::{Dataset, GENERATED, IMAGE_BYTES, Share, Source, Task, digits, mnist, own};
use crate::host::free_host_memory;

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

/// The folders where data are looked for.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// The folder or file that the user named, in any form that [`load`] reads.
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

/// A size of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey and 3 for coloured images; none for whichever the pictures are.
    pub channels: Option<usize>,
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)?;
        self.channels.map_or(Ok(()), |channels| write!(f, "x{channels}"))
    }
}

impl FromStr for ImageSize {
    type Err = Error;

    /// Reads height, width and perhaps channels: `32x32` or `32x32x3`.
    fn from_str(text: &str) -> Result<Self> {
        const WANTED: &str = "give a height and a width such as 32x32, or also 1 or 3 channels such as 32x32x3";
        let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        let (height, width, channels) = match numbers.context(WANTED)?[..] {
            [height, width] => (height, width, None),
            [height, width, channels @ (1 | 3)] => (height, width, Some(channels)),
            _ => bail!(WANTED),
        };
        ensure!(height > 0 && width > 0, WANTED);
        Ok(Self { height, width, channels })
    }
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
    /// The images to hold out for the test of data without a test set; none for [`DEFAULT_TEST`](super::DEFAULT_TEST).
    pub test: Option<Share>,
    /// The size to which pictures are scaled; none for their own, or one that suits them.
    pub image: Option<ImageSize>,
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
            test: None,
            image: None,
            generated_train: 60_000,
            generated_test: 10_000,
            seed: 0,
            show_progress: true,
        }
    }
}

/// Loads the data of `request`. `say` gets each message for the user; some have several lines.
///
/// A path that the user named is read in the form that it has: pictures sorted into folders by class, IDX files of any
/// images (of MNIST, Fashion-MNIST, KMNIST, EMNIST), the binary files of CIFAR-10 and CIFAR-100, CSV files of pixels, or an
/// NPZ file. The last three and pictures need the feature `formats`, except for CIFAR.
///
/// # Errors
/// If named data lack a file or hold a wrong one; there is no fallback to other data. If MNIST can be neither
/// found nor downloaded and [`DataChoice::Mnist`] was requested.
pub fn load(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Dataset> {
    if request.choice == DataChoice::Generated {
        return generate(request);
    }
    if let Some(path) = &request.folders.named {
        return own::load(path, request, say);
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

    #[test]
    fn sizes_of_images_are_read_and_printed() {
        for text in ["32x32", "28x20x1", "64x48x3"] {
            assert_eq!(text.parse::<ImageSize>().unwrap().to_string(), text);
        }
        for wrong in ["32", "0x5", "32x32x2", "axb", "", "3x3x3x3"] {
            assert!(wrong.parse::<ImageSize>().unwrap_err().to_string().starts_with("give a height"), "{wrong}");
        }
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
