//! Reading the configuration again while everything goes on: what is the same stays untouched, what is no longer on the
//! bus is removed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use alarm::AlarmPath;
use alarm::server::{Record, Topic};
use bus::{Bus, From};
use tokio::sync::oneshot;

/// Configuration records by key; `None` is a tombstone.
type Records = HashMap<String, Option<String>>;

/// What the bus has.
#[derive(Debug, Default)]
pub(super) struct Snapshot(Records);

/// A reading that is under way.
#[derive(Debug)]
pub(super) struct Reload {
    answer: oneshot::Receiver<Result<Snapshot, bus::Error>>,
    /// What was read the usual way since then: newer than what the snapshot may have.
    passed: Records,
}

impl Reload {
    pub(super) fn begin(bus: Arc<dyn Bus>, topic: Arc<str>) -> Self {
        let (sender, answer) = oneshot::channel();
        tokio::spawn(async move {
            // nobody waits any more if the server ends
            drop(sender.send(read(bus, topic).await));
        });
        Self {
            answer,
            passed: Records::new(),
        }
    }

    /// Notes a record that was read the usual way.
    pub(super) fn pass(&mut self, key: &str, value: Option<&str>) {
        if key.starts_with("config:") {
            self.passed.insert(key.to_owned(), value.map(str::to_owned));
        }
    }

    pub(super) fn passed(self) -> Records {
        self.passed
    }

    /// Waits for the snapshot; forever if nothing is under way.
    pub(super) async fn wait(reload: &mut Option<Self>) -> Result<Snapshot, bus::Error> {
        match reload {
            Some(reload) => match (&mut reload.answer).await {
                Ok(snapshot) => snapshot,
                Err(_gone) => Err(bus::Error::Closed),
            },
            None => std::future::pending().await,
        }
    }
}

async fn read(bus: Arc<dyn Bus>, topic: Arc<str>) -> Result<Snapshot, bus::Error> {
    let mut reader = bus.read(&[(topic, From::Beginning)]).await?;
    let mut records = Records::new();
    while !reader.has_caught_up() {
        for record in reader.next().await? {
            if let Some(key) = record.key.filter(|key| key.starts_with("config:")) {
                records.insert(key, record.value);
            }
        }
    }
    Ok(Snapshot(records))
}

impl Snapshot {
    /// The same with newer records.
    pub(super) fn with(mut self, newer: Records) -> Self {
        self.0.extend(newer);
        self
    }

    /// The records that bring a tree with these paths to what the bus has.
    pub(super) fn records(self, paths: &[AlarmPath]) -> Vec<Record> {
        let mut wanted = BTreeSet::new();
        let mut records = Vec::new();
        for (key, value) in self.0 {
            if value.is_none() {
                continue;
            }
            if let Some(Ok(path)) = key.strip_prefix("config:").map(AlarmPath::parse) {
                let mut at = Some(path);
                while let Some(path) = at {
                    at = path.parent();
                    if !wanted.insert(path) {
                        break;
                    }
                }
            }
            records.push(Record {
                topic: Topic::Main,
                key,
                value,
            });
        }
        // parents first, so that the order does not depend on a hash
        records.sort_by(|one, other| one.key.cmp(&other.key));
        let gone = paths.iter().filter(|path| {
            path.depth() > 1
                && !wanted.contains(*path)
                // the one above it takes it along
                && path.parent().is_none_or(|parent| parent.depth() == 1 || wanted.contains(&parent))
        });
        let mut all: Vec<Record> = gone
            .map(|path| Record {
                topic: Topic::Main,
                key: format!("config:{path}"),
                value: None,
            })
            .collect();
        all.extend(records);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_on_the_bus_is_removed() {
        let path = |text: &str| AlarmPath::parse(text).unwrap();
        let snapshot = Snapshot(HashMap::from([
            ("config:/X/a/kept".to_owned(), Some("{}".to_owned())),
            ("config:/X/a/dead".to_owned(), None),
            ("config:/X/new".to_owned(), Some("{}".to_owned())),
        ]))
        .with(HashMap::from([("config:/X/new".to_owned(), None)]));
        let paths = [
            "/X",
            "/X/a",
            "/X/a/kept",
            "/X/a/dead",
            "/X/b",
            "/X/b/c",
            "/X/new",
        ]
        .map(path);
        let records: Vec<(String, bool)> = snapshot
            .records(&paths)
            .into_iter()
            .map(|record| (record.key, record.value.is_some()))
            .collect();
        let expected = [
            ("config:/X/a/dead", false),
            ("config:/X/b", false),
            ("config:/X/new", false),
            ("config:/X/a/kept", true),
        ];
        assert_eq!(records, expected.map(|(key, is)| (key.to_owned(), is)));
    }
}
