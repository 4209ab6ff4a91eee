//! Tensors on the host: a shape, an element type and 32-bit words, in the form of device buffers.

use std::fmt;

use half::f16;

/// Element type of a tensor. Elements are stored in 32-bit words, as in a WGSL storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// Unsigned 32-bit integer; also four packed bytes, the first in the lowest bits.
    U32,
    /// IEEE 754 half precision, two elements to a word, the first in the lower bits, as in `pack2x16float`.
    F16,
}

impl DType {
    /// Its name in WGSL.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U32 => "u32",
            Self::F16 => "f16",
        }
    }

    /// The number of words for this many elements.
    pub fn words(self, elements: usize) -> usize {
        match self {
            Self::F32 | Self::U32 => elements,
            Self::F16 => elements.div_ceil(2),
        }
    }
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
        let words = vec![0; dtype.words(shape.len())];
        Self::from_words(dtype, shape, words)
    }

    /// A tensor of the given words.
    ///
    /// # Panics
    /// If the number of words does not match the number of elements.
    pub fn from_words(dtype: DType, shape: Shape, words: Vec<u32>) -> Self {
        let needed = dtype.words(shape.len());
        assert_eq!(words.len(), needed, "a tensor of {dtype:?} of shape {shape} needs {needed} words");
        Self { dtype, shape, words }
    }

    /// A tensor of floats.
    ///
    /// # Panics
    /// If the number of values is not the number of elements.
    pub fn from_f32(shape: impl Into<Shape>, values: &[f32]) -> Self {
        Self::from_words(DType::F32, shape.into(), bytemuck::cast_slice(values).to_vec())
    }

    /// A tensor of integers.
    ///
    /// # Panics
    /// If the number of values is not the number of elements.
    pub fn from_u32(shape: impl Into<Shape>, values: &[u32]) -> Self {
        Self::from_words(DType::U32, shape.into(), values.to_vec())
    }

    /// A tensor of 16-bit floats, each the one nearest to the value.
    ///
    /// # Panics
    /// If the number of values is not the number of elements.
    pub fn from_f32_as_f16(shape: impl Into<Shape>, values: &[f32]) -> Self {
        let shape = shape.into();
        assert_eq!(values.len(), shape.len(), "a tensor of shape {shape} has {} elements", shape.len());
        let bits = |value: Option<&f32>| value.map_or(0, |&value| u32::from(f16::from_f32(value).to_bits()));
        let words = values.chunks(2).map(|pair| bits(pair.first()) | bits(pair.get(1)) << 16);
        Self::from_words(DType::F16, shape, words.collect())
    }

    /// The elements as 32-bit words; 16-bit floats two to a word.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The elements as mutable 32-bit words; 16-bit floats two to a word.
    pub fn words_mut(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The elements as floats.
    pub fn f32(&self) -> &[f32] {
        debug_assert_eq!(self.dtype, DType::F32);
        bytemuck::cast_slice(&self.words)
    }

    /// The elements as mutable floats.
    pub fn f32_mut(&mut self) -> &mut [f32] {
        debug_assert_eq!(self.dtype, DType::F32);
        bytemuck::cast_slice_mut(&mut self.words)
    }

    /// The elements of a tensor of 16-bit floats, widened.
    pub fn widened(&self) -> Vec<f32> {
        debug_assert_eq!(self.dtype, DType::F16);
        let halves = self.words.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]);
        halves.take(self.shape.len()).map(|bits| f16::from_bits(bits).to_f32()).collect()
    }

    /// The elements as integers.
    pub fn u32(&self) -> &[u32] {
        debug_assert_eq!(self.dtype, DType::U32);
        &self.words
    }

    /// The elements as mutable integers.
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

/// Packs bytes, the parts one after the other, four to a word, the first in the lowest bits; the last word is padded with
/// zeros.
pub fn pack_bytes(parts: &[&[u8]]) -> Vec<u32> {
    let count: usize = parts.iter().map(|part| part.len()).sum();
    let mut words = vec![0; count.div_ceil(4)];
    let mut rest: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    for part in parts {
        let place;
        (place, rest) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
    }
    words.iter_mut().for_each(|word| *word = u32::from_le(*word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_first_byte_lowest() {
        assert_eq!(pack_bytes(&[&[1, 2, 3, 4, 5]]), [0x0403_0201, 5]);
        assert_eq!(pack_bytes(&[&[1, 2], &[], &[3, 4, 5], &[6, 7, 8]]), [0x0403_0201, 0x0807_0605]);
        assert_eq!(pack_bytes(&[]), [] as [u32; 0]);
    }

    #[test]
    fn halves_are_packed_first_lowest_and_rounded_to_the_nearest() {
        // 1 + 2^-11 lies in the middle between 1 and its neighbour. It is rounded to the even one.
        let tensor = HostTensor::from_f32_as_f16([3], &[1.0 + 1.0 / 2048.0, -2.0, 0.1]);
        assert_eq!(tensor.words(), [0xc000_3c00, 0x2e66]);
        assert_eq!(tensor.widened(), [1.0, -2.0, 0.099_975_586]);
    }

    #[test]
    fn floats_survive_as_words() {
        let tensor = HostTensor::from_f32([2], &[1.5, -0.0]);
        assert_eq!(tensor.words(), [0x3fc0_0000, 0x8000_0000]);
        assert_eq!(tensor.f32()[0], 1.5);
    }
}
