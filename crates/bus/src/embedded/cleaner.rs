//! Forgetting: compaction, retention, and giving the disk back.
//!
//! Compaction keeps of each key the newest record, as a broker does (Kafka documentation, "Log Compaction"): offsets stay,
//! the order stays, a tombstone stays for a while so that readers learn of it. Of several processes on one folder one
//! cleans. What is deleted is deleted again after a crash, so these commits do not wait for the disk.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustix::fs::FlockOperation;

use super::{Options, file, wake, writer};
use crate::{Cleanup, Error};

/// Compacting a topic costs reading all of it, so it waits until so many records came,
const WORTH_IT: u64 = 500;
/// or as many as the last time were kept, divided by this,
const KEPT_PER: u64 = 2;
/// or until so much time went by.
const AT_LATEST: Duration = Duration::from_mins(1);
/// Where there are tombstones there is a look at least so often.
const TOMBSTONES: Duration = Duration::from_hours(1);

/// Records that are deleted in one transaction: writers wait for no longer than that takes.
const DELETE_AT_ONCE: u64 = 2000;
/// And the pause after it, in which they get their turn.
const BETWEEN: Duration = Duration::from_millis(2);

/// The write-ahead log is moved to the database when it has so many bytes, or when nothing is written.
const LOG_SIZE: u64 = 2 * 1024 * 1024;
/// Free pages that are given back to the file system once they are more than half of the file, and at least so many.
const FREE_PAGES: i64 = 4096;

/// Tells the cleaning thread to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits so long, or until it is set; tells whether it is.
    fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The cleaning thread.
pub(super) struct Cleaner {
    path: PathBuf,
    /// Device and inode of the file when it was opened.
    identity: (u64, u64),
    lock: fs_err::File,
    has_lock: bool,
    connection: Connection,
    options: Options,
    queue: Arc<writer::Queue>,
    wake: Arc<wake::Wake>,
    stop: Arc<Stop>,
    topics: HashMap<i64, Memory>,
    version: i64,
    failing: bool,
}

/// What is remembered of a topic from pass to pass.
struct Memory {
    kept: u64,
    tombstones: u64,
    passed: Instant,
}

impl Cleaner {
    pub(super) fn new(
        folder: &Path,
        path: &Path,
        options: Options,
        queue: Arc<writer::Queue>,
        wake: Arc<wake::Wake>,
        stop: Arc<Stop>,
    ) -> Result<Cleaner, Error> {
        let opening = |error: std::io::Error| Error::Failed {
            doing: format!("opening the embedded bus in `{}`", folder.display()),
            cause: error.to_string(),
            hint: Some(format!("ls -la {}", folder.display())),
        };
        let mut lock = fs_err::OpenOptions::new();
        lock.read(true).write(true).create(true).truncate(false);
        fs_err::os::unix::fs::OpenOptionsExt::mode(&mut lock, 0o600);
        let lock = lock.open(folder.join("cleaner.lock")).map_err(opening)?;
        let identity = identity(path).map_err(opening)?;
        let connection = file::connect(path, file::Durability::Lazy)?;
        Ok(Cleaner {
            path: path.to_owned(),
            identity,
            lock,
            has_lock: false,
            connection,
            options,
            queue,
            wake,
            stop,
            topics: HashMap::new(),
            version: 0,
            failing: false,
        })
    }

    pub(super) fn run(mut self) {
        while !self.stop.wait(self.options.cleaning_interval) {
            if identity(&self.path).ok() != Some(self.identity) {
                self.queue.break_off(&Error::Foreign {
                    path: self.path.clone(),
                    problem: "was removed or replaced while it was in use".to_owned(),
                    hint: Some(
                        "start again; what was written before is in the file that is gone"
                            .to_owned(),
                    ),
                });
                self.wake.all();
                return;
            }
            self.has_lock = self.has_lock
                || rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if !self.has_lock {
                continue;
            }
            match self.pass() {
                Ok(()) => self.failing = false,
                Err(error) if !std::mem::replace(&mut self.failing, true) => {
                    tracing::warn!(
                        "{}; this is tried again",
                        file::failed("cleaning", &self.path, &error)
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn pass(&mut self) -> rusqlite::Result<()> {
        for topic in topics(&self.connection)? {
            match topic.cleanup {
                Cleanup::Delete => expire(&mut self.connection, topic, self.options, &self.stop)?,
                Cleanup::Compact => self.compact_if_worth_it(topic)?,
            }
        }
        self.give_back()
    }

    fn compact_if_worth_it(&mut self, topic: file::Topic) -> rusqlite::Result<()> {
        let horizon = horizon(&self.connection, topic, self.options.compaction_lag)?;
        let memory = self.topics.entry(topic.id).or_insert(Memory {
            kept: 0,
            tombstones: 0,
            passed: Instant::now(),
        });
        let dirty = horizon.saturating_sub(topic.cleaned);
        let worth_it = dirty >= WORTH_IT.max(memory.kept / KEPT_PER);
        let due = memory.passed.elapsed() >= AT_LATEST && dirty > 0;
        let tombstones = memory.tombstones > 0
            && memory.passed.elapsed() >= self.options.tombstone_retention.min(TOMBSTONES);
        if worth_it || due || tombstones {
            let memory = compact(
                &mut self.connection,
                topic,
                horizon,
                self.options,
                &self.stop,
            )?;
            self.topics.insert(topic.id, memory);
        }
        Ok(())
    }

    /// Moves the write-ahead log to the database, and free pages to the file system.
    fn give_back(&mut self) -> rusqlite::Result<()> {
        let version: i64 = self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0))?;
        let quiet = version == self.version;
        self.version = version;
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let log_size = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if quiet && log_size == 0 {
            return Ok(());
        }
        let free: i64 = self
            .connection
            .pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let pages: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))?;
        if free >= FREE_PAGES && free > pages / 2 {
            self.connection
                .prepare_cached("PRAGMA incremental_vacuum(1024)")?
                .query(())?
                .next()
                .map(drop)?;
        }
        if log_size >= LOG_SIZE || quiet {
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

fn topics(connection: &Connection) -> rusqlite::Result<Vec<file::Topic>> {
    let mut ask = connection.prepare_cached("SELECT id, cleanup, next, cleaned FROM topic")?;
    ask.query_map([], file::topic_row)?.collect()
}

/// Forgets at once what may be forgotten.
pub(super) fn clean(
    connection: &mut Connection,
    options: Options,
    stop: &Stop,
) -> rusqlite::Result<()> {
    for topic in topics(connection)? {
        match topic.cleanup {
            Cleanup::Delete => expire(connection, topic, options, stop)?,
            Cleanup::Compact => {
                let horizon = horizon(connection, topic, options.compaction_lag)?;
                compact(connection, topic, horizon, options, stop)?;
            }
        }
    }
    Ok(())
}

fn expire(
    connection: &mut Connection,
    topic: file::Topic,
    options: Options,
    stop: &Stop,
) -> rusqlite::Result<()> {
    let ask = format!(
        "SELECT offset FROM record_{} WHERE time >= ?1 ORDER BY offset LIMIT 1",
        topic.id
    );
    let kept = connection
        .prepare_cached(&ask)?
        .query_row([before(options.retention)], |row| row.get(0));
    let end: u64 = kept.optional()?.unwrap_or(topic.next);
    let ask = format!("SELECT min(offset) FROM record_{}", topic.id);
    let begin: Option<u64> = connection
        .prepare_cached(&ask)?
        .query_row([], |row| row.get(0))?;
    match begin {
        Some(begin) if begin < end => delete(connection, topic.id, &[(begin, end - 1)], stop),
        _ => Ok(()),
    }
}

/// The first record that is too young to be compacted, and so are those after it.
fn horizon(connection: &Connection, topic: file::Topic, lag: Duration) -> rusqlite::Result<u64> {
    let ask = format!(
        "SELECT offset FROM record_{} WHERE offset >= ?1 AND time > ?2 ORDER BY offset LIMIT 1",
        topic.id
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let young = ask.query_row(params![topic.cleaned, before(lag)], |row| row.get(0));
    Ok(young.optional()?.unwrap_or(topic.next))
}

fn compact(
    connection: &mut Connection,
    topic: file::Topic,
    horizon: u64,
    options: Options,
    stop: &Stop,
) -> rusqlite::Result<Memory> {
    let found = superseded(
        connection,
        topic.id,
        horizon,
        before(options.tombstone_retention),
    )?;
    // From the oldest on: what a tombstone stands for is gone before the tombstone is.
    delete(connection, topic.id, &found.ranges, stop)?;
    let change = "UPDATE topic SET cleaned = max(cleaned, ?2) WHERE id = ?1";
    connection.execute(change, params![topic.id, horizon])?;
    Ok(Memory {
        kept: found.kept,
        tombstones: found.tombstones,
        passed: Instant::now(),
    })
}

/// Deletes records of ranges, both ends included, some at a time.
fn delete(
    connection: &mut Connection,
    topic: i64,
    ranges: &[(u64, u64)],
    stop: &Stop,
) -> rusqlite::Result<()> {
    for turn in turns(ranges) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (begin, end) in turn {
            let delete = format!("DELETE FROM record_{topic} WHERE offset BETWEEN ?1 AND ?2");
            transaction
                .prepare_cached(&delete)?
                .execute(params![begin, end])?;
        }
        transaction.commit()?;
        if stop.wait(BETWEEN) {
            break;
        }
    }
    Ok(())
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// So long ago, in milliseconds since 1970.
fn before(time: Duration) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.saturating_sub(time).as_millis()).unwrap_or(i64::MAX)
}

/// Cuts ranges so that none of the lists has more than [`DELETE_AT_ONCE`] offsets.
fn turns(ranges: &[(u64, u64)]) -> Vec<Vec<(u64, u64)>> {
    let mut turns = Vec::new();
    let mut turn = Vec::new();
    let mut room = DELETE_AT_ONCE;
    for &(begin, end) in ranges {
        let mut begin = begin;
        while begin <= end {
            let last = end.min(begin + room - 1);
            turn.push((begin, last));
            room -= last - begin + 1;
            begin = last + 1;
            if room == 0 {
                turns.push(std::mem::take(&mut turn));
                room = DELETE_AT_ONCE;
            }
        }
    }
    if !turn.is_empty() {
        turns.push(turn);
    }
    turns
}

struct Superseded {
    /// Runs of records that can go, from the oldest on.
    ranges: Vec<(u64, u64)>,
    kept: u64,
    tombstones: u64,
}

/// Finds what can go of the records before an offset: those with a newer one of their key, and tombstones that are older than
/// a time. Keys are told apart by 128 bits, as in Kafka's own cleaner: a broken promise once in 10^25 topics.
fn superseded(
    connection: &Connection,
    topic: i64,
    horizon: u64,
    tombstones_before: i64,
) -> rusqlite::Result<Superseded> {
    let (first, second) = (RandomState::new(), RandomState::new());
    let mut seen: HashSet<(u64, u64)> = HashSet::new();
    let mut found = Superseded {
        ranges: Vec::new(),
        kept: 0,
        tombstones: 0,
    };
    // The run that is being extended downwards.
    let mut run: Option<(u64, u64)> = None;
    let ask = format!(
        "SELECT offset, key, value IS NULL, time FROM record_{topic} WHERE offset < ?1 ORDER BY offset DESC"
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let mut rows = ask.query([horizon])?;
    while let Some(row) = rows.next()? {
        let offset: u64 = row.get(0)?;
        let key = row.get_ref(1)?.as_bytes_or_null().ok().flatten();
        let is_tombstone: bool = row.get(2)?;
        let newest = key.is_none_or(|key| seen.insert((first.hash_one(key), second.hash_one(key))));
        let goes = !newest || (is_tombstone && row.get::<_, i64>(3)? < tombstones_before);
        if goes {
            run = Some((offset, run.map_or(offset, |(_, end)| end)));
        } else {
            found.ranges.extend(run.take());
            found.kept += 1;
            found.tombstones += u64::from(is_tombstone);
        }
    }
    found.ranges.extend(run);
    found.ranges.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_where_a_turn_is_full() {
        let limit = DELETE_AT_ONCE;
        assert_eq!(turns(&[]), Vec::<Vec<_>>::new());
        assert_eq!(turns(&[(0, limit - 1)]), [[(0, limit - 1)]]);
        assert_eq!(
            turns(&[(5, 5), (7, limit + 10)]),
            [vec![(5, 5), (7, limit + 5)], vec![(limit + 6, limit + 10)]]
        );
    }
}
