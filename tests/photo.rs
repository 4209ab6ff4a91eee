//! Pictures of a drawn 7 in many forms, and files that are no pictures.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use gpu_digits::photo::{self, Options, Pixels, Stages};
use gpu_digits::random::Random;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, GrayImage, Luma, LumaA, Rgb, imageops};
use tempfile::TempDir;

const PAPER: Luma<u8> = Luma([220]);
const PEN: Luma<u8> = Luma([40]);

/// A 7 of 80x120 pixels, dark on light, with its upper left corner at (x, y) of a sheet of paper.
fn seven(width: u32, height: u32, x: i32, y: i32) -> GrayImage {
    GrayImage::from_fn(width, height, |column, row| {
        let (column, row) = (column as i32 - x, row as i32 - y);
        let is_bar = (0..80).contains(&column) && (0..14).contains(&row);
        let is_stem = (0..120).contains(&row) && (64..80).contains(&(column + row / 2));
        if is_bar || is_stem { PEN } else { PAPER }
    })
}

/// The picture of one digit as the network gets it.
fn prepare(picture: &DynamicImage) -> Result<Pixels> {
    let pixels = photo::find(picture, &Options { one: true })?.pixels();
    Ok(pixels.try_into().expect("the pixels of one digit"))
}

fn read(bytes: &[u8]) -> Result<Pixels> {
    prepare(&photo::decode(bytes)?)
}

fn prepared(picture: &GrayImage) -> Pixels {
    prepare(&picture.clone().into()).unwrap()
}

fn as_image(pixels: [u8; 784]) -> GrayImage {
    GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap()
}

/// Checks that the mean absolute difference is within a limit in grey levels.
#[track_caller]
fn assert_close(a: &[u8; 784], b: &[u8; 784], limit: f64) {
    let difference = a.iter().zip(b).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / 784.0;
    assert!(difference <= limit, "{difference} is more than {limit}");
}

#[test]
fn digit_fills_twenty_pixels_around_its_centre_of_mass() {
    let pixels = prepared(&seven(300, 200, 40, 30));
    assert_eq!(pixels.iter().max(), Some(&255));
    assert_eq!(pixels[0], 0);
    let inked: Vec<usize> = (0..784).filter(|&index| pixels[index] > 76).collect();
    let height = inked.iter().map(|index| index / 28).max().unwrap() - inked[0] / 28 + 1;
    let columns = inked.iter().map(|index| index % 28);
    let width = columns.clone().max().unwrap() - columns.min().unwrap() + 1;
    assert_eq!((width, height), (14, 20), "80x120 in 20x20");
    let mass: f64 = pixels.iter().map(|&pixel| f64::from(pixel)).sum();
    for place in [|index| index % 28, |index| index / 28] {
        let moment: f64 = (0..784).map(|index| f64::from(pixels[index]) * (place(index) as f64 + 0.5)).sum();
        assert!((moment / mass - 14.5).abs() <= 0.6, "{}", moment / mass);
    }
}

#[test]
fn image_like_those_of_mnist_is_unchanged_and_its_enlargement_nearly_so() {
    let pixels = prepared(&seven(300, 200, 40, 30));
    let image = as_image(pixels);
    assert_eq!(prepared(&image), pixels);
    assert_close(&prepared(&resize(&image, 280, 280, FilterType::Nearest)), &pixels, 4.0);
}

#[test]
fn light_on_dark_equals_dark_on_light() {
    let mut picture = seven(300, 200, 40, 30);
    let dark_on_light = prepared(&picture);
    imageops::invert(&mut picture);
    assert_close(&prepared(&picture), &dark_on_light, 0.2);
}

#[test]
fn place_and_size_do_not_matter() {
    let pixels = prepared(&seven(300, 200, 40, 30));
    assert_close(&prepared(&seven(1000, 160, 801, 7)), &pixels, 0.2);
    let double = resize(&seven(300, 200, 40, 30), 600, 400, FilterType::Nearest);
    assert_close(&prepared(&double), &pixels, 1.0);
    let photograph = resize(&seven(300, 200, 40, 30), 1200, 800, FilterType::Triangle);
    assert_close(&prepared(&photograph), &pixels, 3.0);
    let tiny = resize(&seven(300, 200, 40, 30), 30, 20, FilterType::Triangle);
    assert_close(&prepared(&tiny), &pixels, 15.0);
}

#[test]
fn colour_and_contrast_do_not_matter() {
    let paper_and_pen = seven(300, 200, 40, 30);
    let colour = |Luma([grey]): Luma<u8>| if grey < 128 { Rgb([40, 40, 200]) } else { Rgb([255, 250, 180]) };
    let picture = image::RgbImage::from_fn(300, 200, |x, y| colour(*paper_and_pen.get_pixel(x, y)));
    assert_close(&prepare(&picture.into()).unwrap(), &prepared(&paper_and_pen), 1.0);
}

#[test]
fn transparent_counts_as_white() {
    let paper_and_pen = seven(300, 200, 40, 30);
    let picture = image::GrayAlphaImage::from_fn(300, 200, |x, y| {
        LumaA([0, if paper_and_pen.get_pixel(x, y) == &PEN { 255 } else { 0 }])
    });
    assert_close(&prepare(&picture.into()).unwrap(), &prepared(&paper_and_pen), 0.2);
}

#[test]
fn specks_and_grain_are_not_ink() {
    let clean = seven(300, 200, 40, 30);
    let mut picture = clean.clone();
    for (index, pixel) in picture.pixels_mut().enumerate() {
        pixel.0[0] = pixel.0[0].saturating_add_signed([-15, 3, 12, 0, -8, 8][index * 31 % 6]);
    }
    for (x, y) in [(3, 3), (290, 5), (200, 190), (201, 190), (10, 150)] {
        picture.put_pixel(x, y, Luma([0]));
    }
    assert_close(&prepared(&picture), &prepared(&clean), 2.0);
}

#[test]
fn blank_picture_is_an_error() {
    for picture in [GrayImage::from_pixel(50, 40, PAPER), GrayImage::from_pixel(1, 1, PEN)] {
        let error = prepare(&picture.into()).unwrap_err().to_string();
        assert!(error.contains("no digit"), "{error}");
    }
    let error = prepare(&DynamicImage::new_luma8(0, 0)).unwrap_err().to_string();
    assert!(error.contains("no pixels"), "{error}");
}

/// Checks that a file is refused, with a message that has all parts.
#[track_caller]
fn assert_refused(bytes: &[u8], parts: &[&str]) {
    let message = format!("{:#}", read(bytes).unwrap_err());
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn save(&self, name: &str, picture: &GrayImage) -> PathBuf {
        let path = self.0.path().join(name);
        picture.save(&path).unwrap();
        path
    }
}

#[test]
fn png_pgm_and_jpeg_files_are_read_by_their_content() {
    let (files, picture) = (Files::new(), seven(300, 200, 40, 30));
    for name in ["seven.png", "seven.pgm", "seven.jpg", "seven.bmp", "seven.tiff", "seven.webp"] {
        let path = files.save(name, &picture);
        assert_close(&read(&fs::read(&path).unwrap()).unwrap(), &prepared(&picture), 2.0);
        let unnamed = files.write("seven", &fs::read(path).unwrap());
        assert_close(&read(&fs::read(&unnamed).unwrap()).unwrap(), &prepared(&picture), 2.0);
    }
}

#[test]
fn photograph_on_its_side_is_turned() {
    let (files, picture) = (Files::new(), seven(300, 200, 40, 30));
    let on_its_side = files.save("side.jpg", &imageops::rotate270(&picture));
    // An Exif segment behind the first two bytes: one entry, the orientation (0x0112), with the value 6 (turn right).
    let tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let exif = [b"\xff\xe1\0\x22Exif\0\0".as_slice(), tiff].concat();
    let mut bytes = fs::read(on_its_side).unwrap();
    bytes.splice(2..2, exif);
    let turned = read(&bytes).unwrap();
    assert_close(&turned, &prepared(&picture), 2.0);
}

#[test]
fn file_that_is_no_picture_is_an_error() {
    assert_refused(b"7 is a number", &["give a PNG, JPEG, PNM, BMP, WebP or TIFF file"]);
    assert_refused(b"", &["give a PNG, JPEG, PNM, BMP, WebP or TIFF file"]);
    assert_refused(b"\0\0\0\x18ftypheic\0\0\0\0", &["HEIC", "export it as JPEG"]);
}

#[test]
fn truncated_picture_is_an_error() {
    let files = Files::new();
    for name in ["seven.png", "seven.pgm", "seven.jpg", "seven.bmp", "seven.tiff", "seven.webp"] {
        let bytes = fs::read(files.save(name, &seven(300, 200, 40, 30))).unwrap();
        assert_refused(&bytes[..bytes.len() / 2], &[]);
    }
}

#[test]
fn decompression_bomb_is_refused_by_its_header() {
    let files = Files::new();
    assert_refused(b"P5 60000 60000 255\n\0", &["60000x60000", "256 MB", "shrink it"]);

    let mut jpeg = fs::read(files.save("bomb.jpg", &seven(300, 200, 40, 30))).unwrap();
    let size = jpeg.windows(4).position(|bytes| bytes == [0, 200, 1, 44]).unwrap();
    jpeg[size..size + 4].fill(0xfa);
    assert_refused(&jpeg, &["64250x64250", "256 MB"]);
}

#[test]
fn uneven_light_changes_little() {
    let even = seven(300, 200, 90, 40);
    for shadow in [
        |x: u32, _: u32| x as f64 / 300.0,
        |x, y| (x + y) as f64 / 500.0,
        |x, _| ((f64::from(x) - 190.0) / 20.0).clamp(0.0, 1.0),
    ] {
        let lit = GrayImage::from_fn(300, 200, |x, y| {
            let light = 1.0 - 0.45 * shadow(x, y);
            Luma([(f64::from(even.get_pixel(x, y).0[0]) * light) as u8])
        });
        assert_close(&prepared(&lit), &prepared(&even), 6.0);
        let negative = GrayImage::from_fn(300, 200, |x, y| Luma([255 - lit.get_pixel(x, y).0[0]]));
        assert_close(&prepared(&negative), &prepared(&even), 16.0);
    }
}

#[test]
fn a_digit_cut_out_without_a_margin_is_like_one_on_paper() {
    let paper = seven(300, 200, 40, 30);
    let cut_out = imageops::crop_imm(&paper, 40, 30, 80, 120).to_image();
    let negative = GrayImage::from_fn(80, 120, |x, y| Luma([255 - cut_out.get_pixel(x, y).0[0]]));
    for picture in [cut_out, negative] {
        assert_close(&prepared(&picture), &prepared(&paper), 4.0);
        let reading = photo::find(&picture.into(), &Options { one: true }).unwrap().read(&[vec![0.1; 10]]);
        assert_eq!(reading.doubts, ["it touches the edge of the picture"]);
        let frame = &reading.rows[0][0].frame;
        let off = frame.iter().zip([0.0, 0.0, 80.0, 120.0]).map(|(side, wanted)| (side - wanted).abs());
        assert!(off.fold(0.0, f32::max) < 2.0, "{frame:?}");
    }
}

#[test]
fn blank_paper_in_uneven_light_is_blank() {
    let paper = GrayImage::from_fn(200, 150, |x, y| Luma([(230 - x / 3 - y / 4) as u8]));
    let error = prepare(&paper.into()).unwrap_err().to_string();
    assert!(error.contains("no digit"), "{error}");
}

#[test]
fn squared_paper_is_blank_even_if_its_lines_are_faint() {
    for (line, side) in [(214, 20), (206, 18), (190, 25)] {
        let mut random = Random::new(1, 0);
        let paper = GrayImage::from_fn(500, 380, |x, y| {
            let grain = random.uniform(-2.0, 2.0);
            Luma([(grain + if x % side < 2 || y % side < 2 { line as f32 } else { 220.0 }).round() as u8])
        });
        let error = prepare(&paper.into()).unwrap_err().to_string();
        assert!(error.contains("no digit"), "{line}: {error}");
    }
}

/// The digits that a recogniser finds that takes everything for a 5, and is never sure.
fn digits(picture: GrayImage) -> usize {
    let found = photo::find(&picture.into(), &Options::default()).unwrap();
    let row: Vec<f32> = (0..10).map(|digit| if digit == 5 { 0.2 } else { 0.8 / 9.0 }).collect();
    let rows = vec![row; found.pixels().len() / 784];
    found.read(&rows).digits().count()
}

#[test]
fn digits_side_by_side_are_counted() {
    assert_eq!(digits(seven(300, 200, 90, 40)), 1);
    let mut two = seven(300, 200, 30, 40);
    imageops::overlay(&mut two, &imageops::crop_imm(&seven(300, 200, 0, 40), 0, 0, 130, 200).to_image(), 160, 0);
    assert_eq!(digits(two), 2);
}

#[test]
fn strokes_of_one_digit_that_do_not_touch_are_one_digit() {
    // A 5 whose bar floats to the right of its body.
    let five = GrayImage::from_fn(200, 200, |x, y| {
        let strokes =
            [[90, 40, 150, 54], [60, 40, 75, 100], [60, 90, 130, 104], [116, 90, 130, 160], [60, 146, 130, 160]];
        let is_ink = |[left, top, right, bottom]: [u32; 4]| (left..right).contains(&x) && (top..bottom).contains(&y);
        if strokes.into_iter().any(is_ink) { PEN } else { PAPER }
    });
    assert_eq!(digits(five), 1);
}

#[test]
fn any_picture_is_read_or_refused_without_a_panic() {
    let mut random = Random::new(7, 0);
    for round in 0..150u32 {
        let [width, height] = [0, 1].map(|_| 1 + random.below(if round % 3 == 0 { 6 } else { 120 }));
        let mut picture = image::RgbaImage::from_pixel(width, height, image::Rgba([random.below(256) as u8; 4]));
        // Rectangles of any colour, and in every second picture grain.
        for _ in 0..random.below(12) {
            let color = image::Rgba(std::array::from_fn(|_| random.below(256) as u8));
            let (left, top) = (random.below(width), random.below(height));
            let (right, bottom) = (left + 1 + random.below(width - left), top + 1 + random.below(height - top));
            for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
                picture.put_pixel(x, y, color);
            }
        }
        if round % 2 == 0 {
            picture.pixels_mut().for_each(|pixel| pixel.0[round as usize % 3] ^= random.below(64) as u8);
        }
        for one in [false, true] {
            let picture = picture.clone().into();
            if let Ok(found) = photo::find_in_stages(&picture, &Options { one }, &mut Stages::kept()) {
                let rows = vec![vec![0.1; 10]; found.pixels().len() / 784];
                assert!(found.read(&rows).digits().count() > 0, "round {round}: found, and no digit");
            }
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused_without_a_panic() {
    let (files, mut random) = (Files::new(), Random::new(8, 0));
    for name in ["seven.png", "seven.pgm", "seven.jpg", "seven.bmp", "seven.tiff", "seven.webp"] {
        let bytes = fs::read(files.save(name, &seven(120, 90, 20, 5))).unwrap();
        for _ in 0..60 {
            let mut bytes = bytes.clone();
            for _ in 0..=random.below(4) {
                let place = random.below(bytes.len().min(400) as u32) as usize;
                bytes[place] = random.below(256) as u8;
            }
            bytes.truncate(bytes.len() - random.below(20) as usize);
            let _ = read(&bytes);
        }
    }
}
