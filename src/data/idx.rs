//! The IDX format of MNIST: a big-endian magic number, a count, the shape of an item, then the items' bytes.
//!
//! Headers are not trusted: sizes are compared with the actual number of bytes, and no memory is allocated from a
//! header alone.

use std::fmt::Display;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::{CLASSES, IMAGE_SIDE};
use crate::files::hex;

/// Shape of an item of an image file; a label has the empty shape.
const IMAGE_SHAPE: [u32; 2] = [IMAGE_SIDE as u32; 2];

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The most unpacked bytes, so that a few megabytes of gzip cannot fill the memory.
const MAX_BYTES: u64 = 2 << 30;

/// Magic number of a file of unsigned bytes (type 8) whose items have a shape of `dimensions` sizes.
const fn magic(dimensions: usize) -> u32 {
    0x0801 + dimensions as u32
}

/// Header of a file with `count` items of the given shape.
pub(super) fn header(count: usize, shape: &[u32]) -> Vec<u8> {
    let fields = [magic(shape.len()), count as u32];
    fields.iter().chain(shape).flat_map(|field| field.to_be_bytes()).collect()
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

impl IdxFile {
    /// Reads a file, compressed with gzip or not.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::unpack(path.display().to_string(), bytes)
    }

    /// Unpacks the bytes of a file. Its first bytes, not its name, show whether it is compressed.
    pub(super) fn unpack(name: String, bytes: Vec<u8>) -> Result<Self> {
        Self::unpack_at_most(MAX_BYTES, name, bytes)
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

    /// Checks that this is a file of 28x28 images and returns their pixels, `[n, 28, 28]` with n at least 1.
    pub(super) fn images(mut self) -> Result<Vec<u8>> {
        let start = self.check_header(&IMAGE_SHAPE)?;
        self.content.drain(..start);
        Ok(self.content)
    }

    /// Checks that this is a file of labels 0..=9 and returns them, `[n]` with n at least 1.
    pub(super) fn labels(mut self) -> Result<Vec<u8>> {
        let start = self.check_header(&[])?;
        let too_large = |&offset: &usize| usize::from(self.content[offset]) >= CLASSES;
        if let Some(offset) = (start..self.content.len()).find(too_large) {
            return Err(self.wrong(offset, format!("label {}", self.content[offset]), "a label from 0 to 9"));
        }
        self.content.drain(..start);
        Ok(self.content)
    }

    /// Checks the header against the expected shape and the number of bytes. Returns the offset of the first item.
    fn check_header(&self, shape: &[u32]) -> Result<usize> {
        let (found, wanted) = (self.field(0)?, magic(shape.len()));
        if found != wanted {
            let kind = if shape.is_empty() { "labels" } else { "images" };
            return Err(self.wrong(
                0,
                format!("{found:#010x}"),
                format!("{wanted:#010x}, the mark of a file of {kind}"),
            ));
        }
        let count = self.field(4)?;
        if count == 0 {
            return Err(self.wrong(4, "a count of 0", "at least 1 item"));
        }
        // At most 2^32 items of 28x28 bytes: far from overflowing.
        let mut items_bytes = u64::from(count);
        for (index, &wanted) in shape.iter().enumerate() {
            let offset = 8 + 4 * index;
            let found = self.field(offset)?;
            if found != wanted {
                return Err(self.wrong(offset, format!("size {found}"), format!("size {wanted}: images are 28x28")));
            }
            items_bytes *= u64::from(wanted);
        }
        let start = header(0, shape).len();
        let (found, wanted) = (self.content.len() as u64, start as u64 + items_bytes);
        if found != wanted {
            let what = if found < wanted { "the end of the file" } else { "more than the header announces" };
            return Err(self.wrong(found.min(wanted) as usize, what, format!("{wanted} bytes for {count} items")));
        }
        Ok(start)
    }

    /// The big-endian header field at a byte offset.
    fn field(&self, offset: usize) -> Result<u32> {
        match self.content.get(offset..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Ok(u32::from_be_bytes(*bytes)),
            None => Err(self.wrong(self.content.len(), "the end of the file", "a whole header")),
        }
    }

    fn wrong(&self, offset: usize, found: impl Display, wanted: impl Display) -> anyhow::Error {
        anyhow!("{}: unpacked byte {offset}: found {found}, wanted {wanted}; download it again", self.name)
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
        header(count, &IMAGE_SHAPE).into_iter().chain(pixels).collect()
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
            assert_eq!(file.images().unwrap(), images(3)[16..]);
        }
        assert_eq!(file(&labels(&[0, 9, 5])).labels().unwrap(), [0, 9, 5]);
    }

    #[test]
    fn wrong_magic_number_is_refused() {
        assert_refused(file(&labels(&[1])).images(), &["byte 0", "found 0x00000801", "wanted 0x00000803", "images"]);
        assert_refused(file(&images(1)).labels(), &["byte 0", "found 0x00000803", "wanted 0x00000801", "labels"]);
    }

    #[test]
    fn wrong_image_size_is_refused() {
        let content = [header(1, &[28, 32]), vec![0; 28 * 32]].concat();
        assert_refused(file(&content).images(), &["byte 12", "found size 32", "wanted size 28"]);
    }

    #[test]
    fn empty_set_is_refused() {
        assert_refused(file(&labels(&[])).labels(), &["byte 4", "a count of 0"]);
    }

    #[test]
    fn label_above_nine_is_refused() {
        assert_refused(file(&labels(&[3, 10])).labels(), &["byte 9", "found label 10", "from 0 to 9"]);
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
        let content = header(u32::MAX as usize, &IMAGE_SHAPE);
        assert_refused(file(&content).images(), &["byte 16", "wanted 3367254359296", "4294967295 items"]);
        let content = header(u32::MAX as usize, &[u32::MAX; 2]);
        assert_refused(file(&content).images(), &["byte 8", "found size 4294967295"]);
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
            assert_eq!(file.images().unwrap(), images(3)[16..]);
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
