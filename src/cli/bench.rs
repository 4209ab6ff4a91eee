//! The command line of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::{percentage, picture, positive};
use super::{DEFAULT, StepArgs, examples};
use crate::bench::Effort;
use crate::files::Destination;

/// `gpu-digits bench`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub struct BenchArgs {
    /// Time whole steps, or compare and print results
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// Ops, or single cases as they are printed [default: the ops of the model's training step]
    #[arg(value_name = "OP")]
    pub ops: Vec<String>,
    /// Adapter to measure, as for `train`, or `all`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = positive())]
    pub batch_size: usize,
    /// Samples of each kernel; short ones get up to four times as many where their times vary
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    /// Write the results as JSON, to standard output with `-` or without a value
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<Destination>,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Draw a roofline: each kernel below the peaks of the adapter
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub roofline: Option<Destination>,
}

/// The subcommands of `bench`.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Time whole training steps and inferences
    #[command(after_help = examples::BENCH_TRAIN)]
    Train(BenchTrainArgs),
    /// Compare two results, or two programs measured in turn; the greatest change first
    #[command(after_help = examples::BENCH_COMPARE)]
    Compare(CompareArgs),
    /// Print saved results, several side by side
    #[command(after_help = examples::BENCH_SHOW)]
    Show(ShowArgs),
}

/// `gpu-digits bench train`.
#[derive(Args, Clone, Debug)]
pub struct BenchTrainArgs {
    /// Adapter to measure, as for `train`, or `all`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Images of a step; several with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 32, 128, 512, 2048], value_parser = positive())]
    pub batch_size: Vec<usize>,
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
    /// Print one line for each adapter and batch size
    #[arg(long)]
    pub summary: bool,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Draw a roofline for each adapter
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub roofline: Option<Destination>,
}

/// `gpu-digits bench compare`.
#[derive(Args, Clone, Debug)]
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
