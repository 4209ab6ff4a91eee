//! A layer's gradients against central differences, on the CPU.
//!
//! The calls forward become the scalar `Σ output · output_grad` with a random `output_grad`. The calls backward must
//! give this scalar's derivative by each input and parameter, `(f(x + h) - f(x - h)) / 2h`.

use anyhow::{Context, Result, ensure};

use crate::layers::{Ends, Layer, Recorded, Recorder};
use crate::ops::batch::CLOCK_LENGTH;
use crate::plan::by_name::{Tensors, run};
use crate::random::Random;
use crate::tensor::{HostTensor, Shape};

/// Samples of the check's batch.
const BATCH: usize = 3;

/// The name of the checked layer, and of its input and output.
const LAYER: &str = "layer";
const ENDS: [&str; 2] = ["input", "output"];

/// The distance of the differences. Values are further apart than two of it, and further from 0 than one, so that no
/// kink of a ReLU or a maximum lies between.
const STEP: f32 = 1.0 / 512.0;

/// Checks that what a layer records backward are the gradients of what it records forward, for an input of this shape.
///
/// Every element is varied, so the shape should be small.
///
/// # Errors
/// If the layer cannot take such an input, if its calls do not fit together, or if a gradient is missing or wrong.
pub fn check_gradients(layer: &dyn Layer, input: &[usize]) -> Result<()> {
    let output = layer.output(input)?;
    let mut random = Random::new(0, 7);
    let mut tensors = Tensors::new();
    tensors.insert("clock".to_owned(), HostTensor::from_u32([CLOCK_LENGTH], &[3, 1, 99, 0]));
    tensors.insert(ENDS[0].to_owned(), values(&[&[BATCH], input].concat()[..], &mut random));
    for own in layer.parameters(input) {
        tensors.insert(format!("{LAYER}.{}", own.name), values(own.shape.extents(), &mut random));
    }
    let is_state = |name: &str| layer.parameters(input).iter().any(|own| !own.trained && name.ends_with(&*own.name));
    let varied: Vec<String> = tensors.keys().filter(|name| *name != "clock" && !is_state(name)).cloned().collect();

    let forward = recorded(layer, input, BATCH, |layer, step| layer.forward(step));
    if forward.is_empty() {
        ensure!(input.iter().product::<usize>() == output.iter().product::<usize>(), "it records no call forward");
        return Ok(());
    }
    run(&forward, &mut tensors)?;
    let result = tensors.get(ENDS[1]).context("no call forward writes `output`")?;
    let length = BATCH * output.iter().product::<usize>();
    ensure!(result.shape.len() == length, "its calls write {}, but its output has {length} elements", result.shape);
    let factors: Vec<f32> = (0..length).map(|_| random.uniform(-1.0, 1.0)).collect();
    tensors.insert(format!("{}.grad", ENDS[1]), HostTensor::from_f32(result.shape.clone(), &factors));
    let mut after = tensors.clone();
    run(&recorded(layer, input, BATCH, |layer, step| layer.backward(step)), &mut after)?;

    for name in varied {
        let gradient = after.get(&format!("{name}.grad")).with_context(|| format!("no gradient of `{name}`"))?;
        check(&name, &total(gradient.f32(), tensors[&name].shape.len()), &tensors, &forward, &factors)?;
    }
    Ok(())
}

/// The sum of the partial sums of a gradient of so many elements.
fn total(partial: &[f32], length: usize) -> Vec<f32> {
    let mut total = vec![0.0; length];
    for chunk in partial.chunks_exact(length) {
        total.iter_mut().zip(chunk).for_each(|(total, value)| *total += value);
    }
    total
}

/// A layer's output for one sample, computed by the references of its ops. It must have no parameters.
///
/// # Errors
/// If the layer cannot take such an input, or if its calls do not fit together.
pub fn layer_output(layer: &dyn Layer, shape: &[usize], input: &[f32]) -> Result<Vec<f32>> {
    layer.output(shape)?;
    let mut tensors = Tensors::from([(ENDS[0].to_owned(), HostTensor::from_f32(shape, input))]);
    let calls = recorded(layer, shape, 1, |layer, step| layer.forward(step));
    run(&calls, &mut tensors)?;
    let output = tensors.get(ENDS[usize::from(!calls.is_empty())]).context("no call forward writes `output`")?;
    Ok(output.f32().to_vec())
}

/// Distinct multiples of 1/256 in random order, none of them 0.
fn values(shape: impl Into<Shape>, random: &mut Random) -> HostTensor {
    let shape = shape.into();
    let length = shape.len() as i32;
    let mut places: Vec<i32> = (0..length).map(|i| 2 * i - length).map(|i| if i == 0 { 1 } else { i }).collect();
    random.shuffle(&mut places);
    HostTensor::from_f32(shape, &places.iter().map(|&i| i as f32 / 256.0).collect::<Vec<_>>())
}

fn recorded(
    layer: &dyn Layer,
    input: &[usize],
    batch: usize,
    record: impl Fn(&dyn Layer, &mut Recorder<'_>),
) -> Vec<Recorded> {
    let mut step = Recorder {
        layer: LAYER.to_owned(),
        number: 1,
        batch,
        shape: input,
        trains: true,
        frozen: false,
        ends: Ends::new(ENDS[0], ENDS[1]),
        needs_input_grad: true,
        calls: vec![],
    };
    record(layer, &mut step);
    step.calls
}

/// Compares the gradient of one tensor, element by element.
fn check(name: &str, gradient: &[f32], tensors: &Tensors, forward: &[Recorded], factors: &[f32]) -> Result<()> {
    let varied = &tensors[name];
    let scale = gradient.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    ensure!(
        gradient.len() == varied.shape.len() && scale > 0.0,
        "the gradient of `{name}` {} has {} elements up to {scale}",
        varied.shape,
        gradient.len()
    );
    let scalar_at = |i: usize, value: f32| {
        let mut tensors = tensors.clone();
        tensors.get_mut(name).expect("varied").f32_mut()[i] = value;
        run(forward, &mut tensors)?;
        let terms = tensors[ENDS[1]].f32().iter().zip(factors).map(|(&x, &factor)| f64::from(x) * f64::from(factor));
        anyhow::Ok(terms.sum::<f64>())
    };
    for (i, &got) in gradient.iter().enumerate() {
        let value = varied.f32()[i];
        let wanted = (scalar_at(i, value + STEP)? - scalar_at(i, value - STEP)?) / (2.0 * f64::from(STEP));
        ensure!(
            (f64::from(got) - wanted).abs() <= 1e-3 * (wanted.abs() + 0.1 * scale),
            "element {i} of the gradient of `{name}` is {got}, but the central difference is {wanted}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Conv, Relu};
    use crate::ops::relu::{ReluBackward, ReluForward};

    /// A layer whose gradient is that of a ReLU, or missing.
    #[derive(Debug)]
    struct Wrong {
        has_gradient: bool,
    }

    impl Layer for Wrong {
        fn text(&self) -> String {
            "wrong".to_owned()
        }

        fn forward(&self, step: &mut Recorder<'_>) {
            step.call(ReluForward { length: step.length(), negative_slope: 0.0 });
        }

        fn backward(&self, step: &mut Recorder<'_>) {
            if self.has_gradient {
                // The gradient goes where the output's gradient, not the output, is above 0.
                step.call_with(
                    ReluBackward { length: step.length(), negative_slope: 0.0 },
                    &[("output", "output_grad")],
                );
            }
        }
    }

    #[test]
    fn a_right_gradient_passes_and_wrong_and_missing_ones_do_not() {
        let error = |layer: &dyn Layer| format!("{:#}", check_gradients(layer, &[2, 3]).unwrap_err());
        check_gradients(&Relu, &[2, 3]).unwrap();
        check_gradients(&Conv { channels: 2, kernel: 2, stride: 1, same: true }, &[2, 3, 4]).unwrap();
        assert!(error(&Wrong { has_gradient: true }).contains("of the gradient of `input` is"));
        assert!(error(&Wrong { has_gradient: false }).contains("no gradient of `input`"));
        assert!(error(&Conv { channels: 2, kernel: 2, stride: 1, same: true }).contains("it needs a map"));
    }
}
