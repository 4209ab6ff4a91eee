//! Tells the crate which commit and which wgpu it is built from, for `run.json` and reports, and embeds the page of `web`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Each commit appends a line to this log.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=GPU_DIGITS_COMMIT={commit}");

    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    let package = lock.split("[[package]]").find(|package| package.contains("name = \"wgpu\"\n"));
    let version =
        package.and_then(|package| package.split("version = \"").nth(1)).and_then(|rest| rest.split('"').next());
    println!("cargo::rustc-env=GPU_DIGITS_WGPU={}", version.unwrap_or("unknown"));

    embed_page();
}

/// Writes a list of the files of the page, if `web/build` has made it, for `gpu-digits web`.
fn embed_page() {
    let page = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it")).join("web/dist");
    // A folder that is not there would count as changed each time.
    println!("cargo::rerun-if-changed={}", if page.is_dir() { "web/dist" } else { "web" });
    let mut files: Vec<_> = fs::read_dir(&page).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut list = String::from("/// The files of the page: names and bytes.\nstatic PAGE: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name = file.file_name().unwrap_or_default();
        list += &format!("    ({name:?}, include_bytes!({file:?})),\n");
    }
    list += "];\n";
    let folder = env::var("OUT_DIR").expect("Cargo sets it");
    fs::write(Path::new(&folder).join("page.rs"), list).expect("Cargo's folder can be written");
}
