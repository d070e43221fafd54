//! Values with methods: `.Files`, `.Capabilities` and its parts, a parsed version, a time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Zoned;

use super::json::base64_text;
use super::value::{Element, Kind, List, Value};
use crate::capabilities::Capabilities;
use crate::semantic_version::Version;
use crate::yaml;

/// `engine.files`: the files of a chart by path.
pub(crate) type FileMap = BTreeMap<Arc<str>, Arc<[u8]>>;

#[derive(Clone, Debug)]
pub(crate) enum Object {
    Files(Rc<FileMap>),
    Capabilities(Rc<Capabilities>),
    KubeVersion(Rc<Capabilities>),
    HelmVersion(Rc<Capabilities>),
    Version(Rc<Version>),
    /// What the methods of a version give: no pointer, which has fewer methods.
    VersionValue(Rc<Version>),
    Time(Rc<Zoned>),
    /// A `complex128`, which only a constant can be: `1+2i`.
    Complex {
        real: f64,
        imaginary: f64,
    },
}

impl Object {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Files(_) => Kind::Map,
            Self::Complex { .. } => Kind::Complex128,
            Self::Capabilities(_) | Self::Version(_) => Kind::Ptr,
            Self::KubeVersion(_) | Self::HelmVersion(_) | Self::VersionValue(_) | Self::Time(_) => {
                Kind::Struct
            }
        }
    }

    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Files(_) => "engine.files",
            Self::Capabilities(_) => "*common.Capabilities",
            Self::KubeVersion(_) => "common.KubeVersion",
            Self::HelmVersion(_) => "version.BuildInfo",
            Self::Version(_) => "*semver.Version",
            Self::VersionValue(_) => "semver.Version",
            Self::Time(_) => "time.Time",
            Self::Complex { .. } => "complex128",
        }
    }

    /// Entries, for what has a length.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Files(files) => Some(files.len()),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Complex { real, imaginary } => *real != 0.0 || *imaginary != 0.0,
            other => other.len() != Some(0),
        }
    }

    /// The fields in the order in which Go's JSON encoder writes them, or the text that it writes.
    pub(crate) fn json_fields(&self) -> Result<Vec<(String, Value)>, String> {
        let text = |name: &str, text: &str| (name.to_owned(), Value::str(text));
        match self {
            Self::Files(files) => Ok(files
                .iter()
                .map(|(name, data)| (name.to_string(), Value::str(base64_text(data))))
                .collect()),
            Self::Capabilities(all) => Ok(vec![
                (
                    "KubeVersion".to_owned(),
                    Self::KubeVersion(Rc::clone(all)).into(),
                ),
                ("APIVersions".to_owned(), api_versions(all)),
                (
                    "HelmVersion".to_owned(),
                    Self::HelmVersion(Rc::clone(all)).into(),
                ),
            ]),
            Self::KubeVersion(all) => Ok(vec![
                text("Version", &all.kube_version.version),
                text("Major", &all.kube_version.major),
                text("Minor", &all.kube_version.minor),
            ]),
            Self::HelmVersion(all) => Ok(all
                .helm_version
                .fields()
                .into_iter()
                .map(|(_, json_name, value)| text(json_name, value))
                .collect()),
            Self::Version(version) | Self::VersionValue(version) => Err(version.to_string()),
            Self::Time(time) => Err(crate::functions::dates::rfc3339(time)),
            Self::Complex { .. } => Err(super::format::to_text(&self.clone().into())
                .lossy()
                .into_owned()),
        }
    }

    pub(crate) fn to_plain(&self) -> yaml::Value {
        match self.json_fields() {
            Ok(fields) => yaml::Value::Map(
                fields
                    .into_iter()
                    .map(|(key, value)| (key.into(), value.to_plain()))
                    .collect(),
            ),
            Err(text) => text.as_str().into(),
        }
    }
}

/// `.Capabilities.APIVersions`.
pub(crate) fn api_versions(capabilities: &Capabilities) -> Value {
    let items = capabilities
        .api_versions
        .iter()
        .map(|item| Value::str(item.as_str()))
        .collect();
    Value::List(List::new(items, Element::Versions))
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}
