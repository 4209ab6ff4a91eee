//! What a Linux machine has for GPUs: cards, their kernel drivers, render nodes, and the Vulkan drivers that are installed.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::gpu::{AdapterInfo, AdapterKind};

/// NVIDIA's number among PCI vendors.
const NVIDIA: &str = "10de";

/// Variables that choose or change drivers.
const VARIABLES: [&str; 18] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_ADD_DRIVER_FILES",
    "VK_LOADER_DRIVERS_SELECT",
    "VK_LOADER_DRIVERS_DISABLE",
    "VK_INSTANCE_LAYERS",
    "VK_LOADER_LAYERS_ENABLE",
    "MESA_LOADER_DRIVER_OVERRIDE",
    "MESA_VK_DEVICE_SELECT",
    "MESA_SHADER_CACHE_DISABLE",
    "LIBGL_ALWAYS_SOFTWARE",
    "GALLIUM_DRIVER",
    "LP_NUM_THREADS",
    "LP_NATIVE_VECTOR_WIDTH",
    "DRI_PRIME",
    "__GLX_VENDOR_LIBRARY_NAME",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
    "CUDA_VISIBLE_DEVICES",
];

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct System {
    /// Display controllers and accelerators on the PCI bus.
    pub(super) cards: Vec<Card>,
    /// Files such as `/dev/dri/renderD128`, through which Mesa's drivers reach a GPU.
    pub(super) render_nodes: Vec<RenderNode>,
    /// Installed Vulkan drivers.
    pub(super) manifests: Vec<Manifest>,
    /// Variables that choose or change drivers, and are set.
    pub(super) variables: Vec<(String, String)>,
    /// Whether the machine is Windows' Linux, which reaches GPUs through `/dev/dxg`.
    pub(super) has_dxg: bool,
}

/// A card on the PCI bus.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Card {
    /// Its PCI address, as adapters give it.
    pub(super) address: String,
    /// The numbers of vendor and device.
    pub(super) vendor: String,
    pub(super) device: String,
    /// The kernel's driver, if one has taken it.
    pub(super) kernel_driver: Option<String>,
    /// Whether it is a processing accelerator and no display controller.
    is_accelerator: bool,
}

/// A render node.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct RenderNode {
    pub(super) path: PathBuf,
    /// Why this user cannot open it, if so.
    pub(super) closed: Option<Closed>,
}

/// Why a file cannot be opened.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Closed {
    pub(super) reason: String,
    /// Whether this user lacks the right.
    is_forbidden: bool,
}

/// A file by which Vulkan's loader finds a driver.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Manifest {
    pub(super) path: PathBuf,
    /// The driver's library.
    pub(super) library: String,
    /// What is wrong with it, if anything is seen.
    pub(super) fault: Option<String>,
}

impl System {
    /// Looks at this machine.
    pub(super) fn look() -> Self {
        let root = Path::new("/");
        let set =
            |name: &&str| env::var_os(name).map(|value| ((*name).to_owned(), value.to_string_lossy().into_owned()));
        Self {
            cards: cards(root),
            render_nodes: render_nodes(root),
            manifests: manifests(&manifest_files(|name| env::var(name).ok())),
            variables: VARIABLES.iter().filter_map(set).collect(),
            has_dxg: root.join("dev/dxg").exists(),
        }
    }

    /// What to do about cards that no adapter reaches, and about drivers that are not whole.
    pub(super) fn advice(&self, adapters: &[AdapterInfo]) -> Vec<String> {
        let unreached = self.cards.iter().filter(|card| !adapters.iter().any(|adapter| card.is_of(adapter)));
        let mut advice: Vec<String> = unreached.filter_map(|card| self.advice_for(card)).collect();
        for RenderNode { path, closed } in &self.render_nodes {
            if let Some(Closed { reason, is_forbidden: true }) = closed {
                let path = path.display();
                advice.push(format!(
                    "{path} cannot be opened ({reason}): add the user to the group render, and log in again"
                ));
            }
        }
        for Manifest { path, fault, .. } in &self.manifests {
            advice.extend(fault.as_ref().map(|fault| format!("{}: {fault}", path.display())));
        }
        if self.has_dxg && adapters.iter().all(|adapter| adapter.kind == AdapterKind::Software) {
            advice.push(
                "Windows' GPU is there (/dev/dxg), but no driver of Mesa for it; run gpu-digits on Windows itself"
                    .to_owned(),
            );
        }
        advice
    }

    /// What to do about a card that no adapter reaches; nothing if it is not there to compute.
    fn advice_for(&self, card: &Card) -> Option<String> {
        let Card { address, vendor, device, kernel_driver, is_accelerator } = card;
        let name = format!("the card at {address} ({vendor}:{device})");
        let has = |part: &str| self.manifests.iter().any(|manifest| manifest.library.contains(part));
        let mesa = "on Debian and Ubuntu apt-get install mesa-vulkan-drivers";
        Some(match (vendor.as_str(), kernel_driver.as_deref()) {
            // Displays of virtual machines and of servers.
            ("1013" | "102b" | "1234" | "1414" | "15ad" | "1a03" | "1af4" | "1b36" | "80ee", _) => return None,
            // Other accelerators, such as those for neural networks in processors, have no Vulkan.
            (vendor, driver) if *is_accelerator && vendor != NVIDIA && driver != Some("amdgpu") => return None,
            (_, Some("vfio-pci")) => {
                format!("{name} is kept for a virtual machine (vfio-pci), so no adapter reaches it here")
            }
            (NVIDIA, None) => format!("{name} has no kernel driver: install NVIDIA's driver"),
            (_, None) => format!("{name} has no kernel driver, so no adapter reaches it: install its vendor's"),
            (NVIDIA, Some("nouveau")) => {
                format!("{name} is run by nouveau: install NVIDIA's driver, or Mesa 24.1 or newer with NVK")
            }
            (NVIDIA, Some(_)) if !has("nvidia") => format!(
                "{name} has NVIDIA's kernel driver, but Vulkan's part of it is not installed; in a container, \
                 NVIDIA_DRIVER_CAPABILITIES must include graphics"
            ),
            ("1002", Some(_)) if !has("radeon") && !has("amdvlk") => format!("{name} needs a Vulkan driver: {mesa}"),
            ("8086", Some(_)) if !has("intel") => format!("{name} needs a Vulkan driver: {mesa}"),
            _ => format!("no adapter reaches {name}, although its drivers are there"),
        })
    }
}

impl Card {
    /// Whether an adapter is this card. Not every driver tells the PCI address.
    fn is_of(&self, adapter: &AdapterInfo) -> bool {
        match &adapter.pci_address {
            Some(address) => *address == self.address,
            None => adapter.id.contains(&format!("{}:{}", self.vendor, self.device)),
        }
    }
}

/// The text of a short file, without the line's end.
fn word(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn cards(root: &Path) -> Vec<Card> {
    let card = |folder: PathBuf| {
        let class = word(&folder.join("class"))?;
        // Display controllers, and processing accelerators.
        if !class.starts_with("0x03") && !class.starts_with("0x12") {
            return None;
        }
        let number = |name: &str| word(&folder.join(name)).map(|text| text.trim_start_matches("0x").to_owned());
        let kernel_driver = fs::read_link(folder.join("driver")).ok();
        Some(Card {
            address: folder.file_name()?.to_string_lossy().into_owned(),
            vendor: number("vendor")?,
            device: number("device")?,
            kernel_driver: kernel_driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())),
            is_accelerator: class.starts_with("0x12"),
        })
    };
    entries(&root.join("sys/bus/pci/devices")).into_iter().filter_map(card).collect()
}

fn render_nodes(root: &Path) -> Vec<RenderNode> {
    let is_node = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"));
    let node = |path: PathBuf| {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let closed = |error: Error| Closed {
            reason: error.to_string(),
            is_forbidden: error.kind() == ErrorKind::PermissionDenied,
        };
        RenderNode { closed: opened.err().map(closed), path }
    };
    entries(&root.join("dev/dri")).into_iter().filter(is_node).map(node).collect()
}

/// The manifests in the order in which Vulkan's loader looks for them.
fn manifest_files(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let paths = |name: &str| {
        let value = variable(name).unwrap_or_default();
        env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect::<Vec<_>>()
    };
    let files_of = |path: PathBuf| if path.is_dir() { json_files(&path) } else { vec![path] };
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        let named = paths(name);
        if !named.is_empty() {
            return named.into_iter().flat_map(files_of).collect();
        }
    }
    let or =
        |found: Vec<PathBuf>, default: &str| if found.is_empty() { env::split_paths(default).collect() } else { found };
    let home = variable("HOME").map(PathBuf::from);
    let of_home = |name: &str, default: &str| {
        variable(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(default)))
    };
    let mut folders = Vec::new();
    folders.extend(of_home("XDG_CONFIG_HOME", ".config"));
    folders.extend(or(paths("XDG_CONFIG_DIRS"), "/etc/xdg"));
    folders.push("/etc".into());
    folders.extend(of_home("XDG_DATA_HOME", ".local/share"));
    folders.extend(or(paths("XDG_DATA_DIRS"), "/usr/local/share:/usr/share"));
    let added = paths("VK_ADD_DRIVER_FILES").into_iter().flat_map(files_of);
    let mut files: Vec<PathBuf> = added.collect();
    for folder in folders {
        let found = json_files(&folder.join("vulkan/icd.d"));
        files.extend(found.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    files
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn manifests(files: &[PathBuf]) -> Vec<Manifest> {
    let manifest = |path: &PathBuf| {
        let faulty = |fault: String| Manifest { path: path.clone(), library: String::new(), fault: Some(fault) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return faulty(format!("cannot be read: {error}")),
        };
        let library = serde_json::from_str::<Value>(&text).ok();
        let Some(library) = library.and_then(|json| Some(json.get("ICD")?.get("library_path")?.as_str()?.to_owned()))
        else {
            return faulty("names no driver's library".to_owned());
        };
        // A name without a folder is looked up by the system.
        let file = path.parent().unwrap_or(Path::new("")).join(&library);
        let is_missing = library.contains('/') && !file.exists();
        let fault =
            is_missing.then(|| format!("its driver {} is not there; install the package again", file.display()));
        Manifest { path: path.clone(), library, fault }
    };
    files.iter().map(manifest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(vendor: &str, kernel_driver: Option<&str>) -> Card {
        let (address, device) = ("0000:01:00.0".to_owned(), "2330".to_owned());
        let kernel_driver = kernel_driver.map(str::to_owned);
        Card { address, vendor: vendor.to_owned(), device, kernel_driver, is_accelerator: false }
    }

    fn advice(card: Card, libraries: &[&str], adapters: &[AdapterInfo]) -> String {
        let manifest = |library: &&str| Manifest { path: "x.json".into(), library: (*library).to_owned(), fault: None };
        let manifests = libraries.iter().map(manifest).collect();
        System { cards: vec![card], manifests, ..System::default() }.advice(adapters).join("\n")
    }

    #[test]
    fn a_card_that_no_adapter_reaches_is_explained() {
        let part = |card: Card, libraries: &[&str], part: &str| {
            let advice = advice(card, libraries, &[]);
            assert!(advice.contains(part), "{advice}");
        };
        part(card("10de", None), &[], "install NVIDIA's driver");
        part(card("10de", Some("nvidia")), &["libvulkan_lvp.so"], "NVIDIA_DRIVER_CAPABILITIES");
        part(card("10de", Some("nouveau")), &[], "nouveau");
        part(card("1002", Some("amdgpu")), &["libvulkan_lvp.so"], "mesa-vulkan-drivers");
        part(card("8086", Some("i915")), &[], "mesa-vulkan-drivers");
        part(card("1002", Some("vfio-pci")), &[], "virtual machine");
        part(card("10de", Some("vfio-pci")), &[], "virtual machine");
        part(card("1002", None), &[], "no kernel driver");
        part(card("1002", Some("amdgpu")), &["libvulkan_radeon.so"], "although its drivers are there");
        part(Card { is_accelerator: true, ..card("10de", None) }, &[], "install NVIDIA's driver");
        for display in [card("1af4", Some("virtio-pci")), card("1234", None), card("1a03", Some("ast"))] {
            assert_eq!(advice(display, &[], &[]), "", "it is not there to compute");
        }
        let for_networks = Card { is_accelerator: true, ..card("8086", Some("intel_vpu")) };
        assert_eq!(advice(for_networks, &[], &[]), "");
    }

    #[test]
    fn a_card_that_an_adapter_reaches_needs_no_advice() {
        let mut adapter = AdapterInfo::example("H200", AdapterKind::Discrete);
        adapter.pci_address = Some("0000:01:00.0".to_owned());
        assert_eq!(advice(card("10de", Some("nvidia")), &["libGLX_nvidia.so.0"], &[adapter.clone()]), "");
        adapter.pci_address = None;
        assert_eq!(adapter.id, "vulkan-10de:2330");
        assert_eq!(advice(card("10de", Some("nvidia")), &["libGLX_nvidia.so.0"], &[adapter.clone()]), "");
        adapter.id = "vulkan-10de:25b6".to_owned();
        assert_ne!(advice(card("10de", Some("nvidia")), &["libGLX_nvidia.so.0"], &[adapter]), "");
    }

    #[test]
    fn cards_are_read_from_the_kernels_files() {
        let root = tempfile::tempdir().unwrap();
        let write = |address: &str, class: &str| {
            let folder = root.path().join("sys/bus/pci/devices").join(address);
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in [("class", class), ("vendor", "0x10de"), ("device", "0x2330")] {
                fs::write(folder.join(name), format!("{text}\n")).unwrap();
            }
        };
        write("0000:00:1f.0", "0x060100");
        write("0000:01:00.0", "0x030200");
        assert_eq!(cards(root.path()), [card("10de", None)]);
        assert!(cards(&root.path().join("nowhere")).is_empty() && render_nodes(root.path()).is_empty());
    }

    #[test]
    fn manifests_are_found_where_vulkans_loader_looks() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("share/vulkan/icd.d");
        fs::create_dir_all(&folder).unwrap();
        let json = |library: &str| format!(r#"{{"ICD": {{"library_path": "{library}", "api_version": "1.3"}}}}"#);
        for (name, text) in [
            ("a.json", json("libvulkan_lvp.so")),
            ("b.json", json("./gone.so")),
            ("c.json", "{".to_owned()),
            ("d.txt", json("x")),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let share = root.path().join("share").display().to_string();
        let by_folders = manifest_files(|name| (name == "XDG_DATA_DIRS").then(|| share.clone()));
        let own: Vec<PathBuf> = by_folders.into_iter().filter(|path| path.starts_with(root.path())).collect();
        let found = manifests(&own);
        assert_eq!(found.iter().map(|manifest| manifest.fault.is_some()).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(found[0].library, "libvulkan_lvp.so");
        let named = folder.join("d.txt").display().to_string();
        let by_name = manifest_files(|name| (name == "VK_DRIVER_FILES").then(|| named.clone()));
        assert_eq!(by_name, [folder.join("d.txt")], "a variable names the only ones");
    }
}
