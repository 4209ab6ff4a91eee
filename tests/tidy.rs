//! Rules for the source: shaders are valid and match their op, only one folder uses wgpu, and there is no `unsafe`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gpu_digits::op::{Access, Feature, Variant, variant_label};
use gpu_digits::ops::{Case, TABLE};
use gpu_digits::tensor::DType;
use gpu_digits::verify::cases;
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ImageClass, Module, Scalar, ScalarKind, StorageAccess, TypeInner};

/// WebGPU's default limit of storage buffers for each shader stage.
const MOST_BINDINGS: usize = 8;

/// Lines after which a file of Rust should have been split; a page of tests at its end is not counted.
const MOST_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under a folder with an extension, and their text.
fn files(folder: &str, extension: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).expect("a file of the project");
                found.insert(path.strip_prefix(root()).expect("under the root").to_owned(), text);
            }
        }
    }
    found
}

/// Every shader of the table once, with a case and a variant that use it.
fn shaders() -> Vec<(Case, Variant)> {
    let mut seen = BTreeSet::new();
    let mut shaders = Vec::new();
    for case in TABLE.iter().flat_map(|entry| cases(entry.name)) {
        for variant in case.variants() {
            if seen.insert(variant.shader.file) {
                shaders.push((case.clone(), variant));
            }
        }
    }
    shaders
}

fn parse(variant: &Variant) -> Module {
    let file = variant.shader.file;
    naga::front::wgsl::parse_str(variant.shader.source)
        .unwrap_or_else(|error| panic!("shaders/{file}.wgsl: {}", error.emit_to_string(variant.shader.source)))
}

#[test]
fn every_shader_is_in_the_table() {
    let in_table: BTreeSet<PathBuf> =
        shaders().iter().map(|(_, variant)| format!("shaders/{}.wgsl", variant.shader.file).into()).collect();
    let on_disk: BTreeSet<PathBuf> = files("shaders", "wgsl").into_keys().collect();
    assert_eq!(on_disk, in_table, "left: files, right: what the table's variants use");
}

#[test]
fn every_op_has_one_plain_shader_that_needs_nothing() {
    for case in TABLE.iter().flat_map(|entry| cases(entry.name)) {
        let variants = case.variants();
        let plain: Vec<_> = variants.iter().filter(|variant| variant.name() == "plain").collect();
        let [plain] = plain[..] else { panic!("{}: {} plain shaders", case.label(), plain.len()) };
        assert_eq!(plain.shader.file, case.name(), "{}", case.label());
        let is_about_f16 = case.name() == "fma_chain_f16";
        assert!(plain.needs.is_none() || is_about_f16, "{}: the plain shader needs nothing", case.label());
    }
}

#[test]
fn every_row_of_the_table_has_the_name_of_its_op() {
    for entry in TABLE {
        for case in (entry.awkward_cases)() {
            assert_eq!(case.name(), entry.name);
        }
    }
}

#[test]
fn every_shader_is_valid_as_it_lies_on_disk() {
    for (_, variant) in shaders() {
        let needed = match variant.needs {
            Some(Feature::Subgroups) => Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER,
            Some(Feature::F16) => Capabilities::SHADER_FLOAT16,
            Some(Feature::CooperativeMatrix { .. }) => {
                Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP
            }
            None => Capabilities::empty(),
        };
        // 16-bit floats that are packed into words are a part of WebGPU.
        let capabilities = needed | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let result = Validator::new(ValidationFlags::all(), capabilities).validate(&parse(&variant));
        if let Err(error) = result {
            panic!("shaders/{}.wgsl: {}", variant.shader.file, error.emit_to_string(variant.shader.source));
        }
    }
}

#[test]
fn every_shader_has_one_entry_point_with_the_name_of_its_op() {
    for (op, variant) in shaders() {
        let names: Vec<String> = parse(&variant).entry_points.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [op.name()], "shaders/{}.wgsl", variant.shader.file);
    }
}

#[test]
fn every_shader_binds_the_operands_of_its_op_in_their_order() {
    for (op, variant) in shaders() {
        let module = parse(&variant);
        let file = variant.shader.file;
        let mut bound = BTreeMap::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding else { continue };
            assert_eq!(binding.group, 0, "shaders/{file}.wgsl");
            let name = variable.name.clone().unwrap_or_default();
            let is_texture = variant.textures.contains(&name.as_str());
            let (scalar, access) = match (variable.space, &module.types[variable.ty].inner) {
                (AddressSpace::Storage { access }, TypeInner::Array { base, .. }) if !is_texture => {
                    (module.types[*base].inner.scalar().expect("an array of numbers").kind, access)
                }
                (AddressSpace::Handle, TypeInner::Image { class: ImageClass::Storage { format, access }, .. })
                    if is_texture =>
                {
                    (Scalar::from(*format).kind, *access)
                }
                _ => panic!("shaders/{file}.wgsl: `{name}` is neither an array nor a texture that the variant names"),
            };
            bound.insert(binding.binding, (name, scalar, access));
        }
        let wanted: BTreeMap<_, _> = (0..)
            .zip(op.operands())
            .map(|(binding, operand)| {
                let scalar = if operand.dtype == DType::F32 { ScalarKind::Float } else { ScalarKind::Uint };
                let write = if operand.access == Access::Read { StorageAccess::empty() } else { StorageAccess::STORE };
                (binding, (operand.name.to_owned(), scalar, StorageAccess::LOAD | write))
            })
            .collect();
        assert_eq!(bound, wanted, "shaders/{file}.wgsl (left) against the operands of {} (right)", op.name());
        assert!(bound.len() <= MOST_BINDINGS, "{file}: more than WebGPU's default limit of buffers");
    }
}

#[test]
fn every_shader_takes_the_sizes_of_its_op_as_constants_without_default() {
    for (op, variant) in shaders() {
        let module = parse(&variant);
        let without_default = module.overrides.iter().filter(|(_, constant)| constant.init.is_none());
        let names: BTreeSet<String> = without_default.filter_map(|(_, constant)| constant.name.clone()).collect();
        let sizes = op.sizes();
        let given: BTreeSet<String> =
            sizes.iter().chain(&variant.constants).map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, given, "shaders/{}.wgsl (left) against {} (right)", variant.shader.file, op.name());
    }
}

#[test]
fn every_shader_names_its_cpu_twin_and_describes_its_bindings() {
    for (op, variant) in shaders() {
        let file = variant.shader.file;
        let source = variant.shader.source;
        let header: Vec<&str> = source.lines().take_while(|line| line.starts_with("//")).collect();
        let header = header.join("\n");
        let named = |name: &str| name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>();
        // The twin of an op in half precision is that of the op, in another file.
        let twins = [op.name(), op.name().trim_end_matches("_f16")].map(named);
        let is_twin = |twin: &&String| header.contains(&format!("CPU twin: {twin} in src/ops/"));
        let twin = twins.iter().find(is_twin).unwrap_or(&twins[0]);
        assert!(header.contains(&format!("CPU twin: {twin} in src/ops/")), "{file}: no `CPU twin: {twin} in ...`");
        let place = header.split(&format!("CPU twin: {twin} in ")).nth(1).unwrap_or_default().trim_end_matches('.');
        let text = fs::read_to_string(root().join(place)).unwrap_or_else(|_| panic!("{file}: no file `{place}`"));
        assert!(text.contains(&format!("for {twin} {{")), "{file}: no {twin} in {place}");
        for line in source.lines().filter(|line| line.contains("@binding")) {
            assert!(line.contains("// ["), "{file}: a binding without its shape: {line}");
        }
    }
}

/// A shader is valid as it lies on disk, so what several need stands in each of them.
#[test]
fn functions_that_several_shaders_need_have_one_text() {
    for name in ["texel", "four_of", "two_of", "input_four_at", "weight_four_at", "threefry", "load_grads"] {
        let mut by_signature: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for (_, variant) in shaders() {
            let Some(start) = variant.shader.source.find(&format!("\nfn {name}(")) else { continue };
            let (function, _) = variant.shader.source[start + 1..].split_once("\n}").expect("a function's end");
            let (signature, body) = function.split_once('\n').expect("a function of several lines");
            by_signature.entry(signature).or_default().entry(body).or_default().push(variant.shader.file);
        }
        assert!(!by_signature.is_empty(), "no shader has a function `{name}`: take it out of this test");
        for (signature, texts) in by_signature {
            assert_eq!(texts.len(), 1, "`{signature}` has several texts: {texts:#?}");
        }
    }
}

#[test]
fn no_case_or_model_loops_more_often_than_drivers_execute_in_its_plain_shader() {
    for case in TABLE.iter().flat_map(|entry| cases(entry.name)) {
        let least = case.variants().iter().map(|variant| variant.iterations).min();
        assert!(least <= Some(gpu_digits::op::MAX_ITERATIONS), "{}: {least:?}", case.label());
    }
}

#[test]
fn every_variant_states_its_workgroups_as_they_are() {
    let mut seen = BTreeSet::new();
    for (case, variant) in TABLE.iter().flat_map(|entry| cases(entry.name)).flat_map(|case| {
        let variants = case.variants();
        variants.into_iter().map(move |variant| (case.clone(), variant))
    }) {
        let constants = [case.sizes(), variant.constants.clone()].concat();
        if !seen.insert(format!("{} {constants:?}", variant.shader.file)) {
            continue;
        }
        let label = variant_label(case.as_ref(), &variant);
        let module = parse(&variant);
        let info =
            Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid shader");
        let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((naga::ShaderStage::Compute, case.name()));
        let (module, _) = process_overrides(&module, &info, entry, &constants).expect("its constants fit");
        assert_eq!(module.entry_points[0].workgroup_size, [variant.workgroup_size() as u32, 1, 1], "{label}");
        let is_shared = |space: AddressSpace| space == AddressSpace::WorkGroup;
        let shared = module.global_variables.iter().filter(|(_, variable)| is_shared(variable.space));
        let bytes: u32 = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum();
        assert_eq!(bytes as usize, variant.workgroup_bytes, "{label}: bytes of workgroup memory");
    }
}

#[test]
fn wgpu_is_named_in_the_gpu_folder_only() {
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| !path.starts_with("src/gpu")) {
        let line = text.lines().find(|line| line.contains("wgpu::") || line.contains("use wgpu"));
        assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
    }
}

#[test]
fn nothing_is_printed_but_by_the_terminal() {
    let macros = ["println!", "print!", "eprint!", "dbg!"];
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| path != Path::new("src/terminal.rs")) {
        let mut code = text.lines().filter(|line| !line.starts_with("//!"));
        let line = code.find(|line| macros.iter().any(|name| line.contains(name)) || line.contains("args()"));
        assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
    }
}

#[test]
fn pollster_is_named_at_the_outermost_edge_only() {
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| path != Path::new("src/main.rs")) {
        let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
        let mut code = code.filter(|line| !line.starts_with("//!"));
        assert!(!code.any(|line| line.contains("pollster::")), "{} blocks", path.display());
    }
}

#[test]
fn nothing_is_unsafe_or_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks =
        [["uns", "afe {"], ["uns", "afe fn"], ["to", "do!"], ["unimple", "mented!"], ["FIX", "ME"], ["TO", "DO"]];
    let marks = marks.map(|halves| halves.concat());
    // The only ways by which wgpu offers cooperative matrices, and loops without counters.
    let calls = ["wgpu::ExperimentalFeatures::enabled()", "device.create_shader_module_trusted(descriptor, checks)"];
    let allowed = calls.map(|call| ["uns", "afe { ", call, " }"].concat());
    for (path, text) in files("src", "rs").into_iter().chain(files("tests", "rs")).chain(files("shaders", "wgsl")) {
        let text = allowed.iter().fold(text, |text, allowed| text.replace(allowed, ""));
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} contains `{mark}`", path.display());
        }
    }
}

#[test]
fn files_are_split_before_they_grow_long() {
    for (path, text) in files("src", "rs") {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
    for (path, text) in files("shaders", "wgsl") {
        assert!(text.lines().count() <= 200, "{} is long for one kernel", path.display());
    }
}
