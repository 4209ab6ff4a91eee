//! Where the values of a network lie in one piece of memory.

use crate::layers::network::Value;

/// What a step does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Its output has a place of its own.
    Own,
    /// Its output may take the place of its first input.
    InPlace,
    /// Its output is its input.
    Same,
}

/// The place of each value, and the elements of all.
pub(super) struct Memory {
    pub(super) offsets: Vec<usize>,
    /// The value after which each one's place is named: the first that lay there.
    pub(super) first: Vec<Value>,
    pub(super) total: usize,
}

/// A place: its elements, and the times of the first value in it and of the last step that needs it.
struct Place {
    first: Value,
    size: usize,
    last: usize,
    offset: usize,
}

impl Memory {
    /// Places values of these sizes, the first of which is the input; each other one is the output of a step, given by
    /// the values that it takes and what it does to memory. The time of a step is the number of its output.
    pub(super) fn new(sizes: &[usize], steps: &[(&[Value], Storage)]) -> Self {
        let end = steps.len() + 1;
        let last_read = |value: Value| {
            let read = steps.iter().rposition(|(inputs, _)| inputs.contains(&value)).map(|step| step + 1);
            if value + 1 == end { end } else { read.unwrap_or(value) }
        };
        let mut places = vec![Place { first: 0, size: sizes[0], last: last_read(0), offset: 0 }];
        let mut place_of = vec![0];
        for (step, (inputs, storage)) in steps.iter().enumerate() {
            let (time, there) = (step + 1, place_of[inputs[0]]);
            let is_free = places[there].last <= time && places[there].size >= sizes[time];
            if *storage == Storage::Same || (*storage == Storage::InPlace && is_free) {
                place_of.push(there);
                places[there].last = places[there].last.max(last_read(time));
            } else {
                place_of.push(places.len());
                places.push(Place { first: time, size: sizes[time], last: last_read(time), offset: 0 });
            }
        }
        let total = arrange(&mut places);
        let of = |value: &usize| &places[*value];
        Self {
            offsets: place_of.iter().map(|place| of(place).offset).collect(),
            first: place_of.iter().map(|place| of(place).first).collect(),
            total,
        }
    }
}

/// Gives places an offset each, the largest first, as low as those allow that are needed at the same time; returns the
/// size of all ("greedy by size": Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020).
fn arrange(places: &mut [Place]) -> usize {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(places[place].size));
    let mut total = 0;
    for (done, &place) in order.iter().enumerate() {
        let Place { first, size, last, .. } = places[place];
        let mut others: Vec<(usize, usize)> = order[..done]
            .iter()
            .map(|&other| &places[other])
            .filter(|other| other.first <= last && first <= other.last)
            .map(|other| (other.offset, other.offset + other.size))
            .collect();
        others.sort_unstable();
        let mut offset = 0;
        for (begin, end) in others {
            if begin < offset + size {
                offset = offset.max(end);
            }
        }
        places[place].offset = offset;
        total = total.max(offset + size);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::Storage::{InPlace, Own, Same};
    use super::*;

    #[test]
    fn values_share_memory_where_they_are_not_needed_together() {
        // A convolution, a rectifier, a pooling, a flattening and a dense layer.
        let steps: [(&[Value], Storage); 5] = [(&[0], Own), (&[1], InPlace), (&[2], Own), (&[3], Same), (&[4], Own)];
        let memory = Memory::new(&[100, 400, 400, 100, 100, 10], &steps);
        assert_eq!(memory.offsets, [400, 0, 0, 400, 400, 0]);
        assert_eq!((memory.first, memory.total), (vec![0, 1, 1, 3, 3, 5], 500));
    }

    #[test]
    fn what_a_shortcut_needs_is_not_overwritten() {
        // `residual(relu, conv)`: the rectifier may not write over the input, and the sum may over the convolution's output.
        let steps: [(&[Value], Storage); 3] = [(&[0], InPlace), (&[1], Own), (&[2, 0], InPlace)];
        let memory = Memory::new(&[10, 10, 10, 10], &steps);
        assert_eq!(memory.offsets[3], memory.offsets[2]);
        let mut places = memory.offsets[..3].to_vec();
        places.sort_unstable();
        assert_eq!((places, memory.total), (vec![0, 10, 20], 30));
    }

    #[test]
    fn a_flattened_map_that_is_needed_later_keeps_its_place() {
        // The second rectifier reads what the first one's input is another name of.
        let steps: [(&[Value], Storage); 3] = [(&[0], Same), (&[1], InPlace), (&[0, 2], InPlace)];
        let memory = Memory::new(&[10, 10, 10, 10], &steps);
        assert_ne!(memory.offsets[2], memory.offsets[0]);
    }
}
