//! A picture that already is as MNIST's makers made theirs, or the negative of one: scaling it again could only blur it.

use image::DynamicImage;

use super::glyph::Pixels;
use super::map::quantile;
use crate::data::{IMAGE_BYTES, IMAGE_SIDE};

/// The pixels of a picture of 28x28 whose digit has a longer side of 20 and its centre of mass in the middle, and whether its
/// ink is dark; none if it is not so.
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
