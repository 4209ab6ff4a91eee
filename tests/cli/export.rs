//! `gpu-digits export`. `tests/exchange` checks what the files compute.

use std::fs;

use libtest_mimic::Failed;

use crate::program::{Home, check};

/// Each format, beside the model, under another name and on standard output.
pub(crate) fn formats(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    for (format, beginning) in
        [("onnx", "\u{8}\u{8}\u{12}\u{a}gpu-digits"), ("c", "/*\n"), ("json", "{\"classes\":[\"0\",")]
    {
        let file = format!("run/model.{format}");
        home.run(&["export", "run", "--format", format]).exits_with(0)?.prints(&[&format!("saved {file}")])?;
        let text = fs::read(home.path(&file))?;
        check(text.starts_with(beginning.as_bytes()), format!("{file} begins otherwise"))?;
        let words = ["export", "run/model.safetensors", "--format", format, "--out", "other"];
        home.run(&words).exits_with(0)?.prints(&["saved other"])?;
        // A C file's functions have its name.
        let is_same = fs::read(home.path("other"))? == text;
        check(is_same == (format != "c"), format!("{format} is another file under another name"))?;
    }
    let network = home.run(&["export", "run", "--format", "json", "--out", "-"]).json()?;
    check(network["steps"][1]["weight"]["shape"] == serde_json::json!([10, 784]), network.to_string())?;
    home.run(&["export", "run", "--format", "c", "--out", "7 digits!.c"]).exits_with(0)?;
    let text = fs::read_to_string(home.path("7 digits!.c"))?;
    check(text.contains("void model7_digits__probabilities("), "the name is not one of C's")
}

/// Ranges and accuracy are measured on what the run held out, or on test images.
pub(crate) fn int8(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "20"]).exits_with(0)?;
    let run = home.run(&["export", "run", "--format", "c", "--int8"]);
    run.exits_with(0)?.prints(&["% of 40 validation images", "read alike", "saved run/model.c"])?;
    let text = fs::read_to_string(home.path("run/model.c"))?;
    check(
        text.contains("of 40 validation images are read rightly") && text.contains("int8_t dense1_weight"),
        &text[..900],
    )?;
    fs::copy(home.path("run/model.safetensors"), home.path("alone.safetensors"))?;
    let alone = home.run(&["export", "alone.safetensors", "--format", "c", "--int8", "--out", "-"]);
    alone.exits_with(0)?.prints(&["of 50 test images are read rightly"])?.says(&["% of 50 test images"])?;
    let other = ["--dataset", "generated", "--generated-images", "60"];
    let other = home.run(&[&["export", "run", "--format", "c", "--int8"][..], &other].concat());
    other.exits_with(0)?.prints(&["% of 10 test images"])?.says(&["trained on another data set"])?;
    Ok(())
}

pub(crate) fn refusals(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    home.run(&["export", "run"]).is_refused(&["--format"])?;
    home.run(&["export", "run", "--format", "tflite"]).is_refused(&["onnx", "json"])?;
    let export = |more: &[&str]| home.run(&[&["export", "run", "--format"][..], more].concat());
    export(&["onnx", "--int8"]).is_refused(&["--int8", "are for --format c only"])?;
    export(&["c", "--dataset", "generated"]).is_refused(&["are for --format c only", "--format c --int8"])?;
    export(&["json", "--out", "nowhere/model.json"]).is_refused(&["cannot write", "nowhere/model.json"])?;
    home.run(&["export", "nowhere", "--format", "onnx"]).is_refused(&["cannot read the model nowhere"])
}
