//! Who may write as the leader: a number in the database that every transaction of a leader is checked against, and a
//! lock on a file of its own that tells whether the leader's process lives.
//!
//! The number decides; the lock only tells early. A process that is stopped keeps its lock, and when it goes on it finds
//! another number and writes nothing.

use std::fs::TryLockError;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustix::process::{Pid, Signal};

use super::file;
use crate::fence::{Fence, Holder, Presence};
use crate::{Error, Outgoing};

/// Made in databases that have none.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS fence (
    name TEXT PRIMARY KEY,
    -- how often it was taken
    number INTEGER NOT NULL,
    -- the file that the holder has locked, in the folder of the bus
    lock TEXT NOT NULL
) STRICT;";

/// How long others may be writing until that is an error.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Byte of the shared-memory file that a writer locks (SQLite, `walformat.html`, 2.3.1: the locks begin at byte 120,
/// `WAL_WRITE_LOCK` is the first).
const WRITE_LOCK: u64 = 120;

/// A right that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) name: Arc<str>,
    pub(super) number: u64,
    pub(super) lost: AtomicBool,
    file: PathBuf,
    /// Locked as long as this lives.
    _lock: std::fs::File,
}

impl Taken {
    pub(super) fn error(&self) -> Error {
        Error::Fenced {
            name: Arc::clone(&self.name),
        }
    }

    /// Whether it is still the last one, as the database is now.
    pub(super) fn is_valid(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let number = number(connection, &self.name)?.map(|(number, _lock)| number);
        Ok(number == Some(self.number))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Err(error) = fs_err::remove_file(&self.file) {
            tracing::debug!("{error}");
        }
    }
}

fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<(u64, String)>> {
    connection
        .prepare_cached("SELECT number, lock FROM fence WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Who has it.
pub(super) fn holder(connection: &Connection, path: &Path, name: &str) -> Result<Holder, Error> {
    let found = number(connection, name).map_err(|error| file::failed("reading", path, &error))?;
    let Some((number, lock)) = found else {
        return Ok(Holder {
            number: 0,
            presence: Presence::Gone,
            said: None,
        });
    };
    let lock = path.with_file_name(lock);
    Ok(Holder {
        number,
        presence: if is_locked(&lock) {
            Presence::Lives
        } else {
            Presence::Gone
        },
        said: fs_err::read_to_string(&lock).ok(),
    })
}

/// Several may look at once: they share the lock for that moment.
fn is_locked(lock: &Path) -> bool {
    let Ok(file) = std::fs::File::open(lock) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Takes it, if it was taken as often as expected.
pub(super) fn take(path: &Path, fence: &Fence, after: Option<u64>) -> Result<Taken, Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let failed = |error: rusqlite::Error| file::failed("taking the lead in", path, &error);
    let mut connection = file::connect(path, file::Durability::Full)?;
    file::wait_a_turn(&mut connection).map_err(failed)?;
    let name = format!(
        "fence-{}-{}-{}.lock",
        fence.name,
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let lock_file = path.with_file_name(&name);
    let lock = lock(&lock_file, &fence.holder).map_err(|error| Error::Failed {
        doing: format!("locking `{}`", lock_file.display()),
        cause: error.to_string(),
        hint: Some(format!("ls -ld {}", path.with_file_name("").display())),
    })?;
    // the lock before the number: at no moment is there a holder that seems to be gone
    let mut taken = Taken {
        name: Arc::clone(&fence.name),
        number: 0,
        lost: AtomicBool::new(false),
        file: lock_file,
        _lock: lock,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match count(&mut connection, fence, after, &name) {
            Ok(Some((number, before))) => {
                taken.number = number;
                if let Some(before) = before {
                    // of a holder that is gone; one that is stopped will not need it any more
                    let _gone = fs_err::remove_file(path.with_file_name(before));
                }
                return Ok(taken);
            }
            Ok(None) => return Err(taken.error()),
            Err(error) if file::is_busy(&error) && Instant::now() < deadline => {
                end_stopped_writer(path);
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

fn lock(path: &Path, holder: &str) -> std::io::Result<std::fs::File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?.into_parts().0;
    file.try_lock().map_err(std::io::Error::from)?;
    file.write_all(holder.as_bytes())?;
    Ok(file)
}

/// Counts on; the new number and the lock file of the holder before. None if somebody else was faster.
fn count(
    connection: &mut Connection,
    fence: &Fence,
    after: Option<u64>,
    lock: &str,
) -> rusqlite::Result<Option<(u64, Option<String>)>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = number(&transaction, &fence.name)?;
    let current = before.as_ref().map_or(0, |(number, _lock)| *number);
    if after.is_some_and(|after| after != current) {
        return Ok(None);
    }
    transaction.execute(
        "INSERT INTO fence (name, number, lock) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET number = ?2, lock = ?3",
        params![fence.name, current + 1, lock],
    )?;
    transaction.commit()?;
    Ok(Some((current + 1, before.map(|(_number, lock)| lock))))
}

/// A process that was stopped (SIGSTOP) in the middle of writing keeps everybody from writing for as long as it likes.
/// Whoever leads, or is about to, ends it: the database takes back what it had begun, as after any kill.
pub(super) fn end_stopped_writer(path: &Path) {
    let Some(pid) = writing_process(path).filter(|pid| is_stopped(*pid)) else {
        return;
    };
    tracing::warn!(
        "process {pid} is stopped in the middle of writing to `{}`, which keeps everybody from writing; it is ended",
        path.display()
    );
    if let Some(pid) = Pid::from_raw(pid)
        && let Err(error) = rustix::process::kill_process(pid, Signal::KILL)
    {
        tracing::warn!("it cannot be ended: {error}");
    }
}

/// The process that has the lock for writing (`proc_locks(5)`). The file itself must not be opened for that: closing it
/// would give up all locks that this process has on it (`fcntl_locking(2)`).
fn writing_process(path: &Path) -> Option<i32> {
    let mut memory = path.as_os_str().to_owned();
    memory.push("-shm");
    let inode = std::fs::metadata(memory).ok()?.ino();
    let locks = fs_err::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holds_write_lock(line, inode))
}

/// `1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120`
fn holds_write_lock(line: &str, inode: u64) -> Option<i32> {
    let mut words = line.split_whitespace().skip(1);
    if (words.next()?, words.nth(1)?) != ("POSIX", "WRITE") {
        return None;
    }
    let pid = words.next()?.parse().ok()?;
    let file = words.next()?.rsplit(':').next()?;
    let (from, to) = (words.next()?, words.next()?);
    let from: u64 = from.parse().ok()?;
    let to: u64 = if to == "EOF" {
        u64::MAX
    } else {
        to.parse().ok()?
    };
    (file.parse() == Ok(inode) && (from..=to).contains(&WRITE_LOCK)).then_some(pid)
}

/// Whether a process is stopped by a signal (`proc_pid_stat(5)`).
fn is_stopped(pid: i32) -> bool {
    let Ok(stat) = fs_err::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // the name may have blanks and parentheses
    stat.rsplit_once(')')
        .is_some_and(|(_name, rest)| rest.trim_start().starts_with('T'))
}

/// Whether everything of these records is of one step, which is never cut; see [`Outgoing`].
pub(super) fn group(records: &[Outgoing], taken: Option<&Arc<Taken>>) -> u64 {
    static GROUPS: AtomicU64 = AtomicU64::new(1);
    if taken.is_none() || records.len() < 2 {
        return 0;
    }
    GROUPS.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_found_among_locks() {
        let rows = [
            (
                "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120",
                Some(4711),
            ),
            (
                "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 0 EOF",
                Some(4711),
            ),
            ("1: POSIX  ADVISORY  READ 4711 08:01:1234 120 120", None),
            ("1: POSIX  ADVISORY  WRITE 4711 08:01:1235 120 120", None),
            ("1: POSIX  ADVISORY  WRITE 4711 08:01:1234 123 123", None),
            ("1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF", None),
            ("1: -> POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(holds_write_lock(line, 1234), expected, "{line}");
        }
    }
}
