//! Old histories: our own lines of JSON, and documents of Phoebus' logger as they are exported from Elasticsearch, one a
//! line (`{"_index":…,"_id":…,"_source":{…}}`).
//!
//! Documents of ours say in their `_id` where on the bus they were, and come back as what they were. Those of Phoebus do
//! not: their identity is made from index and `_id`, so importing them once more changes nothing; imported beside entries
//! that our logger has read itself, they are there twice.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::entry::{Command, Config, Deletion, Entry, Event, State};
use crate::hash::hash;
use crate::phoebus::{Document, read_stored_time};

/// Why a line is nothing that can be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    /// No JSON, or JSON without the fields of either form.
    #[error("this is neither an entry nor an exported document: {0}")]
    Form(String),
    /// A time that is none.
    #[error("`{0}` is no time")]
    Time(String),
    /// The document says nothing that happened.
    #[error("the document has neither severity, command nor configuration")]
    Empty,
}

/// A document as Elasticsearch exports it.
#[derive(Debug, Deserialize)]
pub(crate) struct Exported {
    #[serde(rename = "_index")]
    pub(crate) index: String,
    #[serde(rename = "_id", default)]
    id: Option<String>,
    #[serde(rename = "_source")]
    source: Document,
}

/// Reads a line.
///
/// # Errors
///
/// What it is not.
pub fn read(line: &str) -> Result<Entry, NoEntry> {
    let own = match serde_json::from_str::<Entry>(line) {
        Ok(entry) => return Ok(entry),
        Err(error) => error,
    };
    match serde_json::from_str::<Exported>(line) {
        Ok(exported) => document(exported),
        Err(_neither) => Err(NoEntry::Form(own.to_string())),
    }
}

/// The entry that a document was made of, as far as it says.
pub(crate) fn document(exported: Exported) -> Result<Entry, NoEntry> {
    let Exported { index, id, source } = exported;
    let time = stored(&source.message_time)?;
    let (topic, offset) = match &id {
        Some(id) => own_identity(id, time).unwrap_or_else(|| (index.into(), hash(id))),
        None => (index.into(), hash(&format!("{source:?}"))),
    };
    let (path, pv) = place(&source);
    let key = source.config.clone();
    Ok(Entry {
        topic,
        offset,
        time,
        key,
        path,
        pv,
        event: event(source)?,
    })
}

/// Topic and offset in an `_id` that is [`Entry::id`].
fn own_identity(id: &str, time: Timestamp) -> Option<(Arc<str>, u64)> {
    let (rest, milliseconds) = id.rsplit_once(':')?;
    let (topic, offset) = rest.rsplit_once(':')?;
    (milliseconds.parse() == Ok(time.as_millisecond()))
        .then(|| Some((topic.into(), offset.parse().ok()?)))
        .flatten()
}

fn stored(text: &str) -> Result<Timestamp, NoEntry> {
    read_stored_time(text).map_err(|_wrong| NoEntry::Time(text.to_owned()))
}

fn event(source: Document) -> Result<Event, NoEntry> {
    if source.severity.is_some() || source.current_severity.is_some() {
        let event_time = source.time.as_deref().map(stored).transpose()?;
        return Ok(Event::State(State {
            severity: source.severity,
            latch: source.latch.as_deref() == Some("true"),
            message: source.message,
            value: source.value,
            event_time,
            current_severity: source.current_severity,
            current_message: source.current_message,
            mode: source.mode,
            notify: source.notify.as_deref() != Some("false"),
        }));
    }
    if let Some(command) = source.command {
        return Ok(Event::Command(Command {
            user: source.user,
            host: source.host,
            command,
        }));
    }
    let text = source.config_msg.ok_or(NoEntry::Empty)?;
    if source.enabled.is_none() && text.contains("\"delete\":") {
        return Ok(Event::Deletion(Deletion {
            tombstone: source.user.is_none(),
            user: source.user,
            host: source.host,
        }));
    }
    Ok(Event::Config(Config {
        user: source.user,
        host: source.host,
        enabled: source.enabled.unwrap_or_else(|| "true".to_owned()),
        latching: source.latching.as_deref() != Some("false"),
        text,
    }))
}

/// Path and last name. The key has lost its backslashes; where the name of the PV is known, its slashes are found again.
fn place(source: &Document) -> (String, String) {
    let path = source
        .config
        .split_once(':')
        .map_or("", |(_kind, path)| path);
    if let Some(pv) = &source.pv
        && let Some(above) = path.strip_suffix(pv.as_str())
        && above.ends_with('/')
    {
        return (format!("{above}{}", pv.replace('/', "\\/")), pv.clone());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    (path.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::phoebus::document as written;

    /// What a real logger stored (reference: phoebus-logger, "Documents").
    const STATE: &str = r#"{"_index":"accelerator_alarms_state_2026-11-01","_id":"abc","_source":{"severity":"UNDEFINED_ACK","current_message":"Disconnected","message_time":"2026-11-22 05:10:20.605","current_severity":"UNDEFINED","pv":"sim://x","latch":"true","time":"2026-11-22 05:08:48.955","message":"Disconnected","config":"state:/Accelerator/B/sim://x","value":"","notify":"true"}}"#;
    const COMMAND: &str = r#"{"_index":"accelerator_alarms_cmd_2026-11-01","_source":{"message_time":"2026-11-22 05:09:06.737","host":"labhost","config":"command:/Accelerator/A/t:ai1","user":"tester","command":"acknowledge"}}"#;
    const CONFIG: &str = r#"{"_index":"accelerator_alarms_config_2026-11-01","_id":"c","_source":{"config_msg":"{\"user\":\"root\",\"host\":\"vm\",\"enabled\":true}","message_time":"2026-11-22 05:08:40.642","host":"vm","config":"config:/Accelerator/A","user":"root","enabled":"true","latching":"true"}}"#;

    #[test]
    fn documents_come_back_as_what_they_were() {
        for line in [STATE, COMMAND] {
            let entry = read(line).unwrap();
            let (_index, document) = written(&entry).unwrap();
            let exported: Exported = serde_json::from_str(line).unwrap();
            assert_eq!(document, exported.source);
            assert_eq!(read(line).unwrap().id(), entry.id());
        }
        let entry = read(STATE).unwrap();
        assert_eq!(
            (entry.path.as_str(), entry.pv.as_str()),
            (r"/Accelerator/B/sim:\/\/x", "sim://x")
        );
        let Event::Config(config) = read(CONFIG).unwrap().event else {
            panic!("a configuration");
        };
        assert_eq!((config.enabled.as_str(), config.latching), ("true", true));
    }

    #[test]
    fn our_own_documents_say_where_they_were() {
        let entry = read(COMMAND).unwrap();
        let ours = Entry {
            topic: "AcceleratorCommand".into(),
            offset: 7,
            ..entry
        };
        let line = COMMAND.replacen('{', &format!(r#"{{"_id":"{}","#, ours.id()), 1);
        assert_eq!(read(&line).unwrap(), ours);
        // looks like one of ours, but is of another time
        let other = COMMAND.replacen('{', r#"{"_id":"AcceleratorCommand:7:1","#, 1);
        assert_eq!(
            &*read(&other).unwrap().topic,
            "accelerator_alarms_cmd_2026-11-01"
        );
    }

    #[test]
    fn our_own_lines() {
        let entry = read(COMMAND).unwrap();
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(read(&line).unwrap(), entry);
    }

    #[test]
    fn what_is_neither() {
        for line in ["", "[]", "{}", r#"{"_index":"x"}"#] {
            assert!(matches!(read(line), Err(NoEntry::Form(_))), "{line}");
        }
        let rows = [
            (
                r#"{"_index":"x","_source":{"message_time":"yesterday"}}"#,
                NoEntry::Time("yesterday".to_owned()),
            ),
            (
                r#"{"_index":"x","_source":{"message_time":"2026-11-22 05:09:06.737"}}"#,
                NoEntry::Empty,
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line), Err(expected));
        }
    }
}
