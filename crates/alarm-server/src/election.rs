//! Who leads: decided from what is heard of the others and from the passing of time, without doing anything.
//!
//! The one that leads gives a sign of life every half second; who hears none for some time takes the right to write,
//! which shuts the old leader out for good, reads everything that was written before, and only then speaks. The bus
//! sees to it that never two write; what is decided here is when to try.
//!
//! Times are those of one process' steady clock, from any beginning.

use std::time::Duration;

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From one sign of life to the next.
    pub beat: Duration,
    /// After so much silence the leader counts as gone.
    pub silence: Duration,
    /// By so much earlier a leader that cannot give a sign of life stops acting.
    pub margin: Duration,
    /// How long each of those who go first gets to take the place.
    pub turn: Duration,
    /// So much longer is waited for one that has something to do before it speaks: it has taken the right to write and
    /// reads, or the bus was away.
    pub reading: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(500),
            silence: Duration::from_millis(1500),
            margin: Duration::from_millis(300),
            turn: Duration::from_millis(700),
            reading: Duration::from_millis(1500),
        }
    }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Time passes; wanted every fifth of [`Timing::beat`].
    Tick,
    /// A sign of life of the leader of that term was read; with a farewell it is the last one.
    Beat {
        /// Counts the leaders.
        term: u64,
        /// It hands over.
        farewell: bool,
    },
    /// The process that leads has ended, for certain, or nobody leads.
    Gone,
    /// The bus cannot be reached: nothing can be heard, and nobody can speak.
    Deaf,
    /// Somebody has written with the right to write: one leads, or is about to.
    Written,
    /// Somebody else has taken the right to write, and is about to lead.
    Begun,
    /// The right to write was taken.
    Taken,
    /// Somebody else was faster, or it did not work.
    NotTaken,
    /// Everything was read that was written before.
    Read,
    /// The sign of life of that moment is written for good.
    Confirmed(Duration),
    /// Somebody else has taken the right to write.
    Fenced,
}

/// Why the place of a leader is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody has led before.
    First,
    /// It said farewell.
    Farewell,
    /// Its process has ended.
    Ended,
    /// Nothing was heard of it for so long.
    Silence(Duration),
}

impl std::fmt::Display for Why {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First => formatter.write_str("nobody leads"),
            Self::Farewell => formatter.write_str("the leader handed over"),
            Self::Ended => formatter.write_str("the process of the leader has ended"),
            Self::Silence(time) => {
                write!(
                    formatter,
                    "nothing was heard of the leader for {:.1} s",
                    time.as_secs_f64()
                )
            }
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Take the right to write, for that term.
    Take(Why),
    /// Read everything that was written up to now.
    Read,
    /// Speak, and give a sign of life with everything else.
    Speak,
    /// Give a sign of life.
    Beat,
    /// Say nothing more.
    Yield,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Following,
    Taking(Why),
    Reading(Why),
    Leading,
    Fenced,
}

/// The state of one server.
#[derive(Debug)]
pub struct Election {
    timing: Timing,
    role: Role,
    /// The newest term that was heard of.
    term: u64,
    has_leader: bool,
    /// The leader has handed over.
    is_free: bool,
    /// So many others go first.
    ahead: u32,
    /// Another has taken the right to write, or begins to write anew, and has not spoken yet.
    is_busy: bool,
    heard: Duration,
    ticked: Duration,
    beaten: Duration,
    confirmed: Duration,
}

impl Election {
    /// A server that has read everything up to now, with what it read of leaders.
    pub fn new(timing: Timing, term: u64, now: Duration) -> Self {
        Self {
            timing,
            role: Role::Following,
            term,
            has_leader: term > 0,
            is_free: false,
            ahead: 0,
            is_busy: false,
            heard: now,
            ticked: now,
            beaten: now,
            confirmed: now,
        }
    }

    /// The term of the leader, which may be this server.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Whether this server leads.
    pub fn is_leading(&self) -> bool {
        self.role == Role::Leading
    }

    /// Whether this server may do what cannot be taken back: it leads, and others have heard of it lately.
    pub fn may_act(&self, now: Duration) -> bool {
        let patience = self.timing.silence.saturating_sub(self.timing.margin);
        self.is_leading() && now.saturating_sub(self.confirmed) < patience
    }

    /// So many others that stand by go first: several that took the right at once would only shut each other out.
    pub fn let_go_first(&mut self, others: u32) {
        self.ahead = others;
    }

    /// Something has happened; what to do about it.
    pub fn handle(&mut self, event: Event, now: Duration) -> Option<Wish> {
        match event {
            Event::Tick => self.tick(now),
            Event::Beat { term, farewell } => self.beat(term, farewell, now),
            Event::Gone => {
                let why = if self.has_leader {
                    Why::Ended
                } else {
                    Why::First
                };
                self.take(why)
            }
            Event::Written => {
                self.heard = now;
                None
            }
            Event::Deaf => {
                (self.heard, self.is_busy) = (now, true);
                None
            }
            Event::Begun => {
                if self.role == Role::Following {
                    self.heard = now;
                    (self.is_busy, self.is_free) = (true, false);
                }
                None
            }
            Event::Taken => match self.role {
                Role::Taking(why) => {
                    self.role = Role::Reading(why);
                    Some(Wish::Read)
                }
                Role::Following | Role::Reading(_) | Role::Leading | Role::Fenced => None,
            },
            Event::NotTaken => {
                if matches!(self.role, Role::Taking(_)) {
                    self.follow(now);
                }
                None
            }
            Event::Read => match self.role {
                Role::Reading(_) => {
                    self.role = Role::Leading;
                    self.term += 1;
                    self.has_leader = true;
                    (self.beaten, self.confirmed) = (now, now);
                    Some(Wish::Speak)
                }
                Role::Following | Role::Taking(_) | Role::Leading | Role::Fenced => None,
            },
            Event::Confirmed(sent) => {
                self.confirmed = self.confirmed.max(sent);
                None
            }
            Event::Fenced => match self.role {
                Role::Reading(_) | Role::Leading => {
                    self.role = Role::Fenced;
                    Some(Wish::Yield)
                }
                Role::Following | Role::Taking(_) | Role::Fenced => None,
            },
        }
    }

    fn tick(&mut self, now: Duration) -> Option<Wish> {
        // whoever was stopped has not listened: what is in the pipe comes first
        if now.saturating_sub(self.ticked) > self.timing.beat {
            self.heard = now;
        }
        self.ticked = now;
        match self.role {
            Role::Following => {
                let silence = now.saturating_sub(self.heard);
                let mut others = self.timing.turn * self.ahead;
                if self.is_busy {
                    others += self.timing.reading;
                }
                let (patience, why) = if self.is_free {
                    (others, Why::Farewell)
                } else if self.has_leader {
                    (self.timing.silence + others, Why::Silence(silence))
                } else {
                    (self.timing.silence + others, Why::First)
                };
                if silence < patience {
                    return None;
                }
                self.take(why)
            }
            Role::Leading => {
                if now.saturating_sub(self.beaten) < self.timing.beat {
                    return None;
                }
                self.beaten = now;
                Some(Wish::Beat)
            }
            Role::Taking(_) | Role::Reading(_) | Role::Fenced => None,
        }
    }

    fn beat(&mut self, term: u64, farewell: bool, now: Duration) -> Option<Wish> {
        if term < self.term || self.is_leading() {
            // late, of one that was shut out; or our own
            return None;
        }
        self.term = term;
        self.has_leader = true;
        self.heard = now;
        self.is_free = farewell;
        self.is_busy = false;
        if farewell && self.ahead == 0 {
            self.take(Why::Farewell)
        } else {
            None
        }
    }

    fn take(&mut self, why: Why) -> Option<Wish> {
        if self.role != Role::Following {
            return None;
        }
        self.role = Role::Taking(why);
        self.is_busy = false;
        Some(Wish::Take(why))
    }

    fn follow(&mut self, now: Duration) {
        self.role = Role::Following;
        self.heard = now;
    }
}

#[cfg(test)]
mod tests;
