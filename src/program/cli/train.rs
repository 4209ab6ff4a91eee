//! `gpu-digits train`.

use std::path::PathBuf;

use clap::Args;

use super::values::{not_negative, percent, positive, positive_number, rates_file, recipe, share};
use super::{
    CheckpointEvery, DEFAULT, DataArgs, DeviceArgs, OnDeviceLost, OptimizerName, PictureFormat, RanksChoice, Switch,
    TuneChoice,
};
use crate::augment::Augment;
use crate::data::Share;
use crate::plan::Precision;
use crate::program::files::Destination;
use crate::program::recipes::Recipe;
use crate::schedule::Schedule;

/// `gpu-digits train`.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    /// Take the options of a recipe; those given besides override them
    #[arg(long, value_name = "NAME", value_parser = recipe(), conflicts_with = "resume")]
    pub recipe: Option<&'static Recipe>,
    /// Print the command that the recipe stands for, and train nothing
    #[arg(long, requires = "recipe")]
    pub show: bool,
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
    /// How much each training image is changed at random, in degrees, shares and pixels, or `none` [default: what suits
    /// digits, or less for other images]
    #[arg(long, value_name = "CHANGES")]
    pub augment: Option<Augment>,
    /// Learning-rate schedule
    #[arg(long, value_enum, default_value_t = DEFAULT.schedule)]
    pub schedule: Schedule,
    /// Seed for weights, shuffling, dropout, augmentation and the choice of validation images
    #[arg(long, value_name = "N", default_value_t = DEFAULT.seed)]
    pub seed: u64,
    /// Shuffle the training images before each epoch
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub shuffle: Switch,
    /// Training images to hold out for validation, a number or a share such as 10%, drawn at random from each class
    /// [default: a twelfth]
    #[arg(long, value_name = "N|SHARE")]
    pub validation: Option<Share>,
    /// Generated digits to train on besides, for hands that MNIST lacks [default: 6000 with MNIST, else 0]
    #[arg(long, value_name = "N")]
    pub add_generated: Option<usize>,
    /// Keep the images on the host, and send them to the device as steps need them; the weights are the same [default: off,
    /// or on if they do not fit into a tensor of the device]
    #[arg(long, value_enum)]
    pub stream: Option<Switch>,
    /// Compute layers that follow each other in one kernel where that pays [default: on with a GPU, off with the CPU]
    #[arg(long, value_enum)]
    pub fuse: Option<Switch>,
    /// Float type of activations and their gradients; the test images are scored in f32
    #[arg(long, value_enum, default_value_t = DEFAULT.precision)]
    pub precision: Precision,
    /// How to choose the kernel of each op
    #[arg(long, value_enum, default_value_t = TuneChoice::Auto)]
    pub tune: TuneChoice,
    /// Train with several ranks, each on a device with its share of each batch: N threads of this process, or `mpi` for the
    /// processes that mpirun has started; the weights are the same for any number
    #[arg(long, value_name = "N|mpi", conflicts_with = "find_lr")]
    pub ranks: Option<RanksChoice>,
    /// Cut each batch into so many parts, whose gradients are added in a fixed order: what ranks share [default: 8 with
    /// --ranks, else 1]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub micro_batches: Option<usize>,
    /// Local SGD, another method, for slow links: each rank trains N steps alone, then all take the mean of their weights; the
    /// weights depend on the number of ranks
    #[arg(long, value_name = "N", requires = "ranks", value_parser = positive())]
    pub sync_every: Option<usize>,
    /// Start from the weights of a run folder or a safetensors file; last layers that differ from --model are drawn anew
    #[arg(long, value_name = "RUN")]
    pub init: Option<PathBuf>,
    /// Layers that keep their weights and statistics, separated by commas: conv1,norm1
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',', requires = "init")]
    pub freeze: Vec<String>,
    /// Find a learning rate instead of training a model: raise it at each step until the loss explodes, and suggest one;
    /// with a file, write a picture or the losses
    #[arg(long, value_name = "FILE.svg|png|json", num_args = 0..=1, value_parser = rates_file(), conflicts_with_all = ["resume", "out"])]
    pub find_lr: Option<Option<Destination>>,
    /// Folder for the run [default: runs/ and the current time]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write a checkpoint every N epochs, or in intervals such as 30s, 10m or 2h, or `off` [default: each epoch, where that
    /// takes at most a twentieth of the time]
    #[arg(long, value_name = "N|TIME")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Go on with the unfinished run in this folder, from its last checkpoint, with its settings
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
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
