//! The IDX format of MNIST: a big-endian magic number, the sizes of the axes, then the elements.
//!
//! The magic number's third byte is the type of the elements, its last the number of axes. Headers are not trusted: sizes
//! are compared with the actual number of bytes, and no memory is allocated from a header alone.

use std::fmt::Display;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::task::MOST_CLASSES;
use super::{ImageShape, Samples};
use crate::files::hex;
use crate::host::free_host_memory;

/// Types of elements: unsigned bytes, and signed integers of 8, 16 and 32 bits.
const U8: u8 = 0x08;
const I8: u8 = 0x09;
const I16: u8 = 0x0B;
const I32: u8 = 0x0C;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most unpacked bytes, so that a few megabytes of gzip cannot fill the memory: half of what is free, or 2 GiB where
/// that is not known.
pub(super) fn most_unpacked_bytes() -> u64 {
    free_host_memory().map_or(2 << 30, |free| free / 2)
}

/// Bytes of an element, if this is a type that files have here.
fn element_bytes(kind: u8) -> Option<usize> {
    match kind {
        U8 | I8 => Some(1),
        I16 => Some(2),
        I32 => Some(4),
        _ => None,
    }
}

/// Header of a file with `count` images of the given axes, which a byte is an element of.
pub(super) fn header(count: usize, axes: &[u32]) -> Vec<u8> {
    header_of(U8, count, axes)
}

fn header_of(kind: u8, count: usize, axes: &[u32]) -> Vec<u8> {
    let magic = [0, 0, kind, 1 + axes.len() as u8];
    let sizes = std::iter::once(count as u32).chain(axes.iter().copied());
    magic.into_iter().chain(sizes.flat_map(u32::to_be_bytes)).collect()
}

/// A file of labels: bytes if the classes allow it, otherwise integers of 16 bits.
pub(super) fn labels_file(labels: &[u16], classes: usize) -> Vec<u8> {
    if classes <= 1 << 8 {
        let bytes = labels.iter().map(|&label| label as u8);
        return header_of(U8, labels.len(), &[]).into_iter().chain(bytes).collect();
    }
    let words = labels.iter().flat_map(|label| label.to_be_bytes());
    header_of(I16, labels.len(), &[]).into_iter().chain(words).collect()
}

/// The unpacked content of a file, before its format is checked.
#[derive(Debug)]
pub(super) struct IdxFile {
    /// Path or address, for messages.
    name: String,
    content: Vec<u8>,
    /// SHA-256 of the content, in hex.
    sha256: String,
}

/// What a header says, after it was compared with the file.
struct Header {
    kind: u8,
    /// The sizes of the axes, the number of items first.
    axes: Vec<usize>,
    /// Where the elements begin.
    start: usize,
}

impl IdxFile {
    /// Reads a file, compressed with gzip or not.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::unpack(path.display().to_string(), bytes)
    }

    /// Unpacks the bytes of a file. Its first bytes, not its name, show whether it is compressed.
    pub(super) fn unpack(name: String, bytes: Vec<u8>) -> Result<Self> {
        Self::unpack_at_most(most_unpacked_bytes(), name, bytes)
    }

    fn unpack_at_most(max_bytes: u64, name: String, bytes: Vec<u8>) -> Result<Self> {
        let content = if bytes.starts_with(&GZIP_MAGIC) { gunzip(&bytes, max_bytes, &name)? } else { bytes };
        ensure!(content.len() as u64 <= max_bytes, "{name}: more than {max_bytes} unpacked bytes; use a smaller set");
        let sha256 = hex(&Sha256::digest(&content));
        Ok(Self { name, content, sha256 })
    }

    /// Path or address it came from.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the unpacked content, in hex.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same file, if its unpacked content has the expected hash.
    pub(super) fn with_sha256(self, wanted: &str) -> Result<Self> {
        let found = &self.sha256;
        ensure!(found == wanted, "{}: SHA-256 of the unpacked content is {found}, wanted {wanted}", self.name);
        Ok(self)
    }

    /// The shape of its images, and their bytes, of which there is at least one image: `[n, y, x]` for grey images,
    /// otherwise `[n, y, x, c]` or `[n, c, y, x]` with 1 or 3 channels. The bytes returned have their channels last.
    pub(super) fn images(self) -> Result<(ImageShape, Vec<u8>)> {
        let Header { kind, axes, start } = self.header()?;
        let Some((image, planes_first)) = images_of_axes(&axes) else {
            return Err(self.wrong(
                3,
                format!("axes of {axes:?}"),
                "images: [n, y, x], or one axis more of 1 or 3 channels",
            ));
        };
        if kind != U8 {
            return Err(self.wrong(
                2,
                format!("elements of type {kind:#04x}"),
                format!("{U8:#04x}: a byte for each pixel"),
            ));
        }
        let mut content = self.content;
        content.drain(..start);
        if planes_first {
            channels_last(&mut content, image);
        }
        Ok((image, content))
    }

    /// The labels, of which there is at least one: each below the most classes that there may be.
    pub(super) fn labels(self) -> Result<Vec<u16>> {
        let Header { kind, axes, start } = self.header()?;
        if axes.iter().skip(1).any(|&size| size != 1) {
            return Err(self.wrong(3, format!("axes of {axes:?}"), "labels: a number for each image"));
        }
        let size = element_bytes(kind).unwrap_or(1);
        let label = |(index, bytes): (usize, &[u8])| {
            let number = match (kind, bytes) {
                (U8, [byte]) => i64::from(*byte),
                (_, bytes) => {
                    bytes[1..].iter().fold(i64::from(bytes[0] as i8), |sum, &byte| (sum << 8) + i64::from(byte))
                }
            };
            let is_label = (0..MOST_CLASSES as i64).contains(&number);
            let wrong = || {
                self.wrong(
                    start + size * index,
                    format!("label {number}"),
                    format!("a label from 0 to {}", MOST_CLASSES - 1),
                )
            };
            if is_label { Ok(number as u16) } else { Err(wrong()) }
        };
        self.content[start..].chunks_exact(size).enumerate().map(label).collect()
    }

    /// Reads the header and compares it with the number of bytes.
    fn header(&self) -> Result<Header> {
        let [zeros @ .., kind, count] = self.field(0)?;
        let Some(element) = element_bytes(kind).filter(|_| zeros == [0; 2] && (1..=4).contains(&count)) else {
            let found = u32::from_be_bytes([zeros[0], zeros[1], kind, count]);
            return Err(self.wrong(
                0,
                format!("{found:#010x}"),
                "the mark of an IDX file of bytes or integers, 0x00000801 for example",
            ));
        };
        let places = (0..usize::from(count)).map(|axis| 4 + 4 * axis);
        let sizes = places.clone().map(|place| Ok(u32::from_be_bytes(self.field(place)?)));
        let axes = sizes.collect::<Result<Vec<u32>>>()?;
        if let Some((place, _)) = places.zip(&axes).find(|(_, size)| **size == 0) {
            return Err(self.wrong(place, "a size of 0", "at least 1"));
        }
        let start = 4 + 4 * usize::from(count);
        // Four sizes of 32 bits and four bytes each do not fit 64 bits.
        let wanted = axes.iter().fold(element as u128, |bytes, &size| bytes * u128::from(size)) + start as u128;
        let found = self.content.len();
        if found as u128 != wanted {
            let what = if (found as u128) < wanted { "the end of the file" } else { "more than the header announces" };
            let offset = wanted.min(found as u128) as usize;
            return Err(self.wrong(offset, what, format!("{wanted} bytes for {} items", axes[0])));
        }
        Ok(Header { kind, axes: axes.into_iter().map(|size| size as usize).collect(), start })
    }

    /// The four bytes of the header at an offset.
    fn field(&self, offset: usize) -> Result<[u8; 4]> {
        match self.content.get(offset..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Ok(*bytes),
            None => Err(self.wrong(self.content.len(), "the end of the file", "a whole header")),
        }
    }

    fn wrong(&self, offset: usize, found: impl Display, wanted: impl Display) -> anyhow::Error {
        anyhow!("{}: unpacked byte {offset}: found {found}, wanted {wanted}; write it or download it again", self.name)
    }
}

/// The images of a file with the labels of another, and their shape.
pub(super) fn samples(images: IdxFile, labels: IdxFile) -> Result<(ImageShape, Samples)> {
    let names = format!("{} and {}", images.name(), labels.name());
    let ((image, images), labels) = (images.images()?, labels.labels()?);
    let (image_count, label_count) = (images.len() / image.bytes(), labels.len());
    ensure!(
        image_count == label_count,
        "{names}: byte 4: found {image_count} images and {label_count} labels, wanted equal numbers; use \
         files of the same set"
    );
    Ok((image, Samples { images, labels }))
}

/// The shape of images in an array `[n, y, x]`, `[n, y, x, c]` or `[n, c, y, x]` with 1 or 3 channels, and whether their
/// planes lie one after the other; none for other axes.
pub(super) fn images_of_axes(axes: &[usize]) -> Option<(ImageShape, bool)> {
    let shape = |height, width, channels| ImageShape { height, width, channels };
    match *axes {
        [_, height, width] => Some((shape(height, width, 1), false)),
        [_, height, width, channels @ (1 | 3)] => Some((shape(height, width, channels), false)),
        [_, channels @ (1 | 3), height, width] => Some((shape(height, width, channels), true)),
        _ => None,
    }
}

/// Puts the channels of images last in memory.
pub(super) fn channels_last(images: &mut [u8], image: ImageShape) {
    let area = image.height * image.width;
    for picture in images.chunks_exact_mut(image.bytes()) {
        let planes = picture.to_vec();
        for (place, byte) in picture.iter_mut().enumerate() {
            *byte = planes[place % image.channels * area + place / image.channels];
        }
    }
}

/// Unpacks at most one byte more than `max_bytes`: one or more gzip streams. Zero bytes may follow, as gzip and Python
/// allow (archives on tapes are padded with zeros).
fn gunzip(packed: &[u8], max_bytes: u64, name: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let mut decoder = GzDecoder::new(rest);
        let room = (max_bytes + 1).saturating_sub(content.len() as u64);
        decoder.by_ref().take(room).read_to_end(&mut content).map_err(|error| {
            let offset = packed.len() - decoder.get_ref().len();
            anyhow!("{name}: byte {offset}: damaged gzip data: {error}; download it again")
        })?;
        if content.len() as u64 > max_bytes {
            break;
        }
        rest = decoder.into_inner();
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = &rest[zeros..];
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(content: &[u8]) -> IdxFile {
        IdxFile { name: "FILE".to_owned(), content: content.to_vec(), sha256: String::new() }
    }

    fn images(count: usize) -> Vec<u8> {
        let pixels = (0..count * 784).map(|index| (index * 7) as u8);
        header(count, &[28, 28]).into_iter().chain(pixels).collect()
    }

    fn labels(labels: &[u8]) -> Vec<u8> {
        [&header(labels.len(), &[]), labels].concat()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn assert_refused<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) {
        let message = result.unwrap_err().to_string();
        for part in ["FILE: ", "download it again"].iter().chain(parts) {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn plain_and_packed_files_give_the_same_items() {
        for bytes in [images(3), gzip(&images(3))] {
            let file = IdxFile::unpack("FILE".to_owned(), bytes).unwrap();
            assert_eq!(file.images().unwrap(), (ImageShape::MNIST, images(3)[16..].to_vec()));
        }
        assert_eq!(file(&labels(&[0, 9, 5])).labels().unwrap(), [0, 9, 5]);
    }

    #[test]
    fn images_have_any_size_and_three_channels_in_either_order() {
        let image = ImageShape { height: 2, width: 3, channels: 3 };
        let last: Vec<u8> = (0..36).collect();
        let read = |axes: &[u32], bytes: &[u8]| file(&[&header(2, axes), bytes].concat()).images().unwrap();
        assert_eq!(read(&[2, 3, 3], &last), (image, last.clone()), "a last axis of 3 is that of the channels");
        let image = ImageShape { height: 2, width: 2, channels: 3 };
        let first: Vec<u8> = (0..24).collect();
        let wanted = vec![0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23];
        assert_eq!(read(&[3, 2, 2], &first), (image, wanted));
        let grey = ImageShape { height: 5, width: 7, channels: 1 };
        assert_eq!(read(&[5, 7], &[1; 70]).0, grey);
        assert_eq!(read(&[5, 7, 1], &[1; 70]).0, grey);
    }

    #[test]
    fn labels_may_be_integers_of_any_width() {
        let of = |kind: u8, bytes: &[u8]| {
            let count = bytes.len() / element_bytes(kind).unwrap();
            file(&[&header_of(kind, count, &[]), bytes].concat()).labels()
        };
        assert_eq!(of(I16, &[1, 44, 0, 7]).unwrap(), [300, 7]);
        assert_eq!(of(I32, &[0, 0, 3, 231]).unwrap(), [999]);
        assert_eq!(of(I8, &[5]).unwrap(), [5]);
        assert_refused(of(I16, &[0, 1, 0xff, 0xff]), &["byte 10", "found label -1", "from 0 to 999"]);
        assert_refused(of(I32, &[0, 0, 3, 232]), &["byte 8", "found label 1000", "from 0 to 999"]);
    }

    #[test]
    fn labels_are_written_as_they_are_read() {
        for (labels, classes, bytes) in [(vec![0, 255], 256, 10), (vec![3, 299], 300, 12)] {
            let content = labels_file(&labels, classes);
            assert_eq!((content.len(), file(&content).labels().unwrap()), (bytes, labels));
        }
    }

    #[test]
    fn files_of_something_else_are_refused() {
        assert_refused(file(&labels(&[1])).images(), &["byte 3", "found axes of [1]", "wanted images"]);
        assert_refused(file(&images(1)).labels(), &["byte 3", "found axes of [1, 28, 28]", "wanted labels"]);
        assert_refused(file(b"PK\x03\x04....").images(), &["byte 0", "found 0x504b0304"]);
        let floats = [&header_of(0x0D, 1, &[])[..], &[0; 4]].concat();
        assert_refused(file(&floats).labels(), &["byte 0", "found 0x00000d01"]);
        let words = [&header_of(I16, 1, &[1, 1])[..], &[0; 2]].concat();
        assert_refused(file(&words).images(), &["byte 2", "found elements of type 0x0b"]);
    }

    #[test]
    fn empty_set_is_refused() {
        assert_refused(file(&labels(&[])).labels(), &["byte 4", "a size of 0"]);
        assert_refused(file(&header(3, &[28, 0])).images(), &["byte 12", "a size of 0"]);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let content = [labels(&[1]), vec![0]].concat();
        assert_refused(file(&content).labels(), &["byte 9", "found more than", "wanted 9 bytes for 1 items"]);
    }

    #[test]
    fn truncated_items_are_refused() {
        assert_refused(file(&images(2)[..1000]).images(), &["byte 1000", "the end of the file", "wanted 1584 bytes"]);
    }

    #[test]
    fn truncated_header_is_refused() {
        for length in 0..16 {
            let part = format!("byte {length}: found the end of the file");
            assert_refused(file(&images(1)[..length]).images(), &[&part]);
        }
    }

    #[test]
    fn absurd_sizes_are_refused_without_setting_memory_aside() {
        let content = header(u32::MAX as usize, &[28, 28]);
        assert_refused(file(&content).images(), &["byte 16", "wanted 3367254359296", "4294967295 items"]);
        let content = header(u32::MAX as usize, &[u32::MAX; 2]);
        assert_refused(file(&content).images(), &["byte 16", "79228162458924105385300197391 bytes"]);
    }

    #[test]
    fn truncated_gzip_is_refused() {
        let packed = gzip(&images(3));
        for length in [2, 12, packed.len() / 2, packed.len() - 1] {
            let part = format!("byte {length}: damaged gzip data");
            assert_refused(IdxFile::unpack("FILE".to_owned(), packed[..length].to_vec()), &[&part]);
        }
    }

    #[test]
    fn wrong_gzip_checksum_is_refused() {
        let mut packed = gzip(&images(3));
        let checksum = packed.len() - 8;
        packed[checksum] ^= 1;
        assert_refused(IdxFile::unpack("FILE".to_owned(), packed), &["damaged gzip data", "checksum"]);
    }

    #[test]
    fn bytes_behind_gzip_are_refused() {
        let packed = [gzip(&images(3)), b"more".to_vec()].concat();
        assert_refused(IdxFile::unpack("FILE".to_owned(), packed), &["damaged gzip data"]);
    }

    #[test]
    fn zero_bytes_behind_gzip_are_read_over() {
        let [first, second] = [&images(3)[..1_000], &images(3)[1_000..]].map(gzip);
        for packed in [[gzip(&images(3)), vec![0; 512]].concat(), [first, vec![0; 512], second, vec![0]].concat()] {
            let file = IdxFile::unpack("FILE".to_owned(), packed).unwrap();
            assert_eq!(file.images().unwrap().1, images(3)[16..]);
        }
    }

    #[test]
    fn bytes_behind_the_zeros_are_refused() {
        let packed = [gzip(&images(3)), vec![0; 512], b"more".to_vec()].concat();
        assert_refused(IdxFile::unpack("FILE".to_owned(), packed), &["damaged gzip data"]);
    }

    #[test]
    fn gzip_bomb_is_refused() {
        let packed = gzip(&vec![0; 1 << 20]);
        let error = IdxFile::unpack_at_most(1 << 16, "FILE".to_owned(), packed).unwrap_err().to_string();
        assert!(error.contains("FILE: more than 65536 unpacked bytes"), "{error}");
    }
}
