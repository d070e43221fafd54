//! Instances as a table, and what does not fit into it: the same for those of this machine and of clusters.

use std::collections::BTreeSet;

use crate::fleet::health::State;
use crate::fleet::overview::Row;
use crate::ui::table::Table;

/// Digits of a digest that people see.
const DIGITS: usize = 12;

/// Whether the digest of an image stands beside it: on a cluster one name may be another image on each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digests {
    /// The first digits.
    Shown,
    /// Not at all.
    Hidden,
}

/// What does not fit into the table: why an instance is as it is, what differs, what somebody should know.
pub(crate) fn remarks(rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        if let Some(reason) = row
            .reason
            .as_ref()
            .filter(|_| row.state.is_bad() || !is_usual(row))
        {
            lines.push(format!("`{}` is {}: {reason}", row.name, row.state.name()));
        }
        if !row.drift.is_empty() {
            lines.push(format!(
                "`{}` differs from its release: {}",
                row.name,
                row.drift.join("; ")
            ));
        }
        if let Some(note) = &row.note {
            lines.push(format!("`{}`: {note}", row.name));
        }
    }
    lines
}

/// States that pass by themselves.
fn is_usual(row: &Row) -> bool {
    matches!(
        row.state,
        State::Running | State::Starting | State::Stopping | State::Stopped
    )
}

/// The table; the column of namespaces only where there are several, that of drift only where something differs.
pub(crate) fn table(rows: &[Row], digests: Digests) -> Table {
    let namespaces: BTreeSet<&str> = rows.iter().map(|row| row.namespace.as_str()).collect();
    let several = namespaces.len() > 1;
    let drifts = rows.iter().any(|row| !row.drift.is_empty());
    let mut header = vec!["NAME"];
    if several {
        header.push("NAMESPACE");
    }
    header.extend([
        "STATE",
        "HEALTH",
        "RESTARTS",
        "VERSION",
        "REVISION",
        "IMAGE",
        "NODE",
        "UPTIME",
        "LAST EXIT",
    ]);
    if drifts {
        header.push("DRIFT");
    }
    let shift = usize::from(several);
    let mut table = Table::new(header)
        .align_right(3 + shift)
        .align_right(5 + shift)
        .align_right(8 + shift);
    for row in rows {
        let mut cells = vec![row.name.clone()];
        if several {
            cells.push(row.namespace.clone());
        }
        cells.extend([
            row.state.name().to_owned(),
            row.health
                .map(|check| check.name().to_owned())
                .unwrap_or_default(),
            row.restarts.to_string(),
            row.version.clone(),
            row.revision
                .map(|revision| revision.to_string())
                .unwrap_or_default(),
            image(row, digests),
            row.node.clone(),
            row.uptime_seconds.map(duration).unwrap_or_default(),
            row.last_exit.clone().unwrap_or_default(),
        ]);
        if drifts {
            cells.push(match row.drift.len() {
                0 => String::new(),
                1 => "1 field".to_owned(),
                many => format!("{many} fields"),
            });
        }
        table.row(cells);
    }
    table
}

/// The image, with the first digits of the digest that runs.
fn image(row: &Row, digests: Digests) -> String {
    if digests == Digests::Hidden {
        return row.image.clone();
    }
    match row
        .image_digest
        .as_deref()
        .and_then(|digest| digest.strip_prefix("sha256:"))
    {
        Some(digits) if !row.image.contains("@sha256:") => {
            let short: String = digits.chars().take(DIGITS).collect();
            format!("{} @{short}", row.image)
        }
        _ => row.image.clone(),
    }
}

/// A time span with its two largest units: `45s`, `12m30s`, `3h05m`, `4d02h`.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_two_units() {
        let shown: Vec<String> = [0, 59, 60, 3661, 86400 * 4 + 7200].map(duration).to_vec();
        assert_eq!(shown, ["0s", "59s", "1m00s", "1h01m", "4d02h"]);
    }
}
