//! The database file: made, recognised, opened; its tables.
//!
//! `topic` has a row per topic with the offset that the next record gets; a table `record_N` per topic has its records by
//! offset, so that writing always appends.

use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};
use rustix::fs::FlockOperation;

use crate::{Cleanup, Error, TopicPlan};

/// The database's name in the bus' folder.
pub const FILE_NAME: &str = "bus.sqlite";

/// What says in the file whose it is (SQLite's `application_id`): the letters `iocb`.
const APPLICATION: i32 = 0x696f_6362;
/// The version of the tables (SQLite's `user_version`).
const VERSION: i32 = 1;
/// The begin of every SQLite database (SQLite documentation, `fileformat.html`, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Pages of the write-ahead log after which the writing thread itself moves them to the database; the cleaner does it earlier.
const AUTOMATIC_CHECKPOINT: u32 = 8000;
/// What the write-ahead log is cut to when it begins anew, in bytes.
const LOG_SIZE: u32 = 8 * 1024 * 1024;
/// Pages that a connection keeps in memory; negative are KiB. Records are appended and read in their order, so only the
/// pages of one turn are met twice.
const CACHE: i32 = -512;

const TABLES: &str = "CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    cleanup INTEGER NOT NULL,
    -- the offset of the next record
    next INTEGER NOT NULL DEFAULT 0,
    -- records before this offset are compacted
    cleaned INTEGER NOT NULL DEFAULT 0
) STRICT;";

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It does.
    Full,
    /// It does not: for what can be done again.
    Lazy,
}

/// A topic as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) id: i64,
    pub(super) cleanup: Cleanup,
    pub(super) next: u64,
    pub(super) cleaned: u64,
}

/// Makes folder and file if they are missing, and gives the file's path if it is a bus.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(FILE_NAME);
    let opening = |error: &io::Error| failed_file("opening the embedded bus in", folder, error);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| opening(&error))?;
    // One process at a time makes the tables; also later versions will change them under this lock.
    let lock = open_private(&folder.join("bus.lock")).map_err(|error| opening(&error))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| opening(&error.into()))?;
    let mut file = open_private(&path).map_err(|error| opening(&error))?;
    let mut begin = Vec::new();
    (&mut file)
        .take(MAGIC.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|error| opening(&error))?;
    if !begin.is_empty() && begin != MAGIC {
        return Err(foreign(
            &path,
            "is not an embedded bus, nor any SQLite database",
        ));
    }
    let mut connection = open(&path)?;
    recognise(&mut connection, &path)?;
    drop(connection);
    file.sync_all().map_err(|error| opening(&error))?;
    fs_err::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| opening(&error))?;
    Ok(path)
}

fn open_private(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn foreign(path: &Path, problem: &str) -> Error {
    Error::Foreign {
        path: path.to_owned(),
        problem: problem.to_owned(),
        hint: Some("give the bus a folder of its own, or move that file away".to_owned()),
    }
}

/// Makes the tables in an empty database; refuses what is not ours.
fn recognise(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| failed("opening", path, &error);
    let pragma = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
    };
    let application = pragma(connection, "application_id").map_err(failed)?;
    let version = pragma(connection, "user_version").map_err(failed)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if application == APPLICATION {
        if version != VERSION {
            return Err(Error::Foreign {
                path: path.to_owned(),
                problem: format!(
                    "is an embedded bus of version {version}; this program knows version {VERSION}"
                ),
                hint: Some("use the version of `ioc` that made it, or another folder".to_owned()),
            });
        }
        let fences: i64 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'fence'",
                [],
                |row| row.get(0),
            )
            .map_err(failed)?;
        if fences == 0 {
            connection
                .execute_batch(super::fence::TABLE)
                .map_err(failed)?;
        }
        return Ok(());
    }
    if (application, version, tables) != (0, 0, 0) {
        return Err(foreign(path, "is an SQLite database of another program"));
    }
    connection
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .map_err(failed)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(failed)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    transaction
        .execute_batch(super::fence::TABLE)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "application_id", APPLICATION)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn open(path: &Path) -> Result<Connection, Error> {
    let opening = |error: rusqlite::Error| failed("opening", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(opening)?;
    connection
        .busy_handler(Some(wait_for_other))
        .map_err(opening)?;
    Ok(connection)
}

/// Another process writes; its turn takes about as long as the disk needs. Gives up after some seconds, so that a process
/// that is stopped in the middle of its turn is told about.
fn wait_for_other(times: i32) -> bool {
    std::thread::sleep(Duration::from_micros(if times < 20 { 200 } else { 2000 }));
    times < 2500
}

/// Whoever is writing is waited for a tenth of a second, so that it can be looked at then.
pub(super) fn wait_a_turn(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|times| times < 70 && wait_for_other(times)))
}

/// Whether somebody else is writing.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// A connection to a file that is [`prepare`]d.
pub(super) fn connect(path: &Path, durability: Durability) -> Result<Connection, Error> {
    let connection = open(path)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection
            .pragma_update_and_check(None, name, value, |_| Ok(()))
            .optional()
            .map(drop)
    };
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Lazy => "NORMAL",
    };
    set("synchronous", &synchronous)
        .and_then(|()| set("wal_autocheckpoint", &AUTOMATIC_CHECKPOINT))
        .and_then(|()| set("journal_size_limit", &LOG_SIZE))
        .and_then(|()| set("cache_size", &CACHE))
        .map_err(|error| failed("opening", path, &error))?;
    Ok(connection)
}

/// Makes those that are missing; changes how the others forget where that differs.
pub(super) fn make_topics(
    connection: &mut Connection,
    path: &Path,
    topics: &[TopicPlan],
) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| failed("making topics in", path, &error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    for topic in topics {
        let cleanup = cleanup_number(topic.cleanup);
        let before: Option<i64> = transaction
            .query_row(
                "SELECT cleanup FROM topic WHERE name = ?1",
                [&topic.name],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        if before.is_none() {
            transaction
                .execute(
                    "INSERT INTO topic (name, cleanup) VALUES (?1, ?2)",
                    params![topic.name, cleanup],
                )
                .map_err(failed)?;
            let id = transaction.last_insert_rowid();
            let table = format!(
                "CREATE TABLE record_{id} (offset INTEGER PRIMARY KEY, time INTEGER NOT NULL, key TEXT, value TEXT) STRICT"
            );
            transaction.execute_batch(&table).map_err(failed)?;
        } else if before != Some(cleanup) {
            let change = "UPDATE topic SET cleanup = ?2, cleaned = 0 WHERE name = ?1";
            transaction
                .execute(change, params![topic.name, cleanup])
                .map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)
}

fn cleanup_number(cleanup: Cleanup) -> i64 {
    match cleanup {
        Cleanup::Compact => 0,
        Cleanup::Delete => 1,
    }
}

/// What the file has of a topic.
pub(super) fn topic(connection: &Connection, path: &Path, name: &Arc<str>) -> Result<Topic, Error> {
    let ask = "SELECT id, cleanup, next, cleaned FROM topic WHERE name = ?1";
    let topic = connection
        .prepare_cached(ask)
        .and_then(|mut ask| ask.query_row([name], topic_row).optional());
    topic
        .map_err(|error| failed("reading", path, &error))?
        .ok_or_else(|| no_topic(path, name))
}

/// Reads `id, cleanup, next, cleaned`.
pub(super) fn topic_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Topic> {
    let cleanup = if row.get::<_, i64>(1)? == cleanup_number(Cleanup::Compact) {
        Cleanup::Compact
    } else {
        Cleanup::Delete
    };
    Ok(Topic {
        id: row.get(0)?,
        cleanup,
        next: row.get(2)?,
        cleaned: row.get(3)?,
    })
}

pub(super) fn no_topic(path: &Path, name: &Arc<str>) -> Error {
    Error::NoTopic {
        topic: Arc::clone(name),
        bus: format!("the embedded bus `{}`", path.display()),
    }
}

fn failed_file(doing: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => Some(format!("ls -ld {}", path.display())),
        io::ErrorKind::StorageFull => Some(format!("df -h {}", path.display())),
        _ => None,
    };
    Error::Failed {
        doing: format!("{doing} `{}`", path.display()),
        cause: error.to_string(),
        hint,
    }
}

/// An error of the database in words.
pub(super) fn failed(doing: &str, path: &Path, error: &rusqlite::Error) -> Error {
    let folder = path.parent().unwrap_or(path).display();
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(format!("df -h {folder}")),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Some(format!("ls -la {folder}"))
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Some(format!(
            "keep a copy of {folder}, then start with an empty folder and apply the configuration again"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Some(format!("fuser -v {}", path.display()))
        }
        _ => None,
    };
    Error::Failed {
        doing: format!("{doing} `{}`", path.display()),
        cause: error.to_string(),
        hint,
    }
}

/// Whether trying again later makes sense without anybody's repairing the file.
pub(super) fn may_pass(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) | None
    )
}
