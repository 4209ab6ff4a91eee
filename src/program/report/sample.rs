//! Reports for tests, as runs would write them.

use serde_json::{Value, json};

use super::data::RunReport;

/// The report of a run of some epochs of 100 steps each, with a loss and an accuracy in each.
pub(super) fn report(epochs: usize, loss: impl Fn(usize) -> f64) -> RunReport {
    let norms = json!([{"parameter": "dense1.weight", "value": 2.5, "gradient": 0.125}]);
    let rows: Vec<Value> = (1..=epochs)
        .map(|epoch| {
            json!({"epoch": epoch, "step": 100 * epoch, "loss": loss(100 * epoch), "accuracy": 0.9,
                "validation_loss": loss(100 * epoch), "validation_accuracy": 0.91, "seconds": 2.0,
                "images_per_second": 5000.0, "learning_rate": 0.001, "norms": norms})
        })
        .collect();
    let curve: Vec<Value> = (1..=10 * epochs)
        .map(|point| json!({"step": 10 * point, "loss": loss(10 * point), "learning_rate": 0.001}))
        .collect();
    let record = json!({
        "command": ["gpu-digits", "train"], "version": "0.1.0", "commit": "0123456789",
        "started": "2026-01-02T03:04:05Z", "platform": "linux x86_64", "device": "CPU", "adapter": null,
        "model": "flatten, dense 10", "kernels": [], "seed": 0,
        "settings": {"epochs": epochs, "batch_size": 100,
            "optimizer": "Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false }",
            "precision": "f32", "learning_rate": 0.01, "schedule": "OneCycle", "shuffle": true, "validation": 100,
            "initial_weights_sha256": "00"},
        "data": {"name": "MNIST", "origin": "mnist", "sha256": "0123456789abcdef", "train_images": 10_100,
            "test_images": 1_000},
        "result": {"interrupted": false, "steps": 100 * epochs, "training_seconds": 2.0 * epochs as f64,
            "test_accuracy": 0.9, "weights_sha256": "00"},
    });
    let report = json!({"schema": 1, "record": record, "epochs": rows, "curve": curve, "evaluation": null,
        "mistakes": [], "uncertain": [], "filters": null, "activations": [], "kernels": []});
    // Go through text, because only the text parser reads values that are not finite.
    crate::json::parse(&report.to_string()).expect("the sample is a report")
}
