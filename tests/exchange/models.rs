//! Models with each form of each layer of the table, and what our CPU computes with them.

use gpu_digits::Model;
use gpu_digits::data::{ImageShape, Task, digits};
use gpu_digits::device::Device;
use gpu_digits::inference::probabilities;
use gpu_digits::layers::LAYERS;
use gpu_digits::random::Random;
use gpu_digits::tensor::HostTensor;
use gpu_digits::weights::SavedModel;
use libtest_mimic::Failed;

/// Models of several layers, with what one of a single layer has no room for.
const TEXTS: [&str; 6] = [
    "norm, conv 4x4 same, pool 3, norm, leaky 0.3, conv 6x3 same stride 2, relu, avg 2, flatten, dense 12, norm, relu, dense 10",
    "conv 5x5 stride 3, relu, residual(conv 5x3 same, norm, relu, conv 5x3 same), relu, residual(conv 7x3 same stride 2, leaky 0.1), \
     residual(residual(relu, conv 7x1), avg 1), avg global, flatten, dropout 0.3, dense 10",
    "flatten, norm, dense 20, leaky 0.1, dense 10",
    "conv 4x5, pool 4, relu, norm, conv 10x3, avg global, flatten",
    "residual(pool 1, relu, pool 1), conv 10x4 stride 4, norm, relu, norm, pool 7, flatten",
    "flatten, dense 16, relu, dense 10, norm",
];

/// A model with parameters as after training: also running statistics are no longer those at the start.
fn trained(task: Task, text: &str) -> SavedModel {
    let model = Model::parse(task, text, &[]).expect("a model");
    let mut random = Random::new(7, 0);
    let mut parameters = model.initial_parameters(3);
    for ((name, shape), tensor) in model.parameters().iter().zip(&mut parameters) {
        let range = match name.rsplit('.').next() {
            Some("running_var") => 0.2..2.0,
            Some("running_mean") => -0.5..0.5,
            Some("weight") if shape.extents().len() == 1 => -1.5..1.5,
            Some("bias") => -0.3..0.3,
            _ => continue,
        };
        let values: Vec<f32> = (0..shape.len()).map(|_| random.uniform(range.start, range.end)).collect();
        *tensor = HostTensor::from_f32(shape.clone(), &values);
    }
    SavedModel { model, parameters, seed: Some("3".to_owned()), data: None }
}

/// A model for each form of each layer, those above, and one for coloured images that are not square.
pub(crate) fn models() -> Vec<SavedModel> {
    let mut texts = TEXTS.map(str::to_owned).to_vec();
    for form in LAYERS.iter().flat_map(|entry| entry.forms) {
        let is_of_a_vector = ["flatten", "dense", "dropout"].iter().any(|word| form.starts_with(word));
        let middle = if is_of_a_vector { format!("flatten, {form}") } else { format!("{form}, flatten") };
        texts.push(format!("conv 3x5 stride 2, {middle}, dense 10"));
    }
    let coloured = Task::new(ImageShape { height: 9, width: 12, channels: 3 }, 4).expect("a task");
    // Two of the names would begin and end a comment of C.
    let coloured = coloured.named(["cat", "*/", "/*", "\"eel\""].map(str::to_owned).to_vec()).expect("names");
    let model = "conv 8x4 same, relu, pool 2, residual(conv 6x3 same), avg global, flatten, dense 4";
    texts.iter().map(|text| trained(Task::MNIST, text)).chain([trained(coloured, model)]).collect()
}

/// Images of a model's task.
pub(crate) fn images(saved: &SavedModel, count: usize) -> Vec<u8> {
    digits(count, 5).images.into_iter().cycle().take(count * saved.model.task().image().bytes()).collect()
}

/// The probabilities of the CPU executor.
pub(crate) fn wanted(saved: &SavedModel, images: &[u8]) -> Vec<Vec<f32>> {
    pollster::block_on(probabilities(&Device::Cpu, &saved.model, &saved.parameters, images)).expect("the model runs")
}

/// A failure with a reason, unless something holds.
pub(crate) fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed::from(otherwise.into())) }
}

/// Fails where two lists of probabilities differ by more than a bound.
pub(crate) fn check_near(saved: &SavedModel, ours: &[f32], wanted: &[f32], bound: f32) -> Result<(), Failed> {
    let worst = ours.iter().zip(wanted).map(|(ours, wanted)| (ours - wanted).abs()).fold(0.0, f32::max);
    check(ours.len() == wanted.len() && worst <= bound, format!("{}: off by {worst}, of {}", saved.model, ours.len()))
}
