//! The server's own time: close to the machine's, and never going back.

use std::time::{SystemTime, UNIX_EPOCH};

use alarm::Time;
use tokio::time::Instant;

/// A clock that does not step back.
///
/// When the machine's clock is set forward, this one follows at once. When it is set back, this one runs at half speed
/// until it is met: delays get longer by what was set back at most, and nothing stands still.
#[derive(Debug)]
pub struct Clock {
    last: Time,
    seen: Instant,
    /// Only tests do without the machine's clock.
    follows_machine: bool,
}

impl Clock {
    /// A clock that follows the machine's.
    pub fn machine() -> Self {
        Self {
            last: machine(),
            seen: Instant::now(),
            follows_machine: true,
        }
    }

    /// A clock that begins at `start` and follows the runtime's, which tests can pause.
    pub fn runtime(start: Time) -> Self {
        Self {
            last: start,
            seen: Instant::now(),
            follows_machine: false,
        }
    }

    /// What time it is.
    pub fn now(&mut self) -> Time {
        let machine = self.follows_machine.then(machine);
        self.advance(Instant::now(), machine)
    }

    fn advance(&mut self, instant: Instant, machine: Option<Time>) -> Time {
        let passed = instant.saturating_duration_since(self.seen);
        self.seen = instant;
        let steady = self.last.after(passed);
        self.last = match machine {
            None => steady,
            Some(machine) if machine >= steady => machine,
            // behind by no more than the two clocks differ in precision, or set back: slow down
            Some(machine) => self.last.after(passed / 2).max(machine),
        };
        self.last
    }
}

fn machine() -> Time {
    time_of(SystemTime::now())
}

/// A time of the standard library as the messages carry it; times before 1970 count as 1970.
pub fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::default().after(since)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_slows_this_one_down() {
        let begin = Instant::now();
        let mut clock = Clock {
            last: Time::new(1000, 0),
            seen: begin,
            follows_machine: true,
        };
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(
            clock.advance(after(1), Some(Time::new(1001, 0))),
            Time::new(1001, 0)
        );
        // ten seconds back: half speed
        assert_eq!(
            clock.advance(after(3), Some(Time::new(993, 0))),
            Time::new(1002, 0)
        );
        // until they meet
        assert_eq!(
            clock.advance(after(23), Some(Time::new(1013, 0))),
            Time::new(1013, 0)
        );
        // and forward at once
        assert_eq!(
            clock.advance(after(24), Some(Time::new(5000, 0))),
            Time::new(5000, 0)
        );
    }
}
