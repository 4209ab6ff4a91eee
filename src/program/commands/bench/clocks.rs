//! The clocks of a device, as far as Linux tells them: times of one GPU at other clocks are other times.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gpu::{AdapterInfo, AdapterKind, Backend};

/// What the system tells of an adapter's clocks and of the file by which its driver was found, as `name: value`.
pub(super) fn clocks(adapter: &AdapterInfo) -> Vec<String> {
    let mut clocks = of_system(Path::new("/"), adapter);
    clocks.extend(of_nvidia(adapter));
    if adapter.backend == Backend::Vulkan {
        let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].into_iter().find_map(env::var_os);
        let files = named.iter().flat_map(env::split_paths);
        // Only the file's name: the folder may be a user's.
        let names = files.filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
        let names: Vec<String> = names.collect();
        clocks.extend((!names.is_empty()).then(|| format!("driver file: {}", names.join(", "))));
    }
    clocks
}

/// What `/sys` tells.
fn of_system(root: &Path, adapter: &AdapterInfo) -> Vec<String> {
    let files: Vec<(&str, PathBuf)> = if adapter.kind == AdapterKind::Software {
        let processor = root.join("sys/devices/system/cpu/cpu0/cpufreq");
        ["scaling_governor", "scaling_min_freq", "scaling_max_freq"].map(|name| (name, processor.join(name))).into()
    } else {
        let Some(address) = &adapter.pci_address else { return vec![] };
        let device = root.join("sys/bus/pci/devices").join(address);
        // amdgpu's names, then those of Intel's drivers.
        let amd = ["power_dpm_force_performance_level", "pp_dpm_sclk", "pp_dpm_mclk"];
        let intel = ["gt_min_freq_mhz", "gt_cur_freq_mhz", "gt_max_freq_mhz"];
        let cards = fs::read_dir(device.join("drm")).into_iter().flatten().flatten().map(|entry| entry.path());
        let card = cards.filter(|path| is_card(path)).min();
        let of_card = card.into_iter().flat_map(|card| intel.map(|name| (name, card.join(name))));
        amd.map(|name| (name, device.join(name))).into_iter().chain(of_card).collect()
    };
    let read = |(name, path): &(&str, PathBuf)| {
        let text = fs::read_to_string(path).ok()?;
        Some(format!("{name}: {}", at_present(text.trim())))
    };
    files.iter().filter_map(read).collect()
}

fn is_card(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("card"))
}

/// Of amdgpu's list of clocks the one with a star.
fn at_present(text: &str) -> &str {
    let starred = text.lines().find(|line| line.ends_with('*'));
    starred.map_or(text, |line| line.trim_end_matches('*').trim())
}

/// What NVIDIA's own program tells, if it is there.
fn of_nvidia(adapter: &AdapterInfo) -> Option<String> {
    const ASKED: &str = "clocks.sm,clocks.max.sm,clocks.mem,power.limit,persistence_mode";
    let address = adapter.pci_address.as_ref().filter(|_| adapter.id.contains("10de:"))?;
    let words = [&format!("--id={address}"), &format!("--query-gpu={ASKED}"), "--format=csv,noheader"];
    let answer = Command::new("nvidia-smi").args(words).output().ok().filter(|answer| answer.status.success())?;
    Some(format!("{ASKED}: {}", String::from_utf8_lossy(&answer.stdout).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn clocks_are_read_where_each_driver_has_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        written(
            root,
            &[
                ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
                ("sys/bus/pci/devices/0000:03:00.0/power_dpm_force_performance_level", "auto\n"),
                ("sys/bus/pci/devices/0000:03:00.0/pp_dpm_sclk", "0: 500Mhz\n1: 2105Mhz *\n"),
                ("sys/bus/pci/devices/0000:00:02.0/drm/card1/gt_max_freq_mhz", "2400\n"),
                ("sys/bus/pci/devices/0000:00:02.0/drm/renderD128/dev", "226:128\n"),
            ],
        );
        let of = |kind, address: Option<&str>| {
            let pci_address = address.map(str::to_owned);
            of_system(root, &AdapterInfo { pci_address, ..AdapterInfo::example("card", kind) })
        };
        assert_eq!(of(AdapterKind::Software, None), ["scaling_governor: powersave"]);
        let amd = ["power_dpm_force_performance_level: auto", "pp_dpm_sclk: 1: 2105Mhz"];
        assert_eq!(of(AdapterKind::Discrete, Some("0000:03:00.0")), amd);
        assert_eq!(of(AdapterKind::Integrated, Some("0000:00:02.0")), ["gt_max_freq_mhz: 2400"]);
        assert!(of(AdapterKind::Discrete, Some("0000:09:00.0")).is_empty());
        assert!(of(AdapterKind::Discrete, None).is_empty());
    }
}
