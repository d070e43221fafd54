//! Searching by reading all files: for small histories, and for those that have nothing better.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::files;
use crate::database::{Error, away, failed_file};
use crate::entry::Entry;
use crate::query::{Count, Counting, Cursor, Filter, History, NoAnswer, Order, Page, Query};

/// Reads the files of a folder.
#[derive(Debug, Clone)]
pub struct JsonlHistory {
    folder: PathBuf,
}

impl JsonlHistory {
    /// Opens a folder that exists.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !folder.is_dir() {
            return Err(Error::Missing {
                path: folder.to_owned(),
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }
}

/// Gives every entry with its place: the number of its file and that of its line. A line that is none is told and passed
/// over; one that is there twice is given once.
fn scan(folder: &Path, mut take: impl FnMut(i64, Entry)) -> Result<(), Error> {
    let failed = |error: std::io::Error| failed_file("reading", folder, &error);
    let mut seen = BTreeSet::new();
    for file in files::all(folder).map_err(failed)? {
        let text = files::read(folder, &file).map_err(failed)?;
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Entry>(line) {
                Ok(entry) => {
                    if seen.insert((entry.topic.clone(), entry.offset, entry.time)) {
                        let place = (i64::try_from(file.number).unwrap_or(0) << 32)
                            + i64::try_from(number).unwrap_or(0);
                        take(place, entry);
                    }
                }
                // the last line of the file that is written to may be half there
                Err(error) => {
                    tracing::debug!("line {} of `{}`: {error}", number + 1, file.name());
                }
            }
        }
    }
    Ok(())
}

fn search(folder: &Path, query: &Query) -> Result<Page, Error> {
    // no more than a page and one, whose being there says that there is another
    let mut best: BTreeMap<Cursor, Entry> = BTreeMap::new();
    scan(folder, |place, entry| {
        let at = Cursor {
            time: entry.time.as_millisecond(),
            place,
        };
        let is_after = query.after.is_none_or(|after| match query.order {
            Order::NewestFirst => at < after,
            Order::OldestFirst => at > after,
        });
        if !is_after || !query.filter.matches(&entry) {
            return;
        }
        best.insert(at, entry);
        if best.len() > query.limit.saturating_add(1) {
            match query.order {
                Order::NewestFirst => best.pop_first(),
                Order::OldestFirst => best.pop_last(),
            };
        }
    })?;
    let mut found: Vec<(Cursor, Entry)> = best.into_iter().collect();
    if query.order == Order::NewestFirst {
        found.reverse();
    }
    let is_more = found.len() > query.limit;
    found.truncate(query.limit);
    let last = found.last().map(|(at, _entry)| *at);
    Ok(Page {
        next: last.filter(|_last| is_more),
        entries: found.into_iter().map(|(_at, entry)| entry).collect(),
    })
}

fn count(folder: &Path, filter: &Filter, span: i64) -> Result<Vec<Count>, Error> {
    let mut counting = Counting::by(span);
    scan(folder, |_place, entry| {
        if filter.matches(&entry) {
            counting.take(&entry);
        }
    })?;
    Ok(counting.finish())
}

impl History for JsonlHistory {
    fn name(&self) -> String {
        format!("jsonl:{}", self.folder.display())
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Page, NoAnswer>> {
        let folder = self.folder.clone();
        async move { Ok(away(move || search(&folder, &query)).await?) }.boxed()
    }

    fn count(&self, filter: Filter, span: i64) -> BoxFuture<'_, Result<Vec<Count>, NoAnswer>> {
        let folder = self.folder.clone();
        async move { Ok(away(move || count(&folder, &filter, span)).await?) }.boxed()
    }
}
