//! Models: a list of layers with a text form, the resulting shapes, and initial weights.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use crate::data::Task;
#[cfg(feature = "exchange")]
use crate::data::{CLASSES, ImageShape};
use crate::layers::{self, Entry, Initial, Layer, ParameterSpec, PlacedLayer, place, slope_after};
use crate::names::did_you_mean;
use crate::random::Random;
use crate::tensor::{HostTensor, Shape};

/// The most elements of a parameter: 4 GiB of floats, more than adapters can bind.
const MOST_WEIGHTS: usize = 1 << 30;

/// The most layers of a model: more than digits need, and few enough that every model is read at once.
const MOST_LAYERS: usize = 1_000;

/// The named models with their text form. For other classes than MNIST's ten, the last layer has another size.
pub const NAMED_MODELS: &[(&str, &str)] = &[
    ("convnet", "conv 32x3, relu, pool 2, conv 64x3, relu, pool 2, flatten, dense 10"),
    (
        "lenet5",
        "conv 6x5 same, relu, pool 2, conv 16x5, relu, pool 2, flatten, dense 120, relu, dense 84, relu, dense 10",
    ),
    ("speedrun", "conv 24x5, pool 2, relu, conv 32x3, pool 2, relu, flatten, dense 256, relu, dense 10"),
    ("mlp", "flatten, dense 128, relu, dropout 0.2, dense 10"),
];

/// The name of a model's layers if they are one of [`NAMED_MODELS`], otherwise the layers.
pub fn short_name(layers: &str) -> &str {
    NAMED_MODELS.iter().find(|(_, of)| *of == layers).map_or(layers, |(name, _)| name)
}

/// A model that can be trained: its layers fit together, take the images of a task and end in a logit for each class.
#[derive(Clone, Debug)]
pub struct Model {
    task: Task,
    layers: Vec<PlacedLayer>,
}

impl Model {
    /// The model of these layers, those of [`LAYERS`](crate::layers::LAYERS) and your own, for a task.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before (the error names the layer and both shapes), or if the last
    /// layer does not give a logit for each class.
    pub fn new(task: Task, layers: impl IntoIterator<Item = Arc<dyn Layer>>) -> Result<Self> {
        let image = task.image();
        let placed = place(layers, &[image.channels, image.height, image.width])?;
        ensure_logits(&placed, task.classes())?;
        let model = Self { task, layers: placed };
        for (name, shape) in model.parameters() {
            let count = shape.extents().iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
            ensure!(
                count.is_some_and(|count| count <= MOST_WEIGHTS),
                "`{name}` of shape {shape} has more than {MOST_WEIGHTS} elements; make the layer smaller"
            );
        }
        Ok(model)
    }

    /// Parses a model for a task: a name of [`NAMED_MODELS`], or layers such as `conv 32x3, relu, pool 2, flatten,
    /// dense 10`. Case does not matter, and a trailing comma is allowed. There may be layers of your own in addition to
    /// those of [`LAYERS`](crate::layers::LAYERS).
    ///
    /// # Errors
    /// If a layer is unknown, or the layers do not fit together.
    pub fn parse(task: Task, text: &str, own: &[Entry]) -> Result<Self> {
        let (text, layers) = layers_in(text, task.classes(), own)?;
        Self::new(task, layers).with_context(|| format!("the model `{text}` cannot be built"))
    }

    /// The same with layers that training leaves as they are: it changes neither their weights nor their statistics, by which
    /// a frozen `norm` normalises. The gradients of their weights, and all gradients below the first layer that is trained,
    /// are not computed where an op of their own would compute them.
    ///
    /// # Errors
    /// If there is no such layer, it has no parameters, no layer is left to train, or a layer with statistics, such as
    /// `norm`, comes after one that is trained.
    pub fn frozen(mut self, names: &[String]) -> Result<Self> {
        for name in names {
            let with_parameters = self.layers.iter().filter(|placed| !placed.parameters.is_empty());
            let known: Vec<&str> = with_parameters.map(|placed| &*placed.name).collect();
            let all = known.join(", ");
            let meant = did_you_mean(name, known);
            let found = self.layers.iter_mut().find(|placed| placed.name == *name && !placed.parameters.is_empty());
            let found = found.with_context(|| {
                format!("there is no layer `{name}` with parameters that could be frozen{meant}\nthose of the model are {all}")
            })?;
            found.frozen = true;
        }
        let first = self.layers.iter().position(PlacedLayer::is_trained);
        let first = first.context("all layers are frozen, so that nothing is left to train; freeze fewer")?;
        let has_state = |placed: &&PlacedLayer| placed.frozen && placed.parameters.iter().any(|own| !own.trained);
        if let Some(placed) = self.layers[first..].iter().find(has_state) {
            bail!(
                "{} cannot be frozen: it has running statistics, and {} before it is trained; freeze that too, or leave {} out",
                placed.name,
                self.layers[first].name,
                placed.name
            );
        }
        Ok(self)
    }

    /// The classes of the last layer of a text, for images of a shape; those of MNIST for the name of a model.
    ///
    /// # Errors
    /// If a layer is unknown, or the layers do not fit together.
    #[cfg(feature = "exchange")]
    pub(crate) fn classes_in(image: ImageShape, text: &str) -> Result<usize> {
        let (text, layers) = layers_in(text, CLASSES, &[])?;
        let placed = place(layers, &[image.channels, image.height, image.width])
            .with_context(|| format!("the model `{text}` cannot be built"))?;
        placed.last().and_then(|last| last.output.first().copied()).context("the model has no layers")
    }

    /// The images that it takes, and the number of classes.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Its text for another number of classes, if it ends in a dense layer; otherwise its own.
    pub fn text_for(&self, classes: usize) -> String {
        let text = self.to_string();
        if text.rsplit(", ").next().is_some_and(|last| last.starts_with("dense ")) {
            return with_classes(&text, classes);
        }
        text
    }

    /// The layers in order.
    pub fn layers(&self) -> &[PlacedLayer] {
        &self.layers
    }

    /// The parameters' names and shapes, in order: `conv1.weight`, `conv1.bias`, ...
    pub fn parameters(&self) -> Vec<(String, Shape)> {
        self.named(|_| true)
    }

    /// The weights and biases among them: all but state such as running statistics.
    pub fn weights(&self) -> Vec<(String, Shape)> {
        self.named(|own| own.trained)
    }

    fn named(&self, is_wanted: fn(&ParameterSpec) -> bool) -> Vec<(String, Shape)> {
        let all = self.layers.iter().flat_map(|layer| layer.parameters.iter().map(move |own| (layer, own)));
        let wanted = all.filter(|(_, own)| is_wanted(own));
        wanted.map(|(layer, own)| (layer.name_of(own), own.shape.clone())).collect()
    }

    /// The number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.weights().iter().map(|(_, shape)| shape.len()).sum()
    }

    /// Initial parameters, in the order of [`Model::parameters`], as their layers say ([`Initial`]). Each tensor has
    /// its own random stream.
    pub fn initial_parameters(&self, seed: u64) -> Vec<HostTensor> {
        let all = self.layers.iter().enumerate();
        let all = all.flat_map(|(place, layer)| layer.parameters.iter().map(move |own| (place, own)));
        let draw = |(stream, (place, own)): (u64, (usize, &ParameterSpec))| {
            let values: Vec<f32> = if let Initial::Constant(value) = own.initial {
                vec![value; own.shape.len()]
            } else {
                let bound = own.initial.bound(slope_after(&self.layers, place));
                let mut random = Random::new(seed, stream);
                (0..own.shape.len()).map(|_| random.uniform(-bound, bound)).collect()
            };
            HostTensor::from_f32(own.shape.clone(), &values)
        };
        (0..).zip(all).map(draw).collect()
    }
}

/// The text of a model's layers, and the layers. The named models have a form for each number of classes.
fn layers_in(text: &str, classes: usize, own: &[Entry]) -> Result<(String, Vec<Arc<dyn Layer>>)> {
    let text = text.trim();
    let text = text.strip_suffix(',').unwrap_or(text).trim_end();
    let named = NAMED_MODELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let text = &named.map_or_else(|| text.to_owned(), |(_, form)| with_classes(form, classes));
    if !text.contains([' ', ',', '(']) {
        let names = NAMED_MODELS.iter().map(|(name, _)| *name);
        let meant = did_you_mean(text, names.clone());
        bail!(
            "there is no model `{text}`{meant}\ngive one of {} or layers such as `conv 32x3, relu, pool 2, flatten, dense 10`",
            names.collect::<Vec<_>>().join(", ")
        );
    }
    let texts = layers::split(text);
    let count = texts.len();
    ensure!(count <= MOST_LAYERS, "a model of {count} layers is too long: it may have {MOST_LAYERS}; leave some out");
    let layer = |text: &str| layers::parse(text, own).with_context(|| format!("cannot read layer `{}`", text.trim()));
    let layers = texts.into_iter().map(layer).collect::<Result<Vec<_>>>()?;
    Ok((text.clone(), layers))
}

/// The text of a model that ends in a dense layer, for so many classes.
fn with_classes(text: &str, classes: usize) -> String {
    format!("{}{classes}", text.trim_end_matches(|letter: char| letter.is_ascii_digit()))
}

/// Refuses layers that do not end in a logit for each class.
fn ensure_logits(layers: &[PlacedLayer], classes: usize) -> Result<()> {
    let last = layers.last().context("the model has no layers")?;
    ensure!(
        last.layer.may_be_last(),
        "`{}` cannot be the last layer: the loss needs the logits themselves; end the model with `dense {classes}`",
        last.layer
    );
    ensure!(
        last.output == [classes],
        "the last layer is layer {} (`{}`, {}) and gives an output of shape {:?}, but logits \
         of shape [{classes}] are needed, one for each class; end the model with `dense {classes}`",
        layers.len(),
        last.layer,
        last.name,
        last.output
    );
    Ok(())
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(|placed| placed.layer.to_string()).collect();
        f.write_str(&layers.join(", "))
    }
}

impl FromStr for Model {
    type Err = anyhow::Error;

    /// Parses a model for digits as in MNIST; [`Model::parse`] takes other tasks.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(Task::MNIST, text, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

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
        assert!(error("flatten, dense").contains("a number is missing"));
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
    fn layers_are_frozen_by_their_names() {
        let model = || "conv 8x3, norm, relu, pool 2, conv 8x3, norm, flatten, dense 10".parse::<Model>().unwrap();
        let frozen = |names: &str| model().frozen(&names.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let layers = frozen("norm1 conv1").unwrap();
        let trained = layers.layers().iter().filter(|placed| placed.is_trained()).map(|placed| &*placed.name);
        assert_eq!(trained.collect::<Vec<_>>(), ["conv2", "norm2", "dense1"]);
        assert_eq!(layers.parameter_count(), model().parameter_count());
        let error = |names: &str| format!("{:#}", frozen(names).unwrap_err());
        let unknown = error("conv3");
        assert!(
            unknown.starts_with("there is no layer `conv3` with parameters that could be frozen; did you mean `conv")
        );
        assert!(unknown.ends_with("\nthose of the model are conv1, norm1, conv2, norm2, dense1"));
        assert!(error("relu1").contains("there is no layer `relu1` with parameters"));
        assert!(error("conv1 norm1 conv2 norm2 dense1").contains("nothing is left to train"));
        assert!(
            error("norm1")
                .contains("norm1 cannot be frozen: it has running statistics, and conv1 before it is trained")
        );
        assert!(frozen("dense1").is_ok() && frozen("conv2").is_ok(), "one in the middle hands gradients on");
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
    fn a_model_takes_the_images_and_the_classes_of_its_task() {
        let coloured = Task::new(ImageShape { height: 32, width: 24, channels: 3 }, 100).unwrap();
        let model = Model::parse(coloured.clone(), "conv 8x3, relu, pool 2, flatten, dense 100", &[]).unwrap();
        assert_eq!(model.layers()[0].input, [3, 32, 24]);
        assert_eq!(model.parameters()[2], ("dense1.weight".to_owned(), [100, 8 * 15 * 11].into()));
        let error = format!("{:#}", Model::parse(coloured.clone(), "flatten, dense 10", &[]).unwrap_err());
        let wanted = "logits of shape [100] are needed, one for each class; end the model with `dense 100`";
        assert!(error.contains("[10]") && error.ends_with(wanted), "{error}");
        for (name, _) in NAMED_MODELS {
            let model = Model::parse(coloured.clone(), name, &[]).unwrap();
            assert_eq!(model.layers().last().unwrap().layer.to_string(), "dense 100", "{name}");
        }
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
    fn initial_weights_of_the_named_models_stay_as_they_were() {
        for (name, wanted) in [
            ("convnet", "01d22ac56b8963101eab00a41fb9479a"),
            ("lenet5", "535db666d7622d60bb01551dd6ae3080"),
            ("speedrun", "34bb26e094c50eb3d067db67de3b24c4"),
            ("mlp", "a75f338dc12bb2aa2c113f0d262958de"),
        ] {
            let model: Model = name.parse().unwrap();
            assert_eq!(crate::weights::hash(&model.initial_parameters(0))[..32], *wanted, "{name}");
        }
    }

    #[test]
    fn initial_weights_are_larger_before_a_relu_only() {
        let model: Model = "flatten, dense 8, dense 8, dropout 0.5, relu, dense 10".parse().unwrap();
        let largest = |place: usize| {
            let weights = &model.initial_parameters(0)[2 * place];
            weights.f32().iter().fold(0.0, |most: f32, value| most.max(value.abs()))
        };
        let fan_in = [784.0f32, 8.0, 8.0];
        for (place, gain) in [(0, 1.0), (1, 6.0f32), (2, 1.0)] {
            let bound = (gain / fan_in[place]).sqrt();
            assert!((0.8 * bound..=bound).contains(&largest(place)), "layer {place}: {} of {bound}", largest(place));
        }
    }

    #[test]
    fn a_rectifier_or_dropout_cannot_be_the_last_layer() {
        for last in ["relu", "leaky 0.1", "dropout 0.5"] {
            let error = error(&format!("flatten, dense 10, {last}"));
            let wanted = format!(
                "`{last}` cannot be the last layer: the loss needs the logits themselves; end the model with `dense 10`"
            );
            assert!(error.ends_with(&wanted), "{error}");
        }
        assert!("conv 10x28, flatten".parse::<Model>().is_ok());
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
