//! Translates every shader, with the constants of every case, for every back end. wgpu gives drivers not WGSL but
//! naga's translation, and each machine can run only one or two of these languages.

use std::collections::{BTreeMap, BTreeSet};

use gpu_digits::arithmetic::questions;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Feature, Variant, variant_label};
use gpu_digits::translate::{Language, Parsed};
use gpu_digits::verify::cases;

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

/// Parses a shader and writes it with all constants that cases give it; what went wrong, by language.
fn write_everywhere(runs: &[(gpu_digits::ops::Case, Variant)]) -> Vec<(Language, String, String)> {
    let parsed = Parsed::new(runs[0].1.shader.source).unwrap_or_else(|error| panic!("{error}"));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (case, variant) in runs {
        let label = variant_label(case.as_ref(), variant);
        if !seen.insert(format!("{label} {:?}", variant.constants)) {
            continue;
        }
        for language in Language::ALL {
            let written = parsed.write(case.as_ref(), variant, language);
            wrong.extend(written.err().map(|error| (language, label.clone(), format!("{error:#}"))));
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
        for language in Language::ALL {
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
