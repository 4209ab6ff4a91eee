//! The C file of a model that computes with floats.

use anyhow::Result;

use super::super::evaluate::factor_and_shift;
use super::super::network;
use super::memory::{Memory, Storage};
use super::text::{Helper, Text, ensure_placed, identifier, name_places};
use crate::layers::network::{Function, Network, Step, Value, extents};
use crate::weights::SavedModel;

/// All helpers, each after those that it calls.
const HELPERS: &[Helper] = &[
    ("normalize", include_str!("float/normalize.c")),
    ("convolution", include_str!("float/convolution.c")),
    ("dense", include_str!("float/dense.c")),
    ("scale", include_str!("float/scale.c")),
    ("rectify", include_str!("float/rectify.c")),
    ("max_pool", include_str!("float/max_pool.c")),
    ("average_pool", include_str!("float/average_pool.c")),
    ("add", include_str!("float/add.c")),
    ("softmax", include_str!("float/softmax.c")),
];

const FLOAT: (&str, usize) = ("float", 4);

/// A saved model as a C99 file of its own that needs no library but `math.h` and allocates nothing; `docs/EXPORT.md` describes it.
/// Its function is `NAME_probabilities`.
///
/// # Errors
/// If the name cannot begin one of C's, the model takes more than 2^31 floats of memory, or a layer of your own does not
/// [say what it computes](crate::Layer::describe).
pub fn c(saved: &SavedModel, name: &str) -> Result<String> {
    let network = network(saved)?;
    let mut text = Text::new(name)?;
    let task = saved.model.task();
    let memory = placed(&network);
    ensure_placed(&memory)?;

    let names = network.steps.iter().map(|step| (identifier(&step.name), step.output.clone()));
    let values: Vec<_> = std::iter::once(("input".to_owned(), network.input.clone())).chain(names).collect();
    name_places(&mut text, "float", &values, &memory);
    let place = |value: Value| values[memory.first[value]].0.as_str();
    let [scale, shift] = task.scale_and_shift().map(|number| literal(number as f32));
    let (channels, area) = channels_and_area(&network.input);
    text.line(&format!("normalize(image, {channels}, {area}, {scale}, {shift}, input);"));
    for (before, step) in network.steps.iter().enumerate() {
        let inputs: Vec<&str> = step.inputs.iter().map(|&value| place(value)).collect();
        let shape = network.shape(step.inputs[0]);
        if let Some(call) = call(&mut text, step, shape, &inputs, place(before + 1)) {
            text.line(&call);
        }
    }
    let classes = task.classes();
    text.line(&format!("softmax({}, {classes}, probabilities);", place(network.steps.len())));

    Ok(text.fill(include_str!("float/file.c"), saved, ("float", 4, memory.total), HELPERS, &[]))
}

/// Where the values lie.
fn placed(network: &Network) -> Memory {
    let sizes: Vec<usize> = (0..=network.steps.len()).map(|value| network.shape(value).iter().product()).collect();
    let storage = |step: &Step| match step.function {
        Function::Normalization { .. } | Function::Rectifier { .. } | Function::Sum => Storage::InPlace,
        Function::Flatten => Storage::Same,
        _ => Storage::Own,
    };
    let steps: Vec<(&[Value], Storage)> = network.steps.iter().map(|step| (&step.inputs[..], storage(step))).collect();
    Memory::new(&sizes, &steps)
}

/// The call of a step, after its constants; none where nothing is to be computed.
fn call(text: &mut Text, step: &Step, shape: &[usize], inputs: &[&str], output: &str) -> Option<String> {
    let input = inputs[0];
    let count: usize = step.output.iter().product();
    let mut array = |what: &str, values: &[f32]| {
        let words: Vec<String> = values.iter().map(|&value| literal(value)).collect();
        text.array(FLOAT, &step.name, what, &words)
    };
    Some(match &step.function {
        Function::Convolution { weight, bias, stride, padding: [before, _] } => {
            let [outputs, channels, kernel, _] = extents(weight);
            let [height, width, out_height, out_width] = [shape[1], shape[2], step.output[1], step.output[2]];
            let (weight, bias) = (array("weight", weight.f32()), array("bias", bias.f32()));
            format!(
                "convolution({input}, {channels}, {height}, {width}, {weight}, {bias}, {kernel}, {stride}, {before}, {output}, \
                 {outputs}, {out_height}, {out_width});"
            )
        }
        Function::Dense { weight, bias } => {
            let [outputs, count] = extents(weight);
            let (weight, bias) = (array("weight", weight.f32()), array("bias", bias.f32()));
            format!("dense({input}, {count}, {weight}, {bias}, {output}, {outputs});")
        }
        Function::Normalization { weight, bias, mean, variance, epsilon } => {
            let [factor, shift] = factor_and_shift(weight, bias, mean, variance, *epsilon).map(in_f32);
            let (channels, area) = channels_and_area(shape);
            let (factor, shift) = (array("factor", &factor), array("shift", &shift));
            format!("scale({input}, {channels}, {area}, {factor}, {shift}, {output});")
        }
        Function::Rectifier { slope } => {
            format!("rectify({input}, {count}, {}, {output});", literal(*slope as f32))
        }
        Function::MaxPool { window } => pool("max_pool", input, shape, *window, output),
        Function::AveragePool { window } => pool("average_pool", input, shape, *window, output),
        Function::Flatten => return None,
        Function::Sum => format!("add({input}, {}, {count}, {output});", inputs[1]),
    })
}

fn pool(name: &str, input: &str, shape: &[usize], [rows, columns]: [usize; 2], output: &str) -> String {
    let [channels, height, width] = [shape[0], shape[1], shape[2]];
    format!("{name}({input}, {channels}, {height}, {width}, {rows}, {columns}, {output});")
}

/// The channels of a map or the elements of a vector, and the elements of each.
pub(super) fn channels_and_area(shape: &[usize]) -> (usize, usize) {
    (shape[0], shape[1..].iter().product())
}

fn in_f32(numbers: Vec<f64>) -> Vec<f32> {
    numbers.into_iter().map(|number| number as f32).collect()
}

/// A float as C reads it back exactly.
fn literal(value: f32) -> String {
    format!("{value:?}f")
}
