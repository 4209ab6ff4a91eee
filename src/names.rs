//! Names that users type: patterns such as `conv*`, suggestions for misspelt ones, and lists.

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

/// Whether a name matches a pattern: `*` stands for any letters and `?` for one letter.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern_letters = pattern.chars();
    match pattern_letters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern_letters.as_str();
            name.char_indices().any(|(start, _)| matches(rest, &name[start..])) || matches(rest, "")
        }
        Some(letter) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|first| letter == '?' || letter == first)
                && matches(pattern_letters.as_str(), letters.as_str())
        }
    }
}

/// Names with commas between, in lines of 80 columns.
pub(crate) fn listed(names: &[&str]) -> String {
    let comma = |index: usize| if index + 1 < names.len() { "," } else { "" };
    wrapped("  ", names.iter().enumerate().map(|(index, name)| format!("{name}{}", comma(index)))).join("\n")
}

/// Words in lines of 80 columns, the first after a mark and the others indented as far.
pub(crate) fn wrapped(mark: &str, words: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    const WIDTH: usize = 80;
    let mut lines = vec![mark.to_owned()];
    for (index, word) in words.into_iter().enumerate() {
        let word = word.as_ref();
        match lines.last_mut() {
            Some(line) if index == 0 => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{:indent$}{word}", "", indent = mark.len())),
        }
    }
    lines
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

    #[test]
    fn patterns_match_whole_names() {
        for pattern in ["conv*", "*_forward", "conv2d_forward", "c*2d*f*d", "conv?d_forward", "*"] {
            assert!(matches(pattern, "conv2d_forward"), "{pattern}");
        }
        for pattern in ["conv", "*2d", "conv2d_forward?", "Conv*", ""] {
            assert!(!matches(pattern, "conv2d_forward"), "{pattern}");
        }
    }

    #[test]
    fn a_long_list_stands_in_lines_of_80_columns() {
        let list = listed(&["conv_relu_pool_backward_weight"; 5]);
        assert_eq!(list.lines().count(), 3);
        assert!(list.lines().all(|line| line.len() <= 80) && list.ends_with("weight"), "{list}");
        assert_eq!(listed(&["a", "b"]), "  a, b");
        assert_eq!(
            wrapped("- ", ["one", &"x".repeat(76), "two"]),
            ["- one", &format!("  {}", "x".repeat(76)), "  two"]
        );
    }
}
