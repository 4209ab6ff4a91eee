//! Atomic writes of files, what folders hold, and hashes as text.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes a temporary file and renames it, so that the file is never lost or incomplete if the program or the machine ends
/// early.
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
    write_durably(&beside, bytes).and_then(|()| fs::rename(&beside, path)).with_context(|| {
        // An incomplete file is useless. If it cannot be removed either, it stays.
        let _ = fs::remove_file(&beside);
        format!("cannot write {}; check the free space and the permissions of its folder", path.display())
    })?;
    // The new name is durable once its folder is. Not every system and file system can do that.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Writes a file that is on the disk when the call returns, not only in the memory of the system.
fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Lower-case hexadecimal digits, as `sha256sum` prints them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a folder holds, in the order of the names. Names that begin with a dot are hidden.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
