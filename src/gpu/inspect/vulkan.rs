//! Vulkan, opened to compile kernels and ask its driver what became of them. The only file that calls a C API, which is
//! unsafe: Vulkan trusts its caller in everything. What it needs is said where it is called.

#![expect(unsafe_code, reason = "wgpu does not tell what a driver's compiler made of a kernel")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use ash::{ext, khr, vk};

use super::{Compiled, PeakMemory};
use crate::gpu::{AdapterInfo, Backend};
use crate::op::{Access, Op, Variant};
use crate::translate::{Parsed, SpirVForDriver};

/// A device that compiles kernels and runs none.
pub struct Inspector {
    device: ash::Device,
    instance: ash::Instance,
    // Holds Vulkan's library, and so must end last: fields end in their order, after `Drop`.
    _entry: ash::Entry,
    properties: Option<khr::pipeline_executable_properties::Device>,
    form: SpirVForDriver,
    allows_other_sizes: bool,
    /// The texts parsed so far: many cases share one.
    parsed: RefCell<HashMap<&'static str, Rc<Parsed>>>,
}

impl Drop for Inspector {
    fn drop(&mut self) {
        // SAFETY: the device and what was made of it are used nowhere else: what `compile` makes, it destroys.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

impl Inspector {
    /// Opens the Vulkan device of an adapter. `nth` is its place among those of the same name, from 0.
    ///
    /// # Errors
    /// If there is no Vulkan, or it does not have the device any more.
    pub fn open(adapter: &AdapterInfo, nth: usize) -> Result<Self> {
        ensure!(
            adapter.backend == Backend::Vulkan,
            "cannot inspect {adapter}: only Vulkan's drivers tell what their compilers do; choose a device of Vulkan"
        );
        // SAFETY: loading runs the initialisers of the system's Vulkan library, as wgpu does when it lists adapters.
        let entry = unsafe { ash::Entry::load() }.context("cannot load Vulkan's library")?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `info` is whole, and the library stays loaded as long as the instance.
        let instance = unsafe { entry.create_instance(&info, None) }.context("cannot open Vulkan")?;
        let opened = open_device(&instance, &adapter.name, nth).with_context(|| format!("cannot open {adapter}"));
        match opened {
            Ok((device, support)) => {
                let properties =
                    support.tells.then(|| khr::pipeline_executable_properties::Device::new(&instance, &device));
                let (form, allows_other_sizes) = (support.form, support.allows_other_sizes);
                Ok(Self {
                    device,
                    instance,
                    _entry: entry,
                    properties,
                    form,
                    allows_other_sizes,
                    parsed: RefCell::default(),
                })
            }
            Err(error) => {
                // SAFETY: nothing was made of the instance.
                unsafe { instance.destroy_instance(None) };
                Err(error)
            }
        }
    }

    /// Whether its driver tells what its compiler did. If it does not, only time and memory are known.
    pub fn tells(&self) -> bool {
        self.properties.is_some()
    }

    fn parsed(&self, variant: &Variant) -> Result<Rc<Parsed>> {
        let source = variant.shader.source;
        if let Some(parsed) = self.parsed.borrow().get(source) {
            return Ok(Rc::clone(parsed));
        }
        let parsed = Rc::new(Parsed::new(source)?);
        self.parsed.borrow_mut().insert(source, Rc::clone(&parsed));
        Ok(parsed)
    }

    /// Compiles a kernel.
    ///
    /// # Errors
    /// If naga cannot translate it, or the driver refuses it.
    pub fn compile(&self, op: &dyn Op, variant: &Variant) -> Result<Compiled> {
        let words = self.parsed(variant)?.spirv_for(op, variant, self.form)?;
        let entry = CString::new(variant.shader.entry_point())?;
        let bindings: Vec<_> = (0..)
            .zip(op.operands())
            .map(|(binding, operand)| {
                let is_texture = variant.textures.contains(&operand.name) && operand.access == Access::Read;
                let kind =
                    if is_texture { vk::DescriptorType::SAMPLED_IMAGE } else { vk::DescriptorType::STORAGE_BUFFER };
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(kind)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let mut parts = Parts {
            device: &self.device,
            module: vk::ShaderModule::null(),
            set: vk::DescriptorSetLayout::null(),
            layout: vk::PipelineLayout::null(),
        };
        let (module, set) = (
            vk::ShaderModuleCreateInfo::default().code(&words),
            vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings),
        );
        // SAFETY: what is made belongs to `parts`, which destroys it; each structure that is handed over lives until the call
        // ends. naga has validated the words.
        unsafe {
            parts.module = self.device.create_shader_module(&module, None)?;
            parts.set = self.device.create_descriptor_set_layout(&set, None)?;
            let sets = [parts.set];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            parts.layout = self.device.create_pipeline_layout(&layout, None)?;
        }
        self.compile_stage(&parts, &entry)
    }

    fn compile_stage(&self, parts: &Parts<'_>, entry: &CStr) -> Result<Compiled> {
        let mut flags = vk::PipelineShaderStageCreateFlags::empty();
        if self.allows_other_sizes {
            // As wgpu does.
            flags |= vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
        }
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .flags(flags)
            .module(parts.module)
            .name(entry);
        let mut info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(parts.layout);
        if self.tells() {
            info = info.flags(
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                    | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
            );
        }
        let peak = PeakMemory::begin();
        let start = Instant::now();
        // SAFETY: the parts are of this device and live.
        let pipelines = unsafe { self.device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None) };
        let (seconds, peak_bytes) = (start.elapsed().as_secs_f64(), peak.and_then(|peak| peak.end()));
        let pipelines = pipelines.map_err(|(_, error)| error).context("the driver does not compile it")?;
        let [pipeline] = pipelines[..] else { bail!("the driver gave {} pipelines for one", pipelines.len()) };
        let told = self.ask(pipeline);
        // SAFETY: nothing runs, so that nothing uses the pipeline.
        unsafe { self.device.destroy_pipeline(pipeline, None) };
        let Told { lanes, statistics, texts } = told?;
        Ok(Compiled { lanes, statistics, texts, seconds, peak_bytes })
    }

    /// What the driver tells of a pipeline.
    fn ask(&self, pipeline: vk::Pipeline) -> Result<Told> {
        let Some(properties) = &self.properties else { return Ok(Told::default()) };
        // SAFETY: the pipeline is of this device, has one executable at least, being a compute pipeline, and was made with the
        // flags by which statistics and texts are kept.
        unsafe {
            let executables = properties
                .get_pipeline_executable_properties(&vk::PipelineInfoKHR::default().pipeline(pipeline))
                .context("the driver does not tell of its kernels")?;
            let lanes = executables.first().map(|executable| executable.subgroup_size);
            let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let statistics = properties.get_pipeline_executable_statistics(&executable)?;
            let statistics =
                statistics.iter().map(|statistic| (name_of(&statistic.name), value_of(statistic))).collect();
            Ok(Told { lanes: lanes.filter(|&lanes| lanes > 0), statistics, texts: texts(properties, &executable)? })
        }
    }
}

/// The texts of an executable.
///
/// # Safety
/// The executable is one of a pipeline of this device that keeps its texts.
unsafe fn texts(
    properties: &khr::pipeline_executable_properties::Device,
    executable: &vk::PipelineExecutableInfoKHR<'_>,
) -> Result<Vec<(String, String)>> {
    let read = properties.fp().get_pipeline_executable_internal_representations_khr;
    let device = properties.device();
    let mut count = 0;
    // SAFETY: Vulkan asks for the number first, then for the sizes, then for the texts, for which there is then room.
    let texts = unsafe {
        read(device, executable, &mut count, std::ptr::null_mut()).result()?;
        let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        read(device, executable, &mut count, found.as_mut_ptr()).result()?;
        let mut bytes: Vec<Vec<u8>> = found.iter().map(|text| vec![0; text.data_size]).collect();
        for (text, bytes) in found.iter_mut().zip(&mut bytes) {
            text.p_data = bytes.as_mut_ptr().cast();
        }
        read(device, executable, &mut count, found.as_mut_ptr()).result()?;
        found.iter().map(|text| name_of(&text.name)).zip(bytes).collect::<Vec<_>>()
    };
    let in_words = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
    Ok(texts.into_iter().map(|(name, bytes)| (name, in_words(bytes))).collect())
}

/// What a pipeline is made of.
struct Parts<'a> {
    device: &'a ash::Device,
    module: vk::ShaderModule,
    set: vk::DescriptorSetLayout,
    layout: vk::PipelineLayout,
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        // SAFETY: the pipeline is destroyed before, and Vulkan passes over what was not made.
        unsafe {
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_descriptor_set_layout(self.set, None);
            self.device.destroy_shader_module(self.module, None);
        }
    }
}

#[derive(Default)]
struct Told {
    lanes: Option<u32>,
    statistics: Vec<(String, f64)>,
    texts: Vec<(String, String)>,
}

/// What a device offers of what is used here.
struct Support {
    tells: bool,
    allows_other_sizes: bool,
    form: SpirVForDriver,
}

fn open_device(instance: &ash::Instance, name: &str, nth: usize) -> Result<(ash::Device, Support)> {
    // SAFETY: the instance lives; what is asked for is written into structures of this function.
    unsafe {
        let mut named = instance.enumerate_physical_devices()?.into_iter().filter(|&physical| {
            let properties = instance.get_physical_device_properties(physical);
            properties.device_name_as_c_str().is_ok_and(|found| found.to_string_lossy() == name)
        });
        let physical = named.nth(nth).context("Vulkan does not have it")?;
        let version = instance.get_physical_device_properties(physical).api_version;
        ensure!(version >= vk::API_VERSION_1_2, "its driver has an older Vulkan than 1.2");
        let extensions = instance.enumerate_device_extension_properties(physical)?;
        let has = |wanted: &CStr| extensions.iter().any(|found| found.extension_name_as_c_str() == Ok(wanted));
        let tells = has(khr::pipeline_executable_properties::NAME);
        let is_robust = has(ext::robustness2::NAME);
        let has_1_3 = version >= vk::API_VERSION_1_3;

        let mut of_1_1 = vk::PhysicalDeviceVulkan11Features::default();
        let mut of_1_2 = vk::PhysicalDeviceVulkan12Features::default();
        let mut of_1_3 = vk::PhysicalDeviceVulkan13Features::default();
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut telling = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut of_1_1).push_next(&mut of_1_2);
        if has_1_3 {
            features = features.push_next(&mut of_1_3);
        }
        if is_robust {
            features = features.push_next(&mut robust);
        }
        if tells {
            features = features.push_next(&mut telling);
        }
        instance.get_physical_device_features2(physical, &mut features);
        // All features that the device has are switched on. The chain is taken apart first: pushed once more, it would be a ring.
        let core = features.features;
        for next in
            [&mut of_1_1.p_next, &mut of_1_2.p_next, &mut of_1_3.p_next, &mut robust.p_next, &mut telling.p_next]
        {
            *next = std::ptr::null_mut();
        }
        let names: Vec<*const c_char> =
            [tells.then_some(khr::pipeline_executable_properties::NAME), is_robust.then_some(ext::robustness2::NAME)]
                .into_iter()
                .flatten()
                .map(CStr::as_ptr)
                .collect();
        let priorities = [1.0];
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&priorities)];
        let tells = tells && telling.pipeline_executable_info == vk::TRUE;
        let support = Support {
            tells,
            allows_other_sizes: has_1_3 && of_1_3.subgroup_size_control == vk::TRUE,
            form: SpirVForDriver {
                version: if has_1_3 { (1, 6) } else { (1, 5) },
                has_robust_buffers: robust.robust_buffer_access2 == vk::TRUE,
                has_robust_images: robust.robust_image_access2 == vk::TRUE || of_1_3.robust_image_access == vk::TRUE,
            },
        };
        let mut info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names)
            .enabled_features(&core)
            .push_next(&mut of_1_1)
            .push_next(&mut of_1_2);
        if has_1_3 {
            info = info.push_next(&mut of_1_3);
        }
        if is_robust {
            info = info.push_next(&mut robust);
        }
        if support.tells {
            info = info.push_next(&mut telling);
        }
        let device = instance.create_device(physical, &info, None)?;
        Ok((device, support))
    }
}

/// The names and UUIDs of the devices of Vulkan, in the order in which it lists them. A UUID is written as
/// `5e2a77b8-...`, as other programs write it.
///
/// # Errors
/// If there is no Vulkan.
pub fn uuids() -> Result<Vec<(String, String)>> {
    // SAFETY: as in `Inspector::open`.
    let entry = unsafe { ash::Entry::load() }.context("cannot load Vulkan's library")?;
    let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_1);
    let info = vk::InstanceCreateInfo::default().application_info(&application);
    // SAFETY: the instance lives until the end of this function, and what is asked for is written into its own structures.
    unsafe {
        let instance = entry.create_instance(&info, None).context("cannot open Vulkan")?;
        let devices = instance.enumerate_physical_devices();
        let describe = |physical: &vk::PhysicalDevice| {
            let mut id = vk::PhysicalDeviceIDProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut id);
            instance.get_physical_device_properties2(*physical, &mut properties);
            (name_of(&properties.properties.device_name), uuid(&id.device_uuid))
        };
        let described = devices.map(|devices| devices.iter().map(describe).collect());
        instance.destroy_instance(None);
        described.context("Vulkan lists no devices")
    }
}

fn uuid(bytes: &[u8; vk::UUID_SIZE]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn name_of(name: &[c_char]) -> String {
    let bytes: Vec<u8> = name.iter().map(|&letter| letter as u8).take_while(|&letter| letter != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn value_of(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> f64 {
    // SAFETY: the driver says which of the union's fields it has written.
    unsafe {
        match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64 as f64,
            vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64 as f64,
            vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => statistic.value.f64,
            _ => f64::from(statistic.value.b32),
        }
    }
}
