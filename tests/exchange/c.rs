//! The C files: compiled with the system's compiler and compared with ours.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gpu_digits::data::{Dataset, Samples, Task, digits};
use gpu_digits::device::Device;
use gpu_digits::executor::Unobserved;
use gpu_digits::export::int8::{Accuracy, LOGIT_ONE, Quantized};
use gpu_digits::export::{c, c_int8, evaluate, network};
use gpu_digits::weights::SavedModel;
use gpu_digits::{Model, TrainConfig, Trainer};
use libtest_mimic::Failed;

use crate::models::{check, check_near, images, models, wanted};

/// Prints the logits of the images on standard input.
const PRINT_LOGITS: &str = r#"
#include <stdint.h>
#include <stdio.h>
void model_logits(const unsigned char *image, int8_t *memory, int32_t *logits);
int main(void)
{
    static int8_t memory[MEMORY];
    static unsigned char image[BYTES];
    int32_t logits[CLASSES];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        for (int i = 0; i < MEMORY; i++) {
            memory[i] = (int8_t)(i * 7);
        }
        model_logits(image, memory, logits);
        for (int i = 0; i < CLASSES; i++) {
            printf("%ld ", (long)logits[i]);
        }
    }
    return 0;
}
"#;

pub(crate) fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

/// Compiles files of a folder, every warning an error, and gives the program some bytes. Returns what it prints.
fn run(folder: &Path, files: &[&str], input: &[u8]) -> Result<String, Failed> {
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-O2", "-o", "program"];
    let compiled = Command::new(compiler()).args(flags).args(files).arg("-lm").current_dir(folder).output()?;
    check(compiled.status.success(), String::from_utf8_lossy(&compiled.stderr))?;
    fs::write(folder.join("input"), input)?;
    let input = Stdio::from(fs::File::open(folder.join("input"))?);
    let output = Command::new(folder.join("program")).stdin(input).output()?;
    check(output.status.success(), format!("the program ends with {}", output.status))?;
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn floats() -> Result<(), Failed> {
    for saved in models() {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("model.c"), c(&saved, "model")?)?;
        let images = images(&saved, 5);
        let text = run(folder.path(), &["-DMODEL_MAIN", "model.c"], &images)?;
        let ours = text.split_whitespace().map(str::parse).collect::<Result<Vec<f32>, _>>()?;
        check_near(&saved, &ours, &wanted(&saved, &images).concat(), 1e-5)?;
    }
    Ok(())
}

/// The logits of images by the compiled file.
fn compiled_logits(quantized: &Quantized, task: &Task, images: &[u8]) -> Result<Vec<i32>, Failed> {
    let folder = tempfile::tempdir()?;
    let text = c_int8(quantized, "model")?;
    let memory = text.lines().find_map(|line| line.strip_prefix("#define MODEL_MEMORY ")).ok_or("there is no size")?;
    let (bytes, classes) = (task.image().bytes().to_string(), task.classes().to_string());
    let main = PRINT_LOGITS.replace("MEMORY", memory).replace("BYTES", &bytes).replace("CLASSES", &classes);
    fs::write(folder.path().join("model.c"), &text)?;
    fs::write(folder.path().join("main.c"), main)?;
    let printed = run(folder.path(), &["model.c", "main.c"], images)?;
    Ok(printed.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

pub(crate) fn bytes() -> Result<(), Failed> {
    for saved in models() {
        let task = saved.model.task();
        let count = 100;
        let images = images(&saved, count);
        let samples = Samples { images: images[..images.len() / 2].to_vec(), labels: vec![0; count / 2] };
        let quantized = Quantized::new(&saved, &samples, "digits")?;
        let ours: Vec<i32> =
            images.chunks_exact(task.image().bytes()).flat_map(|image| quantized.logits(image)).collect();
        let theirs = compiled_logits(&quantized, task, &images)?;
        check(ours == theirs, format!("{}: the logits differ", saved.model))?;
        check_near_floats(&saved, &ours, &images)?;
    }
    Ok(())
}

/// Logits in whole numbers are off by at most a twelfth of the range of those in floats.
fn check_near_floats(saved: &SavedModel, logits: &[i32], images: &[u8]) -> Result<(), Failed> {
    let (network, task) = (network(saved)?, saved.model.task());
    let of_image = |image| evaluate(&network, task, image).pop().unwrap_or_default();
    let wanted: Vec<f32> = images.chunks_exact(task.image().bytes()).flat_map(of_image).collect();
    let [least, most] = [f32::min, f32::max].map(|of| wanted.iter().copied().reduce(of).unwrap_or_default());
    let apart = logits.iter().zip(&wanted).map(|(&logit, wanted)| (logit as f32 / LOGIT_ONE as f32 - wanted).abs());
    let worst = apart.fold(0.0, f32::max) / (most - least);
    check(worst < 1.0 / 12.0, format!("{}: logits are off by {worst} of their range", saved.model))
}

/// A trained model.
fn trained(text: &str, dataset: &Dataset) -> Result<SavedModel, Failed> {
    let model: Model = text.parse()?;
    let config = TrainConfig { epochs: 2, validation: 0, ..TrainConfig::for_images(dataset.train.len()) };
    let parameters = model.initial_parameters(config.seed);
    let parameters = pollster::block_on(async {
        let mut trainer = Trainer::new(&Device::Cpu, &model, &parameters, dataset, config).await?;
        for _ in 0..config.epochs {
            trainer.epoch(&mut Unobserved).await?;
        }
        trainer.parameters().await
    })?;
    Ok(SavedModel { model, parameters, seed: None, data: None })
}

/// At most one digit in a hundred is read otherwise than with floats.
pub(crate) fn accuracy() -> Result<(), Failed> {
    let dataset = Dataset::from_arrays(Task::MNIST, digits(2_000, 1), digits(500, 2))?;
    let text =
        "conv 8x5, pool 2, norm, relu, residual(conv 12x3 same), leaky 0.1, avg 2, flatten, dense 32, relu, dense 10";
    let saved = trained(text, &dataset)?;
    let quantized = Quantized::new(&saved, &dataset.test, "digits")?;
    let Accuracy { images, floats, bytes, alike } = quantized.accuracy;
    check(images == 500 && floats > 400, format!("{:?}: the model has learned nothing", quantized.accuracy))?;
    check(alike >= 495 && bytes + 5 >= floats, format!("{:?}", quantized.accuracy))?;
    let comment = format!("{bytes} of 500 digits are read rightly, {floats} with floats; {alike} are read alike");
    check(c_int8(&quantized, "model")?.contains(&comment), "the file does not say how it reads")?;
    let theirs = compiled_logits(&quantized, &Task::MNIST, &dataset.test.images)?;
    let ours: Vec<i32> = dataset.test.images.chunks_exact(784).flat_map(|image| quantized.logits(image)).collect();
    check(ours == theirs, "the logits differ")
}

/// Names of C and of the file's own helpers begin the names of functions.
pub(crate) fn names() -> Result<(), Failed> {
    let saved = &models()[0];
    for name in ["double", "dense", "_x", "Ab9"] {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("model.c"), c(saved, name)?)?;
        let main = format!("-D{}_MAIN", name.to_uppercase());
        let printed = run(folder.path(), &[&main, "model.c"], &images(saved, 1))?;
        check(printed.lines().count() == 1, printed)?;
    }
    for name in ["", "9a", "a-b", "ä"] {
        check(c(saved, name).is_err(), format!("`{name}` begins a name"))?;
    }
    Ok(())
}
