//! The history in an SQLite file: the default.
//!
//! `item` has each path once, `entry` a row per entry with its identity (topic, offset, time) and what is searched for;
//! indices by time, by item and time, by severity and time, by who and time.

mod backup;
mod retention;
mod search;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior, params};

use crate::database::{self, Error, Schema, away, failed};
use crate::entry::{Entry, Event};
use crate::query;
use crate::sink::{Outcome, Sink, TryLater};

pub use search::SqliteHistory;

const SCHEMA: Schema = Schema {
    name: "an alarm history",
    // the letters `iocH`
    application: 0x696f_6348,
    version: 1,
    tables: "CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    pv TEXT NOT NULL
) STRICT;
CREATE INDEX item_pv ON item (pv);
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    -- milliseconds since 1970
    time INTEGER NOT NULL,
    item INTEGER NOT NULL,
    -- state, command, config, deletion, talk or gap
    kind TEXT NOT NULL,
    -- NULL if it is KIND:PATH
    key TEXT,
    severity TEXT,
    current_severity TEXT,
    message TEXT,
    current_message TEXT,
    value TEXT,
    user TEXT,
    host TEXT,
    command TEXT,
    -- of a configuration: true, false or a date
    enabled TEXT,
    -- nanoseconds since 1970
    event_time INTEGER,
    -- 1 latch, 2 no notifications, 4 tombstone, 8 standout, 16 does not latch
    flags INTEGER NOT NULL,
    -- text of a configuration or of talk, mode of a state, JSON of a gap
    detail TEXT
) STRICT;
CREATE UNIQUE INDEX entry_identity ON entry (topic, offset, time);
CREATE INDEX entry_time ON entry (time);
CREATE INDEX entry_item ON entry (item, time);
CREATE INDEX entry_severity ON entry (severity, time) WHERE severity IS NOT NULL;
CREATE INDEX entry_user ON entry (user, time) WHERE user IS NOT NULL;
CREATE INDEX entry_kind ON entry (kind, time) WHERE kind <> 'state';",
};

pub(crate) const LATCH: i64 = 1;
pub(crate) const SILENT: i64 = 2;
pub(crate) const TOMBSTONE: i64 = 4;
pub(crate) const STANDOUT: i64 = 8;
pub(crate) const NOT_LATCHING: i64 = 16;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries that are older go.
    pub age: Option<Duration>,
    /// The oldest go while the file has more bytes.
    pub bytes: Option<u64>,
}

/// Writes a history.
#[derive(Debug)]
pub struct SqliteSink {
    name: String,
    path: PathBuf,
    retention: Retention,
    writer: Arc<Mutex<Writer>>,
}

#[derive(Debug)]
struct Writer {
    path: PathBuf,
    connection: Connection,
    items: HashMap<String, i64>,
    topics: HashMap<Arc<str>, i64>,
}

/// The most paths that are kept in memory.
const ITEMS: usize = 200_000;

impl SqliteSink {
    /// Opens the history; makes it if it is missing.
    ///
    /// # Errors
    ///
    /// The file is something else, or cannot be read or written.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, Error> {
        let connection = database::open(path, &SCHEMA)?;
        let writer = Writer {
            path: path.to_owned(),
            connection,
            items: HashMap::new(),
            topics: HashMap::new(),
        };
        Ok(Self {
            name: format!("sqlite:{}", path.display()),
            path: path.to_owned(),
            retention,
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, TryLater> {
        let writer = Arc::clone(&self.writer);
        let done = away(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut writer);
            if done.is_err() {
                // what was not committed has no number
                writer.items.clear();
                writer.topics.clear();
            }
            done
        });
        Ok(done.await?)
    }
}

impl Sink for SqliteSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write<'a>(
        &'a mut self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<Outcome>, TryLater>> {
        async move {
            let taken = vec![Outcome::Taken; entries.len()];
            let entries = entries.to_vec();
            self.with(move |writer| writer.write(&entries)).await?;
            Ok(taken)
        }
        .boxed()
    }

    fn tidy(&mut self) -> BoxFuture<'_, Result<(), TryLater>> {
        let retention = self.retention;
        self.with(move |writer| {
            retention::remove_old(
                &mut writer.connection,
                &writer.path,
                retention,
                Timestamp::now(),
            )
        })
        .boxed()
    }
}

impl Writer {
    fn write(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let path = self.path.clone();
        self.insert(entries)
            .map_err(|error| failed("writing", &path, &error))
    }

    fn insert(&mut self, entries: &[Entry]) -> rusqlite::Result<()> {
        if self.items.len() > ITEMS {
            self.items.clear();
        }
        let Self {
            connection,
            items,
            topics,
            ..
        } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            // an entry that is there already stays as it is
            let mut insert = transaction.prepare_cached(
                "INSERT INTO entry (topic, offset, time, item, kind, key, severity, current_severity, message,
                    current_message, value, user, host, command, enabled, event_time, flags, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
                 ON CONFLICT (topic, offset, time) DO NOTHING",
            )?;
            for entry in entries {
                let topic = match topics.get(&entry.topic) {
                    Some(id) => *id,
                    None => number_topic(&transaction, topics, &entry.topic)?,
                };
                let item = match items.get(&entry.path) {
                    Some(id) => *id,
                    None => number_item(&transaction, items, entry)?,
                };
                insert_entry(&mut insert, topic, item, entry)?;
            }
        }
        transaction.commit()
    }
}

fn number_topic(
    transaction: &Transaction<'_>,
    topics: &mut HashMap<Arc<str>, i64>,
    name: &Arc<str>,
) -> rusqlite::Result<i64> {
    transaction.execute("INSERT OR IGNORE INTO topic (name) VALUES (?1)", [name])?;
    let ask = "SELECT id FROM topic WHERE name = ?1";
    let id = transaction.query_row(ask, [name], |row| row.get(0))?;
    topics.insert(Arc::clone(name), id);
    Ok(id)
}

fn number_item(
    transaction: &Transaction<'_>,
    items: &mut HashMap<String, i64>,
    entry: &Entry,
) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("INSERT OR IGNORE INTO item (path, pv) VALUES (?1, ?2)")?
        .execute([&entry.path, &entry.pv])?;
    let id = transaction
        .prepare_cached("SELECT id FROM item WHERE path = ?1")?
        .query_row([&entry.path], |row| row.get(0))?;
    items.insert(entry.path.clone(), id);
    Ok(id)
}

/// The key of most entries follows from kind and path.
pub(crate) fn usual_key(kind: &str, path: &str) -> String {
    format!("{kind}:{}", path.replace('\\', ""))
}

fn insert_entry(
    insert: &mut CachedStatement<'_>,
    topic: i64,
    item: i64,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let event = &entry.event;
    let kind = event.kind().name();
    let key = (usual_key(kind, &entry.path) != entry.key).then_some(&entry.key);
    let state = event.state();
    let flag = |is_set: bool, flag: i64| if is_set { flag } else { 0 };
    let gap_text;
    let (flags, enabled, detail): (i64, Option<&str>, Option<&str>) = match event {
        Event::State(state) => (
            flag(state.latch, LATCH) | flag(!state.notify, SILENT),
            None,
            state.mode.as_deref(),
        ),
        Event::Command(_) => (0, None, None),
        Event::Config(config) => (
            flag(!config.latching, NOT_LATCHING),
            Some(&config.enabled),
            Some(&config.text),
        ),
        Event::Deletion(deletion) => (flag(deletion.tombstone, TOMBSTONE), None, None),
        Event::Talk(talk) => (flag(talk.standout, STANDOUT), None, Some(&talk.talk)),
        Event::Gap(gap) => {
            gap_text = serde_json::to_string(gap).unwrap_or_default();
            (0, None, Some(&gap_text))
        }
    };
    insert.execute(params![
        topic,
        entry.offset,
        entry.time.as_millisecond(),
        item,
        kind,
        key,
        query::severity(event),
        state.and_then(|state| state.current_severity.as_deref()),
        state.and_then(|state| state.message.as_deref()),
        state.and_then(|state| state.current_message.as_deref()),
        state.and_then(|state| state.value.as_deref()),
        event.user(),
        event.host(),
        query::command(event),
        enabled,
        state.and_then(|state| state.event_time).map(nanoseconds),
        flags,
        detail,
    ])?;
    Ok(())
}

/// Nanoseconds since 1970; a time beyond the years 1678 to 2262 becomes the first or the last.
fn nanoseconds(time: Timestamp) -> i64 {
    let nanoseconds = time.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}
