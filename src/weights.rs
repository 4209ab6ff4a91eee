//! Saved models: a safetensors file with PyTorch's names and shapes, and what made it in the metadata.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use crate::files::{hex, write_atomically};
use crate::model::Model;
use crate::tensor::HostTensor;

/// A model and its parameters, in the order of [`Model::parameters`].
pub struct SavedModel {
    /// The layers.
    pub model: Model,
    /// Weights and biases.
    pub parameters: Vec<HostTensor>,
    /// The seed that it was trained with, where the file says.
    pub seed: Option<String>,
}

/// Saves a model. The metadata holds `model` (the text form), `seed`, `version` and `format` (`pt`, as PyTorch's own).
///
/// # Errors
/// Where the file cannot be written; an older one is then left as it was.
pub fn save(path: &Path, model: &Model, parameters: &[HostTensor], seed: u64) -> Result<()> {
    let metadata = HashMap::from([
        ("model".to_owned(), model.to_string()),
        ("seed".to_owned(), seed.to_string()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("format".to_owned(), "pt".to_owned()),
    ]);
    let mut views = Vec::new();
    for ((name, shape), tensor) in model.parameters().into_iter().zip(parameters) {
        let bytes = bytemuck::cast_slice(tensor.words());
        views.push((name, TensorView::new(Dtype::F32, shape.extents().to_vec(), bytes)?));
    }
    let bytes = safetensors::serialize(views, Some(metadata)).context("cannot put the weights into a file")?;
    write_atomically(path, &bytes)
}

/// Loads a model that was saved with its text form.
///
/// # Errors
/// Where the file cannot be read, is no safetensors file, does not say what model it holds, or lacks a tensor.
pub fn load(path: &Path) -> Result<SavedModel> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the model {}", path.display()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).with_context(|| not_safetensors(path))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let text = metadata.get("model").with_context(|| {
        format!("{} does not say in its metadata what model it holds; was it saved by gpu-digits?", path.display())
    })?;
    let model: Model = text.parse().with_context(|| format!("{} holds a model that cannot be", path.display()))?;
    let parameters = parameters_of(&bytes, &model, path)?;
    Ok(SavedModel { model, parameters, seed: metadata.get("seed").cloned() })
}

/// Loads the parameters of a model from a safetensors file of any origin, such as PyTorch.
///
/// # Errors
/// Where the file cannot be read, or its tensors are not those of the model.
pub fn load_parameters(path: &Path, model: &Model) -> Result<Vec<HostTensor>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the weights {}", path.display()))?;
    parameters_of(&bytes, model, path)
}

fn parameters_of(bytes: &[u8], model: &Model, path: &Path) -> Result<Vec<HostTensor>> {
    let file = SafeTensors::deserialize(bytes).with_context(|| not_safetensors(path))?;
    let wanted = model.parameters();
    if let Some(extra) = file.names().into_iter().find(|name| wanted.iter().all(|(wanted, _)| wanted != name)) {
        bail!("{} holds a tensor `{extra}`, which the model `{model}` does not have", path.display());
    }
    let read = |(name, shape): &(String, crate::tensor::Shape)| {
        let view = file
            .tensor(name)
            .with_context(|| format!("{} has no tensor `{name}`, which the model `{model}` needs", path.display()))?;
        ensure!(
            view.dtype() == Dtype::F32 && view.shape() == shape.extents(),
            "in {}, `{name}` is {:?} of shape {:?}; the model `{model}` needs F32 of shape {shape}",
            path.display(),
            view.dtype(),
            view.shape()
        );
        let words = bytemuck::pod_collect_to_vec(view.data());
        let tensor = HostTensor::from_words(crate::tensor::DType::F32, shape.clone(), words);
        ensure!(
            tensor.f32().iter().all(|value| value.is_finite()),
            "in {}, `{name}` holds numbers that are not finite, as of a run that diverged; train anew with a smaller --lr",
            path.display()
        );
        Ok(tensor)
    };
    wanted.iter().map(read).collect()
}

fn not_safetensors(path: &Path) -> String {
    format!("{} is not a safetensors file, or a damaged one", path.display())
}

/// SHA-256, in hex, of the parameters' little-endian bytes one after the other.
pub fn hash(parameters: &[HostTensor]) -> String {
    let mut hash = Sha256::new();
    for word in parameters.iter().flat_map(HostTensor::words) {
        hash.update(word.to_le_bytes());
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        "conv 2x3, relu, pool 2, flatten, dense 10".parse().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let parameters = model().initial_parameters(5);
        save(&path, &model(), &parameters, 5).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.model.to_string(), model().to_string());
        assert_eq!(loaded.parameters, parameters);
        assert_eq!(loaded.seed.as_deref(), Some("5"));
        assert_eq!(hash(&loaded.parameters), hash(&parameters));
    }

    #[test]
    fn weights_of_another_model_are_refused_with_names_and_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save(&path, &model(), &model().initial_parameters(0), 0).unwrap();
        let other: Model = "conv 3x3, relu, pool 2, flatten, dense 10".parse().unwrap();
        let error = format!("{:#}", load_parameters(&path, &other).unwrap_err());
        assert!(error.contains("conv1.weight") && error.contains("[2, 1, 3, 3]") && error.contains("[3, 1, 3, 3]"));
        let other: Model = "flatten, dense 10".parse().unwrap();
        assert!(format!("{:#}", load_parameters(&path, &other).unwrap_err()).contains("`conv1."));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        fs::write(&path, b"not a model").unwrap();
        assert!(format!("{:#}", load(&path).err().unwrap()).contains("not a safetensors file"));
    }
}
