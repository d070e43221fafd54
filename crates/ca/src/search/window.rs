//! How many search datagrams may be on their way: more as answers come, fewer as they do not.
//!
//! A Linux server holds about 90 datagrams of full size that it has not read (212,992 bytes, each counted with what the
//! kernel adds); others hold less. What is lost there is asked for again and costs everybody more than waiting. But answers
//! that come late because a machine is busy are no loss. So the number grows quickly until something is lost, and then as
//! that of TCP does: halved by a loss, one more for each round of answers.

use std::collections::VecDeque;

/// Datagrams that may be on their way when nothing is known, and when nobody answers.
const LEAST: u64 = 8;
/// Datagrams that may be on their way however fast answers come.
const MOST: u64 = 512;
/// Up to there the number grows quickly at first: less than what a server holds.
const QUICK: u64 = 80;
/// Shortest and longest time, in microseconds, after which an answer is not waited for any more.
const SHORTEST: u64 = 30_000;
const LONGEST: u64 = 1_000_000;
/// Least time between two datagrams, in microseconds, beyond a first burst.
const SPACING: u64 = 100;
/// Datagrams of a burst.
const BURST: u64 = 8;
/// Parts of a datagram that are counted.
const WHOLE: u64 = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: u64,
    /// Parts of the datagram that each name stands for.
    share: u64,
    /// Names that nobody has answered for.
    left: u32,
}

/// The datagrams on their way. All times are microseconds since some origin.
#[derive(Debug)]
pub(super) struct Window {
    sent: VecDeque<Sent>,
    /// Number of the first in `sent`.
    first: u32,
    /// How many in `sent`, the oldest, are not waited for any more; a late answer still tells how long answers take.
    overdue: usize,
    /// Parts of datagrams that nobody has answered for.
    in_flight: u64,
    /// Parts of datagrams that may be on their way.
    size: u64,
    /// Until it is that large it grows quickly.
    quick: u64,
    /// When it was last halved.
    halved: u64,
    /// Time until an answer, smoothed; `None` until there was one.
    round_trip: Option<u64>,
    earned: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            sent: VecDeque::new(),
            // 0 stands for none
            first: 1,
            overdue: 0,
            in_flight: 0,
            size: LEAST * WHOLE,
            quick: QUICK * WHOLE,
            halved: 0,
            round_trip: None,
            earned: 0,
        }
    }
}

impl Window {
    /// How long an answer is waited for.
    pub(super) fn patience(&self) -> u64 {
        let usual = self.round_trip.map_or(0, |time| time * 4);
        usual.clamp(SHORTEST, LONGEST)
    }

    /// Whether a datagram may leave.
    pub(super) fn is_open(&self, now: u64) -> bool {
        self.opens() <= now
    }

    /// When the next datagram may leave, if no answer comes before.
    pub(super) fn opens(&self) -> u64 {
        let full = self.in_flight + WHOLE > self.size;
        match self.sent.get(self.overdue) {
            Some(oldest) if full => self.earned.max(oldest.at + self.patience()),
            _ => self.earned,
        }
    }

    /// The number of the next datagram.
    pub(super) fn next_datagram(&self) -> u32 {
        let count = u32::try_from(self.sent.len()).unwrap_or_default();
        self.first.wrapping_add(count)
    }

    /// A datagram with that many names has left.
    pub(super) fn sent(&mut self, now: u64, names: u32) {
        let share = WHOLE / u64::from(names.max(1));
        self.sent.push_back(Sent {
            at: now,
            share,
            left: names,
        });
        self.in_flight += share * u64::from(names);
        // the burst is what has been earned and not used
        self.earned = self.earned.max(now.saturating_sub(BURST * SPACING)) + SPACING;
    }

    /// Somebody has a name of a datagram.
    pub(super) fn answered(&mut self, datagram: u32, now: Option<u64>) {
        let place = datagram.wrapping_sub(self.first) as usize;
        let Some(sent) = self.sent.get_mut(place).filter(|sent| sent.left > 0) else {
            return;
        };
        sent.left -= 1;
        if place >= self.overdue {
            self.in_flight = self.in_flight.saturating_sub(sent.share);
        }
        let more = if self.size < self.quick {
            sent.share
        } else {
            sent.share * WHOLE / self.size
        };
        self.size = (self.size + more).min(MOST * WHOLE);
        if let Some(now) = now {
            let time = now.saturating_sub(sent.at);
            let before = self.round_trip.unwrap_or(time);
            self.round_trip = Some((before * 15 + time) / 16);
        }
        self.forget(0);
    }

    /// What has been on its way for too long does not count any more.
    pub(super) fn expire(&mut self, now: u64) {
        let patience = self.patience();
        while let Some(sent) = self.sent.get(self.overdue)
            && sent.at + patience <= now
        {
            let lost = sent.share * u64::from(sent.left);
            self.in_flight = self.in_flight.saturating_sub(lost);
            self.overdue += 1;
        }
        self.forget(now);
    }

    /// Drops the oldest datagrams that are answered, or that nobody will answer any more.
    fn forget(&mut self, now: u64) {
        while let Some(sent) = self.sent.front()
            && (sent.left == 0 || sent.at + LONGEST <= now)
        {
            // some names of a datagram that nobody has are no sign that it was lost, and late is not lost either
            if sent.share * u64::from(sent.left) > WHOLE / 2 && self.halved + LONGEST <= now {
                self.halved = now;
                self.size = (self.size / 2).max(LEAST * WHOLE);
                self.quick = self.size;
            }
            self.sent.pop_front();
            self.first = self.first.wrapping_add(1);
            self.overdue = self.overdue.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as fast as it may for a second to a server that takes `work` microseconds for each datagram and holds 90 that it
    /// has not read, and whose answers take `way` microseconds. Says how many were sent and how many of them lost.
    fn run(work: u64, way: u64) -> (usize, usize) {
        let mut window = Window::default();
        // when the server is done with each, and those that it holds
        let mut answers: VecDeque<(u64, u32)> = VecDeque::new();
        let mut done = 0;
        let (mut count, mut lost) = (0, 0);
        for now in (0..1_000_000).step_by(20) {
            while let Some(&(at, number)) = answers.front()
                && at + way <= now
            {
                answers.pop_front();
                for _ in 0..40 {
                    window.answered(number, Some(now));
                }
            }
            window.expire(now);
            while window.is_open(now) {
                let held = answers.iter().filter(|(at, _)| *at > now).count();
                if held < 90 {
                    done = now.max(done) + work;
                    answers.push_back((done, window.next_datagram()));
                } else {
                    lost += 1;
                }
                window.sent(now, 40);
                count += 1;
            }
        }
        (count, lost)
    }

    #[test]
    fn a_server_is_kept_busy_and_not_flooded() {
        // one that could take 4000 datagrams a second
        let (count, lost) = run(250, 500);
        assert!(count > 3500 && lost < count / 20, "{count} {lost}");
        // a client that is slow to see the answers
        let (count, lost) = run(250, 50_000);
        assert!(count > 1400 && lost < count / 20, "{count} {lost}");
        // a slow server
        let (count, lost) = run(2000, 500);
        assert!(count > 300 && lost < count / 5, "{count} {lost}");
    }

    #[test]
    fn where_nobody_answers_little_is_sent() {
        let mut window = Window::default();
        let mut count = 0;
        for now in (0..1_000_000).step_by(20) {
            window.expire(now);
            while window.is_open(now) {
                window.sent(now, 40);
                count += 1;
            }
        }
        // eight in each 30 ms
        assert!((250..290).contains(&count), "{count}");
    }

    #[test]
    fn names_that_nobody_has_among_others_cost_nothing() {
        let mut window = Window::default();
        let mut waiting = VecDeque::new();
        let mut count = 0;
        for now in (0..1_000_000).step_by(20) {
            while let Some(&(at, number)) = waiting.front()
                && at + 1000 <= now
            {
                waiting.pop_front();
                (0..36).for_each(|_| window.answered(number, Some(now)));
            }
            window.expire(now);
            while window.is_open(now) {
                waiting.push_back((now, window.next_datagram()));
                window.sent(now, 40);
                count += 1;
            }
        }
        assert!(count > 5000, "{count}");
    }
}
