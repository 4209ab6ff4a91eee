//! Frozen layers, weights for other last layers, recipes, and finding a learning rate.

use std::fs;

use gpu_digits::weights;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, check, train_words};

const CONV: &str = "conv 4x3, relu, pool 4, flatten, dense 10";
const TWO_DENSE: &str = "conv 4x3, relu, pool 4, flatten, dense 12, relu, dense 10";

/// The hash of a run's weights, and the command that repeats it into another folder.
fn repeated(home: &Home, run: &str) -> Result<(), Failed> {
    let record = home.json(&format!("{run}/run.json"))?;
    let words: Vec<&str> = record["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let again = home.run(&[&words[1..], &["--out", "again"]].concat());
    check(again.hash()? == record["result"]["weights_sha256"], "the recorded command gives other weights")
}

pub(crate) fn freezes(home: &Home) -> Result<(), Failed> {
    home.train(&["--model", CONV]).exits_with(0)?;
    let run = home.train(&["--model", CONV, "--init", "run", "--freeze", "conv1", "--out", "fine"]);
    run.exits_with(0)?.says(&["frozen: conv1"])?;
    let parameters = |run: &str| weights::load(&home.path(run)).map(|saved| saved.parameters);
    let (before, after) = (parameters("run")?, parameters("fine")?);
    check(before[..2] == after[..2], "conv1 has changed")?;
    check(before[2] != after[2] && before[3] != after[3], "dense1 has not changed")?;
    check(home.json("fine/run.json")?["settings"]["frozen"][0] == "conv1", "the record does not say what was frozen")?;
    check(fs::read_to_string(home.path("fine/report.html"))?.contains("<td>frozen</td>"), "the page does not")?;
    repeated(home, "fine")?;

    let constant = ["--model", CONV, "--init", "run", "--freeze", "conv1", "--schedule", "constant", "--out", "longer"];
    home.train(&constant).exits_with(0)?;
    home.run(&["train", "--resume", "longer", "--extend-to", "3"]).exits_with(0)?.prints(&["3/3"])?;
    check(parameters("longer")?[..2] == before[..2], "conv1 has changed in a run that went on")?;
    home.run(&["train", "--resume", "longer", "--init", "run"]).is_refused(&["leave out --init"])?;

    let refused = |freeze: &str, parts: &[&str]| {
        home.train(&["--model", CONV, "--init", "run", "--out", "no", "--freeze", freeze]).is_refused(parts)
    };
    refused("conv9", &["no layer `conv9` with parameters", "conv1, dense1"])?;
    refused("conv1,dense1", &["nothing is left to train"])?;
    home.train(&["--freeze", "conv1", "--out", "no"]).is_refused(&["--init"])
}

pub(crate) fn takes_over_what_fits(home: &Home) -> Result<(), Failed> {
    home.train(&["--model", CONV]).exits_with(0)?;
    let run = home.train(&["--model", TWO_DENSE, "--init", "run", "--freeze", "conv1", "--seed", "3", "--out", "fine"]);
    let remark =
        "of run are the weights of conv1; drawn with seed 3: dense1, dense2; left out: dense1.bias, dense1.weight";
    run.exits_with(0)?.says(&[remark])?;
    let parameters = |run: &str| weights::load(&home.path(run)).map(|saved| saved.parameters);
    check(parameters("run")?[..2] == parameters("fine")?[..2], "conv1 is not that of the file")?;
    repeated(home, "fine")?;
    let other = "conv 5x3, relu, pool 4, flatten, dense 10";
    home.train(&["--model", other, "--init", "run", "--out", "no"]).is_refused(&["`conv1.weight`", "[4, 1, 3, 3]"])
}

pub(crate) fn recipes(home: &Home) -> Result<(), Failed> {
    let shown = home.run(&["train", "--recipe", "small", "--show", "--epochs", "3"]);
    shown.exits_with(0)?.prints(&["gpu-digits train --model 'conv 12x5, ", "--epochs 3\n"])?;
    check(!shown.stdout.contains("--recipe"), "the command names the recipe")?;
    home.run(&["train", "--show"]).is_refused(&["--recipe"])?;
    home.run(&["train", "--recipe", "smal"]).is_refused(&["smal", "small"])?;

    let words = train_words(&["--recipe", "small", "--epochs", "1"]);
    let words: Vec<&str> = words.into_iter().filter(|word| !["--model", "flatten, dense 10"].contains(word)).collect();
    home.run(&words).exits_with(0)?;
    let record = home.json("run/run.json")?;
    check(record["model"].as_str().is_some_and(|model| model.starts_with("conv 12x5, ")), record["model"].to_string())?;
    check(record["settings"]["epochs"] == 1, "what is given besides does not count")?;
    check(!record["command"].to_string().contains("--recipe"), "the command is not resolved")?;
    repeated(home, "run")
}

pub(crate) fn finds_a_rate(home: &Home) -> Result<(), Failed> {
    let words = train_words(&["--find-lr", "rates.json"]);
    let words: Vec<&str> = words.into_iter().filter(|word| !["--out", "run"].contains(word)).collect();
    let run = home.run(&words);
    run.exits_with(0)?.prints(&["learning rate", "smoothed", "suggested: --lr "])?;
    let found = home.json("rates.json")?;
    let points = found["points"].as_array().map_or(&[][..], Vec::as_slice);
    let rate = |point: &Value| point["rate"].as_f64().unwrap_or(f64::NAN);
    check(points.len() > 100 && points.is_sorted_by(|a, b| rate(a) < rate(b)), format!("{} steps", points.len()))?;
    let suggestion = found["suggestion"].as_f64().unwrap_or(f64::NAN);
    check((1e-4..1.0).contains(&suggestion), format!("{suggestion} is suggested"))?;
    let left: Vec<_> = fs::read_dir(home.path("."))?.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    check(!left.iter().any(|name| name == "runs" || name == "run"), format!("it left {left:?}"))?;

    let with = |file: &'static str| home.run(&[&words[..words.len() - 2], &["--find-lr", file]].concat());
    with("rates.svg").exits_with(0)?;
    check(fs::read_to_string(home.path("rates.svg"))?.contains("suggested"), "no picture")?;
    let printed = with("-").json()?;
    check(printed["suggestion"] == found["suggestion"], "it is another one the next time")?;
    with("rates.txt").is_refused(&[".svg, .png or .json"])
}

pub(crate) fn views(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let eval = |views: &'static str, more: &[&'static str]| {
        let words =
            ["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "300", "--views"];
        home.run(&[&words[..], &[views], more].concat())
    };
    eval("5", &[]).exits_with(0)?.prints(&["accuracy", "by 5 views of each"])?;
    check(!eval("1", &[]).stdout.contains("views"), "one view is nothing to speak of")?;
    let (one, nine) = (eval("1", &["--json"]).json()?, eval("9", &["--json"]).json()?);
    check(one["views"] == 1 && nine["views"] == 9 && one["loss"] != nine["loss"], "views change nothing")?;
    eval("3", &[]).is_refused(&["there are 1, 5 or 9 views"])?;

    crate::write_picture(&home.path("a.pgm"), 20, 240)?;
    let predict = ["predict", "run", "a.pgm", "--device", "cpu", "--views", "9"];
    home.run(&predict).exits_with(0)?.says(&["by 9 views"])?;
    let read = home.run(&[&predict[..], &["--json"]].concat()).json()?;
    check(read[0]["views"] == 9, read.to_string())
}
