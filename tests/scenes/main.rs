//! Pictures of handwritten digits as phones and scanners see them, in scenes that are hard in different ways.
//!
//! They are drawn from a seed, so that anybody can draw them again. They are not part of the default suite:
//!
//! ```text
//! cargo test --release --test scenes -- score RUN --at-least 0.9          # how many a model reads rightly
//! cargo test --release --test scenes -- write DIR                         # 10 pictures of each scene
//! cargo test --release --test scenes -- write DIR --count 100 --seed 7 --scene chalk
//! MNIST_DIR=~/mnist cargo test --release --test scenes -- write DIR       # scenes with MNIST's test digits too
//! cargo test --release --test scenes -- hands hands.png                   # each digit of each hand
//! ```
//!
//! A file is named after its scene, its index and its digits, such as `two-lines/3-41_592.png`: `_` separates lines,
//! and `none` stands for no digit.

mod desks;
mod forms;
mod geometry;
mod grounds;
mod hands;
mod inks;
mod layouts;
mod lights;
mod marks;
mod mnist;
mod noise;
mod scenes;
mod score;
mod shot;
mod strokes;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use layouts::specimen;
use scenes::{Scene, scenes};
use shot::{Glyph, Picture};

const USAGE: &str = "usage: scenes score RUN or scenes write DIR, both with [--count N] [--seed S] [--scene NAME], \
     score with [--at-least SHARE]; or scenes hands FILE";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for.
fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, path, options @ ..] = &words[..] else { bail!(USAGE) };
    match mode.as_str() {
        "write" => write_scenes(Path::new(path), &Chosen::of(options)?),
        "score" => score::score(Path::new(path), &Chosen::of(options)?),
        "hands" => specimen().image.save(path).with_context(|| format!("cannot write {path}")),
        _ => bail!("{mode} is no mode; {USAGE}"),
    }
}

/// What the options choose.
struct Chosen {
    count: u64,
    seed: u64,
    scenes: Vec<&'static Scene>,
    /// The share of all pictures that must be read rightly.
    at_least: f64,
}

impl Chosen {
    fn of(options: &[String]) -> Result<Self> {
        let (mut count, mut seed, mut at_least, mut only) = (10, 1, 0.0, None);
        for option in options.chunks(2) {
            let [name, value] = option else { bail!("{} needs a value; {USAGE}", option[0]) };
            match name.as_str() {
                "--count" => count = value.parse().with_context(|| format!("--count {value}"))?,
                "--seed" => seed = value.parse().with_context(|| format!("--seed {value}"))?,
                "--at-least" => at_least = value.parse().with_context(|| format!("--at-least {value}"))?,
                "--scene" => only = Some(value),
                _ => bail!("{name} is no option; {USAGE}"),
            }
        }
        let chosen = scenes().iter().filter(|scene| only.is_none_or(|name| name == scene.name)).collect::<Vec<_>>();
        let names: Vec<&str> = scenes().iter().map(|scene| scene.name).collect();
        ensure!(!chosen.is_empty(), "no such scene; there are {}", names.join(", "));
        Ok(Self { count, seed, scenes: chosen, at_least })
    }
}

/// Writes pictures of each scene into a folder.
fn write_scenes(folder: &Path, chosen: &Chosen) -> Result<()> {
    for scene in &chosen.scenes {
        let folder = folder.join(scene.name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for index in 0..chosen.count {
            write(&scene.picture(chosen.seed, index), index, &folder)?;
        }
        println!("{}", scene.name);
    }
    Ok(())
}

/// Writes one picture into the folder of its scene.
fn write(picture: &Picture, index: u64, folder: &Path) -> Result<()> {
    let ending = if picture.jpeg.is_some() { "jpg" } else { "png" };
    let path = folder.join(format!("{index}-{}.{ending}", digits(&picture.truth)));
    let written = match &picture.jpeg {
        Some(bytes) => fs::write(&path, bytes).map_err(anyhow::Error::from),
        None => picture.image.save(&path).map_err(anyhow::Error::from),
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The digits of a picture as in the name of its file.
fn digits(truth: &[Vec<Glyph>]) -> String {
    let line = |line: &Vec<Glyph>| line.iter().map(|glyph| char::from(b'0' + glyph.digit)).collect::<String>();
    let lines: Vec<String> = truth.iter().map(line).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("_") }
}
