//! The command line of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::{percentage, picture, positive};
use super::{AdaptersArgs, DEFAULT, ResultsArgs, StepArgs, VariantsArgs, examples};
use crate::bench::Effort;
use crate::program::files::Destination;

/// `gpu-digits bench`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub struct BenchArgs {
    /// Time whole steps, or compare and print results
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// Ops or single cases to time, by their printed names [default: the ops of the model's training step]
    #[arg(value_name = "OP")]
    pub ops: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub adapters: AdaptersArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub variants: VariantsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Batch size: images of a step
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = positive())]
    pub batch_size: usize,
    /// Samples of each kernel; a short kernel gets up to four times as many if its times vary
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.samples, value_parser = positive())]
    pub samples: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Draw a roofline plot: the rate of each kernel below the adapter's peaks
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub roofline: Option<Destination>,
}

impl BenchArgs {
    /// Whether it writes a page under its default name.
    pub(super) fn writes_a_page(&self) -> bool {
        matches!(&self.command, Some(BenchCommand::Page(PageArgs { out: None, .. })))
    }
}

/// The subcommands of `bench`.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Time whole training steps and inferences
    #[command(after_help = examples::BENCH_TRAIN)]
    Train(BenchTrainArgs),
    /// Compare two results, or measure two programs alternately; list the greatest change first
    #[command(after_help = examples::BENCH_COMPARE)]
    Compare(CompareArgs),
    /// Print saved results, side by side if there are several
    #[command(after_help = examples::BENCH_SHOW)]
    Show(ShowArgs),
    /// Judge whether saved results can be right, such as those that others send
    #[command(after_help = examples::BENCH_CHECK)]
    Check(CheckArgs),
    /// Write saved results across GPUs as one page with tables that sort and filter
    #[command(after_help = examples::BENCH_PAGE)]
    Page(PageArgs),
}

/// `gpu-digits bench train`.
#[derive(Args, Clone, Debug)]
pub struct BenchTrainArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub adapters: AdaptersArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Batch sizes, separated by commas
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 32, 128, 512, 2048], value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Samples of each step
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive())]
    pub samples: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
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

/// `gpu-digits bench check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Files of `bench --json`, or of the page in the browser
    #[arg(required = true)]
    pub reports: Vec<PathBuf>,
}

/// `gpu-digits bench page`.
#[derive(Args, Clone, Debug)]
pub struct PageArgs {
    /// Files of `bench --json`, or of the page in the browser
    #[arg(required = true)]
    pub reports: Vec<PathBuf>,
    /// The page, or `-` for standard output [default: gpus.html]
    #[arg(long, value_name = "FILE")]
    pub out: Option<Destination>,
}

/// `gpu-digits bench compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// File of `bench --json`: the earlier result
    #[arg(required_unless_present = "run")]
    pub before: Option<PathBuf>,
    /// File of `bench --json`: the later result
    #[arg(required_unless_present = "run")]
    pub now: Option<PathBuf>,
    /// Measure another gpu-digits and this one alternately, and compare them
    #[arg(long, value_name = "OTHER-BINARY", conflicts_with_all = ["before", "now"])]
    pub run: Option<PathBuf>,
    /// Rounds of --run; each round measures both programs
    #[arg(long, value_name = "N", default_value_t = 6, requires = "run", value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub rounds: u32,
    /// Ops and options of `bench` that --run passes to both programs, after --
    #[arg(last = true, value_name = "OP or OPTION", requires = "run")]
    pub bench: Vec<String>,
    /// Exit with 1 if a case, a step or all kernels together are slower by more than this and by more than their noise,
    /// or if a case is missing; exit with 2 if the noise exceeds this
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    pub fail_above: Option<f64>,
}
