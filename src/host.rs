//! The host: its platform, and how much memory is free.

use std::env::consts::{ARCH, OS};

/// The operating system and the processor's architecture: `linux x86_64`.
pub(crate) fn platform() -> String {
    format!("{OS} {ARCH}")
}

/// Free memory of the host, or of the container if it has less; none if the system does not report it.
pub(crate) fn free_host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let free = kibibytes * 1024;
    Some(free_in_container().map_or(free, |within| within.min(free)))
}

/// Free memory within a container's limit; none if there is no limit.
fn free_in_container() -> Option<u64> {
    let number = |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok();
    let (limit, used): (u64, u64) = match number("memory.max") {
        Some(limit) => (limit, number("memory.current")?),
        // Version 1 of control groups.
        None => (number("memory/memory.limit_in_bytes")?, number("memory/memory.usage_in_bytes")?),
    };
    Some(limit.saturating_sub(used))
}
