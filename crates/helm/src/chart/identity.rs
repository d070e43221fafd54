//! A chart under another name and version, as the options of `helm package` give it.

use std::sync::Arc;

use super::{Chart, File};
use crate::yaml::{self, YamlError};

/// What a chart is in place of what its files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartIdentity {
    /// Name of the chart.
    pub name: Option<String>,
    /// Version, as with `helm package --version`.
    pub version: Option<String>,
    /// Version of what is inside, as with `helm package --app-version`.
    pub app_version: Option<String>,
    /// Text of `values.yaml`.
    pub values: Option<String>,
}

impl Chart {
    /// The same chart with another identity. Its templates see it, as they would in the package.
    ///
    /// # Errors
    /// When the values are no YAML.
    pub fn with_identity(&self, identity: &ChartIdentity) -> Result<Self, YamlError> {
        let mut chart = self.clone();
        let metadata = &mut chart.metadata;
        for (field, value) in [
            (&mut metadata.name, &identity.name),
            (&mut metadata.version, &identity.version),
            (&mut metadata.app_version, &identity.app_version),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        if let Some(text) = &identity.values {
            chart.values = Arc::new(yaml::parse(text)?);
            chart.values_file = Some(File {
                name: "values.yaml".into(),
                data: text.as_bytes().into(),
                modified: self
                    .values_file
                    .as_ref()
                    .and_then(|file| file.modified)
                    .or(self.modified),
            });
        }
        Ok(chart)
    }
}
