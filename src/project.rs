//! `ioc.toml`: the project file, and the same keys in the user's own file.
//!
//! This module reads; which file wins is decided in [`crate::settings`].

mod alarm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Place, nearest};

pub use alarm::{
    AlarmTable, CommandsTable, ElasticsearchTable, LokiTable, MailTable, MailTls,
    NotificationsTable, ServerTable, TemplateTable, WebhooksTable,
};

/// Name of the project file.
pub const FILE_NAME: &str = "ioc.toml";

/// Largest project file that is read, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;

/// Contents of `ioc.toml`. Every key may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProjectFile {
    /// Images: where they are defined and what they are built on.
    #[serde(default)]
    pub images: ImagesTable,
    /// How sources are fetched.
    #[serde(default)]
    pub fetch: FetchTable,
    /// Rules that rewrite the beginning of a source URL, first match wins.
    #[serde(default, rename = "mirror")]
    pub mirrors: Vec<Mirror>,
    /// The container engine.
    #[serde(default)]
    pub engine: EngineTable,
    /// Registries of charts and images.
    #[serde(default)]
    pub registry: RegistryTable,
    /// Where Channel Access searches go.
    #[serde(default)]
    pub channel_access: ChannelAccessTable,
    /// The log store of the site.
    #[serde(default)]
    pub logs: LogsTable,
    /// Releases.
    #[serde(default)]
    pub release: ReleaseTable,
    /// The alarm system.
    #[serde(default)]
    pub alarm: AlarmTable,
    /// Beamlines by name.
    #[serde(default)]
    pub beamline: BTreeMap<String, BeamlineTable>,
}

/// `[images]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImagesTable {
    /// Folder with the image definitions, relative to the project.
    pub folder: Option<PathBuf>,
    /// Operating-system image that a `base: os` refers to.
    pub base: Option<String>,
    /// Registry and path that image names are put under, without a trailing slash.
    pub registry: Option<String>,
    /// Tag of the images that are built.
    pub tag: Option<String>,
}

/// `[fetch]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FetchTable {
    /// Certificates of the site in PEM form, trusted in addition to those of the machine; reaches package
    /// installs inside builds, never an image.
    pub ca_bundle: Option<PathBuf>,
    /// HTTP proxy for fetches and package installs, never kept in an image.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// Mirror of Debian packages, such as `http://packages.site/debian`; without it the one in apt's
    /// configuration of this machine is taken.
    pub debian_mirror: Option<String>,
    /// Never use the network: what is not in the cache is an error.
    pub offline: Option<bool>,
}

/// `[[mirror]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// Beginning of the URLs that are rewritten.
    pub prefix: String,
    /// What stands there instead.
    pub replace: String,
}

/// `[engine]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EngineTable {
    /// URL of the engine, `unix:///path` or `tcp://host:port`.
    pub host: Option<String>,
}

/// `[registry]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryTable {
    /// Registries, as `host` or `host:port`, that are reached without TLS.
    #[serde(default)]
    pub plain_http: Vec<String>,
}

/// `[channel-access]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChannelAccessTable {
    /// As `EPICS_CA_ADDR_LIST`.
    pub address_list: Option<String>,
    /// As `EPICS_CA_AUTO_ADDR_LIST`.
    pub auto_address_list: Option<bool>,
    /// As `EPICS_CA_SERVER_PORT`.
    pub server_port: Option<u16>,
}

/// `[logs]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogsTable {
    /// Address of Loki, before `/loki/api/v1`.
    pub url: Option<String>,
    /// Query for the lines of one container, with `{namespace}`, `{instance}`, `{container}` and `{beamline}`.
    pub query: Option<String>,
    /// Tenant, where the store has several.
    pub tenant: Option<String>,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// User, with `password-file`.
    pub user: Option<String>,
    /// File with the password of `user`.
    pub password_file: Option<PathBuf>,
    /// Address of a page with the logs of an instance, with the same names in braces.
    pub page: Option<String>,
}

/// `[release]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseTable {
    /// Where charts are pushed to, as `oci://HOST/PATH`.
    pub charts: Option<String>,
}

/// `[beamline.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BeamlineTable {
    /// Services repository, relative to the project.
    pub repository: PathBuf,
    /// Where its instances run.
    #[serde(default)]
    pub backend: Backend,
    /// Kubernetes context.
    pub context: Option<String>,
    /// Kubernetes namespace, also the namespace that charts see on the local backend.
    pub namespace: Option<String>,
}

/// Where instances run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Containers on this machine.
    #[default]
    Local,
    /// A Kubernetes cluster.
    Kubernetes,
}

/// Reads the text of a project or user file.
///
/// # Errors
///
/// A diagnostic with the place of the mistake.
pub fn parse(path: &Path, source: &str) -> Result<ProjectFile, Box<Diagnostic>> {
    toml::from_str(source).map_err(|error| {
        let place = error.span().map_or_else(
            || Place::file(path),
            |span| Place::in_range(path, source, span),
        );
        let message = error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        Box::new(diagnose(&message).at(place))
    })
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into our words with the nearest name.
fn diagnose(message: &str) -> Diagnostic {
    let (what, rest) = if let Some(rest) = message.strip_prefix("unknown field `") {
        ("key", rest)
    } else if let Some(rest) = message.strip_prefix("unknown variant `") {
        ("value", rest)
    } else {
        return Diagnostic::error(in_plain_words(message));
    };
    let Some((field, rest)) = rest.split_once('`') else {
        return Diagnostic::error(message);
    };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let diagnostic = Diagnostic::error(format!("unknown {what} `{field}`"))
        .expected(format!("expected one of {}", known.join(", ")));
    match nearest(field, known.iter().copied()) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// What serde says with names of Rust, said with those of TOML.
fn in_plain_words(message: &str) -> String {
    message
        .replace("missing field `", "missing key `")
        .replace("expected u16", "expected a whole number from 0 to 65535")
        .replace("invalid type: ", "wrong type: ")
        .replace("expected a string", "expected a text in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(source: &str) -> String {
        let diagnostic = parse(Path::new("ioc.toml"), source).expect_err("must not parse");
        anstream::adapter::strip_str(&crate::ui::snippet::render(&diagnostic)).to_string()
    }

    #[test]
    fn a_beamline_needs_only_a_repository() {
        let file = parse(
            Path::new("ioc.toml"),
            "[beamline.t01]\nrepository = \"beamlines/t01\"\n",
        )
        .unwrap();
        assert_eq!(file.beamline["t01"].backend, Backend::Local);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        insta::assert_snapshot!(message("[beamline.t01]\nrepositry = \"x\"\n"), @r#"
        error: unknown key `repositry`
         --> ioc.toml:2:1
          |
        2 | repositry = "x"
          | ^^^^^^^^^ expected one of repository, backend, context, namespace
        hint: did you mean `repository`?
        "#);
    }

    #[test]
    fn a_wrong_backend_shows_the_line() {
        insta::assert_snapshot!(
            message("[beamline.t01]\nrepository = \"x\"\nbackend = \"swarm\"\n"), @r#"
        error: unknown value `swarm`
         --> ioc.toml:3:11
          |
        3 | backend = "swarm"
          |           ^^^^^^^ expected one of local, kubernetes
        "#);
    }
}
