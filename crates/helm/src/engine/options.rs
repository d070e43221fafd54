//! The release that a chart is rendered for, and how it is rendered.

use jiff::Zoned;

use crate::limits::Limits;
use crate::lookup::Lookup;

/// How a chart is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// How much the chart may make the engine do.
    pub limits: Limits,
    /// Whether `values.schema.json` is left out of account (`--skip-schema-validation`).
    pub skip_schema_validation: bool,
    /// What `lookup` finds; nothing without one, as in `helm template`.
    pub lookup: Option<Lookup>,
}

/// Which release is rendered, and when.
#[derive(Debug, Clone)]
pub struct ReleaseOptions {
    /// `.Release.Name`
    pub name: String,
    /// `.Release.Namespace`
    pub namespace: String,
    /// `.Release.Revision`, from 1.
    pub revision: i64,
    /// `.Release.IsUpgrade`; an install otherwise.
    pub is_upgrade: bool,
    /// The moment that `now` gives, and the time zone of `date`.
    pub now: Zoned,
}

/// Another name for [`ReleaseOptions`].
pub type Release = ReleaseOptions;

impl ReleaseOptions {
    /// The first revision of a release.
    pub fn install(name: &str, namespace: &str, now: Zoned) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            revision: 1,
            is_upgrade: false,
            now,
        }
    }
}
