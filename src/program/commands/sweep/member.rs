//! A run of a sweep, which one process at a time trains.
//!
//! It is trained in a folder with a temporary name, which is renamed when the run is complete. A process holds the run's
//! lock meanwhile, which the system releases when the process ends in any way; another one then goes on from the run's last
//! checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::super::Verdict;
use super::super::resume::{Resumed, difference};
use super::super::session::Session;
use super::super::train::{Manner, record_of, train};
use crate::program::cli::TrainArgs;
use crate::program::files::Lock;
use crate::program::report::{REPORT_FILE, RunReport};

/// A run of the sweep: a setting with a seed.
pub(super) struct Member {
    /// The index of its setting.
    pub(super) setting: usize,
    /// `SETTING/seed-N`.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) args: TrainArgs,
}

/// What became of a run.
pub(super) enum Trained {
    /// It is complete.
    Whole(Box<RunReport>),
    /// It has as many epochs as were wanted, and can go on.
    Paused(Box<RunReport>),
    /// The user has ended it.
    Interrupted,
}

impl Member {
    pub(super) fn new(out: &Path, setting: usize, of: &str, args: TrainArgs) -> Self {
        let name = format!("{of}/seed-{}", args.seed);
        Self { setting, folder: out.join(&name), name, args }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.folder.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }

    /// The run's lock; none if another process has it.
    pub(super) fn lock(&self) -> Result<Option<Lock>> {
        Lock::try_take(&self.beside(".lock"))
    }

    /// The report of the complete run; none if it must be trained. The caller holds its lock.
    ///
    /// # Errors
    /// If the folder holds a run of other settings, other data or another commit.
    pub(super) async fn report(&self, session: &Session, _: &Lock) -> Result<Option<RunReport>> {
        let folder = &self.folder;
        if !folder.join(REPORT_FILE).exists() {
            return Ok(None);
        }
        match RunReport::load(folder) {
            Ok(report) => {
                // A setting that cannot be trained has no record to compare with. It fails when it is trained.
                let wanted = record_of(session, &self.args).await?;
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
                let aside = aside
                    .take(1000)
                    .find(|path| !path.exists())
                    .context("there are too many damaged runs; remove some")?;
                fs::rename(folder, &aside)
                    .with_context(|| format!("cannot move the damaged {} aside", folder.display()))?;
                warning!("  note: {error:#}; the damaged run was moved to {} and is trained again", aside.display());
                Ok(None)
            }
        }
    }

    /// Trains the run to its end, or to the end of an epoch. The caller holds its lock.
    pub(super) async fn train(&self, session: &Session, pause_after: Option<usize>, lock: &Lock) -> Result<Trained> {
        if let Some(report) = self.report(session, lock).await? {
            return Ok(Trained::Whole(Box::new(report)));
        }
        let partial = self.beside(".partial");
        let resumed = self.resumed(session, &partial).await?;
        let args = TrainArgs { out: Some(partial.clone()), ..self.args.clone() };
        let manner = Manner { pause_after, ..Manner::default() };
        let (verdict, report) = train(session, &args, resumed, manner).await?;
        let report = Box::new(report);
        if verdict == Verdict::Interrupted {
            let is_paused = pause_after == Some(report.epochs.len());
            return Ok(if is_paused { Trained::Paused(report) } else { Trained::Interrupted });
        }
        fs::rename(&partial, &self.folder)
            .with_context(|| format!("cannot rename {} to {}", partial.display(), self.folder.display()))?;
        note!("saved {}", self.folder.display());
        Ok(Trained::Whole(report))
    }

    /// The unfinished run in a folder, to go on with; one of other settings, or that cannot be read, is removed.
    async fn resumed(&self, session: &Session, partial: &Path) -> Result<Option<Resumed>> {
        if !partial.exists() {
            return Ok(None);
        }
        if Lock::try_take(&partial.join("run.lock"))?.is_none() {
            bail!("another process trains in {}; wait until it ends", partial.display());
        }
        if let Ok(resumed) = Resumed::open(partial) {
            let wanted = record_of(session, &self.args).await?;
            if difference(&resumed.record, &wanted)?.is_none() {
                return Ok(Some(resumed));
            }
        }
        fs::remove_dir_all(partial).with_context(|| format!("cannot remove the unfinished {}", partial.display()))?;
        Ok(None)
    }
}
