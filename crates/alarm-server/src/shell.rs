//! The shell around the logic: opens the bus, reads what there is, watches PVs, carries out what follows, and ends in
//! order.

pub(crate) mod audit;
pub mod lead;
mod leading;
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
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::actions::{Actions, SetupError};
use crate::api::auth::{Access, AccessError};
use crate::api::forward::Forward;
use crate::api::{Api, Listening, LogControl, bind};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::pvs::Pvs;
use crate::settings::Settings;
use crate::shell::lead::Standing;
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
    /// Requests cannot be passed on to the leader.
    #[error("the client that passes requests on to the leader cannot be made")]
    Forward(#[source] reqwest::Error),
    /// Automated actions cannot be set up.
    #[error(transparent)]
    Actions(#[from] SetupError),
    /// The bus does not work.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// Another server leads, and this one is not to stand by.
    #[error("an alarm server of `{configuration}` runs already: {who}")]
    Led {
        /// The configuration.
        configuration: String,
        /// Who.
        who: String,
    },
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
            Self::Led { .. } => Some(
                "`--replica` starts one that stands by and takes over when that one ends"
                    .to_owned(),
            ),
            Self::Listen { .. } | Self::Forward(_) | Self::Actions(_) | Self::Pvs => None,
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
    /// Another server has taken over: this one was stopped or cut off for some time.
    Fenced,
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
    api: Option<(Place, Arc<Access>)>,
    forward: Option<Forward>,
    standing: watch::Sender<Standing>,
    address: watch::Sender<Option<SocketAddr>>,
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
                let is_late = settings
                    .replica
                    .as_ref()
                    .is_some_and(|replica| replica.may_wait && !replica.serves_always);
                let place = if is_late {
                    Place::WhenLeading(api.address)
                } else {
                    let listening =
                        bind(api.address)
                            .await
                            .map_err(|source| ShellError::Listen {
                                address: api.address,
                                source,
                            })?;
                    Place::Now(listening)
                };
                Some((place, access))
            }
        };
        let address = match (&api, &settings.api) {
            (Some((Place::Now(listening), _access)), Some(api)) => {
                Some(api.told(listening.address()))
            }
            _ => None,
        };
        let forward = match (address, &settings.api) {
            (Some(own), Some(api)) if api.advertised.is_some() => {
                Some(Forward::new(own, api.request_timeout).map_err(ShellError::Forward)?)
            }
            _ => None,
        };
        Ok(Self {
            standing: watch::Sender::new(Standing::Starting),
            address: watch::Sender::new(address),
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
            forward,
            log,
        })
    }

    /// Where others find the control API.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.borrow()
    }

    /// Where others find the control API; one that stands by may have none yet.
    pub fn addresses(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// How it stands among others.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
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
        let api = self.api.take().map(|(place, access)| {
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
                forward: self.forward.clone(),
                standing: self.standing.subscribe(),
                stop: api_stop.clone(),
            };
            let address = self.address.clone();
            tokio::spawn(serve_api(place, api, address, api_stop.clone()))
        });
        let drain = self.settings.drain;
        let readiness = Arc::clone(&self.readiness);
        let opened = tokio::select! {
            opened = Box::pin(self.begin(receiver)) => opened,
            () = stop.cancelled() => {
                api_stop.cancel();
                return Ok(End::Stopped);
            }
        };
        // whoever asks from now on must not be what keeps the server alive
        drop(requests);
        let ended = match opened {
            Ok(mut owner) => {
                let ended = Box::pin(owner.run(&stop)).await;
                readiness.drain();
                match ended {
                    Ok(End::Fenced) => owner.abandon(drain).await,
                    _ => owner.drain(drain).await,
                }
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
        let preparing = leading::prepare(&self);
        let lead = preparing.await?;
        let writer: Arc<dyn bus::Writer> = match &lead {
            Some(_) => Arc::new(lead::Nobody),
            None => Arc::from(self.bus.writer().await?),
        };
        let look_again = Arc::new(Notify::new());
        // positions tell which commands are obeyed already
        let commands_from = match &lead {
            Some(_) => From::Beginning,
            None => From::Now,
        };
        let states = StatesWanted::default();
        let reads = reading::begin(
            Arc::clone(&self.bus),
            vec![
                (Arc::clone(&topics.server), From::Beginning),
                (Arc::clone(&topics.main), From::Beginning),
                (Arc::clone(&topics.command), commands_from),
            ],
            states.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&look_again),
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
        Ok(Owner::new(
            self,
            publisher,
            (reads, states),
            requests,
            lead,
            look_again,
        ))
    }
}

/// Where the control API is.
enum Place {
    Now(Listening),
    /// The address of the leader, which this one takes over with the lead.
    WhenLeading(SocketAddr),
}

/// How long the address of the leader is waited for: one that is stopped keeps it.
const ADDRESS: Duration = Duration::from_secs(1);

/// Serves the control API, from the beginning or as soon as this server leads.
async fn serve_api(
    place: Place,
    mut api: Api,
    address: watch::Sender<Option<SocketAddr>>,
    stop: CancellationToken,
) {
    let listening = match place {
        Place::Now(listening) => listening,
        Place::WhenLeading(wanted) => {
            let leads = api
                .standing
                .wait_for(|standing| matches!(standing, Standing::Leading { .. }));
            tokio::select! {
                leads = leads => if leads.is_err() { return },
                () = stop.cancelled() => return,
            }
            match bind_late(wanted).await {
                Ok(listening) => listening,
                Err(error) => {
                    tracing::error!(
                        "there is no control API: failed to listen on `{wanted}`: {error}"
                    );
                    return;
                }
            }
        }
    };
    address.send_replace(Some(api.settings.told(listening.address())));
    listening.serve(api, stop).await;
}

async fn bind_late(wanted: SocketAddr) -> std::io::Result<Listening> {
    let deadline = tokio::time::Instant::now() + ADDRESS;
    loop {
        match bind(wanted).await {
            Ok(listening) => return Ok(listening),
            Err(error) if tokio::time::Instant::now() >= deadline => {
                let other = SocketAddr::new(wanted.ip(), 0);
                tracing::warn!(
                    "`{wanted}` is still taken ({error}); the control API gets another port"
                );
                return bind(other).await;
            }
            Err(_taken) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
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
