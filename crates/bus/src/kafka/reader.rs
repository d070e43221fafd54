//! Reading: assigned to the partitions, each with a queue of its own, so that the end of one is told apart from the other's.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use futures_util::{FutureExt as _, Stream};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::Offset;

use super::client::{self, Context};
use super::{Inner, failure};
use crate::counters::ReaderCounter;
use crate::{Error, From, Incoming, Reader};

/// The most records and bytes that are given at once.
const BATCH_RECORDS: usize = 2000;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Where a reader is in a topic.
#[derive(Debug)]
pub(super) struct Place {
    topic: Arc<str>,
    next: u64,
    /// The end of the topic when reading began.
    end: u64,
    caught_up: bool,
}

/// Finds where reading begins.
pub(super) fn places(inner: &Inner, topics: &[(Arc<str>, From)]) -> Result<Vec<Place>, Error> {
    let place = |(topic, from): &(Arc<str>, From)| {
        let (begin, end) = inner.ends(topic)?;
        let topic = Arc::clone(topic);
        let next = match *from {
            From::Beginning => begin,
            From::Now => end,
            From::Offset(offset) if offset > end => {
                return Err(Error::Beyond { topic, offset, end });
            }
            From::Offset(offset) => offset.max(begin),
        };
        Ok(Place {
            topic,
            next,
            end,
            caught_up: next >= end,
        })
    };
    topics.iter().map(place).collect()
}

/// A reader of the bus on Kafka.
pub(super) struct KafkaReader {
    // The queues go before what they belong to.
    queues: Vec<StreamPartitionQueue<Context>>,
    consumer: Arc<StreamConsumer<Context>>,
    places: Vec<Place>,
    counter: ReaderCounter,
    caught_up: bool,
    servers: String,
    /// Keeps the bus open.
    _inner: Arc<Inner>,
}

impl KafkaReader {
    pub(super) fn open(inner: &Arc<Inner>, places: Vec<Place>) -> Result<KafkaReader, Error> {
        // The name that clients of Phoebus have too: sites that restrict groups allow it.
        let group = format!(
            "Alarm-{:016x}",
            RandomState::new().hash_one(std::process::id())
        );
        let config = client::reading(&inner.servers, &inner.properties, &group);
        let context = Context::new(&inner.servers, Arc::clone(&inner.counters));
        let consumer: Arc<StreamConsumer<Context>> = Arc::new(client::create(&config, context)?);
        let failed = |topic: &Arc<str>, error: &KafkaError| {
            failure::with_topic("reading from", topic, &inner.servers, error)
        };
        let mut assignment = TopicPartitionList::new();
        let mut queues = Vec::new();
        for place in &places {
            let offset = Offset::Offset(i64::try_from(place.next).unwrap_or(i64::MAX));
            assignment
                .add_partition_offset(&place.topic, 0, offset)
                .map_err(|error| failed(&place.topic, &error))?;
            // Before anything is fetched, so that nothing comes by the queue of all.
            let queue = consumer.split_partition_queue(&place.topic, 0);
            queues.push(queue.ok_or_else(|| failure::missing(&place.topic, &inner.servers))?);
        }
        if let (Err(error), Some(place)) = (consumer.assign(&assignment), places.first()) {
            return Err(failed(&place.topic, &error));
        }
        let caught_up = places.iter().all(|place| place.caught_up);
        let counter = inner.counters.reader(
            places
                .iter()
                .map(|place| (Arc::clone(&place.topic), place.next)),
        );
        let servers = inner.servers.clone();
        Ok(KafkaReader {
            queues,
            consumer,
            places,
            counter,
            caught_up,
            servers,
            _inner: Arc::clone(inner),
        })
    }

    async fn next_batch(&mut self) -> Result<Vec<Incoming>, Error> {
        let KafkaReader {
            queues,
            consumer,
            places,
            counter,
            caught_up,
            servers,
            _inner: _,
        } = self;
        let mut events = events(queues, consumer);
        let mut batch = Batch::default();
        loop {
            // Nothing is waited for between taking an event and giving the batch, so dropping this loses none.
            let Some((source, event)) = events.next().await else {
                return Err(Error::Closed);
            };
            batch.take(source, event, places, counter, consumer.context(), servers)?;
            while batch.has_room() {
                let Some(Some((source, event))) = events.next().now_or_never() else {
                    break;
                };
                batch.take(source, event, places, counter, consumer.context(), servers)?;
            }
            let news = !*caught_up && places.iter().all(|place| place.caught_up);
            *caught_up |= news;
            if news || !batch.records.is_empty() {
                return Ok(batch.records);
            }
        }
    }
}

type Event<'a> = (Option<usize>, Result<BorrowedMessage<'a>, KafkaError>);

/// What all queues have, with the number of the queue; the last is that of the client itself.
fn events<'a>(
    queues: &'a [StreamPartitionQueue<Context>],
    consumer: &'a StreamConsumer<Context>,
) -> impl Stream<Item = Event<'a>> + Unpin {
    let of_topics = queues.iter().enumerate().map(|(number, queue)| {
        queue
            .stream()
            .map(move |event| (Some(number), event))
            .left_stream()
    });
    let of_client = consumer.stream().map(|event| (None, event)).right_stream();
    stream::select_all(of_topics.chain([of_client]))
}

#[derive(Default)]
struct Batch {
    records: Vec<Incoming>,
    bytes: usize,
}

impl Batch {
    fn has_room(&self) -> bool {
        self.records.len() < BATCH_RECORDS && self.bytes < BATCH_BYTES
    }

    fn take(
        &mut self,
        source: Option<usize>,
        event: Result<BorrowedMessage<'_>, KafkaError>,
        places: &mut [Place],
        counter: &ReaderCounter,
        context: &Context,
        servers: &str,
    ) -> Result<(), Error> {
        let place = source.and_then(|number| places.get_mut(number));
        match (event, place) {
            (Ok(message), Some(place)) => {
                context.works();
                let record = incoming(&message, &place.topic);
                place.next = record.offset + 1;
                place.caught_up = place.caught_up || place.next >= place.end;
                counter.moved(&place.topic, place.next, 1);
                self.bytes += message.key_len() + message.payload_len();
                self.records.push(record);
            }
            // Also where the last offsets are marks of transactions, or were compacted away.
            (Err(KafkaError::PartitionEOF(_)), Some(place)) => {
                context.works();
                place.caught_up = true;
                place.next = place.next.max(place.end);
                counter.moved(&place.topic, place.next, 0);
            }
            (Err(error), place) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                let nowhere: Arc<str> = "?".into();
                let topic = place.map_or(&nowhere, |place| &place.topic);
                let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                if fatal || (source.is_some() && failure::is_forbidden(code)) {
                    return Err(failure::from_code("reading from", topic, servers, code));
                }
                // Brokers that are away come back; the library goes on where it was.
                tracing::debug!("reading from Kafka `{servers}`: {error}");
            }
            // Every topic has its own queue.
            (Ok(message), None) => tracing::error!(
                "a record of the topic `{}` came unasked for",
                message.topic()
            ),
        }
        Ok(())
    }
}

fn incoming(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Incoming {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let time = message
        .timestamp()
        .to_millis()
        .and_then(|time| u64::try_from(time).ok());
    Incoming {
        topic: Arc::clone(topic),
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        time: time.map_or_else(SystemTime::now, |time| {
            UNIX_EPOCH + Duration::from_millis(time)
        }),
        key: message.key().map(text),
        value: message.payload().map(text),
    }
}

impl Reader for KafkaReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Incoming>, Error>> {
        self.next_batch().boxed()
    }

    fn has_caught_up(&self) -> bool {
        self.caught_up
    }
}
