//! A picture of a size to work with, its colours as floats.

use anyhow::{Result, ensure};
use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgba, RgbaImage};

use super::map::{Map, quantile};

/// Larger pictures are shrunk to this longer side. It is enough for a sheet full of numbers, and removes most of the grain.
const MOST_SIDE: u32 = 1000;
/// Smaller pictures are enlarged to about this longer side, so that a stroke is several pixels wide.
const LEAST_SIDE: u32 = 256;

/// Red, green and blue of each pixel, from 0 to 1, without transparency.
pub(super) struct Picture {
    pub(super) channels: [Map<f32>; 3],
    /// Pixels of the original picture for each pixel of this one.
    pub(super) scale: [f32; 2],
}

impl Picture {
    pub(super) fn of(original: &DynamicImage) -> Result<Self> {
        let (width, height) = (original.width(), original.height());
        ensure!(width > 0 && height > 0, "it has no pixels");
        let longer = width.max(height);
        let sized = |longest: u32| {
            let side = |length: u32| ((length * longest + longer / 2) / longer).max(1);
            (side(width), side(height))
        };
        let pixels: RgbaImage = if longer > MOST_SIDE {
            let (width, height) = sized(MOST_SIDE);
            original.thumbnail_exact(width, height).into_rgba8()
        } else if longer < LEAST_SIDE {
            let (width, height) = sized(longer * LEAST_SIDE.div_ceil(longer));
            imageops::resize(&original.to_rgba8(), width, height, FilterType::Triangle)
        } else {
            original.to_rgba8()
        };
        let scale = [width as f32 / pixels.width() as f32, height as f32 / pixels.height() as f32];
        Ok(Self { channels: over_better_ground(&pixels), scale })
    }

    pub(super) fn width(&self) -> usize {
        self.channels[0].width
    }

    pub(super) fn height(&self) -> usize {
        self.channels[0].height
    }
}

/// The colours over white or over black. If most of the picture is transparent, the rest is ink, which is seen best over the
/// ground that is further from it. Otherwise the transparent part is the sheet's surroundings, and is made like the sheet.
fn over_better_ground(pixels: &RgbaImage) -> [Map<f32>; 3] {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let grey = |Rgba([r, g, b, _]): &Rgba<u8>| (f32::from(*r) + f32::from(*g) + f32::from(*b)) / 765.0;
    let mut opaque: Vec<f32> = pixels.pixels().filter(|pixel| pixel.0[3] > 127).map(grey).collect();
    let is_mostly_opaque = 2 * opaque.len() > width * height;
    let is_light = quantile(&mut opaque, 0.5) > 0.5;
    let ground = if is_light == is_mostly_opaque { 1.0 } else { 0.0 };
    std::array::from_fn(|channel| {
        let value = |pixel: &Rgba<u8>| {
            let alpha = f32::from(pixel.0[3]) / 255.0;
            f32::from(pixel.0[channel]) / 255.0 * alpha + ground * (1.0 - alpha)
        };
        Map { width, height, values: pixels.pixels().map(value).collect() }
    })
}
