//! Who changed what: in the log (target `audit`) and on the stream.

use serde::Serialize;

use crate::api::auth::Who;
use crate::stream::Stream;

#[derive(Serialize)]
struct Entry<'a> {
    user: &'a str,
    /// Whether a token proved it.
    proved: bool,
    from: String,
    host: &'a str,
    operation: &'a str,
    paths: &'a [String],
    detail: Option<&'a str>,
}

/// Notes a change.
pub(crate) fn audit(
    stream: &Stream,
    who: &Who,
    operation: &str,
    paths: &[String],
    detail: Option<&str>,
) {
    let entry = Entry {
        user: &who.user,
        proved: who.proved,
        from: who.from.to_string(),
        host: &who.host,
        operation,
        paths,
        detail,
    };
    tracing::info!(
        target: "audit",
        user = entry.user,
        proved = entry.proved,
        from = entry.from,
        host = entry.host,
        operation,
        paths = ?paths,
        detail = detail.unwrap_or_default(),
        "change"
    );
    stream.add("audit", &entry);
}
