//! The references against examples computed by hand, at least one for every op of the table.

use std::collections::HashSet;
use std::sync::Arc;

use gpu_digits::augment::Augment;
use gpu_digits::layers::{self, LAYERS, every_op};
use gpu_digits::op::Op;
use gpu_digits::ops::Case;
use gpu_digits::ops::augment::{BatchAugment, ElasticField};
use gpu_digits::ops::average::AverageUpdate;
use gpu_digits::ops::avg_pool::{AvgPoolBackward, AvgPoolForward, Windows};
use gpu_digits::ops::batch::{BatchGather, NO_SAMPLE, StepFinish};
use gpu_digits::ops::clip::{GradClip, GradSquares};
use gpu_digits::ops::conv_relu_pool::{
    ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward,
};
use gpu_digits::ops::conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use gpu_digits::ops::cross_entropy::{CrossEntropy, NO_LABEL};
use gpu_digits::ops::dense::{Dense, DenseBackward, DenseBackwardWeight, DenseCrossEntropyForward, DenseForward};
use gpu_digits::ops::dropout::DropoutApply;
use gpu_digits::ops::half::{Half, ParameterCopyF16};
use gpu_digits::ops::max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use gpu_digits::ops::norm::{
    EPSILON, Norm, NormApply, NormBackwardInput, NormBackwardSums, NormBackwardWeight, NormFold, NormMoments,
    NormStatistics,
};
use gpu_digits::ops::optimizer::{AdamStep, SgdStep};
use gpu_digits::ops::peak::{BufferCopy, ChunkSum, FmaChain, FmaChainF16, MatrixChain};
use gpu_digits::ops::relu::{ReluBackward, ReluForward};
use gpu_digits::ops::segments::{Segment, Segments};
use gpu_digits::ops::sum::{SumBackward, SumForward};
use gpu_digits::tensor::HostTensor;
use gpu_digits::verify::layer_output;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let examples = examples();
    let mut covered: HashSet<&str> = examples.iter().map(|example| example.op.name()).collect();
    // Gradients of layers are compared with central differences.
    let by_layer = LAYERS.iter().filter(|entry| entry.example.is_some());
    covered.extend(by_layer.clone().flat_map(|entry| entry.ops).map(|op| op.name));
    let missing: Vec<&str> = every_op().map(|entry| entry.name).filter(|name| !covered.contains(name)).collect();
    let mut trials = vec![Trial::test("every op of the table has an example", move || {
        if missing.is_empty() { Ok(()) } else { Err(format!("none for {missing:?}").into()) }
    })];
    for example in examples {
        let name = format!("{}: {}", example.op.name(), example.what);
        trials.push(Trial::test(name, move || example.check()));
    }
    for example in by_layer.filter_map(|entry| entry.example) {
        trials.push(Trial::test(format!("layer `{}`", example.form), move || Ok(check_layer(&example)?)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A layer's output must be the one that its row of the table states.
fn check_layer(example: &layers::Example) -> anyhow::Result<()> {
    let layer = layers::parse(example.form, &[])?;
    let output = layer_output(layer.as_ref(), example.shape, example.input)?;
    anyhow::ensure!(output == example.output, "the output is {output:?} but should be {:?}", example.output);
    Ok(())
}

/// The values of an operand.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    Floats(Vec<f32>),
    Integers(Vec<u32>),
    /// 16-bit floats.
    Halves(Vec<f32>),
}

fn f(values: impl Into<Vec<f32>>) -> Values {
    Values::Floats(values.into())
}

fn u<const N: usize>(values: [u32; N]) -> Values {
    Values::Integers(values.to_vec())
}

fn h(values: impl Into<Vec<f32>>) -> Values {
    Values::Halves(values.into())
}

/// An op, its operands before (empty for what it only writes) and those that it writes after.
struct Example {
    what: &'static str,
    op: Case,
    before: Vec<Values>,
    after: Vec<Values>,
}

impl Example {
    fn check(&self) -> Result<(), Failed> {
        let operands = self.op.operands();
        let mut tensors: Vec<HostTensor> = operands
            .iter()
            .zip(&self.before)
            .map(|(operand, values)| match values {
                Values::Floats(values) if values.is_empty() => HostTensor::zeros(operand.dtype, operand.shape.clone()),
                Values::Integers(values) if values.is_empty() => {
                    HostTensor::zeros(operand.dtype, operand.shape.clone())
                }
                Values::Floats(values) => HostTensor::from_f32(operand.shape.clone(), values),
                Values::Halves(values) => HostTensor::from_f32_as_f16(operand.shape.clone(), values),
                Values::Integers(values) => HostTensor::from_u32(operand.shape.clone(), values),
            })
            .collect();
        self.op.reference(&mut tensors);
        let written = operands.iter().zip(&tensors).filter(|(operand, _)| operand.is_written());
        assert_eq!(written.clone().count(), self.after.len(), "the example names every written operand");
        for ((operand, tensor), wanted) in written.zip(&self.after) {
            let is_right = match wanted {
                Values::Floats(wanted) => {
                    let close = |(got, wanted): (&f32, &f32)| (got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0);
                    tensor.f32().len() == wanted.len() && tensor.f32().iter().zip(wanted).all(close)
                }
                Values::Integers(wanted) => tensor.u32() == wanted,
                Values::Halves(wanted) => tensor.widened() == *wanted,
            };
            if !is_right {
                let got: &dyn std::fmt::Debug = match wanted {
                    Values::Floats(_) => &tensor.f32(),
                    Values::Integers(_) => &tensor.u32(),
                    Values::Halves(_) => &tensor.widened(),
                };
                return Err(format!("{} is {got:?} but should be {wanted:?}", operand.name).into());
            }
        }
        Ok(())
    }
}

fn example(what: &'static str, op: impl Op + 'static, before: Vec<Values>, after: Vec<Values>) -> Example {
    Example { what, op: Arc::new(op), before, after }
}

fn examples() -> Vec<Example> {
    let mut all = convolutions();
    all.extend(rectifiers());
    all.extend(poolings());
    all.extend(norms());
    all.extend(norms_in_half());
    all.extend(layers());
    all.extend(losses());
    all.extend(updates());
    all.extend(data());
    all.extend(fused());
    all.extend(steps());
    all.extend(halves());
    all
}

const CONV: Conv2d =
    Conv2d { batch: 1, in_channels: 1, in_height: 2, in_width: 3, out_channels: 1, kernel: 2, stride: 1, padding: 0 };

fn convolutions() -> Vec<Example> {
    let two_channels = Conv2d { in_channels: 2, in_height: 1, in_width: 1, out_channels: 2, kernel: 1, ..CONV };
    let same = Conv2d { in_height: 2, in_width: 2, kernel: 3, padding: 2, ..CONV };
    let stepping = Conv2d { in_height: 1, in_width: 5, stride: 2, padding: 1, ..CONV };
    let even = Conv2d { in_height: 1, in_width: 2, padding: 1, ..CONV };
    let two_samples = Conv2d { batch: 2, in_height: 1, in_width: 2, kernel: 1, ..CONV };
    vec![
        // [1 2 3; 4 5 6] with [1 10; 100 1000]: 1 + 20 + 400 + 5000, 2 + 30 + 500 + 6000; the bias is 0.5.
        example(
            "the kernel is not flipped",
            Conv2dForward::new(CONV),
            vec![f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), f([1.0, 10.0, 100.0, 1000.0]), f([0.5]), f([])],
            vec![f([5421.5, 6532.5])],
        ),
        example(
            "channels are summed with the weights [in, out]",
            Conv2dForward::new(two_channels),
            vec![f([2.0, 3.0]), f([1.0, 10.0, 100.0, 1000.0]), f([0.0, -1.0]), f([])],
            vec![f([302.0, 3019.0])],
        ),
        // 1 - 2, of which a quarter remains, 5 - 4 and 9 - 0.
        example(
            "a stride leaves positions out, and a rectifier takes part of what is negative",
            Conv2dForward { conv: stepping, negative_slope: 0.25 },
            vec![f([1.0, 2.0, 5.0, 4.0, 9.0]), f([1.0, -1.0, 7.0, 7.0]), f([0.0]), f([])],
            vec![f([-0.25, 1.0, 9.0])],
        ),
        // The gradients reach two pixels each, the last one pixel; the rectifier has cut the third pixel off.
        example(
            "gradients go back by strides, and through the rectifier before",
            Conv2dBackwardInput { conv: stepping, negative_slope: 0.0 },
            vec![f([10.0, 20.0, 30.0]), f([1.0, -1.0, 7.0, 7.0]), f([1.0, 2.0, 0.0, 4.0, 9.0]), f([])],
            vec![f([10.0, -10.0, 0.0, -20.0, 30.0])],
        ),
        // 1·10 + 5·20 + 9·30 and 2·10 + 4·20.
        example(
            "weights gather by strides",
            Conv2dBackwardWeight(stepping),
            vec![f([1.0, 2.0, 5.0, 4.0, 9.0]), f([10.0, 20.0, 30.0]), f([]), f([])],
            vec![f([380.0, 100.0, 0.0, 0.0]), f([60.0])],
        ),
        // Each output sees the whole map, shifted within the kernel 1..9.
        example(
            "padding `same` adds one row of zeros on each side",
            Conv2dForward::new(same),
            vec![f([1.0, 2.0, 3.0, 4.0]), f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), f([0.0]), f([])],
            vec![f([77.0, 67.0, 47.0, 37.0])],
        ),
        // An even kernel pads at the end: [1 2 0; 0 0 0] with [1 10; 100 1000].
        example(
            "padding `same` of an even kernel goes to the end",
            Conv2dForward::new(even),
            vec![f([1.0, 2.0]), f([1.0, 10.0, 100.0, 1000.0]), f([0.0]), f([])],
            vec![f([21.0, 2.0])],
        ),
        // Each gradient spreads over the window it came from: (1, 10, 100, 1000) and twice that one column on.
        example(
            "each gradient goes back to its window",
            Conv2dBackwardInput::new(CONV),
            vec![f([1.0, 2.0]), f([1.0, 10.0, 100.0, 1000.0]), f([0.0; 6]), f([])],
            vec![f([1.0, 12.0, 20.0, 100.0, 1200.0, 2000.0])],
        ),
        // 1·1 + 2·10, 2·1 + 3·10, 4·1 + 5·10, 5·1 + 6·10.
        example(
            "each weight gathers what it has met",
            Conv2dBackwardWeight(CONV),
            vec![f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), f([1.0, 10.0]), f([]), f([])],
            vec![f([21.0, 32.0, 54.0, 65.0]), f([11.0])],
        ),
        example(
            "each chunk of samples has a sum of its own",
            Conv2dBackwardWeight(two_samples),
            vec![f([1.0, 2.0, 3.0, 4.0]), f([1.0, 10.0, 1.0, 10.0]), f([]), f([])],
            vec![f([21.0, 43.0]), f([11.0, 11.0])],
        ),
    ]
}

fn rectifiers() -> Vec<Example> {
    let forward = |negative_slope| ReluForward { length: 4, negative_slope };
    let backward = |negative_slope| ReluBackward { length: 3, negative_slope };
    vec![
        example(
            "negative values become 0",
            forward(0.0),
            vec![f([-2.0, 0.0, 3.0, -0.5]), f([])],
            vec![f([0.0, 0.0, 3.0, 0.0])],
        ),
        example(
            "a slope lets a part of the negative values through",
            forward(0.1),
            vec![f([-2.0, 0.0, 3.0, -0.5]), f([])],
            vec![f([-0.2, 0.0, 3.0, -0.05])],
        ),
        example(
            "the gradient passes where the output is above 0",
            backward(0.0),
            vec![f([0.0, 2.0, 0.1]), f([5.0, 6.0, -7.0]), f([])],
            vec![f([0.0, 6.0, -7.0])],
        ),
        example(
            "a slope lets a part of the other gradients through",
            backward(0.5),
            vec![f([0.0, 2.0, -0.1]), f([5.0, 6.0, -7.0]), f([])],
            vec![f([2.5, 6.0, -3.5])],
        ),
    ]
}

fn poolings() -> Vec<Example> {
    let pool = MaxPool { batch: 1, height: 3, width: 5, channels: 1, size: 2 };
    let two_channels = MaxPool { batch: 2, height: 1, width: 2, channels: 2, size: 1 };
    let windows = Windows { batch: 1, height: 3, width: 2, channels: 2, window_height: 2, window_width: 1 };
    // The last row and the last column are left over; the first of the two nines wins.
    let map = [1.0, 9.0, -4.0, -3.0, 50.0, 9.0, 2.0, -1.0, -2.0, 50.0, 60.0, 60.0, 60.0, 60.0, 60.0];
    let means_of = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 90.0, 90.0, 90.0, 90.0];
    vec![
        example(
            "the first of equals wins, odd rows and columns are dropped",
            MaxPoolForward { pool, negative_slope: 1.0 },
            vec![f(map), f([]), u([])],
            vec![f([9.0, -1.0]), u([1, 2])],
        ),
        example(
            "a maximum that is not above 0 is multiplied by the slope",
            MaxPoolForward { pool, negative_slope: 0.1 },
            vec![f(map), f([]), u([])],
            vec![f([9.0, -0.1]), u([1, 2])],
        ),
        example(
            "channels are neighbours",
            MaxPoolForward { pool: two_channels, negative_slope: 0.0 },
            vec![f([1.0, -2.0, 3.0, -4.0, -5.0, 6.0, 7.0, -8.0]), f([]), u([])],
            vec![f([1.0, 0.0, 3.0, 0.0, 0.0, 6.0, 7.0, 0.0]), u([0; 8])],
        ),
        example(
            "the gradient goes to the maximum alone",
            MaxPoolBackward { pool, negative_slope: 1.0 },
            vec![f([9.0, -1.0]), f([5.0, 6.0]), u([1, 2]), f([])],
            vec![f([0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])],
        ),
        example(
            "the gradient before a rectifier depends on the maximum's sign",
            MaxPoolBackward { pool, negative_slope: 0.5 },
            vec![f([9.0, -1.0]), f([5.0, 6.0]), u([1, 2]), f([])],
            vec![f([0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])],
        ),
        example(
            "the mean of a window, for each channel",
            AvgPoolForward { windows, negative_slope: 1.0 },
            vec![f(means_of), f([])],
            vec![f([3.0, -4.0, 5.0, -6.0])],
        ),
        example(
            "a mean that is not above 0 is multiplied by the slope",
            AvgPoolForward { windows, negative_slope: 0.5 },
            vec![f(means_of), f([])],
            vec![f([3.0, -2.0, 5.0, -3.0])],
        ),
        example(
            "a gradient is shared by the window",
            AvgPoolBackward { windows, negative_slope: 1.0 },
            vec![f(means_of), f([2.0, 4.0, 6.0, 8.0]), f([])],
            vec![f([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0])],
        ),
        example(
            "a share before a rectifier depends on the input's sign",
            AvgPoolBackward { windows, negative_slope: 0.5 },
            vec![f(means_of), f([2.0, 4.0, 6.0, 8.0]), f([])],
            vec![f([1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 3.0, 2.0, 0.0, 0.0, 0.0, 0.0])],
        ),
    ]
}

fn norms() -> Vec<Example> {
    let norm = |batch, area, channels| Norm { batch, area, channels };
    let epsilon = EPSILON as f32;
    // Each chunk has 32 rows: here one of deviations 1 and one of a single row.
    let signs = (0..33).map(|row| if row == 32 { 5.0 } else { f32::from(1 - 2 * (row % 2) as i8) });
    let two_chunks = norm(33, 1, 1);
    let deviations: f32 = 32.0 + 32.0 * 25.0 / 33.0;
    vec![
        example(
            "means and squared deviations from them",
            NormMoments(norm(3, 1, 2)),
            vec![f([1.0, 10.0, 2.0, 10.0, 6.0, 40.0]), f([])],
            vec![f([3.0, 20.0, 14.0, 600.0])],
        ),
        example(
            "each chunk of rows has its own",
            NormMoments(two_chunks),
            vec![f(signs.collect::<Vec<f32>>()), f([])],
            vec![f([0.0, 32.0, 5.0, 0.0])],
        ),
        // A tenth of the running statistics is new, and of an unbiased variance.
        example(
            "the distance of the chunks' means counts for each row",
            NormStatistics(two_chunks),
            vec![f([0.0, 32.0, 5.0, 0.0]), f([]), f([]), f([1.0]), f([2.0])],
            vec![f([5.0 / 33.0]), f([deviations / 33.0]), f([0.9 + 0.5 / 33.0]), f([1.8 + 0.1 * deviations / 32.0])],
        ),
        example(
            "a channel has its statistics, factor and shift",
            NormApply { norm: norm(1, 2, 2), negative_slope: 0.5 },
            vec![
                f([1.0, 2.0, 3.0, -2.0]),
                f([1.0, 0.0]),
                f([4.0 - epsilon, 1.0 - epsilon]),
                f([2.0, 3.0]),
                f([0.5, -1.0]),
                f([]),
            ],
            vec![f([0.5, 5.0, 2.5, -3.5])],
        ),
        // The normalised inputs are 1 and 0.
        example(
            "gradients, and their products with the normalised input",
            NormBackwardSums(norm(2, 1, 1)),
            vec![f([3.0, 1.0]), f([10.0, 5.0]), f([1.0]), f([4.0 - epsilon]), f([])],
            vec![f([15.0, 10.0])],
        ),
        example(
            "chunks are added, and divided by the number of rows",
            NormBackwardWeight(two_chunks),
            vec![f([33.0, 66.0, 330.0, 660.0]), f([]), f([]), f([])],
            vec![f([726.0]), f([363.0]), f([11.0, 22.0])],
        ),
        // The normalised inputs are 1 and -1: (10 - 1 - 2) · 3, and half of (5 - 1 + 2) · 3.
        example(
            "what the statistics pass on is taken off",
            NormBackwardInput { norm: norm(2, 1, 1), negative_slope: 0.5 },
            vec![f([3.0, -1.0]), f([10.0, 5.0]), f([1.0]), f([4.0 - epsilon]), f([6.0]), f([1.0, 2.0]), f([])],
            vec![f([21.0, 9.0])],
        ),
        // The factors are 1 and 3.
        example(
            "weights are multiplied, biases also moved",
            NormFold { terms: 2, outputs: 2 },
            vec![
                f([1.0, 2.0, 3.0, 4.0]),
                f([1.0, 2.0]),
                f([2.0, 3.0]),
                f([10.0, 20.0]),
                f([3.0, 0.0]),
                f([4.0 - epsilon, 1.0 - epsilon]),
                f([]),
                f([]),
            ],
            vec![f([1.0, 6.0, 3.0, 12.0]), f([8.0, 26.0])],
        ),
    ]
}

fn norms_in_half() -> Vec<Example> {
    let norm = Norm { batch: 2, area: 1, channels: 2 };
    let epsilon = EPSILON as f32;
    let statistics = || [f([1.0, 0.0]), f([4.0 - epsilon, 1.0 - epsilon])];
    let [mean, variance] = statistics();
    let all = |values: Vec<Values>, rest: Vec<Values>| values.into_iter().chain(statistics()).chain(rest).collect();
    vec![
        example(
            "the moments of a map in half precision",
            Half(NormMoments(norm)),
            vec![h([1.0, 10.0, 3.0, 14.0]), f([])],
            vec![f([2.0, 12.0, 2.0, 8.0])],
        ),
        example(
            "statistics and parameters are in 32 bits",
            Half(NormApply { norm, negative_slope: 1.0 }),
            vec![h([1.0, 2.0, 3.0, -2.0]), mean, variance, f([2.0, 3.0]), f([0.5, -1.0]), f([])],
            vec![h([0.5, 5.0, 2.5, -7.0])],
        ),
        example(
            "sums are of scaled gradients",
            Half(NormBackwardSums(norm)),
            all(vec![h([3.0, 1.0, 1.0, -1.0]), h([10.0, 5.0, 20.0, 1.0])], vec![f([])]),
            vec![f([30.0, 6.0, 10.0, 4.0])],
        ),
        // The parameters' gradients are of the mean of two samples' losses, without the scale of 256.
        example(
            "the scale is taken back from the gradients of parameters alone",
            Half(NormBackwardWeight(norm)),
            vec![f([512.0, 1024.0, 5120.0, 10240.0]), f([]), f([]), f([])],
            vec![f([10.0, 20.0]), f([1.0, 2.0]), f([256.0, 512.0, 2560.0, 5120.0])],
        ),
        example(
            "the gradient of the input keeps its scale",
            Half(NormBackwardInput { norm, negative_slope: 0.0 }),
            all(
                vec![h([3.0, 1.0, -1.0, -1.0]), h([10.0, 5.0, 5.0, 1.0])],
                vec![f([6.0, 1.0]), f([1.0, 2.0, 2.0, 1.0]), f([])],
            ),
            vec![h([21.0, 2.0, 0.0, 0.0])],
        ),
    ]
}

fn layers() -> Vec<Example> {
    let dense = Dense { batch: 2, inputs: 3, outputs: 2 };
    vec![
        example(
            "weights are [inputs, outputs]",
            DenseForward { dense, negative_slope: 1.0 },
            vec![f([1.0, 2.0, 3.0, 0.0, 1.0, 0.0]), f([1.0, 2.0, 10.0, 20.0, 100.0, 200.0]), f([0.5, -0.5]), f([])],
            vec![f([321.5, 641.5, 10.5, 19.5])],
        ),
        // 0.5 + 1 + 6 and 1 + 2 - 20.
        example(
            "a rectifier follows",
            DenseForward { dense: Dense { batch: 1, inputs: 2, outputs: 2 }, negative_slope: 0.25 },
            vec![f([1.0, 2.0]), f([1.0, 2.0, 3.0, -10.0]), f([0.5, 1.0]), f([])],
            vec![f([7.5, -4.25])],
        ),
        // Samples (1, 2, 3) and (4, 5, 6) with the gradients (1, 0) and (10, 2).
        example(
            "each weight gathers over the batch",
            DenseBackwardWeight(dense),
            vec![f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), f([1.0, 0.0, 10.0, 2.0]), f([]), f([])],
            vec![f([41.0, 8.0, 52.0, 10.0, 63.0, 12.0]), f([11.0, 2.0])],
        ),
        // 1·10 + 2·100 and 0·10 + 3·100; the second input of the first sample was cut off, half of it.
        example(
            "an input that is 0 passes the slope's part of the gradient",
            DenseBackward { dense: Dense { batch: 2, inputs: 2, outputs: 1 }, negative_slope: 0.5 },
            vec![f([1.0, 0.0, 2.0, 3.0]), f([10.0, 100.0]), f([5.0, 7.0]), f([]), f([]), f([])],
            vec![f([210.0, 300.0]), f([110.0]), f([50.0, 35.0, 500.0, 700.0])],
        ),
        example(
            "a rate of 0 keeps everything",
            DropoutApply { length: 3, rate: 0.0, layer: 1 },
            vec![f([1.0, -2.0, 3.0]), u([0, 0, 0, 0]), f([])],
            vec![f([1.0, -2.0, 3.0])],
        ),
        // The known answer of Threefry for key and counter of zeros is 0x6b200159, 0.418 of the range: kept at a rate
        // of 3/8 and scaled up by 8/5, dropped at 1/2.
        example(
            "an element whose bits are above the rate is scaled up",
            DropoutApply { length: 1, rate: 0.375, layer: 0 },
            vec![f([3.0]), u([0, 9, 0, 0]), f([])],
            vec![f([4.8])],
        ),
        example(
            "an element whose bits are below the rate is dropped",
            DropoutApply { length: 1, rate: 0.5, layer: 0 },
            vec![f([3.0]), u([0, 9, 0, 0]), f([])],
            vec![f([0.0])],
        ),
        example(
            "chunks are added element by element",
            ChunkSum { chunks: 3, length: 2 },
            vec![f([1.0, 2.0, 10.0, 20.0, 100.0, 200.0]), f([])],
            vec![f([111.0, 222.0])],
        ),
    ]
}

fn losses() -> Vec<Example> {
    let two = CrossEntropy { batch: 3, classes: 2, label_smoothing: 0.0 };
    let ln_2 = std::f32::consts::LN_2;
    vec![
        // Equal logits: a half each, a loss of ln 2, and the first of them is the guess.
        example(
            "equal logits share the probability, and the first one is the guess",
            two,
            vec![f([7.0, 7.0, 7.0, 7.0, 1000.0, 0.0]), u([0, 1, 0]), f([]), f([]), f([]), u([])],
            vec![
                f([0.5, 0.5, 0.5, 0.5, 1.0, 0.0]),
                f([-0.5 / 3.0, 0.5 / 3.0, 0.5 / 3.0, -0.5 / 3.0, 0.0, 0.0]),
                f([ln_2, ln_2, 0.0]),
                u([1, 0, 1]),
            ],
        ),
        example(
            "a place without a sample has neither loss nor hit nor gradient",
            CrossEntropy { batch: 1, ..two },
            vec![f([3.0, 3.0]), u([NO_LABEL]), f([]), f([]), f([]), u([])],
            vec![f([0.5, 0.5]), f([0.0, 0.0]), f([0.0]), u([0])],
        ),
        // The target is 0.75 and 0.25: with all probability at the label, a quarter of the distance of 100 is lost.
        example(
            "smoothed labels want some of each class",
            CrossEntropy { batch: 1, classes: 2, label_smoothing: 0.5 },
            vec![f([100.0, 0.0]), u([0]), f([]), f([]), f([]), u([])],
            vec![f([1.0, 0.0]), f([0.25, -0.25]), f([25.0]), u([1])],
        ),
    ]
}

/// A parameter of one element among all, or its moment.
fn alone(value: f32) -> Vec<f32> {
    let mut values = vec![0.0; 128];
    values[0] = value;
    values
}

fn updates() -> Vec<Example> {
    let segments = Segments(vec![Segment { length: 1, chunks: 1 }]);
    let blocks = u([0, 1, 1, 1, 64, 1, 1, 0]);
    let gradient = f(alone(2.0)[..64].to_vec());
    let sgd = SgdStep { segments: segments.clone(), steps: 2, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
    let adam =
        AdamStep { segments, steps: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    // Row 1 of the schedule, rate 0.1; the gradient is 2 and the velocity 4.
    let sgd_example = |what, op: SgdStep, parameter, velocity| {
        let schedule = f([9.0, 0.0, 0.0, 0.1, 0.0, 0.0]);
        let before =
            vec![f(alone(1.0)), gradient.clone(), f(alone(4.0)), blocks.clone(), schedule, u([1, 0, 0, 0]), f([1.0])];
        example(what, op, before, vec![f(alone(parameter)), f(alone(velocity)), u([1, 0, 0, 0])])
    };
    // The first step: corrections 1 / (1 - 0.9) and 1 / (1 - 0.999), rate 0.5, gradient 2.
    let adam_example = |what, op: AdamStep, parameter, first, second| {
        let schedule = f([0.5, 10.0, 1000.0]);
        let before =
            vec![f(alone(1.0)), gradient.clone(), f([]), f([]), blocks.clone(), schedule, u([0, 0, 0, 0]), f([1.0])];
        example(what, op, before, vec![f(alone(parameter)), f(alone(first)), f(alone(second)), u([0, 0, 0, 0])])
    };
    vec![
        // 0.5 · 4 + 2 = 4; 1 - 0.1 · 4.
        sgd_example("the velocity carries on", sgd.clone(), 0.6, 4.0),
        // 1 - 0.1 · (2 + 0.25 · 3), with a velocity of 0.25 · 4 + 2.
        sgd_example(
            "Nesterov looks ahead",
            SgdStep { nesterov: true, momentum: 0.25, ..sgd.clone() },
            1.0 - 0.1 * (2.0 + 0.25 * 3.0),
            3.0,
        ),
        // The gradient becomes 2 + 3 · 1 = 5 and the velocity 7.
        sgd_example("weight decay adds to the gradient", SgdStep { weight_decay: 3.0, ..sgd }, 0.3, 7.0),
        // The corrected moments are 2 and 4, so the step is the rate times the gradient's sign.
        adam_example("the first step is the rate", adam.clone(), 0.5, 0.2, 0.004),
        // The gradient becomes 2 + 3 · 1 = 5.
        adam_example(
            "Adam's weight decay adds to the gradient",
            AdamStep { weight_decay: 3.0, ..adam.clone() },
            0.5,
            0.5,
            0.025,
        ),
        // 1 · (1 - 0.5 · 0.2) - 0.5.
        adam_example(
            "AdamW's weight decay shrinks the parameter",
            AdamStep { weight_decay: 0.2, decoupled: true, ..adam },
            0.4,
            0.2,
            0.004,
        ),
    ]
}

/// A batch of grey images of 2x2 pixels that move by a pixel at most, at random.
fn moved() -> BatchAugment {
    let gather = BatchGather { batch: 2, pixels: 4, count: 3, order_length: 4, scale: 2.0, shift: -1.0 };
    BatchAugment { gather, width: 2, channels: 1, edge: false, augment: Augment { shift: 1.0, ..Augment::NONE } }
}

/// Its operands. With seed 3, step 7541 moves the first image by half a pixel to the right and upwards: Threefry gives
/// it the word 0xbffe_3fe4, thus -1/2 and 1/2 of a pixel for the place in the image.
fn before_moving() -> Vec<Values> {
    let images = u([0x281e_140a, 0, 0]);
    vec![images, u([5, 6, 7]), u([0, 0, 0, NO_SAMPLE]), u([7541, 1, 3, 0]), f([]), u([]), u([0])]
}

/// The random grid of seed 3 and step 7: each point moves by -1/256, 0 or 1/256 of a pixel along each axis, y in the high
/// half of a word. A half of 16 random bits below 16384 gives -1, and one from 49152 gives 1.
fn grid() -> Values {
    #[rustfmt::skip]
    let points = [
        0x0001_0001, 0xffff_ffff, 0xffff_ffff, 0x0000_ffff, 0xffff_0001, 0, 0xffff_0000,
        0x0001_ffff, 0xffff_0000, 0xffff_0000, 0x0001_0000, 0xffff_ffff, 0x0001_0001, 0x0001_0000,
        0, 0xffff_0000, 0x0001_0000, 0, 0xffff_0000, 0, 0x0001_0000,
        0xffff_0000, 0x0001_ffff, 0x0001_0000, 0x0000_0001, 0, 0, 0x0000_0001,
        0x0001_0000, 0xffff_ffff, 0, 0xffff_0000, 0, 0xffff_0000, 0xffff_0000,
        0x0001_0000, 0xffff_0000, 0, 0xffff_ffff, 0x0001_ffff, 0x0001_0000, 0,
        0x0001_0001, 0, 0x0001_0000, 0x0001_0000, 0x0000_ffff, 0x0000_0001, 0,
    ];
    u(points)
}

fn data() -> Vec<Example> {
    let gather = BatchGather { batch: 2, pixels: 3, count: 3, order_length: 4, scale: 2.0, shift: -1.0 };
    vec![
        // Three images of three bytes, 1..9, and the labels 5, 6, 7; the second batch of the order is requested.
        example(
            "the order names the images, and none for a place without a sample",
            gather,
            vec![
                u([0x0403_0201, 0x0807_0605, 0x09]),
                u([5, 6, 7]),
                u([0, 0, 2, NO_SAMPLE]),
                u([77, 1, 0, 0]),
                f([]),
                u([]),
            ],
            vec![f([13.0, 15.0, 17.0, 0.0, 0.0, 0.0]), u([7, NO_LABEL])],
        ),
        // The means of four pixels are 10, 25, 7.5 and 17.5: the image of 10, 20, 30 and 40 has background around it.
        example(
            "an image moves by half a pixel along each axis",
            moved(),
            before_moving(),
            vec![f([19.0, 49.0, 14.0, 34.0, 0.0, 0.0, 0.0, 0.0]), u([5, NO_LABEL])],
        ),
        example(
            "a random displacement for each point of a grid",
            ElasticField { batch: 1, most: 1 },
            vec![u([7, 0, 3, 0]), u([])],
            vec![grid()],
        ),
        // Where all points move by half a pixel along each axis, so does the image.
        example(
            "an elastic deformation whose points all move alike",
            BatchAugment { augment: Augment { elastic: 1.0, ..Augment::NONE }, ..moved() },
            [before_moving()[..6].to_vec(), vec![u([0x0080_ff80; 2 * 49])]].concat(),
            vec![f([19.0, 49.0, 14.0, 34.0, 0.0, 0.0, 0.0, 0.0]), u([5, NO_LABEL])],
        ),
        // 0, 1, 1.75, 2.3125, ... comes to 1 / (1 - 0.75), whatever it starts from, and there are eight chains.
        example(
            "chains of multiply-adds come near their limit",
            FmaChain { length: 2, rounds: 8 },
            vec![f([1.0, -0.5]), f([])],
            vec![f([32.0, -16.0])],
        ),
        example(
            "half precision computes the same",
            FmaChainF16(FmaChain { length: 2, rounds: 8 }),
            vec![f([1.0, -0.5]), f([])],
            vec![f([32.0, -16.0])],
        ),
        // Sixteen times [1 2; 3 4] · [5 6; 7 8] = [19 22; 43 50], added three times.
        example(
            "matrices of two rows and columns",
            MatrixChain { groups: 1, size: 2, rounds: 3 },
            vec![f([[1.0, 2.0, 3.0, 4.0]; 16].concat()), f([5.0, 6.0, 7.0, 8.0]), f([])],
            vec![f([[57.0, 66.0, 129.0, 150.0]; 16].concat())],
        ),
        example(
            "a copy is the same",
            BufferCopy { quarter: 1 },
            vec![f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]), f([])],
            vec![f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0])],
        ),
    ]
}

/// Ops that several layers share; maps and weights have their channels last.
fn fused() -> Vec<Example> {
    let conv = Conv2d { in_height: 3, in_width: 3, out_channels: 2, ..CONV };
    let block = ConvReluPool { conv, pool: 2 };
    let image = || f([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    // The first channel has its maximum at the fourth place of the window, the second has none; there are no others.
    let codes = || u([0xffff_ff03]);
    vec![
        // The first channel takes the upper left pixel, 5 at most, the second is negative everywhere.
        example(
            "the largest of a window with its place, and none where it is cut off",
            ConvReluPoolForward(block),
            vec![image(), f([1.0, -1.0, 0.0, -1.0, 0.0, -1.0, 0.0, -1.0]), f([0.5, 0.0]), f([]), u([])],
            vec![f([5.5, 0.0]), codes()],
        ),
        // 10 times the four pixels from the middle on; the gradient of 20 meets no maximum.
        example(
            "only maxima pass gradients to weights and bias",
            ConvReluPoolBackwardWeight(block),
            vec![image(), f([10.0, 20.0]), codes(), f([]), f([])],
            vec![f([50.0, 0.0, 60.0, 0.0, 80.0, 0.0, 90.0, 0.0]), f([10.0, 0.0])],
        ),
        example(
            "only maxima pass gradients to the input",
            ConvReluPoolBackwardInput(block),
            vec![f([10.0, 20.0]), codes(), f([1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]), f([])],
            vec![f([0.0, 0.0, 0.0, 0.0, 10.0, 20.0, 0.0, 30.0, 40.0])],
        ),
        // Two equal logits; the gradient is that of the mean of two, and the second place holds no sample.
        example(
            "even odds",
            DenseCrossEntropyForward { dense: Dense { batch: 2, inputs: 1, outputs: 2 }, label_smoothing: 0.0 },
            vec![f([0.0, 3.0]), f([1.0, 1.0]), f([2.0, 2.0]), u([1, NO_LABEL]), f([]), f([]), f([]), u([])],
            vec![f([0.5, 0.5, 0.5, 0.5]), f([0.25, -0.25, 0.0, 0.0]), f([std::f32::consts::LN_2, 0.0]), u([0, 0])],
        ),
    ]
}

/// Two parameters in one tensor, of one and of two elements, the second from element 128 on.
fn placed(first: f32, second: [f32; 2]) -> Vec<f32> {
    let mut values = vec![0.0; 256];
    values[0] = first;
    values[128..130].copy_from_slice(&second);
    values
}

/// The end of a step, and updates of all parameters at once.
fn steps() -> Vec<Example> {
    let segments = Segments(vec![Segment { length: 1, chunks: 2 }, Segment { length: 2, chunks: 1 }]);
    // The first parameter's gradient is 0.5 + 1.5, the second's is 4 and 5.
    let mut gradients = vec![0.0; 128];
    gradients[..2].copy_from_slice(&[0.5, 1.5]);
    gradients[64..66].copy_from_slice(&[4.0, 5.0]);
    let blocks = u([0, 1, 2, 1, 64, 1, 2, 0, 64, 2, 1, 2, 128, 2, 1, 0]);
    let (squared, blocks_of_two) = (gradients.clone(), blocks.clone());
    let sgd = SgdStep { segments: segments.clone(), steps: 1, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
    let adam =
        AdamStep { segments, steps: 1, beta1: 0.5, beta2: 0.5, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    vec![
        example(
            "each parameter meets its own partial sums",
            sgd.clone(),
            vec![
                f(placed(1.0, [2.0, 3.0])),
                f(gradients.clone()),
                f([]),
                blocks.clone(),
                f([0.1, 0.0, 0.0]),
                u([0, 0, 0, 0]),
                f([0.5]),
            ],
            // Half of each gradient.
            vec![f(placed(0.9, [1.8, 2.75])), f(placed(1.0, [2.0, 2.5])), u([0, 0, 0, 0])],
        ),
        // 2^100, in the last place.
        example(
            "a parameter that has left the floats is noted",
            SgdStep { momentum: 0.0, ..sgd.clone() },
            vec![
                f(placed(1.0, [2.0, 1.267_650_6e30])),
                f(gradients.clone()),
                f([]),
                blocks.clone(),
                f([0.1, 0.0, 0.0]),
                u([5, 1, 9, 0]),
                f([0.5]),
            ],
            vec![f(placed(0.9, [1.8, 1.267_650_6e30])), f(placed(1.0, [2.0, 2.5])), u([5, 1, 9, 1])],
        ),
        // The corrected moments are the gradient and its square, so the step is the rate.
        example(
            "the first step of each parameter is the rate",
            adam,
            vec![
                f(placed(1.0, [2.0, 3.0])),
                f(gradients),
                f([]),
                f([]),
                blocks,
                f([0.1, 2.0, 2.0]),
                u([0, 0, 0, 0]),
                f([1.0]),
            ],
            vec![f(placed(0.9, [1.9, 2.9])), f(placed(1.0, [2.0, 2.5])), f(placed(2.0, [8.0, 12.5])), u([0, 0, 0, 0])],
        ),
        example(
            "branches are added and rectified",
            SumForward { length: 3, negative_slope: 0.5 },
            vec![f([1.0, -3.0, 0.0]), f([2.0, 1.0, 0.0]), f([])],
            vec![f([3.0, -1.0, 0.0])],
        ),
        example(
            "gradients of branches are added where the input is above 0",
            SumBackward { length: 3, negative_slope: 0.0 },
            vec![f([1.0, -3.0, 5.0]), f([2.0, 1.0, 5.0]), f([0.0, 4.0, -1.0]), f([])],
            vec![f([0.0, -2.0, 0.0])],
        ),
        example(
            "without a rectifier all gradients are added",
            SumBackward { length: 2, negative_slope: 1.0 },
            vec![f([1.0, -3.0]), f([2.0, 1.0]), f([0.0, -4.0]), f([])],
            vec![f([3.0, -2.0])],
        ),
        // 2², and 4² + 5².
        example(
            "the squares of whole gradients are added",
            GradSquares(Segments(vec![Segment { length: 1, chunks: 2 }, Segment { length: 2, chunks: 1 }])),
            vec![f(squared), blocks_of_two, f([])],
            vec![f([4.0, 0.0, 41.0, 0.0])],
        ),
        // A norm of 5 is shortened to 2, apart from 1e-6.
        example(
            "a long gradient is shortened",
            GradClip { blocks: 3, most: 2.0 },
            vec![f([9.0, 0.0, 16.0]), f([])],
            vec![f([0.4])],
        ),
        example(
            "a short gradient stays as it is",
            GradClip { blocks: 2, most: 6.0 },
            vec![f([9.0, 16.0]), f([])],
            vec![f([1.0])],
        ),
        example(
            "the average moves by what it does not keep",
            AverageUpdate { length: 2, decay: 0.75 },
            vec![f([4.0, 8.0]), u([1, 0, 0, 0]), f([0.0, 4.0])],
            vec![f([1.0, 5.0])],
        ),
        example(
            "the first step copies",
            AverageUpdate { length: 2, decay: 0.75 },
            vec![f([4.0, 8.0]), u([0, 0, 0, 0]), f([9.0, 9.0])],
            vec![f([4.0, 8.0])],
        ),
        example(
            "sums and the fault go to the row of the cursor, the others stay, and the clock goes on",
            StepFinish { batch: 2, rows: 2 },
            vec![f([1.5, 2.5]), u([1, 0]), u([7, 1, 9, 1]), f([6.0, 7.0, 0.0, 0.0, 0.0, 0.0])],
            vec![u([8, 2, 9, 1]), f([6.0, 7.0, 0.0, 4.0, 1.0, 1.0])],
        ),
    ]
}

/// Ops in half precision; gradients of activations are those of the summed loss, times 256.
fn halves() -> Vec<Example> {
    let conv = Conv2d { in_height: 3, in_width: 3, out_channels: 2, ..CONV };
    let block = ConvReluPool { conv, pool: 2 };
    let image = || h([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    // The first channel has its maximum at the fourth place of the window, the second has none; there are no others.
    let codes = || u([0xffff_ff03]);
    let gather = BatchGather { batch: 2, pixels: 2, count: 3, order_length: 4, scale: 2.0, shift: -1.0 };
    let tie = 1.0 / 2048.0;
    let dots = Conv2d { in_channels: 2, in_height: 1, in_width: 1, out_channels: 2, kernel: 1, ..CONV };
    let windows = Windows { batch: 1, height: 1, width: 2, channels: 2, window_height: 1, window_width: 2 };
    let pool = MaxPool { batch: 1, height: 2, width: 2, channels: 2, size: 2 };
    // The weights of the first output channel count from 1 to 8, those of the second are 0.
    let counting: Vec<f32> = (0..16).map(|i| if i % 2 == 0 { 1.0 + i as f32 / 2.0 } else { 0.0 }).collect();
    vec![
        // In the middle between 1 and its neighbour, between that and the next, and far below what is kept.
        example(
            "the nearest float, the even one of two, and none that are too small",
            ParameterCopyF16 { length: 4 },
            vec![f([1.0 + tie, 1.0 + 3.0 * tie, -2.0, 1e-5]), u([])],
            vec![u([0x3c02_3c00, 0x0000_c000])],
        ),
        // Three images of two bytes, 1..6; the second batch of the order is requested.
        example(
            "the order names the images, two pixels to a word",
            Half(gather),
            vec![u([0x0403_0201, 0x0605]), u([5, 6, 7]), u([0, 0, 2, NO_SAMPLE]), u([77, 1, 0, 0]), f([]), u([])],
            vec![h([9.0, 11.0, 0.0, 0.0]), u([7, NO_LABEL])],
        ),
        example(
            "an image moves by half a pixel, two pixels to a word",
            Half(moved()),
            before_moving(),
            vec![h([19.0, 49.0, 14.0, 34.0, 0.0, 0.0, 0.0, 0.0]), u([5, NO_LABEL])],
        ),
        example(
            "the largest of a window with its place, rounded after it was chosen",
            Half(ConvReluPoolForward(block)),
            vec![image(), h([1.0, -1.0, 0.0, -1.0, 0.0, -1.0, 0.0, -1.0]), f([0.5 + tie, 0.0]), f([]), u([])],
            vec![h([5.5, 0.0]), codes()],
        ),
        // As in 32 bits, by the 256 less that the gradients are larger.
        example(
            "the gradients of weights and bias are those of the mean loss",
            Half(ConvReluPoolBackwardWeight(block)),
            vec![image(), h([2560.0, 5120.0]), codes(), f([]), f([])],
            vec![f([50.0, 0.0, 60.0, 0.0, 80.0, 0.0, 90.0, 0.0]), f([10.0, 0.0])],
        ),
        example(
            "the gradient of the input keeps its scale",
            Half(ConvReluPoolBackwardInput(ConvReluPool { conv: Conv2d { in_channels: 2, ..conv }, pool: 2 })),
            vec![h([10.0, 20.0]), codes(), h(counting), f([])],
            vec![h([&[0.0; 8][..], &[10.0, 20.0, 30.0, 40.0, 0.0, 0.0, 50.0, 60.0, 70.0, 80.0]].concat())],
        ),
        example(
            "weights are [inputs, outputs], and what is negative is cut off",
            Half(DenseForward { dense: Dense { batch: 1, inputs: 2, outputs: 2 }, negative_slope: 0.0 }),
            vec![h([1.0, 2.0]), h([1.0, 2.0, 3.0, -10.0]), f([0.5, 1.0]), f([])],
            vec![h([7.5, 0.0])],
        ),
        example(
            "sums in half precision",
            Half(SumForward { length: 2, negative_slope: 0.5 }),
            vec![h([1.0, -3.0]), h([2.0, 1.0]), h([0.0, 0.0])],
            vec![h([3.0, -1.0])],
        ),
        example(
            "sums of gradients in half precision",
            Half(SumBackward { length: 2, negative_slope: 0.0 }),
            vec![h([1.0, -3.0]), h([2.0, 1.0]), h([0.0, 4.0]), h([0.0, 0.0])],
            vec![h([0.0, -2.0])],
        ),
        example(
            "what is negative becomes 0",
            Half(ReluForward { length: 2, negative_slope: 0.0 }),
            vec![h([-1.0, 2.0]), f([])],
            vec![h([0.0, 2.0])],
        ),
        example(
            "half a gradient passes where the output is not above 0",
            Half(ReluBackward { length: 2, negative_slope: 0.5 }),
            vec![h([-1.0, 2.0]), h([3.0, 4.0]), f([])],
            vec![h([1.5, 4.0])],
        ),
        example(
            "the first of the largest of a window, and its place",
            Half(MaxPoolForward { pool, negative_slope: 1.0 }),
            vec![h([1.0, -4.0, 2.0, -3.0, 2.0, -3.0, 0.0, -5.0]), f([]), u([])],
            vec![h([2.0, -3.0]), u([1, 1])],
        ),
        example(
            "the gradient goes to the place of the largest",
            Half(MaxPoolBackward { pool, negative_slope: 0.0 }),
            vec![h([2.0, -3.0]), h([5.0, 6.0]), u([1, 1]), f([])],
            vec![h([0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0])],
        ),
        example(
            "the mean of two columns",
            Half(AvgPoolForward { windows, negative_slope: 1.0 }),
            vec![h([1.0, -4.0, 2.0, -3.0]), f([])],
            vec![h([1.5, -3.5])],
        ),
        example(
            "half a gradient for each of two columns",
            Half(AvgPoolBackward { windows, negative_slope: 0.0 }),
            vec![h([1.0, -4.0, 2.0, -3.0]), h([5.0, 6.0]), f([])],
            vec![h([2.5, 0.0, 2.5, 0.0])],
        ),
        example(
            "a rate of 0 keeps everything",
            Half(DropoutApply { length: 2, rate: 0.0, layer: 1 }),
            vec![h([1.0, -2.0]), u([0, 0, 0, 0]), f([])],
            vec![h([1.0, -2.0])],
        ),
        // 1 + 4, and half of -1 - 4 + 1; what the first bias adds is too little for 16 bits.
        example(
            "a convolution rounds what it has rectified",
            Half(Conv2dForward { conv: dots, negative_slope: 0.5 }),
            vec![h([1.0, 2.0]), h([1.0, -1.0, 2.0, -2.0]), f([tie / 4.0, 1.0]), f([])],
            vec![h([5.0, -2.0])],
        ),
        example(
            "the gradient of a convolution's input keeps its scale",
            Half(Conv2dBackwardInput { conv: dots, negative_slope: 0.5 }),
            vec![h([256.0, 512.0]), h([1.0, -1.0, 2.0, -2.0]), h([1.0, -1.0]), f([])],
            vec![h([-256.0, -256.0])],
        ),
        example(
            "the gradients of a convolution's weights and bias are those of the mean loss",
            Half(Conv2dBackwardWeight(dots)),
            vec![h([1.0, 2.0]), h([256.0, 512.0]), f([]), f([])],
            vec![f([1.0, 2.0, 2.0, 4.0]), f([1.0, 2.0])],
        ),
        // The gradient is that of the sum, whatever the batch.
        example(
            "even odds",
            Half(DenseCrossEntropyForward { dense: Dense { batch: 2, inputs: 1, outputs: 2 }, label_smoothing: 0.0 }),
            vec![h([0.0, 3.0]), h([1.0, 1.0]), f([2.0, 2.0]), u([1, NO_LABEL]), f([]), f([]), f([]), u([])],
            vec![f([0.5; 4]), h([128.0, -128.0, 0.0, 0.0]), f([std::f32::consts::LN_2, 0.0]), u([0, 0])],
        ),
        // 1·10 + 2·100 and 0·10 + 3·100, and all of it by the 256 · 2 less of the mean of two.
        example(
            "gradients of parameters are those of the mean, that of the input keeps its scale",
            Half(DenseBackward { dense: Dense { batch: 2, inputs: 2, outputs: 1 }, negative_slope: 0.0 }),
            vec![h([1.0, 0.0, 2.0, 3.0]), h([5120.0, 51200.0]), h([0.5, 0.25]), f([]), f([]), f([])],
            vec![f([210.0, 300.0]), f([110.0]), h([2560.0, 0.0, 25600.0, 12800.0])],
        ),
        example(
            "gradients of parameters are those of the mean",
            Half(DenseBackwardWeight(Dense { batch: 2, inputs: 2, outputs: 1 })),
            vec![h([1.0, 0.0, 2.0, 3.0]), h([5120.0, 51200.0]), f([]), f([])],
            vec![f([210.0, 300.0]), f([110.0])],
        ),
        example(
            "the gradient of logits is that of the sum",
            Half(CrossEntropy { batch: 2, classes: 2, label_smoothing: 0.0 }),
            vec![h([2.0, 2.0, 5.0, 5.0]), u([1, NO_LABEL]), f([]), f([]), f([]), u([])],
            vec![f([0.5; 4]), h([128.0, -128.0, 0.0, 0.0]), f([std::f32::consts::LN_2, 0.0]), u([0, 0])],
        ),
    ]
}
