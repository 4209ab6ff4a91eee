//! Sets of four IDX files: MNIST and its kin, in images of any shape.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::super::idx::{IdxFile, samples};
use super::super::mnist::{NAMES, candidates, in_parallel};
use super::super::{ImageShape, MNIST, Source};
use super::{Found, Part, files, lines_of};

/// SHA-256 of the unpacked files of Fashion-MNIST, in the order of MNIST's.
const FASHION: [&str; 4] = [
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
];

/// What its classes are (Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017).
const GARMENTS: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// The beginning of the names of EMNIST's files, whose images are transposed.
const EMNIST: &str = "emnist-";

/// The names of the four files, for a set whose names begin in some way.
fn names(prefix: &str) -> [String; 4] {
    if prefix.is_empty() {
        return NAMES.map(str::to_owned);
    }
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"]
        .map(|name| format!("{prefix}-{name}"))
}

/// The set in a folder, if it holds files of one.
pub(super) fn folder(folder: &Path, source: &Source) -> Result<Option<Found>> {
    let is_there = |name: &str| candidates(folder, name).iter().any(|path| path.is_file());
    if NAMES.iter().any(|name| is_there(name)) {
        return read(folder, "", source).map(Some);
    }
    let mut prefixes: Vec<String> = files(folder)?.iter().filter_map(|file| prefix_of(file)).collect();
    prefixes.dedup();
    match &prefixes[..] {
        [] => Ok(None),
        [only] => read(folder, only, source).map(Some),
        several => {
            let paths = several.iter().map(|prefix| folder.join(prefix).display().to_string());
            bail!("it holds {} sets; name one: --data {}", several.len(), paths.collect::<Vec<_>>().join(", or "))
        }
    }
}

/// The set whose files lie in a folder and begin with a name.
pub(super) fn with_prefix(path: &Path, source: &Source) -> Result<Found> {
    let absent = "there is no such file or folder; give another with --data or $GPU_DIGITS_DATA";
    let (Some(folder), Some(prefix)) = (path.parent(), path.file_name()) else { bail!(absent) };
    ensure!(is_prefix(path), absent);
    read(folder, &prefix.to_string_lossy(), source)
}

/// Whether a path is the beginning of the names of a set's files.
pub(super) fn is_prefix(path: &Path) -> bool {
    candidates(path.parent().unwrap_or(path), &names(&path.file_name().unwrap_or_default().to_string_lossy())[0])
        .iter()
        .any(|file| file.is_file())
}

/// What stands before `-train-images-idx3-ubyte` in a file's name.
fn prefix_of(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().replace(".idx", "-idx");
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.strip_suffix("-train-images-idx3-ubyte").map(str::to_owned)
}

fn read(folder: &Path, prefix: &str, source: &Source) -> Result<Found> {
    let names = names(prefix);
    let [a, b, c, d] = in_parallel(|index| IdxFile::read(&find(folder, &names, index)?));
    let mut found = found([a?, b?, c?, d?], source)?;
    if let Some(split) = prefix.strip_prefix(EMNIST) {
        let Found { train, test: Some(test), .. } = &mut found else { bail!("{prefix} has no test set") };
        put_upright(&mut train.samples.images, train.image);
        put_upright(&mut test.samples.images, test.image);
        let labels = [&mut train.samples.labels, &mut test.samples.labels];
        found.names = characters(folder, prefix, split, labels)?;
        found.notes.push(format!("the images of {prefix} lie on their side in the files, and are put upright"));
    }
    Ok(found)
}

/// The set of four files, which are in the order of MNIST's.
fn found(files: [IdxFile; 4], source: &Source) -> Result<Found> {
    let is = |sha256: [&str; 4]| files.iter().zip(sha256).all(|(file, sha256)| file.sha256() == sha256);
    let is_mnist = is(source.sha256.each_ref().map(String::as_str));
    let is_fashion = is(FASHION);
    let [train_images, train_labels, test_images, test_labels] = files;
    let (image, train) = samples(train_images, train_labels)?;
    let (test_image, test) = samples(test_images, test_labels)?;
    Ok(Found {
        what: "IDX files",
        train: Part { image, samples: train },
        test: Some(Part { image: test_image, samples: test }),
        names: is_fashion.then(|| GARMENTS.map(str::to_owned).to_vec()),
        name: if is_mnist { Some(MNIST) } else { is_fashion.then_some("Fashion-MNIST") },
        notes: vec![],
    })
}

/// The set of four files in memory, told apart by their names.
pub(super) fn in_memory(files: Vec<(String, Vec<u8>)>, source: &Source) -> Result<Found> {
    let mut places: [Option<IdxFile>; 4] = Default::default();
    for (name, bytes) in files {
        // As browsers and archives name copies: `train-images.idx3-ubyte (1).gz`.
        let plain = name.to_lowercase();
        let is_test = plain.contains("t10k") || plain.contains("test");
        let place = match (plain.contains("image"), plain.contains("label")) {
            (true, false) => 2 * usize::from(is_test),
            (false, true) => 1 + 2 * usize::from(is_test),
            _ => bail!("{name} is none of {}", NAMES.join(", ")),
        };
        let file = IdxFile::unpack(name, bytes)?;
        if let Some(other) = &places[place] {
            bail!("{} and {} are the same part of a set; give each once", other.name(), file.name());
        }
        places[place] = Some(file);
    }
    let missing: Vec<&str> =
        places.iter().zip(NAMES).filter(|(file, _)| file.is_none()).map(|(_, name)| name).collect();
    let [Some(a), Some(b), Some(c), Some(d)] = places else {
        bail!("a set has four files, of which these are missing: {}", missing.join(", "))
    };
    found([a, b, c, d], source)
}

/// The first of the paths under which a file is looked for that is a file.
fn find(folder: &Path, names: &[String; 4], index: usize) -> Result<PathBuf> {
    let candidates = candidates(folder, &names[index]);
    candidates.iter().find(|path| path.is_file()).cloned().with_context(|| {
        let looked_for = candidates.each_ref().map(|path| path.display().to_string()).join(", ");
        format!("found none of {looked_for}; put {} there, or give another folder with --data", names.join(", "))
    })
}

/// Swaps the rows and the columns of grey images.
fn put_upright(images: &mut [u8], image: ImageShape) {
    let side = image.width;
    if image.height == side && image.channels == 1 {
        for picture in images.chunks_exact_mut(side * side) {
            for y in 0..side {
                (0..y).for_each(|x| picture.swap(y * side + x, x * side + y));
            }
        }
    }
}

/// The characters that stand for the classes of a split of EMNIST (Cohen et al., "EMNIST", 2017): from the mapping beside the
/// files, or as they are known. Labels that begin with 1, as those of the letters, are counted from 0.
fn characters(folder: &Path, prefix: &str, split: &str, labels: [&mut Vec<u16>; 2]) -> Result<Option<Vec<String>>> {
    if split == "letters" {
        let is_counted_from_1 = labels.iter().all(|labels| !labels.contains(&0));
        if is_counted_from_1 {
            labels.into_iter().flatten().for_each(|label| *label -= 1);
        }
    }
    let mapping = folder.join(format!("{prefix}-mapping.txt"));
    if let Some(lines) = lines_of(&mapping)? {
        let character = |line: &String| {
            let code = line.split_whitespace().nth(1)?.parse().ok()?;
            char::from_u32(code).map(String::from)
        };
        let names: Option<Vec<String>> = lines.iter().map(character).collect();
        let names = names
            .with_context(|| format!("{}: a line is no number of a class and of a character", mapping.display()))?;
        return Ok(Some(names));
    }
    let capitals = || ('A'..='Z').map(String::from);
    let digits = || ('0'..='9').map(String::from);
    Ok(match split {
        "letters" => Some(capitals().collect()),
        "byclass" => Some(digits().chain(capitals()).chain(('a'..='z').map(String::from)).collect()),
        "balanced" | "bymerge" => {
            let small = "abdefghnqrt".chars().map(String::from);
            Some(digits().chain(capitals()).chain(small).collect())
        }
        _ => None,
    })
}
