//! Reads the text of a layer, by the table or by rows of your own.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::{Entry, LAYERS, Layer};
use crate::names::did_you_mean;

/// How deep layers may stand in each other.
const MOST_DEPTH: usize = 8;

/// The layer of a text, such as `dense 10` or `residual(conv 16x3 same, relu)`.
///
/// # Errors
/// If the word is unknown, or the words after it, or the layers in its parentheses, do not fit it.
pub fn parse(text: &str, own: &[Entry]) -> Result<Arc<dyn Layer>> {
    // Accept other spellings: `Conv 32×3`.
    parse_within(&text.to_lowercase().replace('×', "x"), own, MOST_DEPTH)
}

fn parse_within(text: &str, own: &[Entry], depth: usize) -> Result<Arc<dyn Layer>> {
    let text = text.trim();
    let (head, within) = match text.split_once('(') {
        Some((head, rest)) => {
            let within = rest.strip_suffix(')').with_context(|| format!("`{text}` does not end with its `)`"))?;
            (head, Some(within))
        }
        None => (text, None),
    };
    let words: Vec<&str> = head.split_whitespace().collect();
    let entries = || LAYERS.iter().chain(own);
    let [word, rest @ ..] = &words[..] else { bail!("there is nothing between two commas; remove one of them") };
    let Some(entry) = entries().find(|entry| entry.word == *word) else {
        let forms: Vec<&str> = entries().flat_map(|entry| entry.forms).copied().collect();
        let meant = did_you_mean(word, entries().map(|entry| entry.word));
        bail!("there is no such layer{meant}\nlayers are `{}`", forms.join("`, `"));
    };
    let write_it = || format!("write it like `{}`", entry.forms.join("` or `"));
    let takes_layers = entry.forms.iter().any(|form| form.contains('('));
    ensure!(takes_layers == within.is_some(), "{}", write_it());
    let counts = || entry.forms.iter().map(|form| form.split('(').next().unwrap_or(form).split(' ').count());
    if counts().all(|count| count != words.len()) {
        let wrong =
            if counts().all(|count| words.len() < count) { "a number is missing" } else { "it has an extra word" };
        bail!("{wrong}; {}", write_it());
    }
    ensure!(within.is_none() || depth > 0, "layers may stand in each other {MOST_DEPTH} deep");
    let layer = |text| parse_within(text, own, depth - 1).with_context(|| format!("cannot read layer `{text}`"));
    let layers = within.map(|within| split(within).into_iter().map(layer).collect::<Result<_>>());
    (entry.parse)(rest, layers.transpose()?.unwrap_or_default())
}

/// The texts of layers between commas that stand in no parentheses.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let comma = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    text.split(comma).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_table_is_read_and_printed_as_it_is_written() {
        for entry in LAYERS {
            for form in entry.forms {
                let layer = parse(form, &[]).unwrap();
                assert_eq!((layer.text().as_str(), layer.word().as_str()), (*form, entry.word));
            }
        }
    }

    #[test]
    fn a_layer_with_a_wrong_number_of_words_names_its_forms() {
        let error = |text| format!("{:#}", parse(text, &[]).unwrap_err());
        assert_eq!(
            error("conv"),
            "a number is missing; write it like `conv 32x3` or `conv 32x3 same` or `conv 32x3 stride 2` or `conv 32x3 same stride 2`"
        );
        assert_eq!(error("leaky"), "a number is missing; write it like `leaky 0.1`");
        assert_eq!(error("relu 3"), "it has an extra word; write it like `relu`");
        assert_eq!(error("leaky x"), "`x` is not a number");
        assert_eq!(error("dense x"), "`x` is not a whole number");
        assert!(error("conv 4x3 sane").contains("`sane` is neither `same` nor"));
        assert!(error("maxpool 2").contains("did you mean `pool`?"));
        assert!(error("convolve").contains("layers are `conv 32x3`, `conv 32x3 same`, `conv 32x3 stride 2`"));
    }
}
