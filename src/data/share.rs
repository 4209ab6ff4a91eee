//! A number of images, or a share of all.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result, ensure};

/// A number of images, or a share of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// So many images.
    Images(usize),
    /// This part of all, from 0 to 1.
    Part(f64),
}

impl Share {
    /// How many images of `all` it is; more than all if it is a larger number.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Images(images) => images,
            Self::Part(part) => (part * all as f64).round() as usize,
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(images) => write!(f, "{images}"),
            Self::Part(part) => write!(f, "{}%", 100.0 * part),
        }
    }
}

impl FromStr for Share {
    type Err = Error;

    /// Reads a number of images, `5000`, or a share of all, `10%` or `0.1`.
    fn from_str(text: &str) -> Result<Self> {
        const WANTED: &str = "give a number of images such as 5000, or a share such as 10% or 0.1";
        if let Ok(images) = text.parse() {
            return Ok(Self::Images(images));
        }
        let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim_end(), 100.0));
        let number: f64 = number.parse().context(WANTED)?;
        ensure!((0.0..=whole).contains(&number), WANTED);
        Ok(Self::Part(number / whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shares_are_read_and_printed() {
        let read = |text: &str| text.parse::<Share>().unwrap();
        assert_eq!(
            (read("5000"), read("10%"), read("0.25")),
            (Share::Images(5000), Share::Part(0.1), Share::Part(0.25))
        );
        assert_eq!((read("1"), read("1.0"), read("0")), (Share::Images(1), Share::Part(1.0), Share::Images(0)));
        for text in ["5000", "10%", "12.5%"] {
            assert_eq!(read(text).to_string(), text);
        }
        for wrong in ["", "-1", "1.5", "101%", "nan", "many", "5 %%"] {
            assert!(wrong.parse::<Share>().unwrap_err().to_string().starts_with("give a number of images"), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_part_of_all_and_a_number_is_itself() {
        assert_eq!([Share::Images(7), Share::Part(0.5), Share::Part(1.0)].map(|share| share.of(5)), [7, 3, 5]);
        assert_eq!([Share::Images(7), Share::Part(0.1)].map(|share| share.of(0)), [7, 0]);
    }
}
