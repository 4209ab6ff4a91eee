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

#[cfg(test)]
mod tests {
    use super::super::drawn::is_in_seven;
    use super::super::{Options, find_in_stages};
    use super::*;

    fn names(stages: &Stages) -> Vec<&'static str> {
        stages.pictures().iter().map(|(name, _)| *name).collect()
    }

    fn page(is_ink: impl Fn(usize, usize) -> bool) -> DynamicImage {
        GrayImage::from_fn(300, 260, |x, y| Luma([if is_ink(x as usize, y as usize) { 30 } else { 220 }])).into()
    }

    #[test]
    fn pictures_are_drawn_only_to_be_kept() {
        let mut kept = Stages::kept();
        kept.add("first", || DynamicImage::new_luma8(3, 2));
        kept.add("second", || DynamicImage::new_luma8(1, 1));
        assert_eq!(names(&kept), ["first", "second"]);
        assert_eq!(kept.pictures()[0].1.width(), 3);
        let mut unseen = Stages::unseen();
        unseen.add("first", || unreachable!("drawn"));
        assert!(unseen.pictures().is_empty());
    }

    #[test]
    fn each_stage_is_as_large_as_the_picture() {
        let mut stages = Stages::kept();
        find_in_stages(&page(|x, y| is_in_seven([120, 80], x, y)), &Options::default(), &mut stages).unwrap();
        assert_eq!(names(&stages), ["picture", "contrast", "ink", "handwriting"]);
        assert!(stages.pictures().iter().all(|(_, picture)| (picture.width(), picture.height()) == (300, 260)));
        let handwriting = stages.pictures()[3].1.to_rgb8();
        assert_eq!(handwriting.get_pixel(10, 10).0, [255; 3]);
        assert_ne!(handwriting.get_pixel(150, 85).0, [255; 3]);
        let ink = stages.pictures()[2].1.to_luma8();
        assert!(ink.get_pixel(10, 10).0[0] > 200 && ink.get_pixel(150, 85).0[0] < 50);
    }

    #[test]
    fn stages_are_kept_where_nothing_is_found() {
        let mut stages = Stages::kept();
        assert!(find_in_stages(&page(|_, _| false), &Options::default(), &mut stages).is_err());
        assert_eq!(names(&stages), ["picture", "contrast", "ink", "handwriting"]);
    }

    #[test]
    fn values_beyond_black_and_white_are_black_and_white() {
        let map = Map { width: 4, height: 1, values: vec![-0.5, 0.0, 0.5, 1.5] };
        assert_eq!(grey(&map).as_raw(), &[0, 0, 127, 255]);
    }
}
