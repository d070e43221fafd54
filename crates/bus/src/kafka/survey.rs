//! What brokers say of themselves and of topics, for whoever looks for trouble. Nothing is changed.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::client::{self, Context};
use super::{Inner, Kafka, blocking, failure, topics};
use crate::{Error, TopicPlan};

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Every broker, as it wants to be called: clients connect there, whatever they were told first.
    pub brokers: Vec<Broker>,
    /// Every topic that was asked for, in the same order.
    pub topics: Vec<Topic>,
}

/// A broker as it advertises itself (`advertised.listeners`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Name.
    pub name: Arc<str>,
    /// How it is.
    pub state: State,
}

/// How a topic is.
#[derive(Debug, Clone)]
pub enum State {
    /// It has not been made.
    Missing,
    /// It may not be seen, or has no leader.
    Refused(Error),
    /// It is there.
    There(Details),
}

/// A topic that is there.
#[derive(Debug, Clone)]
pub struct Details {
    /// Partitions; the order of records holds only in one.
    pub partitions: usize,
    /// Copies of the first partition.
    pub replicas: usize,
    /// How many of them are up to date.
    pub in_sync: usize,
    /// How many have to be for a record to be taken; `None` if it may not be seen.
    pub least_in_sync: Option<usize>,
    /// Settings that are not those of the alarm system; `None` if they may not be seen.
    pub wrong: Option<Vec<Setting>>,
}

/// A setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What the alarm system needs.
    pub wanted: &'static str,
    /// What it is.
    pub found: Option<String>,
}

impl Kafka {
    /// Asks the brokers about themselves and about these topics.
    ///
    /// # Errors
    ///
    /// None of them answers. What is wrong with a topic is its [`State`].
    pub async fn survey(&self, plans: &[TopicPlan]) -> Result<Survey, Error> {
        let brokers = self.ask(brokers).await?;
        let config = client::changing(&self.inner.servers, &self.inner.properties);
        let context = Context::new(&self.inner.servers, Arc::clone(&self.inner.counters));
        let admin: AdminClient<Context> = client::create(&config, context)?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let mut topics = Vec::with_capacity(plans.len());
        for plan in plans {
            topics.push(Topic {
                name: Arc::clone(&plan.name),
                state: self.state(&admin, &options, plan).await,
            });
        }
        Ok(Survey { brokers, topics })
    }

    async fn state(
        &self,
        admin: &AdminClient<Context>,
        options: &AdminOptions,
        plan: &TopicPlan,
    ) -> State {
        let (inner, name) = (Arc::clone(&self.inner), Arc::clone(&plan.name));
        let mut details = match blocking(move || Ok(partition(&inner, &name))).await {
            Ok(Ok(details)) => details,
            Ok(Err(error)) if error.rdkafka_error_code().is_some_and(failure::is_missing) => {
                return State::Missing;
            }
            Ok(Err(error)) => {
                let servers = &self.inner.servers;
                return State::Refused(failure::with_topic(
                    "looking for",
                    &plan.name,
                    servers,
                    &error,
                ));
            }
            Err(error) => return State::Refused(error),
        };
        if let Some(described) = topics::describe(admin, options, plan).await {
            details.least_in_sync = number(&described, "min.insync.replicas");
            details.wrong = Some(wrong(&described, plan));
        }
        State::There(details)
    }
}

fn brokers(inner: &Inner) -> Result<Vec<Broker>, Error> {
    let metadata = inner.asking.client().fetch_metadata(None, ANSWER);
    let metadata = metadata.map_err(|error| {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        failure::connection(&inner.servers, code, error.to_string())
    })?;
    let brokers = metadata.brokers().iter().map(|broker| Broker {
        id: broker.id(),
        host: broker.host().to_owned(),
        port: u16::try_from(broker.port()).unwrap_or_default(),
    });
    Ok(brokers.collect())
}

fn partition(inner: &Inner, topic: &str) -> Result<Details, KafkaError> {
    let metadata = inner.asking.client().fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition))?;
    if let Some(error) = found.error() {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    let first = found.partitions().first();
    let first = first.ok_or(KafkaError::MetadataFetch(Code::LeaderNotAvailable))?;
    Ok(Details {
        partitions: found.partitions().len(),
        replicas: first.replicas().len(),
        in_sync: first.isr().len(),
        least_in_sync: None,
        wrong: None,
    })
}

fn number(described: &ConfigResource, name: &str) -> Option<usize> {
    described.get(name)?.value.as_deref()?.parse().ok()
}

/// Settings that differ, and the kind of time stamps, which clients of Phoebus count on.
fn wrong(described: &ConfigResource, plan: &TopicPlan) -> Vec<Setting> {
    topics::settings(plan.cleanup)
        .into_iter()
        .chain([("message.timestamp.type", "CreateTime")])
        .filter(|(name, wanted)| {
            let entry = described.get(name);
            !entry.is_some_and(|entry| topics::agrees(entry, wanted))
        })
        .map(|(name, wanted)| Setting {
            name,
            wanted,
            found: described.get(name).and_then(|entry| entry.value.clone()),
        })
        .collect()
}
