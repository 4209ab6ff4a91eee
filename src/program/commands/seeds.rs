//! `gpu-digits train --device all`: a run with a seed of its own on each device, all at once. The runs have nothing to do with
//! each other, other than ranks, which train one model.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::sweep::say_runs;
use super::{CANNOT, FAILED, Verdict};
use crate::gpu::{AdapterInfo, adapters};
use crate::program::cli::TrainArgs;
use crate::program::report::RunReport;
use crate::program::run_folder::RunFolder;

/// Trains on every adapter; `given` are the words after `train`.
pub(super) async fn run(args: &TrainArgs, given: &[OsString]) -> Result<Verdict> {
    ensure!(
        args.ranks.is_none() && args.resume.is_none() && args.find_lr.is_none() && args.trace.is_none(),
        "--device all trains a run on each device; it goes neither with --ranks nor with --resume, --find-lr or --trace"
    );
    let found = adapters().await;
    let infos = once_each(found.iter().map(|adapter| &adapter.info));
    ensure!(
        !infos.is_empty(),
        "--device all trains on each adapter, but none was found; `gpu-digits doctor` says why, and --device cpu needs none"
    );
    let out = match &args.out {
        Some(out) => out.clone(),
        None => RunFolder::make_new()?,
    };
    let mut runs: Vec<(String, PathBuf, Child)> = Vec::new();
    for (seed, info) in (args.seed..).zip(infos) {
        let (name, folder) = (format!("seed-{seed}"), out.join(format!("seed-{seed}")));
        RunFolder::ensure_free(&folder)?;
        note!("{name}: {info}");
        let own = [("--device", OsString::from(info.index.to_string())), ("--seed", seed.to_string().into())];
        let own = own.into_iter().chain([("--out", folder.clone().into())]);
        let words = own.flat_map(|(option, value)| [OsString::from(option), value]);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.args([OsStr::new("train"), OsStr::new("--quiet")]).args(given).args(words);
        // The table of all says what they print.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        runs.push((name, folder, child.context("cannot start a run")?));
    }
    let (mut reports, mut verdict) = (Vec::new(), Verdict::Passed);
    for (name, folder, mut child) in runs {
        let status = child.wait().with_context(|| format!("cannot wait for {name}"))?;
        match status.code() {
            Some(0) => {}
            Some(code) if code == i32::from(FAILED) => verdict = Verdict::Failed,
            Some(130) => verdict = Verdict::Interrupted,
            _ => {
                warning!("{name} ended with code {}", status.code().unwrap_or(i32::from(CANNOT)));
                verdict = Verdict::Failed;
                continue;
            }
        }
        reports.push((name, RunReport::load(&folder)?));
    }
    if verdict != Verdict::Interrupted {
        say_runs(&out, reports)?;
    }
    Ok(verdict)
}

/// The adapters that can be used, a card that several APIs list only once, by the first of them.
fn once_each<'a>(infos: impl Iterator<Item = &'a AdapterInfo>) -> Vec<&'a AdapterInfo> {
    let mut seen = HashSet::new();
    let usable = infos.filter(|info| info.unusable.is_none());
    usable.filter(|info| info.pci_address.as_ref().is_none_or(|address| seen.insert(address.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    #[test]
    fn a_card_that_two_apis_list_trains_once() {
        let mut cards = ["a", "a", "b", "c"].map(|name| AdapterInfo::example(name, AdapterKind::Discrete));
        (cards[0].pci_address, cards[1].pci_address) =
            (Some("0000:03:00.0".to_owned()), Some("0000:03:00.0".to_owned()));
        cards[3].unusable = Some("it is broken".to_owned());
        let names: Vec<&str> = once_each(cards.iter()).into_iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
