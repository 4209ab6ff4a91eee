//! Shared code of the test suites that need adapters.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gpu_digits::data::{DataChoice, Dataset, Folders, Request, load};
use gpu_digits::gpu::{Backend, Gpu, adapters};
use libtest_mimic::{Failed, Trial};

/// The reason why tests cannot run.
const NO_ADAPTER: &str = "no adapter; install a GPU driver, or mesa-vulkan-drivers and libvulkan1";

/// The usable adapters of this machine, with the variants that are made for others, too.
#[allow(dead_code)]
pub(crate) fn gpus() -> Vec<Gpu> {
    pollster::block_on(async {
        let mut gpus = Vec::new();
        for adapter in adapters().await {
            if adapter.info.unusable.is_none() {
                gpus.push(Gpu::open(&adapter).await.expect("a usable adapter opens").taking_all_variants());
            }
        }
        gpus
    })
}

/// A test that cannot run without an adapter: ignored with the reason, or failed if a GPU is required.
#[allow(dead_code)]
pub(crate) fn without_adapter(name: &str) -> Trial {
    without_driver(name, NO_ADAPTER)
}

/// The same for any reason.
pub(crate) fn without_driver(name: &str, reason: &'static str) -> Trial {
    let required = std::env::var_os("GPU_DIGITS_REQUIRE_GPU").is_some_and(|value| value == "1");
    if required {
        return Trial::test(name, move || Err(Failed::from(format!("{reason} (GPU_DIGITS_REQUIRE_GPU is 1)"))));
    }
    ignored(name, reason)
}

/// A test that is ignored, with the reason.
pub(crate) fn ignored(name: &str, reason: &str) -> Trial {
    Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true)
}

/// So many generated digits to train on, and 50 to test with.
#[allow(dead_code)]
pub(crate) fn digits(train: usize) -> Dataset {
    let request = Request {
        choice: DataChoice::Generated,
        generated_train: train,
        generated_test: 50,
        ..Request::new(Folders::default())
    };
    load(&request, &mut |_| ()).expect("digits can be generated")
}

/// A failure with a reason, unless something holds.
#[allow(dead_code)]
pub(crate) fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed::from(otherwise.into())) }
}

/// The name of an adapter in the names of tests.
#[allow(dead_code)]
pub(crate) fn adapter_name(gpu: &Gpu) -> String {
    format!("{} {}", gpu.info().backend.name(), gpu.info().label())
}

/// Waits for a test's turn on an adapter. Tests on GL run one at a time: all share a context, and wgpu panics if a test
/// waits for it for some seconds, as on a busy machine.
#[allow(dead_code)]
pub(crate) fn turn(gpu: &Gpu) -> Option<MutexGuard<'static, ()>> {
    static CONTEXT: Mutex<()> = Mutex::new(());
    let is_shared = gpu.info().backend == Backend::Gl;
    is_shared.then(|| CONTEXT.lock().unwrap_or_else(PoisonError::into_inner))
}
