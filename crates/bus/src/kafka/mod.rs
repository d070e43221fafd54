//! The bus on Kafka, as Phoebus uses it: topics of one partition, read without a group by everybody who wants to.
//!
//! Only this module knows the client library. Writing is idempotent and waits for all replicas; what is not yet
//! written is kept in a bounded buffer of our own, in its order, however long the brokers are away. Readers see committed
//! records only.

mod client;
mod failure;
pub mod properties;
mod reader;
pub mod survey;
mod topics;
mod transactions;
mod writer;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::counters::Counters;
use crate::{Bus, Error, Fence, From, Holder, Presence, Reader, Statistics, TopicPlan, Writer};
use client::Context;
use properties::Properties;

/// Settings of the bus on Kafka that are our own; those of the client library come as [`Properties`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long the brokers are waited for when connecting, and for an answer to a question later.
    pub connection_timeout: Duration,
    /// The most records that wait to be written.
    pub buffer_records: usize,
    /// The most bytes of keys and values that wait to be written.
    pub buffer_bytes: usize,
    /// Copies of a topic that is made; none for what the brokers have as their default.
    pub replication: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connection_timeout: Duration::from_secs(30),
            buffer_records: 500_000,
            buffer_bytes: 256 * 1024 * 1024,
            replication: None,
        }
    }
}

/// The bus on Kafka; a copy is the same bus.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    servers: String,
    properties: Properties,
    options: Options,
    counters: Arc<Counters>,
    /// For questions about topics.
    asking: Arc<BaseConsumer<Context>>,
    /// One for all writers, made for the first of them.
    writing: OnceLock<writer::Pump>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Kafka")
            .field("servers", &self.inner.servers)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Connects to brokers, `HOST:PORT[,…]`.
    ///
    /// Waits for one of them that answers as long as the options say. Fails at once if a broker refuses the login or its
    /// certificate is not trusted, and in the end if none answers.
    pub async fn connect(
        servers: &str,
        properties: &Properties,
        options: Options,
    ) -> Result<Kafka, Error> {
        let servers = servers.trim().to_owned();
        if servers.is_empty() {
            return Err(Error::Failed {
                doing: "connecting to Kafka".to_owned(),
                cause: "no broker is named".to_owned(),
                hint: Some("--kafka HOST:9092".to_owned()),
            });
        }
        let counters = Arc::new(Counters::default());
        counters.update(|statistics| statistics.buffer_limit = options.buffer_records as u64);
        let context = Context::new(&servers, Arc::clone(&counters));
        let asking: BaseConsumer<Context> =
            client::create(&client::asking(&servers, properties), context.clone())?;
        let timeout = options.connection_timeout;
        let asking = Arc::new(blocking(move || client::connect(asking, &context, timeout)).await?);
        client::listen(&asking).map_err(|error| Error::Failed {
            doing: format!("connecting to Kafka `{servers}`"),
            cause: error.to_string(),
            hint: None,
        })?;
        counters.works();
        counters.update(|statistics| statistics.reconnects = 0);
        let inner = Inner {
            servers,
            properties: properties.clone(),
            options,
            counters,
            asking,
            writing: OnceLock::new(),
        };
        Ok(Kafka {
            inner: Arc::new(inner),
        })
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || ask(&inner)).await
    }
}

/// What waits for the network, away from the executor.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(run)
        .await
        .unwrap_or(Err(Error::Closed))
}

impl Inner {
    /// The first offset that is kept and the one that the next record gets. Asks until the time is over: a topic that was
    /// just made has no leader for a moment, nor has one whose broker has just come back.
    fn ends(&self, topic: &Arc<str>) -> Result<(u64, u64), Error> {
        let deadline = Instant::now() + self.options.connection_timeout;
        self.check(topic)?;
        loop {
            let timeout = deadline
                .saturating_duration_since(Instant::now())
                .min(Duration::from_secs(5));
            match self.asking.client().fetch_watermarks(topic, 0, timeout) {
                Ok((low, high)) => {
                    let high = u64::try_from(high).unwrap_or_default();
                    self.counters.ends_at(topic, high);
                    return Ok((u64::try_from(low).unwrap_or_default(), high));
                }
                Err(error) if failure::is_for_good(&error) || Instant::now() >= deadline => {
                    return Err(failure::with_topic(
                        "reading from",
                        topic,
                        &self.servers,
                        &error,
                    ));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Fails unless the topic is there, may be seen, and has one partition.
    fn check(&self, topic: &Arc<str>) -> Result<(), Error> {
        topics::check(
            self.asking.client(),
            topic,
            &self.servers,
            self.options.connection_timeout,
        )
    }
}

impl Bus for Kafka {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>> {
        let topics = topics.to_vec();
        async move {
            let config = client::changing(&self.inner.servers, &self.inner.properties);
            let context = Context::new(&self.inner.servers, Arc::clone(&self.inner.counters));
            topics::prepare(&self.inner, client::create(&config, context)?, &topics).await
        }
        .boxed()
    }

    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>> {
        let topic: Arc<str> = topic.into();
        self.ask(move |inner| Ok(inner.ends(&topic)?.1)).boxed()
    }

    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        let topics = topics.to_vec();
        async move {
            let places = self
                .ask(move |inner| reader::places(inner, &topics))
                .await?;
            Ok(Box::new(reader::KafkaReader::open(&self.inner, places)?) as Box<dyn Reader>)
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.ask(|inner| {
            let pump = if let Some(pump) = inner.writing.get() {
                pump
            } else {
                // Two at once make two, and one of them goes again.
                let pump = writer::Pump::start(inner)?;
                inner.writing.get_or_init(|| pump)
            };
            Ok(Box::new(pump.writer()) as Box<dyn Writer>)
        })
        .boxed()
    }

    fn holder(&self, _fence: &Fence) -> BoxFuture<'_, Result<Holder, Error>> {
        // the brokers know, and tell nobody
        let holder = Holder {
            number: 0,
            presence: Presence::Unknown,
            said: None,
        };
        std::future::ready(Ok(holder)).boxed()
    }

    fn take(
        &self,
        fence: &Fence,
        _after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let fence = fence.clone();
        self.ask(move |inner| transactions::take(inner, &fence))
            .boxed()
    }

    fn statistics(&self) -> Statistics {
        self.inner.counters.statistics()
    }
}
