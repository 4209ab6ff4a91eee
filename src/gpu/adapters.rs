//! The adapters of this machine: their kinds, their capabilities, and why one cannot be used.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Storage buffers that a kernel may bind: WebGPU's default limit.
const STORAGE_BUFFERS: u32 = 8;

/// An API through which an adapter is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Vulkan.
    Vulkan,
    /// Apple's Metal.
    Metal,
    /// Direct3D 12.
    Dx12,
    /// OpenGL or OpenGL ES.
    Gl,
    /// A browser's WebGPU.
    WebGpu,
}

impl Backend {
    /// All backends of this platform, those with the best drivers first. GL comes last, because searching for it starts its
    /// drivers, which print messages.
    pub const ALL: &[Self] =
        if cfg!(target_family = "wasm") { &[Self::WebGpu] } else { &[Self::Vulkan, Self::Metal, Self::Dx12, Self::Gl] };

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
            Self::Gl => "gl",
            Self::WebGpu => "webgpu",
        }
    }

    fn bits(self) -> wgpu::Backends {
        match self {
            Self::Vulkan => wgpu::Backends::VULKAN,
            Self::Metal => wgpu::Backends::METAL,
            Self::Dx12 => wgpu::Backends::DX12,
            Self::Gl => wgpu::Backends::GL,
            Self::WebGpu => wgpu::Backends::BROWSER_WEBGPU,
        }
    }
}

/// The kind of an adapter, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU in a virtual machine, or of an unknown kind.
    Other,
    /// A driver that computes on the CPU.
    Software,
}

/// Information about an adapter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdapterInfo {
    /// Its number for `--device`, which may change if an adapter is added or removed.
    pub index: usize,
    /// Its identity on this machine, which does not change with the driver's version: `vulkan-10de:2330-0000:01:00.0`
    /// is the API, the PCI numbers of vendor and device, and the PCI address if the driver reports it. If adapters
    /// agree in all of these, the second ends in `#2`. Empty in files of earlier versions.
    #[serde(default)]
    pub id: String,
    /// Its PCI address, if the driver reports it: `0000:01:00.0`.
    #[serde(default)]
    pub pci_address: Option<String>,
    /// Whether another adapter of the same API has the same name.
    #[serde(default)]
    pub shares_name: bool,
    /// Its name.
    pub name: String,
    /// The API.
    pub backend: Backend,
    /// Its kind.
    pub kind: AdapterKind,
    /// The driver's name; empty if unknown.
    pub driver: String,
    /// The driver's version.
    pub driver_version: String,
    /// Invocations of a subgroup, least and most; none without subgroup operations.
    pub subgroup_size: Option<[u32; 2]>,
    /// Whether shaders may use 16-bit floats.
    pub f16: bool,
    /// Sizes of square matrices of 16-bit floats that subgroups multiply with sums in 32 bits.
    #[serde(default)]
    pub cooperative_matrices: Vec<u32>,
    /// Whether the device can time kernels.
    pub timestamps: bool,
    /// The most storage buffers of a kernel.
    pub max_storage_buffers: u32,
    /// The most bytes of a tensor.
    pub max_tensor_bytes: u64,
    /// Bytes of a workgroup's memory.
    pub workgroup_memory_bytes: u32,
    /// The most invocations of a workgroup.
    pub max_workgroup_size: u32,
    /// The most invocations of a workgroup along the x axis.
    #[serde(default)]
    pub max_workgroup_width: u32,
    /// The most workgroups along an axis of a grid.
    #[serde(default)]
    pub max_workgroups_per_axis: u32,
    /// The most rows and columns of a texture.
    #[serde(default)]
    pub max_texture_side: u32,
    /// Why it cannot be used, if it cannot.
    pub unusable: Option<String>,
    /// Features that its driver listed but refused at opening; they are not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// The compiler of its shaders, if there are several: DXC or FXC for Direct3D 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shader_compiler: Option<String>,
}

impl AdapterInfo {
    /// Its name, with its number if another adapter has the same name.
    pub fn label(&self) -> String {
        if self.shares_name { format!("{} (device {})", self.name, self.index) } else { self.name.clone() }
    }
}

impl AdapterInfo {
    /// The driver with its version; empty if both are unknown.
    pub fn driver_and_version(&self) -> String {
        format!("{} {}", self.driver, self.driver_version).trim().to_owned()
    }

    /// Gives up optional features, wgpu's experimental ones first; false if none is left.
    pub(super) fn give_up_features(&mut self) -> bool {
        let refused = if !self.cooperative_matrices.is_empty() {
            self.cooperative_matrices.clear();
            "cooperative matrices"
        } else if self.subgroup_size.is_some() || self.f16 || self.timestamps {
            (self.subgroup_size, self.f16, self.timestamps) = (None, false, false);
            "subgroups, 16-bit floats and timestamps"
        } else {
            return false;
        };
        self.refused.push(refused.to_owned());
        true
    }
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} through {}", self.label(), self.backend.name())?;
        let driver = self.driver_and_version();
        if driver.is_empty() { Ok(()) } else { write!(f, " ({driver})") }
    }
}

/// An adapter that can be opened.
pub struct Adapter {
    /// Information about the adapter.
    pub info: AdapterInfo,
    pub(super) handle: wgpu::Adapter,
}

/// The adapters of all backends, in the order of [`Backend::ALL`].
pub async fn adapters() -> Vec<Adapter> {
    adapters_up_to(Backend::WebGpu).await
}

/// The adapters of the backends up to and with `last`, in the order of [`Backend::ALL`]: so an adapter's number does
/// not depend on the search.
pub async fn adapters_up_to(last: Backend) -> Vec<Adapter> {
    let mut found = Vec::new();
    for backend in Backend::ALL.iter().copied().filter(|&backend| backend <= last) {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backend.bits();
        let dxc = (backend == Backend::Dx12).then(|| find_dxc(search_folders())).flatten();
        descriptor.backend_options.dx12.shader_compiler = match &dxc {
            Some(file) => wgpu::Dx12Compiler::DynamicDxc { dxc_path: file.display().to_string() },
            None => wgpu::Dx12Compiler::Fxc,
        };
        let instance = wgpu::Instance::new(descriptor);
        for handle in instance.enumerate_adapters(backend.bits()).await {
            let mut info = describe(&handle, backend, found.len());
            info.shader_compiler = (backend == Backend::Dx12).then(|| compiler_name(dxc.as_deref()));
            found.push(Adapter { info, handle });
        }
    }
    tell_apart(found.iter_mut().map(|adapter| &mut adapter.info).collect());
    found
}

/// The folders that Windows searches for libraries: the program's own, then those of `PATH`.
fn search_folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path)).collect()
}

/// The new compiler of HLSL, if it is installed.
fn find_dxc(folders: Vec<PathBuf>) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join("dxcompiler.dll")).find(|file| file.is_file())
}

fn compiler_name(dxc: Option<&Path>) -> String {
    dxc.map_or_else(|| "FXC".to_owned(), |file| format!("DXC ({})", file.display()))
}

/// Gives adapters of one identity different ones, and notes which share a name.
fn tell_apart(mut infos: Vec<&mut AdapterInfo>) {
    let mut seen = HashMap::new();
    for info in &mut infos {
        let count = seen.entry(info.id.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count > 1 {
            info.id = format!("{}#{count}", info.id);
        }
    }
    let names: Vec<_> = infos.iter().map(|info| (info.backend, info.name.clone())).collect();
    for (info, own) in infos.into_iter().zip(&names) {
        info.shares_name = names.iter().filter(|name| *name == own).count() > 1;
    }
}

fn describe(adapter: &wgpu::Adapter, backend: Backend, index: usize) -> AdapterInfo {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let subgroup_size = [info.subgroup_min_size, info.subgroup_max_size];
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
        wgpu::DeviceType::Cpu => AdapterKind::Software,
        wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => AdapterKind::Other,
    };
    let has_compute = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
    let unusable = if !has_compute {
        Some("it has no compute shaders".to_owned())
    } else if limits.max_storage_buffers_per_shader_stage < STORAGE_BUFFERS {
        let most = limits.max_storage_buffers_per_shader_stage;
        Some(format!("its kernels bind at most {most} storage buffers, but {STORAGE_BUFFERS} are needed"))
    } else {
        None
    };
    let pci_address = Some(info.device_pci_bus_id).filter(|address| !address.is_empty());
    let address = pci_address.as_ref().map_or_else(String::new, |address| format!("-{address}"));
    AdapterInfo {
        index,
        id: format!("{}-{:04x}:{:04x}{address}", backend.name(), info.vendor, info.device),
        pci_address,
        shares_name: false,
        name: info.name,
        backend,
        kind,
        driver: info.driver,
        driver_version: info.driver_info,
        subgroup_size: features.contains(wgpu::Features::SUBGROUP).then_some(subgroup_size),
        f16: features.contains(wgpu::Features::SHADER_F16),
        cooperative_matrices: cooperative_matrices(adapter),
        // Browsers round them to 100 µs, against attacks on timing.
        timestamps: backend != Backend::WebGpu && features.contains(wgpu::Features::TIMESTAMP_QUERY),
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_tensor_bytes: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size),
        workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        max_workgroup_size: limits.max_compute_invocations_per_workgroup,
        max_workgroup_width: limits.max_compute_workgroup_size_x,
        max_workgroups_per_axis: limits.max_compute_workgroups_per_dimension,
        max_texture_side: limits.max_texture_dimension_2d,
        unusable,
        refused: vec![],
        shader_compiler: None,
    }
}

fn cooperative_matrices(adapter: &wgpu::Adapter) -> Vec<u32> {
    let needed =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    if !adapter.features().contains(needed) {
        return vec![];
    }
    let mut sizes = Vec::new();
    for matrix in adapter.cooperative_matrix_properties() {
        let is_square = matrix.m_size == matrix.n_size && matrix.n_size == matrix.k_size;
        let types = (matrix.ab_type, matrix.cr_type);
        let has_types = types == (wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32);
        if is_square && has_types && !sizes.contains(&matrix.m_size) {
            sizes.push(matrix.m_size);
        }
    }
    sizes
}

#[cfg(test)]
impl AdapterInfo {
    /// An example adapter with the limits that WebGPU guarantees and no optional feature.
    pub(crate) fn example(name: &str, kind: AdapterKind) -> Self {
        Self {
            index: 0,
            id: "vulkan-10de:2330".to_owned(),
            pci_address: None,
            shares_name: false,
            name: name.to_owned(),
            backend: Backend::Vulkan,
            kind,
            driver: String::new(),
            driver_version: String::new(),
            subgroup_size: None,
            f16: false,
            cooperative_matrices: vec![],
            timestamps: false,
            max_storage_buffers: STORAGE_BUFFERS,
            max_tensor_bytes: 128 << 20,
            workgroup_memory_bytes: 16 << 10,
            max_workgroup_size: 256,
            max_workgroup_width: 256,
            max_workgroups_per_axis: 65_535,
            max_texture_side: 8192,
            unusable: None,
            refused: vec![],
            shader_compiler: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cards_of_one_name_are_told_apart() {
        let mut cards = ["H100", "H100", "A2"].map(|name| AdapterInfo::example(name, AdapterKind::Discrete));
        cards.iter_mut().enumerate().for_each(|(index, card)| card.index = index);
        cards[2].id = "vulkan-10de:25b6".to_owned();
        tell_apart(cards.iter_mut().collect());
        assert_eq!(
            cards.each_ref().map(|card| card.id.as_str()),
            ["vulkan-10de:2330", "vulkan-10de:2330#2", "vulkan-10de:25b6"]
        );
        assert_eq!(cards.each_ref().map(AdapterInfo::label), ["H100 (device 0)", "H100 (device 1)", "A2"]);
        assert_eq!(cards[1].to_string(), "H100 (device 1) through vulkan");
    }

    #[test]
    fn the_new_compiler_is_taken_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = || vec![PathBuf::from("/nowhere"), folder.path().to_owned()];
        assert_eq!(find_dxc(folders()), None);
        assert_eq!(compiler_name(None), "FXC");
        let file = folder.path().join("dxcompiler.dll");
        std::fs::write(&file, "").unwrap();
        assert_eq!(find_dxc(folders()).as_ref(), Some(&file));
        assert!(compiler_name(Some(&file)).starts_with("DXC ("));
    }

    #[test]
    fn what_a_driver_refuses_is_given_up_step_by_step() {
        let mut info = AdapterInfo::example("llvmpipe", AdapterKind::Software);
        (info.f16, info.timestamps, info.subgroup_size) = (true, true, Some([4, 4]));
        info.cooperative_matrices = vec![8];
        assert!(info.give_up_features());
        assert!(info.cooperative_matrices.is_empty() && info.f16 && info.timestamps);
        assert!(info.give_up_features());
        assert!(!info.f16 && !info.timestamps && info.subgroup_size.is_none());
        assert!(!info.give_up_features(), "nothing is left to give up");
        assert_eq!(info.refused.len(), 2);
    }

    #[test]
    fn one_card_through_two_apis_keeps_its_name() {
        let mut card = [(); 2].map(|()| AdapterInfo::example("H100", AdapterKind::Discrete));
        card[1].backend = Backend::Gl;
        tell_apart(card.iter_mut().collect());
        assert_eq!(card.each_ref().map(AdapterInfo::label), ["H100", "H100"]);
    }
}
