//! The data of a run and of `eval`, and the command that repeats a run.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::program::{Home, Run, check};

/// Writes a set as four IDX files: images of a bar whose place tells the class, sorted by class.
fn write_bars(folder: &Path, images_of_a_class: usize) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, each) in [("train", images_of_a_class), ("t10k", 3)] {
        let count = (10 * each) as u32;
        let (mut images, mut labels) = (vec![0, 0, 8, 3], vec![0, 0, 8, 1]);
        labels.extend(count.to_be_bytes());
        [count, 28, 28].iter().for_each(|size| images.extend(size.to_be_bytes()));
        for (class, image) in (0..10u8).flat_map(|class| (0..each).map(move |image| (class, image))) {
            labels.push(class);
            let is_ink = |pixel: usize| (pixel % 28) / 2 == 2 + usize::from(class) && pixel / 28 > image % 20;
            images.extend((0..784).map(|pixel| if is_ink(pixel) { 255u8 } else { (pixel * image % 40) as u8 }));
        }
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images)?;
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels)?;
    }
    Ok(())
}

/// The words of the command that a run's record keeps, behind the program's name, and a folder for its repetition.
fn recorded_command(home: &Home, run: &str, out: &str) -> Result<Vec<String>, Failed> {
    let record = home.json(&format!("{run}/run.json"))?;
    let words = record["command"].as_array().ok_or("no command")?.iter().skip(1).map(Value::as_str);
    let words: Option<Vec<&str>> = words.chain([Some("--out"), Some(out)]).collect();
    Ok(words.ok_or("a word is no text")?.into_iter().map(str::to_owned).collect())
}

fn run(home: &Home, words: &[String]) -> Run {
    home.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Without options about data, `eval` scores what the run was trained on, or nothing.
pub(crate) fn eval_takes_the_data_of_the_run(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let eval = |more: &[&str]| home.run(&[&["eval", "run", "--device", "cpu"], more].concat());
    let wanted = home.json("run/run.json")?["data"]["sha256"].clone();
    for model in ["run", "run/model.safetensors"] {
        let scored = home.run(&["eval", model, "--device", "cpu", "--json"]).json()?;
        let data = &scored["data"];
        check(data["sha256"] == wanted && data["images"] == 50, scored.to_string())?;
        check(data["name"] == "generated digits" && data["is_that_of_training"] == true, scored.to_string())?;
    }
    // The model's file alone says it too.
    fs::copy(home.path("run/model.safetensors"), home.path("alone.safetensors"))?;
    let alone = home.run(&["eval", "alone.safetensors", "--device", "cpu", "--json"]).json()?;
    check(alone["data"]["sha256"] == wanted, alone.to_string())?;

    let others = ["--dataset", "generated", "--generated-images", "60"];
    eval(&others).exits_with(0)?.says(&["the model was trained on another data set", "generated digits"])?;
    let json = eval(&[&others[..], &["--json"]].concat()).json()?;
    check(json["data"]["is_that_of_training"] == false && json["data"]["images"] == 10, json.to_string())?;
    let same = ["--dataset", "generated", "--generated-images", "300"];
    eval(&same).exits_with(0)?.says(&["the model was trained on the same data set"])?;

    let mut record = home.json("run/run.json")?;
    record["data"]["sha256"] = "0123456789".repeat(6).into();
    fs::write(home.path("run/run.json"), record.to_string())?;
    eval(&[]).is_refused(&["other data than", "generated digits (01234567)", "--data", "--dataset"])?;
    record["data"]["name"] = "MNIST".into();
    fs::write(home.path("run/run.json"), record.to_string())?;
    eval(&[]).is_refused(&["cannot load MNIST", "trained on", "--data"])?;
    eval(&others).exits_with(0)?.says(&["WARNING: the model was trained on another data set", "MNIST (01234567)"])?;
    Ok(())
}

/// A run on the files of a folder is scored on them, from any working folder, until they change.
pub(crate) fn eval_finds_the_folder_again(home: &Home) -> Result<(), Failed> {
    write_bars(&home.path("bars"), 16)?;
    home.run(&["train", "--device", "cpu", "--data", "bars", "--model", "flatten, dense 10", "--out", "run"])
        .exits_with(0)?;
    fs::create_dir(home.path("elsewhere"))?;
    let eval = || -> Result<Run, Failed> {
        let words = ["eval", "../run", "--device", "cpu"];
        Ok(Run::new(&words, home.command(&words).current_dir(home.path("elsewhere")).output()?))
    };
    eval()?.exits_with(0)?.prints(&["of 30 images (IDX files in bars)"])?;
    write_bars(&home.path("bars"), 17)?;
    eval()?.is_refused(&["other data than", "--data"])?;
    fs::remove_dir_all(home.path("bars"))?;
    eval()?.is_refused(&["bars no longer exists", "--data"])
}

/// What a run has resolved stands in its command, which gives the same weights elsewhere.
pub(crate) fn the_recorded_command_repeats_a_run(home: &Home) -> Result<(), Failed> {
    // No MNIST here, so the digits are generated.
    let words = ["train", "--device", "cpu", "--generated-images", "250", "--model", "flatten, dense 10"];
    let first = home.run(&[&words[..], &["--epochs", "2", "--out", "run"]].concat());
    first.exits_with(0)?.says(&["GENERATED DIGITS"])?;
    let words = recorded_command(home, "run", "again")?;
    for [option, value] in [
        ["--dataset", "generated"],
        ["--generated-images", "250"],
        ["--validation", "20"],
        ["--batch-size", "8"],
        ["--lr", "0.0025"],
        ["--optimizer", "adam"],
        ["--fuse", "off"],
        ["--seed", "0"],
    ] {
        check(words.windows(2).any(|pair| pair == [option, value]), format!("no {option} {value} in {words:?}"))?;
    }
    let again = run(&Home::new(), &words);
    check(!again.exits_with(0)?.stderr.contains("WARNING"), "the repetition looks for MNIST")?;
    check(again.hash()? == first.hash()?, "the repetition gave other weights")?;

    let more = ["--optimizer", "nesterov", "--seed", "5", "--shuffle", "off", "--schedule", "step", "--init", "run"];
    let first = home.train(&[&more[..], &["--weight-decay", "0.01", "--out", "more"]].concat());
    let again = run(home, &recorded_command(home, "more", "more-again")?);
    check(again.exits_with(0)?.hash()? == first.hash()?, "the repetition gave other weights")
}

/// 160 images sorted by class, with defaults for everything.
pub(crate) fn defaults_suit_small_sets(home: &Home) -> Result<(), Failed> {
    write_bars(&home.path("bars"), 16)?;
    let words = ["train", "--device", "cpu", "--data", "bars", "--model", "conv 4x3, relu, pool 2, flatten, dense 10"];
    // The classes of bars differ by what augmentation changes.
    let run = home.run(&[&words[..], &["--augment", "none", "--out", "run"]].concat());
    run.exits_with(0)?.says(&["batches of 8", "learning rate 0.0025", "13 images held out", "augmentation: none"])?;
    let settings = &home.json("run/run.json")?["settings"];
    check(settings["validation"] == 13 && settings["batch_size"] == 8, settings.to_string())?;
    let metrics = fs::read_to_string(home.path("run/metrics.jsonl"))?;
    let epochs: Vec<Value> = metrics.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let loss = |epoch: &Value| epoch["loss"].as_f64().unwrap_or(f64::NAN);
    let losses: Vec<f64> = epochs.iter().filter(|row| row["kind"] == "epoch").map(loss).collect();
    check(losses.len() == 6 && losses.is_sorted_by(|a, b| a > b), format!("losses of the epochs: {losses:?}"))?;
    // Held out from each class, so every class is learned and recognised.
    let report = &home.json("run/report.json")?["evaluation"];
    check(report["accuracy"].as_f64() > Some(0.9), report.to_string())?;

    check(settings["generated"] == 0, settings.to_string())?;
    let run = home.run(&[&words[..], &["--add-generated", "40", "--epochs", "1", "--out", "more"]].concat());
    run.exits_with(0)?.says(&["13 images held out", "added: 40 generated digits"])?;
    let record = home.json("more/run.json")?;
    // 147 and 40 images are 23 batches of 8.
    check(record["settings"]["generated"] == 40 && record["result"]["steps"] == 23, record.to_string())?;

    let run = home.run(&[&words[..], &["--validation", "160"]].concat());
    run.is_refused(&["--validation 160", "160 training images"])
}

/// A run folder is as good as its model, and says which model it is.
pub(crate) fn init_takes_a_run(home: &Home) -> Result<(), Failed> {
    home.train(&["--model", "flatten, dense 12, dense 10"]).exits_with(0)?;
    let words = ["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "300", "--epochs", "1"];
    for init in ["run", "run/model.safetensors"] {
        let out = init.replace('/', "-");
        let out = format!("more-{out}");
        home.run(&[&words[..], &["--init", init, "--out", &out]].concat()).exits_with(0)?;
        let record = home.json(&format!("{out}/run.json"))?;
        check(record["model"] == "flatten, dense 12, dense 10", record["model"].to_string())?;
        let before = home.json("run/run.json")?["result"]["weights_sha256"].clone();
        check(record["settings"]["initial_weights_sha256"] == before, "it began with other weights")?;
    }
    fs::create_dir(home.path("empty"))?;
    home.run(&[&words[..], &["--init", "empty"]].concat()).is_refused(&["empty holds no model.safetensors"])
}

/// What one run held out, another that goes on from it must not take for new.
pub(crate) fn init_with_other_images_held_out(home: &Home) -> Result<(), Failed> {
    home.train(&["--seed", "3"]).exits_with(0)?;
    let seen = "validation may be on images that it has seen; give --seed 3 --validation 40";
    for (out, more) in [("seed", &["--seed", "4"][..]), ("count", &["--seed", "3", "--validation", "50"])] {
        home.train(&[more, &["--init", "run", "--out", out]].concat()).exits_with(0)?.says(&[seen])?;
    }
    let others = ["--generated-images", "360"];
    for (out, more) in [("same", &[][..]), ("none", &["--validation", "0"]), ("others", &others)] {
        let run = home.train(&[&["--seed", "3", "--init", "run", "--out", out], more].concat());
        check(!run.exits_with(0)?.stderr.contains("has seen"), format!("{out}: {}", run.stderr))?;
    }
    Ok(())
}

/// An option that would do nothing is refused.
pub(crate) fn generated_images_of_a_folder(home: &Home) -> Result<(), Failed> {
    write_bars(&home.path("bars"), 6)?;
    let refused = ["--generated-images", "leave one of them out"];
    let words = ["--device", "cpu", "--data", "bars", "--generated-images", "100"];
    home.run(&[&["train", "--out", "run"], &words[..]].concat()).is_refused(&refused)?;
    home.run(&["train", "--dataset", "mnist", "--generated-images", "100"]).is_refused(&refused)?;
    home.run(&["train", "--device", "cpu", "--data", "bars", "--epochs", "1", "--model", "mlp", "--out", "run"])
        .exits_with(0)?;
    home.run(&[&["eval", "run"], &words[..]].concat()).is_refused(&refused)
}

/// A folder whose name is no text, on the way through every file that names it.
#[cfg(target_os = "linux")]
pub(crate) fn a_folder_may_have_any_name(home: &Home) -> Result<(), Failed> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let name = OsStr::from_bytes(b"d\xff");
    write_bars(&home.path("bars"), 4)?;
    fs::rename(home.path("bars"), home.path("").join(name))?;
    let train = |more: &[&OsStr]| -> Result<Run, Failed> {
        let words = ["train", "--device", "cpu", "--model", "flatten, dense 10", "--epochs", "1"];
        Ok(Run::new(&words, home.command(&words).args(more).output()?))
    };
    let first = train(&[OsStr::new("--data"), name, OsStr::new("--out"), OsStr::new("run")])?;
    first.exits_with(0)?;
    let command = home.json("run/run.json")?["command"].clone();
    check(command.as_array().is_some_and(|words| words.contains(&vec![100, 255].into())), command.to_string())?;
    let page = fs::read_to_string(home.path("run/report.html"))?;
    check(page.contains(r"--data $'d\xff'"), "the page has another command")?;
    home.run(&["eval", "run", "--device", "cpu"]).exits_with(0)?.prints(&["of 30 images"])?;
    home.run(&["report", "run"]).exits_with(0)?;
    Ok(())
}

/// What is said where the snippet cannot run.
const NO_TORCH: &str = "no Python with torch and safetensors; name one with GPU_DIGITS_PYTHON";

/// The snippet of `docs/MODEL_FILE.md`, where there is a Python that can run it.
pub(crate) fn model_file_trial() -> Trial {
    let python = std::env::var("GPU_DIGITS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import torch, safetensors.torch"]).output();
    let can_run = probe.is_ok_and(|output| output.status.success());
    let trial = Trial::test("the_model_file_gives_the_same_probabilities_in_pytorch", move || {
        model_file_in_pytorch(&Home::new(), &python)
    });
    if can_run { trial } else { trial.with_kind(NO_TORCH).with_ignored_flag(true) }
}

fn model_file_in_pytorch(home: &Home, python: &str) -> Result<(), Failed> {
    write_bars(&home.path("bars"), 16)?;
    home.run(&["train", "--device", "cpu", "--data", "bars", "--epochs", "1", "--out", "run"]).exits_with(0)?;
    let manual = include_str!("../../docs/MODEL_FILE.md");
    let snippet = manual.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no snippet")?;
    let compare = r#"
import csv
images = bytearray(open("bars/t10k-images-idx3-ubyte", "rb").read()[16:])
images = torch.frombuffer(images, dtype=torch.uint8).reshape(-1, 1, 28, 28)
rows = [[float(row[f"p{digit}"]) for digit in range(10)] for row in csv.DictReader(open("run/predictions.csv"))]
print((probabilities(images) - torch.tensor(rows, dtype=torch.float64)).abs().max().item())
"#;
    fs::write(home.path("snippet.py"), format!("{snippet}{compare}"))?;
    let output = Command::new(python).arg("snippet.py").current_dir(home.path("")).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let difference: f64 = text.parse().map_err(|_| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    check(difference < 1e-6, format!("the probabilities differ by {difference}"))
}

/// The programs of `examples/`, which `cargo test` builds; those that are not there are reported as ignored.
pub(crate) fn example_trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_BIN_EXE_gpu-digits")).with_file_name("examples");
    let trial = |name: &'static str| {
        let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let is_built = program.exists();
        let trial = Trial::test(format!("the_example_{name}_runs"), move || {
            let output = Command::new(program).output()?;
            Run::new(&[name], output).exits_with(0).map(|_| ())
        });
        let why = "it is not built; `cargo test` without --test builds it";
        if is_built { trial } else { trial.with_kind(why).with_ignored_flag(true) }
    };
    ["train_arrays", "one_op", "own_op", "predict"].map(trial).into()
}
