//! `Chart.yaml` and `Chart.lock`.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::ChartError;
use super::typed::{Fields, WrongType};
use crate::semantic_version::Version;
use crate::yaml::{self, Value};

/// What `Chart.yaml` says. Serialised, it has the field names and order of Helm's release records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Name of the chart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where to read about the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Where the sources are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Version of the chart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to search for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// URL of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// `v2`.
    #[serde(rename = "apiVersion", skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Unused by Helm.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Unused by Helm.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// Version of what the chart installs.
    #[serde(rename = "appVersion", skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether the chart should no longer be used.
    #[serde(skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// Further facts for other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Kubernetes versions that the chart works with.
    #[serde(rename = "kubeVersion", skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// Charts that this one needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or nothing, which means application.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub chart_type: String,
}

/// A person or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Mail address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Home page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A chart that another one needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Name of the chart.
    pub name: String,
    /// Versions that will do; in a lock, one version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where the chart comes from: `oci://…`, `https://…`, `file://…`, `@name`.
    pub repository: String,
    /// Paths of values that turn the dependency on and off, with commas between them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Names of values below `tags` that do the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether it is on; decided while rendering.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
    /// Values of the dependency that become values of the chart.
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<ImportValue>,
    /// Another name for it, so that one chart can be there several times.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

/// One entry of `import-values`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImportValue {
    /// The values at `exports.NAME` become top-level values.
    Exported(String),
    /// The values at `child` become those at `parent`.
    Table {
        /// Path in the dependency.
        child: String,
        /// Path in the chart; `.` for its top.
        parent: String,
    },
}

/// What `Chart.lock` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// When it was written, RFC 3339.
    pub generated: String,
    /// Digest of the dependencies as `Chart.yaml` and `Chart.lock` give them.
    pub digest: String,
    /// The versions that were chosen.
    pub dependencies: Vec<Dependency>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
const fn is_false(truth: &bool) -> bool {
    !*truth
}

const CHART_FILE: &str = "Chart.yaml";
const LOCK_FILE: &str = "Chart.lock";

pub(super) fn parse_yaml(file: &str, bytes: &[u8]) -> Result<Value, ChartError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ChartError::Metadata {
        file: file.to_owned(),
        problem: "not UTF-8 text".to_owned(),
    })?;
    yaml::parse(text).map_err(|source| ChartError::Yaml {
        file: file.to_owned(),
        source,
    })
}

fn wrong_type(file: &str, wrong: &WrongType) -> ChartError {
    let WrongType {
        field,
        found,
        wanted,
    } = wrong;
    ChartError::metadata(file, format!("`{field}` is a {found}, expected {wanted}"))
}

/// Reads `Chart.yaml` without judging it.
///
/// # Errors
/// What Helm says of a file that it cannot read.
pub(crate) fn read_metadata_as_helm(bytes: &[u8]) -> Result<Metadata, String> {
    const DECODING: &str = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";
    let text = String::from_utf8_lossy(bytes);
    let value = yaml::parse(&text)
        .map_err(|error| format!("error converting YAML to JSON: {}", error.helm_text()))?;
    if !matches!(value, Value::Map(_) | Value::Null) {
        let found = value.json_type();
        return Err(format!(
            "{DECODING} {found} into Go value of type v2.Metadata"
        ));
    }
    Metadata::from_fields(Fields {
        value: &value,
        name: "",
    })
    .map_err(|wrong| {
        let WrongType {
            field,
            found,
            wanted,
        } = wrong;
        format!("{DECODING} {found} into Go struct field .{field} of type {wanted}")
    })
}

impl Metadata {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ChartError> {
        let value = parse_yaml(CHART_FILE, bytes)?;
        if !matches!(value, Value::Map(_) | Value::Null) {
            let found = value.json_type();
            return Err(ChartError::metadata(
                CHART_FILE,
                format!("a mapping, not a {found}"),
            ));
        }
        let mut metadata = Self::from_fields(Fields {
            value: &value,
            name: "",
        })
        .map_err(|wrong| wrong_type(CHART_FILE, &wrong))?;
        metadata.validate()?;
        Ok(metadata)
    }

    fn from_fields(fields: Fields) -> Result<Self, WrongType> {
        let maintainers = fields.list("maintainers")?.iter().map(|value| {
            let fields = Fields {
                value,
                name: "maintainers.",
            };
            Ok(Maintainer {
                name: fields.text("name")?,
                email: fields.text("email")?,
                url: fields.text("url")?,
            })
        });
        Ok(Self {
            name: fields.text("name")?,
            home: fields.text("home")?,
            sources: fields.texts("sources")?,
            version: fields.text("version")?,
            description: fields.text("description")?,
            keywords: fields.texts("keywords")?,
            maintainers: maintainers.collect::<Result<_, _>>()?,
            icon: fields.text("icon")?,
            api_version: fields.text("apiVersion")?,
            condition: fields.text("condition")?,
            tags: fields.text("tags")?,
            app_version: fields.text("appVersion")?,
            deprecated: fields.truth("deprecated")?,
            annotations: fields.text_map("annotations")?,
            kube_version: fields.text("kubeVersion")?,
            dependencies: dependencies(fields)?,
            chart_type: fields.text("type")?,
        })
    }

    fn validate(&mut self) -> Result<(), ChartError> {
        let invalid = |problem: String| Err(ChartError::metadata(CHART_FILE, problem));
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            *text = printable(text);
        }
        for text in self.sources.iter_mut().chain(&mut self.keywords) {
            *text = printable(text);
        }
        match self.api_version.as_str() {
            "v2" => {}
            "" | "v1" => {
                return Err(ChartError::ApiVersion1 {
                    name: self.name.clone(),
                });
            }
            other => return Err(ChartError::ApiVersion(other.to_owned())),
        }
        if self.name.is_empty() {
            return invalid("`name` is required".to_owned());
        }
        if matches!(self.name.as_str(), "." | "..") || self.name.contains('/') {
            return invalid(format!("`name` cannot be `{}`", self.name));
        }
        if self.version.is_empty() {
            return invalid("`version` is required".to_owned());
        }
        if Version::parse(&self.version).is_err() {
            return invalid(format!(
                "`version` is not a semantic version: `{}`",
                self.version
            ));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            let found = &self.chart_type;
            return invalid(format!(
                "`type` must be application or library, not `{found}`"
            ));
        }
        let mut names = HashSet::new();
        for dependency in &mut self.dependencies {
            dependency.clean();
            let alias = &dependency.alias;
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if !alias.chars().all(fits) {
                let name = &dependency.name;
                return invalid(format!(
                    "dependency `{name}` has the alias `{alias}` with forbidden characters"
                ));
            }
            let name = if alias.is_empty() {
                &dependency.name
            } else {
                alias
            };
            if !names.insert(name.clone()) {
                return invalid(format!(
                    "more than one dependency with name or alias `{name}`"
                ));
            }
        }
        Ok(())
    }
}

/// White space as blanks, what cannot be printed left out.
fn printable(text: &str) -> String {
    text.chars()
        .filter_map(|character| {
            if character.is_whitespace() {
                Some(' ')
            } else if crate::go::quote::is_print(character) {
                Some(character)
            } else {
                None
            }
        })
        .collect()
}

fn dependencies(fields: Fields) -> Result<Vec<Dependency>, WrongType> {
    fields
        .list("dependencies")?
        .iter()
        .map(|value| {
            Dependency::from_fields(Fields {
                value,
                name: "dependencies.",
            })
        })
        .collect()
}

impl Dependency {
    fn from_fields(fields: Fields) -> Result<Self, WrongType> {
        let import_values = fields.list("import-values")?.iter().filter_map(|value| {
            let text = |key: &str| {
                value.get(key).map_or_else(
                    || "%!v(<nil>)".to_owned(),
                    |found| super::typed::text_of(found).unwrap_or_default(),
                )
            };
            match value {
                Value::String(name) => Some(ImportValue::Exported(name.to_string())),
                Value::Map(_) => Some(ImportValue::Table {
                    child: text("child"),
                    parent: text("parent"),
                }),
                _ => None,
            }
        });
        Ok(Self {
            name: fields.text("name")?,
            version: fields.text("version")?,
            repository: fields.text("repository")?,
            condition: fields.text("condition")?,
            tags: fields.texts("tags")?,
            enabled: fields.truth("enabled")?,
            import_values: import_values.collect(),
            alias: fields.text("alias")?,
        })
    }

    fn clean(&mut self) {
        for text in [
            &mut self.name,
            &mut self.version,
            &mut self.repository,
            &mut self.condition,
        ] {
            *text = printable(text);
        }
        for tag in &mut self.tags {
            *tag = printable(tag);
        }
    }

    /// The name under which the chart uses it.
    pub fn used_name(&self) -> &str {
        if self.alias.is_empty() {
            &self.name
        } else {
            &self.alias
        }
    }
}

impl Lock {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ChartError> {
        let value = parse_yaml(LOCK_FILE, bytes)?;
        let fields = Fields {
            value: &value,
            name: "",
        };
        let read = || -> Result<Self, WrongType> {
            Ok(Self {
                generated: fields.text("generated")?,
                digest: fields.text("digest")?,
                dependencies: dependencies(fields)?,
            })
        };
        read().map_err(|wrong| wrong_type(LOCK_FILE, &wrong))
    }
}
