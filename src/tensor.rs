//! Tensors on the host: a shape, an element type and 32-bit words, the form in which they travel to and from a device.

use std::fmt;

/// Element type of a tensor. Every element is one 32-bit word, as in a WGSL storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// Unsigned 32-bit integer; also four packed bytes, the first in the lowest bits.
    U32,
}

/// The extents of a tensor, outermost axis first; the last axis is contiguous in memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Number of elements: the product of the extents.
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether some extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The extents, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.0
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Shape {
    fn from(extents: [usize; RANK]) -> Self {
        Self(extents.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Self(extents.to_vec())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A tensor in host memory.
///
/// The words are kept untyped and viewed through [`bytemuck`], so that one type serves every element type and a
/// transfer is a copy of bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct HostTensor {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Shape,
    words: Vec<u32>,
}

impl HostTensor {
    /// A tensor of zeros.
    pub fn zeros(dtype: DType, shape: Shape) -> Self {
        Self::from_words(dtype, shape.clone(), vec![0; shape.len()])
    }

    /// A tensor of the given words.
    ///
    /// # Panics
    /// When the number of words is not the number of elements.
    pub fn from_words(dtype: DType, shape: Shape, words: Vec<u32>) -> Self {
        assert_eq!(words.len(), shape.len(), "a tensor of shape {shape} needs {} words", shape.len());
        Self { dtype, shape, words }
    }

    /// A tensor of floats.
    ///
    /// # Panics
    /// When the number of values is not the number of elements.
    pub fn from_f32(shape: impl Into<Shape>, values: &[f32]) -> Self {
        Self::from_words(DType::F32, shape.into(), bytemuck::cast_slice(values).to_vec())
    }

    /// A tensor of integers.
    ///
    /// # Panics
    /// When the number of values is not the number of elements.
    pub fn from_u32(shape: impl Into<Shape>, values: &[u32]) -> Self {
        Self::from_words(DType::U32, shape.into(), values.to_vec())
    }

    /// The elements as 32-bit words.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The elements as 32-bit words, to be written.
    pub fn words_mut(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The elements as floats.
    pub fn f32(&self) -> &[f32] {
        debug_assert_eq!(self.dtype, DType::F32);
        bytemuck::cast_slice(&self.words)
    }

    /// The elements as floats, to be written.
    pub fn f32_mut(&mut self) -> &mut [f32] {
        debug_assert_eq!(self.dtype, DType::F32);
        bytemuck::cast_slice_mut(&mut self.words)
    }

    /// The elements as integers.
    pub fn u32(&self) -> &[u32] {
        debug_assert_eq!(self.dtype, DType::U32);
        &self.words
    }

    /// The elements as integers, to be written.
    pub fn u32_mut(&mut self) -> &mut [u32] {
        debug_assert_eq!(self.dtype, DType::U32);
        &mut self.words
    }
}

impl fmt::Debug for HostTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostTensor({:?} {})", self.dtype, self.shape)
    }
}

/// Packs bytes four to a word, the first in the lowest bits; the last word is filled up with zeros.
pub fn pack_bytes(bytes: &[u8]) -> Vec<u32> {
    let (words, rest) = bytes.as_chunks();
    let filled_up = (!rest.is_empty()).then(|| std::array::from_fn(|place| rest.get(place).copied().unwrap_or(0)));
    words.iter().copied().chain(filled_up).map(u32::from_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_first_byte_lowest() {
        assert_eq!(pack_bytes(&[1, 2, 3, 4, 5]), [0x0403_0201, 5]);
        assert_eq!(pack_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]), [0x0403_0201, 0x0807_0605]);
        assert_eq!(pack_bytes(&[]), [] as [u32; 0]);
    }

    #[test]
    fn floats_survive_as_words() {
        let tensor = HostTensor::from_f32([2], &[1.5, -0.0]);
        assert_eq!(tensor.words(), [0x3fc0_0000, 0x8000_0000]);
        assert_eq!(tensor.f32()[0], 1.5);
    }
}
