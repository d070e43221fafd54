//! `talk:` messages: words for the annunciator.

use serde_json::Value;

use crate::severity::Severity;
use crate::wire::json::Object;

/// What the server says when it has started.
pub const STARTED: &str = "* Alarm server started. Everything is going to be all right.";
/// What the server says when the bus is back.
pub const RECONNECTED: &str = "* Alarm server re-connected";

/// Words about an item. In front of `description` a `*` leaves out the severity, a `!` (also as `*!`) makes the
/// annunciator say it however much else there is.
pub fn write(severity: Severity, description: &str) -> String {
    let (plain, rest) = match description.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, description),
    };
    let (standout, words) = match rest.strip_prefix('!') {
        Some(words) => (true, words),
        None => (false, rest),
    };
    let talk = if plain {
        words.to_owned()
    } else {
        format!("{severity} Alarm: {words}")
    };
    Object::new()
        .boolean("standout", standout)
        .text("severity", severity.name())
        .text("talk", &talk)
        .finish()
}

/// Words that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// Said however much else there is.
    pub standout: bool,
    /// Severity.
    pub severity: Severity,
    /// What is said.
    pub words: String,
}

/// Reads words; nothing if they are none.
pub fn read(text: &str) -> Option<Talk> {
    let fields: Value = serde_json::from_str(text).ok()?;
    Some(Talk {
        standout: fields.get("standout")?.as_bool()?,
        severity: fields.get("severity")?.as_str()?.parse().ok()?,
        words: fields.get("talk")?.as_str()?.to_owned(),
    })
}

/// The reminder of active alarms.
pub fn nag(active: u32) -> String {
    if active == 1 {
        "* There is 1 active alarm".to_owned()
    } else {
        format!("* There are {active} active alarms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_with_marks() {
        let rows = [
            (
                "t:ai1",
                r#"{"standout":false,"severity":"MAJOR","talk":"MAJOR Alarm: t:ai1"}"#,
            ),
            (
                "*Valve",
                r#"{"standout":false,"severity":"MAJOR","talk":"Valve"}"#,
            ),
            (
                "!Valve",
                r#"{"standout":true,"severity":"MAJOR","talk":"MAJOR Alarm: Valve"}"#,
            ),
            (
                "*!Valve",
                r#"{"standout":true,"severity":"MAJOR","talk":"Valve"}"#,
            ),
        ];
        for (description, message) in rows {
            assert_eq!(write(Severity::Major, description), message);
        }
        assert_eq!(
            write(Severity::Ok, STARTED),
            r#"{"standout":false,"severity":"OK","talk":" Alarm server started. Everything is going to be all right."}"#
        );
        assert_eq!(
            read(&write(Severity::Minor, "*!Valve")),
            Some(Talk {
                standout: true,
                severity: Severity::Minor,
                words: "Valve".to_owned()
            })
        );
        assert_eq!(read("{}"), None);
        assert_eq!(nag(1), "* There is 1 active alarm");
        assert_eq!(nag(2), "* There are 2 active alarms");
    }
}
