//! `gpu-digits devices`.

use anyhow::Result;

use super::{Verdict, print_table, table};
use crate::cli::DevicesArgs;
use crate::files::Destination;
use crate::gpu::{AdapterInfo, AdapterKind, adapters};

pub(super) async fn run(args: &DevicesArgs) -> Result<Verdict> {
    let infos: Vec<AdapterInfo> = adapters().await.into_iter().map(|adapter| adapter.info).collect();
    if let Some(output) = &args.json {
        output.write_json(&infos)?;
    }
    if args.json == Some(Destination::StandardOutput) {
        return Ok(Verdict::Passed);
    }
    let header = [
        "#",
        "device",
        "backend",
        "kind",
        "driver",
        "subgroup",
        "f16",
        "matrices",
        "timing",
        "buffers",
        "tensor MiB",
        "workgroup",
    ];
    let mut table = table(&header, 5);
    for info in &infos {
        table.add_row(row(info));
    }
    table.add_row(["cpu", "the CPU executor", "", "", "", "", "", "", "", "", "", ""]);
    print_table(&table);
    for info in &infos {
        if let Some(reason) = &info.unusable {
            out!("{} cannot be used: {reason}", info.index);
        }
    }
    if infos.iter().all(|info| info.kind == AdapterKind::Software) {
        out!(
            "\nNo hardware GPU was found. Where there is one, install its vendor's driver; wgpu also hides adapters whose \
             first queue family cannot do graphics, as those of compute-only cards."
        );
    }
    Ok(Verdict::Passed)
}

fn row(info: &AdapterInfo) -> Vec<String> {
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let subgroup = match info.subgroup_size {
        None => "no".to_owned(),
        Some([least, most]) if least == most => least.to_string(),
        Some([least, most]) => format!("{least}-{most}"),
    };
    let matrices: Vec<String> = info.cooperative_matrices.iter().map(|size| format!("{size}x{size}")).collect();
    vec![
        info.index.to_string(),
        info.name.clone(),
        info.backend.name().to_owned(),
        format!("{:?}", info.kind).to_lowercase(),
        format!("{} {}", info.driver, info.driver_version).trim().to_owned(),
        subgroup,
        yes_no(info.f16),
        if matrices.is_empty() { "no".to_owned() } else { matrices.join(" ") },
        yes_no(info.timestamps),
        info.max_storage_buffers.to_string(),
        (info.max_tensor_bytes >> 20).to_string(),
        format!("{} / {} KiB", info.max_workgroup_size, info.workgroup_memory_bytes >> 10),
    ]
}
