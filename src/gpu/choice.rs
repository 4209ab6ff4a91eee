//! Chooses the variant of an op for an adapter, and says why it cannot run others.

use anyhow::{Context, Result};

use super::texture;
use super::{AdapterInfo, AdapterKind, Gpu};
use crate::op::{Feature, MAX_ITERATIONS, MadeFor, Op, SUBGROUP_LANES, Variant};

/// The variant of an op that an adapter uses: the preferred one, otherwise the default.
///
/// # Errors
/// If it can run none.
pub fn choose_variant(gpu: &Gpu, op: &dyn Op) -> Result<Variant> {
    let preferred = gpu.preferences.get(&op.label());
    let is_preferred = |variant: &Variant| preferred.is_some_and(|name| name == variant.name());
    let variant = gpu.runnable(op).into_iter().find(is_preferred).or_else(|| gpu.info.default_variant(op));
    variant.with_context(|| {
        let why_not = |variant: &Variant| {
            let reason = gpu.why_not(op, variant).unwrap_or_default();
            format!("\n  {}: {reason}", variant.shader.name)
        };
        let reasons: String = op.variants().iter().map(why_not).collect();
        format!("{} can run no shader of `{}`{reasons}", gpu.info, op.label())
    })
}

impl Gpu {
    /// The variants of an op that this GPU can run, in the order of the op.
    pub fn runnable(&self, op: &dyn Op) -> Vec<Variant> {
        self.info.runnable(op)
    }

    /// Why this GPU cannot run a variant of an op, if it cannot.
    pub fn why_not(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        self.info.why_not(op, variant)
    }
}

impl AdapterInfo {
    fn runnable(&self, op: &dyn Op) -> Vec<Variant> {
        op.variants().into_iter().filter(|variant| self.why_not(op, variant).is_none()).collect()
    }

    /// The default variant, if no measured times are known.
    ///
    /// A GPU uses the first variant made for GPUs, otherwise the first made for all; it uses one made for software only
    /// on request. Software uses the first in the list, which starts with the variants made for it.
    pub(crate) fn default_variant(&self, op: &dyn Op) -> Option<Variant> {
        let mut runnable = self.runnable(op);
        let first = |made_for: MadeFor| runnable.iter().position(|variant| variant.made_for == made_for);
        let index = match self.kind {
            AdapterKind::Software => (!runnable.is_empty()).then_some(0),
            _ => first(MadeFor::Gpus).or_else(|| first(MadeFor::All)),
        };
        index.map(|index| runnable.swap_remove(index))
    }

    /// Why it cannot run a variant of an op, if it cannot. wgpu does not check sizes in `override` constants against
    /// the device's limits.
    pub(crate) fn why_not(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        self.missing_feature(variant).or_else(|| self.exceeded_limit(op, variant))
    }

    fn missing_feature(&self, variant: &Variant) -> Option<String> {
        match variant.needs? {
            Feature::Subgroups => {
                let has_subgroups = self.subgroup_size.is_some_and(|[least, _]| least >= SUBGROUP_LANES);
                (!has_subgroups).then(|| format!("it needs subgroups of {SUBGROUP_LANES} lanes or more"))
            }
            Feature::F16 => (!self.f16).then(|| "it needs 16-bit floats".to_owned()),
            Feature::CooperativeMatrix { size } if !self.cooperative_matrices.contains(&size) => {
                Some(format!("it needs cooperative matrices of {size}x{size}"))
            }
            Feature::CooperativeMatrix { .. } => {
                // All lanes of a subgroup share a matrix, so none may be missing.
                let most = self.subgroup_size.map_or(1, |[_, most]| most as usize);
                let size = variant.workgroup_size();
                let is_whole = size.is_multiple_of(most);
                (!is_whole).then(|| {
                    format!("its workgroup of {size} invocations is not made of whole subgroups, which may have {most} lanes")
                })
            }
        }
    }

    fn exceeded_limit(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        let texels = op.operands().into_iter().filter(|operand| variant.textures.contains(&operand.name));
        let rows = texels.map(|operand| texture::rows(operand.dtype, operand.words())).max().unwrap_or_default();
        let groups = variant.workgroups.into_iter().max().unwrap_or_default() as usize;
        let size = variant.workgroup_size();
        let needed_and_most = [
            ("loops of", variant.iterations, MAX_ITERATIONS, "iterations"),
            ("workgroups of", size as u64, self.max_workgroup_size.into(), "invocations"),
            ("workgroups of", size as u64, self.max_workgroup_width.into(), "invocations in a line"),
            ("workgroups with", variant.workgroup_bytes as u64, self.workgroup_memory_bytes.into(), "bytes of memory"),
            ("a grid of", groups as u64, self.max_workgroups_per_axis.into(), "workgroups in a line"),
            ("textures of", rows as u64, self.max_texture_side.into(), "rows"),
        ];
        let exceeded = needed_and_most.into_iter().find(|(_, needed, most, _)| needed > most);
        exceeded.map(|(what, needed, most, unit)| format!("it needs {what} {needed} {unit}, but the limit is {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Case, TABLE};
    use crate::verify::cases;

    const GPUS: [AdapterKind; 3] = [AdapterKind::Discrete, AdapterKind::Integrated, AdapterKind::Other];

    fn all_cases() -> impl Iterator<Item = Case> {
        TABLE.iter().flat_map(|entry| cases(entry.name))
    }

    fn case_with(file: &str) -> (Case, Variant) {
        let with_file = |case: Case| {
            let variant = case.variants().into_iter().find(|variant| variant.shader.name == file)?;
            Some((case, variant))
        };
        all_cases().find_map(with_file).expect("a case with this shader")
    }

    fn large_gpu(kind: AdapterKind, lanes: u32, matrices: &[u32]) -> AdapterInfo {
        let cooperative_matrices = matrices.to_vec();
        let example = AdapterInfo::example("a GPU", kind);
        AdapterInfo {
            subgroup_size: Some([lanes; 2]),
            f16: true,
            cooperative_matrices,
            max_workgroup_size: 1024,
            ..example
        }
    }

    #[test]
    fn a_gpu_takes_nothing_that_is_made_for_software() {
        for gpu in GPUS.map(|kind| [&[][..], &[16]].map(|matrices| large_gpu(kind, 32, matrices))).concat() {
            for case in all_cases() {
                let taken = gpu.default_variant(case.as_ref());
                let made_for = taken.as_ref().map(|variant| variant.made_for);
                // A case of an op that needs optional features may have none.
                assert_ne!(made_for, Some(MadeFor::Software), "{}: {taken:?}", case.label());
            }
        }
    }

    #[test]
    fn a_gpu_takes_what_is_made_for_gpus_wherever_it_can_run_it() {
        let gpu = large_gpu(AdapterKind::Discrete, 32, &[16]);
        for case in all_cases() {
            let has_one = gpu.runnable(case.as_ref()).iter().any(|variant| variant.made_for == MadeFor::Gpus);
            let taken = gpu.default_variant(case.as_ref()).map(|variant| variant.made_for);
            assert!(!has_one || taken == Some(MadeFor::Gpus), "{}: {taken:?}", case.label());
        }
        let (case, _) = case_with("conv_relu_pool_backward_weight_f16.quad");
        let taken = |gpu: &AdapterInfo| gpu.default_variant(case.as_ref()).map(|variant| variant.name());
        assert_eq!(taken(&gpu), Some("cooperative16"));
        assert_eq!(taken(&large_gpu(AdapterKind::Discrete, 32, &[])), Some("plain"), "no matrix units");
    }

    #[test]
    fn software_takes_the_first_variant_that_it_can_run() {
        let (case, _) = case_with("conv_relu_pool_forward.winograd_3x3");
        let mut software = AdapterInfo::example("llvmpipe", AdapterKind::Software);
        let taken = |software: &AdapterInfo| software.default_variant(case.as_ref()).map(|variant| variant.name());
        assert_eq!(taken(&software), Some("workgroup"), "without subgroups");
        software.subgroup_size = Some([8, 8]);
        assert_eq!(taken(&software), Some("winograd_3x3"));
    }

    #[test]
    fn a_variant_that_exceeds_a_limit_says_which() {
        let (case, variant) = case_with("dense_relu_backward.workgroup");
        let reason = |change: fn(&mut AdapterInfo)| {
            let mut info = large_gpu(AdapterKind::Discrete, 32, &[]);
            change(&mut info);
            info.why_not(case.as_ref(), &variant).unwrap_or_default()
        };
        assert_eq!(reason(|_| ()), "");
        assert_eq!(
            reason(|info| info.max_workgroup_size = 128),
            "it needs workgroups of 256 invocations, but the limit is 128"
        );
        assert!(reason(|info| info.max_workgroup_width = 64).contains("invocations in a line"));
        assert!(
            reason(|info| info.workgroup_memory_bytes = 8 << 10).contains("bytes of memory, but the limit is 8192")
        );
        assert!(reason(|info| info.max_workgroups_per_axis = 0).contains("workgroups in a line"));
        let (case, variant) = case_with("dense_relu_backward.subgroup");
        let mut info = large_gpu(AdapterKind::Software, 8, &[]);
        assert_eq!(info.why_not(case.as_ref(), &variant), None);
        info.max_texture_side = 0;
        assert!(info.why_not(case.as_ref(), &variant).is_some_and(|reason| reason.contains("rows")));
    }

    #[test]
    fn matrices_need_workgroups_of_whole_subgroups() {
        for (file, size, most_lanes) in
            [("matrix_chain.cooperative16", 16, 128), ("conv_relu_pool_forward_f16.cooperative8", 8, 64)]
        {
            let (case, variant) = case_with(file);
            let why_not =
                |lanes: u32| large_gpu(AdapterKind::Discrete, lanes, &[size]).why_not(case.as_ref(), &variant);
            assert_eq!(why_not(most_lanes), None, "{file}");
            assert!(why_not(2 * most_lanes).is_some_and(|reason| reason.contains("whole subgroups")), "{file}");
        }
    }
}
