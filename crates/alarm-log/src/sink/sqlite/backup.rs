//! A copy of the history while it is written to.

use std::path::Path;

use super::{SCHEMA, SqliteHistory};
use crate::database::{self, Error, failed, failed_file};
use crate::query::NoAnswer;

impl SqliteHistory {
    /// Copies the history as it is at one moment into a file that does not exist yet; whoever writes is not held up.
    ///
    /// # Errors
    ///
    /// The file exists or cannot be written, or the history cannot be read.
    pub async fn back_up(&self, to: &Path) -> Result<(), NoAnswer> {
        let (from, to) = (self.path().to_owned(), to.to_owned());
        Ok(database::away(move || copy(&from, &to)).await?)
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(failed_file("writing", to, &error));
    }
    let source = database::open(from, &SCHEMA)?;
    // for its owner only, as the history is; SQLite takes an empty file as none
    database::open_private(to).map_err(|error| failed_file("writing", to, &error))?;
    let copied = source.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
    if let Err(error) = copied {
        if let Err(left) = fs_err::remove_file(to) {
            tracing::warn!("{left}");
        }
        return Err(failed("copying to", to, &error));
    }
    Ok(())
}
