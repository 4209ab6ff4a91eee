//! Test images, filters, and the layers' outputs for images.

use anyhow::Result;

use super::super::chart::{EDGE, TEXT, WIDTH, caption};
use super::super::data::Digit;
use super::super::sheet::Sheet;
use super::{Figure, Table};
use crate::data::IMAGE_SIDE;
use crate::program::numbers::{percent, significant};
use crate::program::picture::Picture;
use crate::program::picture::text::Style;

/// The scale of a test image: how often a pixel is repeated.
const DIGIT_SCALE: f64 = 3.0;

/// The largest width and height of a sheet.
const SHEET: [f64; 2] = [WIDTH - 2.0 * EDGE, 240.0];

pub(super) fn gallery(name: &str, words: &str, digits: &[Digit]) -> Result<Figure> {
    const COLUMNS: usize = 4;
    const CELL: (f64, f64) = (WIDTH / COLUMNS as f64, 128.0);
    const SIDE: f64 = DIGIT_SCALE * IMAGE_SIDE as f64;
    let mut picture = Picture::new(WIDTH);
    let top = caption(&mut picture, words) - 6.0;
    let mut table =
        Table::new(&["test image", "label", "prediction", "its probability, %", "the label's probability, %"]);
    for (number, digit) in digits.iter().enumerate() {
        let (x, y) = (CELL.0 * (number % COLUMNS) as f64, top + CELL.1 * (number / COLUMNS) as f64);
        picture.embed(&digit.sheet().image(1, false), (x + (CELL.0 - SIDE) / 2.0, y), DIGIT_SCALE)?;
        let [probability, of_label] =
            [digit.probability, digit.label_probability].map(|share| percent(f64::from(share)));
        let words = [format!("{} → {}", digit.label, digit.prediction), format!("{probability} %")];
        for (line, words) in words.iter().enumerate() {
            let place = (x + CELL.0 / 2.0, y + SIDE + 10.0 + 16.0 * line as f64);
            picture.text(place, Style::new(TEXT).centered(), words);
        }
        let known = [digit.image.to_string(), digit.label.to_string(), digit.prediction.to_string()];
        table.row(known.into_iter().chain([probability, of_label]));
    }
    let shown: Vec<String> =
        digits.iter().take(6).map(|digit| format!("a {} taken for {}", digit.label, digit.prediction)).collect();
    let alt = format!("{} test images, {words}: {}, and so on.", digits.len(), shown.join(", "));
    Ok(Figure { name: name.to_owned(), alt, picture, table })
}

pub(super) fn filter_sheet(filters: &Sheet) -> Result<Figure> {
    let (image, scale) = filters.fit(SHEET, true);
    let most = f64::from(filters.range[1]);
    let range = significant(most, 3);
    let mut picture = Picture::new(WIDTH);
    let top = caption(&mut picture, &format!("{}: blue −{range}, white 0, orange {range}", filters.name));
    picture.embed(&image, (EDGE, top - 4.0), scale)?;
    picture.reach(picture.height() + 6.0);
    let mut table = Table::new(&["filter", "least", "most", "mean"]);
    let area = filters.tile[0] * filters.tile[1];
    for (number, tile) in filters.pixels.chunks(area).enumerate() {
        let value = |byte: u8| f64::from(byte) / 255.0 * 2.0 * most - most;
        let least = tile.iter().copied().min().map_or(0.0, value);
        let greatest = tile.iter().copied().max().map_or(0.0, value);
        let mean = tile.iter().copied().map(value).sum::<f64>() / area as f64;
        let values = [least, greatest, mean].map(|value| significant(value, 3));
        table.row(std::iter::once(number.to_string()).chain(values));
    }
    let shown = table.rows.len();
    let alt = format!("The first {shown} of {} filters of {}, as images.", filters.tiles, filters.name);
    Ok(Figure { name: "filters".to_owned(), alt, picture, table })
}

pub(super) fn layers(number: usize, digit: &Digit, layers: &[Sheet]) -> Result<Figure> {
    let mut table = Table::new(&["layer", "channels", "size", "least", "most"]);
    let mut picture = Picture::new(WIDTH);
    let words = format!("layer outputs for test image {}, a {}", digit.image, digit.label);
    let mut y = caption(&mut picture, &words) - 4.0;
    picture.embed(&digit.sheet().image(1, false), (EDGE, y), DIGIT_SCALE)?;
    y += DIGIT_SCALE * IMAGE_SIDE as f64 + 20.0;
    for sheet in layers {
        let (image, scale) = sheet.fit(SHEET, false);
        let [height, width] = sheet.tile;
        let tiles = sheet.pixels.len() / (height * width);
        let all = if tiles == sheet.tiles { String::new() } else { format!(" (the first {tiles})") };
        let words = if sheet.tile == [1, 1] {
            format!("{}: {} numbers{all}", sheet.name, sheet.tiles)
        } else {
            format!("{}: {} of {height}x{width}{all}", sheet.name, sheet.tiles)
        };
        y = picture.paragraph((EDGE, y), WIDTH - 2.0 * EDGE, Style::new(TEXT), &words);
        picture.embed(&image, (EDGE, y - 6.0), scale)?;
        y += f64::from(image.height()) * scale + 16.0;
        let range = sheet.range.map(|value| significant(f64::from(value), 4));
        let known = [sheet.name.clone(), sheet.tiles.to_string(), format!("{height}x{width}")];
        table.row(known.into_iter().chain(range));
    }
    let alt = format!(
        "The outputs of {} layers for a test image of a {}, predicted {}.",
        layers.len(),
        digit.label,
        digit.prediction
    );
    Ok(Figure { name: format!("layers-{}", number + 1), alt, picture, table })
}
