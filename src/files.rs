//! Files that are either there whole or not at all, and what they are known by.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file beside its place and renames it, so that nothing is lost or half there when the program ends early.
///
/// A link stays one, and its target is written; what is no file, such as a pipe or `/dev/stdout`, is written to as it is.
///
/// # Errors
/// Where the folder cannot be written to.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return fs::write(path, bytes).with_context(|| format!("cannot write to {}", path.display()));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // Another process that writes the same file has another name for its part.
    name.push(format!(".{}.partial", std::process::id()));
    let beside = path.with_file_name(name);
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).with_context(|| {
        // What could not be written whole is of no use; where it cannot be removed either, it stays.
        let _ = fs::remove_file(&beside);
        format!("cannot write {}; is there space, and may you write to its folder?", path.display())
    })
}

/// Lower-case hexadecimal digits, as `sha256sum` prints them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
