//! Runs the program: help, output and files of commands, exit codes, and error messages.
//!
//! No test reaches the network: the proxy it is told to use does not answer. Each has a home folder of its own.

mod bench;
#[cfg(unix)]
mod clusters;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod devices;
mod export;
mod fine_tuning;
mod import;
mod numerics;
mod output;
mod predict;
mod program;
mod proxy;
mod ranks;
mod reports;
mod resume;
mod stops;
mod strangers;
mod sweeps;
mod usage;
mod web;

use std::fs;
use std::process::Stdio;

use bench::{
    bench, bench_compare_run, bench_train, bench_without_adapter, page_across_gpus, results_page, tune,
    wrong_picture_kind, wrong_reports,
};
use common::{adapter_name, gpus, without_adapter};
use devices::{
    automatic_among_software, automatic_without_driver, devices, doctor, doctor_without_driver, missing_devices,
    train_on_adapter, verify_without_adapter, vulkan_without_driver,
};
use import::{imported_models_are_used, options_of_import, wrong_imports};
use libtest_mimic::{Arguments, Failed, Trial};
pub(crate) use predict::write_picture;
use predict::{folders, models_of_other_images, numbers, predict, wrong_pictures};
use program::{Home, Run, check};
use serde_json::Value;
#[cfg(target_os = "linux")]
use usage::odd_paths;
use usage::{
    command_help, half_precision, help, impossible_models, options_twice, plan, plan_kernels, plan_kernels_without_gpu,
    shaders, too_much_for_adapter, too_much_memory, wrong_numbers, wrong_usage,
};

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
        ("kernels_of_a_plan_need_an_adapter", plan_kernels_without_gpu),
        ("shaders_writes_every_shader_as_one_text", shaders),
        ("web_serves_the_page_or_says_how_it_is_built", web::web),
        ("web_refuses_a_taken_port_and_a_folder_without_mnist", web::wrong_web),
        ("imported_models_are_scored_and_trained_further", imported_models_are_used),
        ("options_of_import_say_what_a_file_does_not", options_of_import),
        ("wrong_imports_are_refused", wrong_imports),
        ("half_precision_is_asked_for_and_refused_where_there_is_none", half_precision),
        ("models_that_cannot_be_are_refused_with_layer_and_shapes", impossible_models),
        ("a_model_larger_than_memory_is_refused_before_anything_is_allocated", too_much_memory),
        ("wrong_numbers_are_refused", wrong_numbers),
        ("numbers_beyond_single_precision_are_refused", numerics::beyond_single_precision),
        ("a_target_is_compared_with_counts", numerics::target),
        ("misspelt_ops_layers_and_models_are_answered_with_the_nearest", numerics::misspelt),
        ("a_rate_that_is_far_too_high_ends_with_a_warning_and_what_to_try", numerics::too_high_a_rate),
        ("a_digit_without_images_has_no_scores_and_is_warned_of", numerics::missing_digit),
        ("what_was_fused_and_why_the_rest_was_not_is_printed", numerics::unfused),
        ("devices_lists_adapters_as_text_and_json", devices),
        ("a_device_that_is_not_there_is_an_error_with_what_was_found", missing_devices),
        ("doctor_tests_each_adapter_and_measures_how_it_computes", doctor),
        ("doctor_without_driver_exits_with_2_and_says_what_to_install", doctor_without_driver),
        ("vulkan_without_driver_names_the_package", vulkan_without_driver),
        ("automatic_choice_without_driver_takes_the_cpu_and_says_so", automatic_without_driver),
        ("automatic_choice_among_software_is_measured_once_and_recorded", automatic_among_software),
        ("verify_without_adapter_is_an_error", verify_without_adapter),
        ("mnist_that_cannot_be_had_is_an_error_or_a_loud_fall_back", missing_mnist),
        ("a_wrong_data_folder_is_an_error", wrong_data_folder),
        ("train_writes_its_run_folder_and_prints_the_hash", train),
        ("the_same_command_gives_the_same_weights_in_another_process", repeats),
        ("train_goes_on_from_saved_weights", init),
        ("frozen_layers_keep_their_weights", fine_tuning::freezes),
        ("other_last_layers_are_drawn_and_the_rest_is_taken_over_or_refused", fine_tuning::takes_over_what_fits),
        ("a_recipe_is_a_list_of_options_that_others_override", fine_tuning::recipes),
        ("a_learning_rate_is_found_and_nothing_else_written", fine_tuning::finds_a_rate),
        ("views_are_averaged_on_request_and_named", fine_tuning::views),
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
        ("init_warns_where_other_images_are_held_out", data::init_with_other_images_held_out),
        ("generated_images_of_a_folder_are_refused", data::generated_images_of_a_folder),
        ("a_model_that_learned_what_it_was_given_has_not_diverged", numerics::unlike_test_images),
        #[cfg(target_os = "linux")]
        ("a_disk_that_fills_up_costs_metrics_and_not_the_model", stops::full_disk),
        #[cfg(target_os = "linux")]
        ("a_data_folder_may_have_any_name", data::a_folder_may_have_any_name),
        ("a_proxy_s_certificate_is_trusted_where_the_system_trusts_it", proxy::certificates),
        ("a_file_that_is_no_model_is_an_error", no_model),
        ("export_writes_each_format", export::formats),
        ("bytes_are_measured_on_images_that_were_held_out", export::int8),
        ("what_cannot_be_exported_is_refused", export::refusals),
        ("predict_recognises_pictures_as_text_and_json", predict),
        ("predict_reads_numbers_and_draws_them", numbers),
        ("predict_enters_folders_and_skips_what_is_hidden_or_no_picture", folders),
        ("pictures_that_cannot_be_used_are_errors", wrong_pictures),
        ("models_of_other_images_name_their_classes_and_take_their_own_data_only", models_of_other_images),
        ("train_writes_a_report_that_stands_alone", reports::report),
        ("the_report_says_what_the_saved_predictions_say", reports::predictions),
        ("reports_of_several_runs_are_compared", reports::comparison),
        ("sweep_goes_on_where_it_ended_and_chooses_by_validation", sweeps::resumes),
        ("a_setting_that_fails_does_not_end_a_sweep", sweeps::failures),
        ("the_best_setting_is_named_where_validation_tells_it", sweeps::choice),
        ("a_sweep_trains_a_setting_once_under_a_short_name", sweeps::names),
        ("a_sweep_counts_no_run_of_other_settings", sweeps::identity),
        ("equal_sweeps_in_one_folder_share_its_runs", sweeps::at_once),
        #[cfg(unix)]
        ("a_run_of_a_killed_sweep_goes_on_to_the_same_weights", sweeps::killed),
        ("shares_of_a_sweep_are_merged", sweeps::shards),
        #[cfg(unix)]
        ("another_program_chooses_the_settings_of_a_sweep", sweeps::ask_and_tell),
        ("successive_halving_goes_on_with_the_best", sweeps::halving),
        #[cfg(unix)]
        ("a_task_of_slurms_array_trains_its_share", clusters::slurm_array),
        #[cfg(unix)]
        ("slurm_starts_the_ranks_of_a_run", clusters::slurm_ranks),
        #[cfg(unix)]
        ("hyperqueue_trains_shares_and_merges_them", clusters::hyperqueue),
        #[cfg(unix)]
        ("optuna_is_called_as_its_command_line_wants", clusters::optuna),
        ("ranks_have_the_weights_of_one_and_go_on_with_others", ranks::same_weights),
        ("local_sgd_says_that_it_is_another_method", ranks::local_sgd),
        ("what_ranks_cannot_share_is_refused", ranks::refused),
        ("plan_says_what_ranks_cost", ranks::costs),
        ("all_devices_train_a_seed_each", ranks::all_devices),
        #[cfg(unix)]
        ("two_signals_within_a_second_are_one_wish", stops::two_signals),
        ("an_error_in_mid_run_leaves_a_run_that_is_not_overwritten", stops::mid_run),
        ("the_step_at_which_a_run_diverges_is_kept_and_shown", stops::replay),
        ("changed_records_and_reports_are_read_or_refused", strangers::records),
        ("changed_results_of_bench_are_read_or_refused", strangers::bench_results),
        #[cfg(unix)]
        ("command_lines_of_any_words_are_carried_out_or_refused", strangers::words),
        ("a_resumed_run_is_the_undisturbed_one", resume::same),
        ("a_run_is_gone_on_with_as_it_is_or_refused", resume::refusals),
        ("a_damaged_checkpoint_is_passed_over", resume::damaged),
        ("a_run_of_a_constant_rate_can_be_extended", resume::extended),
        ("the_best_model_is_kept_and_training_ends_when_none_is_better", resume::best),
        ("checkpoints_come_as_wished", resume::checkpoints_as_wished),
        ("more_epochs_than_memory_are_refused_on_the_cpu", stops::too_many_epochs),
        ("an_option_given_twice_counts_once", options_twice),
        #[cfg(target_os = "linux")]
        ("paths_that_are_no_words_are_paths", odd_paths),
        ("predict_draws_one_picture_and_takes_folders_and_standard_input", reports::predict_forms),
        ("completions_and_manual_pages_are_made", reports::shells),
        ("reports_that_cannot_be_compared_are_errors", wrong_reports),
        ("bench_without_adapter_is_an_error", bench_without_adapter),
        ("the_page_of_results_shows_what_bench_prints_of_them", results_page),
        ("all_results_are_plausible_and_make_a_page_across_gpus", page_across_gpus),
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
        #[cfg(unix)]
        ("a_killed_run_goes_on_to_the_same_bits", resume::killed),
        #[cfg(unix)]
        ("an_interrupted_epoch_goes_on_in_its_middle", resume::interrupted),
        #[cfg(unix)]
        ("one_process_trains_in_a_folder", resume::at_once),
        #[cfg(unix)]
        ("a_killed_sweep_goes_on_within_its_run", resume::sweep),
    ];
    let mut trials: Vec<Trial> =
        tests.iter().map(|&(name, test)| Trial::test(name, move || test(&Home::new()))).collect();
    trials.push(data::model_file_trial());
    trials.extend(data::example_trials());
    let on_each: [(&str, AdapterTest); 14] = [
        ("plan_names_the_kernel_of_each_call_and_why_no_other", plan_kernels),
        ("verify_checks_a_users_own_model_in_lockstep", numerics::verify_model),
        ("a_model_that_overflows_is_an_error_that_names_the_first_tensor", numerics::overflow),
        ("training_that_overflows_is_an_error_that_names_the_first_tensor", numerics::overflow_in_training),
        ("verify_reports_as_text_json_and_junit", verify),
        ("train_takes_the_adapter_by_its_number", train_on_adapter),
        ("verify_repeats_checks_with_other_operands", web::verify_repeatedly),
        ("a_device_that_does_not_answer_is_an_error_that_names_the_kernels", silent_device),
        ("a_model_larger_than_the_adapter_takes_is_refused", too_much_for_adapter),
        ("bench_reports_kernels_and_compares_reports", bench),
        ("bench_train_reports_steps", bench_train),
        ("trace_writes_a_timeline_and_changes_no_weight", trace),
        ("tune_keeps_what_train_takes_and_ignores_a_damaged_file", tune),
        ("a_changed_tuning_file_is_read_or_ignored", strangers::tuning),
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
    home.run(&["train", "--device", "cpu", "--data", "nowhere"])
        .is_refused(&["nowhere", "there is no such file or folder"])?;
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
    for key in ["device_seconds", "data_seconds", "executor_seconds", "self_test_seconds", "first_step_seconds"] {
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
        .says(&["of 50 test images are right, below the target of 100 %"])?;
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

fn verify(home: &Home, device: &str) -> Result<(), Failed> {
    let words = ["verify", "max_pool_forward", "relu_forward:length=65,negative_slope=0", "--device", device];
    let run = home.run(&[&words[..], &["--verbose", "--json", "checks.json", "--junit", "checks.xml"]].concat());
    run.exits_with(0)?.prints(&["max_pool_forward", "relu_forward:length=65,negative_slope=0", "0 failed"])?;
    let report = home.json("checks.json")?;
    let checks = report["adapters"][0]["checks"].as_array().cloned().unwrap_or_default();
    check(checks.len() > 5 && checks.iter().all(|check| check["outcome"] == "passed"), report.to_string())?;
    let junit = fs::read_to_string(home.path("checks.xml"))?;
    check(junit.contains("relu_forward:length=65,negative_slope=0") && junit.contains("failures=\"0\""), junit)
}

/// With so little patience that no driver answers in time.
fn silent_device(home: &Home, device: &str) -> Result<(), Failed> {
    let data = ["--dataset", "generated", "--generated-images", "1500", "--batch-size", "64", "--validation", "0"];
    let words = [&["train", "--device", device][..], &data].concat();
    let run_words = |words: &[&str], seconds: &str| {
        let mut command = home.command(words);
        let output = command.env("GPU_DIGITS_WAIT_SECONDS", seconds).output().expect("the program starts");
        Run::new(words, output)
    };
    let run = |seconds: &str| run_words(&words, seconds);
    let untested = |seconds: &str| run_words(&[&words[..], &["--self-test", "off"]].concat(), seconds);
    run("soon").is_refused(&["GPU_DIGITS_WAIT_SECONDS", "seconds", "soon"])?;
    let adapters = home.run(&["devices", "--json", "-"]).json()?;
    let index: usize = device.parse()?;
    if adapters[index]["backend"] == "gl" && adapters[index]["kind"] == "software" {
        // It computes during submission, so there is no wait.
        return Ok(());
    }
    run("0.000001").exits_with(2)?.says(&["has not finished", "GPU_DIGITS_WAIT_SECONDS=SECONDS"])?;
    let kernels = ["batch_augment", "conv_relu_pool_forward", "dense_cross_entropy_forward"];
    let parts = [&["has not finished training steps", "GPU_DIGITS_WAIT_SECONDS=SECONDS"][..], &kernels].concat();
    untested("0.000001").exits_with(2)?.says(&parts).map(|_| ())
}

fn trace(home: &Home, device: &str) -> Result<(), Failed> {
    let without = home.train(&["--device", device, "--out", "without"]).hash()?;
    let run = home.train(&["--device", device, "--trace", "trace.json"]);
    check(run.hash()? == without, "the timeline has changed the training")?;
    let trace = home.json("trace.json")?;
    let events = trace["traceEvents"].as_array().cloned().unwrap_or_default();
    let is = |event: &serde_json::Value, name: &str| event["name"].as_str().is_some_and(|own| own.starts_with(name));
    let named = |name: &str| events.iter().filter(|event| is(event, name)).count();
    let dense = named("dense_forward") + named("dense_cross_entropy_forward");
    let counts = [named("encode"), named("submit"), dense, named("adam_step")];
    check(counts == [5, 5, 5, 5], format!("{counts:?} in {trace}"))?;
    check(
        events.iter().all(|event| event["dur"].as_f64().is_none_or(|dur| dur >= 0.0)),
        "a kernel ends before it begins",
    )
}
