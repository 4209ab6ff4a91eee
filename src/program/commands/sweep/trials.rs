//! `gpu-digits sweep --ask --tell`: settings that another program chooses, such as Optuna's command line.
//!
//! A trial that was asked for is a file `trials/N.json` at once, and `trials/N.told` once its value was told. So a process
//! that ends between the two loses no trial, and the next one goes on with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::session::Session;
use super::super::{Verdict, percent, print_table_with, table};
use super::member::Member;
use super::setting::Setting;
use super::table::validation_accuracy;
use super::{SEEDS, Sweep, train_all, train_args, wait};
use crate::files::write_atomically;
use crate::program::cli::SweepArgs;
use crate::program::files::Lock;

/// The options of `train` that may be chosen.
const OPTIONS: [&str; 14] = [
    "model",
    "optimizer",
    "batch-size",
    "lr",
    "momentum",
    "schedule",
    "weight-decay",
    "label-smoothing",
    "clip-norm",
    "average",
    "augment",
    "epochs",
    "precision",
    "add-generated",
];

/// A trial as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    number: usize,
    params: Map<String, Value>,
}

impl Trial {
    /// The options of `train`.
    fn words(&self) -> Result<Vec<String>> {
        let mut words = Vec::new();
        for (name, value) in &self.params {
            let option = name.replace('_', "-");
            ensure!(
                OPTIONS.contains(&option.as_str()),
                "trial {} sets `{name}`, which cannot be chosen; it may set {}",
                self.number,
                OPTIONS.join(", ")
            );
            words.push(format!("--{option}"));
            words.push(match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => bail!("trial {} sets `{name}` to {other}; give a number or a text", self.number),
            });
        }
        Ok(words)
    }

    fn name(&self) -> String {
        format!("trial-{}", self.number)
    }
}

pub(super) async fn run(args: &SweepArgs, out: &Path, session: &Session, settings: &[Setting]) -> Result<Verdict> {
    let [fixed] = settings else { bail!("--ask chooses the settings; give other options one value each") };
    let (Some(ask), Some(tell), Some(most)) = (&args.ask, &args.tell, args.trials) else {
        bail!("--ask needs --tell and --trials");
    };
    let folder = out.join("trials");
    let mut waits = false;
    loop {
        let mut of_others = 0;
        for trial in known(&folder)? {
            if told(&folder, &trial)?.is_some() {
                continue;
            }
            let Some(_lock) = Lock::try_take(&folder.join(format!("{}.lock", trial.number)))? else {
                of_others += 1;
                continue;
            };
            if told(&folder, &trial)?.is_none() && !carry_out(args, out, session, fixed, &trial, tell).await? {
                warning!("interrupted; the same command goes on with trial {}", trial.number);
                return Ok(Verdict::Interrupted);
            }
        }
        let asking = Lock::wait(&folder.join("ask.lock"))?;
        if known(&folder)?.len() < most {
            let trial = read_trial(&output_of(ask)?).with_context(|| format!("`{ask}`, the command of --ask"))?;
            let path = folder.join(format!("{}.json", trial.number));
            ensure!(!path.exists(), "`{ask}` gave trial {} again; is it another study than before?", trial.number);
            write_atomically(&path, serde_json::to_string(&trial)?.as_bytes())?;
            continue;
        }
        drop(asking);
        if of_others == 0 {
            break;
        }
        if !std::mem::replace(&mut waits, true) {
            note!("waiting for {of_others} trials of other processes");
        }
        if !wait(session) {
            return Ok(Verdict::Interrupted);
        }
    }
    print(&folder)?;
    Ok(Verdict::Passed)
}

/// Trains a trial with each seed and tells its value, which is 0 if it cannot be trained. False if the user has ended it.
async fn carry_out(
    args: &SweepArgs,
    out: &Path,
    session: &Session,
    fixed: &Setting,
    trial: &Trial,
    tell: &str,
) -> Result<bool> {
    let options = trial.words()?;
    note!("trial {}: {}", trial.number, options.join(" "));
    let members = (0..args.seeds.unwrap_or(SEEDS)).map(|seed| {
        let words = [fixed.words(), options.clone()].concat();
        Ok(Member::new(out, 0, &trial.name(), train_args(args, words, seed)?))
    });
    let value = match members.collect::<Result<Vec<_>>>() {
        Ok(members) => {
            let Some(Sweep { reports, .. }) = train_all(session, &members).await? else { return Ok(false) };
            let values = reports.iter().map(|report| report.as_ref().and_then(validation_accuracy));
            values.sum::<Option<f64>>().map_or(0.0, |sum| sum / members.len() as f64)
        }
        Err(error) => {
            warning!("failed: trial {}: {error:#}", trial.number);
            0.0
        }
    };
    let command = tell.replace("{number}", &trial.number.to_string()).replace("{value}", &value.to_string());
    output_of(&command)?;
    let path = out.join("trials").join(format!("{}.told", trial.number));
    write_atomically(&path, format!("{value}\n").as_bytes())?;
    Ok(true)
}

/// The trials that were asked for, by number.
fn known(folder: &Path) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            trials.push(read_trial(&read(&path)?).with_context(|| format!("{} is damaged", path.display()))?);
        }
    }
    trials.sort_by_key(|trial: &Trial| trial.number);
    Ok(trials)
}

/// The value of a trial, if it was told.
fn told(folder: &Path, trial: &Trial) -> Result<Option<f64>> {
    let path = folder.join(format!("{}.told", trial.number));
    if !path.exists() {
        return Ok(None);
    }
    read(&path)?.trim().parse().map(Some).with_context(|| format!("{} is damaged", path.display()))
}

fn read(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The trial in the last line that holds one: programs also print remarks.
fn read_trial(text: &str) -> Result<Trial> {
    let mut lines = text.lines().rev().filter(|line| line.trim_start().starts_with('{'));
    let line = lines.next().context("no line is an object such as {\"number\": 0, \"params\": {\"lr\": 0.01}}")?;
    serde_json::from_str(line).context("the line is no trial")
}

/// Runs a command, which a shell's quotes divide into words, and returns what it prints.
fn output_of(command: &str) -> Result<String> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let words = words.with_context(|| format!("`{command}` is no command; are its quotes closed?"))?;
    let run = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    let output = run.with_context(|| format!("cannot run `{}`; is it installed?", words[0]))?;
    if !output.status.success() {
        bail!("`{command}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints the trials, the best one first.
fn print(folder: &Path) -> Result<()> {
    let mut done = Vec::new();
    for trial in known(folder)? {
        if let Some(value) = told(folder, &trial)? {
            done.push((trial, value));
        }
    }
    done.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut table = table(&["trial", "validation %"], 1);
    for (trial, value) in &done {
        table.add_row([trial.name(), percent(*value)]);
    }
    let words: Vec<String> = done.iter().map(|(trial, _)| Ok(trial.words()?.join(" "))).collect::<Result<_>>()?;
    print_table_with(&table, |row| vec![words[row].clone()]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_the_last_object_that_a_command_prints() {
        let trial = read_trial(
            "a warning\n{\"number\": 3, \"params\": {\"lr\": 1e-3, \"batch_size\": 32, \"model\": \"mlp\"}}\n",
        );
        let trial = trial.unwrap();
        assert_eq!((trial.number, trial.name().as_str()), (3, "trial-3"));
        let mut words = trial.words().unwrap();
        words.sort();
        assert_eq!(words, ["--batch-size", "--lr", "--model", "0.001", "32", "mlp"]);
        for wrong in ["", "3 {'lr': 1}", "{\"number\": 1}", "{\"params\": {}}"] {
            assert!(read_trial(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn options_that_are_no_settings_are_refused() {
        let of = |params: &str| read_trial(&format!("{{\"number\": 0, \"params\": {params}}}")).unwrap().words();
        for wrong in ["{\"out\": \"a\"}", "{\"seed\": 3}", "{\"lr\": true}", "{\"lr\": null}"] {
            assert!(of(wrong).is_err(), "{wrong} was taken");
        }
        assert!(of("{\"momentum\": 0.5}").is_ok());
    }

    #[test]
    fn a_command_that_fails_is_an_error_with_what_it_says() {
        assert!(output_of("'unclosed").unwrap_err().to_string().contains("quotes"));
        assert!(format!("{:#}", output_of("no-such-program-of-ours x").unwrap_err()).contains("is it installed?"));
    }
}
