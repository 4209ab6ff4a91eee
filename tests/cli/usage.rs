//! Help, wrong usage, and invalid models and numbers.

use libtest_mimic::Failed;

use crate::program::{Home, Run, check};

pub(crate) fn help(home: &Home) -> Result<(), Failed> {
    home.run(&["--help"]).exits_with(0)?.prints(&["train", "eval", "predict", "verify", "devices", "plan"])?;
    home.run(&["--version"]).exits_with(0)?.prints(&[env!("CARGO_PKG_VERSION")])?;
    Ok(())
}

pub(crate) fn command_help(home: &Home) -> Result<(), Failed> {
    let train = [
        "--model",
        "convolution to 32 channels",
        "--device",
        "--data",
        "--dataset",
        "--epochs",
        "--batch-size",
        "--optimizer",
        "--lr",
        "--momentum",
        "--weight-decay",
        "--schedule",
        "--seed",
        "--shuffle",
        "--validation",
        "--init",
        "--out",
        "--log-steps",
        "--plots",
        "--tensorboard",
        "--target-accuracy",
        "--fuse",
        "--precision",
        "--tune",
        "--self-test",
    ];
    let options: [(&str, &[&str]); 12] = [
        ("train", &train),
        ("eval", &["--device", "--data", "--json"]),
        ("predict", &["--device", "--json"]),
        ("export", &["--format", "--int8", "--out", "--data"]),
        ("verify", &["--device", "--verbose", "--json", "--junit"]),
        ("devices", &["--json"]),
        ("doctor", &["--json"]),
        ("report", &["--plots", "--comparison"]),
        ("import", &["--model", "--out", "--image-size", "--classes", "--mean", "--deviation"]),
        ("sweep", &["--model", "--lr", "--batch-size", "--optimizer", "--seeds", "--random", "--out"]),
        ("plan", &["--model", "--batch-size", "--kernels", "--device"]),
        (
            "bench",
            &["--model", "--batch-size", "--device", "--json", "--markdown", "--roofline", "compare", "train", "show"],
        ),
    ];
    for (command, options) in options {
        home.run(&[command, "--help"]).exits_with(0)?.prints(options)?.prints(&["Examples:", "--quiet"])?;
    }
    Ok(())
}

pub(crate) fn wrong_usage(home: &Home) -> Result<(), Failed> {
    home.run(&[]).is_refused(&["train"])?;
    home.run(&["trian"]).is_refused(&["trian", "train"])?;
    home.run(&["train", "--epoch"]).is_refused(&["--epoch"])?;
    home.run(&["predict", "model.safetensors"]).is_refused(&["IMAGES"])
}

pub(crate) fn plan(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["plan"]);
    run.exits_with(0)?.prints(&["10 calls", "conv_relu_pool_forward", "adam_step", "34,826", "[128, 13, 13, 32]"])?;
    let run = home.run_without_drivers(&["plan", "--fuse", "off"]);
    run.exits_with(0)?.prints(&["conv2d_forward", "adam_step", "34,826", "[128, 26, 26, 32]"])?;
    let names = ["convnet", "lenet5", "speedrun", "mlp"];
    names.iter().try_for_each(|model| home.run(&["plan", "--model", model]).exits_with(0).map(|_| ()))
}

/// Each call of a plan takes one kernel, and every other variant has a reason.
pub(crate) fn plan_kernels(home: &Home, index: &str) -> Result<(), Failed> {
    let run = home.run(&["plan", "--kernels", "--device", index]);
    let text = run.exits_with(0)?.stdout.clone();
    let lines = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
    let (calls, kernels) = (lines("kernel: "), lines("kernel: none"));
    // Ten calls train, and five evaluate.
    check((calls, kernels) == (15, 0), &text)?;
    check(lines("not plain: ") > 0, "a reason why a call does not take the plain kernel")
}

pub(crate) fn plan_kernels_without_gpu(home: &Home) -> Result<(), Failed> {
    home.run(&["plan", "--kernels", "--device", "cpu"]).is_refused(&["--kernels", "the CPU", "gpu-digits devices"])?;
    home.run(&["plan", "--device", "vulkan"]).is_refused(&["--kernels"])
}

/// A shader's text is whole: a parser needs nothing else.
pub(crate) fn shaders(home: &Home) -> Result<(), Failed> {
    home.run_without_drivers(&["shaders", "deep/wgsl"]).exits_with(0)?.prints(&["shaders into deep/wgsl"])?;
    let mut files = 0;
    for entry in std::fs::read_dir(home.path("deep/wgsl"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        check(text.starts_with("// shaders/") && text.contains("@compute"), &text)?;
        files += 1;
    }
    check(files == gpu_digits::verify::shaders().len(), format!("{files} files"))?;
    std::fs::write(home.path("file"), "")?;
    home.run(&["shaders", "file"]).is_refused(&["cannot make the folder file"])
}

pub(crate) fn half_precision(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["plan", "--precision", "f16"]);
    run.exits_with(0)?.prints(&["11 calls", "parameter_copy_f16", "conv_relu_pool_forward_f16", "adam_step"])?;
    let odd = "conv 5x3, relu, pool 2, flatten, dense 10";
    let refused: [(&[&str], &[&str]); 2] = [
        (&["--precision", "f64"], &["f64", "f32", "f16"]),
        (&["--precision", "f16", "--model", odd], &["layer conv1", "rows of 5", "even", "--precision"]),
    ];
    for (words, parts) in refused {
        for command in [&["plan"][..], &["train", "--device", "cpu"]] {
            home.run(&[command, words].concat()).is_refused(parts)?;
        }
    }
    let model = "conv 4x3, relu, pool 2, dropout 0.1, flatten, dense 6, relu, dense 10";
    home.train(&["--model", model, "--precision", "f16"]).exits_with(0)?;
    let precision = home.json("run/run.json")?["settings"]["precision"].clone();
    check(precision == "f16", format!("run.json tells of a precision of {precision}"))?;
    home.train(&["--out", "single"]).exits_with(0)?;
    let precision = home.json("single/run.json")?["settings"]["precision"].clone();
    check(precision == "f32", format!("without being asked for, the precision is {precision}"))
}

pub(crate) fn impossible_models(home: &Home) -> Result<(), Failed> {
    let models: [(&str, &[&str]); 6] = [
        ("conv 8x3, dense 10", &["layer 2", "`dense 10`", "[8, 26, 26]", "[10]", "flatten"]),
        ("pool 3, pool 3, pool 3, pool 3, flatten, dense 10", &["layer 4", "`pool 3`", "[1, 1, 1]", "[1, 0, 0]"]),
        ("conv 8x29, flatten, dense 10", &["layer 1", "`conv 8x29`", "[1, 28, 28]"]),
        ("flatten, dense 11", &["layer 2", "`dense 11`", "[11]", "[10]"]),
        ("flatten, dens 10", &["dens 10", "dense 10"]),
        ("resnet", &["resnet", "convnet", "lenet5", "speedrun", "mlp"]),
    ];
    for (model, parts) in models {
        home.run(&["plan", "--model", model]).is_refused(parts)?;
        home.run(&["train", "--device", "cpu", "--model", model]).is_refused(parts)?;
        // Data of one's own may have other sizes, but these are not asked for.
        let mut generated = home.command(&["train", "--device", "cpu", "--dataset", "generated", "--model", model]);
        let run = Run::new(&["train"], generated.env("GPU_DIGITS_DATA", "/nowhere").output()?);
        run.is_refused(parts)?;
        check(!run.stderr.contains("device:"), "a device was opened first")?;
    }
    Ok(())
}

pub(crate) fn too_much_memory(home: &Home) -> Result<(), Failed> {
    let model = "conv 50000x3, pool 26, flatten, dense 10";
    let run =
        home.run(&["train", "--device", "cpu", "--dataset", "generated", "--model", model, "--batch-size", "1000"]);
    run.is_refused(&["does not fit", "layer conv1", "[1000, 28, 28, 1]", "[1000, 26, 26, 50000]", "smaller"])?;
    check(!home.path("runs").exists(), "a run folder was made")
}

pub(crate) fn too_much_for_adapter(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["train", "--device", device, "--dataset", "generated", "--batch-size", "1000"];
    let run = home.run(&[&words[..], &["--model", "conv 50000x3, pool 26, flatten, dense 10"]].concat());
    run.is_refused(&["does not fit", "layer conv1", "[1000, 28, 28, 1]", "[1000, 26, 26, 50000]", "smaller"])
}

pub(crate) fn wrong_numbers(home: &Home) -> Result<(), Failed> {
    let train = |more: &[&str]| home.train(more);
    train(&["--lr", "-1"]).is_refused(&["--lr", "above 0"])?;
    train(&["--lr", "fast"]).is_refused(&["--lr", "not a number"])?;
    train(&["--log-steps", "0"]).is_refused(&["--log-steps"])?;
    train(&["--momentum", "1"]).is_refused(&["--momentum", "below 1"])?;
    train(&["--momentum", "0.9"]).is_refused(&["--momentum", "sgd", "Adam"])?;
    train(&["--target-accuracy", "101"]).is_refused(&["--target-accuracy", "100"])?;
    train(&["--shuffle", "maybe"]).is_refused(&["--shuffle", "on", "off"])?;
    let small = |more: &[&str]| {
        home.run(&[&["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "50"], more].concat())
    };
    small(&["--validation", "5000"]).is_refused(&["--validation 5000", "50 training images"])?;
    small(&["--validation", "10", "--batch-size", "128"]).is_refused(&["--batch-size 128", "40 images"])?;
    check(!home.path("runs").exists() && !home.path("run").exists(), "a run folder was made")
}

/// So an alias with options of its own can be overruled.
pub(crate) fn options_twice(home: &Home) -> Result<(), Failed> {
    home.run(&["plan", "--batch-size", "7", "--batch-size", "9"]).exits_with(0)?.prints(&["batch 9"])?;
    home.train(&["--seed", "1", "--seed", "5", "--tensorboard", "--tensorboard", "-q", "-q"]).exits_with(0)?;
    let seed = home.json("run/run.json")?["seed"].clone();
    check(seed == 5, format!("the seed is {seed}"))
}

#[cfg(target_os = "linux")]
pub(crate) fn odd_paths(home: &Home) -> Result<(), Failed> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    let mut program = home.command(&["train", "--device", "cpu", "--data"]);
    Run::new(&[], program.arg(name(b"d\xff")).output()?).is_refused(&["there is no such file or folder"])?;
    let words = ["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "200", "--epochs", "1"];
    let words = [&words[..], &["--validation", "0"]].concat();
    let mut program =
        home.command(&[&words[..], &["--model", "flatten, dense 10", "--batch-size", "20", "--out"]].concat());
    Run::new(&[], program.arg(name(b"r\xff")).output()?).exits_with(0)?;
    let model = home.path("").join(name(b"r\xff")).join("model.safetensors");
    check(model.exists(), "no model in a folder whose name is no word")
}
