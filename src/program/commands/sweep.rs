//! `gpu-digits sweep`: trains a grid of settings, several seeds each.
//!
//! A run is trained in a folder with a temporary name, which is renamed when the run is complete. So the same command
//! resumes an interrupted sweep, and its last run from that run's last checkpoint. If a run fails, the sweep notes it and
//! continues with the others.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use super::repeat::{name_of, parsed};
use super::resume::{Resumed, difference};
use super::self_test::ComputesWrongly;
use super::session::Session;
use super::sweep_table::Row;
use super::train::{record_of, train};
use super::{Verdict, recipe, sweep_table};
use crate::augment::Augment;
use crate::files::{hex, write_atomically};
use crate::model::Model;
use crate::numbers;
use crate::program::cli::{DataArgs, OptimizerName, SweepArgs, TrainArgs};
use crate::program::files::Lock;
use crate::program::recipes::Recipe;
use crate::program::report::{REPORT_FILE, RunReport, compare};
use crate::program::shell_words;
use crate::random::Random;
use crate::words::Word;

/// The random stream that chooses settings.
const DRAW_STREAM: u64 = 2 << 32;

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
struct Setting {
    /// Whose options those are that are not swept.
    recipe: Option<&'static Recipe>,
    /// The model; none for that of the recipe.
    model: Option<String>,
    /// The others with their values. Those that are not swept have the defaults of `train`, which depend on the data.
    options: Vec<(&'static str, String)>,
}

impl Setting {
    /// The options of `train`.
    fn words(&self) -> Vec<String> {
        let recipe = self.recipe.map(|recipe| ("--recipe", recipe.name)).into_iter();
        let model = self.model.as_deref().map(|model| ("--model", model));
        let all = recipe.chain(model).chain(self.options.iter().map(|(name, value)| (*name, value.as_str())));
        all.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
    }

    /// The model, or the recipe that has one.
    fn subject(&self) -> String {
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
    fn name(&self) -> String {
        let [model, rest] = self.full_name();
        let rest = shortened(&rest, LONGEST_NAME - SHORTEST_MODEL - 1 - HASH);
        if model.chars().count() + rest.len() <= LONGEST_NAME {
            return model + &rest;
        }
        let room = LONGEST_NAME.saturating_sub(rest.len() + 1 + HASH);
        format!("{}-{}{rest}", model.chars().take(room).collect::<String>(), hash(&self.subject()))
    }

    fn is_named_in_full(&self) -> bool {
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
fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))[..HASH].to_owned()
}

/// A run of the sweep: a setting with a seed.
struct Member {
    /// The index of its setting.
    setting: usize,
    name: String,
    folder: PathBuf,
    args: TrainArgs,
}

pub(super) async fn run(args: &SweepArgs) -> Result<Verdict> {
    let settings = settings(args)?;
    let members = members(args, &settings)?;
    let Some(_lock) = Lock::try_take(&args.out.join("sweep.lock"))? else {
        bail!("another sweep is running in {}; wait until it ends, or give another --out", args.out.display());
    };
    let session = Session::open(&args.device, &data(args)?).await?.of_many_runs();
    let mut done = Vec::new();
    for member in &members {
        done.push(load(&session, member).await?);
    }
    let mut runs: Vec<Vec<(String, RunReport)>> = vec![vec![]; settings.len()];
    let mut failures = Vec::new();
    for (number, (member, report)) in members.iter().zip(done).enumerate() {
        note!("run {}/{}: {}", number + 1, members.len(), member.name);
        let result = match report {
            Some(report) => Ok(Some(report)),
            None => train_member(&session, member).await,
        };
        match result {
            Ok(Some(report)) => runs[member.setting].push((member.name.clone(), report)),
            Ok(None) => {
                warning!("interrupted; the same command resumes the sweep at this run");
                return Ok(Verdict::Interrupted);
            }
            // So it would in each run.
            Err(error) if error.is::<ComputesWrongly>() => return Err(error),
            Err(error) => {
                warning!("failed: {}: {error:#}", member.name);
                failures.push((member.name.clone(), format!("{error:#}")));
            }
        }
    }
    let rows = settings.iter().zip(&runs).map(|(setting, runs)| Row::new(setting.name(), runs, args.seeds)).collect();
    sweep_table::print(rows, &failures);
    for setting in settings.iter().filter(|setting| !setting.is_named_in_full()) {
        let words: Vec<Word> = setting.words().into_iter().map(Word::from).collect();
        out!("{}: {}", setting.name(), shell_words::join(&words));
    }
    let runs = runs.concat();
    if !runs.is_empty() {
        let comparison = args.out.join("comparison.html");
        write_atomically(&comparison, compare(&runs)?.as_bytes())?;
        out!("comparison {}", comparison.display());
    }
    Ok(if failures.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// The values of an option that is swept, as `train` reads them; it is left out if there are none.
fn swept<T>(name: &'static str, values: &[T], text: impl Fn(&T) -> String) -> (&'static str, Vec<String>) {
    (name, values.iter().map(text).collect())
}

/// The grid, or a random part of it. Every model is checked, and equal settings count once even if their numbers are
/// written differently.
fn settings(args: &SweepArgs) -> Result<Vec<Setting>> {
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
        Random::new(0, DRAW_STREAM).shuffle(&mut settings);
        settings.truncate(count);
    }
    Ok(settings)
}

/// The data named, or else those of the recipe.
fn data(args: &SweepArgs) -> Result<DataArgs> {
    let Some(recipe) = args.recipe else { return Ok(args.data.clone()) };
    Ok(args.data.clone().or(recipe::arguments(recipe, &[])?.data))
}

/// The runs, seed by seed, so that an interrupted sweep has tried as many settings as possible.
fn members(args: &SweepArgs, settings: &[Setting]) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for seed in 0..args.seeds {
        for (index, setting) in settings.iter().enumerate() {
            let name = format!("{}/seed-{seed}", setting.name());
            let folder = args.out.join(&name);
            members.push(Member { setting: index, name, folder, args: train_args(args, setting, seed)? });
        }
    }
    Ok(members)
}

/// The report of a finished run, or none if the run must be trained.
///
/// # Errors
/// If the folder holds a run of other settings, other data or another commit.
async fn load(session: &Session, member: &Member) -> Result<Option<RunReport>> {
    let folder = &member.folder;
    if !folder.join(REPORT_FILE).exists() {
        return Ok(None);
    }
    match RunReport::load(folder) {
        Ok(report) => {
            // A setting that cannot be trained has no record to compare with. It fails when it is trained.
            let wanted = record_of(session, &member.args).await?;
            if let Some(difference) = difference(&report.record, &wanted)? {
                bail!(
                    "cannot resume: {} holds another run: {difference}; give another --out, or remove that folder",
                    folder.display()
                );
            }
            Ok(Some(report))
        }
        Err(error) => {
            let aside = (1..).map(|number| folder.with_extension(format!("damaged-{number}")));
            let aside =
                aside.take(1000).find(|path| !path.exists()).context("there are too many damaged runs; remove some")?;
            fs::rename(folder, &aside)
                .with_context(|| format!("cannot move the damaged {} aside", folder.display()))?;
            warning!("  note: {error:#}; the damaged run was moved to {} and is trained again", aside.display());
            Ok(None)
        }
    }
}

/// Trains a run and returns its report, or none if the user interrupted it.
async fn train_member(session: &Session, member: &Member) -> Result<Option<RunReport>> {
    let folder = &member.folder;
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let resumed = resumed(session, member, &partial).await?;
    let args = TrainArgs { out: Some(partial.clone()), ..member.args.clone() };
    let (verdict, report) = train(session, &args, resumed, None).await?;
    if verdict == Verdict::Interrupted {
        return Ok(None);
    }
    fs::rename(&partial, folder)
        .with_context(|| format!("cannot rename {} to {}", partial.display(), folder.display()))?;
    note!("saved {}", folder.display());
    Ok(Some(report))
}

/// The unfinished run in a folder, to go on with; one of other settings, or that cannot be read, is removed.
async fn resumed(session: &Session, member: &Member, partial: &Path) -> Result<Option<Resumed>> {
    if !partial.exists() {
        return Ok(None);
    }
    if let Ok(resumed) = Resumed::open(partial) {
        let wanted = record_of(session, &member.args).await?;
        if difference(&resumed.record, &wanted)?.is_none() {
            return Ok(Some(resumed));
        }
    }
    fs::remove_dir_all(partial).with_context(|| format!("cannot remove the unfinished {}", partial.display()))?;
    Ok(None)
}

/// The arguments of `train` for a run, except for its folder.
fn train_args(args: &SweepArgs, setting: &Setting, seed: usize) -> Result<TrainArgs> {
    let words: Vec<OsString> = setting.words().into_iter().map(OsString::from).collect();
    let own = match setting.recipe {
        Some(recipe) => recipe::arguments(recipe, &words)?,
        None => parsed([env!("CARGO_PKG_NAME"), "train"].into_iter().map(OsString::from).chain(words))?,
    };
    Ok(TrainArgs {
        epochs: args.epochs.unwrap_or(own.epochs),
        validation: args.validation.or(own.validation),
        add_generated: args.add_generated.or(own.add_generated),
        seed: seed as u64,
        device: args.device.clone(),
        data: data(args)?,
        self_test: args.self_test,
        ..own
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::data::DataChoice;
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
        let args = train_args(&args, settings.last().unwrap(), 1).unwrap();
        assert_eq!((args.model.as_deref(), args.lr, args.average), (Some("lenet5"), Some(0.2), Some(0.99)));
        assert_eq!((args.label_smoothing, args.augment), (0.1, Some("shift 2".parse().unwrap())));
    }

    #[test]
    fn a_recipe_names_its_data_unless_others_are_named() {
        let data_of = |more: &str| {
            let words = format!("gpu-digits sweep --out o --recipe generated {more}");
            let Command::Sweep(args) = Cli::try_parse_from(words.split_whitespace()).unwrap().command else {
                panic!("another command")
            };
            let data = data(&args).unwrap();
            let member = train_args(&args, &settings(&args).unwrap()[0], 0).unwrap().data;
            assert_eq!((member.dataset, member.generated_images), (data.dataset, data.generated_images));
            (data.dataset, data.generated_images)
        };
        assert_eq!(data_of(""), (Some(DataChoice::Generated), Some(60_000)));
        assert_eq!(data_of("--generated-images 70"), (Some(DataChoice::Generated), Some(70)));
    }
}
