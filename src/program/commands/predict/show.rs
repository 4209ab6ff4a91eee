//! A picture with what is read in it.

use anyhow::Result;
use image::{DynamicImage, GrayImage};

use super::results::Prediction;
use crate::data::IMAGE_SIDE;
use crate::numbers::percent;
use crate::photo::Digit;
use crate::picture::color::{COLORS, GREY};
use crate::picture::text::Style;
use crate::picture::{Picture, Stroke};

/// The longer side of the picture, and its distance from the edges.
const SIDE: f64 = 400.0;
const EDGE: f64 = 10.0;
/// Pixels of the picture that are embedded for each unit.
const PIXELS: f64 = 2.0;
/// Width and height of a digit as the network sees it, with its text.
const TILE: f64 = 48.0;
const TILE_HEIGHT: f64 = 80.0;

/// Draws the picture with a box around each digit, and below it the digits as the network sees them.
pub(super) fn draw(original: &DynamicImage, prediction: &Prediction) -> Result<Picture> {
    let longer = f64::from(original.width().max(original.height()));
    let scale = SIDE / longer;
    let (width, height) = (f64::from(original.width()) * scale, f64::from(original.height()) * scale);
    let mut picture = Picture::new(SIDE + 2.0 * EDGE);
    let left = EDGE + (SIDE - width) / 2.0;
    let most = (SIDE * PIXELS) as u32;
    let shrunk = if longer > f64::from(most) { original.thumbnail(most, most) } else { original.clone() };
    let shrunk = over_grey(&shrunk);
    picture.embed(&shrunk, (left, EDGE), width / f64::from(shrunk.width()))?;
    let below = EDGE + height + EDGE;
    let columns = ((SIDE / TILE) as usize).max(1);
    for (number, digit) in prediction.reading.digits().enumerate() {
        let color = if digit.doubt.is_some() { COLORS[1] } else { COLORS[0] };
        let [x, y, right, bottom] = digit.frame.map(|side| f64::from(side) * scale);
        picture.frame((left + x - 2.0, EDGE + y - 2.0), right - x + 4.0, bottom - y + 4.0, Stroke::new(color, 1.5));
        let label = (left + (x + right) / 2.0, EDGE + (y - 10.0).max(6.0));
        picture.text(label, Style::new(13.0).centered().colored(color), &digit.digit.to_string());
        let tile = (EDGE + TILE * (number % columns) as f64, below + TILE_HEIGHT * (number / columns) as f64);
        draw_tile(&mut picture, digit, tile)?;
    }
    picture.reach(picture.height() + EDGE / 2.0);
    Ok(picture)
}

fn draw_tile(picture: &mut Picture, digit: &Digit, (x, y): (f64, f64)) -> Result<()> {
    let image = GrayImage::from_fn(IMAGE_SIDE as u32, IMAGE_SIDE as u32, |column, row| {
        image::Luma([digit.pixels[row as usize * IMAGE_SIDE + column as usize]])
    });
    let side = TILE - 6.0;
    picture.embed(&DynamicImage::from(image).into_rgb8(), (x, y), side / IMAGE_SIDE as f64)?;
    let color = if digit.doubt.is_some() { COLORS[1] } else { GREY };
    let middle = x + side / 2.0;
    picture.text((middle, y + side + 9.0), Style::new(13.0).centered().colored(color), &digit.digit.to_string());
    let share = format!("{} %", percent(f64::from(digit.probabilities[digit.digit])));
    picture.text((middle, y + side + 22.0), Style::new(8.0).centered().colored(color), &share);
    Ok(())
}

/// Without transparency: over a grey that shows both light and dark ink.
fn over_grey(picture: &DynamicImage) -> image::RgbImage {
    let mut ground = image::RgbaImage::from_pixel(picture.width(), picture.height(), image::Rgba([150, 150, 150, 255]));
    image::imageops::overlay(&mut ground, &picture.to_rgba8(), 0, 0);
    DynamicImage::from(ground).into_rgb8()
}
