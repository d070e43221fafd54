//! Refusals of a cluster in words: who may not do what, which field is wrong, who owns it, what to do.

use std::error::Error;

use kube::core::Status;
use kube::core::response::StatusCause;

use crate::fleet::kubernetes::credentials::Credentials;
use crate::ui::error::{CommandError, ErrorKind};

/// What a message needs to know about the cluster.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) server: String,
    pub(super) login: String,
    pub(super) namespace: String,
    pub(super) where_from: String,
    pub(super) credentials: Credentials,
}

/// An error of a request. `doing` completes "failed to …".
pub(super) fn command_error(source: kube::Error, doing: &str, facts: &Facts) -> CommandError {
    match source {
        kube::Error::Api(status) => refused(&status, doing, facts),
        kube::Error::Auth(source) => plugin(&source, &facts.login, &facts.credentials),
        kube::Error::Service(source) => match source.downcast::<kube::client::AuthError>() {
            Ok(source) => plugin(&source, &facts.login, &facts.credentials),
            Err(source) => unreachable(&*source, doing, facts),
        },
        kube::Error::HyperError(source) => unreachable(&source, doing, facts),
        kube::Error::SerdeError(source) => CommandError::new(
            ErrorKind::Cluster,
            format!(
                "failed to {doing}: {} does not answer like a Kubernetes API",
                facts.server
            ),
        )
        .caused_by(source)
        .hint(facts.where_from.clone()),
        other => {
            CommandError::new(ErrorKind::Cluster, format!("failed to {doing}")).caused_by(other)
        }
    }
}

/// A client could not be made: mostly the credentials.
pub(super) fn no_client(
    source: kube::Error,
    login: &str,
    credentials: &Credentials,
) -> CommandError {
    match source {
        kube::Error::Auth(source) => plugin(&source, login, credentials),
        kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. } => {
            // its text has the URL, and that may have a password
            CommandError::new(
                ErrorKind::Input,
                "the `proxy-url` in the kubeconfig is not one that can be used",
            )
            .hint("write it as `http://HOST:PORT`")
        }
        other => CommandError::new(
            ErrorKind::Input,
            format!("the certificates or keys of user `{login}` in the kubeconfig cannot be used"),
        )
        .caused_by(other),
    }
}

/// A credential plugin or token file that does not work.
fn plugin(
    source: &kube::client::AuthError,
    login: &str,
    credentials: &Credentials,
) -> CommandError {
    use kube::client::AuthError;
    let command = match credentials {
        Credentials::Plugin { command, .. } => command.as_str(),
        _ => "",
    };
    let message = format!("`{command}`, which gives the credentials of user `{login}`, failed");
    let error = match source {
        AuthError::AuthExecRun { out, .. } => {
            let error = CommandError::new(ErrorKind::Forbidden, message);
            let said = last_lines(&String::from_utf8_lossy(&out.stderr), 10);
            let ended = out.status.to_string();
            error.caused_by(if said.is_empty() {
                format!("{ended}, without a word on standard error")
            } else {
                format!("{ended}\n{said}")
            })
        }
        AuthError::AuthExecStart(source) if source.kind() == std::io::ErrorKind::NotFound => {
            CommandError::not_found(format!(
                "`{command}`, which gives the credentials of user `{login}`, is not installed"
            ))
        }
        AuthError::AuthExecStart(source) => {
            CommandError::new(ErrorKind::Forbidden, message).caused_by(source.to_string())
        }
        // what it printed may be a token: the text of the parser's error is not shown
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => CommandError::new(
            ErrorKind::Forbidden,
            format!(
                "`{command}`, which gives the credentials of user `{login}`, did not print any"
            ),
        )
        .caused_by(
            "expected an `ExecCredential` with `status.token` or a certificate on standard output",
        ),
        AuthError::ReadTokenFile(source, path) => CommandError::new(
            ErrorKind::Forbidden,
            format!(
                "the token of user `{login}` in `{}` cannot be read",
                path.display()
            ),
        )
        .caused_by(source.to_string()),
        other => CommandError::new(
            ErrorKind::Forbidden,
            format!("the credentials of user `{login}` cannot be had"),
        )
        .caused_by(other.to_string()),
    };
    match credentials {
        Credentials::Plugin {
            install_hint: Some(hint),
            ..
        } => error.hint(last_lines(hint, 5)),
        Credentials::Plugin { .. } => {
            error.hint(format!("run `{command}` by hand to see what is wrong"))
        }
        _ => error,
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The API server cannot be reached, or is not trusted.
fn unreachable(source: &(dyn Error + 'static), doing: &str, facts: &Facts) -> CommandError {
    let chain = chain(source);
    if let Some(alert) = chain.iter().find(|text| refuses_certificate(text)) {
        return unauthorized(facts, Some(alert));
    }
    let server = &facts.server;
    let text = chain.join(": ");
    let error = if text.contains("certificate") {
        let why = if text.contains("UnknownIssuer") || text.contains("unknown issuer") {
            "its certificate was not issued by the authority in the kubeconfig"
        } else if text.contains("Expired") || text.contains("expired") {
            "its certificate has expired"
        } else if text.contains("NotValidForName") || text.contains("not valid for name") {
            "its certificate is for another name"
        } else {
            "its certificate is refused"
        };
        CommandError::new(
            ErrorKind::Cluster,
            format!("{server} is not trusted: {why}"),
        )
    } else {
        CommandError::new(
            ErrorKind::Cluster,
            format!("the Kubernetes API at {server} cannot be reached to {doing}"),
        )
    };
    let last = chain.last().cloned().unwrap_or_default();
    let last = match last.as_str() {
        // tokio's words for a time that ran out
        "deadline has elapsed" => "it gave no answer in time".to_owned(),
        _ => last,
    };
    error.caused_by(last).hint(facts.where_from.clone())
}

/// Whether an error says that the other side ended the handshake for the certificate that it was shown: a proxy before
/// the cluster does so, where an API server answers.
fn refuses_certificate(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("received fatal alert")
        && (text.contains("certificate") || text.contains("unknownca"))
}

/// The messages of an error and those below it.
fn chain(source: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![source.to_string()];
    let mut next = source.source();
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

fn refused(status: &Status, doing: &str, facts: &Facts) -> CommandError {
    match status.code {
        401 => unauthorized(facts, None),
        403 => forbidden(status, doing, facts),
        404 => {
            let error = CommandError::not_found(format!("failed to {doing}"))
                .caused_by(status.message.clone());
            match &status.details {
                Some(details) if details.kind == "namespaces" => CommandError::not_found(format!(
                    "there is no namespace `{}`",
                    details.name
                ))
                .caused_by(format!("failed to {doing}"))
                .hint(
                    "`--namespace` names another; `ioc beamline init` makes what a beamline needs",
                ),
                _ => error,
            }
        }
        409 => conflict(status, doing),
        400 | 422 => invalid(status, doing),
        // a list with two elements of one key cannot be applied; the server calls that a fault of its own
        500 if status.message.contains("typed patch object") => invalid(status, doing),
        429 => CommandError::new(ErrorKind::Cluster, format!("failed to {doing}"))
            .caused_by(status.message.clone())
            .hint("the API server is overloaded; try again later"),
        500.. => CommandError::new(
            ErrorKind::Cluster,
            format!(
                "failed to {doing}: the API server at {} has trouble",
                facts.server
            ),
        )
        .caused_by(status.message.clone()),
        _ => CommandError::new(ErrorKind::Cluster, format!("failed to {doing}"))
            .caused_by(status.message.clone()),
    }
}

/// The credentials are refused; `said` is why by the other side, when it says so.
fn unauthorized(facts: &Facts, said: Option<&String>) -> CommandError {
    let Facts { login, server, .. } = facts;
    let error = CommandError::new(
        ErrorKind::Forbidden,
        format!("{server} does not accept the credentials of user `{login}` in the kubeconfig"),
    );
    let why = facts.credentials.expired(jiff::Timestamp::now());
    match why.or_else(|| said.cloned()) {
        Some(why) => error.caused_by(why),
        None => error,
    }
    .hint(facts.credentials.renewal())
}

/// What a login may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// As the cluster knows it.
    pub user: String,
    /// `get`, `list`, `create`, …
    pub verb: String,
    /// `pods`, `secrets`, `statefulsets/scale`, …
    pub resource: String,
    /// API group, empty for the core.
    pub group: String,
    /// Namespace; `None` for the whole cluster.
    pub namespace: Option<String>,
}

/// Reads what the authorizer says: `User "x" cannot list resource "pods" in API group "" in the namespace "n"`.
pub fn permission(message: &str) -> Option<Permission> {
    let rest = message.split_once("User \"")?.1;
    let (user, rest) = rest.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let namespace = rest
        .split_once("in the namespace \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(namespace, _)| namespace.to_owned());
    Some(Permission {
        user: user.to_owned(),
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        group: group.to_owned(),
        namespace,
    })
}

impl Permission {
    /// The rule of a role that would allow it.
    pub fn rule(&self) -> String {
        format!(
            "{{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"{}\"]}}",
            self.group, self.resource, self.verb
        )
    }
}

fn forbidden(status: &Status, doing: &str, facts: &Facts) -> CommandError {
    if let Some(permission) = permission(&status.message) {
        let place = match &permission.namespace {
            Some(namespace) => format!("namespace `{namespace}`"),
            None => "the whole cluster".to_owned(),
        };
        let kind = match &permission.namespace {
            Some(_) => "Role",
            None => "ClusterRole",
        };
        let Permission {
            user,
            verb,
            resource,
            ..
        } = &permission;
        return CommandError::new(
            ErrorKind::Forbidden,
            format!("`{user}` may not {verb} `{resource}` in {place}"),
        )
        .caused_by(format!("failed to {doing}"))
        .hint(format!(
            "whoever administers {place} can allow it with this rule in a {kind} bound to `{user}`: {}",
            permission.rule()
        ))
        .hint(format!(
            "`ioc auth can-i` shows what `{user}` may do; is `{}` the right namespace?",
            facts.namespace
        ));
    }
    let message = &status.message;
    let error = CommandError::new(
        ErrorKind::Forbidden,
        format!("the cluster forbids to {doing}"),
    )
    .caused_by(message.clone());
    if message.contains("exceeded quota") {
        error.hint("delete what is not needed, ask for less in `resources`, or have the quota of the namespace raised")
    } else if message.contains("violates PodSecurity") {
        error.hint("the pod-security level of the namespace does not allow what the pod asks for; host networking needs `privileged`")
    } else if message.contains("being terminated") {
        error.hint("the namespace is being deleted")
    } else {
        error
    }
}

/// One field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// The field, as `spec.replicas`.
    pub field: String,
    /// Its owner, as `kubectl with subresource scale`.
    pub owner: String,
}

/// The fields that others own, when a server-side apply was refused for that.
pub fn field_conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice());
    causes
        .unwrap_or_default()
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict {
            field: cause.field.trim_start_matches('.').to_owned(),
            owner: owner(&cause.message),
        })
        .collect()
}

/// `conflict with "kubectl" with subresource "scale" using apps/v1` -> `kubectl (subresource scale)`.
fn owner(message: &str) -> String {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    match quoted[..] {
        [manager, subresource, ..] => format!("{manager} (subresource {subresource})"),
        [manager] => manager.to_owned(),
        [] => message.to_owned(),
    }
}

fn conflict(status: &Status, doing: &str) -> CommandError {
    let conflicts = field_conflicts(status);
    if !conflicts.is_empty() {
        let error = CommandError::new(
            ErrorKind::Conflict,
            format!("failed to {doing}: others have set fields of it"),
        );
        let fields: Vec<String> = conflicts
            .iter()
            .map(|conflict| format!("`{}` was set by {}", conflict.field, conflict.owner))
            .collect();
        return error.caused_by(fields.join("\n")).hint(
            "set the same value in the chart's values, or undo the change with the tool that made it",
        );
    }
    CommandError::new(ErrorKind::Conflict, format!("failed to {doing}"))
        .caused_by(status.message.clone())
        .hint("somebody changed it at the same time; run the command again")
}

fn invalid(status: &Status, doing: &str) -> CommandError {
    let error = CommandError::new(ErrorKind::Input, format!("the cluster refuses to {doing}"));
    let causes: Vec<String> = status
        .details
        .as_ref()
        .map(|details| details.causes.iter().map(cause).collect())
        .unwrap_or_default();
    if causes.is_empty() {
        error.caused_by(status.message.clone())
    } else {
        error.caused_by(causes.join("\n"))
    }
}

fn cause(cause: &StatusCause) -> String {
    if cause.field.is_empty() {
        cause.message.clone()
    } else {
        format!("`{}`: {}", cause.field, cause.message)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    fn details(cause: StatusCause) -> StatusDetails {
        StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        }
    }

    fn facts() -> Facts {
        Facts {
            server: "https://k8s.site:6443".into(),
            login: "anna".into(),
            namespace: "t01".into(),
            where_from: "context `a` of the kubeconfig leads to https://k8s.site:6443".into(),
            credentials: Credentials::Token {
                expires: jiff::Timestamp::from_second(1_700_000_000).ok(),
            },
        }
    }

    fn told(status: Status) -> String {
        let error = command_error(kube::Error::Api(status.boxed()), "list the pods", &facts());
        let mut text = format!("{:?}: {error}\n", error.kind());
        for cause in error.causes() {
            text.push_str(&format!("cause: {cause}\n"));
        }
        for hint in error.hints() {
            text.push_str(&format!("hint: {hint}\n"));
        }
        text
    }

    #[test]
    fn a_missing_permission_is_named_with_the_rule_that_would_give_it() {
        let message = "pods is forbidden: User \"anna\" cannot list resource \"pods\" in API group \"\" in the namespace \"t01\"";
        insta::assert_snapshot!(told(Status::failure(message, "Forbidden").with_code(403)), @r#"
        Forbidden: `anna` may not list `pods` in namespace `t01`
        cause: failed to list the pods
        hint: whoever administers namespace `t01` can allow it with this rule in a Role bound to `anna`: {apiGroups: [""], resources: ["pods"], verbs: ["list"]}
        hint: `ioc auth can-i` shows what `anna` may do; is `t01` the right namespace?
        "#);
        let whole = "nodes \"a\" is forbidden: User \"system:serviceaccount:x:y\" cannot get resource \"nodes\" in API group \"\" at the cluster scope";
        let permission = permission(whole).unwrap();
        assert_eq!(
            (permission.namespace, permission.verb.as_str()),
            (None, "get")
        );
    }

    #[test]
    fn quota_and_pod_security_are_forbidden_for_their_own_reasons() {
        let message = "pods \"x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4";
        let text = told(Status::failure(message, "Forbidden").with_code(403));
        assert!(
            text.contains("exceeded quota: small, requested: pods=1") && text.contains("raised"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_told_in_words() {
        let never = std::future::pending::<()>();
        let elapsed = tokio::time::timeout(std::time::Duration::from_millis(1), never).await;
        let error = kube::Error::Service(Box::new(elapsed.unwrap_err()));
        let error = command_error(error, "list the pods", &facts());
        assert_eq!(
            error.to_string(),
            "the Kubernetes API at https://k8s.site:6443 cannot be reached to list the pods"
        );
        assert_eq!(error.causes(), ["it gave no answer in time"]);
    }

    #[test]
    fn an_expired_token_is_told_as_such() {
        insta::assert_snapshot!(told(Status::failure("Unauthorized", "Unauthorized").with_code(401)), @r"
        Forbidden: https://k8s.site:6443 does not accept the credentials of user `anna` in the kubeconfig
        cause: the token expired on 2023-11-14 22:13:20 UTC
        hint: get a new kubeconfig from your cluster's administrators, or log in again with the tool of your site
        ");
    }

    #[test]
    fn who_owns_a_field_is_named() {
        let cause = StatusCause {
            reason: "FieldManagerConflict".into(),
            message: "conflict with \"kubectl\" with subresource \"scale\" using apps/v1".into(),
            field: ".spec.replicas".into(),
        };
        let details = details(cause);
        let status = Status::failure("Apply failed with 1 conflict", "Conflict")
            .with_code(409)
            .with_details(details);
        insta::assert_snapshot!(told(status), @r"
        Conflict: failed to list the pods: others have set fields of it
        cause: `spec.replicas` was set by kubectl (subresource scale)
        hint: set the same value in the chart's values, or undo the change with the tool that made it
        ");
    }

    #[test]
    fn wrong_fields_are_listed() {
        let cause = StatusCause {
            reason: "FieldValueInvalid".into(),
            message: "Invalid value: -1: must be greater than or equal to 0".into(),
            field: "spec.replicas".into(),
        };
        let details = details(cause);
        let status = Status::failure("StatefulSet.apps \"x\" is invalid: …", "Invalid")
            .with_code(422)
            .with_details(details);
        insta::assert_snapshot!(told(status), @r"
        Input: the cluster refuses to list the pods
        cause: `spec.replicas`: Invalid value: -1: must be greater than or equal to 0
        ");
    }
}
