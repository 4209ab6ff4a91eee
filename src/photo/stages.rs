//! Pictures of the stages, to be looked at.

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

use super::map::Map;
use super::picture::Picture;
use super::select::Handwriting;

/// A picture of each stage of finding digits.
pub struct Stages {
    are_kept: bool,
    pictures: Vec<(&'static str, DynamicImage)>,
}

impl Stages {
    /// To keep the pictures.
    pub fn kept() -> Self {
        Self { are_kept: true, pictures: vec![] }
    }

    /// To draw none.
    pub(super) fn unseen() -> Self {
        Self { are_kept: false, pictures: vec![] }
    }

    /// Each stage's name and what it made, in order.
    pub fn pictures(&self) -> &[(&'static str, DynamicImage)] {
        &self.pictures
    }

    pub(super) fn add(&mut self, name: &'static str, picture: impl FnOnce() -> DynamicImage) {
        if self.are_kept {
            self.pictures.push((name, picture()));
        }
    }
}

/// A map from 0, black, to 1, white.
pub(super) fn grey(map: &Map<f32>) -> GrayImage {
    GrayImage::from_fn(map.width as u32, map.height as u32, |x, y| {
        Luma([(map.at(x as usize, y as usize).clamp(0.0, 1.0) * 255.0) as u8])
    })
}

impl Picture {
    pub(super) fn image(&self) -> RgbImage {
        RgbImage::from_fn(self.width() as u32, self.height() as u32, |x, y| {
            Rgb(self
                .channels
                .each_ref()
                .map(|channel| (channel.at(x as usize, y as usize).clamp(0.0, 1.0) * 255.0) as u8))
        })
    }
}

impl Handwriting {
    /// Each part in its own colour.
    pub(super) fn image(&self, ink: &Map<f32>) -> RgbImage {
        const COLORS: [[u8; 3]; 6] =
            [[20, 60, 160], [170, 30, 40], [20, 120, 60], [150, 90, 0], [110, 30, 140], [0, 110, 130]];
        let mut image = RgbImage::from_pixel(ink.width as u32, ink.height as u32, Rgb([255; 3]));
        for (number, part) in self.parts.iter().enumerate() {
            for &pixel in &part.pixels {
                image.put_pixel(
                    (pixel % ink.width) as u32,
                    (pixel / ink.width) as u32,
                    Rgb(COLORS[number % COLORS.len()]),
                );
            }
        }
        image
    }
}
