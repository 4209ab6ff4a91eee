//! Files of pictures: their formats, their limits, and cut-off ones, which are refused.

use std::io::Cursor;
#[cfg(feature = "formats")]
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgba};

/// The most bytes of an unpacked picture: enough for a photograph of 80 megapixels, too few for a decompression bomb.
const MAX_PICTURE_BYTES: u64 = 256 << 20;

/// Brands of files that hold HEIF pictures, as phones save them.
const HEIF: [&[u8; 4]; 6] = [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif"];

/// Unpacks a PNG, JPEG, PNM, BMP, WebP or TIFF file, recognised by its content, and turns it as its metadata say.
///
/// # Errors
/// If the file has another format, is damaged or cut off, or has more than 256 MB when unpacked.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    if bytes.get(4..8) == Some(b"ftyp") && HEIF.iter().any(|brand| bytes.get(8..12) == Some(&brand[..])) {
        bail!(
            "it is a HEIC or AVIF picture, which `gpu-digits` cannot read; export it as JPEG (on an iPhone: share it as a \
             file, or choose Settings, Camera, Formats, Most Compatible)"
        );
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PICTURE_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    // The decoder fills what is missing with grey.
    if reader.format() == Some(ImageFormat::Jpeg) {
        ensure!(is_whole_jpeg(bytes), "it is damaged: the file ends before the picture does; copy it again");
    }
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context("give a PNG, JPEG, PNM, BMP, WebP or TIFF file")?;
    let (width, height) = decoder.dimensions();
    ensure!(
        decoder.total_bytes() <= MAX_PICTURE_BYTES,
        "its {width}x{height} pixels take more than {} MB unpacked; shrink it",
        MAX_PICTURE_BYTES >> 20
    );
    // If the orientation cannot be read, the picture stays as it is.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).context("it is damaged")?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// File extensions of pictures.
#[cfg(feature = "formats")]
const ENDINGS: [&str; 10] = ["png", "jpg", "jpeg", "pgm", "ppm", "pbm", "bmp", "webp", "tif", "tiff"];

/// Whether a file's name ends as that of a picture.
#[cfg(feature = "formats")]
pub(crate) fn has_picture_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&&*ending))
}

/// The bytes `[y, x, c]` of a picture, scaled to a height and a width, with 1 or 3 channels. What is clear is white, as on
/// a page.
pub(crate) fn bytes_of(picture: &DynamicImage, [height, width, channels]: [usize; 3]) -> Result<Vec<u8>> {
    let size = |side: usize| u32::try_from(side).context("images of this size cannot be made");
    let (width, height) = (size(width)?, size(height)?);
    let mut flat = picture.to_rgba8();
    for Rgba([red, green, blue, alpha]) in flat.pixels_mut() {
        let share = u32::from(*alpha);
        let over_white =
            |value: &mut u8| *value = ((u32::from(*value) * share + 255 * (255 - share) + 127) / 255) as u8;
        [red, green, blue].into_iter().for_each(over_white);
    }
    let mut flat = DynamicImage::from(flat).into_rgb8();
    if flat.dimensions() != (width, height) {
        flat = imageops::resize(&flat, width, height, FilterType::Triangle);
    }
    match channels {
        1 => Ok(DynamicImage::from(flat).into_luma8().into_raw()),
        3 => Ok(flat.into_raw()),
        channels => bail!("pictures have 1 or 3 channels, not {channels}"),
    }
}

/// Width and height of a picture in a file, turned as its metadata say.
#[cfg(feature = "formats")]
pub(crate) fn dimensions(path: &Path) -> Result<[u32; 2]> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let is_turned = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH)
    );
    Ok(if is_turned { [height, width] } else { [width, height] })
}

/// Whether a JPEG file goes on to the marker that ends its picture (ITU-T T.81, B.1.1). Segments are skipped by their
/// lengths, since a small picture inside one has an end of its own.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    let mut place = 2;
    while let Some(&[marker, code]) = bytes.get(place..place + 2) {
        let is_marker = marker == 0xFF && code != 0 && code != 0xFF;
        match code {
            END if is_marker => return true,
            // Markers without a segment: restarts, and those of old encoders.
            0x01 | 0xD0..=0xD8 if is_marker => place += 2,
            _ if is_marker => {
                let Some(&[high, low]) = bytes.get(place + 2..place + 4) else { return false };
                place += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            // The compressed picture.
            _ => place += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn file(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn sixteen_bits_are_as_light_as_eight() {
        let deep = ImageBuffer::from_fn(4, 1, |x, _| Luma([x as u16 * 21845]));
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            let decoded = decode(&file(deep.clone(), format)).unwrap().to_luma8();
            assert_eq!(decoded.as_raw(), &[0, 85, 170, 255], "{format:?}");
        }
    }

    #[test]
    fn transparency_is_kept() {
        let picture = RgbaImage::from_fn(2, 1, |x, _| Rgba([10, 20, 30, 200 * x as u8]));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
            let decoded = decode(&file(picture.clone(), format)).unwrap();
            assert!(decoded.color().has_alpha(), "{format:?}");
            assert_eq!(decoded.to_rgba8().get_pixel(1, 0).0, [10, 20, 30, 200], "{format:?}");
            assert_eq!(decoded.to_rgba8().get_pixel(0, 0).0[3], 0, "{format:?}");
        }
    }

    /// A JPEG file of 32x16 pixels, its left half red, with an Exif segment that has an orientation.
    fn photograph(orientation: u8) -> Vec<u8> {
        let picture = RgbImage::from_fn(32, 16, |x, y| Rgb(if x < 16 && y < 8 { [255, 0, 0] } else { [0, 0, 255] }));
        let mut bytes = file(picture, ImageFormat::Jpeg);
        let tiff = [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        let exif = [b"\xff\xe1\0\x22Exif\0\0", &tiff[..]].concat();
        bytes.splice(2..2, exif);
        bytes
    }

    #[test]
    fn photographs_are_turned_as_their_exif_data_say() {
        // Where the upper left corner comes to lie.
        for (orientation, is_right, is_below) in [
            (1, false, false),
            (2, true, false),
            (3, true, true),
            (4, false, true),
            (5, false, false),
            (6, true, false),
            (7, true, true),
            (8, false, true),
            // There is no such orientation.
            (99, false, false),
        ] {
            let turned = decode(&photograph(orientation)).unwrap().to_rgb8();
            let is_on_its_side = (5..=8).contains(&orientation);
            assert_eq!(turned.dimensions(), if is_on_its_side { (16, 32) } else { (32, 16) }, "{orientation}");
            let [x, y] = [(is_right, turned.width()), (is_below, turned.height())]
                .map(|(is_far, side)| if is_far { side - 3 } else { 2 });
            let Rgb([red, _, blue]) = *turned.get_pixel(x, y);
            assert!(red > 200 && blue < 50, "{orientation}: red {red}, blue {blue}");
        }
    }

    #[test]
    fn the_end_of_a_small_picture_inside_is_not_the_end() {
        let [start, end] = [[0xff, 0xd8], [0xff, 0xd9]];
        let thumbnail = [&[0xff, 0xe1, 0, 6][..], &start, &end].concat();
        let scan = [0xff, 0xda, 0, 3, 1, 7, 7, 0xff, 0, 7, 0xff, 0xd0, 7];
        let cut_off = [&start[..], &thumbnail, &scan].concat();
        assert!(!is_whole_jpeg(&cut_off));
        assert!(is_whole_jpeg(&[&cut_off[..], &end].concat()));
        assert!(!is_whole_jpeg(&cut_off[..6]));
    }
}
