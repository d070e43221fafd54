//! What is measured, for Prometheus.

use std::fmt::{self, Write as _};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Alarms of one severity in one area, which is a group right below the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AlarmLabels {
    /// Name of the severity.
    pub severity: String,
    /// Name of the area; empty for PVs right below the root.
    pub area: String,
}

/// Something with one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    /// The kind.
    pub kind: String,
}

/// Something of a kind with its result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// The kind.
    pub kind: String,
    /// How it went.
    pub result: String,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TopicLabel {
    /// Its name.
    pub topic: String,
}

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    /// Alarms by severity and area, as of the last look.
    pub alarms: Family<AlarmLabels, Gauge>,
    /// PVs that are watched.
    pub watched: Gauge,
    /// PVs that are connected.
    pub connected: Gauge,
    /// Connections that came back.
    pub reconnects: Counter,
    /// Events of PVs.
    pub events: Counter,
    /// Events of PVs that were merged because nobody took them in time.
    pub coalesced: Counter,
    /// From the arrival of events to the handing over of what follows from them, in seconds.
    pub event_latency: Histogram,
    /// Records that were handed to the bus.
    pub published: Family<TopicLabel, Counter>,
    /// Records that were replaced by newer ones because the bus took none.
    pub replaced: Counter,
    /// Records that wait because the bus takes none.
    pub backlog: Gauge,
    /// Records that were read.
    pub read: Family<TopicLabel, Counter>,
    /// Failures of the bus that this server met.
    pub bus_errors: Counter,
    /// Records that were passed over.
    pub complaints: Family<KindLabel, Counter>,
    /// Automated actions by kind and result.
    pub actions: Family<ResultLabels, Counter>,
    /// Notices that wait to be sent.
    pub notices: Gauge,
    /// Whether this server leads; 0 also where there are no others.
    pub leader: Gauge,
    /// Counts the leaders of the configuration.
    pub term: Gauge,
    /// How often this server took over from another.
    pub takeovers: Counter,
    /// Requests to the control API by status.
    pub requests: Family<KindLabel, Counter>,
    /// Steps of the server that took longer than a tenth of a second.
    pub slow_steps: Counter<u64, AtomicU64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ioc_alarm");
        // 0.1 ms to 13 s
        let latency = || Histogram::new(exponential_buckets(0.0001, 2.0, 18));
        let metrics = Self {
            registry: Registry::default(),
            alarms: Family::default(),
            watched: Gauge::default(),
            connected: Gauge::default(),
            reconnects: Counter::default(),
            events: Counter::default(),
            coalesced: Counter::default(),
            event_latency: latency(),
            published: Family::default(),
            replaced: Counter::default(),
            backlog: Gauge::default(),
            read: Family::default(),
            bus_errors: Counter::default(),
            complaints: Family::default(),
            actions: Family::default(),
            notices: Gauge::default(),
            leader: Gauge::default(),
            term: Gauge::default(),
            takeovers: Counter::default(),
            requests: Family::default(),
            slow_steps: Counter::default(),
        };
        let all = &metrics;
        registry.register("alarms", "Alarms by severity and area", all.alarms.clone());
        registry.register("pvs_watched", "PVs that are watched", all.watched.clone());
        registry.register(
            "pvs_connected",
            "PVs that are connected",
            all.connected.clone(),
        );
        registry.register(
            "reconnects",
            "Connections of PVs that came back",
            all.reconnects.clone(),
        );
        registry.register("events", "Events of PVs", all.events.clone());
        registry.register(
            "events_coalesced",
            "Events of PVs that were merged",
            all.coalesced.clone(),
        );
        registry.register_with_unit(
            "event_latency",
            "From events of PVs to the records that follow from them",
            Unit::Seconds,
            all.event_latency.clone(),
        );
        registry.register(
            "published",
            "Records handed to the bus",
            all.published.clone(),
        );
        registry.register(
            "replaced",
            "Records replaced by newer ones while the bus took none",
            all.replaced.clone(),
        );
        registry.register(
            "backlog",
            "Records that wait for the bus",
            all.backlog.clone(),
        );
        registry.register("read", "Records read from the bus", all.read.clone());
        registry.register("bus_errors", "Failures of the bus", all.bus_errors.clone());
        registry.register(
            "complaints",
            "Records that were passed over",
            all.complaints.clone(),
        );
        registry.register("actions", "Automated actions", all.actions.clone());
        registry.register(
            "notices_waiting",
            "Notices that wait to be sent",
            all.notices.clone(),
        );
        registry.register(
            "leader",
            "Whether this server leads the replicas",
            all.leader.clone(),
        );
        registry.register(
            "term",
            "How many have led, with the one that leads now",
            all.term.clone(),
        );
        registry.register(
            "takeovers",
            "How often this server took over from another",
            all.takeovers.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the control API",
            all.requests.clone(),
        );
        registry.register(
            "slow_steps",
            "Steps that took longer than 100 ms",
            all.slow_steps.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// All of them, and those of the bus, in the text format of OpenMetrics.
    ///
    /// # Errors
    ///
    /// None that can be helped: the text is written to memory.
    pub fn text(&self, bus: &bus::Statistics) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        let end = "# EOF\n";
        text.truncate(text.len().saturating_sub(end.len()));
        write_bus(&mut text, bus)?;
        text.push_str(end);
        Ok(text)
    }

    /// Counts an automated action.
    pub fn action(&self, kind: &str, result: &str) {
        let labels = ResultLabels {
            kind: kind.to_owned(),
            result: result.to_owned(),
        };
        self.actions.get_or_create(&labels).inc();
    }

    /// Notes how long a step took, from the arrival of events on.
    pub fn step(&self, took: Duration) {
        self.event_latency.observe(took.as_secs_f64());
        if took > Duration::from_millis(100) {
            self.slow_steps.inc();
        }
    }
}

/// What the bus counts by itself.
fn write_bus(text: &mut String, bus: &bus::Statistics) -> fmt::Result {
    let gauges = [
        (
            "bus_lag",
            "Records on the bus that were not read yet",
            bus.lag,
        ),
        (
            "bus_buffered_records",
            "Records taken and not yet written for good",
            bus.buffered_records,
        ),
        (
            "bus_buffered_bytes",
            "Bytes taken and not yet written for good",
            bus.buffered_bytes,
        ),
        (
            "bus_connected",
            "Whether the bus can be reached",
            u64::from(bus.connected),
        ),
    ];
    for (name, help, value) in gauges {
        writeln!(
            text,
            "# HELP ioc_alarm_{name} {help}.\n# TYPE ioc_alarm_{name} gauge\nioc_alarm_{name} {value}"
        )?;
    }
    let counters = [
        ("bus_written", "Records written for good", bus.written),
        (
            "bus_overflowed",
            "Records not taken because the buffer was full",
            bus.overflowed,
        ),
        ("bus_refused", "Records refused for good", bus.refused),
        (
            "bus_reconnects",
            "How often the bus came back",
            bus.reconnects,
        ),
        (
            "bus_failures",
            "Failures of the bus, also those that were overcome",
            bus.errors,
        ),
    ];
    for (name, help, value) in counters {
        writeln!(
            text,
            "# HELP ioc_alarm_{name} {help}.\n# TYPE ioc_alarm_{name} counter\nioc_alarm_{name}_total {value}"
        )?;
    }
    let name = "ioc_alarm_publish_latency_seconds";
    writeln!(
        text,
        "# HELP {name} From taking records to their being written for good.\n# TYPE {name} histogram\n# UNIT {name} seconds"
    )?;
    let mut count = 0;
    for (bound, more) in bus::Histogram::BOUNDS.iter().zip(&bus.write_latency.counts) {
        count += more;
        writeln!(
            text,
            "{name}_bucket{{le=\"{}\"}} {count}",
            bound.as_secs_f64()
        )?;
    }
    let all = bus.write_latency.count();
    let sum = bus.write_latency.sum.as_secs_f64();
    writeln!(
        text,
        "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}"
    )
}
