//! Fusing: rewrites of a list of calls that compute the same with fewer and larger ones. Each rewrite looks at a few
//! calls that follow from each other, and leaves all others alone.
//!
//! * A rectifier becomes a part of the call that writes its input; its gradient one of the call that writes the gradient of
//!   its output ([`Op::rectifying`], [`Op::before_rectifier`]).
//! * Convolution, ReLU and max-pooling, and their gradients, become one op each, where that pays.
//! * A last dense layer and the loss become one op.
//! * In evaluation, a normalisation becomes a part of the weights of the layer before it.

use std::any::Any;
use std::sync::Arc;

use super::Fusion;
use crate::layers::Recorded;
use crate::op::Op;
use crate::ops::conv_relu_pool::{
    ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward,
};
use crate::ops::conv2d::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::dense::{DenseCrossEntropyForward, DenseForward};
use crate::ops::max_pool::{MaxPoolBackward, MaxPoolForward};
use crate::ops::norm::{NormApply, NormFold};
use crate::ops::relu::{ReluBackward, ReluForward};

/// Rewrites the calls of a phase, and says what has become one and what has not. Normalisations are folded on request:
/// there is no copy of folded weights in half precision.
pub(super) fn fuse(calls: &mut Vec<Recorded>, folds_norms: bool) -> Fusion {
    let mut fusion = Fusion::default();
    rectify(calls, &mut fusion);
    if folds_norms {
        fold_norms(calls, &mut fusion);
    }
    pool_convolutions(calls, &mut fusion);
    join_loss(calls, &mut fusion);
    fusion
}

impl Fusion {
    /// Notes that a layer has become a part of another one's call.
    fn merge(&mut self, into: &str, layer: &str) {
        match self.merged.iter_mut().find(|layers| layers.iter().any(|name| name == into)) {
            Some(layers) => layers.push(layer.to_owned()),
            None => self.merged.push(vec![into.to_owned(), layer.to_owned()]),
        }
    }
}

/// The op of a call, if it is of this kind.
fn op<O: Op>(call: &Recorded) -> Option<&O> {
    (call.op.as_ref() as &dyn Any).downcast_ref()
}

/// A call as messages name it: `conv2d_forward` of conv1.
fn describe(call: &Recorded) -> String {
    format!("`{}` of {}", call.op.name(), call.layer)
}

/// The places of the calls that have a tensor as an operand, but one.
fn other_users<'a>(calls: &'a [Recorded], tensor: &'a str, one: usize) -> impl Iterator<Item = usize> + 'a {
    (0..calls.len()).filter(move |&place| place != one && calls[place].uses(tensor))
}

/// The place of the only call that writes a tensor, if one alone of all other calls needs it: that at `reader`.
///
/// # Errors
/// If there is none; the error says why.
fn only_writer(calls: &[Recorded], tensor: &str, reader: usize) -> Result<usize, String> {
    let mut writers = (0..calls.len()).filter(|&place| calls[place].written(tensor).is_some());
    let Some(writer) = writers.next() else { return Err(format!("no call writes `{tensor}`")) };
    match other_users(calls, tensor, reader).find(|&place| place != writer && calls[place].needs(tensor)) {
        Some(other) => Err(format!("{} reads `{tensor}` too", describe(&calls[other]))),
        None => Ok(writer),
    }
}

/// Each rectifier becomes a part of the call that writes its input, and its gradient one of the call that writes the
/// gradient of its output.
fn rectify(calls: &mut Vec<Recorded>, fusion: &mut Fusion) {
    let mut place = 0;
    while place < calls.len() {
        let Recorded { layer, .. } = &calls[place];
        let layer = layer.clone();
        if let Some(&ReluForward { length, negative_slope }) = op(&calls[place]) {
            let rectifying = |op: &dyn Op| op.rectifying(negative_slope);
            match join_writer(calls, place, [0, 1], length, rectifying, "rectify what it writes") {
                Ok(into) => {
                    fusion.merge(&into, &layer);
                    continue;
                }
                Err(why) => fusion.apart.push(format!("{layer}: {why}")),
            }
        } else if let Some(&ReluBackward { length, negative_slope }) = op(&calls[place]) {
            let before_rectifier = |op: &dyn Op| op.before_rectifier(negative_slope);
            match join_writer(calls, place, [1, 2], length, before_rectifier, "take it in") {
                Ok(_) => continue,
                Err(why) => fusion.apart.push(format!("gradient of {layer}: {why}")),
            }
        }
        place += 1;
    }
}

/// Makes the call at a place, from one of its tensors to another, a part of the call that writes the former; returns
/// that one's layer.
///
/// # Errors
/// If that cannot be done; the error says why.
fn join_writer(
    calls: &mut Vec<Recorded>,
    place: usize,
    from_to: [usize; 2],
    length: usize,
    with_it: impl Fn(&dyn Op) -> Option<Arc<dyn Op>>,
    what: &str,
) -> Result<String, String> {
    let [from, to] = from_to.map(|operand| calls[place].tensors[operand].clone());
    let writer = only_writer(calls, &from, place)?;
    let before = &calls[writer];
    // A rectifier of another length than what is written is a mistake, which is found when the plan is made.
    if before.written(&from).is_none_or(|operand| operand.shape.len() != length) {
        return Err(format!("{} does not write {length} elements", describe(before)));
    }
    let op = with_it(before.op.as_ref()).ok_or_else(|| format!("{} cannot {what}", describe(before)))?;
    let layer = before.layer.clone();
    calls[writer].op = op;
    calls.remove(place);
    // Others may have it as an operand that they leave unread.
    calls.iter_mut().for_each(|call| call.rename(&from, &to));
    Ok(layer)
}

/// Convolution, ReLU and max-pooling become one op, and so do their gradients.
fn pool_convolutions(calls: &mut Vec<Recorded>, fusion: &mut Fusion) {
    let mut place = 0;
    while place < calls.len() {
        if let Some(&pooling) = op::<MaxPoolForward>(&calls[place]) {
            let layer = calls[place].layer.clone();
            match pooled_convolution(calls, place, pooling) {
                Ok(convolution) => {
                    fusion.merge(&convolution, &layer);
                    continue;
                }
                Err(why) => fusion.apart.push(format!("{layer}: {why}")),
            }
        }
        place += 1;
    }
}

/// Merges the max-pooling at a place with the convolution before it, forward and backward; returns that one's layer.
///
/// # Errors
/// If that cannot be done, or does not pay; the error says why.
fn pooled_convolution(
    calls: &mut Vec<Recorded>,
    pooling: usize,
    MaxPoolForward { pool, negative_slope: after }: MaxPoolForward,
) -> Result<String, String> {
    let convolution = only_writer(calls, &calls[pooling].tensors[0], pooling)?;
    let Some(&Conv2dForward { conv, negative_slope: before }) = op(&calls[convolution]) else {
        return Err(format!("{} comes before it, and no convolution", describe(&calls[convolution])));
    };
    // ReLU and max-pooling may be swapped.
    if ![[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]].contains(&[before, after]) {
        return Err("there is no ReLU with it and its convolution".to_owned());
    }
    let block = ConvReluPool { conv, pool: pool.size };
    if !block.pays() {
        return Err("for these sizes two calls are faster than one".to_owned());
    }
    let argmax = calls[pooling].tensors[2].clone();
    let unpooling = other_users(calls, &argmax, pooling).find(|&place| op::<MaxPoolBackward>(&calls[place]).is_some());
    let gradients = unpooling.map_or(Ok(vec![]), |place| pooled_gradients(calls, place, block))?;

    let layer = calls[convolution].layer.clone();
    let forward = &mut calls[convolution];
    forward.op = Arc::new(ConvReluPoolForward(block));
    forward.tensors.truncate(3);
    let output = calls[pooling].tensors[1].clone();
    calls[convolution].tensors.extend([output, codes(&argmax)]);
    for (place, gradient) in gradients {
        calls[place] = gradient;
    }
    // The backward calls come after the forward ones.
    unpooling.into_iter().chain([pooling]).for_each(|place| drop(calls.remove(place)));
    Ok(layer)
}

/// The gradients of a convolution whose map's gradient the max-pooling at a place writes, from the gradient of the
/// maxima.
///
/// # Errors
/// If another call reads the map's gradient.
fn pooled_gradients(
    calls: &[Recorded],
    unpooling: usize,
    block: ConvReluPool,
) -> Result<Vec<(usize, Recorded)>, String> {
    let [output_grad, argmax, map_grad] = [1, 2, 3].map(|operand| &calls[unpooling].tensors[operand]);
    let codes = &codes(argmax);
    let gradient = |place: usize| {
        let call = &calls[place];
        let (op, tensors): (Arc<dyn Op>, _) = match (op(call), op(call), &call.tensors[..]) {
            (Some(Conv2dBackwardWeight(_)), _, [input, _, weight_grad, bias_grad]) => {
                (Arc::new(ConvReluPoolBackwardWeight(block)), vec![input, output_grad, codes, weight_grad, bias_grad])
            }
            (_, Some(&Conv2dBackwardInput { negative_slope, .. }), [_, weight, _, input_grad])
                if negative_slope == 1.0 || negative_slope == 0.0 && drops_clipped(calls, place, input_grad) =>
            {
                (Arc::new(ConvReluPoolBackwardInput(block)), vec![output_grad, codes, weight, input_grad])
            }
            _ => return Err(format!("{} reads the gradient of its map", describe(call))),
        };
        Ok((place, Recorded { op, tensors: tensors.into_iter().cloned().collect(), layer: call.layer.clone() }))
    };
    other_users(calls, map_grad, unpooling).map(gradient).collect()
}

/// The tensor of a fused op for the places of maxima. It is another one than that of a max-pooling, which is larger and
/// which the same layer may have in the other phase.
fn codes(argmax: &str) -> String {
    format!("{argmax}.codes")
}

/// Whether all readers of a gradient, which the call at a place writes, leave out what ReLU has clipped: then that call
/// need not.
fn drops_clipped(calls: &[Recorded], writer: usize, grad: &str) -> bool {
    let drops = |call: &Recorded| {
        op::<ConvReluPoolBackwardWeight>(call).is_some() || op::<ConvReluPoolBackwardInput>(call).is_some()
    };
    other_users(calls, grad, writer).map(|place| &calls[place]).all(drops)
}

/// In evaluation, each normalisation by running statistics becomes a part of the weights and biases of the convolution
/// or dense layer before it, which are computed anew at each step, since training changes them.
fn fold_norms(calls: &mut Vec<Recorded>, fusion: &mut Fusion) {
    let mut place = 0;
    while place < calls.len() {
        if let Some(writer) = foldable(calls, place) {
            let Recorded { layer, tensors, .. } = calls.remove(place);
            let [_, mean, variance, norm_weight, norm_bias, output] = &tensors[..] else {
                unreachable!("six operands")
            };
            fusion.merge(&calls[writer.place].layer, &layer);
            let folded = ["folded_weight", "folded_bias"].map(|name| format!("{layer}.{name}"));
            let call = &mut calls[writer.place];
            let [weight, bias] = [1, 2].map(|operand| call.tensors[operand].clone());
            call.op = writer.rectifying;
            call.tensors[1..].clone_from_slice(&[&folded[..], std::slice::from_ref(output)].concat());
            let operands = [&weight, &bias, norm_weight, norm_bias, mean, variance, &folded[0], &folded[1]];
            let tensors = operands.into_iter().cloned().collect();
            calls.insert(writer.place, Recorded { op: Arc::new(writer.fold), tensors, layer });
        }
        place += 1;
    }
}

/// A layer before a normalisation, into whose weights it can be folded.
struct Foldable {
    place: usize,
    fold: NormFold,
    rectifying: Arc<dyn Op>,
}

fn foldable(calls: &[Recorded], place: usize) -> Option<Foldable> {
    let NormApply { norm, negative_slope } = *op(&calls[place])?;
    let [input, mean, ..] = &calls[place].tensors[..] else { return None };
    // In training a call writes the statistics of the batch.
    if calls.iter().any(|call| call.written(mean).is_some()) {
        return None;
    }
    let writer = only_writer(calls, input, place).ok()?;
    let (terms, outputs) = match (op(&calls[writer]), op(&calls[writer])) {
        (Some(&Conv2dForward { conv, negative_slope: 1.0 }), _) => {
            (conv.kernel * conv.kernel * conv.in_channels, conv.out_channels)
        }
        (_, Some(&DenseForward { dense, negative_slope: 1.0 })) => (dense.inputs, dense.outputs),
        _ => return None,
    };
    // Behind `flatten` each element of a map has statistics of its own.
    if norm.channels != outputs {
        return None;
    }
    let before = &calls[writer].op;
    let rectifying = if negative_slope == 1.0 { Some(before.clone()) } else { before.rectifying(negative_slope) };
    Some(Foldable { place: writer, fold: NormFold { terms, outputs }, rectifying: rectifying? })
}

/// A last dense layer and the loss become one op.
fn join_loss(calls: &mut Vec<Recorded>, fusion: &mut Fusion) {
    let Some(loss) = calls.iter().position(|call| op::<CrossEntropy>(call).is_some()) else { return };
    let Some(&CrossEntropy { label_smoothing, .. }) = op(&calls[loss]) else { return };
    let why = match only_writer(calls, &calls[loss].tensors[0], loss) {
        Ok(dense) => match op(&calls[dense]) {
            Some(DenseForward { dense: sizes, .. }) if sizes.outputs > DenseCrossEntropyForward::MOST_OUTPUTS => {
                format!("{} classes are more than a workgroup's memory holds", sizes.outputs)
            }
            Some(&DenseForward { dense: sizes, negative_slope: 1.0 }) => {
                let Recorded { tensors: results, .. } = calls.remove(loss);
                let call = &mut calls[dense];
                call.op = Arc::new(DenseCrossEntropyForward { dense: sizes, label_smoothing });
                call.tensors.truncate(3);
                call.tensors.extend_from_slice(&results[1..]);
                fusion.merge(&call.layer, "loss");
                return;
            }
            _ => format!("{} comes before it, and no dense layer", describe(&calls[dense])),
        },
        Err(why) => why,
    };
    fusion.apart.push(format!("loss: {why}"));
}

#[cfg(test)]
mod tests {
    use crate::model::Model;
    use crate::plan::{Fusion, Optimizer, Phase, Plan, PlanConfig};

    fn plan(model: &str) -> Plan {
        let model: Model = model.parse().unwrap();
        Plan::new(&model, PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false)))).unwrap()
    }

    fn ops(model: &str) -> Vec<&'static str> {
        let plan = plan(model);
        let calls = plan.calls(Phase::Train);
        calls[1..calls.len() - 2].iter().map(|call| call.op.name()).collect()
    }

    #[test]
    fn a_layer_that_is_not_fused_leaves_its_neighbours_fused() {
        assert_eq!(
            ops("avg 2, conv 4x3, relu, dropout 0.2, conv 4x3, leaky 0.1, pool 3, flatten, dense 8, relu, dense 10"),
            [
                "avg_pool_forward",
                "conv2d_forward",
                "dropout_apply",
                "conv2d_forward",
                "max_pool_forward",
                "dense_forward",
                "dense_cross_entropy_forward",
                "dense_backward",
                "dense_backward",
                "max_pool_backward",
                "conv2d_backward_weight",
                "conv2d_backward_input",
                "dropout_apply",
                "relu_backward",
                "conv2d_backward_weight",
            ]
        );
    }

    #[test]
    fn relu_and_pooling_are_fused_in_either_order() {
        for model in ["conv 4x3, relu, pool 2, flatten, dense 10", "conv 4x3, pool 2, relu, flatten, dense 10"] {
            assert_eq!(
                ops(model),
                [
                    "conv_relu_pool_forward",
                    "dense_cross_entropy_forward",
                    "dense_backward",
                    "conv_relu_pool_backward_weight"
                ],
                "{model}"
            );
        }
    }

    #[test]
    fn a_block_that_is_fused_in_evaluation_alone_has_codes_of_its_own() {
        let plan = plan("conv 4x3, relu, dropout 0.2, pool 2, flatten, dense 10");
        let has = |phase, name: &str| plan.calls(phase).iter().any(|call| call.op.name() == name);
        assert!(has(Phase::Evaluate, "conv_relu_pool_forward") && has(Phase::Train, "max_pool_forward"));
    }

    #[test]
    fn what_was_fused_and_why_the_rest_was_not_is_said() {
        let Fusion { merged, apart } = plan("conv 4x3, relu, pool 2, dropout 0.2, relu, flatten, dense 10").fusion;
        assert_eq!(merged, [vec!["conv1", "relu1", "pool1"], vec!["dense1", "loss"]]);
        assert_eq!(apart, ["relu2: `dropout_apply` of dropout1 cannot rectify what it writes",]);
        let apart = |model: &str| plan(model).fusion.apart;
        assert_eq!(
            apart("residual(conv 1x3 same), pool 2, flatten, dense 10"),
            ["pool1: `sum_forward` of residual1 comes before it, and no convolution"]
        );
        assert_eq!(
            apart("conv 4x3, leaky 0.1, pool 2, flatten, dense 10"),
            ["pool1: there is no ReLU with it and its convolution"]
        );
        assert_eq!(
            apart("conv 10x28, relu, residual(conv 10x1), flatten"),
            ["loss: `sum_forward` of residual1 comes before it, and no dense layer"]
        );
    }

    #[test]
    fn a_normalisation_is_folded_in_evaluation_and_not_in_training() {
        let model = "conv 4x3, norm, relu, dropout 0.1, norm, flatten, dense 8, norm, relu, dense 10";
        assert!(ops(model).contains(&"norm_apply"));
        let plan = plan(model);
        let names: Vec<_> = plan.calls(Phase::Evaluate).iter().map(|call| call.op.name()).collect();
        assert_eq!(
            names[1..names.len() - 1],
            ["norm_fold", "conv2d_forward", "norm_apply", "norm_fold", "dense_forward", "dense_cross_entropy_forward"]
        );
    }

    #[test]
    fn a_rectifier_whose_input_has_another_reader_stays() {
        let Fusion { apart, .. } = plan("conv 4x3, residual(relu, conv 4x3 same), flatten, dense 10").fusion;
        assert_eq!(apart, ["residual1.relu1: `sum_forward` of residual1 reads `conv1.output` too"]);
    }
}
