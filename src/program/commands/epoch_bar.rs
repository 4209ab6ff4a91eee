//! The progress bar of an epoch, and its clock.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;

use crate::executor::Observer;
use crate::numbers::loss;
use crate::ops::batch::HISTORY_COLUMNS;
use crate::program::terminal;

/// How fast an epoch went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Seconds, without the first step.
    pub(super) seconds: f64,
    /// Images per second in that time.
    pub(super) images_per_second: f64,
}

impl Pace {
    /// The pace of `steps` steps in `seconds`. `first` is the number and time of the first steps; they are left out if
    /// others followed.
    fn new(steps: usize, batch: usize, seconds: f64, first: Option<(usize, f64)>) -> Self {
        let (steps, seconds) = match first {
            Some((first_steps, first_seconds)) if first_steps < steps => (steps - first_steps, seconds - first_seconds),
            _ => (steps, seconds),
        };
        Self { seconds, images_per_second: (steps * batch) as f64 / seconds }
    }
}

/// The progress bar of an epoch, its clock, and the Ctrl-C flag.
pub(super) struct EpochBar<'a> {
    bar: ProgressBar,
    batch: usize,
    stop: Arc<AtomicBool>,
    /// Steps of the epoch that were done before this process.
    done_before: usize,
    /// Steps of the epoch that were done before the present call of the trainer.
    done: usize,
    /// When the steps are to pause for a checkpoint.
    pause: Option<Instant>,
    start: Instant,
    tell_first_step: Option<Box<dyn FnOnce(f64) + 'a>>,
    first: Option<(usize, f64)>,
}

impl<'a> EpochBar<'a> {
    /// The bar of an epoch of `steps` steps, of which `done` were done before.
    pub(super) fn new(title: String, steps: usize, done: usize, batch: usize, stop: &Arc<AtomicBool>) -> Self {
        let template = "epoch {prefix} {wide_bar} {human_pos}/{human_len} images  {per_sec} images/s  {msg}{left}";
        let bar = terminal::bar(steps * batch, template);
        bar.set_style(bar.style().with_key(
            "per_sec",
            |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
                // Writing to a string does not fail.
                let _ = write!(text, "{:.0}", state.per_sec());
            },
        ));
        bar.set_prefix(title);
        let (stop, start) = (Arc::clone(stop), Instant::now());
        Self { bar, batch, stop, done_before: done, done, pause: None, start, tell_first_step: None, first: None }
    }

    /// Goes on after `done` steps of the epoch, until the steps are to pause.
    pub(super) fn go_on(&mut self, done: usize, pause: Option<Instant>) {
        self.done = done;
        self.pause = pause;
    }

    /// Shows what the first step waits for, reports its time when it is done, and leaves it out of the epoch's pace.
    pub(super) fn on_first_step(&mut self, waits_for: &'static str, tell: impl FnOnce(f64) + 'a) {
        self.bar.set_message(waits_for);
        self.tell_first_step = Some(Box::new(tell));
    }

    /// The pace of this process in the epoch, of which `done` steps are done.
    pub(super) fn pace(&self, done: usize) -> Pace {
        Pace::new(done - self.done_before, self.batch, self.start.elapsed().as_secs_f64(), self.first)
    }

    /// Removes the bar and returns the pace.
    pub(super) fn finish(self, done: usize) -> Pace {
        self.bar.finish_and_clear();
        self.pace(done)
    }
}

impl Observer for EpochBar<'_> {
    fn watches_history(&self) -> bool {
        !self.bar.is_hidden()
    }

    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()> {
        if let Some(tell) = self.tell_first_step.take() {
            let seconds = self.start.elapsed().as_secs_f64();
            self.first = Some((steps, seconds));
            tell(seconds);
            self.bar.set_message("");
            // The first step must not count towards the bar's rate and time left.
            self.bar.reset_elapsed();
            self.bar.reset_eta();
        }
        self.bar.set_position(((self.done + steps) * self.batch) as u64);
        if let Some(history) = history {
            // Show the mean of recent steps, because the loss of one batch fluctuates.
            let (rows, _) = history.as_chunks::<HISTORY_COLUMNS>();
            let recent = &rows[steps.saturating_sub(20)..steps];
            let sum: f32 = recent.iter().map(|[loss, ..]| loss).sum();
            let mean = sum / (recent.len() * self.batch) as f32;
            if recent.iter().any(|[loss, _, fault]| !loss.is_finite() || *fault != 0.0) {
                return ControlFlow::Break(());
            }
            self.bar.set_message(format!("loss {}  ", loss(f64::from(mean))));
        }
        let pauses = self.pause.is_some_and(|pause| Instant::now() >= pause);
        if pauses || self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_left_out_of_the_pace_unless_it_is_all() {
        let pace = |steps, first| Pace::new(steps, 10, 8.0, first);
        assert_eq!(pace(4, None), Pace { seconds: 8.0, images_per_second: 5.0 });
        assert_eq!(pace(4, Some((1, 5.0))), Pace { seconds: 3.0, images_per_second: 10.0 });
        assert_eq!(pace(1, Some((1, 5.0))), Pace { seconds: 8.0, images_per_second: 1.25 });
    }
}
