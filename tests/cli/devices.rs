//! `gpu-digits devices`, and what `--device` takes.

use libtest_mimic::Failed;
use serde_json::Value;

use crate::program::{Home, check};

pub(crate) fn devices(home: &Home) -> Result<(), Failed> {
    home.run(&["devices"]).exits_with(0)?.prints(&["cpu"])?;
    let listed = home.run(&["devices", "--json"]).json()?;
    check(listed.is_array(), listed.to_string())?;
    for (index, adapter) in listed.as_array().into_iter().flatten().enumerate() {
        check(adapter["index"] == index, format!("number {index} is {adapter}"))?;
        for key in ["name", "backend", "driver", "driver_version", "kind", "subgroup_size", "unusable"] {
            check(adapter.get(key).is_some(), format!("no `{key}` in {adapter}"))?;
        }
    }
    Ok(())
}

pub(crate) fn doctor(home: &Home) -> Result<(), Failed> {
    let adapters = home.run(&["devices", "--json", "-"]).json()?;
    let is_usable = |adapter: &&Value| adapter["unusable"].is_null();
    let usable: Vec<&Value> = adapters.as_array().into_iter().flatten().filter(is_usable).collect();
    let count = usable.len();
    let run = home.run(&["doctor"]);
    run.exits_with(if count == 0 { 2 } else { 0 })?.prints(&["adapters"])?;
    if count > 0 {
        run.prints(&["self-test: passed", "how each adapter computes", "subnormal results", "that can be used work"])?;
    }
    let found: Value = serde_json::from_str(&home.run(&["doctor", "--json", "-"]).stdout)?;
    let questions = found["cpu_arithmetic"].as_array().map_or(0, Vec::len);
    check(questions > 30, format!("{questions} questions"))?;
    let is_usable = |examined: &&Value| examined["adapter"]["unusable"].is_null();
    let examined: Vec<&Value> = found["adapters"].as_array().into_iter().flatten().filter(is_usable).collect();
    check(examined.len() == count, found.to_string())?;
    for adapter in examined {
        check(adapter["fault"].is_null(), adapter.to_string())?;
        check(adapter["arithmetic"].as_array().map(Vec::len) == Some(questions), "a question is not answered")?;
    }
    // The same answers stand beside the results of checks.
    for adapter in usable {
        let device = adapter["index"].to_string();
        let verified = home.run(&["verify", "relu_forward", "--device", &device, "--json", "-"]).json()?;
        let answers = &verified["adapters"][0]["arithmetic"];
        check(answers.as_array().map(Vec::len) == Some(questions), format!("{answers}"))?;
    }
    Ok(())
}

pub(crate) fn doctor_without_driver(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["doctor"]);
    run.exits_with(2)?.prints(&["no adapter can be used", "mesa-vulkan-drivers", "--device cpu"])?;
    if cfg!(target_os = "linux") {
        run.prints(&["VK_DRIVER_FILES=/nowhere"])?;
    }
    Ok(())
}

pub(crate) fn missing_devices(home: &Home) -> Result<(), Failed> {
    for (device, part) in [("99", "no device 99"), ("geforce 9999", "geforce 9999")] {
        home.run(&["train", "--device", device]).is_refused(&[part, "found"])?;
        home.run_without_drivers(&["train", "--device", device]).is_refused(&[
            part,
            "no adapter was found",
            "--device cpu",
        ])?;
    }
    home.run(&["train", "--device", ""]).is_refused(&["name is empty"])?;
    if cfg!(not(target_os = "macos")) {
        home.run(&["train", "--device", "metal"]).is_refused(&["metal", "macOS"])?;
    }
    Ok(())
}

pub(crate) fn vulkan_without_driver(home: &Home) -> Result<(), Failed> {
    let run = home.run_without_drivers(&["train", "--device", "vulkan"]);
    run.is_refused(&["no adapter", "vulkan", "mesa-vulkan-drivers", "libvulkan1"])
}

pub(crate) fn automatic_without_driver(home: &Home) -> Result<(), Failed> {
    let words = ["train", "--dataset", "generated", "--generated-images", "200", "--validation", "0", "--epochs", "1"];
    let run = home.run_without_drivers(&[&words[..], &["--model", "flatten, dense 10", "--out", "run"]].concat());
    run.exits_with(0)?
        .says(&["the CPU", "no GPU is used", "apt-get install", "mesa-vulkan-drivers"])?
        .prints(&["test accuracy"])?;
    Ok(())
}

pub(crate) fn automatic_among_software(home: &Home) -> Result<(), Failed> {
    let adapters = home.run(&["devices", "--json"]).json()?;
    let usable: Vec<_> =
        adapters.as_array().into_iter().flatten().filter(|adapter| adapter["unusable"].is_null()).collect();
    let is_software = |adapter: &&Value| adapter["kind"] == "software";
    let is_tried = usable.iter().all(is_software) && usable.iter().any(|adapter| adapter["backend"] != "gl");
    let mut devices = Vec::new();
    for when in ["measured now", "measured before"] {
        let run = home.train(&["--device", "auto", "--out", when]);
        run.exits_with(0)?;
        check(run.stderr.contains(&format!("({when})")) == is_tried, run.stderr)?;
        let record = home.json(&format!("{when}/run.json"))?;
        let command = record["command"].as_array().cloned().unwrap_or_default();
        let device = command.iter().skip_while(|word| **word != "--device").nth(1).cloned().unwrap_or_default();
        let is_adapter = record["adapter"]["index"].as_u64().map(|index| index.to_string());
        check(device == is_adapter.as_deref().unwrap_or("cpu"), format!("{device} in {record}"))?;
        devices.push(device);
    }
    check(devices[0] == devices[1], format!("{devices:?}"))?;
    // A few images are not worth kernels.
    let run = home.run(&["eval", "measured now"]);
    let takes_cpu = usable.iter().all(is_software);
    check(run.stderr.contains("device: the CPU") == takes_cpu, run.stderr)
}

pub(crate) fn verify_without_adapter(home: &Home) -> Result<(), Failed> {
    home.run(&["verify", "--device", "cpu"]).is_refused(&["--device cpu", "adapter"])?;
    home.run_without_drivers(&["verify"]).is_refused(&["no GPU was found", "mesa-vulkan-drivers"])?;
    home.run(&["verify", "conv3d"]).is_refused(&["conv3d", "conv2d_forward", "lockstep"])
}

pub(crate) fn train_on_adapter(home: &Home, device: &str) -> Result<(), Failed> {
    let words =
        ["train", "--device", device, "--dataset", "generated", "--generated-images", "200", "--validation", "0"];
    let run = home.run(&[&words[..], &["--model", "flatten, dense 10", "--epochs", "1", "--out", "run"]].concat());
    run.exits_with(0)?.prints(&["test accuracy"])?;
    let record = home.json("run/run.json")?;
    check(record["adapter"]["index"].as_u64() == device.parse().ok(), record.to_string())?;
    check(record["adapter"]["driver_version"].is_string(), "the driver's version is not kept")
}
