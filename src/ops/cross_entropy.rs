//! Softmax and cross-entropy of each sample, and the gradient of their mean over the batch.
//!
//! ```text
//! probability[n,o] = exp(logits[n,o] - m) / Σ_o exp(logits[n,o] - m)           with m = max_o logits[n,o]
//! loss[n]          = m + log Σ_o exp(logits[n,o] - m) - logits[n,label[n]]
//! hit[n]           = 1 if label[n] is the argmax of the logits (the first of equals), else 0
//! logits_grad[n,o] = (probability[n,o] - [o = label[n]]) / batch
//! ```
//!
//! A sample whose label is not a class, such as [`NO_LABEL`], stands for "no sample": its loss, hit and gradient are 0.

use crate::op::{LOG_TOLERANCE, Op, Operand, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// The label of an empty sample of a batch.
pub const NO_LABEL: u32 = u32::MAX;

/// Sizes of a softmax-cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CrossEntropy {
    /// Samples.
    pub batch: usize,
    /// Classes.
    pub classes: usize,
}

impl CrossEntropy {
    pub(super) fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("classes", self.classes as f64)]
    }

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
        [(1, 1), (1, 10), (5, 2), (65, 10), (131, 10), (4, 101), (4099, 2)]
            .map(|(batch, classes)| Self { batch, classes })
            .into()
    }
}

/// `logits`, `label` to `probability`, `loss` and `hit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CrossEntropyForward(pub CrossEntropy);

impl Op for CrossEntropyForward {
    fn name(&self) -> &'static str {
        "cross_entropy_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let CrossEntropy { batch, classes } = self.0;
        vec![
            Operand::read("logits", F32, [batch, classes]),
            Operand::read("label", U32, [batch]),
            Operand::write("probability", F32, [batch, classes]),
            Operand::write("loss", F32, [batch]),
            Operand::write("hit", U32, [batch]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("cross_entropy_forward": "shared/linear", "shared/classes", "shared/softmax", "cross_entropy_forward");
        vec![Variant::linear(shader, self.0.batch, 3 * self.0.classes)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let classes = self.0.classes;
        let [logits, label, probability, loss, hit] = tensors else { unreachable!("five operands") };
        let probabilities = probability.f32_mut().chunks_exact_mut(classes);
        for (n, (logits, probability)) in logits.f32().chunks_exact(classes).zip(probabilities).enumerate() {
            let best = (1..classes).fold(0, |best, o| if logits[o] > logits[best] { o } else { best });
            let exponential = |logit: f32| (f64::from(logit) - f64::from(logits[best])).exp();
            let sum: f64 = logits.iter().map(|&logit| exponential(logit)).sum();
            for (probability, &logit) in probability.iter_mut().zip(logits) {
                *probability = (exponential(logit) / sum) as f32;
            }
            let label = label.u32()[n] as usize;
            let own_logit = logits.get(label).map(|&logit| f64::from(logit));
            loss.f32_mut()[n] = own_logit.map_or(0.0, |logit| f64::from(logits[best]) - logit + sum.ln()) as f32;
            hit.u32_mut()[n] = u32::from(label == best);
        }
    }

    fn flops(&self) -> u64 {
        (5 * self.0.batch * self.0.classes) as u64
    }

    /// An exponential has an error of a few units in the last place; a logarithm near 1 has a relative error of 1.2e-5
    /// on lavapipe.
    fn tolerance(&self) -> f64 {
        1e-5
    }

    /// The loss is 0 if the label has all of the probability, and it contains the logarithm of a number near 1.
    fn absolute_tolerance(&self, output: &str) -> f64 {
        if output == "loss" { LOG_TOLERANCE } else { 0.0 }
    }

    /// Logits from equal to so different that an exponential would overflow without subtracting the maximum; some are
    /// equal.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let CrossEntropy { batch, classes } = self.0;
        let logits: Vec<f32> = (0..batch)
            .flat_map(|n| {
                let steepness = [0.5, 4.0, 30.0, 200.0][n % 4];
                (0..classes).map(|_| (random.uniform(-1.0, 1.0) * 8.0).round() / 8.0 * steepness).collect::<Vec<_>>()
            })
            .collect();
        vec![
            HostTensor::from_f32([batch, classes], &logits),
            self.0.test_labels(random),
            HostTensor::zeros(F32, [batch, classes].into()),
            HostTensor::zeros(F32, [batch].into()),
            HostTensor::zeros(U32, [batch].into()),
        ]
    }
}

/// `probability`, `label` to `logits_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CrossEntropyBackward(pub CrossEntropy);

impl Op for CrossEntropyBackward {
    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let CrossEntropy { batch, classes } = self.0;
        vec![
            Operand::read("probability", F32, [batch, classes]),
            Operand::read("label", U32, [batch]),
            Operand::write("logits_grad", F32, [batch, classes]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("cross_entropy_backward": "shared/linear", "shared/classes", "shared/grad_divisors_f32", "shared/logits_grad", "cross_entropy_backward");
        vec![Variant::linear(shader, self.0.batch * self.0.classes, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let CrossEntropy { batch, classes } = self.0;
        let [probability, label, logits_grad] = tensors else { unreachable!("three operands") };
        for (i, (grad, &probability)) in logits_grad.f32_mut().iter_mut().zip(probability.f32()).enumerate() {
            let label = label.u32()[i / classes] as usize;
            let wanted = if i % classes == label { 1.0 } else { 0.0 };
            *grad = if label < classes { ((f64::from(probability) - wanted) / batch as f64) as f32 } else { 0.0 };
        }
    }

    fn flops(&self) -> u64 {
        (2 * self.0.batch * self.0.classes) as u64
    }

    /// A subtraction and a division, which WGSL allows to be off by 2.5 units in the last place.
    fn tolerance(&self) -> f64 {
        4.0 * f64::from(f32::EPSILON)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let CrossEntropy { batch, classes } = self.0;
        let probability: Vec<f32> = (0..batch * classes).map(|_| random.uniform(0.0, 1.0)).collect();
        vec![
            HostTensor::from_f32([batch, classes], &probability),
            self.0.test_labels(random),
            HostTensor::zeros(F32, [batch, classes].into()),
        ]
    }
}
