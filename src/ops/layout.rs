//! The memory orders of tensors with four axes.
//!
//! Models and files have PyTorch's order: maps are `[n, c, y, x]` ("planes"), weights `[o, c, ky, kx]`. In memory the
//! channels of a position lie side by side, `[n, y, x, c]`, and weights as `[ky, kx, c, o]`: then the elements that one
//! invocation needs at a time are neighbours, for any size of the map.

/// The elements with their axes in another order: axis `i` of the result is axis `axes[i]` of `extents`.
pub(crate) fn permuted<T: Copy>(values: &[T], extents: [usize; 4], axes: [usize; 4]) -> Vec<T> {
    let strides: [usize; 4] = std::array::from_fn(|axis| extents[axis + 1..].iter().product());
    let [e0, e1, e2, e3] = axes.map(|axis| extents[axis]);
    let [s0, s1, s2, s3] = axes.map(|axis| strides[axis]);
    let mut result = Vec::with_capacity(values.len());
    for i0 in 0..e0 {
        for i1 in 0..e1 {
            for i2 in 0..e2 {
                let start = i0 * s0 + i1 * s1 + i2 * s2;
                result.extend((0..e3).map(|i3| values[start + i3 * s3]));
            }
        }
    }
    result
}

/// `[n, y, x, c]` to `[n, c, y, x]`, given the extents of the former.
pub fn to_planes<T: Copy>(values: &[T], extents: [usize; 4]) -> Vec<T> {
    permuted(values, extents, [0, 3, 1, 2])
}

/// `[n, c, y, x]` to `[n, y, x, c]`, given the extents of the former.
pub fn to_channels_last<T: Copy>(values: &[T], extents: [usize; 4]) -> Vec<T> {
    permuted(values, extents, [0, 2, 3, 1])
}

/// `[o, c, ky, kx]` to `[ky, kx, c, o]`, given the extents of the former.
pub fn to_outputs_last<T: Copy>(values: &[T], extents: [usize; 4]) -> Vec<T> {
    permuted(values, extents, [2, 3, 1, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places() {
        // Two samples of one row, two columns and three channels; each element encodes its index.
        let values = [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112];
        let planes = to_planes(&values, [2, 1, 2, 3]);
        assert_eq!(planes, [0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112]);
        assert_eq!(to_channels_last(&planes, [2, 3, 1, 2]), values);
        let filters = permuted(&values, [2, 1, 2, 3], [3, 2, 0, 1]);
        assert_eq!(filters, [0, 100, 10, 110, 1, 101, 11, 111, 2, 102, 12, 112]);
        assert_eq!(to_outputs_last(&filters, [3, 2, 2, 1]), values);
    }
}
