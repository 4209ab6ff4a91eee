//! `gpu-digits train --recipe`: the arguments that a recipe stands for.

use std::ffi::{OsStr, OsString};

use anyhow::Result;

use super::repeat::parsed;
use crate::program::cli::TrainArgs;
use crate::program::recipes::Recipe;
use crate::program::shell_words;
use crate::words::Word;

/// Options that are about the recipe itself.
const OF_RECIPES: [&str; 2] = ["--recipe", "--show"];

/// The words of `gpu-digits train` that a recipe stands for with the words given besides, which follow `train`.
fn words(recipe: &Recipe, given: &[OsString]) -> Vec<Word> {
    let is_option = |word: &OsStr, name: &str| {
        let rest = word.to_str().and_then(|word| word.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let is_given = |name: &str| given.iter().any(|word| is_option(word, name));
    let own = [env!("CARGO_PKG_NAME"), "train"].into_iter().chain(recipe.words(is_given)).map(Word::from);
    let mut words: Vec<Word> = own.collect();
    let mut rest = given.iter();
    while let Some(word) = rest.next() {
        if word == OF_RECIPES[0] {
            // Its name is the next word.
            rest.next();
        } else if !OF_RECIPES.iter().any(|name| is_option(word, name)) {
            words.push(Word::from(word.clone()));
        }
    }
    words
}

/// The arguments of a recipe with those given besides, which follow `train` on the command line.
pub(super) fn arguments(recipe: &Recipe, given: &[OsString]) -> Result<TrainArgs> {
    parsed(words(recipe, given).iter().map(Word::as_os_str))
}

/// Prints the command that a recipe stands for.
pub(super) fn show(recipe: &Recipe, given: &[OsString]) {
    out!("# {}", recipe.purpose);
    out!("{}", shell_words::join(&words(recipe, given)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::program::recipes::RECIPES;

    fn with(recipe: &Recipe, given: &[&str]) -> Vec<String> {
        let given: Vec<OsString> = given.iter().map(OsString::from).collect();
        words(recipe, &given).iter().map(|word| word.as_os_str().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_recipe_is_a_command_that_can_be_carried_out() {
        for recipe in RECIPES {
            let args = arguments(recipe, &[]).unwrap_or_else(|error| panic!("{}: {error:#}", recipe.name));
            let model = args.model.unwrap_or_else(|| panic!("{} has no model", recipe.name));
            let model = model.parse::<Model>().unwrap_or_else(|error| panic!("{}: {error:#}", recipe.name));
            let most = [("accurate", 350_000), ("small", 7_999)].into_iter().find(|(name, _)| *name == recipe.name);
            assert!(most.is_none_or(|(_, most)| model.parameter_count() <= most), "{}", model.parameter_count());
            let said = format!(": {}", crate::numbers::thousands(model.parameter_count()));
            assert!(!recipe.purpose.contains("parameters") || recipe.purpose.ends_with(&said), "{said}");
        }
    }

    #[test]
    fn options_given_besides_override_those_of_the_recipe_and_the_recipe_is_gone() {
        let options = &[("--model", "speedrun"), ("--epochs", "2"), ("--augment", "shift 1")];
        let recipe = &Recipe { name: "speedrun", purpose: "a test", options };
        let words = with(recipe, &["--recipe", "speedrun", "--epochs=3", "--seed", "4", "--show"]);
        let wanted = ["gpu-digits", "train", "--model", "speedrun", "--augment", "shift 1"];
        assert_eq!(words, [&wanted[..], &["--epochs=3", "--seed", "4"]].concat());
        assert_eq!(with(recipe, &["--recipe=speedrun"]).len(), 8);
    }
}
