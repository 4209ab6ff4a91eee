//! Rules for shaders: each is valid, matches its op, and is made of parts without copies.

#[path = "common/files.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use common::{files, root};
use gpu_digits::arithmetic::questions;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Access, Feature, Variant, variant_label};
use gpu_digits::tensor::DType;
use gpu_digits::verify::{cases, shaders};
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ImageClass, Module, Scalar, ScalarKind, StorageAccess, TypeInner};

/// WebGPU's default limit of storage buffers for each shader stage.
const MOST_BINDINGS: usize = 8;

fn parse(variant: &Variant) -> Module {
    let shader = variant.shader;
    naga::front::wgsl::parse_str(shader.source)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name, error.emit_to_string(shader.source)))
}

#[test]
fn every_file_is_a_part_of_a_shader() {
    let on_disk: BTreeSet<PathBuf> = files("shaders", "wgsl").into_keys().collect();
    let mut variants: Vec<Variant> = shaders().into_iter().map(|(_, variant)| variant).collect();
    variants.extend(questions().iter().flat_map(|question| question.variants()));
    let parts = variants.iter().flat_map(|variant| variant.shader.parts);
    let used: BTreeSet<PathBuf> = parts.map(|part| format!("shaders/{part}.wgsl").into()).collect();
    assert_eq!(on_disk, used, "left: files, right: parts of the table's variants");
}

#[test]
fn a_shader_is_its_files_one_after_the_other() {
    let on_disk = files("shaders", "wgsl");
    for (_, variant) in shaders() {
        let shader = variant.shader;
        let mut line = 0;
        for &part in shader.parts {
            let path = PathBuf::from(format!("shaders/{part}.wgsl"));
            for (number, text) in (1..).zip(on_disk[&path].lines()) {
                assert_eq!(shader.locate(line + 1 + number), Some((part, number)), "{}", shader.name);
                assert_eq!(shader.source.lines().nth(line + number), Some(text), "{}", shader.name);
            }
            line += 1 + on_disk[&path].lines().count();
        }
        assert_eq!(shader.source.lines().count(), line, "{}", shader.name);
    }
}

#[test]
fn every_op_has_one_plain_shader_that_needs_nothing() {
    for case in every_op().flat_map(|entry| cases(entry.name)) {
        let variants = case.variants();
        let plain: Vec<_> = variants.iter().filter(|variant| variant.name() == "plain").collect();
        let [plain] = plain[..] else { panic!("{}: {} plain shaders", case.label(), plain.len()) };
        assert_eq!(plain.shader.name, case.name(), "{}", case.label());
        let is_about_f16 = case.name() == "fma_chain_f16";
        assert!(plain.needs.is_none() || is_about_f16, "{}: the plain shader needs nothing", case.label());
    }
}

#[test]
fn every_row_of_the_table_has_the_name_of_its_op() {
    for entry in every_op() {
        for case in (entry.awkward_cases)() {
            assert_eq!(case.name(), entry.name);
        }
    }
}

#[test]
fn every_shader_is_valid() {
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
            panic!("{}: {}", variant.shader.name, error.emit_to_string(variant.shader.source));
        }
    }
}

#[test]
fn every_shader_has_one_entry_point_with_the_name_of_its_op() {
    for (op, variant) in shaders() {
        let shader = variant.shader;
        let names: Vec<String> = parse(&variant).entry_points.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [shader.entry_point()], "{}", shader.name);
        // An op in half precision may have the kernel of the op.
        let ops = [op.name(), op.name().trim_end_matches("_f16")];
        assert!(ops.contains(&shader.entry_point()), "{}: {names:?}", shader.name);
        assert_eq!(shader.name.split('.').next(), Some(op.name()), "{}", shader.name);
    }
}

#[test]
fn every_shader_binds_the_operands_of_its_op_in_their_order() {
    for (op, variant) in shaders() {
        let module = parse(&variant);
        let name = variant.shader.name;
        let mut bound = BTreeMap::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding else { continue };
            assert_eq!(binding.group, 0, "{name}");
            let operand = variable.name.clone().unwrap_or_default();
            let is_texture = variant.textures.contains(&operand.as_str());
            let (scalar, access) = match (variable.space, &module.types[variable.ty].inner) {
                (AddressSpace::Storage { access }, TypeInner::Array { base, .. }) if !is_texture => {
                    let scalar = match &module.types[*base].inner {
                        TypeInner::Atomic(scalar) => Some(*scalar),
                        numbers => numbers.scalar(),
                    };
                    (scalar.expect("an array of numbers").kind, access)
                }
                (AddressSpace::Handle, TypeInner::Image { class: ImageClass::Storage { format, access }, .. })
                    if is_texture =>
                {
                    (Scalar::from(*format).kind, *access)
                }
                _ => panic!("{name}: `{operand}` is neither an array nor a texture that the variant names"),
            };
            bound.insert(binding.binding, (operand, scalar, access));
        }
        let wanted: BTreeMap<_, _> = (0..)
            .zip(op.operands())
            .map(|(binding, operand)| {
                let scalar = if operand.dtype == DType::F32 { ScalarKind::Float } else { ScalarKind::Uint };
                let write = if operand.access == Access::Read { StorageAccess::empty() } else { StorageAccess::STORE };
                (binding, (operand.name.to_owned(), scalar, StorageAccess::LOAD | write))
            })
            .collect();
        assert_eq!(bound, wanted, "{name} (left) against the operands of {} (right)", op.name());
        assert!(bound.len() <= MOST_BINDINGS, "{name}: more than WebGPU's default limit of buffers");
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
        assert_eq!(names, given, "{} (left) against {} (right)", variant.shader.name, op.name());
    }
}

#[test]
fn every_kernel_names_its_cpu_twin_and_describes_its_bindings() {
    let on_disk = files("shaders", "wgsl");
    for (op, variant) in shaders() {
        let name = variant.shader.name;
        let kernel = variant.shader.parts.last().expect("a file");
        let source = &on_disk[&PathBuf::from(format!("shaders/{kernel}.wgsl"))];
        let header: Vec<&str> = source.lines().take_while(|line| line.starts_with("//")).collect();
        let header = header.join("\n");
        let named = |name: &str| name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>();
        // The twin of an op in half precision is that of the op, in another file.
        let twins = [op.name(), op.name().trim_end_matches("_f16")].map(named);
        let is_twin = |twin: &&String| header.contains(&format!("CPU twin: {twin} in src/"));
        let twin = twins.iter().find(is_twin).unwrap_or(&twins[0]);
        assert!(header.contains(&format!("CPU twin: {twin} in src/")), "{name}: no `CPU twin: {twin} in ...`");
        let path = header.split(&format!("CPU twin: {twin} in ")).nth(1).unwrap_or_default().trim_end_matches('.');
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{name}: no file `{path}`"));
        let is_there = [" {", "<"].iter().any(|end| text.contains(&format!("for {twin}{end}")));
        assert!(is_there, "{name}: no {twin} in {path}");
        for line in variant.shader.source.lines().filter(|line| line.contains("@binding")) {
            assert!(line.contains("// ["), "{name}: a binding without its shape: {line}");
        }
    }
}

/// The files that shaders end with, each with the parts before it of each such shader.
fn parts_of_kernels() -> BTreeMap<&'static str, Vec<&'static [&'static str]>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, variant) in shaders() {
        let (kernel, parts) = variant.shader.parts.split_last().expect("a file");
        found.entry(*kernel).or_default().push(parts);
    }
    found
}

#[test]
fn every_kernel_names_its_parts() {
    let on_disk = files("shaders", "wgsl");
    for (kernel, lists) in parts_of_kernels() {
        let source = &on_disk[&PathBuf::from(format!("shaders/{kernel}.wgsl"))];
        let header = source.lines().map_while(|line| line.strip_prefix("//")).map(str::trim);
        let header = header.collect::<Vec<_>>().join(" ");
        let most = lists.iter().map(|list| list.len()).max().unwrap_or_default();
        assert!(lists.iter().all(|list| list.len() == most), "{kernel}: its shaders have different numbers of parts");
        let names = (0..most).map(|place| {
            let others = lists.iter().map(|list| list[place].trim_start_matches("shared/"));
            others.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" or ")
        });
        let wanted = format!("Parts: {}.", names.collect::<Vec<_>>().join(", "));
        assert!(most == 0 || header.contains(&wanted), "shaders/{kernel}.wgsl should say:\n\n// {wanted}\n");
    }
}

/// A text without its comments.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names before brackets: of the functions that a text defines, and of those that it calls.
fn functions_and_calls(text: &str) -> [BTreeSet<String>; 2] {
    let code = without_comments(text);
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let [mut functions, mut calls] = [BTreeSet::new(), BTreeSet::new()];
    for (bracket, _) in code.match_indices('(') {
        let before = code[..bracket].trim_end_matches(is_name);
        let list = if before.ends_with("fn ") { &mut functions } else { &mut calls };
        list.insert(code[before.len()..bracket].to_owned());
    }
    [functions, calls]
}

#[test]
fn a_part_names_the_functions_that_it_needs_from_the_kernel() {
    const MARK: &str = "// Needs from the kernel: ";
    let on_disk = files("shaders", "wgsl");
    let source = |part: &str| &on_disk[&PathBuf::from(format!("shaders/{part}.wgsl"))];
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (kernel, lists) in parts_of_kernels() {
        let [functions, _] = functions_and_calls(source(kernel));
        for part in lists.into_iter().flatten() {
            let [_, calls] = functions_and_calls(source(part));
            needs.entry(part).or_default().extend(calls.intersection(&functions).cloned());
        }
    }
    for (part, needed) in needs {
        let line = source(part).lines().find_map(|line| line.strip_prefix(MARK)).unwrap_or_default();
        let names = line.match_indices('(').filter_map(|(bracket, _)| line[..bracket].split(' ').next_back());
        let named: BTreeSet<String> = names.map(str::to_owned).collect();
        assert_eq!(named, needed, "shaders/{part}.wgsl names (left) after `{MARK}` what it calls there (right)");
    }
}

/// Columns after which a line of a shader should have been broken.
const MOST_COLUMNS: usize = 130;

#[test]
fn lines_of_shaders_are_short() {
    for (path, text) in files("shaders", "wgsl") {
        let long = (1..).zip(text.lines()).find(|(_, line)| line.chars().count() > MOST_COLUMNS);
        assert!(long.is_none(), "{}: {long:?} has more than {MOST_COLUMNS} columns", path.display());
    }
}

/// The functions of a text without their names, comments and white space.
fn functions(text: &str) -> Vec<String> {
    let code = without_comments(text);
    let starts = code.match_indices("fn ").filter(|(start, _)| !code[..*start].ends_with('_'));
    let body = |(start, _): (usize, &str)| {
        let parameters = start + code[start..].find('(').expect("parameters");
        let mut depth = 0;
        let end = code[parameters..].find(|letter| {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && letter == '}'
        });
        code[parameters..parameters + end.expect("a function's end")].split_whitespace().collect()
    };
    starts.map(body).collect()
}

#[test]
fn no_function_stands_in_two_files() {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in files("shaders", "wgsl") {
        for function in functions(&text) {
            if let Some(other) = found.insert(function.clone(), path.clone()) {
                panic!("{} and {} have the same function: {function}", other.display(), path.display());
            }
        }
    }
}

/// Lists of sizes are parts of their own: two files share one declaration of an `override`, `const` or `alias` at most.
#[test]
fn no_list_of_sizes_stands_in_two_files() {
    let declared = |text: &str| -> BTreeSet<String> {
        let is_declaration = |line: &&str| ["override ", "const ", "alias "].iter().any(|word| line.starts_with(word));
        let lines = text.lines().filter(is_declaration);
        lines.map(|line| line.split(';').next().unwrap_or_default().to_owned()).collect()
    };
    let lists: Vec<_> = files("shaders", "wgsl").into_iter().map(|(path, text)| (path, declared(&text))).collect();
    for (index, (path, list)) in lists.iter().enumerate() {
        for (other, others) in &lists[..index] {
            let both: Vec<_> = list.intersection(others).collect();
            assert!(both.len() < 2, "{} and {} declare {both:?}", other.display(), path.display());
        }
    }
}

#[test]
fn no_case_or_model_loops_more_often_than_drivers_execute_in_its_plain_shader() {
    for case in every_op().flat_map(|entry| cases(entry.name)) {
        let least = case.variants().iter().map(|variant| variant.iterations).min();
        assert!(least <= Some(gpu_digits::op::MAX_ITERATIONS), "{}: {least:?}", case.label());
    }
}

#[test]
fn every_variant_states_its_workgroups_as_they_are() {
    let mut seen = BTreeSet::new();
    for (case, variant) in every_op().flat_map(|entry| cases(entry.name)).flat_map(|case| {
        let variants = case.variants();
        variants.into_iter().map(move |variant| (case.clone(), variant))
    }) {
        let constants = [case.sizes(), variant.constants.clone()].concat();
        if !seen.insert(format!("{} {constants:?}", variant.shader.name)) {
            continue;
        }
        let label = variant_label(case.as_ref(), &variant);
        let module = parse(&variant);
        let info =
            Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid shader");
        let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((naga::ShaderStage::Compute, variant.shader.entry_point()));
        let (module, _) = process_overrides(&module, &info, entry, &constants).expect("its constants fit");
        assert_eq!(module.entry_points[0].workgroup_size, [variant.workgroup_size() as u32, 1, 1], "{label}");
        let is_shared = |space: AddressSpace| space == AddressSpace::WorkGroup;
        let shared = module.global_variables.iter().filter(|(_, variable)| is_shared(variable.space));
        let bytes: u32 = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum();
        assert_eq!(bytes as usize, variant.workgroup_bytes, "{label}: bytes of workgroup memory");
    }
}
