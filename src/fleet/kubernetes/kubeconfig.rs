//! Kubeconfig files: which are read, which context is meant, and what is wrong with them.
//!
//! Contents never reach a message: a kubeconfig holds tokens and keys.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Config, ExecInteractiveMode, Kubeconfig, KubeconfigError};

use crate::diagnostic::nearest;
use crate::fleet::kubernetes::cluster::ClusterChoice;
pub(super) use crate::fleet::kubernetes::credentials::Credentials;
use crate::settings::KubernetesSettings;
use crate::source::download::bypasses_proxy;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Name of the "context" inside a pod.
const IN_CLUSTER: &str = "in-cluster";

/// The kubeconfig and the context of it that is used.
pub(super) struct Chosen {
    /// The merged files; `None` inside a cluster.
    pub(super) file: Option<Box<Kubeconfig>>,
    /// Name of the context.
    pub(super) context: String,
    /// Name of the user.
    pub(super) login: String,
    /// Their kind.
    pub(super) credentials: Credentials,
    /// The proxy that the kubeconfig names for the cluster.
    proxy: Option<String>,
}

impl Chosen {
    /// Takes the proxy that the kubeconfig names whatever the environment says; where it names none, the one of the
    /// environment, or none. The library holds `NO_PROXY` against the name of the proxy and not against that of the server.
    pub(super) fn settle_proxy(&self, config: &mut Config, settings: &KubernetesSettings) {
        if let Some(proxy) = &self.proxy {
            // what is no URL was refused before
            if let Ok(proxy) = proxy.parse() {
                config.proxy_url = Some(proxy);
            }
            return;
        }
        let server = config.cluster_url.to_string();
        let proxy = settings.proxy.as_ref();
        config.proxy_url = proxy
            .filter(|_| !bypasses_proxy(&server, settings.no_proxy.as_deref()))
            .and_then(|proxy| proxy.parse().ok());
    }
}

/// Reads and merges the files, and finds the context.
///
/// # Errors
///
/// No file, a damaged one, no current context or an unknown one.
pub(super) fn choose(
    settings: &KubernetesSettings,
    choice: &ClusterChoice,
) -> CommandResult<Chosen> {
    let Some(mut merged) = read(settings, choice.kubeconfig.as_deref())? else {
        if settings.in_cluster && choice.context.is_none() {
            return Ok(Chosen {
                file: None,
                context: IN_CLUSTER.to_owned(),
                login: "the service account of this pod".to_owned(),
                credentials: Credentials::Other,
                proxy: None,
            });
        }
        return Err(missing(settings));
    };
    let context = choice.context.clone().or_else(|| {
        merged
            .current_context
            .clone()
            .filter(|name| !name.is_empty())
    });
    let Some(context) = context else {
        return Err(CommandError::new(
            ErrorKind::Input,
            "the kubeconfig does not say which context is current",
        )
        .hint(format!("name one with `--context`: {}", contexts(&merged))));
    };
    let found = merged
        .contexts
        .iter()
        .find(|named| named.name == context)
        .and_then(|named| named.context.clone());
    let Some(found) = found else {
        return Err(unknown_context(&merged, &context, choice));
    };
    let login = found.user.clone().unwrap_or_default();
    let info = merged
        .auth_infos
        .iter_mut()
        .find(|named| named.name == login)
        .and_then(|named| named.auth_info.as_mut());
    let credentials = match info {
        Some(info) => {
            refuse_given_up_provider(info, &login)?;
            keep_errors_of_plugin(info);
            without_line_end(info);
            Credentials::of(info)
        }
        None => Credentials::Other,
    };
    let cluster = merged
        .clusters
        .iter()
        .find(|named| named.name == found.cluster)
        .and_then(|named| named.cluster.as_ref());
    let proxy = cluster.and_then(|cluster| cluster.proxy_url.clone());
    Ok(Chosen {
        file: Some(Box::new(merged)),
        proxy,
        context,
        login,
        credentials,
    })
}

/// Without a terminal nobody can answer a plugin's questions; what it says on standard error then belongs into our
/// message. With a terminal it talks to the user itself.
fn keep_errors_of_plugin(info: &mut AuthInfo) {
    use std::io::IsTerminal;
    if let Some(exec) = &mut info.exec
        && exec.interactive_mode != Some(ExecInteractiveMode::Always)
        && !std::io::stdin().is_terminal()
    {
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
}

/// Editors and `echo` end a token with a line; it cannot be sent like that, and other clients take it off. A token file
/// that a cluster keeps up to date has no such end and stays one that is read again.
fn without_line_end(info: &mut AuthInfo) {
    let Some(path) = info.token_file.as_ref().filter(|_| info.token.is_none()) else {
        return;
    };
    // what cannot be read is told when the client reads it
    let Ok(text) = fs_err::read_to_string(path) else {
        return;
    };
    let token = text.trim();
    let read = serde_json::from_value::<AuthInfo>(serde_json::json!({ "token": token }));
    if token.len() < text.len()
        && let Ok(read) = read
    {
        info.token = read.token;
        info.token_file = None;
    }
}

/// Kubernetes has taken out the login programs of single clouds, and `kubectl` has none of them since 1.26.
fn refuse_given_up_provider(info: &AuthInfo, login: &str) -> CommandResult<()> {
    let Some(provider) = info.auth_provider.as_ref().filter(|it| it.name != "oidc") else {
        return Ok(());
    };
    if info.token.is_some() || info.token_file.is_some() || info.exec.is_some() {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Input,
        format!(
            "user `{login}` of the kubeconfig logs in with the `auth-provider` `{}`, which Kubernetes has given up",
            provider.name
        ),
    )
    .hint("get a kubeconfig with an `exec` program in its place, as `kubectl` needs it since 1.26"))
}

/// The merged kubeconfig; `None` when no file was named and the usual one does not exist.
fn read(settings: &KubernetesSettings, named: Option<&Path>) -> CommandResult<Option<Kubeconfig>> {
    if let Some(path) = named {
        return read_one(path, "`--kubeconfig`").map(Some);
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in &settings.kubeconfig {
        // as kubectl: a file of the list may be missing, but not all of them
        if !path.exists() {
            continue;
        }
        let next = read_one(path, "`KUBECONFIG`")?;
        merged = Some(match merged {
            None => next,
            Some(before) => before
                .merge(next)
                .map_err(|source| not_a_kubeconfig(path, &source))?,
        });
    }
    Ok(merged)
}

fn read_one(path: &Path, said_by: &str) -> CommandResult<Kubeconfig> {
    // a good message for a file that is missing, too large or no text
    let text = crate::text::read(path, crate::project::LARGEST_FILE)
        .map_err(|error| error.hint(format!("{said_by} says that this file is the kubeconfig")))?;
    if text.trim().is_empty() {
        return Err(CommandError::new(
            ErrorKind::Input,
            format!("the kubeconfig `{}` is empty", path.display()),
        ));
    }
    Kubeconfig::read_from(path).map_err(|source| not_a_kubeconfig(path, &source))
}

/// The place is told, the line is not: it may hold a secret.
fn not_a_kubeconfig(path: &Path, source: &KubeconfigError) -> CommandError {
    let error = CommandError::new(
        ErrorKind::Input,
        format!("`{}` is not a kubeconfig", path.display()),
    );
    match source {
        KubeconfigError::Parse(source) => {
            let place = source.location().map_or_else(String::new, |location| {
                format!("line {}, column {}: ", location.line(), location.column())
            });
            let what = source.without_snippet().to_string();
            let what = what.lines().next().unwrap_or_default();
            let what = what.split(" at line ").next().unwrap_or_default();
            let what = what.split(", set ").next().unwrap_or_default();
            error.caused_by(format!("{place}{what}"))
        }
        other => error.caused_by(other.to_string()),
    }
}

fn missing(settings: &KubernetesSettings) -> CommandError {
    let places: Vec<String> = settings
        .kubeconfig
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let missing = match places.as_slice() {
        [place] => format!("{place} does not exist"),
        places => format!("none of {} exists", places.join(", ")),
    };
    CommandError::not_found(format!("there is no kubeconfig: {missing}"))
    .hint("`--kubeconfig FILE` or `KUBECONFIG` names the file that your cluster's administrators gave you")
}

fn contexts(file: &Kubeconfig) -> String {
    if file.contexts.is_empty() {
        return "it has none".to_owned();
    }
    let mut names: Vec<&str> = file
        .contexts
        .iter()
        .map(|named| named.name.as_str())
        .collect();
    let more = names.len().saturating_sub(10);
    names.truncate(10);
    let names = names.join(", ");
    if more > 0 {
        format!("{names} and {more} more")
    } else {
        names
    }
}

fn unknown_context(file: &Kubeconfig, name: &str, choice: &ClusterChoice) -> CommandError {
    let error = CommandError::not_found(format!("the kubeconfig has no context `{name}`"));
    let error = match (&choice.context, &choice.beamline) {
        (Some(_), Some(beamline)) => error.hint(format!(
            "`--context` or `[beamline.{beamline}]` in `ioc.toml` names it"
        )),
        (Some(_), None) => error,
        (None, _) => error.hint("`current-context` in the kubeconfig names it"),
    };
    match nearest(name, file.contexts.iter().map(|named| named.name.as_str())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("contexts: {}", contexts(file))),
    }
}

/// A context whose parts cannot be used.
pub(super) fn unusable(source: KubeconfigError, context: &str) -> CommandError {
    let message = match &source {
        KubeconfigError::LoadClusterOfContext(cluster) => {
            format!(
                "context `{context}` names the cluster `{cluster}`, which the kubeconfig does not have"
            )
        }
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            no_server_url(context)
        }
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            format!("the certificate authority of context `{context}` cannot be read")
        }
        _ => format!("context `{context}` of the kubeconfig cannot be used"),
    };
    CommandError::new(ErrorKind::Input, message).caused_by(source)
}

/// A server without a scheme ends the client at its first request.
pub(super) fn check_server(config: &Config, context: &str) -> CommandResult<()> {
    let server = &config.cluster_url;
    if matches!(server.scheme_str(), Some("http" | "https")) {
        return Ok(());
    }
    let written = server.to_string();
    let rest = written.rsplit("://").next().unwrap_or_default();
    Err(CommandError::new(ErrorKind::Input, no_server_url(context))
        .caused_by(format!("`{written}` does not begin with `https://`"))
        .hint(format!("write it as `https://{rest}`")))
}

fn no_server_url(context: &str) -> String {
    format!("the cluster of context `{context}` has no usable `server` URL")
}

/// Scheme, host and port of a proxy: it may have a password.
pub(super) fn proxy(config: &Config) -> Option<String> {
    let proxy = config.proxy_url.as_ref()?;
    let authority = proxy.authority()?.as_str();
    let host = authority.rsplit('@').next().unwrap_or_default();
    Some(format!("{}://{host}", proxy.scheme_str()?))
}

/// The files that `KUBECONFIG` names, or the usual one.
pub(crate) fn paths(variable: Option<&str>, home: Option<&Path>) -> Vec<PathBuf> {
    let named: Vec<PathBuf> = variable
        .map(|list| {
            std::env::split_paths(list)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        })
        .unwrap_or_default();
    if named.is_empty() {
        home.map(|home| home.join(".kube/config"))
            .into_iter()
            .collect()
    } else {
        named
    }
}
