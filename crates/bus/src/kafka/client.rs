//! The client library: its settings, what it tells by itself, connecting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics as ClientStatistics;

use super::failure;
use super::properties::Properties;
use crate::Error;
use crate::counters::Counters;

/// Told by the library about errors and numbers.
#[derive(Debug, Clone)]
pub(super) struct Context {
    servers: Arc<str>,
    counters: Arc<Counters>,
    /// What a broker said last: the reason if connecting fails.
    trouble: Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>,
}

impl Context {
    pub(super) fn new(servers: &str, counters: Arc<Counters>) -> Context {
        Context {
            servers: servers.into(),
            counters,
            trouble: Arc::default(),
        }
    }

    fn trouble(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Most of it comes as an error below too, where it is counted and told once.
        tracing::debug!(?level, "{facility}: {message}");
        // Of this one there is only a line in the log: a listener with TLS that is greeted without.
        if facility == "FAIL"
            && message.contains("closed by peer")
            && message.contains("APIVERSION_QUERY")
        {
            let text = format!(
                "`{}`: the broker closes the connection at the first request, as one with TLS does",
                self.servers
            );
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((RDKafkaErrorCode::SSL, text));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error
            .rdkafka_error_code()
            .unwrap_or(RDKafkaErrorCode::Unknown);
        // No reader has a group; that the name for none may not be used is nobody's trouble.
        if matches!(
            code,
            RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::PartitionEOF
        ) {
            return;
        }
        // What the other side says about TLS comes as a broken connection: a listener without it, a certificate that it
        // does not like.
        let tls =
            reason.contains("SSL connection closed by peer") || reason.contains(":SSL routines:");
        let code = if tls { RDKafkaErrorCode::SSL } else { code };
        let text = failure::reason(&self.servers, code, reason);
        if code == RDKafkaErrorCode::AllBrokersDown {
            let before = self.trouble().map_or(text, |(_, trouble)| trouble);
            if self.counters.failed(&before) {
                tracing::warn!(
                    "Kafka `{}` is away: {before}; records wait meanwhile",
                    self.servers
                );
            }
            return;
        }
        self.counters.update(|statistics| {
            statistics.errors += 1;
            statistics.last_error = Some(text.clone());
        });
        tracing::debug!("Kafka `{}`: {text}", self.servers);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, text));
    }

    fn stats(&self, statistics: ClientStatistics) {
        if statistics
            .brokers
            .values()
            .any(|broker| broker.nodeid >= 0 && broker.state == "UP")
        {
            self.works();
        }
        for (name, topic) in statistics.topics {
            let end = topic
                .partitions
                .get(&0)
                .map_or(-1, |partition| partition.ls_offset.max(partition.hi_offset));
            if let Ok(end) = u64::try_from(end) {
                self.counters.ends_at(&name.into(), end);
            }
        }
    }
}

impl Context {
    /// A broker did what it was asked for.
    pub(super) fn works(&self) {
        if self.counters.works() {
            tracing::info!("Kafka `{}` answers again", self.servers);
        }
    }
}

impl ConsumerContext for Context {}

/// What all clients have in common. Names and ranges: librdkafka, CONFIGURATION.md.
fn common(servers: &str, properties: &Properties) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "ioc")
        // A broker that is back is found within a second, also after a long outage.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true")
        .set("socket.timeout.ms", "15000")
        .set("allow.auto.create.topics", "false")
        // Statistics of the client are nobody's business but ours.
        .set("enable.metrics.push", "false");
    for (name, value) in properties.entries() {
        config.set(name, value);
    }
    config.set("bootstrap.servers", servers);
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// For questions: the end of a topic is where the next record goes, whether those before it are committed or not.
pub(super) fn asking(servers: &str, properties: &Properties) -> ClientConfig {
    let mut config = common(servers, properties);
    config.set("isolation.level", "read_uncommitted");
    config
}

/// For making topics and changing their settings.
pub(super) fn changing(servers: &str, properties: &Properties) -> ClientConfig {
    common(servers, properties)
}

/// For reading, under a group's name that nothing is ever committed for.
pub(super) fn reading(servers: &str, properties: &Properties, group: &str) -> ClientConfig {
    let mut config = common(servers, properties);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // Whoever was too slow for a topic that deletes goes on with the oldest that is kept.
        .set("auto.offset.reset", "earliest")
        // That a topic is read to its end is told only when a question for more has waited so long.
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "16384")
        .set("statistics.interval.ms", "2000");
    config
}

/// For writing.
pub(super) fn writing(servers: &str, properties: &Properties) -> ClientConfig {
    let mut config = common(servers, properties);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // Latency counts: what is there goes at once, what arrives meanwhile goes together with the next request.
        .set("linger.ms", "0")
        // The buffer is ours; the library never gives up.
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", "1048576")
        .set("message.max.bytes", "1048588")
        .set("topic.metadata.propagation.max.ms", "30000")
        // A topic that could not be written to is refused until the library has looked again.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("statistics.interval.ms", "2000");
    config
}

/// Makes a client; fails for settings that the library refuses.
pub(super) fn create<T: FromClientConfigAndContext<Context>>(
    config: &ClientConfig,
    context: Context,
) -> Result<T, Error> {
    let servers = Arc::clone(&context.servers);
    config
        .create_with_context(context)
        .map_err(|error| failure::creation(&servers, &error))
}

/// Waits until a broker answers.
pub(super) fn connect(
    client: BaseConsumer<Context>,
    context: &Context,
    timeout: Duration,
) -> Result<BaseConsumer<Context>, Error> {
    let deadline = Instant::now() + timeout;
    loop {
        if client
            .client()
            .fetch_cluster_id(Duration::from_millis(100))
            .is_some()
        {
            *context
                .trouble
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(client);
        }
        // What the library has to tell it tells when it is asked.
        while client.poll(Duration::from_millis(20)).is_some() {}
        let trouble = context.trouble();
        let over = Instant::now() >= deadline;
        match trouble {
            Some((code, text)) if over || failure::is_refusal(code) => {
                return Err(failure::connection(&context.servers, code, text));
            }
            None if over => {
                let text = format!("no answer within {} s", timeout.as_secs_f64());
                return Err(failure::connection(
                    &context.servers,
                    RDKafkaErrorCode::BrokerTransportFailure,
                    text,
                ));
            }
            _ => {}
        }
    }
}

/// Takes what a client tells by itself, as long as somebody else has it.
pub(super) fn listen(client: &Arc<BaseConsumer<Context>>) -> std::io::Result<()> {
    let client = Arc::downgrade(client);
    let run = move || {
        while let Some(client) = client.upgrade() {
            let _ = client.poll(Duration::from_millis(500));
        }
    };
    std::thread::Builder::new()
        .name("bus-listen".to_owned())
        .spawn(run)
        .map(drop)
}
