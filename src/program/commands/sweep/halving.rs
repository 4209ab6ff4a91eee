//! `gpu-digits sweep --halving`: asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter
//! tuning", 2020).
//!
//! Each setting begins with a few epochs. Of the settings that have as many epochs, the best of every `eta` go on to `eta` times
//! as many, as soon as there are enough: nobody waits for all. A result is a file, `halving/SETTING.EPOCHS`, so any number
//! of processes take part, and one that ends loses only what it was about.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::super::session::Session;
use super::super::{Verdict, percent, print_table, table};
use super::member::{Member, Trained};
use super::setting::{DRAW_STREAM, Setting};
use super::{say_long_names, train_args, wait, write_comparison};
use crate::files::write_atomically;
use crate::program::cli::SweepArgs;
use crate::program::files::Lock;
use crate::program::report::RunReport;
use crate::random::Random;

/// The values of the settings after each number of epochs: the validation accuracy, or 0 if it could not be trained.
type Results = HashMap<(usize, usize), f64>;

/// What is to be done next.
#[derive(Debug, PartialEq)]
enum Next {
    /// Train a setting up to a rung.
    Train { setting: usize, rung: usize },
    /// Nothing, until other processes have results.
    Wait,
    /// Nothing.
    Done,
}

pub(super) async fn run(
    args: &SweepArgs,
    out: &Path,
    session: &Session,
    settings: &[Setting],
    eta: usize,
) -> Result<Verdict> {
    let members: Vec<Member> = settings
        .iter()
        .enumerate()
        .map(|(index, setting)| Ok(Member::new(out, index, &setting.name(), train_args(args, setting.words(), 0)?)))
        .collect::<Result<_>>()?;
    let epochs = members.first().context("there is a setting")?.args.epochs;
    let rungs = rungs(args.least_epochs, epochs, eta);
    let mut order: Vec<usize> = (0..settings.len()).collect();
    Random::new(args.draw_seed, DRAW_STREAM).shuffle(&mut order);
    let folder = out.join("halving");
    let mut whole: HashMap<usize, RunReport> = HashMap::new();
    loop {
        // One process at a time decides, and takes the run before the next one does.
        let deciding = Lock::wait(&folder.join("lock"))?;
        let results = results(&folder, &members, &rungs)?;
        let mut locks: HashMap<usize, Lock> = HashMap::new();
        for member in &members {
            locks.extend(member.lock()?.map(|lock| (member.setting, lock)));
        }
        let next = next(&order, rungs.len(), eta, &results, |setting| locks.contains_key(&setting));
        let lock = match next {
            Next::Train { setting, .. } => locks.remove(&setting),
            _ => None,
        };
        drop((locks, deciding));
        match (next, lock) {
            (Next::Train { setting, rung }, Some(lock)) => {
                let (member, epochs) = (&members[setting], rungs[rung]);
                note!("to epoch {epochs}: {}", member.name);
                let value = match member.train(session, Some(epochs), &lock).await {
                    Ok(Trained::Interrupted) => {
                        warning!("interrupted; the same command goes on");
                        return Ok(Verdict::Interrupted);
                    }
                    Ok(Trained::Whole(report)) => {
                        let value = accuracy(&report, epochs);
                        whole.insert(setting, *report);
                        value
                    }
                    Ok(Trained::Paused(report)) => accuracy(&report, epochs),
                    Err(error) => {
                        warning!("failed: {}: {error:#}", member.name);
                        0.0
                    }
                };
                write_atomically(&file(&folder, member, epochs), format!("{value}\n").as_bytes())?;
            }
            (Next::Done, _) => break,
            _ if !wait(session) => return Ok(Verdict::Interrupted),
            _ => {}
        }
    }
    let _deciding = Lock::wait(&folder.join("lock"))?;
    let results = results(&folder, &members, &rungs)?;
    print(settings, &rungs, &results);
    let last = |setting: &usize| results.contains_key(&(*setting, rungs.len() - 1));
    let mut runs = Vec::new();
    for member in members.iter().filter(|member| last(&member.setting)) {
        if let Some(report) = whole.remove(&member.setting) {
            runs.push((member.name.clone(), report));
        } else if let Some(lock) = member.lock()? {
            runs.extend(member.report(session, &lock).await?.map(|report| (member.name.clone(), report)));
        }
    }
    write_comparison(out, &runs)?;
    Ok(Verdict::Passed)
}

/// The epochs after which settings are compared: the least, always `eta` times as many, and last all.
fn rungs(least: usize, all: usize, eta: usize) -> Vec<usize> {
    let mut rungs: Vec<usize> = std::iter::successors(Some(least), |epochs| epochs.checked_mul(eta))
        .take_while(|epochs| *epochs < all)
        .collect();
    rungs.push(all);
    rungs
}

/// The next run: the best settings that may go on, highest rung first; else the first one of the order that has not begun.
/// `is_free` says whether no other process trains a setting.
fn next(order: &[usize], rungs: usize, eta: usize, results: &Results, is_free: impl Fn(usize) -> bool) -> Next {
    let lacks = |setting: usize, rung: usize| !results.contains_key(&(setting, rung));
    let mut is_pending = false;
    for rung in (1..rungs).rev() {
        for setting in best(order, rung - 1, eta, results).into_iter().filter(|&setting| lacks(setting, rung)) {
            if is_free(setting) {
                return Next::Train { setting, rung };
            }
            is_pending = true;
        }
    }
    for &setting in order.iter().filter(|&&setting| lacks(setting, 0)) {
        if is_free(setting) {
            return Next::Train { setting, rung: 0 };
        }
        is_pending = true;
    }
    if is_pending { Next::Wait } else { Next::Done }
}

/// The settings of a rung that may go on, the best first: one of every `eta` that have a result there.
fn best(order: &[usize], rung: usize, eta: usize, results: &Results) -> Vec<usize> {
    let mut there: Vec<(usize, f64)> =
        order.iter().filter_map(|&setting| Some((setting, *results.get(&(setting, rung))?))).collect();
    // The order decides between equal values.
    there.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    there.truncate(there.len() / eta);
    there.into_iter().map(|(setting, _)| setting).collect()
}

/// The validation accuracy after so many epochs.
fn accuracy(report: &RunReport, epochs: usize) -> f64 {
    report.epochs.get(epochs - 1).and_then(|epoch| epoch.validation_accuracy).unwrap_or(0.0)
}

fn file(folder: &Path, member: &Member, epochs: usize) -> std::path::PathBuf {
    folder.join(format!("{}.{epochs}", member.name.replace('/', ".")))
}

fn results(folder: &Path, members: &[Member], rungs: &[usize]) -> Result<Results> {
    let mut results = Results::new();
    for member in members {
        for (rung, &epochs) in rungs.iter().enumerate() {
            let path = file(folder, member, epochs);
            if let Ok(text) = fs::read_to_string(&path) {
                let value = text.trim().parse().with_context(|| format!("{} is damaged; remove it", path.display()))?;
                results.insert((member.setting, rung), value);
            }
        }
    }
    Ok(results)
}

/// Prints the settings, those with most epochs first.
fn print(settings: &[Setting], rungs: &[usize], results: &Results) {
    let last = |setting: usize| {
        let rung = (0..rungs.len()).rev().find(|&rung| results.contains_key(&(setting, rung)))?;
        Some((rung, results[&(setting, rung)]))
    };
    let mut rows: Vec<(usize, (usize, f64))> =
        (0..settings.len()).filter_map(|setting| Some((setting, last(setting)?))).collect();
    rows.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let mut table = table(&["setting", "epochs", "validation %"], 1);
    for (setting, (rung, value)) in &rows {
        table.add_row([settings[*setting].name(), rungs[*rung].to_string(), percent(*value)]);
    }
    print_table(&table);
    let trained: usize = rows.iter().map(|(_, (rung, _))| rungs[*rung]).sum();
    out!("\n{trained} epochs instead of {}", settings.len() * rungs[rungs.len() - 1]);
    if let Some((best, _)) = rows.first() {
        out!("chosen by validation accuracy: {}", settings[*best].name());
    }
    say_long_names(settings);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_grow_by_eta_up_to_all_epochs() {
        assert_eq!(rungs(1, 9, 3), [1, 3, 9]);
        assert_eq!(rungs(1, 10, 3), [1, 3, 9, 10]);
        assert_eq!(rungs(2, 2, 2), [2]);
        assert_eq!(rungs(5, 2, 2), [2]);
    }

    /// Runs to the end with one process, and returns what was trained.
    fn all(order: &[usize], values: &[f64], rungs: usize, eta: usize) -> Vec<(usize, usize)> {
        let (mut results, mut trained) = (Results::new(), Vec::new());
        while let Next::Train { setting, rung } = next(order, rungs, eta, &results, |_| true) {
            results.insert((setting, rung), values[setting]);
            trained.push((setting, rung));
        }
        trained
    }

    #[test]
    fn the_best_of_every_two_go_on_as_soon_as_there_are_two() {
        let trained = all(&[2, 0, 1, 3], &[0.1, 0.4, 0.2, 0.3], 3, 2);
        assert_eq!(trained, [(2, 0), (0, 0), (2, 1), (1, 0), (1, 1), (1, 2), (3, 0), (3, 1)]);
    }

    #[test]
    fn a_run_of_another_process_is_left_to_it_and_waited_for() {
        let (order, mut results) = ([0, 1], Results::new());
        assert_eq!(next(&order, 2, 2, &results, |setting| setting != 0), Next::Train { setting: 1, rung: 0 });
        results.insert((1, 0), 0.5);
        assert_eq!(next(&order, 2, 2, &results, |setting| setting != 0), Next::Wait);
        // It has died: its run goes on.
        assert_eq!(next(&order, 2, 2, &results, |_| true), Next::Train { setting: 0, rung: 0 });
        results.insert((0, 0), 0.25);
        assert_eq!(next(&order, 2, 2, &results, |_| true), Next::Train { setting: 1, rung: 1 });
        results.insert((1, 1), 0.75);
        assert_eq!(next(&order, 2, 2, &results, |_| true), Next::Done);
    }

    #[test]
    fn between_equal_values_the_order_decides() {
        let trained = all(&[1, 0], &[0.5, 0.5], 2, 2);
        assert_eq!(trained, [(1, 0), (0, 0), (1, 1)]);
    }
}
