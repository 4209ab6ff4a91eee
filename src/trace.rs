//! A timeline of training steps: the host's work, and each kernel on the device.

use anyhow::Result;
use serde_json::{Value, json};

/// The place of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The program.
    Host,
    /// The device.
    Device,
}

/// A span of time.
#[derive(Clone, Debug)]
pub struct Span {
    /// Where.
    pub track: Track,
    /// Its name: `encode`, `submit`, or a kernel.
    pub name: String,
    /// The layer, the variant with its sizes, and the shapes of its operands.
    pub details: Vec<(&'static str, String)>,
    /// The start, from the beginning of the trace.
    pub start_seconds: f64,
    /// The duration.
    pub seconds: f64,
}

/// Spans in the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing show: JSON.
///
/// # Errors
/// If JSON cannot be made of them.
pub fn to_json(device: &str, spans: &[Span]) -> Result<String> {
    let thread = |track: Track| match track {
        Track::Host => 1,
        Track::Device => 2,
    };
    let named = |track, name: &str| json!({"name": "thread_name", "ph": "M", "pid": 1, "tid": thread(track), "args": {"name": name}});
    let mut events = vec![named(Track::Host, "host"), named(Track::Device, device)];
    events.extend(spans.iter().map(|span| {
        let details: serde_json::Map<String, Value> =
            span.details.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        json!({
            "name": span.name,
            "ph": "X",
            "pid": 1,
            "tid": thread(span.track),
            "ts": 1e6 * span.start_seconds,
            "dur": 1e6 * span.seconds,
            "args": details,
        })
    }));
    Ok(serde_json::to_string(&json!({"displayTimeUnit": "ms", "traceEvents": events}))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_become_events_in_microseconds() {
        let details = vec![("layer", "conv1".to_owned())];
        let span = Span { track: Track::Device, name: "relu".to_owned(), details, start_seconds: 0.5, seconds: 0.001 };
        let trace: Value = serde_json::from_str(&to_json("GPU", &[span]).unwrap()).unwrap();
        let event = &trace["traceEvents"][2];
        assert_eq!((event["ts"].as_f64(), event["dur"].as_f64()), (Some(5e5), Some(1e3)));
        assert_eq!((event["tid"].as_u64(), &event["args"]["layer"]), (Some(2), &json!("conv1")));
    }
}
