//! What layers of other libraries compute, in terms that these libraries share.

use crate::tensor::HostTensor;

/// The largest size, stride or padding that is taken, as in the text of our layers.
pub(super) const MOST_SIZE: usize = 65_536;

/// What one node of a graph computes of one value; constants are part of it.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A convolution of a map.
    Conv(Convolution),
    /// A product with a matrix `[outputs, inputs]`, and a bias.
    Dense { weight: HostTensor, bias: Option<Vec<f32>> },
    /// Batch normalisation by running statistics.
    Norm(Statistics),
    /// Each element times `factor`, plus `shift`.
    Affine { factor: Channels, shift: Channels },
    /// The largest element of each window.
    MaxPool(Windows),
    /// The mean of each window. Zeros of the padding are counted where `counts_padding`.
    AveragePool { windows: Windows, counts_padding: bool },
    /// The largest element, or the mean, of each channel: a map of one position, or a vector unless `keeps_axes`.
    Global { of: Reduction, keeps_axes: bool },
    /// Zeros around a map.
    Pad(Padding),
    /// A rectifier with a factor for negative values.
    Rectifier { negative_slope: f64 },
    /// A map as a vector.
    Flatten,
    /// Another shape, in the other library's order; an extent of 0 is what the others leave.
    Shape(Vec<usize>),
    /// From channels last to channels first, or back.
    Transpose { to_channels_last: bool },
    /// Dropout, which does nothing in evaluation.
    Dropout { rate: f64 },
    /// Softmax over an axis, -1 for the last, which our models leave to the loss.
    Softmax { axis: i64 },
    /// Its input.
    Identity,
    /// The sum of two values. All other operations have one.
    Sum,
}

/// What a window, or a whole channel, becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    Largest,
    Mean,
}

/// A convolution, which all these libraries compute as a cross-correlation. Pairs are of rows and of columns.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    /// `[outputs, inputs / groups, rows, columns]`.
    pub(super) weight: HostTensor,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    pub(super) groups: usize,
    pub(super) padding: Padding,
}

/// Parameters and running statistics of a batch normalisation.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    pub(super) factor: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) epsilon: f64,
}

/// A number for each channel of a map or element of a vector, or one for all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Channels {
    /// The extents, without that of the batch.
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Channels {
    /// One number for all.
    pub(super) fn all(value: f64) -> Self {
        Self { shape: vec![], values: vec![value] }
    }

    pub(super) fn map(&self, of: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), values: self.values.iter().map(|&value| of(value)).collect() }
    }
}

/// Windows of a pooling.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub(super) size: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    pub(super) padding: Padding,
    /// Whether a last window may reach beyond the map.
    pub(super) is_ceil: bool,
}

/// Zeros around a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// So many before and after, for rows and for columns.
    Zeros([[usize; 2]; 2]),
    /// As many as `⌈size / stride⌉` positions need; an odd one comes last, or first.
    Same { odd_is_last: bool },
}

impl Padding {
    pub(super) const NONE: Self = Self::Zeros([[0; 2]; 2]);

    /// Zeros before and after a map of these sizes, for kernels that cover so much.
    pub(super) fn zeros(self, sizes: [usize; 2], extents: [usize; 2], strides: [usize; 2]) -> [[usize; 2]; 2] {
        match self {
            Self::Zeros(zeros) => zeros,
            Self::Same { odd_is_last } => [0, 1].map(|axis| {
                let (size, extent, stride) = (sizes[axis], extents[axis], strides[axis]);
                let total = ((size.div_ceil(stride).max(1) - 1) * stride + extent).saturating_sub(size);
                let less = total / 2;
                if odd_is_last { [less, total - less] } else { [total - less, less] }
            }),
        }
    }
}

/// The shortest number that is the same in single precision: 0.1307, not 0.1307000070810318.
pub(super) fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_gives_as_many_positions_as_strides_fit() {
        let zeros = |last: bool, size: usize, extent: usize, stride: usize| {
            Padding::Same { odd_is_last: last }.zeros([size; 2], [extent; 2], [stride; 2])[0]
        };
        assert_eq!(zeros(true, 8, 3, 1), [1, 1]);
        assert_eq!(zeros(true, 8, 4, 1), [1, 2]);
        assert_eq!(zeros(false, 8, 4, 1), [2, 1]);
        assert_eq!(zeros(true, 8, 3, 2), [0, 1], "as TensorFlow pads an even side");
        assert_eq!(zeros(true, 9, 3, 2), [1, 1]);
        assert_eq!(zeros(true, 8, 1, 2), [0, 0]);
    }
}
