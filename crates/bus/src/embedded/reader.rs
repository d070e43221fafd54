//! Reading: what is after a place, in short transactions that hold nobody up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, params};
use tokio::sync::watch;

use super::{Inner, file};
use crate::counters::{Counters, ReaderCounter};
use crate::{Error, From, Incoming, Reader};

/// The most records and bytes that are given at once.
const BATCH_RECORDS: usize = 2000;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Where a reader is in a topic.
#[derive(Debug, Clone)]
pub(super) struct Place {
    topic: Arc<str>,
    id: i64,
    next: u64,
    /// The end of the topic when reading began.
    end: u64,
    caught_up: bool,
}

/// Finds where reading begins.
pub(super) fn places(
    connection: &mut Connection,
    path: &Path,
    topics: &[(Arc<str>, From)],
) -> Result<Vec<Place>, Error> {
    let failed = |error: rusqlite::Error| file::failed("reading", path, &error);
    let transaction = connection.transaction().map_err(failed)?;
    let mut places = Vec::new();
    for (name, from) in topics {
        let topic = file::topic(&transaction, path, name)?;
        let (end, name) = (topic.next, Arc::clone(name));
        let next = match *from {
            From::Beginning => 0,
            From::Now => end,
            From::Offset(offset) if offset > end => {
                return Err(Error::Beyond {
                    topic: name,
                    offset,
                    end,
                });
            }
            From::Offset(offset) => offset,
        };
        let ask = format!(
            "SELECT EXISTS (SELECT 1 FROM record_{} WHERE offset >= ?1)",
            topic.id
        );
        let more: bool = transaction
            .query_row(&ask, [next], |row| row.get(0))
            .map_err(failed)?;
        places.push(Place {
            topic: name,
            id: topic.id,
            next,
            end,
            caught_up: !more,
        });
    }
    Ok(places)
}

/// A reader of the embedded bus.
#[derive(Debug)]
pub(super) struct EmbeddedReader {
    core: Arc<Mutex<Core>>,
    changes: watch::Receiver<()>,
    caught_up: bool,
    /// Keeps the bus open.
    inner: Arc<Inner>,
}

/// What is used away from the executor; it keeps what was read until it is given, so that a future that is dropped loses
/// nothing.
#[derive(Debug)]
struct Core {
    path: PathBuf,
    connection: Connection,
    places: Vec<Place>,
    /// What keys begin with that nobody wants.
    unwanted: Option<&'static str>,
    ready: Vec<Incoming>,
    counters: Arc<Counters>,
    counter: ReaderCounter,
}

impl EmbeddedReader {
    pub(super) async fn open(
        inner: Arc<Inner>,
        places: Vec<Place>,
    ) -> Result<EmbeddedReader, Error> {
        let path = inner.file.clone();
        let connection =
            tokio::task::spawn_blocking(move || file::connect(&path, file::Durability::Lazy)).await;
        let counters = Arc::clone(&inner.counters);
        let caught_up = places.iter().all(|place| place.caught_up);
        let counter = counters.reader(
            places
                .iter()
                .map(|place| (Arc::clone(&place.topic), place.next)),
        );
        let core = Core {
            path: inner.file.clone(),
            connection: connection.unwrap_or(Err(Error::Closed))?,
            places,
            unwanted: None,
            ready: Vec::new(),
            counters,
            counter,
        };
        let changes = inner.wake.changes();
        Ok(EmbeddedReader {
            core: Arc::new(Mutex::new(core)),
            changes,
            caught_up,
            inner,
        })
    }
}

fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Reads what there is, unless something is ready already.
    fn fill(&mut self) -> Result<(), Error> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        let Core {
            path,
            connection,
            places,
            unwanted,
            ready,
            counters,
            counter,
        } = self;
        let read = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            let mut bytes = 0;
            for place in places {
                let before = ready.len();
                let mut ask = transaction.prepare_cached("SELECT next FROM topic WHERE id = ?1")?;
                let end: u64 = ask.query_row([place.id], |row| row.get(0))?;
                counters.ends_at(&place.topic, end);
                if place.next < end {
                    place.read(&transaction, end, *unwanted, ready, &mut bytes)?;
                }
                counter.moved(&place.topic, place.next, ready.len() - before);
            }
            transaction.finish()
        };
        read().map_err(|error| file::failed("reading", path, &error))
    }
}

impl Place {
    fn read(
        &mut self,
        connection: &Connection,
        end: u64,
        unwanted: Option<&str>,
        ready: &mut Vec<Incoming>,
        bytes: &mut usize,
    ) -> rusqlite::Result<()> {
        let ask = format!(
            "SELECT offset, time, key, value FROM record_{} WHERE offset >= ?1 ORDER BY offset",
            self.id
        );
        let mut ask = connection.prepare_cached(&ask)?;
        let mut rows = ask.query(params![self.next])?;
        let is_unwanted = |row: &rusqlite::Row<'_>| -> rusqlite::Result<bool> {
            let Some(prefix) = unwanted else {
                return Ok(false);
            };
            let key = row.get_ref(2)?.as_bytes_or_null().ok().flatten();
            Ok(key.is_some_and(|key| key.starts_with(prefix.as_bytes())))
        };
        while ready.len() < BATCH_RECORDS && *bytes < BATCH_BYTES {
            let Some(row) = rows.next()? else {
                self.next = end;
                break;
            };
            let offset: u64 = row.get(0)?;
            // the last one is given, so that whoever reads knows the place
            if offset + 1 < end && is_unwanted(row)? {
                self.next = offset + 1;
                continue;
            }
            let record = Incoming {
                topic: Arc::clone(&self.topic),
                offset,
                time: UNIX_EPOCH
                    + Duration::from_millis(row.get::<_, i64>(1)?.try_into().unwrap_or_default()),
                key: row.get(2)?,
                value: row.get(3)?,
            };
            *bytes += record.key.as_ref().map_or(0, String::len)
                + record.value.as_ref().map_or(0, String::len);
            self.next = record.offset + 1;
            ready.push(record);
        }
        self.caught_up = self.caught_up || self.next >= self.end;
        Ok(())
    }
}

impl Reader for EmbeddedReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Incoming>, Error>> {
        async move {
            loop {
                // A change that is seen is one that is read after it.
                self.changes.borrow_and_update();
                if let Some(error) = self.inner.queue.broken() {
                    return Err(error);
                }
                let core = Arc::clone(&self.core);
                let filled = tokio::task::spawn_blocking(move || lock(&core).fill()).await;
                filled.unwrap_or(Err(Error::Closed))?;
                let (records, caught_up) = {
                    let mut core = lock(&self.core);
                    (
                        std::mem::take(&mut core.ready),
                        core.places.iter().all(|place| place.caught_up),
                    )
                };
                let news = caught_up && !self.caught_up;
                self.caught_up |= caught_up;
                if !records.is_empty() || news {
                    return Ok(records);
                }
                if self.changes.changed().await.is_err() {
                    return Err(Error::Closed);
                }
            }
        }
        .boxed()
    }

    fn has_caught_up(&self) -> bool {
        self.caught_up
    }

    fn pass_over(&mut self, prefix: &'static str) {
        lock(&self.core).unwanted = Some(prefix);
    }
}
