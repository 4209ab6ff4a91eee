//! Tells the crate which commit and which wgpu it is built from, for `run.json` and reports.

use std::process::Command;

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
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let package = lock.split("[[package]]").find(|package| package.contains("name = \"wgpu\"\n"));
    let version =
        package.and_then(|package| package.split("version = \"").nth(1)).and_then(|rest| rest.split('"').next());
    println!("cargo::rustc-env=GPU_DIGITS_WGPU={}", version.unwrap_or("unknown"));
}
