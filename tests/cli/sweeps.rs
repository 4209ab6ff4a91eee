//! `gpu-digits sweep`.

use std::collections::HashSet;
use std::fs;
use std::process::Stdio;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, Run, check};

/// A sweep of a small model on the CPU into the folder `runs`.
fn sweep(home: &Home, more: &[&str]) -> Run {
    home.run(&[&WORDS[..], more].concat())
}

const WORDS: [&str; 14] = [
    "sweep",
    "--device",
    "cpu",
    "--dataset",
    "generated",
    "--generated-images",
    "200",
    "--validation",
    "40",
    "--epochs",
    "1",
    "--out",
    "runs",
    "--seeds=1",
];

const MODEL: [&str; 2] = ["--model", "flatten, dense 10"];

/// A sweep trains each setting and seed once, resumes an interrupted sweep, and refuses runs of other settings.
pub(crate) fn resumes(home: &Home) -> Result<(), Failed> {
    let sweep = |more: &[&str]| -> Run {
        let words =
            ["sweep", "--device", "cpu", "--dataset", "generated", "--generated-images", "300", "--out", "runs"];
        let grid = ["--model", "flatten, dense 10", "--lr", "0.01,0.001", "--batch-size", "20", "--seeds", "2"];
        home.run(&[&words[..], &grid, &["--validation", "40"], more].concat())
    };
    let first = sweep(&["--epochs", "1"]);
    first.exits_with(0)?.prints(&["validation %", "_0.01", "_0.001", "chosen by validation accuracy"])?;
    check(first.stderr.contains("run 4/4"), &first.stderr[..])?;
    let runs: Vec<_> = fs::read_dir(home.path("runs"))?.collect::<Result<_, _>>()?;
    let folder = runs.iter().map(std::fs::DirEntry::path).find(|path| path.is_dir()).ok_or("no run")?;
    check(home.path("runs/comparison.html").exists(), "no comparison")?;

    // The command in a run's record repeats it.
    let of_sweep = home.json(&folder.join("seed-1/run.json").display().to_string())?;
    let command = of_sweep["command"].as_array().ok_or("no command")?;
    let words = command.iter().skip(1).filter_map(Value::as_str).chain(["--out", "again"]);
    home.run(&words.collect::<Vec<_>>()).exits_with(0)?;
    let hash = |record: &Value| record["result"]["weights_sha256"].clone();
    check(hash(&home.json("again/run.json")?) == hash(&of_sweep), "the recorded command gives other weights")?;

    // Two runs are gone, one of them half done.
    fs::remove_dir_all(folder.join("seed-0"))?;
    fs::rename(folder.join("seed-1"), folder.join("seed-1.partial"))?;
    let again = sweep(&["--epochs", "1"]);
    again.exits_with(0)?;
    check(seconds_aside(&again.stdout) == seconds_aside(&first.stdout), again.stdout.clone())?;
    check(again.stderr.matches("weights SHA-256").count() == 2, "other than two runs were trained again")?;
    let drawn = sweep(&["--epochs", "1", "--random", "1"]);
    check(drawn.exits_with(0)?.stderr.contains("run 2/2"), drawn.stderr.clone())?;
    sweep(&["--epochs", "2"]).is_refused(&["`epochs` is 1, not 2", "--out"])
}

/// A table without its last column.
fn seconds_aside(table: &str) -> Vec<String> {
    table.lines().map(|line| line.rsplit_once(' ').map_or(line, |(rest, _)| rest).trim_end().to_owned()).collect()
}

/// A setting that cannot be trained does not end the sweep, and the table says so.
pub(crate) fn failures(home: &Home) -> Result<(), Failed> {
    let run = sweep(home, &[&MODEL[..], &["--batch-size", "20,5000", "--seeds", "2"]].concat());
    run.exits_with(1)?.prints(&["flatten-dense-10_adam_20 ", "0 of 2", "failed", "_5000/seed-1: --batch-size 5000"])?;
    run.prints(&["chosen by validation accuracy: flatten-dense-10_adam_20\n", "comparison runs/comparison.html"])?;
    check(run.stderr.contains("run 4/4"), &run.stderr[..])?;
    // The same sweep again trains what has failed only.
    let again = sweep(home, &[&MODEL[..], &["--batch-size", "20,5000", "--seeds", "2"]].concat());
    again.exits_with(1)?;
    check(!again.stderr.contains("weights SHA-256"), "what was there was trained again")
}

/// The best of several settings is named where there are images to tell by.
pub(crate) fn choice(home: &Home) -> Result<(), Failed> {
    let chosen = |rates: &str, validation: &str| {
        let more = [
            "--batch-size",
            "20",
            "--lr",
            rates,
            "--validation",
            validation,
            "--out",
            &format!("{rates}-{validation}"),
        ];
        let run = sweep(home, &[&MODEL[..], &more].concat());
        run.exits_with(0).map(|run| run.stdout.contains("chosen by validation"))
    };
    check(chosen("0.01,0.001", "40")?, "nothing is chosen")?;
    check(!chosen("0.01", "40")?, "one of one is chosen")?;
    check(!chosen("0.01,0.001", "0")?, "one is chosen without validation images")
}

/// One setting however it is written, and names of any length.
pub(crate) fn names(home: &Home) -> Result<(), Failed> {
    let long = ["relu, "; 50].concat() + "flatten, dense 10";
    let models = ["--models", &format!("flatten, dense 10; flatten,dense 10;{long}"), "--lr", "0.01,1e-2,0.010"];
    let run = sweep(home, &[&models[..], &["--batch-size", "20"]].concat());
    run.exits_with(0)?.says(&["run 2/2"])?;
    let again = sweep(home, &["--model", "flatten, dense 10", "--model", &long, "--lr", "0.01", "--batch-size", "20"]);
    again.exits_with(0)?.says(&["run 2/2"])?;
    check(!again.stderr.contains("weights SHA-256"), "what was there was trained again")
}

/// Runs of other settings, data or another commit are refused, those of other threads are not.
pub(crate) fn identity(home: &Home) -> Result<(), Failed> {
    let words = [&MODEL[..], &["--batch-size", "20", "--lr", "0.01"]].concat();
    sweep(home, &words).exits_with(0)?;
    let mut program = home.command(&[&WORDS[..], &words].concat());
    let run = Run::new(&words, program.env("RAYON_NUM_THREADS", "3").output()?);
    run.exits_with(0)?;
    check(!run.stderr.contains("weights SHA-256"), "with other threads it was trained again")?;
    sweep(home, &[&words[..], &["--generated-images", "210"]].concat()).is_refused(&["`data` is", "--out"])?;
    sweep(home, &[&words[..], &["--validation", "41"]].concat()).is_refused(&["`validation` is 40, not 41"])?;
    let path = home.path("runs/flatten-dense-10_adam_20_0.01/seed-0/report.json");
    let report = fs::read_to_string(&path)?;
    let commit = home.json("runs/flatten-dense-10_adam_20_0.01/seed-0/run.json")?["commit"].clone();
    let commit = commit.as_str().ok_or("no commit")?;
    fs::write(&path, report.replace(commit, "0123456"))?;
    sweep(home, &words).is_refused(&["`commit` is", "0123456", commit])?;
    fs::write(&path, report.replace("\"learning_rate\":0.01,\"schedule\"", "\"learning_rate\":0.02,\"schedule\""))?;
    sweep(home, &words).is_refused(&["`learning_rate` is 0.02, not 0.01"])?;
    // What is damaged is kept aside and trained again.
    fs::write(&path, "{")?;
    let run = sweep(home, &words);
    run.exits_with(0)?.says(&["damaged", "trained again", "weights SHA-256"])?;
    check(home.path("runs/flatten-dense-10_adam_20_0.01/seed-0.damaged-1/report.json").exists(), "nothing lies aside")
}

/// The names of the runs that these processes say they have trained.
fn trained(runs: &[Run]) -> Vec<String> {
    let names = runs.iter().flat_map(|run| run.stderr.lines()).filter_map(|line| line.strip_prefix("saved "));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Equal sweeps at once in one folder train each run once, and each prints the table of all.
pub(crate) fn at_once(home: &Home) -> Result<(), Failed> {
    let words = [&WORDS[..], &MODEL, &["--batch-size", "20,25,30,35,40,45"]].concat();
    let spawn = || home.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let children = [spawn()?, spawn()?, spawn()?];
    let mut runs = Vec::new();
    for child in children {
        runs.push(Run::new(&words, child.wait_with_output()?));
    }
    for run in &runs {
        run.exits_with(0)?.prints(&["flatten-dense-10_adam_20", "flatten-dense-10_adam_45"])?;
    }
    let trained = trained(&runs);
    let distinct: HashSet<&String> = trained.iter().collect();
    check(trained.len() == 6 && distinct.len() == 6, format!("{trained:?}"))
}

/// A killed process leaves no lock, and its run goes on to the same weights.
#[cfg(unix)]
pub(crate) fn killed(home: &Home) -> Result<(), Failed> {
    let long = ["--batch-size", "20", "--epochs", "120", "--model", "flatten, dense 10"];
    let words = [&WORDS[..9], &["--seeds=1", "--out", "runs"], &long].concat();
    let mut first = home.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let partial = home.path("runs/flatten-dense-10_adam_20/seed-0.partial");
    let start = std::time::Instant::now();
    let has_checkpoint = || {
        let entries = fs::read_dir(&partial).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("checkpoint-"))
    };
    while !has_checkpoint() && start.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    first.kill()?;
    first.wait()?;
    check(!home.path("runs/flatten-dense-10_adam_20/seed-0").exists(), "it was over before it was killed")?;
    let again = home.run(&words);
    again.exits_with(0)?.says(&["going on after step"])?;
    let words = [&WORDS[..9], &["--seeds=1", "--out", "whole"], &long].concat();
    home.run(&words).exits_with(0)?;
    let hash = |out: &str| -> Result<Value, Failed> {
        Ok(home.json(&format!("{out}/flatten-dense-10_adam_20/seed-0/run.json"))?["result"]["weights_sha256"].clone())
    };
    check(hash("runs")? == hash("whole")?, "other weights than without an end")
}

/// The shares of a sweep are its runs, once each, wherever they are trained; merged they are the table of all.
pub(crate) fn shards(home: &Home) -> Result<(), Failed> {
    let share = |shard: &str, out: &str| {
        let own = ["--out", out, "--shard", shard, "--batch-size", "20,30,40"];
        home.run(&[&WORDS[..9], &["--epochs", "1", "--seeds=2"], &MODEL, &own].concat())
    };
    let runs = [share("1/2", "one"), share("2/2", "two")];
    for run in &runs {
        run.exits_with(0)?.prints(&["sweep merge"])?;
    }
    check(trained(&runs).len() == 6, format!("{:?}", trained(&runs)))?;
    let merge = |words: &[&str]| home.run(&[&["sweep", "merge"], words].concat());
    let merged = merge(&["all", "one", "two"]);
    merged.exits_with(0)?.prints(&[
        "flatten-dense-10_adam_20     2",
        "flatten-dense-10_adam_30     2",
        "comparison all",
    ])?;
    merge(&["all", "one", "two"]).exits_with(0)?.says(&["two: 0 runs copied"])?;
    check(share("1/2", "all").exits_with(0)?.stderr.lines().all(|line| !line.starts_with("saved")), "trained again")?;
    // A run of one name with other weights is not taken for the same.
    let run = home.path("one/flatten-dense-10_adam_20/seed-0/run.json");
    let text = fs::read_to_string(&run)?;
    let mut record: Value = serde_json::from_str(&text)?;
    record["result"]["weights_sha256"] = "0".into();
    fs::write(&run, record.to_string())?;
    merge(&["all", "one"]).is_refused(&["with other weights", "remove one"])?;
    fs::create_dir(home.path("two/flatten-dense-10_adam_20/seed-7.partial"))?;
    merge(&["two"]).exits_with(1)?.says(&["unfinished: flatten-dense-10_adam_20/seed-7"])?;
    home.run(&[&WORDS[..], &MODEL, &["--shard", "3/2"]].concat()).is_refused(&["--shard", "1/2"])
}

/// Another program chooses the settings. It is asked once for each trial and told each value once, whatever ends between.
#[cfg(unix)]
pub(crate) fn ask_and_tell(home: &Home) -> Result<(), Failed> {
    let ask = "n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) > count; echo a remark; \
               echo \"{\\\"number\\\": $n, \\\"params\\\": {\\\"lr\\\": 0.0$((n + 1)), \\\"batch_size\\\": 20}}\"";
    fs::write(home.path("ask.sh"), ask)?;
    fs::write(home.path("tell.sh"), "test ! -e refuses || exit 3; echo $1 $2 >> told")?;
    let tell = ["--tell", "sh tell.sh {number} {value}"];
    let words = [&WORDS[..], &MODEL, &["--ask", "sh ask.sh", "--trials", "3"], &tell].concat();
    fs::write(home.path("refuses"), "")?;
    home.run(&words).exits_with(2)?.says(&["sh tell.sh 0", "failed"])?;
    check(home.path("runs/trials/0.json").exists(), "the trial is lost")?;
    fs::remove_file(home.path("refuses"))?;
    let run = home.run(&words);
    run.exits_with(0)?.prints(&["trial-0", "trial-1", "trial-2", "--lr 0.03"])?;
    check(trained(std::slice::from_ref(&run)).len() == 2, "the first was trained twice")?;
    let told = fs::read_to_string(home.path("told"))?;
    let numbers: Vec<&str> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    check(numbers == ["0", "1", "2"], format!("told {told}"))?;
    let value: f64 = told.lines().next().and_then(|line| line.split(' ').nth(1)).ok_or("a value")?.parse()?;
    check(value > 0.05 && value <= 1.0, format!("value {value}"))?;
    home.run(&words).exits_with(0)?;
    check(fs::read_to_string(home.path("count"))?.trim() == "3", "asked again")?;
    fs::write(home.path("ask.sh"), "echo '{\"number\": 3, \"params\": {\"out\": \"elsewhere\"}}'")?;
    let more = [&words[..], &["--trials", "4"]].concat();
    home.run(&more).exits_with(2)?.says(&["trial 3 sets `out`, which cannot be chosen"])?;
    Ok(())
}

/// Of settings that begin with one epoch the best go on, and a second command finds everything done.
pub(crate) fn halving(home: &Home) -> Result<(), Failed> {
    let own =
        ["--out", "runs", "--epochs", "4", "--halving", "2", "--batch-size", "20", "--lr", "0.0001,0.001,0.003,0.01"];
    let words = [&WORDS[..9], &MODEL, &own].concat();
    let run = home.run(&words);
    run.exits_with(0)?.prints(&[
        "instead of 16",
        "chosen by validation accuracy",
        "flatten-dense-10_adam_20_0.0001",
    ])?;
    let epochs: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("flatten"))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    check(epochs.first() == Some(&"4") && epochs.last() == Some(&"1") && epochs.len() == 4, format!("{epochs:?}"))?;
    let again = home.run(&words);
    check(again.exits_with(0)?.stdout == run.stdout && !again.stderr.contains("to epoch"), "trained again")?;
    let best = run.stdout.lines().find(|line| line.starts_with("flatten")).and_then(|line| line.split(' ').next());
    let record = home.json(&format!("runs/{}/seed-0/run.json", best.ok_or("a row")?))?;
    // It is the run that `train` makes in one piece.
    let command = record["command"].as_array().ok_or("a command")?;
    let words: Vec<&str> = command.iter().skip(1).filter_map(Value::as_str).collect();
    let whole = home.run(&[&words[..], &["--out", "whole"]].concat());
    check(
        whole.hash()? == record["result"]["weights_sha256"].as_str().unwrap_or_default(),
        "other weights than in one piece",
    )
}
