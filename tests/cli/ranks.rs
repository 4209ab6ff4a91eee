//! `gpu-digits train --ranks`, and `--device all`.

use std::fs;

use libtest_mimic::Failed;

use crate::program::{Home, check};

/// The weights of ranks are those of a run that cuts its batches in the same way, and the run can go on with other ranks.
pub(crate) fn same_weights(home: &Home) -> Result<(), Failed> {
    let alone = home.train(&["--micro-batches", "4", "--out", "alone"]);
    let two = home.train(&["--ranks", "2", "--micro-batches", "4", "--out", "two"]);
    two.exits_with(0)?.says(&["ranks: 2"])?.prints(&["of a step:", "exchange ms", "a message takes"])?;
    check(two.hash()? == alone.hash()?, "other weights")?;
    let record = home.json("two/run.json")?;
    let ranks = record["result"]["ranks"].as_array().ok_or("no ranks")?;
    check(ranks.len() == 2 && ranks[1]["images_of_step"] == 10, format!("{ranks:?}"))?;
    check(record["settings"]["micro_batches"] == 4, "the record does not say it")?;

    let first =
        home.train(&["--ranks", "4", "--micro-batches", "4", "--schedule", "constant", "--epochs", "1", "--out", "on"]);
    first.exits_with(0)?;
    let more = home.run(&["train", "--resume", "on", "--extend-to", "2", "--ranks", "2"]);
    let whole = home.train(&["--micro-batches", "4", "--schedule", "constant", "--out", "whole"]);
    check(more.exits_with(0)?.hash()? == whole.hash()?, "other weights with other ranks")
}

/// Local SGD is trained and says that it is another method.
pub(crate) fn local_sgd(home: &Home) -> Result<(), Failed> {
    let words = ["--ranks", "2", "--sync-every", "3", "--out", "local"];
    let run = home.train(&words);
    run.exits_with(0)?.says(&["local SGD", "another method"])?;
    let record = home.json("local/run.json")?;
    check(record["settings"]["sync_every"] == 3, "the record does not say it")?;
    // Its weights depend on the number of ranks, which the command of the record names.
    let command = record["command"].to_string();
    check(command.contains("\"--ranks\",\"2\",\"--sync-every\",\"3\""), command)?;
    // One rank alone cannot repeat a step of several.
    let diverges = home.train(&["--ranks", "2", "--sync-every", "3", "--lr", "1e30", "--out", "far"]);
    diverges.exits_with(2)?.says(&["training diverged", "the step is not kept: it is one of local SGD"])?;
    check(!home.path("far/fault").exists(), "a step of another run is kept")?;
    home.train(&["--sync-every", "3"]).is_refused(&["--ranks"])
}

/// What cannot be shared is refused with what to give.
pub(crate) fn refused(home: &Home) -> Result<(), Failed> {
    home.train(&["--ranks", "3", "--batch-size", "24", "--micro-batches", "4"])
        .is_refused(&["3 ranks cannot share 4", "--micro-batches 3"])?;
    home.train(&["--ranks", "2", "--micro-batches", "7"]).is_refused(&["cannot be cut into 7"])?;
    home.train(&["--micro-batches", "8", "--batch-size", "4", "--tune", "force"])
        .is_refused(&["cannot be cut into 8"])?;
    home.train(&["--ranks", "0"]).is_refused(&["or mpi"])?;
    home.train(&["--ranks", "2", "--sync-every", "2", "--micro-batches", "2"])
        .is_refused(&["leave out --micro-batches"])?;
    home.train(&["--ranks", "2", "--tune", "force"]).is_refused(&["gpu-digits tune"])?;
    home.train(&["--device", "cpu,0"]).is_refused(&["--ranks"])?;
    if !cfg!(feature = "mpi") {
        home.train(&["--ranks", "mpi"]).is_refused(&["--features mpi", "--ranks N"])?;
    }
    home.run(&["plan", "--device", "cpu"]).is_refused(&["--kernels"])
}

/// The model of cost is printed for 1, 2, 4, ... ranks.
pub(crate) fn costs(home: &Home) -> Result<(), Failed> {
    let words = ["plan", "--model", "flatten, dense 10", "--batch-size", "64", "--ranks", "16", "--device", "cpu"];
    let run = home.run(&words);
    run.exits_with(0)?.prints(&["speed-up", "messages: 5 us and 12 GB/s", "times: measured on the CPU"])?;
    let table = run.stdout.split("a step by ranks").nth(1).ok_or("no table")?;
    let ranks: Vec<&str> = table
        .lines()
        .skip(2)
        .map_while(|line| line.split_whitespace().next().filter(|word| word.parse::<usize>().is_ok()))
        .collect();
    check(ranks == ["1", "2", "4", "8", "16"], format!("{ranks:?}"))?;
    // With times that are given, no device is needed, and the figures are the same everywhere.
    let given =
        home.run_without_drivers(&["plan", "--batch-size", "512", "--ranks", "64", "--micro-batch-time", "100"]);
    let row = given.exits_with(0)?.stdout.lines().find(|line| line.trim_start().starts_with("64 ")).ok_or("no row")?;
    let words: Vec<&str> = row.split_whitespace().collect();
    check(words[..3] == ["64", "8", "0.100"] && words.len() == 8, format!("{words:?}"))
}

/// A run with a seed of its own on each device.
pub(crate) fn all_devices(home: &Home) -> Result<(), Failed> {
    let words = ["--device", "all", "--seed", "5", "--out", "each", "--self-test", "off"];
    if home.run(&["devices", "--json"]).json()?.as_array().is_none_or(Vec::is_empty) {
        return home.train(&words).is_refused(&["doctor"]);
    }
    let run = home.train(&words);
    run.exits_with(0)?.prints(&["seed-5: ", "comparison each"])?;
    check(fs::read_dir(home.path("each"))?.count() > 1, "no runs")?;
    check(home.json("each/seed-5/run.json")?["seed"] == 5, "another seed")?;
    home.train(&["--device", "all", "--ranks", "2", "--out", "other"]).is_refused(&["--ranks"])
}
