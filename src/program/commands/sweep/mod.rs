//! `gpu-digits sweep`: trains a grid of settings, several seeds each.
//!
//! Any number of equal commands share a folder, on one machine or on several with one file system: each run is trained by
//! one of them, and one that another has left unfinished goes on. If a run fails, the sweep notes it and continues with the
//! others.

mod halving;
mod member;
mod merge;
mod setting;
mod table;
mod trials;

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::repeat::parsed;
use super::self_test::ComputesWrongly;
use super::session::Session;
use super::{Verdict, recipe};
use crate::files::write_atomically;
use crate::program::cli::{DataArgs, SweepArgs, SweepCommand, TrainArgs};
use crate::program::report::{RunReport, compare};
use crate::program::shell_words;
use crate::words::Word;
use member::{Member, Trained};
use setting::{Setting, settings};
use table::Row;

/// How often a process looks whether a run of another one has ended.
const LOOK: Duration = Duration::from_millis(200);

/// Seeds of each setting.
const SEEDS: usize = 3;

pub(super) async fn run(args: &SweepArgs) -> Result<Verdict> {
    if let Some(SweepCommand::Merge(args)) = &args.command {
        return merge::run(args);
    }
    let out = args.out.as_deref().context("a sweep needs --out")?;
    let settings = settings(args)?;
    let session = Session::open(&args.device, &data(args)?).await?.of_many_runs();
    if let Some(eta) = args.halving {
        return halving::run(args, out, &session, &settings, eta as usize).await;
    }
    if args.ask.is_some() {
        return trials::run(args, out, &session, &settings).await;
    }
    let mut members = members(args, out, &settings)?;
    if let Some(shard) = args.shard {
        let mut place = 0..;
        members.retain(|_| place.next().is_some_and(|place| shard.has(place)));
    }
    let Some(Sweep { reports, failures }) = train_all(&session, &members).await? else {
        warning!("interrupted; the same command resumes the sweep at this run");
        return Ok(Verdict::Interrupted);
    };
    let mut runs: Vec<Vec<(String, RunReport)>> = vec![vec![]; settings.len()];
    let mut seeds = vec![0; settings.len()];
    for (member, report) in members.iter().zip(reports) {
        seeds[member.setting] += 1;
        runs[member.setting].extend(report.map(|report| (member.name.clone(), report)));
    }
    let rows = settings.iter().zip(&runs).zip(seeds).filter(|(_, seeds)| *seeds > 0);
    table::print(rows.map(|((setting, runs), seeds)| Row::new(setting.name(), runs, seeds)).collect(), &failures);
    say_long_names(&settings);
    if let Some(shard) = args.shard {
        out!("this is share {shard}; the table of all:  gpu-digits sweep merge {}", out.display());
    } else {
        write_comparison(out, &runs.concat())?;
    }
    Ok(if failures.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// What the runs of a sweep came to.
struct Sweep {
    /// The report of each; none of one that failed.
    reports: Vec<Option<RunReport>>,
    /// Names and reasons.
    failures: Vec<(String, String)>,
}

/// Trains the runs that are not complete, and waits for those that other processes train. None if the user has ended it.
async fn train_all(session: &Session, members: &[Member]) -> Result<Option<Sweep>> {
    // Runs of other settings are an error before anything is trained.
    let mut reports: Vec<Option<RunReport>> = Vec::new();
    for member in members {
        reports.push(match member.lock()? {
            Some(lock) => member.report(session, &lock).await?,
            None => None,
        });
    }
    let mut failures = Vec::new();
    let mut left: Vec<usize> = (0..members.len()).collect();
    let mut waits = false;
    while !left.is_empty() {
        let mut of_others = Vec::new();
        for &index in &left {
            let member = &members[index];
            if reports[index].is_some() {
                note!("run {}/{}: {}", index + 1, members.len(), member.name);
                continue;
            }
            let Some(lock) = member.lock()? else {
                of_others.push(index);
                continue;
            };
            note!("run {}/{}: {}", index + 1, members.len(), member.name);
            match member.train(session, None, &lock).await {
                Ok(Trained::Whole(report)) => reports[index] = Some(*report),
                Ok(_) => return Ok(None),
                // So it would in each run.
                Err(error) if error.is::<ComputesWrongly>() => return Err(error),
                Err(error) => {
                    warning!("failed: {}: {error:#}", member.name);
                    failures.push((member.name.clone(), format!("{error:#}")));
                }
            }
        }
        if of_others.len() == left.len() {
            if !std::mem::replace(&mut waits, true) {
                note!("waiting for {} runs that other processes train", of_others.len());
            }
            if !wait(session) {
                return Ok(None);
            }
        }
        left = of_others;
    }
    Ok(Some(Sweep { reports, failures }))
}

/// Waits a moment; false if the user has ended the sweep.
fn wait(session: &Session) -> bool {
    thread::sleep(LOOK);
    !session.stop.load(Ordering::Relaxed)
}

/// The options of settings whose names do not say them in full.
fn say_long_names(settings: &[Setting]) {
    for setting in settings.iter().filter(|setting| !setting.is_named_in_full()) {
        let words: Vec<Word> = setting.words().into_iter().map(Word::from).collect();
        out!("{}: {}", setting.name(), shell_words::join(&words));
    }
}

/// Prints the row of runs of one setting with several seeds, and writes the page that compares them.
pub(super) fn say_runs(out: &Path, runs: Vec<(String, RunReport)>) -> Result<()> {
    let name = out.file_name().map_or_else(|| out.to_string_lossy(), |name| name.to_string_lossy()).into_owned();
    let seeds = runs.len();
    for (name, report) in &runs {
        out!("{name}: {}", report.record.device);
    }
    table::print(vec![Row::new(name, &runs, seeds)], &[]);
    write_comparison(out, &runs)
}

/// Writes the page that compares runs, if there are any.
fn write_comparison(out: &Path, runs: &[(String, RunReport)]) -> Result<()> {
    if !runs.is_empty() {
        let comparison = out.join("comparison.html");
        write_atomically(&comparison, compare(runs)?.as_bytes())?;
        out!("comparison {}", comparison.display());
    }
    Ok(())
}

/// The data named, or else those of the recipe.
fn data(args: &SweepArgs) -> Result<DataArgs> {
    let Some(recipe) = args.recipe else { return Ok(args.data.clone()) };
    Ok(args.data.clone().or(recipe::arguments(recipe, &[])?.data))
}

/// The runs, seed by seed, so that an interrupted sweep has tried as many settings as possible.
fn members(args: &SweepArgs, out: &Path, settings: &[Setting]) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for seed in 0..args.seeds.unwrap_or(SEEDS) {
        for (index, setting) in settings.iter().enumerate() {
            members.push(Member::new(out, index, &setting.name(), train_args(args, setting.words(), seed)?));
        }
    }
    Ok(members)
}

/// The arguments of `train` for a run, with these options, except for its folder.
fn train_args(args: &SweepArgs, options: Vec<String>, seed: usize) -> Result<TrainArgs> {
    let words: Vec<OsString> = options.into_iter().map(OsString::from).collect();
    let own = match args.recipe {
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

    #[test]
    fn a_recipe_names_its_data_unless_others_are_named() {
        let data_of = |more: &str| {
            let words = format!("gpu-digits sweep --out o --recipe generated {more}");
            let Command::Sweep(args) = Cli::try_parse_from(words.split_whitespace()).unwrap().command else {
                panic!("another command")
            };
            let data = data(&args).unwrap();
            let member = train_args(&args, settings(&args).unwrap()[0].words(), 0).unwrap().data;
            assert_eq!((member.dataset, member.generated_images), (data.dataset, data.generated_images));
            (data.dataset, data.generated_images)
        };
        assert_eq!(data_of(""), (Some(DataChoice::Generated), Some(60_000)));
        assert_eq!(data_of("--generated-images 70"), (Some(DataChoice::Generated), Some(70)));
    }
}
