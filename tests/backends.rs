//! Translates every shader, with the constants of every case, for every back end. wgpu gives drivers not WGSL but
//! naga's translation, and each machine can run only one or two of these languages.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;

use gpu_digits::arithmetic::questions;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Feature, Op, Operand, Variant, variant_label};
use gpu_digits::verify::cases;
use naga::back::pipeline_constants::process_overrides;
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{Module, ResourceBinding, ShaderStage};

/// A language that naga writes, and wgpu's API that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Language {
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

const LANGUAGES: [Language; 5] =
    [Language::SpirV, Language::Msl, Language::Hlsl, Language::HlslForFxc, Language::GlslEs];

/// Which shaders a language does not support, and why. Adapters with that language do not have the feature, so no
/// variant that needs it is ever compiled there.
fn why_not(language: Language, needs: Option<Feature>) -> Option<&'static str> {
    match (language, needs?) {
        (Language::GlslEs, Feature::F16) => Some("OpenGL ES has no 16-bit floats"),
        (Language::Hlsl | Language::HlslForFxc | Language::GlslEs, Feature::CooperativeMatrix { .. }) => {
            Some("naga has cooperative matrices in SPIR-V and MSL alone")
        }
        _ => None,
    }
}

/// A shader with its constants.
struct Fixed<'a> {
    module: Module,
    info: ModuleInfo,
    entry: &'a str,
    operands: Vec<Operand>,
    textures: Vec<&'static str>,
}

fn fixed<'a>(op: &'a dyn Op, variant: &Variant, module: &Module, info: &ModuleInfo) -> Result<Fixed<'a>, String> {
    let constants = [op.sizes(), variant.constants.clone()].concat();
    let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let entry = Some((ShaderStage::Compute, variant.shader.entry_point()));
    let (module, info) = process_overrides(module, info, entry, &constants).map_err(|error| format!("{error:?}"))?;
    Ok(Fixed {
        module: module.into_owned(),
        info: info.into_owned(),
        entry: variant.shader.entry_point(),
        operands: op.operands(),
        textures: variant.textures.clone(),
    })
}

impl Fixed<'_> {
    /// Each binding, whether it is a texture, and whether it is written.
    fn bindings(&self) -> impl Iterator<Item = (ResourceBinding, u8, bool, bool)> {
        (0..).zip(&self.operands).map(|(binding, operand)| {
            let is_texture = self.textures.contains(&operand.name);
            (ResourceBinding { group: 0, binding }, binding as u8, is_texture, operand.is_written())
        })
    }

    /// Writes it, and gives the text or words for some sign of the entry point.
    fn write(&self, language: Language) -> Result<(), String> {
        match language {
            Language::SpirV => self.write_spirv(),
            Language::Msl => self.write_msl(),
            Language::Hlsl => self.write_hlsl(hlsl::ShaderModel::V6_2),
            Language::HlslForFxc => self.write_hlsl(hlsl::ShaderModel::V5_1),
            Language::GlslEs => self.write_glsl(),
        }
    }

    fn write_spirv(&self) -> Result<(), String> {
        // As of SPIR-V 1.4 every global that is used stands in the entry point; cooperative matrices need 1.6.
        let options = spv::Options { lang_version: (1, 6), bounds_check_policies: CLAMPED, ..Default::default() };
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: self.entry.to_owned() };
        let words = spv::write_vec(&self.module, &self.info, &options, Some(&pipeline));
        words.map_err(|error| error.to_string()).and_then(|words| has_text(words.len()))
    }

    fn write_msl(&self) -> Result<(), String> {
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
        let (text, names) =
            msl::write_string(&self.module, &self.info, &options, &pipeline).map_err(|error| error.to_string())?;
        names.entry_point_names[0].as_ref().map_err(ToString::to_string)?;
        has_text(text.len())
    }

    fn write_hlsl(&self, shader_model: hlsl::ShaderModel) -> Result<(), String> {
        let mut options = hlsl::Options { shader_model, fake_missing_bindings: false, ..Default::default() };
        options.special_constants_binding = Some(hlsl::BindTarget { space: 1, ..Default::default() });
        for (binding, slot, ..) in self.bindings() {
            options.binding_map.insert(binding, hlsl::BindTarget { register: slot.into(), ..Default::default() });
        }
        let entry_point = Some((ShaderStage::Compute, self.entry.to_owned()));
        let pipeline = hlsl::PipelineOptions { entry_point };
        let mut text = String::new();
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        let names = writer.write(&self.module, &self.info, None).map_err(|error| error.to_string())?.entry_point_names;
        names[0].as_ref().map_err(ToString::to_string)?;
        has_text(text.len())
    }

    fn write_glsl(&self) -> Result<(), String> {
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
            .and_then(|mut writer| writer.write())
            .map_err(|error| error.to_string())?;
        has_text(text.len())
    }
}

/// As wgpu writes shaders.
const CLAMPED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

fn has_text(length: usize) -> Result<(), String> {
    (length > 0).then_some(()).ok_or_else(|| "nothing was written".to_owned())
}

/// Parses a shader and writes it with all constants that cases give it; what went wrong, by language.
fn write_everywhere(runs: &[(gpu_digits::ops::Case, Variant)]) -> Vec<(Language, String, String)> {
    let (_, first) = &runs[0];
    let source = first.shader.source;
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .subgroup_stages(ShaderStages::all())
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (case, variant) in runs {
        let label = variant_label(case.as_ref(), variant);
        if !seen.insert(format!("{label} {:?}", variant.constants)) {
            continue;
        }
        let fixed = match fixed(case.as_ref(), variant, &module, &info) {
            Ok(fixed) => std::panic::AssertUnwindSafe(fixed),
            Err(error) => {
                wrong.extend(LANGUAGES.map(|language| (language, label.clone(), error.clone())));
                continue;
            }
        };
        for language in LANGUAGES {
            let result = catch_unwind(|| fixed.write(language)).unwrap_or_else(|_| Err("naga panics".to_owned()));
            wrong.extend(result.err().map(|error| (language, label.clone(), error)));
        }
    }
    wrong
}

#[test]
fn every_shader_is_written_in_the_language_of_every_back_end() {
    let mut by_file: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for case in every_op().flat_map(|entry| cases(entry.name)).chain(questions()) {
        for variant in case.variants() {
            by_file.entry(variant.shader.name).or_default().push((case.clone(), variant));
        }
    }
    let mut unexpected = BTreeMap::new();
    let mut not_needed = BTreeSet::new();
    for (file, runs) in &by_file {
        let needs = runs[0].1.needs;
        let wrong = write_everywhere(runs);
        for language in LANGUAGES {
            let errors: Vec<_> = wrong.iter().filter(|(of, ..)| *of == language).collect();
            match (why_not(language, needs), errors.first()) {
                (None, Some((_, label, error))) => {
                    unexpected.insert(format!("{file} in {language:?}"), format!("{label}: {error}"));
                }
                (Some(reason), None) => {
                    not_needed.insert((language, reason));
                }
                _ => {}
            }
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(not_needed.is_empty(), "unneeded exceptions: {not_needed:#?}");
}

/// GLSL ES has no 16-bit floats.
#[test]
fn a_shader_that_a_language_cannot_say_is_found() {
    let source = "enable f16;
        override length: u32;
        override negative_slope: f32;
        override workgroup_size: u32 = 64u;
        @group(0) @binding(0) var<storage, read_write> output: array<vec4<f32>>;
        @compute @workgroup_size(workgroup_size) fn relu_forward() {
            output[0] = vec4(f32(f16(output[0].x) * f16(length)));
        }";
    let case = cases("relu_forward").remove(0);
    let mut variant = case.variants().remove(0);
    variant.shader.source = source;
    let wrong: Vec<Language> =
        write_everywhere(&[(case, variant)]).into_iter().map(|(language, ..)| language).collect();
    assert_eq!(wrong, [Language::GlslEs]);
}
