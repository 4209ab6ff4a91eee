//! Names that users type: patterns such as `conv*`, and lists of names.

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
    const WIDTH: usize = 80;
    let mut lines = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        let word = format!("  {name}{comma}");
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.len() + word.len() - 1 <= WIDTH => line.push_str(&word[1..]),
            _ => lines.push(word),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
