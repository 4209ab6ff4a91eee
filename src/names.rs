//! Suggestions for misspelt names.

/// `; did you mean …?` with the name nearest to a word, or nothing if no name is near.
pub(crate) fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    /// The least similarity of two words, from 0 to 1: one letter in five may differ.
    const ALIKE: f64 = 0.75;
    let word = word.to_lowercase();
    let likeness = |name: &'a str| {
        let lower = name.to_lowercase();
        let likeness = strsim::normalized_damerau_levenshtein(&word, &lower);
        // Other programs have a `conv2d` and a `maxpool`.
        let is_within = lower.len() >= 4 && word.contains(&lower);
        (if is_within { likeness.max(ALIKE) } else { likeness }, name)
    };
    let nearest = names.into_iter().filter(|name| *name != word).map(likeness).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness >= ALIKE => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_where_it_is_near() {
        let names = ["conv2d_forward", "dense_forward", "lockstep"];
        assert_eq!(did_you_mean("conv2d_foward", names), "; did you mean `conv2d_forward`?");
        assert_eq!(did_you_mean("LOCKSTEPS", names), "; did you mean `lockstep`?");
        assert_eq!(did_you_mean("conv2d", ["dense", "conv"]), "; did you mean `conv`?");
        assert_eq!(did_you_mean("resnet", names), "");
        assert_eq!(did_you_mean("lockstep", names), "");
    }
}
