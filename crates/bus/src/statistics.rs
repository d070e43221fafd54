//! Counts for metrics. Plain values: what they become (Prometheus, a table) is decided elsewhere.

use std::time::Duration;

/// What a process did with a bus since it opened it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Records that were taken from writers and are not yet written for good.
    pub buffered_records: u64,
    /// Their bytes, keys and values.
    pub buffered_bytes: u64,
    /// How many records a writer's buffer takes at most.
    pub buffer_limit: u64,
    /// Records written for good.
    pub written: u64,
    /// Records that were not taken because the buffer was full.
    pub overflowed: u64,
    /// Records that the bus refused for good.
    pub refused: u64,
    /// Records given to readers.
    pub read: u64,
    /// Records on the bus that the slowest reader has not been given yet, as far as is known.
    pub lag: u64,
    /// Whether the bus can be reached and written to, as far as is known.
    pub connected: bool,
    /// How often it came back after it could not be reached or written to.
    pub reconnects: u64,
    /// Errors, those included that were overcome by trying again.
    pub errors: u64,
    /// The newest of them.
    pub last_error: Option<String>,
    /// From `send` to written for good.
    pub write_latency: Histogram,
}

/// Durations counted by their size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many were at most as long as the bound of the same index in [`Histogram::BOUNDS`] and longer than the one
    /// before; the last counts those above all bounds.
    pub counts: [u64; Histogram::BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    /// Upper bounds of the classes.
    pub const BOUNDS: [Duration; 12] = [
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_millis(2),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_secs(2),
        Duration::from_secs(10),
    ];

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts `times` durations of this length.
    pub(crate) fn add(&mut self, duration: Duration, times: u64) {
        let class = Self::BOUNDS
            .iter()
            .position(|bound| duration <= *bound)
            .unwrap_or(Self::BOUNDS.len());
        self.counts[class] += times;
        self.sum += duration.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_the_class_whose_bound_they_reach() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_micros(250), 2);
        histogram.add(Duration::from_micros(251), 1);
        histogram.add(Duration::from_mins(1), 1);
        assert_eq!(
            (
                histogram.counts[0],
                histogram.counts[1],
                histogram.counts[12]
            ),
            (2, 1, 1)
        );
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.sum, Duration::from_micros(60_000_751));
    }
}
