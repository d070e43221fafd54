//! `command:` messages: what clients wish.

use serde_json::Value;

use crate::wire::json::{Object, as_text};

/// A wish of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMessage {
    /// Who.
    pub user: String,
    /// From where.
    pub host: String,
    /// What.
    pub command: Command,
}

/// What a client wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Acknowledge the item and all below it.
    Acknowledge,
    /// Take the acknowledgement back.
    Unacknowledge,
    /// Maintenance mode begins (true) or ends; the path does not matter.
    Maintenance(bool),
    /// Notifications go out (true) or not; the path does not matter.
    Notify(bool),
    /// Read the configuration again.
    Restart,
    /// End the server.
    Shutdown,
    /// Print something on the server's console, which ours does not have.
    Print(String),
    /// A word that means nothing.
    Unknown(String),
}

impl Command {
    /// Reads the word. Acknowledging is recognised by its beginning, like Phoebus does.
    pub fn from_word(word: &str) -> Self {
        let lower = word.to_lowercase();
        match word {
            _ if word.starts_with("ack") => Self::Acknowledge,
            _ if word.starts_with("unack") => Self::Unacknowledge,
            "maintenance" => Self::Maintenance(true),
            "normal" => Self::Maintenance(false),
            "enable_notify" => Self::Notify(true),
            "disable_notify" => Self::Notify(false),
            "shutdown" => Self::Shutdown,
            _ if lower == "restart" => Self::Restart,
            _ if ["dump", "pvs", "disconnected", "pv"].contains(&lower.as_str()) => {
                Self::Print(lower)
            }
            _ => Self::Unknown(word.to_owned()),
        }
    }

    /// Whether it is about the item that its key names.
    pub fn needs_item(&self) -> bool {
        matches!(self, Self::Acknowledge | Self::Unacknowledge)
    }

    /// The word that is written.
    pub fn word(&self) -> &str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Unacknowledge => "unacknowledge",
            Self::Maintenance(true) => "maintenance",
            Self::Maintenance(false) => "normal",
            Self::Notify(true) => "enable_notify",
            Self::Notify(false) => "disable_notify",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
            Self::Print(word) | Self::Unknown(word) => word,
        }
    }
}

/// The message is no JSON object with a `command`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is no JSON object with a `command`")]
pub struct NoCommand;

impl CommandMessage {
    /// Reads a message; who and from where may be missing.
    ///
    /// # Errors
    ///
    /// No JSON object, or none with a command.
    pub fn read(text: &str) -> Result<Self, NoCommand> {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
            return Err(NoCommand);
        };
        let field = |name: &str| fields.get(name).map(as_text);
        Ok(Self {
            user: field("user").unwrap_or_default(),
            host: field("host").unwrap_or_default(),
            command: Command::from_word(&field("command").ok_or(NoCommand)?),
        })
    }

    /// The message as it is written.
    pub fn write(&self) -> String {
        Object::new()
            .text("user", &self.user)
            .text("host", &self.host)
            .text("command", self.command.word())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let rows = [
            ("acknowledge", Command::Acknowledge),
            ("ackn", Command::Acknowledge),
            ("unacknowledge", Command::Unacknowledge),
            ("maintenance", Command::Maintenance(true)),
            ("Maintenance", Command::Unknown("Maintenance".to_owned())),
            ("normal", Command::Maintenance(false)),
            ("RESTART", Command::Restart),
            ("Shutdown", Command::Unknown("Shutdown".to_owned())),
            ("Dump", Command::Print("dump".to_owned())),
            ("ACK", Command::Unknown("ACK".to_owned())),
        ];
        for (word, command) in rows {
            assert_eq!(Command::from_word(word), command, "{word}");
        }
    }

    #[test]
    fn messages() {
        let text = r#"{"user":"tracer","host":"tracehost","command":"acknowledge"}"#;
        assert_eq!(CommandMessage::read(text).unwrap().write(), text);
        let short = CommandMessage::read(r#"{"command":"normal","extra":{}}"#).unwrap();
        assert_eq!(
            (short.user.as_str(), short.command),
            ("", Command::Maintenance(false))
        );
        for junk in ["", "null", "[]", "{}", "acknowledge"] {
            assert_eq!(CommandMessage::read(junk), Err(NoCommand), "{junk}");
        }
    }
}
