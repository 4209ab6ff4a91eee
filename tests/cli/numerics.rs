//! Numbers that commands read and compute.

use std::fs;

use libtest_mimic::Failed;

use crate::program::{Home, check};

pub(crate) fn unfused(home: &Home) -> Result<(), Failed> {
    let model = "conv 4x3, dropout 0.1, relu, pool 2, flatten, dense 10";
    let run = home.run_without_drivers(&["plan", "--model", model]);
    run.exits_with(0)?.prints(&[
        "one call each:\n  dense1, loss",
        "calls of their own:\n  relu1: `dropout_apply` of dropout1 cannot rectify what it writes",
    ])?;
    home.run_without_drivers(&["plan"]).exits_with(0)?.prints(&["one call each:\n  conv1, relu1, pool1\n"])?;
    let run = home.run_without_drivers(&["plan", "--model", model, "--fuse", "off"]);
    check(!run.exits_with(0)?.stdout.contains("calls of their own"), "nothing was to be fused")
}

pub(crate) fn beyond_single_precision(home: &Home) -> Result<(), Failed> {
    for (option, number) in [
        ("--lr", "1e-46"),
        ("--lr", "1e-40"),
        ("--lr", "1e39"),
        ("--weight-decay", "1e-46"),
        ("--weight-decay", "1e39"),
    ] {
        home.train(&[option, number]).is_refused(&[option, "must fit single precision: from 1.1754944e-38 to"])?;
    }
    let sgd = ["--optimizer", "sgd", "--momentum"];
    home.train(&[&sgd[..], &["1e-46"]].concat()).is_refused(&["--momentum", "single precision"])?;
    // In single precision it is 1.
    home.train(&[&sgd[..], &["0.9999999999"]].concat()).is_refused(&["--momentum", "below 1"])?;
    home.train(&[&sgd[..], &["0", "--weight-decay", "0", "--lr", "1e-3"]].concat()).exits_with(0)?;
    Ok(())
}

pub(crate) fn target(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    // Of 50 test images the share has one decimal at most.
    let reached =
        format!("{:.1}", 100.0 * home.json("run/run.json")?["result"]["test_accuracy"].as_f64().unwrap_or(2.0));
    home.train(&["--target-accuracy", &reached, "--out", "reached"]).exits_with(0)?;
    let missed = format!("{reached}1");
    let run = home.train(&["--target-accuracy", &missed, "--out", "missed"]);
    run.exits_with(1)?.says(&[&format!("of 50 test images are right, below the target of {missed} %")])?;
    Ok(())
}

pub(crate) fn too_high_a_rate(home: &Home) -> Result<(), Failed> {
    let run = home.train(&["--lr", "1000"]);
    run.exits_with(0)?.says(&[
        "warning: the test loss",
        "above that of guessing, 2.3026",
        "try a smaller --lr than 1000",
    ])?;
    let run = home.train(&["--out", "fine"]);
    check(!run.exits_with(0)?.stderr.contains("warning"), "a run that learns is warned of")
}

const MODEL: &str = "conv 4x3, relu, pool 2, flatten, dense 10";

/// Multiplies all weights of a saved model.
fn scale(home: &Home, model: &str, factor: f32) -> Result<(), Failed> {
    let path = home.path(model);
    let mut bytes = fs::read(&path)?;
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into()?) as usize;
    for word in bytes[header..].as_chunks_mut::<4>().0 {
        *word = (f32::from_le_bytes(*word) * factor).to_le_bytes();
    }
    Ok(fs::write(path, bytes)?)
}

pub(crate) fn overflow(home: &Home, device: &str) -> Result<(), Failed> {
    home.train(&["--model", MODEL]).exits_with(0)?;
    scale(home, "run/model.safetensors", 1e20)?;
    let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/1-thick.jpg");
    let data = ["--dataset", "generated", "--generated-images", "300"];
    let commands = [&["eval", "run"][..], &["predict", "run", photo]];
    let data_of = |words: &[&str]| if words[0] == "eval" { &data[..] } else { &[] };
    for words in commands {
        for device in [device, "cpu"] {
            let run = home.run(&[words, data_of(words), &["--device", device]].concat());
            run.is_refused(&["the model overflows", "`dense1.output`", "--lr"])?;
        }
    }
    // Logits of 1e25 are steep, and all right.
    scale(home, "run/model.safetensors", 1e-8)?;
    for words in commands {
        let run = home.run(&[words, data_of(words), &["--device", device]].concat());
        let has_nan = run.exits_with(0)?.stdout.to_lowercase().contains("nan");
        check(!has_nan, "a number is none")?;
    }
    Ok(())
}

pub(crate) fn overflow_in_training(home: &Home, device: &str) -> Result<(), Failed> {
    for device in [device, "cpu"] {
        let sgd = ["--optimizer", "sgd", "--lr", "1e15", "--device", device, "--out", device];
        let run = home.train(&[&sgd[..], &["--model", MODEL]].concat());
        run.exits_with(2)?.says(&["training diverged", "`", "try a smaller --lr"])?;
        let names_tensor = run.stderr.contains("`conv1.") || run.stderr.contains("`dense1.");
        check(names_tensor, format!("no tensor is named: {}", run.stderr))?;
        check(!home.path(device).join("model.safetensors").exists(), "a model was saved")?;
    }
    Ok(())
}

/// IDX files of images that differ, with these labels.
fn write_set(home: &Home, images: &str, labels: &str, digits: &[u8]) -> Result<(), Failed> {
    let count = (digits.len() as u32).to_be_bytes();
    let pixel = |image: usize, pixel: usize| {
        if pixel % 28 < 3 + 2 * usize::from(digits[image]) { 200 } else { (image % 50) as u8 }
    };
    let pixels = (0..digits.len()).flat_map(|image| (0..784).map(move |at| pixel(image, at)));
    let header = [&[0, 0, 8, 3][..], &count, &[0, 0, 0, 28, 0, 0, 0, 28]].concat();
    fs::write(home.path(images), header.into_iter().chain(pixels).collect::<Vec<u8>>())?;
    Ok(fs::write(home.path(labels), [&[0, 0, 8, 1][..], &count, digits].concat())?)
}

pub(crate) fn missing_digit(home: &Home) -> Result<(), Failed> {
    fs::create_dir(home.path("digits"))?;
    let all: Vec<u8> = (0..200).map(|image| image % 10).collect();
    let without_five: Vec<u8> = all.iter().copied().filter(|&digit| digit != 5).collect();
    write_set(home, "digits/train-images-idx3-ubyte", "digits/train-labels-idx1-ubyte", &all)?;
    write_set(home, "digits/t10k-images-idx3-ubyte", "digits/t10k-labels-idx1-ubyte", &without_five)?;
    let words = ["train", "--device", "cpu", "--data", "digits", "--model", "flatten, dense 10", "--out", "run"];
    let run = home.run(&[&words[..], &["--batch-size", "20", "--validation", "20"]].concat());
    run.exits_with(0)?.says(&["warning: the test set has no image of the digit 5"])?;
    let eval = ["eval", "run", "--device", "cpu", "--data", "digits"];
    let run = home.run(&eval);
    let five = run.exits_with(0)?.stdout.lines().find(|line| line.trim_start().starts_with("5 "));
    let cells: Vec<&str> = five.unwrap_or_default().split_whitespace().collect();
    check(cells == ["5", "–", "–", "–", "0"], format!("the row of the five is {cells:?}"))?;
    let scores = home.run(&[&eval[..], &["--json"]].concat()).json()?["classes"][5].clone();
    check(scores["f1"].is_null() && scores["recall"].is_null() && scores["support"] == 0, format!("{scores}"))?;
    home.run(&["report", "run"]).exits_with(0)?;
    Ok(())
}

/// A model that learned what it was given is not told that it diverged.
pub(crate) fn unlike_test_images(home: &Home) -> Result<(), Failed> {
    fs::create_dir(home.path("digits"))?;
    let all: Vec<u8> = (0..200).map(|image| image % 10).collect();
    write_set(home, "digits/train-images-idx3-ubyte", "digits/train-labels-idx1-ubyte", &[3; 200])?;
    write_set(home, "digits/t10k-images-idx3-ubyte", "digits/t10k-labels-idx1-ubyte", &all)?;
    let words = ["train", "--device", "cpu", "--data", "digits", "--model", "flatten, dense 10", "--out", "run"];
    let run = home.run(&words);
    run.exits_with(0)?
        .says(&["the training set has no image of the digits 0, 1, 2, 4", "the test images are unlike"])?;
    check(!run.stderr.contains("diverged"), run.stderr.clone())
}

pub(crate) fn misspelt(home: &Home) -> Result<(), Failed> {
    home.run(&["verify", "conv2d_foward"]).is_refused(&["did you mean `conv2d_forward`?"])?;
    home.run(&["verify", "conv3*"]).is_refused(&["there is no op or case `conv3*`", "conv2d_forward"])?;
    home.run(&["plan", "--model", "convnt"]).is_refused(&["did you mean `convnet`?"])?;
    home.run(&["plan", "--model", "flaten, dense 10"]).is_refused(&["`flaten`", "did you mean `flatten`?"])?;
    home.run(&["verify", "--model", "flatten, dens 10"]).is_refused(&["did you mean `dense`?"])?;
    home.run(&["plan", "--model", "Conv 4×3, ReLU, Pool 2, Flatten, Dense 10,"])
        .exits_with(0)?
        .prints(&["conv 4x3, relu"])?;
    Ok(())
}

pub(crate) fn verify_model(home: &Home, device: &str) -> Result<(), Failed> {
    let model = "conv 6x3, relu, pool 3, flatten, dense 10";
    let words = ["verify", "--model", model, "--device", device, "--json", "checks.json", "--junit", "checks.xml"];
    let run = home.run(&words);
    run.exits_with(0)?.prints(&["\nlockstep  ", "\nlarge_weights  ", "checks passed, 0 failed", "on 1 adapter in"])?;
    let long = run.stdout.lines().find(|line| line.chars().count() > 80);
    check(long.is_none(), format!("longer than 80 columns: {long:?}"))?;
    let adapter = home.json("checks.json")?["adapters"][0].clone();
    check(adapter["adapter"]["index"].as_u64() == device.parse().ok(), "the adapter's number is not in the JSON")?;
    let labels: Vec<String> =
        adapter["checks"].as_array().into_iter().flatten().map(|check| check["label"].to_string()).collect();
    let has = |part: &str| labels.iter().any(|label| label.contains(part));
    check(has(&format!("lockstep:model={model},fuse=on,precision=f16")), format!("{labels:?}"))?;
    check(has("out_channels=6") && !has("in_channels=65"), "other cases than the model's")?;
    check(
        fs::read_to_string(home.path("checks.xml"))?.contains(&format!("device {device}: ")),
        "a suite has no number",
    )?;
    let run = home.run(&["verify", "relu_f*", "--device", device]);
    check(!run.exits_with(0)?.stdout.contains("relu_backward"), "more than the pattern names was checked")?;
    run.prints(&["\nrelu_forward  "])?;
    Ok(())
}
