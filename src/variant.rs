//! One shader of an op at its sizes, and the adapters that it is made for.

use crate::shader::Shader;

/// The workgroup size of every kernel with one invocation per element.
const LINEAR_WORKGROUP: u32 = 64;

/// The most workgroups per axis that WebGPU guarantees.
const MAX_WORKGROUPS_PER_AXIS: u32 = 65_535;

/// The length of a row of a folded grid. It is short enough that ordinary sizes fold, so that every check covers
/// folding.
const WORKGROUPS_PER_ROW: u32 = 64;

/// The most loop iterations of one invocation that every widely used driver executes.
///
/// Mesa 22.3's lavapipe silently ends all loops of an invocation after 65,535 iterations; see `ARCHITECTURE.md`.
pub const MAX_ITERATIONS: u64 = 60_000;

/// Invocations of a workgroup in variants made for GPUs; WebGPU guarantees this many.
pub const MAX_WORKGROUP: usize = 256;

/// Texels in a row of the textures that variants read instead of buffers: few enough that ordinary sizes have several
/// rows, and many enough that large sizes do not exceed a texture's height limit.
pub const TEXELS_PER_ROW: u32 = 1024;

/// Lanes that share loaded values in variants that use subgroups.
pub const SUBGROUP_LANES: u32 = 8;

/// One shader for an op at its sizes, with everything needed to compile and dispatch it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its text.
    pub shader: Shader,
    /// Values of `override` constants in addition to the op's sizes.
    pub constants: Vec<(&'static str, f64)>,
    /// Workgroups to dispatch.
    pub workgroups: [u32; 3],
    /// The most loop iterations of one invocation in all; at most [`MAX_ITERATIONS`] are allowed.
    pub iterations: u64,
    /// Features that the shader needs in addition to WebGPU's defaults.
    pub needs: Option<Feature>,
    /// The classes of adapters that it is made for. Others use it only on request.
    pub made_for: &'static [AdapterClass],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: usize,
    /// The operands that it reads as textures, in rows of [`TEXELS_PER_ROW`] texels of four floats or one integer each.
    ///
    /// They are copied before the kernel runs. Software drivers read a texel of four floats for all lanes much faster
    /// than four floats from a buffer: see `docs/TRIED.md`.
    pub textures: Vec<&'static str>,
}

/// A class of adapters, by what makes kernels fast there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdapterClass {
    /// Software drivers with subgroups of [`SUBGROUP_LANES`] or more: few invocations with much work each. A load
    /// serves all lanes, and a texture is read much faster than a buffer.
    Lanes,
    /// Other software drivers.
    Software,
    /// GPUs: many invocations, which share a workgroup's memory.
    Gpu,
}

impl AdapterClass {
    /// Every class.
    pub const ALL: &'static [Self] = &[Self::Lanes, Self::Software, Self::Gpu];
    /// All software drivers.
    pub const SOFTWARE: &'static [Self] = &[Self::Lanes, Self::Software];
    /// All but software drivers with lanes.
    pub const WITHOUT_LANES: &'static [Self] = &[Self::Software, Self::Gpu];
    /// GPUs only.
    pub const GPUS: &'static [Self] = &[Self::Gpu];
}

/// A feature that not every adapter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Subgroups of [`SUBGROUP_LANES`] lanes or more.
    Subgroups,
    /// 16-bit floats.
    F16,
    /// Matrix products of 16-bit floats by a whole subgroup, accumulated in 32 bits.
    CooperativeMatrix {
        /// Rows and columns.
        size: u32,
    },
}

impl Variant {
    /// Whether a test of this crate has checked each index into the shader's own arrays, and it reads no texture beyond
    /// its last texel: kernels of the crate that read buffers only. No machine of the test has matrix units.
    pub(crate) fn has_checked_indices(&self) -> bool {
        let uses_matrices = matches!(self.needs, Some(Feature::CooperativeMatrix { .. }));
        self.shader.is_shipped() && self.textures.is_empty() && !uses_matrices
    }

    /// A kernel of one invocation for each of `invocations` elements, each looping `iterations` times.
    ///
    /// The grid is one line of workgroups. It is folded into the y axis because it may exceed the limit of an axis; the
    /// shader undoes the fold with `id.x + id.y * groups.x * workgroup_size`.
    pub fn linear(shader: Shader, invocations: usize, iterations: usize) -> Self {
        let groups = u32::try_from(invocations.div_ceil(LINEAR_WORKGROUP as usize)).unwrap_or(u32::MAX);
        let rows = groups.div_ceil(WORKGROUPS_PER_ROW).clamp(1, MAX_WORKGROUPS_PER_AXIS);
        Self {
            constants: vec![("workgroup_size", f64::from(LINEAR_WORKGROUP))],
            workgroups: [groups.div_ceil(rows), rows, 1],
            ..Self::single(shader, iterations)
        }
    }

    /// A kernel of a single invocation, which loops `iterations` times.
    pub fn single(shader: Shader, iterations: usize) -> Self {
        let iterations = iterations as u64;
        Self {
            shader,
            constants: vec![],
            workgroups: [1, 1, 1],
            iterations,
            needs: None,
            made_for: AdapterClass::ALL,
            workgroup_bytes: 0,
            textures: vec![],
        }
    }

    /// A kernel of an invocation for each of `invocations` elements of each of `chunks` chunks; no workgroup spans two.
    ///
    /// If a chunk does not fill a workgroup, the workgroup is as small as a subgroup may be.
    pub fn chunked(shader: Shader, chunks: usize, invocations: usize, iterations: usize) -> Self {
        let size = invocations.next_multiple_of(SUBGROUP_LANES as usize).min(LINEAR_WORKGROUP as usize);
        Self {
            constants: vec![("workgroup_size", size as f64)],
            workgroups: [(chunks * invocations.div_ceil(size)) as u32, 1, 1],
            ..Self::single(shader, iterations)
        }
    }

    /// A kernel of one workgroup of `size` invocations for each of `tiles` tiles.
    ///
    /// The workgroups are folded as in [`Self::linear`]; the shader undoes it with `group.x + group.y * groups.x`.
    pub fn tiled(shader: Shader, tiles: usize, size: usize, iterations: usize) -> Self {
        let linear = Self::linear(shader, tiles * LINEAR_WORKGROUP as usize, iterations);
        Self { constants: vec![("workgroup_size", size as f64)], ..linear }
    }

    /// The same grid once for each of `layers` values of `id.z`.
    pub fn repeated(mut self, layers: usize) -> Self {
        self.workgroups[2] = layers as u32;
        self
    }

    /// The same, on adapters with a feature only.
    pub fn with(mut self, feature: Feature) -> Self {
        self.needs = Some(feature);
        self
    }

    /// The same with one more constant.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.constants.push((name, value as f64));
        self
    }

    /// The same with some operands read as textures.
    pub fn reading_textures(mut self, textures: &[&'static str]) -> Self {
        self.textures = textures.to_vec();
        self.constant("texels_per_row", TEXELS_PER_ROW as usize)
    }

    /// The same with subgroups that share the values loaded by their first lanes: made for software that has them.
    pub fn sharing_lanes(self) -> Self {
        self.with(Feature::Subgroups).made_for(&[AdapterClass::Lanes])
    }

    /// The same, made for these classes of adapters.
    pub fn made_for(self, made_for: &'static [AdapterClass]) -> Self {
        Self { made_for, ..self }
    }

    /// The same with this many bytes of workgroup memory.
    pub fn sharing(self, workgroup_bytes: usize) -> Self {
        Self { workgroup_bytes, ..self }
    }

    /// Invocations of a workgroup.
    pub fn workgroup_size(&self) -> usize {
        let size = self.constants.iter().find(|(name, _)| *name == "workgroup_size");
        size.map_or(1, |&(_, size)| size as usize)
    }

    /// Its style and sizes, as in its shader's name; `plain` for the plain kernel.
    pub fn name(&self) -> &'static str {
        self.shader.variant()
    }
}
