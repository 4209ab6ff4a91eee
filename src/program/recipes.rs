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
        purpose: "the most digits right, in some ten times the time of the default",
        options: &[
            (
                "--model",
                "conv 32x3 same, norm, relu, conv 32x3 same, norm, relu, pool 2, \
                 conv 64x3 same, norm, relu, conv 64x3 same, norm, relu, pool 2, flatten, dropout 0.3, dense 10",
            ),
            ("--epochs", "15"),
            ("--augment", "rotate 10, zoom 0.15, stretch 0.28, shear 10, shift 1.5, elastic 4, pen 1, blur 1"),
            ("--label-smoothing", "0.05"),
            ("--average", "0.998"),
        ],
    },
    Recipe {
        name: "small",
        purpose: "few parameters: 5,258",
        options: &[
            ("--model", "conv 8x3, relu, pool 2, conv 16x3, relu, pool 2, flatten, dense 10"),
            ("--epochs", "10"),
        ],
    },
    Recipe {
        name: "speedrun",
        purpose: "99 % of MNIST's test images in little time, with the model of this name",
        options: &[("--model", "speedrun"), ("--epochs", "2"), ("--add-generated", "0"), ("--augment", "shift 1")],
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
        let recipe = &RECIPES[2];
        assert_eq!(recipe.words(|name| name == "--epochs")[..4], ["--model", "speedrun", "--add-generated", "0"]);
        assert_eq!(recipe.words(|_| false).len(), 8);
    }
}
