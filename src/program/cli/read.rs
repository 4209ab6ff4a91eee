//! The commands that look at data, and those that read images with a saved model.

use std::path::PathBuf;

use clap::Args;

use super::values::{picture, share};
use super::{DataArgs, DeviceArgs, ResultsArgs, ViewsArgs};
use crate::program::files::Destination;

/// `gpu-digits data`.
#[derive(Args, Clone, Debug)]
pub struct DataSetArgs {
    /// The data, in any of the forms that --data takes [default: MNIST]
    #[arg(value_name = "DIR|FILE", conflicts_with = "data")]
    pub path: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub results: ResultsArgs,
    /// Draw the first training images of each class, as PNG or SVG
    #[arg(long, value_name = "FILE.svg|png", value_parser = picture())]
    pub sheet: Option<Destination>,
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
    #[command(flatten)]
    #[allow(missing_docs)]
    pub views: ViewsArgs,
}

/// `gpu-digits predict`.
#[derive(Args, Clone, Debug)]
pub struct PredictArgs {
    /// A run folder, or its model.safetensors
    pub model: PathBuf,
    /// Pictures of digits and numbers, or of what else the model is for (PNG, JPEG, PNM, BMP, WebP or TIFF, of any size, in
    /// any colours), folders of pictures, or - for standard input
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
    pub views: ViewsArgs,
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
