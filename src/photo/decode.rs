//! Files of pictures: their formats, their limits, and cut-off ones, which are refused.

use std::io::Cursor;

use anyhow::{Context as _, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

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
