//! Weights for a model from those of another one, whose last layers may differ.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};

use super::{open, parameter_of, parameters_of, tensors_of};
use crate::model::Model;
use crate::tensor::HostTensor;

/// The parameters for a model, and where they come from.
#[derive(Clone, Debug)]
pub struct Transferred {
    /// Weights and biases, in the order of [`Model::parameters`].
    pub parameters: Vec<HostTensor>,
    /// The layers whose tensors were taken over.
    pub taken: Vec<String>,
    /// The last layers, whose parameters were drawn.
    pub drawn: Vec<String>,
    /// The tensors of the file that were not taken over.
    pub left: Vec<String>,
}

/// Loads the parameters of a model as [`load_parameters`](super::load_parameters) does, but the last layers may be others
/// than those of the file: the first layer behind the maps, one whose input is a vector, of which the file has no tensors of
/// this name and shape, and all layers after it, are drawn by the seed.
///
/// # Errors
/// If the file cannot be read, a layer on maps does not match, no layer does, or the file has tensors of other layers than
/// the kinds that are drawn.
pub fn transfer(path: &Path, model: &Model, seed: u64) -> Result<Transferred> {
    let (name, bytes) = open(path)?;
    let file = tensors_of(&name, &bytes)?;
    let fits = |tensor: &str, extents: &[usize]| file.tensor(tensor).is_ok_and(|view| view.shape() == extents);
    let mut transferred = Transferred { parameters: vec![], taken: vec![], drawn: vec![], left: vec![] };
    let mut drawn = model.initial_parameters(seed).into_iter();
    let mut used = BTreeSet::new();
    for placed in model.layers().iter().filter(|placed| !placed.parameters.is_empty()) {
        let all_fit = placed.parameters.iter().all(|own| fits(&placed.name_of(own), own.shape.extents()));
        let is_drawn = !transferred.drawn.is_empty() || (!all_fit && placed.input.len() == 1);
        for (own, drawn) in placed.parameters.iter().zip(&mut drawn) {
            let tensor = placed.name_of(own);
            let taken = || parameter_of(&name, &file, &tensor, &own.shape, model);
            transferred.parameters.push(if is_drawn { drawn } else { taken()? });
            if !is_drawn {
                used.insert(tensor);
            }
        }
        let list = if is_drawn { &mut transferred.drawn } else { &mut transferred.taken };
        list.push(placed.name.clone());
    }
    transferred.left = file.names().into_iter().filter(|name| !used.contains(*name)).map(str::to_owned).collect();
    transferred.left.sort_unstable();
    let word = |name: &str| name.split(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default().to_owned();
    let words: BTreeSet<String> = transferred.drawn.iter().map(|layer| word(layer)).collect();
    if let Some(extra) = transferred.left.iter().find(|tensor| !words.contains(&word(tensor))) {
        bail!("{name} holds a tensor `{extra}`, which the model `{model}` does not have");
    }
    if transferred.taken.is_empty() {
        // It is another model; the error says where it differs first.
        transferred.parameters = parameters_of(&name, &bytes, model)?;
    }
    Ok(transferred)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Origin, load_parameters, save};

    /// What a model takes over from a file of another one.
    fn from_to(from: &str, to: &str) -> Result<(Transferred, Vec<HostTensor>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model: Model = from.parse().unwrap();
        let parameters = model.initial_parameters(1);
        save(&path, &model, &parameters, Origin { seed: 1, data: None }).unwrap();
        let to: Model = to.parse().unwrap();
        let transferred = transfer(&path, &to, 2)?;
        if transferred.drawn.is_empty() {
            assert_eq!(transferred.parameters, load_parameters(&path, &to).unwrap());
        }
        Ok((transferred, parameters))
    }

    const OLD: &str = "conv 4x3, norm, relu, pool 2, flatten, dense 10";

    #[test]
    fn all_is_taken_where_all_fits() {
        let (all, parameters) = from_to(OLD, OLD).unwrap();
        assert_eq!(
            (all.taken, all.drawn, all.left),
            (vec!["conv1".into(), "norm1".into(), "dense1".into()], vec![], vec![])
        );
        assert_eq!(all.parameters, parameters);
    }

    #[test]
    fn other_last_layers_are_drawn() {
        let new = "conv 4x3, norm, relu, pool 2, flatten, dense 16, relu, dense 10";
        let (found, parameters) = from_to(OLD, new).unwrap();
        assert_eq!(found.taken, ["conv1", "norm1"]);
        assert_eq!(found.drawn, ["dense1", "dense2"]);
        assert_eq!(found.left, ["dense1.bias", "dense1.weight"]);
        let drawn = new.parse::<Model>().unwrap().initial_parameters(2);
        assert_eq!(found.parameters, [&parameters[..6], &drawn[6..]].concat());
        let (found, _) = from_to(new, OLD).unwrap();
        assert_eq!((found.taken.len(), &found.drawn[..], found.left.len()), (2, &["dense1".to_owned()][..], 4));
    }

    #[test]
    fn what_differs_before_the_last_layers_is_refused() {
        let error = |to: &str| format!("{:#}", from_to(OLD, to).unwrap_err());
        let other = error("conv 8x3, norm, relu, pool 2, flatten, dense 10");
        assert!(other.contains("`conv1.weight` is F32 of shape [4, 1, 3, 3]"), "{other}");
        let more = error("conv 4x3, norm, relu, pool 2, conv 4x3, relu, flatten, dense 10");
        assert!(more.contains("has no tensor `conv2.weight`"), "{more}");
        let fewer = error("conv 4x3, relu, pool 2, flatten, dense 10");
        assert!(fewer.contains("holds a tensor `norm1.bias`"), "{fewer}");
        let none = format!("{:#}", from_to("flatten, dense 10", "flatten, dense 12, relu, dense 10").unwrap_err());
        assert!(none.contains("`dense1.weight` is F32 of shape [10, 784]"), "nothing is taken over: {none}");
    }
}
