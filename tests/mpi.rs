//! Ranks that `mpirun` has started, with the feature `mpi`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::check;
use libtest_mimic::{Arguments, Failed, Trial};

/// A test in a folder of its own.
type FolderTest = fn(&Path) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let tests: [(&str, FolderTest); 4] = [
        ("ranks_of_mpi_have_the_weights_of_threads_on_the_cpu", same_weights_on_cpu),
        ("ranks_of_mpi_have_the_weights_of_threads_on_vulkan", same_weights_on_vulkan),
        ("a_run_of_mpi_goes_on_with_another_number_of_ranks", goes_on),
        ("a_rank_that_is_killed_ends_the_run_with_a_word_and_its_checkpoint", killed),
    ];
    let is_there = Command::new("mpirun").arg("--version").output().is_ok();
    let has_vulkan = !common::gpus().is_empty();
    let trials = tests.into_iter().map(|(name, test)| {
        if !is_there {
            return common::ignored(name, "no mpirun; install openmpi-bin or mpich");
        }
        if name.contains("vulkan") && !has_vulkan {
            return common::without_adapter(name);
        }
        Trial::test(name, move || test(tempfile::tempdir()?.path()))
    });
    // Open MPI's ranks would share two cores with those of other tests.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

const MODEL: [&str; 12] = [
    "--dataset",
    "generated",
    "--generated-images",
    "300",
    "--model",
    "conv 4x3, relu, pool 2, dropout 0.2, flatten, dense 10",
    "--batch-size",
    "24",
    "--micro-batches",
    "8",
    "--self-test",
    "off",
];

/// `mpirun` with so many ranks.
fn ranks(folder: &Path, count: usize, words: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    // Open MPI alone knows and needs these; MPICH starts more ranks than there are cores, and as any user.
    let is_open = Command::new("mpirun").arg("--version").output();
    let is_open = is_open.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Open MPI"));
    if is_open {
        command.args(["--allow-run-as-root", "--oversubscribe"]);
        // Otherwise it wants ssh, even on one machine.
        command.env("OMPI_MCA_plm", "isolated");
    }
    command.args(["-n", &count.to_string(), env!("CARGO_BIN_EXE_gpu-digits"), "train", "--ranks", "mpi"]);
    command.args(words).current_dir(folder).env("HOME", folder);
    command
}

fn train(folder: &Path, words: &[&str]) -> Result<Output, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-digits"));
    Ok(command.arg("train").args(words).current_dir(folder).env("HOME", folder).output()?)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).join("\n")
}

/// What a run that has succeeded says of its weights.
fn hash(output: &Output) -> Result<String, Failed> {
    let text = text(output);
    let line = text.lines().find(|line| line.contains("weights SHA-256"));
    let hash = line.and_then(|line| line.split(' ').next_back()).map(str::to_owned);
    hash.filter(|_| output.status.success()).ok_or_else(|| text.into())
}

fn same_weights(folder: &Path, device: &str) -> Result<(), Failed> {
    let words = [&MODEL[..], &["--device", device, "--epochs", "1"]].concat();
    let alone = hash(&train(folder, &[&words[..], &["--out", "alone"]].concat())?)?;
    for count in [1, 2, 4, 8] {
        let out = format!("of-{count}");
        let output = ranks(folder, count, &[&words[..], &["--out", &out]].concat()).output()?;
        check(hash(&output)? == alone, format!("{count} ranks: other weights than {alone}\n{}", text(&output)))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        check(stdout.matches("weights SHA-256").count() == 1, format!("more than rank 0 prints:\n{stdout}"))?;
        let record = fs::read_to_string(folder.join(out).join("run.json"))?;
        check(record.matches("\"images_of_step\"").count() == count, format!("not {count} ranks: {record}"))?;
    }
    Ok(())
}

fn same_weights_on_cpu(folder: &Path) -> Result<(), Failed> {
    same_weights(folder, "cpu")
}

fn same_weights_on_vulkan(folder: &Path) -> Result<(), Failed> {
    same_weights(folder, "vulkan")
}

fn goes_on(folder: &Path) -> Result<(), Failed> {
    let words = [&MODEL[..], &["--device", "cpu", "--schedule", "constant"]].concat();
    let whole = hash(&train(folder, &[&words[..], &["--epochs", "2", "--out", "whole"]].concat())?)?;
    hash(&ranks(folder, 4, &[&words[..], &["--epochs", "1", "--out", "run"]].concat()).output()?)?;
    let output = ranks(folder, 2, &["--resume", "run", "--extend-to", "2"]).output()?;
    check(hash(&output)? == whole, format!("other weights than {whole}\n{}", text(&output)))
}

/// The processes that a process has started and that train, by Linux's files of processes.
fn children(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // PID (NAME) STATE PARENT ...
        let Some((before, after)) = text.rsplit_once(')') else { continue };
        let of_parent = after.split_whitespace().nth(1) == Some(&parent.to_string());
        if of_parent && before.contains("(gpu-digits") {
            children.extend(before.split(' ').next().and_then(|pid| pid.parse::<u32>().ok()));
        }
    }
    children.sort();
    children
}

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains("checkpoint-")).collect()
}

fn killed(folder: &Path) -> Result<(), Failed> {
    let words = [&MODEL[..], &["--device", "cpu", "--epochs", "100000", "--out", "run"]].concat();
    let mut command = ranks(folder, 4, &words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    let run = folder.join("run");
    while checkpoints(&run).is_empty() && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(20));
    }
    let victim = *children(child.id()).last().ok_or("no rank of mpirun was found")?;
    Command::new("sh").args(["-c", &format!("kill -9 {victim}")]).status()?;
    let output = child.wait_with_output()?;
    let text = text(&output);
    check(!output.status.success(), "the run goes on without a rank")?;
    for wanted in ["rank 1", "rank 2", "gpu-digits train --resume run"] {
        let says = text.lines().any(|line| line.contains("do not answer any more") && line.contains(wanted));
        check(says || text.contains(wanted), format!("nobody says `{wanted}`:\n{text}"))?;
    }
    check(!checkpoints(&run).is_empty(), "the checkpoint is gone")?;
    let again = train(folder, &["--resume", "run", "--ranks", "1", "--early-stopping", "1"])?;
    check(again.status.success(), format!("it does not go on:\n{}", self::text(&again)))
}
