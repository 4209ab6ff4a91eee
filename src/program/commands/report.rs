//! `gpu-digits report`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Verdict;
use crate::files::write_atomically;
use crate::program::cli::{PictureFormat, ReportArgs};
use crate::program::files::Destination;
use crate::program::picture_file::write_picture;
use crate::program::report::{RunReport, compare, different_data, figures, page};

/// The name of a run's page in its folder.
pub(super) const PAGE_FILE: &str = "report.html";

pub(super) fn run(args: &ReportArgs) -> Result<Verdict> {
    ensure!(
        args.runs.len() > 1 || args.comparison.is_none(),
        "--comparison compares several runs, but only one run folder was given; give more run folders"
    );
    let mut runs = Vec::new();
    for folder in &args.runs {
        runs.push((folder.display().to_string(), RunReport::load(folder)?));
    }
    for (folder, (_, report)) in args.runs.iter().zip(&runs) {
        write_page(folder, report)?;
        out!("wrote {}", folder.join(PAGE_FILE).display());
        if let Some(format) = args.plots {
            write_plots(&folder.join("plots"), report, format)?;
            out!("wrote {}", folder.join("plots").display());
        }
    }
    if let Some(warning) = different_data(&runs) {
        warning!("WARNING: {warning}");
    }
    if runs.len() > 1 {
        let page = args.comparison.clone().unwrap_or(Destination::File("comparison.html".into()));
        page.write(compare(&runs)?.as_bytes())?;
        out!("wrote {page}");
    }
    Ok(Verdict::Passed)
}

/// Writes the page of a run into its folder.
pub(super) fn write_page(folder: &Path, report: &RunReport) -> Result<()> {
    write_atomically(&folder.join(PAGE_FILE), page(report)?.as_bytes())
}

/// Writes each figure of a run into a file of a folder.
pub(super) fn write_plots(folder: &Path, report: &RunReport, format: PictureFormat) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for figure in figures(report)? {
        let file = folder.join(format!("{}.{}", figure.name, format.ending()));
        write_picture(&figure.picture, &Destination::File(file))?;
    }
    Ok(())
}
