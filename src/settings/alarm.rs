//! Settings of the alarm system.

use std::path::{Path, PathBuf};

use super::Layers;
use crate::project::{CommandsTable, MailTable, NotificationsTable, ServerTable, WebhooksTable};

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
        }
    }
}
