//! The pictures that a command line names.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use image::DynamicImage;
use rayon::prelude::*;

use crate::decode::has_picture_ending;
use crate::files::entries;
use crate::photo;
use crate::program::files::Destination;
use crate::program::terminal;

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

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

/// What `read` makes of each picture, with the picture's name. Several are read in parallel, and those that cannot be read
/// are reported and left out.
///
/// # Errors
/// If the only picture, or none of several, can be read.
pub(super) fn each<T: Send>(
    names: &[PathBuf],
    read: impl Fn(&Path, DynamicImage) -> Result<T> + Sync,
) -> Result<Vec<(String, T)>> {
    let bar = terminal::bar(names.len(), "{wide_bar} {pos}/{len} pictures  {left}");
    let read = |name: &PathBuf| {
        bar.inc(1);
        read(name, load(name)?)
    };
    let read: Vec<Result<T>> = names.par_iter().map(read).collect();
    bar.finish_and_clear();
    let mut usable = Vec::new();
    for (name, read) in names.iter().zip(read) {
        match read {
            Ok(read) => usable.push((name.display().to_string(), read)),
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => terminal::error(&format!("{error:#}")),
        }
    }
    ensure!(!usable.is_empty(), "none of the {} pictures can be read; the errors above say why", names.len());
    Ok(usable)
}

/// Ends with an error if pictures were left out by [`each`].
pub(super) fn ensure_all_read(named: usize, read: usize) -> Result<()> {
    let refused = named - read;
    ensure!(refused == 0, "{refused} of {named} pictures cannot be read; the errors above say why");
    Ok(())
}

fn load(path: &Path) -> Result<DynamicImage> {
    if path != Path::new(STANDARD_INPUT) {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read the picture {}", path.display()))?;
        return photo::decode(&bytes).with_context(|| format!("cannot use the picture {}", path.display()));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    photo::decode(&bytes).context("cannot use the picture on standard input")
}
