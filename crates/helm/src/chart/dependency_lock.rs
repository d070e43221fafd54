//! `Chart.lock`: its digest, its text, and whether what is vendored is what was asked for.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Chart, ChartError, Dependency, LoadOptions, Lock, package};
use crate::semantic_version::{Constraint, Version, is_exact_version};

/// The digest that Helm puts into `Chart.lock`: of what `Chart.yaml` asks for and what was chosen.
///
/// # Errors
/// Never for what was read from a chart.
pub fn dependency_digest(
    required: &[Dependency],
    locked: &[Dependency],
) -> Result<String, ChartError> {
    let json = serde_json::to_string(&[required, locked])
        .map_err(|error| ChartError::Package(error.to_string()))?;
    // Go's encoder writes these so; in JSON they occur in strings only.
    let json = json
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(json.as_bytes()) {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}

/// `Chart.lock` as Helm writes it.
///
/// # Errors
/// Never for a lock of texts.
pub fn lock_yaml(lock: &Lock) -> Result<String, ChartError> {
    package::yaml_of(lock)
}

/// Whether a dependency is vendored, in the words of `helm dependency list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyStatus {
    /// An archive that fits.
    Ok,
    /// A folder that fits.
    Unpacked,
    /// Nothing.
    Missing,
    /// Another version.
    WrongVersion,
    /// The range or the version cannot be read.
    InvalidVersion,
    /// An archive that holds another chart.
    Misnamed,
    /// An archive that cannot be read.
    Corrupt,
    /// Archives of several versions.
    TooManyMatches,
}

impl fmt::Display for DependencyStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Unpacked => "unpacked",
            Self::Missing => "missing",
            Self::WrongVersion => "wrong version",
            Self::InvalidVersion => "invalid version",
            Self::Misnamed => "misnamed",
            Self::Corrupt => "corrupt chart archive",
            Self::TooManyMatches => "too many matches",
        })
    }
}

/// Whether a dependency of the chart in `folder` is vendored.
///
/// # Errors
/// When `charts/` cannot be read.
pub fn dependency_status(
    folder: &Path,
    chart: &Chart,
    dependency: &Dependency,
) -> Result<DependencyStatus, ChartError> {
    let archives = archives_of(&folder.join("charts"), &dependency.name)?;
    let exact: Vec<&String> = archives
        .iter()
        .filter(|name| {
            let version = name
                .strip_suffix(".tgz")
                .and_then(|name| name.strip_prefix(&dependency.name)?.strip_prefix('-'));
            version.is_some_and(is_exact_version)
        })
        .collect();
    let archive = match (archives.as_slice(), exact.as_slice()) {
        ([only], _) => Some(only),
        (_, [only]) => Some(*only),
        (_, [_, _, ..]) => return Ok(DependencyStatus::TooManyMatches),
        _ => None,
    };
    if let Some(name) = archive {
        let path = folder.join("charts").join(name);
        let Ok(found) = Chart::load(&path, &LoadOptions::default()) else {
            return Ok(DependencyStatus::Corrupt);
        };
        if found.name() != dependency.name {
            return Ok(DependencyStatus::Misnamed);
        }
        return Ok(fits(dependency, &found, DependencyStatus::Ok));
    }
    let unpacked = chart
        .dependencies()
        .iter()
        .find(|found| found.name() == dependency.name);
    Ok(match unpacked {
        Some(found) => fits(dependency, found, DependencyStatus::Unpacked),
        None => DependencyStatus::Missing,
    })
}

fn archives_of(folder: &Path, name: &str) -> Result<Vec<String>, ChartError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let rest = file
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'));
        if rest.is_some_and(|rest| {
            Path::new(rest)
                .extension()
                .is_some_and(|extension| extension == "tgz")
        }) {
            names.push(file);
        }
    }
    names.sort();
    Ok(names)
}

fn fits(dependency: &Dependency, found: &Chart, good: DependencyStatus) -> DependencyStatus {
    let version = &found.metadata().version;
    if *version == dependency.version {
        return good;
    }
    match (
        Constraint::parse(&dependency.version),
        Version::parse(version),
    ) {
        (Ok(constraint), Ok(version)) if constraint.allows(&version) => good,
        (Ok(_), Ok(_)) => DependencyStatus::WrongVersion,
        _ => DependencyStatus::InvalidVersion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::ImportValue;

    /// Recorded from helm 4.3.1.
    #[test]
    fn the_digest_is_the_one_of_helm() {
        let required = [
            Dependency {
                name: "loc".into(),
                version: ">=1.0 <2".into(),
                repository: "file://../loc".into(),
                condition: "a.b".into(),
                tags: vec!["x".into()],
                import_values: vec![
                    ImportValue::Table {
                        child: "b".into(),
                        parent: "a".into(),
                    },
                    ImportValue::Exported("data".into()),
                ],
                alias: "other".into(),
                ..Dependency::default()
            },
            Dependency {
                name: "lib".into(),
                version: "0.x".into(),
                repository: "oci://127.0.0.1:60439/charts".into(),
                ..Dependency::default()
            },
            Dependency {
                name: "loose".into(),
                version: "1.x".into(),
                ..Dependency::default()
            },
        ];
        let locked = |name: &str, version: &str, repository: &str| Dependency {
            name: name.into(),
            version: version.into(),
            repository: repository.into(),
            ..Dependency::default()
        };
        let locked = [
            locked("loc", "1.2.3", "file://../loc"),
            locked("lib", "0.2.0+b1", "oci://127.0.0.1:60439/charts"),
            locked("loose", "1.x", ""),
        ];
        assert_eq!(
            dependency_digest(&required, &locked).unwrap(),
            "sha256:d90b45eba50d08ddba6a871b8c29726308cfc7afe1c418013dd79fee8d62e3ee"
        );
    }
}
