//! `gpu-digits sweep`.

use std::fs;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, Run, check};

/// A sweep of a small model on the CPU into the folder `runs`.
fn sweep(home: &Home, more: &[&str]) -> Run {
    home.run(&[&WORDS[..], more].concat())
}

const WORDS: [&str; 14] = [
    "sweep",
    "--device",
    "cpu",
    "--dataset",
    "generated",
    "--generated-images",
    "200",
    "--validation",
    "40",
    "--epochs",
    "1",
    "--out",
    "runs",
    "--seeds=1",
];

const MODEL: [&str; 2] = ["--model", "flatten, dense 10"];

/// A sweep trains each setting and seed once, resumes an interrupted sweep, and refuses runs of other settings.
pub(crate) fn resumes(home: &Home) -> Result<(), Failed> {
    let sweep = |more: &[&str]| -> Run {
        let words =
            ["sweep", "--device", "cpu", "--dataset", "generated", "--generated-images", "300", "--out", "runs"];
        let grid = ["--model", "flatten, dense 10", "--lr", "0.01,0.001", "--batch-size", "20", "--seeds", "2"];
        home.run(&[&words[..], &grid, &["--validation", "40"], more].concat())
    };
    let first = sweep(&["--epochs", "1"]);
    first.exits_with(0)?.prints(&["validation %", "_0.01", "_0.001", "chosen by validation accuracy"])?;
    check(first.stderr.contains("run 4/4"), &first.stderr[..])?;
    let runs: Vec<_> = fs::read_dir(home.path("runs"))?.collect::<Result<_, _>>()?;
    let folder = runs.iter().map(std::fs::DirEntry::path).find(|path| path.is_dir()).ok_or("no run")?;
    check(home.path("runs/comparison.html").exists(), "no comparison")?;

    // The command in a run's record repeats it.
    let of_sweep = home.json(&folder.join("seed-1/run.json").display().to_string())?;
    let command = of_sweep["command"].as_array().ok_or("no command")?;
    let words = command.iter().skip(1).filter_map(Value::as_str).chain(["--out", "again"]);
    home.run(&words.collect::<Vec<_>>()).exits_with(0)?;
    let hash = |record: &Value| record["result"]["weights_sha256"].clone();
    check(hash(&home.json("again/run.json")?) == hash(&of_sweep), "the recorded command gives other weights")?;

    // Two runs are gone, one of them half done.
    fs::remove_dir_all(folder.join("seed-0"))?;
    fs::rename(folder.join("seed-1"), folder.join("seed-1.partial"))?;
    let again = sweep(&["--epochs", "1"]);
    again.exits_with(0)?;
    check(seconds_aside(&again.stdout) == seconds_aside(&first.stdout), again.stdout.clone())?;
    check(again.stderr.matches("weights SHA-256").count() == 2, "other than two runs were trained again")?;
    let drawn = sweep(&["--epochs", "1", "--random", "1"]);
    check(drawn.exits_with(0)?.stderr.contains("run 2/2"), drawn.stderr.clone())?;
    sweep(&["--epochs", "2"]).is_refused(&["`epochs` is 1, not 2", "--out"])
}

/// A table without its last column.
fn seconds_aside(table: &str) -> Vec<String> {
    table.lines().map(|line| line.rsplit_once(' ').map_or(line, |(rest, _)| rest).trim_end().to_owned()).collect()
}

/// A setting that cannot be trained does not end the sweep, and the table says so.
pub(crate) fn failures(home: &Home) -> Result<(), Failed> {
    let run = sweep(home, &[&MODEL[..], &["--batch-size", "20,5000", "--seeds", "2"]].concat());
    run.exits_with(1)?.prints(&["flatten-dense-10_adam_20 ", "0 of 2", "failed", "_5000/seed-1: --batch-size 5000"])?;
    run.prints(&["chosen by validation accuracy: flatten-dense-10_adam_20\n", "comparison runs/comparison.html"])?;
    check(run.stderr.contains("run 4/4"), &run.stderr[..])?;
    // The same sweep again trains what has failed only.
    let again = sweep(home, &[&MODEL[..], &["--batch-size", "20,5000", "--seeds", "2"]].concat());
    again.exits_with(1)?;
    check(!again.stderr.contains("weights SHA-256"), "what was there was trained again")
}

/// The best of several settings is named where there are images to tell by.
pub(crate) fn choice(home: &Home) -> Result<(), Failed> {
    let chosen = |rates: &str, validation: &str| {
        let more = [
            "--batch-size",
            "20",
            "--lr",
            rates,
            "--validation",
            validation,
            "--out",
            &format!("{rates}-{validation}"),
        ];
        let run = sweep(home, &[&MODEL[..], &more].concat());
        run.exits_with(0).map(|run| run.stdout.contains("chosen by validation"))
    };
    check(chosen("0.01,0.001", "40")?, "nothing is chosen")?;
    check(!chosen("0.01", "40")?, "one of one is chosen")?;
    check(!chosen("0.01,0.001", "0")?, "one is chosen without validation images")
}

/// One setting however it is written, and names of any length.
pub(crate) fn names(home: &Home) -> Result<(), Failed> {
    let long = ["relu, "; 50].concat() + "flatten, dense 10";
    let models = ["--models", &format!("flatten, dense 10; flatten,dense 10;{long}"), "--lr", "0.01,1e-2,0.010"];
    let run = sweep(home, &[&models[..], &["--batch-size", "20"]].concat());
    run.exits_with(0)?.says(&["run 2/2"])?;
    let again = sweep(home, &["--model", "flatten, dense 10", "--model", &long, "--lr", "0.01", "--batch-size", "20"]);
    again.exits_with(0)?.says(&["run 2/2"])?;
    check(!again.stderr.contains("weights SHA-256"), "what was there was trained again")
}

/// Runs of other settings, data or another commit are refused, those of other threads are not.
pub(crate) fn identity(home: &Home) -> Result<(), Failed> {
    let words = [&MODEL[..], &["--batch-size", "20", "--lr", "0.01"]].concat();
    sweep(home, &words).exits_with(0)?;
    let mut program = home.command(&[&WORDS[..], &words].concat());
    let run = Run::new(&words, program.env("RAYON_NUM_THREADS", "3").output()?);
    run.exits_with(0)?;
    check(!run.stderr.contains("weights SHA-256"), "with other threads it was trained again")?;
    sweep(home, &[&words[..], &["--generated-images", "210"]].concat()).is_refused(&["`data` is", "--out"])?;
    sweep(home, &[&words[..], &["--validation", "41"]].concat()).is_refused(&["`validation` is 40, not 41"])?;
    let path = home.path("runs/flatten-dense-10_adam_20_0.01/seed-0/report.json");
    let report = fs::read_to_string(&path)?;
    let commit = home.json("runs/flatten-dense-10_adam_20_0.01/seed-0/run.json")?["commit"].clone();
    let commit = commit.as_str().ok_or("no commit")?;
    fs::write(&path, report.replace(commit, "0123456"))?;
    sweep(home, &words).is_refused(&["`commit` is", "0123456", commit])?;
    fs::write(&path, report.replace("\"learning_rate\":0.01,\"schedule\"", "\"learning_rate\":0.02,\"schedule\""))?;
    sweep(home, &words).is_refused(&["`learning_rate` is 0.02, not 0.01"])?;
    // What is damaged is kept aside and trained again.
    fs::write(&path, "{")?;
    let run = sweep(home, &words);
    run.exits_with(0)?.says(&["damaged", "trained again", "weights SHA-256"])?;
    check(home.path("runs/flatten-dense-10_adam_20_0.01/seed-0.damaged-1/report.json").exists(), "nothing lies aside")
}

/// Two simultaneous sweeps in one folder do not mix their files, and a killed process leaves no lock.
#[cfg(unix)]
pub(crate) fn at_once(home: &Home) -> Result<(), Failed> {
    let words = [&WORDS[..], &MODEL, &["--batch-size", "20", "--epochs", "1000000"]].concat();
    let mut first =
        home.command(&words).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    let metrics = home.path("runs/flatten-dense-10_adam_20/seed-0.partial/metrics.jsonl");
    let start = std::time::Instant::now();
    while !fs::metadata(&metrics).is_ok_and(|metadata| metadata.len() > 0) && start.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let second = home.run(&words);
    first.kill()?;
    first.wait()?;
    second.is_refused(&["another sweep is running in runs", "--out"])?;
    sweep(home, &[&MODEL[..], &["--batch-size", "20"]].concat()).exits_with(0)?;
    Ok(())
}
