//! Why a chart cannot be loaded or packaged.

use std::path::PathBuf;

use crate::values::unread_values;
use crate::yaml::YamlError;

/// A chart that cannot be loaded or packaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// The folder or archive has no `Chart.yaml`.
    #[error("`{0}` is not a chart: `Chart.yaml` is missing")]
    NoChartFile(PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A YAML file of the chart cannot be parsed.
    #[error("failed to parse `{file}`")]
    Yaml {
        /// Path of the file inside the chart.
        file: String,
        /// What is wrong.
        source: YamlError,
    },
    /// A field of `Chart.yaml` or `Chart.lock` is missing or wrong.
    #[error("`{file}`: {problem}")]
    Metadata {
        /// Path of the file inside the chart.
        file: String,
        /// Which field, and why.
        problem: String,
    },
    /// The chart is of the format of Helm 2.
    #[error("`{name}` is a chart of API version v1, which is not supported")]
    ApiVersion1 {
        /// Name of the chart.
        name: String,
    },
    /// The chart is of a format that is not known.
    #[error("unsupported chart API version `{0}`")]
    ApiVersion(String),
    /// The archive is not a gzipped tar file.
    #[error("not a chart archive: {0}")]
    Archive(String),
    /// The archive has an entry whose path leads out of the chart.
    #[error("chart archive has an entry with a forbidden path `{0}`")]
    ArchivePath(String),
    /// The chart is too large or has too many files.
    #[error("chart is larger than allowed: more than {0}")]
    TooLarge(String),
    /// A file that is neither regular nor a folder nor a link.
    #[error("`{0}` is not a regular file")]
    Irregular(PathBuf),
    /// A symbolic link leads to nothing.
    #[error("symbolic link `{link}` leads to `{target}`, which does not exist")]
    BrokenLink {
        /// The link.
        link: PathBuf,
        /// What is written in it.
        target: PathBuf,
    },
    /// A symbolic link leads where the caller does not allow it.
    #[error("symbolic link `{link}` leads to `{target}`, outside of `{root}`")]
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The folder that must not be left.
        root: PathBuf,
    },
    /// Links are not allowed at all.
    #[error("symbolic link `{0}` is not allowed")]
    LinkRefused(PathBuf),
    /// A pattern of `.helmignore` cannot be read.
    #[error("`.helmignore`: {0}")]
    Ignore(String),
    /// A chart in `charts/` or behind a `file://` dependency cannot be loaded.
    #[error("failed to load dependency `{name}` of chart `{chart}`")]
    Dependency {
        /// The file or folder, or the dependency's name.
        name: String,
        /// The chart that needs it.
        chart: String,
        /// Why.
        source: Box<ChartError>,
    },
    /// A chart that cannot be packaged.
    #[error("chart cannot be packaged: {0}")]
    Package(String),
}

/// What comes before the reason in Helm's message.
pub(crate) const fn conversion(error: &YamlError) -> &'static str {
    if error.is_wrong_type() {
        "error unmarshaling JSON: while decoding JSON: "
    } else {
        "error converting YAML to JSON: "
    }
}

impl ChartError {
    pub(super) fn metadata(file: &str, problem: impl Into<String>) -> Self {
        Self::Metadata {
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    /// The message in Helm's own words, for the errors that users of Helm know.
    pub fn helm_text(&self) -> String {
        match self {
            Self::Yaml { file, source } => {
                let why = if file == "values.yaml" {
                    unread_values(source)
                } else {
                    format!("{}{}", conversion(source), source.helm_text())
                };
                format!("cannot load {file}: {why}")
            }
            Self::NoChartFile(_) => "Chart.yaml file is missing".to_owned(),
            Self::Ignore(why) => match why.split_once(": `") {
                Some((why, _)) => why.to_owned(),
                None => why.clone(),
            },
            Self::Dependency {
                name,
                chart,
                source,
            } => format!(
                "error unpacking subchart {name} in {chart}: {}",
                source.helm_text()
            ),
            other => other.to_string(),
        }
    }

    /// What a person can do about it, where that is known.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::ApiVersion1 { .. } => Some(
                "set `apiVersion: v2` in Chart.yaml and move `requirements.yaml` into its \
                 `dependencies`",
            ),
            _ => None,
        }
    }
}
