//! `gpu-digits bench` and `gpu-digits tune`.

use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, check};

pub(crate) fn wrong_reports(home: &Home) -> Result<(), Failed> {
    let compare = || home.run(&["bench", "compare", "a.json", "b.json"]);
    compare().is_refused(&["cannot read the report a.json"])?;
    for (text, part) in [("no json", "not JSON"), ("{}", "not a report"), ("{\"schema\": 999}", "schema 999")] {
        fs::write(home.path("a.json"), text)?;
        compare().is_refused(&["a.json", part])?;
    }
    Ok(())
}

pub(crate) fn bench_without_adapter(home: &Home) -> Result<(), Failed> {
    home.run_without_drivers(&["bench"]).is_refused(&["no GPU was found", "mesa-vulkan-drivers"])?;
    home.run(&["bench", "lockstep"]).is_refused(&["lockstep", "verify"])?;
    home.run(&["bench", "conv3d"]).is_refused(&["conv3d", "conv2d_forward"])
}

/// The results of the repository.
fn results() -> Result<Vec<String>, Failed> {
    let mut results: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results"))?
        .map(|entry| Ok(entry?.path().display().to_string()))
        .collect::<std::io::Result<_>>()?;
    results.retain(|path| path.ends_with(".json"));
    results.sort();
    Ok(results)
}

/// All results of the repository are plausible, and make a page.
pub(crate) fn page_across_gpus(home: &Home) -> Result<(), Failed> {
    let results = results()?;
    let files: Vec<&str> = results.iter().map(String::as_str).collect();
    home.run(&[&["bench", "check"], &files[..]].concat()).exits_with(0)?.prints(&["plausible: SwiftShader"])?;
    home.run(&[&["bench", "page"], &files[..]].concat()).exits_with(0)?;
    let page = fs::read_to_string(home.path("gpus.html"))?;
    for text in ["SwiftShader", "llvmpipe", "conv_relu_pool_forward", "What is wrong or missing", "<script>"] {
        check(page.contains(text), format!("the page has no {text}"))?;
    }
    home.run(&["bench", "page", "nothing.json"]).is_refused(&["cannot read the report nothing.json"])?;
    home.run(&["bench", "check"]).is_refused(&["<REPORTS>"])
}

pub(crate) fn results_page(home: &Home) -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = results()?;
    let words = ["bench", "show", "--summary", "--markdown"].into_iter().chain(results.iter().map(String::as_str));
    let run = home.run(&words.collect::<Vec<_>>());
    let table = &run.exits_with(0)?.stdout;
    let page = fs::read_to_string(root.join("docs/RESULTS.md"))?;
    check(page.contains(table), format!("docs/RESULTS.md does not hold this table:\n{table}"))
}

pub(crate) fn wrong_picture_kind(home: &Home) -> Result<(), Failed> {
    home.run(&["bench", "--roofline", "roof.pdf"]).is_refused(&["roof.pdf", ".svg", ".png"])
}

pub(crate) fn bench(home: &Home, device: &str) -> Result<(), Failed> {
    // Two ops with one kernel each.
    let ops = ["relu_forward:length=65,negative_slope=0", "chunk_sum:chunks=7,length=65"];
    let words = ["bench", ops[0], ops[1], "--device", device];
    let run = home.run(&[&words[..], &["--samples", "3", "--json", "a.json", "--roofline", "roof.svg"]].concat());
    run.exits_with(0)?.prints(&["GFLOP/s", "% of bound", ops[0], "clock"])?;
    let mut report = home.json("a.json")?;
    for key in ["schema", "version", "commit", "wgpu", "date", "platform", "command", "adapters"] {
        check(report.get(key).is_some(), format!("no `{key}` in the report"))?;
    }
    let peaks = &report["adapters"][0]["peaks"];
    check(peaks["flops_per_second"].as_f64() > Some(0.0), peaks.to_string())?;
    check(peaks["bytes_per_second"].as_f64() > Some(0.0), peaks.to_string())?;
    home.run(&["bench", "check", "a.json", "a.json"]).exits_with(0)?.prints(&["a.json: plausible: "])?;
    let mut forged = report.clone();
    forged["adapters"][0]["training"]["weights_sha256"] = "0".repeat(64).into();
    forged["adapters"][0]["kernels"][0]["timing"]["min_seconds"] = 1e3.into();
    fs::write(home.path("forged.json"), forged.to_string())?;
    let faults = ["forged.json: REFUSED", "longer than its median", "other weights than that of result 1"];
    home.run(&["bench", "check", "a.json", "forged.json"]).exits_with(1)?.prints(&faults)?;
    let picture = fs::read_to_string(home.path("roof.svg"))?;
    check(picture.starts_with("<svg") && picture.contains(ops[0]), "the picture lacks a kernel")?;

    home.run(&["bench", "show", "a.json", "--roofline", "roof.png"]).exits_with(0)?;
    let pixels = image::open(home.path("roof.png"))?;
    check(pixels.width() == 2400, format!("the picture is {} pixels wide", pixels.width()))?;

    home.run(&["bench", "show", "a.json", "--markdown"]).exits_with(0)?.prints(&["| kernel", ops[0]])?;
    // From here with times of our own, since a test must not depend on how quiet the machine is.
    let timing = |report: &mut Value, kernel: usize, seconds: f64| {
        let timing = &mut report["adapters"][0]["kernels"][kernel]["timing"];
        timing["median_seconds"] = seconds.into();
        timing["spread"] = 0.01.into();
    };
    let compare = ["bench", "compare", "a.json", "b.json", "--fail-above", "10%"];
    [0, 1].into_iter().for_each(|kernel| timing(&mut report, kernel, 1.0));
    fs::write(home.path("a.json"), report.to_string())?;
    fs::write(home.path("b.json"), report.to_string())?;
    home.run(&compare).exits_with(0)?.prints(&["0 of 2 cases changed"])?;
    timing(&mut report, 0, 2.0);
    fs::write(home.path("b.json"), report.to_string())?;
    home.run(&compare)
        .exits_with(1)?
        .prints(&["1 of 2 cases changed", "slower"])?
        .says(&["slower by more than 10 %"])?;
    home.run(&compare[..4]).exits_with(0)?;

    // A kernel that is missing, or whose time is 0, is no success.
    timing(&mut report, 0, 0.0);
    if let Some(kernels) = report["adapters"][0]["kernels"].as_array_mut() {
        kernels.pop();
    }
    report["adapters"][0]["adapter"]["driver_version"] = "another".into();
    fs::write(home.path("b.json"), report.to_string())?;
    home.run(&compare)
        .exits_with(1)?
        .prints(&["1 missing in the second result", "chunk_sum:chunks=7", "1 not compared"])?
        .says(&["1 case is missing", "the drivers differ"])
        .map(|_| ())
}

/// The other program is a script that hands out results, so that the test does not depend on how quiet the machine is.
#[cfg(unix)]
pub(crate) fn bench_compare_run(home: &Home) -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let ops = ["relu_forward:length=65,negative_slope=0", "--samples", "1"];
    let own = home.run(&[&["bench", "--json", "own.json"], &ops[..]].concat());
    if own.code == Some(2) && own.stderr.contains("no GPU was found") {
        return Ok(());
    }
    own.exits_with(0)?;
    let mut report = home.json("own.json")?;
    report["adapters"][0]["kernels"][0]["timing"]["median_seconds"] = 1e3.into();
    fs::write(home.path("other.json"), report.to_string())?;
    let script = home.path("other");
    fs::write(&script, "#!/bin/sh\nfor result; do :; done\ncp other.json \"$result\"\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let compare = ["bench", "compare", "--run", "./other", "--rounds", "3", "--"];
    let run = home.run(&[&compare[..], &ops].concat());
    run.exits_with(0)?.prints(&["3 rounds", "faster", "1 of 1 cases changed"])?.says(&["round 3 of 3: this"])?;
    home.run(&[&["bench", "compare", "--run", "./nothing", "--"], &ops[..]].concat())
        .is_refused(&["cannot start ./nothing"])?;
    home.run(&["bench", "compare", "own.json"]).is_refused(&["<NOW>"])
}

pub(crate) fn tune(home: &Home, device: &str) -> Result<(), Failed> {
    let model = "conv 4x3, relu, pool 2, flatten, dense 10";
    let tune = ["tune", "--device", device, "--model", model, "--batch-size", "3", "--samples", "1"];
    let list = [&tune[..], &["--list"]].concat();
    home.run(&list).exits_with(0)?.prints(&["no choices are saved"])?;
    let run = home.run(&tune);
    // An adapter without subgroups has nothing to choose from.
    if run.stdout.contains("no choices are saved") {
        return run.exits_with(0).map(|_| ());
    }
    run.exits_with(0)?.prints(&["conv_relu_pool_forward:batch=3", "plain"])?.says(&["saved in", "tuned"])?;
    home.run(&list).exits_with(0)?.prints(&["conv_relu_pool_forward:batch=3"])?;

    let train = ["train", "--device", device, "--model", model, "--batch-size", "3", "--dataset", "generated"];
    let short = ["--generated-images", "30", "--validation", "3", "--epochs", "1", "--out"];
    let kernels = |out: &str, tune: &str| -> Result<String, Failed> {
        let run = home.run(&[&train[..], &short, &[out, "--tune", tune]].concat());
        run.exits_with(0)?;
        Ok(home.json(&format!("{out}/run.json"))?["kernels"].to_string())
    };
    let default = kernels("default", "off")?;

    // `train` takes what the file names, here a kernel that is not the default.
    let folder = home.path(".cache/gpu-digits/tuned");
    let file = fs::read_dir(&folder)?.next().ok_or("no file was kept")??.path();
    let mut tuning: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let kernel = |variant: &str| format!("\"conv_relu_pool_forward.{variant}:").replace(".plain:", ":");
    let choices = tuning["choices"].as_object_mut().ok_or("no choices")?;
    let (_, choice) = choices.iter_mut().find(|(label, _)| label.contains("relu_pool_forward")).ok_or("no choice")?;
    let tried = choice["tried"].as_array().cloned().unwrap_or_default();
    let mut variants = tried.iter().filter_map(|tried| tried["variant"].as_str());
    let other = variants.find(|variant| !default.contains(&kernel(variant))).ok_or("nothing but the default")?;
    choice["variant"] = other.into();
    fs::write(&file, tuning.to_string())?;
    let known = kernels("known", "auto")?;
    check(known.contains(&kernel(other)), known)?;

    fs::write(&file, "{")?;
    let run = home.run(&[&train[..], &short, &["damaged"]].concat());
    run.exits_with(0)?.says(&["is ignored", "gpu-digits tune"])?;
    home.run(&["train", "--device", "cpu", "--tune", "force"]).is_refused(&["--tune force", "--device"])
}

pub(crate) fn bench_train(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["bench", "train", "--device", device, "--model", "flatten, dense 10", "--batch-size", "1,4"];
    let run = home.run(&[&words[..], &["--samples", "2", "--json", "steps.json"]].concat());
    run.exits_with(0)?.prints(&["images/s", "train", "infer", "encode", "submit", "dispatches"])?;
    let report = home.json("steps.json")?;
    let steps = report["adapters"][0]["steps"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = steps.iter().map(|step| (step["kind"].as_str(), step["batch_size"].as_u64())).collect();
    let wanted =
        [("train", 1), ("train", 4), ("infer", 1), ("infer", 4)].map(|(kind, batch)| (Some(kind), Some(batch)));
    check(rows == wanted, format!("{rows:?}"))?;
    for step in &steps {
        let [host, encode, submit] =
            ["host_seconds", "encode_seconds", "submit_seconds"].map(|key| step[key].as_f64().unwrap_or_default());
        check(encode > 0.0 && submit > 0.0 && (encode + submit - host).abs() < 1e-9, step.to_string())?;
    }
    check(steps.iter().all(|step| step["images_per_second"].as_f64() > Some(0.0)), report.to_string())?;
    let is_within_step = |step: &Value| step["device_seconds"].as_f64() <= step["step_seconds"].as_f64();
    check(steps.iter().all(is_within_step), report.to_string())?;

    // The same table again, and a line for each batch size.
    let show = home.run(&["bench", "show", "steps.json"]);
    show.exits_with(0)?.prints(&["flatten, dense 10", "train      1", "train      4", "infer      4", "dispatches"])?;
    let summary = home.run(&["bench", "show", "--summary", "steps.json"]);
    check(summary.exits_with(0)?.stdout.lines().count() == 4, summary.stdout.clone())?;
    for output in [&run.stdout, &show.stdout, &summary.stdout] {
        let tables = output.lines().filter(|line| !line.contains(" through "));
        let widest = tables.map(|line| line.chars().count()).max();
        check(widest <= Some(80), format!("{widest:?} columns:\n{output}"))?;
    }
    Ok(())
}
