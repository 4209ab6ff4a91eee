//! Destinations of output, and what happens if they cannot be written.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Failed;

use crate::program::{Home, Run, check};
use crate::write_picture;

/// `--json` is a file or `-` for each command; without a value it is `-`.
pub(crate) fn json(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    write_picture(&home.path("a.pgm"), 20, 240)?;
    let data = ["--device", "cpu", "--dataset", "generated", "--generated-images", "300"];
    let commands: [&[&str]; 3] =
        [&["devices"], &[&["eval", "run"], &data[..]].concat(), &["predict", "run", "a.pgm", "--device", "cpu"]];
    for words in commands {
        let on_stdout = home.run(&[words, &["--json", "-"]].concat()).json()?;
        check(home.run(&[words, &["--json"]].concat()).json()? == on_stdout, "without a value it is something else")?;
        home.run(&[words, &["--json", "results.json"]].concat()).exits_with(0)?;
        check(home.json("results.json")? == on_stdout, format!("{words:?} writes something else to a file"))?;
    }
    check(!home.path("-").exists(), "there is a file named `-`")
}

/// Pages, timelines and pictures go to standard output too, and results then to standard error.
pub(crate) fn dash(home: &Home) -> Result<(), Failed> {
    let run = home.train(&["--trace", "-"]);
    check(run.json()?["traceEvents"].is_array(), "no timeline")?;
    run.says(&["test accuracy", "weights SHA-256"])?;
    home.train(&["--out", "other", "--seed", "1"]).exits_with(0)?;
    let run = home.run(&["report", "run", "other", "--comparison", "-"]);
    check(run.exits_with(0)?.stdout.starts_with("<!DOCTYPE html>"), &run.stdout[..40])?;
    run.says(&["wrote run/report.html", "wrote standard output"])?;
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let first = fs::read_dir(results)?.next().ok_or("no results")??.path().display().to_string();
    let run = home.run(&["bench", "show", &first, "--roofline", "-"]);
    check(run.exits_with(0)?.stdout.starts_with("<svg"), &run.stdout[..40])?;
    check(!home.path("-").exists(), "there is a file named `-`")
}

pub(crate) fn one_on_stdout(home: &Home) -> Result<(), Failed> {
    home.run(&["verify", "--json", "-", "--junit", "-"]).is_refused(&["standard output", "only one"])
}

/// Runs with a device that is always full as standard output or standard error.
#[cfg(target_os = "linux")]
fn run_full(home: &Home, words: &[&str], stdout: bool) -> Result<Run, Failed> {
    let full = || File::options().write(true).open("/dev/full");
    let mut program = home.command(words);
    let program = if stdout { program.stdout(full()?) } else { program.stderr(full()?) };
    Ok(Run::new(words, program.output()?))
}

#[cfg(target_os = "linux")]
pub(crate) fn full(home: &Home) -> Result<(), Failed> {
    let train =
        ["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "200", "--validation", "0"];
    let train = [&train[..], &["--model", "flatten, dense 10", "--epochs", "1", "--out"]].concat();
    let run = run_full(home, &[&train[..], &["run"]].concat(), true)?;
    run.exits_with(2)?.says(&[
        "warning: cannot write to standard output",
        "test accuracy",
        "weights SHA-256",
        "the files are written, and the results are above",
    ])?;
    run_full(home, &[&train[..], &["silent"]].concat(), false)?.exits_with(0)?.prints(&["test accuracy"])?;
    for folder in ["run", "silent"] {
        for file in ["model.safetensors", "report.html"] {
            check(home.path(folder).join(file).exists(), format!("no {folder}/{file}"))?;
        }
    }
    write_picture(&home.path("a.pgm"), 20, 240)?;
    let commands: [&[&str]; 9] = [
        &["--help"],
        &["--version"],
        &["plan"],
        &["devices"],
        &["devices", "--json", "-"],
        &["completions", "bash"],
        &["man", "pages"],
        &["predict", "run", "a.pgm", "--device", "cpu"],
        &["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "200"],
    ];
    for words in commands {
        run_full(home, words, true)?.is_refused(&["error", "cannot write to standard output"])?;
        let run = run_full(home, words, false)?;
        run.exits_with(0)?;
    }
    Ok(())
}

#[cfg(unix)]
pub(crate) fn closed_pipe(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let eval = ["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "300"];
    for words in [&["plan"][..], &["devices", "--json"], &["--help"], &eval] {
        let mut child = home.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drop(child.stdout.take());
        let run = Run::new(words, child.wait_with_output()?);
        run.exits_with(0)?;
        check(!run.stderr.contains("cannot write") && !run.stderr.contains("panicked"), run.stderr)?;
    }
    Ok(())
}

pub(crate) fn escapes(home: &Home) -> Result<(), Failed> {
    const RED: &str = "\u{1b}[31m";
    home.train(&[]).exits_with(0)?;
    let (picture, model) = (format!("{RED}\n.pgm"), format!("dens{RED}"));
    let folder = format!("run{RED}");
    write_picture(&home.path(&picture), 20, 240)?;
    write_picture(&home.path("b.pgm"), 20, 240)?;
    fs::rename(home.path("run"), home.path(&folder))?;
    let wrong = format!("no{RED}");
    let commands: [&[&str]; 7] = [
        &["predict", &folder, &picture, "--device", "cpu"],
        &["predict", &folder, &picture, "b.pgm", "--device", "cpu"],
        &["plan", "--model", &model],
        &["train", "--device", &wrong],
        &["eval", &wrong],
        &["train", "--schedule", &wrong],
        &[&wrong],
    ];
    for words in commands {
        let run = home.run(words);
        for text in [&run.stdout, &run.stderr] {
            check(!text.contains('\u{1b}'), format!("{words:?} prints an escape code: {text:?}"))?;
        }
        // clap leaves control characters out where it repeats a word.
        let is_clap = run.stderr.contains("--help");
        let is_escaped = [&run.stdout, &run.stderr].iter().any(|text| text.contains("\\u{1b}[31m"));
        check(is_clap || is_escaped, run.stdout + &run.stderr)?;
    }
    let rows = home.run(&["predict", &folder, &picture, "--device", "cpu", "--json"]).json()?;
    check(rows[0]["image"] == picture, rows.to_string())
}

pub(crate) fn colour(home: &Home) -> Result<(), Failed> {
    let words = ["eval", "nowhere"];
    let with = |variable: &str, words: &[&str]| -> Result<Run, Failed> {
        let mut program = home.command(words);
        program.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env(variable, "1");
        Ok(Run::new(words, program.output()?))
    };
    for words in [&words[..], &["trian"]] {
        let coloured = |run: &Run| run.stderr.contains("\u{1b}[");
        check(!coloured(&home.run(words)), "colour where there is no terminal")?;
        check(!coloured(&with("NO_COLOR", words)?), "colour although NO_COLOR is set")?;
        check(coloured(&with("CLICOLOR_FORCE", words)?), "no colour although CLICOLOR_FORCE is set")?;
    }
    Ok(())
}

pub(crate) fn quiet(home: &Home) -> Result<(), Failed> {
    let run = home.train(&["--quiet"]);
    run.exits_with(0)?.prints(&["test accuracy"])?;
    check(run.stderr.is_empty(), run.stderr)?;
    let run =
        home.run(&["eval", "run", "--device", "cpu", "-q", "--dataset", "generated", "--generated-images", "300"]);
    run.exits_with(0)?.prints(&["accuracy"])?;
    check(run.stderr.is_empty(), run.stderr)?;
    home.run(&["--quiet", "eval", "nowhere"]).is_refused(&["error: cannot read the model"])
}

pub(crate) fn tables(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    for name in ["a.pgm", "b.pgm"] {
        write_picture(&home.path(name), 20, 240)?;
    }
    let commands: [&[&str]; 7] = [
        &["plan"],
        &["plan", "--model", "speedrun", "--fuse", "off"],
        &["plan", "--model", "lenet5", "--batch-size", "1024", "--precision", "f16"],
        &["devices"],
        &["predict", "run", "a.pgm", "--device", "cpu"],
        &["predict", "run", "a.pgm", "b.pgm", "--device", "cpu"],
        &["eval", "run", "--device", "cpu", "--dataset", "generated", "--generated-images", "300"],
    ];
    for words in commands {
        let run = home.run(words);
        let mut lines = run.exits_with(0)?.stdout.lines().filter(|line| !line.starts_with("model: "));
        let wide = lines.find(|line| line.chars().count() > 80);
        check(wide.is_none(), format!("{words:?} prints a wide line: {}", wide.unwrap_or_default()))?;
    }
    Ok(())
}
