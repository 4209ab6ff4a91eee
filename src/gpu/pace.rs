//! How many steps are submitted at once.

use std::time::Duration;

use super::adapters::Backend;

/// How large groups of steps are.
pub(super) struct Pace {
    /// Steps of the first group.
    pub(super) first: usize,
    /// The target duration of a group.
    pub(super) duration: Duration,
}

impl Pace {
    /// Long enough that the cost of submission is negligible, short enough for a driver's watchdog, a progress bar and Ctrl-C.
    const NATIVE: Self = Self { first: 1, duration: Duration::from_millis(200) };

    /// A browser may look only every 100 ms whether a group is done, as Firefox does: two small groups would leave the GPU idle
    /// most of the time.
    const BROWSER: Self = Self { first: 20, duration: Duration::from_secs(1) };

    pub(super) fn of(backend: Backend) -> Self {
        if backend == Backend::WebGpu { Self::BROWSER } else { Self::NATIVE }
    }
}
