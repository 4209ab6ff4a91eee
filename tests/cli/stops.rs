//! Runs that end early: Ctrl-C, errors, and the next run in the same folder.

use std::fs;
#[cfg(unix)]
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use crate::program::{Home, check};
#[cfg(unix)]
use crate::program::{Run, train_words};

/// A run of a million epochs that gets these signals at once as soon as it trains.
#[cfg(unix)]
fn interrupted(home: &Home, signals: &[&str]) -> Result<Run, Failed> {
    let words = train_words(&["--epochs", "1000000"]);
    let child = home.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let metrics = home.path("run/metrics.jsonl");
    let is_training = || fs::metadata(&metrics).is_ok_and(|metadata| metadata.len() > 0);
    let start = std::time::Instant::now();
    while !is_training() && start.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    for signal in signals {
        Command::new("kill").args([signal, id.as_str()]).status()?;
    }
    let run = Run::new(&words, child.wait_with_output()?);
    run.exits_with(130)?.prints(&["weights SHA-256", "run/model.safetensors", "gpu-digits train --resume run"])?;
    Ok(run)
}

#[cfg(unix)]
pub(crate) fn ctrl_c(home: &Home) -> Result<(), Failed> {
    let run = interrupted(home, &["-INT"])?;
    let record = home.json("run/run.json")?;
    check(record["result"]["interrupted"] == true, record.to_string())?;
    check(record["result"]["weights_sha256"] == run.hash()?, "run.json has another hash than is printed")?;
    home.run(&["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "300"])
        .exits_with(0)?;
    Ok(())
}

/// As `timeout -s INT` sends them, to the process and to its group, and as systemd does.
#[cfg(unix)]
pub(crate) fn two_signals(home: &Home) -> Result<(), Failed> {
    for signals in [["-INT"; 3], ["-TERM", "-HUP", "-TERM"]] {
        interrupted(home, &signals)?;
        check(home.path("run/model.safetensors").exists(), "the model is lost")?;
        fs::remove_dir_all(home.path("run"))?;
    }
    Ok(())
}

/// An error leaves a run that is not finished: it is neither overwritten nor in the way of another.
pub(crate) fn mid_run(home: &Home) -> Result<(), Failed> {
    let diverges = ["--optimizer", "adamw", "--weight-decay", "10", "--lr", "3e38", "--schedule", "constant"];
    home.train(&diverges).exits_with(2)?.says(&["not finite", "gpu-digits verify --replay run/fault"])?;
    let record = fs::read(home.path("run/run.json"))?;
    home.train(&[]).is_refused(&["run already holds a run that is not finished", "--resume run", "--out"])?;
    check(fs::read(home.path("run/run.json"))? == record, "the unfinished run has changed")?;
    home.train(&["--out", "other"]).exits_with(0)?.prints(&["saved other/model.safetensors"])?;
    Ok(())
}

/// The step at which a run diverges is kept, in its first epoch and after a checkpoint, and shown call by call.
pub(crate) fn replay(home: &Home) -> Result<(), Failed> {
    let hidden = ["--model", "conv 2x3, relu, pool 2, flatten, dense 10", "--optimizer", "sgd", "--momentum", "0"];
    for (out, rate) in [("early", "3e4"), ("late", "200")] {
        let words = ["--lr", rate, "--schedule", "constant", "--checkpoint-every", "1", "--epochs", "20", "--out", out];
        let run = home.train(&[&hidden[..], &words].concat());
        let says = format!("gpu-digits verify --replay {out}/fault");
        run.exits_with(2)?.says(&["not finite", "training diverged", &says])?;
        let numbers = run.stderr.split(" step ").filter_map(|rest| rest.split(' ').next());
        let at = numbers.into_iter().find(|word| word.parse::<usize>().is_ok()).ok_or("no step is named")?;
        let replayed = home.run(&["verify", "--replay", &format!("{out}/fault")]);
        replayed.exits_with(1)?.prints(&[
            &format!("step {at} on the CPU"),
            "data batch_augment",
            "the first that is not finite",
        ])?;
        check(!replayed.stdout.contains("finite: `batch`"), "the images are not finite")?;
        check(fs::read_to_string(home.path(&format!("{out}/fault/plan.txt")))?.contains("sgd_step"), "no plan")?;
    }
    home.run(&["verify", "--replay", "nowhere"])
        .is_refused(&["cannot read the checkpoint nowhere/step.safetensors"])?;
    home.run(&["verify", "--replay", "late/fault", "--device", "cpu"]).is_refused(&["cannot be used with"])
}

/// A disk that fills up while a model trains costs some metrics, not the model.
#[cfg(target_os = "linux")]
pub(crate) fn full_disk(home: &Home) -> Result<(), Failed> {
    fs::create_dir(home.path("run"))?;
    std::os::unix::fs::symlink("/dev/full", home.path("run/metrics.jsonl"))?;
    let run = home.train(&[]);
    run.exits_with(2)?.prints(&["test accuracy", "saved run/model.safetensors"])?;
    run.says(&[
        "cannot write the metrics in run",
        "training goes on",
        "the run is saved, but not all of its metrics and checkpoints",
    ])?;
    check(run.stderr.matches("training goes on").count() == 1, "it is said more than once")?;
    home.run(&["eval", "run", "--device", "cpu"]).exits_with(0)?;
    Ok(())
}

pub(crate) fn too_many_epochs(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "4000000000"]).is_refused(&["does not fit on the CPU", "`schedule`", "fewer epochs"])?;
    home.train(&["--generated-images", "4000000000"]).is_refused(&["do not fit", "--generated-images"])?;
    check(!home.path("run").exists(), "a run folder was made")
}
