//! The kernels that a GPU has compiled. Plans that hold the same op at the same sizes share its kernel, so that a
//! second plan of a model, such as that of its evaluation after training, compiles nothing that the first one had.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use rayon::prelude::*;

use super::Gpu;
use super::adapters::Backend;
use super::kernel::Kernel;
use crate::op::{Op, Variant, variant_label};

/// All that a kernel is made of: a user's op may have another text or other constants in each of its plans.
type Key = (String, &'static str);

fn key(op: &dyn Op, variant: &Variant) -> Key {
    let Variant { constants, workgroups, textures, .. } = variant;
    let label = variant_label(op, variant);
    (format!("{label} {constants:?} {workgroups:?} {textures:?}"), variant.shader.source)
}

/// The kernels compiled so far.
#[derive(Default)]
pub(super) struct Kernels(Mutex<HashMap<Key, Kernel>>);

impl Kernels {
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn get(&self, key: &Key) -> Option<Kernel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: Key, kernel: Kernel) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, kernel);
    }
}

/// A kernel for each op, each different one compiled once, on all threads that the backend can use.
///
/// # Errors
/// If kernels do not compile, the error of the first op that needs one of them, independent of the order of the
/// threads.
pub(super) async fn kernels(gpu: &Gpu, ops: &[(&dyn Op, Variant)]) -> Result<Vec<Kernel>> {
    let keys: Vec<Key> = ops.iter().map(|(op, variant)| key(*op, variant)).collect();
    let mut missing: Vec<(&Key, &(&dyn Op, Variant))> = Vec::new();
    for (key, op) in keys.iter().zip(ops) {
        if gpu.kernels.get(key).is_none() && !missing.iter().any(|(known, _)| *known == key) {
            missing.push((key, op));
        }
    }
    let compile =
        |(_, (op, variant)): &(&Key, &(&dyn Op, Variant))| gpu.guarded_now(|| Kernel::compile(gpu, *op, variant));
    // GL has one context: threads would only queue for it, and wgpu panics if one waits for seconds.
    let is_in_turn = gpu.info().backend == Backend::Gl;
    let compiling: Vec<_> =
        if is_in_turn { missing.iter().map(compile).collect() } else { missing.par_iter().map(compile).collect() };
    for ((key, _), kernel) in missing.into_iter().zip(compiling) {
        gpu.kernels.keep(key.clone(), kernel?.await?);
    }
    Ok(keys.iter().filter_map(|key| gpu.kernels.get(key)).collect())
}
