//! How an alarm server is set: options before settings before the defaults of Phoebus. Pure but for paths, which are not
//! looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use alarm_server::settings::{
    ApiSettings, CommandSettings, Documents, Heartbeat, MailSettings, MailTls, NoticeTemplate,
    NotifySettings, Replica, Settings as ServerSettings, WebhookSettings,
};

use crate::alarm::document;
use crate::cli::alarm::serve::ServeArgs;
use crate::project;
use crate::settings::AlarmSettings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How often a heartbeat PV gets 1 if nothing says so.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The settings of the server of a configuration. `user` is who runs it, as `name@host`.
///
/// # Errors
///
/// A nag period that is none.
pub fn resolve(
    configuration: &str,
    args: &ServeArgs,
    settings: &AlarmSettings,
    user: &str,
    is_kafka: bool,
) -> CommandResult<ServerSettings> {
    let server = &settings.server;
    let mut resolved = ServerSettings::new(configuration);
    let seconds =
        |option: Option<u64>, setting: Option<u64>| option.or(setting).map(Duration::from_secs);
    set(
        &mut resolved.connection_timeout,
        seconds(args.connection_timeout, server.connection_timeout),
    );
    set(
        &mut resolved.idle_timeout,
        seconds(args.idle_timeout, server.idle_timeout),
    );
    if let Some(text) = args.nag_period.as_ref().or(server.nag_period.as_ref()) {
        let period = nag_period(text).ok_or_else(|| {
            CommandError::new(
                ErrorKind::Usage,
                format!("`{text}` is no period of reminders"),
            )
            .hint("hours, minutes, seconds: `--nag-period 0:15:00`; `0:00:00` for never")
        })?;
        resolved.nag_period = (!period.is_zero()).then_some(period);
    }
    let (name, host) = user.split_once('@').unwrap_or((user, "localhost"));
    name.clone_into(&mut resolved.user);
    host.clone_into(&mut resolved.host);
    set(&mut resolved.drain, seconds(None, server.drain));
    set(&mut resolved.put_timeout, seconds(None, server.put_timeout));
    resolved.heartbeat = server.heartbeat_pv.as_ref().map(|pv| Heartbeat {
        pv: pv.clone(),
        every: seconds(None, server.heartbeat_period).unwrap_or(HEARTBEAT),
    });
    resolved.replica = replica(args, is_kafka, host);
    resolved.api = Some(api(args, server));
    resolved.mail = settings.mail.as_ref().map(mail);
    if let Some(table) = &settings.commands {
        resolved.commands = commands(table);
    }
    if let Some(table) = &settings.webhooks {
        resolved.webhooks = webhooks(table);
    }
    resolved.notify = notify(configuration, settings);
    Ok(resolved)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// On a bus of this machine there is always one that leads, whether or not others may stand by. Beside Phoebus, on
/// Kafka, nobody else is asked unless it is wanted.
fn replica(args: &ServeArgs, is_kafka: bool, host: &str) -> Option<Replica> {
    if is_kafka && !args.replica {
        return None;
    }
    let name = args.name.clone();
    Some(Replica {
        name: name.unwrap_or_else(|| format!("{host}-{}", std::process::id())),
        may_wait: args.replica,
        serves_always: is_kafka,
    })
}

fn api(args: &ServeArgs, server: &project::ServerTable) -> ApiSettings {
    let mut api = ApiSettings::default();
    set(&mut api.address, args.listen.or(server.listen));
    api.advertised = args.advertise;
    api.token_file = args
        .token_file
        .as_ref()
        .or(server.token_file.as_ref())
        .cloned();
    api.documents = Some(Documents {
        read: document::read,
        to_yaml: document::to_yaml,
        to_json: document::to_json,
    });
    set(&mut api.allowed_hosts, server.allowed_hosts.clone());
    set(&mut api.allowed_origins, server.allowed_origins.clone());
    api
}

fn mail(table: &project::MailTable) -> MailSettings {
    let (tls, port) = match table.tls {
        project::MailTls::None => (MailTls::None, 25),
        project::MailTls::Start => (MailTls::Start, 587),
        project::MailTls::Whole => (MailTls::Whole, 465),
    };
    MailSettings {
        server: table.server.clone(),
        port: table.port.unwrap_or(port),
        tls,
        credentials: table.credentials_file.clone(),
        sender: table.sender.clone(),
        timeout: Duration::from_secs(table.timeout.unwrap_or(30)),
    }
}

fn commands(table: &project::CommandsTable) -> CommandSettings {
    let mut commands = CommandSettings {
        allowed: table.allowed.clone(),
        ..CommandSettings::default()
    };
    set(&mut commands.directory, table.directory.clone());
    set(
        &mut commands.timeout,
        table.timeout.map(Duration::from_secs),
    );
    set(&mut commands.concurrency, table.concurrency);
    if let Some(environment) = &table.environment {
        commands.environment = environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
    }
    commands
}

fn webhooks(table: &project::WebhooksTable) -> WebhookSettings {
    let named = |table: &BTreeMap<String, PathBuf>| {
        table
            .iter()
            .map(|(name, file)| (name.clone(), file.clone()))
            .collect()
    };
    let mut webhooks = WebhookSettings {
        allowed_hosts: table.allowed_hosts.clone(),
        slack: named(&table.slack),
        teams: named(&table.teams),
        mattermost: named(&table.mattermost),
        secret: table.secret_file.clone(),
        ..WebhookSettings::default()
    };
    set(
        &mut webhooks.timeout,
        table.timeout.map(Duration::from_secs),
    );
    webhooks
}

fn notify(configuration: &str, settings: &AlarmSettings) -> NotifySettings {
    let table = &settings.notifications;
    let file = settings.notices.join(format!("{configuration}.sqlite"));
    let mut notify = NotifySettings {
        queue: Some(table.queue.clone().unwrap_or(file)),
        at_least_once: table.at_least_once,
        templates: table
            .templates
            .iter()
            .map(|(channel, words)| NoticeTemplate {
                channel: channel.clone(),
                subject: words.subject.clone(),
                body: words.body.clone(),
            })
            .collect(),
        ..NotifySettings::default()
    };
    set(&mut notify.per_minute, table.per_minute);
    set(&mut notify.burst, table.burst);
    set(
        &mut notify.collect,
        table.collect.map(Duration::from_millis),
    );
    set(&mut notify.group_over, table.group_over);
    set(&mut notify.give_up, table.give_up.map(Duration::from_secs));
    notify
}

/// `H:MM:SS`, as Phoebus has it (its setting `nag_period`).
fn nag_period(text: &str) -> Option<Duration> {
    let mut parts = text.trim().split(':').map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_number)
    });
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let all = u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(seconds);
    Some(Duration::from_secs(all))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::settings::Settings;

    fn resolved(toml: &str, options: &[&str]) -> CommandResult<ServerSettings> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("ioc.toml"), toml).unwrap();
        let settings = Settings::for_test(folder.path());
        let words = [&["ioc", "alarm", "serve"], options].concat();
        let cli = crate::cli::Cli::try_parse_from(words).unwrap();
        let crate::cli::Verb::Alarm(crate::cli::alarm::AlarmArgs {
            verb: crate::cli::alarm::AlarmVerb::Serve(args),
        }) = cli.verb
        else {
            panic!("serve");
        };
        resolve("X", &args, &settings.alarm, "alice@desk", false)
    }

    #[test]
    fn options_win_over_the_file_and_the_file_over_the_defaults() {
        let toml =
            "[alarm.server]\nconnection-timeout = 7\nidle-timeout = 8\nnag-period = \"1:00:00\"\n";
        let set = resolved(toml, &["--idle-timeout", "9"]).unwrap();
        assert_eq!(set.connection_timeout, Duration::from_secs(7));
        assert_eq!(set.idle_timeout, Duration::from_secs(9));
        assert_eq!(set.nag_period, Some(Duration::from_hours(1)));
        assert_eq!((set.user.as_str(), set.host.as_str()), ("alice", "desk"));
        let set = resolved("", &["--nag-period", "0:00:00"]).unwrap();
        assert_eq!(set.connection_timeout, Duration::from_secs(30));
        assert_eq!(set.nag_period, None);
    }

    #[test]
    fn actions_are_set_up_in_the_file() {
        let toml = r#"
[alarm.mail]
server = "mail.example.org"
tls = "whole"
credentials-file = "mail-login"
sender = "Alarms <alarms@example.org>"
[alarm.commands]
allowed = ["/usr/bin/logger"]
environment = {LANG = "C"}
[alarm.webhooks]
allowed-hosts = ["chat.example.org"]
slack = {control-room = "slack-address"}
"#;
        let set = resolved(toml, &[]).unwrap();
        let mail = set.mail.unwrap();
        assert_eq!((mail.port, mail.tls), (465, MailTls::Whole));
        assert!(mail.credentials.unwrap().is_absolute());
        assert_eq!(
            set.commands.environment,
            [("LANG".to_owned(), "C".to_owned())]
        );
        assert_eq!(set.webhooks.slack[0].0, "control-room");
        assert!(set.webhooks.slack[0].1.is_absolute());
    }

    #[test]
    fn periods_have_three_parts() {
        let rows = [
            ("0:15:00", Some(900)),
            ("1:00:01", Some(3601)),
            ("00:00:00", Some(0)),
            ("15", None),
            ("0:60:00", None),
            ("0:1:2:3", None),
            ("-1:00:00", None),
            ("+1:00:00", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(nag_period(text), expected, "{text}");
        }
    }
}
