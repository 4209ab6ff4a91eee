//! Tensors of safetensors files of any origin.

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, SafeTensors};

use super::matching::Tensors;
use crate::weights::{metadata_of, tensors_of, widened};

/// What the file is called in errors, which name it already.
const NAME: &str = "it";

/// The tensors of a file by their names, numbers in these in order.
pub(super) struct Safetensors<'a> {
    file: SafeTensors<'a>,
    named: Vec<(String, Vec<usize>)>,
}

/// Whether the bytes begin as such a file: with the length of a header, and its bracket.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

impl<'a> Safetensors<'a> {
    /// The tensors of floats.
    ///
    /// # Errors
    /// If the file is damaged, or names its layers.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let is_ours = metadata_of(NAME, bytes)?.contains_key("model");
        ensure!(!is_ours, "it is a model of gpu-digits already; `eval`, `predict` and `train --init` take it");
        let file = tensors_of(NAME, bytes)?;
        let is_float = |kind: Dtype| matches!(kind, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
        let mut named: Vec<(String, Vec<usize>)> = file
            .iter()
            .filter(|(_, view)| is_float(view.dtype()))
            .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
            .collect();
        // The file does not keep the order of the layers; their names may.
        named.sort_by_cached_key(|(name, _)| natural(name));
        Ok(Self { file, named })
    }
}

impl Tensors for Safetensors<'_> {
    fn named(&self) -> &[(String, Vec<usize>)] {
        &self.named
    }

    fn values(&self, place: usize) -> Result<Vec<f32>> {
        let name = &self.named[place].0;
        widened(&self.file.tensor(name)?).with_context(|| format!("the tensor `{name}` has no floats"))
    }
}

/// A name as a key by which `layer2` comes before `layer10`.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    for part in name.split('.') {
        let letters = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = part[letters.len()..].parse().unwrap_or(0);
        parts.push((0, letters.to_owned()));
        parts.push((number, String::new()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let mut names = ["10.weight", "2.bias", "fc10.weight", "fc2.weight", "2.weight", "conv.weight"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["2.bias", "2.weight", "10.weight", "conv.weight", "fc2.weight", "fc10.weight"]);
    }
}
