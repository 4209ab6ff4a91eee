//! The command line: a struct for each subcommand, without logic.

mod bench;
mod examples;
mod export;
mod import;
mod names;
mod options;
mod outputs;
mod read;
mod sweep;
mod train;
mod tune;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::device::DeviceChoice;
use crate::program::files::Destination;
use crate::train::TrainConfig;

pub use bench::{BenchArgs, BenchCommand, BenchTrainArgs, CheckArgs, CompareArgs, PageArgs, ShowArgs};
pub use export::{ExportArgs, ExportFormat};
pub use import::ImportArgs;
pub use options::{
    AdaptersArgs, DataArgs, DeviceArgs, OnDeviceLost, OptimizerName, PictureFormat, ResultsArgs, StepArgs, Switch,
    VariantsArgs, ViewsArgs,
};
pub use read::{DataSetArgs, EvalArgs, PredictArgs};
pub use sweep::{MergeArgs, SweepArgs, SweepCommand};
pub use train::TrainArgs;
pub use tune::{TuneArgs, TuneChoice};
pub use values::{CheckpointEvery, RanksChoice};

use values::{not_negative, positive, positive_number};

const DEFAULT: TrainConfig = TrainConfig::DEFAULT;

/// Trains convolutional networks on MNIST with WGSL compute shaders on any GPU, and verifies every kernel against the
/// CPU.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, args_override_self = true, after_help = examples::PROGRAM)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    /// Print results, warnings and errors only: no progress, no remarks
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model and save it
    #[command(after_help = examples::train())]
    Train(TrainArgs),
    /// Look at a data set: classes, sizes, pictures that show little or stand twice, and a sheet of its images
    #[command(after_help = examples::DATA)]
    Data(DataSetArgs),
    /// Score a saved model on the test set
    #[command(after_help = examples::EVAL)]
    Eval(EvalArgs),
    /// Write a saved model as a file for other programs: ONNX, C or JSON
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Recognise the digits in pictures
    #[command(after_help = examples::PREDICT)]
    Predict(PredictArgs),
    /// Read a model of ONNX, Keras or PyTorch, for `eval`, `predict` and `train --init`
    #[command(after_help = examples::IMPORT)]
    Import(ImportArgs),
    /// Verify every kernel and whole training steps against the CPU
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyArgs),
    /// Time every kernel and compare it with the adapter's limits
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Find the fastest correct kernel for each op on this adapter; `train` then uses it
    #[command(after_help = examples::TUNE)]
    Tune(TuneArgs),
    /// List the adapters of this machine
    #[command(after_help = examples::DEVICES)]
    Devices(DevicesArgs),
    /// Say what is wrong with the machine's adapters and drivers, test each adapter, and measure how it computes
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the ops of a model's training step with shapes, FLOPs, bytes and kernels; a GPU is needed only for
    /// --kernels
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Show what a Vulkan driver's compiler makes of each kernel: registers, spills, instructions, assembly
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Write every shader into a folder as one WGSL file, its parts joined
    #[command(after_help = examples::SHADERS)]
    Shaders(ShadersArgs),
    /// Show the page that trains, draws and verifies in a browser, from this machine alone
    #[command(after_help = examples::WEB)]
    Web(WebArgs),
    /// Redraw the reports of runs, and compare several on one page
    #[command(after_help = examples::REPORT)]
    Report(ReportArgs),
    /// Train a grid of settings, several seeds each, and rank them by validation accuracy
    #[command(after_help = examples::SWEEP)]
    Sweep(SweepArgs),
    /// Print the completion script of a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write manual pages into a folder, one for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// `gpu-digits report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "DIR")]
    pub runs: Vec<PathBuf>,
    /// Also write the pictures as files into each run folder
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub plots: Option<PictureFormat>,
    /// File for the page that compares several runs, or - for standard output [default: comparison.html]
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<Destination>,
}

/// `gpu-digits shaders`.
#[derive(Args, Clone, Debug)]
pub struct ShadersArgs {
    /// Folder for the files, one for each shader; it is created if needed
    pub folder: PathBuf,
}

/// `gpu-digits web`.
#[derive(Args, Clone, Debug)]
pub struct WebArgs {
    /// Port at 127.0.0.1; 0 for a free one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub port: u16,
    /// Also open the page in the browser
    #[arg(long)]
    pub open: bool,
    /// Folder with MNIST's files, which the page can then train on [default: $GPU_DIGITS_DATA, else the cache folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `gpu-digits completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// Shell to write the script for
    pub shell: clap_complete::Shell,
}

/// `gpu-digits man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Folder for the pages; it is created if needed
    pub folder: PathBuf,
}

/// `gpu-digits verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Ops to check, case labels as a failure prints them, `lockstep` (training steps), `large_weights` (evaluations
    /// near the largest floats), or patterns such as 'conv*' [default: everything]
    #[arg(value_name = "OP")]
    pub ops: Vec<String>,
    /// Check only the ops and training steps of this model: a name or layers, as for `train`, or a run folder or its
    /// model.safetensors
    #[arg(long)]
    pub model: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub adapters: AdaptersArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub variants: VariantsArgs,
    /// Print every check
    #[arg(long)]
    pub verbose: bool,
    /// Show the step at which a run diverged, call by call on the CPU: the folder `fault` of that run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ops", "model", "device", "verbose", "all_variants", "json", "junit", "repeat", "seed", "reduce", "reproducer"])]
    pub replay: Option<PathBuf>,
    /// Run each kernel so often with the same operands: a driver may fail in one run of many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive())]
    pub repeat: usize,
    /// Seed of the operands
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Find the smallest sizes at which a failing kernel still fails: for the first failure of each kernel
    #[arg(long)]
    pub reduce: bool,
    /// Write a folder for each failing check of a kernel, for a report to the driver's makers: its text, also as SPIR-V, MSL
    /// and HLSL, its operands, what came, a program and a page that show it
    #[arg(long, value_name = "DIR")]
    pub reproducer: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
    /// Write the results as JUnit XML, to standard output with `-`
    #[arg(long, value_name = "FILE")]
    pub junit: Option<Destination>,
}

/// `gpu-digits devices`.
#[derive(Args, Clone, Debug)]
pub struct DevicesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
}

/// `gpu-digits doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
}

/// `gpu-digits inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Ops, single cases or patterns, as for `verify`; their cases instead of a model's training step
    #[arg(value_name = "OP", conflicts_with_all = ["model", "fuse", "precision", "batch_size"])]
    pub ops: Vec<String>,
    /// Device of Vulkan: its number in `gpu-digits devices`, or a part of its name [default: the best]
    #[arg(long, value_name = "DEVICE", default_value = "vulkan")]
    pub device: DeviceChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Batch size: images of a step
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = positive())]
    pub batch_size: usize,
    /// All kernels that are made for such a device, and not only the one that it takes
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub variants: VariantsArgs,
    /// Also print the assembly
    #[arg(long)]
    pub isa: bool,
    /// Print tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
}

/// `gpu-digits plan`.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub step: StepArgs,
    /// Batch size: images of a step
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = positive())]
    pub batch_size: usize,
    /// The same as for `train`
    #[arg(long, value_enum, default_value_t = OptimizerName::Adam)]
    pub optimizer: OptimizerName,
    /// Also print the kernel that each call takes on an adapter, and why it takes no other
    #[arg(long)]
    pub kernels: bool,
    /// Also say what a step takes for 1, 2, 4, ... N ranks on devices as this one, by a model of cost: measures micro-batches
    /// here, and takes messages between ranks as given
    #[arg(long, value_name = "N", value_parser = positive())]
    pub ranks: Option<usize>,
    /// Parts of a batch that ranks share, as for `train` [default: 8, or as many as there are ranks if they are more]
    #[arg(long, value_name = "N", requires = "ranks", value_parser = positive())]
    pub micro_batches: Option<usize>,
    /// Microseconds in which a rank's device has the gradients of a micro-batch on its host, instead of measuring it here
    #[arg(long, value_name = "US", requires = "ranks", value_parser = positive_number)]
    pub micro_batch_time: Option<f64>,
    /// Microseconds of a message between ranks without contents
    #[arg(long, value_name = "US", default_value_t = 5.0, value_parser = not_negative)]
    pub latency: f64,
    /// Gigabytes that a rank sends in a second; 12 is a network of 100 Gbit/s
    #[arg(long, value_name = "GB/S", default_value_t = 12.0, value_parser = positive_number)]
    pub bandwidth: f64,
    /// Device for --kernels and --ranks, as for `train` [default: auto]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
}
