//! An op: a small value that knows its sizes, operands, shaders, CPU reference, cost and tolerance.
//!
//! Everything else in this crate is a loop over ops: a training step is a list of them ([`crate::plan`]), `verify`
//! compares each one's shaders with its reference, and the tests are named after them.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::random::Random;
pub use crate::shader::Shader;
pub(crate) use crate::shader::shader;
pub use crate::sizes::Sizes;
use crate::tensor::{DType, HostTensor, Shape};
pub use crate::variant::{
    AdapterClass, Feature, MAX_ITERATIONS, MAX_WORKGROUP, SUBGROUP_LANES, TEXELS_PER_ROW, Variant,
};

/// How a kernel uses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read only.
    Read,
    /// Every element is written, none is read.
    Write,
    /// Updated in place; elements that are not written keep their values.
    ReadWrite,
}

/// One tensor argument of an op: the storage buffer of the same name in each of its shaders.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The name of the variable in the shader.
    pub name: &'static str,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Shape,
    /// How it is used.
    pub access: Access,
}

impl Operand {
    /// An operand that is only read.
    pub fn read(name: &'static str, dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { name, dtype, shape: shape.into(), access: Access::Read }
    }

    /// An operand whose elements are all written.
    pub fn write(name: &'static str, dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { name, dtype, shape: shape.into(), access: Access::Write }
    }

    /// An operand that is updated in place.
    pub fn update(name: &'static str, dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { name, dtype, shape: shape.into(), access: Access::ReadWrite }
    }

    /// Its 32-bit words.
    pub fn words(&self) -> usize {
        self.dtype.words(self.shape.len())
    }

    /// Whether the op changes it.
    pub fn is_written(&self) -> bool {
        self.access != Access::Read
    }

    /// Bytes of memory traffic if each element is touched once; an update is a read and a write.
    pub fn traffic_bytes(&self) -> u64 {
        let passes = if self.access == Access::ReadWrite { 2 } else { 1 };
        4 * passes * self.words() as u64
    }
}

/// The work of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations, a multiply-add counted as two.
    pub flops: u64,
    /// Bytes to or from memory if every operand is touched once.
    pub bytes: u64,
}

/// A mathematical operation at fixed sizes.
pub trait Op: Any + Debug + Send + Sync {
    /// Its name: `<thing>_<direction>[_<with respect to>]`, also the name of its plain shader.
    fn name(&self) -> &'static str;

    /// Its sizes and numbers by name: the `override` constants of every one of its shaders.
    fn sizes(&self) -> Vec<(&'static str, f64)>;

    /// The same op at other sizes, if it can be made at these; numbers that are not sizes stay. None by default, so that
    /// its known sizes are the only ones.
    fn with_sizes(&self, _sizes: &Sizes) -> Option<Arc<dyn Op>> {
        None
    }

    /// Its tensors, in the order of the bindings.
    fn operands(&self) -> Vec<Operand>;

    /// Its shaders at these sizes. An adapter takes the first that is made for its class and that it can run. The plain
    /// shader comes last and is made for all.
    fn variants(&self) -> Vec<Variant>;

    /// Computes the op on the host, with sums in f64; `tensors` are in operand order.
    fn reference(&self, tensors: &mut [HostTensor]);

    /// Floating-point operations of one call, a multiply-add counted as two.
    fn flops(&self) -> u64;

    /// The allowed error of a float, relative to its magnitude plus the output's root mean square. For 16-bit outputs
    /// [`F16_TOLERANCE`] is added.
    fn tolerance(&self) -> f64;

    /// An additional allowed absolute error of a float output.
    ///
    /// Only logarithms, and differences of numbers near 1, need one: their exact value may be 0, while the kernel's
    /// logarithm or exponential has an absolute error. All other ops scale with their inputs, or round once. An
    /// absolute tolerance there would hide wrong gradients and moments of 1e-9.
    fn absolute_tolerance(&self, _output: &str) -> f64 {
        0.0
    }

    /// Whether an integer output is an argmax, which rounding may change at a near tie.
    ///
    /// Its `test_inputs` must then give exact sums. In lockstep, where sums are not exact, one integer in a thousand
    /// may differ.
    fn has_near_ties(&self) -> bool {
        false
    }

    /// Values for the operands of a test, in operand order; outputs are ignored.
    ///
    /// By default floats are random in [-1, 1), and integers are zero.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        self.operands()
            .into_iter()
            .map(|operand| match operand.dtype {
                DType::F32 => {
                    let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.uniform(-1.0, 1.0)).collect();
                    HostTensor::from_f32(operand.shape, &values)
                }
                DType::U32 | DType::F16 => HostTensor::zeros(operand.dtype, operand.shape),
            })
            .collect()
    }

    /// Whether it leaves an operand unread at these numbers, although it is bound: the values by which a rectifier
    /// decides, where there is none.
    fn leaves_unread(&self, _operand: &str) -> bool {
        false
    }

    /// The op that also rectifies its output, if it can: it multiplies what is not above 0 by `negative_slope` before
    /// it writes it. The output must be its only one besides integers.
    fn rectifying(&self, _negative_slope: f64) -> Option<Arc<dyn Op>> {
        None
    }

    /// If its `input` came out of a rectifier: the op that writes as `input_grad` the gradient before it, if it can.
    fn before_rectifier(&self, _negative_slope: f64) -> Option<Arc<dyn Op>> {
        None
    }

    /// The op in half precision, if there is one; see [`half`](crate::ops::half).
    fn in_half(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// Floating-point operations and bytes of one call.
    fn cost(&self) -> Cost {
        let operands = self.operands().into_iter().filter(|operand| !self.leaves_unread(operand.name));
        Cost { flops: self.flops(), bytes: operands.map(|operand| operand.traffic_bytes()).sum() }
    }

    /// The op with its sizes, as printed and as `verify` accepts it: `relu_forward:length=7`.
    fn label(&self) -> String {
        label(self.name(), &self.sizes())
    }
}

/// The label of one variant of an op at its sizes: `relu_forward.quad:length=64`.
pub fn variant_label(op: &dyn Op, variant: &Variant) -> String {
    label(variant.shader.name, &op.sizes())
}

fn label(name: &str, sizes: &[(&str, f64)]) -> String {
    let sizes: Vec<String> = sizes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}:{}", sizes.join(","))
}

/// The additional allowed error of a 16-bit float: the distance to its neighbour, 2^-10 of it. Kernel and reference
/// round nearly the same number, and may round differently if it lies near the middle between two 16-bit floats.
pub const F16_TOLERANCE: f64 = 1.0 / 1024.0;

/// The allowed absolute error of a natural logarithm: 2^-21 between 0.5 and 2 in Vulkan, which is the loosest of all,
/// and as much again for the error of its argument.
pub const LOG_TOLERANCE: f64 = 1.0 / (1 << 20) as f64;

/// The allowed error of a float: `relative · (|wanted| + rms(wanted)) + absolute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// See [`Op::tolerance`].
    pub relative: f64,
    /// See [`Op::absolute_tolerance`].
    pub absolute: f64,
}

/// The allowed error of an operand after its op: zero for operands that are only read.
pub fn tolerance(op: &dyn Op, operand: &Operand) -> Tolerance {
    let (relative, absolute) = (op.tolerance(), op.absolute_tolerance(operand.name));
    match (operand.is_written(), operand.dtype) {
        (false, _) => Tolerance { relative: 0.0, absolute: 0.0 },
        (true, DType::F16) => Tolerance { relative: relative + F16_TOLERANCE, absolute },
        (true, _) => Tolerance { relative, absolute },
    }
}

/// The tolerance of a sum of `terms` products in f32: rounding errors add up like a random walk.
pub fn sum_tolerance(terms: usize) -> f64 {
    4.0 * f64::from(f32::EPSILON) * (terms.max(1) as f64).sqrt()
}
