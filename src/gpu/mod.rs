//! The GPU: adapters, kernels and the executor. Nothing outside this folder names wgpu.

mod adapters;
mod executor;
mod kernel;
mod stopwatch;
mod texture;
mod timestamps;
mod trace;
mod wait;

pub use adapters::{Adapter, AdapterInfo, AdapterKind, Backend, adapters, adapters_up_to};
pub use executor::GpuExecutor;
pub use kernel::{Bound, POISON, bind_variant, choose_variant, run_variant};
pub use stopwatch::{Lap, Stopwatch};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};

use crate::op::Variant;

/// An opened adapter: the device that runs kernels and the queue that feeds it.
#[derive(Clone)]
pub struct Gpu {
    info: AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    failure: Arc<Mutex<Option<String>>>,
    preferences: Arc<BTreeMap<String, String>>,
}

impl Gpu {
    /// Opens an adapter with all of its limits and those of its features that kernels use.
    ///
    /// # Errors
    /// Where the adapter lacks what the kernels need, or its driver refuses.
    pub async fn open(adapter: &Adapter) -> Result<Self> {
        let info = adapter.info.clone();
        if let Some(reason) = &info.unusable {
            bail!("{info} cannot be used: {reason}");
        }
        let mut used = wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if !info.cooperative_matrices.is_empty() {
            used |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            experimental_features = experimental();
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gpu-digits"),
            required_features: adapter.handle.features() & used,
            experimental_features,
            required_limits: adapter.handle.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter
            .handle
            .request_device(&descriptor)
            .await
            .with_context(|| format!("cannot open {info}; another adapter may do: see `gpu-digits devices`"))?;
        let failure = Arc::new(Mutex::new(None));
        let gpu = Self { info, device, queue, failure, preferences: Arc::default() };
        let note = gpu.noter();
        gpu.device.on_uncaptured_error(Arc::new(move |error| note(error.to_string())));
        let note = gpu.noter();
        gpu.device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(format!("the device was lost: {message}"));
            }
        });
        Ok(gpu)
    }

    /// The same, with the names of the variants that it takes by the labels of ops; of others, and where it cannot run the
    /// one named, its default.
    pub fn preferring(self, preferences: BTreeMap<String, String>) -> Self {
        Self { preferences: Arc::new(preferences), ..self }
    }

    /// The adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What keeps the first failure that the driver reports outside of a call of ours.
    fn noter(&self) -> impl Fn(String) + Send + Sync + 'static {
        let failure = Arc::clone(&self.failure);
        move |message| {
            if let Ok(mut failure) = failure.lock() {
                failure.get_or_insert(message);
            }
        }
    }

    /// Fails where the driver has reported a failure since the device was opened.
    fn ensure_healthy(&self) -> Result<()> {
        match self.failure.lock().ok().and_then(|failure| failure.clone()) {
            Some(message) => bail!("{} failed: {message}", self.info),
            None => Ok(()),
        }
    }
}

/// Lets wgpu offer what it does not yet check as thoroughly as the rest: cooperative matrices.
#[expect(
    unsafe_code,
    reason = "the only way to matrix units; the shaders that use them are our own, and each is verified"
)]
fn experimental() -> wgpu::ExperimentalFeatures {
    // SAFETY: wgpu asks that its users accept undefined behaviour in what is experimental. It can come from a shader that
    // loads or stores a matrix beyond its buffer: ours take whole tiles out of tensors made of whole tiles.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// The module of a variant, without the counter that wgpu adds to each loop lest it never end.
#[expect(unsafe_code, reason = "the counters cost a tenth of a step on a fast driver; only our own shaders come here")]
fn shader_module(device: &wgpu::Device, variant: &Variant) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(variant.shader.file),
        source: wgpu::ShaderSource::Wgsl(variant.shader.source.into()),
    };
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: wgpu asks that every loop ends. Ours count from one number to another, and no invocation makes more than
    // `MAX_ITERATIONS` iterations, which `Gpu::why_not` ensures; all other checks stay on.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}
