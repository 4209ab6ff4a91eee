//! A convolution of another library as one of ours, which has a square kernel, one stride, and no padding or `same`.
//!
//! A kernel that is larger, with zeros where the other has none, computes the same: so dilations, kernels that are not
//! square and most paddings can be expressed. Groups become zeros between the channels of different groups.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::operation::Convolution;
use crate::layers::{Conv, Layer as _};
use crate::tensor::HostTensor;

/// The most elements of a kernel that is enlarged: 64 MiB, far more than such models need.
const MOST_ELEMENTS: usize = 1 << 24;

/// The convolution, its weights and bias, and what was filled with zeros, if anything was.
pub(super) struct Fitted {
    pub(super) layer: Arc<Conv>,
    pub(super) parameters: Vec<HostTensor>,
    pub(super) remark: Option<String>,
}

/// Where a kernel lies in a square one of ours.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    kernel: usize,
    same: bool,
    /// The row and the column of its first element.
    offset: [usize; 2],
}

/// The layer that computes a convolution of maps of `[channels, rows, columns]`.
///
/// # Errors
/// If none does.
pub(super) fn fitted(conv: &Convolution, map: [usize; 3], before: [[usize; 2]; 2]) -> Result<Fitted> {
    let Convolution { weight, strides, dilations, groups, padding, .. } = conv;
    let [outputs, of_group, rows, columns] =
        <[usize; 4]>::try_from(weight.shape.extents()).ok().context("its weights do not have four axes")?;
    let [channels, height, width] = map;
    ensure!(!weight.shape.is_empty(), "its weights of shape {} are empty", weight.shape);
    ensure!(
        of_group * groups == channels && outputs.is_multiple_of(*groups),
        "its weights of shape {} with groups = {groups} do not fit its {channels} channels",
        weight.shape
    );
    ensure!(strides[0] == strides[1], "its strides {strides:?} differ; ours has one for rows and columns");
    let extents = [0, 1].map(|axis| ([rows, columns][axis] - 1) * dilations[axis] + 1);
    let own =
        padding.zeros([0, 1].map(|axis| [height, width][axis] + before[axis][0] + before[axis][1]), extents, *strides);
    let zeros = [0, 1].map(|axis| [own[axis][0] + before[axis][0], own[axis][1] + before[axis][1]]);
    let place = place([height, width], extents, strides[0], zeros).with_context(|| {
        format!(
            "its {rows}x{columns} kernel with strides {strides:?}, dilations {dilations:?} and {zeros:?} zeros around a map \
             of {height}x{width} (before and after rows, and columns) gives a map that no convolution of ours gives"
        )
    })?;
    let Place { kernel, same, offset } = place;
    let layer = Arc::new(Conv { channels: outputs, kernel, stride: strides[0], same });
    let bias = conv.bias.clone().unwrap_or_else(|| vec![0.0; outputs]);
    ensure!(bias.len() == outputs, "its bias has {} elements for {outputs} outputs", bias.len());
    let shape = [outputs, channels, kernel, kernel];
    let (given, needed) = (weight.shape.len(), shape.iter().product::<usize>());
    ensure!(
        given == needed || needed <= MOST_ELEMENTS,
        "it would need {needed} weights, of which only {given} are not 0: more than are enlarged"
    );
    let mut values = vec![0.0; needed];
    for (index, &value) in weight.f32().iter().enumerate() {
        let (column, row) = (index % columns, index / columns % rows);
        let (input, output) = (index / (columns * rows) % of_group, index / (columns * rows * of_group));
        let channel = output / (outputs / groups) * of_group + input;
        let [y, x] = [offset[0] + row * dilations[0], offset[1] + column * dilations[1]];
        values[((output * channels + channel) * kernel + y) * kernel + x] = value;
    }
    let remark = (needed > given).then(|| {
        format!("`{}` has zeros where the original has no weights: {needed} weights instead of {given}", layer.text())
    });
    let parameters = vec![HostTensor::from_f32(shape, &values), HostTensor::from_f32([outputs], &bias)];
    Ok(Fitted { layer, parameters, remark })
}

/// The smallest square kernel of ours in which a kernel of these extents can lie so that each position of the output is
/// the same, given the zeros before and after.
fn place(sizes: [usize; 2], extents: [usize; 2], stride: usize, zeros: [[usize; 2]; 2]) -> Option<Place> {
    let largest = extents[0].max(extents[1]);
    let most = 2 * largest.max(zeros.as_flattened().iter().copied().max().unwrap_or(0)) + 1;
    // A kernel beyond the map and its zeros has no positions.
    let most = most.min(2 * sizes[0].max(sizes[1]) + 1);
    (largest..=most).find_map(|kernel| {
        [false, true].into_iter().find_map(|same| {
            let padding = if same { kernel - 1 } else { 0 };
            let offset = |axis: usize| {
                let [before, after] = zeros[axis];
                let wanted = (sizes[axis] + before + after).checked_sub(extents[axis])? / stride;
                let ours = (sizes[axis] + padding).checked_sub(kernel)? / stride;
                let offset = (padding / 2).checked_sub(before)?;
                (wanted == ours && offset + extents[axis] <= kernel).then_some(offset)
            };
            Some(Place { kernel, same, offset: [offset(0)?, offset(1)?] })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(size: usize, extent: usize, stride: usize, zeros: [usize; 2]) -> Option<(usize, bool, usize)> {
        place([size; 2], [extent; 2], stride, [zeros; 2]).map(|place| (place.kernel, place.same, place.offset[0]))
    }

    #[test]
    fn kernels_of_ours_keep_their_size() {
        for stride in [1, 2, 3] {
            for size in 5..9 {
                assert_eq!(found(size, 3, stride, [0, 0]), Some((3, false, 0)));
                assert_eq!(found(size, 5, stride, [2, 2]).unwrap(), (5, true, 0));
                assert_eq!(found(size, 4, stride, [1, 2]).unwrap().2, 0);
            }
        }
    }

    #[test]
    fn other_paddings_take_a_larger_kernel() {
        assert_eq!(found(8, 3, 2, [0, 1]), Some((4, true, 1)), "TensorFlow's `same` of an even side");
        assert_eq!(found(8, 3, 1, [2, 0]), Some((5, true, 0)), "causal");
        assert_eq!(found(8, 4, 1, [2, 1]), Some((5, true, 0)), "SAME_LOWER of an even kernel");
        assert_eq!(place([8, 8], [1, 5], 1, [[0, 0], [2, 2]]), Some(Place { kernel: 5, same: true, offset: [2, 0] }));
    }

    #[test]
    fn maps_of_a_size_that_ours_do_not_have_are_refused() {
        assert_eq!(found(8, 5, 1, [1, 1]), None, "between valid and same");
        assert_eq!(found(8, 3, 1, [2, 2]), None, "larger than its input");
        assert_eq!(found(3, 5, 1, [0, 0]), None, "no position");
    }
}
