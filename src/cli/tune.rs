//! The command line of `tune`, and what `--tune` may be elsewhere.

use clap::{Args, ValueEnum};

use super::values::positive;
use super::{DEFAULT, StepArgs};
use crate::bench::Effort;

/// Which kernel of each op to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TuneChoice {
    /// What `gpu-digits tune` found for the adapter, else the default
    Auto,
    /// The default
    Off,
    /// Measure first
    Force,
}

/// `gpu-digits tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    /// Adapter to measure, as for `train`, or `all`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Images of a step; several with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [DEFAULT.batch], value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Samples of each kernel
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    /// Print saved choices without measuring
    #[arg(long)]
    pub list: bool,
}
