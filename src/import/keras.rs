//! Models in Keras' files: `.keras`, a zip with a description of the layers and an HDF5 file of their weights, and `.h5`, an
//! HDF5 file with both.

mod layers;
mod weights;

use std::io::Cursor;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;

use self::layers::{Reading, channels_last, text};
use self::weights::Weights;
use super::graph::{Graph, Node};
use super::operation::Operation;
use super::pytorch::entry;
use super::value::Value;
use crate::data::ImageSize;

/// The graph of a `.keras` file, and remarks.
///
/// # Errors
/// If it is damaged, or has a layer that cannot be read.
pub(super) fn graph_of_zip(bytes: &[u8], image: Option<ImageSize>) -> Result<(Graph, Vec<String>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).context("it is a damaged zip")?;
    let config = entry(&mut archive, "config.json", usize::MAX)?;
    let config = serde_json::from_slice(&config).context("its `config.json` is damaged")?;
    let weights = Weights::of_zip(entry(&mut archive, "model.weights.h5", usize::MAX)?)?;
    graph(&config, &weights, image)
}

/// The same of an `.h5` file.
///
/// # Errors
/// The same, and if it has weights only.
pub(super) fn graph_of_hdf5(bytes: &[u8], image: Option<ImageSize>) -> Result<(Graph, Vec<String>)> {
    let (config, weights) = Weights::of_hdf5(bytes.to_vec())?;
    let config = config.context(
        "it is an HDF5 file of weights without the layers that they are of; save the whole model: model.save('model.keras')",
    )?;
    let config = serde_json::from_str(&config).context("its `model_config` is damaged")?;
    graph(&config, &weights, image)
}

/// What is known of a graph while its layers are read.
#[derive(Default)]
struct Building {
    nodes: Vec<Node>,
    remarks: Vec<String>,
    /// The names and shapes of the inputs, without the samples.
    inputs: Vec<(String, Vec<Json>)>,
    channels_last: bool,
}

fn graph(config: &Json, weights: &Weights, image: Option<ImageSize>) -> Result<(Graph, Vec<String>)> {
    let (class, model) = (text(config, "class_name")?, &config["config"]);
    // Files of Keras 2 have the layers of a sequential model as its configuration.
    let layers = model["layers"].as_array().or(model.as_array()).context("it has no list of layers")?;
    let is_sequential = match class {
        "Sequential" => true,
        "Functional" | "Model" => false,
        other => bail!(
            "its model is the class `{other}`, whose layers are a program; build it with Sequential or the functional API"
        ),
    };
    let channels_last = channels_last(layers)?;
    let mut building = Building { channels_last, ..Building::default() };
    let mut last = String::new();
    for (place, layer) in layers.iter().enumerate() {
        let own = &layer["config"];
        let name = text(own, "name").or_else(|_| text(layer, "name"))?;
        let before = if !is_sequential {
            inputs_of(layer).with_context(|| format!("the layer `{name}`"))?
        } else if place == 0 && text(layer, "class_name")? != "InputLayer" {
            // Without an input of its own, the first layer or the model says its shape.
            let shape = [&own["batch_input_shape"], &layer["build_config"]["input_shape"], &model["build_input_shape"]];
            let shape = shape.into_iter().find_map(Json::as_array).context("its input's shape is not known")?;
            building.inputs.push(("the input".to_owned(), shape.iter().skip(1).cloned().collect()));
            vec!["the input".to_owned()]
        } else {
            vec![last]
        };
        building.add(layer, name, before, weights)?;
        last = name.to_owned();
    }
    let output =
        if is_sequential { last } else { only_name(&model["output_layers"]).context("it does not have one output")? };
    let (name, shape) = match &building.inputs[..] {
        [only] => only.clone(),
        inputs => bail!("it has {} inputs, and a model of ours has one: the image", inputs.len()),
    };
    let extents: Vec<_> = shape.iter().map(Json::as_i64).collect();
    let value = Value::at_input(&extents, channels_last, image)?;
    Ok((Graph { nodes: building.nodes, input: (name, value), output, channels_last }, building.remarks))
}

impl Building {
    /// Adds a layer as its operations; the last one's output has the name of the layer.
    fn add(&mut self, layer: &Json, name: &str, before: Vec<String>, weights: &Weights) -> Result<()> {
        let class = text(layer, "class_name")?;
        if class == "InputLayer" {
            let config = &layer["config"];
            let shape = [&config["batch_shape"], &config["batch_input_shape"]].into_iter().find_map(Json::as_array);
            let shape = shape.with_context(|| format!("the shape of the input `{name}` is not known"))?;
            self.inputs.push((name.to_owned(), shape.iter().skip(1).cloned().collect()));
            return Ok(());
        }
        let label = format!("{class} `{name}`");
        let reading = Reading { class, config: &layer["config"], name, weights, channels_last: self.channels_last };
        let mut operations = reading.operations().with_context(|| format!("{label} cannot be read"))?;
        if reading.is_of_training_only() {
            self.remarks.push(format!(
                "{label} is left out: it does nothing in evaluation, and no layer of ours does the same in training"
            ));
        }
        if operations.is_empty() {
            operations.push(Operation::Identity);
        }
        let (mut inputs, count) = (before, operations.len());
        for (place, operation) in operations.into_iter().enumerate() {
            let output = if place + 1 == count { name.to_owned() } else { format!("{name}, part {}", place + 1) };
            self.nodes.push(Node { label: label.clone(), operation, inputs, output: output.clone() });
            inputs = vec![output];
        }
        Ok(())
    }
}

/// The layers whose outputs a layer of a functional model takes.
fn inputs_of(layer: &Json) -> Result<Vec<String>> {
    let uses = layer["inbound_nodes"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(uses.len() <= 1, "is used {} times, and ours once", uses.len());
    let mut names = Vec::new();
    uses.iter().for_each(|used| collect_names(used, &mut names));
    Ok(names)
}

/// Names in lists such as `["conv2d", 0, 0]`, in order.
fn collect_names(json: &Json, names: &mut Vec<String>) {
    match json {
        Json::Array(items) => match &items[..] {
            [Json::String(name), Json::Number(_), Json::Number(_), ..] => names.push(name.clone()),
            items => items.iter().for_each(|item| collect_names(item, names)),
        },
        Json::Object(entries) => entries.values().for_each(|entry| collect_names(entry, names)),
        _ => {}
    }
}

fn only_name(json: &Json) -> Option<String> {
    let mut names = Vec::new();
    collect_names(json, &mut names);
    <[String; 1]>::try_from(names).ok().map(|[name]| name)
}
