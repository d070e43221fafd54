//! The shell around the logic: opens the bus, reads what there is, watches PVs, carries out what follows, and ends in
//! order.

pub(crate) mod audit;
mod owner;
pub mod publisher;
pub mod readiness;
mod reading;
mod reload;
pub mod request;
pub mod view;
pub(crate) mod watches;

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alarm::server::Server;
use bus::{Bus, Cleanup, From, TopicPlan};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::actions::{Actions, SetupError};
use crate::api::auth::{Access, AccessError};
use crate::api::{Api, Listening, LogControl, bind};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::pvs::Pvs;
use crate::settings::Settings;
use crate::shell::owner::Owner;
use crate::shell::publisher::{Publisher, Topics};
use crate::shell::readiness::{Part, Readiness};
use crate::shell::reading::StatesWanted;
use crate::stream::Stream;

/// So many requests wait for the owner of the logic.
const REQUESTS: usize = 256;

/// Why a server cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// The name of the configuration cannot be one.
    #[error("`{name}` cannot be the name of a configuration: {why}")]
    Configuration {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// The control API cannot be opened.
    #[error("failed to listen on `{address}` for the control API")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The control API is not safe as it is set.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Automated actions cannot be set up.
    #[error(transparent)]
    Actions(#[from] SetupError),
    /// The bus does not work.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// Channel Access ended by itself.
    #[error("the source of the PVs ended")]
    Pvs,
}

impl ShellError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration { .. } => Some("letters, digits, `.`, `_` and `-`".to_owned()),
            Self::Access(error) => error.hint(),
            Self::Actions(SetupError::Secret(error)) => error.hint(),
            Self::Bus(error) => error.hint(),
            Self::Listen { .. } | Self::Actions(_) | Self::Pvs => None,
        }
    }
}

/// Why a server ended in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// A client of the bus said `shutdown`.
    Shutdown,
}

/// A server that is set up: secrets are read and the API's port is taken, but nothing is read or published yet.
pub struct Shell {
    settings: Settings,
    bus: Arc<dyn Bus>,
    pvs: Box<dyn Pvs>,
    clock: Clock,
    core: Server,
    topics: Topics,
    metrics: Arc<Metrics>,
    stream: Arc<Stream>,
    readiness: Arc<Readiness>,
    actions: Actions,
    api: Option<(Listening, Arc<Access>)>,
    log: Option<Arc<dyn LogControl>>,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shell")
            .field("configuration", &self.settings.configuration)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Shell {
    /// Sets a server up. Secrets are read and the API's port is taken; nothing is read or published yet.
    ///
    /// # Errors
    ///
    /// Settings that cannot be used, a port that is taken.
    pub async fn open(
        settings: Settings,
        bus: Arc<dyn Bus>,
        pvs: Box<dyn Pvs>,
        clock: Clock,
        log: Option<Arc<dyn LogControl>>,
    ) -> Result<Self, ShellError> {
        check_name(&settings.configuration)?;
        let random = RandomState::new();
        let core = Server::new(
            &settings.configuration,
            alarm::server::Settings {
                connection_timeout: settings.connection_timeout,
                idle_timeout: settings.idle_timeout,
                nag_period: settings.nag_period,
                zone: settings.zone.clone(),
                user: settings.user.clone(),
                host: settings.host.clone(),
                seed: random.hash_one("seed"),
                follow_up: settings.follow_up.clone(),
                heartbeat: settings
                    .heartbeat
                    .as_ref()
                    .map(|heartbeat| (heartbeat.pv.clone(), heartbeat.every)),
            },
        )
        .map_err(|error| ShellError::Configuration {
            name: settings.configuration.clone(),
            why: error.to_string(),
        })?;
        let metrics = Arc::new(Metrics::default());
        let actions = Actions::new(&settings, pvs.puts(), Arc::clone(&metrics))?;
        let api = match &settings.api {
            None => None,
            Some(api) => {
                let access = Arc::new(Access::new(Arc::new(api.clone()))?);
                let listening = bind(api.address)
                    .await
                    .map_err(|source| ShellError::Listen {
                        address: api.address,
                        source,
                    })?;
                Some((listening, access))
            }
        };
        Ok(Self {
            topics: Topics::new(&settings.configuration),
            stream: Arc::new(Stream::new(format!("{:x}", random.hash_one("run")))),
            readiness: Arc::default(),
            settings,
            bus,
            pvs,
            clock,
            core,
            metrics,
            actions,
            api,
            log,
        })
    }

    /// Where the control API listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.api
            .as_ref()
            .map(|(listening, _access)| listening.address())
    }

    /// What happens, for those who share the process.
    pub fn stream(&self) -> Arc<Stream> {
        Arc::clone(&self.stream)
    }

    /// How far it is, for those who share the process.
    pub fn readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.readiness)
    }

    /// Runs until told to stop, by the token or by a client, and then ends in order.
    ///
    /// # Errors
    ///
    /// A bus that cannot be opened, or PVs that end by themselves.
    pub async fn run(mut self, stop: CancellationToken) -> Result<End, ShellError> {
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let api_stop = CancellationToken::new();
        let api = self.api.take().map(|(listening, access)| {
            let settings = self.settings.api.clone().unwrap_or_default();
            let api = Api {
                settings: Arc::new(settings),
                configuration: Arc::new(self.settings.configuration.clone()),
                applying: Arc::default(),
                access,
                requests: requests.clone(),
                stream: Arc::clone(&self.stream),
                metrics: Arc::clone(&self.metrics),
                readiness: Arc::clone(&self.readiness),
                bus: Arc::clone(&self.bus),
                log: self.log.clone(),
                stop: api_stop.clone(),
            };
            tokio::spawn(listening.serve(api, api_stop.clone()))
        });
        let drain = self.settings.drain;
        let readiness = Arc::clone(&self.readiness);
        let opened = tokio::select! {
            opened = self.begin(receiver) => opened,
            () = stop.cancelled() => {
                api_stop.cancel();
                return Ok(End::Stopped);
            }
        };
        // whoever asks from now on must not be what keeps the server alive
        drop(requests);
        let ended = match opened {
            Ok(mut owner) => {
                let ended = owner.run(&stop).await;
                readiness.drain();
                owner.drain(drain).await;
                ended
            }
            Err(error) => Err(error),
        };
        api_stop.cancel();
        if let Some(api) = api {
            // clients that do not let go are let go
            let _bounded = tokio::time::timeout(Duration::from_secs(1), api).await;
        }
        ended
    }

    /// Opens the bus and begins to read.
    async fn begin(self, requests: mpsc::Receiver<request::Request>) -> Result<Owner, ShellError> {
        let topics = &self.topics;
        let plan = |name: &Arc<str>, cleanup| TopicPlan {
            name: Arc::clone(name),
            cleanup,
        };
        self.bus
            .prepare(&[
                plan(&topics.main, Cleanup::Compact),
                plan(&topics.command, Cleanup::Delete),
                plan(&topics.talk, Cleanup::Delete),
                plan(&topics.server, Cleanup::Compact),
            ])
            .await?;
        let writer = Arc::from(self.bus.writer().await?);
        let states = StatesWanted::default();
        let reads = reading::begin(
            Arc::clone(&self.bus),
            vec![
                (Arc::clone(&topics.server), From::Beginning),
                (Arc::clone(&topics.main), From::Beginning),
                (Arc::clone(&topics.command), From::Now),
            ],
            states.clone(),
            Arc::clone(&self.metrics),
        )
        .await?;
        self.readiness.latch(Part::Bus);
        tracing::info!(
            configuration = self.settings.configuration,
            "reading the configuration"
        );
        let publisher = Publisher::new(
            topics.clone(),
            writer,
            Arc::clone(&self.metrics),
            Arc::clone(&self.stream),
        );
        Ok(Owner::new(self, publisher, (reads, states), requests))
    }
}

/// Topics of Kafka allow only these characters.
fn check_name(name: &str) -> Result<(), ShellError> {
    let wrong = |why: &str| {
        Err(ShellError::Configuration {
            name: name.chars().take(80).collect(),
            why: why.to_owned(),
        })
    };
    if name.is_empty() || name.len() > 200 {
        return wrong("it needs 1 to 200 characters");
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !name.bytes().all(is_allowed) || name == "." || name == ".." {
        return wrong("a topic cannot have that name");
    }
    Ok(())
}
