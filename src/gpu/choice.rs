//! The rule that chooses the variant of an op for an adapter.
//!
//! An adapter takes the first variant of the op's list that is made for its class and that it can run, unless `tune`
//! has measured another as faster. The plain variant is the last of the list and made for all.

use anyhow::{Context, Result};

use super::texture;
use super::{AdapterInfo, AdapterKind, Gpu};
use crate::op::{AdapterClass, Feature, MAX_ITERATIONS, Op, SUBGROUP_LANES, Variant};

/// A variant of an op and an adapter's judgement of it.
#[derive(Clone, Debug)]
pub struct Considered {
    /// The variant.
    pub variant: Variant,
    /// Why the adapter does not take it; none for the variant that it takes.
    pub why_not: Option<String>,
}

/// All variants of an op in their order, with the reason why the adapter does not take each; it takes one at most.
pub fn consider(gpu: &Gpu, op: &dyn Op) -> Vec<Considered> {
    gpu.info.consider(op, gpu.preferences.get(&op.label()).map(String::as_str))
}

/// The variant of an op that an adapter takes.
///
/// # Errors
/// If it can run none; the error says why.
pub fn choose_variant(gpu: &Gpu, op: &dyn Op) -> Result<Variant> {
    let considered = consider(gpu, op);
    let taken = considered.iter().find(|considered| considered.why_not.is_none());
    taken.map(|taken| taken.variant.clone()).with_context(|| {
        let reason = |Considered { variant, why_not }: &Considered| {
            format!("\n  {}: {}", variant.shader.name, why_not.as_deref().unwrap_or_default())
        };
        let reasons: String = considered.iter().map(reason).collect();
        format!("{} can run no shader of `{}`{reasons}", gpu.info, op.label())
    })
}

impl Gpu {
    /// The variants of an op that this GPU can run, in the order of the op.
    pub fn runnable(&self, op: &dyn Op) -> Vec<Variant> {
        op.variants().into_iter().filter(|variant| self.why_not(op, variant).is_none()).collect()
    }

    /// Why this GPU does not run a variant of an op, if it does not: it cannot, or the variant is made for other classes of
    /// adapters, unless it [takes all](Self::taking_all_variants).
    pub fn why_not(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        let of_others = || (!self.takes_all_variants && !self.info.is_offered(variant)).then(|| made_for(variant));
        self.info.why_not(op, variant).or_else(of_others)
    }

    /// The same GPU, on which also variants are verified and timed that are made for other classes of adapters. The compiler
    /// of a hardware GPU may take minutes and gigabytes for one that is made for software.
    pub fn taking_all_variants(self) -> Self {
        Self { takes_all_variants: true, ..self }
    }
}

impl AdapterClass {
    /// What it is called in reasons.
    fn in_words(self) -> &'static str {
        match self {
            Self::Lanes => "software with subgroups",
            Self::Software => "software without subgroups",
            Self::Gpu => "GPUs",
        }
    }
}

/// That a variant is made for others.
fn made_for(variant: &Variant) -> String {
    // GPUs come last in the lists; "software without subgroups and GPUs" would say "without GPUs".
    let classes: Vec<&str> = variant.made_for.iter().rev().map(|class| class.in_words()).collect();
    format!("it is made for {}", classes.join(" and for "))
}

impl AdapterInfo {
    /// Whether a variant is made for its class of adapters.
    pub(crate) fn is_offered(&self, variant: &Variant) -> bool {
        variant.made_for.contains(&self.class())
    }

    /// The class of adapters that this one belongs to.
    fn class(&self) -> AdapterClass {
        match self.kind {
            AdapterKind::Software if self.has_lanes() => AdapterClass::Lanes,
            AdapterKind::Software => AdapterClass::Software,
            AdapterKind::Discrete | AdapterKind::Integrated | AdapterKind::Other => AdapterClass::Gpu,
        }
    }

    /// Whether its subgroups have as many lanes as kernels share values among.
    pub(super) fn has_lanes(&self) -> bool {
        self.subgroup_size.is_some_and(|[least, _]| least >= SUBGROUP_LANES)
    }

    /// The rule: the first variant that is made for its class and that it can run. A preferred variant that it can run
    /// comes before all others.
    pub(crate) fn consider(&self, op: &dyn Op, preferred: Option<&str>) -> Vec<Considered> {
        let class = self.class();
        let judged: Vec<_> = op.variants().into_iter().map(|variant| (self.why_not(op, &variant), variant)).collect();
        let runs = |wanted: &dyn Fn(&Variant) -> bool| {
            judged.iter().position(|(why_not, variant)| why_not.is_none() && wanted(variant))
        };
        let first = runs(&|variant| variant.made_for.contains(&class));
        let measured = preferred.and_then(|name| runs(&|variant| variant.name() == name));
        let taken = measured.or(first);
        let reason = |index: usize, variant: &Variant| match taken.map(|taken| (taken, judged[taken].1.name())) {
            Some((taken, _)) if taken == index => None,
            Some((_, name)) if measured.is_some() => Some(format!("`tune` has measured {name} as faster")),
            Some((_, name)) if variant.made_for.contains(&class) => Some(format!("{name} comes first")),
            _ => Some(made_for(variant)),
        };
        let consider = |(index, (cannot, variant)): (usize, &(Option<String>, Variant))| {
            let why_not = cannot.clone().or_else(|| reason(index, variant));
            Considered { variant: variant.clone(), why_not }
        };
        judged.iter().enumerate().map(consider).collect()
    }

    /// Why it cannot run a variant of an op, if it cannot. wgpu does not check sizes in `override` constants against
    /// the device's limits.
    pub(crate) fn why_not(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        self.missing_feature(variant).or_else(|| self.exceeded_limit(op, variant))
    }

    fn missing_feature(&self, variant: &Variant) -> Option<String> {
        match variant.needs? {
            Feature::Subgroups => {
                (!self.has_lanes()).then(|| format!("it needs subgroups of {SUBGROUP_LANES} lanes or more"))
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
    use crate::layers::every_op;
    use crate::ops::Case;
    use crate::verify::cases;

    fn all_cases() -> impl Iterator<Item = Case> {
        every_op().flat_map(|entry| cases(entry.name))
    }

    fn case_with(shader: &str) -> (Case, Variant) {
        let with_shader = |case: Case| {
            let variant = case.variants().into_iter().find(|variant| variant.shader.name == shader)?;
            Some((case, variant))
        };
        all_cases().find_map(with_shader).expect("a case with this shader")
    }

    fn taken(info: &AdapterInfo, case: &Case) -> Option<Variant> {
        let mut considered = info.consider(case.as_ref(), None).into_iter();
        considered.find(|considered| considered.why_not.is_none()).map(|taken| taken.variant)
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

    /// Adapters of all kinds and classes: with all features, with the least that WebGPU guarantees, and with small
    /// limits.
    fn adapters_of_all_classes() -> Vec<(AdapterInfo, AdapterClass)> {
        let mut all = Vec::new();
        for kind in [AdapterKind::Discrete, AdapterKind::Integrated, AdapterKind::Other, AdapterKind::Software] {
            let is_software = kind == AdapterKind::Software;
            for (lanes, matrices) in [(32, &[16][..]), (8, &[8]), (64, &[])] {
                let class = if is_software { AdapterClass::Lanes } else { AdapterClass::Gpu };
                let large = large_gpu(kind, lanes, matrices);
                let small = AdapterInfo { max_texture_side: 1, workgroup_memory_bytes: 0, ..large.clone() };
                all.extend([large, small].map(|info| (info, class)));
            }
            let class = if is_software { AdapterClass::Software } else { AdapterClass::Gpu };
            let least = AdapterInfo::example("the least", kind);
            let narrow = AdapterInfo { max_workgroup_size: 64, subgroup_size: Some([4, 4]), ..least.clone() };
            all.extend([least, narrow].map(|info| (info, class)));
        }
        all
    }

    #[test]
    fn an_adapter_takes_the_first_variant_that_is_made_for_its_class_and_that_it_can_run() {
        let cases: Vec<Case> = all_cases().collect();
        for (info, class) in adapters_of_all_classes() {
            assert_eq!(info.class(), class, "{info:?}");
            for case in &cases {
                let variants = case.variants();
                let fits = |variant: &&Variant| {
                    variant.made_for.contains(&class) && info.why_not(case.as_ref(), variant).is_none()
                };
                let wanted = variants.iter().find(fits).map(Variant::name);
                let taken = taken(&info, case);
                assert_eq!(taken.map(|variant| variant.name()), wanted, "{} on {info:?}", case.label());
            }
        }
    }

    #[test]
    fn the_plain_variant_comes_last_and_is_made_for_all() {
        for case in all_cases() {
            let variants = case.variants();
            let plain = variants.last().expect("a variant");
            assert_eq!((plain.name(), plain.made_for), ("plain", AdapterClass::ALL), "{}", case.label());
        }
    }

    #[test]
    fn software_without_lanes_takes_blocks_where_they_are_faster_there() {
        let software = AdapterInfo::example("SwiftShader", AdapterKind::Software);
        let name = |case: Case| taken(&software, &case).map(|variant| variant.name());
        let weight = |case: &Case| case.name() == "conv_relu_pool_backward_weight";
        let with_channels = |channels: f64| {
            let has = |case: &Case| case.sizes().contains(&("in_channels", channels));
            all_cases().find(|case| weight(case) && has(case) && case.sizes().contains(&("out_channels", 4.0)))
        };
        assert_eq!(with_channels(4.0).and_then(name), Some("blocks"));
        assert_eq!(with_channels(1.0).and_then(name), Some("plain"));
    }

    #[test]
    fn variants_with_lanes_are_made_for_software_that_has_them() {
        for (case, variant) in all_cases().flat_map(|case| {
            let variants = case.variants();
            variants.into_iter().map(move |variant| (case.clone(), variant))
        }) {
            let shares_lanes = variant.needs == Some(Feature::Subgroups);
            assert!(!shares_lanes || variant.made_for == [AdapterClass::Lanes], "{}.{}", case.label(), variant.name());
            let reads_textures = !variant.textures.is_empty();
            let is_for_gpus = variant.made_for.contains(&AdapterClass::Gpu);
            assert!(!reads_textures || !is_for_gpus, "{}.{}", case.label(), variant.name());
        }
    }

    #[test]
    fn every_reason_is_given() {
        let (case, _) = case_with("conv_relu_pool_backward_weight_f16.matrix16");
        let reasons = |info: &AdapterInfo, preferred: Option<&str>| -> Vec<String> {
            let considered = info.consider(case.as_ref(), preferred);
            let line = |considered: &Considered| {
                let name = considered.variant.name();
                considered.why_not.as_ref().map_or_else(|| name.to_owned(), |why| format!("{name}: {why}"))
            };
            considered.iter().map(line).collect()
        };
        let gpu = reasons(&large_gpu(AdapterKind::Discrete, 32, &[16]), None);
        assert!(gpu.contains(&"matrix16".to_owned()), "{gpu:?}");
        assert!(gpu.contains(&"matrix8: it needs cooperative matrices of 8x8".to_owned()), "{gpu:?}");
        assert!(gpu.contains(&"plain: matrix16 comes first".to_owned()), "{gpu:?}");
        assert!(gpu.iter().any(|line| line.ends_with(": it is made for software with subgroups")), "{gpu:?}");
        let with_lanes = case_with("dense_forward.blocks").0;
        let software = large_gpu(AdapterKind::Software, 8, &[]);
        let of_blocks =
            software.consider(with_lanes.as_ref(), None).into_iter().filter_map(|considered| considered.why_not);
        let wanted = "it is made for GPUs and for software without subgroups";
        assert!(of_blocks.clone().any(|reason| reason == wanted), "{:?}", of_blocks.collect::<Vec<_>>());
        let tuned = reasons(&large_gpu(AdapterKind::Discrete, 32, &[16]), Some("plain"));
        assert!(tuned.contains(&"plain".to_owned()), "{tuned:?}");
        assert!(tuned.contains(&"matrix16: `tune` has measured plain as faster".to_owned()), "{tuned:?}");
        let without = reasons(&AdapterInfo::example("the least", AdapterKind::Discrete), Some("matrix16"));
        let taken: Vec<&String> = without.iter().filter(|line| !line.contains(": ")).collect();
        assert_eq!(taken, ["gather"], "what it cannot run is not taken: {without:?}");
    }

    #[test]
    fn a_variant_that_exceeds_a_limit_says_which() {
        let (case, variant) = case_with("dense_backward.blocks");
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
        let (case, variant) = case_with("dense_backward.lanes");
        let mut info = large_gpu(AdapterKind::Software, 8, &[]);
        assert_eq!(info.why_not(case.as_ref(), &variant), None);
        info.max_texture_side = 0;
        assert!(info.why_not(case.as_ref(), &variant).is_some_and(|reason| reason.contains("rows")));
    }

    #[test]
    fn matrices_need_workgroups_of_whole_subgroups() {
        for (file, size, most_lanes) in
            [("matrix_chain.matrix16", 16, 128), ("conv_relu_pool_forward_f16.matrix8", 8, 64)]
        {
            let (case, variant) = case_with(file);
            let why_not =
                |lanes: u32| large_gpu(AdapterKind::Discrete, lanes, &[size]).why_not(case.as_ref(), &variant);
            assert_eq!(why_not(most_lanes), None, "{file}");
            assert!(why_not(2 * most_lanes).is_some_and(|reason| reason.contains("whole subgroups")), "{file}");
        }
    }
}
