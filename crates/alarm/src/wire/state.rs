//! `state:` messages, written by the server.

use serde_json::Value;

use crate::severity::Severity;
use crate::state::{ClientState, State};
use crate::time::Time;
use crate::wire::json::{Object, as_text};

/// What every state carries beside its own: how the server is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// The server is in maintenance mode.
    pub maintenance: bool,
    /// Notifications go out.
    pub notify: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            maintenance: false,
            notify: true,
        }
    }
}

impl Mode {
    fn write(self, mut object: Object) -> String {
        if self.maintenance {
            object = object.text("mode", "maintenance");
        }
        if !self.notify {
            object = object.boolean("notify", false);
        }
        object.finish()
    }
}

/// The state of a PV. `latch` stands there only at the update with which the alarm latched.
pub fn write_leaf(state: &ClientState, mode: Mode) -> String {
    let alarm = &state.alarm;
    let mut object = Object::new().text("severity", alarm.severity.name());
    if alarm.latch {
        object = object.boolean("latch", true);
    }
    let time = Object::new()
        .number("seconds", alarm.time.seconds)
        .number("nano", i64::from(alarm.time.nano));
    let object = object
        .text("message", &alarm.message)
        .text_or_null("value", alarm.value.text().as_deref())
        .object("time", time)
        .text("current_severity", state.current_severity.name())
        .text("current_message", &state.current_message);
    mode.write(object)
}

/// The state of a group.
pub fn write_group(severity: Severity, mode: Mode) -> String {
    mode.write(Object::new().text("severity", severity.name()))
}

/// A `state:` message as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateMessage {
    /// Of a PV: it has `current_severity`.
    Leaf(ClientState),
    /// Of a group.
    Group(Severity),
}

/// Why a `state:` message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// No JSON object.
    #[error("the message is no JSON object")]
    NoObject,
    /// A field is missing or not what it has to be.
    #[error("the field `{0}` is missing or wrong")]
    Field(&'static str),
}

/// Reads a `state:` message, whoever wrote it: unknown fields do not matter, a state without its parts is an error.
///
/// # Errors
///
/// What is missing.
pub fn read(text: &str) -> Result<StateMessage, StateError> {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
        return Err(StateError::NoObject);
    };
    let severity = |name: &'static str| -> Result<Severity, StateError> {
        let text = fields
            .get(name)
            .map(as_text)
            .ok_or(StateError::Field(name))?;
        text.parse().map_err(|_unknown| StateError::Field(name))
    };
    let text = |name: &'static str| fields.get(name).map(as_text).ok_or(StateError::Field(name));
    if !fields.contains_key("current_severity") {
        return Ok(StateMessage::Group(severity("severity")?));
    }
    let time = fields.get("time").ok_or(StateError::Field("time"))?;
    // a part that is missing counts as 0: servers before us wrote `{}` for a PV that never had a value
    let part = |name: &str| time.get(name).and_then(Value::as_i64).unwrap_or(0);
    let nano = u32::try_from(part("nano")).map_err(|_negative| StateError::Field("time"))?;
    let value = fields.get("value").ok_or(StateError::Field("value"))?;
    Ok(StateMessage::Leaf(ClientState {
        alarm: State {
            severity: severity("severity")?,
            message: text("message")?.into(),
            value: if value.is_null() {
                crate::value::Value::Null
            } else {
                as_text(value).into()
            },
            time: Time::new(part("seconds"), nano),
            latch: fields
                .get("latch")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        },
        current_severity: severity("current_severity")?,
        current_message: text("current_message")?.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_leaf_reads_back() {
        let text = r#"{"severity":"MAJOR","latch":true,"message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324137,"nano":736698566},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#;
        let Ok(StateMessage::Leaf(state)) = read(text) else {
            panic!("a leaf");
        };
        assert_eq!(write_leaf(&state, Mode::default()), text);
        let mode = Mode {
            maintenance: true,
            notify: false,
        };
        assert_eq!(
            write_leaf(&state, mode),
            text.replace('}', "\u{0}")
                .replacen('\u{0}', "}", 1)
                .replace('\u{0}', r#","mode":"maintenance","notify":false}"#)
        );
    }

    #[test]
    fn a_value_may_be_null_and_a_time_empty() {
        let text = r#"{"severity":"OK","message":"Disabled","value":null,"time":{},"current_severity":"OK","current_message":"OK","x":[1]}"#;
        let Ok(StateMessage::Leaf(state)) = read(text) else {
            panic!("a leaf");
        };
        assert_eq!(state.alarm.value.text(), None);
        assert_eq!(state.alarm.time, Time::default());
        assert!(write_leaf(&state, Mode::default()).contains(r#""value":null"#));
    }

    #[test]
    fn groups_and_what_is_missing() {
        assert_eq!(
            read(r#"{"severity":"UNDEFINED_ACK","mode":"maintenance"}"#),
            Ok(StateMessage::Group(Severity::UndefinedAck))
        );
        assert_eq!(
            write_group(Severity::Ok, Mode::default()),
            r#"{"severity":"OK"}"#
        );
        let rows = [
            ("", StateError::NoObject),
            ("[]", StateError::NoObject),
            ("{}", StateError::Field("severity")),
            (r#"{"severity":"BAD"}"#, StateError::Field("severity")),
            (
                r#"{"severity":"OK","current_severity":"OK"}"#,
                StateError::Field("time"),
            ),
        ];
        for (text, error) in rows {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }
}
