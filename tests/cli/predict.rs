//! `gpu-digits predict`.

use std::fs;
use std::path::Path;

use gpu_digits::Model;
use gpu_digits::data::{ImageShape, Task};
use gpu_digits::weights::{self, Origin};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, check};

/// A picture of a thick vertical stroke, as a PGM file.
pub(crate) fn write_picture(path: &Path, ink: u8, paper: u8) -> std::io::Result<()> {
    let pixel = |i: usize| if (26..34).contains(&(i % 60)) && (10..70).contains(&(i / 60)) { ink } else { paper };
    let pixels: Vec<u8> = (0..60 * 80).map(pixel).collect();
    fs::write(path, [b"P5 60 80 255\n", &pixels[..]].concat())
}

pub(crate) fn predict(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "20", "--generated-images", "2000"]).exits_with(0)?;
    write_picture(&home.path("dark.pgm"), 20, 240)?;
    write_picture(&home.path("light.pgm"), 250, 10)?;
    let run = home.run(&["predict", "run", "dark.pgm", "light.pgm", "--device", "cpu"]);
    run.exits_with(0)?.prints(&["image", "digit", "next", "dark.pgm", "light.pgm"])?;
    let rows = home.run(&["predict", "run", "dark.pgm", "light.pgm", "--device", "cpu", "--json"]).json()?;
    check(rows.as_array().map_or(0, Vec::len) == 2, rows.to_string())?;
    for row in rows.as_array().into_iter().flatten() {
        let shares: Vec<f64> =
            row["probabilities"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        check(shares.len() == 10 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, row.to_string())?;
        check(row["digit"] == 1, format!("a vertical stroke is taken for {row}"))?;
    }
    Ok(())
}

/// Models that other programs made with the library.
pub(crate) fn models_of_other_images(home: &Home) -> Result<(), Failed> {
    let task = Task::new(ImageShape { height: 8, width: 8, channels: 3 }, 4)?;
    let model = Model::parse(task, "flatten, dense 4", &[])?;
    let origin = Origin { seed: 0, data: None };
    weights::save(&home.path("coloured.safetensors"), &model, &model.initial_parameters(0), origin)?;
    write_picture(&home.path("dark.pgm"), 20, 240)?;
    let found = ["coloured.safetensors is a model for 8x8x3 images of 4 classes", "28x28x1 images of 10 classes"];
    home.run(&["predict", "coloured.safetensors", "dark.pgm", "--device", "cpu"]).is_refused(&found)?;
    let mismatch = "made for 8x8x3 images of 4 classes, but the data are 28x28x1 images of 10 classes";
    home.run(&["eval", "coloured.safetensors", "--generated-images", "60"]).is_refused(&[mismatch])?;
    let train = ["train", "--init", "coloured.safetensors", "--dataset", "generated", "--device", "cpu"];
    home.run(&train).is_refused(&["cannot go on from coloured.safetensors", mismatch])
}

pub(crate) fn wrong_pictures(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let predict = |picture: &str| home.run(&["predict", "run", picture, "--device", "cpu"]);
    home.run(&["predict", "run", "--json", "a.png", "b.png"]).is_refused(&["--json a.png", "--json -"])?;
    predict("nowhere.png").is_refused(&["cannot read the picture nowhere.png"])?;
    fs::write(home.path("text.png"), "no picture")?;
    predict("text.png").is_refused(&["text.png", "PNG, JPEG or PGM"])?;
    write_picture(&home.path("blank.pgm"), 200, 200)?;
    predict("blank.pgm").is_refused(&["blank.pgm", "blank"])
}
