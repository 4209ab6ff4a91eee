//! The GPU: adapters, kernels and the executor. Nothing outside this folder names wgpu.

mod adapters;
mod choice;
mod clock;
mod executor;
mod guard;
#[cfg(feature = "inspect")]
pub mod inspect;
mod kernel;
mod kernels;
mod open;
mod pace;
mod stages;
mod stopwatch;
mod texture;
mod timestamps;
mod trace;
mod wait;

pub use adapters::{Adapter, AdapterInfo, AdapterKind, Backend, adapters, adapters_up_to};
pub use choice::{Considered, choose_variant, consider};
pub use executor::GpuExecutor;
#[cfg(feature = "figures")]
pub(crate) use kernel::poisoned;
pub use kernel::{BoundKernel, POISON, bind_variant, run_variant};
pub use stopwatch::{Lap, Stopwatch};
#[cfg(feature = "program")]
pub(crate) use texture::words_of_texel;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Result, bail};

use crate::op::{Feature, Variant};
use guard::Guarded;
use kernels::Kernels;

/// An opened adapter: the device that runs kernels and the queue that feeds it.
#[derive(Clone)]
pub struct Gpu {
    info: AdapterInfo,
    device: Guarded<wgpu::Device>,
    queue: Guarded<wgpu::Queue>,
    failure: Arc<Mutex<Option<String>>>,
    preferences: Arc<BTreeMap<String, String>>,
    takes_all_variants: bool,
    kernels: Arc<Kernels>,
    /// Why its clock is implausible, once that is checked.
    clock_doubt: Arc<OnceLock<Option<String>>>,
}

impl Gpu {
    /// Opens an adapter with all of its limits, and with those of its features that kernels use. Features that its
    /// driver then refuses are left out and listed in [`AdapterInfo::refused`].
    ///
    /// # Errors
    /// If the adapter lacks what the kernels need, or its driver refuses.
    pub async fn open(adapter: &Adapter) -> Result<Self> {
        let mut info = adapter.info.clone();
        if let Some(reason) = &info.unusable {
            bail!("{info} cannot be used: {reason}");
        }
        let (device, queue) = loop {
            match open::request_device(&adapter.handle, &info).await {
                Ok(opened) => break opened,
                // Some drivers list features that they then refuse.
                Err(_) if info.give_up_features() => {}
                Err(error) => {
                    return Err(error.context(format!("cannot open {info}; choose another from `gpu-digits devices`")));
                }
            }
        };
        let failure = Arc::new(Mutex::new(None));
        let (preferences, kernels, clock_doubt) = Default::default();
        let (device, queue) = (Guarded::new(device), Guarded::new(queue));
        let takes_all_variants = false;
        let gpu = Self { info, device, queue, failure, preferences, takes_all_variants, kernels, clock_doubt };
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

    /// The same GPU with preferred variants, given by the labels of ops. Other ops, and variants that it cannot run,
    /// use the default.
    pub fn preferring(self, preferences: BTreeMap<String, String>) -> Self {
        Self { preferences: Arc::new(preferences), ..self }
    }

    /// The same GPU without the kernels that it has compiled, to measure a start.
    pub fn fresh(&self) -> Self {
        Self { kernels: Arc::default(), ..self.clone() }
    }

    /// The adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// Kernels that executors on this GPU have compiled, each once.
    pub fn compiled_kernels(&self) -> usize {
        self.kernels.len()
    }
}

/// The module of a variant. Shaders of this crate do without the counter that wgpu adds to each loop to make sure that
/// it ends, and those of GPUs without a minimum for each index; the shaders of users keep both.
#[expect(unsafe_code, reason = "counters and minima are up to a quarter of a loop's instructions")]
fn shader_module(device: &wgpu::Device, variant: &Variant, backend: Backend) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(variant.shader.name),
        source: wgpu::ShaderSource::Wgsl(source(variant, cfg!(target_family = "wasm"))),
    };
    let checks = runtime_checks(variant, backend);
    // SAFETY: wgpu requires that every loop ends whose counter is left out. That is so in shaders of this crate only:
    // their loops count from one number to another, and no invocation makes more than `MAX_ITERATIONS` iterations,
    // which `Gpu::why_not` ensures and a test counts; the question whether a device runs so many ends soon after
    // them. Without minima, an index must lie within its array. In arrays of a shader's own that is so, which the same
    // test (tests/instrumented) checks of each index in all cases of `verify`; in buffers the driver sees to it, since
    // minima are left out on those APIs only that make it.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

/// The text of a variant's shader. A browser wants it to name the use of subgroups, which naga's parser refuses.
fn source(variant: &Variant, is_for_browser: bool) -> Cow<'static, str> {
    let source = variant.shader.source;
    if is_for_browser && variant.needs == Some(Feature::Subgroups) {
        // In the first line, so that the line numbers of messages stay right.
        return format!("enable subgroups;{source}").into();
    }
    source.into()
}

/// The text of a variant's shader as a browser takes it.
#[cfg(feature = "figures")]
pub(crate) fn browser_source(variant: &Variant) -> Cow<'static, str> {
    source(variant, true)
}

/// All checks, but the bounds of loops only in shaders whose loops no test has counted, and those of indices only where
/// no test has checked them or the driver does not bound buffers itself: Vulkan's feature `robustBufferAccess`, which
/// wgpu enables, and Direct3D's definition of buffers do.
fn runtime_checks(variant: &Variant, backend: Backend) -> wgpu::ShaderRuntimeChecks {
    let bounds_buffers = matches!(backend, Backend::Vulkan | Backend::Dx12);
    wgpu::ShaderRuntimeChecks {
        force_loop_bounding: !variant.shader.is_shipped(),
        bounds_checks: !(bounds_buffers && variant.has_checked_indices()),
        ..wgpu::ShaderRuntimeChecks::checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Shader;

    #[test]
    fn a_browser_is_told_of_subgroups_in_the_first_line_and_others_are_not() {
        let mut uses = 0;
        for (_, variant) in crate::verify::shaders() {
            let [for_browser, elsewhere] = [true, false].map(|is_for_browser| source(&variant, is_for_browser));
            assert_eq!(elsewhere, variant.shader.source);
            if variant.needs == Some(Feature::Subgroups) {
                uses += 1;
                assert_eq!(for_browser.strip_prefix("enable subgroups;"), Some(variant.shader.source));
            } else {
                assert_eq!(for_browser, elsewhere);
            }
        }
        assert!(uses > 0, "no shader uses subgroups");
    }

    #[test]
    fn loops_and_indices_are_bounded_by_wgpu_in_the_shaders_of_users_and_where_drivers_do_not_bound_buffers() {
        let own = Shader::from_text("endless", "@compute @workgroup_size(1) fn endless() { loop {} }");
        let own = runtime_checks(&Variant::linear(own, 1, 1), Backend::Vulkan);
        assert!(own.force_loop_bounding && own.bounds_checks);
        let mut without = 0;
        for (_, variant) in crate::verify::shaders() {
            let [vulkan, metal] = [Backend::Vulkan, Backend::Metal].map(|backend| runtime_checks(&variant, backend));
            assert!(!vulkan.force_loop_bounding && !metal.force_loop_bounding, "{}", variant.shader.name);
            assert!(metal.bounds_checks, "{}", variant.shader.name);
            assert!(vulkan.bounds_checks || variant.textures.is_empty(), "{}", variant.shader.name);
            without += usize::from(!vulkan.bounds_checks);
        }
        assert!(without > 0, "no shader does without");
    }
}
