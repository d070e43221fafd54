//! Rules for `Chart.yaml`.

use super::{Linter, convert_error};
use crate::chart::{ChartError, Metadata, read_metadata_as_helm};
use crate::go::quote::quote;
use crate::go::text::Text;
use crate::semantic_version::{Version, is_compatible, is_exact_version};
use crate::yaml::{self, Value};

const FILE: &str = "Chart.yaml";

/// Keys of `Chart.yaml`, of an entry of `maintainers`, and of one of `dependencies`.
const KEYS: [&str; 17] = [
    "annotations",
    "apiVersion",
    "appVersion",
    "condition",
    "dependencies",
    "deprecated",
    "description",
    "home",
    "icon",
    "keywords",
    "kubeVersion",
    "maintainers",
    "name",
    "sources",
    "tags",
    "type",
    "version",
];
const MAINTAINER_KEYS: [&str; 3] = ["email", "name", "url"];
const DEPENDENCY_KEYS: [&str; 8] = [
    "alias",
    "condition",
    "enabled",
    "import-values",
    "name",
    "repository",
    "tags",
    "version",
];

impl Linter<'_> {
    /// Checks `Chart.yaml`; gives whether it is of a format whose other files are to be judged.
    pub(super) fn chart_file(&mut self) -> Result<bool, ChartError> {
        let path = self.folder.join(FILE);
        if path.is_dir() {
            self.error(FILE, "should be a file, not a directory");
            return Ok(false);
        }
        let bytes = fs_err::read(path)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let metadata = match read_metadata_as_helm(&bytes) {
            Ok(metadata) => metadata,
            Err(why) => {
                self.error(FILE, format!("unable to parse YAML\n\t{why}"));
                return Ok(true);
            }
        };
        if let Some(why) = not_strict(&text) {
            self.warning(
                FILE,
                format!("failed to strictly parse chart metadata file\n\t{why}"),
            );
        }
        let raw = yaml::parse(&text).unwrap_or(Value::Null);
        self.identity(&metadata, &raw);
        self.people_and_places(&metadata);
        self.strict_version(&metadata);
        Ok(self.format(&metadata))
    }

    fn identity(&mut self, metadata: &Metadata, raw: &Value) {
        if metadata.name.is_empty() {
            self.error(FILE, "name is required");
        } else if metadata.name.contains('/') || matches!(metadata.name.as_str(), "." | "..") {
            let name = quote(&Text::from(metadata.name.as_str()));
            self.error(FILE, format!("chart name {name} is invalid"));
        }
        match metadata.api_version.as_str() {
            "v1" | "v2" => {}
            "" => self.error(
                FILE,
                "apiVersion is required. The value must be either \"v1\" or \"v2\"",
            ),
            other => self.error(
                FILE,
                format!(
                    "apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\""
                ),
            ),
        }
        self.is_text(raw, "version");
        if metadata.version.is_empty() {
            self.error(FILE, "version is required");
        } else if Version::parse(&metadata.version).is_err() {
            self.error(
                FILE,
                format!("version '{}' is not a valid SemVer", metadata.version),
            );
        } else if !is_compatible(">0.0.0-0", &metadata.version) {
            self.error(
                FILE,
                format!(
                    "version {} is less than or equal to 0.0.0-0",
                    metadata.version
                ),
            );
        }
        self.is_text(raw, "appVersion");
    }

    /// A version that YAML reads as a number loses its zeros.
    fn is_text(&mut self, raw: &Value, key: &str) {
        let kind = match raw.get(key) {
            Some(Value::Int(_) | Value::Float(_)) => "float64",
            Some(Value::Bool(_)) => "bool",
            _ => return,
        };
        self.error(
            FILE,
            format!("{key} should be of type string but it's of type {kind}"),
        );
    }

    fn people_and_places(&mut self, metadata: &Metadata) {
        let problem = metadata.maintainers.iter().find_map(|person| {
            if person.name.is_empty() {
                return Some("each maintainer requires a name".to_owned());
            }
            if !person.email.is_empty() && !is_mail_address(&person.email) {
                return Some(format!(
                    "invalid email '{}' for maintainer '{}'",
                    person.email, person.name
                ));
            }
            (!person.url.is_empty() && !is_url(&person.url)).then(|| {
                format!(
                    "invalid url '{}' for maintainer '{}'",
                    person.url, person.name
                )
            })
        });
        if let Some(problem) = problem {
            self.error(FILE, problem);
        }
        if let Some(source) = metadata.sources.iter().find(|source| !is_url(source)) {
            self.error(FILE, format!("invalid source URL '{source}'"));
        }
        if metadata.icon.is_empty() {
            self.info(FILE, "icon is recommended");
        } else if !is_url(&metadata.icon) {
            self.error(FILE, format!("invalid icon URL '{}'", metadata.icon));
        }
    }

    fn strict_version(&mut self, metadata: &Metadata) {
        if !is_exact_version(&metadata.version) {
            self.warning(
                FILE,
                format!("version '{}' is not a valid SemVerV2", metadata.version),
            );
        }
    }

    fn format(&mut self, metadata: &Metadata) -> bool {
        if metadata.api_version == "v1" {
            // Helm accepts these; `ioc` does not, and says so where Helm's users look.
            self.error(
                FILE,
                "charts of apiVersion v1 are not supported: set apiVersion to v2 and move \
                 requirements.yaml into dependencies",
            );
        }
        metadata.api_version == "v2"
    }

    /// Why a chart cannot be loaded, in Helm's words.
    pub(super) fn load_text(&self, error: &ChartError) -> String {
        let read = || read_metadata_as_helm(&fs_err::read(self.folder.join(FILE)).ok()?).ok();
        match error {
            ChartError::Yaml { file, source } => {
                let document = if file == "values.yaml" {
                    "cannot unmarshal yaml document: "
                } else {
                    ""
                };
                format!("cannot load {file}: {document}{}", convert_error(source))
            }
            ChartError::Metadata { file, .. } if file == FILE => {
                match fs_err::read(self.folder.join(FILE)) {
                    Ok(bytes) => match read_metadata_as_helm(&bytes) {
                        Err(why) => format!("cannot load {FILE}: {why}"),
                        Ok(metadata) => validation(&metadata).unwrap_or_else(|| error.to_string()),
                    },
                    Err(error) => error.to_string(),
                }
            }
            broken @ ChartError::Dependency { .. } => broken.helm_text(),
            other => read()
                .as_ref()
                .and_then(validation)
                .unwrap_or_else(|| other.to_string()),
        }
    }
}

/// Why Helm does not accept metadata that it can read.
fn validation(metadata: &Metadata) -> Option<String> {
    let quoted = |text: &str| quote(&Text::from(text));
    let wrong = |problem: String| Some(format!("validation: {problem}"));
    if metadata.name.is_empty() {
        return wrong("chart.metadata.name is required".to_owned());
    }
    if metadata.name.contains('/') || matches!(metadata.name.as_str(), "." | "..") {
        return wrong(format!(
            "chart.metadata.name {} is invalid",
            quoted(&metadata.name)
        ));
    }
    if metadata.version.is_empty() {
        return wrong("chart.metadata.version is required".to_owned());
    }
    if Version::parse(&metadata.version).is_err() {
        return wrong(format!(
            "chart.metadata.version {} is invalid",
            quoted(&metadata.version)
        ));
    }
    if !matches!(metadata.chart_type.as_str(), "" | "application" | "library") {
        return wrong("chart.metadata.type must be application or library".to_owned());
    }
    let mut names = std::collections::HashSet::new();
    metadata.dependencies.iter().find_map(|dependency| {
        let name = dependency.used_name();
        (!names.insert(name.to_owned())).then(|| {
            format!(
                "validation: more than one dependency with name or alias {}",
                quoted(name)
            )
        })
    })
}

/// What a strict reader of `Chart.yaml` objects to: keys that occur twice, and those that it does not know.
fn not_strict(text: &str) -> Option<String> {
    let value = match yaml::parse_strict(text) {
        Ok(value) => value,
        Err(error) => return Some(convert_error(&error)),
    };
    let unknown = |value: &Value, keys: &[&str]| {
        value
            .as_map()?
            .keys()
            .find(|key| !keys.iter().any(|known| known.eq_ignore_ascii_case(key)))
            .map(ToString::to_string)
    };
    let inside = |list: &str, keys: &[&str]| {
        value
            .get(list)?
            .as_list()?
            .iter()
            .find_map(|entry| unknown(entry, keys))
    };
    let key = unknown(&value, &KEYS)
        .or_else(|| inside("dependencies", &DEPENDENCY_KEYS))
        .or_else(|| inside("maintainers", &MAINTAINER_KEYS))?;
    Some(format!(
        "error unmarshaling JSON: while decoding JSON: json: unknown field {}",
        quote(&Text::from(key.as_str()))
    ))
}

/// Whether something can be asked for: a URL with scheme and host.
fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && !rest
                .chars()
                .any(|character| character.is_whitespace() || character.is_control())
    })
}

fn is_mail_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part
                .chars()
                .any(|character| character.is_whitespace() || "()<>[],;:\\\"@".contains(character))
    };
    text.rsplit_once('@')
        .is_some_and(|(local, domain)| plain(local) && plain(domain) && domain.contains('.'))
}
