//! Moments in time, as the messages carry them.

use std::num::NonZeroI64;
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

/// A [`Time`] in 8 bytes, for what there is of each PV: nanoseconds, between the years 1678 and 2262. A moment beyond
/// that becomes the last or the first there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(NonZeroI64);

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        let nanos = time
            .seconds
            .saturating_mul(i64::from(NANOS_PER_SECOND))
            .saturating_add(i64::from(time.nano));
        // turned around so that 0 is a moment that is never stored
        let stored = nanos.max(i64::MIN + 1) ^ i64::MIN;
        Self(NonZeroI64::new(stored).unwrap_or(NonZeroI64::MAX))
    }
}

impl From<Moment> for Time {
    fn from(moment: Moment) -> Self {
        let nanos = moment.0.get() ^ i64::MIN;
        let second = i64::from(NANOS_PER_SECOND);
        let nano = u32::try_from(nanos.rem_euclid(second)).unwrap_or(0);
        Self::new(nanos.div_euclid(second), nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_what_is_packed() {
        let packed = |seconds, nano| Time::from(Moment::from(Time::new(seconds, nano)));
        assert_eq!(packed(0, 0), Time::new(0, 0));
        assert_eq!(packed(i64::MAX, 0), Time::new(9_223_372_036, 854_775_807));
        assert_eq!(packed(i64::MIN, 0), Time::new(-9_223_372_037, 145_224_193));
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    proptest! {
        #[test]
        fn packed_and_unpacked(seconds in -9_000_000_000_i64..9_000_000_000, nano in 0_u32..NANOS_PER_SECOND) {
            let time = Time::new(seconds, nano);
            prop_assert_eq!(Time::from(Moment::from(time)), time);
        }

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
