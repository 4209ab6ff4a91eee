//! In place of `formats` where the library is built without that feature.

use std::path::Path;

use anyhow::{Result, bail};

use super::Found;
use crate::data::Request;

const WITHOUT: &str =
    "this program was built without the feature `formats` of gpu-digits, which reads pictures, CSV and NPZ";

pub(super) fn file(_: &Path) -> Result<Option<Found>> {
    bail!(WITHOUT)
}

pub(super) fn folder(_: &Path, _: &Request) -> Result<Option<Found>> {
    bail!(WITHOUT)
}
