//! Saved models as files that other programs run: [ONNX](onnx), [JSON](json), and [C](c), with floats or [with bytes](int8).
//!
//! All of them are written from the model's [network](crate::layers::network), so a layer that describes itself there can be
//! exported to each. `docs/EXPORT.md` explains the files.

mod c;
mod evaluate;
pub mod int8;
mod json;
mod onnx;

use std::collections::HashMap;

use anyhow::Result;

pub use c::{c, c_int8};
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
