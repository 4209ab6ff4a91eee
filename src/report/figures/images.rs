//! Test images, filters, and what the layers make of images.

use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::super::chart::{SIZE, TEXT, percent, text, title};
use super::super::data::Digit;
use super::super::sheet::Sheet;
use super::{Figure, Table};
use crate::data::IMAGE_SIDE;
use crate::picture::Picture;

/// How often a pixel of a test image is repeated.
const DIGIT_SCALE: u32 = 3;

/// Width and height that a sheet may take.
const SHEET: [u32; 2] = [SIZE.0 - 40, 240];

pub(super) fn gallery(name: &str, caption: &str, digits: &[Digit]) -> Result<Figure> {
    const COLUMNS: usize = 6;
    const CELL: (i32, i32) = (91, 108);
    let rows = digits.len().div_ceil(COLUMNS) as i32;
    let place = |number: usize| (7 + CELL.0 * (number % COLUMNS) as i32, 44 + CELL.1 * (number / COLUMNS) as i32);
    let mut picture = Picture::draw((SIZE.0, (44 + CELL.1 * rows) as u32), |area| {
        title(area, caption)?;
        for (number, digit) in digits.iter().enumerate() {
            let (x, y) = place(number);
            let words = format!("{} → {}, {}", digit.label, digit.prediction, percent(f64::from(digit.probability)));
            area.draw(&Text::new(words, (x + CELL.0 / 2 - 3, y + 96), text(11, &BLACK, HPos::Center, VPos::Center)))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["test image", "label", "prediction", "its probability", "the label's probability"]);
    for (number, digit) in digits.iter().enumerate() {
        picture.embed(&digit.sheet().image(1, false), place(number), DIGIT_SCALE)?;
        let shares = [digit.probability, digit.label_probability].map(|share| percent(f64::from(share)));
        let known = [digit.image.to_string(), digit.label.to_string(), digit.prediction.to_string()];
        table.row(known.into_iter().chain(shares));
    }
    let shown: Vec<String> =
        digits.iter().take(6).map(|digit| format!("a {} taken for {}", digit.label, digit.prediction)).collect();
    let alt = format!("{} test images, {caption}: {}, and so on.", digits.len(), shown.join(", "));
    Ok(Figure { name: name.to_owned(), alt, picture, table })
}

pub(super) fn filter_sheet(filters: &Sheet) -> Result<Figure> {
    let (image, scale) = filters.fit(SHEET, true);
    let most = filters.range[1];
    let caption = format!("{}: blue −{most:.2}, white 0, orange {most:.2}", filters.name);
    let mut picture = Picture::draw((SIZE.0, 54 + image.height() * scale), |area| title(area, &caption))?;
    picture.embed(&image, (20, 42), scale)?;
    let mut table = Table::new(&["filter", "least", "most", "mean"]);
    let area = filters.tile[0] * filters.tile[1];
    for (number, tile) in filters.pixels.chunks(area).enumerate() {
        let value = |byte: u8| f64::from(byte) / 255.0 * f64::from(2.0 * most) - f64::from(most);
        let least = tile.iter().copied().min().map_or(0.0, value);
        let greatest = tile.iter().copied().max().map_or(0.0, value);
        let mean = tile.iter().copied().map(value).sum::<f64>() / area as f64;
        table.row([number.to_string(), format!("{least:.3}"), format!("{greatest:.3}"), format!("{mean:.3}")]);
    }
    let shown = table.rows.len();
    let alt = format!("The first {shown} of {} filters of {}, as images.", filters.tiles, filters.name);
    Ok(Figure { name: "filters".to_owned(), alt, picture, table })
}

pub(super) fn layers(number: usize, digit: &Digit, layers: &[Sheet]) -> Result<Figure> {
    const LEFT: i32 = 20;
    let mut table = Table::new(&["layer", "channels", "size", "least", "most"]);
    let mut places = Vec::new();
    let mut y = 44 + DIGIT_SCALE as i32 * IMAGE_SIDE as i32 + 12;
    let images: Vec<(RgbImage, u32)> = layers.iter().map(|sheet| sheet.fit(SHEET, false)).collect();
    for (sheet, (image, scale)) in layers.iter().zip(&images) {
        places.push(y);
        y += (image.height() * scale) as i32 + 34;
        let [height, width] = sheet.tile;
        table.row([
            sheet.name.clone(),
            sheet.tiles.to_string(),
            format!("{height}x{width}"),
            format!("{:.3}", sheet.range[0]),
            format!("{:.3}", sheet.range[1]),
        ]);
    }
    let caption = format!("test image {}, a {}, on its way through the layers", digit.image, digit.label);
    let mut picture = Picture::draw((SIZE.0, y as u32), |area| {
        title(area, &caption)?;
        for (sheet, &y) in layers.iter().zip(&places) {
            let [height, width] = sheet.tile;
            let tiles = sheet.pixels.len() / (height * width);
            let all = if tiles == sheet.tiles { String::new() } else { format!(" (the first {tiles})") };
            let words = if sheet.tile == [1, 1] {
                format!("{}: {} numbers{all}", sheet.name, sheet.tiles)
            } else {
                format!("{}: {} of {height}x{width}{all}", sheet.name, sheet.tiles)
            };
            area.draw(&Text::new(words, (LEFT, y), text(TEXT, &BLACK, HPos::Left, VPos::Top)))?;
        }
        Ok(())
    })?;
    picture.embed(&digit.sheet().image(1, false), (LEFT, 44), DIGIT_SCALE)?;
    for ((image, scale), y) in images.iter().zip(places) {
        picture.embed(image, (LEFT, y + 19), *scale)?;
    }
    let alt = format!(
        "The outputs of {} layers for a test image of a {}, predicted {}.",
        layers.len(),
        digit.label,
        digit.prediction
    );
    Ok(Figure { name: format!("layers-{}", number + 1), alt, picture, table })
}
