//! TensorBoard's event files: frames of protocol-buffer messages, each length and message with a masked CRC-32C.
//!
//! The format is that of TensorFlow's `tensorflow/core/lib/io/record_writer.h` and `tensorflow/core/util/event.proto`; only the
//! fields that scalars need are there.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

use super::data::RunReport;
use crate::files::write_atomically;

#[derive(Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// Writes a run's curves into a folder as a file that TensorBoard finds: `tensorboard --logdir DIR`.
///
/// # Errors
/// Where the folder cannot be made or written to.
pub fn write(folder: &Path, report: &RunReport) -> Result<()> {
    let name = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {name} for TensorBoard's files"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut bytes = Vec::new();
    let version = Event { wall_time: now, step: 0, file_version: Some("brain.Event:2".to_owned()), summary: None };
    append(&mut bytes, &version);
    for (step, values) in scalars(report) {
        let value = values.into_iter().map(|(tag, value)| Value { tag, simple_value: value as f32 }).collect();
        let summary = Some(Summary { value });
        append(&mut bytes, &Event { wall_time: now, step: step as i64, file_version: None, summary });
    }
    write_atomically(&folder.join(format!("events.out.tfevents.{now:.0}.gpu-digits")), &bytes)
}

/// A step and its named values.
type Scalars = (usize, Vec<(String, f64)>);

/// The named values of the curve's steps, the epochs and the test, in the order of steps.
fn scalars(report: &RunReport) -> Vec<Scalars> {
    let named = |name: &str, value: f64| (name.to_owned(), value);
    let mut scalars: Vec<Scalars> = Vec::new();
    for point in &report.curve {
        let rate = f64::from(point.learning_rate);
        scalars.push((point.step, vec![named("train/step_loss", point.loss), named("train/learning_rate", rate)]));
    }
    for epoch in &report.epochs {
        let mut values = vec![
            named("train/loss", epoch.loss),
            named("train/accuracy", epoch.accuracy),
            named("train/images_per_second", epoch.images_per_second),
        ];
        values.extend(epoch.validation_loss.map(|loss| named("validation/loss", loss)));
        values.extend(epoch.validation_accuracy.map(|accuracy| named("validation/accuracy", accuracy)));
        for norms in &epoch.norms {
            values.push((format!("norm/{}", norms.parameter), norms.value));
            values.push((format!("gradient_norm/{}", norms.parameter), norms.gradient));
        }
        scalars.push((epoch.step, values));
    }
    if let (Some(evaluation), Some(last)) = (&report.evaluation, report.epochs.last()) {
        let test = vec![named("test/loss", evaluation.loss), named("test/accuracy", evaluation.accuracy)];
        scalars.push((last.step, test));
    }
    scalars.sort_by_key(|(step, _)| *step);
    scalars
}

/// Length, its checksum, message, its checksum.
fn append(bytes: &mut Vec<u8>, event: &Event) {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked(&message).to_le_bytes());
}

/// A checksum of data that holds checksums is weak, so the format turns and shifts it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
