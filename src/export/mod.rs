//! Saved models as files that other programs run: [ONNX](onnx), [JSON](json), and [C](c), with floats or [with bytes](int8).
//!
//! All of them are written from the model's [network](crate::layers::network), so a layer that describes itself there can be
//! exported to each. `docs/EXPORT.md` explains the files.

mod evaluate;
mod json;
mod onnx;

use std::collections::HashMap;

use anyhow::Result;

pub use evaluate::{evaluate, softmax};
pub use json::json;
pub use onnx::onnx;

use crate::layers::network::Network;
use crate::weights::{SavedModel, meaning};

/// What a saved model computes in an evaluation.
///
/// # Errors
/// If it has a layer of your own that does not [say so](crate::Layer::describe).
pub fn network(saved: &SavedModel) -> Result<Network> {
    let names = saved.model.parameters().into_iter().map(|(name, _)| name);
    let parameters: HashMap<_, _> = names.zip(&saved.parameters).collect();
    let image = saved.model.task().image();
    Network::of(saved.model.layers(), &[image.channels, image.height, image.width], &parameters)
}

/// What is known of a saved model, under the keys of its own file's metadata.
fn facts(saved: &SavedModel) -> Result<Vec<(&'static str, String)>> {
    let mut facts = vec![("model", saved.model.to_string())];
    facts.extend(meaning(saved.model.task()));
    facts.extend(saved.seed.clone().map(|seed| ("seed", seed)));
    if let Some(data) = &saved.data {
        facts.push(("data", serde_json::to_string(data)?));
    }
    facts.push(("version", env!("CARGO_PKG_VERSION").to_owned()));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::data::{ImageShape, Task, digits};
    use crate::device::Device;
    use crate::inference::probabilities;
    use crate::layers::LAYERS;
    use crate::random::Random;
    use crate::tensor::HostTensor;

    /// A model with parameters as after training: also running statistics are no longer those at the start.
    pub(super) fn trained(task: Task, text: &str) -> SavedModel {
        let model = Model::parse(task, text, &[]).unwrap();
        let mut random = Random::new(7, 0);
        let mut parameters = model.initial_parameters(3);
        for ((name, shape), tensor) in model.parameters().iter().zip(&mut parameters) {
            let range = match name.rsplit('.').next() {
                Some("running_var") => 0.2..2.0,
                Some("running_mean") => -0.5..0.5,
                Some("weight") if shape.extents().len() == 1 => -1.5..1.5,
                Some("bias") => -0.3..0.3,
                _ => continue,
            };
            let values: Vec<f32> = (0..shape.len()).map(|_| random.uniform(range.start, range.end)).collect();
            *tensor = HostTensor::from_f32(shape.clone(), &values);
        }
        SavedModel { model, parameters, seed: Some("3".to_owned()), data: None }
    }

    /// A model with each form of each layer, and others with what one has no room for.
    pub(super) fn models() -> Vec<SavedModel> {
        let mut texts = vec![
            "norm, conv 4x4 same, pool 3, norm, leaky 0.3, conv 6x3 same stride 2, relu, avg 2, flatten, dense 12, norm, relu, dense 10",
            "conv 5x5 stride 3, relu, residual(conv 5x3 same, norm, relu, conv 5x3 same), relu, residual(conv 7x3 same stride 2, leaky 0.1), \
             residual(residual(relu, conv 7x1), avg 1), avg global, flatten, dropout 0.3, dense 10",
            "flatten, norm, dense 20, leaky 0.1, dense 10",
            "conv 4x5, pool 4, norm, conv 10x3, avg global, flatten",
            "conv 10x4 stride 4, pool 7, flatten",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
        for form in LAYERS.iter().flat_map(|entry| entry.forms) {
            let is_of_a_vector = ["flatten", "dense", "dropout"].iter().any(|word| form.starts_with(word));
            let middle = if is_of_a_vector { format!("flatten, {form}") } else { format!("{form}, flatten") };
            texts.push(format!("conv 3x5 stride 2, {middle}, dense 10"));
        }
        texts.iter().map(|text| trained(Task::MNIST, text)).collect()
    }

    /// A model for coloured images that are not square.
    pub(super) fn coloured() -> SavedModel {
        let task = Task::new(ImageShape { height: 9, width: 12, channels: 3 }, 4).unwrap();
        trained(task, "conv 8x4 same, relu, pool 2, residual(conv 6x3 same), avg global, flatten, dense 4")
    }

    /// The probabilities of the CPU executor.
    pub(super) fn wanted(saved: &SavedModel, images: &[u8]) -> Vec<Vec<f32>> {
        pollster::block_on(probabilities(&Device::Cpu, &saved.model, &saved.parameters, images)).unwrap()
    }

    /// Fails where two lists of probabilities differ by more than a bound.
    pub(super) fn assert_near(saved: &SavedModel, ours: &[f32], wanted: &[f32], bound: f32) {
        let worst = ours.iter().zip(wanted).map(|(ours, wanted)| (ours - wanted).abs()).fold(0.0, f32::max);
        assert!(ours.len() == wanted.len() && worst <= bound, "{}: off by {worst}", saved.model);
    }

    #[test]
    fn the_network_computes_what_the_executor_computes_for_each_layer_of_the_table() {
        for saved in models().into_iter().chain([coloured()]) {
            let bytes = saved.model.task().image().bytes();
            let images: Vec<u8> = digits(2, 5).images.into_iter().cycle().take(2 * bytes).collect();
            let network = network(&saved).unwrap_or_else(|error| panic!("{}: {error:#}", saved.model));
            for (image, wanted) in images.chunks_exact(bytes).zip(wanted(&saved, &images)) {
                let values = evaluate(&network, saved.model.task(), image);
                assert_near(&saved, &softmax(values.last().unwrap()), &wanted, 1e-5);
            }
        }
    }
}
