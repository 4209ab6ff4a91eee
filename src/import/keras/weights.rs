//! The weights of Keras' layers in HDF5 files.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use hdf5_pure::{AttrValue, DType, File};

use crate::tensor::HostTensor;

/// Weights by the names of their layers.
pub(super) struct Weights {
    file: File,
    /// The paths of each layer's weights, in order.
    paths: HashMap<String, Vec<String>>,
    /// The bytes of the file, more than any of its arrays has.
    bytes: usize,
}

/// The attribute of a group, as text.
fn text_of(attributes: &HashMap<String, AttrValue>, key: &str) -> Option<String> {
    attributes.get(key)?.as_str().map(str::to_owned)
}

impl Weights {
    /// Those of the file in a `.keras`. There each layer has a group that is named after its class, and the name of the layer is
    /// an attribute.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(super) fn of_zip(bytes: Vec<u8>) -> Result<Self> {
        let mut weights = Self { bytes: bytes.len(), file: open(bytes)?, paths: HashMap::new() };
        for group in
            weights.file.group("layers").and_then(|layers| layers.groups()).context("its weights have no layers")?
        {
            let path = format!("layers/{group}/vars");
            let Ok(variables) = weights.file.group(&path) else { continue };
            let attributes = variables.attrs().with_context(|| format!("its `{path}` is damaged"))?;
            let name = text_of(&attributes, "name").unwrap_or_else(|| group.clone());
            let count = variables.datasets().with_context(|| format!("its `{path}` is damaged"))?.len();
            weights.paths.insert(name, (0..count).map(|place| format!("{path}/{place}")).collect());
        }
        Ok(weights)
    }

    /// Those of an `.h5` file, and the description of its layers if it has one.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(super) fn of_hdf5(bytes: Vec<u8>) -> Result<(Option<String>, Self)> {
        let mut weights = Self { bytes: bytes.len(), file: open(bytes)?, paths: HashMap::new() };
        let config = text_of(&weights.file.root().attrs().context("its attributes are damaged")?, "model_config");
        let Ok(layers) = weights.file.group("model_weights") else { return Ok((config, weights)) };
        for name in layers.groups().context("its `model_weights` are damaged")? {
            let path = format!("model_weights/{name}");
            let attributes = weights.file.group(&path).and_then(|group| group.attrs());
            let attributes = attributes.with_context(|| format!("its `{path}` is damaged"))?;
            let own = attributes.get("weight_names").and_then(AttrValue::as_strings).unwrap_or_default();
            let paths = own.iter().map(|weight| format!("{path}/{weight}")).collect();
            weights.paths.insert(name, paths);
        }
        Ok((config, weights))
    }

    /// The weights of a layer, in Keras' order.
    ///
    /// # Errors
    /// If there are none, or they cannot be read.
    pub(super) fn of(&self, layer: &str) -> Result<Vec<HostTensor>> {
        let paths = self.paths.get(layer).with_context(|| {
            format!("the file has no weights of a layer `{layer}`; save it again with a newer Keras")
        })?;
        paths
            .iter()
            .map(|path| self.read(path).with_context(|| format!("its weights `{path}` cannot be read")))
            .collect()
    }

    fn read(&self, path: &str) -> Result<HostTensor> {
        let dataset = self.file.dataset(path)?;
        let shape = dataset.shape()?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
        let kind = dataset.dtype()?;
        let is_wide = match kind {
            DType::F32 => false,
            DType::F64 => true,
            // Counters, such as those of random numbers, are no weights of ours.
            DType::I32 | DType::I64 | DType::U32 | DType::U64 => return Ok(HostTensor::from_f32([0], &[])),
            other => bail!("they are {other}, and floats of 32 or 64 bits are needed"),
        };
        let count = shape.iter().try_fold(if is_wide { 8usize } else { 4 }, |count, &extent| count.checked_mul(extent));
        ensure!(count.is_some_and(|count| count <= self.bytes), "their shape {shape:?} is larger than the file");
        let values = if is_wide {
            dataset.read_f64()?.iter().map(|&value| value as f32).collect()
        } else {
            dataset.read_f32()?
        };
        ensure!(
            values.len() == shape.iter().product::<usize>(),
            "they do not have the elements of their shape {shape:?}"
        );
        ensure!(values.iter().all(|value| value.is_finite()), "they hold numbers that are not finite");
        Ok(HostTensor::from_f32(&shape[..], &values))
    }
}

fn open(bytes: Vec<u8>) -> Result<File> {
    File::from_bytes(bytes).context("its HDF5 file of weights is damaged, or of a kind that is not read here")
}
