//! Constants of a graph: the initialisers, and what nodes compute of constants alone.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path};

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};

use super::nodes::{Attributes, transposed};
use crate::onnx::{AttributeType, DataLocation, DataType, GraphProto, NodeProto, TensorProto};
use crate::tensor::HostTensor;

/// The most elements of a constant, as of a parameter.
const MOST_ELEMENTS: usize = 1 << 30;

/// A constant that is read.
#[derive(Clone, Debug)]
pub(super) enum Constant {
    Floats(HostTensor),
    Ints(Vec<i64>),
    /// Numbers that are known when the batch is, none for each that is not known now.
    Shape(Vec<Option<i64>>),
}

/// Constants by their names.
pub(super) struct Constants<'a> {
    given: HashMap<&'a str, &'a TensorProto>,
    computed: HashMap<String, Constant>,
    /// The shapes of values.
    shapes: HashSet<String>,
    folder: Option<&'a Path>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(graph: &'a GraphProto, folder: Option<&'a Path>) -> Self {
        let given = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        Self { given, computed: HashMap::new(), shapes: HashSet::new(), folder }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name) || self.computed.contains_key(name)
    }

    /// A constant.
    ///
    /// # Errors
    /// If there is none of this name, or it cannot be read.
    pub(super) fn get(&self, name: &str) -> Result<Constant> {
        if let Some(computed) = self.computed.get(name) {
            return Ok(computed.clone());
        }
        let tensor = self.given.get(name).with_context(|| format!("its input `{name}` is no constant"))?;
        read(tensor, self.folder).with_context(|| format!("the constant `{name}`"))
    }

    /// A constant of floats.
    ///
    /// # Errors
    /// The same as for [`Self::get`], and if it is none, or not finite.
    pub(super) fn floats(&self, name: &str) -> Result<HostTensor> {
        let Constant::Floats(tensor) = self.get(name)? else {
            bail!("the constant `{name}` has whole numbers, not floats")
        };
        ensure!(
            tensor.f32().iter().all(|value| value.is_finite()),
            "the constant `{name}` has numbers that are not finite"
        );
        Ok(tensor)
    }

    /// A constant of whole numbers.
    ///
    /// # Errors
    /// The same as for [`Self::get`], and if it is none.
    pub(super) fn ints(&self, name: &str) -> Result<Vec<i64>> {
        match self.get(name)? {
            Constant::Ints(values) => Ok(values),
            Constant::Shape(values) => values.into_iter().collect::<Option<_>>().context("it depends on the batch"),
            Constant::Floats(_) => bail!("the constant `{name}` has floats, not whole numbers"),
        }
    }

    /// The sizes of a shape, none for each that depends on the batch.
    ///
    /// # Errors
    /// The same as for [`Self::get`], and if it is no shape.
    pub(super) fn sizes(&self, name: &str) -> Result<Vec<Option<i64>>> {
        match self.get(name)? {
            Constant::Ints(values) => Ok(values.into_iter().map(Some).collect()),
            Constant::Shape(values) => Ok(values),
            Constant::Floats(_) => bail!("the constant `{name}` has floats, and is no shape"),
        }
    }

    /// Notes a node that gives the shape of a value.
    pub(super) fn note_shape(&mut self, node: &NodeProto) {
        let Some(output) = node.output.first() else { return };
        let part =
            Attributes::new(node, &["end", "start"]).map(|part| (part.int("start", 0), part.int("end", i64::MAX)));
        match part {
            Ok((0, 1)) => drop(self.computed.insert(output.clone(), Constant::Shape(vec![None]))),
            Ok((0, i64::MAX)) => drop(self.shapes.insert(output.clone())),
            _ => {}
        }
    }

    /// Adds what a node computes of constants, or of the shapes of values. What is not known here is left out: then the
    /// node that takes it cannot be read.
    ///
    /// # Errors
    /// If a constant cannot be read.
    pub(super) fn compute(&mut self, node: &NodeProto) -> Result<()> {
        let Some(output) = node.output.first() else { return Ok(()) };
        let first = || node.input.first().map_or("", String::as_str);
        let is_known = self.has(first());
        let constant = match node.op_type.as_str() {
            "Constant" => Some(constant(node)?),
            "Identity" if is_known => Some(self.get(first())?),
            "Transpose" if is_known => exchanged(&self.get(first())?, &Attributes::new(node, &["perm"])?.ints("perm")),
            "Reshape" | "Squeeze" | "Unsqueeze" | "Cast" if is_known => {
                self.get(first()).ok().and_then(|constant| self.reshaped(node, constant))
            }
            // The number of samples, which is not known here.
            "Gather" if self.shapes.contains(first()) => {
                let place = node.input.get(1).and_then(|place| self.ints(place).ok());
                (place == Some(vec![0])).then(|| Constant::Shape(vec![None]))
            }
            "Slice" if self.shapes.contains(first()) => {
                let input = |place: usize| node.input.get(place).and_then(|name| self.ints(name).ok());
                (input(1) == Some(vec![0]) && input(2) == Some(vec![1])).then(|| Constant::Shape(vec![None]))
            }
            "Concat" => {
                let parts = node.input.iter().map(|part| self.sizes(part)).collect::<Result<Vec<_>>>();
                parts.ok().map(|parts| Constant::Shape(parts.concat()))
            }
            _ => None,
        };
        self.computed.extend(constant.map(|constant| (output.clone(), constant)));
        Ok(())
    }

    /// The same elements in another shape.
    fn reshaped(&self, node: &NodeProto, constant: Constant) -> Option<Constant> {
        let (old, is_reshape) = match &constant {
            Constant::Floats(tensor) => (tensor.shape.extents().to_vec(), node.op_type == "Reshape"),
            // The shapes of whole numbers do not matter here.
            Constant::Ints(_) | Constant::Shape(_) => return Some(constant),
        };
        let Constant::Floats(tensor) = constant else { return None };
        let length: usize = old.iter().product();
        let new: Vec<usize> = if is_reshape {
            let sizes = self.ints(node.input.get(1)?).ok()?;
            let known: i64 = sizes.iter().filter(|&&size| size > 0).product();
            let left = (length as i64).checked_div(known)?;
            sizes
                .iter()
                .map(|&size| if size == -1 { left } else { size })
                .map(|size| usize::try_from(size).ok())
                .collect::<Option<_>>()?
        } else if node.op_type == "Cast" {
            old
        } else {
            // Axes of extent 1 do not matter for a constant of channels, except behind them.
            return (node.op_type == "Unsqueeze").then(|| {
                let own = Attributes::new(node, &["axes"]).ok()?.ints("axes");
                let axes = if own.is_empty() { self.ints(node.input.get(1)?).ok()? } else { own };
                let rank = old.len() + axes.len();
                let mut rest = old.iter();
                let axes: Vec<i64> =
                    axes.iter().map(|&axis| if axis < 0 { axis + rank as i64 } else { axis }).collect();
                let new: Vec<usize> = (0..rank as i64)
                    .map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next().copied() })
                    .collect::<Option<_>>()?;
                Some(Constant::Floats(HostTensor::from_f32(&new[..], tensor.f32())))
            })?;
        };
        (new.iter().product::<usize>() == length)
            .then(|| Constant::Floats(HostTensor::from_f32(&new[..], tensor.f32())))
    }
}

/// The value of a `Constant` node.
fn constant(node: &NodeProto) -> Result<Constant> {
    let [attribute] = &node.attribute[..] else { bail!("it does not have one value") };
    match (attribute.name.as_str(), AttributeType::try_from(attribute.r#type)) {
        ("value", Ok(AttributeType::Tensor)) => read(attribute.t.as_ref().context("its value is missing")?, None),
        ("value_float", _) => Ok(Constant::Floats(HostTensor::from_f32([], &[attribute.f.unwrap_or(0.0)]))),
        ("value_floats", _) => Ok(Constant::Floats(HostTensor::from_f32([attribute.floats.len()], &attribute.floats))),
        ("value_int", _) => Ok(Constant::Ints(vec![attribute.i.unwrap_or(0)])),
        ("value_ints", _) => Ok(Constant::Ints(attribute.ints.clone())),
        (name, _) => bail!("its value `{name}` is of a kind that is not read"),
    }
}

/// A matrix with rows and columns exchanged; none for other changes of axes.
fn exchanged(constant: &Constant, axes: &[i64]) -> Option<Constant> {
    let Constant::Floats(tensor) = constant else { return None };
    (axes.is_empty() || axes == [1, 0]).then(|| transposed(tensor).ok().map(Constant::Floats))?
}

/// The elements of a tensor.
fn read(tensor: &TensorProto, folder: Option<&Path>) -> Result<Constant> {
    let shape = tensor.dims.iter().map(|&extent| usize::try_from(extent)).collect::<Result<Vec<_>, _>>();
    let shape = shape.with_context(|| format!("it has the shape {:?}", tensor.dims))?;
    let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
    let count =
        count.filter(|&count| count <= MOST_ELEMENTS).with_context(|| format!("its shape {shape:?} is too large"))?;
    let kind = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let bytes_each = match kind {
        DataType::Double | DataType::Int64 => 8,
        DataType::Float | DataType::Int32 => 4,
        DataType::Float16 | DataType::Bfloat16 => 2,
        DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
        other => bail!("its elements are {other:?}, and floats or whole numbers are needed"),
    };
    let external;
    let raw = if tensor.data_location == DataLocation::External as i32 {
        external = beside(tensor, folder, count * bytes_each)?;
        &external
    } else {
        &tensor.raw_data
    };
    let is_raw = !raw.is_empty();
    ensure!(!is_raw || raw.len() == count * bytes_each, "its {} bytes are not those of shape {shape:?}", raw.len());
    let ints = |values: Vec<i64>| (values.len() == count).then_some(Constant::Ints(values));
    let floats =
        |values: &[f32]| (values.len() == count).then(|| Constant::Floats(HostTensor::from_f32(&shape[..], values)));
    let halves = || {
        if is_raw {
            raw.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
        } else {
            tensor.int32_data.iter().map(|&bits| bits as u16).collect::<Vec<u16>>()
        }
    };
    let found = match kind {
        DataType::Float if is_raw => floats(&bytemuck::pod_collect_to_vec::<u8, f32>(raw)),
        DataType::Float => floats(&tensor.float_data),
        DataType::Double => {
            let wide = if is_raw { bytemuck::pod_collect_to_vec::<u8, f64>(raw) } else { tensor.double_data.clone() };
            floats(&wide.iter().map(|&value| value as f32).collect::<Vec<_>>())
        }
        DataType::Float16 => {
            floats(&halves().into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect::<Vec<_>>())
        }
        DataType::Bfloat16 => {
            floats(&halves().into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect::<Vec<_>>())
        }
        DataType::Int64 if is_raw => ints(bytemuck::pod_collect_to_vec(raw)),
        DataType::Int64 => ints(tensor.int64_data.clone()),
        DataType::Int32 if is_raw => {
            ints(bytemuck::pod_collect_to_vec::<u8, i32>(raw).into_iter().map(i64::from).collect())
        }
        _ if is_raw => ints(raw.iter().map(|&byte| i64::from(byte)).collect()),
        _ => ints(tensor.int32_data.iter().map(|&value| i64::from(value)).collect()),
    };
    found.with_context(|| format!("it does not have the {count} elements of its shape {shape:?}"))
}

/// The bytes of a tensor in another file of the same folder.
fn beside(tensor: &TensorProto, folder: Option<&Path>, length: usize) -> Result<Vec<u8>> {
    let folder = folder.context("its elements are in another file, and only this one is there")?;
    let find = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let location = find("location").context("it does not say which file its elements are in")?;
    let is_below =
        Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(
        is_below && !location.is_empty(),
        "its elements are in `{location}`, which is not in the folder of the model"
    );
    let number = |key: &str| {
        find(key).map(|text| text.parse::<u64>().with_context(|| format!("its {key} is `{text}`"))).transpose()
    };
    let offset = number("offset")?.unwrap_or(0);
    let said = number("length")?.unwrap_or(length as u64);
    ensure!(said == length as u64, "it has {said} bytes, and its shape needs {length}");
    let path = folder.join(location);
    let cannot =
        || format!("cannot read its elements from {}, a part of the model that belongs beside it", path.display());
    let mut file = File::open(&path).with_context(cannot)?;
    file.seek(SeekFrom::Start(offset)).with_context(cannot)?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(bytes.len() == length, "{}: it ends too early", cannot());
    Ok(bytes)
}
