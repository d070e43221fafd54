//! The spool: what was read from the bus and not yet taken by every sink, on the disk.
//!
//! One transaction stores records together with the place from which the topic is read on, so that neither a kill nor a
//! loss of power can separate them. Every sink has a cursor; what all cursors have passed is removed. The spool is
//! bounded by bytes: what it does not take stays on the bus.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bus::Incoming;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustix::fs::FlockOperation;
use tokio::sync::{Notify, watch};

use crate::database::{self, Error, Schema, failed, failed_file};
use crate::entry::Gap;
use crate::record::{self, Reading, Role};

#[cfg(test)]
mod tests;

/// The spool's name in its folder.
pub const FILE_NAME: &str = "spool.sqlite";

const SCHEMA: Schema = Schema {
    name: "a spool of the alarm logger",
    // the letters `iocS`
    application: 0x696f_6353,
    version: 1,
    tables: "CREATE TABLE bus (name TEXT NOT NULL) STRICT;
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configuration TEXT NOT NULL,
    -- 0 configuration and states, 1 commands, 2 talk
    role INTEGER NOT NULL,
    -- where reading goes on; NULL if it was never read
    next INTEGER,
    -- when the last record was written, in milliseconds
    written INTEGER
) STRICT;
CREATE TABLE record (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    topic INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time INTEGER NOT NULL,
    -- whether the value describes a gap
    gap INTEGER NOT NULL,
    key TEXT,
    value TEXT
) STRICT;
CREATE TABLE sink (name TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT;",
};

/// Free pages that are given back to the file system at a time.
const FREE_PAGES: u32 = 2000;

/// A topic that is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// The configuration that it belongs to.
    pub configuration: Arc<str>,
    /// What it is for.
    pub role: Role,
}

/// The topics of a configuration.
pub fn topics(configuration: &str) -> [Topic; 3] {
    let name: Arc<str> = configuration.into();
    Role::ALL.map(|role| Topic {
        name: format!("{configuration}{}", role.suffix()).into(),
        configuration: Arc::clone(&name),
        role,
    })
}

/// Where reading of a topic goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The next offset.
    pub next: u64,
    /// When the last record was written.
    pub written: Option<Timestamp>,
}

/// Something to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record.
    Record(Incoming),
    /// Records that nobody can read any more.
    Gap {
        /// Topic.
        topic: Arc<str>,
        /// The first of them.
        first: u64,
        /// When this was found.
        found: Timestamp,
        /// The others.
        gap: Gap,
    },
}

impl Item {
    fn size(&self) -> u64 {
        let texts = match self {
            Self::Record(record) => [&record.key, &record.value]
                .into_iter()
                .flatten()
                .map(String::len)
                .sum(),
            Self::Gap { .. } => 0,
        };
        // what a row needs beside its texts
        texts as u64 + 32
    }
}

/// Something that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the spool.
    pub sequence: i64,
    /// Topic.
    pub topic: Topic,
    /// What it is.
    pub item: Item,
}

impl Stored {
    /// What sinks get of it.
    pub fn read(&self) -> Reading {
        match &self.item {
            Item::Record(record) => record::read(self.topic.role, record),
            Item::Gap {
                topic,
                first,
                found,
                gap,
            } => Reading::Entry(Box::new(record::gap(
                topic,
                &self.topic.configuration,
                *first,
                *found,
                gap.clone(),
            ))),
        }
    }
}

/// Whether records were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// They were.
    Taken,
    /// There is no room: nothing was stored.
    Full,
}

/// How full the spool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    limit: u64,
    topics: BTreeMap<i64, Topic>,
    writing: Mutex<Writing>,
    reading: Mutex<Connection>,
    appended: watch::Sender<()>,
    removed: Notify,
    /// Held as long as the spool is open.
    _lock: fs_err::File,
}

#[derive(Debug)]
struct Writing {
    connection: Connection,
    fill: Fill,
}

/// What opening found that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The spool was filled from another bus; the topics of this one are read from their beginning.
    OtherBus {
        /// The bus before.
        before: String,
    },
    /// A sink of before is not there any more; what only it had not taken is removed.
    SinkGone {
        /// The sink.
        sink: String,
        /// How many records it had not taken.
        left: u64,
    },
}

impl Spool {
    /// Opens the spool in a folder for these topics and sinks; makes it if it is missing.
    ///
    /// # Errors
    ///
    /// Another logger has it, it is something else, or it cannot be read or written.
    pub fn open(
        folder: &Path,
        limit: u64,
        bus: &str,
        topics: &[Topic],
        sinks: &[String],
    ) -> Result<(Self, Vec<Notice>), Error> {
        database::make_folder(folder)?;
        let path = folder.join(FILE_NAME);
        let lock = lock(&folder.join("spool.lock"), &path)?;
        let mut connection = database::open(&path, &SCHEMA)?;
        let opening = |error: rusqlite::Error| failed("opening", &path, &error);
        let (topics, notices) = begin(&mut connection, bus, topics, sinks).map_err(opening)?;
        let fill = fill(&connection).map_err(opening)?;
        let reading = database::open_to_read(&path, &SCHEMA)?;
        let spool = Self {
            path,
            limit,
            topics,
            writing: Mutex::new(Writing { connection, fill }),
            reading: Mutex::new(reading),
            appended: watch::Sender::new(()),
            removed: Notify::new(),
            _lock: lock,
        };
        spool.remove_taken()?;
        Ok((spool, notices))
    }

    /// Told whenever something was stored.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    /// Waits until something was removed.
    pub async fn room(&self) {
        self.removed.notified().await;
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        self.writing().fill
    }

    /// The most bytes it takes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Where reading of a topic goes on; `None` if it was never read.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn position(&self, topic: &str) -> Result<Option<Position>, Error> {
        let ask = "SELECT next, written FROM topic WHERE name = ?1 AND next IS NOT NULL";
        let asked = lock_connection(&self.reading)
            .prepare_cached(ask)
            .and_then(|mut ask| {
                ask.query_row([topic], |row| {
                    Ok(Position {
                        next: row.get(0)?,
                        written: time(row.get(1)?),
                    })
                })
                .optional()
            });
        asked.map_err(|error| failed("reading", &self.path, &error))
    }

    /// Reads a topic from its beginning the next time: it is another one than before.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn forget_position(&self, topic: &str) -> Result<(), Error> {
        let forget = "UPDATE topic SET next = NULL, written = NULL WHERE name = ?1";
        let forgotten = self.writing().connection.execute(forget, [topic]);
        forgotten.map_err(|error| failed("writing", &self.path, &error))?;
        Ok(())
    }

    /// Stores items, and where their topics are read on, in one transaction.
    ///
    /// # Errors
    ///
    /// The file cannot be written; nothing was stored.
    pub fn append(
        &self,
        items: &[Item],
        positions: &BTreeMap<Arc<str>, Position>,
    ) -> Result<Appended, Error> {
        let bytes: u64 = items.iter().map(Item::size).sum();
        let mut writing = self.writing();
        // one that is larger than the spool is taken when there is nothing else
        if !items.is_empty() && writing.fill.bytes > 0 && writing.fill.bytes + bytes > self.limit {
            return Ok(Appended::Full);
        }
        self.write(&mut writing.connection, items, positions)
            .map_err(|error| failed("writing", &self.path, &error))?;
        writing.fill.bytes += bytes;
        writing.fill.records += items.len() as u64;
        drop(writing);
        if !items.is_empty() {
            self.appended.send_replace(());
        }
        Ok(Appended::Taken)
    }

    fn write(
        &self,
        connection: &mut Connection,
        items: &[Item],
        positions: &BTreeMap<Arc<str>, Position>,
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO record (topic, offset, time, gap, key, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for item in items {
                let (topic, offset, time, gap, key, value) = match item {
                    Item::Record(record) => {
                        let time = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
                        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                        let (key, value) = (record.key.as_deref(), record.value.as_deref());
                        (&record.topic, record.offset, time, false, key, value)
                    }
                    Item::Gap {
                        topic,
                        first,
                        found,
                        gap,
                    } => {
                        let gap = serde_json::to_string(gap).unwrap_or_default();
                        let row = params![
                            self.id(topic),
                            first,
                            found.as_millisecond(),
                            true,
                            None::<&str>,
                            gap
                        ];
                        insert.execute(row)?;
                        continue;
                    }
                };
                insert.execute(params![self.id(topic), offset, time, gap, key, value])?;
            }
            let mut moved = transaction.prepare_cached(
                "UPDATE topic SET next = ?2, written = coalesce(?3, written) WHERE name = ?1",
            )?;
            for (topic, position) in positions {
                let written = position.written.map(Timestamp::as_millisecond);
                moved.execute(params![topic, position.next, written])?;
            }
        }
        transaction.commit()
    }

    fn id(&self, name: &str) -> i64 {
        self.topics
            .iter()
            .find_map(|(id, topic)| (&*topic.name == name).then_some(*id))
            .unwrap_or_default()
    }

    /// What comes after what a sink has taken, up to so many records and about so many bytes, but one at least.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn after(&self, sink: &str, records: usize, bytes: usize) -> Result<Vec<Stored>, Error> {
        let connection = lock_connection(&self.reading);
        let read = || -> rusqlite::Result<Vec<Stored>> {
            let mut ask = connection.prepare_cached(
                "SELECT sequence, topic, offset, time, gap, key, value FROM record
                 WHERE sequence > (SELECT taken FROM sink WHERE name = ?1) ORDER BY sequence",
            )?;
            let mut rows = ask.query([sink])?;
            let mut found = Vec::new();
            let mut size = 0;
            while found.len() < records && size < bytes {
                let Some(row) = rows.next()? else { break };
                let topic = self
                    .topics
                    .get(&row.get(1)?)
                    .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                let item = item(topic, row)?;
                size += usize::try_from(item.size()).unwrap_or(usize::MAX);
                found.push(Stored {
                    sequence: row.get(0)?,
                    topic: topic.clone(),
                    item,
                });
            }
            Ok(found)
        };
        read().map_err(|error| failed("reading", &self.path, &error))
    }

    /// Says that a sink has taken everything up to this place; what all have taken is removed.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn taken(&self, sink: &str, sequence: i64) -> Result<(), Error> {
        let moved = self.writing().connection.execute(
            "UPDATE sink SET taken = ?2 WHERE name = ?1 AND taken < ?2",
            params![sink, sequence],
        );
        moved.map_err(|error| failed("writing", &self.path, &error))?;
        self.remove_taken()
    }

    fn remove_taken(&self) -> Result<(), Error> {
        let mut writing = self.writing();
        let Writing { connection, fill } = &mut *writing;
        let removed = remove_taken(connection);
        let (records, bytes) = removed.map_err(|error| failed("writing", &self.path, &error))?;
        fill.records = fill.records.saturating_sub(records);
        fill.bytes = fill.bytes.saturating_sub(bytes);
        drop(writing);
        if records > 0 {
            self.removed.notify_one();
        }
        Ok(())
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_connection(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn item(topic: &Topic, row: &rusqlite::Row<'_>) -> rusqlite::Result<Item> {
    let (offset, milliseconds): (u64, i64) = (row.get(2)?, row.get(3)?);
    if !row.get::<_, bool>(4)? {
        let time = Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default());
        return Ok(Item::Record(Incoming {
            topic: Arc::clone(&topic.name),
            offset,
            time: UNIX_EPOCH + time,
            key: row.get(5)?,
            value: row.get(6)?,
        }));
    }
    let text: String = row.get(6)?;
    let gap = serde_json::from_str(&text).unwrap_or(Gap {
        last: offset,
        since: None,
    });
    Ok(Item::Gap {
        topic: Arc::clone(&topic.name),
        first: offset,
        found: time(Some(milliseconds)).unwrap_or_default(),
        gap,
    })
}

fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds?).ok()
}

fn remove_taken(connection: &mut Connection) -> rusqlite::Result<(u64, u64)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken: i64 =
        transaction.query_row("SELECT coalesce(min(taken), 0) FROM sink", [], |row| {
            row.get(0)
        })?;
    let ask = format!("SELECT count(*), {SIZE} FROM record WHERE sequence <= ?1");
    let (records, bytes): (u64, u64) =
        transaction.query_row(&ask, [taken], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if records > 0 {
        transaction.execute("DELETE FROM record WHERE sequence <= ?1", [taken])?;
    }
    transaction.commit()?;
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > FREE_PAGES {
        let mut vacuum = connection.prepare_cached("PRAGMA incremental_vacuum(2000)")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok((records, bytes))
}

/// Bytes of rows as [`Item::size`] counts them.
const SIZE: &str = "coalesce(sum(32 + CASE WHEN gap THEN 0 ELSE coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) END), 0)";

fn fill(connection: &Connection) -> rusqlite::Result<Fill> {
    connection.query_row(&format!("SELECT count(*), {SIZE} FROM record"), [], |row| {
        Ok(Fill {
            records: row.get(0)?,
            bytes: row.get(1)?,
        })
    })
}

/// Compares what is there with what is wanted: bus, topics, sinks.
fn begin(
    connection: &mut Connection,
    bus: &str,
    topics: &[Topic],
    sinks: &[String],
) -> rusqlite::Result<(BTreeMap<i64, Topic>, Vec<Notice>)> {
    let mut notices = Vec::new();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before: Option<String> = transaction
        .query_row("SELECT name FROM bus", [], |row| row.get(0))
        .optional()?;
    if before.as_deref() != Some(bus) {
        transaction.execute("DELETE FROM bus", [])?;
        transaction.execute("INSERT INTO bus VALUES (?1)", [bus])?;
        transaction.execute("UPDATE topic SET next = NULL, written = NULL", [])?;
        notices.extend(before.map(|before| Notice::OtherBus { before }));
    }
    for topic in topics {
        transaction.execute(
            "INSERT INTO topic (name, configuration, role) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET configuration = ?2, role = ?3",
            params![topic.name, topic.configuration, topic.role as u8],
        )?;
    }
    // those of before too: there may be records of theirs
    let topics = transaction
        .prepare("SELECT id, name, configuration, role FROM topic")?
        .query_map([], |row| {
            let role: usize = row.get(3)?;
            let topic = Topic {
                name: row.get(1)?,
                configuration: row.get(2)?,
                role: Role::ALL.get(role).copied().unwrap_or(Role::Tree),
            };
            Ok((row.get(0)?, topic))
        })?
        .collect::<Result<_, _>>()?;
    let known: Vec<(String, i64)> = transaction
        .prepare("SELECT name, taken FROM sink")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (sink, taken) in &known {
        if !sinks.contains(sink) {
            let ask = "SELECT count(*) FROM record WHERE sequence > ?1";
            let left = transaction.query_row(ask, [taken], |row| row.get(0))?;
            transaction.execute("DELETE FROM sink WHERE name = ?1", [sink])?;
            let sink = sink.clone();
            notices.push(Notice::SinkGone { sink, left });
        }
    }
    // a new sink gets what is still there
    for sink in sinks {
        transaction.execute("INSERT OR IGNORE INTO sink VALUES (?1, 0)", [sink])?;
    }
    transaction.commit()?;
    Ok((topics, notices))
}

/// Takes the lock of the spool and writes into it who has it.
fn lock(file: &Path, spool: &Path) -> Result<fs_err::File, Error> {
    let failed = |error: &std::io::Error| failed_file("opening", file, error);
    let mut lock = database::open_private(file).map_err(|error| failed(&error))?;
    if let Err(error) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(&error.into()));
        }
        let mut holder = String::new();
        // who it is may be unknown: the other may be about to write it
        let by = match lock.read_to_string(&mut holder) {
            Ok(_) => holder.trim().parse().ok(),
            Err(_) => None,
        };
        return Err(Error::Held {
            path: spool.to_owned(),
            by,
        });
    }
    let write = |lock: &mut fs_err::File| {
        lock.set_len(0)?;
        lock.rewind()?;
        lock.write_all(std::process::id().to_string().as_bytes())
    };
    write(&mut lock).map_err(|error| failed(&error))?;
    Ok(lock)
}
