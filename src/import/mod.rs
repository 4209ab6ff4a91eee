//! Models of other programs as models of ours: ONNX, Keras, PyTorch and safetensors.
//!
//! A file of ONNX or Keras knows its layers. Each node of its graph is read as an operation in terms that all libraries
//! share (`operation`); a chain makes layers of ours of them that compute the same (`chain`, `kernel`), and refuses what they
//! cannot; and the graph decides what follows what (`graph`). Files of PyTorch and safetensors hold tensors alone, which are
//! matched to the parameters of a given model (`matching`). Nothing in a file is ever called, and nothing is allocated by a
//! size that a file only names.

mod chain;
mod graph;
mod keras;
mod kernel;
mod matching;
mod onnx;
mod operation;
mod pickle;
mod pixels;
mod pytorch;
mod safetensors;
mod value;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use self::chain::{Chain, norm_of};
use self::matching::{Tensors, matched};
use self::pixels::{Normalization, Pixels};
use self::pytorch::StateDict;
use self::safetensors::Safetensors;
use crate::data::{ImageShape, ImageSize, Task};
use crate::layers::{Flatten, Layer, Norm, PlacedLayer, place};
use crate::model::Model;
use crate::onnx::ModelProto;
use crate::tensor::HostTensor;

/// What a file does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The layers as text, for files that hold tensors alone.
    pub model: Option<String>,
    /// The images, for files that do not say how large they are; those of MNIST by default.
    pub image: Option<ImageSize>,
    /// The names of the classes; their numbers by default.
    pub classes: Option<Vec<String>>,
    /// Mean and deviation by which pixels from 0 to 1 are normalised before they come into the model. By default they come
    /// as they are: from 0 to 1, or from 0 to 255 if the model's own first layer scales them by 1/8 or less.
    pub pixels: Option<[f64; 2]>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Onnx,
    Keras,
    PyTorch,
    Safetensors,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Onnx => "ONNX",
            Self::Keras => "Keras",
            Self::PyTorch => "PyTorch",
            Self::Safetensors => "safetensors",
        })
    }
}

/// A model that was read.
#[derive(Debug)]
pub struct Imported {
    /// The layers, the images that they take, and how these are normalised.
    pub model: Model,
    /// The parameters, in the order of [`Model::parameters`].
    pub parameters: Vec<HostTensor>,
    /// The kind of file.
    pub format: Format,
    /// What became of parts that ours do not have, and which tensors became which parameters.
    pub remarks: Vec<String>,
}

/// Layers that were read, without what makes them a model of images and classes.
#[derive(Debug)]
pub struct Layers {
    /// The layers in their places.
    pub layers: Vec<PlacedLayer>,
    /// Their parameters, in order.
    pub parameters: Vec<HostTensor>,
    /// The shape of the input for one sample.
    pub input: Vec<usize>,
    /// The shape of the output for one sample.
    pub output: Vec<usize>,
    /// Whether a softmax follows, which our models leave to the loss.
    pub softmax_follows: bool,
}

/// Reads a model of another program; its content says which.
///
/// ```no_run
/// use gpu_digits::import::{self, Options};
///
/// # fn main() -> anyhow::Result<()> {
/// let imported = import::read("model.onnx".as_ref(), &Options::default())?;
/// let layers = imported.model.to_string();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the file cannot be read, is of none of these kinds, or if no layers of ours compute what it does: the error names the
/// node or the tensors.
pub fn read(path: &Path, options: &Options) -> Result<Imported> {
    let cannot = || format!("cannot import {}", path.display());
    ensure!(!path.is_dir(), "{}: it is a folder; give a file of ONNX, Keras, PyTorch or safetensors", cannot());
    let bytes = fs::read(path).with_context(cannot)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    read_bytes(&bytes, Some(folder), options).with_context(cannot)
}

/// The same of the bytes of a file. The weights of an ONNX file that lie in others are read from `folder`.
///
/// # Errors
/// The same as for [`read`].
pub fn read_bytes(bytes: &[u8], folder: Option<&Path>, options: &Options) -> Result<Imported> {
    if bytes.starts_with(b"PK\x03\x04") {
        if contains(bytes, b"model.weights.h5") {
            let (graph, remarks) = keras::graph_of_zip(bytes, options.image)?;
            return of_graph(Format::Keras, &graph, remarks, options);
        }
        return of_tensors(Format::PyTorch, &StateDict::read(bytes)?, options);
    }
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        let (graph, remarks) = keras::graph_of_hdf5(bytes, options.image)?;
        return of_graph(Format::Keras, &graph, remarks, options);
    }
    ensure!(
        !pytorch::is_old(bytes),
        "PyTorch before 1.6 wrote it; load it with torch.load and save it again with torch.save"
    );
    if safetensors::is_it(bytes) {
        return of_tensors(Format::Safetensors, &Safetensors::read(bytes)?, options);
    }
    let model =
        onnx::decode(bytes).context("it is no file of ONNX, Keras, PyTorch or safetensors that can be read here")?;
    of_graph(Format::Onnx, &onnx::graph(&model, folder, options.image)?, vec![], options)
}

/// The layers of ours that compute the graph of an ONNX model, whatever its output is. Its constants are all in the message.
///
/// # Errors
/// If there are none.
pub fn onnx_layers(model: &ModelProto) -> Result<Layers> {
    let graph = onnx::graph(model, None, None)?;
    let chain = graph.layers()?;
    ensure!(chain.pixels.clone().unwrap_or_default() == Pixels::default(), "its first nodes normalise the input");
    ensure!(!chain.value.is_padded(), "it ends with a padding, which only a convolution of ours has");
    let (input, output, softmax_follows) = (chain.start.shape, chain.value.shape, chain.is_probability);
    let (layers, parameters): (Vec<_>, Vec<_>) = chain.layers.into_iter().unzip();
    Ok(Layers { layers: place(layers, &input)?, parameters: parameters.concat(), input, output, softmax_follows })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The model of a graph.
fn of_graph(format: Format, graph: &graph::Graph, remarks: Vec<String>, options: &Options) -> Result<Imported> {
    ensure!(options.model.is_none(), "the file names its layers itself; leave --model out");
    let mut chain = graph.layers()?;
    chain.end()?;
    chain.remarks.splice(0..0, remarks);
    let image = image_of(&mut chain, options.image)?;
    let pixels = chain.pixels.take().unwrap_or_default();
    let normalization = pixels.behind(options.pixels.unwrap_or_else(|| pixels.usual()))?;
    let (mean, deviation) = match normalization {
        Normalization::Pixels { mean, deviation } => (mean, deviation),
        Normalization::Channels { factors, shifts } => {
            chain.layers.insert(0, (Arc::new(Norm), norm_of(&factors, &shifts, image.channels)));
            chain
                .remarks
                .push("the normalisation of the images became a first layer `norm`, which training changes".to_owned());
            (0.0, 1.0)
        }
    };
    let classes = chain.value.shape[0];
    let task = task(image, classes, [mean, deviation], options)?;
    let (layers, parameters): (Vec<Arc<dyn Layer>>, Vec<_>) = chain.layers.into_iter().unzip();
    let text = Model::new(task.clone(), layers)?.to_string();
    // The model that the file will be read as.
    let model = Model::parse(task, &text, &[])?;
    let parameters = parameters.concat();
    for ((name, shape), tensor) in model.parameters().iter().zip(&parameters) {
        ensure!(tensor.shape == *shape, "`{name}` has the shape {}, and {shape} is needed", tensor.shape);
        ensure!(tensor.f32().iter().all(|value| value.is_finite()), "`{name}` holds numbers that are not finite");
    }
    ensure!(model.parameters().len() == parameters.len(), "the model `{model}` has other parameters");
    Ok(Imported { model, parameters, format, remarks: chain.remarks })
}

/// The images that a graph takes. A vector of pixels is that of an image whose layers begin with `flatten`.
fn image_of(chain: &mut Chain, given: Option<ImageSize>) -> Result<ImageShape> {
    let image = match chain.start.shape[..] {
        [channels, height, width] => ImageShape { height, width, channels },
        [length] => {
            let given = given.map(shape_of);
            let image = given.or((length == ImageShape::MNIST.bytes()).then_some(ImageShape::MNIST));
            let image = image.with_context(|| {
                format!("it takes vectors of {length} pixels; give --image-size HEIGHTxWIDTHxCHANNELS to say which images they are")
            })?;
            ensure!(
                image.bytes() == length,
                "it takes vectors of {length} pixels, and an image of {image} has {}",
                image.bytes()
            );
            ensure!(
                image.channels == 1 || !chain.start.channels_last,
                "it takes vectors of pixels, and the order of their channels is not known; export it with a layer that flattens"
            );
            chain.layers.insert(0, (Arc::new(Flatten), vec![]));
            image
        }
        ref other => bail!("its input is {other:?}, and no image"),
    };
    let is_it = |size: ImageSize| {
        let channels = size.channels.unwrap_or(image.channels);
        ImageShape { height: size.height, width: size.width, channels } == image
    };
    ensure!(given.is_none_or(is_it), "it takes images of {image}, not of the size that --image-size names");
    Ok(image)
}

/// A given model with the tensors of a file.
fn of_tensors(format: Format, tensors: &dyn Tensors, options: &Options) -> Result<Imported> {
    let text = options.model.as_deref().with_context(|| {
        format!(
            "a file of {format} holds tensors without their layers; give the layers with --model. It holds:{}",
            listed(tensors)
        )
    })?;
    let image = options.image.map_or(ImageShape::MNIST, shape_of);
    let classes = Model::classes_in(image, text)?;
    let task = task(image, classes, options.pixels.unwrap_or([0.0, 1.0]), options)?;
    let model = Model::parse(task, text, &[])?;
    let matched = matched(tensors, &model)?;
    Ok(Imported { model, parameters: matched.parameters, format, remarks: matched.lines })
}

/// The task of a model, with the names of its classes if they are given.
fn task(image: ImageShape, classes: usize, [mean, deviation]: [f64; 2], options: &Options) -> Result<Task> {
    let task = Task::new(image, classes)?.normalized(mean, deviation)?;
    match &options.classes {
        Some(names) => task.named(names.clone()),
        None => Ok(task),
    }
}

/// A size as a shape, grey if it does not say so.
fn shape_of(ImageSize { height, width, channels }: ImageSize) -> ImageShape {
    ImageShape { height, width, channels: channels.unwrap_or(1) }
}

/// The most tensors that an error lists.
const MOST_LISTED: usize = 40;

/// Names and shapes of tensors, a line for each.
fn listed(tensors: &dyn Tensors) -> String {
    let all = tensors.named();
    let lines: String = all.iter().take(MOST_LISTED).map(|(name, shape)| format!("\n  {name} {shape:?}")).collect();
    let left = all.len().saturating_sub(MOST_LISTED);
    if left > 0 { format!("{lines}\n  and {left} more") } else { lines }
}
