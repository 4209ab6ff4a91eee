//! Any bytes as an IDX file, packed with gzip or not: a data set or an error, without a panic. The first byte says which of the four
//! files of a set it is.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use gpu_digits::data::{DataChoice, Folders, Request, load};
use libfuzzer_sys::{Corpus, fuzz_target};

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// A folder of one image and one label in each set.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("gpu-digits-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    for name in NAMES {
        fs::write(folder.join(name), whole(name)).expect("a temporary file");
    }
    folder
});

fn whole(name: &str) -> Vec<u8> {
    if name.contains("images") {
        [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..], &[7; 784]].concat()
    } else {
        vec![0, 0, 8, 1, 0, 0, 0, 1, 3]
    }
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((which, bytes)) = bytes.split_first() else { return Corpus::Reject };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    fs::write(FOLDER.join(name), bytes).expect("a temporary file");
    let request =
        Request { choice: DataChoice::Mnist, ..Request::new(Folders { named: Some(FOLDER.clone()), cache: None }) };
    if let Ok(dataset) = load(&request, &mut |_| ()) {
        dataset.check().expect("what is loaded is whole");
        let _ = dataset.remarks();
    }
    fs::write(FOLDER.join(name), whole(name)).expect("a temporary file");
    Corpus::Keep
});
