//! NPZ files: arrays of NumPy in a ZIP archive, as Keras ships MNIST.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use npyz::{DType, NpyFile, Order, TypeChar};
use zip::ZipArchive;

use super::super::{Found, Part};
use crate::data::Samples;
use crate::data::idx::{channels_last, images_of_axes, most_unpacked_bytes};
use crate::data::task::MOST_CLASSES;

/// How the arrays of a part are called: by Keras, and by MedMNIST.
const TRAIN: &[[&str; 2]] = &[["x_train", "y_train"], ["train_images", "train_labels"]];
const VALIDATION: &[[&str; 2]] = &[["x_val", "y_val"], ["val_images", "val_labels"]];
const TEST: &[[&str; 2]] = &[["x_test", "y_test"], ["test_images", "test_labels"]];

/// The set of a file.
pub(super) fn file(path: &Path) -> Result<Found> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).with_context(|| format!("{name} is no NPZ file, or is damaged"))?;
    let mut part = |names: &[[&str; 2]]| {
        let are_there = |[images, _]: &&[&str; 2]| archive.index_for_name(&format!("{images}.npy")).is_some();
        let Some([images, labels]) = names.iter().find(are_there) else { return Ok(None) };
        read(&mut archive, images, labels).with_context(|| format!("cannot use {name}")).map(Some)
    };
    let (train, validation, test) = (part(TRAIN)?, part(VALIDATION)?, part(TEST)?);
    let Some(mut train) = train else {
        let arrays: Vec<_> = archive.file_names().flatten().collect();
        bail!("{name} holds the arrays {}; name them x_train, y_train, x_test and y_test", arrays.join(", "));
    };
    let mut notes = vec![];
    if let Some(more) = validation {
        ensure!(more.image == train.image, "{name} has images of {} and of {}", train.image, more.image);
        notes.push(format!("its {} validation images are added to the training images", more.samples.len()));
        train.samples.images.extend(more.samples.images);
        train.samples.labels.extend(more.samples.labels);
    }
    Ok(Found { what: "an NPZ file", train, test, names: None, name: None, notes })
}

/// An array of whole numbers.
struct Array {
    shape: Vec<usize>,
    type_char: TypeChar,
    bytes_each: usize,
    is_big_endian: bool,
    bytes: Vec<u8>,
}

fn read<R: Read + std::io::Seek>(archive: &mut ZipArchive<R>, images: &str, labels: &str) -> Result<Part> {
    let pixels = array(archive, images).with_context(|| format!("its array `{images}`"))?;
    let (image, planes_first) = images_of_axes(&pixels.shape).with_context(|| {
        format!("its array `{images}` has the shape {:?}; images are [n, y, x] or [n, y, x, channels]", pixels.shape)
    })?;
    ensure!(
        pixels.bytes_each == 1 && pixels.type_char == TypeChar::Uint,
        "its array `{images}` is not of bytes (uint8) from 0 to 255; convert it"
    );
    let mut bytes = pixels.bytes;
    if planes_first {
        channels_last(&mut bytes, image);
    }
    let numbers = array(archive, labels).with_context(|| format!("its array `{labels}`"))?;
    ensure!(
        numbers.shape.iter().skip(1).all(|&size| size == 1)
            && matches!(numbers.type_char, TypeChar::Uint | TypeChar::Int),
        "its array `{labels}` of shape {:?} is not a whole number for each image",
        numbers.shape
    );
    let label = |bytes: &[u8]| {
        let in_order: Vec<u8> =
            if numbers.is_big_endian { bytes.to_vec() } else { bytes.iter().rev().copied().collect() };
        let is_negative = numbers.type_char == TypeChar::Int && in_order[0] >= 0x80;
        let value = in_order.iter().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
        ensure!(
            !is_negative && value < MOST_CLASSES as u64,
            "its array `{labels}` holds a label that is not from 0 to {}",
            MOST_CLASSES - 1
        );
        Ok(value as u16)
    };
    let labels = numbers.bytes.chunks_exact(numbers.bytes_each).map(label).collect::<Result<Vec<u16>>>()?;
    Ok(Part { image, samples: Samples { images: bytes, labels } })
}

/// An array of the archive.
fn array<R: Read + std::io::Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Array> {
    let most = most_unpacked_bytes();
    let mut packed = archive.by_name(&format!("{name}.npy")).context("it is not there")?;
    let file = NpyFile::new(&mut packed).context("it is no array of NumPy")?;
    ensure!(file.order() == Order::C, "it lies column by column; write it with numpy.ascontiguousarray");
    let shape = file.shape().iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>()?;
    let DType::Plain(dtype) = file.dtype() else { bail!("it has records instead of numbers") };
    let bytes_each = usize::try_from(dtype.size_field())?;
    let count = shape
        .iter()
        .try_fold(bytes_each, |bytes, &size| bytes.checked_mul(size))
        .filter(|&bytes| (1..=most).contains(&(bytes as u64)));
    let count =
        count.with_context(|| format!("its shape {shape:?} is empty, or takes more than {} MiB", most >> 20))?;
    let (type_char, endianness) = (dtype.type_char(), dtype.endianness());
    drop(file);
    let mut bytes = vec![];
    packed.take(count as u64 + 1).read_to_end(&mut bytes).context("it is damaged")?;
    ensure!(bytes.len() == count, "it is damaged: it has {} bytes, wanted {count}", bytes.len());
    Ok(Array { shape, type_char, bytes_each, is_big_endian: endianness == npyz::Endianness::Big, bytes })
}
