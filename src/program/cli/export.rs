//! The options of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DataArgs;
use crate::program::files::Destination;

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

/// The formats of models for other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// ONNX, for most runtimes
    Onnx,
    /// A C99 file that needs nothing else
    C,
    /// Steps and weights, for a page in a browser
    Json,
}

impl ExportFormat {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::C => "c",
            Self::Json => "json",
        }
    }
}
