//! Times as Go writes them into JSON: RFC 3339 with up to nine digits of the second.

use jiff::Zoned;
use jiff::fmt::strtime;
use serde::{Deserialize, Deserializer, Serializer};

/// The text of a time, in the time zone that it has.
pub fn format_time(time: &Zoned) -> String {
    crate::functions::dates::rfc3339(time)
}

#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
pub(super) fn serialize<S: Serializer>(
    time: &Option<Zoned>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_str(&format_time(time)),
        None => serializer.serialize_none(),
    }
}

/// Helm 3 writes an empty text, and Go the year 1, for a time that is not set.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Zoned>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let parsed = strtime::parse("%Y-%m-%dT%H:%M:%S%.f%:Q", &text)
        .and_then(|time| time.to_zoned())
        .or_else(|_| {
            let timestamp: jiff::Timestamp = text.parse()?;
            let offset = jiff::fmt::temporal::DateTimeParser::new()
                .parse_pieces(&text)
                .ok()
                .and_then(|pieces| pieces.to_numeric_offset())
                .unwrap_or(jiff::tz::Offset::UTC);
            let zone = if offset.seconds() == 0 {
                jiff::tz::TimeZone::UTC
            } else {
                jiff::tz::TimeZone::fixed(offset)
            };
            Ok::<_, jiff::Error>(timestamp.to_zoned(zone))
        });
    parsed.map(Some).map_err(serde::de::Error::custom)
}
