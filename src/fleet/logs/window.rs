//! The time that `--since` means. Pure: the present is passed in.

use jiff::{SignedDuration, Timestamp, Zoned};

/// Reads a time ago (`10m`, `2h`, `1d`), a time of day of today (`14:30`), or a full time with or without zone.
///
/// # Errors
///
/// Says which forms are understood.
pub fn since(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return before(now, SignedDuration::from_secs(seconds), text);
    }
    if let Ok(span) = text.parse::<jiff::Span>()
        && let Ok(duration) = span.to_duration(now)
    {
        return before(now, duration.abs(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>()
        && let Ok(zoned) = time.to_zoned(now.time_zone().clone())
    {
        return Ok(zoned.timestamp());
    }
    if let Ok(time) = text.parse::<jiff::civil::Time>()
        && let Ok(zoned) = now
            .date()
            .to_datetime(time)
            .to_zoned(now.time_zone().clone())
    {
        return Ok(zoned.timestamp());
    }
    Err(format!(
        "`{text}` is not a time; write it as 10m, 2h, 1d, 14:30 or 2026-11-22T10:00:00Z"
    ))
}

fn before(now: &Zoned, duration: SignedDuration, text: &str) -> Result<Timestamp, String> {
    now.timestamp()
        .checked_sub(duration)
        .map_err(|_| format!("`{text}` ago is before all times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let now: Zoned = "2026-11-22T12:00:00+01:00[Europe/Paris]".parse().unwrap();
        let table = [
            ("90", "2026-11-22T10:58:30Z"),
            ("10m", "2026-11-22T10:50:00Z"),
            ("2h", "2026-11-22T09:00:00Z"),
            ("1d", "2026-11-21T11:00:00Z"),
            ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
            ("2026-11-22T10:00:00", "2026-11-22T09:00:00Z"),
            ("08:30", "2026-11-22T07:30:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(
                since(text, &now).unwrap(),
                expected.parse().unwrap(),
                "{text}"
            );
        }
        assert!(since("yesterday", &now).is_err());
        assert!(since("", &now).is_err());
    }
}
