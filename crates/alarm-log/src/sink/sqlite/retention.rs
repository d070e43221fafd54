//! Forgetting: by age and by size, a part at a time so that nobody waits for long.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Retention;
use crate::database::{Error, failed};

/// So many entries go in one transaction.
const PART: u32 = 10_000;
/// Free pages that are given back to the file system at a time.
const FREE_PAGES: u32 = 20_000;

/// Removes what is too old or too much.
pub(super) fn remove_old(
    connection: &mut Connection,
    path: &Path,
    retention: Retention,
    now: Timestamp,
) -> Result<(), Error> {
    let remove = |connection: &mut Connection| -> rusqlite::Result<()> {
        if let Some(age) = retention.age {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let oldest = now.as_millisecond().saturating_sub(age);
            while remove_part(connection, oldest)? == PART as usize {}
        }
        if let Some(limit) = retention.bytes {
            while used(connection)? > limit && remove_part(connection, i64::MAX)? > 0 {}
        }
        give_back(connection)
    };
    remove(connection).map_err(|error| failed("removing old entries from", path, &error))
}

fn remove_part(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE time < ?1 ORDER BY time LIMIT ?2)",
        params![before, PART],
    )
}

/// Bytes of pages that are in use.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > FREE_PAGES {
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({FREE_PAGES})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
