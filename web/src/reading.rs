//! Digits that a visitor draws: read as `predict` reads pictures, with what the model sees and why it answers so.

use anyhow::{Context as _, Result};
use gpu_digits::figures::Sheet;
use gpu_digits::photo::{self, Options};
use gpu_digits::weights::{self, SavedModel};
use gpu_digits::{Device, Predictor, inference};
use image::{DynamicImage, RgbaImage};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::{Answer, failed, json};

/// A model that reads digits. The references of its ops compute, for one image is soon done by them.
#[wasm_bindgen]
pub struct Reader {
    saved: SavedModel,
    predictor: Predictor,
}

impl Reader {
    pub(crate) fn new(saved: SavedModel) -> Self {
        let copy = SavedModel {
            model: saved.model.clone(),
            parameters: saved.parameters.clone(),
            seed: saved.seed.clone(),
            data: saved.data.clone(),
        };
        Self { saved, predictor: Predictor::new(Device::Cpu, copy) }
    }
}

#[wasm_bindgen]
impl Reader {
    /// Loads a file `model.safetensors`.
    ///
    /// # Errors
    /// If it is no model of this project.
    pub fn open(file: &[u8]) -> Answer<Reader> {
        weights::read(file).map(Self::new).map_err(failed)
    }

    /// What it is.
    pub fn describe(&self) -> Answer<String> {
        let SavedModel { model, seed, data, .. } = &self.saved;
        json(&json!({
            "model": model.to_string(),
            "parameters": model.parameter_count(),
            "is_of_digits": model.task().is_of_digits(),
            "seed": seed,
            "data": data.as_ref().map(|data| &data.name),
        }))
    }

    /// The digits of a drawing of so many columns, in red, green, blue and opacity; of none if there is no digit.
    ///
    /// # Errors
    /// If the model is not one for digits, or overflows.
    pub async fn read(&mut self, pixels: Vec<u8>, width: u32) -> Answer<String> {
        let read = async {
            let height = pixels.len() as u32 / 4 / width.max(1);
            let picture = RgbaImage::from_raw(width, height, pixels).context("the drawing has no pixels")?;
            let picture = DynamicImage::from(picture);
            let found = match photo::find(&picture, &Options::default()) {
                Ok(found) => found,
                Err(error) => return Ok(json!({"digits": [], "why": format!("{error:#}")})),
            };
            let probabilities = self.predictor.probabilities(&found.pixels()).await?;
            let reading = found.read(&probabilities);
            let digits: Vec<Value> = reading
                .digits()
                .map(|digit| {
                    json!({
                        "digit": digit.digit, "probabilities": digit.probabilities, "frame": digit.frame,
                        "doubt": digit.doubt, "pixels": digit.pixels.to_vec(),
                    })
                })
                .collect();
            anyhow::Ok(json!({"text": reading.text(), "digits": digits}))
        };
        json(&read.await.map_err(failed)?)
    }

    /// The outputs of all layers for an image of 28x28 bytes, and how much each pixel speaks for a digit.
    ///
    /// # Errors
    /// If the model overflows.
    pub async fn explain(&self, image: Vec<u8>, digit: usize) -> Answer<String> {
        json(&self.explained(&image, digit).await.map_err(failed)?)
    }

    async fn explained(&self, image: &[u8], digit: usize) -> Result<Value> {
        let SavedModel { model, parameters, .. } = &self.saved;
        let outputs = inference::activations(&Device::Cpu, model, parameters, image).await?;
        let layers: Vec<Sheet> =
            outputs.iter().map(|(layer, output)| Sheet::of_activations(layer, output, 0)).collect();
        let attribution = inference::attribution(model, parameters, image, digit)?;
        Ok(json!({"layers": layers, "attribution": attribution}))
    }
}
