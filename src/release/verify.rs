//! Whether the versions that are written in a services repository are those of the tag.

use std::collections::BTreeSet;
use std::path::Path;

use helm::yaml;

use crate::diagnostic::{Diagnostic, Place};
use crate::services::{Instance, Repository};
use crate::versions::name::{NotAChartVersion, TagName};

/// Why a tag cannot be released, for people.
pub fn not_a_chart_version(problem: &NotAChartVersion) -> Diagnostic {
    let error = Diagnostic::error(format!(
        "the tag `{}` cannot be the version of charts: {}",
        problem.tag, problem.why
    ));
    match &problem.suggestion {
        Some(suggestion) => error.hint(format!(
            "tag it again: `git tag {suggestion} {}^{{}}`",
            problem.tag
        )),
        None => error.hint("tag it as three numbers, such as `2026.11.1`"),
    }
}

/// Versions in `Chart.yaml` that somebody keeps by hand and that are not the tag's. A version that never follows the tags is a
/// constant, which the released chart does not have.
pub fn chart_versions(
    instances: &[Instance],
    before: Option<(&Repository, &str)>,
    tag: &str,
    version: &str,
) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for instance in instances {
        let Some((place, found)) = written(instance) else {
            continue;
        };
        if found == version || found == tag {
            continue;
        }
        let Some((repository, tag_before)) = before else {
            continue;
        };
        let earlier = repository.instance(instance.name()).ok().and_then(written);
        let message = if is_version_of(tag_before, &found) {
            format!("the chart still has the version of {tag_before}, and the tag is {tag}")
        } else if earlier.is_some_and(|(_, earlier)| earlier != found) {
            format!(
                "the version of the chart was changed to {found} since {tag_before}, and the tag is {tag}"
            )
        } else {
            continue;
        };
        let finding = Diagnostic::error(message)
            .at(place)
            .expected(format!("expected {version}"))
            .hint(format!("write `version: {version}`, commit and tag again; or leave it as it was: the chart gets the version of the tag"));
        // what instances share is found once
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

fn is_version_of(tag: &str, version: &str) -> bool {
    tag == version
        || TagName::new(tag)
            .chart_version()
            .is_ok_and(|of_tag| of_tag == version)
}

/// The version in `Chart.yaml` and where it stands.
fn written(instance: &Instance) -> Option<(Place, String)> {
    let path = instance.folder().join("Chart.yaml");
    let path = fs_err::canonicalize(&path).ok()?;
    let source = crate::text::read(&path, 1 << 20).ok()?;
    let version = yaml::parse(&source)
        .ok()?
        .get("version")?
        .as_str()?
        .to_owned();
    let line = source.lines().position(|line| line.starts_with("version:"));
    let place = match line {
        Some(line) => Place::in_text(path, &source, line + 1, 1, "version".len()),
        None => Place::file(path),
    };
    Some((place, version))
}

/// The images that manifests name.
pub fn images(manifests: &[serde_json::Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for manifest in manifests {
        collect(manifest, &mut found);
    }
    found
}

fn collect(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, inner) in object {
                if matches!(key.as_str(), "containers" | "initContainers") {
                    let containers = inner.as_array().into_iter().flatten();
                    let images =
                        containers.filter_map(|container| container.get("image")?.as_str());
                    found.extend(images.map(str::to_owned));
                }
                collect(inner, found);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|inner| collect(inner, found)),
        _ => {}
    }
}

/// A reference without its tag or digest, and the tag.
pub fn split_reference(reference: &str) -> (&str, Option<&str>) {
    if let Some((name, _digest)) = reference.split_once('@') {
        return (name, None);
    }
    match reference.rsplit_once(':') {
        // `host:5000/name` has a port
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, Some("latest")),
    }
}

/// The manifests of a rendered text as data; comments only are none.
///
/// # Errors
///
/// What is no YAML, with its place.
pub fn documents(manifests: &[helm::Manifest]) -> Result<Vec<serde_json::Value>, Box<Diagnostic>> {
    let documents = manifests.iter().map(|manifest| {
        crate::yaml::document(Path::new(&manifest.source_template), &manifest.text)
    });
    documents.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_at_the_tag() {
        for (reference, name, tag) in [
            ("a", "a", Some("latest")),
            ("host:5000/a", "host:5000/a", Some("latest")),
            ("host:5000/a:1", "host:5000/a", Some("1")),
            ("host/a@sha256:00", "host/a", None),
        ] {
            assert_eq!(split_reference(reference), (name, tag), "{reference}");
        }
    }

    #[test]
    fn images_of_all_containers_are_found() {
        let manifest = serde_json::json!({"spec": {"template": {"spec": {
            "containers": [{"image": "a:1"}, {"name": "no image"}],
            "initContainers": [{"image": "b:1"}],
            "volumes": [{"image": {"reference": "c:1"}}],
        }}}});
        assert_eq!(
            images(&[manifest]).into_iter().collect::<Vec<_>>(),
            ["a:1", "b:1"]
        );
    }
}
