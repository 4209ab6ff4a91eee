//! Models as files of other programs. What needs a C compiler, node or a Python with onnx and onnxruntime is reported as ignored where
//! there is none.

mod c;
mod json;
mod models;
mod onnx;

use std::process::Command;

use gpu_digits::Model;
use gpu_digits::export::{evaluate, network, softmax};
use gpu_digits::layers::{Layer, Recorder};
use gpu_digits::weights::SavedModel;
use libtest_mimic::{Arguments, Failed, Trial};

use models::{check, check_near, images, models, wanted};

const NO_COMPILER: &str = "no C compiler; name one with CC";
const NO_NODE: &str = "no node";
const NO_RUNTIME: &str = "no Python with onnx and onnxruntime; name one with GPU_DIGITS_PYTHON";

type Test = fn() -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let everywhere: [(&str, Test); 6] = [
        ("the network computes what the executor computes for each layer of the table", network_is_the_model),
        ("a layer that does not describe itself is refused by its name", undescribed),
        ("each node of ONNX reads what is there and each parameter has its bits", onnx::values),
        ("nodes and attributes of ONNX are those of the layers", onnx::nodes),
        ("an ONNX file takes any number of images and names its model", onnx::shapes),
        ("what is exported is imported again", onnx::round_trip),
    ];
    let compiled: [(&str, Test); 4] = [
        ("the C file gives our probabilities", c::floats),
        ("the C file with bytes gives our whole numbers to the bit", c::bytes),
        ("bytes read as many digits as floats", c::accuracy),
        ("a C file of any name compiles", c::names),
    ];
    let mut trials: Vec<Trial> = everywhere.into_iter().map(|(name, test)| Trial::test(name, test)).collect();
    let has_compiler = works(&c::compiler(), &["--version"]);
    trials.extend(compiled.into_iter().map(|(name, test)| trial(name, test, has_compiler, NO_COMPILER)));
    let has_node = works("node", &["--version"]);
    trials.push(trial("the JavaScript of the JSON file gives our probabilities", json::node, has_node, NO_NODE));
    let has_runtime = works(&onnx::python(), &["-c", "import onnx, onnxruntime"]);
    trials.push(trial("onnxruntime gives our probabilities", onnx::runtime, has_runtime, NO_RUNTIME));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whether a program is there and ends well.
fn works(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

/// A test that is ignored with a reason where it cannot run.
fn trial(name: &str, test: Test, can_run: bool, otherwise: &'static str) -> Trial {
    let trial = Trial::test(name, test);
    if can_run { trial } else { trial.with_kind(otherwise).with_ignored_flag(true) }
}

fn network_is_the_model() -> Result<(), Failed> {
    for saved in models() {
        let images = images(&saved, 2);
        let network = network(&saved)?;
        let task = saved.model.task();
        for (image, wanted) in images.chunks_exact(task.image().bytes()).zip(wanted(&saved, &images)) {
            let values = evaluate(&network, task, image);
            check_near(&saved, &softmax(values.last().expect("an output")), &wanted, 1e-5)?;
        }
    }
    Ok(())
}

/// A layer of a user's own that says only what is needed for training.
#[derive(Debug)]
struct Mirror;

impl Layer for Mirror {
    fn text(&self) -> String {
        "mirror".to_owned()
    }

    fn forward(&self, _step: &mut Recorder<'_>) {}

    fn backward(&self, _step: &mut Recorder<'_>) {}
}

fn undescribed() -> Result<(), Failed> {
    let dense = gpu_digits::layers::parse("dense 10", &[])?;
    let flatten = gpu_digits::layers::parse("flatten", &[])?;
    let model = Model::new(gpu_digits::data::Task::MNIST, [std::sync::Arc::new(Mirror), flatten, dense])?;
    let parameters = model.initial_parameters(0);
    let error = network(&SavedModel { model, parameters, seed: None, data: None }).err();
    let error = error.map_or_else(String::new, |error| format!("{error:#}"));
    check(
        error.starts_with("layer mirror1 (`mirror`) cannot be exported: ") && error.contains("Layer::describe"),
        error,
    )
}
