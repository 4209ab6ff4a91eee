//! In place of `download` where the library is built without that feature.

use std::path::Path;

use anyhow::{Result, bail};

use super::Source;
use super::idx::IdxFile;

/// There is none.
pub(super) enum Downloader {}

impl Downloader {
    pub(super) fn new(_: &Source, _: bool) -> Result<Self> {
        bail!("this program was built without the feature `download` of gpu-digits")
    }

    pub(super) fn fetch(&mut self, _: &str, _: &str, _: &Path) -> Result<IdxFile> {
        match *self {}
    }
}
