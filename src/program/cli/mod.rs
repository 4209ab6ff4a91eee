//! The command line: a struct for each subcommand, without logic.

mod bench;
mod examples;
mod names;
mod options;
mod outputs;
mod tune;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::augment::Augment;
use crate::device::DeviceChoice;
use crate::plan::Precision;
use crate::program::files::Destination;
use crate::schedule::Schedule;
use crate::train::TrainConfig;

pub use bench::{BenchArgs, BenchCommand, BenchTrainArgs, CompareArgs, ShowArgs};
pub use options::{
    AdaptersArgs, DataArgs, DeviceArgs, ExportFormat, OnDeviceLost, OptimizerName, PictureFormat, ResultsArgs,
    StepArgs, Switch,
};
pub use tune::{TuneArgs, TuneChoice};
pub use values::CheckpointEvery;

use values::{not_negative, percent, picture, positive, positive_number, share};

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
    /// Score a saved model on the test set
    #[command(after_help = examples::EVAL)]
    Eval(EvalArgs),
    /// Write a saved model as a file for other programs: ONNX, C or JSON
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Recognise the digits in pictures
    #[command(after_help = examples::PREDICT)]
    Predict(PredictArgs),
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
    /// Write every shader into a folder as one WGSL file, its parts joined
    #[command(after_help = examples::SHADERS)]
    Shaders(ShadersArgs),
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

/// `gpu-digits train`.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    /// convnet, lenet5, speedrun, mlp, or layers such as "conv 32x3, relu, pool 2, flatten, dense 10", listed below
    /// [default: that of --init, else convnet]
    #[arg(long)]
    pub model: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub device: DeviceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = DEFAULT.epochs, value_parser = positive())]
    pub epochs: usize,
    /// Batch size: images of a step; images left over at the end of an epoch come first in the next one [default: 128,
    /// fewer for small sets]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub batch_size: Option<usize>,
    /// Optimizer to train with
    #[arg(long, value_enum, default_value_t = OptimizerName::Adam)]
    pub optimizer: OptimizerName,
    /// Highest learning rate [default: 0.01 with adam and adamw, 0.05 with sgd and nesterov, less for small batches]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = positive_number)]
    pub lr: Option<f64>,
    /// Momentum of sgd and nesterov [default: 0.9]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
    pub momentum: Option<f64>,
    /// Weight decay
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0, allow_negative_numbers = true, value_parser = not_negative)]
    pub weight_decay: f64,
    /// Share of each label's probability that is spread over all classes (label smoothing)
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true, value_parser = share)]
    pub label_smoothing: f64,
    /// Shorten the gradient of all parameters together to this norm where it is longer
    #[arg(long, value_name = "NORM", allow_negative_numbers = true, value_parser = positive_number)]
    pub clip_norm: Option<f64>,
    /// Evaluate and save an exponential moving average of the parameters, which keeps this share of itself at each step
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
    pub average: Option<f64>,
    /// How much each training image is changed at random, in degrees, shares and pixels, or `none`
    #[arg(long, value_name = "CHANGES", default_value_t = DEFAULT.refinements.augment)]
    pub augment: Augment,
    /// Learning-rate schedule
    #[arg(long, value_enum, default_value_t = DEFAULT.schedule)]
    pub schedule: Schedule,
    /// Seed for weights, shuffling, dropout, augmentation and the choice of validation images
    #[arg(long, value_name = "N", default_value_t = DEFAULT.seed)]
    pub seed: u64,
    /// Shuffle the training images before each epoch
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub shuffle: Switch,
    /// Training images to hold out for validation, drawn at random from each class [default: a twelfth]
    #[arg(long, value_name = "N")]
    pub validation: Option<usize>,
    /// Generated digits to train on besides, for hands that MNIST lacks [default: 6000 with MNIST, else 0]
    #[arg(long, value_name = "N")]
    pub add_generated: Option<usize>,
    /// Compute layers that follow each other in one kernel where that pays [default: on with a GPU, off with the CPU]
    #[arg(long, value_enum)]
    pub fuse: Option<Switch>,
    /// Float type of activations and their gradients; the test images are scored in f32
    #[arg(long, value_enum, default_value_t = DEFAULT.precision)]
    pub precision: Precision,
    /// How to choose the kernel of each op
    #[arg(long, value_enum, default_value_t = TuneChoice::Auto)]
    pub tune: TuneChoice,
    /// Start from the weights of a run folder or a safetensors file
    #[arg(long, value_name = "RUN")]
    pub init: Option<PathBuf>,
    /// Folder for the run [default: runs/ and the current time]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write a checkpoint every N epochs, or in intervals such as 30s, 10m or 2h, or `off` [default: each epoch, where that
    /// takes at most a twentieth of the time]
    #[arg(long, value_name = "N|TIME")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Go on with the unfinished run in this folder, from its last checkpoint, with its settings
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "init"])]
    pub resume: Option<PathBuf>,
    /// Go on with a finished run of a constant learning rate, up to so many epochs in all
    #[arg(long, value_name = "EPOCHS", requires = "resume", value_parser = positive())]
    pub extend_to: Option<usize>,
    /// What to do when the device fails in mid-run: open it again, once, and go on from the last checkpoint, or end
    #[arg(long, value_enum, default_value_t = OnDeviceLost::Stop)]
    pub on_device_lost: OnDeviceLost,
    /// Before training, compare a step of a GPU with the CPU, and refuse a device that computes wrongly
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub self_test: Switch,
    /// End when the validation images were not read better for N epochs
    #[arg(long, value_name = "N", value_parser = positive())]
    pub early_stopping: Option<usize>,
    /// Write the loss of every N-th step to metrics.jsonl
    #[arg(long, value_name = "N", value_parser = positive())]
    pub log_steps: Option<usize>,
    /// Write a timeline of a few extra steps for Perfetto or chrome://tracing, to standard output with `-`
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<Destination>,
    /// Also write the report's pictures as files into the run folder
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub plots: Option<PictureFormat>,
    /// Also write TensorBoard event files into the run folder
    #[arg(long)]
    pub tensorboard: bool,
    /// Exit with 1 if the test accuracy is below this percentage
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, value_parser = percent)]
    pub target_accuracy: Option<f64>,
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

/// `gpu-digits sweep`.
#[derive(Args, Clone, Debug)]
pub struct SweepArgs {
    /// Models, separated by semicolons; or repeat the option
    #[arg(long, alias = "models", value_name = "MODEL;...", value_delimiter = ';', default_values_t = ["convnet".to_owned()])]
    pub model: Vec<String>,
    /// Highest learning rates, separated by commas [default: the default of each optimizer]
    #[arg(long, value_name = "RATE,...", value_delimiter = ',', value_parser = positive_number)]
    pub lr: Vec<f64>,
    /// Batch sizes, separated by commas [default: 128, fewer for small sets]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Optimizer to train withs, separated by commas
    #[arg(long, value_enum, value_name = "NAME,...", value_delimiter = ',', default_values_t = [OptimizerName::Adam])]
    pub optimizer: Vec<OptimizerName>,
    /// Number of seeds of each setting: 0, 1, 2, ...
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = positive())]
    pub seeds: usize,
    /// Train only this many settings, chosen at random
    #[arg(long, value_name = "N", value_parser = positive())]
    pub random: Option<usize>,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = DEFAULT.epochs, value_parser = positive())]
    pub epochs: usize,
    /// The same as for `train`
    #[arg(long, value_name = "CHANGES", default_value_t = DEFAULT.refinements.augment)]
    pub augment: Augment,
    /// Training images to hold out for validation; their accuracy ranks the settings [default: a twelfth]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub validation: Option<usize>,
    /// The same as for `train`
    #[arg(long, value_name = "N")]
    pub add_generated: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub device: DeviceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
    /// The same as for `train`
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub self_test: Switch,
    /// Folder for the runs; finished runs in it are not trained again
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `gpu-digits shaders`.
#[derive(Args, Clone, Debug)]
pub struct ShadersArgs {
    /// Folder for the files, one for each shader; it is created if needed
    pub folder: PathBuf,
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

/// `gpu-digits eval`.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// A run folder, or its model.safetensors
    pub model: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub device: DeviceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
}

/// `gpu-digits export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// A run folder, or its model.safetensors
    pub model: PathBuf,
    /// Format of the file
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Compute with bytes instead of floats, in the C file; ranges and accuracy are measured on the validation images of the run,
    /// otherwise on test images
    #[arg(long)]
    pub int8: bool,
    /// File to write, or - for standard output [default: model.onnx, model.c or model.json beside the model]
    #[arg(long, value_name = "FILE")]
    pub out: Option<Destination>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
}

/// `gpu-digits predict`.
#[derive(Args, Clone, Debug)]
pub struct PredictArgs {
    /// A run folder, or its model.safetensors
    pub model: PathBuf,
    /// Pictures of digits and numbers (PNG, JPEG, PNM, BMP, WebP or TIFF, of any size, in any colours), folders of
    /// pictures, or - for standard input
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// Enter the folders in folders, too
    #[arg(long)]
    pub recursive: bool,
    /// Take each picture for one digit, however many strokes it has
    #[arg(long)]
    pub one: bool,
    /// Fail, with exit code 1, if a digit has a lower probability than P, from 0 to 1, or is uncertain for another
    /// reason
    #[arg(long, value_name = "P", value_parser = share)]
    pub min_confidence: Option<f64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub device: DeviceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
    /// Write a line for each digit as CSV, to standard output with `-`
    #[arg(long, value_name = "FILE")]
    pub csv: Option<Destination>,
    /// Draw the picture with its digits as they are read, for one picture, as PNG or SVG
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub show: Option<Destination>,
    /// Write a picture of each stage of the reading into a folder, for one picture
    #[arg(long, value_name = "DIR")]
    pub stages: Option<PathBuf>,
}

/// `gpu-digits verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Ops to check, case labels as a failure prints them, `lockstep` (training steps), `large_weights` (evaluations
    /// near the largest floats), or patterns such as 'conv*' [default: everything]
    #[arg(value_name = "OP")]
    pub ops: Vec<String>,
    /// Check only the ops and training steps of this model: a name or layers, as for `train`
    #[arg(long)]
    pub model: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub adapters: AdaptersArgs,
    /// Print every check
    #[arg(long)]
    pub verbose: bool,
    /// Show the step at which a run diverged, call by call on the CPU: the folder `fault` of that run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ops", "model", "device", "verbose", "json", "junit"])]
    pub replay: Option<PathBuf>,
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
    /// Adapter for --kernels, as for `train` [default: auto]
    #[arg(long, value_name = "DEVICE", requires = "kernels")]
    pub device: Option<DeviceChoice>,
}
