//! Max-pooling over square windows that touch but do not overlap; rows and columns left over at the end are dropped.
//!
//! ```text
//! output[p,y,x]   = max over ky, kx of input[p, size·y+ky, size·x+kx]
//! argmax[p,y,x]   = index of that maximum in the plane p (y·width + x), the first one of equals
//! input_grad[p,i] = output_grad of the window that holds i if i is its argmax, else 0
//! ```
//!
//! Ties, odd sizes and the meaning of `argmax` are PyTorch's.

use rayon::prelude::*;

use crate::op::{Op, Operand, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Sizes of a max-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    /// Samples times channels.
    pub planes: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows and columns of a window.
    pub size: usize,
}

impl MaxPool {
    pub(crate) fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("planes", self.planes as f64),
            ("height", self.height as f64),
            ("width", self.width as f64),
            ("size", self.size as f64),
        ]
    }

    pub(crate) fn input(&self) -> [usize; 3] {
        [self.planes, self.height, self.width]
    }

    pub(crate) fn output(&self) -> [usize; 3] {
        [self.planes, self.height / self.size, self.width / self.size]
    }

    fn output_area(&self) -> usize {
        self.output()[1..].iter().product()
    }

    /// The positions in the plane of the window with this number, row by row.
    pub(crate) fn window(&self, window: usize) -> impl Iterator<Item = usize> {
        let [_, _, windows_per_row] = self.output();
        let (size, width) = (self.size, self.width);
        let corner = window / windows_per_row * size * width + window % windows_per_row * size;
        (0..size * size).map(move |i| corner + i / size * width + i % size)
    }

    /// Sizes at which kernels often fail.
    pub(crate) fn awkward() -> Vec<Self> {
        [(1, 1, 1, 1), (1, 2, 2, 2), (3, 5, 7, 2), (2, 9, 9, 3), (5, 11, 13, 3), (7, 8, 6, 4), (67, 11, 11, 2)]
            .map(|(planes, height, width, size)| Self { planes, height, width, size })
            .into()
    }
}

/// `input` to `output` and `argmax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPoolForward(pub MaxPool);

impl Op for MaxPoolForward {
    fn name(&self) -> &'static str {
        "max_pool_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::write("output", F32, self.0.output()),
            Operand::write("argmax", U32, self.0.output()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let outputs = self.0.output().iter().product();
        let shader = shader!("max_pool_forward": "shared/linear", "shared/max_pool", "max_pool_forward");
        vec![Variant::linear(shader, outputs, self.0.size * (1 + self.0.size))]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let pool = self.0;
        let [input, output, argmax] = tensors else { unreachable!("three operands") };
        let outputs = output.f32_mut().par_chunks_exact_mut(pool.output_area());
        let planes = outputs.zip(argmax.u32_mut().par_chunks_exact_mut(pool.output_area()));
        planes.zip(input.f32().par_chunks_exact(pool.height * pool.width)).for_each(|((output, argmax), plane)| {
            for (i, (output, argmax)) in output.iter_mut().zip(argmax).enumerate() {
                let mut best = None;
                for position in pool.window(i) {
                    if best.is_none_or(|best: usize| plane[position] > plane[best]) {
                        best = Some(position);
                    }
                }
                let best = best.unwrap_or_default();
                (*output, *argmax) = (plane[best], best as u32);
            }
        });
    }

    fn flops(&self) -> u64 {
        (self.0.output().iter().product::<usize>() * self.0.size * self.0.size) as u64
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    /// Few distinct values, so that most windows hold ties.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let values: Vec<f32> = (0..self.0.input().iter().product()).map(|_| random.below(5) as f32 - 3.0).collect();
        vec![
            HostTensor::from_f32(self.0.input(), &values),
            HostTensor::zeros(F32, self.0.output().into()),
            HostTensor::zeros(U32, self.0.output().into()),
        ]
    }
}

/// `output_grad`, `argmax` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPoolBackward(pub MaxPool);

impl Op for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output_grad", F32, self.0.output()),
            Operand::read("argmax", U32, self.0.output()),
            Operand::write("input_grad", F32, self.0.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let MaxPool { planes, height, width, size } = self.0;
        let blocks = planes * height.div_ceil(size) * width.div_ceil(size);
        let shader = shader!("max_pool_backward": "shared/linear", "shared/max_pool", "max_pool_backward");
        vec![Variant::linear(shader, blocks, size * (1 + size))]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let pool = self.0;
        let [output_grad, argmax, input_grad] = tensors else { unreachable!("three operands") };
        let grads = output_grad.f32().par_chunks_exact(pool.output_area());
        let planes = grads.zip(argmax.u32().par_chunks_exact(pool.output_area()));
        input_grad.f32_mut().par_chunks_exact_mut(pool.height * pool.width).zip(planes).for_each(
            |(input_grad, (output_grad, argmax))| {
                input_grad.fill(0.0);
                for (&grad, &position) in output_grad.iter().zip(argmax) {
                    input_grad[position as usize] = grad;
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    /// An argmax within its window, as the forward pass writes it.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let pool = self.0;
        let outputs: usize = pool.output().iter().product();
        let grads: Vec<f32> = (0..outputs).map(|_| random.uniform(-1.0, 1.0)).collect();
        let argmax: Vec<u32> = (0..outputs)
            .map(|i| {
                let choice = random.below((pool.size * pool.size) as u32) as usize;
                pool.window(i % pool.output_area()).nth(choice).unwrap_or_default() as u32
            })
            .collect();
        vec![
            HostTensor::from_f32(pool.output(), &grads),
            HostTensor::from_u32(pool.output(), &argmax),
            HostTensor::zeros(F32, pool.input().into()),
        ]
    }
}
