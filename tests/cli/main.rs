//! Runs the program: help, what commands print and write, exit codes, and the error for each thing that can be wrong.
//!
//! No test reaches the network: the proxy it is told to use does not answer. Each has a home folder of its own.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod numerics;
mod output;
mod program;
mod reports;
mod stops;
mod sweeps;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use common::{adapter_name, gpus, without_adapter};
use libtest_mimic::{Arguments, Failed, Trial};
use program::{Home, Run, check};
use serde_json::Value;

type Test = fn(&Home) -> Result<(), Failed>;

/// A test on an adapter, given by its number.
type AdapterTest = fn(&Home, &str) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let tests: &[(&str, Test)] = &[
        ("help_lists_every_command_and_exits_with_0", help),
        ("every_command_has_help_with_its_options", command_help),
        ("no_command_and_wrong_usage_exit_with_2", wrong_usage),
        ("plan_prints_calls_shapes_and_sums_without_a_gpu", plan),
        ("half_precision_is_asked_for_and_refused_where_there_is_none", half_precision),
        ("models_that_cannot_be_are_refused_with_layer_and_shapes", impossible_models),
        ("a_model_larger_than_memory_is_refused_before_anything_is_allocated", too_much_memory),
        ("wrong_numbers_are_refused", wrong_numbers),
        ("numbers_beyond_single_precision_are_refused", numerics::beyond_single_precision),
        ("a_target_is_compared_with_counts", numerics::target),
        ("misspelt_ops_layers_and_models_are_answered_with_the_nearest", numerics::misspelt),
        ("a_rate_that_is_far_too_high_ends_with_a_warning_and_what_to_try", numerics::too_high_a_rate),
        ("a_digit_without_images_has_no_scores_and_is_warned_of", numerics::missing_digit),
        ("the_layer_at_which_fusing_ended_is_named_in_one_line", numerics::unfused),
        ("devices_lists_adapters_as_text_and_json", devices),
        ("a_device_that_is_not_there_is_an_error_with_what_was_found", missing_devices),
        ("vulkan_without_driver_names_the_package", vulkan_without_driver),
        ("automatic_choice_without_driver_takes_the_cpu_and_says_so", automatic_without_driver),
        ("verify_without_adapter_is_an_error", verify_without_adapter),
        ("mnist_that_cannot_be_had_is_an_error_or_a_loud_fall_back", missing_mnist),
        ("a_wrong_data_folder_is_an_error", wrong_data_folder),
        ("train_writes_its_run_folder_and_prints_the_hash", train),
        ("the_same_command_gives_the_same_weights_in_another_process", repeats),
        ("train_goes_on_from_saved_weights", init),
        ("a_target_that_is_not_reached_exits_with_1_and_keeps_the_model", target),
        ("weights_that_are_not_finite_are_neither_saved_nor_loaded", diverged),
        ("training_goes_on_where_nobody_reads_its_output", closed_output),
        ("a_run_is_not_overwritten", not_overwritten),
        ("a_run_folder_that_cannot_be_made_is_an_error", unwritable_folder),
        ("eval_scores_a_saved_model_as_text_and_json", eval),
        ("eval_scores_the_data_that_the_run_names_or_fails", data::eval_takes_the_data_of_the_run),
        ("eval_finds_the_folder_of_the_run_again_from_anywhere", data::eval_finds_the_folder_again),
        ("the_command_in_run_json_gives_the_same_weights_elsewhere", data::the_recorded_command_repeats_a_run),
        ("defaults_suit_a_set_of_160_images_sorted_by_class", data::defaults_suit_small_sets),
        ("init_takes_a_run_folder_and_its_model", data::init_takes_a_run),
        #[cfg(target_os = "linux")]
        ("a_data_folder_may_have_any_name", data::a_folder_may_have_any_name),
        ("a_file_that_is_no_model_is_an_error", no_model),
        ("predict_recognises_pictures_as_text_and_json", predict),
        ("pictures_that_cannot_be_used_are_errors", wrong_pictures),
        ("train_writes_a_report_that_stands_alone", reports::report),
        ("the_report_says_what_the_saved_predictions_say", reports::predictions),
        ("reports_of_several_runs_are_compared", reports::comparison),
        ("sweep_goes_on_where_it_ended_and_chooses_by_validation", sweeps::resumes),
        ("a_setting_that_fails_does_not_end_a_sweep", sweeps::failures),
        ("a_sweep_trains_a_setting_once_under_a_short_name", sweeps::names),
        ("a_sweep_counts_no_run_of_other_settings", sweeps::identity),
        #[cfg(unix)]
        ("two_sweeps_in_one_folder_do_not_mix", sweeps::at_once),
        #[cfg(unix)]
        ("two_signals_within_a_second_are_one_wish", stops::two_signals),
        ("a_run_goes_on_beside_one_without_a_model", stops::beside),
        ("an_error_in_mid_run_does_not_block_the_next_run", stops::mid_run),
        ("more_epochs_than_memory_are_refused_on_the_cpu", stops::too_many_epochs),
        ("an_option_given_twice_counts_once", options_twice),
        #[cfg(target_os = "linux")]
        ("paths_that_are_no_words_are_paths", odd_paths),
        ("predict_draws_one_picture_and_takes_folders_and_standard_input", reports::predict_forms),
        ("completions_and_manual_pages_are_made", reports::shells),
        ("reports_that_cannot_be_compared_are_errors", wrong_reports),
        ("bench_without_adapter_is_an_error", bench_without_adapter),
        ("the_readme_shows_the_committed_results_as_bench_prints_them", results_page),
        ("a_picture_of_another_kind_is_refused_before_any_work", wrong_picture_kind),
        ("json_goes_to_a_file_or_to_standard_output", output::json),
        ("every_output_option_takes_a_dash_for_standard_output", output::dash),
        ("two_outputs_on_standard_output_are_refused", output::one_on_stdout),
        #[cfg(target_os = "linux")]
        ("a_full_disk_on_standard_output_is_an_error_and_training_goes_on", output::full),
        #[cfg(unix)]
        ("a_closed_pipe_ends_quietly", output::closed_pipe),
        ("names_do_not_steer_the_terminal", output::escapes),
        ("errors_are_in_colour_where_that_is_asked_for", output::colour),
        ("tables_fit_80_columns", output::tables),
        ("quiet_leaves_out_remarks_and_keeps_results", output::quiet),
        #[cfg(unix)]
        ("bench_compare_runs_two_programs_in_turn", bench_compare_run),
        #[cfg(unix)]
        ("ctrl_c_ends_training_after_the_step_and_keeps_what_was_trained", stops::ctrl_c),
    ];
    let mut trials: Vec<Trial> =
        tests.iter().map(|&(name, test)| Trial::test(name, move || test(&Home::new()))).collect();
    let on_each: [(&str, AdapterTest); 10] = [
        ("verify_checks_a_users_own_model_in_lockstep", numerics::verify_model),
        ("a_model_that_overflows_is_an_error_that_names_the_first_tensor", numerics::overflow),
        ("training_that_overflows_is_an_error_that_names_the_first_tensor", numerics::overflow_in_training),
        ("verify_reports_as_text_json_and_junit", verify),
        ("train_takes_the_adapter_by_its_number", train_on_adapter),
        ("a_model_larger_than_the_adapter_takes_is_refused", too_much_for_adapter),
        ("bench_reports_kernels_and_compares_reports", bench),
        ("bench_train_reports_steps", bench_train),
        ("trace_writes_a_timeline_and_changes_no_weight", trace),
        ("tune_keeps_what_train_takes_and_ignores_a_damaged_file", tune),
    ];
    let gpus = gpus();
    for (name, test) in on_each {
        if gpus.is_empty() {
            trials.push(without_adapter(name));
        }
        for gpu in &gpus {
            let index = gpu.info().index.to_string();
            trials.push(Trial::test(format!("{name} [{}]", adapter_name(gpu)), move || test(&Home::new(), &index)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn help(home: &Home) -> Result<(), Failed> {
    home.run(&["--help"]).exits_with(0)?.prints(&["train", "eval", "predict", "verify", "devices", "plan"])?;
    home.run(&["--version"]).exits_with(0)?.prints(&[env!("CARGO_PKG_VERSION")])?;
    Ok(())
}

fn command_help(home: &Home) -> Result<(), Failed> {
    let train = [
        "--model",
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
    ];
    let options: [(&str, &[&str]); 9] = [
        ("train", &train),
        ("eval", &["--device", "--data", "--json"]),
        ("predict", &["--device", "--json"]),
        ("verify", &["--device", "--verbose", "--json", "--junit"]),
        ("devices", &["--json"]),
        ("report", &["--plots", "--comparison"]),
        ("sweep", &["--model", "--lr", "--batch-size", "--optimizer", "--seeds", "--random", "--out"]),
        ("plan", &["--model", "--batch-size"]),
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

fn wrong_usage(home: &Home) -> Result<(), Failed> {
    home.run(&[]).is_refused(&["train"])?;
    home.run(&["trian"]).is_refused(&["trian", "train"])?;
    home.run(&["train", "--epoch"]).is_refused(&["--epoch"])?;
    home.run(&["predict", "model.safetensors"]).is_refused(&["IMAGES"])
}

fn plan(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["plan"]);
    run.exits_with(0)?.prints(&["10 calls", "conv_relu_pool_forward", "adam_step", "34,826", "[128, 13, 13, 32]"])?;
    let run = home.run_without_drivers(&["plan", "--fuse", "off"]);
    run.exits_with(0)?.prints(&["conv2d_forward", "adam_update", "34,826", "[128, 32, 26, 26]"])?;
    let names = ["convnet", "lenet5", "speedrun", "mlp"];
    names.iter().try_for_each(|model| home.run(&["plan", "--model", model]).exits_with(0).map(|_| ()))
}

fn half_precision(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["plan", "--precision", "f16"]);
    run.exits_with(0)?.prints(&["11 calls", "parameter_copy_f16", "conv_relu_pool_forward_f16", "adam_step"])?;
    let odd = "conv 5x3, relu, pool 2, flatten, dense 10";
    let refused: [(&[&str], &[&str]); 4] = [
        (&["--precision", "f64"], &["f64", "f32", "f16"]),
        (&["--precision", "f16", "--fuse", "off"], &["half precision", "--fuse off"]),
        (
            &["--precision", "f16", "--model", "mlp"],
            &["half precision", "layer 2 (`dense 128`, dense1)", "--precision"],
        ),
        (&["--precision", "f16", "--model", odd], &["layer conv1", "5", "odd", "--precision"]),
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

fn impossible_models(home: &Home) -> Result<(), Failed> {
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
    }
    Ok(())
}

fn too_much_memory(home: &Home) -> Result<(), Failed> {
    let model = "conv 50000x3, pool 26, flatten, dense 10";
    let run =
        home.run(&["train", "--device", "cpu", "--dataset", "generated", "--model", model, "--batch-size", "1000"]);
    run.is_refused(&["does not fit", "layer conv1", "[1000, 1, 28, 28]", "[1000, 50000, 26, 26]", "smaller"])?;
    check(!home.path("runs").exists(), "a run folder was made")
}

fn too_much_for_adapter(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["train", "--device", device, "--dataset", "generated", "--batch-size", "1000"];
    let run = home.run(&[&words[..], &["--model", "conv 50000x3, pool 26, flatten, dense 10"]].concat());
    run.is_refused(&["does not fit", "layer conv1", "[1000, 1, 28, 28]", "[1000, 50000, 26, 26]", "smaller"])
}

fn wrong_numbers(home: &Home) -> Result<(), Failed> {
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
fn options_twice(home: &Home) -> Result<(), Failed> {
    home.run(&["plan", "--batch-size", "7", "--batch-size", "9"]).exits_with(0)?.prints(&["batch 9"])?;
    home.train(&["--seed", "1", "--seed", "5", "--tensorboard", "--tensorboard", "-q", "-q"]).exits_with(0)?;
    let seed = home.json("run/run.json")?["seed"].clone();
    check(seed == 5, format!("the seed is {seed}"))
}

#[cfg(target_os = "linux")]
fn odd_paths(home: &Home) -> Result<(), Failed> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    let mut program = home.command(&["train", "--device", "cpu", "--data"]);
    Run::new(&[], program.arg(name(b"d\xff")).output()?).is_refused(&["not a folder"])?;
    let words = ["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "200", "--epochs", "1"];
    let words = [&words[..], &["--validation", "0"]].concat();
    let mut program =
        home.command(&[&words[..], &["--model", "flatten, dense 10", "--batch-size", "20", "--out"]].concat());
    Run::new(&[], program.arg(name(b"r\xff")).output()?).exits_with(0)?;
    let model = home.path("").join(name(b"r\xff")).join("model.safetensors");
    check(model.exists(), "no model in a folder whose name is no word")
}

fn devices(home: &Home) -> Result<(), Failed> {
    home.run(&["devices"]).exits_with(0)?.prints(&["cpu"])?;
    let listed = home.run(&["devices", "--json"]).json()?;
    check(listed.is_array(), listed.to_string())?;
    for (index, adapter) in listed.as_array().into_iter().flatten().enumerate() {
        check(adapter["index"] == index, format!("number {index} is {adapter}"))?;
        for key in ["name", "backend", "driver", "driver_version", "kind", "subgroup_size", "unusable"] {
            check(adapter.get(key).is_some(), format!("no `{key}` in {adapter}"))?;
        }
    }
    Ok(())
}

fn missing_devices(home: &Home) -> Result<(), Failed> {
    for (device, part) in [("99", "no device 99"), ("geforce 9999", "geforce 9999")] {
        home.run(&["train", "--device", device]).is_refused(&[part, "found"])?;
        home.run_without_drivers(&["train", "--device", device]).is_refused(&[
            part,
            "no adapter was found",
            "--device cpu",
        ])?;
    }
    home.run(&["train", "--device", ""]).is_refused(&["device without a name"])?;
    if cfg!(not(target_os = "macos")) {
        home.run(&["train", "--device", "metal"]).is_refused(&["metal", "macOS"])?;
    }
    Ok(())
}

fn vulkan_without_driver(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["train", "--device", "vulkan"]);
    run.is_refused(&["no adapter", "vulkan", "mesa-vulkan-drivers", "libvulkan1"])
}

fn automatic_without_driver(home: &Home) -> Result<(), Failed> {
    let words = ["train", "--dataset", "generated", "--generated-images", "200", "--validation", "0", "--epochs", "1"];
    let run = home.run_without_drivers(&[&words[..], &["--model", "flatten, dense 10", "--out", "run"]].concat());
    run.exits_with(0)?
        .says(&["the CPU", "no GPU is used", "apt-get install", "mesa-vulkan-drivers"])?
        .prints(&["test accuracy"])?;
    Ok(())
}

fn verify_without_adapter(home: &Home) -> Result<(), Failed> {
    home.run(&["verify", "--device", "cpu"]).is_refused(&["--device cpu", "adapter"])?;
    home.run_without_drivers(&["verify"]).is_refused(&["there is no GPU", "mesa-vulkan-drivers"])?;
    home.run(&["verify", "conv3d"]).is_refused(&["conv3d", "conv2d_forward", "lockstep"])
}

fn missing_mnist(home: &Home) -> Result<(), Failed> {
    home.run(&["train", "--device", "cpu", "--dataset", "mnist"]).is_refused(&[
        "cannot load MNIST",
        "storage.googleapis.com/cvdf-datasets/mnist",
        "ossci-datasets.s3.amazonaws.com/mnist",
        "--data",
    ])?;
    let words = ["train", "--device", "cpu", "--generated-images", "200", "--validation", "0", "--epochs", "1"];
    let run = home.run(&[&words[..], &["--model", "flatten, dense 10", "--out", "run"]].concat());
    run.exits_with(0)?.says(&["WARNING", "GENERATED DIGITS", "--data"])?.prints(&["generated digits"])?;
    Ok(())
}

fn wrong_data_folder(home: &Home) -> Result<(), Failed> {
    home.run(&["train", "--device", "cpu", "--data", "nowhere"]).is_refused(&["nowhere", "not a folder"])?;
    home.run(&["train", "--data", "nowhere", "--dataset", "generated"])
        .is_refused(&["--data", "--dataset generated"])?;
    fs::create_dir(home.path("empty"))?;
    home.run(&["train", "--device", "cpu", "--data", "empty"]).is_refused(&["train-images-idx3-ubyte"])?;
    fs::write(home.path("empty/train-images-idx3-ubyte"), b"\0\0\x08\x03\0\0\0\x01")?;
    for name in ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::write(home.path("empty").join(name), b"")?;
    }
    home.run(&["train", "--device", "cpu", "--data", "empty"]).is_refused(&["train-images-idx3-ubyte", "byte 8"])
}

fn train(home: &Home) -> Result<(), Failed> {
    let run = home.train(&["--log-steps", "1", "--seed", "3"]);
    run.exits_with(0)?.prints(&["epoch", "images/s", "2/2", "test accuracy", "run/model.safetensors"])?;
    run.says(&["device: the CPU", "generated digits", "300 training and 50 test images", "first step "])?;
    check(!run.stderr.contains(['\r', '\u{1b}']), "a progress bar or escape codes although stderr is no terminal")?;

    let record = home.json("run/run.json")?;
    for key in
        ["command", "version", "commit", "started", "device", "adapter", "model", "seed", "settings", "data", "result"]
    {
        check(record.get(key).is_some(), format!("no `{key}` in run.json"))?;
    }
    check(record["seed"] == 3 && record["model"] == "flatten, dense 10", record.to_string())?;
    check(record["data"]["sha256"].as_str().is_some_and(|hash| hash.len() == 64), "no hash of the data")?;
    check(record["result"]["weights_sha256"] == run.hash()?, "run.json has another hash than is printed")?;

    let start_up = &record["result"]["start_up"];
    for key in ["device_seconds", "data_seconds", "executor_seconds", "first_step_seconds"] {
        check(start_up[key].as_f64() > Some(0.0), format!("{key} in {start_up}"))?;
    }

    let metrics = fs::read_to_string(home.path("run/metrics.jsonl"))?;
    let rows: Vec<Value> = metrics.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_kind = |kind: &str| rows.iter().filter(|row| row["kind"] == kind).cloned().collect::<Vec<_>>();
    // 260 images in batches of 20.
    let steps = of_kind("step");
    let epochs = of_kind("epoch");
    check(steps.len() == 26 && epochs.len() == 2, metrics.clone())?;
    // The first step of the run is told apart: its epoch's pace is that of the other twelve.
    for (epoch, images) in epochs.iter().zip([240.0, 260.0]) {
        let [pace, seconds] = ["images_per_second", "seconds"].map(|key| epoch[key].as_f64().unwrap_or_default());
        check((pace * seconds - images).abs() < 1e-6, format!("not {images} images in {epoch}"))?;
    }
    for (index, step) in steps.iter().enumerate() {
        check(step["step"] == index + 1 && step["epoch"] == 1 + index / 13, step.to_string())?;
        check(step["loss"].is_f64() && step["learning_rate"].is_f64(), step.to_string())?;
    }
    Ok(())
}

fn repeats(_: &Home) -> Result<(), Failed> {
    let hash = |seed: &str| {
        let model = "conv 3x3, relu, pool 2, dropout 0.3, flatten, dense 10";
        Home::new().train(&["--model", model, "--seed", seed]).hash()
    };
    let (first, again, other) = (hash("1")?, hash("1")?, hash("2")?);
    check(first == again, format!("the same command gave {first} and {again}"))?;
    check(first != other, "another seed gave the same weights")
}

fn init(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let run = home.train(&["--init", "run/model.safetensors", "--out", "more"]);
    run.exits_with(0)?;
    let loss = |path: &str| -> Result<f64, Failed> {
        let metrics = fs::read_to_string(home.path(path))?;
        let first: Value = serde_json::from_str(metrics.lines().next().unwrap_or_default())?;
        first["loss"].as_f64().ok_or_else(|| Failed::from(metrics))
    };
    let (fresh, further) = (loss("run/metrics.jsonl")?, loss("more/metrics.jsonl")?);
    check(further < 0.8 * fresh, format!("a loss of {further} after one of {fresh}"))?;
    let other =
        home.train(&["--init", "run/model.safetensors", "--out", "other", "--model", "flatten, dense 12, dense 10"]);
    other.is_refused(&["run/model.safetensors", "dense1.weight", "[10, 784]", "[12, 784]"])
}

fn target(home: &Home) -> Result<(), Failed> {
    home.train(&["--target-accuracy", "100"])
        .exits_with(1)?
        .says(&["of 50 test images are right, fewer than the target of 100 %"])?;
    check(home.path("run/model.safetensors").exists(), "the model was not kept")?;
    home.train(&["--target-accuracy", "1", "--out", "easy"]).exits_with(0)?;
    Ok(())
}

fn diverged(home: &Home) -> Result<(), Failed> {
    // A single step, whose loss is that of the weights before it.
    let far = ["--optimizer", "adamw", "--weight-decay", "10", "--lr", "3e38", "--schedule", "constant"];
    let run = home.train(&[&far[..], &["--batch-size", "200", "--epochs", "1", "--out", "far"]].concat());
    run.exits_with(2)?.says(&["not finite", "diverged", "--lr"])?;
    check(!home.path("far/model.safetensors").exists(), "weights that are no numbers were saved")?;
    home.train(&[]).exits_with(0)?;
    let model = home.path("run/model.safetensors");
    let mut bytes = fs::read(&model)?;
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&model, bytes)?;
    home.run(&["eval", "run", "--device", "cpu", "--dataset", "generated"])
        .is_refused(&["not finite", "model.safetensors"])
}

fn closed_output(home: &Home) -> Result<(), Failed> {
    let mut child = home
        .command(&["train", "--device", "cpu", "--dataset", "generated", "--generated-images", "200"])
        .args(["--model", "flatten, dense 10", "--batch-size", "20", "--validation", "0", "--out", "run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // As `2>&1 | head -0` closes both.
    drop((child.stdout.take(), child.stderr.take()));
    check(child.wait()?.success(), "training ended with its reader")?;
    check(home.path("run/report.html").exists(), "no report was written")
}

fn not_overwritten(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let before = fs::read(home.path("run/model.safetensors"))?;
    home.train(&["--seed", "9"]).is_refused(&["run", "--out"])?;
    check(fs::read(home.path("run/model.safetensors"))? == before, "the model has changed")
}

fn unwritable_folder(home: &Home) -> Result<(), Failed> {
    fs::write(home.path("file"), b"")?;
    home.train(&["--out", "file/run"]).is_refused(&["file/run", "--out"])
}

fn eval(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let data = ["--device", "cpu", "--dataset", "generated", "--generated-images", "300"];
    let run = home.run(&[&["eval", "run"], &data[..]].concat());
    run.exits_with(0)?.prints(&["accuracy", "precision %", "recall %", "F1 %", "confusion"])?;
    let report = home.run(&[&["eval", "run/model.safetensors", "--json"], &data[..]].concat()).json()?;
    let record = home.json("run/run.json")?;
    let (scored, trained) = (report["accuracy"].as_f64(), record["result"]["test_accuracy"].as_f64());
    check(scored.is_some() && scored == trained, format!("eval says {scored:?}, train said {trained:?}"))?;
    let rows = report["confusion"].as_array().map_or(0, Vec::len);
    let images: u64 = report["confusion"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(Value::as_array)
        .flatten()
        .filter_map(Value::as_u64)
        .sum();
    check(rows == 10 && images == 50 && report["classes"].as_array().map_or(0, Vec::len) == 10, report.to_string())
}

fn no_model(home: &Home) -> Result<(), Failed> {
    let eval = |path: &str| home.run(&["eval", path, "--device", "cpu", "--dataset", "generated"]);
    eval("nowhere.safetensors").is_refused(&["cannot read the model", "nowhere.safetensors"])?;
    fs::write(home.path("text"), "this is no model")?;
    eval("text").is_refused(&["text", "not a safetensors file"])
}

/// A picture of a thick vertical stroke, as a PGM file.
fn write_picture(path: &Path, ink: u8, paper: u8) -> std::io::Result<()> {
    let pixel = |i: usize| if (26..34).contains(&(i % 60)) && (10..70).contains(&(i / 60)) { ink } else { paper };
    let pixels: Vec<u8> = (0..60 * 80).map(pixel).collect();
    fs::write(path, [b"P5 60 80 255\n", &pixels[..]].concat())
}

fn predict(home: &Home) -> Result<(), Failed> {
    home.train(&["--epochs", "20", "--generated-images", "2000"]).exits_with(0)?;
    write_picture(&home.path("dark.pgm"), 20, 240)?;
    write_picture(&home.path("light.pgm"), 250, 10)?;
    let run = home.run(&["predict", "run", "dark.pgm", "light.pgm", "--device", "cpu"]);
    run.exits_with(0)?.prints(&["image", "digit", "next", "dark.pgm", "light.pgm"])?;
    let rows = home.run(&["predict", "run", "dark.pgm", "light.pgm", "--device", "cpu", "--json"]).json()?;
    check(rows.as_array().map_or(0, Vec::len) == 2, rows.to_string())?;
    for row in rows.as_array().into_iter().flatten() {
        let shares: Vec<f64> =
            row["probabilities"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        check(shares.len() == 10 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, row.to_string())?;
        check(row["digit"] == 1, format!("a vertical stroke is taken for {row}"))?;
    }
    Ok(())
}

fn wrong_pictures(home: &Home) -> Result<(), Failed> {
    home.train(&[]).exits_with(0)?;
    let predict = |picture: &str| home.run(&["predict", "run", picture, "--device", "cpu"]);
    home.run(&["predict", "run", "--json", "a.png", "b.png"]).is_refused(&["--json a.png", "--json -"])?;
    predict("nowhere.png").is_refused(&["cannot read the picture nowhere.png"])?;
    fs::write(home.path("text.png"), "no picture")?;
    predict("text.png").is_refused(&["text.png", "PNG, JPEG or PGM"])?;
    write_picture(&home.path("blank.pgm"), 200, 200)?;
    predict("blank.pgm").is_refused(&["blank.pgm", "blank"])
}

fn verify(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["verify", "max_pool_forward", "relu_forward:length=65", "--device", device];
    let run = home.run(&[&words[..], &["--verbose", "--json", "checks.json", "--junit", "checks.xml"]].concat());
    run.exits_with(0)?.prints(&["max_pool_forward", "relu_forward:length=65", "0 failed"])?;
    let report = home.json("checks.json")?;
    let checks = report["adapters"][0]["checks"].as_array().cloned().unwrap_or_default();
    check(checks.len() > 5 && checks.iter().all(|check| check["outcome"] == "passed"), report.to_string())?;
    let junit = fs::read_to_string(home.path("checks.xml"))?;
    check(junit.contains("relu_forward:length=65") && junit.contains("failures=\"0\""), junit)
}

fn wrong_reports(home: &Home) -> Result<(), Failed> {
    let compare = || home.run(&["bench", "compare", "a.json", "b.json"]);
    compare().is_refused(&["cannot read the report a.json"])?;
    for (text, part) in [("no json", "not JSON"), ("{}", "no report"), ("{\"schema\": 999}", "schema 999")] {
        fs::write(home.path("a.json"), text)?;
        compare().is_refused(&["a.json", part])?;
    }
    Ok(())
}

fn bench_without_adapter(home: &Home) -> Result<(), Failed> {
    home.run_without_drivers(&["bench"]).is_refused(&["there is no GPU", "mesa-vulkan-drivers"])?;
    home.run(&["bench", "lockstep"]).is_refused(&["lockstep", "verify"])?;
    home.run(&["bench", "conv3d"]).is_refused(&["conv3d", "conv2d_forward"])
}

fn results_page(home: &Home) -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut results: Vec<String> = fs::read_dir(root.join("benches/results"))?
        .map(|entry| Ok(entry?.path().display().to_string()))
        .collect::<std::io::Result<_>>()?;
    results.retain(|path| path.ends_with(".json"));
    results.sort();
    let words = ["bench", "show", "--summary", "--markdown"].into_iter().chain(results.iter().map(String::as_str));
    let run = home.run(&words.collect::<Vec<_>>());
    let table = &run.exits_with(0)?.stdout;
    let page = fs::read_to_string(root.join("docs/RESULTS.md"))?;
    check(page.contains(table), format!("docs/RESULTS.md does not hold this table:\n{table}"))
}

fn wrong_picture_kind(home: &Home) -> Result<(), Failed> {
    home.run(&["bench", "--roofline", "roof.pdf"]).is_refused(&["roof.pdf", ".svg", ".png"])
}

fn bench(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["bench", "relu_forward:length=65", "dense_forward:batch=3,inputs=65,outputs=2", "--device", device];
    let run = home.run(&[&words[..], &["--samples", "3", "--json", "a.json", "--roofline", "roof.svg"]].concat());
    run.exits_with(0)?.prints(&["GFLOP/s", "% of bound", "relu_forward:length=65", "clock"])?;
    let mut report = home.json("a.json")?;
    for key in ["schema", "version", "commit", "wgpu", "date", "platform", "command", "adapters"] {
        check(report.get(key).is_some(), format!("no `{key}` in the report"))?;
    }
    let peaks = &report["adapters"][0]["peaks"];
    check(peaks["flops_per_second"].as_f64() > Some(0.0), peaks.to_string())?;
    check(peaks["bytes_per_second"].as_f64() > Some(0.0), peaks.to_string())?;
    let picture = fs::read_to_string(home.path("roof.svg"))?;
    check(picture.starts_with("<svg") && picture.contains("relu_forward:length=65"), "the picture lacks a kernel")?;

    home.run(&["bench", "show", "a.json", "--roofline", "roof.png"]).exits_with(0)?;
    let pixels = image::open(home.path("roof.png"))?;
    check(pixels.width() == 2400, format!("the picture is {} pixels wide", pixels.width()))?;

    home.run(&["bench", "show", "a.json", "--markdown"])
        .exits_with(0)?
        .prints(&["| kernel", "relu_forward:length=65"])?;
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
    home.run(&compare).exits_with(0)?.prints(&["0 of 2 cases have changed"])?;
    timing(&mut report, 0, 2.0);
    fs::write(home.path("b.json"), report.to_string())?;
    home.run(&compare)
        .exits_with(1)?
        .prints(&["1 of 2 cases have changed", "slower"])?
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
        .prints(&["1 missing in the second result", "dense_forward:batch=3", "1 not compared"])?
        .says(&["1 case is missing", "the drivers differ"])
        .map(|_| ())
}

/// The other program is a script that hands out results, so that the test does not depend on how quiet the machine is.
#[cfg(unix)]
fn bench_compare_run(home: &Home) -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let ops = ["relu_forward:length=65", "--samples", "1"];
    let own = home.run(&[&["bench", "--json", "own.json"], &ops[..]].concat());
    if own.code == Some(2) && own.stderr.contains("there is no GPU") {
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
    run.exits_with(0)?.prints(&["3 rounds", "faster", "1 of 1 cases have changed"])?.says(&["round 3 of 3: this"])?;
    home.run(&[&["bench", "compare", "--run", "./nothing", "--"], &ops[..]].concat())
        .is_refused(&["cannot start ./nothing"])?;
    home.run(&["bench", "compare", "own.json"]).is_refused(&["<NOW>"])
}

fn tune(home: &Home, device: &str) -> Result<(), Failed> {
    let model = "conv 4x3, relu, pool 2, flatten, dense 10";
    let tune = ["tune", "--device", device, "--model", model, "--batch-size", "3", "--samples", "1"];
    let list = [&tune[..], &["--list"]].concat();
    home.run(&list).exits_with(0)?.prints(&["nothing is known"])?;
    let run = home.run(&tune);
    // An adapter without subgroups has nothing to choose from.
    if run.stdout.contains("nothing is known") {
        return run.exits_with(0).map(|_| ());
    }
    run.exits_with(0)?.prints(&["conv_relu_pool_forward:batch=3", "plain"])?.says(&["kept in", "tuned"])?;
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

fn bench_train(home: &Home, device: &str) -> Result<(), Failed> {
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
    check(steps.iter().all(|step| step["images_per_second"].as_f64() > Some(0.0)), report.to_string())
}

fn trace(home: &Home, device: &str) -> Result<(), Failed> {
    let without = home.train(&["--device", device, "--out", "without"]).hash()?;
    let run = home.train(&["--device", device, "--trace", "trace.json"]);
    check(run.hash()? == without, "the timeline has changed the training")?;
    let trace = home.json("trace.json")?;
    let events = trace["traceEvents"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    let counts = [named("encode"), named("submit"), named("dense_forward"), named("adam_update")];
    check(counts == [5, 5, 5, 10], format!("{counts:?} in {trace}"))?;
    check(
        events.iter().all(|event| event["dur"].as_f64().is_none_or(|dur| dur >= 0.0)),
        "a kernel ends before it begins",
    )
}

fn train_on_adapter(home: &Home, device: &str) -> Result<(), Failed> {
    let words =
        ["train", "--device", device, "--dataset", "generated", "--generated-images", "200", "--validation", "0"];
    let run = home.run(&[&words[..], &["--model", "flatten, dense 10", "--epochs", "1", "--out", "run"]].concat());
    run.exits_with(0)?.prints(&["test accuracy"])?;
    let record = home.json("run/run.json")?;
    check(record["adapter"]["index"].as_u64() == device.parse().ok(), record.to_string())?;
    check(record["adapter"]["driver_version"].is_string(), "the driver's version is not kept")
}
