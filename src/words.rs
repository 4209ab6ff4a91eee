//! Words of a command line, and paths, stored in JSON without loss even if they are not Unicode.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word of a command line. In JSON it is a string, or if it is not Unicode, the list of its units: bytes on Unix,
/// UTF-16 on Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(OsString);

impl Word {
    /// The word in the form of the operating system.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// The path that it names.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<OsString> for Word {
    fn from(word: OsString) -> Self {
        Self(word)
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<PathBuf> for Word {
    fn from(path: PathBuf) -> Self {
        Self(path.into())
    }
}

impl From<&Path> for Word {
    fn from(path: &Path) -> Self {
        Self(path.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Units(Vec<u16>),
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => Form::Text(text.to_owned()),
            None => Form::Units(units(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into(),
            Form::Units(units) => from_units(&units).ok_or_else(|| serde::de::Error::custom("a word is no bytes"))?,
        }))
    }
}

#[cfg(windows)]
fn units(word: &OsStr) -> Vec<u16> {
    std::os::windows::ffi::OsStrExt::encode_wide(word).collect()
}

#[cfg(windows)]
fn from_units(units: &[u16]) -> Option<OsString> {
    Some(std::os::windows::ffi::OsStringExt::from_wide(units))
}

#[cfg(not(windows))]
fn units(word: &OsStr) -> Vec<u16> {
    word.as_encoded_bytes().iter().copied().map(u16::from).collect()
}

#[cfg(unix)]
fn from_units(units: &[u16]) -> Option<OsString> {
    let bytes: Result<Vec<u8>, _> = units.iter().map(|&unit| u8::try_from(unit)).collect();
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.ok()?))
}

#[cfg(not(any(unix, windows)))]
fn from_units(_: &[u16]) -> Option<OsString> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let word = Word::from("conv 2x3, relu");
        assert_eq!(serde_json::to_string(&word).unwrap(), "\"conv 2x3, relu\"");
        assert_eq!(serde_json::from_str::<Word>("\"conv 2x3, relu\"").unwrap(), word);
    }

    #[cfg(unix)]
    #[test]
    fn a_word_that_is_not_unicode_comes_back_to_the_byte() {
        use std::os::unix::ffi::OsStringExt as _;
        let word = Word(OsString::from_vec(b"d\xff".to_vec()));
        let json = serde_json::to_string(&word).unwrap();
        assert_eq!(json, "[100,255]");
        assert_eq!(serde_json::from_str::<Word>(&json).unwrap(), word);
    }
}
