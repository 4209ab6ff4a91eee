//! A value between two operations: the shape that it has in our models, and how the other library orders its elements.

use anyhow::{Context, Result, bail, ensure};

use super::operation::{Channels, MOST_SIZE};
use crate::data::ImageSize;
use crate::layers::{Layer, Order};

/// A value for one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// As our layers have it: `[channels, rows, columns]` of a map, or the length of a vector.
    pub(super) shape: Vec<usize>,
    /// Whether maps have their channels last.
    pub(super) channels_last: bool,
    /// If a vector has the elements of a map whose channels were last: that map's channels, rows and columns.
    flattened: Option<[usize; 3]>,
    /// Zeros around a map that the next convolution takes as its own.
    pub(super) padding: [[usize; 2]; 2],
}

impl Value {
    pub(super) fn new(shape: Vec<usize>, channels_last: bool) -> Self {
        Self { shape, channels_last, flattened: None, padding: [[0; 2]; 2] }
    }

    /// The value at the input of a graph whose axes, that of the samples left out, have these extents; none for one that
    /// the file leaves open, for which the size of an image is given.
    ///
    /// # Errors
    /// If an extent is neither in the file nor given, or if these are not the axes of an image.
    pub(super) fn at_input(extents: &[Option<i64>], channels_last: bool, given: Option<ImageSize>) -> Result<Self> {
        let given = |axis: usize| {
            let ImageSize { height, width, channels } = given?;
            match extents.len() {
                1 => Some(height * width * channels.unwrap_or(1)),
                2 => Some([height, width][axis]),
                _ if channels_last => [Some(height), Some(width), channels].get(axis).copied()?,
                _ => [channels, Some(height), Some(width)].get(axis).copied()?,
            }
        };
        let extent = |(axis, extent): (usize, &Option<i64>)| match *extent {
            Some(extent) => usize::try_from(extent)
                .ok()
                .filter(|extent| (1..=MOST_SIZE.pow(2)).contains(extent))
                .with_context(|| format!("an axis of its input has an extent of {extent}")),
            None => {
                given(axis).context("it leaves open how large its images are; give --image-size HEIGHTxWIDTHxCHANNELS")
            }
        };
        let sizes = extents.iter().enumerate().map(extent).collect::<Result<Vec<_>>>()?;
        let shape = match sizes[..] {
            [height, width, channels] if channels_last => vec![channels, height, width],
            [channels, height, width] => vec![channels, height, width],
            [height, width] => vec![1, height, width],
            [length] => vec![length],
            _ => bail!("its input has {} axes besides that of the samples, and images have three", sizes.len()),
        };
        Ok(Self::new(shape, channels_last))
    }

    /// Channels, rows and columns.
    ///
    /// # Errors
    /// If it is a vector.
    pub(super) fn map(&self) -> Result<[usize; 3]> {
        <[usize; 3]>::try_from(&self.shape[..])
            .ok()
            .with_context(|| format!("it needs a map of channels, rows and columns, and its input is {:?}", self.shape))
    }

    /// The shape that the other library gives it.
    pub(super) fn foreign_shape(&self) -> Vec<usize> {
        match self.shape[..] {
            [channels, height, width] if self.channels_last => vec![height, width, channels],
            _ => self.shape.clone(),
        }
    }

    /// Takes the shape of a layer's output.
    ///
    /// # Errors
    /// If the layer cannot take such an input.
    pub(super) fn become_output_of(&mut self, layer: &dyn Layer) -> Result<()> {
        let shape = layer.output(&self.shape).with_context(|| {
            format!("it would be `{}`, which cannot take an input of shape {:?}", layer.text(), self.shape)
        })?;
        let mixes = layer.parameters(&self.shape).iter().any(|parameter| parameter.order == Order::OutputsLast);
        match (&self.shape[..], &shape[..]) {
            (&[channels, height, width], [_]) if self.channels_last => self.flattened = Some([channels, height, width]),
            _ if mixes => self.flattened = None,
            _ => {}
        }
        self.shape = shape;
        Ok(())
    }

    /// Moves the channels of a map.
    ///
    /// # Errors
    /// If they are there already.
    pub(super) fn transpose(&mut self, to_channels_last: bool) -> Result<()> {
        self.map()?;
        ensure!(self.channels_last != to_channels_last, "it moves channels that are not where it takes them from");
        self.channels_last = to_channels_last;
        Ok(())
    }

    /// Whether zeros around it wait for a convolution.
    pub(super) fn is_padded(&self) -> bool {
        self.padding != [[0; 2]; 2]
    }

    /// Whether the elements lie as ours do.
    pub(super) fn is_in_our_order(&self) -> bool {
        self.flattened.is_none_or(|[channels, height, width]| channels == 1 || height * width == 1)
    }

    /// A number for each channel of a map or element of a vector, in our order.
    pub(super) fn in_our_order<T: Copy>(&self, values: &[T]) -> Vec<T> {
        let Some([channels, height, width]) = self.flattened.filter(|_| self.shape.len() == 1) else {
            return values.to_vec();
        };
        let area = height * width;
        (0..channels).flat_map(|channel| (0..area).map(move |place| values[place * channels + channel])).collect()
    }

    /// A number for each channel or element, or one for all, in our order.
    ///
    /// # Errors
    /// If the numbers are for something else, such as each position.
    pub(super) fn spread(&self, channels: &Channels) -> Result<Vec<f64>> {
        let Channels { shape, values } = channels;
        if values.len() == 1 {
            return Ok(values.clone());
        }
        let count = self.shape[0];
        // Axes of extent 1 before the first other one are left out or not.
        let given = shape.iter().position(|&extent| extent != 1).map_or(&shape[..0], |first| &shape[first..]);
        let is_of_each = match self.shape.len() {
            3 if !self.channels_last => *given == [count, 1, 1],
            _ => *given == [count],
        };
        ensure!(
            is_of_each,
            "its constant of shape {shape:?} is not a number for each of the {count} channels, or one for all"
        );
        Ok(self.in_our_order(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Dense, Flatten, Relu};

    #[test]
    fn vectors_of_maps_with_channels_last_are_put_into_our_order() {
        let mut value = Value::new(vec![2, 1, 3], true);
        assert_eq!(value.foreign_shape(), [1, 3, 2]);
        value.become_output_of(&Flatten).unwrap();
        value.become_output_of(&Relu).unwrap();
        // Elements are y, x, c there, and c, y, x here.
        assert_eq!(value.in_our_order(&[0, 1, 2, 3, 4, 5]), [0, 2, 4, 1, 3, 5]);
        assert!(!value.is_in_our_order());
        value.become_output_of(&Dense { outputs: 2 }).unwrap();
        assert_eq!((value.in_our_order(&[7, 8]), value.is_in_our_order()), (vec![7, 8], true));
    }

    #[test]
    fn constants_are_of_channels_or_of_all() {
        let constant = |shape: &[usize], values: &[f64]| Channels { shape: shape.to_vec(), values: values.to_vec() };
        let first = Value::new(vec![3, 4, 5], false);
        assert_eq!(first.spread(&constant(&[1, 1], &[2.0])).unwrap(), [2.0]);
        assert_eq!(first.spread(&constant(&[1, 3, 1, 1], &[1.0, 2.0, 3.0])).unwrap(), [1.0, 2.0, 3.0]);
        assert!(first.spread(&constant(&[3], &[1.0, 2.0, 3.0])).is_err());
        let last = Value::new(vec![3, 4, 5], true);
        assert!(last.spread(&constant(&[3], &[1.0, 2.0, 3.0])).is_ok());
        assert!(last.spread(&constant(&[5, 1], &[1.0; 5])).is_err());
    }
}
