//! A model as JSON, for programs that read it in a few lines, such as a page in a browser.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{facts, network};
use crate::layers::network::{Function, Network, Step};
use crate::tensor::HostTensor;
use crate::weights::SavedModel;

/// The version of the format.
const FORMAT: u32 = 1;

/// A parameter: its shape, and its elements as little-endian 32-bit floats in base64.
#[derive(Serialize)]
struct Parameter<'a> {
    shape: &'a [usize],
    float32: String,
}

impl<'a> From<&'a HostTensor> for Parameter<'a> {
    fn from(tensor: &'a HostTensor) -> Self {
        let bytes: Vec<u8> = tensor.f32().iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { shape: tensor.shape.extents(), float32: STANDARD.encode(bytes) }
    }
}

/// The text of a saved model as JSON, in the form that `docs/EXPORT.md` describes.
///
/// # Errors
/// If a layer of your own does not [say what it computes](crate::Layer::describe).
pub fn json(saved: &SavedModel) -> Result<String> {
    let network = network(saved)?;
    let task = saved.model.task();
    let [mean, deviation] = task.pixels();
    let facts: Map<String, Value> =
        facts(saved)?.into_iter().map(|(key, fact)| (key.to_owned(), fact.into())).collect();
    let classes: Vec<_> = (0..task.classes()).map(|class| task.class_name(class)).collect();
    let steps: Vec<Value> = network.steps.iter().map(|step| described(&network, step)).collect();
    let text = json!({
        "format": format!("gpu-digits network {FORMAT}"),
        "facts": facts,
        "image": task.image(),
        "mean": mean,
        "deviation": deviation,
        "classes": classes,
        "steps": steps,
    });
    Ok(text.to_string() + "\n")
}

fn described(network: &Network, step: &Step) -> Value {
    let parameter = |tensor| Parameter::from(tensor);
    let mut object = match &step.function {
        Function::Convolution { weight, bias, stride, padding } => json!({
            "function": "convolution",
            "weight": parameter(weight),
            "bias": parameter(bias),
            "stride": stride,
            "padding": padding,
        }),
        Function::Dense { weight, bias } => {
            json!({ "function": "dense", "weight": parameter(weight), "bias": parameter(bias) })
        }
        Function::Normalization { weight, bias, mean, variance, epsilon } => json!({
            "function": "normalization",
            "weight": parameter(weight),
            "bias": parameter(bias),
            "mean": parameter(mean),
            "variance": parameter(variance),
            "epsilon": epsilon,
        }),
        Function::Rectifier { slope } => json!({ "function": "rectifier", "slope": slope }),
        Function::MaxPool { window } => json!({ "function": "max pool", "window": window }),
        Function::AveragePool { window } => json!({ "function": "average pool", "window": window }),
        Function::Flatten => json!({ "function": "flatten" }),
        Function::Sum => json!({ "function": "sum" }),
    };
    let name = |&value: &usize| value.checked_sub(1).map_or("image", |step| &network.steps[step].name);
    object["name"] = step.name.as_str().into();
    object["inputs"] = step.inputs.iter().map(name).collect();
    object["output"] = step.output.as_slice().into();
    object
}
