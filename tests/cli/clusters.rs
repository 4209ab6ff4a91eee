//! The files in `examples/clusters`, with schedulers that are a few lines of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use libtest_mimic::Failed;

use crate::program::{Home, check};

/// Options that make every run small.
const SMALL: &str = "--device cpu --dataset generated --generated-images 700 --validation 60 --epochs 1 --model 'flatten, dense 10' \
                     --self-test off";

/// Writes a program of this name, which the scripts then find.
fn program(home: &Home, name: &str, script: &str) -> Result<(), Failed> {
    let path = home.path("bin").join(name);
    fs::create_dir_all(home.path("bin"))?;
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Runs a file of `examples/clusters` where `gpu-digits` makes every run small.
fn run(home: &Home, file: &str, variables: &[(&str, &str)]) -> Result<Output, Failed> {
    let own = env!("CARGO_BIN_EXE_gpu-digits");
    let merges = format!("case \"$2\" in merge) exec {own} \"$@\";; esac");
    program(home, "gpu-digits", &format!("{merges}\nexec {own} \"$@\" {SMALL} $MORE"))?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/clusters").join(file);
    let paths = [home.path("bin").display().to_string(), std::env::var("PATH").unwrap_or_default()].join(":");
    let mut command = Command::new("sh");
    command.arg(script).current_dir(home.path("")).env("HOME", home.path("")).env("PATH", paths);
    let output = command.envs(variables.iter().copied()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    check(output.status.success(), format!("{file}: {}\n{}", text(&output.stdout), text(&output.stderr)))?;
    Ok(output)
}

/// The runs of a sweep's folder.
fn runs(home: &Home, out: &str) -> usize {
    let settings = fs::read_dir(home.path(out)).into_iter().flatten().flatten();
    let runs = settings.flat_map(|setting| fs::read_dir(setting.path()).into_iter().flatten().flatten());
    runs.filter(|run| run.path().join("report.json").exists()).count()
}

/// Two tasks of Slurm's array train their shares, and nothing else.
pub(crate) fn slurm_array(home: &Home) -> Result<(), Failed> {
    for task in ["3", "16"] {
        let of_slurm = [("SLURM_ARRAY_TASK_ID", task), ("SLURM_ARRAY_TASK_COUNT", "16"), ("SLURM_SUBMIT_DIR", ".")];
        run(home, "sweep.slurm", &of_slurm)?;
    }
    check(runs(home, "lr") == 2 * 5, format!("{} runs", runs(home, "lr")))
}

/// `srun` starts the ranks; here they are threads.
pub(crate) fn slurm_ranks(home: &Home) -> Result<(), Failed> {
    program(home, "srun", "exec \"$@\"")?;
    let more = "--batch-size 64 --ranks 2";
    let output = run(home, "train.slurm", &[("SLURM_SUBMIT_DIR", "."), ("MORE", more)])?;
    let record = home.json("run/run.json")?;
    check(record["settings"]["micro_batches"] == 8, String::from_utf8_lossy(&output.stdout))
}

/// HyperQueue runs the command of the array; here three of its tasks.
pub(crate) fn hyperqueue(home: &Home) -> Result<(), Failed> {
    let hq = "while [ \"$1\" != -- ]; do shift; done; shift\nfor HQ_TASK_ID in 1 2 9; do export HQ_TASK_ID; \"$@\" || exit 1; done";
    program(home, "hq", hq)?;
    let output = run(home, "sweep.hq.sh", &[])?;
    check(runs(home, "lr") == 3 * 5, format!("{} runs", runs(home, "lr")))?;
    check(String::from_utf8_lossy(&output.stdout).contains("comparison lr"), "it is not merged")
}

/// The words that Optuna's command line is called with, and a trial as it prints one.
pub(crate) fn optuna(home: &Home) -> Result<(), Failed> {
    let optuna = "echo \"$@\" >> calls\n\
                  case $1 in ask) n=$(grep -c '^ask' calls)\n\
                  echo \"{\\\"number\\\": $((n - 1)), \\\"params\\\": {\\\"lr\\\": 0.0$n, \\\"batch_size\\\": 64, \\\"optimizer\\\": \\\"nesterov\\\"}}\";; esac";
    program(home, "optuna", optuna)?;
    let output = run(home, "optuna.sh", &[("MORE", "--trials 2")])?;
    check(String::from_utf8_lossy(&output.stdout).contains("trial-1"), "no table of the trials")?;
    let calls = fs::read_to_string(home.path("calls"))?;
    let starts = |words: &str| calls.lines().filter(|line| line.starts_with(words)).count();
    check((starts("create-study"), starts("ask"), starts("tell")) == (1, 2, 2), &calls)?;
    check(calls.contains("--trial-number 1 --values 0.") && calls.contains("FloatDistribution"), &calls)
}
