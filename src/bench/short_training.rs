//! A training that is always the same, so that two results of one GPU can be told to be of one program and driver.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::data::{DataChoice, Folders, Request, load};
use crate::device::Device;
use crate::gpu::Gpu;
use crate::model::Model;
use crate::plan::PlanForm;
use crate::train::{TrainConfig, Trainer};
use crate::weights;

/// A model whose kernels compile quickly.
const MODEL: &str = "conv 8x5, relu, pool 4, flatten, dense 10";

/// Generated digits, of which an epoch is trained.
const IMAGES: usize = 640;

/// Samples of a batch.
const BATCH: usize = 32;

/// The result of the short training: an epoch of 640 generated digits in 20 batches, seed 0, f32, with the default settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShortTraining {
    /// The model's text form.
    pub model: String,
    /// Training steps.
    pub steps: usize,
    /// Mean loss of the steps, in nats.
    pub loss: f64,
    /// SHA-256 of the weights, as `train` prints it.
    pub weights_sha256: String,
}

/// Trains.
///
/// # Errors
/// If the device fails or computes numbers that are not finite.
pub(super) async fn train_shortly(gpu: &Gpu) -> Result<ShortTraining> {
    let request = Request {
        choice: DataChoice::Generated,
        generated_train: IMAGES,
        generated_test: 1,
        ..Request::new(Folders::default())
    };
    let dataset = load(&request, &mut |_| ())?;
    let model: Model = MODEL.parse()?;
    let config = TrainConfig {
        epochs: 1,
        batch: BATCH,
        seed: 0,
        validation: 0,
        fuse: Some(PlanForm::FUSED.fuse),
        ..TrainConfig::DEFAULT
    };
    let device = Device::Gpu(Box::new(gpu.clone()));
    let initial = model.initial_parameters(config.seed);
    let mut trainer = Trainer::new(&device, &model, &initial, &dataset, config).await?;
    let steps = trainer.steps();
    trainer.advance_to(steps).await?;
    let losses = trainer.step_losses();
    Ok(ShortTraining {
        model: model.to_string(),
        steps,
        loss: losses.iter().sum::<f64>() / losses.len() as f64,
        weights_sha256: weights::hash(&trainer.parameters().await?),
    })
}
