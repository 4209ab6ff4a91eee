//! The digits of images by a trained model: `cargo run --release --example predict -- runs/MY-RUN`
//!
//! Without a run it uses an untrained model, whose predictions are meaningless.

use std::path::PathBuf;

use gpu_digits::data::digits;
use gpu_digits::device::DeviceChoice;
use gpu_digits::metrics::prediction;
use gpu_digits::weights::{self, Origin};
use gpu_digits::{Device, Model, Predictor};

fn main() -> anyhow::Result<()> {
    pollster::block_on(async {
        let untrained = std::env::temp_dir().join(format!("untrained-{}.safetensors", std::process::id()));
        let run = match std::env::args_os().nth(1) {
            Some(run) => PathBuf::from(run),
            None => {
                let model: Model = "flatten, dense 10".parse()?;
                weights::save(&untrained, &model, &model.initial_parameters(0), Origin { seed: 0, data: None })?;
                untrained.clone()
            }
        };
        let mut predictor = Predictor::open(Device::open(&DeviceChoice::Auto).await?, &run)?;
        // Bytes, 28x28 to an image: 0 is the background, 255 the ink.
        let samples = digits(5, 0);
        for (label, row) in samples.labels.iter().zip(predictor.probabilities(&samples.images).await?) {
            let digit = prediction(&row);
            println!("a {label} is taken for a {digit} with {:.1} %", 100.0 * row[digit]);
        }
        let _ = std::fs::remove_file(untrained);
        Ok(())
    })
}
