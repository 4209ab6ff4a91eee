//! Records the calls of a step of a model, layer by layer: forward, the loss, and backward. Tensors are names here.

use std::sync::Arc;

use super::memory::{AVERAGE, COPY};
use super::{Optimizer, Phase, PlanConfig, Refinements};
use crate::data::ImageShape;
use crate::layers::{Ends, Recorded, Recorder};
use crate::model::Model;
use crate::op::Op;
use crate::ops::augment::BatchAugment;
use crate::ops::average::AverageUpdate;
use crate::ops::batch::{BatchGather, StepFinish};
use crate::ops::clip::{GradClip, GradSquares};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::half::ParameterCopyF16;
use crate::ops::optimizer::{AdamStep, SgdStep};
use crate::ops::segments::{BLOCK, Segments};

/// An op on tensors with these names.
pub(super) fn recorded(layer: &str, op: impl Op, tensors: &[&str]) -> Recorded {
    let tensors = tensors.iter().map(|&name| name.to_owned()).collect();
    Recorded { op: Arc::new(op), tensors, layer: layer.to_owned() }
}

/// The calls of a phase up to the gradients of the parameters.
pub(super) fn record(model: &Model, config: &PlanConfig, phase: Phase) -> Vec<Recorded> {
    let mut step = Recorder {
        layer: String::new(),
        number: 0,
        batch: config.batch,
        shape: &[],
        trains: phase == Phase::Train,
        frozen: false,
        ends: Ends::new("batch", ""),
        needs_input_grad: false,
        calls: gather(model, config, phase),
    };
    let names = step.forward(model.layers());
    let logits = names.last().cloned().unwrap_or_default();
    step.ends = Ends::new("batch", logits);
    let Ends { output: logits, output_grad, .. } = &step.ends;
    // A model is scored by the plain loss.
    let label_smoothing = if step.trains { config.refinements.label_smoothing } else { 0.0 };
    let op = CrossEntropy { batch: config.batch, classes: model.task().classes(), label_smoothing };
    step.calls.push(recorded("loss", op, &[logits, "label", "probability", output_grad, "loss", "hit"]));
    if phase == Phase::Train {
        step.backward(model.layers(), &names);
    }
    step.calls
}

fn gather(model: &Model, config: &PlanConfig, phase: Phase) -> Vec<Recorded> {
    let &PlanConfig { batch, images, batches, refinements: Refinements { augment, .. }, .. } = config;
    let (image, [scale, shift]) = (model.task().image(), model.task().scale_and_shift());
    let gather =
        BatchGather { batch, pixels: image.bytes(), count: images, order_length: batches * batch, scale, shift };
    let tensors = ["images", "labels", "order", "clock", "batch", "label", "field"];
    // A model is scored on the images as they are.
    if phase == Phase::Evaluate || augment.is_none() {
        return vec![recorded("data", gather, &tensors[..6])];
    }
    let ImageShape { width, channels, .. } = image;
    let augmented = BatchAugment { gather, width, channels, edge: !model.task().is_of_digits(), augment };
    let field = augmented.field();
    let field = (field.most > 0).then(|| recorded("data", field, &["clock", "field"]));
    field.into_iter().chain([recorded("data", augmented, &tensors)]).collect()
}

/// The copy of all parameters in 16-bit floats.
pub(super) fn copy(length: usize) -> Recorded {
    recorded("data", ParameterCopyF16 { length }, &["parameters", COPY])
}

/// The update of all parameters: clipping, the optimizer and the average.
pub(super) fn update(optimizer: Optimizer, config: &PlanConfig, segments: &Segments) -> Vec<Recorded> {
    let (steps, length) = (config.steps, segments.parameters());
    let mut calls = Vec::new();
    if let Some(most) = config.refinements.clip_norm {
        let squares = GradSquares(segments.clone());
        calls.push(recorded("all", squares, &["gradients", "blocks", "square_partial"]));
        let clip = GradClip { blocks: length / BLOCK, most };
        calls.push(recorded("all", clip, &["square_partial", "grad_scale"]));
    }
    let segments = segments.clone();
    calls.push(match optimizer {
        Optimizer::Sgd { momentum, nesterov, weight_decay } => recorded(
            "all",
            SgdStep { segments, steps, momentum, nesterov, weight_decay },
            &["parameters", "gradients", "velocity", "blocks", "schedule", "clock", "grad_scale"],
        ),
        Optimizer::Adam { beta1, beta2, epsilon, weight_decay, decoupled } => recorded(
            "all",
            AdamStep { segments, steps, beta1, beta2, epsilon, weight_decay, decoupled },
            &["parameters", "gradients", "first_moment", "second_moment", "blocks", "schedule", "clock", "grad_scale"],
        ),
    });
    if let Some(decay) = config.refinements.average {
        calls.push(recorded("all", AverageUpdate { length, decay }, &["parameters", "clock", AVERAGE]));
    }
    calls
}

/// The end of a step.
pub(super) fn finish(config: &PlanConfig) -> Recorded {
    let op = StepFinish { batch: config.batch, rows: config.batches };
    recorded("data", op, &["loss", "hit", "clock", "history"])
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;
    use crate::augment::Augment;
    use crate::data::Task;
    use crate::layers::{Dense, Flatten, Initial, Layer, ParameterSpec};
    use crate::ops::relu::{ReluBackward, ReluForward};
    use crate::plan::{Plan, PlanForm};

    /// A layer that is wrong in one way.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Wrong {
        Length,
        Operand,
        Unread,
        InPlace,
        NoGradient,
        Nothing,
    }

    impl Layer for Wrong {
        fn text(&self) -> String {
            "wrong".to_owned()
        }

        fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
            Ok(if *self == Self::Nothing { vec![input[0] + 1] } else { input.to_vec() })
        }

        fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
            let unread = ParameterSpec::new("gain", [3], Initial::Constant(1.0));
            if *self == Self::Unread { vec![unread] } else { vec![] }
        }

        fn forward(&self, step: &mut Recorder<'_>) {
            let length = step.length();
            match self {
                Self::Length => {
                    step.call_with(ReluForward { length: length - 1, negative_slope: 0.0 }, &[("input", "own")])
                }
                Self::Operand => step.call(ReluForward { length: length + 1, negative_slope: 0.0 }),
                Self::InPlace => step.call_with(ReluForward { length, negative_slope: 0.0 }, &[("input", "output")]),
                Self::Unread | Self::NoGradient => step.call(ReluForward { length, negative_slope: 0.0 }),
                Self::Nothing => {}
            }
        }

        fn backward(&self, step: &mut Recorder<'_>) {
            if *self != Self::NoGradient {
                step.call(ReluBackward { length: step.length(), negative_slope: 0.0 });
            }
        }
    }

    #[test]
    fn only_training_sees_the_images_changed() {
        let optimizer = Some(Optimizer::adam(0.0, false));
        let plan = |augment, form| {
            let refinements = Refinements { augment, ..Refinements::default() };
            let config = PlanConfig { form, refinements, ..PlanConfig::for_mnist(4, optimizer) };
            Plan::new(&"mlp".parse().unwrap(), config)
        };
        let gather = |plan: &Plan, phase| {
            let mut names = plan.calls(phase).iter().map(|call| call.op.name());
            names.find(|name| name.starts_with("batch_")).unwrap()
        };
        for (form, suffix) in [(PlanForm::PLAIN, ""), (PlanForm::FUSED, ""), (PlanForm::HALF, "_f16")] {
            let augmented = plan("rotate 10".parse().unwrap(), form).unwrap();
            let plain = plan(Augment::NONE, form).unwrap();
            assert_eq!(gather(&augmented, Phase::Train), format!("batch_augment{suffix}"));
            assert_eq!(gather(&augmented, Phase::Evaluate), format!("batch_gather{suffix}"));
            assert_eq!(gather(&plain, Phase::Train), format!("batch_gather{suffix}"));
            let elastic = plan("elastic 5".parse().unwrap(), form).unwrap();
            let first = |phase| elastic.calls(phase)[usize::from(form == PlanForm::HALF)].op.name();
            assert_eq!(first(Phase::Train), "elastic_field", "before the batch is gathered");
            assert_eq!(first(Phase::Evaluate), format!("batch_gather{suffix}"));
        }
        let error = plan(Augment { rotate: 200.0, ..Augment::NONE }, PlanForm::PLAIN).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot change the training images so much: `rotate 200` must be from 0 to 90"
        );
    }

    #[test]
    fn layers_whose_calls_do_not_fit_are_refused_with_their_name() {
        for (wrong, wanted) in [
            (
                Wrong::Length,
                "layer wrong1 (`wrong`) says that `wrong1.output` has 32 elements, but its ops make it [31]",
            ),
            (
                Wrong::Operand,
                "layer wrong1 (`wrong`) says that `wrong1.output` has 32 elements, but its ops make it [33]",
            ),
            (Wrong::Unread, "layer wrong1 (`wrong`) has a parameter `gain`, which no op reads"),
            (
                Wrong::InPlace,
                "layer wrong1: `relu_forward:length=32,negative_slope=0` writes `wrong1.output` and also has it as another",
            ),
            (Wrong::NoGradient, "reads `dense1.output.grad` as its output_grad, but no earlier call writes it"),
            (Wrong::Nothing, "layer wrong1 (`wrong`) says that `dense1.output` has 36 elements"),
        ] {
            let layers: [Arc<dyn Layer>; 4] =
                [Arc::new(Flatten), Arc::new(Dense { outputs: 8 }), Arc::new(wrong), Arc::new(Dense { outputs: 10 })];
            let model = Model::new(Task::MNIST, layers).unwrap();
            let config = PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false)));
            let error = format!("{:#}", Plan::new(&model, config).unwrap_err());
            assert!(error.contains(wanted), "{wrong:?}: {error}");
        }
    }
}
