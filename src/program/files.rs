//! Destinations of output, and locks between processes.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::terminal;
use crate::files::write_atomically;

/// The destination of an output option such as `--json`: a file, or standard output for `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `-`.
    StandardOutput,
    /// Any other name.
    File(PathBuf),
}

impl From<OsString> for Destination {
    fn from(name: OsString) -> Self {
        if name == "-" { Self::StandardOutput } else { Self::File(name.into()) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardOutput => f.write_str("standard output"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Destination {
    /// Writes all of it.
    ///
    /// # Errors
    /// If the file or standard output cannot be written to.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::StandardOutput => terminal::write_stdout(bytes),
            Self::File(path) => write_atomically(path, bytes),
        }
    }

    /// Whether it is a file whose name ends as a picture's.
    pub fn is_picture(&self) -> bool {
        let Self::File(path) = self else { return false };
        path.extension().is_some_and(|ending| ending == "svg" || ending == "png")
    }

    /// Writes a value as JSON. All control characters in its texts are escaped, even those that JSON allows.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_json(&self, value: &impl serde::Serialize) -> Result<()> {
        let mut text = String::new();
        for letter in serde_json::to_string_pretty(value)?.chars() {
            match letter {
                '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
                _ => text.push(letter),
            }
        }
        text.push('\n');
        self.write(text.as_bytes())
    }
}

/// Whether standard output is one of these, so that nothing else may be printed on it.
pub fn on_stdout<'a>(outputs: impl IntoIterator<Item = &'a Option<Destination>>) -> bool {
    outputs.into_iter().flatten().any(|output| *output == Destination::StandardOutput)
}

/// A lock that one process holds at a time, kept in a file.
///
/// The system releases it when the process ends in any way. The file is not removed: otherwise a third process could
/// lock a new file of the same name while a second one still waits for the old file.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process holds the lock, and takes it.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn wait(path: &Path) -> Result<Self> {
        let file = open_lock(path)?;
        match file.lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Self { _file: file }),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Takes the lock; none if another process holds it.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems have no locks. Work without one there.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(Some(Self { _file: file })),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = File::options().write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("cannot write the lock file {}; check the permissions of its folder", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_released_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none(), "the lock was taken twice");
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some(), "the lock was not released");
    }

    #[test]
    fn a_dash_is_standard_output_and_any_other_name_a_file() {
        assert_eq!(Destination::from(OsString::from("-")), Destination::StandardOutput);
        assert_eq!(Destination::from(OsString::from("./-")), Destination::File("./-".into()));
    }

    #[test]
    fn json_holds_no_control_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        Destination::File(path.clone()).write_json(&"\u{1b}[31m\u{9b}é").unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text, "\"\\u001b[31m\\u009bé\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "\u{1b}[31m\u{9b}é");
    }
}
