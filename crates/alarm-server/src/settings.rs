//! How an alarm server is set: plain values, resolved by whoever starts it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alarm::files::{Loader, Reading, TreeFile};
use jiff::tz::TimeZone;

/// Everything that a server has to know; the bus and the PVs are given to it ready made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the configuration: root of the tree and name of the topics.
    pub configuration: String,
    /// How long a PV may take to connect before it counts as disconnected.
    pub connection_timeout: Duration,
    /// After how long without a state the root's is sent again.
    pub idle_timeout: Duration,
    /// How often active alarms are reminded of; `None` for never.
    pub nag_period: Option<Duration>,
    /// Beginnings of actions that are done once more when the alarm is over.
    pub follow_up: Vec<String>,
    /// Time zone of enable dates and of the times in mails.
    pub zone: TimeZone,
    /// Who signs the records that the server writes.
    pub user: String,
    /// Where the server runs.
    pub host: String,
    /// How long the end may take: what is in flight is written, then the server goes.
    pub drain: Duration,
    /// The control API; `None` for none.
    pub api: Option<ApiSettings>,
    /// Mail; without it `mailto:` is refused with a line in the log.
    pub mail: Option<MailSettings>,
    /// Programs that `cmd:` may start.
    pub commands: CommandSettings,
    /// Where `webhook:`, `slack:`, `teams:` and `mattermost:` may go.
    pub webhooks: WebhookSettings,
    /// How people and programs are told.
    pub notify: NotifySettings,
    /// How long a PV may take for `sevrpv:` and `infopv:`; after that the write is tried again.
    pub put_timeout: Duration,
    /// A PV that gets 1 at intervals, so that others see that the server lives.
    pub heartbeat: Option<Heartbeat>,
    /// Whether several servers of the configuration agree on who speaks; `None` for one that always does.
    pub replica: Option<Replica>,
}

impl Settings {
    /// The defaults of Phoebus for a configuration: API on a loopback port that the system chooses, no mail, no
    /// programs, no webhooks.
    pub fn new(configuration: impl Into<String>) -> Self {
        Self {
            configuration: configuration.into(),
            connection_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(10),
            nag_period: Some(Duration::from_mins(15)),
            follow_up: alarm::server::Settings::default().follow_up,
            zone: TimeZone::system(),
            user: "ioc".to_owned(),
            host: "localhost".to_owned(),
            drain: Duration::from_secs(5),
            api: Some(ApiSettings::default()),
            mail: None,
            commands: CommandSettings::default(),
            webhooks: WebhookSettings::default(),
            notify: NotifySettings::default(),
            put_timeout: Duration::from_secs(5),
            heartbeat: None,
            replica: None,
        }
    }
}

/// One of several servers, of which one speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name; no other has it.
    pub name: String,
    /// Whether it stands by while another leads; else it does not start then.
    pub may_wait: bool,
    /// Whether it has a control API of its own while it stands by. Else it has one when it leads.
    pub serves_always: bool,
}

/// A PV that shows that the server lives.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Its name.
    pub pv: String,
    /// How often it gets 1.
    pub every: Duration,
}

/// Reads and writes configurations in formats that need a library which the server does not have: YAML and JSON.
#[derive(Debug, Clone, Copy)]
pub struct Documents {
    /// Reads YAML, or JSON, which is YAML as well.
    pub read: fn(&Path, &mut Loader<'_>) -> Reading,
    /// Writes YAML.
    pub to_yaml: fn(&TreeFile) -> Result<String, String>,
    /// Writes JSON.
    pub to_json: fn(&TreeFile) -> Result<String, String>,
}

/// The control API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where it listens; port 0 lets the system choose.
    pub address: SocketAddr,
    /// At which address others reach it, if they do so at another than that on which it listens. Replicas that say so pass
    /// requests on to the one that leads.
    pub advertised: Option<IpAddr>,
    /// File with the tokens. Needed on any address that is not loopback.
    pub token_file: Option<PathBuf>,
    /// Names by which the server may be called (`Host`), beside the loopback ones and the address itself.
    pub allowed_hosts: Vec<String>,
    /// Web pages that may use the API (`Origin`, such as `https://alarms.example.org`), beside those of its own host.
    pub allowed_origins: Vec<String>,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// Largest configuration that can be sent, in bytes.
    pub configuration_limit: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How many connections there may be at once.
    pub connections: usize,
    /// For configurations as YAML and JSON; without it only XML and tables are possible.
    pub documents: Option<Documents>,
    /// Routes of others that are served beside our own, for those who may look.
    pub beside: Option<axum::Router>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised: None,
            token_file: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            body_limit: 256 << 10,
            configuration_limit: 64 << 20,
            request_timeout: Duration::from_secs(30),
            connections: 256,
            documents: None,
            beside: None,
        }
    }
}

impl ApiSettings {
    /// Where others find the API that listens there.
    pub(crate) fn told(&self, listening: SocketAddr) -> SocketAddr {
        self.advertised.map_or(listening, |address| {
            SocketAddr::new(address, listening.port())
        })
    }
}

/// How TLS is used with a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailTls {
    /// Not at all.
    None,
    /// Asked for after the greeting (`STARTTLS`), and nothing is sent without.
    #[default]
    Start,
    /// From the first byte.
    Whole,
}

/// Where mail goes.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Mail server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How TLS is used.
    pub tls: MailTls,
    /// File with user and password, one per line; nobody else may read it.
    pub credentials: Option<PathBuf>,
    /// Who sends, such as `Alarms <alarms@example.org>`.
    pub sender: String,
    /// How long one mail may take.
    pub timeout: Duration,
}

/// What `cmd:` may do.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// Programs that may be started: absolute paths. Empty refuses all.
    pub allowed: Vec<PathBuf>,
    /// Folder in which they are started.
    pub directory: PathBuf,
    /// How long one may run.
    pub timeout: Duration,
    /// How many may run at once.
    pub concurrency: usize,
    /// Their whole environment.
    pub environment: Vec<(String, String)>,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            directory: PathBuf::from("/"),
            timeout: Duration::from_secs(30),
            concurrency: 4,
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        }
    }
}

/// Where webhooks may go.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Hosts that may be called, `host` or `host:port`. Empty refuses all.
    pub allowed_hosts: Vec<String>,
    /// Channels for `slack:` by name, each with a file that holds the address to post to; nobody else may read the
    /// file, because knowing the address is enough to post.
    pub slack: Vec<(String, PathBuf)>,
    /// The same for `teams:`.
    pub teams: Vec<(String, PathBuf)>,
    /// The same for `mattermost:`.
    pub mattermost: Vec<(String, PathBuf)>,
    /// File with the secret that calls of `webhook:` are signed with; nobody else may read it.
    pub secret: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            slack: Vec::new(),
            teams: Vec::new(),
            mattermost: Vec::new(),
            secret: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// How people and programs are told: mail, chats, webhooks.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    /// File in which notices wait; without it they are gone with the process.
    pub queue: Option<PathBuf>,
    /// Send again what may have arrived: twice is better than never.
    pub at_least_once: bool,
    /// How many messages a channel gets in a minute in the long run; 0 is no limit.
    pub per_minute: u32,
    /// How many it gets at once.
    pub burst: u32,
    /// How long is waited for more, so that many can become one.
    pub collect: Duration,
    /// More than so many at once become one.
    pub group_over: usize,
    /// How long something is tried.
    pub give_up: Duration,
    /// Words of the site.
    pub templates: Vec<NoticeTemplate>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            queue: None,
            at_least_once: false,
            per_minute: 20,
            burst: 10,
            collect: Duration::from_secs(1),
            group_over: 5,
            give_up: Duration::from_hours(24),
            templates: Vec::new(),
        }
    }
}

/// Words for a channel, in Jinja2.
#[derive(Debug, Clone, Default)]
pub struct NoticeTemplate {
    /// `mailto`, `slack` and so on, or one of these with a target: `mailto:night@example.org`.
    pub channel: String,
    /// One line.
    pub subject: Option<String>,
    /// The text.
    pub body: Option<String>,
}
