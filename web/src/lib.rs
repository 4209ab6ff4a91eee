//! gpu-digits in a page. `page/worker.js` calls what is exported here, and nothing else computes: model, plan, shaders,
//! references, tolerances, metrics and figures are those of the library.
//!
//! Results are JSON texts. A method that takes long is `async`: while it waits for the device, the page's other calls go on.

mod benchmark;
mod data;
mod device;
mod reading;
mod training;
mod verification;

use std::cell::Cell;

use js_sys::Function;
use serde::Serialize;
use wasm_bindgen::prelude::*;

thread_local! {
    /// Whether the work that is going on should end soon.
    static STOPPED: Cell<bool> = const { Cell::new(false) };
}

/// What runs once, when the module is loaded.
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Ends the training or the verification that is going on, soon.
#[wasm_bindgen]
pub fn stop() {
    STOPPED.set(true);
}

/// The named models, each with its layers.
#[wasm_bindgen]
pub fn models() -> Answer<String> {
    json(&gpu_digits::model::NAMED_MODELS)
}

/// The names of all ops.
#[wasm_bindgen]
pub fn ops() -> Answer<String> {
    json(&gpu_digits::layers::every_op().map(|entry| entry.name).collect::<Vec<_>>())
}

/// Begins work that [`stop`] may end.
fn begin() {
    STOPPED.set(false);
}

fn is_stopped() -> bool {
    STOPPED.get()
}

/// A result for the page.
type Answer<T> = Result<T, JsError>;

/// An error with its reasons.
fn failed(error: anyhow::Error) -> JsError {
    JsError::new(&format!("{error:#}"))
}

/// A value as JSON.
fn json(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| failed(error.into()))
}

/// Tells the page of progress. What it does with that is its own matter.
fn tell(progress: &Function, value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        let _ = progress.call1(&JsValue::NULL, &text.into());
    }
}
