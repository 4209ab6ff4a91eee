//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::positive;
use crate::data::{DataChoice, ImageSize, Share};
use crate::device::DeviceChoice;
use crate::inference::Views;
use crate::plan::Precision;
use crate::program::files::Destination;

/// The device options.
#[derive(Args, Clone, Debug)]
pub struct DeviceArgs {
    /// auto, cpu, vulkan, metal, dx12, gl, a number from `gpu-digits devices`, a part of a device's name, its PCI address,
    /// pci:0000:03:00.0, or uuid:...; for `train` also `all`, a run with a seed of its own on each, and for ranks a list
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
}

/// The adapters of a command that measures or checks kernels.
#[derive(Args, Clone, Debug)]
pub struct AdaptersArgs {
    /// Adapter to use: `all`, or a device as for `train`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
}

/// The kernels of a command that measures or checks them.
#[derive(Args, Clone, Debug)]
pub struct VariantsArgs {
    /// Also take kernels that are made for other kinds of adapters; a GPU's driver may need minutes and gigabytes to
    /// compile those made for software
    #[arg(long)]
    pub all_variants: bool,
}

/// The file of a command's results.
#[derive(Args, Clone, Debug)]
pub struct ResultsArgs {
    /// Write the results as JSON, to standard output with `-` or without a value
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<Destination>,
}

/// The views in which a model reads images.
#[derive(Args, Clone, Debug)]
pub struct ViewsArgs {
    /// Read each image in N views, and take the mean of their probabilities: 1, as it is; 5, also moved by a pixel; 9, also
    /// turned and zoomed
    #[arg(long, value_name = "N", default_value_t = Views::ONE)]
    pub views: Views,
}

/// The data options.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Data of your own: pictures sorted into folders by class, IDX or CIFAR files, CSV, or NPZ [default:
    /// $GPU_DIGITS_DATA, else MNIST from the cache folder or a download]
    #[arg(long, value_name = "DIR|FILE")]
    pub data: Option<PathBuf>,
    /// Images to test with, a number or a share such as 20%, of data without a test set [default: 15%]
    #[arg(long, value_name = "N|SHARE")]
    pub test: Option<Share>,
    /// Size that pictures are scaled to, such as 32x32, or 32x32x1 for grey ones [default: their own, at most 64]
    #[arg(long, value_name = "HxW")]
    pub image_size: Option<ImageSize>,
    /// Data set to use [default: auto; for `eval`, the data set that the model was trained on]
    #[arg(long, value_enum)]
    pub dataset: Option<DataChoice>,
    /// Training images to generate if the digits are generated; a sixth as many test images are added [default: 12000]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub generated_images: Option<usize>,
}

impl DataArgs {
    /// These, and of the options that were not given the others'.
    pub fn or(self, others: Self) -> Self {
        Self {
            data: self.data.or(others.data),
            test: self.test.or(others.test),
            image_size: self.image_size.or(others.image_size),
            dataset: self.dataset.or(others.dataset),
            generated_images: self.generated_images.or(others.generated_images),
        }
    }

    /// Whether no data are named.
    pub fn is_empty(&self) -> bool {
        let Self { data, test, image_size, dataset, generated_images } = self;
        data.is_none() && test.is_none() && image_size.is_none() && dataset.is_none() && generated_images.is_none()
    }
}

/// What `train` does when its device fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnDeviceLost {
    /// End, and say how to go on
    Stop,
    /// Open it again once and go on from the last checkpoint
    Retry,
}

/// The optimizers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Stochastic gradient descent with Nesterov momentum
    Nesterov,
    /// Adam, with L2 weight decay
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    #[allow(missing_docs)]
    On,
    #[allow(missing_docs)]
    Off,
}

/// The options that define a training step, for commands that do not train.
#[derive(Args, Clone, Debug)]
pub struct StepArgs {
    /// A name or layers, as for `train`, or a run folder or its model.safetensors
    #[arg(long, default_value = "convnet")]
    pub model: String,
    /// Compute layers that follow each other in one kernel where that pays
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub fuse: Switch,
    /// Float type of activations and their gradients
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,
}

/// The formats of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PictureFormat {
    /// Vector graphics
    Svg,
    /// Pixels, at twice the size
    Png,
}

impl PictureFormat {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}
