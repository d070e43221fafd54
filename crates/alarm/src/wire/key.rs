//! Keys of records: `<kind>:<path>`.

use std::fmt;

use crate::path::{AlarmPath, PathError};

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The definition of an item, written by clients.
    Config,
    /// The state of an item, written by the server.
    State,
    /// A wish of a client.
    Command,
    /// Words for the annunciator, written by the server.
    Talk,
}

impl Kind {
    /// The word in front of the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::State => "state",
            Self::Command => "command",
            Self::Talk => "talk",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Config, Self::State, Self::Command, Self::Talk]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// In front of a command that was obeyed when it was written: it tells who did it, and nobody obeys it.
const DONE: &str = "done:";

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is about.
    pub kind: Kind,
    /// Which item.
    pub path: AlarmPath,
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No colon: such records are passed over, whatever the topic.
    #[error("the key has no `:`")]
    NoColon,
    /// A word in front of the colon that means nothing here.
    #[error("`{0}` is no kind of record")]
    UnknownKind(String),
    /// What follows the colon is no path.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, path: AlarmPath) -> Self {
        Self { kind, path }
    }

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// Whatever it is instead.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (kind, path) = text.split_once(':').ok_or(KeyError::NoColon)?;
        let kind = Kind::from_name(kind).ok_or_else(|| {
            let shown: String = kind.chars().take(40).collect();
            KeyError::UnknownKind(shown)
        })?;
        Ok(Self {
            kind,
            path: AlarmPath::parse(path)?,
        })
    }

    /// Whether a text is the key of a command on a topic of other records.
    pub fn is_command(text: &str) -> bool {
        text.split_once(':')
            .is_some_and(|(kind, _path)| kind == Kind::Command.name())
    }

    /// The key of a command that is written when it is obeyed already, on the topic of commands.
    pub fn done(path: &AlarmPath) -> String {
        format!("{DONE}{path}")
    }

    /// Whether a text is the key of a command that was obeyed already.
    pub fn is_done(text: &str) -> bool {
        text.starts_with(DONE)
    }

    /// What stands behind the colon: of a command any word may stand in front of it, on the topic of commands.
    ///
    /// # Errors
    ///
    /// No colon.
    pub fn target(text: &str) -> Result<&str, KeyError> {
        let (_kind, path) = text.split_once(':').ok_or(KeyError::NoColon)?;
        Ok(path)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind.name(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let key = Key::parse("config:/Accelerator/Vacuum/SomePV").unwrap();
        assert_eq!((key.kind, key.path.name()), (Kind::Config, "SomePV"));
        assert_eq!(key.to_string(), "config:/Accelerator/Vacuum/SomePV");
        // a PV name has colons of its own
        assert_eq!(
            Key::parse("state:/A/SR:C01:TEMP").unwrap().path.name(),
            "SR:C01:TEMP"
        );
        assert_eq!(Key::parse("/A/b"), Err(KeyError::NoColon));
        assert_eq!(
            Key::parse("x:/A/b"),
            Err(KeyError::UnknownKind("x".to_owned()))
        );
        assert_eq!(Key::parse("state:"), Err(KeyError::Path(PathError::Empty)));
    }
}
