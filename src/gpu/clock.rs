//! Checks that a device's clock is plausible. Every use of the clock goes through this check.

use std::time::Duration;

use anyhow::Result;
use web_time::Instant;

use super::Gpu;
use super::kernel::Fresh;
use super::timestamps::Timestamps;

/// How long the host waits between the two timestamps with which it checks a clock.
const PAUSE: Duration = Duration::from_millis(20);

/// The allowed difference between two clocks.
const DRIFT: f64 = 0.05;

/// Why a span of time by a device's clock is implausible, given the least and the most time by the host's clock.
pub(super) fn doubt(device_seconds: f64, [least, most]: [f64; 2]) -> Option<String> {
    let times = |ratio: f64| format!("it runs {ratio:.3} times as fast as the host's clock");
    if device_seconds < 0.0 {
        Some("it runs backwards".to_owned())
    } else if device_seconds == 0.0 {
        Some("it stands still".to_owned())
    } else if !device_seconds.is_finite() || device_seconds > most * (1.0 + DRIFT) {
        Some(times(device_seconds / most))
    } else if device_seconds < least * (1.0 - DRIFT) {
        Some(times(device_seconds / least))
    } else {
        None
    }
}

impl Gpu {
    /// Why the device cannot time its kernels, if it cannot: it has no timestamps, or they are implausible. This is
    /// checked once, with two timestamps and a pause of the host between them.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn clock_doubt(&self) -> Result<Option<String>> {
        if let Some(known) = self.clock_doubt.get() {
            return Ok(known.clone());
        }
        let doubt = match Timestamps::new(self, 2) {
            Some(timestamps) => self.compare_clocks(&timestamps).await?,
            None => Some("the device has no timestamps".to_owned()),
        };
        Ok(self.clock_doubt.get_or_init(|| doubt).clone())
    }

    async fn compare_clocks(&self, timestamps: &Timestamps) -> Result<Option<String>> {
        let encoder = || self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let before_first = Instant::now();
        let mut first = encoder();
        timestamps.encode(&mut first, 0, std::iter::empty(), &mut Fresh::default());
        let submission = self.queue.submit([first.finish()]);
        self.wait(Some(submission), &self.done(), "the first of two timestamps").await?;
        let pause = Instant::now();
        // A page in a browser cannot sleep.
        while pause.elapsed() < PAUSE {
            std::hint::spin_loop();
        }
        let least = pause.elapsed();
        let mut second = encoder();
        timestamps.encode(&mut second, 1, std::iter::empty(), &mut Fresh::default());
        timestamps.resolve(&mut second);
        let submission = self.queue.submit([second.finish()]);
        let spans = timestamps.read(self, submission, "the second of two timestamps").await?;
        let most = before_first.elapsed();
        Ok(doubt(spans[1][0] - spans[0][1], [least, most].map(|duration| duration.as_secs_f64())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_still_runs_back_or_at_another_rate_is_not_believed() {
        let host = [0.020, 0.023];
        assert_eq!(doubt(0.021, host), None);
        assert_eq!(doubt(0.0, host).as_deref(), Some("it stands still"));
        assert_eq!(doubt(-0.021, host).as_deref(), Some("it runs backwards"));
        for wrong in [21.0, 0.000_021, 0.010, 0.050, f64::INFINITY] {
            assert!(doubt(wrong, host).is_some_and(|reason| reason.contains("times as fast")), "{wrong}");
        }
    }

    #[test]
    fn a_kernel_may_take_any_part_of_what_the_host_waited() {
        for seconds in [1e-9, 0.5, 1.0, 1.04] {
            assert_eq!(doubt(seconds, [0.0, 1.0]), None);
        }
        assert!(doubt(1.1, [0.0, 1.0]).is_some());
    }
}
