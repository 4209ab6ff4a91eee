//! Runs that end early and go on: checkpoints, `--resume`, the best model.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Stdio;
#[cfg(unix)]
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;

#[cfg(unix)]
use crate::program::train_words;
use crate::program::{Home, Run, check};

/// A model whose every kind of state matters: moments, running statistics, dropout, an average of the parameters.
const STATEFUL: [&str; 6] =
    ["--model", "conv 4x3, norm, relu, pool 2, dropout 0.2, flatten, dense 10", "--average", "0.9", "--log-steps", "3"];

/// The lines of metrics without what differs between two runs: times.
fn metrics(path: &Path) -> Result<Vec<Value>, Failed> {
    let mut rows = Vec::new();
    for line in fs::read_to_string(path.join("metrics.jsonl"))?.lines() {
        let mut row: Value = serde_json::from_str(line)?;
        for time in ["seconds", "elapsed_seconds", "images_per_second"] {
            row.as_object_mut().ok_or("a row is an object")?.remove(time);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The checkpoints of a run folder by their steps.
fn checkpoints(folder: &Path) -> Result<Vec<(usize, PathBuf)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(steps) = name.strip_prefix("checkpoint-").and_then(|name| name.strip_suffix(".safetensors")) {
            found.push((steps.parse()?, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes a finished run one that ended after its last checkpoint but one.
fn set_back(folder: &Path) -> Result<(), Failed> {
    let last = checkpoints(folder)?.pop().ok_or("no checkpoint")?;
    fs::remove_file(last.1)?;
    for file in ["model.safetensors", "report.html", "report.json", "epochs.csv", "predictions.csv"] {
        fs::remove_file(folder.join(file))?;
    }
    let path = folder.join("run.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    record["result"] = Value::Null;
    fs::write(path, record.to_string())?;
    Ok(())
}

fn same_files(one: &Path, other: &Path) -> Result<(), Failed> {
    check(metrics(one)? == metrics(other)?, "the metrics differ")?;
    for file in ["model.safetensors", "best.safetensors", "predictions.csv"] {
        check(fs::read(one.join(file))? == fs::read(other.join(file))?, format!("{file} differs"))?;
    }
    Ok(())
}

/// Every epoch again, with another number of threads: to the bit what was there.
pub(crate) fn same(home: &Home) -> Result<(), Failed> {
    let words = [&STATEFUL[..], &["--epochs", "4", "--checkpoint-every", "1"]].concat();
    let whole = home.train(&[&words[..], &["--out", "whole"]].concat());
    let cut = home.train(&[&words[..], &["--out", "cut"]].concat());
    check(whole.hash()? == cut.hash()?, "the same run has other weights")?;
    set_back(&home.path("cut"))?;
    // Half a line, as a process leaves it that is killed.
    let metrics = home.path("cut/metrics.jsonl");
    let text = fs::read_to_string(&metrics)?;
    fs::write(&metrics, &text[..text.len() - 30])?;
    let mut command = home.command(&["train", "--resume", "cut"]);
    let resumed = Run::new(&["train", "--resume", "cut"], command.env("RAYON_NUM_THREADS", "1").output()?);
    resumed
        .exits_with(0)?
        .says(&["going on after step 39 of 52"])?
        .prints(&["  4/4", "saved cut/model.safetensors"])?;
    check(!resumed.stdout.contains("  3/4"), "more than the last epoch was trained again")?;
    check(resumed.hash()? == whole.hash()?, "the resumed run has other weights")?;
    same_files(&home.path("whole"), &home.path("cut"))?;
    let record = home.json("cut/run.json")?;
    check(record["result"]["interrupted"] == false && record["result"]["steps"] == 52, record["result"].to_string())?;
    // Without any checkpoint it begins anew.
    set_back(&home.path("cut"))?;
    checkpoints(&home.path("cut"))?.iter().try_for_each(|(_, path)| fs::remove_file(path))?;
    let anew = home.run(&["train", "--resume", "cut"]);
    anew.exits_with(0)?.prints(&["  1/4"])?;
    check(anew.hash()? == whole.hash()?, "the run that began anew has other weights")?;
    same_files(&home.path("whole"), &home.path("cut"))
}

pub(crate) fn refusals(home: &Home) -> Result<(), Failed> {
    home.train(&["--checkpoint-every", "1"]).exits_with(0)?;
    let resume = |more: &[&str]| home.run(&[&["train", "--resume", "run"], more].concat());
    resume(&[]).is_refused(&["the run in run is finished", "--extend-to"])?;
    resume(&["--extend-to", "5"]).is_refused(&["--schedule constant", "--init run"])?;
    set_back(&home.path("run"))?;
    let before = metrics(&home.path("run"))?;
    for (more, difference) in [
        (&["--model", "mlp"][..], "`model` is flatten, dense 10, not flatten, dense 128, relu"),
        (&["--generated-images", "310"], "`data` is generated digits"),
        (&["--seed", "1"], "`seed` is 0, not 1"),
        (&["--epochs", "3"], "`epochs` is 2, not 3"),
        (&["--lr", "0.5"], "`learning_rate` is 0.004, not 0.5"),
    ] {
        resume(more).is_refused(&["cannot go on with the run in run", difference])?;
    }
    resume(&["--out", "other"]).is_refused(&["--out", "cannot be used with"])?;
    check(metrics(&home.path("run"))? == before, "a refusal has changed the metrics")?;
    let path = home.path("run/run.json");
    let record = fs::read_to_string(&path)?;
    home.run(&["train", "--resume", "none"]).is_refused(&["none holds no run"])?;
    check(!home.path("none").exists(), "a folder was made")?;
    fs::create_dir(home.path("none"))?;
    home.run(&["train", "--resume", "none"]).is_refused(&["none holds no run"])?;
    check(fs::read_dir(home.path("none"))?.count() == 0, "a file was made")?;
    fs::write(&path, &record[..record.len() / 2])?;
    resume(&[]).is_refused(&["run.json is damaged"])?;
    fs::write(&path, record)?;
    home.run(&["train", "--extend-to", "3"]).is_refused(&["--resume"])?;
    home.train(&[]).is_refused(&["a run that is not finished", "--resume run"])?;
    resume(&[]).exits_with(0)?;
    Ok(())
}

pub(crate) fn damaged(home: &Home) -> Result<(), Failed> {
    let words = ["--epochs", "4", "--checkpoint-every", "1"];
    let whole = home.train(&words);
    set_back(&home.path("run"))?;
    home.train(&[&words[..], &["--out", "again"]].concat()).exits_with(0)?;
    set_back(&home.path("again"))?;
    let damage = |folder: &str| -> Result<(), Failed> {
        let (_, path) = checkpoints(&home.path(folder))?.pop().ok_or("no checkpoint")?;
        let mut bytes = fs::read(&path)?;
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes)?;
        Ok(())
    };
    damage("run")?;
    home.run(&["train", "--resume", "run"]).is_refused(&["no checkpoint in run can be read", "it is damaged"])?;
    // The one before serves if it is there.
    let (steps, path) = checkpoints(&home.path("again"))?.pop().ok_or("no checkpoint")?;
    check(steps == 39, format!("{steps} steps"))?;
    fs::copy(&path, home.path("run/checkpoint-52.safetensors"))?;
    fs::write(home.path("run/checkpoint-60.safetensors"), "half a file")?;
    let resumed = home.run(&["train", "--resume", "run"]);
    resumed.exits_with(0)?.says(&["checkpoint-60.safetensors cannot be used", "the one before is taken"])?;
    check(resumed.hash()? == whole.hash()?, "the resumed run has other weights")
}

pub(crate) fn extended(home: &Home) -> Result<(), Failed> {
    let constant = [&STATEFUL[..], &["--schedule", "constant"]].concat();
    let longer = home.train(&[&constant[..], &["--epochs", "4", "--out", "longer"]].concat());
    home.train(&[&constant[..], &["--epochs", "2"]].concat()).exits_with(0)?;
    home.run(&["train", "--resume", "run", "--extend-to", "2"]).is_refused(&["already has 2 epochs"])?;
    let extended = home.run(&["train", "--resume", "run", "--extend-to", "4"]);
    extended.exits_with(0)?.prints(&["  3/4", "  4/4"])?;
    check(extended.hash()? == longer.hash()?, "the extended run has other weights than one of as many epochs")?;
    same_files(&home.path("longer"), &home.path("run"))?;
    check(home.json("run/run.json")?["settings"]["epochs"] == 4, "the record has other epochs")?;
    // An extension that ended before its first checkpoint goes on to its end.
    home.train(&[&constant[..], &["--epochs", "2", "--out", "cut"]].concat()).exits_with(0)?;
    let mut record = home.json("cut/run.json")?;
    record["command"] = home.json("longer/run.json")?["command"].clone();
    record["result"] = Value::Null;
    fs::write(home.path("cut/run.json"), record.to_string())?;
    let resumed = home.run(&["train", "--resume", "cut"]);
    resumed.exits_with(0)?;
    check(resumed.hash()? == longer.hash()?, "the extension has other weights")
}

pub(crate) fn best(home: &Home) -> Result<(), Failed> {
    home.train(&["--early-stopping", "1", "--validation", "0"]).is_refused(&["--early-stopping", "--validation 0"])?;
    // A rate so high that later epochs are worse.
    let words = ["--epochs", "40", "--early-stopping", "2", "--lr", "3", "--schedule", "constant"];
    let run = home.train(&words);
    run.exits_with(0)?.says(&["the validation images were not read better for 2 epochs"])?;
    let rows = metrics(&home.path("run"))?;
    let accuracies: Vec<f64> = rows.iter().filter_map(|row| row["validation_accuracy"].as_f64()).collect();
    check(accuracies.len() < 40, "no epoch was spared")?;
    let most = accuracies.iter().copied().fold(0.0, f64::max);
    let best = accuracies.len() - 3;
    check(accuracies[best] == most, format!("the best is not the last but two: {accuracies:?}"))?;
    run.prints(&[&format!("of epoch {}: run/best.safetensors", best + 1)])?;
    // It is the model of a run that ends there.
    let epochs = (best + 1).to_string();
    let short = home.train(&["--epochs", &epochs, "--lr", "3", "--schedule", "constant", "--out", "short"]);
    short.exits_with(0)?;
    let same = fs::read(home.path("run/best.safetensors"))? == fs::read(home.path("short/model.safetensors"))?;
    check(same, "the best model is not that of its epoch")?;
    home.run(&["eval", "run/best.safetensors", "--device", "cpu"]).exits_with(0)?;
    Ok(())
}

pub(crate) fn checkpoints_as_wished(home: &Home) -> Result<(), Failed> {
    let steps = |every: &str| -> Result<Vec<usize>, Failed> {
        let out = format!("run-{every}");
        home.train(&["--epochs", "5", "--checkpoint-every", every, "--out", &out]).exits_with(0)?;
        Ok(checkpoints(&home.path(&out))?.into_iter().map(|(steps, _)| steps).collect())
    };
    // An epoch has 13 steps.
    check(steps("1")? == [52, 65], "not the last two epochs")?;
    check(steps("2")? == [52, 65], "not epoch 4 and the last")?;
    check(steps("3")? == [39, 65], "not epoch 3 and the last")?;
    check(steps("1h")? == [65], "an hour has not passed")?;
    check(steps("off")?.is_empty(), "there are checkpoints")?;
    home.train(&["--checkpoint-every", "0s"]).is_refused(&["30s, 10m or 2h"])
}

/// Starts the program and kills it after this time, or when it ends.
#[cfg(unix)]
fn killed_after(home: &Home, words: &[&str], time: Duration) -> Result<Option<Run>, Failed> {
    let mut child = home.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while start.elapsed() < time && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    let run = Run::new(words, child.wait_with_output()?);
    Ok(run.code.map(|_| run))
}

/// Killed again and again, within and between epochs, until it is done.
#[cfg(unix)]
pub(crate) fn killed(home: &Home) -> Result<(), Failed> {
    let words = [&STATEFUL[..], &["--epochs", "12", "--checkpoint-every", "1"]].concat();
    let whole = home.train(&[&words[..], &["--out", "whole"]].concat());
    let mut words = train_words(&words);
    for kills in 0.. {
        // From before the folder is made to several epochs, and longer each time, for machines that are slow.
        let time = Duration::from_millis(20 + 7 * (kills * 13 % 17) + 2 * kills + kills * kills / 8);
        if let Some(run) = killed_after(home, &words, time)? {
            // The kill before may have come after the last of its writes.
            if !run.stderr.contains("the run in run is finished") {
                run.exits_with(0)?;
            }
            let hash = home.json("run/run.json")?["result"]["weights_sha256"].clone();
            check(hash == whole.hash()?, format!("after {kills} kills the weights are {hash}"))?;
            check(home.path("run/report.html").exists(), "there is no report")?;
            check(kills > 0, "it was never killed")?;
            break;
        }
        if home.path("run/run.json").exists() {
            words = vec!["train", "--resume", "run"];
        }
    }
    same_files(&home.path("whole"), &home.path("run"))
}

/// A second process is refused, and a killed one holds no lock.
#[cfg(unix)]
pub(crate) fn at_once(home: &Home) -> Result<(), Failed> {
    let words = train_words(&["--epochs", "1000000"]);
    let mut first = home.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while checkpoints(&home.path("run")).is_ok_and(|found| found.is_empty()) || !home.path("run").exists() {
        check(start.elapsed().as_secs() < 60, "no checkpoint after a minute")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = home.run(&["train", "--resume", "run"]);
    let third = home.run(&words);
    first.kill()?;
    first.wait()?;
    second.is_refused(&["another process trains in run"])?;
    third.is_refused(&["run already holds a run that is not finished"])?;
    let fourth = killed_after(home, &["train", "--resume", "run"], Duration::from_secs(1))?;
    check(fourth.is_none(), "the lock is still held")
}

/// A sweep that is killed goes on at the last checkpoint of its run.
#[cfg(unix)]
pub(crate) fn sweep(home: &Home) -> Result<(), Failed> {
    let words =
        ["sweep", "--device", "cpu", "--dataset", "generated", "--generated-images", "300", "--validation", "40"];
    let words =
        [&words[..], &["--model", "flatten, dense 10", "--epochs", "300", "--seeds", "1", "--out", "runs"]].concat();
    let mut child = home.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    let partial = loop {
        let settings = fs::read_dir(home.path("runs")).into_iter().flatten().flatten();
        let partial = settings.map(|entry| entry.path().join("seed-0.partial")).find(|path| path.is_dir());
        if let Some(partial) = partial.filter(|path| checkpoints(path).is_ok_and(|found| !found.is_empty())) {
            break partial;
        }
        check(start.elapsed().as_secs() < 60, "no checkpoint after a minute")?;
        std::thread::sleep(Duration::from_millis(2));
    };
    child.kill()?;
    child.wait()?;
    check(partial.exists(), "it was done before it was killed")?;
    let again = home.run(&words);
    again.exits_with(0)?.says(&["going on after step"])?;
    check(!again.stderr.contains("  1/300"), "it began anew")?;
    Ok(())
}

/// Ctrl-C within an epoch, then the rest of it.
#[cfg(unix)]
pub(crate) fn interrupted(home: &Home) -> Result<(), Failed> {
    // Epochs so long that the signal comes within one.
    let words =
        ["--generated-images", "3000", "--epochs", "2", "--model", "conv 4x3, norm, relu, pool 2, flatten, dense 10"];
    let whole = home.train(&[&words[..], &["--out", "whole"]].concat());
    let words = train_words(&[&words[..], &["--checkpoint-every", "1s"]].concat());
    let child = home.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while !home.path("run/metrics.jsonl").exists() && start.elapsed().as_secs() < 60 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let first = Run::new(&words, child.wait_with_output()?);
    first.exits_with(130)?.prints(&["interrupted after", "gpu-digits train --resume run"])?;
    let steps = home.json("run/run.json")?["result"]["steps"].as_u64().ok_or("no steps")?;
    check(steps % 148 != 0, format!("{steps} steps are whole epochs"))?;
    let second = home.run(&["train", "--resume", "run"]);
    second.exits_with(0)?.says(&[&format!("going on after step {steps} of 296")])?;
    check(second.hash()? == whole.hash()?, "the weights are others")?;
    same_files(&home.path("whole"), &home.path("run"))
}
