//! Notices that are not sent yet, in an SQLite file: they are there when the server that was killed comes back.
//!
//! A notice is written before the bus gets what follows from it, and goes when it was sent. While it is being sent it is
//! marked: what a killed server has left marked may have arrived, so whoever wants it at most once must not send it
//! again.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rusqlite::{Connection, TransactionBehavior, params};

use super::notice::Notice;

/// What says in the file whose it is (SQLite's `application_id`): the letters `iocn`.
const APPLICATION: i32 = 0x696f_636e;
const TABLES: &str = "CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    notice TEXT NOT NULL,
    -- milliseconds since 1970
    made INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    sending INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS notice_channel ON notice (channel, due);";
/// So many wait at most.
pub(super) const MOST: usize = 100_000;
/// How long another connection may hold the file.
const BUSY: Duration = Duration::from_secs(2);

/// Why a queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    #[error("the queue of notices `{0}` is used by another alarm server")]
    Locked(String),
    #[error("the queue of notices `{0}` is another program's file")]
    Foreign(String),
    #[error("the queue of notices is full: {MOST} wait already")]
    Full,
    #[error("the queue of notices cannot be used: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("the queue of notices cannot be used: {0}")]
    Io(#[from] std::io::Error),
    #[error("the queue of notices holds something that is none: {0}")]
    Content(#[from] serde_json::Error),
}

/// A notice that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) id: i64,
    pub(super) made: i64,
    pub(super) attempts: u32,
    pub(super) notice: Notice,
}

/// A channel that has something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) channel: String,
    /// When the first of it is due.
    pub(super) at: i64,
}

/// Notices that wait.
pub(super) struct Queue {
    connection: Mutex<Connection>,
    /// Held as long as the queue is.
    _lock: Option<fs_err::File>,
    is_durable: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// One that is gone with the process.
    pub(super) fn in_memory() -> Result<Self, QueueError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLES)?;
        Ok(Self {
            connection: Mutex::new(connection),
            _lock: None,
            is_durable: false,
        })
    }

    /// The one in a file, which is made, with its folder, if it is not there. Nobody else may read it.
    pub(super) fn open(path: &Path) -> Result<Self, QueueError> {
        let shown = path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let private = |path: &Path| {
            fs_err::OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(path)
        };
        let lock = private(&path.with_extension("lock"))?;
        if lock.file().try_lock().is_err() {
            return Err(QueueError::Locked(shown));
        }
        private(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        let application: i32 =
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'",
            [],
            |row| row.get(0),
        )?;
        if application != APPLICATION && tables > 0 {
            return Err(QueueError::Foreign(shown));
        }
        // a killed process loses nothing that way; the power failure of a machine the last moments
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.execute_batch(TABLES)?;
        Ok(Self {
            connection: Mutex::new(connection),
            _lock: Some(lock),
            is_durable: true,
        })
    }

    /// Whether what waits is there after the end of the process.
    pub(super) fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a notice in; it is due at `due`.
    pub(super) fn put(&self, notice: &Notice, now: i64, due: i64) -> Result<(), QueueError> {
        if self.len()? >= MOST {
            return Err(QueueError::Full);
        }
        let text = serde_json::to_string(notice)?;
        self.connection()
            .prepare_cached("INSERT INTO notice (channel, notice, made, due) VALUES (?, ?, ?, ?)")?
            .execute(params![notice.channel(), text, now, due])?;
        Ok(())
    }

    /// How many there are, those being sent included.
    pub(super) fn len(&self) -> Result<usize, QueueError> {
        let count: i64 = self
            .connection()
            .prepare_cached("SELECT count(*) FROM notice")?
            .query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The channels that have something to send, those that are due first in front.
    pub(super) fn due(&self) -> Result<Vec<Due>, QueueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT channel, min(due) FROM notice WHERE sending = 0 GROUP BY channel ORDER BY 2",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Due {
                channel: row.get(0)?,
                at: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Marks what is sent next of a channel and gives it: what is due, all of it if it is more than `singly`, else the
    /// first.
    pub(super) fn take(
        &self,
        channel: &str,
        now: i64,
        singly: usize,
        most: usize,
    ) -> Result<Vec<Waiting>, QueueError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut taken = Vec::new();
        {
            let mut statement = transaction.prepare_cached(
                "SELECT id, made, attempts, notice FROM notice
                 WHERE channel = ? AND sending = 0 AND due <= ? ORDER BY id LIMIT ?",
            )?;
            let limit = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![channel, now, limit], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, u32>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })?;
            for row in rows {
                let (id, made, attempts, text) = row?;
                taken.push(Waiting {
                    id,
                    made,
                    attempts,
                    notice: serde_json::from_str(&text)?,
                });
            }
            if taken.len() <= singly {
                taken.truncate(1);
            }
            let mut mark =
                transaction.prepare_cached("UPDATE notice SET sending = 1 WHERE id = ?")?;
            for waiting in &taken {
                mark.execute([waiting.id])?;
            }
        }
        transaction.commit()?;
        Ok(taken)
    }

    /// These are done with.
    pub(super) fn remove(&self, ids: &[i64]) -> Result<(), QueueError> {
        self.each("DELETE FROM notice WHERE id = ?", ids)
    }

    /// These are sent again from `due` on.
    pub(super) fn again(&self, ids: &[i64], due: i64) -> Result<(), QueueError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        for id in ids {
            transaction
                .prepare_cached(
                    "UPDATE notice SET sending = 0, attempts = attempts + 1, due = ? WHERE id = ?",
                )?
                .execute([due, *id])?;
        }
        Ok(transaction.commit()?)
    }

    fn each(&self, sql: &str, ids: &[i64]) -> Result<(), QueueError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        for id in ids {
            transaction.prepare_cached(sql)?.execute([id])?;
        }
        Ok(transaction.commit()?)
    }

    /// What a killed server was sending: put back if `again`, else taken out. Gives the channels with how many each.
    pub(super) fn left_over(&self, again: bool) -> Result<Vec<(String, u64)>, QueueError> {
        let connection = self.connection();
        let found = connection
            .prepare("SELECT channel, count(*) FROM notice WHERE sending = 1 GROUP BY channel")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        connection.execute_batch(if again {
            "UPDATE notice SET sending = 0, attempts = attempts + 1 WHERE sending = 1"
        } else {
            "DELETE FROM notice WHERE sending = 1"
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use alarm::Severity;

    use super::super::notice::tests::notice;
    use super::*;

    fn with_three(queue: &Queue) {
        for (target, path) in [("a@b", "/X/1"), ("a@b", "/X/2"), ("c@d", "/X/3")] {
            let notice = notice(target, path, Severity::Major);
            queue.put(&notice, 10, 20).unwrap();
        }
    }

    #[test]
    fn what_waits_is_there_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notices/X.sqlite");
        {
            let queue = Queue::open(&path).unwrap();
            with_three(&queue);
            assert!(matches!(Queue::open(&path), Err(QueueError::Locked(_))));
        }
        let mode = fs_err::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let queue = Queue::open(&path).unwrap();
        assert_eq!(queue.len().unwrap(), 3);
        let due = queue.due().unwrap();
        let channels: Vec<&str> = due.iter().map(|due| due.channel.as_str()).collect();
        assert_eq!(channels, ["mailto:a@b", "mailto:c@d"]);
        assert_eq!(queue.take("mailto:a@b", 19, 0, 9).unwrap().len(), 0);
    }

    #[test]
    fn what_a_killed_server_was_sending_is_sent_again_only_if_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        for (again, left) in [(false, 1), (true, 3)] {
            let path = folder.path().join(format!("{again}.sqlite"));
            {
                let queue = Queue::open(&path).unwrap();
                with_three(&queue);
                assert_eq!(queue.take("mailto:a@b", 30, 1, 9).unwrap().len(), 2);
            }
            let queue = Queue::open(&path).unwrap();
            let found = queue.left_over(again).unwrap();
            assert_eq!(found, [("mailto:a@b".to_owned(), 2)]);
            assert_eq!(queue.len().unwrap(), left, "{again}");
        }
    }

    #[test]
    fn few_are_sent_singly_and_many_together() {
        let queue = Queue::in_memory().unwrap();
        with_three(&queue);
        let one = queue.take("mailto:a@b", 20, 3, 100).unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].notice.path, "/X/1");
        queue.again(&[one[0].id], 50).unwrap();
        assert_eq!(queue.take("mailto:a@b", 20, 0, 100).unwrap().len(), 1);
        let again = queue.take("mailto:a@b", 50, 0, 100).unwrap();
        assert_eq!((again.len(), again[0].attempts), (1, 1));
        queue.remove(&[again[0].id]).unwrap();
        assert_eq!(queue.len().unwrap(), 2);
    }

    #[test]
    fn another_programs_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sqlite");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (a)").unwrap();
        drop(other);
        assert!(matches!(Queue::open(&path), Err(QueueError::Foreign(_))));
    }
}
