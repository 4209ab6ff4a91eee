//! Recipes: lists of ordinary options of `train` for a purpose.

/// Options of `train` that suit a purpose together.
#[derive(Debug, PartialEq)]
pub struct Recipe {
    /// The name after `--recipe`.
    pub name: &'static str,
    /// What it is for, in a line.
    pub purpose: &'static str,
    /// The options, each with its value.
    pub options: &'static [(&'static str, &'static str)],
}

/// All recipes.
pub static RECIPES: &[Recipe] = &[
    Recipe {
        name: "accurate",
        purpose: "many epochs of a larger model, with more augmentation and an average of the weights",
        options: &[
            (
                "--model",
                "conv 24x3, relu, conv 24x3, relu, pool 2, norm, conv 64x3 same, relu, conv 64x3, relu, pool 2, norm, \
                 conv 256x3, relu, norm, flatten, dropout 0.4, dense 10",
            ),
            ("--epochs", "20"),
            ("--augment", "rotate 10, zoom 0.1, stretch 0.1, shear 5, shift 1.5, elastic 2"),
            ("--add-generated", "0"),
            ("--label-smoothing", "0.05"),
            ("--average", "0.998"),
            ("--validation", "0"),
        ],
    },
    Recipe {
        name: "small",
        purpose: "few parameters: 7,732",
        options: &[
            (
                "--model",
                "conv 12x5, relu, pool 2, norm, conv 16x3 same, relu, pool 2, norm, conv 30x3, relu, pool 2, norm, \
                 flatten, dense 10",
            ),
            ("--epochs", "15"),
            ("--augment", "rotate 8, zoom 0.1, stretch 0.1, shear 5, shift 1"),
            ("--add-generated", "0"),
            ("--average", "0.998"),
            ("--validation", "0"),
        ],
    },
    Recipe {
        name: "speedrun",
        purpose: "one epoch",
        options: &[
            (
                "--model",
                "conv 24x5, relu, pool 2, norm, conv 48x3, relu, pool 2, norm, conv 96x3, relu, pool 3, norm, flatten, \
                 dense 10",
            ),
            ("--epochs", "1"),
            ("--batch-size", "64"),
            ("--lr", "0.01"),
            ("--augment", "none"),
            ("--add-generated", "0"),
            ("--label-smoothing", "0.1"),
            ("--average", "0.99"),
        ],
    },
    Recipe {
        name: "generated",
        purpose: "generated digits alone, for reading handwriting",
        options: &[
            ("--dataset", "generated"),
            ("--generated-images", "60000"),
            (
                "--model",
                "conv 24x5, pool 2, relu, norm, conv 32x3, pool 2, relu, norm, flatten, dropout 0.3, dense 128, relu, \
                 dense 10",
            ),
            ("--augment", "rotate 10, zoom 0.15, stretch 0.28, shear 10, shift 1.5, elastic 3, pen 1, blur 1"),
            ("--average", "0.998"),
        ],
    },
];

impl Recipe {
    /// Its words, without the options that are given besides.
    pub fn words(&self, given: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let kept = self.options.iter().filter(|(name, _)| !given(name));
        kept.flat_map(|&(name, value)| [name, value]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_given_besides_take_the_place_of_a_recipes() {
        let options = &[("--epochs", "2"), ("--lr", "0.1")];
        let recipe = Recipe { name: "one", purpose: "a test", options };
        assert_eq!(recipe.words(|name| name == "--epochs"), ["--lr", "0.1"]);
        assert_eq!(recipe.words(|_| false), ["--epochs", "2", "--lr", "0.1"]);
    }
}
