//! `gpu-digits devices`.

use anyhow::Result;

use super::{Verdict, print_table_with, table};
use crate::device::uuids_of;
use crate::gpu::{Adapter, AdapterInfo, AdapterKind, Gpu, adapters};
use crate::program::cli::DevicesArgs;
use crate::program::files::on_stdout;

pub(super) async fn run(args: &DevicesArgs) -> Result<Verdict> {
    let mut infos = Vec::new();
    let adapters = adapters().await;
    for adapter in &adapters {
        infos.push(as_opened(adapter).await);
    }
    // They are for those who have equal cards; the list is worth something without them.
    let uuids = uuids_of(&adapters).unwrap_or_default();
    if let Some(output) = &args.results.json {
        output.write_json(&infos)?;
    }
    if on_stdout([&args.results.json]) {
        return Ok(Verdict::Passed);
    }
    let mut table = table(&["#", "device", "backend", "kind"], 4);
    for info in &infos {
        let kind = format!("{:?}", info.kind).to_lowercase();
        table.add_row([info.index.to_string(), info.label(), info.backend.name().to_owned(), kind]);
    }
    table.add_row(["cpu", "the CPU executor", "", ""]);
    let uuid = |row: usize| uuids.get(row).and_then(Option::as_deref);
    print_table_with(&table, |row| infos.get(row).map_or_else(Vec::new, |info| details(info, uuid(row))));
    for info in &infos {
        if !info.refused.is_empty() {
            out!("{} is used without {}: its driver lists them but refuses them", info.index, info.refused.join(", "));
        }
        if let Some(reason) = &info.unusable {
            out!("{} cannot be used: {reason}", info.index);
        }
    }
    if infos.iter().all(|info| info.kind == AdapterKind::Software) {
        out!("\nNo hardware GPU was found. If this machine has one, `gpu-digits doctor` says\nwhy it is not listed.");
    }
    Ok(Verdict::Passed)
}

/// An adapter as it is after opening: some drivers then refuse features that they list.
async fn as_opened(adapter: &Adapter) -> AdapterInfo {
    let info = adapter.info.clone();
    if info.cooperative_matrices.is_empty() || info.unusable.is_some() {
        return info;
    }
    match Gpu::open(adapter).await {
        Ok(gpu) => gpu.info().clone(),
        Err(error) => AdapterInfo { unusable: Some(format!("{error:#}")), ..info },
    }
}

/// The capabilities of an adapter, printed below its row.
fn details(info: &AdapterInfo, uuid: Option<&str>) -> Vec<String> {
    let has = |what: &str, yes: bool| format!("{}{what}", if yes { "" } else { "no " });
    let subgroups = match info.subgroup_size {
        None => "no subgroups".to_owned(),
        Some([least, most]) if least == most => format!("subgroups of {least}"),
        Some([least, most]) => format!("subgroups of {least} to {most}"),
    };
    let sizes: Vec<String> = info.cooperative_matrices.iter().map(|size| format!("{size}x{size}")).collect();
    let matrices = if sizes.is_empty() { "no matrices".to_owned() } else { format!("matrices {}", sizes.join(" ")) };
    let features = [subgroups, has("f16", info.f16), matrices, has("timing", info.timestamps)];
    let compiler = info.shader_compiler.as_ref().map(|compiler| format!(", shaders by {compiler}")).unwrap_or_default();
    let address = info.pci_address.as_ref().map(|address| format!(", pci:{address}")).unwrap_or_default();
    let uuid = uuid.map(|uuid| format!("uuid:{uuid}"));
    let mut lines = vec![
        format!("driver {}{compiler}{address}", info.driver_and_version()),
        features.join(", "),
        format!(
            "{} buffers a kernel, {} MiB a tensor, workgroups of {} with {} KiB",
            info.max_storage_buffers,
            info.max_tensor_bytes >> 20,
            info.max_workgroup_size,
            info.workgroup_memory_bytes >> 10
        ),
    ];
    lines.extend(uuid);
    lines
}
