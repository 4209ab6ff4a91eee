//! TensorBoard's event files: frames of protocol-buffer messages, each length and message with a masked CRC-32C.
//!
//! TensorFlow's `tensorflow/core/lib/io/record_writer.h` and `tensorflow/core/util/event.proto` define the format. Only
//! the fields that scalars need are here.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

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
/// If the folder cannot be made or written to, or the run's start is not a date.
pub fn write(folder: &Path, report: &RunReport) -> Result<()> {
    let name = folder.display();
    let started = &report.record.started;
    let time = humantime::parse_rfc3339(started)
        .with_context(|| format!("cannot write TensorBoard's files: the run's start, `{started}`, is not a date"))?;
    let start = time.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {name} for TensorBoard's files"))?;
    let file = folder.join(format!("events.out.tfevents.{start:.0}.gpu-digits"));
    let mut bytes = Vec::new();
    for event in events(start, report) {
        append(&mut bytes, &event);
    }
    write_atomically(&file, &bytes)
}

/// The file's version and the named values of the curve's steps, the epochs and the test, in the order of steps, each
/// at its time.
fn events(start: f64, report: &RunReport) -> Vec<Event> {
    let clock = Clock::new(report);
    let version = Event { wall_time: start, step: 0, file_version: Some("brain.Event:2".to_owned()), summary: None };
    let event = |(step, values): Scalars| {
        let value = values.into_iter().map(|(tag, value)| Value { tag, simple_value: value as f32 }).collect();
        let wall_time = start + clock.seconds_at(step);
        Event { wall_time, step: step as i64, file_version: None, summary: Some(Summary { value }) }
    };
    std::iter::once(version).chain(scalars(report).into_iter().map(event)).collect()
}

/// The time of each step, in seconds from the run's start.
struct Clock {
    /// The steps done and the time at the beginning and the end of each epoch's training.
    marks: Vec<(f64, f64)>,
}

impl Clock {
    fn new(report: &RunReport) -> Self {
        let (mut marks, mut last) = (Vec::new(), (0.0, 0.0));
        for epoch in &report.epochs {
            // Runs of older versions stored only the seconds of training.
            let end = epoch.elapsed_seconds.unwrap_or(last.1 + epoch.seconds);
            let begin = (end - epoch.seconds).max(last.1);
            if begin.is_finite() && end.is_finite() {
                marks.push((last.0, begin));
                last = (epoch.step as f64, end);
                marks.push(last);
            }
        }
        Self { marks }
    }

    /// Between two marks, steps are assumed to be evenly spaced.
    fn seconds_at(&self, step: usize) -> f64 {
        let step = step as f64;
        let after = self.marks.iter().position(|mark| mark.0 >= step && mark.0 > 0.0);
        match after.map(|index| (self.marks.get(index.wrapping_sub(1)), self.marks[index])) {
            Some((Some(before), after)) if after.0 > before.0 => {
                before.1 + (after.1 - before.1) * (step - before.0) / (after.0 - before.0)
            }
            Some((_, after)) => after.1,
            None => self.marks.last().map_or(0.0, |mark| mark.1),
        }
    }
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

/// The format rotates and shifts each checksum, because a checksum of data that contains checksums is weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::report::sample;

    #[test]
    fn each_step_and_epoch_has_its_own_time() {
        let mut report = sample::report(2, |_| 1.0);
        // Two seconds of training end 3 and 7 seconds after the start: between them lies an evaluation.
        for (epoch, elapsed) in report.epochs.iter_mut().zip([3.0, 7.0]) {
            epoch.elapsed_seconds = Some(elapsed);
        }
        let events = events(1000.0, &report);
        let at = |step: i64, tag: &str| {
            let has =
                |event: &&Event| event.summary.iter().any(|summary| summary.value.iter().any(|value| value.tag == tag));
            events.iter().filter(has).find(|event| event.step == step).unwrap().wall_time
        };
        assert_eq!(
            [10, 50, 100, 110, 150, 200].map(|step| at(step, "train/step_loss")),
            [1001.2, 1002.0, 1003.0, 1005.2, 1006.0, 1007.0]
        );
        assert_eq!([100, 200].map(|step| at(step, "validation/loss")), [1003.0, 1007.0]);
        assert!(events.iter().skip(2).zip(&events[1..]).all(|(next, event)| next.wall_time >= event.wall_time));
    }

    #[test]
    fn runs_of_older_versions_have_times_too() {
        let report = sample::report(2, |_| 1.0);
        let clock = Clock::new(&report);
        assert_eq!([50, 100, 150, 200, 999].map(|step| clock.seconds_at(step)), [1.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(Clock { marks: vec![] }.seconds_at(5), 0.0);
    }
}
