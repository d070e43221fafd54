//! `debian:` sources (being written).
use super::definition::DebianSource;
use super::{FetchContext, Fetched, SourceError};

pub(crate) async fn fetch(
    source: &DebianSource,
    _context: &FetchContext,
) -> Result<Fetched, SourceError> {
    Err(SourceError::DebianFiles {
        package: source.package.to_string(),
        version: source.version.to_string(),
        found: None,
    })
}
