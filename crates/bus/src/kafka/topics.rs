//! Topics with the settings that Phoebus gives them (its `TopicUtils`, alarm reference 1.1).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigResource, ConfigSource, NewTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::client::Context;
use super::{Inner, blocking, failure};
use crate::{Cleanup, Error, TopicPlan};

/// What every topic of the alarm system has.
const ALL: [(&str, &str); 3] = [
    ("segment.ms", "10000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "1000"),
];
/// What topics that delete have too.
const DELETE: [(&str, &str); 3] = [
    ("retention.ms", "20000"),
    ("delete.retention.ms", "1000"),
    ("file.delete.delay.ms", "1000"),
];

/// The settings of a topic.
pub(super) fn settings(cleanup: Cleanup) -> Vec<(&'static str, &'static str)> {
    match cleanup {
        Cleanup::Compact => [("cleanup.policy", "compact")]
            .into_iter()
            .chain(ALL)
            .collect(),
        Cleanup::Delete => [("cleanup.policy", "delete")]
            .into_iter()
            .chain(ALL)
            .chain(DELETE)
            .collect(),
    }
}

/// Fails unless the topic is there, may be seen, and has one partition. Asks until the time is over while no broker
/// answers, or the topic has no leader.
pub(super) fn check<C: ClientContext>(
    client: &Client<C>,
    topic: &Arc<str>,
    servers: &str,
    timeout: Duration,
) -> Result<(), Error> {
    if !is_name(topic) {
        return Err(failure::from_code(
            "looking for",
            topic,
            servers,
            Code::InvalidTopic,
        ));
    }
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .min(Duration::from_secs(5));
        let error = match partitions(client, topic, left) {
            Ok(1) => return Ok(()),
            Ok(count) => return Err(several(topic, servers, count)),
            Err(error) => error,
        };
        if failure::is_for_good(&error) || Instant::now() >= deadline {
            return Err(failure::with_topic("looking for", topic, servers, &error));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What brokers take for a name (Kafka, `org.apache.kafka.common.internals.Topic`).
fn is_name(topic: &str) -> bool {
    let legal =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    (1..=249).contains(&topic.len()) && topic != "." && topic != ".." && topic.chars().all(legal)
}

/// How many partitions a topic has.
fn partitions<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<usize, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), timeout)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition));
    };
    match found.error().map(Code::from) {
        Some(error) => Err(KafkaError::MetadataFetch(error)),
        None if found.partitions().is_empty() => {
            Err(KafkaError::MetadataFetch(Code::LeaderNotAvailable))
        }
        None => Ok(found.partitions().len()),
    }
}

fn several(topic: &Arc<str>, servers: &str, count: usize) -> Error {
    let cause =
        format!("it has {count} partitions; the order of an alarm's records holds only in one");
    let hint = format!(
        "with every client stopped: kafka-topics.sh --bootstrap-server {servers} --delete --topic {topic}, then start the server, and apply the configuration"
    );
    failure::failed("using", topic, servers, &cause, Some(hint))
}

/// Makes those that are missing, and gives all their settings where they differ.
pub(super) async fn prepare(
    inner: &Arc<Inner>,
    admin: AdminClient<Context>,
    topics: &[TopicPlan],
) -> Result<(), Error> {
    let options = AdminOptions::new()
        .request_timeout(Some(inner.options.connection_timeout))
        .operation_timeout(Some(inner.options.connection_timeout));
    let mut missing = Vec::new();
    for topic in topics {
        let (inner, name) = (Arc::clone(inner), Arc::clone(&topic.name));
        match blocking(move || inner.check(&name)).await {
            Ok(()) => {}
            Err(Error::NoTopic { .. }) => missing.push(topic),
            Err(error) => return Err(error),
        }
    }
    make(inner, &admin, &options, &missing).await?;
    let existing: Vec<_> = topics
        .iter()
        .filter(|topic| !missing.contains(topic))
        .collect();
    for topic in existing {
        set(inner, &admin, &options, topic).await?;
    }
    Ok(())
}

async fn make(
    inner: &Arc<Inner>,
    admin: &AdminClient<Context>,
    options: &AdminOptions,
    missing: &[&TopicPlan],
) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let copies = inner.options.replication.map_or(-1, i32::from);
    let new: Vec<_> = missing
        .iter()
        .map(|topic| {
            let new = NewTopic::new(&topic.name, 1, TopicReplication::Fixed(copies));
            settings(topic.cleanup)
                .into_iter()
                .fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let failed = |topic: &Arc<str>, code| failure::from_code("making", topic, &inner.servers, code);
    let answers = match admin.create_topics(&new, options).await {
        Ok(answers) => answers,
        Err(error) => {
            let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
            return missing
                .first()
                .map_or(Ok(()), |topic| Err(failed(&topic.name, code)));
        }
    };
    for answer in answers {
        match answer {
            Ok(name) => tracing::info!("made the topic `{name}` on Kafka `{}`", inner.servers),
            // Somebody else was faster.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(failed(&name.into(), code)),
        }
    }
    // The brokers tell each other; until then it is missing for some.
    let deadline = Instant::now() + inner.options.connection_timeout;
    for topic in missing {
        loop {
            let (asked, name) = (Arc::clone(inner), Arc::clone(&topic.name));
            match blocking(move || asked.check(&name)).await {
                Err(Error::NoTopic { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => break answer?,
            }
        }
    }
    Ok(())
}

/// Gives a topic its settings where they differ.
async fn set(
    inner: &Arc<Inner>,
    admin: &AdminClient<Context>,
    options: &AdminOptions,
    topic: &TopicPlan,
) -> Result<(), Error> {
    let servers = &inner.servers;
    let Some(described) = describe(admin, options, topic).await else {
        tracing::warn!(
            "cannot see the settings of the topic `{}` on Kafka `{servers}`: they are left as they are (hint: \
             kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:NAME --operation describe-configs --topic {0})",
            topic.name
        );
        return Ok(());
    };
    if described
        .get("message.timestamp.type")
        .is_some_and(|entry| entry.value.as_deref() == Some("LogAppendTime"))
    {
        tracing::warn!(
            "the topic `{}` on Kafka `{servers}` has `message.timestamp.type=LogAppendTime`; clients of Phoebus expect `CreateTime`",
            topic.name
        );
    }
    let wrong: Vec<_> = settings(topic.cleanup)
        .into_iter()
        .filter(|(name, value)| {
            !described
                .get(name)
                .is_some_and(|entry| agrees(entry, value))
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    // This request replaces all of a topic's own settings: those that are not ours are given again.
    let mut entries: HashMap<&str, &str> = described
        .entries
        .iter()
        .filter(|entry| entry.source == ConfigSource::DynamicTopic && !entry.is_sensitive)
        .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
        .collect();
    entries.extend(settings(topic.cleanup));
    let change = AlterConfig {
        specifier: ResourceSpecifier::Topic(&topic.name),
        entries,
    };
    let answer = admin
        .alter_configs([&change], options)
        .await
        .map(|mut answers| answers.pop());
    let list = wrong
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",");
    let code = match answer {
        // The library does not tell a refusal of one topic: what the topic has now tells it.
        Ok(Some(Ok(_)) | None) => {
            let now = describe(admin, options, topic).await;
            let accepted = |(name, value): &(&str, &str)| {
                now.as_ref()
                    .and_then(|now| now.get(name))
                    .is_some_and(|entry| agrees(entry, value))
            };
            if wrong.iter().all(accepted) {
                tracing::info!(
                    "the topic `{}` on Kafka `{servers}` now has {list}",
                    topic.name
                );
                return Ok(());
            }
            Code::TopicAuthorizationFailed
        }
        Ok(Some(Err((_, code)))) => code,
        Err(error) => error.rdkafka_error_code().unwrap_or(Code::Unknown),
    };
    let cause = if failure::is_forbidden(code) {
        "the broker forbids it".to_owned()
    } else {
        code.to_string()
    };
    let hint = format!(
        "kafka-configs.sh --bootstrap-server {servers} --alter --topic {} --add-config {list}",
        topic.name
    );
    let error = failure::failed(
        &format!("setting {list} of"),
        &topic.name,
        servers,
        &cause,
        Some(hint),
    );
    // A topic that forgets the wrong way loses the configuration, or grows for ever; the others only make it slower.
    if wrong.iter().any(|(name, _)| *name == "cleanup.policy") {
        return Err(error);
    }
    tracing::warn!("{error} (hint: {})", error.hint().unwrap_or_default());
    Ok(())
}

/// The settings of a topic, unless they may not be seen.
pub(super) async fn describe(
    admin: &AdminClient<Context>,
    options: &AdminOptions,
    topic: &TopicPlan,
) -> Option<ConfigResource> {
    let answers = admin
        .describe_configs([&ResourceSpecifier::Topic(&topic.name)], options)
        .await;
    let described = answers.ok()?.pop()?.ok()?;
    // The library gives no settings at all where they may not be seen.
    (!described.entries.is_empty()).then_some(described)
}

/// Whether a setting has this value, however its number is written.
pub(super) fn agrees(entry: &ConfigEntry, value: &str) -> bool {
    let Some(found) = entry.value.as_deref() else {
        return false;
    };
    let numbers = (found.parse::<f64>(), value.parse::<f64>());
    found == value
        || matches!(numbers, (Ok(found), Ok(value)) if (found - value).abs() < f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_phoebus() {
        let expected = [
            ("cleanup.policy", "compact"),
            ("segment.ms", "10000"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("min.compaction.lag.ms", "1000"),
        ];
        assert_eq!(settings(Cleanup::Compact), expected);
        let names: Vec<_> = settings(Cleanup::Delete)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names[..4], expected.map(|(name, _)| name));
        assert_eq!(
            names[4..],
            [
                "retention.ms",
                "delete.retention.ms",
                "file.delete.delay.ms"
            ]
        );
    }
}
