//! Checkpoints: where training is, in a file from which it goes on to the same bits.
//!
//! A checkpoint is a safetensors file with the tensors of a [`TrainState`]: its history as `history`, and each tensor of
//! the plan with `plan.` before its name, in the order in which the device keeps its elements. Tensors of 32-bit floats are
//! F32; others are U32, their words. What the program adds are notes: U8, with `note.` before their names. The metadata are
//! `format` and `sha256` (of the names and bytes of all tensors, by name).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest as _, Sha256};

use crate::files::{hex, write_atomically};
use crate::tensor::{DType, HostTensor};
use crate::train::TrainState;
use crate::weights::{metadata_of, serialized, tensors_of};

/// What `format` says; another number for what this version cannot read.
const FORMAT: &str = "gpu-digits checkpoint 1";

/// The tensor of the history.
const HISTORY: &str = "history";

/// What stands before the names of the plan's tensors.
const OF_PLAN: &str = "plan.";

/// What stands before the names of notes.
const NOTE: &str = "note.";

/// A state of training, and what its program needs besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where training is.
    pub state: TrainState,
    /// Other bytes by name, such as a text that says which run this is.
    pub notes: BTreeMap<String, Vec<u8>>,
}

impl Checkpoint {
    /// Writes the file. It is complete or not there, even if the program or the machine ends during the call.
    ///
    /// # Errors
    /// If it cannot be written; an older file of this name then stays.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = BTreeMap::new();
        for (name, tensor) in &self.state.tensors {
            let (dtype, shape) = match tensor.dtype {
                DType::F32 => (Dtype::F32, tensor.shape.extents().to_vec()),
                DType::U32 | DType::F16 => (Dtype::U32, vec![tensor.words().len()]),
            };
            let view = TensorView::new(dtype, shape, bytemuck::cast_slice(tensor.words()))?;
            tensors.insert(format!("{OF_PLAN}{name}"), view);
        }
        let history = &self.state.history;
        let view = TensorView::new(Dtype::F32, vec![history.len()], bytemuck::cast_slice(history))?;
        tensors.insert(HISTORY.to_owned(), view);
        for (name, bytes) in &self.notes {
            tensors.insert(format!("{NOTE}{name}"), TensorView::new(Dtype::U8, vec![bytes.len()], bytes)?);
        }
        let metadata = [("format", FORMAT.to_owned()), ("sha256", hash(&tensors))];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
        write_atomically(path, &serialized(tensors.into_iter().collect(), metadata)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is of another format.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        let bytes = fs::read(path).with_context(|| format!("cannot read the checkpoint {name}"))?;
        Self::from_bytes(&bytes).with_context(|| format!("the checkpoint {name} cannot be used"))
    }

    /// Reads a checkpoint from memory.
    ///
    /// # Errors
    /// The same as for [`Self::load`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (file, metadata) = (tensors_of("it", bytes)?, metadata_of("it", bytes)?);
        let format = metadata.get("format").map_or("", String::as_str);
        ensure!(format == FORMAT, "its format is `{format}`, and this program reads `{FORMAT}`");
        let tensors: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        let is_whole = metadata.get("sha256") == Some(&hash(&tensors));
        ensure!(is_whole, "it is damaged: its tensors are not those that were written");
        let mut state = TrainState { history: vec![], tensors: BTreeMap::new() };
        let mut notes = BTreeMap::new();
        for (name, view) in tensors {
            let words = || bytemuck::pod_collect_to_vec(view.data());
            if let Some(name) = name.strip_prefix(NOTE) {
                notes.insert(name.to_owned(), view.data().to_vec());
            } else if let Some(name) = name.strip_prefix(OF_PLAN) {
                let dtype = match view.dtype() {
                    Dtype::F32 => DType::F32,
                    Dtype::U32 => DType::U32,
                    other => bail!("`{name}` is {other:?} instead of F32 or U32"),
                };
                state.tensors.insert(name.to_owned(), HostTensor::from_words(dtype, view.shape().into(), words()));
            } else {
                ensure!(name == HISTORY && view.dtype() == Dtype::F32, "it holds a tensor `{name}`");
                state.history = bytemuck::cast_vec(words());
            }
        }
        Ok(Self { state, notes })
    }
}

/// SHA-256 of tensors' names and bytes, in hex.
fn hash(tensors: &BTreeMap<String, TensorView<'_>>) -> String {
    let mut hash = Sha256::new();
    for (name, view) in tensors {
        hash.update(format!("{name} {}\n", view.data().len()));
        hash.update(view.data());
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let floats = HostTensor::from_f32([2, 2], &[1.0, -0.0, f32::MIN_POSITIVE / 3.0, f32::INFINITY]);
        let tensors =
            [("parameters".to_owned(), floats), ("counts".to_owned(), HostTensor::from_u32([3], &[0, 7, u32::MAX]))];
        let state = TrainState { history: vec![2.5, 1.0, 0.25, 3.0], tensors: tensors.into() };
        Checkpoint { state, notes: [("record".to_owned(), vec![0, 255, 10])].into() }
    }

    fn saved() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        checkpoint().save(&path).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn what_is_saved_comes_back_to_the_bit() {
        let loaded = Checkpoint::from_bytes(&saved()).unwrap();
        assert_eq!(loaded, checkpoint());
        assert_eq!(loaded.state.steps(), 2);
        let words = |checkpoint: &Checkpoint| checkpoint.state.tensors["parameters"].words().to_vec();
        assert_eq!(words(&loaded), words(&checkpoint()));
    }

    #[test]
    fn no_byte_of_a_tensor_can_change_unnoticed_and_no_file_be_cut() {
        let bytes = saved();
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        for place in header..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 4;
            let error = format!("{:#}", Checkpoint::from_bytes(&damaged).unwrap_err());
            assert!(error.contains("it is damaged"), "{error}");
        }
        for length in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..length]).is_err(), "{length} bytes were enough");
        }
    }

    #[test]
    fn a_model_is_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model: crate::Model = "flatten, dense 10".parse().unwrap();
        let origin = crate::weights::Origin { seed: 0, data: None };
        crate::weights::save(&path, &model, &model.initial_parameters(0), origin).unwrap();
        let error = format!("{:#}", Checkpoint::load(&path).unwrap_err());
        assert!(error.contains("its format is `pt`") && error.contains("model.safetensors"), "{error}");
    }
}
