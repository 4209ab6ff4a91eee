//! Rules for the source: only one folder uses wgpu, one file prints, and there is no `unsafe`.

#[path = "common/files.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{files, root};
use gpu_digits::layers::LAYERS;

/// Lines after which a file of Rust should have been split; a page of tests at its end is not counted.
const MOST_LINES: usize = 400;

#[test]
fn wgpu_is_named_in_the_gpu_folder_only() {
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| !path.starts_with("src/gpu")) {
        let line = text.lines().find(|line| line.contains("wgpu::") || line.contains("use wgpu"));
        assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
    }
}

#[test]
fn the_library_does_not_use_the_program() {
    let program = [Path::new("src/program"), Path::new("src/main.rs")];
    let library = |path: &Path| !program.iter().any(|program| path.starts_with(program));
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| library(path)) {
        let line = text.lines().find(|line| line.contains("program::") || line.contains("clap"));
        assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
    }
}

/// The module of the library, or after `program`, that a file belongs to.
fn module(path: &Path, root: &str) -> Option<String> {
    let first = path.strip_prefix(root).ok()?.components().next()?;
    Some(Path::new(&first).file_stem()?.to_string_lossy().into_owned())
}

/// Which modules each module names in its code, its tests left out.
fn imports(folder: &str, prefix: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files(folder, "rs") {
        let Some(module) = module(&path, folder).filter(|name| !matches!(name.as_str(), "lib" | "main" | "mod")) else {
            continue;
        };
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for rest in line.split(prefix).skip(1) {
                let name: String =
                    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                if name != module {
                    imports.entry(module.clone()).or_default().insert(name);
                }
            }
        }
    }
    imports
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    for (folder, prefix) in [("src", "crate::"), ("src/program", "crate::program::")] {
        let mut left = imports(folder, prefix);
        assert!(left.len() > 3, "{folder}: {left:?}");
        // Those that import nothing of what is left are in no circle.
        loop {
            let names: BTreeSet<String> = left.keys().cloned().collect();
            left.retain(|_, imported| !imported.is_disjoint(&names));
            if left.len() == names.len() {
                break;
            }
        }
        assert!(left.is_empty(), "{folder}: a circle among {left:#?}");
    }
}

#[test]
fn the_library_alone_needs_no_command_line_no_network_and_no_fonts() {
    let tree = ["tree", "--offline", "--locked", "--no-default-features", "--edges=normal", "--prefix=none"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(tree).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("wgpu"), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    for unwanted in
        ["clap", "indicatif", "ureq", "rustls", "resvg", "fontdb", "dejavu", "image", "maud", "csv", "prost"]
    {
        assert!(!packages.contains(unwanted), "the library alone needs {unwanted}");
    }
}

#[test]
fn nothing_is_printed_but_by_the_terminal() {
    let macros = ["println!", "print!", "eprint!", "dbg!"];
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| path != Path::new("src/program/terminal.rs"))
    {
        let mut code = text.lines().filter(|line| !line.starts_with("//!"));
        let line = code.find(|line| macros.iter().any(|name| line.contains(name)) || line.contains("env::args()"));
        assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
    }
}

#[test]
fn pollster_is_named_at_the_outermost_edge_only() {
    // The start of a thread is an edge, too.
    let edges = ["src/main.rs", "src/program/commands/ranks.rs"].map(Path::new);
    for (path, text) in files("src", "rs").into_iter().filter(|(path, _)| !edges.contains(&path.as_path())) {
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
    // Vulkan's C API, to ask what its drivers' compilers do.
    let calls_c = Path::new("src/gpu/inspect/vulkan.rs");
    let sources = files("src", "rs").into_iter().filter(|(path, _)| path != calls_c);
    for (path, text) in sources.chain(files("tests", "rs")).chain(files("shaders", "wgsl")) {
        let text = allowed.iter().fold(text, |text, allowed| text.replace(allowed, ""));
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} contains `{mark}`", path.display());
        }
    }
}

#[test]
fn the_readme_lists_the_layers_of_the_table() {
    let rows = LAYERS.iter().map(|entry| format!("| `{}` | {} |\n", entry.forms.join("`, `"), entry.help));
    let table = format!("| layer | what it does |\n|---|---|\n{}\n", rows.collect::<String>());
    let text = fs::read_to_string(root().join("README.md")).expect("a file of the project");
    assert!(text.contains(&table), "README.md should have this table:\n\n{table}");
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
