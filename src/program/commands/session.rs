//! The state that the runs of a command share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::open::{load_data, open_for_rank};
use crate::data::Dataset;
use crate::device::Device;
use crate::program::cli::{DataArgs, DeviceArgs};
use crate::program::run_folder::StartUp;

/// The state that the runs of a command share: the device, the data, and the Ctrl-C flag.
pub(super) struct Session {
    pub(super) device: Device,
    pub(super) dataset: Dataset,
    pub(super) stop: Arc<AtomicBool>,
    /// The start-up times of opening the device and loading the data.
    pub(super) start_up: StartUp,
    is_one_of_many: bool,
}

impl Session {
    /// Opens the device, loads the data, and prints their names on stderr.
    pub(super) async fn open(device: &DeviceArgs, data: &DataArgs) -> Result<Self> {
        Self::open_for_rank(device, data, None).await
    }

    /// The same for a rank by its number among those of its machine, if it is one.
    pub(super) async fn open_for_rank(device: &DeviceArgs, data: &DataArgs, local_rank: Option<usize>) -> Result<Self> {
        let start = Instant::now();
        let device = open_for_rank(&device.device, local_rank).await?;
        let device_seconds = start.elapsed().as_secs_f64();
        let dataset = load_data(data)?;
        let data_seconds = start.elapsed().as_secs_f64() - device_seconds;
        let start_up = StartUp { device_seconds, data_seconds, ..StartUp::default() };
        Ok(Self { device, dataset, stop: stop_on_ctrl_c()?, start_up, is_one_of_many: false })
    }

    /// The same for a command with several runs: their lines are progress, and each run has its own start.
    pub(super) fn of_many_runs(self) -> Self {
        Self { is_one_of_many: true, start_up: StartUp::default(), ..self }
    }

    /// Says where a file of a run lies; not of a run of a sweep, which moves the folder of a whole run.
    pub(super) fn say_file(&self, what: &str, path: &Path) {
        if !self.is_one_of_many {
            self.say(&format!("{what} {}", path.display()));
        }
    }

    /// Prints a result of a run.
    pub(super) fn say(&self, line: &str) {
        if self.is_one_of_many {
            note!("{line}");
        } else {
            out!("{line}");
        }
    }
}

/// Signals within this time after the first count as one: `timeout` signals the process and also its group.
const ONE_WISH: Duration = Duration::from_secs(1);

/// A flag that Ctrl-C sets; another Ctrl-C, more than a second later, ends the program at once.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut first = None;
    ctrlc::set_handler(move || {
        let first: &mut Instant = first.get_or_insert_with(Instant::now);
        if flag.swap(true, Ordering::Relaxed) && first.elapsed() > ONE_WISH {
            std::process::exit(130);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}
