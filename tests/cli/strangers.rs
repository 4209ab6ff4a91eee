//! JSON files that were changed by someone else, and command lines of any words: they are read or refused, without a panic.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    process::Stdio,
    time::{Duration, Instant},
};

use gpu_digits::random::Random;
use libtest_mimic::Failed;

#[cfg(unix)]
use crate::program::Run;
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

/// Runs a command on many changed copies of a file, of which it refuses some, and writes the file back as it was.
fn try_changed(home: &Home, file: &Path, seed: u64, words: &[&str]) -> Result<(), Failed> {
    let refused = count_refused(home, file, seed, words)?;
    check(refused > TRIES / 4, format!("only {refused} of {TRIES} were refused"))
}

fn count_refused(home: &Home, file: &Path, seed: u64, words: &[&str]) -> Result<usize, Failed> {
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
    Ok(refused)
}

/// What `tune` keeps only makes kernels faster, so that a damaged file is ignored.
pub(crate) fn tuning(home: &Home, device: &str) -> Result<(), Failed> {
    let step = ["--device", device, "--model", "conv 4x3, relu, pool 2, flatten, dense 10", "--batch-size", "3"];
    let tune = home.run(&[&["tune", "--samples", "1"], &step[..]].concat());
    tune.exits_with(0)?;
    let Ok(mut kept) = fs::read_dir(home.path(".cache/gpu-digits/tuned")) else {
        // An adapter without subgroups has nothing to choose from.
        return check(tune.stdout.contains("no choices are saved"), tune.stdout);
    };
    let file = kept.next().ok_or("no file was kept")??.path();
    for words in [&["plan", "--kernels"][..], &["tune", "--list"]] {
        let refused = count_refused(home, &file, 4, &[words, &step].concat())?;
        check(refused == 0, format!("{refused} of {TRIES} ended {words:?}"))?;
    }
    Ok(())
}

/// Command lines of each command's own options with values at their limits, some of which are no Unicode.
#[cfg(unix)]
pub(crate) fn words(home: &Home) -> Result<(), Failed> {
    const TRAIN: &str = "--model --data --dataset --epochs --batch-size --optimizer --lr --momentum --weight-decay --label-smoothing \
                         --clip-norm --average --augment --schedule --seed --validation --add-generated --fuse --precision --tune \
                         --init --out --resume --extend-to --checkpoint-every --early-stopping --log-steps --trace --plots \
                         --self-test --target-accuracy --generated-images --tensorboard --freeze --find-lr --recipe --show";
    // The words that a command needs, and its options. There is no such device to work on for long.
    const COMMANDS: [(&str, &str); 13] = [
        ("train --device nowhere", TRAIN),
        (
            "sweep --device nowhere --out sweeps",
            "--model --lr --batch-size --optimizer --seeds --random --epochs --augment --validation --data \
             --schedule --weight-decay --label-smoothing --average",
        ),
        ("eval --device nowhere run", "--data --dataset --json --views"),
        (
            "predict --device nowhere run a.pgm",
            "--one --recursive --views --min-confidence --json --csv --show --stages",
        ),
        ("verify --device nowhere", "--model --verbose --json --junit --replay"),
        ("bench --device nowhere", "--model --batch-size --samples --json --markdown --roofline"),
        ("tune --device nowhere", "--model --batch-size --samples --list"),
        ("plan", "--model --batch-size --optimizer --fuse --precision --kernels"),
        ("report run", "--plots --comparison"),
        ("bench show", "--summary --markdown --roofline"),
        ("completions", "--quiet"),
        ("help", "--quiet"),
        ("nonsense", "--quiet"),
    ];
    const VALUES: [&[u8]; 18] = [
        b"",
        b"0",
        b"1",
        b"-1",
        b"18446744073709551615",
        b"18446744073709551616",
        b"1e308",
        b"1e-320",
        b"nan",
        b"\xff\xfe",
        b"a\x80b",
        b"\x1b[31m",
        b"conv 99999999999x3",
        b"rotate 1e39",
        b"0s",
        b"9999999999999h",
        b"./\xff/\xc0",
        b"off",
    ];
    let mut random = Random::new(5, 0);
    let mut one_of = |count: usize| random.below(count as u32) as usize;
    let mut parsed = 0;
    for _ in 0..TRIES * 5 {
        let (command, options) = COMMANDS[one_of(COMMANDS.len())];
        let options: Vec<&str> = options.split(' ').collect();
        let mut words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        for _ in 0..=one_of(2) {
            words.extend([options[one_of(options.len())].as_bytes(), VALUES[one_of(VALUES.len())]]);
        }
        let shown: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let mut child = home
            .command(&[])
            .args(words.into_iter().map(OsStr::from_bytes))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let end = Instant::now() + Duration::from_secs(60);
        while child.try_wait()?.is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        if child.try_wait()?.is_none() {
            child.kill()?;
        }
        let run = Run::new(&shown, child.wait_with_output()?);
        if !matches!(run.code, Some(0..=2)) || run.stderr.contains("panicked") || run.stderr.contains('\u{1b}') {
            return run.fail("it is neither carried out nor refused");
        }
        parsed += usize::from(!run.stderr.contains("For more information, try"));
    }
    check(parsed > TRIES, format!("only {parsed} of {} came further than the parser", TRIES * 5))
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
