//! The dead-letter file: records that could not be read, or that a sink refused, each with the reason, as lines of JSON.
//!
//! A record that is given again after a failure is not written again, as long as it is among the last in the file.

use std::collections::HashSet;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bus::Incoming;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::database::{Error, failed_file};
use crate::lines;
use crate::spool::Item;

/// The file's name in the folder of the spool.
pub const FILE_NAME: &str = "dead-letter.jsonl";
/// The most identities that are kept in memory.
const KNOWN: usize = 100_000;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The sink that refused it; none if the record could not be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Why.
    pub reason: String,
    /// Topic.
    pub topic: String,
    /// Place in the topic.
    pub offset: u64,
    /// When it was written.
    pub time: Timestamp,
    /// Key.
    pub key: Option<String>,
    /// Value.
    pub value: Option<String>,
}

/// Sink, topic, offset and time of a letter.
type Identity = (Option<String>, String, u64, Timestamp);

impl Letter {
    /// A letter about a record or a gap.
    pub fn new(sink: Option<&str>, reason: String, item: &Item) -> Self {
        let sink = sink.map(str::to_owned);
        match item {
            Item::Record(Incoming {
                topic,
                offset,
                time,
                key,
                value,
            }) => Self {
                sink,
                reason,
                topic: topic.to_string(),
                offset: *offset,
                time: Timestamp::try_from(*time).unwrap_or_default(),
                key: key.clone(),
                value: value.clone(),
            },
            Item::Gap {
                topic,
                first,
                found,
                gap,
            } => Self {
                sink,
                reason,
                topic: topic.to_string(),
                offset: *first,
                time: *found,
                key: None,
                value: serde_json::to_string(gap).ok(),
            },
        }
    }

    fn identity(&self) -> Identity {
        (
            self.sink.clone(),
            self.topic.clone(),
            self.offset,
            self.time,
        )
    }
}

/// The file.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: fs_err::File,
    /// What may be given again: what the end of the file had when it was opened, and what was written since.
    known: HashSet<Identity>,
}

impl DeadLetters {
    /// Opens the file; half a line at its end, of a logger that was killed, is removed.
    ///
    /// # Errors
    ///
    /// It cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE_NAME);
        let opened = lines::open(&path, lines::TAIL);
        let opened = opened.map_err(|error| failed_file("opening", &path, &error))?;
        let known = opened
            .tail
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Letter>(line).ok())
            .map(|letter| letter.identity())
            .collect();
        let open = Open {
            file: opened.file,
            known,
        };
        Ok(Self {
            path,
            open: Mutex::new(open),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes letters for good. Those that are there already are left out; gives how many were new.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(&self, letters: &[Letter]) -> Result<usize, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        let mut new = 0;
        for letter in letters {
            if open.known.contains(&letter.identity()) {
                continue;
            }
            new += 1;
            if serde_json::to_writer(&mut lines, letter).is_ok() {
                lines.push(b'\n');
            }
        }
        let mut write = || -> std::io::Result<()> {
            let end = open.file.seek(SeekFrom::End(0))?;
            let written = open
                .file
                .write_all(&lines)
                .and_then(|()| open.file.sync_data());
            // half of the lines would be read as something else
            if written.is_err() {
                open.file.set_len(end)?;
            }
            written
        };
        if new > 0 {
            write().map_err(|error| failed_file("writing", &self.path, &error))?;
        }
        if open.known.len() > KNOWN {
            open.known.clear();
        }
        open.known.extend(letters.iter().map(Letter::identity));
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: u64) -> Letter {
        Letter {
            sink: Some("sqlite:x".to_owned()),
            reason: "no".to_owned(),
            topic: "X".to_owned(),
            offset,
            time: Timestamp::UNIX_EPOCH,
            key: None,
            value: Some("{".to_owned()),
        }
    }

    #[test]
    fn half_a_line_goes_and_nothing_is_there_twice() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        assert_eq!(letters.write(&[letter(1), letter(2)]).unwrap(), 2);
        drop(letters);
        let path = folder.path().join(FILE_NAME);
        let mut text = fs_err::read_to_string(&path).unwrap();
        text.push_str(r#"{"sink":"sqlite:x","reason":""#);
        // longer than what is looked at
        text.push_str(&"x".repeat(usize::try_from(lines::TAIL).unwrap() + 1));
        fs_err::write(&path, text).unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        assert_eq!(letters.write(&[letter(2), letter(3)]).unwrap(), 1);
        assert_eq!(letters.write(&[letter(3)]).unwrap(), 0);
        let text = fs_err::read_to_string(&path).unwrap();
        let read: Vec<Letter> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, [letter(1), letter(2), letter(3)]);
    }
}
