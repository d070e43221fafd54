//! The history as lines of JSON, for whatever reads those.
//!
//! A folder has files `alarms-NUMBER-DAY.jsonl`, of which the one with the highest number is written to; finished ones
//! are compressed (`.jsonl.gz`). A file is finished when a day (UTC) is over, or when it is large. Half a line that a
//! killed logger left is removed. What is given again is not written again as long as it is among the last lines, which
//! is what a logger that goes on gives again.

mod files;
mod search;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustix::fs::FlockOperation;

use self::files::File;
use crate::database::{self, Error, away, failed_file};
use crate::entry::Entry;
use crate::lines;
use crate::sink::sqlite::Retention;
use crate::sink::{Outcome, Sink, TryLater};

pub use search::JsonlHistory;

/// A file is finished when it has so many bytes.
const LARGE: u64 = 64 << 20;

/// Topic, offset and time.
type Identity = (Arc<str>, u64, Timestamp);

fn identity(entry: &Entry) -> Identity {
    (Arc::clone(&entry.topic), entry.offset, entry.time)
}

/// Writes lines of JSON.
#[derive(Debug)]
pub struct JsonlSink {
    name: String,
    writer: Arc<Mutex<Writer>>,
}

#[derive(Debug)]
struct Writer {
    folder: PathBuf,
    retention: Retention,
    large: u64,
    current: Option<Current>,
    /// What may be given again: the last lines that there were, or those of the last call.
    recent: HashSet<Identity>,
    /// Held as long as the folder is written to.
    _lock: fs_err::File,
}

#[derive(Debug)]
struct Current {
    named: File,
    file: fs_err::File,
    length: u64,
}

impl JsonlSink {
    /// Opens a folder; makes it if it is missing.
    ///
    /// # Errors
    ///
    /// Another logger writes there, or it cannot be read or written.
    pub fn open(folder: &Path, retention: Retention) -> Result<Self, Error> {
        Self::with_files_of(folder, retention, LARGE)
    }

    fn with_files_of(folder: &Path, retention: Retention, large: u64) -> Result<Self, Error> {
        database::make_folder(folder)?;
        let lock = lock(folder)?;
        let mut writer = Writer {
            folder: folder.to_owned(),
            retention,
            large,
            current: None,
            recent: HashSet::new(),
            _lock: lock,
        };
        writer
            .begin()
            .map_err(|error| failed_file("opening", folder, &error))?;
        Ok(Self {
            name: format!("jsonl:{}", folder.display()),
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Writer) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, TryLater> {
        let writer = Arc::clone(&self.writer);
        let done = away(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut writer).map_err(|error| failed_file(doing, &writer.folder, &error))
        });
        Ok(done.await?)
    }
}

fn lock(folder: &Path) -> Result<fs_err::File, Error> {
    let path = folder.join(".lock");
    let failed = |error: &std::io::Error| failed_file("opening", &path, error);
    let lock = database::open_private(&path).map_err(|error| failed(&error))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Held {
            path: folder.to_owned(),
            by: None,
        }),
        Err(error) => Err(failed(&error.into())),
    }
}

impl Sink for JsonlSink {
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
            self.with("writing to", move |writer| writer.write(&entries))
                .await?;
            Ok(taken)
        }
        .boxed()
    }

    fn tidy(&mut self) -> BoxFuture<'_, Result<(), TryLater>> {
        self.with("removing old files from", |writer| {
            files::remove_old(&writer.folder, writer.retention, Timestamp::now())
        })
        .boxed()
    }
}

fn day(entry: &Entry) -> Date {
    entry.time.to_zoned(TimeZone::UTC).date()
}

impl Writer {
    /// Finds where to go on, and finishes what a killed logger left.
    fn begin(&mut self) -> std::io::Result<()> {
        let all = files::all(&self.folder)?;
        let Some((last, before)) = all.split_last() else {
            return Ok(());
        };
        for left in before.iter().filter(|file| !file.is_compressed) {
            files::compress(&self.folder, left)?;
        }
        if let Some(before) = before.last() {
            let before = File {
                is_compressed: true,
                ..before.clone()
            };
            let text = files::read(&self.folder, &before)?;
            self.remember(&text);
        }
        if last.is_compressed {
            let text = files::read(&self.folder, last)?;
            self.remember(&text);
            return Ok(());
        }
        let opened = lines::open(&self.folder.join(last.name()), lines::TAIL)?;
        self.remember(&opened.tail);
        self.current = Some(Current {
            named: last.clone(),
            file: opened.file,
            length: opened.length,
        });
        Ok(())
    }

    fn remember(&mut self, text: &[u8]) {
        let from = text
            .len()
            .saturating_sub(usize::try_from(lines::TAIL).unwrap_or(usize::MAX));
        let lines = text[from..].split(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        self.recent.extend(entries.map(|entry| identity(&entry)));
    }

    fn write(&mut self, entries: &[Entry]) -> std::io::Result<()> {
        let new: Vec<&Entry> = entries
            .iter()
            .filter(|entry| !self.recent.contains(&identity(entry)))
            .collect();
        let mut rest = new.as_slice();
        while let Some(first) = rest.first() {
            self.turn(day(first))?;
            let file_day = self.current.as_ref().map(|current| current.named.day);
            let same = rest
                .iter()
                .take_while(|entry| file_day.is_some_and(|file_day| day(entry) <= file_day))
                .count()
                .max(1);
            let (now, later) = rest.split_at(same);
            self.append(now)?;
            // if what follows fails, these are given again
            self.recent.extend(now.iter().map(|entry| identity(entry)));
            rest = later;
        }
        self.recent = entries.iter().map(identity).collect();
        Ok(())
    }

    /// Begins another file if the day is over or the file is large.
    fn turn(&mut self, day: Date) -> std::io::Result<()> {
        let number = match &self.current {
            Some(current) if current.named.day >= day && current.length < self.large => {
                return Ok(());
            }
            Some(current) => current.named.number + 1,
            None => files::all(&self.folder)?
                .last()
                .map_or(1, |last| last.number + 1),
        };
        if let Some(finished) = self.current.take() {
            finished.file.sync_all()?;
            files::compress(&self.folder, &finished.named)?;
        }
        let named = File {
            number,
            day,
            is_compressed: false,
        };
        let file = database::open_private(&self.folder.join(named.name()))?;
        fs_err::File::open(&self.folder)?.sync_all()?;
        self.current = Some(Current {
            named,
            file,
            length: 0,
        });
        Ok(())
    }

    /// Writes lines for good, all or none.
    fn append(&mut self, entries: &[&Entry]) -> std::io::Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        current.file.seek(SeekFrom::Start(current.length))?;
        let written = current
            .file
            .write_all(&lines)
            .and_then(|()| current.file.sync_data());
        if let Err(error) = written {
            current.file.set_len(current.length)?;
            return Err(error);
        }
        current.length += lines.len() as u64;
        Ok(())
    }
}
