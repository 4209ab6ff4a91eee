//! Models: a list of layers with a text form, the resulting shapes, and initial weights.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::data::{CLASSES, IMAGE_SIDE};
use crate::names::did_you_mean;
use crate::random::Random;
use crate::tensor::{HostTensor, Shape};

/// The most elements of a parameter: 4 GiB of floats, more than adapters can bind.
const MOST_WEIGHTS: usize = 1 << 30;

/// The most layers of a model: more than digits need, and few enough that every model is read at once.
const MOST_LAYERS: usize = 1_000;

/// The named models with their text form.
pub const NAMED_MODELS: &[(&str, &str)] = &[
    ("convnet", "conv 32x3, relu, pool 2, conv 64x3, relu, pool 2, flatten, dense 10"),
    (
        "lenet5",
        "conv 6x5 same, relu, pool 2, conv 16x5, relu, pool 2, flatten, dense 120, relu, dense 84, relu, dense 10",
    ),
    ("speedrun", "conv 24x5, pool 2, relu, conv 32x3, pool 2, relu, flatten, dense 256, relu, dense 10"),
    ("mlp", "flatten, dense 128, relu, dropout 0.2, dense 10"),
];

/// The syntax of each layer.
const LAYERS: [&str; 7] = ["conv 32x3", "conv 32x3 same", "relu", "pool 2", "flatten", "dense 10", "dropout 0.2"];

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// `conv 32x3 [same]`: convolution with bias, stride 1.
    Conv {
        /// Output channels.
        channels: usize,
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Whether zeros are added around the map so that it keeps its size.
        same: bool,
    },
    /// `relu`.
    Relu,
    /// `pool 2`: max-pooling.
    Pool {
        /// Rows and columns of a window.
        size: usize,
    },
    /// `flatten`: channels, rows and columns become one axis, in PyTorch's order.
    Flatten,
    /// `dense 10`: fully connected with bias.
    Dense {
        /// Output features.
        outputs: usize,
    },
    /// `dropout 0.2`.
    Dropout {
        /// The fraction that is dropped in training.
        rate: f64,
    },
}

impl Layer {
    /// Its first word, from which its tensors also get their names.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::Relu => "relu",
            Self::Pool { .. } => "pool",
            Self::Flatten => "flatten",
            Self::Dense { .. } => "dense",
            Self::Dropout { .. } => "dropout",
        }
    }

    /// Whether it has weights.
    pub fn has_parameters(&self) -> bool {
        matches!(self, Self::Conv { .. } | Self::Dense { .. })
    }

    /// Shape of the output for one sample, given the shape of the input.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(match (*self, input) {
            (Self::Conv { channels, kernel, same }, &[_, height, width]) => {
                let smaller = if same { 0 } else { kernel - 1 };
                ensure!(
                    height > smaller && width > smaller,
                    "its {kernel}x{kernel} kernel does not fit into that map; use a smaller kernel or add `same`"
                );
                vec![channels, height - smaller, width - smaller]
            }
            (Self::Pool { size }, &[channels, height, width]) => {
                ensure!(
                    height >= size && width >= size,
                    "it would shrink the map to [{channels}, {}, {}], below 1x1; remove it or an earlier pool",
                    height / size,
                    width / size
                );
                vec![channels, height / size, width / size]
            }
            (Self::Conv { .. } | Self::Pool { .. }, _) => {
                bail!("it needs a map of channels, rows and columns; move it before `flatten`")
            }
            (Self::Flatten, _) => vec![input.iter().product()],
            (Self::Dense { outputs }, &[_]) => vec![outputs],
            (Self::Dense { outputs }, _) => bail!("its output would be [{outputs}]; put `flatten` before it"),
            (Self::Relu | Self::Dropout { .. }, _) => input.to_vec(),
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv { channels, kernel, same } => {
                write!(f, "conv {channels}x{kernel}{}", if *same { " same" } else { "" })
            }
            Self::Pool { size } => write!(f, "pool {size}"),
            Self::Dense { outputs } => write!(f, "dense {outputs}"),
            Self::Dropout { rate } => write!(f, "dropout {rate}"),
            Self::Relu | Self::Flatten => f.write_str(self.kind()),
        }
    }
}

impl FromStr for Layer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let positive = |word: &str| -> Result<usize> {
            let number = word.parse().with_context(|| format!("`{word}` is not a whole number"))?;
            ensure!((1..=65_536).contains(&number), "`{word}` must be from 1 to 65536");
            Ok(number)
        };
        // Accept other spellings: `Conv 32×3`.
        let lower = text.to_lowercase().replace('×', "x");
        let words: Vec<&str> = lower.split_whitespace().collect();
        Ok(match words[..] {
            ["conv", size] | ["conv", size, "same"] => {
                let (channels, kernel) =
                    size.split_once('x').with_context(|| format!("`{size}` is not CHANNELSxKERNEL, such as 32x3"))?;
                Self::Conv { channels: positive(channels)?, kernel: positive(kernel)?, same: words.len() == 3 }
            }
            ["relu"] => Self::Relu,
            ["pool", size] => Self::Pool { size: positive(size)? },
            ["flatten"] => Self::Flatten,
            ["dense", outputs] => Self::Dense { outputs: positive(outputs)? },
            ["dropout", rate] => {
                let number: f64 = rate.parse().with_context(|| format!("`{rate}` is not a number"))?;
                ensure!((0.0..1.0).contains(&number), "the rate `{rate}` must be at least 0 and below 1");
                // The random numbers have 24 bits.
                let least = 1.0 / f64::from(1 << 24);
                ensure!(
                    number == 0.0 || (least..=1.0 - least).contains(&number),
                    "the rate `{rate}` would drop nothing, or everything; use 0, or at least {least:.1e}"
                );
                Self::Dropout { rate: number }
            }
            [] => bail!("there is nothing between two commas; remove one of them"),
            [word, ..] => {
                let known = LAYERS.iter().map(|form| form.split(' ').next().unwrap_or(form));
                let meant = if known.clone().any(|layer| layer == word) {
                    "; its size is missing, or it has an extra word".to_owned()
                } else {
                    did_you_mean(word, known)
                };
                bail!("there is no such layer{meant}\nlayers are `{}`", LAYERS.join("`, `"))
            }
        })
    }
}

/// A layer of a model with its name and shapes.
#[derive(Clone, Debug)]
pub struct PlacedLayer {
    /// Kind and number, counted from 1 for each kind: `conv2`. Its tensors' names begin with it.
    pub name: String,
    /// The number in the name.
    pub number: usize,
    /// The layer.
    pub layer: Layer,
    /// Shape of its input for one sample.
    pub input: Vec<usize>,
    /// Shape of its output for one sample.
    pub output: Vec<usize>,
}

impl PlacedLayer {
    /// Shapes of its weight and its bias, as in PyTorch: `[out, in, kernel, kernel]` or `[out, in]`, and `[out]`.
    pub fn parameter_shapes(&self) -> Option<[Shape; 2]> {
        match self.layer {
            Layer::Conv { channels, kernel, .. } => {
                Some([[channels, self.input[0], kernel, kernel].into(), [channels].into()])
            }
            Layer::Dense { outputs } => Some([[outputs, self.input[0]].into(), [outputs].into()]),
            _ => None,
        }
    }
}

/// A model that can be trained: its layers fit together and end in ten logits.
#[derive(Clone, Debug)]
pub struct Model {
    layers: Vec<PlacedLayer>,
}

impl Model {
    /// The model of these layers.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before (the error names the layer and both shapes), or if the last
    /// layer does not give ten logits.
    pub fn new(layers: &[Layer]) -> Result<Self> {
        let mut input = vec![1, IMAGE_SIDE, IMAGE_SIDE];
        let mut placed: Vec<PlacedLayer> = Vec::new();
        for &layer in layers {
            let number = 1 + placed.iter().filter(|earlier| earlier.layer.kind() == layer.kind()).count();
            let name = format!("{}{number}", layer.kind());
            let output = layer.output(&input).with_context(|| {
                format!("layer {} (`{layer}`, {name}) cannot take an input of shape {input:?}", placed.len() + 1)
            })?;
            placed.push(PlacedLayer { name, number, layer, input, output: output.clone() });
            input = output;
        }
        let last = placed.last().context("the model has no layers")?;
        ensure!(
            last.output == [CLASSES] && matches!(last.layer, Layer::Dense { .. }),
            "the last layer is layer {} (`{}`, {}) and gives an output of shape {:?}, but ten \
             logits of shape [{CLASSES}] are needed; end the model with `dense {CLASSES}`",
            placed.len(),
            last.layer,
            last.name,
            last.output
        );
        let model = Self { layers: placed };
        for (name, shape) in model.parameters() {
            let count = shape.extents().iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
            ensure!(
                count.is_some_and(|count| count <= MOST_WEIGHTS),
                "`{name}` of shape {shape} has more than {MOST_WEIGHTS} elements; make the layer smaller"
            );
        }
        Ok(model)
    }

    /// The layers in order.
    pub fn layers(&self) -> &[PlacedLayer] {
        &self.layers
    }

    /// The parameters' names and shapes, in order: `conv1.weight`, `conv1.bias`, ...
    pub fn parameters(&self) -> Vec<(String, Shape)> {
        let named = |layer: &PlacedLayer| {
            let shapes = layer.parameter_shapes()?;
            Some(["weight", "bias"].iter().map(|kind| format!("{}.{kind}", layer.name)).zip(shapes).collect::<Vec<_>>())
        };
        self.layers.iter().filter_map(named).flatten().collect()
    }

    /// The number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.len()).sum()
    }

    /// Initial parameters, in the order of [`Model::parameters`].
    ///
    /// Weights are uniform within ±√(6 / fan_in), which preserves the variance of the activations through layers of
    /// ReLUs (He et al., "Delving deep into rectifiers", 2015). The weights of the last layer, which no ReLU follows,
    /// and all biases are uniform within ±1/√fan_in, PyTorch's default. Each tensor has its own random stream.
    pub fn initial_parameters(&self, seed: u64) -> Vec<HostTensor> {
        let parameters = self.parameters();
        let mut fan_in = 1;
        let draw = |(stream, (_, shape)): (usize, &(String, Shape))| {
            let extents = shape.extents();
            let is_weight = extents.len() > 1;
            if is_weight {
                fan_in = extents[1..].iter().product();
            }
            let followed_by_relu = stream + 2 < parameters.len();
            let variance_gain = if is_weight && followed_by_relu { 6.0 } else { 1.0 };
            let bound = (variance_gain / fan_in as f32).sqrt();
            let mut random = Random::new(seed, stream as u64);
            let values: Vec<f32> = (0..shape.len()).map(|_| random.uniform(-bound, bound)).collect();
            HostTensor::from_f32(shape.clone(), &values)
        };
        parameters.iter().enumerate().map(draw).collect()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(|placed| placed.layer.to_string()).collect();
        f.write_str(&layers.join(", "))
    }
}

impl FromStr for Model {
    type Err = anyhow::Error;

    /// Parses a name of [`NAMED_MODELS`] or a text form such as `conv 32x3, relu, pool 2, flatten, dense 10`. Case does
    /// not matter, and a trailing comma is allowed.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.strip_suffix(',').unwrap_or(text).trim_end();
        let named = NAMED_MODELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let text = named.map_or(text, |(_, form)| form);
        if !text.contains([' ', ',']) {
            let names = NAMED_MODELS.iter().map(|(name, _)| *name);
            let meant = did_you_mean(text, names.clone());
            bail!(
                "there is no model `{text}`{meant}\ngive one of {} or layers such as `conv 32x3, relu, pool 2, flatten, dense 10`",
                names.collect::<Vec<_>>().join(", ")
            );
        }
        let count = text.split(',').count();
        ensure!(
            count <= MOST_LAYERS,
            "a model of {count} layers is too long: it may have {MOST_LAYERS}; leave some out"
        );
        let layers =
            text.split(',').map(|layer| layer.parse().with_context(|| format!("cannot read layer `{}`", layer.trim())));
        Self::new(&layers.collect::<Result<Vec<_>>>()?).with_context(|| format!("the model `{text}` cannot be built"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", text.parse::<Model>().unwrap_err())
    }

    #[test]
    fn convnet_has_34_826_parameters() {
        let model: Model = "convnet".parse().unwrap();
        assert_eq!(model.parameter_count(), 34_826);
        assert_eq!(model.parameters()[0], ("conv1.weight".to_owned(), [32, 1, 3, 3].into()));
        assert_eq!(model.parameters()[4], ("dense1.weight".to_owned(), [10, 1600].into()));
    }

    #[test]
    fn every_named_model_prints_as_it_was_written() {
        for (name, text) in NAMED_MODELS {
            assert_eq!(name.parse::<Model>().unwrap().to_string(), *text);
        }
    }

    #[test]
    fn models_are_read_as_people_write_them() {
        for text in [
            "Conv 32X3, ReLU, Pool 2, Flatten, Dense 10",
            "conv 32×3, relu, pool 2, flatten, dense 10,",
            "  CONV  32x3 ,relu,\tpool 2,flatten,dense 10 , ",
        ] {
            let model: Model = text.parse().unwrap();
            assert_eq!(model.to_string(), "conv 32x3, relu, pool 2, flatten, dense 10");
        }
        assert_eq!(
            "LeNet5".parse::<Model>().unwrap().layers().len(),
            "lenet5".parse::<Model>().unwrap().layers().len()
        );
    }

    #[test]
    fn what_a_misspelt_layer_or_model_may_have_meant_is_said() {
        assert!(error("convnt").contains("there is no model `convnt`; did you mean `convnet`?"));
        assert!(
            error("flatten, dens 10")
                .contains("cannot read layer `dens 10`: there is no such layer; did you mean `dense`?")
        );
        assert!(error("flaten, dense 10").contains("did you mean `flatten`?"));
        assert!(error("flatten, dense").contains("its size is missing"));
        assert!(error("flatten,, dense 10").contains("nothing between two commas"));
        assert!(!error("wibble 7, dense 10").contains("did you mean"));
    }

    #[test]
    fn a_dense_before_flatten_names_layer_and_shapes() {
        let error = error("conv 8x3, dense 10");
        assert!(error.contains("layer 2 (`dense 10`, dense1)"), "{error}");
        assert!(error.contains("[8, 26, 26]") && error.contains("[10]"), "{error}");
    }

    #[test]
    fn a_map_below_1x1_names_layer_and_shapes() {
        let error = error("pool 3, pool 3, pool 3, pool 3, flatten, dense 10");
        assert!(error.contains("layer 4 (`pool 3`, pool4)") && error.contains("[1, 1, 1]"), "{error}");
        assert!(error.contains("[1, 0, 0]"), "{error}");
    }

    #[test]
    fn a_kernel_larger_than_its_map_is_refused() {
        assert!(error("conv 4x29, flatten, dense 10").contains("[1, 28, 28]"));
    }

    #[test]
    fn a_last_layer_that_is_not_ten_wide_is_refused() {
        let error = error("flatten, dense 11");
        assert!(error.contains("layer 2 (`dense 11`, dense1)") && error.contains("[11]") && error.contains("[10]"));
    }

    #[test]
    fn unknown_names_and_layers_list_what_there_is() {
        assert!(error("resnet").contains("convnet, lenet5, speedrun, mlp"));
        assert!(error("flatten, dens 10").contains("`dense 10`"));
        assert!(error("conv 8x0, flatten, dense 10").contains("1 to 65536"));
        assert!(error("flatten, dropout 1, dense 10").contains("below 1"));
        assert!(error("flatten, dropout 1e-9, dense 10").contains("would drop nothing, or everything"));
        assert!(error("flatten, dropout 0.99999999, dense 10").contains("would drop nothing, or everything"));
    }

    #[test]
    fn a_model_of_too_many_layers_is_refused_at_once() {
        let with_relus = |count: usize| format!("{}flatten, dense 10", "relu, ".repeat(count));
        assert!(with_relus(MOST_LAYERS - 2).parse::<Model>().is_ok());
        let error = error(&with_relus(100_000));
        assert!(error.contains("100002 layers is too long: it may have 1000"), "{error}");
    }

    #[test]
    fn initial_weights_depend_on_the_seed_alone_and_keep_their_bounds() {
        let model: Model = "lenet5".parse().unwrap();
        assert_eq!(model.initial_parameters(3), model.initial_parameters(3));
        assert_ne!(model.initial_parameters(3), model.initial_parameters(4));
        let first = &model.initial_parameters(0)[0];
        let bound = (6.0f32 / 25.0).sqrt();
        assert!(first.f32().iter().all(|value| value.abs() <= bound));
        assert!(first.f32().iter().any(|value| value.abs() > 0.9 * bound));
    }
}
