//! The progress bar of an epoch.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::executor::Observer;

/// The progress bar of an epoch, and the ear for Ctrl-C.
pub(super) struct EpochBar {
    bar: ProgressBar,
    batch: usize,
    stop: Arc<AtomicBool>,
}

impl EpochBar {
    /// The bar of an epoch of `steps` steps.
    pub(super) fn new(title: String, steps: usize, batch: usize, stop: &Arc<AtomicBool>) -> Self {
        let bar = ProgressBar::new((steps * batch) as u64);
        let template = "epoch {prefix} {wide_bar} {human_pos}/{human_len} images  {per_sec} images/s  {msg}{eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("per_sec", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
            // A formatter of a string does not fail.
            let _ = write!(text, "{:.0}", state.per_sec());
        }));
        bar.set_prefix(title);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, batch, stop: Arc::clone(stop) }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for EpochBar {
    fn watches_history(&self) -> bool {
        !self.bar.is_hidden()
    }

    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()> {
        self.bar.set_position((steps * self.batch) as u64);
        if let Some(history) = history {
            // The mean of the last steps, since one batch's loss jumps.
            let recent = &history[2 * steps.saturating_sub(20)..2 * steps];
            let sum: f32 = recent.iter().step_by(2).sum();
            self.bar.set_message(format!("loss {:.4}  ", 2.0 * sum / (recent.len() * self.batch) as f32));
        }
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
