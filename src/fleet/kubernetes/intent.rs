//! Stopping on purpose, kept in the release: manifests whose workloads have no replicas, and who asked for it.
//!
//! A stop is a revision of its own. Its manifest says `replicas: 0`, so that Helm sees the truth and a later `helm upgrade`
//! meets nobody else's change; an annotation of the chart says who stopped it, and a deploy by us keeps both. Pure.

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::fleet::manifest;
use crate::fleet::release::Record;
use crate::fleet::release::record::{annotate, annotation};
use crate::fleet::store::Stopped;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Annotation of the chart: who stopped the instance and when, and the replicas that its workloads had.
pub const STOPPED: &str = "ioc/stopped";

/// Kinds that can be stopped by having no replicas.
const SCALABLE: [&str; 3] = ["StatefulSet", "Deployment", "ReplicaSet"];

/// Who stopped it; `None` while it is meant to run.
pub fn stopped(record: &Record) -> Option<Stopped> {
    serde_json::from_str(annotation(record, STOPPED)?).ok()
}

/// Makes a record that of a stopped instance.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when it has nothing that can be stopped; a manifest that cannot be read.
pub fn stop(record: &mut Record, stopped: &Stopped) -> CommandResult<()> {
    let (text, before) = with_replicas(&record.manifest, |_, _| Some(0))?;
    if before.is_empty() {
        return Err(CommandError::new(
            ErrorKind::Unsupported,
            format!(
                "`{}` cannot be stopped: it has no StatefulSet or Deployment",
                record.name
            ),
        )
        .hint("`ioc delete` removes it; its data stays where the chart keeps it"));
    }
    record.manifest = text;
    let mut note = serde_json::to_value(stopped).unwrap_or_default();
    note["replicas"] = json!(before);
    annotate(record, STOPPED, note.to_string());
    Ok(())
}

/// Makes a record that of a running instance again; `false` when it was not stopped by us.
///
/// # Errors
///
/// A manifest that cannot be read.
pub fn start(record: &mut Record) -> CommandResult<bool> {
    let Some(note) = annotation(record, STOPPED) else {
        return Ok(false);
    };
    let note: Value = serde_json::from_str(note).unwrap_or_default();
    let (text, _) = with_replicas(&record.manifest, |kind, name| {
        note["replicas"]
            .get(format!("{kind}/{name}"))
            .and_then(Value::as_i64)
            .or(Some(1))
    })?;
    record.manifest = text;
    if let Some(annotations) = record
        .chart
        .as_mut()
        .and_then(|chart| chart.metadata.as_mut())
        .and_then(|metadata| metadata.annotations.as_mut())
    {
        annotations.remove(STOPPED);
    }
    Ok(true)
}

/// Replicas of its workloads, by `Kind/name`.
///
/// # Errors
///
/// A manifest that cannot be read.
pub fn replicas(text: &str) -> CommandResult<Vec<(String, i64)>> {
    let (_, before) = with_replicas(text, |_, _| None)?;
    Ok(before
        .into_iter()
        .filter_map(|(name, count)| Some((name, count.as_i64()?)))
        .collect())
}

/// Sets the replicas of workloads in a manifest text, and gives those that they had. Only documents that change are
/// written anew.
fn with_replicas(
    text: &str,
    wanted: impl Fn(&str, &str) -> Option<i64>,
) -> CommandResult<(String, serde_json::Map<String, Value>)> {
    let unreadable =
        |diagnostic: Box<Diagnostic>| CommandError::from_diagnostic(ErrorKind::Input, *diagnostic);
    let mut out = text.to_owned();
    let mut before = serde_json::Map::new();
    for resource in manifest::parse_any(text).map_err(unreadable)? {
        let (kind, name) = (&resource.id.kind, &resource.id.name);
        if !SCALABLE.contains(&kind.as_str()) {
            continue;
        }
        let replicas = resource.body.pointer("/spec/replicas");
        let count = replicas.and_then(Value::as_i64).unwrap_or(1);
        before.insert(format!("{kind}/{name}"), json!(count));
        if let Some(replicas) = wanted(kind, name)
            && replicas != count
        {
            let mut body = resource.body.clone();
            body["spec"]["replicas"] = json!(replicas);
            let changed = manifest::with_body(&out, &resource.id, &body).map_err(unreadable)?;
            out = changed.unwrap_or(out);
        }
    }
    Ok((out, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\n# Source: a/templates/c.yaml\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: |\n    ---\n    replicas: 5\n---\n# Source: a/templates/s.yaml\napiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: s\nspec:\n  replicas: 2\n  serviceName: s\n";

    fn record() -> Record {
        Record {
            name: "s".into(),
            manifest: TEXT.into(),
            ..Record::default()
        }
    }

    #[test]
    fn a_stop_is_undone_by_a_start() {
        let mut record = record();
        let who = Stopped {
            by: "anna@here".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(stopped(&record), None);
        stop(&mut record, &who).unwrap();
        assert_eq!(stopped(&record), Some(who.clone()));
        assert_eq!(
            replicas(&record.manifest).unwrap(),
            [("StatefulSet/s".to_owned(), 0)]
        );
        assert!(record.manifest.contains("# Source: a/templates/s.yaml"));
        assert!(
            record.manifest.contains("    ---\n    replicas: 5\n"),
            "{}",
            record.manifest
        );
        assert!(start(&mut record).unwrap());
        assert_eq!(
            replicas(&record.manifest).unwrap(),
            [("StatefulSet/s".to_owned(), 2)]
        );
        assert_eq!(stopped(&record), None);
        assert!(!start(&mut record).unwrap());
    }

    #[test]
    fn what_has_no_replicas_cannot_be_stopped() {
        let mut record = Record {
            manifest: "kind: DaemonSet\nmetadata: {name: d}\n".into(),
            ..Record::default()
        };
        let who = Stopped {
            by: "anna@here".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            stop(&mut record, &who).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}
