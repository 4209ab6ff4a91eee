//! What a layer says about its calls: ops, and the names of the tensors that they are applied to.

use std::sync::Arc;

use super::{Layer, PlacedLayer};
use crate::op::{Op, Operand};

/// An op, the names of its tensors in the op's order, and the layer that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) op: Arc<dyn Op>,
    pub(crate) tensors: Vec<String>,
    pub(crate) layer: String,
}

impl Recorded {
    /// Whether a tensor is one of its operands.
    pub(crate) fn uses(&self, tensor: &str) -> bool {
        self.tensors.iter().any(|name| name == tensor)
    }

    /// The operand by which it writes a tensor, if it does.
    pub(crate) fn written(&self, tensor: &str) -> Option<Operand> {
        self.operand(tensor, |_, operand| operand.is_written())
    }

    /// Whether it needs what a tensor holds.
    pub(crate) fn needs(&self, tensor: &str) -> bool {
        self.operand(tensor, |op, operand| !op.leaves_unread(operand.name)).is_some()
    }

    fn operand(&self, tensor: &str, is_it: impl Fn(&dyn Op, &Operand) -> bool) -> Option<Operand> {
        // Most calls do not have it, and lists of operands are made anew each time.
        let operands = if self.uses(tensor) { self.op.operands() } else { vec![] };
        let mut found = operands.into_iter().zip(&self.tensors);
        found.find(|(operand, name)| *name == tensor && is_it(self.op.as_ref(), operand)).map(|(operand, _)| operand)
    }

    /// The same on another tensor instead of one.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for name in self.tensors.iter_mut().filter(|name| *name == from) {
            to.clone_into(name);
        }
    }
}

/// Records the calls of one layer, forward or backward, for a batch.
///
/// The tensors of a call follow from the names of the op's operands:
///
/// | operand | tensor |
/// |---|---|
/// | `input`, `output` | the layer's input and output |
/// | `clock` | step, position, seed and fault, see [`crate::ops::batch`] |
/// | `X` | the layer's own tensor, a parameter or a value that its backward pass reads: `conv1.X` |
/// | `X_grad` | the gradient of `X` |
/// | `X_grad_partial` | partial sums of the gradient of a parameter, along the first axis; the optimizer adds them up |
///
/// A call that only writes gradients that nothing reads, such as those of the images or of frozen parameters, is left out.
#[derive(Debug)]
pub struct Recorder<'a> {
    pub(crate) layer: String,
    pub(crate) number: usize,
    pub(crate) batch: usize,
    pub(crate) shape: &'a [usize],
    pub(crate) trains: bool,
    pub(crate) frozen: bool,
    pub(crate) ends: Ends,
    pub(crate) needs_input_grad: bool,
    pub(crate) calls: Vec<Recorded>,
}

/// The names of a layer's input and output, and of their gradients.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) input_grad: String,
    pub(crate) output_grad: String,
}

impl Ends {
    /// Two tensors whose gradients are named after them.
    pub(crate) fn new(input: impl Into<String>, output: impl Into<String>) -> Self {
        let (input, output) = (input.into(), output.into());
        Self { input_grad: format!("{input}.grad"), output_grad: format!("{output}.grad"), input, output }
    }
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

    /// A key for random numbers, such as those of [`DropoutApply`](crate::ops::dropout::DropoutApply), that no other
    /// layer of the model has.
    pub fn random_key(&self) -> usize {
        random_key(&self.layer, self.number)
    }

    /// Whether the step trains; otherwise it evaluates.
    pub fn trains(&self) -> bool {
        self.trains
    }

    /// Whether training leaves the layer's parameters and its state as they are.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Records a call of an op.
    pub fn call(&mut self, op: impl Op + 'static) {
        self.call_with(op, &[]);
    }

    /// Records a call of an op whose operands have other names here, as pairs: the operand's name, and the name by
    /// which its tensor is found.
    pub fn call_with(&mut self, op: impl Op + 'static, names: &[(&str, &str)]) {
        let operands = op.operands();
        let named =
            |operand: &'static str| names.iter().find(|(name, _)| *name == operand).map_or(operand, |pair| pair.1);
        let mut written = operands.iter().filter(|operand| operand.is_written()).map(|operand| named(operand.name));
        let is_unread = |name: &str| match name {
            "input_grad" => !self.needs_input_grad,
            own => self.frozen && own.strip_suffix("_partial").unwrap_or(own).ends_with("_grad"),
        };
        if written.all(is_unread) {
            return;
        }
        let tensors: Vec<String> = operands.iter().map(|operand| self.tensor(named(operand.name))).collect();
        self.call_on(op, tensors);
    }

    /// Records a call of an op on the tensors with these names.
    pub(crate) fn call_on(&mut self, op: impl Op, tensors: impl Into<Vec<String>>) {
        self.calls.push(Recorded { op: Arc::new(op), tensors: tensors.into(), layer: self.layer.clone() });
    }

    /// The name of the tensor for an operand.
    fn tensor(&self, operand: &str) -> String {
        let operand = operand.strip_suffix("_partial").filter(|of| of.ends_with("_grad")).unwrap_or(operand);
        match operand {
            "input" => self.ends.input.clone(),
            "output" => self.ends.output.clone(),
            "input_grad" => self.ends.input_grad.clone(),
            "output_grad" => self.ends.output_grad.clone(),
            "clock" => "clock".to_owned(),
            own => match own.strip_suffix("_grad") {
                Some(of) => format!("{}.{of}.grad", self.layer),
                None => format!("{}.{own}", self.layer),
            },
        }
    }

    /// Records layers forward, one after the other, from this recorder's input on. Returns the name of each one's
    /// input, and of the last one's output.
    pub(crate) fn forward(&mut self, layers: &[PlacedLayer]) -> Vec<String> {
        let mut names = vec![self.ends.input.clone()];
        for (place, placed) in layers.iter().enumerate() {
            let (input, output) = (names[place].clone(), self.within(&format!("{}.output", placed.name)));
            let calls =
                self.record(placed, Ends::new(input.clone(), output.clone()), true, |layer, step| layer.forward(step));
            // A layer without a call, such as flatten, hands its input on.
            names.push(if calls == 0 { input } else { output });
        }
        names
    }

    /// What [`Self::forward`] returns for these layers.
    pub(crate) fn names(&self, layers: &[PlacedLayer]) -> Vec<String> {
        let (layer, ends) = (self.layer.clone(), self.ends.clone());
        Recorder { layer, ends, calls: vec![], ..*self }.forward(layers)
    }

    /// Records the same layers backward, from the gradient of this recorder's output to that of its input; `names` are
    /// those that [`Self::forward`] has returned.
    pub(crate) fn backward(&mut self, layers: &[PlacedLayer], names: &[String]) {
        // Without that of the input, no gradient is needed before the first layer whose parameters are trained.
        let first = layers.iter().position(PlacedLayer::is_trained).unwrap_or(0);
        let first = if self.needs_input_grad { 0 } else { first };
        let grad = |name: &String, ends: &Ends| match name {
            _ if Some(name) == names.last() => ends.output_grad.clone(),
            _ if Some(name) == names.first() => ends.input_grad.clone(),
            _ => format!("{name}.grad"),
        };
        for (place, placed) in layers.iter().enumerate().skip(first).rev() {
            let [input, output] = [&names[place], &names[place + 1]];
            let ends = Ends {
                input_grad: grad(input, &self.ends),
                output_grad: grad(output, &self.ends),
                ..Ends::new(input, output)
            };
            let needs_input_grad = self.needs_input_grad || place > first;
            self.record(placed, ends, needs_input_grad, |layer, step| layer.backward(step));
        }
    }

    /// Records the calls of a layer within this one, and returns how many they are.
    pub(crate) fn record(
        &mut self,
        placed: &PlacedLayer,
        ends: Ends,
        needs_input_grad: bool,
        record: impl Fn(&dyn Layer, &mut Recorder<'_>),
    ) -> usize {
        let mut step = Recorder {
            layer: self.within(&placed.name),
            number: placed.number,
            batch: self.batch,
            shape: &placed.input,
            trains: self.trains,
            frozen: self.frozen || placed.frozen,
            ends,
            needs_input_grad,
            calls: vec![],
        };
        record(placed.layer.as_ref(), &mut step);
        let count = step.calls.len();
        self.calls.append(&mut step.calls);
        count
    }

    /// The full name of something within this layer, or of the model's own.
    pub(crate) fn within(&self, name: &str) -> String {
        if self.layer.is_empty() { name.to_owned() } else { format!("{}.{name}", self.layer) }
    }
}

/// The key of a layer's random numbers: for `dropout3` the number, for other words a hash of the name, which is larger
/// than any number of a layer.
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

    fn recorded(layer: &dyn Layer, needs_input_grad: bool, frozen: bool) -> Vec<String> {
        let mut step = Recorder {
            layer: "x1".to_owned(),
            number: 1,
            batch: 2,
            shape: &[3, 5, 5],
            trains: true,
            frozen,
            ends: Ends::new("before.output", "x1.output"),
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
            recorded(&Conv { channels: 4, kernel: 3, stride: 1, same: false }, true, false),
            [
                "conv2d_backward_weight before.output x1.output.grad x1.weight.grad x1.bias.grad",
                "conv2d_backward_input x1.output.grad x1.weight before.output before.output.grad",
            ]
        );
        assert_eq!(
            recorded(&Dropout { rate: 0.5 }, true, false),
            ["dropout_apply x1.output.grad clock before.output.grad"]
        );
    }

    #[test]
    fn a_call_that_only_writes_a_gradient_that_nothing_reads_is_left_out() {
        let calls = recorded(&Conv { channels: 4, kernel: 3, stride: 1, same: false }, false, false);
        assert_eq!(calls.len(), 1);
        assert!(calls.iter().all(|call| !call.contains("before.output.grad")), "{calls:?}");
    }

    #[test]
    fn a_frozen_layer_only_hands_the_gradient_on() {
        let conv = Conv { channels: 4, kernel: 3, stride: 1, same: false };
        let handed_on = ["conv2d_backward_input x1.output.grad x1.weight before.output before.output.grad"];
        assert_eq!(recorded(&conv, true, true), handed_on);
        assert!(recorded(&conv, false, true).is_empty());
    }

    #[test]
    fn layers_of_different_words_have_random_numbers_of_their_own() {
        assert_eq!(random_key("dropout3", 3), 3, "as in files and results of older versions");
        let keys = ["noise1", "noise2", "dropouts1"].map(|name| random_key(name, 1));
        assert!(keys.iter().all(|&key| key > 1_000 && u32::try_from(key).is_ok()), "{keys:?}");
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2], "{keys:?}");
    }
}
