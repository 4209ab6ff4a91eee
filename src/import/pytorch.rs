//! Tensors of PyTorch's files: a zip with a pickle that describes them, and an entry for each storage.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{Cursor, Read as _};

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use zip::CompressionMethod;

use super::matching::Tensors;
use super::pickle::{Id, Object, Pickle};

/// Keys under which checkpoints have the tensors of the model.
const OF_MODEL: [&str; 8] =
    ["state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "parameters"];

/// How deep modules stand in modules.
const MOST_DEPTH: usize = 64;

/// The first bytes of a pickle, with which files of PyTorch before 1.6 begin.
const OLD_FILE: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// The tensors of a model, in the order in which it has them.
pub(super) struct StateDict<'a> {
    bytes: &'a [u8],
    /// The folder in the zip.
    root: String,
    tensors: Vec<Tensor>,
    named: Vec<(String, Vec<usize>)>,
}

/// A view of a storage.
#[derive(Clone, Debug)]
struct Tensor {
    kind: Kind,
    storage: String,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Double,
    Half,
    BFloat16,
    /// Whole numbers and others, which no layer of ours has.
    Other,
}

impl Kind {
    /// The kind of a storage such as `torch FloatStorage`, or of a type such as `torch float32`.
    fn of(name: &str) -> Self {
        match name.strip_prefix("torch ").unwrap_or_default() {
            "FloatStorage" | "float32" => Self::Float,
            "DoubleStorage" | "float64" => Self::Double,
            "HalfStorage" | "float16" => Self::Half,
            "BFloat16Storage" | "bfloat16" => Self::BFloat16,
            _ => Self::Other,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Double => 8,
            Self::Float => 4,
            Self::Half | Self::BFloat16 => 2,
            Self::Other => 1,
        }
    }
}

/// Whether the bytes begin as a file of PyTorch before 1.6.
pub(super) fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(OLD_FILE)
}

impl<'a> StateDict<'a> {
    /// The tensors of a file: of a state dict, of one within a checkpoint, or of a module that was saved whole.
    ///
    /// # Errors
    /// If it is no such file.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut archive = open(bytes)?;
        let names: Result<Vec<String>, _> = archive.file_names().map(|name| name.map(Cow::into_owned)).collect();
        let names = names.context("it is a damaged zip")?;
        let find = |ending: &str| names.iter().find_map(|name| name.strip_suffix(ending));
        ensure!(
            find("/constants.pkl").is_none(),
            "it is a program of TorchScript; save the weights instead: torch.save(model.state_dict(), ...)"
        );
        let root = find("/data.pkl")
            .context("it is a zip without the `data.pkl` of PyTorch; save the weights with torch.save")?;
        ensure!(!root.contains('/'), "its `data.pkl` lies too deep");
        if names.contains(&format!("{root}/byteorder")) {
            let order = entry(&mut archive, &format!("{root}/byteorder"), usize::MAX)?;
            ensure!(order == b"little", "its numbers are big-endian; save it on another machine");
        }
        let pickle = entry(&mut archive, &format!("{root}/data.pkl"), usize::MAX)?;
        let pickle = Pickle::parse(&pickle).context("its `data.pkl` cannot be read")?;
        let named = Search { pickle: &pickle, seen: HashSet::new(), depth: 0 }.model(pickle.root())?;
        let (names, tensors): (Vec<_>, Vec<_>) = named
            .into_iter()
            .filter(|(_, tensor)| tensor.kind != Kind::Other)
            .map(|(name, tensor)| ((name, tensor.shape.clone()), tensor))
            .unzip();
        Ok(Self { bytes, root: root.to_owned(), tensors, named: names })
    }
}

impl Tensors for StateDict<'_> {
    fn named(&self) -> &[(String, Vec<usize>)] {
        &self.named
    }

    fn values(&self, place: usize) -> Result<Vec<f32>> {
        let Tensor { kind, storage, offset, shape, strides } = &self.tensors[place];
        let storage = entry(&mut open(self.bytes)?, &format!("{}/data/{storage}", self.root), usize::MAX)?;
        let elements = storage.chunks_exact(kind.bytes());
        let count = shape.iter().product::<usize>();
        let last = shape.iter().zip(strides).try_fold(*offset, |last, (&extent, &stride)| {
            last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)
        });
        ensure!(
            count == 0 || last.is_some_and(|last| last < elements.len()),
            "its storage has {} elements, and a view reads beyond them",
            elements.len()
        );
        let element = |index: usize| {
            let (mut rest, mut place) = (index, *offset);
            for (&extent, &stride) in shape.iter().zip(strides).rev() {
                place += rest % extent * stride;
                rest /= extent;
            }
            let bytes = &storage[place * kind.bytes()..][..kind.bytes()];
            match (kind, bytes) {
                (Kind::Float, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
                (Kind::Double, bytes) => bytes.try_into().map_or(f32::NAN, |bytes| f64::from_le_bytes(bytes) as f32),
                (Kind::Half, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
                (Kind::BFloat16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
                _ => f32::NAN,
            }
        };
        Ok((0..count).map(element).collect())
    }
}

fn open(bytes: &[u8]) -> Result<Archive<'_>> {
    zip::ZipArchive::new(Cursor::new(bytes)).context("it is a damaged zip")
}

/// The bytes of an entry, which is not compressed, as PyTorch and Keras write it.
pub(super) fn entry(archive: &mut Archive<'_>, name: &str, most: usize) -> Result<Vec<u8>> {
    let mut entry = archive.by_name(name).with_context(|| format!("it has no `{name}`"))?;
    ensure!(
        entry.compression() == CompressionMethod::Stored,
        "its `{name}` is compressed, as no library writes it; save the model again"
    );
    let mut bytes = Vec::new();
    entry.by_ref().take(most as u64).read_to_end(&mut bytes).with_context(|| format!("its `{name}` is damaged"))?;
    Ok(bytes)
}

/// Looks for tensors in the values of a pickle.
struct Search<'a> {
    pickle: &'a Pickle,
    /// The values that have been looked into: a value may hold itself, or the same one many times.
    seen: HashSet<Id>,
    depth: usize,
}

impl Search<'_> {
    /// The tensors of the model: all of a dictionary that has some, or those under a key that says so.
    fn model(&mut self, root: Id) -> Result<Vec<(String, Tensor)>> {
        let Some(entries) = self.pickle.entries(root) else {
            let found = self.all(root)?;
            ensure!(!found.is_empty(), "it holds neither a dictionary of tensors nor a module");
            return Ok(found);
        };
        let own = self.of_entries(entries, "", false)?;
        let key = |wanted: &str| self.pickle.entry(root, wanted);
        let below: Vec<(&str, Id)> = OF_MODEL.iter().filter_map(|&wanted| Some((wanted, key(wanted)?))).collect();
        for (_, value) in below {
            let found = self.all(value)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if own.is_empty() {
            let keys: Vec<&str> = entries.iter().filter_map(|(key, _)| self.pickle.text(*key)).collect();
            bail!(
                "it has no tensors of a model at once, but the keys `{}`; save those of the model alone: \
                 torch.save(model.state_dict(), ...)",
                keys.join("`, `")
            );
        }
        Ok(own)
    }

    /// All tensors of a dictionary or a module, also below.
    fn all(&mut self, id: Id) -> Result<Vec<(String, Tensor)>> {
        match self.pickle.entries(id) {
            Some(entries) => self.of_entries(entries, "", true),
            None => self.of_module(id, ""),
        }
    }

    fn of_entries(&mut self, entries: &[(Id, Id)], prefix: &str, also_below: bool) -> Result<Vec<(String, Tensor)>> {
        let mut found = Vec::new();
        for &(key, value) in entries {
            let Some(name) = self.pickle.text(key) else { continue };
            let name = format!("{prefix}{name}");
            if let Some(tensor) = self.tensor(value)? {
                found.push((name, tensor));
            } else if also_below && self.depth < MOST_DEPTH && self.seen.insert(value) {
                self.depth += 1;
                found.extend(match self.pickle.entries(value) {
                    Some(entries) => self.of_entries(entries, &format!("{name}."), true)?,
                    None => self.of_module(value, &format!("{name}."))?,
                });
                self.depth -= 1;
            }
        }
        Ok(found)
    }

    /// The parameters and buffers of a module, then those of its modules.
    fn of_module(&mut self, id: Id, prefix: &str) -> Result<Vec<(String, Tensor)>> {
        let Object::Call { state: Some(state), .. } = self.pickle.get(id) else { return Ok(vec![]) };
        let mut found = Vec::new();
        for part in ["_parameters", "_buffers", "_modules"] {
            let entries = self.pickle.entry(*state, part).and_then(|part| self.pickle.entries(part));
            found.extend(self.of_entries(entries.unwrap_or_default(), prefix, true)?);
        }
        Ok(found)
    }

    /// The tensor that a call would rebuild; none of another value.
    fn tensor(&self, id: Id) -> Result<Option<Tensor>> {
        let Object::Call { of, with, .. } = self.pickle.get(id) else { return Ok(None) };
        let arguments = self.pickle.list(*with).unwrap_or_default();
        match (self.pickle.text(*of).unwrap_or_default(), arguments) {
            ("torch._utils _rebuild_parameter" | "torch._utils _rebuild_parameter_with_state", &[data, ..]) => {
                // A parameter of a parameter is none that PyTorch writes, and might be one of itself.
                if self.rebuilds_parameter(data) { Ok(None) } else { self.tensor(data) }
            }
            ("torch._utils _rebuild_tensor_v2", &[storage, offset, shape, strides, ..]) => {
                self.view(storage, offset, shape, strides, None).map(Some)
            }
            ("torch._utils _rebuild_tensor_v3", &[storage, offset, shape, strides, _, _, kind, ..]) => {
                self.view(storage, offset, shape, strides, Some(kind)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn rebuilds_parameter(&self, id: Id) -> bool {
        let Object::Call { of, .. } = self.pickle.get(id) else { return false };
        self.pickle.text(*of).is_some_and(|of| of.starts_with("torch._utils _rebuild_parameter"))
    }

    fn view(&self, storage: Id, offset: Id, shape: Id, strides: Id, kind: Option<Id>) -> Result<Tensor> {
        let parts = || {
            let Object::Persistent(name) = self.pickle.get(storage) else { return None };
            let &[_, of, key, ..] = self.pickle.list(*name)? else { return None };
            let kind = Kind::of(self.pickle.text(kind.unwrap_or(of))?);
            let (shape, strides) = (self.pickle.sizes(shape)?, self.pickle.sizes(strides)?);
            let is_whole = shape.len() == strides.len()
                && shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent)).is_some();
            let (storage, offset) = (self.pickle.text(key)?.to_owned(), self.pickle.size(offset)?);
            is_whole.then_some(Tensor { kind, storage, offset, shape, strides })
        };
        parts().context("its `data.pkl` describes a tensor in a way that is not known here")
    }
}
