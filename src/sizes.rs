//! The sizes of an op by name, as its label has them.

use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// Sizes and numbers by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes(Vec<(String, f64)>);

impl Sizes {
    /// Those of an op.
    pub fn of(sizes: &[(&'static str, f64)]) -> Self {
        Self(sizes.iter().map(|&(name, value)| (name.to_owned(), value)).collect())
    }

    /// A size that is a whole number, if it is there. It is not 0.
    pub fn size(&self, name: &str) -> Option<usize> {
        self.size_or_zero(name).filter(|&size| size > 0)
    }

    /// The same for one that may be 0.
    pub fn size_or_zero(&self, name: &str) -> Option<usize> {
        let &(_, value) = self.0.iter().find(|(of, _)| of == name)?;
        (value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value)).then_some(value as usize)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The same with another value for a name.
    pub fn with(&self, name: &str, size: usize) -> Self {
        let changed = |(of, value): &(String, f64)| (of.clone(), if of == name { size as f64 } else { *value });
        Self(self.0.iter().map(changed).collect())
    }
}

/// As in a label: `batch=3,channels=5`.
impl FromStr for Sizes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let size = |part: &str| -> Result<(String, f64)> {
            let (name, value) = part.split_once('=').with_context(|| format!("`{part}` is no `name=number`"))?;
            let value: f64 = value.parse().with_context(|| format!("`{value}` of `{part}` is no number"))?;
            ensure!(value.is_finite(), "`{part}` is not finite");
            Ok((name.to_owned(), value))
        };
        text.split(',').map(size).collect::<Result<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_labels_have_them() {
        let sizes: Sizes = "batch=3,padding=0,slope=0.01".parse().unwrap();
        assert_eq!(sizes, Sizes::of(&[("batch", 3.0), ("padding", 0.0), ("slope", 0.01)]));
        assert_eq!(
            (sizes.size("batch"), sizes.size("padding"), sizes.size_or_zero("padding")),
            (Some(3), None, Some(0))
        );
        assert_eq!((sizes.size("slope"), sizes.size("width")), (None, None));
        assert_eq!(sizes.with("batch", 2).size("batch"), Some(2));
        for wrong in ["", "batch", "batch=three", "batch=inf"] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }
}
