//! `import`, and what the other commands do with its file.

use std::fs;
use std::path::Path;

use libtest_mimic::Failed;

use crate::program::{Home, check};

/// Copies a file of another library into a home.
fn copy(home: &Home, file: &str) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/foreign");
    fs::copy(folder.join(file), home.path(file)).map(drop)
}

/// A model that was imported is scored, reads a picture, and is trained further.
pub(crate) fn imported_models_are_used(home: &Home) -> Result<(), Failed> {
    copy(home, "onnx_digits.onnx")?;
    let model = "conv 4x5 stride 3, relu, avg global, flatten, dense 10";
    let said = home.run(&["import", "onnx_digits.onnx"]);
    said.exits_with(0)?.prints(&[&format!("ONNX: {model} (154 parameters)"), "saved onnx_digits.safetensors"])?;
    said.prints(&["28x28x1 images of 10 classes; of a byte x the model takes (x / 255 - 0) / 1"])?;
    let data = ["--dataset", "generated", "--generated-images", "60", "--device", "cpu"];
    home.run(&[&["eval", "onnx_digits.safetensors"], &data[..]].concat()).exits_with(0)?.prints(&["accuracy"])?;
    let init = ["--init", "onnx_digits.safetensors", "--model", model, "--epochs", "1"];
    home.train(&init).exits_with(0)?;
    home.run(&["eval", "run", "--device", "cpu"]).exits_with(0)?;
    let bytes = fs::read(home.path("onnx_digits.safetensors"))?;
    let text = String::from_utf8_lossy(&bytes);
    check(text.contains("\"source\":\"onnx_digits.onnx (ONNX), SHA-256 ") && !text.contains("\"seed\""), "its source")
}

/// Options say what a file does not.
pub(crate) fn options_of_import(home: &Home) -> Result<(), Failed> {
    copy(home, "torch_sequential.pt")?;
    let model = ["--model", "conv 4x3, relu, pool 2, flatten, dense 10"];
    let import = |more: &[&str]| home.run(&[&["import", "torch_sequential.pt"], &model[..], more].concat());
    let options = ["--image-size", "8x11", "--mean", "0.25", "--deviation", "0.5", "--out", "deep.safetensors"];
    let said = import(&options);
    said.exits_with(0)?.says(&["conv1.weight [4, 1, 3, 3] is `0.weight`"])?;
    said.prints(&["8x11x1 images of 10 classes", "(x / 255 - 0.25) / 0.5", "saved deep.safetensors"])?;
    let quiet = import(&[&options[..], &["--quiet"]].concat());
    check(quiet.stderr.is_empty() && quiet.code == Some(0), quiet.stderr)?;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].join(",");
    import(&["--image-size", "8x11", "--classes", &names]).exits_with(0)?;
    check(fs::read_to_string(home.path("deep.safetensors")).is_err(), "it is no text")?;
    // Without --out nothing is replaced.
    import(&["--image-size", "8x11"]).is_refused(&["torch_sequential.safetensors is there already", "--out"])
}

/// What is wrong with a file, or with the words, is said.
pub(crate) fn wrong_imports(home: &Home) -> Result<(), Failed> {
    copy(home, "torch_old.pt")?;
    copy(home, "onnx_digits.onnx")?;
    let refused = |words: &[&str], said: &[&str]| home.run(&[&["import"], words].concat()).is_refused(said);
    refused(&["torch_old.pt"], &["cannot import torch_old.pt", "PyTorch before 1.6", "torch.save"])?;
    refused(&["nothing.onnx"], &["cannot import nothing.onnx"])?;
    refused(&["."], &["it is a folder"])?;
    refused(&["onnx_digits.onnx", "--model", "mlp"], &["leave --model out"])?;
    refused(&["onnx_digits.onnx", "--image-size", "32x32"], &["it takes images of 28x28x1"])?;
    refused(&["onnx_digits.onnx", "--classes", "a,b"], &["there are 2 names for 10 classes"])?;
    refused(&["onnx_digits.onnx", "--mean", "0.1"], &["--deviation"])?;
    fs::write(home.path("text"), "not a model")?;
    refused(&["text"], &["it is no file of ONNX, Keras, PyTorch or safetensors"])?;
    check(!home.path("onnx_digits.safetensors").exists(), "a file was written")?;
    // The others say where such files are read.
    home.run(&["eval", "onnx_digits.onnx", "--device", "cpu"]).is_refused(&["`gpu-digits import` reads"])
}
