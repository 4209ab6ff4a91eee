//! The command line of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DEFAULT, Switch, percentage, picture, positive};
use crate::bench::Effort;
use crate::files::Destination;
use crate::plan::Precision;

/// `gpu-digits bench`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub struct BenchArgs {
    /// Whole steps, or two results side by side
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// Ops, or labels of single cases as they are printed [default: those of the model's training step]
    #[arg(value_name = "OP")]
    pub ops: Vec<String>,
    /// all, or as for `train`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// As for `train`
    #[arg(long, default_value = "convnet")]
    pub model: String,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = positive())]
    pub batch_size: usize,
    /// Fuse conv, ReLU and pooling into one kernel where possible
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub fuse: Switch,
    /// Floats that hold activations and their gradients; f16 needs fused layers
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,
    /// Samples of each kernel
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    /// Write the results as JSON, to standard output with `-` or without a value
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<Destination>,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Draw each kernel under the adapter's roofs
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub roofline: Option<Destination>,
}

/// The subcommands of `bench`.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Time whole training steps and inferences
    Train(BenchTrainArgs),
    /// Compare two results, sorted by what has changed most
    Compare(CompareArgs),
    /// Print saved results again
    Show(ShowArgs),
}

/// `gpu-digits bench train`.
#[derive(Args, Clone, Debug)]
pub struct BenchTrainArgs {
    /// all, or as for `train`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// As for `train`
    #[arg(long, default_value = "convnet")]
    pub model: String,
    /// Images of a step, several with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 32, 128, 512, 2048], value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Fuse conv, ReLU and pooling into one kernel where possible
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub fuse: Switch,
    /// Floats that hold activations and their gradients; f16 needs fused layers
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,
    /// Samples of each step
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive())]
    pub samples: usize,
    /// Write the results as JSON, to standard output with `-` or without a value
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<Destination>,
}

/// `gpu-digits bench show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Files of `bench --json`
    #[arg(required = true)]
    pub reports: Vec<PathBuf>,
    /// Print a line for each adapter only
    #[arg(long)]
    pub summary: bool,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Draw each kernel under the adapters' roofs
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub roofline: Option<Destination>,
}

/// `gpu-digits bench compare`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    /// A file of `bench --json`
    #[arg(required_unless_present = "run")]
    pub before: Option<PathBuf>,
    /// A later one
    #[arg(required_unless_present = "run")]
    pub now: Option<PathBuf>,
    /// Measure another gpu-digits and this one in turn, and compare them
    #[arg(long, value_name = "OTHER-BINARY", conflicts_with_all = ["before", "now"])]
    pub run: Option<PathBuf>,
    /// Rounds of --run, in each of which both are measured
    #[arg(long, value_name = "N", default_value_t = 6, requires = "run", value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub rounds: u32,
    /// What --run measures: ops and options of `bench`, after --
    #[arg(last = true, value_name = "OP or OPTION", requires = "run")]
    pub bench: Vec<String>,
    /// Exit with 1 where a case, a step or all kernels together are slower by more than this, beyond their noise, or where a
    /// case is missing; exit with 2 where the noise is larger than this
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    pub fail_above: Option<f64>,
}

const COMPARE_EXAMPLES: &str = "\
How to measure a change:
  Times of two runs differ although nothing has changed, since the machine does other things too. So measure the
  old and the new program in turn (old, new, new, old, ...). This command does that, and compares the ratios:

  new/gpu-digits bench compare --run old/gpu-digits
  new/gpu-digits bench compare --run old/gpu-digits --rounds 10 -- conv2d_forward --samples 5

  With old = new it names nothing in 19 of 20 tries. More rounds find smaller changes.

Two files:
  gpu-digits bench --json before.json
  gpu-digits bench --json now.json
  gpu-digits bench compare before.json now.json --fail-above 20%

  The noise of two files is larger: all that the machine did between the two counts as noise.";
