//! The files of a folder: their names, their compression, their end.

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::database::open_private;
use crate::sink::sqlite::Retention;

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// Counted from 1; a later file has a higher one.
    pub(super) number: u64,
    /// The day with which it began.
    pub(super) day: Date,
    /// Whether it is finished.
    pub(super) is_compressed: bool,
}

impl File {
    pub(super) fn name(&self) -> String {
        let compressed = if self.is_compressed { ".gz" } else { "" };
        format!("alarms-{:06}-{}.jsonl{compressed}", self.number, self.day)
    }

    fn read(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("alarms-")?;
        let (rest, is_compressed) = match rest.strip_suffix(".gz") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (number, day) = rest.strip_suffix(".jsonl")?.split_once('-')?;
        Some(Self {
            number: number.parse().ok()?,
            day: day.parse().ok()?,
            is_compressed,
        })
    }
}

/// The files of a folder, the oldest first, each once; what else there is does not matter.
pub(super) fn all(folder: &Path) -> std::io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        files.extend(entry?.file_name().to_str().and_then(File::read));
    }
    // of one that is there twice, the compressed one is whole: it got its name when it was
    files.sort_by_key(|file| (file.number, !file.is_compressed));
    files.dedup_by_key(|file| file.number);
    Ok(files)
}

/// The text of a file.
pub(super) fn read(folder: &Path, file: &File) -> std::io::Result<Vec<u8>> {
    let mut opened = fs_err::File::open(folder.join(file.name()))?;
    let mut text = Vec::new();
    if file.is_compressed {
        MultiGzDecoder::new(opened).read_to_end(&mut text)?;
    } else {
        opened.read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Compresses a finished file. At each moment one of the two is there and whole.
pub(super) fn compress(folder: &Path, file: &File) -> std::io::Result<()> {
    let plain = folder.join(file.name());
    let compressed = File {
        is_compressed: true,
        ..file.clone()
    };
    let part = folder.join(format!(".{}.part", compressed.name()));
    let text = read(folder, file)?;
    let target = open_private(&part)?;
    target.set_len(0)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    encoder.write_all(&text)?;
    encoder.finish()?.sync_all()?;
    fs_err::rename(&part, folder.join(compressed.name()))?;
    fs_err::File::open(folder)?.sync_all()?;
    fs_err::remove_file(plain)
}

/// Removes whole files that are too old, or the oldest while there is too much; never the last.
pub(super) fn remove_old(
    folder: &Path,
    retention: Retention,
    now: Timestamp,
) -> std::io::Result<()> {
    let mut files = all(folder)?;
    files.pop();
    let last_day = retention.age.and_then(|age| {
        let oldest = now.checked_sub(age).ok()?;
        Some(oldest.to_zoned(TimeZone::UTC).date())
    });
    let mut kept = Vec::new();
    for file in files {
        // of the day itself some entries are still young enough
        if last_day.is_some_and(|last_day| file.day < last_day) {
            fs_err::remove_file(folder.join(file.name()))?;
        } else {
            kept.push(file);
        }
    }
    let Some(limit) = retention.bytes else {
        return Ok(());
    };
    let mut bytes = 0;
    for file in kept.iter().rev() {
        let path = folder.join(file.name());
        bytes += fs_err::metadata(&path)?.len();
        if bytes > limit {
            fs_err::remove_file(&path)?;
        }
    }
    Ok(())
}
