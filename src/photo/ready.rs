//! A picture that already is as MNIST's makers made theirs, or the negative of one: scaling it again could only blur
//! it.

use image::DynamicImage;

use super::glyph::Pixels;
use super::map::quantile;
use crate::data::{IMAGE_BYTES, IMAGE_SIDE};

/// The pixels of a picture of 28x28 whose digit has a longer side of 20 and its centre of mass in the middle, and
/// whether its ink is dark; none if it is not so.
pub(super) fn ready(picture: &DynamicImage) -> Option<(Pixels, bool)> {
    if (picture.width(), picture.height()) != (IMAGE_SIDE as u32, IMAGE_SIDE as u32) || picture.color().has_alpha() {
        return None;
    }
    let grey = picture.to_luma8();
    let grey: &[u8] = grey.as_raw();
    let place = |index: usize| [index % IMAGE_SIDE, index / IMAGE_SIDE];
    let is_border = |index: &usize| place(*index).iter().any(|&at| at == 0 || at == IMAGE_SIDE - 1);
    let mut border: Vec<f32> = (0..IMAGE_BYTES).filter(is_border).map(|index| f32::from(grey[index])).collect();
    let ground = quantile(&mut border, 0.5) as u8;
    if border.iter().filter(|value| (**value as u8).abs_diff(ground) > 25).count() > 4 {
        return None;
    }
    let strongest = grey.iter().map(|value| value.abs_diff(ground)).max()?;
    if strongest < 64 {
        return None;
    }
    let is_dark =
        grey.iter().map(|&value| i64::from(ground) - i64::from(value)).map(|step| step * step.abs()).sum::<i64>() > 0;
    let ink = |value: u8| if is_dark { ground.saturating_sub(value) } else { value.saturating_sub(ground) };
    let pixels: Pixels =
        std::array::from_fn(|index| (u32::from(ink(grey[index])) * 255 / u32::from(strongest)).min(255) as u8);
    let inked: Vec<[usize; 2]> = (0..IMAGE_BYTES).filter(|&index| pixels[index] > 76).map(place).collect();
    let length = |axis: usize| {
        let places = inked.iter().map(|at| at[axis]);
        places.clone().max().unwrap_or(0) + 1 - places.min().unwrap_or(0)
    };
    let mass: f32 = pixels.iter().map(|&ink| f32::from(ink)).sum();
    let centre = |axis: usize| {
        (0..IMAGE_BYTES).map(|index| place(index)[axis] as f32 * f32::from(pixels[index])).sum::<f32>() / mass
    };
    let is_centred = [0, 1].into_iter().all(|axis| (centre(axis) - 14.0).abs() <= 1.6);
    ((19..=21).contains(&length(0).max(length(1))) && is_centred).then_some((pixels, is_dark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    /// An upright bar of 6x`height` pixels and a soft edge, with its upper left corner at (x, y), light on black.
    fn bar(width: u32, x: u32, y: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, IMAGE_SIDE as u32, |column, row| {
            let is_row = (y..y + height).contains(&row);
            Luma([if is_row && (x..x + 6).contains(&column) {
                255
            } else if is_row && column == x + 6 {
                60
            } else {
                0
            }])
        })
    }

    fn found(image: &GrayImage) -> Option<(Pixels, bool)> {
        ready(&image.clone().into())
    }

    fn negative(image: &GrayImage) -> GrayImage {
        let mut negative = image.clone();
        image::imageops::invert(&mut negative);
        negative
    }

    #[test]
    fn an_image_like_those_of_mnist_passes_and_its_negative_too() {
        let image = bar(28, 11, 4, 20);
        let pixels: Pixels = image.as_raw().as_slice().try_into().unwrap();
        assert_eq!(found(&image), Some((pixels, false)));
        assert_eq!(found(&negative(&image)), Some((pixels, true)));
    }

    #[test]
    fn what_is_not_centred_or_has_another_size_does_not() {
        for (width, x, y, height) in
            [(28, 3, 4, 20), (28, 11, 7, 14), (28, 11, 1, 26), (30, 12, 4, 20), (28, 11, 1, 20)]
        {
            assert_eq!(found(&bar(width, x, y, height)), None, "{width}, {x}, {y}, {height}");
        }
    }

    #[test]
    fn a_photo_does_not() {
        let image = bar(28, 11, 4, 20);
        let mut uneven = negative(&image);
        uneven.enumerate_pixels_mut().for_each(|(x, y, pixel)| pixel.0[0] -= pixel.0[0].min((3 * x + 2 * y) as u8));
        assert_eq!(found(&uneven), None, "uneven light");
        let mut faint = image.clone();
        faint.pixels_mut().for_each(|pixel| pixel.0[0] /= 6);
        assert_eq!(found(&faint), None, "hardly any contrast");
        assert_eq!(found(&GrayImage::new(28, 28)), None, "nothing");
        let transparent = DynamicImage::from(image).into_luma_alpha8();
        assert_eq!(ready(&transparent.into()), None, "transparency");
    }
}
