//! What the values of one PV do to its alarm: latching, acknowledging, delays, counts, maintenance.
//!
//! A [`Leaf`] is a state machine. Each call gets the moment and returns what has to be told ([`Told`]); a delay that
//! is running is asked for with [`Leaf::deadline`] and given with [`Leaf::expire`]. The steps follow the alarm server
//! of Phoebus, including those that look unintended, because clients and operators know them; each of those says so.

use std::time::Duration;

use crate::severity::Severity;
use crate::state::{ClientState, DISABLED, OK, State};
use crate::text::Text;
use crate::time::Time;

/// How the alarm of a PV behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether an alarm stays until it is acknowledged.
    pub latching: bool,
    /// Whether a new alarm is announced.
    pub annunciating: bool,
    /// Seconds that it must last before it counts.
    delay: u32,
    /// How many alarms within the delay count at once; 0 does not count. Without a delay this has no effect.
    count: u32,
}

/// Times of so many alarms are kept for one PV; a larger count would never be reached within a delay.
const LARGEST_COUNT: u32 = 10_000;

impl Behaviour {
    /// With a delay in seconds; 0 is none.
    pub fn new(latching: bool, annunciating: bool, delay: u32, count: u32) -> Self {
        Self {
            latching,
            annunciating,
            delay,
            count: count.min(LARGEST_COUNT),
        }
    }

    /// How long an alarm must last before it counts.
    pub fn delay(&self) -> Duration {
        Duration::from_secs(u64::from(self.delay))
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latching: true,
            annunciating: true,
            delay: 0,
            count: 0,
        }
    }
}

/// What has to be told after something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Told {
    /// The state has to be published.
    pub state: bool,
    /// The alarm has to be announced, with this severity.
    pub annunciate: Option<Severity>,
}

impl Told {
    const NOTHING: Self = Self {
        state: false,
        annunciate: None,
    };
    const STATE: Self = Self {
        state: true,
        annunciate: None,
    };
}

/// An alarm that waits for its delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What becomes the alarm.
    pub state: State,
    /// When.
    pub due: Time,
}

/// Everything of a leaf that has to survive a restart of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The alarm and the PV's own state.
    pub state: ClientState,
    /// The alarm that waits for its delay.
    pub pending: Option<Pending>,
    /// Times of the alarms that count towards the limit, oldest first.
    pub counted: Vec<Time>,
}

/// Whether a leaf is watched, and what is known of the PV while it is not.
#[derive(Debug, Clone, Default)]
enum Missed {
    /// It is watched.
    #[default]
    Watched,
    /// Disabled, with the last that was heard of the PV.
    Heard(Box<State>),
    /// Disabled and not even connected: enabling waits for news.
    Unknown,
}

/// The alarm of one PV.
#[derive(Debug, Clone)]
pub struct Leaf {
    behaviour: Behaviour,
    /// The PV itself.
    current: State,
    /// What clients see.
    alarm: State,
    /// What is missed while disabled.
    missed: Missed,
    waits: Option<Box<Waits>>,
}

/// What only leaves with a delay have.
#[derive(Debug, Clone, Default)]
struct Waits {
    pending: Option<Pending>,
    /// Times of the alarms that count towards the limit, oldest first.
    counted: Vec<Time>,
}

impl Leaf {
    /// A PV of which nothing is known yet.
    pub fn new(behaviour: Behaviour, now: Time) -> Self {
        let unknown = State::new(Severity::Ok, "", "", now);
        Self {
            behaviour,
            current: unknown.clone(),
            alarm: unknown,
            missed: Missed::Watched,
            waits: None,
        }
    }

    /// A PV whose state was published before this server started.
    ///
    /// The stored alarm goes on, also an acknowledged one; that it latched just now is no longer true.
    pub fn restored(behaviour: Behaviour, stored: &ClientState, now: Time) -> Self {
        Self {
            behaviour,
            current: State::new(
                stored.current_severity,
                stored.current_message.clone(),
                "?",
                now,
            ),
            alarm: stored.alarm.clone().with_latch(false),
            missed: Missed::Watched,
            waits: None,
        }
    }

    /// A PV whose whole memory was kept, delays and counts included.
    pub fn remembered(behaviour: Behaviour, memory: Memory, now: Time) -> Self {
        let mut leaf = Self::restored(behaviour, &memory.state, now);
        leaf.waits = Some(Box::new(Waits {
            pending: memory.pending,
            counted: memory.counted,
        }));
        leaf.trim_count();
        leaf
    }

    /// A PV whose server went on up to this moment, and whose whole memory was kept: also that it latched just now, and
    /// that it is disabled.
    pub fn continued(behaviour: Behaviour, memory: Memory, is_disabled: bool, now: Time) -> Self {
        let latch = memory.state.alarm.latch;
        let mut leaf = Self::remembered(behaviour, memory, now);
        leaf.alarm.latch = latch;
        if is_disabled {
            leaf.missed = Missed::Unknown;
        }
        leaf.tidy();
        leaf
    }

    /// What a PV whose server went on up to this moment said, if that is what is known of it: with its value and its time.
    pub(crate) fn recall(&mut self, heard: &State) {
        let current = (self.current.severity, &self.current.message);
        if !self.is_disabled() && current == (heard.severity, &heard.message) {
            self.current = heard.clone();
        }
    }

    /// What a restart has to know.
    pub fn memory(&self) -> Memory {
        Memory {
            state: self.state(),
            pending: self.pending().cloned(),
            counted: self.counted().to_vec(),
        }
    }

    /// What clients see.
    pub fn state(&self) -> ClientState {
        ClientState {
            alarm: self.alarm.clone(),
            current_severity: self.current.severity,
            current_message: self.current.message.clone(),
        }
    }

    /// The alarm.
    pub fn alarm(&self) -> &State {
        &self.alarm
    }

    /// What the PV itself is; of a disabled one what is shown of it.
    pub fn current(&self) -> &State {
        &self.current
    }

    /// The last that was heard of the PV, also while it is disabled.
    pub(crate) fn heard(&self) -> Option<&State> {
        match &self.missed {
            Missed::Watched => Some(&self.current),
            Missed::Heard(state) => Some(state),
            Missed::Unknown => None,
        }
    }

    /// The alarm that waits for its delay.
    pub fn pending(&self) -> Option<&Pending> {
        self.waits.as_ref()?.pending.as_ref()
    }

    /// Times of the alarms that count towards the limit, oldest first.
    pub fn counted(&self) -> &[Time] {
        self.waits.as_ref().map_or(&[], |waits| &waits.counted)
    }

    /// Severity of the alarm.
    pub fn severity(&self) -> Severity {
        self.alarm.severity
    }

    /// Whether it is disabled.
    pub fn is_disabled(&self) -> bool {
        !matches!(self.missed, Missed::Watched)
    }

    /// When [`Leaf::expire`] is wanted.
    pub fn deadline(&self) -> Option<Time> {
        self.pending().map(|pending| pending.due)
    }

    /// Takes over another behaviour. The alarm, its latch and its acknowledgement stay.
    ///
    /// A delay that is no longer wanted ends now; one that got shorter or longer counts from when it began. An alarm that
    /// only its latch held is over when it does not latch any more.
    pub fn set_behaviour(&mut self, behaviour: Behaviour, maintenance: bool, now: Time) -> Told {
        let before = std::mem::replace(&mut self.behaviour, behaviour);
        self.trim_count();
        let is_let_go = before.latching && !behaviour.latching && self.is_held();
        if is_let_go {
            self.let_go();
        }
        let told = self.set_delay(before.delay(), maintenance, now);
        Told {
            state: told.state || is_let_go,
            ..told
        }
    }

    fn set_delay(&mut self, before: Duration, maintenance: bool, now: Time) -> Told {
        let delay = self.behaviour.delay();
        let Some(pending) = self.waits.as_mut().and_then(|waits| waits.pending.as_mut()) else {
            return Told::NOTHING;
        };
        if before == delay {
            return Told::NOTHING;
        }
        let left = pending.due.since(now);
        let waited = before.saturating_sub(left);
        pending.due = now.after(delay.saturating_sub(waited));
        if pending.due <= now {
            return self.expire(maintenance, now);
        }
        Told::NOTHING
    }

    /// A value, or the loss of the connection.
    pub fn receive(&mut self, received: State, maintenance: bool, now: Time) -> Told {
        if self.is_disabled() {
            self.missed = Missed::Heard(Box::new(received));
            return Told::NOTHING;
        }
        let before = std::mem::replace(&mut self.current, received.clone());
        // what only changes the value is no change of the alarm; acknowledging shows it
        if received.severity == before.severity && received.message == before.message {
            return Told::NOTHING;
        }
        let cleared = received.severity == Severity::Ok && !self.alarm.severity.is_active();
        let leaves_invalid = maintenance
            && received.severity < Severity::Invalid
            && self.alarm.severity.priority() >= Severity::Invalid.priority();
        if cleared || leaves_invalid {
            self.alarm = State {
                severity: Severity::Ok,
                message: Text::Fixed(&OK),
                value: received.value.clone(),
                time: received.time,
                latch: false,
            };
            self.end_pending();
        }
        let delayed = self.behaviour.delay > 0;
        self.update(&received, delayed, maintenance, now)
    }

    /// The delay has passed. Does nothing if none was running or it is too early.
    pub fn expire(&mut self, maintenance: bool, now: Time) -> Told {
        let waits = self.waits.as_mut();
        let due = waits.and_then(|waits| waits.pending.take_if(|pending| pending.due <= now));
        let Some(pending) = due else {
            return Told::NOTHING;
        };
        self.tidy();
        let is_over =
            self.current.severity == Severity::Ok && self.current.time > pending.state.time;
        if self.is_disabled() || is_over {
            return Told::NOTHING;
        }
        self.update(&pending.state, false, maintenance, now)
    }

    /// Somebody acknowledges the alarm.
    pub fn acknowledge(&mut self, now: Time) -> Told {
        if self.current.severity == Severity::Ok {
            // also a disabled one: Phoebus overwrites `Disabled` with `OK`
            self.alarm = State {
                severity: Severity::Ok,
                message: Text::Fixed(&OK),
                value: self.current.value.clone(),
                time: now,
                latch: false,
            };
        } else if self.current.severity < self.alarm.severity {
            let severity = self.current.severity.acknowledged();
            self.alarm = self.current.clone().with_severity(severity);
        } else {
            // an alarm that has just latched keeps saying so
            self.alarm.severity = self.alarm.severity.acknowledged();
        }
        Told::STATE
    }

    /// Somebody takes the acknowledgement back.
    pub fn unacknowledge(&mut self) -> Told {
        let severity = self.current.severity.unacknowledged();
        self.alarm = self
            .current
            .clone()
            .with_severity(severity)
            .with_latch(false);
        Told::STATE
    }

    /// Disables or enables it. Enabling goes on with the last that was heard of the PV.
    pub fn set_enabled(&mut self, enabled: bool, maintenance: bool, now: Time) -> Told {
        if enabled {
            let missed = std::mem::take(&mut self.missed);
            if !matches!(missed, Missed::Watched) && self.alarm.message == DISABLED {
                self.alarm.message = Text::Fixed(&OK);
            }
            return match missed {
                Missed::Watched | Missed::Unknown => Told::NOTHING,
                Missed::Heard(last) => self.receive(*last, maintenance, now),
            };
        }
        if self.is_disabled() {
            return Told::NOTHING;
        }
        let shown = State {
            severity: Severity::Ok,
            message: Text::Fixed(&OK),
            value: self.current.value.clone(),
            time: now,
            latch: false,
        };
        let last = std::mem::replace(&mut self.current, shown);
        self.missed = Missed::Heard(Box::new(last));
        self.alarm = State::new(Severity::Ok, DISABLED, "", now);
        self.end_pending();
        Told::STATE
    }

    /// The PV of a disabled leaf is let go: what was heard of it is no longer true.
    pub fn forget(&mut self) {
        if self.is_disabled() {
            self.missed = Missed::Unknown;
        }
    }

    /// Maintenance begins: what is invalid or worse counts as acknowledged.
    pub fn enter_maintenance(&mut self, now: Time) -> Told {
        if self.alarm.severity < Severity::Invalid {
            return Told::NOTHING;
        }
        self.acknowledge(now)
    }

    /// Whether the PV is better than its alarm says.
    fn is_held(&self) -> bool {
        self.alarm.severity.is_active()
            && self.current.severity.priority() < self.alarm.severity.priority()
    }

    fn let_go(&mut self) {
        let mut shown = self.current.clone();
        if shown.severity == Severity::Ok {
            shown.message = Text::Fixed(&OK);
        }
        self.alarm = shown;
    }

    fn update(&mut self, received: &State, delayed: bool, maintenance: bool, now: Time) -> Told {
        let before = self.alarm.severity;
        let mut raised = None;
        if let Some(new) = self.latched(received) {
            if delayed && received.severity != Severity::Ok {
                if self.wait(new.clone(), received, now) {
                    raised = Some(new);
                }
            } else {
                raised = Some(new);
            }
        }
        let mut annunciate = None;
        if let Some(new) = raised {
            if new.severity.priority() > before.priority() && self.behaviour.annunciating {
                annunciate = Some(new.severity);
            }
            self.alarm = new;
        }
        if maintenance && self.alarm.severity >= Severity::Invalid {
            self.alarm.severity = self.alarm.severity.acknowledged();
            annunciate = None;
        }
        Told {
            state: true,
            annunciate,
        }
    }

    /// What `received` makes of the alarm, or of the alarm that is pending; `None` leaves it.
    fn latched(&self, received: &State) -> Option<State> {
        let base = self.pending().map_or(&self.alarm, |pending| &pending.state);
        let is_worse = received.severity.priority() > base.severity.priority();
        if self.behaviour.latching {
            if is_worse {
                return Some(received.clone().with_latch(true));
            }
            return base.latch.then(|| base.clone().with_latch(false));
        }
        (base.severity.is_active() || is_worse).then(|| received.clone())
    }

    /// Lets an alarm wait, unless enough of them have come within the delay: then true.
    ///
    /// A delay that runs already is not begun again, it only gets the newer alarm.
    fn wait(&mut self, new: State, received: &State, now: Time) -> bool {
        let waits = self.waits.get_or_insert_default();
        match &mut waits.pending {
            Some(pending) => pending.state = new,
            None => {
                waits.pending = Some(Pending {
                    state: new,
                    due: now.after(self.behaviour.delay()),
                });
            }
        }
        if self.behaviour.count == 0 {
            return false;
        }
        waits.counted.push(received.time);
        let most = self.most_counted();
        self.trim_count();
        let (Some(oldest), Some(newest)) = (self.counted().first(), self.counted().last()) else {
            return false;
        };
        let enough =
            self.counted().len() == most && newest.since(*oldest) <= self.behaviour.delay();
        if enough {
            self.waits = None;
        }
        enough
    }

    fn most_counted(&self) -> usize {
        usize::try_from(self.behaviour.count).unwrap_or(usize::MAX)
    }

    fn trim_count(&mut self) {
        let most = self.most_counted();
        if let Some(waits) = &mut self.waits {
            let surplus = waits.counted.len().saturating_sub(most);
            waits.counted.drain(..surplus);
        }
        self.tidy();
    }

    fn end_pending(&mut self) {
        if let Some(waits) = &mut self.waits {
            waits.pending = None;
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.waits
            .take_if(|waits| waits.pending.is_none() && waits.counted.is_empty());
    }
}

#[cfg(test)]
mod tests;
