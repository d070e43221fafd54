//! What is known of a PV at one moment: severity, message, value, time.

use crate::severity::Severity;
use crate::text::Text;
use crate::time::Time;
use crate::value::Value;

/// Message of a PV that is disabled, by its configuration or by its filter.
pub const DISABLED: &str = "Disabled";
/// Message of a PV that is not connected.
pub const DISCONNECTED: &str = "Disconnected";
/// Message of a PV that cannot be made, such as one of an unknown kind.
pub const NO_PV: &str = "No PV";
/// Message of an alarm that was cleared by the server.
pub const OK: &str = "OK";

/// A severity with the value that caused it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// How bad.
    pub severity: Severity,
    /// Why: the alarm status of the record, or one of the messages of the server.
    pub message: Text,
    /// Value at that time.
    pub value: Value,
    /// Time stamp of the value.
    pub time: Time,
    /// Whether the alarm latched with this very update.
    pub latch: bool,
}

impl State {
    /// A state that did not latch.
    pub fn new(
        severity: Severity,
        message: impl Into<Text>,
        value: impl Into<Value>,
        time: Time,
    ) -> Self {
        Self {
            severity,
            message: message.into(),
            value: value.into(),
            time,
            latch: false,
        }
    }

    /// What a PV is in when nothing connects to it.
    pub fn disconnected(now: Time) -> Self {
        Self::new(Severity::Undefined, DISCONNECTED, "", now)
    }

    /// What a PV is in that cannot be made.
    pub fn no_pv(now: Time) -> Self {
        Self::new(Severity::Undefined, NO_PV, "", now)
    }

    /// The same with that severity.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same with that latch flag.
    #[must_use]
    pub fn with_latch(mut self, latch: bool) -> Self {
        self.latch = latch;
        self
    }
}

/// What clients see of a PV: its alarm, which may be latched or acknowledged, and what it is right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientState {
    /// The alarm.
    pub alarm: State,
    /// Severity of the PV itself.
    pub current_severity: Severity,
    /// Message of the PV itself.
    pub current_message: Text,
}
