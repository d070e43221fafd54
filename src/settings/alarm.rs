//! Settings of the alarm system.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Layers;
use crate::project::{
    AlarmTable, CommandsTable, ElasticsearchTable, LokiTable, MailTable, NotificationsTable,
    ProjectFile, ServerTable, WebhooksTable,
};

/// The alarm system: its bus, its server and its clients. Paths are absolute.
#[derive(Debug, Clone)]
pub struct AlarmSettings {
    /// Name of the configuration.
    pub config: Option<String>,
    /// Kafka brokers; `None` is the bus in files.
    pub kafka: Option<String>,
    /// Java properties file with further settings of the Kafka client.
    pub kafka_properties: Option<PathBuf>,
    /// Folder of the bus in files.
    pub bus: PathBuf,
    /// Address of the control API of the alarm server; `None` for that of a server on this machine.
    pub api: Option<String>,
    /// File with the token that clients send.
    pub token_file: Option<PathBuf>,
    /// The server.
    pub server: ServerTable,
    /// Its mail.
    pub mail: Option<MailTable>,
    /// Programs that it may start.
    pub commands: Option<CommandsTable>,
    /// Web addresses that it may call.
    pub webhooks: Option<WebhooksTable>,
    /// How it tells people.
    pub notifications: NotificationsTable,
    /// Folder in which notices wait if nothing else is said.
    pub notices: PathBuf,
    /// Elasticsearch or OpenSearch as a sink of the logger.
    pub elasticsearch: ElasticsearchSettings,
    /// Loki as a sink of the logger.
    pub loki: LokiSettings,
}

/// Where a secret is.
#[derive(Clone)]
pub enum Secret {
    /// Here: it was in the environment.
    Text(String),
    /// In a file.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => formatter.write_str("Text(…)"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

/// How a service of the site is reached.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// An API key or a bearer token.
    pub key: Option<Secret>,
    /// User, with a password.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Certificates in PEM form that are trusted besides those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Whether what is sent is compressed.
    pub compress: bool,
}

/// Elasticsearch or OpenSearch.
#[derive(Debug, Clone)]
pub struct ElasticsearchSettings {
    /// How it is reached.
    pub service: ServiceSettings,
    /// How much time an index covers.
    pub rotation: String,
    /// Whether index templates that are missing are made.
    pub templates: bool,
}

/// Loki.
#[derive(Debug, Clone)]
pub struct LokiSettings {
    /// How it is reached.
    pub service: ServiceSettings,
    /// Tenant.
    pub tenant: Option<String>,
}

impl Layers<'_> {
    /// Variables for the bus and the server belong to the flags of the same meaning, where clap reads them.
    pub(super) fn alarm(&self, state: &Path) -> AlarmSettings {
        let path = |path: Option<PathBuf>| path.map(|path| self.root.join(path));
        let mut mail = self.either(|file| file.alarm.mail.clone());
        if let Some(mail) = &mut mail {
            mail.credentials_file = path(mail.credentials_file.take());
        }
        let mut webhooks = self.either(|file| file.alarm.webhooks.clone());
        if let Some(webhooks) = &mut webhooks {
            let named = [
                &mut webhooks.slack,
                &mut webhooks.teams,
                &mut webhooks.mattermost,
            ];
            for file in named.into_iter().flat_map(|named| named.values_mut()) {
                *file = self.root.join(&*file);
            }
            webhooks.secret_file = path(webhooks.secret_file.take());
        }
        let mut notifications = self
            .either(|file| file.alarm.notifications.clone())
            .unwrap_or_default();
        notifications.queue = path(notifications.queue.take());
        AlarmSettings {
            config: self.either(|file| file.alarm.config.clone()),
            kafka: self.either(|file| file.alarm.kafka.clone()),
            kafka_properties: path(self.either(|file| file.alarm.kafka_properties.clone())),
            bus: path(self.either(|file| file.alarm.bus.clone()))
                .unwrap_or_else(|| state.join("alarm-bus")),
            api: self
                .variable("IOC_ALARM_API")
                .or_else(|| self.either(|file| file.alarm.api.clone())),
            token_file: path(self.either(|file| file.alarm.token_file.clone())),
            server: ServerTable {
                listen: self.either(|file| file.alarm.server.listen),
                token_file: path(self.either(|file| file.alarm.server.token_file.clone())),
                allowed_hosts: self.either(|file| file.alarm.server.allowed_hosts.clone()),
                allowed_origins: self.either(|file| file.alarm.server.allowed_origins.clone()),
                connection_timeout: self.either(|file| file.alarm.server.connection_timeout),
                idle_timeout: self.either(|file| file.alarm.server.idle_timeout),
                nag_period: self.either(|file| file.alarm.server.nag_period.clone()),
                drain: self.either(|file| file.alarm.server.drain),
                put_timeout: self.either(|file| file.alarm.server.put_timeout),
                heartbeat_pv: self.either(|file| file.alarm.server.heartbeat_pv.clone()),
                heartbeat_period: self.either(|file| file.alarm.server.heartbeat_period),
                log: self.either(|file| file.alarm.server.log.clone()),
            },
            mail,
            commands: self.either(|file| file.alarm.commands.clone()),
            webhooks,
            notifications,
            notices: state.join("notices"),
            elasticsearch: self.elasticsearch(),
            loki: self.loki(),
        }
    }

    fn elasticsearch(&self) -> ElasticsearchSettings {
        let of = |file: &AlarmTable| file.elasticsearch.clone();
        let file =
            |key: fn(ElasticsearchTable) -> Option<PathBuf>| self.path(|file| key(of(&file.alarm)));
        ElasticsearchSettings {
            service: ServiceSettings {
                key: self.secret(
                    "IOC_ELASTICSEARCH_API_KEY",
                    file(|table| table.api_key_file),
                ),
                user: self
                    .variable("IOC_ELASTICSEARCH_USER")
                    .or_else(|| self.either(|file| of(&file.alarm).user)),
                password: self.secret(
                    "IOC_ELASTICSEARCH_PASSWORD",
                    file(|table| table.password_file),
                ),
                ca_file: file(|table| table.ca_file),
                compress: self
                    .either(|file| of(&file.alarm).compress)
                    .unwrap_or(false),
            },
            rotation: self
                .either(|file| of(&file.alarm).rotation)
                .unwrap_or_else(|| "month".to_owned()),
            templates: self
                .either(|file| of(&file.alarm).templates)
                .unwrap_or(true),
        }
    }

    fn loki(&self) -> LokiSettings {
        let of = |file: &AlarmTable| file.loki.clone();
        let file = |key: fn(LokiTable) -> Option<PathBuf>| self.path(|file| key(of(&file.alarm)));
        LokiSettings {
            service: ServiceSettings {
                key: self.secret("IOC_LOKI_TOKEN", file(|table| table.token_file)),
                user: self
                    .variable("IOC_LOKI_USER")
                    .or_else(|| self.either(|file| of(&file.alarm).user)),
                password: self.secret("IOC_LOKI_PASSWORD", file(|table| table.password_file)),
                ca_file: file(|table| table.ca_file),
                compress: self
                    .either(|file| of(&file.alarm).compress)
                    .unwrap_or(false),
            },
            tenant: self
                .variable("IOC_LOKI_TENANT")
                .or_else(|| self.either(|file| of(&file.alarm).tenant)),
        }
    }

    fn path(&self, key: impl Fn(&ProjectFile) -> Option<PathBuf>) -> Option<PathBuf> {
        self.either(key).map(|path| self.root.join(path))
    }

    fn secret(&self, variable: &str, file: Option<PathBuf>) -> Option<Secret> {
        self.variable(variable)
            .map(Secret::Text)
            .or_else(|| file.map(Secret::File))
    }
}
