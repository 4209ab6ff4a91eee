//! JSON files that were changed by someone else: they are read or refused, without a panic.

use std::fs;
use std::path::Path;

use gpu_digits::random::Random;
use libtest_mimic::Failed;

use crate::program::{Home, check};

const TRIES: usize = 60;

/// The text with a few of its words changed: other numbers, other types, parts left out or repeated, an end too early.
fn changed(text: &str, random: &mut Random) -> String {
    const WORDS: [&str; 12] =
        ["null", "-1", "0", "1e308", "18446744073709551616", "\"\"", "[]", "{}", "true", "\"\\u001b[31m\"", ",", "]"];
    let mut parts: Vec<&str> = text.split_inclusive([',', ':', '[', ']', '{', '}']).collect();
    for _ in 0..=random.below(3) {
        let place = random.below(parts.len() as u32) as usize;
        let word = WORDS[random.below(WORDS.len() as u32) as usize];
        match random.below(5) {
            0 => drop(parts.remove(place)),
            1 => parts.insert(place, parts[place]),
            2 => parts.truncate(place.max(1)),
            _ => parts[place] = word,
        }
        if parts.is_empty() {
            parts.push("");
        }
    }
    parts.concat()
}

/// Runs a command on many changed copies of a file, and writes the file back as it was.
fn try_changed(home: &Home, file: &Path, seed: u64, words: &[&str]) -> Result<(), Failed> {
    let text = fs::read_to_string(file)?;
    let mut random = Random::new(seed, 0);
    let mut refused = 0;
    for _ in 0..TRIES {
        let changed = changed(&text, &mut random);
        fs::write(file, &changed)?;
        let run = home.run(words);
        let is_right =
            matches!(run.code, Some(0..=2)) && !run.stderr.contains("panicked") && !run.stderr.contains('\u{1b}');
        if !is_right {
            return run.fail(format!("{} changed to\n{changed}", file.display()));
        }
        refused += usize::from(run.code == Some(2));
    }
    fs::write(file, text)?;
    check(refused > TRIES / 4, format!("only {refused} of {TRIES} were refused"))
}

pub(crate) fn records(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "1"]).exits_with(0)?;
    try_changed(home, &home.path("run/report.json"), 1, &["report", "run"])?;
    try_changed(home, &home.path("run/run.json"), 2, &["train", "--resume", "run"])?;
    let eval = ["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "300"];
    home.run(&eval).exits_with(0)?;
    Ok(())
}

pub(crate) fn bench_results(home: &Home) -> Result<(), Failed> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let file = fs::read_dir(results)?.next().ok_or("no results are committed")??.path();
    fs::copy(file, home.path("a.json"))?;
    try_changed(home, &home.path("a.json"), 3, &["bench", "show", "a.json"])
}
