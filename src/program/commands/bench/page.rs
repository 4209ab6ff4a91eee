//! `gpu-digits bench check` and `bench page`: results that others send.

use std::path::PathBuf;

use anyhow::Result;

use super::Verdict;
use crate::bench::check::check as check_reports;
use crate::bench::report::Report;
use crate::program::cli::{CheckArgs, PageArgs};
use crate::program::files::Destination;
use crate::program::report::gpus;

fn load(paths: &[PathBuf]) -> Result<Vec<Report>> {
    paths.iter().map(|path| Report::load(path)).collect()
}

/// Prints what is wrong with each result, and what it does not tell.
pub(super) fn check(args: &CheckArgs) -> Result<Verdict> {
    let mut verdict = Verdict::Passed;
    for (path, found) in args.reports.iter().zip(check_reports(&load(&args.reports)?)) {
        if found.is_empty() {
            out!("{}: REFUSED: it holds no adapter", path.display());
            verdict = Verdict::Failed;
        }
        for found in found {
            let word = if found.faults.is_empty() { "plausible" } else { "REFUSED" };
            out!("{}: {word}: {}", path.display(), found.adapter);
            for fault in &found.faults {
                out!("  {fault}");
                verdict = Verdict::Failed;
            }
            if !found.missing.is_empty() {
                out!("  not told, so not checked: {}", found.missing.join(", "));
            }
        }
    }
    Ok(verdict)
}

/// Writes the page.
pub(super) fn write(args: &PageArgs) -> Result<Verdict> {
    let reports = load(&args.reports)?;
    let found = check_reports(&reports);
    let page = args.out.clone().unwrap_or(Destination::File("gpus.html".into()));
    page.write(gpus(&reports.into_iter().zip(found).collect::<Vec<_>>()).as_bytes())?;
    note!("wrote {page}");
    Ok(Verdict::Passed)
}
