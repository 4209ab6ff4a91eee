//! The command line of `import`.

use std::path::PathBuf;

use clap::Args;

use super::values::share;
use crate::data::ImageSize;

/// `gpu-digits import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// A model: ONNX, Keras (.keras, .h5), PyTorch (.pt) or safetensors
    pub file: PathBuf,
    /// Layers of a file that holds tensors alone, as for `train`
    #[arg(long)]
    pub model: Option<String>,
    /// File for the model [default: the name of FILE with the ending safetensors]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Size of the images, such as 32x32x3, where the file does not say it [default: 28x28x1]
    #[arg(long, value_name = "HxWxC")]
    pub image_size: Option<ImageSize>,
    /// Names of the classes, in the order of the outputs, separated by commas [default: their numbers]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    /// Mean that is taken from pixels, which are from 0 to 1, before they come into the model [default: 0]
    #[arg(long, value_name = "MEAN", requires = "deviation", value_parser = share)]
    pub mean: Option<f64>,
    /// Deviation by which they are then divided [default: 1; 1/255 for a model that scales its input itself]
    #[arg(long, value_name = "DEVIATION", requires = "mean", value_parser = super::values::positive_number)]
    pub deviation: Option<f64>,
}
