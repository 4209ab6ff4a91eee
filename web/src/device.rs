//! The device: the browser's GPU, or the CPU.

use anyhow::Context as _;
use gpu_digits::Device;
use gpu_digits::gpu::{Gpu, adapters};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::{Answer, failed, json};

/// An opened device.
#[wasm_bindgen(js_name = Device)]
pub struct Opened(pub(crate) Device);

#[wasm_bindgen(js_class = Device)]
impl Opened {
    /// Opens the GPU that the browser chooses; `name` is what it tells about it.
    ///
    /// # Errors
    /// If it has none, or none that can run the kernels.
    pub async fn gpu(name: &str) -> Answer<Self> {
        let open = async || {
            let found = adapters().await.into_iter().next();
            let mut adapter = found.context("this browser offers no GPU: it has no WebGPU, or it is switched off")?;
            if adapter.info.name.is_empty() {
                name.clone_into(&mut adapter.info.name);
            }
            anyhow::Ok(Self(Device::Gpu(Box::new(Gpu::open(&adapter).await?))))
        };
        open().await.map_err(failed)
    }

    /// The CPU: the references, on one thread.
    pub fn cpu() -> Self {
        Self(Device::Cpu)
    }

    /// What it is.
    pub fn describe(&self) -> Answer<String> {
        let info = match &self.0 {
            Device::Gpu(gpu) => Some(gpu.info()),
            Device::Cpu => None,
        };
        let name = info.map_or_else(|| "the CPU".to_owned(), |info| info.label());
        json(&json!({
            "name": name,
            "is_gpu": info.is_some(),
            "is_software": self.0.is_software(),
            "info": info,
            "version": gpu_digits::VERSION,
            "commit": gpu_digits::COMMIT,
        }))
    }
}
