//! Contact sheets: the channels of a layer, or its filters, as small images side by side.

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use crate::data::ImageShape;
use crate::tensor::HostTensor;

/// The most tiles of a sheet.
const MOST_TILES: usize = 64;

/// Possible numbers of tiles a row. The one that shows the tiles largest is used.
const COLUMNS: [usize; 5] = [4, 5, 8, 16, 32];

/// The largest scale of a pixel.
const MOST_SCALE: f64 = 14.0;

/// Small images of one size, as bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sheet {
    /// The layer or the parameter.
    pub name: String,
    /// Height and width of a tile.
    pub tile: [usize; 2],
    /// Bytes of a pixel: 3 for red, green and blue, otherwise 1.
    #[serde(default = "grey")]
    pub channels: usize,
    /// All tiles, of which some may not be shown.
    pub tiles: usize,
    /// The values that the bytes 0 and 255 represent.
    pub range: [f32; 2],
    /// The shown tiles, one after the other.
    #[serde(with = "base64_bytes")]
    pub pixels: Vec<u8>,
}

/// The channels in reports of older versions.
fn grey() -> usize {
    1
}

impl Sheet {
    /// An image as a sheet of one tile. Of two channels the first is shown, of more than three the first three.
    pub fn of_image(shape: ImageShape, bytes: &[u8]) -> Self {
        let channels = if shape.channels < 3 { 1 } else { 3 };
        let pixels = bytes.chunks_exact(shape.channels).flat_map(|pixel| &pixel[..channels]).copied().collect();
        let tile = [shape.height, shape.width];
        Self { name: String::new(), tile, channels, tiles: 1, range: [0.0, 255.0], pixels }
    }

    /// A layer's output for one of several images: a tile for each channel, or a tile of one pixel for each number.
    pub fn of_activations(layer: &str, output: &HostTensor, image: usize) -> Self {
        let tile = match output.shape.extents() {
            [_, _, height, width] => [*height, *width],
            _ => [1, 1],
        };
        let images = output.shape.extents()[0];
        let values = output.f32();
        let length = values.len() / images;
        Self::new(layer, tile, 1, &values[image * length..][..length], false)
    }

    /// The filters of a parameter that reads grey or coloured images: of a convolution, or of a dense layer.
    pub fn of_weights(name: &str, extents: &[usize], weights: &HostTensor, image: ImageShape) -> Option<Self> {
        let tile = match extents {
            [_, _, height, width] => [*height, *width],
            [_, inputs] if *inputs == image.bytes() => [image.height, image.width],
            _ => return None,
        };
        let (channels, area) = (image.channels, tile[0] * tile[1]);
        let reads_image = matches!(channels, 1 | 3) && weights.shape.len() == extents[0] * channels * area;
        // Weights lie channel by channel, and tiles pixel by pixel.
        let values: Vec<f32> = (0..weights.shape.len())
            .map(|i| (i / (channels * area), i / channels % area, i % channels))
            .map(|(filter, pixel, channel)| weights.f32()[(filter * channels + channel) * area + pixel])
            .collect();
        reads_image.then(|| Self::new(name, tile, channels, &values, true))
    }

    /// If `is_centred`, the middle of the range is 0.
    fn new(name: &str, tile: [usize; 2], channels: usize, values: &[f32], is_centred: bool) -> Self {
        let length = tile[0] * tile[1] * channels;
        let tiles = values.len() / length;
        let shown = &values[..tiles.min(MOST_TILES) * length];
        let [mut least, mut most] =
            shown.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[a, b], &value| [a.min(value), b.max(value)]);
        if is_centred {
            most = most.abs().max(least.abs());
            least = -most;
        }
        let scale = 255.0 / (most - least).max(f32::MIN_POSITIVE);
        let pixels = shown.iter().map(|value| ((value - least) * scale).round() as u8).collect();
        Self { name: name.to_owned(), tile, channels, tiles, range: [least, most], pixels }
    }

    /// The largest image that fits into a width and a height, and the size of its pixels.
    pub(crate) fn fit(&self, within: [f64; 2], is_centred: bool) -> (RgbImage, f64) {
        let scale = |columns: usize| {
            let [width, height] = self.size(columns).map(f64::from);
            // Use multiples of one half, so that pixels have nearly equal sizes. A very wide image is shrunk.
            let scale = (within[0] / width).min(within[1] / height).min(MOST_SCALE);
            if scale >= 1.0 { (2.0 * scale).floor() / 2.0 } else { scale }
        };
        let best = COLUMNS.into_iter().max_by(|&a, &b| scale(a).total_cmp(&scale(b))).unwrap_or(1);
        (self.image(best, is_centred), scale(best))
    }

    /// Whether it has tiles, and all pixels of the shown ones.
    pub(crate) fn is_whole(&self) -> bool {
        let length = self.tile[0].checked_mul(self.tile[1]).and_then(|area| area.checked_mul(self.channels));
        let length = length.filter(|_| matches!(self.channels, 1 | 3)).unwrap_or(0);
        length > 0 && !self.pixels.is_empty() && self.pixels.len().is_multiple_of(length)
    }

    /// Bytes of a tile.
    pub(crate) fn tile_length(&self) -> usize {
        self.tile[0] * self.tile[1] * self.channels
    }

    /// Tiles that are shown.
    pub(crate) fn shown(&self) -> usize {
        self.pixels.len() / self.tile_length()
    }

    /// Pixels between tiles; tiles of one pixel need none.
    fn gap(&self) -> usize {
        usize::from(self.tile != [1, 1])
    }

    /// Width and height of its image, in pixels.
    fn size(&self, columns: usize) -> [u32; 2] {
        let columns = columns.min(self.shown());
        let tiles = [columns, self.shown().div_ceil(columns)];
        let sides = [self.tile[1], self.tile[0]];
        [0, 1].map(|axis| (tiles[axis] * (sides[axis] + self.gap()) - self.gap()) as u32)
    }

    /// The tiles in rows of `columns`: in their colours; otherwise from black to white, or from blue through white to
    /// orange if the middle of the range is 0.
    pub(crate) fn image(&self, columns: usize, is_centred: bool) -> RgbImage {
        let [width, height] = self.size(columns);
        let mut image = RgbImage::from_pixel(width, height, Rgb([150, 150, 150]));
        let columns = columns.min(self.shown());
        let area = self.tile[0] * self.tile[1];
        for (index, bytes) in self.pixels.chunks_exact(self.channels).enumerate() {
            let (tile, pixel) = (index / area, index % area);
            let x = tile % columns * (self.tile[1] + self.gap()) + pixel % self.tile[1];
            let y = tile / columns * (self.tile[0] + self.gap()) + pixel / self.tile[1];
            let color = match bytes {
                [red, green, blue] => [*red, *green, *blue],
                _ if is_centred => diverging(bytes[0]),
                _ => [bytes[0]; 3],
            };
            image.put_pixel(x as u32, y as u32, Rgb(color));
        }
        image
    }
}

/// Blue for 0, white for the middle, orange for 255.
fn diverging(byte: u8) -> [u8; 3] {
    let share = (f32::from(byte) - 127.5) / 127.5;
    let end: [f32; 3] = if share < 0.0 { [0.0, 114.0, 178.0] } else { [213.0, 94.0, 0.0] };
    end.map(|end| (255.0 + (end - 255.0) * share.abs()).round() as u8)
}

/// Bytes as base64 text.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_of_any_size_fit_their_place() {
        let within = [388.0, 240.0];
        for (side, tiles) in [(1, 10), (1, 512), (3, 32), (5, 64), (26, 32), (28, 10), (28, 64), (28, 1)] {
            let sheet = Sheet::new("layer", [side, side], 1, &vec![0.5; side * side * tiles], false);
            let (image, scale) = sheet.fit(within, false);
            let shown = [image.width(), image.height()].map(|length| f64::from(length) * scale);
            assert!(shown[0] <= within[0] + 1e-9 && shown[1] <= within[1] + 1e-9, "{tiles} of {side}: {shown:?}");
            assert!(shown[0] >= 100.0 || shown[1] >= 100.0, "{tiles} of {side} are small: {shown:?}");
        }
    }

    #[test]
    fn coloured_images_and_filters_keep_their_colours() {
        // Two filters of 1x2 pixels, channel by channel: the first is red at the left and blue at the right.
        let weights = [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
        let weights = HostTensor::from_f32([2, 3, 1, 2], weights.as_flattened());
        let image = ImageShape { height: 8, width: 8, channels: 3 };
        let sheet = Sheet::of_weights("conv1.weight", &[2, 3, 1, 2], &weights, image).unwrap();
        assert_eq!(
            (sheet.tiles, sheet.range, &sheet.pixels[..6]),
            (2, [-1.0, 1.0], &[255, 128, 128, 128, 128, 255][..])
        );
        assert_eq!(sheet.image(2, true).get_pixel(3, 0), &Rgb([0, 128, 128]), "the second filter");
        let dense = HostTensor::from_f32([1, 192], &[0.5; 192]);
        assert_eq!(Sheet::of_weights("dense1.weight", &[1, 192], &dense, image).unwrap().tile, [8, 8]);
        assert!(
            Sheet::of_weights("dense1.weight", &[1, 96], &HostTensor::from_f32([1, 96], &[0.5; 96]), image).is_none()
        );

        let shape = |channels| ImageShape { height: 1, width: 2, channels };
        assert_eq!(Sheet::of_image(shape(3), &[1, 2, 3, 4, 5, 6]).image(1, false).as_raw(), &[1, 2, 3, 4, 5, 6]);
        assert_eq!(Sheet::of_image(shape(2), &[1, 2, 3, 4]).image(1, false).as_raw(), &[1, 1, 1, 3, 3, 3]);
        assert_eq!(Sheet::of_image(shape(4), &[1, 2, 3, 0, 4, 5, 6, 0]).image(1, false).as_raw(), &[1, 2, 3, 4, 5, 6]);
    }
}
