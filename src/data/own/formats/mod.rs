//! Forms of data that other libraries read: pictures, CSV and NPZ files.

mod csv;
mod npz;
mod pictures;

use std::path::Path;

use anyhow::Result;

use super::{Found, ending, files};
use crate::data::Request;

/// The set in a file, if it is one of these.
pub(super) fn file(path: &Path) -> Result<Option<Found>> {
    match ending(path).as_str() {
        "csv" => csv::file(path).map(Some),
        "npz" => npz::file(path).map(Some),
        _ => Ok(None),
    }
}

/// The set in a folder, if it holds one.
pub(super) fn folder(path: &Path, request: &Request) -> Result<Option<Found>> {
    if let Some(found) = csv::folder(path)? {
        return Ok(Some(found));
    }
    let archives: Vec<_> = files(path)?.into_iter().filter(|file| ending(file) == "npz").collect();
    if let [only] = &archives[..] {
        return npz::file(only).map(Some);
    }
    pictures::folder(path, request)
}
