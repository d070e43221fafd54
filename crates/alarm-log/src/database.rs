//! SQLite files of the logger: made, recognised, opened; errors in words.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// Why a file of the logger cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is something else.
    #[error("`{}` {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: String,
    },
    /// There is no such file.
    #[error("there is no `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another logger has it.
    #[error("`{}` is in use by another logger{}", path.display(), by.map(|pid| format!(", process {pid}")).unwrap_or_default())]
    Held {
        /// The file.
        path: PathBuf,
        /// Its process.
        by: Option<u32>,
    },
    /// Reading or writing failed.
    #[error("{doing} `{}`: {cause}", path.display())]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: String,
        /// What kind of failure it was.
        failure: Failure,
    },
}

/// Kinds of failures that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Another process keeps the database locked.
    Locked,
    /// The disk is full.
    Full,
    /// Not allowed.
    Forbidden,
    /// The file is damaged.
    Damaged,
    /// Something else.
    Other,
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => Some("name another file, or move that one away".to_owned()),
            Self::Missing { .. } => Some("`ioc alarm logger` makes it".to_owned()),
            Self::Held { by, .. } => by.map(|pid| format!("`kill {pid}` ends it in order")),
            Self::Failed { path, failure, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                match failure {
                    Failure::Locked => Some(format!("fuser -v {}", path.display())),
                    Failure::Full => Some(format!("df -h {folder}")),
                    Failure::Forbidden => Some(format!("ls -la {folder}")),
                    Failure::Damaged => Some(format!(
                        "keep a copy of `{}`, move it away and start again",
                        path.display()
                    )),
                    Failure::Other => None,
                }
            }
        }
    }

    /// Whether trying again later may help without anybody's repairing the file.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                failure: Failure::Locked | Failure::Full | Failure::Other,
                ..
            }
        )
    }
}

/// What a file has to be.
pub(crate) struct Schema {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// SQLite's `application_id`.
    pub(crate) application: i32,
    /// SQLite's `user_version`.
    pub(crate) version: i32,
    /// Statements that make it.
    pub(crate) tables: &'static str,
}

/// The begin of every SQLite database (SQLite documentation, `fileformat.html`, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What the write-ahead log is cut to when it begins anew, in bytes.
const LOG_SIZE: u32 = 16 * 1024 * 1024;

/// An error of the database in words.
pub(crate) fn failed(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Error {
    let failure = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Failure::Full,
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Failure::Forbidden
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Failure::Damaged,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Locked,
        _ => Failure::Other,
    };
    Error::Failed {
        doing,
        path: path.to_owned(),
        cause: error.to_string(),
        failure,
    }
}

/// An error of a file in words.
pub(crate) fn failed_file(doing: &'static str, path: &Path, error: &io::Error) -> Error {
    let failure = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::Forbidden,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Full,
        _ => Failure::Other,
    };
    Error::Failed {
        doing,
        path: path.to_owned(),
        cause: error.to_string(),
        failure,
    }
}

/// Makes a folder for its owner only, and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    // an empty path is the folder one is in
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed_file("making the folder", folder, &error))
}

/// Opens a file for its owner only, and makes it if it is missing.
pub(crate) fn open_private(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens a database for writing; makes it if it is missing, refuses what it is not.
pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    make_folder(path.parent().unwrap_or(Path::new("")))?;
    let opening = |error: &io::Error| failed_file("opening", path, error);
    let mut begin = Vec::new();
    open_private(path)
        .map_err(|error| opening(&error))?
        .take(MAGIC.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|error| opening(&error))?;
    if !begin.is_empty() && begin != MAGIC {
        return Err(Error::Foreign {
            path: path.to_owned(),
            problem: "is no SQLite database".to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags)?;
    recognise(&mut connection, path, schema)?;
    Ok(connection)
}

/// Opens a database that has been made, for reading.
pub(crate) fn open_to_read(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    if !path.exists() {
        return Err(Error::Missing {
            path: path.to_owned(),
        });
    }
    // not read-only: without a writer nobody else would make the shared memory of the write-ahead log
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    let (application, version, _tables) = marks(&connection, path)?;
    if (application, version) != (schema.application, schema.version) {
        return Err(other(path, schema, application, version));
    }
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| failed("opening", path, &error))?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let opening = |error: rusqlite::Error| failed("opening", path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(opening)?;
    connection
        .busy_handler(Some(wait_for_other))
        .map_err(opening)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update_and_check(None, name, value, |_| Ok(()))
    };
    // those that answer nothing are no error
    for (name, value) in [
        ("synchronous", &"FULL" as &dyn rusqlite::ToSql),
        ("journal_size_limit", &LOG_SIZE),
        ("temp_store", &"MEMORY"),
    ] {
        match set(name, value) {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(opening(error)),
        }
    }
    Ok(connection)
}

/// Another process writes; its turn takes about as long as the disk needs. Gives up after some seconds, so that a process
/// that is stopped in the middle of its turn is told about.
fn wait_for_other(times: i32) -> bool {
    std::thread::sleep(Duration::from_micros(if times < 20 { 200 } else { 2000 }));
    times < 2500
}

fn marks(connection: &Connection, path: &Path) -> Result<(i32, i32, i64), Error> {
    let failed = |error: rusqlite::Error| failed("opening", path, &error);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
    Ok((
        pragma("application_id").map_err(failed)?,
        pragma("user_version").map_err(failed)?,
        tables.map_err(failed)?,
    ))
}

fn other(path: &Path, schema: &Schema, application: i32, version: i32) -> Error {
    let problem = if application == schema.application {
        format!(
            "is {} of version {version}; this program knows version {}",
            schema.name, schema.version
        )
    } else {
        format!(
            "is an SQLite database of another program, not {}",
            schema.name
        )
    };
    Error::Foreign {
        path: path.to_owned(),
        problem,
    }
}

/// Makes the tables in an empty database; refuses what is not ours.
fn recognise(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| failed("opening", path, &error);
    if marks(connection, path)? == (0, 0, 0) {
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(failed)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // another process may have made it meanwhile
    let (application, version, tables) = marks(&transaction, path)?;
    if (application, version) == (schema.application, schema.version) {
        return Ok(());
    }
    if (application, version, tables) != (0, 0, 0) {
        return Err(other(path, schema, application, version));
    }
    transaction.execute_batch(schema.tables).map_err(failed)?;
    transaction
        .pragma_update(None, "application_id", schema.application)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", schema.version)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Does what waits for the disk away from the executor.
pub(crate) async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // the work itself panicked, or the runtime ends and nobody waits for the answer
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_ended) => std::future::pending().await,
        },
    }
}
