//! `gpu-digits sweep merge`: the runs of a sweep's shares in one folder, and the table of all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::super::Verdict;
use super::table::{self, Row};
use super::write_comparison;
use crate::program::cli::MergeArgs;
use crate::program::report::{REPORT_FILE, RunReport};
use crate::program::run_folder::RunRecord;

/// The runs below a folder by setting: their names and folders.
type Runs = BTreeMap<String, Vec<(String, PathBuf)>>;

pub(super) fn run(args: &MergeArgs) -> Result<Verdict> {
    for from in &args.from {
        let (whole, _) = runs_in(from)?;
        let mut copied = 0;
        for (name, folder) in whole.values().flatten() {
            copied += usize::from(copy(folder, &args.out.join(name))?);
        }
        note!("{}: {copied} runs copied", from.display());
    }
    let (whole, unfinished) = runs_in(&args.out)?;
    ensure!(!whole.is_empty(), "{} holds no complete run of a sweep", args.out.display());
    let seeds = whole.values().map(Vec::len).max().unwrap_or(0);
    let (mut rows, mut runs) = (Vec::new(), Vec::new());
    for (setting, folders) in whole {
        let loaded = folders.into_iter().map(|(name, folder)| Ok((name, RunReport::load(&folder)?)));
        let loaded: Vec<(String, RunReport)> = loaded.collect::<Result<_>>()?;
        rows.push(Row::new(setting, &loaded, seeds));
        runs.extend(loaded);
    }
    table::print(rows, &[]);
    write_comparison(&args.out, &runs)?;
    for name in &unfinished {
        warning!("unfinished: {name}; the command of its sweep goes on with it");
    }
    Ok(if unfinished.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// The complete runs below the folder of a sweep, and the names of those that are not.
fn runs_in(out: &Path) -> Result<(Runs, Vec<String>)> {
    let (mut whole, mut unfinished) = (Runs::new(), Vec::new());
    for setting in folders(out)? {
        for folder in folders(&setting)? {
            let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (setting, seed) = (last(&setting), last(&folder));
            let name = format!("{setting}/{seed}");
            if let Some(name) = name.strip_suffix(".partial") {
                unfinished.push(name.to_owned());
            } else if seed.starts_with("seed-") && !seed.contains('.') && folder.join(REPORT_FILE).exists() {
                whole.entry(setting).or_default().push((name, folder));
            }
        }
    }
    Ok((whole, unfinished))
}

/// The folders in a folder, by name.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", path.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Copies a run, which is there whole or not at all; false if it is there already.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
    if to.exists() {
        let hash = |folder: &Path| -> Result<Option<String>> {
            Ok(RunRecord::load(folder)?.and_then(|record| record.result).map(|result| result.weights_sha256))
        };
        ensure!(
            hash(from)? == hash(to)?,
            "{} and {} are runs of one name with other weights; remove one of them",
            from.display(),
            to.display()
        );
        return Ok(false);
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".copy");
    let part = PathBuf::from(part);
    if part.exists() {
        fs::remove_dir_all(&part).with_context(cannot)?;
    }
    copy_folder(from, &part).with_context(cannot)?;
    fs::rename(&part, to).with_context(cannot)?;
    Ok(true)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() { copy_folder(&path, &to)? } else { fs::copy(&path, &to).map(drop)? }
    }
    Ok(())
}
