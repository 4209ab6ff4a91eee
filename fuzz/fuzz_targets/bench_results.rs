//! Any bytes as a file of `bench --json`: read or refused, and compared with a result of this project, without a panic.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gpu_digits::bench::compare;
use gpu_digits::bench::report::Report;
use libfuzzer_sys::{Corpus, fuzz_target};

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("gpu-digits-fuzz-{}.json", std::process::id())));

/// The first of the committed results.
static KNOWN: LazyLock<Report> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
    let mut files: Vec<_> = fs::read_dir(folder).expect("results").flatten().map(|entry| entry.path()).collect();
    files.sort();
    Report::load(&files[0]).expect("a result")
});

fuzz_target!(|bytes: &[u8]| -> Corpus {
    fs::write(&*FILE, bytes).expect("a temporary file");
    let Ok(report) = Report::load(&FILE) else { return Corpus::Keep };
    for comparison in [compare(&report, &report), compare(&KNOWN, &report), compare(&report, &KNOWN)] {
        let _ = comparison.judge(0.1);
        for change in comparison.wholes.iter().chain(&comparison.cases) {
            let _ = (change.is_real(), change.noise_in_words());
        }
    }
    Corpus::Keep
});
