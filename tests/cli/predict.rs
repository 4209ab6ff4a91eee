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
    run.exits_with(0)?.prints(&["image", "number", "next", "dark.pgm", "light.pgm"])?;
    let rows = home.run(&["predict", "run", "dark.pgm", "light.pgm", "--device", "cpu", "--json"]).json()?;
    check(rows.as_array().map_or(0, Vec::len) == 2, rows.to_string())?;
    for row in rows.as_array().into_iter().flatten() {
        let digit = &row["rows"][0][0];
        let shares: Vec<f64> =
            digit["probabilities"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        check(shares.len() == 10 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, row.to_string())?;
        check(digit["digit"] == 1 && row["numbers"][0] == "1", format!("a vertical stroke is taken for {row}"))?;
        let frame: Vec<f64> = digit["frame"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let is_near = |(side, wanted): (&f64, f64)| (side - wanted).abs() <= 2.0;
        check(frame.len() == 4 && frame.iter().zip([26.0, 10.0, 34.0, 70.0]).all(is_near), format!("{frame:?}"))?;
    }
    check(rows[0]["ink"] == "dark" && rows[1]["ink"] == "light", rows.to_string())?;
    Ok(())
}

/// Models that other programs made with the library.
pub(crate) fn models_of_other_images(home: &Home) -> Result<(), Failed> {
    let names = ["cat", "dog", "eel", "fox"].map(str::to_owned).to_vec();
    let task = Task::new(ImageShape { height: 8, width: 8, channels: 3 }, 4)?.named(names)?;
    let model = Model::parse(task, "flatten, dense 4", &[])?;
    let origin = Origin { seed: 0, data: None };
    weights::save(&home.path("coloured.safetensors"), &model, &model.initial_parameters(0), origin)?;
    write_picture(&home.path("dark.pgm"), 20, 240)?;
    let predict = ["predict", "coloured.safetensors", "dark.pgm", "--device", "cpu"];
    let found = home.run(&predict);
    let name = |text: &str| ["cat", "dog", "eel", "fox"].into_iter().find(|name| text.starts_with(name));
    let class = found.stdout.strip_prefix("dark.pgm: ").and_then(name).ok_or("no class is named")?.to_owned();
    found.exits_with(0)?.prints(&["cat", "dog", "eel", "fox"])?;
    let several = home.run(&[&predict[..], &["dark.pgm", "--csv", "classes.csv"]].concat());
    several.exits_with(0)?.prints(&["image", "next", &class])?;
    let table = fs::read_to_string(home.path("classes.csv"))?;
    check(table.starts_with(&format!("image,class,probability,cat,dog,eel,fox\ndark.pgm,{class},")), &table)?;
    let viewed = home.run(&[&predict[..], &["--views", "5", "--json"]].concat());
    viewed.exits_with(0)?.says(&["each picture is read by 5 views of it"])?;
    let (viewed, plain) = (viewed.json()?, home.run(&[&predict[..], &["--json"]].concat()).json()?);
    check(viewed[0]["views"] == 5 && plain[0]["views"] == 1, viewed.to_string())?;
    home.run(&[&predict[..], &["--one"]].concat()).is_refused(&["--one are for models of digits"])?;
    home.run(&[&predict[..], &["--min-confidence", "0.999"]].concat()).exits_with(1)?;
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
    predict("text.png").is_refused(&["text.png", "PNG, JPEG, PNM"])?;
    write_picture(&home.path("blank.pgm"), 200, 200)?;
    predict("blank.pgm").is_refused(&["blank.pgm", "no digit"])
}

/// A picture of thick vertical strokes beside each other, as a PGM file.
fn write_strokes(path: &Path, count: usize) -> std::io::Result<()> {
    let width = 60 * count;
    let is_ink = |i: usize| (26..34).contains(&(i % width % 60)) && (10..70).contains(&(i / width));
    let pixels: Vec<u8> = (0..width * 80).map(|i| if is_ink(i) { 20 } else { 240 }).collect();
    fs::write(path, [format!("P5 {width} 80 255\n").as_bytes(), &pixels].concat())
}

/// Numbers, their tables and pictures, and what is asked of their certainty.
pub(crate) fn numbers(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "20", "--generated-images", "2000"]).exits_with(0)?;
    write_strokes(&home.path("three.pgm"), 3)?;
    let predict = |more: &[&str]| home.run(&[&["predict", "run", "three.pgm", "--device", "cpu"], more].concat());
    predict(&[]).exits_with(0)?.prints(&["row", "width", "three.pgm: 111"])?;
    let csv = predict(&["--csv", "-"]);
    check(csv.exits_with(0)?.stdout.lines().count() == 4, csv.stdout.clone())?;
    csv.prints(&["image,row,place,digit,probability,left", "three.pgm,1,3,1,"])?;
    predict(&["--show", "read.png", "--stages", "stages"]).exits_with(0)?;
    let shown = fs::read(home.path("read.png"))?;
    check(shown.starts_with(b"\x89PNG"), "no PNG")?;
    for stage in ["1-picture.png", "2-contrast.png", "3-ink.png", "4-handwriting.png"] {
        check(home.path("stages").join(stage).exists(), format!("there is no {stage}"))?;
    }
    // Where nothing is found, the stages show why.
    fs::write(home.path("none.pgm"), [&b"P5 60 80 255\n"[..], &[240; 60 * 80]].concat())?;
    home.run(&["predict", "run", "none.pgm", "--stages", "none"]).is_refused(&["it shows no digit"])?;
    check(home.path("none/4-handwriting.png").exists(), "the last stage of an empty picture is missing")?;
    let one = predict(&["--one", "--json"]).json()?;
    check(one[0]["rows"][0].as_array().map_or(0, Vec::len) == 1, one.to_string())?;
    predict(&["--min-confidence", "0.1"]).exits_with(0)?;
    predict(&["--min-confidence", "0.9999999"]).exits_with(1)?.says(&["1 of 1 pictures", "--min-confidence"])?;
    home.run(&["predict", "run", "three.pgm", "three.pgm", "--show", "a.png"]).is_refused(&["--show", "give one"])
}

/// Folders in folders, hidden files, and files that are no pictures.
pub(crate) fn folders(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    fs::create_dir_all(home.path("forms/inner/.hidden"))?;
    for name in ["forms/.a.pgm", "forms/inner/b.pgm", "forms/inner/.hidden/c.pgm"] {
        write_picture(&home.path(name), 20, 240)?;
    }
    fs::write(home.path("forms/notes.txt"), "no picture")?;
    let predict = |more: &[&str]| home.run(&[&["predict", "run", "forms", "--device", "cpu"], more].concat());
    predict(&[]).is_refused(&["the folder forms holds no picture", "--recursive"])?;
    let found = predict(&["--recursive", "--json"]);
    found.says(&["1 file in these folders is no picture"])?;
    let rows = found.json()?;
    check(rows.as_array().map_or(0, Vec::len) == 1 && rows[0]["image"] == "forms/inner/b.pgm", rows.to_string())
}
