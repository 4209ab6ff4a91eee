//! A picture of a size to work with, its colours as floats.

use anyhow::{Result, ensure};
use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgba, RgbaImage};

use super::map::{Map, quantile};

/// Larger pictures are shrunk to this longer side. It is enough for a sheet full of numbers, and removes most of the
/// grain.
const MOST_SIDE: u32 = 1000;
/// Smaller pictures are enlarged to about this longer side, so that a stroke is several pixels wide.
const LEAST_SIDE: u32 = 256;
/// The margin of a digit that was cut out without one, as a share of the longer side.
const MARGIN: f32 = 0.25;

/// Red, green and blue of each pixel, from 0 to 1, without transparency.
pub(super) struct Picture {
    pub(super) channels: [Map<f32>; 3],
    /// Pixels of the original picture for each pixel of this one.
    pub(super) scale: [f32; 2],
    /// Pixels on each side that the original does not have.
    pub(super) margin: usize,
}

impl Picture {
    pub(super) fn of(original: &DynamicImage) -> Result<Self> {
        let (width, height) = (original.width(), original.height());
        ensure!(width > 0 && height > 0, "it has no pixels");
        let longer = width.max(height);
        let sized = |longest: u32| {
            // In 64 bits, for a strip may be millions of pixels long.
            let [longest, longer] = [longest, longer].map(u64::from);
            let side = |length: u32| ((u64::from(length) * longest + longer / 2) / longer).max(1) as u32;
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
        Ok(Self { channels: over_better_ground(&pixels), scale, margin: 0 })
    }

    /// With a margin in the colour of most of its border.
    pub(super) fn with_margin(&self) -> Self {
        let (width, height) = (self.width(), self.height());
        let margin = (MARGIN * width.max(height) as f32) as usize;
        let channels = self.channels.each_ref().map(|channel| {
            let ground = quantile(&mut channel.border(), 0.5);
            Map::from_fn(width + 2 * margin, height + 2 * margin, |x, y| {
                let is_inside = (margin..width + margin).contains(&x) && (margin..height + margin).contains(&y);
                if is_inside { channel.at(x - margin, y - margin) } else { ground }
            })
        });
        Self { channels, scale: self.scale, margin }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Map<bool> {
        Map::filled(self.width(), self.height(), true)
    }

    /// All but the margin.
    pub(super) fn inside(&self) -> Map<bool> {
        let is_inside = |place: usize, side: usize| (self.margin..side - self.margin).contains(&place);
        Map::from_fn(self.width(), self.height(), |x, y| is_inside(x, self.width()) && is_inside(y, self.height()))
    }

    pub(super) fn width(&self) -> usize {
        self.channels[0].width
    }

    pub(super) fn height(&self) -> usize {
        self.channels[0].height
    }
}

/// The colours over white or over black. If most of the picture is transparent, the rest is ink, which is seen best
/// over the ground that is further from it. Otherwise the transparent part is the sheet's surroundings, and is made
/// like the sheet.
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

#[cfg(test)]
mod tests {
    use super::*;

    const INK: [u8; 3] = [30, 30, 30];

    /// An opaque square in the middle of a picture of 300x300 pixels, the rest as transparent as `alpha` says.
    fn square(side: u32, color: [u8; 3], alpha: u8) -> Picture {
        let is_in_square = |at: u32| at.abs_diff(150) < side / 2;
        let image = RgbaImage::from_fn(300, 300, |x, y| {
            let [r, g, b] = color;
            if is_in_square(x) && is_in_square(y) { Rgba([r, g, b, 255]) } else { Rgba([90, 90, 90, alpha]) }
        });
        Picture::of(&image.into()).unwrap()
    }

    #[test]
    fn large_pictures_are_shrunk_and_small_ones_enlarged() {
        for (sides, wanted) in [
            ((2000, 1000), [1000, 500]),
            ((1000, 4000), [250, 1000]),
            ((400, 300), [400, 300]),
            ((5000, 1), [1000, 1]),
            ((1, 3000), [1, 1000]),
            ((5_000_000, 2), [1000, 1]),
        ] {
            let picture = Picture::of(&DynamicImage::new_luma8(sides.0, sides.1)).unwrap();
            assert_eq!([picture.width(), picture.height()], wanted);
            assert_eq!(picture.scale, [sides.0 as f32 / wanted[0] as f32, sides.1 as f32 / wanted[1] as f32]);
        }
        let small = Picture::of(&DynamicImage::new_luma8(28, 14)).unwrap();
        assert!(small.width() > 200 && small.width() == 2 * small.height(), "{}x{}", small.width(), small.height());
        assert!(small.scale[0] < 0.2 && small.scale[0] == small.scale[1], "{:?}", small.scale);
        assert!(Picture::of(&DynamicImage::new_luma8(0, 5)).is_err());
    }

    #[test]
    fn the_inside_is_all_but_the_margin() {
        let picture = square(100, INK, 255);
        assert!(picture.inside().values.iter().all(|&is_inside| is_inside));
        let wider = picture.with_margin();
        let inside = wider.inside();
        assert_eq!((inside.width, inside.height), (wider.width(), wider.height()));
        assert_eq!(inside.values.iter().filter(|&&is_inside| is_inside).count(), 300 * 300);
        let first = wider.margin;
        assert!(first > 20 && inside.at(first, first) && !inside.at(first - 1, first) && !inside.at(first, first - 1));
    }

    #[test]
    fn what_is_where_stays_there() {
        for side in [40, 400, 1600] {
            let image = RgbaImage::from_fn(side, side, |x, _| {
                if x < side / 4 { Rgba([255, 51, 0, 255]) } else { Rgba([0, 0, 255, 255]) }
            });
            let picture = Picture::of(&image.into()).unwrap();
            let color = |x: usize| {
                picture.channels.each_ref().map(|channel| channel.at(x * picture.width() / 100, picture.height() / 2))
            };
            assert_eq!([color(10), color(50)], [[1.0, 0.2, 0.0], [0.0, 0.0, 1.0]], "{side}");
        }
    }

    #[test]
    fn ink_on_nothing_is_over_the_ground_that_shows_it() {
        for (color, ground) in [(INK, 1.0), ([230, 240, 250], 0.0)] {
            let picture = square(100, color, 0);
            assert_eq!(picture.channels.each_ref().map(|channel| channel.at(5, 5)), [ground; 3], "{color:?}");
            assert_eq!(picture.channels[0].at(150, 150), f32::from(color[0]) / 255.0);
        }
    }

    #[test]
    fn nothing_around_a_sheet_is_like_the_sheet() {
        for (color, ground) in [(INK, 0.0), ([230, 240, 250], 1.0)] {
            let picture = square(280, color, 0);
            assert_eq!(picture.channels.each_ref().map(|channel| channel.at(2, 2)), [ground; 3], "{color:?}");
        }
        // Half-transparent is a mixture.
        let half = square(280, [255; 3], 51).channels[0].at(2, 2);
        assert!((half - (0.8 + 0.2 * 90.0 / 255.0)).abs() < 0.01, "{half}");
    }
}
