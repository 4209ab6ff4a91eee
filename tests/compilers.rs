//! The compilers of real GPUs, which Mesa brings to every machine: they take every kernel that is offered to such a GPU, in
//! little time and memory. Nothing runs: Mesa's drivers open null hardware, on which kernels are compiled only.

mod common;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ignored, without_driver};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// AMD's GPUs of three generations: RDNA2, RDNA3, GCN5.
const AMD: [&str; 3] = ["navi21", "gfx1100", "vega10"];

/// Intel's: Arc, and the graphics of two generations of processors.
const INTEL: [&str; 3] = ["dg2", "tgl", "adl"];

/// The most that compiling a kernel may take.
const MOST_SECONDS: f64 = 3.0;
const MOST_BYTES: f64 = 1e9;

/// The most that compiling all kernels at all sizes may take.
const MOST_SECONDS_OF_ALL: f64 = 60.0;

/// Vulkan's loader finds a driver by such a file, whose name says for which processor it is.
fn driver(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(format!("/usr/share/vulkan/icd.d/{name}_icd.{}.json", std::env::consts::ARCH));
    path.is_file().then_some(path)
}

fn main() {
    let amd = AMD.map(|chip| {
        let name = format!("amds_compiler_takes_every_kernel_for_gpus [{chip}]");
        match driver("radeon") {
            Some(driver) => compiles_all(&name, &driver, [("RADV_FORCE_FAMILY", chip.into())]),
            None => without_driver(&name, "no driver of AMD in Mesa; install mesa-vulkan-drivers"),
        }
    });
    // Intel's driver needs a library that plays the kernel's part (`libintel_noop_drm_shim.so` of Mesa's build).
    let intel = INTEL.map(|chip| {
        let name = format!("intels_compiler_takes_every_kernel_for_gpus [{chip}]");
        match (driver("intel"), std::env::var_os("GPU_DIGITS_INTEL_SHIM")) {
            (Some(driver), Some(shim)) => {
                compiles_all(&name, &driver, [("INTEL_STUB_GPU_PLATFORM", chip.into()), ("LD_PRELOAD", shim)])
            }
            _ => ignored(&name, "GPU_DIGITS_INTEL_SHIM does not name Mesa's libintel_noop_drm_shim.so"),
        }
    });
    libtest_mimic::run(&Arguments::from_args(), amd.into_iter().chain(intel).collect()).exit();
}

/// A test that a driver, with some variables, compiles every kernel.
fn compiles_all<const N: usize>(name: &str, driver: &Path, variables: [(&str, OsString); N]) -> Trial {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-digits"));
    command.args(["inspect", "*", "--all", "--json", "-"]).env("MESA_SHADER_CACHE_DISABLE", "true");
    command.env("VK_DRIVER_FILES", driver).envs(variables);
    Trial::test(name, move || {
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        judge(&serde_json::from_slice(&output.stdout)?)
    })
}

/// Whether all kernels are there, and none costs too much.
fn judge(report: &Value) -> Result<(), Failed> {
    let kernels = report["kernels"].as_array().ok_or("no kernels")?;
    let mut faults = Vec::new();
    let mut seconds_of_all = 0.0;
    for kernel in kernels {
        let case = kernel["case"].as_str().unwrap_or_default();
        let seconds = kernel["compile_seconds"].as_f64().ok_or("no time")?;
        let bytes = kernel["compile_bytes"].as_f64().unwrap_or_default();
        seconds_of_all += seconds;
        if seconds > MOST_SECONDS || bytes > MOST_BYTES {
            faults.push(format!("{case} takes {seconds:.1} s and {:.2} GB to compile", bytes / 1e9));
        }
        if kernel["figures"]["instructions"].is_null() {
            faults.push(format!("{case}: the driver tells nothing of it"));
        }
    }
    if kernels.len() < 1000 {
        faults.push(format!("only {} kernels were compiled", kernels.len()));
    }
    if seconds_of_all > MOST_SECONDS_OF_ALL {
        faults.push(format!("all together take {seconds_of_all:.0} s to compile"));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}
