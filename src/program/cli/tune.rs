//! The command line of `tune`, and the values of `--tune` in other commands.

use clap::{Args, ValueEnum};

use super::values::positive;
use super::{AdaptersArgs, DEFAULT, StepArgs, VariantsArgs};
use crate::bench::Effort;

/// How to choose the kernel of each op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TuneChoice {
    /// Use what `gpu-digits tune` saved for this adapter, otherwise the default
    Auto,
    /// Use the default kernels
    Off,
    /// Measure first, as `gpu-digits tune` does
    Force,
}

/// `gpu-digits tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub adapters: AdaptersArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub variants: VariantsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Batch sizes, separated by commas
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [DEFAULT.batch], value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Samples of each kernel
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    /// Print saved choices without measuring
    #[arg(long)]
    pub list: bool,
}
