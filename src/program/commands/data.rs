//! `gpu-digits data`.

use std::collections::HashMap;

use anyhow::Result;
use image::{Rgb, RgbImage};

use super::open::load_data;
use super::{Verdict, print_table, table, thousands};
use crate::data::{Dataset, ImageShape, Samples, Summary};
use crate::numbers::fixed;
use crate::picture::Picture;
use crate::picture::text::{self, Style};
use crate::program::cli::{DataArgs, DataSetArgs};
use crate::program::files::on_stdout;
use crate::program::picture_file::write_picture;

/// The images whose numbers are printed.
const FIRST: usize = 8;

/// Images of a class on the sheet, and the most classes on it.
const COLUMNS: usize = 12;
const MOST_ROWS: usize = 100;

/// Sizes of the sheet: its width, its margin, and the most room for the names of classes.
const WIDTH: f64 = 620.0;
const EDGE: f64 = 8.0;
const WIDEST_NAME: f64 = 130.0;
const TEXT: f64 = 12.0;

pub(super) fn run(args: DataSetArgs) -> Result<Verdict> {
    let data = DataArgs { data: args.path.or(args.data.data.clone()), ..args.data };
    let dataset = load_data(&data)?;
    let summary = Summary::of(&dataset);
    if let Some(output) = &args.sheet {
        write_picture(&sheet(&dataset)?, output)?;
        note!("wrote {output}");
    }
    if let Some(output) = &args.results.json {
        output.write_json(&summary)?;
    }
    if !on_stdout([&args.results.json, &args.sheet]) {
        print(&summary);
    }
    Ok(Verdict::Passed)
}

fn print(summary: &Summary) {
    let Summary { train_images, test_images, image, classes, .. } = summary;
    let (train, test) = (thousands(*train_images), thousands(*test_images));
    out!("{}: {train} training and {test} test images of {image}, {} classes\n", summary.name, classes.len());
    let mut counts = table(&["class", "training", "test"], 1);
    for class in classes {
        counts.add_row([class.name.clone(), class.train.to_string(), class.test.to_string()]);
    }
    print_table(&counts);
    out!("");
    let names = ["red", "green", "blue"];
    for (number, [mean, deviation]) in summary.channels.iter().enumerate() {
        let of = if summary.channels.len() == 3 { names[number].to_owned() + ": " } else { String::new() };
        out!("pixels, from 0 to 1: {of}mean {}, standard deviation {}", fixed(*mean, 4), fixed(*deviation, 4));
    }
    out!("nearly empty pictures: {}", listed(&summary.nearly_empty));
    let groups = |groups: &[Vec<usize>]| {
        let images: Vec<usize> = groups.iter().flatten().copied().collect();
        let in_groups =
            if groups.is_empty() { String::new() } else { format!(" in {} groups", thousands(groups.len())) };
        format!("{}{in_groups}", listed(&images))
    };
    out!("identical pictures: {}", groups(&summary.identical));
    out!("identical pictures with several labels: {}", groups(&summary.contradictory));
    out!("test images that are training images too: {}", thousands(summary.test_images_trained_on));
}

/// How many images, and the first of them.
fn listed(images: &[usize]) -> String {
    if images.is_empty() {
        return "0".to_owned();
    }
    let first: Vec<String> = images.iter().take(FIRST).map(usize::to_string).collect();
    let more = if images.len() > FIRST { ", ..." } else { "" };
    format!("{} (image {}{more})", thousands(images.len()), first.join(", "))
}

/// The first training images of each class, a row each.
fn sheet(dataset: &Dataset) -> Result<Picture> {
    let Dataset { task, train, .. } = dataset;
    let mut of_class: HashMap<u16, Vec<usize>> = HashMap::new();
    for (image, &label) in train.labels.iter().enumerate() {
        let images = of_class.entry(label).or_default();
        if images.len() < COLUMNS {
            images.push(image);
        }
    }
    let rows = task.classes().min(MOST_ROWS);
    let names: Vec<String> =
        (0..rows).map(|class| text::shortened(&task.class_name(class), TEXT, WIDEST_NAME)).collect();
    let left = 2.0 * EDGE + names.iter().map(|name| text::width(name, TEXT)).fold(0.0, f64::max);
    let ImageShape { height, width, .. } = task.image();
    let scale = (WIDTH - left - EDGE) / (COLUMNS * (width + 1)) as f64;
    let row_height = (height + 1) as f64 * scale;
    let mut picture = Picture::new(WIDTH);
    for (class, name) in names.iter().enumerate() {
        let top = EDGE + row_height * class as f64;
        picture.text((left - EDGE, top + row_height / 2.0), Style::new(TEXT).to_the_left(), name);
        let images = of_class.get(&(class as u16)).map_or(&[][..], Vec::as_slice);
        picture.embed(&row(train, task.image(), images), (left, top), scale)?;
    }
    picture.reach(EDGE + row_height * rows as f64 + EDGE / 2.0);
    Ok(picture)
}

/// Some images side by side on white, a pixel apart. Of two channels the first is shown, of more than three the first three.
fn row(samples: &Samples, shape: ImageShape, images: &[usize]) -> RgbImage {
    let ImageShape { height, width, channels } = shape;
    RgbImage::from_fn((COLUMNS * (width + 1)) as u32, height as u32, |x, y| {
        let (column, x) = (x as usize / (width + 1), x as usize % (width + 1));
        let Some(&image) = images.get(column).filter(|_| x < width) else { return Rgb([255; 3]) };
        let pixel = &samples.images[image * shape.bytes() + (y as usize * width + x) * channels..][..channels];
        Rgb(if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] })
    })
}
