//! Any sequence of writing, cleaning and opening again against a list in memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bus::embedded::Embedded;
use bus::{Bus, From, Incoming, Outgoing};
use proptest::prelude::*;

use super::Options;
use crate::contract::{prepare, record};

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, u8, Option<u8>)>),
    Clean,
    Open,
    OpenSecond,
    Read { topic: u8, from: u64, second: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let written = (
        0..2_u8,
        0..6_u8,
        proptest::option::weighted(0.8, any::<u8>()),
    );
    prop_oneof![
        6 => proptest::collection::vec(written, 1..12).prop_map(Step::Write),
        2 => Just(Step::Clean),
        1 => Just(Step::Open),
        1 => Just(Step::OpenSecond),
        3 => (0..2_u8, 0..40_u64, any::<bool>()).prop_map(|(topic, from, second)| Step::Read { topic, from, second }),
    ]
}

#[derive(Debug, Default, Clone)]
struct Model {
    records: Vec<(u64, String, Option<String>)>,
    end: u64,
}

impl Model {
    fn write(&mut self, record: &Outgoing) {
        self.records
            .push((self.end, record.key.clone(), record.value.clone()));
        self.end += 1;
    }

    fn clean(&mut self) {
        let mut seen = HashSet::new();
        self.records.reverse();
        self.records.retain(|(_, key, _)| seen.insert(key.clone()));
        self.records.reverse();
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    // tombstones stay, so that the clock has no say
    let options = Options {
        compaction_lag: Duration::ZERO,
        cleaning_interval: Duration::from_hours(1),
        ..Options::default()
    };
    let open = || Embedded::open(folder.path(), options).unwrap();
    let (mut bus, mut second) = (open(), open());
    let topics = prepare(&bus, ["one", "two"]).await;
    let mut models = [Model::default(), Model::default()];
    // one that reads along all the time
    let both: Vec<_> = topics
        .iter()
        .map(|topic| (Arc::clone(topic), From::Beginning))
        .collect();
    let mut along = second.read(&both).await.unwrap();
    let mut seen: [Vec<Incoming>; 2] = [Vec::new(), Vec::new()];
    let mut written = 0;
    for step in steps {
        match step {
            Step::Write(records) => {
                let records: Vec<_> = records
                    .into_iter()
                    .map(|(topic, key, value)| {
                        let value = value.map(|value| value.to_string());
                        let record = record(
                            &topics[usize::from(topic)],
                            &key.to_string(),
                            value.as_deref(),
                        );
                        models[usize::from(topic)].write(&record);
                        record
                    })
                    .collect();
                written += records.len();
                let writer = bus.writer().await.unwrap();
                writer.send(records).unwrap();
                writer.flush().await.unwrap();
                while seen[0].len() + seen[1].len() < written {
                    for record in along.next().await.unwrap() {
                        seen[usize::from(record.topic == topics[1])].push(record);
                    }
                }
            }
            Step::Clean => {
                bus.clean().await.unwrap();
                models.iter_mut().for_each(Model::clean);
            }
            Step::Open => bus = open(),
            Step::OpenSecond => {
                along = {
                    let ends = [models[0].end, models[1].end].map(From::Offset);
                    second = open();
                    second
                        .read(&topics.iter().cloned().zip(ends).collect::<Vec<_>>())
                        .await
                        .unwrap()
                };
            }
            Step::Read {
                topic,
                from,
                second: other,
            } => {
                let bus = if other { &second } else { &bus };
                let (topic, model) = (&topics[usize::from(topic)], &models[usize::from(topic)]);
                assert_eq!(bus.end(topic).await.unwrap(), model.end);
                let from = from.min(model.end);
                let mut reader = bus
                    .read(&[(Arc::clone(topic), From::Offset(from))])
                    .await
                    .unwrap();
                let mut read = Vec::new();
                while !reader.has_caught_up() {
                    read.extend(reader.next().await.unwrap());
                }
                let read: Vec<_> = read
                    .into_iter()
                    .map(|record| (record.offset, record.key.unwrap(), record.value))
                    .collect();
                let expected: Vec<_> = model
                    .records
                    .iter()
                    .filter(|(offset, ..)| *offset >= from)
                    .cloned()
                    .collect();
                assert_eq!(read, expected);
            }
        }
    }
    for (seen, model) in seen.iter().zip(&models) {
        let offsets: Vec<_> = seen.iter().map(|record| record.offset).collect();
        assert_eq!(
            offsets,
            (0..model.end).collect::<Vec<_>>(),
            "who reads along sees every record"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_bus_is_a_list_that_forgets(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(crate::contract::within_a_minute(run(steps)));
    }
}
