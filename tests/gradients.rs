//! The references of the backward ops against central differences of the forward ones, and the gradients that whole
//! training steps compute against central differences of their loss.
//!
//! A forward op becomes the scalar `Σ output · output_grad` with a random `output_grad`. The backward op with the same
//! `output_grad` must give this scalar's derivative, `(f(x + h) - f(x - h)) / 2h`.

use std::collections::HashMap;
use std::sync::Arc;

use gpu_digits::cpu::CpuExecutor;
use gpu_digits::executor::Executor;
use gpu_digits::layers::{self, LAYERS};
use gpu_digits::model::{Model, NAMED_MODELS};
use gpu_digits::op::Op;
use gpu_digits::ops::Case;
use gpu_digits::ops::avg_pool::{AvgPoolBackward, AvgPoolForward, Windows};
use gpu_digits::ops::conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use gpu_digits::ops::cross_entropy::{CrossEntropy, NO_LABEL};
use gpu_digits::ops::dense::{Dense, DenseBackward, DenseBackwardWeight, DenseForward};
use gpu_digits::ops::dropout::DropoutApply;
use gpu_digits::ops::max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use gpu_digits::ops::relu::{ReluBackward, ReluForward};
use gpu_digits::plan::{Optimizer, Parameter, Phase, Plan, PlanConfig, PlanForm, Refinements, TensorId};
use gpu_digits::random::Random;
use gpu_digits::tensor::{DType, HostTensor, pack_bytes};
use gpu_digits::verify::check_gradients;
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = derivatives()
        .into_iter()
        .map(|derivative| Trial::test(derivative.name(), move || derivative.check()))
        .collect();
    for form in LAYERS.iter().flat_map(|entry| entry.forms) {
        let name = format!("what `{form}` records backward are its gradients");
        trials.push(Trial::test(name, || Ok(check_layer(form)?)));
    }
    trials.push(Trial::test("what `norm` records backward for a vector are its gradients", || {
        // So many elements that the values of a sample lie far apart, compared with the step of the differences.
        Ok(check_gradients(layers::parse("norm", &[])?.as_ref(), &[77])?)
    }));
    for &(name, model) in NAMED_MODELS.iter().chain([&UNUSUAL, &NORMAL]) {
        for (form, how) in [(PlanForm::PLAIN, "whole step"), (PlanForm::FUSED, "whole fused step")] {
            trials.push(Trial::test(format!("{how} of {name}"), move || check_step(model, form)));
        }
    }
    trials.push(Trial::test("whole step of every layer of the table", || check_step(&every_layer(), PlanForm::PLAIN)));
    for &(name, model) in
        NAMED_MODELS.iter().filter(|(name, _)| *name != "mlp").chain([&UNUSUAL_IN_HALF, &NORMAL_IN_HALF])
    {
        let name = format!("whole step of {name} in half precision has the gradients of single precision");
        trials.push(Trial::test(name, move || check_half_step(model)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A layer of the table on a map whose sizes are no multiples, or on a vector if it takes no map.
fn check_layer(form: &str) -> anyhow::Result<()> {
    let layer = layers::parse(form, &[])?;
    let map: &[usize] = &[2, 5, 7];
    check_gradients(layer.as_ref(), if layer.output(map).is_ok() { map } else { &[11] })
}

/// A model of every layer of the table: those that make a map of a map, then those that take a vector.
fn every_layer() -> String {
    let forms = LAYERS.iter().flat_map(|entry| entry.forms).copied();
    let makes = |form: &str, input: &[usize]| {
        let output = layers::parse(form, &[]).and_then(|layer| layer.output(input));
        output.is_ok_and(|output| output.len() == input.len())
    };
    let map: &[usize] = &[3, 28, 28];
    let (maps, vectors): (Vec<&str>, Vec<&str>) =
        forms.filter(|form| *form != "flatten").partition(|form| makes(form, map));
    format!("{}, flatten, {}, dense 10", maps.join(", "), vectors.join(", "))
}

/// What the shipped models do not have.
const UNUSUAL: (&str, &str) =
    ("unusual layers", "conv 3x4 same, pool 3, relu, dropout 0.3, conv 5x2, relu, flatten, dense 7, dense 10");

/// Normalisation before and behind rectifiers.
const NORMAL: (&str, &str) = (
    "normalised layers",
    "conv 4x3, norm, relu, pool 2, conv 6x3, leaky 0.1, norm, pool 2, flatten, dense 8, relu, dense 10",
);

/// The same for half precision. A bias right before a normalisation has no gradient, only what rounding leaves.
const NORMAL_IN_HALF: (&str, &str) = (
    "normalised layers",
    "conv 4x3, relu, norm, avg 2, conv 6x3, leaky 0.1, norm, avg 2, flatten, dense 8, relu, dense 10",
);

/// The same for half precision, which needs fused ops.
const UNUSUAL_IN_HALF: (&str, &str) = (
    "unusual layers",
    "conv 4x4 same, pool 3, relu, dropout 0.3, conv 6x2, relu, pool 2, flatten, dense 8, relu, dense 10",
);

/// Tensors by the name of their operand: what forward and backward ops share has the same name in both.
type Tensors = HashMap<&'static str, HostTensor>;

/// A backward op as the derivative of a forward one with respect to an operand.
struct Derivative {
    forward: Case,
    backward: Case,
    /// The forward op's operand that is varied.
    of: &'static str,
    /// By how much; where the op is linear any step is exact, and a large one keeps rounding out.
    step: f32,
}

fn derivatives() -> Vec<Derivative> {
    let mut list = Vec::new();
    let mut add = |forward: &Case, backward: Case, of, step| {
        list.push(Derivative { forward: Arc::clone(forward), backward, of, step });
    };
    let convolutions = [
        (1, 1, 3, 3, 1, 3, 1, 0),
        (2, 3, 5, 4, 2, 3, 1, 0),
        (3, 2, 4, 6, 3, 3, 1, 2),
        (2, 2, 5, 5, 2, 4, 1, 3),
        (2, 1, 6, 5, 2, 5, 1, 4),
        (2, 2, 6, 7, 3, 3, 2, 2),
        (1, 3, 8, 5, 2, 2, 3, 0),
    ];
    for (batch, in_channels, in_height, in_width, out_channels, kernel, stride, padding) in convolutions {
        let conv = Conv2d { batch, in_channels, in_height, in_width, out_channels, kernel, stride, padding };
        let forward: Case = Arc::new(Conv2dForward::new(conv));
        add(&forward, Arc::new(Conv2dBackwardInput::new(conv)), "input", 1.0);
        add(&forward, Arc::new(Conv2dBackwardWeight(conv)), "weight", 1.0);
        add(&forward, Arc::new(Conv2dBackwardWeight(conv)), "bias", 1.0);
    }
    for (batch, inputs, outputs) in [(1, 1, 1), (3, 7, 5), (40, 5, 10)] {
        let dense = Dense { batch, inputs, outputs };
        let forward: Case = Arc::new(DenseForward { dense, negative_slope: 1.0 });
        let all: Case = Arc::new(DenseBackward { dense, negative_slope: 1.0 });
        for of in ["input", "weight", "bias"] {
            add(&forward, Arc::clone(&all), of, 1.0);
        }
        add(&forward, Arc::new(DenseBackwardWeight(dense)), "weight", 1.0);
        add(&forward, Arc::new(DenseBackwardWeight(dense)), "bias", 1.0);
    }
    for negative_slope in [0.0, 0.1] {
        let (forward, backward) =
            (ReluForward { length: 200, negative_slope }, ReluBackward { length: 200, negative_slope });
        add(&(Arc::new(forward) as Case), Arc::new(backward), "input", 1e-3);
    }
    for [batch, height, width, channels, window_height, window_width] in
        [[2, 4, 4, 1, 2, 2], [3, 5, 7, 2, 2, 2], [2, 8, 9, 3, 3, 3], [2, 5, 7, 3, 2, 5]]
    {
        let windows = Windows { batch, height, width, channels, window_height, window_width };
        let negative_slope = 1.0;
        let forward: Case = Arc::new(AvgPoolForward { windows, negative_slope });
        add(&forward, Arc::new(AvgPoolBackward { windows, negative_slope }), "input", 1.0);
        if window_height == window_width {
            let pool = MaxPool { batch, height, width, channels, size: window_height };
            let forward: Case = Arc::new(MaxPoolForward { pool, negative_slope });
            add(&forward, Arc::new(MaxPoolBackward { pool, negative_slope }), "input", 1e-3);
        }
    }
    for (batch, classes, label_smoothing) in [(1, 2, 0.0), (7, 10, 0.0), (7, 10, 0.2)] {
        let op: Case = Arc::new(CrossEntropy { batch, classes, label_smoothing });
        add(&op, Arc::clone(&op), "logits", 1e-2);
    }
    let dropout = DropoutApply { length: 100, rate: 0.4, layer: 1 };
    add(&(Arc::new(dropout) as Case), Arc::new(dropout), "input", 1.0);
    list
}

impl Derivative {
    fn name(&self) -> String {
        format!("{} is the derivative of {}", self.backward.label(), self.forward.name())
    }

    fn check(&self) -> Result<(), Failed> {
        let random = &mut Random::new(0, 7);
        let mut tensors = Tensors::new();
        for operand in self.forward.operands() {
            let length = operand.shape.len();
            let tensor = match (operand.name, operand.dtype) {
                // The last label is no class: its sample must have no gradient.
                ("label", _) => {
                    let labels: Vec<u32> =
                        (1..=length).map(|n| if n == length && n > 1 { NO_LABEL } else { random.below(2) }).collect();
                    HostTensor::from_u32(operand.shape, &labels)
                }
                ("clock", _) => HostTensor::from_u32(operand.shape, &[3, 1, 99, 0]),
                // Distinct multiples of 1/256, none of them 0, further apart than a step: no kink is near.
                (_, DType::F32) => {
                    let mut places: Vec<i32> =
                        (0..length as i32).map(|i| 2 * i - length as i32).map(|i| if i == 0 { 1 } else { i }).collect();
                    random.shuffle(&mut places);
                    HostTensor::from_f32(operand.shape, &places.iter().map(|&i| i as f32 / 256.0).collect::<Vec<_>>())
                }
                (_, DType::U32 | DType::F16) => HostTensor::zeros(operand.dtype, operand.shape),
            };
            tensors.insert(operand.name, tensor);
        }
        // The loss of a batch is the mean over its samples; every other output counts with random factors.
        let loss = tensors.get("loss").map(|loss| {
            HostTensor::from_f32(loss.shape.clone(), &vec![1.0 / loss.shape.len() as f32; loss.shape.len()])
        });
        let output_grad = loss.unwrap_or_else(|| {
            let shape = tensors["output"].shape.clone();
            let values: Vec<f32> = (0..shape.len()).map(|_| random.uniform(-1.0, 1.0)).collect();
            HostTensor::from_f32(shape, &values)
        });
        run(self.forward.as_ref(), &mut tensors);
        let gradient = self.gradient(&tensors, &output_grad);

        let varied = tensors[self.of].clone();
        let scale = gradient.iter().map(|value| value.abs()).fold(0.0, f64::max);
        if gradient.len() != varied.shape.len() || scale == 0.0 {
            return Err(format!("{} elements up to {scale} for {} of {}", gradient.len(), varied.shape, self.of).into());
        }
        for (i, &got) in gradient.iter().enumerate() {
            let scalar_at = |value: f32| {
                let mut tensors = tensors.clone();
                tensors.get_mut(self.of).expect("varied").f32_mut()[i] = value;
                run(self.forward.as_ref(), &mut tensors);
                let output = tensors.get("loss").unwrap_or_else(|| &tensors["output"]);
                output.f32().iter().zip(output_grad.f32()).map(|(&x, &g)| f64::from(x) * f64::from(g)).sum::<f64>()
            };
            let (below, above) = (varied.f32()[i] - self.step, varied.f32()[i] + self.step);
            let wanted = (scalar_at(above) - scalar_at(below)) / (f64::from(above) - f64::from(below));
            if (got - wanted).abs() > 1e-3 * (wanted.abs() + 0.1 * scale) {
                return Err(format!("{}[{i}]: gradient {got}, central difference {wanted}", self.of).into());
            }
        }
        Ok(())
    }

    /// What the backward op gives; partial sums are added up.
    fn gradient(&self, tensors: &Tensors, output_grad: &HostTensor) -> Vec<f64> {
        let mut operands: Vec<HostTensor> = self
            .backward
            .operands()
            .into_iter()
            .map(|operand| {
                let words = match operand.name {
                    // Dropout is its own derivative: the gradient goes in as its input.
                    "output_grad" => output_grad.words().to_vec(),
                    "input" if self.backward.name() == self.forward.name() => output_grad.words().to_vec(),
                    name if !operand.is_written() => tensors[name].words().to_vec(),
                    _ => vec![0; operand.shape.len()],
                };
                HostTensor::from_words(operand.dtype, operand.shape, words)
            })
            .collect();
        self.backward.reference(&mut operands);
        let names: Vec<_> = self.backward.operands().iter().map(|operand| operand.name).collect();
        let is_gradient = |name: &&str| name.strip_suffix("_partial").unwrap_or(name) == format!("{}_grad", self.of);
        let place = names.iter().position(is_gradient).unwrap_or(names.len() - 1);
        let result = &operands[place];
        let length = tensors[self.of].shape.len();
        let mut gradient = vec![0.0; length];
        for (i, &value) in result.f32().iter().enumerate() {
            gradient[i % length] += f64::from(value);
        }
        gradient
    }
}

/// Runs the reference on tensors by name.
fn run(op: &dyn Op, tensors: &mut Tensors) {
    let names: Vec<_> = op.operands().into_iter().map(|operand| operand.name).collect();
    let mut operands: Vec<HostTensor> = names.iter().map(|name| tensors[name].clone()).collect();
    op.reference(&mut operands);
    tensors.extend(names.into_iter().zip(operands));
}

const BATCH: usize = 3;

/// An executor of a model's step, with images in place and a rate of 0.
fn step_of(model: &Model, form: PlanForm) -> Result<(Plan, CpuExecutor), Failed> {
    let optimizer = Some(Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let config = PlanConfig {
        batch: BATCH,
        images: BATCH,
        batches: 1,
        steps: 1,
        form,
        // The same images before and after a step.
        refinements: Refinements::default(),
        ..PlanConfig::for_mnist(BATCH, optimizer)
    };
    let plan = Plan::new(model, config)?;
    let random = &mut Random::new(1, 0);
    let mut executor = CpuExecutor::new(plan.clone())?;
    let pixels: Vec<u8> = (0..4 * plan.tensor(plan.host.images).shape.len()).map(|_| random.bits() as u8).collect();
    executor.write(plan.host.images, &pack_bytes(&[&pixels]));
    executor.write(plan.host.labels, &[3, 1, 7]);
    executor.write(plan.host.order, &[2, 0, 1]);
    Ok((plan, executor))
}

/// The gradients of all parameters in half precision must be those in single precision but for rounding, and for maxima
/// at near ties that have turned: the scale of the loss is taken back everywhere, and nothing is too small or too large
/// for 16 bits.
fn check_half_step(model: &str) -> Result<(), Failed> {
    let model: Model = model.parse()?;
    let parameters = model.initial_parameters(5);
    let gradients = |form| {
        let (plan, mut executor) = step_of(&model, form)?;
        for (parameter, values) in plan.host.parameters.iter().zip(&parameters) {
            executor.write(parameter.tensor, &parameter.arranged(values));
        }
        executor.write(plan.host.clock, &[0, 0, 42, 0]);
        for index in 0..plan.train.len() {
            block_on(executor.run_call(Phase::Train, index))?;
        }
        let gradient = |parameter: &Parameter| {
            let place = parameter.gradient?;
            Some(parameter.restored(executor.tensor(place)).f32().to_vec())
        };
        Ok::<Vec<Vec<f32>>, Failed>(plan.host.parameters.iter().filter_map(gradient).collect())
    };
    let (single, half) = (gradients(PlanForm::FUSED)?, gradients(PlanForm::HALF)?);
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    for ((name, _), (single, half)) in model.weights().iter().zip(single.iter().zip(&half)) {
        let error = norm(&mut single.iter().zip(half).map(|(single, half)| single - half));
        let size = norm(&mut single.iter().copied());
        if size == 0.0 || error > 0.05 * size {
            return Err(format!("{name}: a gradient of norm {size:e} is off by {error:e}").into());
        }
    }
    Ok(())
}

/// Moves each parameter a little along the signs of its gradient: the change of the loss must match the gradient. This
/// shows that every call of the step is in the right order and has the right tensors.
fn check_step(model: &str, form: PlanForm) -> Result<(), Failed> {
    let model: Model = model.parse()?;
    let (plan, mut executor) = step_of(&model, form)?;
    let parameters = model.initial_parameters(5);
    let named =
        |name: &str| TensorId(plan.tensors.iter().position(|spec| spec.name == name).expect("a tensor of the plan"));
    let mut loss_at = |parameters: &[HostTensor]| {
        for (parameter, values) in plan.host.parameters.iter().zip(parameters) {
            executor.write(parameter.tensor, &parameter.arranged(values));
        }
        executor.write(plan.host.clock, &[0, 0, 42, 0]);
        // A learning rate of 0 leaves the parameters as they are; the gradients stay where they were computed.
        for index in 0..plan.train.len() {
            block_on(executor.run_call(Phase::Train, index))?;
        }
        let gradient = |parameter: &Parameter| {
            let place = parameter.gradient?;
            Some(parameter.restored(executor.tensor(place)).f32().to_vec())
        };
        let gradients: Vec<Option<Vec<f32>>> = plan.host.parameters.iter().map(gradient).collect();
        let losses = executor.tensor(named("loss")).f32();
        let mean = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / BATCH as f64;
        anyhow::Ok((mean, gradients))
    };

    let (_, gradients) = loss_at(&parameters)?;
    for (place, (name, shape)) in model.parameters().iter().enumerate() {
        // State, such as running statistics, is not trained.
        let Some(gradient) = &gradients[place] else { continue };
        // A step along the gradient's signs moves the loss most, so that rounding counts least.
        let size = 1e-3 / (shape.len() as f32).sqrt();
        let direction: Vec<f32> = gradient.iter().map(|&g| if g == 0.0 { 0.0 } else { size.copysign(g) }).collect();
        let mut moved = |sign: f32| {
            let mut parameters = parameters.clone();
            parameters[place].f32_mut().iter_mut().zip(&direction).for_each(|(value, step)| *value += sign * step);
            loss_at(&parameters).map(|(loss, _)| loss)
        };
        let difference = (moved(1.0)? - moved(-1.0)?) / 2.0;
        let wanted: f64 = gradient.iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
        // A bias right before a normalisation has no gradient, only what rounding leaves.
        if wanted <= 0.0 || (difference - wanted).abs() > 0.02 * wanted + 5e-7 {
            return Err(format!(
                "{name}: along its gradient the loss changes by {difference:e}, but the gradient predicts {wanted:e}"
            )
            .into());
        }
    }
    Ok(())
}
