//! Words of a command line as a shell reads them.

use std::fmt;

use crate::words::Word;

impl fmt::Display for Word {
    /// The word for a shell: quoted if needed, and with `$'...'` if it is not Unicode or has control characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_os_str().to_str().filter(|text| !text.chars().any(char::is_control));
        match text.and_then(|text| shlex::try_quote(text).ok()) {
            Some(quoted) => f.write_str(&quoted),
            None => {
                f.write_str("$'")?;
                for &byte in self.as_os_str().as_encoded_bytes() {
                    match byte {
                        b'\'' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                        b' '..=b'~' => write!(f, "{}", char::from(byte))?,
                        _ => write!(f, "\\x{byte:02x}")?,
                    }
                }
                f.write_str("'")
            }
        }
    }
}

/// A command line for a shell.
pub fn join(words: &[Word]) -> String {
    words.iter().map(Word::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(join(&["train".into(), "conv 2x3, relu".into()]), "train 'conv 2x3, relu'");
        assert_eq!(Word::from("a\u{1b}'b").to_string(), r"$'a\x1b\'b'");
    }

    #[cfg(unix)]
    #[test]
    fn a_word_that_is_not_unicode_is_quoted_byte_by_byte() {
        use std::os::unix::ffi::OsStringExt as _;
        let word = Word::from(std::ffi::OsString::from_vec(b"d\xff".to_vec()));
        assert_eq!(word.to_string(), r"$'d\xff'");
    }
}
