//! That an instance was moved by hand, written into its release, so that the next deploy from the repository says that
//! the repository wants another node.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fleet::kubernetes::placement::node::HOSTNAME;
use crate::fleet::kubernetes::placement::workload;
use crate::fleet::manifest;
use crate::fleet::release::record::{self, Record, annotate};

/// Annotation of the chart: the move that made this revision or one before it.
pub const MOVED: &str = "ioc/moved";

/// A move by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moved {
    /// Where to.
    pub to: String,
    /// Where it was, when it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who moved it, `user@host`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Writes a move into a record.
pub fn write(record: &mut Record, moved: &Moved) {
    // a struct of texts has a JSON form
    if let Ok(text) = serde_json::to_string(moved) {
        annotate(record, MOVED, text);
    }
}

/// The move that a record tells of.
pub fn read(record: &Record) -> Option<Moved> {
    serde_json::from_str(record::annotation(record, MOVED)?).ok()
}

/// The node that manifests hold an instance to, by `nodeName` or by the selector for a host name.
pub fn node_in(text: &str, instance: &str) -> Option<String> {
    let resources = manifest::parse(text).ok()?;
    let spec = workload::main(&resources, instance)?
        .body
        .pointer("/spec/template/spec")?
        .clone();
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    text(spec.get("nodeName"))
        .or_else(|| text(spec.get("nodeSelector").and_then(|it| it.get(HOSTNAME))))
}

/// What a deploy has to say before it takes an instance back from where it was moved to by hand: `deployed` is the
/// record that runs, `desired` the manifests of the repository. `None` when the repository agrees.
pub fn warning(deployed: &Record, desired: &str, instance: &str) -> Option<String> {
    let moved = read(deployed)?;
    let now = node_in(&deployed.manifest, instance);
    let wanted = node_in(desired, instance);
    if now == wanted {
        return None;
    }
    let wants = match &wanted {
        Some(node) => format!("wants it on `{node}`"),
        None => "does not say on which node it runs".to_owned(),
    };
    Some(format!(
        "`{instance}` was moved to `{to}` by {by} on {at}, and the repository {wants}: deploying ends the move; to keep it, write it into the values of `{instance}`: `nodeSelector: {{{HOSTNAME}: {node}}}`",
        to = moved.to,
        by = moved.by,
        at = moved.at.strftime("%Y-%m-%d %H:%M UTC"),
        node = now.as_deref().unwrap_or(&moved.to),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_says_that_the_repository_wants_another_node() {
        let text = |spec: &str| {
            format!(
                "kind: StatefulSet\nmetadata: {{name: i}}\nspec: {{template: {{spec: {spec}}}}}\n"
            )
        };
        let on = |node: &str| {
            text(&format!(
                "{{nodeSelector: {{kubernetes.io/hostname: {node}}}}}"
            ))
        };
        let mut deployed = Record {
            manifest: on("b"),
            ..Record::default()
        };
        assert_eq!(
            warning(&deployed, &text("{}"), "i"),
            None,
            "nobody moved it"
        );
        let moved = Moved {
            to: "b".to_owned(),
            from: Some("a".to_owned()),
            by: "ann@desk".to_owned(),
            at: "2026-11-26T03:00:00Z".parse().unwrap(),
        };
        write(&mut deployed, &moved);
        assert_eq!(read(&deployed), Some(moved));
        assert_eq!(
            warning(&deployed, &on("b"), "i"),
            None,
            "the repository agrees"
        );
        insta::assert_snapshot!(warning(&deployed, &text("{nodeName: a}"), "i").unwrap(), @"`i` was moved to `b` by ann@desk on 2026-11-26 03:00 UTC, and the repository wants it on `a`: deploying ends the move; to keep it, write it into the values of `i`: `nodeSelector: {kubernetes.io/hostname: b}`");
        insta::assert_snapshot!(warning(&deployed, &text("{}"), "i").unwrap(), @"`i` was moved to `b` by ann@desk on 2026-11-26 03:00 UTC, and the repository does not say on which node it runs: deploying ends the move; to keep it, write it into the values of `i`: `nodeSelector: {kubernetes.io/hostname: b}`");
    }
}
