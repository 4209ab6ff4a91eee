//! Lowers a model to fused ops: blocks of a convolution, ReLU and max-pooling, then dense layers, the last with its loss.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::builder::Builder;
use super::{Call, Optimizer, Parameter, Plan, Precision, TensorId, TensorSpec};
use crate::layers::{Conv, Dropout, Pattern, Pool, random_key};
use crate::model::{Model, PlacedLayer};
use crate::op::Operand;
use crate::ops::batch::{MetricsAppend, StepFinish};
use crate::ops::conv_relu_pool::{
    ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward,
};
use crate::ops::dense::{Dense, DenseBackward, DenseCrossEntropyForward, DenseForward};
use crate::ops::dropout::DropoutApply;
use crate::ops::half::ParameterCopyF16;
use crate::ops::layout::to_outputs_last;
use crate::ops::optimizer::{AdamUpdate, SgdUpdate};
use crate::ops::optimizer_step::{AdamStep, Segment, Segments, SgdStep};
use crate::tensor::DType::{self, F16, F32, U32};

/// The largest window whose indices, and one more code, fit into a byte.
const MAX_POOL: usize = 15;

/// The copy of all parameters in 16-bit floats, and the suffix of each parameter's copy.
const COPY: &str = "f16";

/// Layers that one op computes, with the name of the first layer and the name of their output.
pub(super) struct Block {
    layer: String,
    output: String,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    ConvReluPool(ConvReluPool),
    DenseRelu(Dense),
    DenseCrossEntropy(Dense),
    Dropout(DropoutApply),
}

impl Kind {
    /// Partial sums of the gradients of its weight and its bias, if it has any.
    fn chunks(&self) -> Option<usize> {
        match self {
            Self::ConvReluPool(conv) => Some(conv.chunks()),
            Self::DenseRelu(_) | Self::DenseCrossEntropy(_) => Some(1),
            Self::Dropout(_) => None,
        }
    }
}

impl Builder<'_> {
    /// The blocks of the model.
    ///
    /// # Errors
    /// If a layer belongs to no block; the error says which one and why.
    pub(super) fn blocks(&self) -> Result<Vec<Block>, String> {
        let mut blocks: Vec<Block> = Vec::new();
        let layers = self.model.layers();
        let mut place = 0;
        let batch = self.config.batch;
        while let Some(first) = layers.get(place) {
            let next = layers.get(place + 1).map(|placed| placed.layer.pattern());
            let (kind, used) = match first.layer.pattern() {
                Pattern::Flatten => {
                    place += 1;
                    continue;
                }
                Pattern::Conv(conv) => {
                    let pool = pool_behind_conv(layers, place)?;
                    (Kind::ConvReluPool(ConvReluPool { conv: conv.sizes(batch, &first.input), pool }), 3)
                }
                Pattern::Other => return Err(ended(layers, place, "there is no fused op for it")),
                // Only a first convolution needs no gradient of its input.
                _ if blocks.is_empty() => return Err(ended(layers, place, "fused ops begin with a convolution")),
                Pattern::Dense(dense) if next == Some(Pattern::Relu) => {
                    (Kind::DenseRelu(dense.sizes(batch, &first.input)), 2)
                }
                Pattern::Dense(dense) if next.is_none() => {
                    (Kind::DenseCrossEntropy(dense.sizes(batch, &first.input)), 1)
                }
                Pattern::Dense(_) => {
                    return Err(ended(layers, place + 1, "a dense layer is fused with the `relu` right after it"));
                }
                Pattern::Dropout(Dropout { rate }) => {
                    let length = batch * first.input.iter().product::<usize>();
                    let layer = random_key(&first.name, first.number);
                    (Kind::Dropout(DropoutApply { length, rate, layer }), 1)
                }
                Pattern::Relu | Pattern::Pool(_) => {
                    return Err(ended(layers, place, "it is fused only right after a layer with weights"));
                }
            };
            place += used;
            let output = format!("{}.output", layers[place - 1].name);
            blocks.push(Block { layer: first.name.clone(), output, kind });
        }
        if !matches!(blocks.last(), Some(Block { kind: Kind::DenseCrossEntropy(_), .. })) {
            return Err(ended(layers, layers.len() - 1, "the loss is fused with a dense layer right before it"));
        }
        Ok(blocks)
    }

    /// The plan of fused ops.
    ///
    /// # Errors
    /// If half precision is requested and a block has an odd number of outputs.
    pub(super) fn build_fused(mut self, blocks: &[Block]) -> Result<Plan> {
        if self.config.form.precision == Precision::F16 {
            ensure_even(blocks)?;
        }
        let parameters = self.place_parameters(blocks);
        self.forward_fused(blocks, false);
        self.finish_fused();
        let evaluate: Vec<Call> = self.take_calls();
        if let Some(optimizer) = self.config.optimizer {
            self.forward_fused(blocks, true);
            self.backward_fused(blocks);
            self.update_fused(blocks, optimizer);
            self.finish_fused();
        }
        Ok(self.into_plan(evaluate, parameters))
    }

    /// The parameters' lengths and partial sums, in the model's order.
    fn segments(&self, blocks: &[Block]) -> Segments {
        let chunks = blocks.iter().filter_map(|block| block.kind.chunks()).flat_map(|chunks| [chunks; 2]);
        let lengths = self.model.parameters().into_iter().map(|(_, shape)| shape.len());
        Segments(lengths.zip(chunks).map(|(length, chunks)| Segment { length, chunks }).collect())
    }

    /// Assigns each parameter, and its gradient if there is an optimizer, its offset among all.
    fn place_parameters(&mut self, blocks: &[Block]) -> Vec<Parameter> {
        let trains = self.config.optimizer.is_some();
        let segments = self.segments(blocks);
        let starts = segments.starts();
        let [all_parameters, all_gradients] = starts[segments.0.len()];
        let parameters = self.tensor("parameters", &Operand::read("parameter", F32, [all_parameters]));
        let gradients = trains.then(|| self.tensor("gradients", &Operand::read("gradient", F32, [all_gradients])));
        if self.config.form.precision == Precision::F16 {
            let copy = self.tensor(COPY, &Operand::read("copy", U32, [all_parameters / 2]));
            for ((name, shape), [start, _]) in self.model.parameters().into_iter().zip(&starts) {
                self.part(format!("{name}.{COPY}"), F16, shape.len(), copy, start / 2);
            }
        }
        let named = self.model.parameters().into_iter().zip(orders(self.model));
        let placed = named.zip(segments.0).zip(starts);
        placed
            .map(|((((name, shape), order), Segment { length, chunks }), [start, gradient_start])| Parameter {
                tensor: self.part(name.clone(), F32, length, parameters, start),
                gradient: gradients.map(|gradients| {
                    self.part(format!("{name}.grad"), F32, chunks * length, gradients, gradient_start)
                }),
                shape,
                order,
            })
            .collect()
    }

    /// A tensor of `length` elements in the memory of another one, from a word on.
    fn part(&mut self, name: String, dtype: DType, length: usize, of: TensorId, start: usize) -> TensorId {
        let id = TensorId(self.tensors.len());
        self.by_name.insert(name.clone(), id);
        self.tensors.push(TensorSpec {
            name,
            dtype,
            shape: [length].into(),
            part_of: Some((of, start)),
            initial: None,
        });
        id
    }

    /// The name of a layer's weights in the precision of products.
    fn weight(&self, layer: &str) -> String {
        match self.config.form.precision {
            Precision::F32 => format!("{layer}.weight"),
            Precision::F16 => format!("{layer}.weight.{COPY}"),
        }
    }

    fn forward_fused(&mut self, blocks: &[Block], trains: bool) {
        self.gather();
        if self.config.form.precision == Precision::F16 {
            let length = 2 * self.tensors[self.by_name[COPY].0].shape.len();
            self.call(ParameterCopyF16 { length }, &["parameters", COPY]);
        }
        let mut input = "batch".to_owned();
        for Block { layer, output, kind } in blocks {
            self.layer.clone_from(layer);
            let own = |kind: &str| format!("{layer}.{kind}");
            let (weight, bias) = (self.weight(layer), own("bias"));
            match *kind {
                Kind::ConvReluPool(conv) => {
                    self.call_in_precision(
                        ConvReluPoolForward(conv),
                        &[&input, &weight, &bias, output, &own("argmax")],
                    );
                }
                Kind::DenseRelu(dense) => {
                    self.call_in_precision(
                        DenseForward { dense, negative_slope: 0.0 },
                        &[&input, &weight, &bias, output],
                    );
                }
                Kind::DenseCrossEntropy(dense) => self.call_in_precision(
                    DenseCrossEntropyForward { dense, label_smoothing: 0.0 },
                    &[&input, &weight, &bias, "label", "probability", &format!("{output}.grad"), "loss", "hit"],
                ),
                Kind::Dropout(dropout) if trains => self.call_in_precision(dropout, &[&input, "clock", output]),
                Kind::Dropout(_) => continue,
            }
            input.clone_from(output);
        }
    }

    fn backward_fused(&mut self, blocks: &[Block]) {
        for (index, Block { layer, output, kind }) in blocks.iter().enumerate().rev() {
            self.layer.clone_from(layer);
            let own = |kind: &str| format!("{layer}.{kind}");
            let input = index.checked_sub(1).map_or("batch", |before| &blocks[before].output);
            let (output_grad, input_grad) = (format!("{output}.grad"), format!("{input}.grad"));
            let (weight_grad, bias_grad) = (own("weight.grad"), own("bias.grad"));
            match *kind {
                Kind::ConvReluPool(conv) => {
                    let argmax = own("argmax");
                    self.call_in_precision(
                        ConvReluPoolBackwardWeight(conv),
                        &[input, &output_grad, &argmax, &weight_grad, &bias_grad],
                    );
                    if index > 0 {
                        let op = ConvReluPoolBackwardInput(conv);
                        self.call_in_precision(op, &[&output_grad, &argmax, &self.weight(layer), &input_grad]);
                    }
                }
                Kind::DenseRelu(dense) | Kind::DenseCrossEntropy(dense) => self.call_in_precision(
                    DenseBackward { dense, negative_slope: 0.0 },
                    &[input, &output_grad, &self.weight(layer), &weight_grad, &bias_grad, &input_grad],
                ),
                Kind::Dropout(dropout) => self.call_in_precision(dropout, &[&output_grad, "clock", &input_grad]),
            }
        }
    }

    fn update_fused(&mut self, blocks: &[Block], optimizer: Optimizer) {
        let (segments, steps) = (self.segments(blocks), self.config.steps);
        let table = segments.blocks();
        self.layer = "all".to_owned();
        // The op reads each parameter's length from the table.
        let length = 0;
        match optimizer {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                let update = SgdUpdate { length, steps, momentum, nesterov, weight_decay };
                let tensors = ["parameters", "gradients", "velocity", "blocks", "schedule", "clock"];
                self.call(SgdStep { segments, update }, &tensors);
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay, decoupled } => {
                let update = AdamUpdate { length, steps, beta1, beta2, epsilon, weight_decay, decoupled };
                let moments = ["first_moment", "second_moment"];
                let tensors = [&["parameters", "gradients"], &moments[..], &["blocks", "schedule", "clock"]].concat();
                self.call(AdamStep { segments, update }, &tensors);
            }
        }
        let place = self.by_name["blocks"];
        self.tensors[place.0].initial = Some(table.words().into());
    }

    fn finish_fused(&mut self) {
        self.layer = "data".to_owned();
        let metrics = MetricsAppend { batch: self.config.batch, rows: self.config.batches };
        self.call(StepFinish(metrics), &["loss", "hit", "clock", "history"]);
    }
}

/// The window of the pooling that is fused with a convolution and its ReLU. ReLU and pooling may be swapped.
fn pool_behind_conv(layers: &[PlacedLayer], conv: usize) -> Result<usize, String> {
    const WANTED: &str = "a convolution is fused with the `relu` and the `pool` right after it";
    let (mut relu, mut pool) = (false, None);
    for place in [conv + 1, conv + 2] {
        match layers.get(place).map(|placed| placed.layer.pattern()) {
            Some(Pattern::Relu) if !relu => relu = true,
            Some(Pattern::Pool(Pool { size })) if pool.is_none() && size <= MAX_POOL => pool = Some(size),
            Some(Pattern::Pool(Pool { size })) if size > MAX_POOL => {
                return Err(ended(
                    layers,
                    place,
                    &format!("windows of fused ops have at most {MAX_POOL} rows and columns"),
                ));
            }
            _ => return Err(ended(layers, place, WANTED)),
        }
    }
    pool.ok_or_else(|| ended(layers, conv, WANTED))
}

/// The message about the layer at which fusing ended.
fn ended(layers: &[PlacedLayer], place: usize, why: &str) -> String {
    let layer = layers.get(place).map_or_else(String::new, |placed| format!(" (`{}`, {})", placed.layer, placed.name));
    format!("layer {}{layer} ends fusing: {why}", place + 1)
}

/// Refuses layers whose neighbouring channels or outputs cannot share words of two 16-bit floats.
fn ensure_even(blocks: &[Block]) -> Result<()> {
    for Block { layer, kind, .. } in blocks {
        let (neighbours, what) = match kind {
            Kind::ConvReluPool(block) => (block.conv.out_channels, "channels"),
            Kind::DenseRelu(dense) | Kind::DenseCrossEntropy(dense) => (dense.outputs, "outputs"),
            Kind::Dropout(_) => continue,
        };
        ensure!(
            neighbours.is_multiple_of(2),
            "layer {layer}: half precision stores two neighbouring {what} in a word, but {neighbours} is odd; make it \
             even, or leave --precision out"
        );
    }
    Ok(())
}

/// For each parameter, the index in the model's order of each of its elements in the order of fused ops.
///
/// A dense layer over a map is a convolution as large as the map, so that one rule serves both.
fn orders(model: &Model) -> Vec<Option<Arc<[u32]>>> {
    let mut map: Vec<usize> = vec![];
    let mut orders = Vec::new();
    for PlacedLayer { layer, input, output, .. } in model.layers() {
        let extents = match (layer.pattern(), &input[..], &map[..]) {
            (Pattern::Conv(Conv { channels, kernel, .. }), [in_channels, ..], _) => {
                [channels, *in_channels, kernel, kernel]
            }
            (Pattern::Dense(dense), _, [channels, height, width]) => [dense.outputs, *channels, *height, *width],
            (Pattern::Dense(dense), [inputs], _) => [dense.outputs, *inputs, 1, 1],
            (Pattern::Flatten, ..) => {
                map.clone_from(input);
                continue;
            }
            _ => continue,
        };
        // The output of a dense layer is not a map.
        if output.len() == 1 {
            map.clear();
        }
        let places: Vec<u32> = (0..extents.iter().product::<usize>() as u32).collect();
        orders.extend([Some(to_outputs_last(&places, extents).into()), None]);
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanConfig;

    /// The plan's message about the layer at which fusing ended.
    fn unfused(model: &str) -> Option<String> {
        let model: Model = model.parse().unwrap();
        Plan::new(&model, PlanConfig::for_mnist(4, None)).unwrap().unfused
    }

    #[test]
    fn the_layer_at_which_fusing_ended_is_named() {
        for (model, wanted) in [
            ("flatten, dense 10", "layer 2 (`dense 10`, dense1) ends fusing: fused ops begin with a convolution"),
            (
                "conv 4x3, dropout 0.2, relu, pool 2, flatten, dense 10",
                "layer 2 (`dropout 0.2`, dropout1) ends fusing: a conv",
            ),
            (
                "conv 4x3, relu, dropout 0.2, pool 2, flatten, dense 10",
                "layer 3 (`dropout 0.2`, dropout1) ends fusing: a conv",
            ),
            (
                "conv 4x3, relu, pool 2, relu, flatten, dense 10",
                "layer 4 (`relu`, relu2) ends fusing: it is fused only",
            ),
            (
                "conv 4x3, leaky 0.1, pool 2, flatten, dense 10",
                "layer 2 (`leaky 0.1`, leaky1) ends fusing: a convolution is fused with the `relu`",
            ),
            (
                "avg 2, conv 4x3, relu, pool 2, flatten, dense 10",
                "layer 1 (`avg 2`, avg1) ends fusing: there is no fused op",
            ),
            ("conv 10x3, relu, pool 26, flatten", "layer 3 (`pool 26`, pool1) ends fusing: windows"),
            (
                "conv 10x13, relu, pool 15, conv 10x1, relu, pool 1, flatten",
                "layer 7 (`flatten`, flatten1) ends fusing: the loss",
            ),
            ("conv 4x3, relu, pool 16, flatten, dense 10", "layer 3 (`pool 16`, pool1) ends fusing: windows"),
            (
                "conv 4x3, relu, pool 2, flatten, dense 8, dropout 0.5, dense 10",
                "layer 6 (`dropout 0.5`, dropout1) ends fusing: a dense",
            ),
        ] {
            let unfused = unfused(model).expect("it cannot be fused");
            assert!(unfused.starts_with(wanted), "{model}: {unfused}");
        }
        for model in ["convnet", "lenet5", "speedrun", "conv 4x3, relu, pool 2, flatten, dropout 0.5, dense 10"] {
            assert_eq!(unfused(model), None, "{model}");
        }
    }
}
