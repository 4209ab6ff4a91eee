//! The tensors of a file that does not know its layers, matched to the parameters of a model: by their names if they are
//! ours, else layer by layer, in order and by shape.

use anyhow::{Result, bail, ensure};

use crate::model::Model;
use crate::tensor::{HostTensor, Shape};

/// Named tensors, whose values are read when they are needed.
pub(super) trait Tensors {
    /// Their names and shapes, in the order in which the model that was saved has them.
    fn named(&self) -> &[(String, Vec<usize>)];

    /// The elements of one, the last axis running fastest.
    ///
    /// # Errors
    /// If they cannot be read.
    fn values(&self, place: usize) -> Result<Vec<f32>>;
}

/// The parameters of a model, and a line for each of what they were taken from.
pub(super) struct Matched {
    pub(super) parameters: Vec<HostTensor>,
    pub(super) lines: Vec<String>,
}

/// Where a parameter comes from.
enum Source {
    /// The tensor at this place.
    Tensor(usize),
    /// It is missing, and has this value in a layer without it.
    Constant(f32),
}

/// The parameters of a layer of ours, or the tensors of one there: what has the same name but for the last part.
#[derive(Debug)]
struct Group<'a> {
    name: &'a str,
    /// The last part of the name, the shape, and the place of each.
    parts: Vec<(&'a str, &'a [usize], usize)>,
}

/// Takes the parameters of a model from tensors.
///
/// # Errors
/// If some cannot be matched; the error says which were, and which were not.
pub(super) fn matched(tensors: &dyn Tensors, model: &Model) -> Result<Matched> {
    let wanted = model.parameters();
    let sources = match by_name(tensors.named(), &wanted) {
        Some(sources) => sources,
        None => by_shape(tensors.named(), &wanted, model)?,
    };
    let mut matched = Matched { parameters: vec![], lines: vec![] };
    for ((name, shape), source) in wanted.iter().zip(sources) {
        let (values, from) = match source {
            Source::Tensor(place) => (tensors.values(place)?, format!("`{}`", tensors.named()[place].0)),
            Source::Constant(value) => (vec![value; shape.len()], format!("{value}, since the file has none")),
        };
        ensure!(values.iter().all(|value| value.is_finite()), "{from} holds numbers that are not finite");
        matched.lines.push(format!("{name} {shape} is {from}"));
        matched.parameters.push(HostTensor::from_f32(shape.clone(), &values));
    }
    Ok(matched)
}

/// The tensors that have the names and shapes of the parameters, and no others.
fn by_name(tensors: &[(String, Vec<usize>)], wanted: &[(String, Shape)]) -> Option<Vec<Source>> {
    let find = |(name, shape): &(String, Shape)| {
        let is_it = |(own, extents): &(String, Vec<usize>)| own == name && extents == shape.extents();
        tensors.iter().position(is_it).map(Source::Tensor)
    };
    let sources = wanted.iter().map(find).collect::<Option<Vec<_>>>()?;
    (tensors.len() == wanted.len()).then_some(sources)
}

/// For each layer in order the first group of tensors that fits and is not taken.
fn by_shape(tensors: &[(String, Vec<usize>)], wanted: &[(String, Shape)], model: &Model) -> Result<Vec<Source>> {
    let theirs = groups(tensors.iter().map(|(name, shape)| (name.as_str(), &shape[..])));
    let ours = groups(wanted.iter().map(|(name, shape)| (name.as_str(), shape.extents())));
    let mut left: Vec<&Group> = theirs.iter().collect();
    let (mut sources, mut pairs, mut missing) = (vec![], vec![], vec![]);
    for layer in &ours {
        let found = left.iter().enumerate().find_map(|(place, group)| Some((place, fit(layer, group)?)));
        let Some((place, own)) = found else {
            missing.push(layer);
            continue;
        };
        pairs.push(format!("{} is {}", layer.name, left.remove(place).name));
        sources.extend(own);
    }
    if missing.is_empty() && left.is_empty() {
        return Ok(sources);
    }
    let lines = |groups: &mut dyn Iterator<Item = &Group>| -> String {
        groups.map(|group| format!("\n  {}: {}", group.name, said(group))).collect()
    };
    bail!(
        "its tensors are not those of the model `{model}`\nmatched: {}\nlayers of the model without tensors:{}\ntensors without \
         a layer:{}",
        if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") },
        if missing.is_empty() { " none".to_owned() } else { lines(&mut missing.into_iter()) },
        if left.is_empty() { " none".to_owned() } else { lines(&mut left.into_iter()) },
    )
}

/// The parts of a group with their shapes.
fn said(group: &Group) -> String {
    let parts: Vec<String> = group.parts.iter().map(|(part, shape, _)| format!("{part} {shape:?}")).collect();
    parts.join(", ")
}

/// Tensors by the layer in their names, in the order of the first of each.
fn groups<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize])>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (place, (name, shape)) in tensors.enumerate() {
        let (layer, part) = name.rsplit_once('.').unwrap_or(("", name));
        let group = *places.entry(layer).or_insert_with(|| {
            groups.push(Group { name: layer, parts: vec![] });
            groups.len() - 1
        });
        groups[group].parts.push((part, shape, place));
    }
    groups
}

/// The source of each parameter of a layer, if the tensors of a group are those of such a layer. A layer there may lack what
/// only adds 0 or multiplies by 1.
fn fit(layer: &Group, group: &Group) -> Option<Vec<Source>> {
    let is_norm = layer.parts.iter().any(|(part, ..)| *part == "running_var");
    let find = |&(part, shape, _): &(&str, &[usize], usize)| match group.parts.iter().find(|(own, ..)| *own == part) {
        Some((_, own, place)) => (*own == shape).then_some(Source::Tensor(*place)),
        None if part == "bias" => Some(Source::Constant(0.0)),
        None if part == "weight" && is_norm => Some(Source::Constant(1.0)),
        None => None,
    };
    let sources = layer.parts.iter().map(find).collect::<Option<Vec<_>>>()?;
    let taken = sources.iter().filter(|source| matches!(source, Source::Tensor(_))).count();
    (taken == group.parts.len()).then_some(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Listed(Vec<(String, Vec<usize>)>);

    impl Tensors for Listed {
        fn named(&self) -> &[(String, Vec<usize>)] {
            &self.0
        }

        fn values(&self, place: usize) -> Result<Vec<f32>> {
            Ok(vec![place as f32; self.0[place].1.iter().product()])
        }
    }

    fn listed(tensors: &[(&str, &[usize])]) -> Listed {
        Listed(tensors.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect())
    }

    fn model() -> Model {
        "conv 4x3, norm, relu, conv 4x3, flatten, dense 10".parse().unwrap()
    }

    const TENSORS: [(&str, &[usize]); 9] = [
        ("stem.weight", &[4, 1, 3, 3]),
        ("bn.weight", &[4]),
        ("bn.bias", &[4]),
        ("bn.running_mean", &[4]),
        ("bn.running_var", &[4]),
        ("conv.weight", &[4, 4, 3, 3]),
        ("conv.bias", &[4]),
        ("head.weight", &[10, 2304]),
        ("head.bias", &[10]),
    ];

    #[test]
    fn layers_are_matched_in_order_and_by_shape() {
        let Matched { parameters, lines } = matched(&listed(&TENSORS), &model()).unwrap();
        let firsts: Vec<f32> = parameters.iter().map(|tensor| tensor.f32()[0]).collect();
        // The first bias is missing.
        assert_eq!(firsts, [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(lines[0], "conv1.weight [4, 1, 3, 3] is `stem.weight`");
        assert_eq!(lines[1], "conv1.bias [4] is 0, since the file has none");
    }

    #[test]
    fn our_names_are_taken_in_any_order() {
        let model: Model = "flatten, dense 10, dense 10, dense 10".parse().unwrap();
        let tensors: &[(&str, &[usize])] = &[
            ("dense3.bias", &[10]),
            ("dense3.weight", &[10, 10]),
            ("dense2.bias", &[10]),
            ("dense2.weight", &[10, 10]),
            ("dense1.bias", &[10]),
            ("dense1.weight", &[10, 784]),
        ];
        let places: Vec<f32> =
            matched(&listed(tensors), &model).unwrap().parameters.iter().map(|tensor| tensor.f32()[0]).collect();
        assert_eq!(places, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut tensors = TENSORS.to_vec();
        tensors[5].1 = &[8, 4, 3, 3];
        let error = matched(&listed(&tensors), &model()).err().unwrap().to_string();
        assert!(error.contains("\nmatched: conv1 is stem, norm1 is bn, dense1 is head\n"), "{error}");
        assert!(error.contains("without tensors:\n  conv2: weight [4, 4, 3, 3], bias [4]\n"), "{error}");
        assert!(error.ends_with("without a layer:\n  conv: weight [8, 4, 3, 3], bias [4]"), "{error}");
    }

    #[test]
    fn a_normalisation_without_statistics_is_not_taken() {
        let tensors: Vec<_> = TENSORS.into_iter().filter(|(name, _)| !name.contains("running")).collect();
        let error = matched(&listed(&tensors), &model()).err().unwrap().to_string();
        assert!(error.contains("\n  norm1: "), "{error}");
    }
}
