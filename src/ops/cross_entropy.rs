//! Softmax and cross-entropy of each sample, and the gradient of their mean over the batch.
//!
//! ```text
//! probability[n,o] = exp(logits[n,o] - m) / Σ_o exp(logits[n,o] - m)           with m = max_o logits[n,o]
//! target[n,o]      = (1 - e) · [o = label[n]] + e / classes                    with e = label_smoothing
//! loss[n]          = Σ_o target[n,o] · (m + log Σ_o exp(logits[n,o] - m) - logits[n,o])
//! hit[n]           = 1 if label[n] is the argmax of the logits (the first of equals), else 0
//! logits_grad[n,o] = (probability[n,o] - target[n,o]) / batch
//! ```
//!
//! A sample whose label is not a class, such as [`NO_LABEL`], stands for "no sample": its loss, hit and gradient are 0.
//!
//! Label smoothing is that of Szegedy et al., "Rethinking the Inception architecture", 2016, as PyTorch computes it.

use std::sync::Arc;

use rayon::prelude::*;

use super::half::{Half, InHalf, LOSS_SCALE};
use crate::op::{LOG_TOLERANCE, Op, Operand, Sizes, Variant, shader};
use crate::random::Random;
use crate::shader::Shader;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// The label of an empty sample of a batch.
pub const NO_LABEL: u32 = u32::MAX;

/// `logits`, `label` to `probability`, `logits_grad`, `loss` and `hit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Samples.
    pub batch: usize,
    /// Classes.
    pub classes: usize,
    /// The share of the target that all classes have alike; 0 for none.
    pub label_smoothing: f64,
}

impl CrossEntropy {
    /// Labels, of which some are not a class.
    pub(super) fn test_labels(&self, random: &mut Random) -> HostTensor {
        let labels: Vec<u32> = (0..self.batch)
            .map(|_| match random.below(8) {
                0 => NO_LABEL,
                1 => self.classes as u32,
                _ => random.below(self.classes as u32),
            })
            .collect();
        HostTensor::from_u32([self.batch], &labels)
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [
            (1, 1, 0.0),
            (1, 10, 0.1),
            (5, 2, 0.0),
            (65, 10, 0.0),
            (131, 10, 0.25),
            (4, 101, 0.1),
            (33, 1000, 0.0),
            (4099, 2, 0.1),
        ]
        .map(|(batch, classes, label_smoothing)| Self { batch, classes, label_smoothing })
        .into()
    }

    /// The same with an even number of classes, which half precision writes two to a word.
    pub(super) fn awkward_f16() -> Vec<Self> {
        Self::awkward().into_iter().filter(|sizes| sizes.classes.is_multiple_of(2)).collect()
    }

    /// Softmax, loss and gradient of one sample, of which it returns the loss and whether it is a hit.
    fn sample(&self, logits: &[f32], label: u32, probability: &mut [f32], grad: &mut [f32]) -> (f32, u32) {
        let (label, smoothing) = (label as usize, self.label_smoothing);
        let best = (1..self.classes).fold(0, |best, o| if logits[o] > logits[best] { o } else { best });
        let below = |logit: f32| f64::from(logits[best]) - f64::from(logit);
        let sum: f64 = logits.iter().map(|&logit| (-below(logit)).exp()).sum();
        let (mut loss, shared) = (0.0, smoothing / self.classes as f64);
        for (o, &logit) in logits.iter().enumerate() {
            let share = (-below(logit)).exp() / sum;
            let target = if o == label { 1.0 - smoothing + shared } else { shared };
            if target != 0.0 {
                loss += target * (below(logit) + sum.ln());
            }
            probability[o] = share as f32;
            grad[o] = if label < self.classes { ((share - target) / self.batch as f64) as f32 } else { 0.0 };
        }
        (if label < self.classes { loss as f32 } else { 0.0 }, u32::from(label == best))
    }

    fn plain(&self, shader: Shader) -> Variant {
        Variant::linear(shader, self.batch, 3 * self.classes)
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("classes", self.classes as f64), ("label_smoothing", self.label_smoothing)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { batch: sizes.size("batch")?, classes: sizes.size("classes")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let Self { batch, classes, .. } = *self;
        vec![
            Operand::read("logits", F32, [batch, classes]),
            Operand::read("label", U32, [batch]),
            Operand::write("probability", F32, [batch, classes]),
            Operand::write("logits_grad", F32, [batch, classes]),
            Operand::write("loss", F32, [batch]),
            Operand::write("hit", U32, [batch]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let plain = shader!("cross_entropy": "shared/linear", "shared/floats_f32", "shared/classes", "shared/grad_divisors_f32",
            "shared/softmax", "shared/logits_grad", "shared/finish_sample", "cross_entropy");
        vec![self.plain(plain)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let classes = self.classes;
        let [logits, label, probability, logits_grad, loss, hit] = tensors else { unreachable!("six operands") };
        let inputs = logits.f32().par_chunks_exact(classes).zip(label.u32());
        let rows = probability
            .f32_mut()
            .par_chunks_exact_mut(classes)
            .zip(logits_grad.f32_mut().par_chunks_exact_mut(classes));
        let scores = loss.f32_mut().par_iter_mut().zip(hit.u32_mut());
        inputs.zip(rows).zip(scores).for_each(|(((logits, &label), (probability, grad)), (loss, hit))| {
            (*loss, *hit) = self.sample(logits, label, probability, grad);
        });
    }

    fn flops(&self) -> u64 {
        (7 * self.batch * self.classes) as u64
    }

    /// An exponential has an error of a few units in the last place; a logarithm near 1 has a relative error of 1.2e-5
    /// on lavapipe.
    fn tolerance(&self) -> f64 {
        1e-5
    }

    /// The loss is 0 if the label has all of the probability, and it contains the logarithm of a number near 1. The
    /// gradient of a label is its probability minus 1. The probability is a quotient of exponentials, each with an
    /// error of some units in the last place.
    fn absolute_tolerance(&self, output: &str) -> f64 {
        match output {
            "loss" => LOG_TOLERANCE,
            "logits_grad" => 8.0 * f64::from(f32::EPSILON) / self.batch as f64,
            _ => 0.0,
        }
    }

    /// Logits from equal to so different that an exponential would overflow without subtracting the maximum; some are
    /// equal.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let Self { batch, classes, .. } = *self;
        let logits: Vec<f32> = (0..batch)
            .flat_map(|n| {
                let steepness = [0.5, 4.0, 30.0, 200.0][n % 4];
                (0..classes).map(|_| (random.uniform(-1.0, 1.0) * 8.0).round() / 8.0 * steepness).collect::<Vec<_>>()
            })
            .collect();
        let mut tensors = vec![HostTensor::from_f32([batch, classes], &logits), self.test_labels(random)];
        let outputs = self.operands().into_iter().skip(2);
        tensors.extend(outputs.map(|operand| HostTensor::zeros(operand.dtype, operand.shape)));
        tensors
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

impl InHalf for CrossEntropy {
    const NAME: &'static str = "cross_entropy_f16";
    const HALVES: &'static [&'static str] = &["logits", "logits_grad"];
    const SCALED: &'static [&'static str] = &["logits_grad"];

    fn scale(&self) -> f64 {
        LOSS_SCALE * self.batch as f64
    }

    fn half_variants(&self) -> Vec<Variant> {
        let plain = shader!("cross_entropy_f16": "shared/linear", "shared/floats_f16", "shared/classes", "shared/grad_divisors_f16",
            "shared/softmax", "shared/logits_grad", "shared/finish_sample", "cross_entropy");
        vec![self.plain(plain)]
    }
}
