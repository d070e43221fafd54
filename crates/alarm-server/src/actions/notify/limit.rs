//! How often a channel may be used.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// So many channels are remembered; those that have been full again longest are forgotten.
const MOST: usize = 10_000;

/// Buckets of channels: each use takes one, and they fill up again with time.
#[derive(Debug)]
pub(super) struct Limiter {
    burst: u32,
    /// How long it takes until one more may be used.
    each: Duration,
    buckets: HashMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// When it will be full.
    full: Instant,
    /// Whether something had to wait since it was last used.
    has_held: bool,
}

/// Whether a channel may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now; `held` says that something has waited for this turn.
    Now {
        /// Whether something has waited.
        held: bool,
    },
    /// Not before this.
    At(Instant),
}

impl Limiter {
    /// At most `burst` at once, and `per_minute` in the long run; 0 is no limit.
    pub(super) fn new(per_minute: u32, burst: u32) -> Self {
        let each = Duration::from_mins(1)
            .checked_div(per_minute)
            .unwrap_or_default();
        Self {
            burst: burst.max(1),
            each,
            buckets: HashMap::new(),
        }
    }

    /// Takes a turn of a channel if it has one.
    pub(super) fn take(&mut self, channel: &str, now: Instant) -> Turn {
        if self.each.is_zero() {
            return Turn::Now { held: false };
        }
        if self.buckets.len() >= MOST {
            self.buckets.retain(|_channel, bucket| bucket.full > now);
        }
        let room = self.each * (self.burst - 1);
        let bucket = self
            .buckets
            .entry(channel.to_owned())
            .or_insert_with(|| Bucket {
                full: now,
                has_held: false,
            });
        let full = bucket.full.max(now);
        // the time until it is full is what has been taken
        if full - now > room {
            bucket.has_held = true;
            return Turn::At(full - room);
        }
        bucket.full = full + self.each;
        Turn::Now {
            held: std::mem::take(&mut bucket.has_held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let mut limiter = Limiter::new(6, 3);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take("a", now), Turn::Now { held: false });
        }
        let Turn::At(next) = limiter.take("a", now) else {
            panic!("a fourth at once");
        };
        assert_eq!(next - now, Duration::from_secs(10));
        assert_eq!(limiter.take("b", now), Turn::Now { held: false });
        let almost = next.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(matches!(limiter.take("a", almost), Turn::At(_)));
        assert_eq!(limiter.take("a", next), Turn::Now { held: true });
        assert!(matches!(limiter.take("a", next), Turn::At(_)));
        let later = now + Duration::from_mins(5);
        for _ in 0..3 {
            assert!(matches!(limiter.take("a", later), Turn::Now { .. }));
        }
        assert!(matches!(limiter.take("a", later), Turn::At(_)));
    }

    #[test]
    fn without_a_limit_there_is_always_a_turn() {
        let mut limiter = Limiter::new(0, 1);
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(limiter.take("a", now), Turn::Now { held: false });
        }
    }
}
