//! Helm's release records: the JSON that it stores in the cluster for each revision of a release.
//!
//! Records written here are read by Helm 3 and 4, and theirs are read here. Two storage forms exist:
//! the text that Helm puts into a Secret (Base64 of gzipped JSON; Kubernetes encodes it in Base64
//! once more on the wire), and plain JSON, which Helm's reader accepts as well.

mod name;
mod record;
mod status;
mod times;

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

pub use self::name::{ReleaseNameError, validate_name};
pub use self::record::{
    ApplyMethod, ChartRecord, FileRecord, HookPhase, HookRecord, HookRun, Info, ReleaseRecord,
};
pub use self::status::Status;
pub use self::times::format_time;

/// Name of the Secret, or file, of a revision: `sh.helm.release.v1.NAME.vREVISION`.
pub fn storage_name(release: &str, revision: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

/// Release and revision of a Secret or file named by [`storage_name`].
pub fn parse_storage_name(name: &str) -> Option<(&str, i64)> {
    let (release, revision) = name
        .strip_prefix("sh.helm.release.v1.")?
        .rsplit_once(".v")?;
    let revision = revision.parse().ok().filter(|&revision| revision > 0)?;
    (!release.is_empty()).then_some((release, revision))
}

/// Type of the Secrets in which Helm keeps releases.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// JSON of a record that is read at most; a Secret holds 1 MiB, compressed about a tenth.
const MAX_JSON: u64 = 256 * 1024 * 1024;

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The text is not Base64.
    #[error("release record is not Base64")]
    Base64(#[from] base64::DecodeError),
    /// The bytes cannot be unpacked.
    #[error("release record cannot be unpacked")]
    Gzip(#[from] std::io::Error),
    /// The JSON is larger than any release can be.
    #[error("release record is larger than {MAX_JSON} bytes")]
    TooLarge,
    /// The JSON is not that of a release.
    #[error("release record is not the JSON of a release")]
    Json(#[from] serde_json::Error),
}

/// The text that Helm stores: Base64 of the gzipped JSON.
///
/// # Errors
/// When the values of the record have no JSON form.
pub fn encode(record: &ReleaseRecord) -> Result<String, RecordError> {
    let json = serde_json::to_vec(record)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&json)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

/// Reads what [`encode`] or Helm wrote. Base64 that is encoded once more, as in the JSON of a Secret,
/// is read as well.
///
/// # Errors
/// When the text is not the record of a release.
pub fn decode(text: &str) -> Result<ReleaseRecord, RecordError> {
    let bytes = STANDARD.decode(text.trim())?;
    // Inner Base64 begins with the letters of a gzip header or of a JSON object.
    if bytes.starts_with(b"H4sI") || bytes.starts_with(b"ey") {
        return decode_bytes(&STANDARD.decode(&bytes)?);
    }
    decode_bytes(&bytes)
}

fn decode_bytes(bytes: &[u8]) -> Result<ReleaseRecord, RecordError> {
    if !bytes.starts_with(b"\x1f\x8b\x08") {
        return Ok(serde_json::from_slice(bytes)?);
    }
    let mut json = Vec::new();
    GzDecoder::new(bytes)
        .take(MAX_JSON + 1)
        .read_to_end(&mut json)?;
    if json.len() as u64 > MAX_JSON {
        return Err(RecordError::TooLarge);
    }
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests;
