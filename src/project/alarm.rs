//! `[alarm]` of `ioc.toml`: the alarm system.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// `[alarm]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AlarmTable {
    /// Name of the configuration.
    pub config: Option<String>,
    /// Kafka brokers, as `host:port,host:port`.
    pub kafka: Option<String>,
    /// Java properties file with further settings of the Kafka client, relative to the project.
    pub kafka_properties: Option<PathBuf>,
    /// Folder of the bus in files, relative to the project.
    pub bus: Option<PathBuf>,
    /// Address of the control API of the alarm server.
    pub api: Option<String>,
    /// File with the token that clients send, relative to the project.
    pub token_file: Option<PathBuf>,
    /// The alarm server.
    #[serde(default)]
    pub server: ServerTable,
    /// Mail of the alarm server.
    pub mail: Option<MailTable>,
    /// Programs that the alarm server may start.
    pub commands: Option<CommandsTable>,
    /// Web addresses that the alarm server may call.
    pub webhooks: Option<WebhooksTable>,
    /// How the alarm server tells people.
    pub notifications: Option<NotificationsTable>,
    /// How Elasticsearch or OpenSearch is reached, as a sink of the alarm logger.
    #[serde(default)]
    pub elasticsearch: ElasticsearchTable,
    /// How Loki is reached, as a sink of the alarm logger.
    #[serde(default)]
    pub loki: LokiTable,
}

/// `[alarm.elasticsearch]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ElasticsearchTable {
    /// File with an API key, relative to the project.
    pub api_key_file: Option<PathBuf>,
    /// User, with `password-file`.
    pub user: Option<String>,
    /// File with the password of `user`, relative to the project.
    pub password_file: Option<PathBuf>,
    /// Certificates in PEM form that are trusted besides those of the machine, relative to the project.
    pub ca_file: Option<PathBuf>,
    /// Whether documents are sent compressed.
    pub compress: Option<bool>,
    /// How much time an index covers: `never` (all), `year`, `month`, `week`, `day`.
    pub rotation: Option<String>,
    /// Whether index templates that are missing are made.
    pub templates: Option<bool>,
}

/// `[alarm.loki]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LokiTable {
    /// File with a bearer token, relative to the project.
    pub token_file: Option<PathBuf>,
    /// User, with `password-file`.
    pub user: Option<String>,
    /// File with the password of `user`, relative to the project.
    pub password_file: Option<PathBuf>,
    /// Certificates in PEM form that are trusted besides those of the machine, relative to the project.
    pub ca_file: Option<PathBuf>,
    /// Whether lines are sent compressed.
    pub compress: Option<bool>,
    /// Tenant, where the store has several.
    pub tenant: Option<String>,
}

/// `[alarm.server]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerTable {
    /// Where the control API listens; port 0 lets the system choose.
    pub listen: Option<SocketAddr>,
    /// File with the tokens of those who may use the control API, relative to the project.
    pub token_file: Option<PathBuf>,
    /// Further names by which the control API may be called.
    pub allowed_hosts: Option<Vec<String>>,
    /// Web pages that may use the control API.
    pub allowed_origins: Option<Vec<String>>,
    /// Seconds after which a PV that was not found counts as disconnected.
    pub connection_timeout: Option<u64>,
    /// Seconds after which the state of the root is sent again.
    pub idle_timeout: Option<u64>,
    /// How often active alarms are reminded of, as `H:MM:SS`; `0:00:00` for never.
    pub nag_period: Option<String>,
    /// Seconds that the end may take.
    pub drain: Option<u64>,
    /// Seconds that a PV may take for `sevrpv:` and `infopv:`.
    pub put_timeout: Option<u64>,
    /// A PV that gets 1 at intervals.
    pub heartbeat_pv: Option<String>,
    /// Seconds between these.
    pub heartbeat_period: Option<u64>,
    /// What is logged, such as `info,ca=debug`.
    pub log: Option<String>,
}

/// `[alarm.mail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MailTable {
    /// Mail server.
    pub server: String,
    /// Its port; 25, 587 or 465 as `tls` says if missing.
    pub port: Option<u16>,
    /// How TLS is used.
    #[serde(default)]
    pub tls: MailTls,
    /// File with user and password, one per line, relative to the project.
    pub credentials_file: Option<PathBuf>,
    /// Who sends, such as `Alarms <alarms@example.org>`.
    pub sender: String,
    /// Seconds that one mail may take.
    pub timeout: Option<u64>,
}

/// How TLS is used with a mail server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Not at all.
    None,
    /// Asked for after the greeting, and nothing is sent without.
    #[default]
    Start,
    /// From the first byte.
    Whole,
}

/// `[alarm.commands]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommandsTable {
    /// Programs that may be started, as absolute paths.
    pub allowed: Vec<PathBuf>,
    /// Folder in which they are started.
    pub directory: Option<PathBuf>,
    /// Seconds that one may run.
    pub timeout: Option<u64>,
    /// How many may run at once.
    pub concurrency: Option<usize>,
    /// Their whole environment.
    pub environment: Option<BTreeMap<String, String>>,
}

/// `[alarm.webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhooksTable {
    /// Hosts that may be called, as `host` or `host:port`.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// Channels of `slack:` by name, each with a file that holds the address to post to, relative to the project.
    #[serde(default)]
    pub slack: BTreeMap<String, PathBuf>,
    /// The same for `teams:`.
    #[serde(default)]
    pub teams: BTreeMap<String, PathBuf>,
    /// The same for `mattermost:`.
    #[serde(default)]
    pub mattermost: BTreeMap<String, PathBuf>,
    /// File with the secret that calls of `webhook:` are signed with, relative to the project.
    pub secret_file: Option<PathBuf>,
    /// Seconds that one call may take.
    pub timeout: Option<u64>,
}

/// `[alarm.notifications]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotificationsTable {
    /// File in which notices wait, relative to the project; `notices/NAME.sqlite` in the state folder if missing.
    pub queue: Option<PathBuf>,
    /// Send again what may have arrived.
    #[serde(default)]
    pub at_least_once: bool,
    /// Messages that a channel gets in a minute; 0 is no limit.
    pub per_minute: Option<u32>,
    /// Messages that it gets at once.
    pub burst: Option<u32>,
    /// Milliseconds that are waited for more.
    pub collect: Option<u64>,
    /// More than so many at once become one.
    pub group_over: Option<usize>,
    /// Seconds that something is tried.
    pub give_up: Option<u64>,
    /// Words by channel: `mailto`, `slack:control-room` and so on.
    #[serde(default)]
    pub templates: BTreeMap<String, TemplateTable>,
}

/// `[alarm.notifications.templates.CHANNEL]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TemplateTable {
    /// One line, in Jinja2.
    pub subject: Option<String>,
    /// The text, in Jinja2.
    pub body: Option<String>,
}
