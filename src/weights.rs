//! Saved models: a safetensors file with PyTorch's names and shapes, and metadata about its origin.

mod transfer;

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use crate::data::{DataRecord, ImageShape, Task};
use crate::files::{hex, write_atomically};
use crate::layers::Entry;
use crate::model::Model;
use crate::tensor::{HostTensor, Shape};

pub use transfer::{Transferred, transfer};

/// The name of a saved model in its run folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// A model and its parameters, in the order of [`Model::parameters`].
pub struct SavedModel {
    /// The layers.
    pub model: Model,
    /// Weights and biases.
    pub parameters: Vec<HostTensor>,
    /// The seed of its training, if the file names it.
    pub seed: Option<String>,
    /// The data that it was trained on, if the file names them.
    pub data: Option<DataRecord>,
}

/// The seed and the data of a model's training.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The seed.
    pub seed: u64,
    /// The data, if they are known.
    pub data: Option<&'a DataRecord>,
}

/// What the numbers that go into a model and come out of it mean.
pub(crate) fn meaning(task: &Task) -> [(&'static str, String); 3] {
    let ImageShape { height, width, channels } = task.image();
    let [black, white] = if task.image() == ImageShape::MNIST { [" (background)", " (ink)"] } else { [""; 2] };
    let [mean, deviation] = task.pixels();
    let classes = match task.class_names() {
        Some(names) => serde_json::json!(names).to_string(),
        None => (0..task.classes()).map(|class| class.to_string()).collect::<Vec<_>>().join(","),
    };
    [
        ("input", format!("[n, {channels}, {height}, {width}], bytes x from 0{black} to 255{white}")),
        ("normalization", format!("(x / 255 - {mean}) / {deviation}")),
        ("classes", classes),
    ]
}

/// The task of a model, from the metadata of its file: from what [`meaning`] writes. Files of older versions do not
/// have all of these keys, and are for digits.
///
/// # Errors
/// If the metadata say something else.
fn task_of(name: &str, metadata: &HashMap<String, String>) -> Result<Task> {
    let digits: HashMap<_, _> = meaning(&Task::MNIST).into();
    let said = |key: &str| metadata.get(key).unwrap_or(&digits[key]);
    let (mut image, mut pixels) = (ImageShape::MNIST, Task::MNIST.pixels());
    if let [channels, height, width, ..] = numbers_in(said("input"))[..] {
        image = ImageShape { height: height as usize, width: width as usize, channels: channels as usize };
    }
    if let [_, mean, deviation] = numbers_in(said("normalization"))[..] {
        pixels = [mean, deviation];
    }
    // Names are a list in JSON; without names, the numbers of the classes stand between commas.
    let names: Option<Vec<String>> = serde_json::from_str(said("classes")).ok();
    let classes = names.as_ref().map_or_else(|| said("classes").split(',').count(), Vec::len);
    let task = Task::new(image, classes).and_then(|task| task.normalized(pixels[0], pixels[1]));
    let task = task.and_then(|task| names.map_or(Ok(task.clone()), |names| task.named(names)));
    let task = task.with_context(|| format!("{name} is of no model that this program can compute"))?;
    for (key, ours) in meaning(&task) {
        let theirs = said(key);
        ensure!(
            *theirs == ours,
            "{name} says that its {key} is `{theirs}`, and this program computes with `{ours}`: its classes would be \
             wrong; give a model of this program"
        );
    }
    Ok(task)
}

/// The numbers of a text, in order.
fn numbers_in(text: &str) -> Vec<f64> {
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    text.split(|letter| !is_of_number(letter)).filter_map(|word| word.parse().ok()).collect()
}

/// Saves a model. The metadata explain the file to other programs: `model` (the text form), `input`, `normalization`,
/// `classes`, `seed`, `data`, `version` and `format` (`pt`, as PyTorch's own). `docs/MODEL_FILE.md` explains them.
///
/// # Errors
/// If the file cannot be written; an older file then stays unchanged.
pub fn save(path: &Path, model: &Model, parameters: &[HostTensor], origin: Origin) -> Result<()> {
    write_atomically(path, &to_bytes(model, parameters, origin)?)
}

/// The bytes of the file that [`save`] writes.
///
/// # Errors
/// If the tensors cannot be written as safetensors.
pub fn to_bytes(model: &Model, parameters: &[HostTensor], origin: Origin) -> Result<Vec<u8>> {
    let mut notes = vec![("seed", origin.seed.to_string())];
    if let Some(data) = origin.data {
        notes.push(("data", serde_json::to_string(&data.without_paths())?));
    }
    file_of(model, parameters, notes)
}

/// Saves a model that was not trained here, with a word on where it comes from instead of a seed and data: the metadata
/// `source`.
///
/// # Errors
/// The same as for [`save`].
pub fn save_imported(path: &Path, model: &Model, parameters: &[HostTensor], source: &str) -> Result<()> {
    write_atomically(path, &file_of(model, parameters, vec![("source", source.to_owned())])?)
}

fn file_of(model: &Model, parameters: &[HostTensor], notes: Vec<(&'static str, String)>) -> Result<Vec<u8>> {
    let mut metadata = HashMap::from(meaning(model.task()));
    metadata.extend([
        ("model", model.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("format", "pt".to_owned()),
    ]);
    metadata.extend(notes);
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut views = Vec::new();
    for ((name, shape), tensor) in model.parameters().into_iter().zip(parameters) {
        let bytes = bytemuck::cast_slice(tensor.words());
        views.push((name, TensorView::new(Dtype::F32, shape.extents().to_vec(), bytes)?));
    }
    serialized(views, metadata)
}

/// The bytes of a safetensors file; the same for the same tensors and metadata.
pub(crate) fn serialized(tensors: Vec<(String, TensorView<'_>)>, metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    const CANNOT: &str = "cannot write tensors as safetensors";
    let bytes = safetensors::serialize(tensors, Some(metadata)).context(CANNOT)?;
    // The header lists the metadata in an order that is another each time. Read and written again, it is sorted.
    let (length, rest) = bytes.split_first_chunk().context(CANNOT)?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*length) as usize).context(CANNOT)?;
    let sorted: serde_json::Value = serde_json::from_slice(header).context(CANNOT)?;
    let mut header = sorted.to_string().into_bytes();
    // Tensors begin at multiples of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), &header[..], data].concat())
}

/// The file of a saved model, given its path or its run folder.
///
/// # Errors
/// If a folder holds no model.
pub fn model_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(MODEL_FILE);
    ensure!(file.exists(), "the folder {} holds no {MODEL_FILE}; give the folder of a finished run", path.display());
    Ok(file)
}

/// The name for errors, and the bytes, of a saved model.
fn open(path: &Path) -> Result<(String, Vec<u8>)> {
    let path = model_file(path)?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read the model {}", path.display()))?;
    Ok((path.display().to_string(), bytes))
}

/// The same of a model that does not come from a file.
fn take(mut reader: impl Read) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).context("cannot read the model")?;
    Ok(("the model".to_owned(), bytes))
}

/// Loads a model that was saved with its text form, from its file or its run folder.
///
/// # Errors
/// If the file cannot be read, is not a safetensors file, does not name its model, or lacks a tensor.
pub fn load(path: &Path) -> Result<SavedModel> {
    load_with(path, &[])
}

/// Loads a model as [`load`] does, with layers of your own in addition to those of [`LAYERS`](crate::layers::LAYERS):
/// give the rows with which [`Model::parse`] reads them.
///
/// # Errors
/// The same as for [`load`].
pub fn load_with(path: &Path, own: &[Entry]) -> Result<SavedModel> {
    let (name, bytes) = open(path)?;
    saved_model(&name, &bytes, own)
}

/// Loads a model that was saved with its text form, from memory, a network or anything else that can be read.
///
/// # Errors
/// The same as for [`load`].
pub fn read(reader: impl Read) -> Result<SavedModel> {
    read_with(reader, &[])
}

/// Loads a model as [`read`] does, with layers of your own as in [`load_with`].
///
/// # Errors
/// The same as for [`load`].
pub fn read_with(reader: impl Read, own: &[Entry]) -> Result<SavedModel> {
    let (name, bytes) = take(reader)?;
    saved_model(&name, &bytes, own)
}

fn saved_model(name: &str, bytes: &[u8], own: &[Entry]) -> Result<SavedModel> {
    let metadata = metadata_of(name, bytes)?;
    let text = metadata.get("model").with_context(|| {
        format!(
            "{name} does not name its model in the metadata, unlike files of gpu-digits; give its layers with --model, to \
             `train --init` or to `import`"
        )
    })?;
    let task = task_of(name, &metadata)?;
    let model = Model::parse(task, text, own).with_context(|| format!("{name} holds an invalid model"))?;
    let parameters = parameters_of(name, bytes, &model)?;
    let (seed, data) = origin_in(&metadata);
    Ok(SavedModel { model, parameters, seed, data })
}

/// Loads the parameters of a model from a run folder, or from a safetensors file of any origin, such as PyTorch.
///
/// They are floats in the order and with the shapes of [`Model::parameters`].
///
/// # Errors
/// If the file cannot be read, or its tensors are not those of the model.
pub fn load_parameters(path: &Path, model: &Model) -> Result<Vec<HostTensor>> {
    let (name, bytes) = open(path)?;
    parameters_of(&name, &bytes, model)
}

/// Loads the parameters of a model from safetensors in memory, from a network or anything else that can be read.
///
/// ```
/// use gpu_digits::{Model, weights};
///
/// # fn main() -> anyhow::Result<()> {
/// let model: Model = "flatten, dense 10".parse()?;
/// let path = std::env::temp_dir().join(format!("gpu-digits-doc-{}.safetensors", std::process::id()));
/// weights::save(&path, &model, &model.initial_parameters(1), weights::Origin { seed: 1, data: None })?;
/// let bytes = std::fs::read(&path)?;
/// # std::fs::remove_file(&path)?;
/// let parameters = weights::read_parameters(&bytes[..], &model)?;
/// assert_eq!(parameters, model.initial_parameters(1));
/// assert_eq!(parameters[0].shape.extents(), [10, 784]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The same as for [`load_parameters`].
pub fn read_parameters(reader: impl Read, model: &Model) -> Result<Vec<HostTensor>> {
    let (name, bytes) = take(reader)?;
    parameters_of(&name, &bytes, model)
}

/// The seed and the data of a model's training, from a safetensors file of any origin; none if it does not name them.
///
/// # Errors
/// If the file cannot be read.
pub fn origin(path: &Path) -> Result<(Option<String>, Option<DataRecord>)> {
    let (name, bytes) = open(path)?;
    Ok(origin_in(&metadata_of(&name, &bytes)?))
}

fn origin_in(metadata: &HashMap<String, String>) -> (Option<String>, Option<DataRecord>) {
    // What another program wrote there is no record of ours.
    let data = metadata.get("data").and_then(|data| serde_json::from_str(data).ok());
    (metadata.get("seed").cloned(), data)
}

fn parameters_of(name: &str, bytes: &[u8], model: &Model) -> Result<Vec<HostTensor>> {
    let file = tensors_of(name, bytes)?;
    let wanted = model.parameters();
    if let Some(extra) = file.names().into_iter().find(|name| wanted.iter().all(|(wanted, _)| wanted != name)) {
        bail!("{name} holds a tensor `{extra}`, which the model `{model}` does not have");
    }
    wanted.iter().map(|(tensor, shape)| parameter_of(name, &file, tensor, shape, model)).collect()
}

/// A parameter of a model, from the tensors of a file.
fn parameter_of(name: &str, file: &SafeTensors<'_>, tensor: &str, shape: &Shape, model: &Model) -> Result<HostTensor> {
    let view = file
        .tensor(tensor)
        .with_context(|| format!("{name} has no tensor `{tensor}`, which the model `{model}` needs"))?;
    let numbers = widened(&view).filter(|_| view.shape() == shape.extents()).with_context(|| {
        format!(
            "in {name}, `{tensor}` is {:?} of shape {:?}; the model `{model}` needs F64, F32, F16 or BF16 of shape {shape}",
            view.dtype(),
            view.shape()
        )
    })?;
    let values = HostTensor::from_f32(shape.clone(), &numbers);
    ensure!(
        values.f32().iter().all(|value| value.is_finite()),
        "in {name}, `{tensor}` holds numbers that are not finite, as after a diverged run; train again with a \
         smaller --lr"
    );
    Ok(values)
}

/// The numbers of a tensor of floats of 64, 32 or 16 bits in single precision; none of another type.
pub(crate) fn widened(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let (halves, _) = view.data().as_chunks();
    Some(match view.dtype() {
        Dtype::F64 => {
            bytemuck::pod_collect_to_vec::<u8, f64>(view.data()).iter().map(|&number| number as f32).collect()
        }
        Dtype::F32 => bytemuck::pod_collect_to_vec(view.data()),
        Dtype::F16 => halves.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => halves.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect(),
        _ => return None,
    })
}

/// The tensors of a safetensors file. `name` is that of the file in the error.
pub(crate) fn tensors_of<'a>(name: &str, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).with_context(|| not_safetensors(name))
}

/// The metadata of a safetensors file.
pub(crate) fn metadata_of(name: &str, bytes: &[u8]) -> Result<HashMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).with_context(|| not_safetensors(name))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

fn not_safetensors(name: &str) -> String {
    format!("{name} is not a safetensors file, or is damaged; `gpu-digits import` reads models of other kinds")
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
    fn the_same_model_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |name: &str| {
            let path = folder.path().join(name);
            save(&path, &model(), &model().initial_parameters(3), Origin { seed: 3, data: None }).unwrap();
            fs::read(path).unwrap()
        };
        let first = bytes("first");
        assert!((0..20).all(|_| bytes("again") == first));
    }

    #[test]
    fn halves_are_widened_and_numbers_of_other_types_refused() {
        let model: Model = "flatten, dense 10".parse().unwrap();
        // 2.5 in F16 and BF16, and 0.1 as BF16 has it.
        let read = |dtype: Dtype, number: &[u8]| {
            let [weight, bias] = [7_840, 10].map(|count| number.repeat(count));
            let tensors = [
                ("dense1.weight".to_owned(), TensorView::new(dtype, vec![10, 784], &weight).unwrap()),
                ("dense1.bias".to_owned(), TensorView::new(dtype, vec![10], &bias).unwrap()),
            ];
            let bytes = serialized(tensors.into(), HashMap::new()).unwrap();
            read_parameters(&bytes[..], &model).map(|parameters| parameters[0].f32()[7_839])
        };
        assert_eq!(read(Dtype::F16, &0x4100_u16.to_le_bytes()).unwrap(), 2.5);
        assert_eq!(read(Dtype::BF16, &0x4020_u16.to_le_bytes()).unwrap(), 2.5);
        assert_eq!(read(Dtype::BF16, &0x3dcd_u16.to_le_bytes()).unwrap(), 0.100_097_656);
        assert_eq!(read(Dtype::F32, &0.1_f32.to_le_bytes()).unwrap(), 0.1);
        assert_eq!(read(Dtype::F64, &0.1_f64.to_le_bytes()).unwrap(), 0.1);
        let error = read(Dtype::I64, &1_i64.to_le_bytes()).unwrap_err().to_string();
        assert!(
            error.contains("`dense1.weight` is I64 of shape [10, 784]") && error.contains("F64, F32, F16 or BF16"),
            "{error}"
        );
        let error = read(Dtype::BF16, &0x7f80_u16.to_le_bytes()).unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let parameters = model().initial_parameters(5);
        let data = DataRecord {
            name: "MNIST".to_owned(),
            origin: "here".to_owned(),
            sha256: "00".to_owned(),
            image: ImageShape::MNIST,
            classes: 10,
            class_names: None,
            pixels: None,
            train_images: 3,
            test_images: 2,
            held_out: false,
            folder: None,
        };
        save(&path, &model(), &parameters, Origin { seed: 5, data: Some(&data) }).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.model.to_string(), model().to_string());
        assert_eq!(loaded.parameters, parameters);
        assert_eq!((loaded.seed.as_deref(), loaded.data.as_ref()), (Some("5"), Some(&data)));
        assert_eq!(load(folder.path()).unwrap().parameters, parameters, "the folder stands for its model");
        assert_eq!(hash(&loaded.parameters), hash(&parameters));
        let from_memory = read(&fs::read(&path).unwrap()[..]).unwrap();
        assert_eq!((from_memory.parameters, from_memory.seed), (loaded.parameters, loaded.seed));
    }

    #[test]
    fn weights_of_another_model_are_refused_with_names_and_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save(&path, &model(), &model().initial_parameters(0), Origin { seed: 0, data: None }).unwrap();
        let other: Model = "conv 3x3, relu, pool 2, flatten, dense 10".parse().unwrap();
        let error = format!("{:#}", load_parameters(&path, &other).unwrap_err());
        assert!(error.contains("conv1.weight") && error.contains("[2, 1, 3, 3]") && error.contains("[3, 1, 3, 3]"));
        let other: Model = "flatten, dense 10".parse().unwrap();
        assert!(format!("{:#}", load_parameters(&path, &other).unwrap_err()).contains("`conv1."));
    }

    #[test]
    fn the_file_explains_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MODEL_FILE);
        save(&path, &model(), &model().initial_parameters(0), Origin { seed: 3, data: None }).unwrap();
        let bytes = fs::read(&path).unwrap();
        let metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap();
        for (key, value) in [
            ("model", "conv 2x3, relu, pool 2, flatten, dense 10"),
            ("normalization", "(x / 255 - 0.1307) / 0.3081"),
            ("classes", "0,1,2,3,4,5,6,7,8,9"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("seed", "3"),
        ] {
            assert_eq!(metadata[key], value, "{key}");
        }
    }

    #[test]
    fn a_file_whose_input_or_classes_are_not_known_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MODEL_FILE);
        save(&path, &model(), &model().initial_parameters(0), Origin { seed: 0, data: None }).unwrap();
        let saved = fs::read(&path).unwrap();
        for (key, ours, theirs) in [
            ("normalization", "(x / 255 - 0.1307)", "(x * 255 - 0.1307)"),
            ("classes", "0,1,2,3,4,5,6,7,8,9", "9,8,7,6,5,4,3,2,1,0"),
            ("input", "0 (background)", "0 (foreground)"),
        ] {
            // As long as before, so that the header's length still holds.
            let at = saved.windows(ours.len()).position(|window| window == ours.as_bytes()).unwrap();
            let mut changed = saved.clone();
            changed[at..at + theirs.len()].copy_from_slice(theirs.as_bytes());
            fs::write(&path, &changed).unwrap();
            let error = format!("{:#}", load(&path).err().unwrap());
            assert!(error.contains(&format!("its {key} is `")) && error.contains(theirs), "{error}");
        }
    }

    #[test]
    fn a_model_of_another_task_is_loaded_with_its_task() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MODEL_FILE);
        let image = ImageShape { height: 32, width: 24, channels: 3 };
        for task in [Task::new(image, 100).unwrap(), Task::new(ImageShape::MNIST, 2).unwrap()] {
            let names = (0..task.classes()).map(|class| format!("one, \"{class}\"")).collect();
            let named = task.clone().named(names).unwrap();
            for task in [task.clone(), task.normalized(0.25, 0.125).unwrap(), named] {
                let model = Model::parse(task.clone(), &format!("flatten, dense {}", task.classes()), &[]).unwrap();
                save(&path, &model, &model.initial_parameters(1), Origin { seed: 1, data: None }).unwrap();
                let loaded = load(&path).unwrap();
                assert_eq!(loaded.model.task(), &task);
                assert_eq!(loaded.parameters, model.initial_parameters(1));
            }
        }
        // The metadata alone make another model of the same weights.
        let saved = fs::read(&path).unwrap();
        let at = saved.windows(14).position(|window| window == b"[n, 1, 28, 28]").unwrap();
        let mut changed = saved.clone();
        changed[at..at + 14].copy_from_slice(b"[n, 1, 28, 29]");
        let error = format!("{:#}", read(&changed[..]).err().unwrap());
        assert!(error.contains("its input is `[n, 1, 28, 29]"), "{error}");
        changed[at..at + 14].copy_from_slice(b"[n, 0, 28, 28]");
        let error = format!("{:#}", read(&changed[..]).err().unwrap());
        assert!(error.contains("an image cannot be 28x28x0"), "{error}");
    }

    #[test]
    fn files_of_older_versions_that_say_less_are_of_digits() {
        let none = HashMap::new();
        assert_eq!(task_of("old", &none).unwrap(), Task::MNIST);
        let some: HashMap<_, _> = meaning(&Task::MNIST).map(|(key, value)| (key.to_owned(), value)).into();
        assert_eq!(task_of("old", &some).unwrap(), Task::MNIST);
    }

    #[test]
    fn a_folder_without_a_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", load(folder.path()).err().unwrap());
        assert!(error.contains("holds no model.safetensors"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        fs::write(&path, b"not a model").unwrap();
        assert!(format!("{:#}", load(&path).err().unwrap()).contains("not a safetensors file"));
        let error = format!("{:#}", read(&b"not a model"[..]).err().unwrap());
        assert!(error.starts_with("the model is not a safetensors file, or is damaged"), "{error}");
    }
}
