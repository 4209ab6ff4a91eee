//! What a Vulkan driver's compiler makes of a kernel: registers, spills, instructions, assembly.
//!
//! Drivers tell it through `VK_KHR_pipeline_executable_properties`. wgpu does not offer that, and does not open a driver
//! on null hardware, which compiles and never runs; so this opens Vulkan itself. It hands over the SPIR-V that wgpu
//! would, and dispatches nothing.

mod assembly;
mod vulkan;

use std::fs;

use serde::Serialize;

pub use assembly::{Block, hottest_block};
pub use vulkan::{Inspector, uuids};

/// What the compiler made of a kernel.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Lanes of a subgroup; none if the driver tells nothing.
    pub lanes: Option<u32>,
    /// Its numbers, by its own names; empty if the driver tells nothing.
    pub statistics: Vec<(String, f64)>,
    /// Its texts, such as the assembly, by its own names.
    pub texts: Vec<(String, String)>,
    /// Seconds to compile.
    pub seconds: f64,
    /// Bytes of memory that compiling took at most; none where the system does not tell.
    pub peak_bytes: Option<u64>,
}

/// The numbers of a kernel that AMD's and Intel's compilers in Mesa tell, by common names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Lanes of a subgroup.
    pub lanes: Option<u32>,
    /// Vector registers of a lane.
    pub registers: Option<u64>,
    /// Registers and bytes that are kept in memory because there are too few registers; 0 is right.
    pub spills: Option<u64>,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: Option<u64>,
    /// Subgroups that fit on a unit of the device at once, to work while others wait for memory.
    pub waves: Option<u64>,
    /// Instructions.
    pub instructions: Option<u64>,
    /// Cycles of a subgroup by the compiler's estimate.
    pub cycles: Option<u64>,
    /// The loop that takes the time.
    pub hottest: Option<Block>,
}

impl Compiled {
    /// Its numbers by common names.
    pub fn figures(&self) -> Figures {
        let sum = |names: &[&str]| -> Option<u64> {
            let found = self.statistics.iter().filter(|(name, _)| names.contains(&name.as_str()));
            found.map(|(_, value)| *value as u64).reduce(|a, b| a + b)
        };
        Figures {
            lanes: self.lanes,
            registers: sum(&["VGPRs"]),
            spills: sum(&["Spilled VGPRs", "Spilled SGPRs", "Scratch size", "Spill Count", "Scratch Memory Size"]),
            workgroup_bytes: sum(&["LDS size", "Workgroup Memory Size"]),
            waves: sum(&["Subgroups per SIMD"]),
            instructions: sum(&["Instructions", "Instruction Count"]),
            cycles: sum(&["Latency", "Cycle Count"]),
            hottest: self.assembly().and_then(hottest_block),
        }
    }

    /// The assembly, if the driver gives one.
    pub fn assembly(&self) -> Option<&str> {
        let is_assembly = |name: &str| name.to_lowercase().contains("assembly");
        self.texts.iter().find(|(name, _)| is_assembly(name)).map(|(_, text)| text.as_str())
    }
}

/// The most memory that this process has from the beginning to the end, beyond what it had before. Linux only.
struct PeakMemory {
    before: u64,
}

impl PeakMemory {
    /// Begins to count.
    fn begin() -> Option<Self> {
        // "5" makes the kernel forget the peak so far.
        fs::write("/proc/self/clear_refs", "5").ok()?;
        Some(Self { before: status("VmRSS")? })
    }

    fn end(&self) -> Option<u64> {
        Some(status("VmHWM")?.saturating_sub(self.before))
    }
}

/// Bytes of a line of `/proc/self/status`.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(statistics: &[(&str, f64)]) -> Compiled {
        let statistics = statistics.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        Compiled { lanes: Some(64), statistics, texts: vec![], seconds: 0.1, peak_bytes: None }
    }

    #[test]
    fn numbers_of_amd_and_intel_have_common_names() {
        let amd = compiled(&[
            ("SGPRs", 128.0),
            ("VGPRs", 56.0),
            ("Spilled VGPRs", 2.0),
            ("Scratch size", 1024.0),
            ("LDS size", 12_800.0),
            ("Subgroups per SIMD", 18.0),
            ("Instructions", 900.0),
            ("Latency", 5000.0),
        ])
        .figures();
        assert_eq!(
            (amd.registers, amd.spills, amd.workgroup_bytes, amd.waves),
            (Some(56), Some(1026), Some(12_800), Some(18))
        );
        assert_eq!((amd.instructions, amd.cycles, amd.lanes), (Some(900), Some(5000), Some(64)));
        let intel = compiled(&[("Instruction Count", 7.0), ("Spill Count", 0.0), ("Cycle Count", 30.0)]).figures();
        assert_eq!((intel.instructions, intel.spills, intel.cycles), (Some(7), Some(0), Some(30)));
        assert_eq!(compiled(&[]).figures(), Figures { lanes: Some(64), ..Figures::default() });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_of_memory_is_that_of_the_work_between() {
        let peak = PeakMemory::begin().unwrap();
        let block = vec![1u8; 64 << 20];
        assert!(block.iter().map(|&byte| usize::from(byte)).sum::<usize>() == block.len());
        drop(block);
        assert!(peak.end().unwrap() >= 60 << 20);
    }
}
