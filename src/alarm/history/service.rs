//! Services of the site as sinks: who asks, whom to trust, what to warn of.

use alarm_log::remote::{Fault, Login, Remote};
use alarm_log::sink::elasticsearch::{Options, Rotation};
use alarm_log::sink::sqlite::Retention;
use tokio_util::sync::CancellationToken;

use crate::settings::{Secret, ServiceSettings, Settings};
use crate::source::{FetchContext, download};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Elasticsearch or OpenSearch at an address.
pub(super) fn elasticsearch(url: &str, settings: &Settings) -> CommandResult<Remote> {
    reach(
        url,
        &settings.alarm.elasticsearch.service,
        Login::ApiKey,
        settings,
    )
}

/// How it is written.
pub(super) fn elasticsearch_options(settings: &Settings) -> CommandResult<Options> {
    let settings = &settings.alarm.elasticsearch;
    let rotation = Rotation::from_name(&settings.rotation).ok_or_else(|| {
        CommandError::new(
            ErrorKind::Input,
            format!(
                "`rotation = \"{}\"` below `[alarm.elasticsearch]` is none",
                settings.rotation
            ),
        )
        .hint("`never`, `year`, `month`, `week` or `day`")
    })?;
    Ok(Options {
        rotation,
        templates: settings.templates,
    })
}

/// Loki at an address.
pub(super) fn loki(url: &str, settings: &Settings) -> CommandResult<Remote> {
    let of_loki = &settings.alarm.loki;
    let remote = reach(url, &of_loki.service, Login::Token, settings)?;
    match &of_loki.tenant {
        Some(tenant) => remote.for_tenant(tenant).map_err(|fault| failed(&fault)),
        None => Ok(remote),
    }
}

fn reach(
    url: &str,
    service: &ServiceSettings,
    key: fn(String) -> Login,
    settings: &Settings,
) -> CommandResult<Remote> {
    let mut fetch = FetchContext::new(settings, CancellationToken::new());
    if let Some(ca_file) = &service.ca_file {
        fetch.ca_bundle = Some(ca_file.clone());
    }
    let client = download::build_service_client(&fetch).map_err(|error| {
        CommandError::new(ErrorKind::Input, format!("`{url}` cannot be reached")).caused_by(error)
    })?;
    let login = match (&service.key, &service.user, &service.password) {
        (Some(secret), _, _) => key(text(secret)?),
        (None, Some(user), Some(password)) => Login::Password {
            user: user.clone(),
            password: text(password)?,
        },
        (None, None, None) => Login::None,
        (None, Some(user), None) => {
            return Err(CommandError::new(
                ErrorKind::Input,
                format!("the user `{user}` of `{url}` has no password"),
            )
            .hint("`password-file` beside `user` in `ioc.toml`; docs/alarm-history.md"));
        }
        (None, None, Some(_)) => {
            return Err(CommandError::new(
                ErrorKind::Input,
                format!("there is a password for `{url}`, and no user"),
            )
            .hint("`user` beside `password-file` in `ioc.toml`; docs/alarm-history.md"));
        }
    };
    let remote = Remote::new(client, url, &login).map_err(|fault| failed(&fault))?;
    Ok(remote.compressing(service.compress))
}

fn text(secret: &Secret) -> CommandResult<String> {
    let text = match secret {
        Secret::Text(text) => text.clone(),
        Secret::File(path) => alarm_server::secrets::read(path).map_err(|error| {
            let hint = error.hint();
            let failed =
                CommandError::new(ErrorKind::Input, "a login cannot be had").caused_by(error);
            match hint {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        })?,
    };
    Ok(text.trim().to_owned())
}

/// What the user should know before anything is sent.
pub(super) fn warnings(remote: &Remote, retention: Retention) -> Vec<String> {
    let mut warnings = Vec::new();
    if remote.is_login_exposed() {
        warnings.push(format!(
            "everybody on the network can read the login that goes to {}: without `https` it is not encrypted",
            remote.address()
        ));
    }
    if retention != Retention::default() {
        warnings.push(format!(
            "`--keep` and `--keep-size` remove nothing from {}: that is done by its own rules",
            remote.address()
        ));
    }
    warnings
}

/// A fault with the kind that decides the exit code.
pub(super) fn failed(fault: &Fault) -> CommandError {
    let kind = match fault {
        Fault::Address { .. } => ErrorKind::Usage,
        Fault::Denied { .. } => ErrorKind::Forbidden,
        Fault::Strange { .. } | Fault::Foreign { .. } => ErrorKind::Input,
        Fault::Unable { .. } => ErrorKind::Unsupported,
        _ => ErrorKind::Fetch,
    };
    let failed = CommandError::new(kind, fault.to_string());
    match fault.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}
