//! The names that Java's client knows (Kafka documentation: producer, consumer and admin configs; and
//! `CommonClientConfigs`, `SslConfigs`, `SaslConfigs`), and what becomes of each here.

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A setting of our client library that means the same.
    Same(&'static str, Kind),
    /// Security: decided together with others.
    Security,
    /// It has no effect here, for this reason.
    Ignored(&'static str),
    /// It cannot be followed, and going on without it would be wrong.
    Refused(&'static str, &'static str),
}

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A whole number in a range.
    Number(i64, i64),
    /// Bytes of a buffer of the operating system, where Java has -1 for its default and the library 0.
    Buffer,
    /// One of these.
    OneOf(&'static [&'static str]),
}

use Kind::{Buffer, Number, OneOf, Text};
use Meaning::{Ignored, Refused, Same, Security};

const OURS: &str = "the alarm server decides this itself";
const JAVA: &str = "it is about classes of Java";
const METRICS: &str = "it is about metrics of Java's client";
const GROUPS: &str = "nothing is read in a group";
const KERBEROS: &str = "it is about Kerberos";
const OAUTH: &str = "it is about OAuth";
const TLS: &str = "OpenSSL decides this itself";
const CLIENT: &str = "the client library has no such setting";
const SERVERS: &str = "the brokers are named on the command line, or in ioc.toml";

const MAX: i64 = i32::MAX as i64;

/// All of them, sorted.
pub(super) const NAMES: &[(&str, Meaning)] = &[
    ("acks", Ignored("writing always waits for all replicas")),
    ("allow.auto.create.topics", Ignored(OURS)),
    ("auto.commit.interval.ms", Ignored(GROUPS)),
    ("auto.include.jmx.reporter", Ignored(METRICS)),
    ("auto.offset.reset", Ignored(OURS)),
    ("batch.size", Ignored(OURS)),
    ("bootstrap.controllers", Ignored(SERVERS)),
    ("bootstrap.servers", Ignored(SERVERS)),
    ("buffer.memory", Ignored(OURS)),
    ("check.crcs", Ignored(OURS)),
    (
        "client.dns.lookup",
        Same(
            "client.dns.lookup",
            OneOf(&[
                "use_all_dns_ips",
                "resolve_canonical_bootstrap_servers_only",
            ]),
        ),
    ),
    ("client.id", Same("client.id", Text)),
    ("client.rack", Same("client.rack", Text)),
    ("compression.gzip.level", Ignored(CLIENT)),
    ("compression.lz4.level", Ignored(CLIENT)),
    (
        "compression.type",
        Same(
            "compression.type",
            OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]),
        ),
    ),
    ("compression.zstd.level", Ignored(CLIENT)),
    (
        "config.providers",
        Refused(
            "values cannot be taken from elsewhere here",
            "write the values into the file, and make it readable for its owner only",
        ),
    ),
    (
        "connections.max.idle.ms",
        Same("connections.max.idle.ms", Number(0, MAX)),
    ),
    ("default.api.timeout.ms", Ignored(OURS)),
    (
        "delivery.timeout.ms",
        Ignored("what is not written is kept and tried again without end"),
    ),
    ("enable.auto.commit", Ignored(GROUPS)),
    (
        "enable.idempotence",
        Ignored("writing is always idempotent"),
    ),
    ("enable.metrics.push", Ignored(METRICS)),
    ("exclude.internal.topics", Ignored(OURS)),
    ("fetch.max.bytes", Ignored(OURS)),
    ("fetch.max.wait.ms", Ignored(OURS)),
    ("fetch.min.bytes", Ignored(OURS)),
    ("group.id", Ignored(GROUPS)),
    ("group.instance.id", Ignored(GROUPS)),
    ("group.protocol", Ignored(GROUPS)),
    ("group.remote.assignor", Ignored(GROUPS)),
    ("heartbeat.interval.ms", Ignored(GROUPS)),
    ("interceptor.classes", Ignored(JAVA)),
    (
        "isolation.level",
        Ignored("only committed records are read"),
    ),
    ("key.deserializer", Ignored(JAVA)),
    ("key.serializer", Ignored(JAVA)),
    ("linger.ms", Ignored("records go out at once")),
    (
        "max.block.ms",
        Ignored("nothing blocks; a full buffer is an error"),
    ),
    ("max.in.flight.requests.per.connection", Ignored(OURS)),
    ("max.partition.fetch.bytes", Ignored(OURS)),
    ("max.poll.interval.ms", Ignored(GROUPS)),
    ("max.poll.records", Ignored(OURS)),
    ("max.request.size", Ignored(OURS)),
    (
        "metadata.max.age.ms",
        Same("metadata.max.age.ms", Number(1, 86_400_000)),
    ),
    ("metadata.max.idle.ms", Ignored(CLIENT)),
    (
        "metadata.recovery.rebootstrap.trigger.ms",
        Same("metadata.recovery.rebootstrap.trigger.ms", Number(0, MAX)),
    ),
    (
        "metadata.recovery.strategy",
        Same(
            "metadata.recovery.strategy",
            OneOf(&["none", "rebootstrap"]),
        ),
    ),
    ("metric.reporters", Ignored(METRICS)),
    ("metrics.num.samples", Ignored(METRICS)),
    ("metrics.recording.level", Ignored(METRICS)),
    ("metrics.sample.window.ms", Ignored(METRICS)),
    ("partition.assignment.strategy", Ignored(GROUPS)),
    (
        "partitioner.adaptive.partitioning.enable",
        Ignored("topics have one partition"),
    ),
    (
        "partitioner.availability.timeout.ms",
        Ignored("topics have one partition"),
    ),
    ("partitioner.class", Ignored("topics have one partition")),
    (
        "partitioner.ignore.keys",
        Ignored("topics have one partition"),
    ),
    (
        "receive.buffer.bytes",
        Same("socket.receive.buffer.bytes", Buffer),
    ),
    (
        "reconnect.backoff.max.ms",
        Same("reconnect.backoff.max.ms", Number(0, 3_600_000)),
    ),
    (
        "reconnect.backoff.ms",
        Same("reconnect.backoff.ms", Number(0, 3_600_000)),
    ),
    (
        "request.timeout.ms",
        Same("socket.timeout.ms", Number(10, 300_000)),
    ),
    (
        "retries",
        Ignored("what is not written is kept and tried again without end"),
    ),
    (
        "retry.backoff.max.ms",
        Same("retry.backoff.max.ms", Number(1, 300_000)),
    ),
    (
        "retry.backoff.ms",
        Same("retry.backoff.ms", Number(1, 300_000)),
    ),
    ("sasl.client.callback.handler.class", Ignored(JAVA)),
    ("sasl.jaas.config", Security),
    ("sasl.kerberos.kinit.cmd", Ignored(KERBEROS)),
    ("sasl.kerberos.min.time.before.relogin", Ignored(KERBEROS)),
    ("sasl.kerberos.service.name", Ignored(KERBEROS)),
    ("sasl.kerberos.ticket.renew.jitter", Ignored(KERBEROS)),
    (
        "sasl.kerberos.ticket.renew.window.factor",
        Ignored(KERBEROS),
    ),
    ("sasl.login.callback.handler.class", Ignored(JAVA)),
    ("sasl.login.class", Ignored(JAVA)),
    ("sasl.login.connect.timeout.ms", Ignored(OAUTH)),
    ("sasl.login.read.timeout.ms", Ignored(OAUTH)),
    ("sasl.login.refresh.buffer.seconds", Ignored(OAUTH)),
    ("sasl.login.refresh.min.period.seconds", Ignored(OAUTH)),
    ("sasl.login.refresh.window.factor", Ignored(OAUTH)),
    ("sasl.login.refresh.window.jitter", Ignored(OAUTH)),
    ("sasl.login.retry.backoff.max.ms", Ignored(OAUTH)),
    ("sasl.login.retry.backoff.ms", Ignored(OAUTH)),
    ("sasl.mechanism", Security),
    ("sasl.oauthbearer.clock.skew.seconds", Ignored(OAUTH)),
    ("sasl.oauthbearer.expected.audience", Ignored(OAUTH)),
    ("sasl.oauthbearer.expected.issuer", Ignored(OAUTH)),
    ("sasl.oauthbearer.header.urlencode", Ignored(OAUTH)),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", Ignored(OAUTH)),
    (
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        Ignored(OAUTH),
    ),
    (
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        Ignored(OAUTH),
    ),
    ("sasl.oauthbearer.jwks.endpoint.url", Ignored(OAUTH)),
    ("sasl.oauthbearer.scope.claim.name", Ignored(OAUTH)),
    ("sasl.oauthbearer.sub.claim.name", Ignored(OAUTH)),
    ("sasl.oauthbearer.token.endpoint.url", Ignored(OAUTH)),
    ("security.protocol", Security),
    ("security.providers", Ignored(JAVA)),
    (
        "send.buffer.bytes",
        Same("socket.send.buffer.bytes", Buffer),
    ),
    ("session.timeout.ms", Ignored(GROUPS)),
    ("socket.connection.setup.timeout.max.ms", Ignored(CLIENT)),
    (
        "socket.connection.setup.timeout.ms",
        Same("socket.connection.setup.timeout.ms", Number(1000, MAX)),
    ),
    ("ssl.cipher.suites", Ignored(TLS)),
    ("ssl.enabled.protocols", Ignored(TLS)),
    ("ssl.endpoint.identification.algorithm", Security),
    (
        "ssl.engine.factory.class",
        Refused(
            "a class of Java cannot make connections here",
            "remove it, and give the stores as PEM",
        ),
    ),
    ("ssl.key.password", Security),
    ("ssl.keymanager.algorithm", Ignored(JAVA)),
    ("ssl.keystore.certificate.chain", Security),
    ("ssl.keystore.key", Security),
    ("ssl.keystore.location", Security),
    ("ssl.keystore.password", Security),
    ("ssl.keystore.type", Security),
    ("ssl.protocol", Ignored(TLS)),
    ("ssl.provider", Ignored(JAVA)),
    ("ssl.secure.random.implementation", Ignored(JAVA)),
    ("ssl.trustmanager.algorithm", Ignored(JAVA)),
    ("ssl.truststore.certificates", Security),
    ("ssl.truststore.location", Security),
    ("ssl.truststore.password", Security),
    ("ssl.truststore.type", Security),
    ("transaction.timeout.ms", Ignored(OURS)),
    ("transactional.id", Ignored(OURS)),
    ("value.deserializer", Ignored(JAVA)),
    ("value.serializer", Ignored(JAVA)),
];

/// Names of other clients that people try, with what is meant.
const OTHERS: &[(&str, &str)] = &[
    ("sasl.username", "sasl.jaas.config"),
    ("sasl.password", "sasl.jaas.config"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("ssl.ca.location", "ssl.truststore.location"),
    ("ssl.ca.pem", "ssl.truststore.certificates"),
    ("ssl.certificate.location", "ssl.keystore.location"),
    ("ssl.certificate.pem", "ssl.keystore.certificate.chain"),
    ("ssl.key.location", "ssl.keystore.location"),
    ("ssl.key.pem", "ssl.keystore.key"),
    ("metadata.broker.list", "bootstrap.servers"),
];

/// What becomes of this name; none if Java's client does not know it.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    NAMES
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()
        .map(|index| NAMES[index].1)
}

/// Whether what follows this name must not be shown: for names that nobody knows too, since a mistyped one has the same
/// value.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let harmless = [
        "sasl.mechanism",
        "security.protocol",
        "ssl.keystore.type",
        "ssl.keystore.location",
    ];
    let known = meaning(&name).is_some_and(|meaning| meaning != Security)
        || harmless.contains(&name.as_str());
    let words = [
        "pass",
        "pasw",
        "jaas",
        "key",
        "secret",
        "sasl",
        "token",
        "credential",
        "pwd",
    ];
    !known && words.iter().any(|word| name.contains(word))
}

/// The known name that is nearest to this one, if one is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.trim().to_lowercase();
    if let Some((_, meant)) = OTHERS.iter().find(|(other, _)| *other == lower) {
        return Some(meant);
    }
    let known = NAMES
        .iter()
        .map(|(known, _)| (distance(&lower, known), *known));
    known
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 5))
        .map(|(_, known)| known)
}

/// How many letters have to be changed, added or removed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, from) in one.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in other.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(NAMES.is_sorted_by(|one, other| one.0 < other.0));
        assert_eq!(meaning("client.id"), Some(Same("client.id", Text)));
        assert_eq!(meaning("client.identity"), None);
    }

    #[test]
    fn the_nearest_name() {
        assert_eq!(
            nearest("ssl.trustore.location"),
            Some("ssl.truststore.location")
        );
        assert_eq!(nearest("Security.Protocol"), Some("security.protocol"));
        assert_eq!(nearest("sasl.username"), Some("sasl.jaas.config"));
        assert_eq!(nearest("ssl.ca.location"), Some("ssl.truststore.location"));
        assert_eq!(nearest("beamline"), None);
        assert_eq!(
            (
                distance("", "abc"),
                distance("abc", "abd"),
                distance("kitten", "sitting")
            ),
            (3, 1, 3)
        );
    }

    #[test]
    fn what_is_secret() {
        for name in [
            "ssl.key.password",
            "sasl.jaas.config",
            "sasl.jass.config",
            "ssl.keystore.key",
            "ssl.keystor.pasword",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "sasl.mechanism",
            "security.protocol",
            "client.id",
            "ssl.truststore.location",
            "key.serializer",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
