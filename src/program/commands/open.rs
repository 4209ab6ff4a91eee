//! What commands open: a device, the adapters of `--device all`, the data.

use anyhow::{Result, ensure};

use super::thousands;
use crate::data::{self, DataChoice, Dataset, Folders};
use crate::device::{Device, DeviceChoice};
use crate::gpu::{Gpu, adapters};
use crate::program::cli::{AdaptersArgs, DataArgs, VariantsArgs};

/// Opens a device and prints its name on stderr.
pub(super) async fn open_device(choice: &DeviceChoice) -> Result<Device> {
    open_for_rank(choice, None).await
}

/// The same for a rank by its number among those of its machine, if it is one.
pub(super) async fn open_for_rank(choice: &DeviceChoice, local_rank: Option<usize>) -> Result<Device> {
    let device = match local_rank {
        Some(local_rank) => Device::open_for_rank(choice, local_rank).await?,
        None => Device::open(choice).await?,
    };
    let is_requested = *choice == DeviceChoice::Cpu;
    say_device(&device, device.remark().filter(|_| !is_requested));
    Ok(device)
}

/// Opens a device to evaluate so many images, and prints its name on stderr.
pub(super) async fn open_for(choice: &DeviceChoice, images: usize) -> Result<Device> {
    let device = Device::open_for(choice, images).await?;
    // The CPU is no lack for a few images.
    say_device(&device, device.remark().filter(|_| matches!(device, Device::Gpu(_))));
    Ok(device)
}

fn say_device(device: &Device, remark: Option<&str>) {
    note!("device: {device}");
    if let Some(remark) = remark {
        note!("  note: {remark}");
    }
    if cfg!(debug_assertions) {
        note!("  note: this is a debug build, many times slower; build with --release");
    }
}

/// Whether the data are the user's own, which `--data` or the environment names.
pub(super) fn are_own_data(args: &DataArgs) -> bool {
    args.dataset != Some(DataChoice::Generated) && Folders::from_environment(args.data.clone()).named.is_some()
}

/// Loads the data and prints its name on stderr.
pub(super) fn load_data(args: &DataArgs) -> Result<Dataset> {
    let choice = args.dataset.unwrap_or_default();
    ensure!(
        choice != DataChoice::Generated || args.data.is_none(),
        "--data names data of your own, but --dataset generated needs none; give only one of the two"
    );
    ensure!(
        args.generated_images.is_none() || (choice != DataChoice::Mnist && args.data.is_none()),
        "--generated-images is of generated digits, and --data or --dataset mnist names others; leave one of them out"
    );
    ensure!(
        are_own_data(args) || args.test.is_none() && args.image_size.is_none(),
        "--test and --image-size are of data of your own; give --data too, or leave them out"
    );
    let generated_train = args.generated_images.unwrap_or(12_000);
    let request = data::Request {
        choice,
        generated_train,
        generated_test: generated_train.div_ceil(6),
        test: args.test,
        image: args.image_size,
        ..data::Request::new(Folders::from_environment(args.data.clone()))
    };
    let dataset = data::load(&request, &mut say)?;
    say_data(&dataset);
    Ok(dataset)
}

/// Prints a message of the data loader; `--quiet` leaves out all but warnings.
pub(super) fn say(line: &str) {
    if line.starts_with("WARNING") { warning!("{line}") } else { note!("{line}") }
}

pub(super) fn say_data(dataset: &Dataset) {
    let (train, test) = (thousands(dataset.train.len()), thousands(dataset.test.len()));
    note!("data: {} ({}), {train} training and {test} test images", dataset.name, dataset.origin);
    for remark in dataset.remarks() {
        warning!("  warning: {remark}");
    }
}

/// The GPUs that `--device` names; at least one must exist.
pub(super) async fn open_adapters(args: &AdaptersArgs, purpose: &str) -> Result<Vec<Gpu>> {
    let mut gpus = Vec::new();
    if args.device == "all" {
        for adapter in adapters().await {
            match &adapter.info.unusable {
                Some(reason) => warning!("skipped: {} ({reason})", adapter.info),
                None => gpus.push(Gpu::open(&adapter).await?),
            }
        }
    } else {
        let choice: DeviceChoice = args.device.parse()?;
        ensure!(
            !matches!(choice, DeviceChoice::Cpu),
            "{purpose}, but --device cpu is not a GPU; leave it out, or name an adapter from `gpu-digits devices`"
        );
        if let Device::Gpu(gpu) = Device::open(&choice).await? {
            gpus.push(*gpu);
        }
    }
    ensure!(
        !gpus.is_empty(),
        "{purpose}, but no GPU was found; install its driver or software Vulkan (on Debian and \
         Ubuntu: `apt-get install mesa-vulkan-drivers libvulkan1`)"
    );
    Ok(gpus)
}

/// The same adapters with the kernels that they are to take.
pub(super) fn taking(variants: &VariantsArgs, gpus: Vec<Gpu>) -> Vec<Gpu> {
    if variants.all_variants { gpus.into_iter().map(Gpu::taking_all_variants).collect() } else { gpus }
}
