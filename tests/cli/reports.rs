//! Reports, predictions and generated manuals.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, Run, check};
use crate::write_picture;

const CONVOLUTIONS: &str = "conv 3x3, relu, pool 2, flatten, dense 10";

/// The files of a run, and that its page stands alone.
pub(crate) fn report(home: &Home) -> Result<(), Failed> {
    let run = home.train(&["--model", CONVOLUTIONS, "--plots", "svg", "--tensorboard"]);
    run.exits_with(0)?.prints(&["report run/report.html"])?;
    for file in ["run.json", "report.json", "metrics.jsonl", "model.safetensors"] {
        check(home.path("run").join(file).exists(), format!("no {file}"))?;
    }
    let page = fs::read_to_string(home.path("run/report.html"))?;
    let sections =
        ["loss", "accuracy", "learning-rate", "norms", "confusion", "classes", "calibration", "uncertain", "filters"];
    for figure in sections.into_iter().chain(["augmentation", "layers-1", "layers-3", "kernels"]) {
        check(page.contains(&format!("<figure id=\"{figure}\">")), format!("no figure {figure}"))?;
        check(home.path("run/plots").join(format!("{figure}.svg")).exists(), format!("no file of {figure}"))?;
    }
    for outside in ["<script", "src=\"http", "href=\"http", "url(http"] {
        check(!page.contains(outside), format!("the page holds {outside}"))?;
    }
    let pictures = page.matches("<svg ").count();
    check(page.matches("role=\"img\" aria-label=\"").count() == pictures, "a picture has no alternative text")?;
    check(page.matches("<summary>numbers</summary>").count() == pictures, "a picture has no table")?;

    let report = home.json("run/report.json")?;
    let accuracy = report["evaluation"]["accuracy"].as_f64().unwrap_or(f64::NAN);
    check(page.contains(&format!("{:.2} %", 100.0 * accuracy)), "the page has another accuracy than its data")?;
    let shares = report["kernels"].as_array().into_iter().flatten().filter_map(|kernel| kernel["share"].as_f64());
    check((shares.sum::<f64>() - 1.0).abs() < 1e-9, "the kernels' shares are not one")?;

    let again = home.run(&["report", "run"]);
    again.exits_with(0)?.prints(&["wrote run/report.html"])?;
    check(fs::read_to_string(home.path("run/report.html"))? == page, "the redrawn page differs")?;
    let events = fs::read_dir(home.path("run/tensorboard"))?.count();
    check(events == 1, format!("{events} event files"))
}

/// Accuracy, confusion and loss, recomputed from the saved predictions.
pub(crate) fn predictions(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let evaluation = &home.json("run/report.json")?["evaluation"];
    let table = fs::read_to_string(home.path("run/predictions.csv"))?;
    let (mut images, mut right, mut loss) = (0.0, 0.0, 0.0);
    let mut confusion = vec![vec![0u64; 10]; 10];
    for line in table.lines().skip(1) {
        let cells: Vec<f64> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let (label, prediction, shares) = (cells[1] as usize, cells[2] as usize, &cells[3..]);
        check(shares.iter().all(|&share| share <= shares[prediction]), line)?;
        images += 1.0;
        right += f64::from(u8::from(label == prediction));
        loss -= shares[label].ln();
        confusion[label][prediction] += 1;
    }
    check(images == 50.0 && evaluation["images"] == 50, "not every test image")?;
    check(evaluation["accuracy"].as_f64() == Some(right / images), evaluation.to_string())?;
    let difference = evaluation["loss"].as_f64().unwrap_or(f64::NAN) - loss / images;
    check(difference.abs() < 1e-6, format!("the loss differs by {difference}"))?;
    check(evaluation["confusion"] == serde_json::to_value(&confusion)?, evaluation["confusion"].to_string())?;

    let epochs = fs::read_to_string(home.path("run/epochs.csv"))?;
    check(epochs.lines().count() == 3 && epochs.contains("dense1.weight.grad.norm"), epochs)
}

pub(crate) fn comparison(home: &Home) -> Result<(), Failed> {
    for (seed, out) in [("1", "one"), ("2", "two")] {
        home.train(&["--seed", seed, "--out", out]).exits_with(0)?;
    }
    let words = ["report", "one", "two", "--plots", "png", "--comparison", "both.html"];
    home.run(&words).exits_with(0)?.prints(&["one/report.html", "two/plots", "both.html"])?;
    let page = fs::read_to_string(home.path("both.html"))?;
    check(page.contains("one") && page.contains("two") && page.contains("validation accuracy"), "a run is missing")?;
    check(image::open(home.path("one/plots/loss.png"))?.width() == 1200, "the picture has another size")?;
    let data = home.json("one/run.json")?["data"]["sha256"].as_str().unwrap_or_default()[..8].to_owned();
    check(page.contains(&format!("generated digits ({data})")), "no data set")?;
    check(!page.contains("different data"), "a warning although both have the same data")?;
    home.train(&["--generated-images", "320", "--out", "other"]).exits_with(0)?;
    let run = home.run(&["report", "one", "other", "--comparison", "other.html"]);
    run.exits_with(0)?.says(&["WARNING", "different data", &data])?;
    check(fs::read_to_string(home.path("other.html"))?.contains("different data"), "no warning on the page")?;
    home.run(&["report", "one", "--comparison", "alone.html"]).is_refused(&["--comparison", "several"])?;
    home.run(&["report", "nowhere"]).is_refused(&["nowhere", "train"])?;
    let report = home.json("one/report.json")?;
    let damages: [(&str, Value); 5] = [
        ("/uncertain/0/pixels", "AAAA".into()),
        ("/filters/tile", vec![0, 0].into()),
        ("/evaluation/classes", Value::Array(vec![])),
        ("/evaluation/classes/0/f1", (-1e308).into()),
        ("/epochs/1/norms", Value::Array(vec![])),
    ];
    for (place, value) in damages {
        let mut damaged = report.clone();
        *damaged.pointer_mut(place).ok_or(place)? = value;
        fs::write(home.path("one/report.json"), damaged.to_string())?;
        home.run(&["report", "one"]).is_refused(&["one/report.json", "damaged"])?;
    }
    fs::write(home.path("two/report.json"), "{\"schema\": 99}")?;
    home.run(&["report", "two"]).is_refused(&["two/report.json", "schema 99"])
}

/// One picture drawn in the terminal, a folder as a table, standard input, and unusable pictures among usable ones.
pub(crate) fn predict_forms(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "20", "--generated-images", "2000"]).exits_with(0)?;
    fs::create_dir(home.path("pictures"))?;
    write_picture(&home.path("pictures/a.pgm"), 20, 240)?;
    write_picture(&home.path("pictures/b.pgm"), 250, 10)?;
    fs::write(home.path("pictures/notes.txt"), "no picture")?;
    let one = home.run(&["predict", "run", "pictures/a.pgm", "--device", "cpu"]);
    one.exits_with(0)?.prints(&["█", "pictures/a.pgm: 1"])?;
    let folder = home.run(&["predict", "run", "pictures", "--device", "cpu"]);
    folder.exits_with(0)?.prints(&["pictures/a.pgm", "pictures/b.pgm"])?;
    check(!folder.stdout.contains("notes"), "a text is no picture")?;

    let words = ["predict", "run", "-", "--device", "cpu", "--json", "--show", "read.svg"];
    let mut child = home.command(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let picture = fs::read(home.path("pictures/a.pgm"))?;
    child.stdin.take().ok_or("no standard input")?.write_all(&picture)?;
    let rows: Value = Run::new(&words, child.wait_with_output()?).json()?;
    check(rows[0]["numbers"][0] == "1" && rows[0]["remarks"].as_array().is_some_and(Vec::is_empty), rows.to_string())?;

    check(home.path("read.svg").exists(), "standard input is not drawn")?;

    write_picture(&home.path("pictures/blank.pgm"), 200, 200)?;
    let mixed = home.run(&["predict", "run", "pictures", "--device", "cpu"]);
    mixed.exits_with(2)?.prints(&["pictures/a.pgm"])?.says(&["blank.pgm", "1 of 3 pictures"])?;
    fs::create_dir(home.path("empty"))?;
    home.run(&["predict", "run", "empty"]).is_refused(&["empty", "no picture"])
}

pub(crate) fn shells(home: &Home) -> Result<(), Failed> {
    for (shell, mark) in
        [("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete -c"), ("powershell", "Register")]
    {
        home.run(&["completions", shell]).exits_with(0)?.prints(&[mark, "gpu-digits", "sweep"])?;
    }
    home.run(&["completions", "csh"]).is_refused(&["csh", "bash"])?;
    home.run(&["man", "pages"]).exits_with(0)?.prints(&["wrote pages"])?;
    let page = fs::read_to_string(home.path("pages/gpu-digits-train.1"))?;
    check(page.contains(".TH") && page.contains("tensorboard"), page)
}
