//! The data sets of a page: generated digits, or files that the visitor has.

use gpu_digits::data::{self, DataChoice, Dataset, Folders, Request};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::{Answer, failed, json};

/// A data set.
#[wasm_bindgen]
pub struct Data(pub(crate) Dataset);

#[wasm_bindgen]
impl Data {
    /// Generated digits, which need no file: so many to train on and to test with.
    ///
    /// # Errors
    /// If there is none of either.
    pub fn generated(train: usize, test: usize, seed: u32) -> Answer<Data> {
        let request = Request {
            choice: DataChoice::Generated,
            generated_train: train,
            generated_test: test,
            seed: seed.into(),
            ..Request::new(Folders::default())
        };
        data::load(&request, &mut |_| ()).map(Self).map_err(failed)
    }

    /// The four files of MNIST, or of a set like it, compressed or not, in any order.
    ///
    /// # Errors
    /// If one is missing or damaged.
    pub fn from_files(names: Vec<String>, files: Vec<js_sys::Uint8Array>) -> Answer<Data> {
        let files = names.into_iter().zip(files.iter().map(js_sys::Uint8Array::to_vec)).collect();
        data::from_idx_files(files).map(Self).map_err(failed)
    }

    /// The names of MNIST's four files, as the server's folder `mnist/` has them.
    #[wasm_bindgen(js_name = namesOfFiles)]
    pub fn names_of_files() -> Vec<String> {
        data::MNIST_NAMES.map(|name| format!("{name}.gz")).into()
    }

    /// What it holds.
    pub fn describe(&self) -> Answer<String> {
        let Dataset { name, train, test, task, .. } = &self.0;
        json(&json!({
            "name": name,
            "train": train.len(),
            "test": test.len(),
            "is_of_digits": task.is_of_digits(),
            "task": task.to_string(),
        }))
    }
}
