//! Opening a device of an adapter.

use std::task::Poll;

use anyhow::{Context, Result, anyhow};

use super::AdapterInfo;
use super::guard::without_panic;

/// Requests a device with all limits of its adapter and the features of `info` that kernels use.
///
/// # Errors
/// If the driver refuses, even if wgpu panics because of that.
pub(super) async fn request_device(adapter: &wgpu::Adapter, info: &AdapterInfo) -> Result<(wgpu::Device, wgpu::Queue)> {
    let has_matrices = !info.cooperative_matrices.is_empty();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("gpu-digits"),
        required_features: features(info),
        experimental_features: if has_matrices { experimental() } else { wgpu::ExperimentalFeatures::disabled() },
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::Performance,
        ..Default::default()
    };
    // The call itself does the work, so its panics are also caught.
    let mut request = Box::pin(async { adapter.request_device(&descriptor).await });
    std::future::poll_fn(|context| match without_panic(|| request.as_mut().poll(context)) {
        Ok(poll) => poll.map(|opened| opened.context("the driver refuses")),
        Err(message) => Poll::Ready(Err(anyhow!("the driver fails, or refuses a feature that it lists: {message}"))),
    })
    .await
}

/// The features of an adapter that kernels use, and no others.
fn features(info: &AdapterInfo) -> wgpu::Features {
    let has_matrices = !info.cooperative_matrices.is_empty();
    let used = [
        (info.has_lanes() || has_matrices, wgpu::Features::SUBGROUP),
        (info.f16, wgpu::Features::SHADER_F16),
        (info.timestamps, wgpu::Features::TIMESTAMP_QUERY),
        (has_matrices, wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
    ];
    used.into_iter().filter(|(is_used, _)| *is_used).fold(wgpu::Features::empty(), |all, (_, feature)| all | feature)
}

/// Enables cooperative matrices, which wgpu does not yet check as thoroughly as other features.
#[expect(
    unsafe_code,
    reason = "the only way to matrix units; the shaders that use them are our own, and each is verified"
)]
fn experimental() -> wgpu::ExperimentalFeatures {
    // SAFETY: wgpu requires that users accept undefined behaviour of experimental features. It can occur if a shader
    // loads or stores a matrix beyond its buffer: ours access whole tiles of tensors made of whole tiles.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    #[test]
    fn only_features_that_kernels_use_are_asked_for() {
        let mut info = AdapterInfo::example("a GPU", AdapterKind::Discrete);
        assert_eq!(features(&info), wgpu::Features::empty());
        info.subgroup_size = Some([4, 4]);
        assert_eq!(features(&info), wgpu::Features::empty(), "kernels use subgroups of 8 lanes or more");
        info.subgroup_size = Some([32, 32]);
        assert_eq!(features(&info), wgpu::Features::SUBGROUP);
        info.cooperative_matrices = vec![16];
        assert!(features(&info).contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX));
    }
}
