//! Shaders in the languages of the drivers, as wgpu gives them: naga's translations.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result, anyhow, bail};
use naga::back::pipeline_constants::process_overrides;
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{Module, ResourceBinding, ShaderStage};

use crate::op::{Op, Operand, Variant};

/// A language that naga writes, and wgpu's API that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Vulkan.
    SpirV,
    /// Metal.
    Msl,
    /// Direct3D 12, compiled by DXC.
    Hlsl,
    /// Direct3D 12, compiled by FXC.
    HlslForFxc,
    /// OpenGL ES 3.1.
    GlslEs,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SpirV, Self::Msl, Self::Hlsl, Self::HlslForFxc, Self::GlslEs];
}

/// A parsed and validated shader.
pub struct Parsed {
    module: Module,
    info: ModuleInfo,
}

impl Parsed {
    /// Parses the text of a shader.
    ///
    /// # Errors
    /// If naga refuses it.
    pub fn new(source: &str) -> Result<Self> {
        let module = naga::front::wgsl::parse_str(source).map_err(|error| anyhow!(error.emit_to_string(source)))?;
        let info = Validator::new(ValidationFlags::all(), Capabilities::all())
            .subgroup_stages(ShaderStages::all())
            .subgroup_operations(SubgroupOperationSet::all())
            .validate(&module)
            .map_err(|error| anyhow!(error.emit_to_string(source)))?;
        Ok(Self { module, info })
    }

    /// Writes it with the constants of an op and a variant, whose text it is: words of SPIR-V as bytes, or a text.
    ///
    /// # Errors
    /// If naga cannot write it in that language.
    pub fn write(&self, op: &dyn Op, variant: &Variant, language: Language) -> Result<Vec<u8>> {
        let fixed = Fixed::of(op, variant, self)?;
        let written = without_panic(|| fixed.write(language))?;
        (!written.is_empty()).then_some(written).context("nothing was written")
    }

    /// The words of SPIR-V that wgpu gives a driver: with the constants of an op and a variant, whose text it is, without
    /// bounds of loops and checked indices, which kernels of this crate do without, and without zeroed workgroup memory,
    /// which they write first.
    ///
    /// # Errors
    /// If naga cannot write it.
    pub fn spirv_for(&self, op: &dyn Op, variant: &Variant, driver: SpirVForDriver) -> Result<Vec<u32>> {
        let is_checked = variant.has_checked_indices();
        let unless = |is_bounded: bool| match is_bounded || is_checked {
            true => BoundsCheckPolicy::Unchecked,
            false => BoundsCheckPolicy::Restrict,
        };
        let options = spv::Options {
            lang_version: driver.version,
            flags: spv::WriterFlags::LABEL_VARYINGS,
            bounds_check_policies: BoundsCheckPolicies {
                index: unless(false),
                buffer: unless(driver.has_robust_buffers),
                image_load: unless(driver.has_robust_images),
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            ..Default::default()
        };
        let fixed = Fixed::of(op, variant, self)?;
        without_panic(|| fixed.spirv(&options))
    }
}

/// What naga writes; where it panics, that is an error.
fn without_panic<T>(write: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| bail!("naga panics"))
}

/// How wgpu writes SPIR-V for a driver of Vulkan.
#[derive(Clone, Copy, Debug)]
pub struct SpirVForDriver {
    /// The version of SPIR-V.
    pub version: (u8, u8),
    /// Whether the driver bounds the indices of buffers, so that the shader need not.
    pub has_robust_buffers: bool,
    /// The same for textures.
    pub has_robust_images: bool,
}

/// A shader with its constants.
struct Fixed<'a> {
    module: Module,
    info: ModuleInfo,
    entry: &'a str,
    operands: Vec<Operand>,
    textures: Vec<&'static str>,
}

impl<'a> Fixed<'a> {
    fn of(op: &'a dyn Op, variant: &Variant, parsed: &Parsed) -> Result<Self> {
        let constants = [op.sizes(), variant.constants.clone()].concat();
        let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((ShaderStage::Compute, variant.shader.entry_point()));
        let (module, info) =
            process_overrides(&parsed.module, &parsed.info, entry, &constants).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Self {
            module: module.into_owned(),
            info: info.into_owned(),
            entry: variant.shader.entry_point(),
            operands: op.operands(),
            textures: variant.textures.clone(),
        })
    }
}

impl Fixed<'_> {
    /// Each binding, whether it is a texture, and whether it is written.
    fn bindings(&self) -> impl Iterator<Item = (ResourceBinding, u8, bool, bool)> {
        (0..).zip(&self.operands).map(|(binding, operand)| {
            let is_texture = self.textures.contains(&operand.name);
            (ResourceBinding { group: 0, binding }, binding as u8, is_texture, operand.is_written())
        })
    }

    fn write(&self, language: Language) -> Result<Vec<u8>> {
        match language {
            Language::SpirV => self.write_spirv(),
            Language::Msl => self.write_msl(),
            Language::Hlsl => self.write_hlsl(hlsl::ShaderModel::V6_2),
            Language::HlslForFxc => self.write_hlsl(hlsl::ShaderModel::V5_1),
            Language::GlslEs => self.write_glsl(),
        }
    }

    fn write_spirv(&self) -> Result<Vec<u8>> {
        // As of SPIR-V 1.4 every global that is used stands in the entry point; cooperative matrices need 1.6.
        let options = spv::Options { lang_version: (1, 6), bounds_check_policies: CLAMPED, ..Default::default() };
        Ok(self.spirv(&options)?.into_iter().flat_map(u32::to_le_bytes).collect())
    }

    fn spirv(&self, options: &spv::Options<'_>) -> Result<Vec<u32>> {
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: self.entry.to_owned() };
        Ok(spv::write_vec(&self.module, &self.info, options, Some(&pipeline))?)
    }

    fn write_msl(&self) -> Result<Vec<u8>> {
        let mut slots = msl::EntryPointResources { sizes_buffer: Some(20), ..Default::default() };
        for (binding, slot, is_texture, is_written) in self.bindings() {
            let [buffer, texture] = [(!is_texture).then_some(slot), is_texture.then_some(slot)];
            slots
                .resources
                .insert(binding, msl::BindTarget { buffer, texture, mutable: is_written, ..Default::default() });
        }
        let options = msl::Options {
            lang_version: (3, 0),
            fake_missing_bindings: false,
            bounds_check_policies: CLAMPED,
            per_entry_point_map: [(self.entry.to_owned(), slots)].into(),
            ..Default::default()
        };
        let entry_point = Some((ShaderStage::Compute, self.entry.to_owned()));
        let pipeline = msl::PipelineOptions { entry_point, ..Default::default() };
        let (text, names) = msl::write_string(&self.module, &self.info, &options, &pipeline)?;
        names.entry_point_names[0].as_ref().map_err(|error| anyhow!(error.to_string()))?;
        Ok(text.into_bytes())
    }

    fn write_hlsl(&self, shader_model: hlsl::ShaderModel) -> Result<Vec<u8>> {
        let mut options = hlsl::Options { shader_model, fake_missing_bindings: false, ..Default::default() };
        options.special_constants_binding = Some(hlsl::BindTarget { space: 1, ..Default::default() });
        for (binding, slot, ..) in self.bindings() {
            options.binding_map.insert(binding, hlsl::BindTarget { register: slot.into(), ..Default::default() });
        }
        let entry_point = Some((ShaderStage::Compute, self.entry.to_owned()));
        let pipeline = hlsl::PipelineOptions { entry_point };
        let mut text = String::new();
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        let names = writer.write(&self.module, &self.info, None)?.entry_point_names;
        names[0].as_ref().map_err(|error| anyhow!(error.to_string()))?;
        Ok(text.into_bytes())
    }

    fn write_glsl(&self) -> Result<Vec<u8>> {
        let mut binding_map = glsl::BindingMap::default();
        let mut slots = BTreeMap::new();
        for (binding, _, is_texture, _) in self.bindings() {
            let next = slots.entry(is_texture).or_insert(0);
            binding_map.insert(binding, *next);
            *next += 1;
        }
        let version = glsl::Version::new_gles(310);
        let options = glsl::Options { version, binding_map, ..Default::default() };
        let shader_stage = ShaderStage::Compute;
        let pipeline = glsl::PipelineOptions { shader_stage, entry_point: self.entry.to_owned(), multiview: None };
        let mut text = String::new();
        glsl::Writer::new(&mut text, &self.module, &self.info, &options, &pipeline, BoundsCheckPolicies::default())
            .and_then(|mut writer| writer.write())?;
        Ok(text.into_bytes())
    }
}

/// As wgpu writes shaders.
const CLAMPED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};
