//! Atomic writes of files, and hashes as text.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a temporary file and renames it, so that the file is never lost or incomplete if the program ends early.
///
/// A link stays a link, and its target is replaced. A path that is not a file, such as a pipe or `/dev/stdout`, is
/// written to directly.
///
/// # Errors
/// If the folder cannot be written to.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return fs::write(path, bytes).with_context(|| format!("cannot write to {}", path.display()));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // Another process that writes the same file uses another temporary name.
    name.push(format!(".{}.partial", std::process::id()));
    let beside = path.with_file_name(name);
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).with_context(|| {
        // An incomplete file is useless. If it cannot be removed either, it stays.
        let _ = fs::remove_file(&beside);
        format!("cannot write {}; check the free space and the permissions of its folder", path.display())
    })
}

/// Lower-case hexadecimal digits, as `sha256sum` prints them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
