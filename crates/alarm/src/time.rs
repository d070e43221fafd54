//! Moments in time, as the messages carry them.

use std::time::Duration;

/// A moment: seconds and nanoseconds since 1970-01-01T00:00:00 UTC.
///
/// The same type serves time stamps of values and the server's own clock. The server's clock must not step back:
/// whoever passes `now` in takes care of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nano: u32,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;

impl Time {
    /// A moment from seconds and nanoseconds; nanoseconds beyond a second are carried over.
    pub fn new(seconds: i64, nano: u32) -> Self {
        Self {
            seconds: seconds.saturating_add(i64::from(nano / NANOS_PER_SECOND)),
            nano: nano % NANOS_PER_SECOND,
        }
    }

    /// This moment and `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let nano = self.nano + span.subsec_nanos();
        Self::new(self.seconds.saturating_add(seconds), nano)
    }

    /// How long after `earlier` this is; nothing if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let (borrow, nano) = if self.nano >= earlier.nano {
            (0, self.nano - earlier.nano)
        } else {
            (1, self.nano + NANOS_PER_SECOND - earlier.nano)
        };
        let seconds = self
            .seconds
            .saturating_sub(earlier.seconds)
            .saturating_sub(borrow);
        Duration::new(u64::try_from(seconds).unwrap_or(0), nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_span_that_is_added_is_the_span_between(
            seconds in -10_000_000_000_i64..10_000_000_000,
            nano in 0_u32..NANOS_PER_SECOND,
            span_seconds in 0_u64..10_000_000,
            span_nano in 0_u32..NANOS_PER_SECOND,
        ) {
            let moment = Time::new(seconds, nano);
            let span = Duration::new(span_seconds, span_nano);
            prop_assert_eq!(moment.after(span).since(moment), span);
            prop_assert_eq!(moment.since(moment.after(span)), Duration::ZERO);
        }
    }
}
