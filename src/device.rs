//! The devices that `--device` selects: the CPU or an adapter. There is no silent fallback.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::cpu::CpuExecutor;
use crate::executor::Executor;
use crate::gpu::{Adapter, AdapterInfo, AdapterKind, Backend, Gpu, GpuExecutor, adapters, adapters_up_to};
use crate::plan::Plan;

/// Images that the CPU evaluates about as fast as a software adapter compiles its kernels.
const FEW_IMAGES: usize = 256;

/// A requested device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best adapter: discrete, integrated, then software Vulkan; the CPU if there is no adapter. Nothing is
    /// measured: the module `trial` tells whether the CPU trains a model faster than a software adapter.
    Auto,
    /// The CPU.
    Cpu,
    /// The best adapter of a backend.
    Backend(Backend),
    /// The adapter with this number in `gpu-digits devices`, otherwise the first whose name contains the number.
    Index(usize),
    /// The first adapter whose name contains this, in upper or lower case.
    Name(String),
    /// The adapter at this PCI address, `0000:03:00.0`, through the first of the APIs that list it: the only way to mean
    /// one of two equal cards wherever they stand in the list.
    Pci(String),
    /// The device of Vulkan with this UUID, as `vulkaninfo` and `nvidia-smi` print it: it stays if a card is moved.
    Uuid(String),
    /// A device for each rank of a machine, in their order, and from the first on again.
    Each(Vec<DeviceChoice>),
    /// Every adapter, for runs of their own.
    All,
}

impl FromStr for DeviceChoice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_lowercase();
        ensure!(!lower.is_empty(), "the device's name is empty; `gpu-digits devices` lists the devices");
        if let Some(address) = lower.strip_prefix("pci:") {
            return pci_address(address).map(Self::Pci);
        }
        if let Some(uuid) = lower.strip_prefix("uuid:") {
            return self::uuid(uuid).map(Self::Uuid);
        }
        if let Some(each) = several(&lower) {
            return Ok(Self::Each(each));
        }
        let backend = Backend::ALL.iter().copied().find(|backend| backend.name() == lower);
        Ok(match (lower.as_str(), backend, lower.parse()) {
            ("auto", ..) => Self::Auto,
            ("cpu", ..) => Self::Cpu,
            ("all", ..) => Self::All,
            (_, Some(backend), _) => Self::Backend(backend),
            (_, _, Ok(index)) => Self::Index(index),
            _ => Self::Name(lower),
        })
    }
}

impl fmt::Display for DeviceChoice {
    /// The text that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Backend(backend) => f.write_str(backend.name()),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
            Self::Pci(address) => write!(f, "pci:{address}"),
            Self::Uuid(uuid) => write!(f, "uuid:{uuid}"),
            Self::Each(each) => f.write_str(&each.iter().map(Self::to_string).collect::<Vec<_>>().join(",")),
            Self::All => f.write_str("all"),
        }
    }
}

/// The devices of a list such as `0,1` or `vulkan,cpu`; none if a part is a name, which may have commas in it.
fn several(list: &str) -> Option<Vec<DeviceChoice>> {
    let is_one =
        |part: &str| matches!(part.parse(), Ok(choice) if !matches!(choice, DeviceChoice::Name(_) | DeviceChoice::All));
    let parts: Vec<&str> = list.split(',').map(str::trim).collect();
    (parts.len() > 1 && parts.iter().all(|part| is_one(part)))
        .then(|| parts.iter().flat_map(|part| part.parse()).collect())
}

/// An opened device.
#[derive(Clone)]
pub enum Device {
    /// The CPU and its threads.
    Cpu,
    /// A GPU, or a software adapter.
    Gpu(Box<Gpu>),
}

impl Device {
    /// Opens the requested device.
    ///
    /// # Errors
    /// If it does not exist; the error lists the devices that do.
    pub async fn open(choice: &DeviceChoice) -> Result<Self> {
        let open = async |adapter: &Adapter| Ok(Self::Gpu(Box::new(Gpu::open(adapter).await?)));
        match choice {
            DeviceChoice::Cpu => Ok(Self::Cpu),
            DeviceChoice::Auto => match best_of_all().await {
                Some(adapter) => open(&adapter).await,
                None => Ok(Self::Cpu),
            },
            DeviceChoice::Backend(backend) => {
                let mut found = adapters_up_to(*backend).await;
                found.retain(|adapter| adapter.info.backend == *backend);
                let listed = list(&found);
                match best(found) {
                    Some(adapter) => open(&adapter).await,
                    None => bail!("no adapter can be used through {}: {listed}{}", backend.name(), advice(*backend)),
                }
            }
            DeviceChoice::Index(_) | DeviceChoice::Name(_) | DeviceChoice::Pci(_) => {
                let found = adapters().await;
                let infos: Vec<&AdapterInfo> = found.iter().map(|adapter| &adapter.info).collect();
                let index = find(choice, &infos).with_context(|| match choice {
                    DeviceChoice::Index(number) => {
                        format!("there is no device {number}, and no device has {number} in its name: {}", list(&found))
                    }
                    DeviceChoice::Pci(address) => {
                        format!("no driver reports a device at the PCI address {address}: {}", list(&found))
                    }
                    _ => format!("no device has `{choice}` in its name: {}", list(&found)),
                })?;
                open(&found[index]).await
            }
            DeviceChoice::Uuid(uuid) => {
                let found = adapters_up_to(Backend::Vulkan).await;
                let own = uuids_of(&found)?.into_iter().position(|of_device| of_device.as_ref() == Some(uuid));
                match own {
                    Some(index) => open(&found[index]).await,
                    None => bail!("no device of Vulkan has the UUID {uuid}: {}", list(&found)),
                }
            }
            DeviceChoice::Each(_) => {
                bail!("--device {choice} names several devices, which is for `train --ranks`; name one")
            }
            DeviceChoice::All => {
                bail!("--device all is for `train` without --ranks, `verify` and `bench`; name one device")
            }
        }
    }

    /// Opens the device of a rank, which has this number among those of its machine: of a list its own, of equal adapters
    /// its own, and otherwise the one that all share.
    ///
    /// # Errors
    /// The same as for [`Self::open`].
    pub async fn open_for_rank(choice: &DeviceChoice, local_rank: usize) -> Result<Self> {
        if let DeviceChoice::Each(each) = choice {
            return Self::open(&each[local_rank % each.len()]).await;
        }
        let best = Self::open(choice).await?;
        let (Self::Gpu(gpu), DeviceChoice::Auto | DeviceChoice::Backend(_), 1..) = (&best, choice, local_rank) else {
            // The best is the first of its equals.
            return Ok(best);
        };
        let found = adapters_up_to(gpu.info().backend).await;
        match of_rank(&found.iter().map(|adapter| &adapter.info).collect::<Vec<_>>(), gpu.info(), local_rank) {
            Some(own) if found[own].info.index != gpu.info().index => {
                Ok(Self::Gpu(Box::new(Gpu::open(&found[own]).await?)))
            }
            _ => Ok(best),
        }
    }

    /// Opens the requested device to evaluate so many images. `Auto` takes the CPU for a few where only software
    /// adapters are there, whose kernels would take longer to compile than the images take.
    ///
    /// # Errors
    /// The same as for [`Self::open`].
    pub async fn open_for(choice: &DeviceChoice, images: usize) -> Result<Self> {
        if *choice == DeviceChoice::Auto && images <= FEW_IMAGES {
            return match best_of_all().await.filter(is_hardware) {
                Some(adapter) => Ok(Self::Gpu(Box::new(Gpu::open(&adapter).await?))),
                None => Ok(Self::Cpu),
            };
        }
        Self::open(choice).await
    }

    /// An executor of a plan on this device.
    ///
    /// # Errors
    /// If the plan does not fit, or a shader does not compile.
    pub async fn executor(&self, plan: Plan) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Self::Cpu => Box::new(CpuExecutor::new(plan)?),
            Self::Gpu(gpu) => Box::new(GpuExecutor::new(gpu, plan).await?),
        })
    }

    /// Why the device has failed, if it has: it was lost, or its memory ran out. It is then of no use; open it again.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Cpu => None,
            Self::Gpu(gpu) => gpu.failure(),
        }
    }

    /// Whether fused ops are faster on this device than one op for each layer. On the CPU they are not, because their
    /// references call the same code.
    pub fn prefers_fused(&self) -> bool {
        matches!(self, Self::Gpu(_))
    }

    /// The most bytes of a tensor; none on the CPU, where memory is the limit.
    pub fn most_tensor_bytes(&self) -> Option<u64> {
        match self {
            Self::Cpu => None,
            Self::Gpu(gpu) => Some(gpu.info().max_tensor_bytes),
        }
    }

    /// Whether it is an adapter that computes on the CPU.
    pub fn is_software(&self) -> bool {
        matches!(self, Self::Gpu(gpu) if gpu.info().kind == AdapterKind::Software)
    }

    /// A remark about the device's speed, if it is not a GPU.
    pub fn remark(&self) -> Option<&'static str> {
        match self {
            Self::Cpu => Some(
                "no GPU is used; training is faster with a GPU driver (on Debian and Ubuntu `apt-get install \
                 mesa-vulkan-drivers` for AMD, Intel and software Vulkan; NVIDIA's driver brings its own)",
            ),
            Self::Gpu(_) if self.is_software() => {
                Some("a software adapter: it computes on the CPU, far slower than a GPU")
            }
            Self::Gpu(_) => None,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "the CPU ({} threads)", rayon::current_num_threads()),
            Self::Gpu(gpu) => write!(f, "{}", gpu.info()),
        }
    }
}

/// A PCI address in full, `domain:bus:device.function` in hexadecimal digits; the domain may be left out, as `lspci` does.
fn pci_address(text: &str) -> Result<String> {
    let full = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
    let lengths: Vec<usize> = full.split([':', '.']).map(str::len).collect();
    let marks: String = full.chars().filter(|letter| !letter.is_ascii_hexdigit()).collect();
    ensure!(
        lengths == [4, 2, 2, 1] && marks == "::.",
        "`{text}` is no PCI address; one is `pci:0000:03:00.0`, and `gpu-digits devices` lists those of this machine"
    );
    Ok(full)
}

/// A UUID in the form that Vulkan's programs print; `nvidia-smi` writes `GPU-` before it.
fn uuid(text: &str) -> Result<String> {
    let uuid = text.strip_prefix("gpu-").unwrap_or(text);
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    let are_digits = uuid.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit());
    ensure!(
        lengths == [8, 4, 4, 4, 12] && are_digits,
        "`{text}` is no UUID; one is `uuid:5e2a77b8-1c4d-9f06-3b21-7d9c0e4a6f15`, and `gpu-digits devices` lists those of this \
         machine"
    );
    Ok(uuid.to_owned())
}

/// The UUID of each adapter; none of those that are not Vulkan's.
///
/// # Errors
/// If Vulkan cannot be asked, or the feature `inspect` is not built in.
pub fn uuids_of(adapters: &[Adapter]) -> Result<Vec<Option<String>>> {
    let mut left = uuids_of_vulkan()?;
    // wgpu does not tell UUIDs, but lists devices in Vulkan's order.
    let uuid = |Adapter { info, .. }: &Adapter| {
        let own = left.iter().position(|(name, _)| info.backend == Backend::Vulkan && *name == info.name)?;
        Some(left.remove(own).1)
    };
    Ok(adapters.iter().map(uuid).collect())
}

/// The names and UUIDs of Vulkan's devices, in its order.
#[cfg(feature = "inspect")]
fn uuids_of_vulkan() -> Result<Vec<(String, String)>> {
    crate::gpu::inspect::uuids()
}

#[cfg(not(feature = "inspect"))]
fn uuids_of_vulkan() -> Result<Vec<(String, String)>> {
    bail!("UUIDs need the feature `inspect`; name the device in another way")
}

/// Finds an adapter by its PCI address or its number, otherwise by its name. A number that no adapter has, such as 4090,
/// is a part of a name.
pub(crate) fn find(choice: &DeviceChoice, infos: &[&AdapterInfo]) -> Option<usize> {
    if let DeviceChoice::Pci(address) = choice {
        return infos.iter().position(|info| info.pci_address.as_ref() == Some(address));
    }
    let has_number = |info: &&AdapterInfo| matches!(choice, DeviceChoice::Index(number) if info.index == *number);
    let part = choice.to_string();
    let has_name = |info: &&AdapterInfo| info.name.to_lowercase().contains(&part);
    infos.iter().position(has_number).or_else(|| infos.iter().position(has_name))
}

/// The adapter of a rank among those that are of the same API and kind as the best one.
fn of_rank(infos: &[&AdapterInfo], best: &AdapterInfo, local_rank: usize) -> Option<usize> {
    let is_equal =
        |info: &AdapterInfo| info.unusable.is_none() && (info.backend, info.kind) == (best.backend, best.kind);
    let equal: Vec<usize> = (0..infos.len()).filter(|&index| is_equal(infos[index])).collect();
    equal.get(local_rank % equal.len().max(1)).copied()
}

/// The best adapter of the machine, but not software GL: it has no subgroups, and trains slower than the CPU executor.
async fn best_of_all() -> Option<Adapter> {
    let found = best(adapters_up_to(Backend::Dx12).await);
    if found.as_ref().is_some_and(is_hardware) {
        return found;
    }
    best(adapters().await).filter(is_hardware).or(found)
}

fn is_hardware(adapter: &Adapter) -> bool {
    adapter.info.kind != AdapterKind::Software
}

/// The usable adapter of the best kind; the first one among equals.
fn best(adapters: Vec<Adapter>) -> Option<Adapter> {
    adapters.into_iter().filter(|adapter| adapter.info.unusable.is_none()).min_by_key(|adapter| adapter.info.kind)
}

fn list(adapters: &[Adapter]) -> String {
    if adapters.is_empty() {
        return "no adapter was found; `--device cpu` works without one".to_owned();
    }
    let line = |Adapter { info, .. }: &Adapter| {
        let reason = info.unusable.as_ref().map_or_else(String::new, |reason| format!(" (unusable: {reason})"));
        format!("\n  {} {info}{reason}", info.index)
    };
    format!("found these devices:{}", adapters.iter().map(line).collect::<String>())
}

fn advice(backend: Backend) -> &'static str {
    match backend {
        Backend::Vulkan => {
            "\ninstall your GPU vendor's driver or, on Debian and Ubuntu, the packages mesa-vulkan-drivers and libvulkan1 \
             (`apt-get install mesa-vulkan-drivers libvulkan1`), which include software Vulkan"
        }
        Backend::Gl => {
            "\ninstall your GPU vendor's driver or, on Debian and Ubuntu, the packages libegl1, libegl-mesa0 and \
             libgl1-mesa-dri"
        }
        Backend::Metal => "\nMetal exists only on macOS",
        Backend::Dx12 => "\nDirect3D 12 exists only on Windows",
        Backend::WebGpu => "\nWebGPU exists only in browsers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_from_words_numbers_and_names() {
        let parse = |text: &str| text.parse::<DeviceChoice>().unwrap();
        assert_eq!(parse("auto"), DeviceChoice::Auto);
        assert_eq!(parse("CPU"), DeviceChoice::Cpu);
        assert_eq!(parse("vulkan"), DeviceChoice::Backend(Backend::Vulkan));
        assert_eq!(parse("2"), DeviceChoice::Index(2));
        assert_eq!(parse("GeForce"), DeviceChoice::Name("geforce".to_owned()));
    }

    #[test]
    fn a_pci_address_means_one_of_two_equal_cards() {
        let mut cards = ["RX 6800 XT"; 2].map(|name| AdapterInfo::example(name, AdapterKind::Discrete));
        cards[0].pci_address = Some("0000:03:00.0".to_owned());
        cards[1].pci_address = Some("0000:0a:00.0".to_owned());
        let find = |text: &str| find(&text.parse().unwrap(), &cards.each_ref());
        assert_eq!(find("pci:0000:0A:00.0"), Some(1));
        assert_eq!(find("pci:03:00.0"), Some(0), "lspci leaves the domain out");
        assert_eq!(find("pci:0000:04:00.0"), None);
        let choice: DeviceChoice = "pci:0a:00.0".parse().unwrap();
        assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
    }

    #[test]
    fn a_list_is_of_devices_and_a_name_may_have_commas() {
        let parse = |text: &str| text.parse::<DeviceChoice>().unwrap();
        let each = parse("0, vulkan,CPU,pci:03:00.0");
        let DeviceChoice::Each(parts) = &each else { panic!("{each:?}") };
        assert_eq!(parts[..3], [DeviceChoice::Index(0), DeviceChoice::Backend(Backend::Vulkan), DeviceChoice::Cpu]);
        assert_eq!((each.to_string().as_str(), parse(&each.to_string())), ("0,vulkan,cpu,pci:0000:03:00.0", each));
        assert_eq!(parse("llvmpipe (LLVM 15.0.6, 256 bits)").to_string(), "llvmpipe (llvm 15.0.6, 256 bits)");
        assert!(matches!(parse("0,all"), DeviceChoice::Name(_)));
        assert_eq!((parse("all"), parse("all").to_string()), (DeviceChoice::All, "all".to_owned()));
    }

    #[test]
    fn ranks_take_equal_adapters_in_turn() {
        let kinds = [AdapterKind::Integrated, AdapterKind::Discrete, AdapterKind::Discrete, AdapterKind::Discrete];
        let mut cards = kinds.map(|kind| AdapterInfo::example("a card", kind));
        cards[2].unusable = Some("it is broken".to_owned());
        let infos: Vec<&AdapterInfo> = cards.iter().collect();
        let of_ranks: Vec<_> = (0..4).map(|rank| of_rank(&infos, infos[1], rank)).collect();
        assert_eq!(of_ranks, [Some(1), Some(3), Some(1), Some(3)]);
        assert_eq!(of_rank(&infos, infos[0], 5), Some(0));
    }

    #[test]
    fn what_is_no_pci_address_is_refused() {
        for text in ["pci:", "pci:3", "pci:0000:03:00", "pci:0000.03:00:0", "pci:00:03:00.0", "pci:0000:03:0g.0"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("is no PCI address"), "{text}: {error}");
        }
    }

    #[test]
    fn a_uuid_is_written_as_vulkaninfo_and_nvidia_smi_do() {
        let wanted = DeviceChoice::Uuid("5e2a77b8-1c4d-9f06-3b21-7d9c0e4a6f15".to_owned());
        for text in ["uuid:5e2a77b8-1c4d-9f06-3b21-7d9c0e4a6f15", "UUID:GPU-5E2A77B8-1C4D-9F06-3B21-7D9C0E4A6F15"] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!((choice.to_string().parse::<DeviceChoice>().unwrap(), &choice), (wanted.clone(), &wanted));
        }
        for text in ["uuid:", "uuid:5e2a77b8", "uuid:5e2a77b8-1c4d-9f06-3b21-7d9c0e4a6f1g"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("is no UUID"), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_beyond_the_list_is_a_part_of_a_name() {
        let mut cards = ["llvmpipe (LLVM 15.0.6, 256 bits)", "NVIDIA GeForce RTX 4090"]
            .map(|name| AdapterInfo::example(name, AdapterKind::Other));
        cards[1].index = 1;
        let find = |text: &str| find(&text.parse().unwrap(), &cards.each_ref());
        assert_eq!(find("0"), Some(0));
        assert_eq!(find("1"), Some(1), "a number of the list comes before a part of a name");
        assert_eq!(find("256"), Some(0));
        assert_eq!(find("4090"), Some(1));
        assert_eq!(find("rtx"), Some(1));
        assert_eq!(find("4080"), None);
    }
}
