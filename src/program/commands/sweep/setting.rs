//! The settings of a sweep: a grid of options, and a name for each.

use std::collections::HashSet;

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use super::super::repeat::name_of;
use crate::augment::Augment;
use crate::files::hex;
use crate::model::Model;
use crate::numbers;
use crate::program::cli::{OptimizerName, SweepArgs};
use crate::program::recipes::Recipe;
use crate::random::Random;

/// The random stream that chooses settings.
pub(super) const DRAW_STREAM: u64 = 2 << 32;

/// What is trained if neither a model nor a recipe is named.
const DEFAULT_MODEL: &str = "convnet";

/// The most characters of a setting's name, which names a folder and a row of the table.
const LONGEST_NAME: usize = 36;

/// The least number of letters of the model in a name; a folder must not begin with a dash.
const SHORTEST_MODEL: usize = 3;

/// Digits of a hash in a name.
const HASH: usize = 6;

/// The options that the runs of a table row share.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Whose options those are that are not swept.
    pub(super) recipe: Option<&'static Recipe>,
    /// The model; none for that of the recipe.
    pub(super) model: Option<String>,
    /// The others with their values. Those that are not swept have the defaults of `train`, which depend on the data.
    pub(super) options: Vec<(&'static str, String)>,
}

impl Setting {
    /// The options of `train`.
    pub(super) fn words(&self) -> Vec<String> {
        let recipe = self.recipe.map(|recipe| ("--recipe", recipe.name)).into_iter();
        let model = self.model.as_deref().map(|model| ("--model", model));
        let all = recipe.chain(model).chain(self.options.iter().map(|(name, value)| (*name, value.as_str())));
        all.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
    }

    /// The model, or the recipe that has one.
    pub(super) fn subject(&self) -> String {
        let recipe = self.recipe.map(|recipe| recipe.name);
        let parts: Vec<&str> = recipe.into_iter().chain(self.model.as_deref()).collect();
        parts.join(" ")
    }

    /// The model and the values of the options, as a name.
    fn full_name(&self) -> [String; 2] {
        let value = |(name, value): &(&str, String)| match *name {
            "--average" | "--label-smoothing" | "--weight-decay" => {
                format!("_{}-{value}", name.trim_start_matches('-'))
            }
            _ => format!("_{}", as_name(value, ".-")),
        };
        [as_name(&self.subject(), ""), self.options.iter().map(value).collect()]
    }

    /// The name of its folder and row: the full one or, if that is long, its parts shortened, with a hash of each.
    pub(super) fn name(&self) -> String {
        let [model, rest] = self.full_name();
        let rest = shortened(&rest, LONGEST_NAME - SHORTEST_MODEL - 1 - HASH);
        if model.chars().count() + rest.len() <= LONGEST_NAME {
            return model + &rest;
        }
        let room = LONGEST_NAME.saturating_sub(rest.len() + 1 + HASH);
        format!("{}-{}{rest}", model.chars().take(room).collect::<String>(), hash(&self.subject()))
    }

    pub(super) fn is_named_in_full(&self) -> bool {
        self.name() == self.full_name().concat()
    }
}

/// The letters, the digits and the marks that are kept of a text, with a dash between its words.
fn as_name(text: &str, marks: &str) -> String {
    let is_kept = |letter: char| letter.is_alphanumeric() || marks.contains(letter);
    let kept: String = text.chars().map(|letter| if is_kept(letter) { letter } else { ' ' }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join("-")
}

/// A text of at most so many bytes: its beginning and a hash, if it is longer.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most - 1 - HASH;
    let start: String = text
        .char_indices()
        .take_while(|(place, letter)| place + letter.len_utf8() <= room)
        .map(|(_, letter)| letter)
        .collect();
    format!("{start}-{}", hash(text))
}

/// The first digits of a text's hash.
pub(super) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))[..HASH].to_owned()
}

/// The values of an option that is swept, as `train` reads them; it is left out if there are none.
fn swept<T>(name: &'static str, values: &[T], text: impl Fn(&T) -> String) -> (&'static str, Vec<String>) {
    (name, values.iter().map(text).collect())
}

/// The grid, or a random part of it. Every model is checked, and equal settings count once even if their numbers are
/// written differently.
pub(super) fn settings(args: &SweepArgs) -> Result<Vec<Setting>> {
    let number = |value: &f64| numbers::exact(*value);
    let optimizers = match (&args.optimizer[..], args.recipe) {
        ([], None) => &[OptimizerName::Adam],
        (given, _) => given,
    };
    let options = [
        swept("--optimizer", optimizers, |name| name_of(*name)),
        swept("--batch-size", &args.batch_size, usize::to_string),
        swept("--lr", &args.lr, number),
        swept("--schedule", &args.schedule, |name| name_of(*name)),
        swept("--weight-decay", &args.weight_decay, number),
        swept("--label-smoothing", &args.label_smoothing, number),
        swept("--average", &args.average, number),
        swept("--augment", &args.augment, Augment::to_string),
    ];
    let mut grid: Vec<Vec<(&'static str, String)>> = vec![vec![]];
    for (name, values) in options.into_iter().filter(|(_, values)| !values.is_empty()) {
        let with = |value: &String| {
            let value = value.clone();
            grid.iter().map(move |options| [&options[..], &[(name, value.clone())]].concat()).collect::<Vec<_>>()
        };
        grid = values.iter().flat_map(with).collect();
    }
    let mut seen = HashSet::new();
    let mut settings = Vec::new();
    let models: Vec<Option<String>> = match (&args.model[..], args.recipe) {
        ([], Some(_)) => vec![None],
        ([], None) => vec![Some(DEFAULT_MODEL.to_owned())],
        (models, _) => models.iter().map(|model| Some(model.trim().to_owned())).collect(),
    };
    for model in models {
        let layers = model.as_ref().map(|model| model.parse::<Model>()).transpose()?.map(|model| model.to_string());
        for options in &grid {
            if seen.insert((layers.clone(), options.clone())) {
                settings.push(Setting { recipe: args.recipe, model: model.clone(), options: options.clone() });
            }
        }
    }
    if let Some(count) = args.random {
        Random::new(args.draw_seed, DRAW_STREAM).shuffle(&mut settings);
        settings.truncate(count);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::train_args;
    use super::*;
    use crate::program::cli::{Cli, Command};

    fn setting(model: &str, options: &[(&'static str, &str)]) -> Setting {
        let options = options.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        Setting { recipe: None, model: Some(model.to_owned()), options }
    }

    const USUAL: [(&str, &str); 3] = [("--optimizer", "nesterov"), ("--batch-size", "128"), ("--lr", "0.025")];

    #[test]
    fn a_long_model_has_a_short_name_with_a_hash() {
        let short = setting("flatten, dense 10", &USUAL);
        assert_eq!(short.name(), "flatten-dense-10_nesterov_128_0.025");
        let long = ["conv 8x3, relu, "; 40].concat();
        let (one, other) = (format!("{long}flatten, dense 10"), format!("{long}pool 2, flatten, dense 10"));
        let names = [&one, &other].map(|model| setting(model, &USUAL).name());
        assert!(names.iter().all(|name| name.len() == LONGEST_NAME && name.starts_with("conv-8x3-")), "{names:?}");
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn long_values_have_short_names_that_begin_with_the_model() {
        let of = |options: &[(&'static str, &str)]| setting("mlp", options);
        assert_eq!(of(&[("--optimizer", "adam"), ("--lr", "1e30")]).name(), "mlp_adam_1e30");
        let some = of(&[("--schedule", "one-cycle"), ("--average", "0.99")]);
        assert_eq!((some.name().as_str(), some.is_named_in_full()), ("mlp_one-cycle_average-0.99", true));
        let augments = ["rotate 10, zoom 0.15, shear 10", "rotate 10, zoom 0.15, shear 11"];
        let names = augments.map(|augment| of(&[("--optimizer", "adam"), ("--augment", augment)]));
        assert!(names.iter().all(|name| name.name().starts_with("mlp_adam_rotate-10-") && !name.is_named_in_full()));
        assert!(names.iter().all(|name| name.name().len() <= LONGEST_NAME), "{}", names[0].name());
        assert_ne!(names[0].name(), names[1].name());
    }

    #[test]
    fn a_sweep_is_the_grid_of_all_options_that_have_several_values() {
        let words = "gpu-digits sweep --out o --model mlp;lenet5 --lr 0.1,1e-1,0.2 --average 0.9,0.99 --label-smoothing 0,0.1 \
                     --schedule cosine --augment none;shift_2";
        let words = words.split_whitespace().map(|word| word.replace('_', " "));
        let Command::Sweep(args) = Cli::try_parse_from(words).unwrap().command else { panic!("another command") };
        let settings = settings(&args).unwrap();
        assert_eq!(settings.len(), 2 * 2 * 2 * 2 * 2, "a rate that is written in two ways counts once");
        let args = train_args(&args, settings.last().unwrap().words(), 1).unwrap();
        assert_eq!((args.model.as_deref(), args.lr, args.average), (Some("lenet5"), Some(0.2), Some(0.99)));
        assert_eq!((args.label_smoothing, args.augment), (0.1, Some("shift 2".parse().unwrap())));
    }
}
