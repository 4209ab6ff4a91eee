//! Test images, filters, and the layers' outputs for images.

use anyhow::Result;

use super::chart::{EDGE, TEXT, WIDTH, caption};
use super::sheet::Sheet;
use super::{AUGMENTED_STEPS, Augmented, Figure, Table, TestImage};
use crate::data::{ImageShape, Task};
use crate::numbers::{percent, significant};
use crate::picture::text::{self, Style};
use crate::picture::{Picture, Place};

/// The longer side of a test image: digits have squares of three units to a pixel.
const SIDE: f64 = 84.0;

/// The largest width and height of a sheet.
const SHEET: [f64; 2] = [WIDTH - 2.0 * EDGE, 240.0];

/// Draws an image in the middle of a square of this side.
fn draw(picture: &mut Picture, pixels: &[u8], shape: ImageShape, (x, y): Place, side: f64) -> Result<()> {
    let [height, width] = [shape.height, shape.width].map(|length| length as f64);
    let scale = side / height.max(width);
    let corner = (x + (side - width * scale) / 2.0, y + (side - height * scale) / 2.0);
    picture.embed(&Sheet::of_image(shape, pixels).image(1, false), corner, scale)
}

/// Training images as they are, and as some steps of training see them; `changes` names the augmentation.
///
/// # Errors
/// If an image cannot be encoded.
pub fn augmentation(images: &[Augmented], task: &Task, changes: &str) -> Result<Figure> {
    const GAP: f64 = 4.0;
    /// Between the images as they are and those of the steps.
    const APART: f64 = 8.0;
    const COLUMNS: usize = 1 + AUGMENTED_STEPS;
    let side = (WIDTH - 2.0 * EDGE - APART - GAP * (COLUMNS - 2) as f64) / COLUMNS as f64;
    let left = |column: usize| EDGE + (side + GAP) * column as f64 + if column > 0 { APART - GAP } else { 0.0 };
    let mut picture = Picture::new(WIDTH);
    let y = caption(&mut picture, &format!("training images in the first {AUGMENTED_STEPS} steps: {changes}"));
    let of_steps = (1..=AUGMENTED_STEPS).map(|step| format!("step {step}"));
    let names: Vec<String> = std::iter::once("as it is".to_owned()).chain(of_steps).collect();
    for (column, name) in names.iter().enumerate() {
        picture.text((left(column) + side / 2.0, y), Style::new(TEXT).centered(), name);
    }
    let greys = ["training image", "label", "mean grey as it is"].into_iter();
    let header: Vec<&str> = greys.chain(names[1..].iter().map(String::as_str)).collect();
    let mut table = Table::new(&header);
    for (row, image) in images.iter().enumerate() {
        let top = y + 12.0 + (side + GAP) * row as f64;
        let mut cells = vec![image.image.to_string(), task.class_name(image.label.into()).into_owned()];
        for (column, pixels) in image.pixels.chunks_exact(task.image().bytes()).enumerate() {
            draw(&mut picture, pixels, task.image(), (left(column), top), side)?;
            let sum: f64 = pixels.iter().map(|&byte| f64::from(byte)).sum();
            cells.push(format!("{:.1}", sum / pixels.len() as f64));
        }
        table.row(cells);
    }
    let alt = format!(
        "{} training images, each as it is and as {AUGMENTED_STEPS} steps of training see it, changed at random: {changes}.",
        images.len()
    );
    Ok(Figure { name: "augmentation".to_owned(), alt, picture, table })
}

/// Test images with their labels and predictions; `words` says which they are.
///
/// # Errors
/// If an image cannot be encoded.
pub fn gallery(name: &str, words: &str, images: &[TestImage], task: &Task) -> Result<Figure> {
    const COLUMNS: usize = 4;
    const CELL: f64 = WIDTH / COLUMNS as f64;
    const LINE: f64 = 16.0;
    // Names that do not fit beside each other stand below each other.
    let is_short = |image: &TestImage| text::width(&image.names(task).join(" → "), TEXT) <= CELL - EDGE;
    let name_lines = if images.iter().all(is_short) { 1 } else { 2 };
    let height = SIDE + 12.0 + LINE * (name_lines + 1) as f64;
    let mut picture = Picture::new(WIDTH);
    let top = caption(&mut picture, words) - 6.0;
    let mut table =
        Table::new(&["test image", "label", "prediction", "its probability, %", "the label's probability, %"]);
    for (number, image) in images.iter().enumerate() {
        let (x, y) = (CELL * (number % COLUMNS) as f64, top + height * (number / COLUMNS) as f64);
        draw(&mut picture, &image.pixels, task.image(), (x + (CELL - SIDE) / 2.0, y), SIDE)?;
        let [probability, of_label] =
            [image.probability, image.label_probability].map(|share| percent(f64::from(share)));
        let [label, prediction] = image.names(task);
        let names = if name_lines == 1 {
            vec![format!("{label} → {prediction}")]
        } else {
            vec![label.to_string(), format!("→ {prediction}")]
        };
        for (line, words) in names.into_iter().chain([format!("{probability} %")]).enumerate() {
            let place = (x + CELL / 2.0, y + SIDE + 10.0 + LINE * line as f64);
            picture.text(place, Style::new(TEXT).centered(), &text::shortened(&words, TEXT, CELL - EDGE));
        }
        let known = [image.image.to_string(), label.into_owned(), prediction.into_owned()];
        table.row(known.into_iter().chain([probability, of_label]));
    }
    let shown = |image: &TestImage| {
        let [label, prediction] = image.names(task);
        format!("{label} taken for {prediction}")
    };
    let shown: Vec<String> = images.iter().take(6).map(shown).collect();
    let alt = format!("{} test images, {words}: {}, and so on.", images.len(), shown.join(", "));
    Ok(Figure { name: name.to_owned(), alt, picture, table })
}

/// The weights of a layer that reads images, as images.
///
/// # Errors
/// If an image cannot be encoded.
pub fn filter_sheet(filters: &Sheet) -> Result<Figure> {
    let (image, scale) = filters.fit(SHEET, true);
    let most = f64::from(filters.range[1]);
    let range = significant(most, 3);
    let [least, middle, greatest] =
        if filters.channels == 3 { ["black", "grey", "white"] } else { ["blue", "white", "orange"] };
    let mut picture = Picture::new(WIDTH);
    let words = format!("{}: {least} −{range}, {middle} 0, {greatest} {range}", filters.name);
    let top = caption(&mut picture, &words);
    picture.embed(&image, (EDGE, top - 4.0), scale)?;
    picture.reach(picture.height() + 6.0);
    let mut table = Table::new(&["filter", "least", "most", "mean"]);
    let length = filters.tile_length();
    for (number, tile) in filters.pixels.chunks(length).enumerate() {
        let value = |byte: u8| f64::from(byte) / 255.0 * 2.0 * most - most;
        let least = tile.iter().copied().min().map_or(0.0, value);
        let greatest = tile.iter().copied().max().map_or(0.0, value);
        let mean = tile.iter().copied().map(value).sum::<f64>() / length as f64;
        let values = [least, greatest, mean].map(|value| significant(value, 3));
        table.row(std::iter::once(number.to_string()).chain(values));
    }
    let shown = table.rows.len();
    let alt = format!("The first {shown} of {} filters of {}, as images.", filters.tiles, filters.name);
    Ok(Figure { name: "filters".to_owned(), alt, picture, table })
}

/// The outputs of the layers for the test image with this number among those shown.
///
/// # Errors
/// If an image cannot be encoded.
pub fn layers(number: usize, image: &TestImage, task: &Task, layers: &[Sheet]) -> Result<Figure> {
    let [label, prediction] = image.names(task);
    let mut table = Table::new(&["layer", "channels", "size", "least", "most"]);
    let mut picture = Picture::new(WIDTH);
    let words = format!("layer outputs for test image {} ({label})", image.image);
    let mut y = caption(&mut picture, &words) - 4.0;
    draw(&mut picture, &image.pixels, task.image(), (EDGE, y), SIDE)?;
    y += SIDE + 20.0;
    for sheet in layers {
        let (tiles, scale) = sheet.fit(SHEET, false);
        let [height, width] = sheet.tile;
        let shown = sheet.shown();
        let all = if shown == sheet.tiles { String::new() } else { format!(" (the first {shown})") };
        let words = if sheet.tile == [1, 1] {
            format!("{}: {} numbers{all}", sheet.name, sheet.tiles)
        } else {
            format!("{}: {} of {height}x{width}{all}", sheet.name, sheet.tiles)
        };
        y = picture.paragraph((EDGE, y), WIDTH - 2.0 * EDGE, Style::new(TEXT), &words);
        picture.embed(&tiles, (EDGE, y - 6.0), scale)?;
        y += f64::from(tiles.height()) * scale + 16.0;
        let range = sheet.range.map(|value| significant(f64::from(value), 4));
        let known = [sheet.name.clone(), sheet.tiles.to_string(), format!("{height}x{width}")];
        table.row(known.into_iter().chain(range));
    }
    let alt = format!(
        "The outputs of {} layers for a test image of the class {label}, predicted {prediction}.",
        layers.len(),
    );
    Ok(Figure { name: format!("layers-{}", number + 1), alt, picture, table })
}
