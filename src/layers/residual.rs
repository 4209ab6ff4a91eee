//! `residual(conv 16x3 same, relu)`: layers whose input is added to their output (He et al., "Deep residual learning for image
//! recognition", 2015).

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::network::NetworkBuilder;
use super::recorder::Ends;
use super::{
    Conv, Entry, Initial, Layer, ParameterSpec, PlacedLayer, Recorder, bound_of_sums, map_of, place, slope_after,
};
use crate::ops::sum::{SumBackward, SumForward};
use crate::tensor::HostTensor;

/// Rows and columns of a map into which all kernels and windows fit.
const ANY_SIDE: usize = 1 << 20;

pub(super) const ENTRY: Entry = Entry {
    word: "residual",
    forms: &["residual(conv 32x3 same)"],
    help: "adds the input of these layers to their output, through a 1x1 convolution if the shape changes",
    parse: |_, layers| Ok(Arc::new(Residual { layers })),
    ops: &[],
    example: None,
};

/// Layers whose input is added to their output.
#[derive(Clone, Debug)]
pub struct Residual {
    /// The layers, in order.
    pub layers: Vec<Arc<dyn Layer>>,
}

/// The layers in their places, and the convolution of the input if its shape is not that of their output.
struct Branches {
    layers: Vec<PlacedLayer>,
    shortcut: Option<PlacedLayer>,
    output: Vec<usize>,
}

impl Residual {
    fn branches(&self, input: &[usize]) -> Result<Branches> {
        let [channels, height, width] = map_of(input)?;
        let layers = place(self.layers.iter().cloned(), input)?;
        let output = layers.last().context("there is no layer in its parentheses")?.output.clone();
        let [out_channels, rows, columns] = map_of(&output)?;
        let stride = height.div_ceil(rows);
        let strided = [height, width].map(|side| side.div_ceil(stride));
        ensure!(
            strided == [rows, columns],
            "its layers make {output:?} of {input:?}, but only a map with every n-th row and column can be added to that; use \
             `same` convolutions, with a stride if the map shall be smaller"
        );
        let shortcut = (output != [channels, height, width]).then(|| {
            let conv = Conv { channels: out_channels, kernel: 1, same: false, stride };
            PlacedLayer {
                name: "shortcut".to_owned(),
                number: 1,
                parameters: conv.parameters(input),
                layer: Arc::new(conv),
                input: input.to_vec(),
                output: output.clone(),
                frozen: false,
                flattened: None,
            }
        });
        Ok(Branches { layers, shortcut, output })
    }

    /// The branches of a layer that is part of a model, whose output's shape has been asked for.
    fn placed(&self, input: &[usize]) -> Branches {
        self.branches(input).unwrap_or_else(|error| unreachable!("the model has placed it: {error:#}"))
    }
}

impl Branches {
    fn all(&self) -> impl Iterator<Item = &PlacedLayer> {
        self.layers.iter().chain(&self.shortcut)
    }

    /// Elements of the output for a batch.
    fn length(&self, batch: usize) -> usize {
        batch * self.output.iter().product::<usize>()
    }

    /// The name of what is added to the output of the layers.
    fn shortcut_output(&self, step: &Recorder<'_>) -> String {
        if self.shortcut.is_some() { step.within("shortcut.output") } else { step.ends.input.clone() }
    }
}

impl Layer for Residual {
    fn text(&self) -> String {
        let layers: Vec<String> = self.layers.iter().map(ToString::to_string).collect();
        format!("residual({})", layers.join(", "))
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.branches(input)?.output)
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let Ok(branches) = self.branches(input) else { return vec![] };
        let within = |(place, placed): (usize, &PlacedLayer)| {
            let slope = slope_after(&branches.layers, place.min(branches.layers.len() - 1));
            let own = |own: &ParameterSpec| {
                let initial = match own.initial {
                    weight @ Initial::Weight { .. } => Initial::Uniform(weight.bound(slope)),
                    other => other,
                };
                ParameterSpec { name: placed.name_of(own).into(), initial, ..own.clone() }
            };
            placed.parameters.iter().map(own).collect::<Vec<_>>()
        };
        branches.all().enumerate().flat_map(within).collect()
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        let branches = self.placed(step.input());
        let names = step.forward(&branches.layers);
        let shortcut_output = branches.shortcut_output(step);
        if let Some(shortcut) = &branches.shortcut {
            let ends = Ends::new(step.ends.input.clone(), shortcut_output.clone());
            step.record(shortcut, ends, true, |layer, step| layer.forward(step));
        }
        let op = SumForward { length: branches.length(step.batch()), negative_slope: 1.0 };
        let output = step.ends.output.clone();
        step.call_on(op, [names.last().cloned().unwrap_or_default(), shortcut_output, output]);
    }

    /// Both branches have the gradient of the output; the gradient of the input is the sum of theirs.
    fn backward(&self, step: &mut Recorder<'_>) {
        let branches = self.placed(step.input());
        let Ends { input, input_grad, output_grad, .. } = step.ends.clone();
        let names = step.names(&branches.layers);
        let own_grad = step.within("input.grad");
        step.ends.input_grad.clone_from(&own_grad);
        step.backward(&branches.layers, &names);
        step.ends.input_grad.clone_from(&input_grad);
        let mut shortcut_grad = output_grad.clone();
        if let Some(shortcut) = &branches.shortcut {
            shortcut_grad = step.within("shortcut.input.grad");
            let ends = Ends {
                input_grad: shortcut_grad.clone(),
                output_grad,
                ..Ends::new(input.clone(), branches.shortcut_output(step))
            };
            step.record(shortcut, ends, step.needs_input_grad, |layer, step| layer.backward(step));
        }
        if step.needs_input_grad {
            let op = SumBackward { length: step.length(), negative_slope: 1.0 };
            step.call_on(op, [own_grad, shortcut_grad, input, input_grad]);
        }
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let branches = self.placed(network.input());
        let mut shortcut = network.value();
        network.layers(&branches.layers)?;
        let output = network.value();
        if let Some(convolution) = &branches.shortcut {
            network.go_back(shortcut);
            network.layers(std::slice::from_ref(convolution))?;
            shortcut = network.value();
            network.go_back(output);
        }
        network.add(shortcut);
        Ok(())
    }

    /// Also a bound of what lies between its layers, which may be larger than its output.
    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        let (mut rest, mut bound, mut most) = (parameters, input, input);
        for layer in &self.layers {
            // How many parameters a layer has does not depend on its input.
            let count = layer.parameters(&[1, ANY_SIDE, ANY_SIDE]).len().min(rest.len());
            bound = layer.bound(bound, &rest[..count]);
            most = most.max(bound);
            rest = &rest[count..];
        }
        let shortcut = if rest.is_empty() { input } else { bound_of_sums(input, rest) };
        most.max(bound + shortcut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::parse;
    use crate::verify::check_gradients;

    fn residual(text: &str) -> Arc<dyn Layer> {
        parse(text, &[]).unwrap()
    }

    #[test]
    fn a_shortcut_is_there_only_where_the_shape_changes() {
        let names = |text: &str| -> Vec<String> {
            residual(text).parameters(&[4, 6, 7]).iter().map(|own| own.name.to_string()).collect()
        };
        assert_eq!(
            names("residual(conv 4x3 same, relu, conv 4x3 same)"),
            ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]
        );
        assert_eq!(names("residual(conv 8x3 same)")[2..], ["shortcut.weight", "shortcut.bias"]);
        assert_eq!(names("residual(conv 4x3 same stride 2)")[2..], ["shortcut.weight", "shortcut.bias"]);
        assert_eq!(names("residual(residual(conv 4x1), relu)"), ["residual1.conv1.weight", "residual1.conv1.bias"]);
    }

    #[test]
    fn gradients_of_both_branches_are_added() {
        for text in [
            "residual(conv 2x3 same, relu, conv 2x1)",
            "residual(conv 3x3 same stride 2)",
            "residual(relu, conv 2x3 same)",
            "residual(residual(conv 2x1), conv 2x3 same)",
        ] {
            check_gradients(residual(text).as_ref(), &[2, 5, 4]).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        }
    }

    #[test]
    fn what_cannot_be_added_is_refused() {
        let error = |text: &str, input: &[usize]| format!("{:#}", residual(text).output(input).unwrap_err());
        assert!(error("residual(conv 4x3)", &[4, 6, 6]).contains("only a map with every n-th row and column"));
        assert!(error("residual(conv 4x3 same)", &[4]).contains("it needs a map"));
        assert!(error("residual(flatten)", &[4, 2, 2]).contains("it needs a map"));
        let error = |text: &str| format!("{:#}", parse(text, &[]).unwrap_err());
        assert!(error("residual").contains("write it like `residual(conv 32x3 same)`"));
        assert!(error("residual(conv 4x3").contains("does not end with its `)`"));
        assert!(error("relu(conv 4x3)").contains("write it like `relu`"));
        assert!(error("residual()").contains("there is nothing between two commas"));
        let deep = format!("{}relu{}", "residual(".repeat(9), ")".repeat(9));
        assert!(error(&deep).contains("8 deep"));
    }

    #[test]
    fn the_bound_covers_what_lies_between_the_layers() {
        let layer = residual("residual(conv 1x1, conv 1x1)");
        let scalar = |value: f32| HostTensor::from_f32([1], &[value]);
        // 3 · 100 inside, then 300 · 0.01 + 3.
        let parameters = [100.0, 0.0, 0.01, 0.0].map(scalar);
        assert!((layer.bound(3.0, &parameters) - 300.0).abs() < 1e-3);
        let parameters = [1.0, 0.0, 1.0, 0.0].map(scalar);
        assert!((layer.bound(3.0, &parameters) - 6.0).abs() < 1e-6);
    }
}
