//! Layers in a row: their names, and the shapes that they hand on.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::{Layer, Order, ParameterSpec};

/// A layer of a model with its name, shapes and parameters.
#[derive(Clone, Debug)]
pub struct PlacedLayer {
    /// Word and number, counted from 1 for each word: `conv2`. Its tensors' names begin with it.
    pub name: String,
    /// The number in the name.
    pub number: usize,
    /// The layer.
    pub layer: Arc<dyn Layer>,
    /// Shape of its input for one sample.
    pub input: Vec<usize>,
    /// Shape of its output for one sample.
    pub output: Vec<usize>,
    /// Its parameters.
    pub parameters: Vec<ParameterSpec>,
    /// Whether training leaves its parameters as they are.
    pub frozen: bool,
    /// If its input is a vector of the elements of a map: that map's channels, rows and columns.
    pub flattened: Option<[usize; 3]>,
}

impl PlacedLayer {
    /// Whether training changes some of its parameters.
    pub fn is_trained(&self) -> bool {
        !self.frozen && !self.parameters.is_empty()
    }

    /// The full name of one of its parameters: `conv2.weight`.
    pub fn name_of(&self, own: &ParameterSpec) -> String {
        format!("{}.{}", self.name, own.name)
    }

    /// The map whose elements its output has as a vector. A layer that keeps the shape is taken to keep their order,
    /// unless it mixes them, as a dense layer.
    fn flattens(&self) -> Option<[usize; 3]> {
        let mixes = self.parameters.iter().any(|parameter| parameter.order == Order::OutputsLast);
        match (&self.input[..], &self.output[..]) {
            (&[channels, height, width], [length]) if channels * height * width == *length => {
                Some([channels, height, width])
            }
            (input, output) if input == output && !mixes => self.flattened,
            _ => None,
        }
    }

    /// Channels, rows and columns of its output: of a map, or of the map whose elements it has as a vector.
    pub(crate) fn output_map(&self) -> Option<[usize; 3]> {
        <[usize; 3]>::try_from(&self.output[..]).ok().or_else(|| self.flattens())
    }
}

/// Layers one after the other, from an input of this shape on.
///
/// # Errors
/// If a layer cannot take the output of the one before; the error names the layer and the shape.
pub(crate) fn place(layers: impl IntoIterator<Item = Arc<dyn Layer>>, input: &[usize]) -> Result<Vec<PlacedLayer>> {
    let mut input = input.to_vec();
    let mut placed: Vec<PlacedLayer> = Vec::new();
    for layer in layers {
        let word = layer.word();
        let number = 1 + placed.iter().filter(|earlier| earlier.layer.word() == word).count();
        let name = format!("{word}{number}");
        let output = layer.output(&input).with_context(|| {
            format!("layer {} (`{layer}`, {name}) cannot take an input of shape {input:?}", placed.len() + 1)
        })?;
        let parameters = layer.parameters(&input);
        let flattened = placed.last().and_then(PlacedLayer::flattens);
        let frozen = false;
        placed.push(PlacedLayer { name, number, layer, input, output: output.clone(), parameters, frozen, flattened });
        input = output;
    }
    Ok(placed)
}

/// The negative slope of the rectifier that follows a layer, if one does before the next layer with parameters.
pub(crate) fn slope_after(layers: &[PlacedLayer], place: usize) -> Option<f64> {
    let following = layers[place + 1..].iter().take_while(|placed| placed.parameters.is_empty());
    following.filter_map(|placed| placed.layer.negative_slope()).next()
}
