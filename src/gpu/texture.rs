//! Copies of tensors in textures, for variants that read these instead of buffers.

use std::collections::HashMap;

use super::Gpu;
use crate::op::TEXELS_PER_ROW;
use crate::tensor::DType;

/// The format of an element type's texels: four floats or an integer.
pub(super) fn format(dtype: DType) -> wgpu::TextureFormat {
    match dtype {
        DType::F32 => wgpu::TextureFormat::Rgba32Float,
        DType::F16 => wgpu::TextureFormat::Rg32Uint,
        DType::U32 => wgpu::TextureFormat::R32Uint,
    }
}

/// Words of a texel.
fn texel_words(format: wgpu::TextureFormat) -> u32 {
    format.block_copy_size(None).map_or(1, |bytes| bytes / 4)
}

/// Words of a texel of the copy of a tensor of this type.
#[cfg(feature = "program")]
pub(crate) fn words_of_texel(dtype: DType) -> u32 {
    texel_words(format(dtype))
}

/// The rows of the copy of a tensor of `words` words.
pub(super) fn rows(dtype: DType, words: usize) -> usize {
    words.div_ceil((texel_words(format(dtype)) * TEXELS_PER_ROW) as usize)
}

/// The bytes of the copy of a tensor of `words` words.
pub(super) fn size_bytes(dtype: DType, words: usize) -> u64 {
    4 * rows(dtype, words) as u64 * u64::from(texel_words(format(dtype)) * TEXELS_PER_ROW)
}

/// How a kernel reads a copy.
pub(super) fn binding_type(format: wgpu::TextureFormat) -> wgpu::BindingType {
    wgpu::BindingType::StorageTexture {
        access: wgpu::StorageTextureAccess::ReadOnly,
        format,
        view_dimension: wgpu::TextureViewDimension::D2,
    }
}

/// A tensor's copy in a texture: texel `i` is in column `i % TEXELS_PER_ROW` of row `i / TEXELS_PER_ROW`.
#[derive(Clone, PartialEq)]
pub(super) struct TextureCopy {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    buffer: wgpu::Buffer,
    offset: u64,
    texels: u32,
}

impl TextureCopy {
    fn new(gpu: &Gpu, source: &wgpu::BufferBinding<'_>, format: wgpu::TextureFormat) -> Self {
        let wgpu::BufferBinding { buffer, offset, size } = source;
        let bytes = size.map_or(buffer.size() - offset, u64::from);
        let texels = bytes.div_ceil(4 * u64::from(texel_words(format))) as u32;
        let rows = texels.div_ceil(TEXELS_PER_ROW);
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("copy of a tensor"),
            size: wgpu::Extent3d { width: TEXELS_PER_ROW, height: rows, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view, buffer: (*buffer).clone(), offset: *offset, texels }
    }

    pub(super) fn view(&self) -> &wgpu::TextureView {
        &self.view
    }

    /// Whether it copies a part of what is bound.
    fn is_of(&self, bound: &wgpu::BufferBinding<'_>) -> bool {
        let end = self.offset + 4 * u64::from(self.texels) * u64::from(texel_words(self.texture.format()));
        let bound_end = bound.size.map_or(bound.buffer.size(), |size| bound.offset + u64::from(size));
        self.buffer == *bound.buffer && self.offset < bound_end && bound.offset < end
    }

    /// Updates the copy: the full rows, then the texels of the last one.
    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let rows = self.texels / TEXELS_PER_ROW;
        self.copy(encoder, 0, [TEXELS_PER_ROW, rows]);
        self.copy(encoder, rows, [self.texels % TEXELS_PER_ROW, 1]);
    }

    fn copy(&self, encoder: &mut wgpu::CommandEncoder, first_row: u32, [width, height]: [u32; 2]) {
        if width * height == 0 {
            return;
        }
        let bytes_per_row = 4 * TEXELS_PER_ROW * texel_words(self.texture.format());
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo {
                buffer: &self.buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: self.offset + u64::from(first_row) * u64::from(bytes_per_row),
                    bytes_per_row: Some(bytes_per_row),
                    rows_per_image: None,
                },
            },
            wgpu::TexelCopyTextureInfo {
                origin: wgpu::Origin3d { x: 0, y: first_row, z: 0 },
                ..self.texture.as_image_copy()
            },
            wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        );
    }
}

/// The copies of some kernels' tensors. Kernels that read a tensor in the same format share a copy.
#[derive(Default)]
pub(super) struct Textures(HashMap<(wgpu::Buffer, u64, Option<wgpu::BufferSize>, wgpu::TextureFormat), TextureCopy>);

impl Textures {
    /// The copy of what is bound.
    pub(super) fn copy_of(
        &mut self,
        gpu: &Gpu,
        source: &wgpu::BufferBinding<'_>,
        format: wgpu::TextureFormat,
    ) -> TextureCopy {
        let key = (source.buffer.clone(), source.offset, source.size, format);
        self.0.entry(key).or_insert_with(|| TextureCopy::new(gpu, source, format)).clone()
    }

    /// All copies of parts of what is bound.
    pub(super) fn copies_of(&self, bound: wgpu::BufferBinding<'_>) -> impl Iterator<Item = TextureCopy> {
        self.0.values().filter(move |copy| copy.is_of(&bound)).cloned()
    }
}
