//! The compilers of real GPUs, which Mesa brings to every machine: they take every kernel that is offered to such a GPU, in
//! little time and memory, and keep the sums of a training step in registers. Nothing runs: Mesa's drivers open null hardware, on
//! which kernels are compiled only. And the Khronos Group's validator takes what they are given.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{ignored, without_driver};
use gpu_digits::layers::every_op;
use gpu_digits::op::{Feature, Variant, variant_label};
use gpu_digits::ops::Case;
use gpu_digits::translate::{Parsed, SpirVForDriver};
use gpu_digits::verify::cases;
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
            Some(driver) => compiles(&name, chip, &driver, [("RADV_FORCE_FAMILY", chip.into())]),
            None => vec![without_driver(&name, "no driver of AMD in Mesa; install mesa-vulkan-drivers")],
        }
    });
    // Intel's driver needs a library that plays the kernel's part (`libintel_noop_drm_shim.so` of Mesa's build).
    let intel = INTEL.map(|chip| {
        let name = format!("intels_compiler_takes_every_kernel_for_gpus [{chip}]");
        match (driver("intel"), std::env::var_os("GPU_DIGITS_INTEL_SHIM")) {
            (Some(driver), Some(shim)) => {
                compiles(&name, chip, &driver, [("INTEL_STUB_GPU_PLATFORM", chip.into()), ("LD_PRELOAD", shim)])
            }
            _ => vec![ignored(&name, "GPU_DIGITS_INTEL_SHIM does not name Mesa's libintel_noop_drm_shim.so")],
        }
    });
    let valid = match Command::new("spirv-val").arg("--version").output() {
        Ok(_) => Trial::test(VALID, every_shader_is_valid_spirv),
        Err(_) => ignored(VALID, "no spirv-val; install spirv-tools"),
    };
    libtest_mimic::run(&Arguments::from_args(), amd.into_iter().chain(intel).flatten().chain([valid]).collect()).exit();
}

/// Tests that a driver, with some variables, compiles every kernel, and those of training steps into registers.
fn compiles<const N: usize>(name: &str, chip: &str, driver: &Path, variables: [(&str, OsString); N]) -> Vec<Trial> {
    let inspect = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-digits"));
        command.args(["inspect", "--json", "-"]).args(arguments).env("MESA_SHADER_CACHE_DISABLE", "true");
        command.env("VK_DRIVER_FILES", driver).envs(variables.iter().cloned());
        move || {
            let output = command.output()?;
            if !output.status.success() {
                return Err(Failed::from(String::from_utf8_lossy(&output.stderr).into_owned()));
            }
            serde_json::from_slice::<Value>(&output.stdout).map_err(Failed::from)
        }
    };
    let mut of_all = inspect(&["*", "--all"]);
    let mut trials = vec![Trial::test(name, move || judge(&of_all()?))];
    for precision in ["f32", "f16"] {
        let mut of_step = inspect(&["--batch-size", "512", "--precision", precision]);
        let name = format!("no_kernel_of_a_step_spills [{chip}, {precision}]");
        trials.push(Trial::test(name, move || spills_nothing(&of_step()?)));
    }
    trials
}

/// Whether the compiler keeps all of its numbers in registers.
fn spills_nothing(report: &Value) -> Result<(), Failed> {
    let kernels = report["kernels"].as_array().ok_or("no kernels")?;
    let spills = |kernel: &&Value| kernel["figures"]["spills"] != 0;
    let spilling: Vec<&Value> = kernels.iter().filter(spills).map(|kernel| &kernel["case"]).collect();
    if spilling.is_empty() && kernels.len() > 5 {
        Ok(())
    } else {
        Err(format!("of {}: {spilling:?}", kernels.len()).into())
    }
}

const VALID: &str = "the_validator_takes_every_shader_as_spirv";

/// Cases of a shader that are written: constants change numbers in the text, and seldom more.
const CASES: usize = 6;

/// What wgpu gives a driver of Vulkan 1.3.
const DRIVER: SpirVForDriver = SpirVForDriver { version: (1, 6), has_robust_buffers: false, has_robust_images: false };

fn every_shader_is_valid_spirv() -> Result<(), Failed> {
    let mut by_shader: BTreeMap<&str, Vec<(Case, Variant)>> = BTreeMap::new();
    for case in every_op().flat_map(|entry| cases(entry.name)) {
        for variant in case.variants() {
            by_shader.entry(variant.shader.name).or_default().push((case.clone(), variant));
        }
    }
    let mut faults = Vec::new();
    for runs in by_shader.values() {
        // Debian 12's validator is older than the extension.
        if matches!(runs[0].1.needs, Some(Feature::CooperativeMatrix { .. })) {
            continue;
        }
        let parsed = Parsed::new(runs[0].1.shader.source)?;
        let mut seen = BTreeSet::new();
        for (case, variant) in runs {
            let label = variant_label(case.as_ref(), variant);
            if seen.len() < CASES && seen.insert(format!("{label} {:?}", variant.constants)) {
                let words = parsed.spirv_for(case.as_ref(), variant, DRIVER)?;
                faults.extend(validate(&words)?.map(|fault| format!("{label}: {fault}")));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// What the validator has against a module.
fn validate(words: &[u32]) -> Result<Option<String>, Failed> {
    let mut validator = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.3", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    validator.stdin.take().ok_or("no input")?.write_all(bytemuck::cast_slice(words))?;
    let output = validator.wait_with_output()?;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned()))
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
