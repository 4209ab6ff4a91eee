//! `gpu-digits sweep`: trains a grid of settings, several seeds each.
//!
//! A run is trained in a folder with a temporary name, which is renamed when the run is complete. So the same command
//! resumes an interrupted sweep, and its last run from that run's last checkpoint. If a run fails, the sweep notes it and
//! continues with the others.

use std::collections::HashSet;
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
use super::{Verdict, sweep_table};
use crate::files::{hex, write_atomically};
use crate::model::Model;
use crate::program::cli::{OptimizerName, SweepArgs, TrainArgs};
use crate::program::files::Lock;
use crate::program::numbers;
use crate::program::report::{REPORT_FILE, RunReport, compare};
use crate::random::Random;

/// The random stream that chooses settings.
const DRAW_STREAM: u64 = 2 << 32;

/// The most characters of a setting's name, which names a folder and a row of the table.
const LONGEST_NAME: usize = 36;

/// The least number of letters of the model in a name; a folder must not begin with a dash.
const SHORTEST_MODEL: usize = 3;

/// The options that the runs of a table row share.
#[derive(Clone, Debug)]
struct Setting {
    model: String,
    optimizer: OptimizerName,
    /// None for the optimizer's default.
    rate: Option<f64>,
    /// None for the default, which depends on the data.
    batch: Option<usize>,
}

impl Setting {
    /// The options of `train`.
    fn words(&self) -> Vec<String> {
        let optimizer = name_of(self.optimizer);
        let mut words = vec!["--model", &self.model, "--optimizer", &optimizer];
        let (batch, rate) = (self.batch.map(|batch| batch.to_string()), self.rate.map(numbers::exact));
        if let Some(batch) = &batch {
            words.extend(["--batch-size", batch]);
        }
        if let Some(rate) = &rate {
            words.extend(["--lr", rate]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// The name of its folder and row: the values of the options. A long model is shortened and gets a hash.
    fn name(&self) -> String {
        let values: Vec<String> = self.words().into_iter().skip(1).step_by(2).collect();
        let rest = format!("_{}", values[1..].join("_"));
        let letters: String =
            self.model.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }).collect();
        let model = letters.split_whitespace().collect::<Vec<_>>().join("-");
        if model.chars().count() + rest.len() <= LONGEST_NAME {
            return model + &rest;
        }
        let hash = &hex(&Sha256::digest(&self.model))[..6];
        let room = LONGEST_NAME.saturating_sub(rest.len() + 1 + hash.len()).max(SHORTEST_MODEL);
        format!("{}-{hash}{rest}", model.chars().take(room).collect::<String>())
    }
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
    let session = Session::open(&args.device, &args.data).await?.of_many_runs();
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
    let runs = runs.concat();
    if !runs.is_empty() {
        let comparison = args.out.join("comparison.html");
        write_atomically(&comparison, compare(&runs)?.as_bytes())?;
        out!("comparison {}", comparison.display());
    }
    Ok(if failures.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// The grid, or a random part of it. Every model is checked, and equal settings count once even if their numbers are
/// written differently.
fn settings(args: &SweepArgs) -> Result<Vec<Setting>> {
    let rates: Vec<Option<f64>> =
        if args.lr.is_empty() { vec![None] } else { args.lr.iter().copied().map(Some).collect() };
    let batches: Vec<Option<usize>> =
        if args.batch_size.is_empty() { vec![None] } else { args.batch_size.iter().copied().map(Some).collect() };
    let mut seen = HashSet::new();
    let mut settings = Vec::new();
    for model in args.model.iter().map(|model| model.trim().to_owned()) {
        let layers = model.parse::<Model>()?.to_string();
        for &optimizer in &args.optimizer {
            for &rate in &rates {
                for &batch in &batches {
                    if seen.insert((layers.clone(), name_of(optimizer), rate.map(f64::to_bits), batch)) {
                        settings.push(Setting { model: model.clone(), optimizer, rate, batch });
                    }
                }
            }
        }
    }
    if let Some(count) = args.random {
        Random::new(0, DRAW_STREAM).shuffle(&mut settings);
        settings.truncate(count);
    }
    Ok(settings)
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
    let (verdict, report) = train(session, &args, resumed).await?;
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
    let words = [env!("CARGO_PKG_NAME").to_owned(), "train".to_owned()].into_iter().chain(setting.words());
    Ok(TrainArgs {
        epochs: args.epochs,
        augment: args.augment,
        validation: args.validation,
        add_generated: args.add_generated,
        seed: seed as u64,
        device: args.device.clone(),
        data: args.data.clone(),
        self_test: args.self_test,
        ..parsed(words)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(model: &str) -> Setting {
        Setting { model: model.to_owned(), optimizer: OptimizerName::Nesterov, rate: Some(0.025), batch: Some(128) }
    }

    #[test]
    fn a_long_model_has_a_short_name_with_a_hash() {
        assert_eq!(setting("flatten, dense 10").name(), "flatten-dense-10_nesterov_128_0.025");
        let long = ["conv 8x3, relu, "; 40].concat();
        let (one, other) = (format!("{long}flatten, dense 10"), format!("{long}pool 2, flatten, dense 10"));
        let names = [setting(&one).name(), setting(&other).name()];
        assert!(names.iter().all(|name| name.len() == LONGEST_NAME && name.starts_with("conv-8x3-")), "{names:?}");
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn extreme_rates_have_short_names_that_begin_with_the_model() {
        let extreme = |rate| Setting { rate: Some(rate), ..setting("mlp") };
        assert_eq!(extreme(1e30).name(), "mlp_nesterov_128_1e30");
        assert_eq!(extreme(2.5e-7).name(), "mlp_nesterov_128_2.5e-7");
        let long = Setting { batch: Some(usize::MAX), rate: Some(1.234_567_890_123_456_7e-30), ..setting("mlp") };
        assert!(long.name().starts_with("mlp-"), "{}", long.name());
    }
}
