//! What a layer says about its calls: ops, and the names of the tensors that they are applied to.

use std::sync::Arc;

use crate::op::Op;
use crate::ops::reduce::ChunkSum;

/// An op and the names of its tensors, in the op's order.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) op: Arc<dyn Op>,
    pub(crate) tensors: Vec<String>,
}

/// Records the calls of one layer, forward or backward, for a batch.
///
/// The tensors of a call follow from the names of the op's operands:
///
/// | operand | tensor |
/// |---|---|
/// | `input`, `output` | the layer's input and output |
/// | `clock` | step, position and seed, see [`crate::ops::batch`] |
/// | `X` | the layer's own tensor, a parameter or a value that its backward pass reads: `conv1.X` |
/// | `X_grad` | the gradient of `X` |
/// | `X_partial` | partial sums of `X` along the first axis; a call that adds them up follows |
///
/// A call that only writes a gradient that nothing reads, such as that of the images, is left out.
#[derive(Debug)]
pub struct Recorder<'a> {
    pub(crate) layer: &'a str,
    pub(crate) number: usize,
    pub(crate) batch: usize,
    pub(crate) shape: &'a [usize],
    pub(crate) trains: bool,
    /// The names of input and output.
    pub(crate) ends: [&'a str; 2],
    pub(crate) needs_input_grad: bool,
    pub(crate) calls: Vec<Recorded>,
}

impl Recorder<'_> {
    /// Samples of a batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The shape of the layer's input for one sample.
    pub fn input(&self) -> &[usize] {
        self.shape
    }

    /// Elements of the layer's input for the batch.
    pub fn length(&self) -> usize {
        self.batch * self.shape.iter().product::<usize>()
    }

    /// The layer's number among those of its word, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// A key for random numbers, such as those of [`DropoutApply`](crate::ops::dropout::DropoutApply), that no other layer of
    /// the model has.
    pub fn random_key(&self) -> usize {
        random_key(self.layer, self.number)
    }

    /// Whether the step trains; otherwise it evaluates.
    pub fn trains(&self) -> bool {
        self.trains
    }

    /// Records a call of an op.
    pub fn call(&mut self, op: impl Op + 'static) {
        self.call_with(op, &[]);
    }

    /// Records a call of an op whose operands have other names here, as pairs: the operand's name, and the name by which
    /// its tensor is found.
    pub fn call_with(&mut self, op: impl Op + 'static, names: &[(&str, &str)]) {
        let operands = op.operands();
        let named =
            |operand: &'static str| names.iter().find(|(name, _)| *name == operand).map_or(operand, |pair| pair.1);
        let mut written = operands.iter().filter(|operand| operand.is_written()).map(|operand| named(operand.name));
        if !self.needs_input_grad && written.all(|name| name == "input_grad") {
            return;
        }
        let mut sums = Vec::new();
        let mut tensors = Vec::new();
        for operand in &operands {
            let name = named(operand.name);
            tensors.push(match name.strip_suffix("_partial") {
                Some(sum) if operand.is_written() => {
                    let (sum, chunks) = (self.tensor(sum), operand.shape.extents()[0]);
                    if chunks == 1 {
                        sum
                    } else {
                        let partial = format!("{sum}.partial");
                        let op = Arc::new(ChunkSum { chunks, length: operand.shape.len() / chunks });
                        sums.push(Recorded { op, tensors: vec![partial.clone(), sum] });
                        partial
                    }
                }
                _ => self.tensor(name),
            });
        }
        self.calls.push(Recorded { op: Arc::new(op), tensors });
        self.calls.append(&mut sums);
    }

    /// The name of the tensor for an operand.
    fn tensor(&self, operand: &str) -> String {
        match (operand, operand.strip_suffix("_grad")) {
            ("input", _) => self.ends[0].to_owned(),
            ("output", _) => self.ends[1].to_owned(),
            ("clock", _) => "clock".to_owned(),
            (_, Some(of)) => format!("{}.grad", self.tensor(of)),
            (own, None) => format!("{}.{own}", self.layer),
        }
    }
}

/// The key of a layer's random numbers: for `dropout3` the number, for other words a hash of the name, which is larger than
/// any number of a layer.
pub(crate) fn random_key(layer: &str, number: usize) -> usize {
    if layer == format!("dropout{number}") {
        return number;
    }
    // 32-bit FNV-1a.
    let hash = layer.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash | 1 << 31) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Conv, Dropout, Layer};

    fn recorded(layer: &dyn Layer, needs_input_grad: bool) -> Vec<String> {
        let mut step = Recorder {
            layer: "x1",
            number: 1,
            batch: 2,
            shape: &[3, 5, 5],
            trains: true,
            ends: ["before.output", "x1.output"],
            needs_input_grad,
            calls: vec![],
        };
        layer.backward(&mut step);
        let line = |call: &Recorded| format!("{} {}", call.op.name(), call.tensors.join(" "));
        step.calls.iter().map(line).collect()
    }

    #[test]
    fn tensors_are_found_by_the_names_of_the_operands() {
        assert_eq!(
            recorded(&Conv { channels: 4, kernel: 3, stride: 1, same: false }, true),
            [
                "conv2d_backward_weight before.output x1.output.grad x1.weight.grad.partial x1.bias.grad.partial",
                "chunk_sum x1.weight.grad.partial x1.weight.grad",
                "chunk_sum x1.bias.grad.partial x1.bias.grad",
                "conv2d_backward_input x1.output.grad x1.weight before.output before.output.grad",
            ]
        );
        assert_eq!(recorded(&Dropout { rate: 0.5 }, true), ["dropout_apply x1.output.grad clock before.output.grad"]);
    }

    #[test]
    fn a_call_that_only_writes_a_gradient_that_nothing_reads_is_left_out() {
        let calls = recorded(&Conv { channels: 4, kernel: 3, stride: 1, same: false }, false);
        assert_eq!(calls.len(), 3);
        assert!(calls.iter().all(|call| !call.contains("before.output.grad")), "{calls:?}");
    }

    #[test]
    fn layers_of_different_words_have_random_numbers_of_their_own() {
        assert_eq!(random_key("dropout3", 3), 3, "as in files and results of older versions");
        let keys = ["noise1", "noise2", "dropouts1"].map(|name| random_key(name, 1));
        assert!(keys.iter().all(|&key| key > 1_000 && u32::try_from(key).is_ok()), "{keys:?}");
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2], "{keys:?}");
    }
}
