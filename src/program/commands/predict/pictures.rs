//! The pictures that a command line names.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::decode::has_picture_ending;
use crate::files::entries;
use crate::program::files::Destination;
use crate::program::terminal;

/// The name that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Refuses to write results over a picture, as in `predict run --json a.png b.png`.
pub(super) fn ensure_no_picture(output: &Destination) -> Result<()> {
    if let Destination::File(path) = output {
        let name = path.display();
        ensure!(
            !has_picture_ending(path),
            "--json {name} or --csv {name} would overwrite a picture; for standard output give `--json -`"
        );
    }
    Ok(())
}

/// What folders hold besides pictures.
#[derive(Default)]
struct Others {
    files: usize,
    folders: usize,
}

/// The pictures that the paths name: files as they are, and for folders the pictures in them, in the order of their
/// names.
pub(super) fn pictures(paths: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    let mut others = Others::default();
    for path in paths {
        if !path.is_dir() {
            pictures.push(path.clone());
            continue;
        }
        let name = path.display();
        let before = (pictures.len(), others.folders);
        enter(path, recursive, &mut pictures, &mut others)?;
        let hint = if others.folders > before.1 { "; --recursive enters its folders" } else { "" };
        ensure!(
            pictures.len() > before.0,
            "the folder {name} holds no picture{hint}; give PNG, JPEG, PNM, BMP, WebP or TIFF files"
        );
    }
    if others.files > 0 {
        let (files, are) = if others.files == 1 { ("file", "is no picture") } else { ("files", "are no pictures") };
        terminal::remark(format_args!("{} {files} in these folders {are}, and left out", others.files));
    }
    Ok(pictures)
}

/// Collects the pictures of a folder. Names that begin with a dot are hidden.
fn enter(folder: &Path, recursive: bool, pictures: &mut Vec<PathBuf>, others: &mut Others) -> Result<()> {
    for path in entries(folder)? {
        // A link to a folder may lead back to where it is.
        let is_link = path.is_symlink();
        if path.is_dir() {
            others.folders += 1;
            if recursive && !is_link {
                enter(&path, recursive, pictures, others)?;
            }
        } else if has_picture_ending(&path) {
            pictures.push(path);
        } else {
            others.files += 1;
        }
    }
    Ok(())
}
