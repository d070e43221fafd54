//! Reads the files of a chart's archive. Archives come from anywhere: paths that lead out of the
//! chart are refused, sizes and counts are bounded while unpacking.

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use jiff::Timestamp;

use super::load::LoadLimits;
use super::{ChartError, File};
use crate::functions::clean_path;

pub(super) fn unpack(bytes: &[u8], limits: &LoadLimits) -> Result<Vec<File>, ChartError> {
    if !bytes.starts_with(b"\x1f\x8b\x08") {
        return Err(ChartError::Archive("it is not gzipped".to_owned()));
    }
    // One byte more than allowed tells a chart at the limit from one beyond it.
    let bounded = GzDecoder::new(bytes).take(limits.total_bytes.saturating_add(1));
    let mut archive = tar::Archive::new(bounded);
    let mut files = Vec::new();
    let mut total = 0u64;
    let broken = |error: std::io::Error| ChartError::Archive(error.to_string());
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let path = entry.path_bytes();
        let path = String::from_utf8_lossy(&path).into_owned();
        let name = inner_name(&path)?;
        if kind.is_symlink() || kind.is_hard_link() {
            return Err(ChartError::Archive(format!("`{path}` is a link")));
        }
        if files.len() >= limits.entries {
            return Err(ChartError::TooLarge(format!("{} files", limits.entries)));
        }
        total = total.saturating_add(entry.size());
        if total > limits.total_bytes {
            return Err(ChartError::TooLarge(format!(
                "{} bytes",
                limits.total_bytes
            )));
        }
        let modified = entry.header().mtime().ok();
        let modified = modified
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(broken)?;
        let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&data);
        files.push(File {
            name: name.as_str().into(),
            data: Arc::from(data),
            modified,
        });
    }
    if files.is_empty() {
        return Err(ChartError::Archive("it is empty".to_owned()));
    }
    Ok(files)
}

/// The path inside the chart: that of the entry without its first folder.
fn inner_name(path: &str) -> Result<String, ChartError> {
    let forbidden = || ChartError::ArchivePath(path.to_owned());
    let slashes = if path.contains('\\') {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    };
    let Some((_, inner)) = slashes.split_once('/') else {
        return Err(forbidden());
    };
    let has_drive = inner.as_bytes().get(1) == Some(&b':');
    if inner.starts_with('/') || has_drive {
        return Err(forbidden());
    }
    let clean = clean_path(inner);
    if clean == "." || clean.starts_with("..") {
        return Err(forbidden());
    }
    Ok(clean)
}
