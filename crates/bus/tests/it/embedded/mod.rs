//! The bus in a folder: the contract, and what only it has.

mod disk;
mod forgetting;
mod model;
mod processes;

use std::path::Path;
use std::sync::Arc;

use bus::embedded::{Embedded, Options};
use bus::{Bus, Error, From, Reader, Statistics, TopicPlan, Writer};
use futures_util::future::BoxFuture;

use crate::contract;

/// A bus in a folder that goes with it.
struct Temporary {
    bus: Embedded,
    folder: tempfile::TempDir,
}

impl Temporary {
    fn new() -> Temporary {
        Temporary::with(Options::default())
    }

    fn with(options: Options) -> Temporary {
        let folder = tempfile::tempdir().unwrap();
        let bus = Embedded::open(folder.path(), options).unwrap();
        Temporary { bus, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Bus for Temporary {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>> {
        self.bus.prepare(topics)
    }
    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>> {
        self.bus.end(topic)
    }
    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        self.bus.read(topics)
    }
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.bus.writer()
    }
    fn holder(&self, fence: &bus::Fence) -> BoxFuture<'_, Result<bus::Holder, Error>> {
        self.bus.holder(fence)
    }
    fn take(
        &self,
        fence: &bus::Fence,
        after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.bus.take(fence, after)
    }
    fn statistics(&self) -> Statistics {
        self.bus.statistics()
    }
}

contract::suite!(Temporary::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_wanted_is_passed_over_and_the_place_stays_exact() {
    let bus = Temporary::new();
    let [topic] = contract::prepare(&bus, ["passed"]).await;
    let keys = ["state:/a", "config:/a", "state:/b", "state:/c"];
    let records = keys.map(|key| contract::record(&topic, key, Some("1")));
    let writer = bus.writer().await.unwrap();
    writer.send(records.to_vec()).unwrap();
    writer.flush().await.unwrap();
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    reader.pass_over("state:");
    let read = contract::within_a_minute(contract::take(&mut *reader, 2)).await;
    // the last one is there although nobody wants it: it tells the place
    assert_eq!(contract::offsets(&read), [1, 3]);
    assert_eq!(read[1].value.as_deref(), Some("1"));
    assert!(reader.has_caught_up());
    writer.send(records[..2].to_vec()).unwrap();
    let read = contract::within_a_minute(contract::take(&mut *reader, 1)).await;
    assert_eq!(read.last().map(|record| record.offset), Some(5));
    assert_eq!(bus.statistics().lag, 0);
}
