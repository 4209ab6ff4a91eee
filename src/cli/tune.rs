//! The command line of `tune`, and what `--tune` may be elsewhere.

use clap::{Args, ValueEnum};

use super::{DEFAULT, Switch, positive};
use crate::bench::Effort;
use crate::plan::Precision;

/// Where the choice among an op's kernels comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TuneChoice {
    /// What `gpu-digits tune` has found for the adapter, and good defaults where it has not
    Auto,
    /// The defaults
    Off,
    /// Find out first
    Force,
}

/// `gpu-digits tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    /// all, or as for `train`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// As for `train`
    #[arg(long, default_value = "convnet")]
    pub model: String,
    /// Images of a step, several with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [DEFAULT.batch], value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Whether several layers share a kernel where the model allows it
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub fuse: Switch,
    /// The floats in which activations and their gradients are kept; f16 goes with fused layers
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,
    /// Samples of each kernel
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    /// Print what was found before, and find nothing
    #[arg(long)]
    pub list: bool,
}
